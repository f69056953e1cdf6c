//! From a refresh token to the next tokens (RFC 6749 6). When that is done, and what happens to a
//! token whose answer was lost, stands in [`crate::renewal`].

use crate::client::Client;
use crate::http::{Call, Http};
use crate::secret::Secret;
use crate::server::Server;
use crate::token::{self, TokenError, Tokens};

/// The call that refreshes. It is a form body with every server: a refresh token in a URL would stand
/// in every log on the way.
pub fn call(server: &Server, client: &Client, refresh_token: &Secret) -> Call {
    let mut call = Call::post(&server.token_endpoint);
    client.prove(server, &mut call);
    call.field("grant_type", "refresh_token");
    call.field("refresh_token", refresh_token.expose());
    call
}

/// Refreshes, once; `now` in Unix seconds. Where the answer brings no refresh token, the one that was
/// used goes on (RFC 6749 6).
///
/// # Errors
/// [`TokenError`]
pub async fn refresh(
    http: &Http,
    server: &Server,
    client: &Client,
    refresh_token: &Secret,
    now: i64,
) -> Result<Tokens, TokenError> {
    let mut tokens = token::ask(http, &call(server, client, refresh_token), now).await?;
    tokens.refresh_token.get_or_insert_with(|| refresh_token.clone());
    Ok(tokens)
}

//! From a code to tokens (RFC 6749 4.1.3).

use crate::authorization::AuthorizationCode;
use crate::client::Client;
use crate::http::{Call, Http};
use crate::server::{ExchangeIn, Server};
use crate::token::{self, TokenError, Tokens};

/// The call that exchanges a code.
pub fn call(server: &Server, client: &Client, code: &AuthorizationCode) -> Call {
    let mut call = Call::post(&server.token_endpoint);
    client.prove(server, &mut call);
    let mut put = |name: &str, value: &str| match server.exchange_in {
        ExchangeIn::Body => call.field(name, value),
        ExchangeIn::Query => call.parameter(name, value),
    };
    put("code", code.code.expose());
    put("grant_type", "authorization_code");
    // The guide's own name for it; the header says who it is.
    if server.exchange_in == ExchangeIn::Query {
        put("client-id", client.id());
    }
    put("redirect_uri", &code.redirect_uri);
    // A verifier is as good as a secret, and never goes into a URL.
    if let Some(verifier) = &code.code_verifier {
        call.field("code_verifier", verifier.expose());
    }
    call
}

/// Exchanges a code; `now` in Unix seconds. It is sent once: a code works once, so where the answer was
/// lost ([`TokenError::is_unclear`]) the customer has to be asked again.
///
/// # Errors
/// [`TokenError`]
pub async fn exchange(
    http: &Http,
    server: &Server,
    client: &Client,
    code: &AuthorizationCode,
    now: i64,
) -> Result<Tokens, TokenError> {
    token::ask(http, &call(server, client, code), now).await
}

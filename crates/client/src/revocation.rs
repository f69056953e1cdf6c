//! Giving a token back (RFC 7009).

use crate::client::Client;
use crate::error_response::ErrorResponse;
use crate::http::{Call, Http};
use crate::secret::Secret;
use crate::server::Server;
use crate::token::TokenError;

/// The call that gives a token back; `None` where the server has no place for it.
pub fn call(server: &Server, client: &Client, token: &Secret, hint: &str) -> Option<Call> {
    let mut call = Call::post(server.revocation_endpoint.as_ref()?);
    client.prove(server, &mut call);
    call.field("token", token.expose());
    call.field("token_type_hint", hint);
    Some(call)
}

/// Sends such a call. Whoever gets no clear answer may send it again: to end a token twice is to end
/// it once (RFC 7009 2.2).
///
/// # Errors
/// [`TokenError`]
pub async fn revoke(http: &Http, call: &Call) -> Result<(), TokenError> {
    let answer = call.send(http).await?;
    match answer.status {
        200 | 204 => Ok(()),
        status => Err(match ErrorResponse::read(&answer) {
            Some(refusal) => TokenError::Refused(Box::new(refusal)),
            None if status >= 500 => TokenError::Unavailable { status },
            None => TokenError::NotOAuth { status, why: "its answer is no OAuth error".into() },
        }),
    }
}

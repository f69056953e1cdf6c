//! What the token endpoint gives, and why it gives nothing (RFC 6749 5.1, 5.2).

use grantor_protocol::scope::has_scope_characters;
use serde::{Deserialize, Serialize};

use crate::error_response::ErrorResponse;
use crate::http::{Answer, Call, Http, HttpError};
use crate::secret::Secret;

/// How long an access token is taken to live where the server does not say, in seconds.
const LIFETIME_SECONDS: i64 = 3600;
/// No lifetime is taken to be longer, in seconds.
const MAX_LIFETIME_SECONDS: i64 = 10 * 365 * 24 * 3600;
/// The status of a call that came too soon after others.
const TOO_MANY_CALLS: u16 = 429;

/// Tokens, as they were received.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tokens {
    /// What opens the API (RFC 6750).
    pub access_token: Secret,
    /// When the access token ends, in Unix seconds, by the clock of this machine.
    pub expires_at: i64,
    /// What gets the next ones. `None` where the server gave none.
    pub refresh_token: Option<Secret>,
    /// What was allowed, where the server said it.
    pub scope: Option<String>,
}

/// Why there are no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no answer, or no whole one.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server refused.
    #[error("{0}")]
    Refused(Box<ErrorResponse>),
    /// The server cannot answer just now. It may have acted.
    #[error("the server answered {status} and no more")]
    Unavailable {
        /// of the answer
        status: u16,
    },
    /// What answered is no token endpoint.
    #[error("what answered is no token endpoint: {why}")]
    NotOAuth {
        /// the status
        status: u16,
        /// what is wrong
        why: String,
    },
}

impl TokenError {
    /// Whether the server may have acted on a call that got no clear answer.
    pub fn is_unclear(&self) -> bool {
        match self {
            TokenError::Http(HttpError::Lost { .. }) | TokenError::Unavailable { .. } => true,
            TokenError::Http(HttpError::NotSent { .. } | HttpError::NotAllowed { .. }) => false,
            TokenError::Refused(refusal) => refusal.status.is_some_and(|status| status >= 500),
            // A page of 200 in the place of tokens may stand before a server that has acted.
            TokenError::NotOAuth { status, .. } => (200..300).contains(status),
        }
    }

    /// Whether the server, or what stands before it, put the call off and did nothing (RFC 6585 4).
    pub fn is_put_off(&self) -> bool {
        match self {
            TokenError::Refused(refusal) => refusal.status == Some(TOO_MANY_CALLS),
            TokenError::NotOAuth { status, .. } => *status == TOO_MANY_CALLS,
            TokenError::Http(_) | TokenError::Unavailable { .. } => false,
        }
    }
}

#[derive(Deserialize)]
struct Body {
    access_token: Secret,
    token_type: String,
    #[serde(default)]
    expires_in: Option<Seconds>,
    refresh_token: Option<Secret>,
    scope: Option<String>,
}

/// Some servers write the number as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(i64),
    Text(String),
}

/// Sends a call of the token endpoint and reads what comes; `now` in Unix seconds.
pub(crate) async fn ask(http: &Http, call: &Call, now: i64) -> Result<Tokens, TokenError> {
    let answer = call.send(http).await?;
    read(&answer, now)
}

/// Reads an answer of the token endpoint that came at `now`, in Unix seconds.
///
/// # Errors
/// [`TokenError`]
pub fn read(answer: &Answer, now: i64) -> Result<Tokens, TokenError> {
    if answer.status != 200 {
        return Err(match ErrorResponse::read(answer) {
            Some(refusal) => TokenError::Refused(Box::new(refusal)),
            None if answer.status >= 500 => TokenError::Unavailable { status: answer.status },
            None => not_oauth(answer, "its answer is no OAuth error"),
        });
    }
    // The parser's own words may quote what it read.
    let body: Body = serde_json::from_slice(&answer.body)
        .map_err(|_| not_oauth(answer, "its answer has no access_token and token_type in JSON"))?;
    // RFC 6749 7.1: a token of a kind that is not understood must not be used.
    if !body.token_type.eq_ignore_ascii_case("bearer") {
        return Err(not_oauth(answer, "its tokens are no bearer tokens"));
    }
    let printable = |token: &Secret| {
        let token = token.expose();
        !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    // It goes into a header (RFC 6750 2.1).
    if !printable(&body.access_token) {
        return Err(not_oauth(answer, "its access token holds characters that no token may have"));
    }
    let lifetime = match body.expires_in {
        Some(Seconds::Number(seconds)) => seconds,
        Some(Seconds::Text(text)) => text.parse().unwrap_or(LIFETIME_SECONDS),
        None => LIFETIME_SECONDS,
    };
    Ok(Tokens {
        access_token: body.access_token,
        expires_at: now + lifetime.clamp(0, MAX_LIFETIME_SECONDS),
        refresh_token: body.refresh_token.filter(|token| !token.expose().is_empty()),
        // It is shown and written down, and no scope needs what stands outside.
        scope: body.scope.filter(|scope| scope.split(' ').all(has_scope_characters)),
    })
}

fn not_oauth(answer: &Answer, why: &str) -> TokenError {
    TokenError::NotOAuth { status: answer.status, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(status: u16, body: &str) -> Result<Tokens, TokenError> {
        read(&Answer { status, headers: Vec::new(), body: body.to_owned().into() }, 100)
    }

    #[test]
    fn the_guides_answer_is_read() {
        let tokens = read_of(200, r#"{"access_token":"a","token_type":"bearer","refresh_token":"r","expires_in":3599,"scope":"financial-api"}"#).unwrap();
        assert_eq!((tokens.access_token.expose(), tokens.expires_at), ("a", 3699));
        assert_eq!(tokens.refresh_token.unwrap().expose(), "r");
        assert_eq!(tokens.scope.as_deref(), Some("financial-api"));
        let text = read_of(200, r#"{"access_token":"a","token_type":"Bearer","expires_in":"60"}"#);
        assert_eq!(text.unwrap().expires_at, 160);
        let silent = read_of(200, r#"{"access_token":"a","token_type":"Bearer"}"#).unwrap();
        assert_eq!(silent.expires_at, 100 + LIFETIME_SECONDS);
    }

    #[test]
    fn another_kind_of_token_and_one_that_breaks_a_header_are_not_taken() {
        for body in [
            r#"{"access_token":"a","token_type":"DPoP"}"#,
            r#"{"access_token":"a\r\nX: y","token_type":"bearer"}"#,
            r#"{"access_token":"","token_type":"bearer"}"#,
            r#"{"token_type":"bearer"}"#,
            "<html>canary</html>",
        ] {
            let error = read_of(200, body).unwrap_err();
            assert!(matches!(error, TokenError::NotOAuth { .. }), "{body}: {error}");
            assert!(!error.to_string().contains("canary"));
        }
    }

    #[test]
    fn a_scope_that_is_none_is_as_if_nothing_were_said() {
        for scope in ["a\u{9b}2J", "a\u{202e}b", "a\u{7f}", "a\\nb", "a\\\\b", "a\\\"b"] {
            let body = format!(r#"{{"access_token":"a","token_type":"bearer","scope":"{scope}"}}"#);
            assert_eq!(read_of(200, &body).unwrap().scope, None, "{scope:?}");
        }
        let usual = r#"{"access_token":"a","token_type":"bearer","scope":"a:b,c/d  e"}"#;
        assert_eq!(read_of(200, usual).unwrap().scope.as_deref(), Some("a:b,c/d  e"));
    }

    #[test]
    fn a_refusal_keeps_its_cause_and_a_fault_of_the_server_is_unclear() {
        let refused =
            read_of(400, r#"{"error":"invalid_grant","error_description":"Code not valid"}"#);
        let error = refused.unwrap_err();
        assert_eq!(error.to_string(), "invalid_grant: Code not valid");
        assert!(!error.is_unclear());
        for (status, body) in
            [(503, r#"{"error":"temporarily_unavailable"}"#), (502, "bad gateway"), (200, "<html>")]
        {
            assert!(read_of(status, body).unwrap_err().is_unclear(), "{status}");
        }
        assert!(!read_of(404, "<html>").unwrap_err().is_unclear());
    }

    #[test]
    fn a_call_that_was_put_off_is_known_whoever_answered() {
        for body in [r#"{"error":"temporarily_unavailable"}"#, "<html>slow down</html>"] {
            let error = read_of(429, body).unwrap_err();
            assert!(error.is_put_off() && !error.is_unclear(), "{error}");
        }
        assert!(!read_of(400, r#"{"error":"invalid_grant"}"#).unwrap_err().is_put_off());
    }
}

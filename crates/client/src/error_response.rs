//! A refusal, as a server words it (RFC 6749 4.1.2.1, 5.2).

use serde::Deserialize;

use crate::http::Answer;

/// No text of a server is kept or shown longer, in characters.
const MAX_CHARACTERS: usize = 600;

/// What a server said when it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    /// The HTTP status; `None` where it came by a redirect.
    pub status: Option<u16>,
    /// `error`
    pub error: String,
    /// `error_description`: the cause. Many libraries drop it; this one does not.
    pub description: Option<String>,
    /// `error_uri`
    pub uri: Option<String>,
    /// What the operator of the server finds the call by.
    pub request_id: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    error: String,
    error_description: Option<String>,
    error_uri: Option<String>,
    request_id: Option<String>,
}

impl ErrorResponse {
    /// Reads the answer of a token endpoint; `None` where it is no OAuth error.
    pub(crate) fn read(answer: &Answer) -> Option<ErrorResponse> {
        let body: Body = serde_json::from_slice(&answer.body).ok()?;
        let by_header = || answer.header("x-request-id").map(str::to_owned);
        Some(ErrorResponse {
            status: Some(answer.status),
            error: shown(&body.error),
            description: body.error_description.as_deref().map(shown),
            uri: body.error_uri.as_deref().map(shown),
            request_id: body.request_id.or_else(by_header).as_deref().map(shown),
        })
    }
}

impl std::fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&shown(&self.error))?;
        if let Some(description) = &self.description {
            write!(f, ": {}", shown(description))?;
        }
        Ok(())
    }
}

/// What a server wrote must not move the cursor of a terminal, nor fill it.
fn shown(text: &str) -> String {
    text.chars().take(MAX_CHARACTERS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

//! A refusal, as a server words it (RFC 6749 4.1.2.1, 5.2).

use grantor_protocol::visible::for_terminal;
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
    /// What stood in the query of a redirect.
    pub(crate) fn redirected(
        error: &str,
        description: Option<&str>,
        uri: Option<&str>,
    ) -> ErrorResponse {
        ErrorResponse {
            status: None,
            error: shown(error),
            description: description.map(shown),
            uri: uri.map(shown),
            request_id: None,
        }
    }

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

/// What a server wrote must not move the cursor of a terminal, nor turn its text around, nor fill it.
fn shown(text: &str) -> String {
    for_terminal(text).take(MAX_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_wrote_moves_no_cursor_and_turns_no_text_whichever_way_it_came() {
        let wild = "no\u{1b}[2J\u{202e}\u{61c}";
        let redirected = ErrorResponse::redirected(wild, Some(wild), Some(wild));
        let body = serde_json::json!({
            "error": wild, "error_description": wild, "error_uri": wild, "request_id": wild,
        });
        let answer = Answer { status: 400, headers: Vec::new(), body: body.to_string().into() };
        for response in [redirected, ErrorResponse::read(&answer).unwrap()] {
            let (uri, id) = (response.uri.as_deref(), response.request_id.as_deref());
            let shown = format!("{response} {} {}", uri.unwrap(), id.unwrap_or_default());
            assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{61c}']), "{shown:?}");
            assert!(shown.starts_with("no\u{fffd}[2J\u{fffd}\u{fffd}: no"), "{shown:?}");
        }
    }
}

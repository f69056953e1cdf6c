//! One call of the playground to the staging environment, and how it is shown.
//!
//! The call is handed to the environment's own router, in this process: it is the request that a
//! partner's server would send, answered by the very code that answers those, and written into the
//! same log. No socket is opened and no address is looked up, so nobody can make the portal call
//! anything else.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor_protocol::client::ClientSecret;
use grantor_protocol::client_authentication::BasicCredentials;
use serde_json::Value;
use tower::ServiceExt as _;
use url::form_urlencoded::Serializer;

use super::super::fault::Fault;
use crate::http::{ClientAddress, router};
use crate::pages::portal::{RawCall, RawHeader, RawPart};
use crate::site::Site;

/// No answer that is shown is longer, in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// What stands in the place of what is hidden.
const HIDDEN: &str = "••••••••";

/// Who calls.
pub(super) enum Caller<'a> {
    /// a client with its secret (RFC 6749 2.3.1)
    Client(&'a str, ClientSecret),
    /// a token (RFC 6750 2.1)
    Token(&'a str),
    /// nobody by a header: a public client names itself in the form
    Nobody,
}

/// A call to be made.
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) caller: Caller<'a>,
    /// Its parameters.
    pub(super) parameters: Vec<(&'static str, &'a str)>,
    /// Whether they stand in the query, as in the guide, or in the body.
    pub(super) in_query: bool,
    pub(super) title: &'static str,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The body, where it is JSON; null otherwise.
    pub(super) body: Value,
    /// All of it, to be shown.
    pub(super) raw: RawCall,
}

impl Answer {
    /// A member as text.
    pub(super) fn text(&self, member: &str) -> &str {
        self.body.get(member).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Call<'_> {
    /// Makes the call.
    pub(super) async fn make(
        &self,
        environment: &Arc<Site>,
        address: IpAddr,
    ) -> Result<Answer, Fault> {
        let form = Serializer::new(String::new()).extend_pairs(&self.parameters).finish();
        let (target, body) = match (self.in_query, self.method) {
            (true, _) => (format!("{}?{form}", self.path), String::new()),
            (false, "GET") => (self.path.to_owned(), String::new()),
            (false, _) => (self.path.to_owned(), form),
        };
        let host = environment.base_url.split_once("://").map_or("", |(_, host)| host);
        let mut request = Request::builder().method(self.method).uri(&target).header(HOST, host);
        let mut headers = vec![header("Host", host, None)];
        if let Some((value, shown)) = self.caller.header() {
            request = request.header(AUTHORIZATION, value);
            headers.push(shown);
        }
        if !body.is_empty() {
            let kind = "application/x-www-form-urlencoded";
            request = request.header(CONTENT_TYPE, kind);
            headers.push(header("Content-Type", kind, None));
        }
        if self.method != "GET" {
            let length = body.len().to_string();
            request = request.header(CONTENT_LENGTH, &length);
            headers.push(header("Content-Length", &length, None));
        }
        let asked = RawPart {
            line: format!("{} {target} HTTP/1.1", self.method),
            headers,
            body: body.clone(),
        };
        let request = request.extension(ClientAddress(address)).body(Body::from(body));
        let request = request.map_err(|_| {
            Fault::Conflict("A token with such letters in it cannot be sent in a header.".into())
        })?;
        let (status, answered, body) = answer(environment, request).await?;
        let raw =
            RawCall { title: self.title.to_owned(), request: asked, response: Some(answered) };
        Ok(Answer { status, body, raw })
    }
}

async fn answer(
    environment: &Arc<Site>,
    request: Request<Body>,
) -> Result<(StatusCode, RawPart, Value), Fault> {
    let Ok(response) = router(Arc::clone(environment)).oneshot(request).await;
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_ANSWER_BYTES).await.map_err(|_| Fault::Busy)?;
    let headers = parts.headers.iter().map(|(name, value)| {
        header(name.as_str(), &String::from_utf8_lossy(value.as_bytes()), None)
    });
    let shown = RawPart {
        line: format!("HTTP/1.1 {}", parts.status),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    Ok((parts.status, shown, serde_json::from_slice(&body).unwrap_or_default()))
}

impl Caller<'_> {
    /// The value of `Authorization`, and what is shown of it.
    fn header(&self) -> Option<(String, RawHeader)> {
        match self {
            Caller::Client(id, secret) => {
                let value = BasicCredentials::header(id, secret);
                let shown = format!("Basic {}{HIDDEN}", open_part(id));
                let note = format!(
                    "Basic, a blank, and the Base64 of {id}:SECRET with no newline in it. What \
                     stands for the secret is hidden here."
                );
                Some((value, header("Authorization", &shown, Some(note))))
            }
            Caller::Token(token) => {
                let value = format!("Bearer {token}");
                let shown = header("Authorization", &value, None);
                Some((value, shown))
            }
            Caller::Nobody => None,
        }
    }
}

/// The part of the Base64 that comes from the id alone: three bytes give four letters.
fn open_part(id: &str) -> String {
    let pair = format!("{id}:");
    let whole = pair.len() / 3 * 3;
    STANDARD.encode(pair.as_bytes().get(..whole).unwrap_or_default())
}

fn header(name: &str, value: &str, note: Option<String>) -> RawHeader {
    RawHeader { name: name.to_owned(), value: value.to_owned(), note }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u12_what_is_shown_of_the_basic_header_is_the_same_whatever_the_secret() {
        for id in ["a", "ab", "abc", "devp-staging-demo-partner-0000"] {
            let [one, other] = ["one-secret", "zzz"].map(|secret| {
                Caller::Client(id, ClientSecret::new(secret.to_owned())).header().unwrap()
            });
            assert_ne!(one.0, other.0);
            assert_eq!(one.1.value, other.1.value);
            let open = one.1.value.trim_end_matches(HIDDEN);
            assert!(one.0.starts_with(open) && other.0.starts_with(open), "{open}");
        }
    }
}

//! Calls to a server: what is sent is a value first, so that it can be shown before it goes.
//!
//! 1. A [`Call`] is built, and can be shown without its secrets: [`Call::shown`];
//! 2. [`Http`] sends it: https or loopback alone, no redirect followed, with a limit of time and size;
//! 3. what comes is an [`Answer`]; what does not is an [`HttpError`], which says whether the server
//!    may have acted: the refresh rules depend on that.

mod hyper;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use grantor_protocol::parameters::form_encoded;
use serde_json::Value;
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::secret::masked;

/// No answer is larger, in bytes, where [`Call::takes_at_most`] does not say otherwise.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// How large the answer to a request may be, in bytes: an extension of each request that is handed to
/// [`Http::given`].
#[derive(Clone, Copy, Debug)]
pub struct MaxAnswerBytes(pub usize);

/// Parameters and members whose values are never shown.
const SECRETS: [&str; 9] = [
    "access_token",
    "refresh_token",
    "id_token",
    "token",
    "code",
    "code_verifier",
    "client_secret",
    "state",
    "code_challenge",
];

/// Members of an answer whose texts are shown. Any other may be a token: servers and gateways wrap them,
/// and call them as they like.
const SHOWN: [&str; 7] =
    ["token_type", "expires_in", "scope", "error", "error_description", "error_uri", "request_id"];

/// What sends calls. Cloned freely.
#[derive(Clone)]
pub struct Http(Sender);

type Sent = Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, HttpError>> + Send>>;

#[derive(Clone)]
enum Sender {
    Own(Arc<hyper::Own>),
    Given(Arc<dyn Fn(http::Request<Bytes>) -> Sent + Send + Sync>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Nothing reached the server: no address, no connection, no TLS. It has done nothing.
    #[error("{host} cannot be reached: {why}")]
    NotSent {
        /// which server
        host: String,
        /// what went wrong
        why: String,
    },
    /// The call was sent, or a part of it, and no whole answer came. The server may have acted.
    #[error("no whole answer came from {host}: {why}")]
    Lost {
        /// which server
        host: String,
        /// what went wrong
        why: String,
    },
    /// The URL is neither https nor on this machine: a secret would travel in the open.
    #[error("{url} is neither https nor on this machine; nothing was sent")]
    NotAllowed {
        /// which
        url: String,
    },
}

/// A call that is to be sent.
#[derive(Clone)]
pub struct Call {
    method: &'static str,
    url: String,
    query: Vec<(String, Zeroizing<String>)>,
    headers: Vec<(String, Zeroizing<String>)>,
    form: Vec<(String, Zeroizing<String>)>,
    body: Option<Bytes>,
    max_answer_bytes: usize,
}

/// What a server answered.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Http {
    /// The library's own: HTTP/1.1 over rustls, the roots of the system, ten seconds to connect and
    /// thirty for all of it.
    pub fn new() -> Http {
        Http(Sender::Own(Arc::new(hyper::Own::default())))
    }

    /// One of yours. It must follow no redirect, have a limit of time, and say by its error whether
    /// the server may have acted. The answer's size is checked here.
    pub fn given<F, A>(send: F) -> Http
    where
        F: Fn(http::Request<Bytes>) -> A + Send + Sync + 'static,
        A: Future<Output = Result<http::Response<Bytes>, HttpError>> + Send + 'static,
    {
        Http(Sender::Given(Arc::new(move |request| Box::pin(send(request)))))
    }

    async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        match &self.0 {
            Sender::Own(own) => own.send(request).await,
            Sender::Given(send) => send(request).await,
        }
    }
}

impl Default for Http {
    fn default() -> Http {
        Http::new()
    }
}

impl Call {
    /// A GET.
    pub fn get(url: &str) -> Call {
        Call::new("GET", url)
    }

    /// A POST.
    pub fn post(url: &str) -> Call {
        Call::new("POST", url)
    }

    /// A call of that method.
    pub fn new(method: &'static str, url: &str) -> Call {
        Call {
            method,
            url: url.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            form: Vec::new(),
            body: None,
            max_answer_bytes: MAX_ANSWER_BYTES,
        }
    }

    /// Adds a header; its name is written in lower case.
    pub fn header(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), Zeroizing::new(value.to_owned())));
    }

    /// Adds a field of the form body.
    pub fn field(&mut self, name: &str, value: &str) {
        self.form.push((name.to_owned(), Zeroizing::new(value.to_owned())));
    }

    /// Adds a parameter of the query.
    pub fn parameter(&mut self, name: &str, value: &str) {
        self.query.push((name.to_owned(), Zeroizing::new(value.to_owned())));
    }

    /// Sets a body of another kind than a form.
    pub fn body(&mut self, content_type: &str, body: Bytes) {
        self.header("content-type", content_type);
        self.body = Some(body);
    }

    /// Takes an answer of so many bytes.
    pub fn takes_at_most(&mut self, bytes: usize) {
        self.max_answer_bytes = bytes;
    }

    /// The value of a header.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        let held = self.headers.iter().find(|(held, _)| held == name);
        held.map(|(_, value)| value.as_str())
    }

    /// The form body, as it is sent.
    pub fn body_text(&self) -> String {
        encoded(&self.form, |_, value| form_encoded(value))
    }

    /// The call as it is sent, line by line, with every secret masked.
    pub fn shown(&self) -> String {
        let query = encoded(&self.query, shown_value);
        let mark = if query.is_empty() { "" } else { "?" };
        let mut lines = format!("{} {}{mark}{query}\n", self.method, self.url);
        for (name, value) in &self.headers {
            let value = match (name.as_str(), value.split_once(' ')) {
                ("authorization", Some((scheme, rest))) => format!("{scheme} {}", masked(rest)),
                ("authorization", None) => masked(value),
                _ => value.to_string(),
            };
            lines.push_str(&format!("{name}: {value}\n"));
        }
        if !self.form.is_empty() {
            lines.push_str("content-type: application/x-www-form-urlencoded\n\n");
            lines.push_str(&encoded(&self.form, shown_value));
            lines.push('\n');
        }
        lines
    }

    /// Sends it.
    ///
    /// # Errors
    /// [`HttpError`]; an answer that is too large counts as lost.
    pub async fn send(&self, http: &Http) -> Result<Answer, HttpError> {
        if !is_allowed(&self.url) {
            return Err(HttpError::NotAllowed { url: self.url.clone() });
        }
        let host = host_of(&self.url);
        let request = self
            .request()
            .map_err(|error| HttpError::NotSent { host: host.clone(), why: error.to_string() })?;
        let mut request = request;
        request.extensions_mut().insert(MaxAnswerBytes(self.max_answer_bytes));
        let response = http.send(request).await?;
        let (parts, body) = response.into_parts();
        if body.len() > self.max_answer_bytes {
            let why = format!("it is larger than {} bytes", self.max_answer_bytes);
            return Err(HttpError::Lost { host, why });
        }
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
        let (status, headers) = (parts.status.as_u16(), headers.collect());
        Ok(Answer { status, headers, body: self.without_what_was_sent(status, body) })
    }

    /// A refusal, without the secrets of this call: older servers say "Invalid refresh token: …" with the
    /// token behind it, and what a server says is shown, logged and kept.
    fn without_what_was_sent(&self, status: u16, body: Bytes) -> Bytes {
        let Some(text) = std::str::from_utf8(&body).ok().filter(|_| status >= 400) else {
            return body;
        };
        let sent = self.query.iter().chain(&self.form);
        let sent = sent.filter(|(name, _)| SECRETS.contains(&name.as_str()));
        let authorization = self.header_value("authorization");
        let credentials = authorization.and_then(|value| value.split_once(' '));
        let without = sent
            .map(|(_, value)| value.as_str())
            .chain(credentials.map(|(_, credentials)| credentials))
            .filter(|secret| !secret.is_empty() && text.contains(secret))
            .fold(None, |without: Option<String>, secret| {
                let text = without.as_deref().unwrap_or(text);
                Some(text.replace(secret, &masked(secret)))
            });
        without.map_or(body, Bytes::from)
    }

    fn request(&self) -> Result<http::Request<Bytes>, http::Error> {
        let query = Zeroizing::new(encoded(&self.query, |_, value| form_encoded(value)));
        let mark = match (query.is_empty(), self.url.contains('?')) {
            (true, _) => "",
            (false, false) => "?",
            (false, true) => "&",
        };
        let mut request = http::Request::builder()
            .method(self.method)
            .uri(format!("{}{mark}{}", self.url, query.as_str()))
            .header("user-agent", concat!("grantor-client/", env!("CARGO_PKG_VERSION")));
        if self.header_value("accept").is_none() {
            request = request.header("accept", "application/json");
        }
        for (name, value) in &self.headers {
            let mut value = http::HeaderValue::from_str(value)?;
            value.set_sensitive(name == "authorization");
            request = request.header(name.as_str(), value);
        }
        if let Some(body) = &self.body {
            return request.body(body.clone());
        }
        if !self.form.is_empty() {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        request.body(Bytes::from(self.body_text()))
    }
}

impl Answer {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// The status and the body, with every text masked but those that are known to be no secret.
    pub fn shown(&self) -> String {
        let body = match serde_json::from_slice(&self.body) {
            Ok(Value::String(text)) => format!("(a text of {} characters)", text.chars().count()),
            Ok(mut json) => {
                mask("", &mut json);
                json.to_string()
            }
            // What is no JSON may hold anything.
            Err(_) => format!("({} bytes that are no JSON)", self.body.len()),
        };
        format!("HTTP {}\n\n{body}\n", self.status)
    }
}

/// Whether a secret may be sent there: https, or http to this very machine.
pub fn is_allowed(url: &str) -> bool {
    match Url::parse(url) {
        Ok(url) if url.scheme() == "https" => url.host().is_some(),
        Ok(url) if url.scheme() == "http" => is_loopback(&url),
        _ => false,
    }
}

/// Whether the host is this machine: a loopback literal (RFC 8252 7.3), or `localhost`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

pub(crate) fn host_of(url: &str) -> String {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| "the server".to_owned())
}

fn encoded(pairs: &[(String, Zeroizing<String>)], write: impl Fn(&str, &str) -> String) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}={}", write(name, value))).collect();
    pairs.join("&")
}

/// Masks what stands under that name, however deep.
fn mask(name: &str, value: &mut Value) {
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| mask(name, value)),
        Value::Array(values) => values.iter_mut().for_each(|value| mask(name, value)),
        Value::String(text) if !SHOWN.contains(&name) => *text = masked(text),
        Value::Number(number) if SECRETS.contains(&name) => {
            *value = masked(&number.to_string()).into();
        }
        _ => {}
    }
}

fn shown_value(name: &str, value: &str) -> String {
    if SECRETS.contains(&name) { masked(value) } else { form_encoded(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s28_a_call_and_an_answer_are_shown_without_what_is_secret() {
        let canary = "canary-0123456789-0123456789";
        let mut call = Call::post("https://api.example.com/oauth/token");
        call.header("authorization", &format!("Basic {canary}"));
        for name in SECRETS {
            call.parameter(name, canary);
            call.field(name, canary);
        }
        call.field("grant_type", "refresh_token");
        let shown = call.shown();
        assert!(!shown.contains(canary), "{shown}");
        assert!(shown.contains("grant_type=refresh_token"), "{shown}");
        assert!(shown.contains("authorization: Basic cana***(28 characters)"), "{shown}");

        let members: Vec<String> =
            SECRETS.iter().map(|name| format!("\"{name}\":\"{canary}\"")).collect();
        let body = format!("{{{},\"expires_in\":3600}}", members.join(","));
        let answer = Answer { status: 200, headers: Vec::new(), body: body.into() };
        assert!(!answer.shown().contains(canary), "{}", answer.shown());
        assert!(answer.shown().contains("\"expires_in\":3600"));
        let page = Answer { body: canary.into(), ..answer };
        assert!(!page.shown().contains(canary));
    }

    #[test]
    fn s28_an_answer_that_is_wrapped_or_named_otherwise_is_shown_without_what_is_secret() {
        let canary = "canary-0123456789-0123456789";
        let shown = |body: &str| {
            let body = body.replace("CANARY", canary).into();
            Answer { status: 200, headers: Vec::new(), body }.shown()
        };
        for body in [
            r#"{"data":{"access_token":"CANARY"}}"#,
            r#"[{"tokens":[["CANARY"]]}]"#,
            r#"["CANARY"]"#,
            r#"{"accessToken":"CANARY","refresh_token":{"value":"CANARY"}}"#,
        ] {
            let shown = shown(body);
            assert!(!shown.contains(canary) && shown.contains("cana***(28"), "{shown}");
        }
        assert_eq!(shown(r#""CANARY""#), "HTTP 200\n\n(a text of 28 characters)\n");
        assert!(!shown(r#"{"code":123456}"#).contains("123456"));
        let plain = r#"{"data":{"expires_in":3600,"scope":"a b","token_type":"Bearer"}}"#;
        assert!(shown(plain).contains(plain), "{}", shown(plain));
    }

    #[test]
    fn nothing_goes_without_tls_but_to_this_machine() {
        for url in [
            "https://api.example.com/",
            "http://127.0.0.1:8300",
            "http://[::1]:1/",
            "http://localhost",
        ] {
            assert!(is_allowed(url), "{url}");
        }
        for url in [
            "http://api.example.com/",
            "http://127.0.0.1.example.com",
            "ftp://127.0.0.1",
            "nonsense",
            "http://10.0.0.1/",
        ] {
            assert!(!is_allowed(url), "{url}");
        }
    }
}

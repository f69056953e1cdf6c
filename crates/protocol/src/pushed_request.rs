//! An authorization request that its client pushes before the customer's browser comes with it (RFC
//! 9126).
//!
//! 1. [`PushedRequest::parse`] reads the call;
//! 2. the caller proves the client, and has
//!    [`AuthorizationRequest::parse`](crate::authorization_request::AuthorizationRequest::parse)
//!    check the request as it would be checked in the browser;
//! 3. [`RequestUri::parse`] reads the name that the browser brings back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::form_urlencoded::Serializer;

use crate::client_authentication::PresentedClient;
use crate::client_call::{ClientCall, presented_client, read_form, secret_in};
use crate::parameters::Parameters;
use crate::token_error::{RequestFault, TokenError};

/// What the name of a pushed request begins with (RFC 9126 2.2).
pub const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// What proves the client, and is no part of the request.
const CREDENTIALS: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// A call whose parts are within their rules.
pub struct PushedRequest {
    /// Who says to call.
    pub client: PresentedClient,
    /// The request, as a browser would bring it.
    pub parameters: Parameters,
}

/// The name of a pushed request: random, so that whoever knows it was told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestUri([u8; 32]);

impl PushedRequest {
    /// Reads a call. Nothing is taken from the query.
    ///
    /// # Errors
    /// [`TokenError::Request`] for what is malformed, [`TokenError::Client`] for a header that is.
    pub fn parse(call: &ClientCall<'_>) -> Result<PushedRequest, TokenError> {
        let query = Parameters::parse(call.query);
        if let Some(name) = secret_in(&query) {
            return Err(TokenError::Request(RequestFault::SecretInUrl { name }));
        }
        if !query.is_empty() {
            return Err(TokenError::Request(RequestFault::QueryNotAllowed));
        }
        let body = read_form(call).map_err(TokenError::Request)?;
        if let Some(fault) = body.fault() {
            return Err(TokenError::Request(RequestFault::Parameter(fault.clone())));
        }
        let ids: Vec<&str> = body.value("client_id").into_iter().collect();
        let client = presented_client(call, &body, &ids)?;
        // RFC 9126 2.1: a request does not name another.
        if body.contains("request_uri") {
            return Err(TokenError::Request(RequestFault::RequestUriPushed));
        }
        Ok(PushedRequest { client, parameters: body })
    }

    /// The request as it is stored: without what proved the client, and for this very client.
    pub fn written(&self, client_id: &str, dpop_jkt: Option<&[u8; 32]>) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("client_id", client_id);
        for (name, value) in self.parameters.pairs() {
            let is_ours = name == "client_id" || name == "dpop_jkt" && dpop_jkt.is_some();
            if !is_ours && !CREDENTIALS.contains(&name) {
                form.append_pair(name, value);
            }
        }
        if let Some(thumbprint) = dpop_jkt {
            form.append_pair("dpop_jkt", &URL_SAFE_NO_PAD.encode(thumbprint));
        }
        form.finish()
    }
}

impl RequestUri {
    /// Of 32 random bytes.
    pub fn new(random: [u8; 32]) -> RequestUri {
        RequestUri(random)
    }

    /// Reads one; `None` for what is no name of a pushed request.
    pub fn parse(text: &str) -> Option<RequestUri> {
        let encoded = text.strip_prefix(PREFIX)?;
        URL_SAFE_NO_PAD.decode(encoded).ok()?.try_into().ok().map(RequestUri)
    }

    /// The random bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for RequestUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<PushedRequest, TokenError> {
        PushedRequest::parse(&ClientCall {
            query: b"",
            content_type: Some("application/x-www-form-urlencoded"),
            authorization: &[],
            body: body.as_bytes(),
        })
    }

    #[test]
    fn what_proves_the_client_is_not_kept() {
        let pushed = parse(
            "client_id=c&client_secret=s3cret&scope=a+b&resource=https%3A%2F%2Fa.example\
             &resource=https%3A%2F%2Fb.example&state=x%26y&dpop_jkt=z",
        );
        let pushed = pushed.unwrap();
        assert_eq!(
            pushed.written("c", None),
            "client_id=c&scope=a+b&resource=https%3A%2F%2Fa.example\
             &resource=https%3A%2F%2Fb.example&state=x%26y&dpop_jkt=z"
        );
        let bound = pushed.written("c", Some(&[0; 32]));
        assert!(bound.ends_with(&format!("&dpop_jkt={}", "A".repeat(43))), "{bound}");
        assert_eq!(bound.matches("dpop_jkt").count(), 1);
    }

    #[test]
    fn a_pushed_request_names_no_other() {
        for body in ["client_id=c&request_uri=https://a.example", "client_id=c&request_uri="] {
            let fault = parse(body).err().unwrap();
            assert_eq!(fault, TokenError::Request(RequestFault::RequestUriPushed), "{body}");
        }
    }

    #[test]
    fn the_name_is_written_as_it_is_read() {
        let name = RequestUri::new([7; 32]);
        assert!(RequestUri::parse(&name.to_string()) == Some(name));
        for other in ["", PREFIX, "urn:ietf:params:oauth:request_uri:AAAA", "https://a.example"] {
            assert!(RequestUri::parse(other).is_none(), "{other}");
        }
    }
}

//! Why a call is refused, and how that is said: status, challenge and body (RFC 6750 3, RFC 9449
//! 7.1, RFC 9728 5.1).

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};
use grantor_protocol::dpop;
use grantor_protocol::jose::Algorithm;
use grantor_protocol::proof_error::ProofError;
use serde_json::json;

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// there is no token in the `Authorization` header
    NoToken,
    /// two `Authorization` headers: what one reader skips, another takes
    TwoHeaders,
    /// the token opens nothing here: it is expired, revoked, for another API, or none at all
    Invalid,
    /// the key that it is bound to was not proved
    Key(KeyFault),
    /// it is of a client itself, and a customer is needed
    NoCustomer,
    /// it lacks a scope
    Scope {
        /// all that are needed, with blanks between them
        needed: String,
    },
    /// it is not for this business
    Business,
    /// it is not for this location
    Location,
    /// whether it lives cannot be said just now
    Unavailable,
}

/// Why a living token is not taken from whoever presents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// it is bound to a key, and came as `Bearer`: whoever stole it would do that
    BoundAsBearer,
    /// it is bound to none, and came as `DPoP`
    Unbound,
    /// the proof is of another key
    Differs,
    /// the proof is refused, or missing
    Proof(ProofError),
}

/// What a challenge says of the API that makes it.
#[derive(Clone, Copy, Debug)]
pub struct Realm<'a> {
    /// The `realm`.
    pub name: &'a str,
    /// Where its metadata is (RFC 9728 5.1), if it has any.
    pub metadata: Option<&'a str>,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::NoToken | Refusal::Invalid => StatusCode::UNAUTHORIZED,
            Refusal::TwoHeaders => StatusCode::BAD_REQUEST,
            Refusal::Key(KeyFault::Proof(ProofError::Unavailable)) | Refusal::Unavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Refusal::Key(_) => StatusCode::UNAUTHORIZED,
            Refusal::NoCustomer | Refusal::Scope { .. } | Refusal::Business | Refusal::Location => {
                StatusCode::FORBIDDEN
            }
        }
    }

    /// The `error`. Who sent no token is told none (RFC 6750 3.1).
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Refusal::NoToken => None,
            Refusal::TwoHeaders => Some("invalid_request"),
            Refusal::Invalid => Some("invalid_token"),
            Refusal::Key(fault) => Some(fault.code()),
            Refusal::NoCustomer | Refusal::Scope { .. } | Refusal::Business | Refusal::Location => {
                Some("insufficient_scope")
            }
            Refusal::Unavailable => Some("temporarily_unavailable"),
        }
    }

    /// What is wrong, for the client's developer.
    pub fn words(&self) -> Cow<'static, str> {
        match self {
            Refusal::NoToken => "This API needs an access token: send it as \
                                 `Authorization: Bearer`"
                .into(),
            Refusal::TwoHeaders => "Send the Authorization header once".into(),
            Refusal::Invalid => "The access token is expired, revoked, or not for this API".into(),
            Refusal::Key(fault) => fault.words().into(),
            Refusal::NoCustomer => {
                "The access token is a client's own, and this is about a customer".into()
            }
            Refusal::Scope { needed } => format!("The access token has to have {needed}").into(),
            Refusal::Business => "The access token is not for this business".into(),
            Refusal::Location => "The access token is not for this location".into(),
            Refusal::Unavailable => "Send the same request again in a few seconds".into(),
        }
    }

    /// The value of `WWW-Authenticate`. There is none where the token is not at fault.
    pub fn challenge(&self, realm: Realm<'_>) -> Option<String> {
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            return None;
        }
        let mut challenge = format!("Bearer realm=\"{}\"", realm.name);
        // RFC 9449 7.1: the scheme that would do, and how its proofs are signed.
        if matches!(self, Refusal::Key(_)) {
            let algorithms = dpop::ALGORITHMS.map(Algorithm::as_str).join(" ");
            challenge.push_str(&format!(", DPoP algs=\"{algorithms}\""));
        }
        if let Some(code) = self.code() {
            challenge.push_str(&format!(", error=\"{code}\""));
            challenge.push_str(&format!(", error_description=\"{}\"", self.words()));
        }
        if let Refusal::Scope { needed } = self {
            challenge.push_str(&format!(", scope=\"{needed}\""));
        }
        if let Some(metadata) = realm.metadata {
            challenge.push_str(&format!(", resource_metadata=\"{metadata}\""));
        }
        Some(challenge)
    }

    /// The whole answer, with `error` and `error_description` as its body.
    pub fn answer(&self, realm: Realm<'_>) -> Response<Body> {
        let mut body = json!({ "error_description": self.words() });
        if let Some(code) = self.code() {
            body["error"] = code.into();
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.challenge(realm).map(|text| HeaderValue::from_str(&text)) {
            Some(Ok(challenge)) => {
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            // Nothing in it comes from the caller, and what the API says of itself was looked at.
            Some(Err(_)) => {}
            None => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
            }
        }
        response
    }
}

impl KeyFault {
    /// The `error` of the challenge (RFC 9449 7.1).
    pub fn code(self) -> &'static str {
        match self {
            KeyFault::BoundAsBearer | KeyFault::Unbound | KeyFault::Differs => "invalid_token",
            KeyFault::Proof(error) => error.code(),
        }
    }

    /// What is wrong and what to do, for the client's developer.
    pub fn words(self) -> String {
        match self {
            KeyFault::BoundAsBearer => "The access token is bound to a key: send it as \
                                        `Authorization: DPoP`, with a proof in the DPoP header"
                .to_owned(),
            KeyFault::Unbound => {
                "The access token is bound to no key: send it as `Authorization: Bearer`".to_owned()
            }
            KeyFault::Differs => {
                "The access token is bound to another key than the proof is of".to_owned()
            }
            KeyFault::Proof(error) => error.words().trim_end_matches('.').to_owned(),
        }
    }
}

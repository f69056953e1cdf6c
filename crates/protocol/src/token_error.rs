//! What can be wrong with a client's call to `/oauth/token`, `/oauth/revoke` or
//! `/oauth/introspect`, and the words for it (RFC 6749 5.2).
//!
//! A cause is precise. What of it goes to the caller depends on what the caller proved: a stranger
//! who holds somebody's code learns only that it is not valid (U7). [`TokenError::wire`] is the one
//! place where a cause becomes an answer; it is total and has no wildcard.

mod client;
mod grant;

pub use client::basic_words;

use client::client_wire;
use grant::{code_wire, device_wire, grant_wire, granted_scope_words, refresh_wire};

use crate::authorize_error::{
    AuthorizeFault, AuthorizeWire, PageFault, TOO_MANY_TRIES, parameter_words, pkce_words,
    resource_words, scope_words,
};
use crate::client_authentication::ClientFault;
use crate::device::DeviceFault;
use crate::grant::{CodeFault, RefreshFault};
use crate::parameters::ParameterFault;
use crate::pkce::PkceFault;
use crate::proof_error::ProofError;
use crate::resource::ResourceFault;
use crate::scope::ScopeFault;

const NO_OTHER: &str = "A pushed request does not name another: leave request_uri out.";

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// The call is malformed.
    Request(RequestFault),
    /// The client did not prove itself.
    Client(ClientFault),
    /// The code is not redeemed.
    Code {
        /// why
        fault: CodeFault,
        /// whether the caller proved enough to be told
        proved: bool,
    },
    /// The refresh token is refused.
    Refresh {
        /// why
        fault: RefreshFault,
        /// whether the caller proved enough to be told
        proved: bool,
    },
    /// The proof of a key is refused, or missing.
    Proof(ProofError),
    /// A refresh asks for more than was granted.
    Scope(ScopeFault),
    /// The APIs that a token is to be for (RFC 8707 2.2).
    Resource(ResourceFault),
    /// What a pushed request names cannot be gone back to (RFC 9126 2.3).
    PushedPage(PageFault),
    /// A pushed request is refused as it would be in the browser.
    Pushed(AuthorizeFault),
    /// A client asks for what it may not have itself.
    ClientScope(ScopeFault),
    /// A device gets no tokens, or not yet (RFC 8628 3.5).
    Device(DeviceFault),
    /// The client may connect no devices.
    DevicesNotAllowed,
    /// The client may not use this grant type (RFC 6749 5.2).
    GrantTypeNotAllowed,
    /// Too much was tried in vain from this address. What is right is taken all the same.
    TooManyTries {
        /// until the next try is looked at again
        wait_seconds: i64,
    },
    /// The server is too busy, or its store cannot be reached or did not say whether it wrote.
    Unavailable,
}

/// Why a call is malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// not POST
    Method,
    /// the body is larger than the server takes
    BodyTooLarge {
        /// the limit in bytes
        limit: usize,
    },
    /// the body did not come whole, or took too long
    BodyIncomplete,
    /// the body is JSON
    JsonBody,
    /// the body is of another kind
    ContentType,
    /// a parameter cannot be read
    Parameter(ParameterFault),
    /// a parameter is missing
    Missing {
        /// its name
        name: &'static str,
    },
    /// a parameter stands in the query and in the body, or under two names, with two values
    Contradiction {
        /// its name
        name: &'static str,
    },
    /// an id in the parameters is not the one in the header
    ContradictsBasic,
    /// a header and a secret in the body, or two headers
    TwoWaysOfAuthentication,
    /// a secret stands in the URL
    SecretInUrl {
        /// the parameter
        name: &'static str,
    },
    /// parameters stand in the query, which this environment or this client may not do
    QueryNotAllowed,
    /// a `client_assertion_type` that is not the one of RFC 7523
    AssertionTypeUnsupported,
    /// a pushed request that names another (RFC 9126 2.1)
    RequestUriPushed,
    /// a grant type that is not supported
    GrantTypeUnsupported,
    /// a grant type of customers, at the portal, which has none
    ClientCredentialsOnly,
    /// the verifier is malformed
    Pkce(PkceFault),
}

/// An error as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWire {
    /// The HTTP status.
    pub status: u16,
    /// The `error`.
    pub code: &'static str,
    /// The anchor in the docs, behind `error_uri`.
    pub anchor: &'static str,
    /// The `error_description`.
    pub description: String,
}

impl TokenError {
    /// The error as the caller receives it.
    pub fn wire(&self) -> TokenWire {
        match self {
            TokenError::Request(fault) => fault.wire(),
            TokenError::Client(fault) => client_wire(*fault),
            TokenError::Code { fault, proved: true } => code_wire(*fault),
            TokenError::Code { fault: _, proved: false } => grant_wire(
                "code",
                "The code is not valid for this client, redirect URI and verifier.",
            ),
            TokenError::Refresh { fault, proved: true } => refresh_wire(*fault),
            TokenError::Refresh { fault: _, proved: false } => {
                grant_wire("refresh-token", "The refresh token is not valid for this client.")
            }
            TokenError::Scope(fault) => {
                bad_request("invalid_scope", "scope", granted_scope_words(fault))
            }
            // RFC 8707 2
            TokenError::Resource(fault) => {
                bad_request("invalid_target", "resource", resource_words(fault))
            }
            TokenError::PushedPage(fault) => {
                let words = fault.words();
                bad_request("invalid_request", words.anchor, words.what_happened)
            }
            TokenError::Pushed(fault) => {
                let AuthorizeWire { code, anchor, description } = fault.wire();
                bad_request(code, anchor, description)
            }
            TokenError::ClientScope(fault) => {
                bad_request("invalid_scope", "scope", scope_words(fault))
            }
            TokenError::Device(fault) => device_wire(*fault),
            TokenError::DevicesNotAllowed => bad_request(
                "unauthorized_client",
                "grant-type-not-allowed",
                "This client may connect no devices. Ask your partner manager to \
                              allow it."
                    .into(),
            ),
            TokenError::GrantTypeNotAllowed => bad_request(
                "unauthorized_client",
                "grant-type-not-allowed",
                "This client may not ask for tokens of its own. Ask your partner \
                              manager to allow it."
                    .into(),
            ),
            TokenError::Proof(ProofError::Unavailable) => TokenError::Unavailable.wire(),
            TokenError::Proof(error) => bad_request(error.code(), "dpop", error.words()),
            TokenError::TooManyTries { wait_seconds } => too_many_wire(*wait_seconds),
            TokenError::Unavailable => TokenWire {
                status: 503,
                code: "temporarily_unavailable",
                anchor: "unavailable",
                description: "The server cannot answer just now. Send the same request again in a \
                              few seconds."
                    .into(),
            },
        }
    }
}

/// RFC 6585 4. RFC 6749 5.2 has no code for it: `invalid_client` would tell a client for good what
/// holds for a while, so it is the word that RFC 6749 4.1.2.1 has for "not now".
fn too_many_wire(wait_seconds: i64) -> TokenWire {
    TokenWire {
        status: 429,
        code: "temporarily_unavailable",
        anchor: TOO_MANY_TRIES,
        description: format!(
            "Too many calls from this address did not prove who they are. Mend the client id or \
             the secret; what is right is taken at once. Another wrong one is looked at again in \
             {wait_seconds} seconds."
        ),
    }
}

fn bad_request(code: &'static str, anchor: &'static str, description: String) -> TokenWire {
    TokenWire { status: 400, code, anchor, description }
}

impl RequestFault {
    fn wire(&self) -> TokenWire {
        let wire = |status, anchor, description: String| TokenWire {
            status,
            code: "invalid_request",
            anchor,
            description,
        };
        match self {
            RequestFault::Method => wire(405, "method", "Send a POST.".into()),
            RequestFault::BodyTooLarge { limit } => wire(
                413,
                "body-too-large",
                format!("The body is larger than {limit} bytes."),
            ),
            RequestFault::BodyIncomplete => wire(
                408,
                "body-incomplete",
                "The body did not arrive whole in time. Send the request again.".into(),
            ),
            RequestFault::JsonBody => wire(400, "json-body", JSON_BODY_WORDS.into()),
            RequestFault::ContentType => wire(
                400,
                "content-type",
                "Send the parameters with Content-Type: application/x-www-form-urlencoded.".into(),
            ),
            RequestFault::Parameter(fault) => wire(400, "parameter", parameter_words(fault)),
            RequestFault::Missing { name } => {
                wire(400, "parameter-missing", format!("The parameter {name} is missing."))
            }
            RequestFault::Contradiction { name } => wire(
                400,
                "contradiction",
                format!("The parameter {name} was sent twice, with two values. Send it once."),
            ),
            RequestFault::ContradictsBasic => wire(
                400,
                "contradiction",
                "The client id in the parameters is not the one in the Authorization header. Leave \
                 the parameter out, or send the same id in both."
                    .into(),
            ),
            RequestFault::TwoWaysOfAuthentication => wire(
                400,
                "two-ways",
                "The client authenticates in two ways at once. Send the Authorization header once, \
                 and no client_secret or client_assertion in the body."
                    .into(),
            ),
            RequestFault::SecretInUrl { name } => wire(400, "secret-in-url", in_url_words(name)),
            RequestFault::QueryNotAllowed => wire(
                400,
                "query-not-allowed",
                "Parameters are not taken from the query here. Send them in the body of the POST, \
                 with Content-Type: application/x-www-form-urlencoded."
                    .into(),
            ),
            RequestFault::AssertionTypeUnsupported => {
                wire(400, "client-assertion", ASSERTION_TYPE_WORDS.into())
            }
            RequestFault::RequestUriPushed => wire(400, "pushed-request", NO_OTHER.into()),
            RequestFault::GrantTypeUnsupported => unsupported_grant_type(GRANT_TYPE_WORDS),
            RequestFault::ClientCredentialsOnly => unsupported_grant_type(PORTAL_GRANT_WORDS),
            RequestFault::Pkce(fault) => wire(400, "pkce", pkce_words(*fault).into()),
        }
    }
}

fn unsupported_grant_type(words: &str) -> TokenWire {
    bad_request("unsupported_grant_type", "grant-type", words.into())
}

const GRANT_TYPE_WORDS: &str = "grant_type takes authorization_code, refresh_token, \
     client_credentials and urn:ietf:params:oauth:grant-type:device_code.";
const PORTAL_GRANT_WORDS: &str = "The portal takes client_credentials alone: it has no customers, \
     and so no codes. Codes are exchanged at the base URL of staging or production.";
const ASSERTION_TYPE_WORDS: &str =
    "client_assertion_type takes urn:ietf:params:oauth:client-assertion-type:jwt-bearer.";
const JSON_BODY_WORDS: &str = "The body is JSON. Send the same names and values as a form: \
     Content-Type: application/x-www-form-urlencoded, name=value&...";

fn in_url_words(name: &str) -> String {
    // A secret in the body is refused too.
    let place = if name == "client_secret" { "Authorization header" } else { "body of the POST" };
    format!(
        "{name} stands in the URL, where every log on the way keeps it. Send it in the {place}, \
         and treat this value as no longer secret."
    )
}

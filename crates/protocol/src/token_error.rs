//! What can be wrong with a client's call to `/oauth/token`, `/oauth/revoke` or
//! `/oauth/introspect`, and the words for it (RFC 6749 5.2).
//!
//! A cause is precise. What of it goes to the caller depends on what the caller proved: a stranger
//! who holds somebody's code learns only that it is not valid (U7). [`TokenError::wire`] is the one
//! place where a cause becomes an answer; it is total and has no wildcard.

use crate::authorize_error::{parameter_words, pkce_words, quoted};
use crate::client_authentication::{BasicFault, ClientFault};
use crate::environment::Environment;
use crate::grant::{CodeFault, RefreshFault};
use crate::parameters::ParameterFault;
use crate::pkce::PkceFault;
use crate::scope::ScopeFault;

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
    /// A refresh asks for more than was granted.
    Scope(ScopeFault),
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
    /// a grant type that is not supported
    GrantTypeUnsupported,
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
            TokenError::Scope(fault) => TokenWire {
                status: 400,
                code: "invalid_scope",
                anchor: "scope",
                description: granted_scope_words(fault),
            },
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
            RequestFault::JsonBody => wire(
                400,
                "json-body",
                "The body is JSON. Send the same names and values as a form: Content-Type: \
                 application/x-www-form-urlencoded, name=value&..."
                    .into(),
            ),
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
                 and no client_secret in the body."
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
            RequestFault::GrantTypeUnsupported => TokenWire {
                status: 400,
                code: "unsupported_grant_type",
                anchor: "grant-type",
                description: "grant_type takes authorization_code and refresh_token.".into(),
            },
            RequestFault::Pkce(fault) => wire(400, "pkce", pkce_words(*fault).into()),
        }
    }
}

fn in_url_words(name: &str) -> String {
    // A secret in the body is refused too.
    let place = if name == "client_secret" { "Authorization header" } else { "body of the POST" };
    format!(
        "{name} stands in the URL, where every log on the way keeps it. Send it in the {place}, \
         and treat this value as no longer secret."
    )
}

/// The header as a client has to send it (RFC 7617 2, RFC 6749 2.3.1).
const BASIC_FORM: &str = "Authorization: Basic <Base64 of client_id:client_secret>";

/// RFC 6749 5.2: the client did not prove itself.
fn client_wire(fault: ClientFault) -> TokenWire {
    let description = match fault {
        ClientFault::Basic(fault) => {
            format!("{} The right form is {BASIC_FORM}.", basic_words(fault))
        }
        ClientFault::Missing => format!(
            "The client did not say who it is. Send the header {BASIC_FORM}; a client without a \
             secret sends client_id in the body."
        ),
        ClientFault::Unknown { here } => format!(
            "No client with this id is known here, and this is {here}. Clients of {} are not valid \
             here.",
            here.other()
        ),
        ClientFault::OtherEnvironment { here, belongs_to } => format!(
            "This client belongs to {belongs_to}, and this is {here}. Call the server of \
             {belongs_to}, or use a client of {here}."
        ),
        ClientFault::WrongSecret => "The client secret is wrong. Copy it again without blanks, \
                                     quotes or a line end; if it is lost, make a second one."
            .into(),
        ClientFault::StrayAroundSecret => "The client secret is right but for blanks, quotes or a \
                                           line end around it. Encode it without them."
            .into(),
        ClientFault::SecretMissing => {
            format!("This client has a secret and has to prove it: send the header {BASIC_FORM}.")
        }
        ClientFault::SecretUnexpected => "This client has no secret. Send client_id in the body, \
                                          and no Authorization header."
            .into(),
        ClientFault::SecretInBody => {
            format!(
                "The client secret stands in the body. Send it in the header instead: {BASIC_FORM}."
            )
        }
        ClientFault::SecretNeededHere => {
            "This client has no secret, and only a client that proves \
                                          one may ask about tokens here."
                .into()
        }
        ClientFault::Disabled => {
            "This client has been switched off. Write to your partner manager.".into()
        }
    };
    let anchor = match fault {
        ClientFault::Basic(_) | ClientFault::StrayAroundSecret => "basic",
        ClientFault::Missing | ClientFault::SecretMissing | ClientFault::SecretInBody => {
            "client-authentication"
        }
        ClientFault::Unknown { .. } | ClientFault::OtherEnvironment { .. } => "client-environment",
        ClientFault::WrongSecret => "client-secret",
        ClientFault::SecretUnexpected => "public-client",
        ClientFault::SecretNeededHere => "secret-needed",
        ClientFault::Disabled => "client-disabled",
    };
    TokenWire { status: 401, code: "invalid_client", anchor, description }
}

/// What is wrong with a Basic header, for the token endpoint and for `grantor basic`.
pub fn basic_words(fault: BasicFault) -> &'static str {
    match fault {
        BasicFault::OtherScheme => "The Authorization header does not begin with Basic.",
        BasicFault::Empty => "Nothing stands behind the word Basic.",
        BasicFault::TooLong => "The Authorization header is too long.",
        BasicFault::Quoted => "There are quotes around the Base64.",
        BasicFault::BlankInside => "There is a blank or a line end inside the Base64.",
        BasicFault::NotEncoded => "The id and the secret are not encoded in Base64.",
        BasicFault::OtherAlphabet => {
            "The Base64 is in the URL-safe alphabet, or without its padding; the standard form is \
             needed."
        }
        BasicFault::NotBase64 => "What stands behind Basic is not Base64.",
        BasicFault::NewlineEncoded => {
            "There is a newline at the end of what was encoded: echo adds one; use echo -n or \
             printf %s."
        }
        BasicFault::StrayAround => "There are blanks or quotes around the id or the secret.",
        BasicFault::NotText => "What was encoded holds control characters or is not UTF-8.",
        BasicFault::NoColon => "What was encoded has no colon between the id and the secret.",
        BasicFault::EmptyPart => "What was encoded has nothing before or behind the colon.",
        BasicFault::BadEscape => {
            "The id or the secret is not form-encoded: a % is not followed by two hexadecimal \
             digits, or what it writes is no text."
        }
    }
}

fn grant_wire(anchor: &'static str, description: &str) -> TokenWire {
    TokenWire { status: 400, code: "invalid_grant", anchor, description: description.to_owned() }
}

fn code_wire(fault: CodeFault) -> TokenWire {
    match fault {
        CodeFault::Unreadable => grant_wire(
            "code",
            "This is not a code of this server. Copy the whole value of code from the redirect, \
             and decode it once if it was percent-encoded.",
        ),
        CodeFault::OtherEnvironment { here, issued_in } => {
            other_environment("code", "code", here, issued_in)
        }
        CodeFault::OtherKind => grant_wire(
            "code",
            "This is a token and no code. Send the value of code from the redirect.",
        ),
        CodeFault::Unknown => {
            grant_wire("code", "This code is no longer known. Ask for a new one.")
        }
        CodeFault::OtherClient => {
            grant_wire("code-other-client", "This code was issued to another client.")
        }
        CodeFault::RedirectUriDiffers => grant_wire(
            "code-redirect-uri",
            "The redirect_uri differs from the one that the code was sent to. Send the same one, \
             byte for byte.",
        ),
        CodeFault::VerifierMissing => grant_wire(
            "pkce",
            "This code was asked for with a code_challenge: send its code_verifier in the body.",
        ),
        CodeFault::VerifierUnexpected => grant_wire(
            "pkce",
            "A code_verifier was sent, but the code was asked for without a code_challenge.",
        ),
        CodeFault::VerifierWrong => {
            grant_wire("pkce", "The code_verifier does not match the code_challenge.")
        }
        CodeFault::Expired { seconds_ago } => grant_wire(
            "code-expired",
            &format!("The code expired {} ago. Ask for a new one.", seconds(seconds_ago)),
        ),
        CodeFault::Used { seconds_ago } => grant_wire(
            "code-used",
            &format!(
                "The code was used {} ago. A code works once. Ask for a new one.",
                seconds(seconds_ago)
            ),
        ),
        CodeFault::Ended => grant_wire(
            "connection-ended",
            "The connection was ended. The customer has to connect again.",
        ),
    }
}

fn refresh_wire(fault: RefreshFault) -> TokenWire {
    match fault {
        RefreshFault::Unreadable => {
            grant_wire("refresh-token", "This is not a refresh token of this server.")
        }
        RefreshFault::OtherEnvironment { here, issued_in } => {
            other_environment("refresh token", "refresh-token", here, issued_in)
        }
        RefreshFault::OtherKind => {
            grant_wire("refresh-token", "This is a code or an access token, and no refresh token.")
        }
        RefreshFault::Unknown => grant_wire(
            "connection-ended",
            "This connection is no longer known. The customer has to connect again.",
        ),
        RefreshFault::OtherClient => grant_wire(
            "refresh-token-other-client",
            "This refresh token was issued to another client.",
        ),
        RefreshFault::Expired { seconds_ago } => grant_wire(
            "refresh-token-expired",
            &format!(
                "The refresh token expired {} ago, because it was not used for too long or the \
                 connection reached its end. The customer has to connect again.",
                seconds(seconds_ago)
            ),
        ),
        RefreshFault::Reused { seconds_ago } => grant_wire(
            "refresh-token-reused",
            &format!(
                "This refresh token was used before{}, and a newer one replaced it. Somebody else \
                 may hold it, so the connection was ended: the customer has to connect again. Keep \
                 the newest refresh token, and let one process refresh.",
                match seconds_ago {
                    Some(age) => format!(", {} ago", seconds(age)),
                    None => String::new(),
                }
            ),
        ),
        RefreshFault::ClockWentBack => grant_wire(
            "refresh-token",
            "The refresh token was used a moment ago. Use the newest one. Nothing was ended: if the \
             answer that held it was lost, try again in a few seconds.",
        ),
        RefreshFault::AheadOfRow => grant_wire(
            "connection-ended",
            "The server does not know this refresh token any more. The customer has to connect \
             again.",
        ),
        RefreshFault::Ended => grant_wire(
            "connection-ended",
            "The connection was ended. The customer has to connect again.",
        ),
    }
}

fn other_environment(
    what: &str,
    anchor: &'static str,
    here: Environment,
    from: Environment,
) -> TokenWire {
    grant_wire(
        anchor,
        &format!("This {what} was issued in {from}, and this is {here}. Use it in {from}."),
    )
}

fn granted_scope_words(fault: &ScopeFault) -> String {
    match fault {
        ScopeFault::NotAllowed { scope, meant } => {
            let meant = match meant {
                Some(meant) => format!(" Did you mean {}?", quoted(meant)),
                None => String::new(),
            };
            format!("The scope {} is not part of what the customer allowed.{meant}", quoted(scope))
        }
        ScopeFault::Commas | ScopeFault::BadCharacter | ScopeFault::TooMany => {
            crate::authorize_error::scope_words(fault)
        }
    }
}

fn seconds(count: i64) -> String {
    match count {
        1 => "1 second".to_owned(),
        count => format!("{count} seconds"),
    }
}

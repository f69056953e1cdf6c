//! What can be wrong at `/oauth/authorize`, and the words for it.
//!
//! Two kinds. A [`PageFault`] is shown to the person in front of the browser and goes nowhere else.
//! An [`AuthorizeFault`] travels to the client in a redirect (RFC 6749 4.1.2.1), and needs a
//! [`ProvedRedirectUri`] to exist. Each `wire` and `words` function is total and has no wildcard:
//! a new cause does not compile until somebody has put it into words.

mod wire;

use crate::authorization_request::ResponseMode;
use crate::parameters::{MAX_NAME_BYTES, MAX_PARAMETERS, MAX_VALUE_BYTES, ParameterFault};
use crate::pkce::PkceFault;
use crate::redirect_uri::{Difference, ProvedRedirectUri};
use crate::resource::{MAX_RESOURCE_BYTES, MAX_RESOURCES, ResourceFault};
use crate::scope::{MAX_SCOPES, ScopeFault};

/// Where the docs speak of tries that are not taken for a while.
pub const TOO_MANY_TRIES: &str = "too-many-tries";

/// A refused authorization request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizeError {
    /// Shown on a page: nothing is proved.
    Page(PageFault),
    /// Told to the client.
    Redirect {
        /// where
        redirect_uri: ProvedRedirectUri,
        /// handed back
        state: Option<String>,
        /// how
        mode: ResponseMode,
        /// what
        fault: AuthorizeFault,
    },
}

/// A fault that the person in front of the browser reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageFault {
    /// no `client_id`
    ClientIdMissing,
    /// no such client here
    ClientUnknown {
        /// as it was sent
        sent: String,
    },
    /// the client is disabled
    ClientDisabled,
    /// no `redirect_uri`
    RedirectUriMissing,
    /// the `redirect_uri` is not one of the client's
    RedirectUriDiffers {
        /// as it was sent
        sent: String,
        /// how it differs from one on the same host
        difference: Difference,
    },
    /// a parameter that decides where the answer goes cannot be read
    Parameter(ParameterFault),
    /// the document that the client is known by cannot be taken
    ClientDocument {
        /// why, for whoever runs the app
        why: String,
    },
    /// a `request_uri` that this client did not push, or that was used, or whose time is over
    RequestUriUnknown,
    /// too many passwords or codes were tried in vain
    TooManyTries {
        /// until the next one is taken
        wait_seconds: i64,
    },
}

/// A fault that the client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizeFault {
    /// a parameter cannot be read
    Parameter(ParameterFault),
    /// no `response_type`
    ResponseTypeMissing,
    /// a `response_type` other than `code`
    ResponseTypeUnsupported,
    /// a `response_mode` other than `query` and `form_post`, or a form for an address that takes none
    ResponseModeUnsupported,
    /// this client has to push its requests (RFC 9126 5)
    PushRequired,
    /// `request`
    RequestObjectUnsupported,
    /// `request_uri`
    RequestUriUnsupported,
    /// the scope
    Scope(ScopeFault),
    /// the code challenge
    Pkce(PkceFault),
    /// an unknown word in `prompt`
    PromptUnknown,
    /// `dpop_jkt` is no SHA-256 in base64url (RFC 9449 10)
    ThumbprintMalformed,
    /// `max_age` is no number of seconds
    MaxAgeMalformed,
    /// `claims` is not what OpenID Connect Core 5.5 says
    ClaimsMalformed,
    /// `resource`
    Resource(ResourceFault),
    /// `prompt=none` with another word
    PromptNoneWithOthers,
    /// `prompt=none`, and the customer is not signed in
    LoginRequired,
    /// `prompt=none`, and the customer would have to be asked
    ConsentRequired,
    /// the customer pressed Deny
    AccessDenied,
}

/// An error for a page, in the reader's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageWords {
    /// The anchor in the docs.
    pub anchor: &'static str,
    /// One line.
    pub title: &'static str,
    /// What happened.
    pub what_happened: String,
    /// What to do next.
    pub what_to_do: String,
}

/// An error for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizeWire {
    /// The code of RFC 6749 4.1.2.1 or OpenID Connect Core 3.1.2.6.
    pub code: &'static str,
    /// The anchor in the docs.
    pub anchor: &'static str,
    /// The `error_description`.
    pub description: String,
}

impl PageFault {
    /// The words for the page.
    pub fn words(&self) -> PageWords {
        let ask = "If you came here from another site or app, go back and try again, or tell the \
                   people who run it what this page says.";
        match self {
            PageFault::ClientIdMissing => PageWords {
                anchor: "client-id-missing",
                title: "This link is incomplete",
                what_happened: "The link that brought you here does not say which app it is for: \
                                it has no client_id, or an empty one."
                    .into(),
                what_to_do: ask.into(),
            },
            PageFault::ClientUnknown { .. } => PageWords {
                anchor: "client-unknown",
                title: "This app is not known here",
                what_happened: "No app with this client_id is registered in this environment."
                    .into(),
                what_to_do: format!(
                    "{ask} If it is your app: staging and production have clients of their own, \
                     so compare the address of this page with the environment of your client_id."
                ),
            },
            PageFault::ClientDisabled => PageWords {
                anchor: "client-disabled",
                title: "This app is switched off",
                what_happened: "The app that wants to connect has been switched off here.".into(),
                what_to_do: "Nothing was shared. If it is your app, write to your partner manager."
                    .into(),
            },
            PageFault::RedirectUriMissing => PageWords {
                anchor: "redirect-uri-missing",
                title: "This link is incomplete",
                what_happened: "The link that brought you here does not say where to go back to: \
                                it has no redirect_uri, or an empty one."
                    .into(),
                what_to_do: ask.into(),
            },
            PageFault::RedirectUriDiffers { difference, .. } => PageWords {
                anchor: "redirect-uri-differs",
                title: "We stopped before leaving this page",
                what_happened: format!(
                    "The address that this app wants to send you back to is not registered for \
                     it. {}",
                    difference.words()
                ),
                what_to_do:
                    "You did nothing wrong, and nothing was shared. If it is your app: the \
                             redirect_uri has to be one of its registered ones, byte for byte."
                        .into(),
            },
            PageFault::ClientDocument { why } => document_words(why, ask),
            PageFault::RequestUriUnknown => pushed_request_words(),
            PageFault::TooManyTries { wait_seconds } => too_many_words(*wait_seconds),
            PageFault::Parameter(fault) => PageWords {
                anchor: "parameter",
                title: "This link is damaged",
                what_happened: parameter_words(fault),
                what_to_do: ask.into(),
            },
        }
    }
}

fn document_words(why: &str, ask: &str) -> PageWords {
    PageWords {
        anchor: "client-document",
        title: "This app cannot be known here",
        what_happened: format!(
            "The app is known by the address of its own description, and that cannot be \
                     taken. {why}"
        ),
        what_to_do: ask.into(),
    }
}

fn pushed_request_words() -> PageWords {
    PageWords {
        anchor: "pushed-request",
        title: "This link was used, or is too old",
        what_happened: "The link that brought you here works once and for a minute or \
                                two, and this one has been used or came too late."
            .into(),
        what_to_do: "Nothing was shared just now. Go back to the app that sent you here, \
                             and begin again there."
            .into(),
    }
}

/// The same whoever is named and whichever limit it was: nobody learns whether an account exists.
fn too_many_words(wait_seconds: i64) -> PageWords {
    PageWords {
        anchor: TOO_MANY_TRIES,
        title: "Please wait a little",
        what_happened: "Too much was tried in a short time that was not right, by you or by \
                        somebody else on your network. So we wait before the next try: that keeps \
                        others from guessing."
            .into(),
        what_to_do: format!(
            "Nothing was lost, and nothing was shared. Try again in {}.",
            wait_words(wait_seconds)
        ),
    }
}

/// How long to wait, for a person.
fn wait_words(seconds: i64) -> String {
    match seconds {
        ..=1 => "a second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", (seconds + 59) / 60),
    }
}

impl Difference {
    fn words(self) -> &'static str {
        match self {
            Difference::TrailingSlash => {
                "It differs from a registered one only in the slash at its end."
            }
            Difference::Case => {
                "It differs from a registered one only in upper and lower case letters."
            }
            Difference::Scheme => "It differs from a registered one only in http and https.",
            Difference::Port => "It differs from a registered one in the port.",
            Difference::Encoding => {
                "It differs from a registered one only in how it is percent-encoded; often it was \
                 encoded twice."
            }
            Difference::Query => {
                "It differs from a registered one in what follows the question mark."
            }
            Difference::Path => {
                "Its host is registered, but the path differs from what is registered there."
            }
            Difference::Unknown => "It does not resemble a registered one.",
        }
    }
}

/// The words for a parameter that cannot be read.
pub fn parameter_words(fault: &ParameterFault) -> String {
    match fault {
        ParameterFault::Repeated { name } => {
            format!("The parameter {} was sent more than once.", quoted(name))
        }
        ParameterFault::ArrayLike { name } => format!(
            "The parameter {} is written as an array. Write its name without brackets, once.",
            quoted(name)
        ),
        ParameterFault::TooLong { name, bytes } => format!(
            "The parameter {} has {bytes} bytes; the limit is {MAX_VALUE_BYTES}.",
            quoted(name)
        ),
        ParameterFault::NameTooLong => {
            format!("The name of a parameter is longer than {MAX_NAME_BYTES} bytes.")
        }
        ParameterFault::TooMany => {
            format!("There are more than {MAX_PARAMETERS} parameters.")
        }
        ParameterFault::BadEncoding { name: Some(name) } => format!(
            "The parameter {} is not valid UTF-8, holds a NUL, or has a % that is not followed by \
             two hexadecimal digits.",
            quoted(name)
        ),
        ParameterFault::BadEncoding { name: None } => {
            "The name of a parameter is not valid UTF-8, holds a NUL, or has a % that is not \
             followed by two hexadecimal digits."
                .into()
        }
    }
}

/// The words for a scope that cannot be taken.
pub fn scope_words(fault: &ScopeFault) -> String {
    match fault {
        ScopeFault::Commas => {
            "The scopes are joined by commas. Separate them by single spaces.".into()
        }
        ScopeFault::BadCharacter => {
            "A scope holds a character that no scope may have (RFC 6749 3.3).".into()
        }
        ScopeFault::TooMany => format!("There are more than {MAX_SCOPES} scopes."),
        ScopeFault::NotAllowed { scope, meant: Some(meant) } => format!(
            "This client may not ask for the scope {}. Did you mean {}?",
            quoted(scope),
            quoted(meant)
        ),
        ScopeFault::NotAllowed { scope, meant: None } => {
            format!("This client may not ask for the scope {}.", quoted(scope))
        }
    }
}

/// The words for a resource that cannot be taken (RFC 8707 2).
pub fn resource_words(fault: &ResourceFault) -> String {
    match fault {
        ResourceFault::NotAbsolute => format!(
            "resource takes the absolute URI of an API, of {MAX_RESOURCE_BYTES} bytes at most."
        ),
        ResourceFault::Fragment => "resource takes a URI without a fragment.".into(),
        ResourceFault::TooMany => format!("There are more than {MAX_RESOURCES} resources."),
        ResourceFault::Unknown { resource } => format!(
            "{} is no API of this environment, or none that the connection was allowed for.",
            quoted(resource)
        ),
        ResourceFault::NoScope { resource } => format!(
            "The token would have no scope that the API {} knows. Ask for one of its scopes too.",
            quoted(resource)
        ),
    }
}

/// The words for a challenge or verifier that cannot be taken.
pub fn pkce_words(fault: PkceFault) -> &'static str {
    match fault {
        PkceFault::MethodNotS256 => {
            "Send code_challenge_method=S256: without it the method is plain, which is not supported."
        }
        PkceFault::ChallengeMissing => "There is a code_challenge_method without a code_challenge.",
        PkceFault::ChallengeMalformed => {
            "The code_challenge is not the Base64url form, without padding, of a SHA-256."
        }
        PkceFault::Required => {
            "This client has to use PKCE: send code_challenge and code_challenge_method=S256."
        }
        PkceFault::VerifierMalformed => {
            "The code_verifier is not 43 to 128 letters, digits or -._~ (RFC 7636 4.1)."
        }
    }
}

/// A stranger's text inside an `error_description`, cut to the characters that RFC 6749 5.2 allows
/// there and to a length that a person reads.
pub(crate) fn quoted(text: &str) -> String {
    let shown: String = text
        .chars()
        .take(80)
        .map(|c| match c {
            ' ' | '!' | '#'..='[' | ']'..='~' => c,
            _ => '?',
        })
        .collect();
    let more = if text.chars().count() > 80 { "..." } else { "" };
    format!("'{shown}{more}'")
}

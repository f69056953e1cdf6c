//! Why a call was refused, as the owner of its client may read it: a name that never changes, the
//! words and the anchor in the docs.
//!
//! The caller learns what it proved (U7). The log of a client belongs to its owner, so here every
//! cause is the precise one; whether the call was the client's at all stands beside it. What a
//! stranger may have pasted in the place of a name is left out of the words.
//!
//! Each `name` is total and has no wildcard: a new cause does not compile until it has one. Programs
//! and old rows hold these names, so none of them changes.

use crate::authorize_error::{AuthorizeFault, PageFault};
use crate::client_authentication::{BasicFault, ClientFault};
use crate::device::DeviceFault;
use crate::grant::{CodeFault, RefreshFault};
use crate::logged_call::{bounded, is_known};
use crate::parameters::ParameterFault;
use crate::pkce::PkceFault;
use crate::proof_error::ProofError;
use crate::resource::ResourceFault;
use crate::scope::ScopeFault;
use crate::token_error::{RequestFault, TokenError};

/// No words are longer, in bytes.
pub const MAX_WORDS_BYTES: usize = 400;

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Its name.
    pub name: &'static str,
    /// The anchor in the docs.
    pub anchor: &'static str,
    /// What happened and what to do, in words.
    pub words: String,
}

impl TokenError {
    /// Why, as the owner of the client may read it.
    pub fn cause(&self) -> Cause {
        let wire = self.for_owner().wire();
        Cause { name: self.name(), anchor: wire.anchor, words: bounded(wire.description) }
    }

    /// As the caller would be told that had proved enough.
    fn for_owner(&self) -> TokenError {
        match self {
            TokenError::Code { fault, .. } => TokenError::Code { fault: *fault, proved: true },
            TokenError::Refresh { fault, .. } => {
                TokenError::Refresh { fault: *fault, proved: true }
            }
            TokenError::Request(RequestFault::Parameter(fault)) => {
                TokenError::Request(RequestFault::Parameter(nameless(fault)))
            }
            TokenError::PushedPage(fault) => TokenError::PushedPage(fault.for_owner()),
            TokenError::Pushed(fault) => TokenError::Pushed(fault.for_owner()),
            TokenError::Request(_)
            | TokenError::Client(_)
            | TokenError::Proof(_)
            | TokenError::Scope(_)
            | TokenError::Resource(_)
            | TokenError::ClientScope(_)
            | TokenError::Device(_)
            | TokenError::DevicesNotAllowed
            | TokenError::GrantTypeNotAllowed
            | TokenError::TooManyTries { .. }
            | TokenError::Unavailable => self.clone(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            TokenError::Request(fault) => request_name(fault),
            TokenError::Client(fault) => client_name(*fault),
            TokenError::Code { fault, .. } => code_name(*fault),
            TokenError::Refresh { fault, .. } => refresh_name(*fault),
            TokenError::Proof(error) => proof_name(*error),
            TokenError::Scope(fault) | TokenError::ClientScope(fault) => scope_name(fault),
            TokenError::Resource(fault) => resource_name(fault),
            TokenError::PushedPage(fault) => fault.name(),
            TokenError::Pushed(fault) => fault.name(),
            TokenError::Device(fault) => device_name(*fault),
            TokenError::DevicesNotAllowed => "client.devices_not_allowed",
            TokenError::GrantTypeNotAllowed => "client.grant_type_not_allowed",
            TokenError::TooManyTries { .. } => "client.too_many_tries",
            TokenError::Unavailable => "server.unavailable",
        }
    }
}

impl PageFault {
    /// Why, as the owner of the client may read it.
    pub fn cause(&self) -> Cause {
        let words = self.for_owner().words();
        Cause { name: self.name(), anchor: words.anchor, words: bounded(words.what_happened) }
    }

    fn for_owner(&self) -> PageFault {
        match self {
            PageFault::Parameter(fault) => PageFault::Parameter(nameless(fault)),
            PageFault::ClientIdMissing
            | PageFault::ClientUnknown { .. }
            | PageFault::ClientDisabled
            | PageFault::RedirectUriMissing
            | PageFault::RedirectUriDiffers { .. }
            | PageFault::ClientDocument { .. }
            | PageFault::TooManyTries { .. }
            | PageFault::RequestUriUnknown => self.clone(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            PageFault::ClientIdMissing => "client.id_missing",
            PageFault::ClientUnknown { .. } => "client.unknown",
            PageFault::ClientDisabled => "client.disabled",
            PageFault::RedirectUriMissing => "redirect_uri.missing",
            PageFault::RedirectUriDiffers { .. } => REDIRECT_URI_DIFFERS,
            PageFault::Parameter(fault) => parameter_name(fault),
            PageFault::ClientDocument { .. } => "client.document",
            PageFault::TooManyTries { .. } => "customer.too_many_tries",
            PageFault::RequestUriUnknown => "pushed_request.unknown",
        }
    }
}

impl AuthorizeFault {
    /// Why, as the owner of the client may read it.
    pub fn cause(&self) -> Cause {
        let wire = self.for_owner().wire();
        Cause { name: self.name(), anchor: wire.anchor, words: bounded(wire.description) }
    }

    fn for_owner(&self) -> AuthorizeFault {
        match self {
            AuthorizeFault::Parameter(fault) => AuthorizeFault::Parameter(nameless(fault)),
            other => other.clone(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            AuthorizeFault::Parameter(fault) => parameter_name(fault),
            AuthorizeFault::ResponseTypeMissing => "response_type.missing",
            AuthorizeFault::ResponseTypeUnsupported => "response_type.unsupported",
            AuthorizeFault::ResponseModeUnsupported => "response_mode.unsupported",
            AuthorizeFault::PushRequired => "pushed_request.required",
            AuthorizeFault::RequestObjectUnsupported => "request_object.unsupported",
            AuthorizeFault::RequestUriUnsupported => "request_uri.unsupported",
            AuthorizeFault::Scope(fault) => scope_name(fault),
            AuthorizeFault::Pkce(fault) => pkce_name(*fault),
            AuthorizeFault::PromptUnknown => "prompt.unknown",
            AuthorizeFault::ThumbprintMalformed => "proof.thumbprint_malformed",
            AuthorizeFault::MaxAgeMalformed => "max_age.malformed",
            AuthorizeFault::ClaimsMalformed => "claims.malformed",
            AuthorizeFault::Resource(fault) => resource_name(fault),
            AuthorizeFault::PromptNoneWithOthers => "prompt.none_with_others",
            AuthorizeFault::LoginRequired => "customer.login_required",
            AuthorizeFault::ConsentRequired => "customer.consent_required",
            AuthorizeFault::AccessDenied => ACCESS_DENIED,
        }
    }
}

/// The customer, or a trial, did not allow the connection.
pub const ACCESS_DENIED: &str = "customer.denied";
/// The redirect URI at `/oauth/authorize` is not a registered one.
pub const REDIRECT_URI_DIFFERS: &str = "redirect_uri.differs";
/// The redirect URI of an exchange is not the one that the code went to.
pub const CODE_REDIRECT_URI: &str = "code.redirect_uri_differs";
/// A code came too late.
pub const CODE_EXPIRED: &str = "code.expired";
/// A code came twice.
pub const CODE_USED: &str = "code.used";
/// What came as a code is none.
pub const CODE_UNREADABLE: &str = "code.unreadable";
/// An old refresh token came.
pub const REFRESH_REUSED: &str = "refresh_token.reused";
/// A refresh token came too late.
pub const REFRESH_EXPIRED: &str = "refresh_token.expired";
/// The connection was ended.
pub const CONNECTION_ENDED: &str = "connection.ended";
/// A secret stands in the URL.
pub const SECRET_IN_URL: &str = "request.secret_in_url";
/// A parameter is missing.
pub const PARAMETER_MISSING: &str = "request.parameter_missing";

fn request_name(fault: &RequestFault) -> &'static str {
    match fault {
        RequestFault::ClientCredentialsOnly => "request.client_credentials_only",
        RequestFault::Method => "request.method",
        RequestFault::BodyTooLarge { .. } => "request.body_too_large",
        RequestFault::BodyIncomplete => "request.body_incomplete",
        RequestFault::JsonBody => "request.json_body",
        RequestFault::ContentType => "request.content_type",
        RequestFault::Parameter(fault) => parameter_name(fault),
        RequestFault::Missing { .. } => PARAMETER_MISSING,
        RequestFault::Contradiction { .. } => "request.contradiction",
        RequestFault::ContradictsBasic => "request.contradicts_basic",
        RequestFault::TwoWaysOfAuthentication => "client.two_ways",
        RequestFault::SecretInUrl { .. } => SECRET_IN_URL,
        RequestFault::QueryNotAllowed => "request.query_not_allowed",
        RequestFault::AssertionTypeUnsupported => "client.assertion_type",
        RequestFault::RequestUriPushed => "pushed_request.names_another",
        RequestFault::GrantTypeUnsupported => "grant_type.unsupported",
        RequestFault::Pkce(fault) => pkce_name(*fault),
    }
}

fn parameter_name(fault: &ParameterFault) -> &'static str {
    match fault {
        ParameterFault::Repeated { .. } => "parameter.repeated",
        ParameterFault::ArrayLike { .. } => "parameter.array_like",
        ParameterFault::TooLong { .. } => "parameter.too_long",
        ParameterFault::NameTooLong => "parameter.name_too_long",
        ParameterFault::TooMany => "parameter.too_many",
        ParameterFault::BadEncoding { .. } => "parameter.bad_encoding",
    }
}

fn client_name(fault: ClientFault) -> &'static str {
    match fault {
        ClientFault::Basic(fault) => basic_name(fault),
        ClientFault::Missing => "client.missing",
        ClientFault::Unknown { .. } => "client.unknown",
        ClientFault::OtherEnvironment { .. } => "client.other_environment",
        ClientFault::WrongSecret => "client.wrong_secret",
        ClientFault::SecretEnded { .. } => "client.secret_ended",
        ClientFault::StrayAroundSecret => "client.stray_around_secret",
        ClientFault::SecretMissing => "client.secret_missing",
        ClientFault::SecretUnexpected => "client.secret_unexpected",
        ClientFault::SecretInBody => "client.secret_in_body",
        ClientFault::SecretInHeader => "client.secret_in_header",
        ClientFault::AssertionMissing => "client.assertion_missing",
        ClientFault::AssertionUnexpected => "client.assertion_unexpected",
        ClientFault::Assertion(_) => "client.assertion",
        ClientFault::AssertionReplayed => "client.assertion_replayed",
        ClientFault::KeysUnavailable => "client.keys_unavailable",
        ClientFault::SecretNeededHere => "client.secret_needed_here",
        ClientFault::Disabled => "client.disabled",
    }
}

fn basic_name(fault: BasicFault) -> &'static str {
    match fault {
        BasicFault::OtherScheme => "basic.other_scheme",
        BasicFault::Empty => "basic.empty",
        BasicFault::TooLong => "basic.too_long",
        BasicFault::Quoted => "basic.quoted",
        BasicFault::BlankInside => "basic.blank_inside",
        BasicFault::NotEncoded => "basic.not_encoded",
        BasicFault::OtherAlphabet => "basic.other_alphabet",
        BasicFault::NotBase64 => "basic.not_base64",
        BasicFault::NewlineEncoded => "basic.newline_encoded",
        BasicFault::StrayAround => "basic.stray_around",
        BasicFault::NotText => "basic.not_text",
        BasicFault::NoColon => "basic.no_colon",
        BasicFault::EmptyPart => "basic.empty_part",
        BasicFault::BadEscape => "basic.bad_escape",
    }
}

fn code_name(fault: CodeFault) -> &'static str {
    match fault {
        CodeFault::Unreadable => CODE_UNREADABLE,
        CodeFault::OtherEnvironment { .. } => "code.other_environment",
        CodeFault::OtherKind => "code.other_kind",
        CodeFault::Unknown => "code.unknown",
        CodeFault::OtherClient => "code.other_client",
        CodeFault::RedirectUriDiffers => CODE_REDIRECT_URI,
        CodeFault::VerifierMissing => "pkce.verifier_missing",
        CodeFault::VerifierUnexpected => "pkce.verifier_unexpected",
        CodeFault::VerifierWrong => "pkce.verifier_wrong",
        CodeFault::ProofMissing => "proof.missing",
        CodeFault::KeyDiffers => "proof.key_differs",
        CodeFault::Expired { .. } => CODE_EXPIRED,
        CodeFault::Used { .. } => CODE_USED,
        CodeFault::Ended => CONNECTION_ENDED,
    }
}

fn refresh_name(fault: RefreshFault) -> &'static str {
    match fault {
        RefreshFault::Unreadable => "refresh_token.unreadable",
        RefreshFault::OtherEnvironment { .. } => "refresh_token.other_environment",
        RefreshFault::OtherKind => "refresh_token.other_kind",
        RefreshFault::Unknown => "refresh_token.unknown",
        RefreshFault::OtherClient => "refresh_token.other_client",
        RefreshFault::Expired { .. } => REFRESH_EXPIRED,
        RefreshFault::Reused { .. } => REFRESH_REUSED,
        RefreshFault::ClockWentBack => "refresh_token.clock_went_back",
        RefreshFault::AheadOfRow => "refresh_token.ahead_of_row",
        RefreshFault::ProofMissing => "proof.missing",
        RefreshFault::KeyDiffers => "proof.key_differs",
        RefreshFault::Ended => CONNECTION_ENDED,
    }
}

fn proof_name(error: ProofError) -> &'static str {
    match error {
        ProofError::TwoHeaders => "proof.two_headers",
        ProofError::NotText => "proof.not_text",
        ProofError::Fault(_) => "proof.refused",
        ProofError::Replayed => "proof.replayed",
        ProofError::OtherKeyThanNamed => "proof.other_key_than_named",
        ProofError::Required => "proof.required",
        ProofError::Unavailable => "server.unavailable",
    }
}

fn scope_name(fault: &ScopeFault) -> &'static str {
    match fault {
        ScopeFault::Commas => "scope.commas",
        ScopeFault::BadCharacter => "scope.bad_character",
        ScopeFault::TooMany => "scope.too_many",
        ScopeFault::NotAllowed { .. } => "scope.not_allowed",
    }
}

fn resource_name(fault: &ResourceFault) -> &'static str {
    match fault {
        ResourceFault::NoScope { .. } => "resource.no_scope",
        ResourceFault::NotAbsolute => "resource.not_absolute",
        ResourceFault::Fragment => "resource.fragment",
        ResourceFault::TooMany => "resource.too_many",
        ResourceFault::Unknown { .. } => "resource.unknown",
    }
}

fn pkce_name(fault: PkceFault) -> &'static str {
    match fault {
        PkceFault::MethodNotS256 => "pkce.method_not_s256",
        PkceFault::ChallengeMissing => "pkce.challenge_missing",
        PkceFault::ChallengeMalformed => "pkce.challenge_malformed",
        PkceFault::Required => "pkce.required",
        PkceFault::VerifierMalformed => "pkce.verifier_malformed",
    }
}

fn device_name(fault: DeviceFault) -> &'static str {
    match fault {
        DeviceFault::Pending => "device.pending",
        DeviceFault::SlowDown { .. } => "device.slow_down",
        DeviceFault::Denied => "device.denied",
        DeviceFault::Expired => "device.expired",
        DeviceFault::Unknown => "device.unknown",
        DeviceFault::OtherClient => "device.other_client",
        DeviceFault::Used => "device.used",
        DeviceFault::Ended => "device.ended",
    }
}

/// The same fault, without a name that may be a secret that somebody pasted in its place.
fn nameless(fault: &ParameterFault) -> ParameterFault {
    let shown = |name: &String| match is_known(name) {
        true => name.clone(),
        false => "(not shown)".to_owned(),
    };
    match fault {
        ParameterFault::Repeated { name } => ParameterFault::Repeated { name: shown(name) },
        ParameterFault::ArrayLike { name } => ParameterFault::ArrayLike { name: shown(name) },
        ParameterFault::TooLong { name, bytes } => {
            ParameterFault::TooLong { name: shown(name), bytes: *bytes }
        }
        ParameterFault::BadEncoding { name } => {
            ParameterFault::BadEncoding { name: name.as_ref().map(shown) }
        }
        ParameterFault::NameTooLong => ParameterFault::NameTooLong,
        ParameterFault::TooMany => ParameterFault::TooMany,
    }
}

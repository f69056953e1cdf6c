//! A fault as the client receives it: its code, its anchor in the docs, its words.

use super::{
    AuthorizeFault, AuthorizeWire, parameter_words, pkce_words, resource_words, scope_words,
};

impl AuthorizeFault {
    /// The error as the client receives it.
    pub fn wire(&self) -> AuthorizeWire {
        AuthorizeWire { code: self.code(), anchor: self.anchor(), description: self.words() }
    }

    /// RFC 6749 4.1.2.1, RFC 8707 2, OpenID Connect Core 3.1.2.6.
    fn code(&self) -> &'static str {
        match self {
            AuthorizeFault::Parameter(_)
            | AuthorizeFault::ResponseTypeMissing
            | AuthorizeFault::ResponseModeUnsupported
            | AuthorizeFault::PushRequired
            | AuthorizeFault::Pkce(_)
            | AuthorizeFault::ThumbprintMalformed
            | AuthorizeFault::PromptUnknown
            | AuthorizeFault::PromptNoneWithOthers
            | AuthorizeFault::MaxAgeMalformed
            | AuthorizeFault::ClaimsMalformed => "invalid_request",
            AuthorizeFault::ResponseTypeUnsupported => "unsupported_response_type",
            AuthorizeFault::RequestObjectUnsupported => "request_not_supported",
            AuthorizeFault::RequestUriUnsupported => "request_uri_not_supported",
            AuthorizeFault::Scope(_) => "invalid_scope",
            AuthorizeFault::Resource(_) => "invalid_target",
            AuthorizeFault::LoginRequired => "login_required",
            AuthorizeFault::ConsentRequired => "consent_required",
            AuthorizeFault::AccessDenied => "access_denied",
        }
    }

    fn anchor(&self) -> &'static str {
        match self {
            AuthorizeFault::Parameter(_) => "parameter",
            AuthorizeFault::ResponseTypeMissing | AuthorizeFault::ResponseTypeUnsupported => {
                "response-type"
            }
            AuthorizeFault::ResponseModeUnsupported => "response-mode",
            AuthorizeFault::RequestObjectUnsupported | AuthorizeFault::RequestUriUnsupported => {
                "request-object"
            }
            AuthorizeFault::PushRequired => "pushed-request",
            AuthorizeFault::Scope(_) => "scope",
            AuthorizeFault::Resource(_) => "resource",
            AuthorizeFault::Pkce(_) => "pkce",
            AuthorizeFault::ThumbprintMalformed => "dpop",
            AuthorizeFault::PromptUnknown
            | AuthorizeFault::PromptNoneWithOthers
            | AuthorizeFault::LoginRequired
            | AuthorizeFault::ConsentRequired => "prompt",
            AuthorizeFault::MaxAgeMalformed => "max-age",
            AuthorizeFault::ClaimsMalformed => "claims",
            AuthorizeFault::AccessDenied => "access-denied",
        }
    }

    fn words(&self) -> String {
        let words = match self {
            AuthorizeFault::Parameter(fault) => return parameter_words(fault),
            AuthorizeFault::Scope(fault) => return scope_words(fault),
            AuthorizeFault::Resource(fault) => return resource_words(fault),
            AuthorizeFault::Pkce(fault) => pkce_words(*fault),
            AuthorizeFault::ResponseTypeMissing => {
                "The parameter response_type is missing. Send response_type=code."
            }
            AuthorizeFault::ResponseTypeUnsupported => "Only response_type=code is supported.",
            AuthorizeFault::ResponseModeUnsupported => {
                "response_mode takes query or form_post, and form_post an http or https \
                 redirect_uri."
            }
            AuthorizeFault::PushRequired => {
                "This client has to push its authorization requests: POST them to /oauth/par, and \
                 send the request_uri of the answer."
            }
            AuthorizeFault::RequestObjectUnsupported => {
                "Request objects are not supported. Send the parameters themselves."
            }
            AuthorizeFault::RequestUriUnsupported => {
                "request_uri is not supported, but for one of /oauth/par. Send the parameters \
                 themselves."
            }
            AuthorizeFault::ThumbprintMalformed => {
                "dpop_jkt takes the SHA-256 thumbprint of the key, in base64url: 43 characters."
            }
            AuthorizeFault::PromptUnknown => "prompt takes none, login, consent or select_account.",
            AuthorizeFault::PromptNoneWithOthers => {
                "prompt=none cannot be combined with another prompt."
            }
            AuthorizeFault::MaxAgeMalformed => "max_age takes a whole number of seconds.",
            AuthorizeFault::ClaimsMalformed => {
                "claims takes a JSON object with the members id_token and userinfo, each an object \
                 of claims."
            }
            AuthorizeFault::LoginRequired => {
                "The customer whom the request is for is not signed in, or not recently enough."
            }
            AuthorizeFault::ConsentRequired => {
                "The customer has to be asked for consent, and prompt=none forbids asking."
            }
            AuthorizeFault::AccessDenied => "The customer chose not to allow the connection.",
        };
        words.to_owned()
    }
}

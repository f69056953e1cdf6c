//! What can be wrong with client metadata, and the words for it (RFC 7591 3.2.2).

use super::{MAX_CONTACTS, MAX_DOCUMENT_BYTES, MAX_NAME_CHARACTERS, MAX_REDIRECT_URIS};
use crate::authorize_error::scope_words;
use crate::jose::KeyFault;
use crate::redirect_uri::RegistrationFault;
use crate::scope::ScopeFault;

/// Why metadata cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataFault {
    /// longer than [`MAX_DOCUMENT_BYTES`]
    TooLong,
    /// not JSON
    NotJson,
    /// JSON, but no object
    NotAnObject,
    /// a member stands twice
    Repeated,
    /// a member is of another type, or holds what it must not
    WrongType {
        /// its name
        name: &'static str,
    },
    /// a link that is not https, or that a browser would read differently
    Link {
        /// the member
        name: &'static str,
    },
    /// the name is empty, too long, or holds characters that cannot be seen
    Name,
    /// a redirect URI that cannot be registered
    RedirectUri(RegistrationFault),
    /// no redirect URI, where one is needed
    RedirectUriMissing,
    /// more than [`MAX_REDIRECT_URIS`]
    TooManyRedirectUris,
    /// an authentication method that is not supported
    MethodUnsupported,
    /// a grant type that is not supported, or not for this client
    GrantTypeUnsupported,
    /// no grant type that brings a first token
    GrantTypeMissing,
    /// another response type than `code`, or one without its grant type
    ResponseTypeUnsupported,
    /// `client_credentials` for a client that proves nothing
    GrantNeedsProof,
    /// `private_key_jwt` without keys
    KeysMissing,
    /// `jwks` and `jwks_uri`
    KeysTwice,
    /// `jwks_uri` with an address that is not fetched
    KeysNotFetched,
    /// a client that is known by its own document, and would have a secret
    SecretInDocument,
    /// a key that cannot be taken
    Keys(KeyFault),
    /// an algorithm that ID tokens are not signed with
    AlgorithmUnsupported,
    /// a scope that is malformed, or not to be had by registering
    Scope(ScopeFault),
    /// the `client_id` of an update is missing, or another one (RFC 7592 2.2)
    ClientIdDiffers,
    /// an update that changes how the client proves itself
    MethodChanged,
    /// an update with another secret than the client has (RFC 7592 2.2)
    SecretDiffers,
    /// an update with a member that only the server sends (RFC 7592 2.2)
    ServersOwn {
        /// its name
        name: &'static str,
    },
}

impl MetadataFault {
    /// The `error` (RFC 7591 3.2.2).
    pub fn code(&self) -> &'static str {
        match self {
            MetadataFault::RedirectUri(_)
            | MetadataFault::RedirectUriMissing
            | MetadataFault::TooManyRedirectUris => "invalid_redirect_uri",
            MetadataFault::TooLong
            | MetadataFault::NotJson
            | MetadataFault::NotAnObject
            | MetadataFault::Repeated
            | MetadataFault::WrongType { .. }
            | MetadataFault::Link { .. }
            | MetadataFault::Name
            | MetadataFault::MethodUnsupported
            | MetadataFault::GrantTypeUnsupported
            | MetadataFault::GrantTypeMissing
            | MetadataFault::ResponseTypeUnsupported
            | MetadataFault::GrantNeedsProof
            | MetadataFault::KeysMissing
            | MetadataFault::KeysTwice
            | MetadataFault::KeysNotFetched
            | MetadataFault::SecretInDocument
            | MetadataFault::Keys(_)
            | MetadataFault::AlgorithmUnsupported
            | MetadataFault::Scope(_)
            | MetadataFault::ClientIdDiffers
            | MetadataFault::MethodChanged
            | MetadataFault::SecretDiffers
            | MetadataFault::ServersOwn { .. } => "invalid_client_metadata",
        }
    }

    /// What is wrong and what to do, for the client's developer.
    pub fn words(&self) -> String {
        let fixed = match self {
            MetadataFault::TooLong => return too_long(),
            MetadataFault::WrongType { name } => return wrong_type(name),
            MetadataFault::ServersOwn { name } => {
                return format!("Leave {name} out of an update: it is for the server to say.");
            }
            MetadataFault::Link { name } => return no_link(name),
            MetadataFault::Name => return no_name(),
            MetadataFault::RedirectUri(fault) => {
                let (words, hint) = fault.words();
                return format!("A redirect URI cannot be registered: {words}; {hint}.");
            }
            MetadataFault::TooManyRedirectUris => {
                return format!("A client has {MAX_REDIRECT_URIS} redirect URIs at most.");
            }
            MetadataFault::Keys(fault) => {
                return format!("The keys in jwks cannot be taken. {}", fault.words());
            }
            MetadataFault::Scope(fault) => return scope_words(fault),
            MetadataFault::NotJson => "The body is not JSON.",
            MetadataFault::NotAnObject => "The body is JSON, but not an object.",
            MetadataFault::Repeated => "A member stands twice.",
            MetadataFault::RedirectUriMissing => {
                "redirect_uris is missing: authorization_code needs one at least."
            }
            MetadataFault::MethodUnsupported => {
                "token_endpoint_auth_method takes one of those that the server metadata names."
            }
            MetadataFault::GrantTypeUnsupported => {
                "grant_types holds one that a client cannot register here. The server metadata \
                 names those that there are."
            }
            MetadataFault::GrantTypeMissing => "grant_types holds none that brings a first token.",
            MetadataFault::ResponseTypeUnsupported => {
                "response_types takes code, together with the grant type authorization_code."
            }
            MetadataFault::GrantNeedsProof => {
                "client_credentials is for a client that proves itself, and \
                 token_endpoint_auth_method is none."
            }
            MetadataFault::KeysMissing => "private_key_jwt needs jwks or jwks_uri.",
            MetadataFault::KeysTwice => "Send jwks or jwks_uri, and not both.",
            MetadataFault::KeysNotFetched => {
                "jwks_uri takes an https address on the usual port, with a path and nothing else."
            }
            MetadataFault::SecretInDocument => {
                "a client that is known by its document has no secret: its \
                 token_endpoint_auth_method is none or private_key_jwt."
            }
            MetadataFault::AlgorithmUnsupported => {
                "id_token_signed_response_alg takes RS256, ES256 or EdDSA."
            }
            MetadataFault::ClientIdDiffers => {
                "client_id is missing, or not the one of this registration."
            }
            MetadataFault::MethodChanged => {
                "token_endpoint_auth_method cannot change: register another client."
            }
            MetadataFault::SecretDiffers => {
                "client_secret is not the one of this client. An update cannot change it: leave it \
                 out."
            }
        };
        fixed.to_owned()
    }
}

fn too_long() -> String {
    format!("The metadata is longer than {MAX_DOCUMENT_BYTES} bytes.")
}

fn wrong_type(name: &str) -> String {
    match name {
        "contacts" => format!("contacts takes up to {MAX_CONTACTS} e-mail addresses."),
        _ => format!("The member {name} is of another type, or holds what it must not."),
    }
}

fn no_link(name: &str) -> String {
    format!("{name} takes an address that begins with https://, as a browser writes it.")
}

fn no_name() -> String {
    format!(
        "client_name takes 1 to {MAX_NAME_CHARACTERS} visible characters, in one line, without \
         pictures."
    )
}

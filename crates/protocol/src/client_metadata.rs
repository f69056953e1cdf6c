//! Client metadata (RFC 7591 2): what a client says of itself when it registers.
//!
//! 1. [`ClientMetadata::parse`] reads the document, member by member: what it does not know it
//!    leaves out, so nobody sets what is the server's (S24), and what it knows it checks (S22);
//! 2. it holds the members against one another: a secret that is not there, keys that are missing;
//! 3. `fault.rs` names what is wrong, for the developer who sent it;
//! 4. [`ClientMetadata::document`] is what was registered, as it is answered.
//!
//! [`ClientMetadata::parse_published`] reads the same of a client that nobody registered.

mod fault;

use serde_json::{Map, Value, json};
use url::Url;

use crate::client::{ClientKeys, IdTokenAlgorithm, SecretMethods};
use crate::jose::JwkSet;
use crate::jose::json::{self, JsonFault, parse_object};
use crate::redirect_uri::RedirectUri;
use crate::scope::Scope;
use crate::visible::is_directional;

pub use fault::MetadataFault;

/// No document is longer, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024;
/// No client that registers itself has more redirect URIs.
pub const MAX_REDIRECT_URIS: usize = 20;
/// No name is longer, in characters.
const MAX_NAME_CHARACTERS: usize = 80;
/// No other text is longer, in bytes.
const MAX_TEXT_BYTES: usize = 512;
/// No client has more contacts.
const MAX_CONTACTS: usize = 5;
/// RFC 8628 3.4
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Members that are a link and nothing else.
const LINKS: [&str; 4] = ["client_uri", "logo_uri", "policy_uri", "tos_uri"];

/// What a client says of itself, within its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMetadata {
    /// Its name, as customers will read it.
    pub client_name: Option<String>,
    /// Where a code may go.
    pub redirect_uris: Vec<RedirectUri>,
    /// How it proves itself.
    pub method: ClientMethod,
    /// What it may ask for at the token endpoint.
    pub grant_types: GrantTypes,
    /// What it may ask for, where it says so.
    pub scope: Option<Scope>,
    /// Its public keys.
    pub keys: Option<ClientKeys>,
    /// How its ID tokens are signed.
    pub id_token_algorithm: IdTokenAlgorithm,
    /// Whether its authorization requests have to be pushed (RFC 9126 6).
    pub par_required: bool,
    /// Whether its tokens have to be bound to a key (RFC 9449 5.2).
    pub dpop_required: bool,
    /// Where a customer may be sent after signing out.
    pub post_logout_redirect_uris: Vec<String>,
    /// What has no meaning here, and is handed back: links, contacts, the software's name.
    pub informational: Map<String, Value>,
}

/// `token_endpoint_auth_method` (RFC 7591 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMethod {
    /// `client_secret_basic`, `client_secret_post`
    Secret(SecretMethods),
    /// `private_key_jwt`
    PrivateKeyJwt,
    /// `none`
    None,
}

/// `grant_types` (RFC 7591 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantTypes {
    /// `authorization_code`
    pub authorization_code: bool,
    /// `refresh_token`
    pub refresh_token: bool,
    /// `client_credentials`
    pub client_credentials: bool,
    /// `urn:ietf:params:oauth:grant-type:device_code`
    pub device_code: bool,
}

impl ClientMetadata {
    /// Reads a document.
    ///
    /// # Errors
    /// [`MetadataFault`]
    pub fn parse(document: &[u8]) -> Result<ClientMetadata, MetadataFault> {
        // RFC 7591 2 says Basic. Whoever did not choose may also take what its library prefers:
        // openid-client sends the secret in the body unless it is told otherwise.
        let usual = ClientMethod::Secret(SecretMethods::Any);
        ClientMetadata::of_members(&Members(&members(document)?), usual)
    }

    /// Reads the document that a client publishes at the address which is its id (OAuth Client ID
    /// Metadata Document): everybody can read it, so there is no secret.
    ///
    /// # Errors
    /// [`MetadataFault`]
    pub fn parse_published(
        client_id: &str,
        document: &[u8],
    ) -> Result<ClientMetadata, MetadataFault> {
        let members = members(document)?;
        // The draft: compared as text.
        if members.get("client_id").and_then(json::Value::as_str) != Some(client_id) {
            return Err(MetadataFault::ClientIdDiffers);
        }
        let metadata = ClientMetadata::of_members(&Members(&members), ClientMethod::None)?;
        match metadata.method {
            ClientMethod::Secret(_) => Err(MetadataFault::SecretInDocument),
            ClientMethod::PrivateKeyJwt | ClientMethod::None => Ok(metadata),
        }
    }

    fn of_members(
        members: &Members<'_>,
        usual: ClientMethod,
    ) -> Result<ClientMetadata, MetadataFault> {
        let method = method(members)?.unwrap_or(usual);
        let grant_types = grant_types(members)?;
        let metadata = ClientMetadata {
            client_name: name(members)?,
            redirect_uris: redirect_uris(members)?,
            method,
            grant_types,
            scope: members
                .text("scope")?
                .map(|text| Scope::parse(text).map_err(MetadataFault::Scope))
                .transpose()?,
            keys: keys(members)?,
            id_token_algorithm: id_token_algorithm(members)?,
            par_required: members.flag("require_pushed_authorization_requests")?,
            dpop_required: members.flag("dpop_bound_access_tokens")?,
            post_logout_redirect_uris: post_logout_redirect_uris(members)?,
            informational: informational(members)?,
        };
        metadata.check()?;
        Ok(metadata)
    }

    /// What was registered, without what the server adds (RFC 7591 3.2.1).
    pub fn document(&self) -> Map<String, Value> {
        let mut document = self.informational.clone();
        let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
        let uris: Vec<&str> = self.redirect_uris.iter().map(RedirectUri::as_str).collect();
        put("redirect_uris", json!(uris));
        put("token_endpoint_auth_method", json!(self.method.as_str()));
        put("grant_types", json!(self.grant_types.names()));
        let response_types: &[&str] =
            if self.grant_types.authorization_code { &["code"] } else { &[] };
        put("response_types", json!(response_types));
        put("id_token_signed_response_alg", json!(self.id_token_algorithm.as_str()));
        put("require_pushed_authorization_requests", json!(self.par_required));
        put("dpop_bound_access_tokens", json!(self.dpop_required));
        if !self.post_logout_redirect_uris.is_empty() {
            put("post_logout_redirect_uris", json!(self.post_logout_redirect_uris));
        }
        if let Some(name) = &self.client_name {
            put("client_name", json!(name));
        }
        if let Some(scope) = &self.scope {
            put("scope", json!(scope.to_string()));
        }
        match &self.keys {
            Some(ClientKeys::Uri(uri)) => {
                put("jwks_uri", json!(uri));
            }
            Some(ClientKeys::Set(set)) => {
                put("jwks", serde_json::from_str(set).unwrap_or_default());
            }
            None => {}
        }
        document
    }

    /// What one member demands of another (RFC 7591 2, 2.1).
    fn check(&self) -> Result<(), MetadataFault> {
        if self.grant_types.authorization_code && self.redirect_uris.is_empty() {
            return Err(MetadataFault::RedirectUriMissing);
        }
        // RFC 6749 4.4: who proves nothing gets nothing of its own.
        if self.grant_types.client_credentials && self.method == ClientMethod::None {
            return Err(MetadataFault::GrantNeedsProof);
        }
        match (self.method, &self.keys) {
            (ClientMethod::PrivateKeyJwt, None) => Err(MetadataFault::KeysMissing),
            _ => Ok(()),
        }
    }
}

impl ClientMethod {
    /// As it is registered.
    pub fn as_str(self) -> &'static str {
        match self {
            ClientMethod::Secret(SecretMethods::Post) => "client_secret_post",
            ClientMethod::Secret(SecretMethods::Basic | SecretMethods::Any) => {
                "client_secret_basic"
            }
            ClientMethod::PrivateKeyJwt => "private_key_jwt",
            ClientMethod::None => "none",
        }
    }
}

impl GrantTypes {
    /// As they are registered.
    pub fn names(self) -> Vec<&'static str> {
        [
            (self.authorization_code, "authorization_code"),
            (self.refresh_token, "refresh_token"),
            (self.client_credentials, "client_credentials"),
            (self.device_code, DEVICE_CODE),
        ]
        .into_iter()
        .filter_map(|(may, name)| may.then_some(name))
        .collect()
    }
}

fn members(document: &[u8]) -> Result<json::Members<'_>, MetadataFault> {
    if document.len() > MAX_DOCUMENT_BYTES {
        return Err(MetadataFault::TooLong);
    }
    parse_object(document).map_err(|fault| match fault {
        JsonFault::NotJson => MetadataFault::NotJson,
        JsonFault::NotObject => MetadataFault::NotAnObject,
        JsonFault::Repeated => MetadataFault::Repeated,
    })
}

struct Members<'a>(&'a json::Members<'a>);

impl<'a> Members<'a> {
    /// A member that is `null` is one that is not there (RFC 7591 2).
    fn value(&self, name: &str) -> Option<&'a json::Value<'a>> {
        self.0.get(name).filter(|value| **value != json::Value::Null)
    }

    fn text(&self, name: &'static str) -> Result<Option<&'a str>, MetadataFault> {
        match self.value(name) {
            None => Ok(None),
            Some(json::Value::String(text)) if text.len() <= MAX_DOCUMENT_BYTES => Ok(Some(text)),
            Some(_) => Err(MetadataFault::WrongType { name }),
        }
    }

    fn flag(&self, name: &'static str) -> Result<bool, MetadataFault> {
        match self.value(name) {
            None => Ok(false),
            Some(json::Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(MetadataFault::WrongType { name }),
        }
    }

    fn texts(&self, name: &'static str) -> Result<Option<Vec<&'a str>>, MetadataFault> {
        match self.value(name) {
            None => Ok(None),
            Some(json::Value::Array(list)) => list
                .iter()
                .map(|value| value.as_str().ok_or(MetadataFault::WrongType { name }))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(MetadataFault::WrongType { name }),
        }
    }
}

/// `None` where it names none.
fn method(members: &Members<'_>) -> Result<Option<ClientMethod>, MetadataFault> {
    match members.text("token_endpoint_auth_method")? {
        None => Ok(None),
        Some("client_secret_basic") => Ok(Some(ClientMethod::Secret(SecretMethods::Basic))),
        Some("client_secret_post") => Ok(Some(ClientMethod::Secret(SecretMethods::Post))),
        Some("private_key_jwt") => Ok(Some(ClientMethod::PrivateKeyJwt)),
        Some("none") => Ok(Some(ClientMethod::None)),
        Some(_) => Err(MetadataFault::MethodUnsupported),
    }
}

fn grant_types(members: &Members<'_>) -> Result<GrantTypes, MetadataFault> {
    let mut types = GrantTypes::default();
    match members.texts("grant_types")? {
        None => types.authorization_code = true,
        Some(names) => {
            for name in names {
                match name {
                    "authorization_code" => types.authorization_code = true,
                    "refresh_token" => types.refresh_token = true,
                    "client_credentials" => types.client_credentials = true,
                    DEVICE_CODE => types.device_code = true,
                    _ => return Err(MetadataFault::GrantTypeUnsupported),
                }
            }
        }
    }
    if types.names().iter().all(|name| *name == "refresh_token") {
        return Err(MetadataFault::GrantTypeMissing);
    }
    // RFC 7591 2.1: `code` and `authorization_code` belong together.
    match members.texts("response_types")?.as_deref() {
        None => Ok(types),
        Some([]) if !types.authorization_code => Ok(types),
        Some(names) if names.iter().all(|name| *name == "code") && types.authorization_code => {
            Ok(types)
        }
        Some(_) => Err(MetadataFault::ResponseTypeUnsupported),
    }
}

/// A name is one line of visible text, in one direction: it stands beside the company's own words.
fn name(members: &Members<'_>) -> Result<Option<String>, MetadataFault> {
    let Some(text) = members.text("client_name")? else {
        return Ok(None);
    };
    let text = text.trim();
    let count = text.chars().count();
    let is_sign = |c| is_directional(c) || is_invisible(c) || is_pictograph(c);
    let visible = !text.chars().any(|c: char| c.is_control() || is_sign(c));
    match (1..=MAX_NAME_CHARACTERS).contains(&count) && visible {
        true => Ok(Some(text.to_owned())),
        false => Err(MetadataFault::Name),
    }
}

/// Characters that cannot be seen and make two names look alike: Default_Ignorable_Code_Point
/// (Unicode 16, DerivedCoreProperties), the ends of a line, and what is blank by its looks alone.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' | '\u{2800}' | '\u{1d159}')
}

/// Signs that stand for a thing: beside the company's own words a lock or a tick says what nobody
/// checked. Private characters look as any font likes.
fn is_pictograph(c: char) -> bool {
    matches!(c,
        '\u{203c}' | '\u{2049}' | '\u{2139}' | '\u{2190}'..='\u{21ff}' | '\u{221a}'
        | '\u{2300}'..='\u{23ff}' | '\u{2460}'..='\u{27ff}' | '\u{2900}'..='\u{297f}'
        | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3200}'..='\u{32ff}'
        | '\u{e000}'..='\u{f8ff}' | '\u{1f000}'..='\u{1fbff}' | '\u{f0000}'..)
}

fn redirect_uris(members: &Members<'_>) -> Result<Vec<RedirectUri>, MetadataFault> {
    let texts = members.texts("redirect_uris")?.unwrap_or_default();
    if texts.len() > MAX_REDIRECT_URIS {
        return Err(MetadataFault::TooManyRedirectUris);
    }
    let mut uris = Vec::new();
    for text in texts {
        let uri = RedirectUri::register(text).map_err(MetadataFault::RedirectUri)?;
        if !uris.contains(&uri) {
            uris.push(uri);
        }
    }
    Ok(uris)
}

/// The same rules as for a redirect URI: a browser is sent there.
fn post_logout_redirect_uris(members: &Members<'_>) -> Result<Vec<String>, MetadataFault> {
    let texts = members.texts("post_logout_redirect_uris")?.unwrap_or_default();
    if texts.len() > MAX_REDIRECT_URIS {
        return Err(MetadataFault::TooManyRedirectUris);
    }
    texts
        .into_iter()
        .map(|text| match RedirectUri::register(text) {
            Ok(uri) => Ok(uri.as_str().to_owned()),
            Err(fault) => Err(MetadataFault::RedirectUri(fault)),
        })
        .collect()
}

fn keys(members: &Members<'_>) -> Result<Option<ClientKeys>, MetadataFault> {
    match (members.value("jwks"), members.text("jwks_uri")?) {
        (None, None) => Ok(None),
        // RFC 7591 2
        (Some(_), Some(_)) => Err(MetadataFault::KeysTwice),
        (None, Some(uri)) => {
            link("jwks_uri", uri)?;
            Ok(Some(ClientKeys::Uri(uri.to_owned())))
        }
        (Some(set), None) => {
            let text = serde_json::to_string(set).unwrap_or_default();
            JwkSet::parse(text.as_bytes()).map_err(MetadataFault::Keys)?;
            Ok(Some(ClientKeys::Set(text)))
        }
    }
}

fn id_token_algorithm(members: &Members<'_>) -> Result<IdTokenAlgorithm, MetadataFault> {
    match members.text("id_token_signed_response_alg")? {
        None => Ok(IdTokenAlgorithm::default()),
        Some(name) => IdTokenAlgorithm::parse(name).ok_or(MetadataFault::AlgorithmUnsupported),
    }
}

fn informational(members: &Members<'_>) -> Result<Map<String, Value>, MetadataFault> {
    let mut kept = Map::new();
    for name in LINKS {
        if let Some(text) = members.text(name)? {
            link(name, text)?;
            kept.insert(name.to_owned(), json!(text));
        }
    }
    for name in ["software_id", "software_version", "application_type"] {
        if let Some(text) = members.text(name)? {
            if text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) {
                return Err(MetadataFault::WrongType { name });
            }
            kept.insert(name.to_owned(), json!(text));
        }
    }
    if let Some(contacts) = members.texts("contacts")? {
        let plain = |contact: &&str| {
            contact.len() <= MAX_TEXT_BYTES
                && contact.contains('@')
                && contact.chars().all(|c| !c.is_control() && !c.is_whitespace())
        };
        if contacts.len() > MAX_CONTACTS || !contacts.iter().all(plain) {
            return Err(MetadataFault::WrongType { name: "contacts" });
        }
        kept.insert("contacts".to_owned(), json!(contacts));
    }
    match members.text("subject_type")? {
        None => {}
        Some("public") => {
            kept.insert("subject_type".to_owned(), json!("public"));
        }
        Some(_) => return Err(MetadataFault::WrongType { name: "subject_type" }),
    }
    Ok(kept)
}

/// A link that people or this server will follow: https and a host, written as a browser writes it
/// (S22).
fn link(name: &'static str, text: &str) -> Result<(), MetadataFault> {
    let fault = MetadataFault::Link { name };
    if text.len() > MAX_TEXT_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(fault);
    }
    let url = Url::parse(text).map_err(|_| fault.clone())?;
    let sound = text.starts_with("https://")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && !text.contains(['\\', '<', '>', '"', '`']);
    if sound { Ok(()) } else { Err(fault) }
}

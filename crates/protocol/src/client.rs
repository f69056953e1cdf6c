//! An API client, as far as the rules need to know it.

use aws_lc_rs::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::redirect_uri::RedirectUri;
use crate::scope::Scope;

/// What a partner registered, and what this company decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The one environment that it belongs to.
    pub environment: Environment,
    /// The `client_id`.
    pub id: String,
    /// The app's name, as the customer reads it.
    pub name: String,
    /// The organisation behind it.
    pub partner: Partner,
    /// Where its app lives on the web.
    pub website: Option<String>,
    /// Where a code may go.
    pub redirect_uris: Vec<RedirectUri>,
    /// Where a customer may be sent after signing out (OpenID Connect RP-Initiated Logout 3.1).
    pub post_logout_redirect_uris: Vec<String>,
    /// All that it may ask for.
    pub scopes: Scope,
    /// Those of `scopes` that a customer may leave out.
    pub optional_scopes: Scope,
    /// How it proves who it is.
    pub authentication: ClientAuthentication,
    /// Whether somebody of this company looked at it. Until then errors redirect only after sign-in.
    pub approved: bool,
    /// Whether it may do anything at all.
    pub disabled: bool,
    /// Whether it is the demo client of dev, which is refused outside.
    pub demo: bool,
    /// Raised when all its grants end.
    pub counter: i64,
    /// What may differ from client to client.
    pub settings: ClientSettings,
}

/// The organisation that integrates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// Its name.
    pub name: String,
    /// Whether this company has verified who it is.
    pub verified: bool,
}

/// How a client proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// A confidential client with one or two secrets; its settings say how it may send one.
    Secret {
        /// the digests of its secrets, of which any one proves it
        secrets: Vec<SecretDigest>,
    },
    /// `private_key_jwt`: a confidential client that signs (RFC 7523).
    PrivateKeyJwt {
        /// where its public keys are
        keys: ClientKeys,
    },
    /// `none`: a public client, which has to use PKCE.
    None,
}

/// Where the public keys of a client are (RFC 7591 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKeys {
    /// `jwks`: the set itself, as JSON
    Set(String),
    /// `jwks_uri`: where the set is fetched
    Uri(String),
}

/// How a client may send its secret (RFC 6749 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretMethods {
    /// `client_secret_basic`: in the header
    #[default]
    Basic,
    /// `client_secret_post`: in the body
    Post,
    /// in either
    Any,
}

/// With which algorithm the ID tokens of a client are signed (OpenID Connect Core 2: RS256 unless
/// the client asks for another).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdTokenAlgorithm {
    /// RSA with SHA-256
    #[default]
    Rs256,
    /// ECDSA on P-256
    Es256,
    /// Ed25519
    EdDsa,
}

/// What may differ from client to client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// How it may send its secret, if it has one.
    pub secret_methods: SecretMethods,
    /// Whether its assertions may name the address of the token endpoint for their audience, as
    /// libraries did before current advice (draft-ietf-oauth-rfc7523bis) made the issuer the only
    /// one: whoever names an endpoint can be led by another server's metadata to name ours.
    pub assertion_for_token_endpoint: bool,
    /// Whether it may send customers to `/oauth/authorize`.
    pub authorization_code: bool,
    /// Whether it may ask for tokens of its own (RFC 6749 4.4).
    pub client_credentials: bool,
    /// Whether it may connect a device without a browser (RFC 8628).
    pub device_code: bool,
    /// Whether its authorization requests have to be pushed (RFC 9126).
    pub par_required: bool,
    /// Whether its tokens have to be bound to a key (RFC 9449).
    pub dpop_required: bool,
    /// Whether a refresh token takes the scope `offline_access`.
    pub offline_access_required: bool,
    /// How its ID tokens are signed.
    pub id_token_algorithm: IdTokenAlgorithm,
    /// Whether an exchange brings a refresh token.
    pub refresh_tokens: bool,
    /// Whether the token endpoint takes its parameters from the query, as the guide does.
    pub parameters_in_query: bool,
    /// Whether a confidential client has to use PKCE; a public one always has to.
    pub pkce_required: bool,
    /// How long a refresh may be repeated, in seconds; `None` for the default of its kind.
    pub refresh_window_seconds: Option<i64>,
}

impl Default for ClientSettings {
    fn default() -> ClientSettings {
        ClientSettings {
            secret_methods: SecretMethods::default(),
            assertion_for_token_endpoint: false,
            authorization_code: true,
            client_credentials: false,
            device_code: false,
            par_required: false,
            dpop_required: false,
            offline_access_required: false,
            id_token_algorithm: IdTokenAlgorithm::default(),
            refresh_tokens: true,
            parameters_in_query: true,
            pkce_required: false,
            refresh_window_seconds: None,
        }
    }
}

impl IdTokenAlgorithm {
    /// All of them.
    pub const ALL: [IdTokenAlgorithm; 3] =
        [IdTokenAlgorithm::Rs256, IdTokenAlgorithm::Es256, IdTokenAlgorithm::EdDsa];

    /// Reads its name (RFC 7518 3.1, RFC 8037 3.1).
    pub fn parse(name: &str) -> Option<IdTokenAlgorithm> {
        IdTokenAlgorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            IdTokenAlgorithm::Rs256 => "RS256",
            IdTokenAlgorithm::Es256 => "ES256",
            IdTokenAlgorithm::EdDsa => "EdDSA",
        }
    }
}

impl SecretMethods {
    /// Whether the header may hold it.
    pub fn basic(self) -> bool {
        self != SecretMethods::Post
    }

    /// Whether the body may hold it.
    pub fn post(self) -> bool {
        self != SecretMethods::Basic
    }
}

impl Client {
    /// Whether it proves nothing of itself.
    pub fn is_public(&self) -> bool {
        self.authentication == ClientAuthentication::None
    }

    /// Whether it has to send a code challenge (RFC 9700 2.1.1).
    pub fn pkce_required(&self) -> bool {
        self.is_public() || self.settings.pkce_required
    }
}

/// A client secret as somebody presented it. It does not print, and its memory is wiped.
pub struct ClientSecret(Zeroizing<String>);

/// The SHA-256 of a client secret. That is enough, because a secret is drawn at random with 256
/// bits and nobody can guess it; a slow hash is for what a person chose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretDigest([u8; 32]);

impl ClientSecret {
    /// Takes a secret.
    pub fn new(secret: String) -> ClientSecret {
        ClientSecret(Zeroizing::new(secret))
    }

    /// Its digest.
    pub fn digest(&self) -> SecretDigest {
        digest_of(&self.0)
    }

    /// The digest of the secret without what people paste around it, where there is any: blanks,
    /// line ends, quotes.
    pub fn digest_of_trimmed(&self) -> Option<SecretDigest> {
        let stray = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
        let trimmed = self.0.trim_matches(stray);
        (trimmed != self.0.as_str()).then(|| digest_of(trimmed))
    }

    /// What is shown of it once it was shown whole: its last four characters.
    pub fn hint(&self) -> String {
        self.0.chars().skip(self.0.chars().count().saturating_sub(4)).collect()
    }

    /// The secret itself, for the one who owns it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl SecretDigest {
    /// From what was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> SecretDigest {
        SecretDigest(bytes)
    }

    /// As it is stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &SecretDigest) -> bool {
        bool::from(self.0.ct_eq(&other.0))
    }
}

impl std::fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretDigest(..)")
    }
}

fn digest_of(text: &str) -> SecretDigest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    SecretDigest(bytes)
}

#[cfg(test)]
pub(crate) mod fixtures {
    use super::*;

    pub(crate) const REDIRECT_URI: &str = "https://mycompany.com/redirection/ikentoo";
    pub(crate) const SECRET: &str = "s3cret-of-the-fixture";

    /// A confidential, approved client of staging, with two scopes that have to be allowed.
    pub(crate) fn client() -> Client {
        let secret = ClientSecret::new(SECRET.into());
        Client {
            environment: Environment::Staging,
            id: "devp-staging-mycompany".into(),
            name: "My Company".into(),
            partner: Partner { name: "My Company Ltd".into(), verified: true },
            website: None,
            redirect_uris: vec![RedirectUri::register(REDIRECT_URI).unwrap()],
            post_logout_redirect_uris: vec![],
            scopes: Scope::parse("financial-api orders-api items").unwrap(),
            optional_scopes: Scope::parse("items").unwrap(),
            authentication: ClientAuthentication::Secret { secrets: vec![secret.digest()] },
            approved: true,
            disabled: false,
            demo: false,
            counter: 0,
            settings: ClientSettings::default(),
        }
    }

    /// The same without a secret.
    pub(crate) fn public_client() -> Client {
        Client { authentication: ClientAuthentication::None, ..client() }
    }
}

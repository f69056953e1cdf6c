//! How a client that is made proves itself, and what it may ask for without a customer.

use std::path::PathBuf;

use grantor_protocol::client::{ClientKeys, SecretMethods};
use grantor_protocol::jose::JwkSet;

use super::super::Failure;
use crate::clock::Clock;
use crate::outbound::{Outbound, Reach};

/// What a client has to prove itself with.
#[derive(clap::Args)]
pub(super) struct ProofArguments {
    /// How it proves itself [default: client_secret_basic]
    #[arg(long, value_enum, value_name = "METHOD")]
    auth: Option<Method>,
    /// The file of its public keys, a JSON Web Key Set, for private_key_jwt
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Where it publishes its public keys, an https address, for private_key_jwt
    #[arg(long, value_name = "URL", conflicts_with = "jwks")]
    jwks_uri: Option<String>,
    /// Take assertions that name the token endpoint for their audience, and not the issuer, as older
    /// libraries do
    #[arg(long)]
    assertion_audience_token_endpoint: bool,
    /// A client without a secret, such as an app on a device; it has to use PKCE. The same as
    /// --auth none
    #[arg(long, conflicts_with = "auth")]
    public: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Method {
    /// A secret in the header, as the guide has it
    ClientSecretBasic,
    /// A secret in the body
    ClientSecretPost,
    /// A secret in either
    ClientSecret,
    /// A signed assertion, and no secret
    PrivateKeyJwt,
    /// Nothing: an app on a device
    None,
}

/// What a client proves itself with.
pub(super) struct Proof {
    pub(super) has_secret: bool,
    pub(super) secret_methods: SecretMethods,
    pub(super) keys: Option<ClientKeys>,
    pub(super) assertion_for_token_endpoint: bool,
}

impl Proof {
    /// Whether it has nothing to prove itself with.
    pub(super) fn is_none(&self) -> bool {
        !self.has_secret && self.keys.is_none()
    }
}

impl ProofArguments {
    /// Checks what was typed, and reads the keys.
    pub(super) fn check(&self) -> Result<Proof, Failure> {
        let method = match (self.auth, self.public) {
            (_, true) => Method::None,
            (Some(method), false) => method,
            (None, false) => Method::ClientSecretBasic,
        };
        let keys = match (method, &self.jwks, &self.jwks_uri) {
            (Method::PrivateKeyJwt, Some(file), _) => Some(read(file)?),
            (Method::PrivateKeyJwt, None, Some(address)) => Some(published(address)?),
            (Method::PrivateKeyJwt, None, None) => {
                return Err(Failure::mendable(
                    "--auth private_key_jwt needs --jwks FILE or --jwks-uri URL",
                )
                .hint("the file holds the public keys as {\"keys\":[...]}"));
            }
            (_, None, None) => None,
            (_, _, _) => {
                return Err(Failure::mendable(
                    "--jwks and --jwks-uri are for --auth private_key_jwt",
                ));
            }
        };
        if self.assertion_audience_token_endpoint && method != Method::PrivateKeyJwt {
            return Err(Failure::mendable(
                "--assertion-audience-token-endpoint is for --auth private_key_jwt",
            ));
        }
        Ok(Proof {
            assertion_for_token_endpoint: self.assertion_audience_token_endpoint,
            has_secret: !matches!(method, Method::PrivateKeyJwt | Method::None),
            secret_methods: match method {
                Method::ClientSecretPost => SecretMethods::Post,
                Method::ClientSecret => SecretMethods::Any,
                Method::ClientSecretBasic | Method::PrivateKeyJwt | Method::None => {
                    SecretMethods::Basic
                }
            },
            keys,
        })
    }
}

fn published(address: &str) -> Result<ClientKeys, Failure> {
    // It may be of a server of dev, which reaches this machine; a real one refuses to fetch it.
    match Outbound::new(Reach::ThisMachine, Clock::system()).takes(address) {
        true => Ok(ClientKeys::Uri(address.to_owned())),
        false => Err(Failure::mendable(format!("--jwks-uri {address:?} would not be fetched"))
            .hint("https, the usual port, a path, and nothing else")),
    }
}

fn read(file: &PathBuf) -> Result<ClientKeys, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::mendable(format!("--jwks {} cannot be read", file.display())).because(&error)
    })?;
    let set = JwkSet::parse(text.as_bytes()).map_err(|fault| {
        Failure::mendable(format!("--jwks {}: {}", file.display(), fault.words()))
    })?;
    if set.keys().is_empty() {
        return Err(Failure::mendable(format!("--jwks {} holds no key", file.display())));
    }
    Ok(ClientKeys::Set(text))
}

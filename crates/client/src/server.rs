//! The authorization server, as far as a client has to know it.
//!
//! 1. [`Server::discover`] asks the server itself (RFC 8414, OpenID Connect Discovery), in
//!    `server/metadata.rs`;
//! 2. [`Preset`] knows servers that have no metadata, or whose ways differ, in `server/preset.rs`.

mod metadata;
mod preset;

use serde::{Deserialize, Serialize};

pub use metadata::DiscoveryError;
pub use preset::Preset;

use crate::http::Http;

/// An authorization server. It is kept with each connection, so that a refresh asks nobody where to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Who issues the tokens, byte for byte as `iss` names it.
    pub issuer: String,
    /// Where the customer is sent (RFC 6749 3.1).
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens are turned into tokens (RFC 6749 3.2).
    pub token_endpoint: String,
    /// Where a token is given back (RFC 7009); `None` where the server has no such place.
    pub revocation_endpoint: Option<String>,
    /// What the paths of the API stand behind, without a slash at its end.
    pub api_url: String,
    /// Whether it knows PKCE with S256 (RFC 7636).
    pub pkce: bool,
    /// Whether each answer of the authorization endpoint has to name the issuer (RFC 9207 3).
    pub names_itself: bool,
    /// Where it takes the client's secret.
    pub secret_in: SecretIn,
    /// Where it takes the parameters of an exchange.
    pub exchange_in: ExchangeIn,
}

/// Where a client's secret is sent (RFC 6749 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretIn {
    /// `Authorization: Basic`, with both parts form-encoded, as the standard asks for
    Header,
    /// `Authorization: Basic`, with both parts as they are, which older servers take alone
    PlainHeader,
    /// the body
    Body,
}

/// Where the parameters of an exchange stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeIn {
    /// in a form body, as RFC 6749 4.1.3 has it
    Body,
    /// in the query of a POST without a body, and with `client-id` for `client_id`
    Query,
}

impl Server {
    /// Asks the server at that URL what it is. Where the URL has a path, both places for the
    /// document are tried (RFC 8414 5).
    ///
    /// # Errors
    /// [`DiscoveryError`]: nothing answers, what answers is no authorization server, or it names
    /// itself otherwise (RFC 8414 3.3).
    pub async fn discover(http: &Http, url: &str) -> Result<Server, DiscoveryError> {
        metadata::discover(http, url).await
    }
}

//! A connection, as it is kept: a server, a client, and the tokens that a customer allowed.

use grantor_protocol::client::ClientSecret;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::secret::Secret;
use crate::server::Server;
use crate::token::Tokens;

/// What is kept of a connection. It holds secrets: it is written encrypted and prints none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connection {
    /// Its name, by which commands and programs call it.
    pub name: String,
    /// Where it leads.
    pub server: Server,
    /// The `client_id`.
    pub client_id: String,
    /// The client's secret, where it has one.
    pub client_secret: Option<Secret>,
    /// The newest tokens.
    pub tokens: Tokens,
    /// When the customer allowed it, in Unix seconds.
    pub connected_at: i64,
    /// When the newest tokens came, in Unix seconds.
    pub renewed_at: i64,
    /// A refresh that was begun and whose answer is not on the disk: since when, in Unix seconds.
    /// The refresh token that stands in `tokens` is the one that was presented.
    pub under_way_since: Option<i64>,
    /// Why no refresh can succeed any more, where that is so.
    pub ended: Option<Ended>,
}

/// Why a connection has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The answer to a refresh was lost, and the server takes the old token no more.
    AnswerLost {
        /// what the server said, in its words
        server_said: String,
    },
    /// The server refuses the refresh token.
    Refused {
        /// what the server said, in its words
        server_said: String,
    },
    /// There is no refresh token, and the access token has ended.
    NoRefreshToken,
}

impl Connection {
    /// A connection that was just allowed; `now` in Unix seconds.
    pub fn new(
        name: String,
        server: Server,
        client: &Client,
        tokens: Tokens,
        now: i64,
    ) -> Connection {
        Connection {
            name,
            server,
            client_id: client.id().to_owned(),
            client_secret: client.secret().map(|secret| Secret::new(secret.expose().to_owned())),
            tokens,
            connected_at: now,
            renewed_at: now,
            under_way_since: None,
            ended: None,
        }
    }

    /// The name that a connection goes by where nobody chose one: the client at the issuer's host.
    pub fn usual_name(client_id: &str, server: &Server) -> String {
        let issuer =
            server.issuer.split_once("://").map_or(server.issuer.as_str(), |(_, rest)| rest);
        format!("{client_id}@{}", issuer.trim_end_matches('/'))
    }

    /// The client, for a call.
    pub fn client(&self) -> Client {
        match &self.client_secret {
            Some(secret) => Client::confidential(
                self.client_id.clone(),
                ClientSecret::new(secret.expose().to_owned()),
            ),
            None => Client::public(self.client_id.clone()),
        }
    }

    /// Whether the access token lives for so many seconds more, at `now` in Unix seconds. One that
    /// came from the future, because the clock went back, is not trusted to live longer.
    pub fn is_valid_for(&self, seconds: i64, now: i64) -> bool {
        self.renewed_at <= now + 60 && self.tokens.expires_at.saturating_sub(seconds) > now
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ended::AnswerLost { server_said } => write!(
                f,
                "the answer to a refresh was lost, and the server takes the old token no more \
                 ({server_said})"
            ),
            Ended::Refused { server_said } => {
                write!(f, "the server refuses the refresh token ({server_said})")
            }
            Ended::NoRefreshToken => {
                f.write_str("the access token has ended, and the server gave no refresh token")
            }
        }
    }
}

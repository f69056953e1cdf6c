//! A connection, as it is kept: a server, a client, and the tokens that a customer allowed.

use grantor_protocol::client::ClientSecret;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::secret::Secret;
use crate::server::Server;
use crate::token::Tokens;

/// An access token that ends sooner is renewed before it is handed out, in seconds.
const USUAL_SECONDS_LEFT: i64 = 60;

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

    /// Whether the access token need not be renewed, at `now` in Unix seconds: it lives for so many
    /// seconds more; without a number for a minute, or for half of its life where that is shorter.
    pub fn is_good_for(&self, seconds: Option<i64>, now: i64) -> bool {
        let life = self.tokens.expires_at.saturating_sub(self.renewed_at);
        let usual = USUAL_SECONDS_LEFT.min(life / 2).max(0);
        self.is_valid_for(seconds.unwrap_or(usual), now)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Preset;

    fn connection(life: i64) -> Connection {
        let tokens = Tokens {
            access_token: Secret::new("a".to_owned()),
            expires_at: 1000 + life,
            refresh_token: None,
            scope: None,
        };
        let server = Preset::KSeriesStaging.server();
        Connection::new("mine".to_owned(), server, &Client::public("me"), tokens, 1000)
    }

    #[test]
    fn a_token_is_renewed_in_its_last_minute_and_a_short_one_in_the_second_half_of_its_life() {
        for (life, last_good) in [(3600, 3539), (60, 29), (20, 9), (2, 0)] {
            let one = connection(life);
            assert!(one.is_good_for(None, 1000 + last_good), "{life}");
            assert!(!one.is_good_for(None, 1000 + last_good + 1), "{life}");
            assert!(one.is_valid_for(0, 1000 + life - 1) && !one.is_valid_for(0, 1000 + life));
        }
        assert!(!connection(3600).is_good_for(Some(3600), 1000));
        assert!(!connection(0).is_good_for(None, 1000));
    }

    #[test]
    fn d10_a_clock_that_goes_back_makes_no_token_live_longer() {
        assert!(connection(3600).is_good_for(None, 950));
        assert!(!connection(3600).is_good_for(None, 900));
    }

    #[test]
    fn s28_a_connection_prints_no_secret() {
        let mut one = connection(1);
        one.client_secret = Some(Secret::new("canary-1".to_owned()));
        one.tokens.access_token = Secret::new("canary-2".to_owned());
        one.tokens.refresh_token = Some(Secret::new("canary-3".to_owned()));
        assert!(!format!("{one:?}").contains("canary"));
    }
}

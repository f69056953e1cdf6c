//! A valid access token, whoever asks and how many at once.
//!
//! 1. What is on the disk is good for a while, and no refresh is under way: that is the answer, and no
//!    lock is taken;
//! 2. otherwise wait for the connection's lock, and look again: somebody else may have renewed it;
//! 3. write that a refresh is under way, and only then send the refresh token;
//! 4. write the new tokens to the disk, and only then use them and let the lock go.
//!
//! A process that dies between 3 and 4 leaves the mark and the old refresh token. The next one presents
//! the old one again. A server that repeats its answer for a while (Grantor does) gives the same new
//! tokens again; a strict one refuses, and then it is known, and said, that the answer was lost. The
//! same goes for an answer that was lost on its way: it is asked for again at once.
//!
//! 3 and 4 are a task of their own, which goes on when whoever asked has gone. So nobody waits longer
//! than a second for it while the kept token lives, neither who began it nor the others. A process that
//! would cut it off by ending calls [`Connections::leave`] first: it waits for the answer to the call
//! that is under way, and no other is sent.

use std::time::Duration;

use crate::connection::{Connection, Ended};
use crate::connections::{Connections, KeepingError, Lock};
use crate::http::Http;
use crate::refresh::refresh;
use crate::secret::Secret;
use crate::token::{TokenError, Tokens};

/// How often a refresh is sent whose answer is lost, and the pause before each time but the first.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(1000)];
/// How long a refresh, ours or that of somebody else, is waited for while the token on the disk still
/// lives. It takes less, so nearly always the new token is the answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// What ends sooner is not handed out in the place of a new one that is under way, in seconds: it would
/// end on its way to the API.
const LEFT_SECONDS: i64 = 5;

/// Why there is no valid access token.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// Nothing of that name is kept.
    #[error("there is no connection {name}")]
    NoConnection {
        /// what was asked for
        name: String,
    },
    /// The customer has to connect again.
    #[error("the connection {name} has ended: {why}")]
    Ended {
        /// which
        name: String,
        /// why
        why: Ended,
    },
    /// The server did not give new tokens now; the connection stays as it is, and a later try may
    /// succeed.
    #[error("{name} could not be renewed: {error}")]
    NotNow {
        /// which
        name: String,
        /// why
        error: TokenError,
        /// Whether the answer to this refresh, or to one before it, was lost. Then time runs: a server
        /// that repeats its answer does so for a while (Grantor for a minute), and a later try finds
        /// the connection at its end.
        lost: bool,
    },
    /// The API refused the access token before its time, and nothing gets another one. The connection
    /// stays as it is: another API may take the token.
    #[error(
        "the API refused the token of {name} before its time, and there is no refresh token to get \
         another one"
    )]
    NotReplaceable {
        /// which
        name: String,
    },
    /// What is kept cannot be read or written.
    #[error(transparent)]
    Keeping(#[from] KeepingError),
}

impl Connections {
    /// The connection, with an access token that lives for `seconds` more: the kept one, or, where
    /// that ends sooner, a new one. Without a number it is a minute, or half of its life where that is
    /// shorter: tokens of a minute would otherwise be renewed at each call. Where no new one is to be
    /// had just now, it is the kept one for as long as that lives, and a refresh may then still be under
    /// way: see [`Connections::leave`].
    ///
    /// # Errors
    /// [`RenewalError`]
    pub async fn valid(
        &self,
        http: &Http,
        name: &str,
        seconds: Option<i64>,
    ) -> Result<Connection, RenewalError> {
        let seen = self.known(name)?;
        if self.is_answer(&seen, seconds) {
            return Ok(seen);
        }
        let lock = match self.turn(name).await? {
            Turn::Ours(lock) => lock,
            Turn::Theirs(living) => return Ok(*living),
        };
        let connection = self.known(name)?;
        // Whoever asks for more than a token ever lives would else renew what was renewed for them.
        let is_new = connection.tokens.access_token != seen.tokens.access_token;
        let seconds = if is_new { Some(0) } else { seconds };
        if self.is_answer(&connection, seconds) {
            return Ok(connection);
        }
        let renewal = self.renew_through(http, connection.clone(), lock);
        let renewed = match self.lives(&connection, LEFT_SECONDS) {
            true => match tokio::time::timeout(PATIENCE, renewal).await {
                Ok(renewed) => renewed,
                // It goes on without us.
                Err(_) => return Ok(connection),
            },
            false => renewal.await,
        };
        match renewed {
            // It may end soon, but it has not ended.
            Err(error) if error.is_passing() && self.lives(&connection, 0) => Ok(connection),
            renewed => renewed,
        }
    }

    /// Waits for our turn to renew. Where somebody else has had theirs for a while, and the token still
    /// lives, that has to do: their server may hang, and that need not stop us.
    async fn turn(&self, name: &str) -> Result<Turn, RenewalError> {
        if let Ok(lock) = tokio::time::timeout(PATIENCE, self.lock(name)).await {
            return Ok(Turn::Ours(lock?));
        }
        let connection = self.known(name)?;
        if self.lives(&connection, LEFT_SECONDS) {
            return Ok(Turn::Theirs(Box::new(connection)));
        }
        Ok(Turn::Ours(self.lock(name).await?))
    }

    /// Renews to the end, whoever goes away meanwhile: a refresh token that was sent and whose
    /// successor is dropped is the end of a connection.
    async fn renew_through(
        &self,
        http: &Http,
        connection: Connection,
        lock: Lock,
    ) -> Result<Connection, RenewalError> {
        let (own, http) = (self.clone(), http.clone());
        let path = self.folder().to_owned();
        let renewal = async move { own.renew_locked(&http, connection, &lock).await };
        self.renewals.spawn(renewal).await.unwrap_or_else(|stopped| {
            // What a panic says is whoever panics' own, and may be anything: it is not passed on.
            let why = match stopped.is_panic() {
                true => "the refresh ended in a panic",
                false => "the runtime ended before the refresh did",
            };
            let source = std::io::Error::other(why);
            Err(KeepingError::Io { path, source }.into())
        })
    }

    /// Waits until no renewal is under way that this, or a clone of it, has begun. Call it before the
    /// process or its runtime ends: a renewal may outlive the call that began it, and a server that does
    /// not repeat itself says only once what the next refresh token is. It takes no longer than one call
    /// and a second: from now on an answer that is lost is left to whoever comes next. It has to be called
    /// on the runtime that the renewals run on.
    pub async fn leave(&self) {
        self.renewals.close();
        self.renewals.wait().await;
    }

    /// The same, without a network and without waiting: `None` where the token has to be renewed.
    ///
    /// # Errors
    /// [`RenewalError::NoConnection`], [`RenewalError::Keeping`]
    pub fn valid_now(
        &self,
        name: &str,
        seconds: Option<i64>,
    ) -> Result<Option<Connection>, RenewalError> {
        let connection = self.known(name)?;
        Ok(self.is_answer(&connection, seconds).then_some(connection))
    }

    fn is_answer(&self, connection: &Connection, seconds: Option<i64>) -> bool {
        // A refresh that somebody began and did not end is settled now, while the server still repeats
        // its answer, and not when the token has ended.
        let is_settled = connection.under_way_since.is_none();
        is_settled && connection.is_good_for(seconds, self.clock().now())
    }

    fn lives(&self, connection: &Connection, seconds: i64) -> bool {
        connection.ended.is_none() && connection.is_valid_for(seconds, self.clock().now())
    }

    /// A new access token in the place of one that the API refused before its time, and never that one.
    /// Where another process has replaced it already, that is the answer.
    ///
    /// # Errors
    /// [`RenewalError`]
    pub async fn replace(
        &self,
        http: &Http,
        name: &str,
        refused: &Secret,
    ) -> Result<Connection, RenewalError> {
        let lock = self.lock(name).await?;
        let connection = self.known(name)?;
        if connection.tokens.access_token != *refused {
            return Ok(connection);
        }
        self.renew_through(http, connection, lock).await
    }

    async fn renew_locked(
        &self,
        http: &Http,
        mut connection: Connection,
        lock: &Lock,
    ) -> Result<Connection, RenewalError> {
        let name = connection.name.clone();
        if let Some(why) = connection.ended {
            return Err(RenewalError::Ended { name, why });
        }
        let Some(presented) = connection.tokens.refresh_token.clone() else {
            if connection.is_valid_for(0, self.clock().now()) {
                return Err(RenewalError::NotReplaceable { name });
            }
            return self.end(connection, Ended::NoRefreshToken, lock);
        };
        let before = connection.under_way_since;
        let now = self.clock().now();
        connection.under_way_since = Some(before.unwrap_or(now));
        self.keep(&connection, lock)?;
        let asked = self.ask(http, &connection, &presented).await;
        match asked.outcome {
            Ok(tokens) => {
                connection.tokens =
                    Tokens { scope: tokens.scope.or(connection.tokens.scope), ..tokens };
                connection.renewed_at = self.clock().now();
                connection.under_way_since = None;
                self.keep(&connection, lock)?;
                Ok(connection)
            }
            Err(TokenError::Refused(refusal)) if refusal.error == "invalid_grant" => {
                let server_said = refusal.to_string();
                let lost = before.is_some() || asked.lost;
                let why = match lost {
                    true => Ended::AnswerLost { server_said },
                    false => Ended::Refused { server_said },
                };
                self.end(connection, why, lock)
            }
            Err(error) => {
                // Only what surely changed nothing takes the mark away.
                let lost = before.is_some() || asked.lost;
                if !lost {
                    connection.under_way_since = None;
                    self.keep(&connection, lock)?;
                }
                Err(RenewalError::NotNow { name, error, lost })
            }
        }
    }

    /// Sends the refresh, and again where its answer is lost: what the first may have turned, the
    /// second is given again, or nothing is lost by it.
    async fn ask(&self, http: &Http, connection: &Connection, presented: &Secret) -> Asked {
        let client = connection.client();
        let mut pauses = PAUSES.iter();
        let mut lost = false;
        loop {
            let now = self.clock().now();
            let outcome = refresh(http, &connection.server, &client, presented, now).await;
            match &outcome {
                Err(error) if error.is_unclear() => lost = true,
                _ => return Asked { outcome, lost },
            }
            // What is begun while the process leaves would be cut off.
            match pauses.next() {
                Some(pause) if !self.renewals.is_closed() => tokio::time::sleep(*pause).await,
                _ => return Asked { outcome, lost },
            }
            if self.renewals.is_closed() {
                return Asked { outcome, lost };
            }
        }
    }

    fn end(
        &self,
        mut connection: Connection,
        why: Ended,
        lock: &Lock,
    ) -> Result<Connection, RenewalError> {
        connection.ended = Some(why.clone());
        connection.under_way_since = None;
        self.keep(&connection, lock)?;
        Err(RenewalError::Ended { name: connection.name, why })
    }

    fn known(&self, name: &str) -> Result<Connection, RenewalError> {
        let found = self.find(name)?;
        found.ok_or_else(|| RenewalError::NoConnection { name: name.to_owned() })
    }
}

impl RenewalError {
    /// Whether a token that still lives is worth more than this error: the next try may well succeed, or
    /// there is nothing to try with.
    fn is_passing(&self) -> bool {
        match self {
            RenewalError::NotNow { error, .. } => {
                matches!(error, TokenError::Http(_)) || error.is_unclear() || error.is_put_off()
            }
            RenewalError::NotReplaceable { .. } => true,
            RenewalError::NoConnection { .. }
            | RenewalError::Ended { .. }
            | RenewalError::Keeping(_) => false,
        }
    }
}

/// Who renews a connection.
enum Turn {
    Ours(Lock),
    /// Somebody else, all the time; with what is on the disk meanwhile.
    Theirs(Box<Connection>),
}

/// What became of a refresh.
struct Asked {
    outcome: Result<Tokens, TokenError>,
    /// Whether an answer was lost on the way to the outcome.
    lost: bool,
}

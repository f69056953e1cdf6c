//! The clean-up of rows whose time is over, so that no table grows without bound.
//!
//! 1. [`Store::keep_clean`] walks for as long as the server runs, and rests between two walks;
//! 2. [`Store::clean_up`] takes one step: it reads the next few rows of a table by their key, and
//!    deletes those of them whose time is over, if there is one, in one small write;
//! 3. [`Walk`] remembers where the next step begins. It begins anew with the process.
//!
//! No index is kept for it: an index would cost each Allow and each refresh more than the walk does.
//! Many processes may walk at once. A delete names the state that it expects, as every write does,
//! so they find less to do and nothing else.
//!
//! Nothing goes that anybody could still ask for. Whether a grant was revoked or its client's past
//! was ended makes no difference: its row stays until the last of its tokens has expired by itself,
//! because the row is what says no. Consents have no end and stay.

use std::time::Duration;

use grantor_protocol::access_token::CLOCK_SKEW_SECONDS;
use grantor_protocol::environment::Environment;

use super::engine::{Row, Statement, Value};
use super::{Store, StoreError};
use crate::clock::Clock;

/// How many rows one step reads, and deletes at most.
const ROWS: i64 = 500;
/// The pause before the first walk: a start has more urgent work.
const FIRST: Duration = Duration::from_secs(20);
/// The pause between two steps, which leaves the writer to the requests.
const BETWEEN_STEPS: Duration = Duration::from_millis(50);
/// The pause between two walks.
const BETWEEN_WALKS: Duration = Duration::from_secs(600);
/// The pause after a step that failed.
const AFTER_FAULT: Duration = Duration::from_secs(30);

/// How much longer than its tokens a grant is kept, in seconds. An access token may outlive the
/// refresh token beside it, by a day at most (`access_token_ttl_seconds`). And a row that went back
/// in time by less than this still stands behind each living seal, which is how that is found out.
const GRANT_KEPT_SECONDS: i64 = 2 * 24 * 3600;

/// A table with rows that expire.
struct Table {
    name: &'static str,
    /// How many columns name a row, besides the environment.
    key: usize,
    /// How long after its end a row stays, in seconds.
    kept_seconds: i64,
    /// Gives the key of each row and whether it has to go. `$1` is the environment, `$2` the moment
    /// before which a row has to have ended; then the key behind which to begin, and how many.
    read: &'static str,
    /// Deletes, of the rows behind one key and up to another, those that have to go.
    delete: &'static str,
}

/// A grant that was never redeemed ends with its code. For a redeemed one `idle_expires_at` is the
/// end: it is never later than `ends_at`. A code is replayed until it expires, redeemed or not.
const TABLES: [Table; 3] = [
    Table {
        name: "grants",
        key: 1,
        kept_seconds: GRANT_KEPT_SECONDS,
        read: "SELECT id, \
               (code_expires_at < $2 AND COALESCE(idle_expires_at, code_expires_at) < $2) \
               FROM grants WHERE environment = $1 AND id > $3 ORDER BY id LIMIT $4",
        delete: "DELETE FROM grants WHERE environment = $1 AND id > $3 AND id <= $4 \
                 AND code_expires_at < $2 AND COALESCE(idle_expires_at, code_expires_at) < $2",
    },
    Table {
        name: "revoked_tokens",
        key: 2,
        kept_seconds: CLOCK_SKEW_SECONDS,
        read: "SELECT grant_id, token_id, expires_at < $2 FROM revoked_tokens \
               WHERE environment = $1 AND (grant_id, token_id) > ($3, $4) \
               ORDER BY grant_id, token_id LIMIT $5",
        delete: "DELETE FROM revoked_tokens WHERE environment = $1 \
                 AND (grant_id, token_id) > ($3, $4) AND (grant_id, token_id) <= ($5, $6) \
                 AND expires_at < $2",
    },
    Table {
        name: "sessions",
        key: 1,
        kept_seconds: CLOCK_SKEW_SECONDS,
        read: "SELECT id_digest, expires_at < $2 FROM sessions \
               WHERE environment = $1 AND id_digest > $3 ORDER BY id_digest LIMIT $4",
        delete: "DELETE FROM sessions WHERE environment = $1 AND id_digest > $3 \
                 AND id_digest <= $4 AND expires_at < $2",
    },
];

/// How far a walk through an environment's tables has come.
#[derive(Clone, Debug)]
pub struct Walk {
    environment: Environment,
    rows: i64,
    /// The place in [`TABLES`].
    table: usize,
    /// The key of the last row that was read.
    last: Vec<Vec<u8>>,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// How many rows it read.
    pub read: usize,
    /// How many of them had to go, and went.
    pub expired: usize,
    /// Whether that was the last row of the last table. The next step begins a new walk.
    pub finished: bool,
}

impl Walk {
    /// At the beginning.
    pub fn new(environment: Environment) -> Walk {
        Walk::in_steps(environment, ROWS)
    }

    /// At the beginning, with no more than `rows` in a step.
    pub fn in_steps(environment: Environment, rows: i64) -> Walk {
        Walk { environment, rows, table: 0, last: TABLES[0].before_all() }
    }
}

impl Table {
    /// A key before all others.
    fn before_all(&self) -> Vec<Vec<u8>> {
        vec![Vec::new(); self.key]
    }

    fn read_key(&self, row: Row) -> Result<(Vec<Vec<u8>>, bool), StoreError> {
        let mut row = row.columns(self.name, "(being cleaned up)");
        let key = (0..self.key).map(|_| row.bytes("(key)")).collect::<Result<_, _>>()?;
        Ok((key, row.boolean("(expired)")?))
    }
}

impl Store {
    /// Walks again and again. Never done; to stop it in between loses nothing.
    pub async fn keep_clean(&self, environment: Environment, clock: &Clock) {
        let mut walk = Walk::new(environment);
        let mut expired = 0;
        let mut pause = FIRST;
        loop {
            tokio::time::sleep(pause).await;
            pause = match self.clean_up(&mut walk, clock.now()).await {
                Ok(swept) => {
                    expired += swept.expired;
                    if swept.finished { BETWEEN_WALKS } else { BETWEEN_STEPS }
                }
                Err(error) => {
                    tracing::warn!(%environment, %error, "cleanup: goes on in a while");
                    AFTER_FAULT
                }
            };
            if pause == BETWEEN_WALKS && expired > 0 {
                tracing::info!(%environment, rows = expired, "cleanup");
                expired = 0;
            }
        }
    }

    /// Takes the next step of a walk. `now` is in Unix seconds. Where it fails the walk stays where
    /// it is.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn clean_up(&self, walk: &mut Walk, now: i64) -> Result<Swept, StoreError> {
        let Some(table) = TABLES.get(walk.table) else {
            return Err(StoreError::Engine("there is no such table to clean up".into()));
        };
        let ended_before = now.saturating_sub(table.kept_seconds);
        let mut values = vec![walk.environment.as_str().into(), ended_before.into()];
        values.extend(walk.last.iter().cloned().map(Value::Bytes));
        let mut reading = values.clone();
        reading.push(walk.rows.into());
        let rows = self.engine.read(table.read, reading).await?;
        let (read, mut expired, mut last) = (rows.len(), 0, None);
        for row in rows {
            let (key, is_expired) = table.read_key(row)?;
            expired += usize::from(is_expired);
            last = Some(key);
        }
        if let Some(last) = last.as_ref().filter(|_| expired > 0) {
            values.extend(last.iter().cloned().map(Value::Bytes));
            self.engine.write(vec![Statement::any(table.delete, values)]).await?;
        }
        match last {
            Some(last) if i64::try_from(read) == Ok(walk.rows) => walk.last = last,
            Some(_) | None => {
                walk.table = (walk.table + 1) % TABLES.len();
                walk.last = TABLES[walk.table].before_all();
                return Ok(Swept { read, expired, finished: walk.table == 0 });
            }
        }
        Ok(Swept { read, expired, finished: false })
    }
}

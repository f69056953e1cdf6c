//! Keeps the log of each client small, in small steps: so many of its newest rows, and none that is
//! too old.
//!
//! Refused calls that nobody proved to be the client's are counted apart: whoever sends many of them
//! in a client's name pushes nothing of the client's own out.

use grantor_protocol::environment::Environment;

use super::super::engine::{Statement, Value};
use super::super::{Store, StoreError};

/// So many calls of a client stay.
const KEPT: i64 = 500;
/// So many refused calls stay that anybody may have sent.
const KEPT_UNPROVED: i64 = 100;
/// A trial that is over stays for so long, in seconds.
const TRIALS_STAY_SECONDS: i64 = 24 * 3600;

/// What a step of trimming came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// The client that was looked at; the next step goes behind it, or to it once more.
    pub client_key: i64,
    /// Whether there may be more to remove of the same client.
    pub again: bool,
    /// Whether anything was removed.
    pub removed: bool,
}

const NEXT_CLIENT: &str = "SELECT client_key FROM request_log WHERE environment = $1 \
     AND client_key > $2 ORDER BY client_key LIMIT 1";

/// The oldest that stays of either kind: what is behind it goes. `proved` and `cause` say which kind.
const OLDEST_KEPT: &str = "SELECT called_at FROM request_log \
     WHERE environment = $1 AND client_key = $2 AND (proved OR cause IS NULL) = $3 \
     ORDER BY called_at DESC, request_id DESC LIMIT 1 OFFSET $4";

const REMOVE: &str = "DELETE FROM request_log WHERE environment = $1 AND client_key = $2 \
     AND (called_at, request_id) IN (SELECT called_at, request_id FROM request_log \
       WHERE environment = $1 AND client_key = $2 AND (proved OR cause IS NULL) = $3 \
       AND called_at < $4 ORDER BY called_at, request_id LIMIT $5)";

const COUNT: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM request_log WHERE environment = $1 \
     AND client_key = $2 AND (proved OR cause IS NULL) = $3 AND called_at < $4 LIMIT $5) AS old";

impl Store {
    /// Makes one step: of the next client behind `after`, removes at most `rows` rows of a kind that
    /// are too many, or were called before `before_millis`. `None` at the end.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn trim_request_log(
        &self,
        environment: Environment,
        after: i64,
        before_millis: i64,
        rows: i64,
    ) -> Result<Option<Trimmed>, StoreError> {
        let values = vec![environment.as_str().into(), after.into()];
        let Some(row) = self.engine.read(NEXT_CLIENT, values).await?.into_iter().next() else {
            return Ok(None);
        };
        let client_key = row.columns("request_log", "(next)").integer("client_key")?;
        let (mut again, mut removed) = (false, false);
        for (own, kept) in [(true, KEPT), (false, KEPT_UNPROVED)] {
            let of = || -> Vec<Value> {
                vec![environment.as_str().into(), client_key.into(), own.into()]
            };
            let mut values = of();
            values.push((kept - 1).into());
            let oldest = self.engine.read(OLDEST_KEPT, values).await?.into_iter().next();
            let oldest = oldest
                .map(|row| row.columns("request_log", "(oldest)").integer("called_at"))
                .transpose()?;
            let before = oldest.map_or(before_millis, |oldest| oldest.max(before_millis));
            let mut values = of();
            values.extend([before.into(), rows.into()]);
            let found = self.engine.read(COUNT, values.clone()).await?.into_iter().next();
            let found =
                found.map_or(Ok(0), |row| row.columns("request_log", "(old)").integer("count"))?;
            if found > 0 {
                self.engine.write(vec![Statement::any(REMOVE, values)]).await?;
            }
            again |= found == rows;
            removed |= found > 0;
        }
        Ok(Some(Trimmed { client_key, again, removed }))
    }

    /// Removes trials that are over.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_past_trials(
        &self,
        environment: Environment,
        now: i64,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM trials WHERE environment = $1 AND expires_at < $2";
        let values = vec![environment.as_str().into(), (now - TRIALS_STAY_SECONDS).into()];
        self.engine.write(vec![Statement::any(sql, values)]).await.map(|_| ())
    }
}

//! Rows of which nothing can come any more, and their removal in small steps.
//!
//! A step looks at so many rows in the order of their ids and removes those of them that expired, in
//! one short transaction; nothing waits for it longer than for any other write. There is no index
//! for it, which every insert and every refresh would pay: whoever cleans walks the whole table, a
//! step at a time. Two processes that walk at once do the same thing twice, and harm nobody.

use grantor_protocol::environment::Environment;

use super::engine::Statement;
use super::{Store, StoreError};

/// A table whose rows expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiring {
    /// Grants: pending ones with their code, the others with their last refresh token. One that was
    /// revoked stays as long as it would have lived, so that whoever still has a token is told why.
    Grants,
    /// Sessions of customers.
    Sessions,
    /// Access tokens that were revoked alone: by then they have expired by themselves, and no clock
    /// that is put right makes them live again.
    RevokedTokens,
}

/// Where a walk begins and how far a step goes.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Of this environment.
    pub environment: Environment,
    /// In this table.
    pub table: Expiring,
    /// Behind this id; empty at the beginning.
    pub after: &'a [u8],
    /// What expired before this time, in Unix seconds.
    pub before: i64,
    /// So many rows at most.
    pub rows: i64,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// How many rows were found to be removed.
    pub rows: u64,
    /// Where the next step begins; `None` at the end of the table.
    pub next: Option<Vec<u8>>,
}

impl Expiring {
    /// All of them.
    pub const ALL: [Expiring; 3] = [Expiring::Grants, Expiring::Sessions, Expiring::RevokedTokens];

    /// Gives each id, and whether its row expired.
    fn look(self) -> &'static str {
        match self {
            Expiring::Grants => {
                "SELECT id, CASE WHEN generation = 0 THEN code_expires_at <= $3 \
                   ELSE idle_expires_at <= $3 OR COALESCE(ends_at <= $3, FALSE) END \
                 FROM grants WHERE environment = $1 AND id > $2 ORDER BY id LIMIT $4"
            }
            Expiring::Sessions => {
                "SELECT id_digest, expires_at <= $3 FROM sessions \
                 WHERE environment = $1 AND id_digest > $2 ORDER BY id_digest LIMIT $4"
            }
            // The tokens of one grant are removed together, so a step may end between them.
            Expiring::RevokedTokens => {
                "SELECT grant_id, expires_at <= $3 FROM revoked_tokens \
                 WHERE environment = $1 AND grant_id > $2 ORDER BY grant_id LIMIT $4"
            }
        }
    }

    /// It asks again what was seen: a grant that was refreshed meanwhile lives.
    fn remove(self) -> &'static str {
        match self {
            Expiring::Grants => {
                "DELETE FROM grants WHERE environment = $1 AND id > $2 AND id <= $4 \
                 AND CASE WHEN generation = 0 THEN code_expires_at <= $3 \
                   ELSE idle_expires_at <= $3 OR COALESCE(ends_at <= $3, FALSE) END"
            }
            Expiring::Sessions => {
                "DELETE FROM sessions WHERE environment = $1 AND id_digest > $2 \
                 AND id_digest <= $4 AND expires_at <= $3"
            }
            Expiring::RevokedTokens => {
                "DELETE FROM revoked_tokens WHERE environment = $1 AND grant_id > $2 \
                 AND grant_id <= $4 AND expires_at <= $3"
            }
        }
    }
}

impl Store {
    /// Makes one step.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_expired(&self, step: &Step<'_>) -> Result<Removed, StoreError> {
        let Step { environment, table, after, before, rows } = *step;
        let values = vec![environment.as_str().into(), after.into(), before.into(), rows.into()];
        let found = self.engine.read(table.look(), values).await?;
        let is_end = i64::try_from(found.len()).is_ok_and(|found| found < rows);
        let (mut expired, mut last) = (0, None);
        for row in found {
            let mut row = row.columns("(expiring)", "(looked at)");
            last = Some(row.bytes("id")?);
            expired += u64::from(row.boolean("expired")?);
        }
        if let Some(last) = last.as_deref().filter(|_| expired > 0) {
            let values =
                vec![environment.as_str().into(), after.into(), before.into(), last.into()];
            self.engine.write(vec![Statement::any(table.remove(), values)]).await?;
        }
        Ok(Removed { rows: expired, next: last.filter(|_| !is_end) })
    }
}

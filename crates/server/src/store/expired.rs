//! Rows of which nothing can come any more, and their removal in small steps.
//!
//! A step looks at so many rows in the order of their ids and removes those of them that expired, in
//! one short transaction; nothing waits for it longer than for any other write. There is no index
//! for it, which every insert and every refresh would pay: whoever cleans walks the whole table, a
//! step at a time. (Whether anybody ever consented to a client is asked of an index, which a first
//! Allow alone pays.) Two processes that walk at once do the same thing twice, and harm nobody.

use grantor_protocol::environment::Environment;

use super::engine::{Columns, Statement, Value};
use super::{Store, StoreError};

/// Where the id of a revoked token's grant ends, and its own begins.
const GRANT_ID_BYTES: usize = 16;

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
    /// Values that were used once.
    OnceValues,
    /// Authorization requests that were pushed.
    PushedRequests,
    /// Devices that waited to be allowed.
    DeviceAuthorizations,
    /// Clients that registered themselves, or are known by their document, and that no customer
    /// ever consented to: anybody may make ten thousand of them, and nobody could make one more.
    ///
    /// A grant is born beside its consent, and a consent's row stays for ever, so who has none has
    /// never had a grant. What somebody of the company made, approved, or switched off as the
    /// client of a document stays: switched on again by its own document it would be back. What
    /// registered itself has an id that was drawn at random, which is as good as never used again
    /// (S24).
    ///
    /// Who allows one in the very moment in which it goes is refused, or has a grant that is not in
    /// force, as if it had been switched off then.
    UnusedClients,
    /// Tallies of tries whose window is over.
    Throttles,
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
    pub const ALL: [Expiring; 8] = [
        Expiring::Grants,
        Expiring::Sessions,
        Expiring::RevokedTokens,
        Expiring::OnceValues,
        Expiring::PushedRequests,
        Expiring::DeviceAuthorizations,
        Expiring::UnusedClients,
        Expiring::Throttles,
    ];

    /// Gives each id, and whether its row expired. `$1` is the environment, `$2` the time, and then
    /// come the id behind which to look and how many rows to look at.
    fn look(self) -> &'static str {
        match self {
            Expiring::Grants => {
                "SELECT id, CASE WHEN generation = 0 THEN code_expires_at <= $2 \
                   ELSE idle_expires_at <= $2 OR COALESCE(ends_at <= $2, FALSE) END \
                 FROM grants WHERE environment = $1 AND id > $3 ORDER BY id LIMIT $4"
            }
            Expiring::Sessions => {
                "SELECT id_digest, expires_at <= $2 FROM sessions \
                 WHERE environment = $1 AND id_digest > $3 ORDER BY id_digest LIMIT $4"
            }
            Expiring::RevokedTokens => {
                "SELECT grant_id, token_id, expires_at <= $2 FROM revoked_tokens \
                 WHERE environment = $1 AND (grant_id, token_id) > ($3, $4) \
                 ORDER BY grant_id, token_id LIMIT $5"
            }
            Expiring::OnceValues => {
                "SELECT id, expires_at <= $2 FROM once_values \
                 WHERE environment = $1 AND id > $3 ORDER BY id LIMIT $4"
            }
            Expiring::PushedRequests => {
                "SELECT id, expires_at <= $2 FROM pushed_requests \
                 WHERE environment = $1 AND id > $3 ORDER BY id LIMIT $4"
            }
            Expiring::DeviceAuthorizations => {
                "SELECT id, expires_at <= $2 FROM device_authorizations \
                 WHERE environment = $1 AND id > $3 ORDER BY id LIMIT $4"
            }
            Expiring::UnusedClients => {
                "SELECT key, c.created_at <= $2 AND NOT c.approved AND NOT c.demo \
                   AND (COALESCE(c.registration, '') = 'itself' \
                     OR COALESCE(c.registration, '') = 'document' AND NOT c.disabled) \
                   AND NOT EXISTS (SELECT 1 FROM consents k \
                     WHERE k.environment = $1 AND k.client_key = c.key) \
                 FROM clients c WHERE c.environment = $1 AND c.key > $3 ORDER BY c.key LIMIT $4"
            }
            Expiring::Throttles => {
                "SELECT id, expires_at <= $2 FROM throttles \
                 WHERE realm = $1 AND id > $3 ORDER BY id LIMIT $4"
            }
        }
    }

    /// It asks again what was seen: a grant that was refreshed meanwhile lives. Up to the last id
    /// that was looked at, which comes last.
    fn remove(self) -> &'static str {
        match self {
            Expiring::Grants => {
                "DELETE FROM grants WHERE environment = $1 AND id > $3 AND id <= $4 \
                 AND CASE WHEN generation = 0 THEN code_expires_at <= $2 \
                   ELSE idle_expires_at <= $2 OR COALESCE(ends_at <= $2, FALSE) END"
            }
            Expiring::Sessions => {
                "DELETE FROM sessions WHERE environment = $1 AND id_digest > $3 \
                 AND id_digest <= $4 AND expires_at <= $2"
            }
            Expiring::RevokedTokens => {
                "DELETE FROM revoked_tokens WHERE environment = $1 \
                 AND (grant_id, token_id) > ($3, $4) AND (grant_id, token_id) <= ($5, $6) \
                 AND expires_at <= $2"
            }
            Expiring::OnceValues => {
                "DELETE FROM once_values WHERE environment = $1 AND id > $3 AND id <= $4 \
                 AND expires_at <= $2"
            }
            Expiring::PushedRequests => {
                "DELETE FROM pushed_requests WHERE environment = $1 AND id > $3 AND id <= $4 \
                 AND expires_at <= $2"
            }
            Expiring::DeviceAuthorizations => {
                "DELETE FROM device_authorizations WHERE environment = $1 AND id > $3 \
                 AND id <= $4 AND expires_at <= $2"
            }
            Expiring::UnusedClients => {
                "DELETE FROM clients WHERE environment = $1 AND key > $3 AND key <= $4 \
                 AND created_at <= $2 AND NOT approved AND NOT demo \
                 AND (registration = 'itself' OR registration = 'document' AND NOT disabled) \
                 AND NOT EXISTS (SELECT 1 FROM consents k \
                   WHERE k.environment = $1 AND k.client_key = clients.key)"
            }
            Expiring::Throttles => {
                "DELETE FROM throttles WHERE realm = $1 AND id > $3 AND id <= $4 \
                 AND expires_at <= $2"
            }
        }
    }

    /// An id as the columns that it stands in: a revoked token's is its grant's and its own, for a
    /// client may revoke many of one grant.
    fn columns(self, id: &[u8]) -> Vec<Value> {
        match self {
            Expiring::Grants
            | Expiring::Sessions
            | Expiring::OnceValues
            | Expiring::PushedRequests
            | Expiring::DeviceAuthorizations
            | Expiring::Throttles => vec![id.into()],
            Expiring::RevokedTokens => {
                let (grant_id, token_id) = id.split_at(id.len().min(GRANT_ID_BYTES));
                vec![grant_id.into(), token_id.into()]
            }
            // A client's key is a number, and any number may be one.
            Expiring::UnusedClients => {
                vec![id.try_into().map_or(i64::MIN, i64::from_be_bytes).into()]
            }
        }
    }

    fn read_id(self, row: &mut Columns) -> Result<Vec<u8>, StoreError> {
        if self == Expiring::UnusedClients {
            return Ok(row.integer("key")?.to_be_bytes().to_vec());
        }
        let mut id = row.bytes("id")?;
        if self == Expiring::RevokedTokens {
            id.extend(row.bytes("token_id")?);
        }
        Ok(id)
    }
}

impl Store {
    /// Makes one step.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_expired(&self, step: &Step<'_>) -> Result<Removed, StoreError> {
        let Step { environment, table, after, before, rows } = *step;
        let mut values = vec![environment.as_str().into(), before.into()];
        values.extend(table.columns(after));
        let mut look = values.clone();
        look.push(rows.into());
        let found = self.engine.read(table.look(), look).await?;
        let is_end = i64::try_from(found.len()).is_ok_and(|found| found < rows);
        let (mut expired, mut last) = (0, None);
        for row in found {
            let mut row = row.columns("(expiring)", "(looked at)");
            last = Some(table.read_id(&mut row)?);
            expired += u64::from(row.boolean("expired")?);
        }
        if let Some(last) = last.as_deref().filter(|_| expired > 0) {
            values.extend(table.columns(last));
            let removal = vec![Statement::any(table.remove(), values)];
            if table == Expiring::UnusedClients {
                self.write_clients(removal).await?;
            } else {
                self.engine.write(removal).await?;
            }
        }
        Ok(Removed { rows: expired, next: last.filter(|_| !is_end) })
    }
}

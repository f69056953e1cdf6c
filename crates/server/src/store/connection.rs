//! Connections, as an operator looks at them: grants, with whose they are.

use grantor_protocol::environment::Environment;
use grantor_protocol::grant::Grant;

use super::engine::Row;
use super::grant::read_grant;
use super::{Store, StoreError};

/// A grant, and the address of its customer.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The grant.
    pub grant: Grant,
    /// The customer's address, in lower case.
    pub email: String,
}

/// Which connections are wanted.
#[derive(Clone, Copy, Debug)]
pub struct WhichConnections<'a> {
    /// Of this environment.
    pub environment: Environment,
    /// Of this client alone.
    pub client_id: Option<&'a str>,
    /// Of the customer of this address alone, in lower case.
    pub email: Option<&'a str>,
    /// So many at most.
    pub limit: i64,
}

impl Store {
    /// The connections that are wanted, whatever became of them, the newest first: ids are
    /// time-ordered. It reads grants in the order of their ids until it has enough, which takes
    /// time where few of many are wanted; it is for people, and no request waits for it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn connections(
        &self,
        which: &WhichConnections<'_>,
    ) -> Result<Vec<Connection>, StoreError> {
        let sql = "SELECT u.email, g.id, g.client_id, g.customer_id, g.scope, g.businesses, \
                   g.redirect_uri, g.code_challenge, g.code_expires_at, g.ends_at, g.status, \
                   g.generation, g.redeemed_at, g.turned_at, g.idle_expires_at, g.repeated, \
                   g.repeats_running, g.revoked_at, \
                   (NOT c.disabled AND c.counter = g.client_counter AND u.counter = g.customer_counter \
                    AND k.counter = g.consent_counter) \
                   FROM grants g \
                   JOIN clients c ON c.environment = g.environment AND c.id = g.client_id \
                   JOIN customers u ON u.environment = g.environment AND u.id = g.customer_id \
                   JOIN consents k ON k.environment = g.environment \
                     AND k.customer_id = g.customer_id AND k.client_id = g.client_id \
                   WHERE g.environment = $1 AND g.client_id = COALESCE($2, g.client_id) \
                   AND u.email = COALESCE($3, u.email) \
                   ORDER BY g.id DESC LIMIT $4";
        let values = vec![
            which.environment.as_str().into(),
            which.client_id.into(),
            which.email.into(),
            which.limit.into(),
        ];
        self.engine.read(sql, values).await?.into_iter().map(read_connection).collect()
    }
}

fn read_connection(row: Row) -> Result<Connection, StoreError> {
    let mut row = row.columns("grants", "(being listed)");
    let email = row.text("email")?;
    let id = row.array("id")?;
    Ok(Connection { grant: read_grant(id, row)?, email })
}

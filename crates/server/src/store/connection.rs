//! Connections, as an operator looks at them: grants, with whose they are.

use std::sync::LazyLock;

use grantor_protocol::environment::Environment;
use grantor_protocol::grant::Grant;

use super::engine::Row;
use super::grant::{COLUMNS, TABLES, read_grant};
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

static CONNECTIONS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT u.email, g.id, {COLUMNS} FROM {TABLES} \
         WHERE g.environment = $1 AND c.id = COALESCE($2, c.id) \
         AND u.email = COALESCE($3, u.email) ORDER BY g.id DESC LIMIT $4"
    )
});

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
        let values = vec![
            which.environment.as_str().into(),
            which.client_id.into(),
            which.email.into(),
            which.limit.into(),
        ];
        self.engine.read(&CONNECTIONS, values).await?.into_iter().map(read_connection).collect()
    }
}

fn read_connection(row: Row) -> Result<Connection, StoreError> {
    let mut row = row.columns("grants", "(being listed)");
    let email = row.text("email")?;
    let id = row.array("id")?;
    Ok(Connection { grant: read_grant(id, row)?, email })
}

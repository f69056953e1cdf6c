//! The engine below the store: the only folder that knows that there are two.
//!
//! A transaction is a value: a list of [`Statement`]s, each with the number of rows that it has to
//! change. Either all of it happens, or, where one statement changes another number, none of it.
//! That is all that a store of conditional writes needs, and it can be batched, retried and
//! injected with faults by whoever carries it out.
//!
//! 1. `address.rs` says which database it is, and `sqlite.rs` and `postgres.rs` carry it out;
//! 2. `hot.rs` is a conditional write that many callers make at once: one text, from which each
//!    engine makes its own form;
//! 3. `value.rs` is what goes in and comes out.

mod address;
mod hot;
mod postgres;
#[cfg(test)]
mod simulated;
mod sqlite;
mod value;

pub use address::{Address, AddressError, Database};
pub(super) use hot::{HotWrite, Parameter};
pub(super) use postgres::{connect, described, parameters};
#[cfg(test)]
pub(crate) use simulated::{Simulated, Weather};
pub(super) use value::{Columns, Row, Value};

use std::sync::Arc;

use postgres::Postgres;
use sqlite::Sqlite;

use super::{StoreError, StoreMetrics};

/// The database. Cloned freely.
#[derive(Clone)]
pub(super) enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
    #[cfg(test)]
    Simulated(Simulated),
}

/// One statement of a transaction. Its parameters are written `$1`, `$2`, ….
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) sql: Sql,
    pub(super) values: Vec<Value>,
    pub(super) expect: Expect,
}

/// The text of a statement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sql {
    Text(&'static str),
    Hot(&'static HotWrite),
}

/// How many rows a statement has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// Any number: the statement is no condition of the transaction.
    Any,
    /// One. Otherwise the state was not the expected one, and nothing of the transaction happens.
    One,
}

/// What became of a transaction.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It is committed. The row is what its last statement gives back, where it is a hot write that
    /// does.
    Done(Option<Row>),
    /// A statement found another state than it expected, or another caller was faster. Nothing
    /// happened, and the caller decides again from what is true now.
    Refused,
}

impl Engine {
    /// Opens the database, making a SQLite file where there is none.
    pub(super) async fn open(
        address: &Address,
        metrics: &Arc<StoreMetrics>,
    ) -> Result<Engine, StoreError> {
        match address {
            Address::Sqlite(path) => Sqlite::open(path, metrics).map(Engine::Sqlite),
            Address::Postgres(database) => {
                Postgres::open(database, metrics).await.map(Engine::Postgres)
            }
        }
    }

    /// Carries out a transaction, and answers after its commit. A caller that goes away cancels
    /// nothing.
    pub(super) async fn write(&self, transaction: Vec<Statement>) -> Result<Outcome, StoreError> {
        match self {
            Engine::Sqlite(sqlite) => sqlite.write(transaction).await,
            Engine::Postgres(postgres) => postgres.write(transaction).await,
            #[cfg(test)]
            Engine::Simulated(simulated) => simulated.write(transaction).await,
        }
    }

    /// Reads.
    pub(super) async fn read(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        match self {
            Engine::Sqlite(sqlite) => sqlite.read(sql, &values),
            Engine::Postgres(postgres) => postgres.read(sql, &values).await,
            #[cfg(test)]
            Engine::Simulated(simulated) => simulated.read(sql, &values).await,
        }
    }

    /// Carries out one statement of a migration, with the words that differ put in: `{BYTES}`, and
    /// `{CLUSTERED}` for a table that is its own index where there is such a thing.
    pub(super) async fn migrate(&self, statement: &str) -> Result<(), StoreError> {
        match self {
            Engine::Sqlite(sqlite) => sqlite.migrate(&dialect(statement, "BLOB", " WITHOUT ROWID")),
            Engine::Postgres(postgres) => postgres.migrate(&Engine::for_postgres(statement)).await,
            #[cfg(test)]
            Engine::Simulated(simulated) => {
                simulated.migrate(&dialect(statement, "BLOB", " WITHOUT ROWID"))
            }
        }
    }

    /// A statement of a migration in PostgreSQL's words.
    pub(super) fn for_postgres(statement: &str) -> String {
        dialect(statement, "BYTEA", "")
    }
}

fn dialect(statement: &str, bytes: &str, clustered: &str) -> String {
    statement.replace("{BYTES}", bytes).replace("{CLUSTERED}", clustered)
}

impl Statement {
    pub(super) fn new(sql: &'static str, values: Vec<Value>) -> Statement {
        Statement { sql: Sql::Text(sql), values, expect: Expect::One }
    }

    pub(super) fn any(sql: &'static str, values: Vec<Value>) -> Statement {
        Statement { sql: Sql::Text(sql), values, expect: Expect::Any }
    }

    pub(super) fn hot(write: &'static HotWrite, values: Vec<Value>) -> Statement {
        Statement { sql: Sql::Hot(write), values, expect: Expect::One }
    }

    /// Whether it gives back the row that it wrote.
    fn gives_back(&self) -> bool {
        matches!(self.sql, Sql::Hot(write) if write.gives_back())
    }

    /// The text that carries out this statement alone.
    fn text(&self) -> &'static str {
        match self.sql {
            Sql::Text(text) => text,
            Sql::Hot(write) => write.single(),
        }
    }
}

impl Outcome {
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Outcome::Done(_))
    }
}

//! Puts a backup into an empty PostgreSQL database: all of it or nothing.
//!
//! 1. [`EmptyDatabase::open`] sees that it is empty, and changes nothing;
//! 2. [`EmptyDatabase::load`] first commits a table that says that a restore is under way: whoever
//!    starts a server on the database from now on is refused, on every machine. Then one transaction
//!    makes the tables, copies the rows in, and changes what `change.rs` says;
//! 3. [`Loaded::commit`] takes that table away in the same transaction. A crash at any moment leaves
//!    an empty database that nobody serves, or the whole one; the restore can be run again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{BufReader, Read};
use std::path::Path;
use std::pin::pin;

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::change::{Restored, Restoring};
use super::file::{self, Summed, damaged, io};
use super::rows::{self, Table, list, quoted, refused};
use super::{BackupError, Header};
use crate::store::engine::{Address, Database, Engine, connect, described, parameters};
use crate::store::{StoreError, migration};

/// The table that stands in a database while a restore fills it.
const MARKER: &str = "restore_under_way";

/// A PostgreSQL database without a row. A server that was started on it by mistake may have made its
/// tables.
pub struct EmptyDatabase {
    client: Client,
    name: String,
}

/// A database with everything in it, not committed yet.
pub struct Loaded {
    client: Client,
    /// What was changed.
    pub done: Restored,
}

impl EmptyDatabase {
    /// Connects.
    pub(super) async fn open(database: &Database, name: String) -> Result<Self, BackupError> {
        let client = connect(database).await?;
        refuse_rows(&client, &name).await?;
        Ok(EmptyDatabase { client, name })
    }

    /// Fills it. Nothing of it can be seen before [`Loaded::commit`].
    ///
    /// # Errors
    /// [`BackupError`]; then the database is empty as before.
    pub async fn load(
        self,
        file: &Path,
        header: &Header,
        restoring: &Restoring<'_>,
    ) -> Result<Loaded, BackupError> {
        let EmptyDatabase { client, name } = self;
        claim(&client, &name).await?;
        let filled = async {
            clear(&client, &name).await?;
            fill(&client, file, header, restoring).await
        };
        match filled.await {
            Ok(done) => Ok(Loaded { client, done }),
            Err(error) => {
                undo(&client).await;
                Err(error)
            }
        }
    }
}

impl Loaded {
    /// Makes it last.
    ///
    /// # Errors
    /// [`BackupError::Unknown`] where the connection was lost meanwhile.
    pub async fn commit(self) -> Result<Restored, BackupError> {
        let committed = self.client.batch_execute(&format!("DROP TABLE {MARKER}; COMMIT")).await;
        match committed {
            Ok(()) => Ok(self.done),
            Err(error) if error.as_db_error().is_some() => {
                undo(&self.client).await;
                Err(refused("the restore cannot be committed")(error))
            }
            Err(error) => Err(BackupError::Unknown { why: described(&error) }),
        }
    }

    /// Leaves the database empty as it was.
    pub async fn undo(self) {
        undo(&self.client).await;
    }
}

/// A server that was started meanwhile would make tables of its own; and of two restores one waits.
async fn claim(client: &Client, name: &str) -> Result<(), BackupError> {
    let failed = || refused("the restore cannot begin");
    let marker = format!("CREATE TABLE IF NOT EXISTS {MARKER} (since BIGINT)");
    client.batch_execute(&marker).await.map_err(failed())?;
    // One that was killed a moment ago holds it until the database notices.
    let begin = format!(
        "BEGIN; SET LOCAL lock_timeout = '10s'; LOCK TABLE {MARKER} IN ACCESS EXCLUSIVE MODE; \
         SET LOCAL lock_timeout = 0"
    );
    client.batch_execute(&begin).await.map_err(|error| match error.code() {
        // The other one committed, which takes the table away, or still is at it.
        Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::UNDEFINED_TABLE) => {
            BackupError::InUse { database: name.to_owned() }
        }
        _ => failed()(error),
    })
}

/// Sees that there is no table but empty ones of ours, and answers which.
async fn refuse_rows(client: &Client, name: &str) -> Result<Vec<String>, BackupError> {
    let failed = || refused("the tables cannot be listed");
    let sql = "SELECT CAST(relname AS TEXT) FROM pg_class \
               WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) \
               AND relkind IN ('r', 'p') AND relname <> $1 ORDER BY relname";
    let rows = client.query(sql, &[&MARKER]).await.map_err(failed())?;
    let mut tables = Vec::new();
    for row in rows {
        let table: String = row.try_get(0).map_err(failed())?;
        let ours = migration::tables(migration::known()).contains(&table.as_str());
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(&table));
        let is_empty = match table.as_str() {
            // What the tables are, and no row of anybody's.
            "schema_migrations" | "schema_leases" => true,
            _ if ours => !client
                .query_one(&sql, &[])
                .await
                .and_then(|row| row.try_get::<_, bool>(0))
                .map_err(failed())?,
            _ => false,
        };
        if !is_empty {
            return Err(BackupError::NotEmpty { database: name.to_owned(), table });
        }
        tables.push(table);
    }
    Ok(tables)
}

/// Takes empty tables away, so that those of the backup's version come to their place.
async fn clear(client: &Client, name: &str) -> Result<(), BackupError> {
    let tables = refuse_rows(client, name).await?;
    if tables.is_empty() {
        return Ok(());
    }
    let failed = || refused("the empty tables cannot be taken away");
    let list = list(&tables);
    let lock = format!("LOCK TABLE {list} IN ACCESS EXCLUSIVE MODE");
    client.batch_execute(&lock).await.map_err(failed())?;
    // Whoever wrote before the lock was had is seen now.
    refuse_rows(client, name).await?;
    client.batch_execute(&format!("DROP TABLE {list}")).await.map_err(failed())
}

/// Where it fails the connection is gone, and the transaction with it; the table that stays says so.
async fn undo(client: &Client) {
    let _ = client.batch_execute(&format!("ROLLBACK; DROP TABLE IF EXISTS {MARKER}")).await;
}

async fn fill(
    client: &Client,
    file: &Path,
    header: &Header,
    restoring: &Restoring<'_>,
) -> Result<Restored, BackupError> {
    for statement in migration::statements(header.schema_version) {
        client
            .batch_execute(&Engine::for_postgres(&statement))
            .await
            .map_err(refused("a table cannot be made"))?;
    }
    copy_in(client, file, header).await?;
    let found = rows::installation(client).await?;
    if found.is_none_or(|it| it.master_key_id != header.master_key_id || it.epoch != header.epoch) {
        return Err(damaged(file, "its header is of another database"));
    }
    let failed = || refused("what ended cannot be ended again");
    let (mut done, mut prepared) = (Restored::default(), HashMap::new());
    for change in restoring.changes() {
        let statement = match prepared.entry(change.sql) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(client.prepare(change.sql).await.map_err(failed())?),
        };
        let changed = client.execute(&*statement, &parameters(&change.values)).await;
        change.count(changed.map_err(failed())?, &mut done);
    }
    Ok(done)
}

/// The file may have changed since it was checked, so it is summed up once more.
async fn copy_in(client: &Client, file: &Path, header: &Header) -> Result<(), BackupError> {
    let (_, body) = file::open(file)?;
    let mut body = BufReader::new(Summed::new(body));
    let mut tables: Vec<&str> = Vec::new();
    let known = migration::tables(header.schema_version);
    while let Some(head) = frame(file, &mut body)? {
        let table: Table = serde_json::from_slice(&head)
            .map_err(|_| damaged(file, "the name of a table cannot be read"))?;
        let Some(name) = known.iter().find(|name| **name == table.table) else {
            return Err(damaged(file, format!("it holds a table {:?}", table.table)));
        };
        let rows = copy_table(client, file, &mut body, &table).await?;
        if header.tables.get(*name).copied().and_then(|rows| u64::try_from(rows).ok()) != Some(rows)
        {
            let what =
                format!("its table {name} has {rows} rows, and its header says another number");
            return Err(damaged(file, what));
        }
        tables.push(name);
    }
    file::compare(file, header, &body.into_inner().sum())?;
    if tables != known {
        return Err(damaged(file, "a table is missing"));
    }
    Ok(())
}

async fn copy_table(
    client: &Client,
    file: &Path,
    body: &mut impl Read,
    table: &Table,
) -> Result<u64, BackupError> {
    let failed = || refused("the rows of a table cannot be copied in");
    let columns = list(&table.columns);
    let sql = format!("COPY {} ({columns}) FROM STDIN (FORMAT binary)", quoted(&table.table));
    let mut rows = pin!(client.copy_in::<_, Bytes>(&sql).await.map_err(failed())?);
    loop {
        match frame(file, body)? {
            None => return Err(damaged(file, "a table ends too early")),
            Some(bytes) if bytes.is_empty() => return rows.finish().await.map_err(failed()),
            Some(bytes) => rows.send(bytes.into()).await.map_err(failed())?,
        }
    }
}

fn frame(file: &Path, body: &mut impl Read) -> Result<Option<Vec<u8>>, BackupError> {
    rows::read_frame(body).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData => {
            damaged(file, "its body cannot be read")
        }
        _ => io(file)(error),
    })
}

/// Where a restore was cut short, nobody serves what it left.
pub(super) async fn refuse_unfinished(
    address: &Address,
    engine: &Engine,
) -> Result<(), StoreError> {
    let Engine::Postgres(_) = engine else {
        return Ok(());
    };
    let sql = "SELECT to_regclass($1) IS NOT NULL";
    let rows = engine.read(sql, vec![MARKER.into()]).await?;
    let found = match rows.into_iter().next() {
        Some(row) => row.columns("pg_class", MARKER).boolean("relname")?,
        None => false,
    };
    if found {
        return Err(StoreError::Unfinished { database: address.to_string(), remove: None });
    }
    Ok(())
}

impl std::fmt::Debug for EmptyDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EmptyDatabase({})", self.name)
    }
}

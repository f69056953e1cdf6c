//! The body of a backup of PostgreSQL: the rows of each table, as the database copies them.
//!
//! It is a row of frames, each a length of four bytes and that many bytes. For each table: one frame
//! of JSON with its name and columns, frames with what `COPY … TO STDOUT (FORMAT binary)` gives, and
//! an empty one. Nothing is held in memory but one frame.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::pin::pin;

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::file::io;
use super::{BackupError, Body, Content, refuse_newer};
use crate::store::engine::{Database, connect, described};
use crate::store::{Installation, migration};

/// A frame is written once it has this many bytes.
const FRAME: usize = 64 * 1024;
/// No frame is longer: one row more than that.
const MAX_FRAME: usize = 64 * 1024 * 1024;

/// What the frames of a table begin with.
#[derive(Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) table: String,
    pub(super) columns: Vec<String>,
}

/// Copies all tables as they stand at one moment, while others read and write them.
pub(super) async fn copy(database: &Database, to: &Path) -> Result<(Body, Content), BackupError> {
    let client = connect(database).await?;
    // Everything below sees one moment; it is rolled back with the connection.
    client
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await
        .map_err(refused("the database cannot be copied"))?;
    let body = Body::empty(to)?;
    let mut content = Content { installation: None, schema_version: 0, tables: [].into() };
    if !exists(&client, "schema_migrations").await? || !exists(&client, "schema_leases").await? {
        return Ok((body, content));
    }
    content.schema_version = schema_version(&client).await?;
    refuse_newer(|| "the database".to_owned(), content.schema_version)?;
    refuse_upgrade(&client).await?;
    let mut writer = BufWriter::with_capacity(FRAME, body.write()?);
    for table in migration::tables(content.schema_version) {
        let rows = copy_table(&client, table, &mut writer, &body).await?;
        content.tables.insert(table.to_owned(), rows);
    }
    writer.flush().map_err(io(body.path()))?;
    if content.schema_version > 0 {
        content.installation = installation(&client).await?;
    }
    Ok((body, content))
}

async fn copy_table(
    client: &Client,
    table: &str,
    to: &mut BufWriter<File>,
    body: &Body,
) -> Result<i64, BackupError> {
    let columns = columns(client, table).await?;
    let sql = format!("COPY {} ({}) TO STDOUT (FORMAT binary)", quoted(table), list(&columns));
    let failed = || refused("a table cannot be copied");
    #[expect(clippy::expect_used, reason = "names are always JSON")]
    let head = serde_json::to_vec(&Table { table: table.to_owned(), columns }).expect("JSON");
    write_frame(to, &head).map_err(io(body.path()))?;
    let mut rows = pin!(client.copy_out(&sql).await.map_err(failed())?);
    let mut frame = Vec::with_capacity(2 * FRAME);
    while let Some(row) = rows.try_next().await.map_err(failed())? {
        frame.extend_from_slice(&row);
        if frame.len() >= FRAME {
            write_frame(to, &frame).map_err(io(body.path()))?;
            frame.clear();
        }
    }
    if !frame.is_empty() {
        write_frame(to, &frame).map_err(io(body.path()))?;
    }
    write_frame(to, &[]).map_err(io(body.path()))?;
    let sql = format!("SELECT COUNT(*) FROM {}", quoted(table));
    let counted = client.query_one(&sql, &[]).await.and_then(|row| row.try_get(0));
    counted.map_err(refused("the rows cannot be counted"))
}

/// While a migration is under way the tables are neither of one version nor of the next.
async fn refuse_upgrade(client: &Client) -> Result<(), BackupError> {
    let leases = client
        .query_one("SELECT COUNT(*) FROM schema_leases", &[])
        .await
        .and_then(|row| row.try_get::<_, i64>(0))
        .map_err(refused("the schema's version cannot be read"))?;
    if leases > 0 { Err(BackupError::Upgrading) } else { Ok(()) }
}

/// Whether there is a table of this name.
pub(super) async fn exists(client: &Client, table: &str) -> Result<bool, BackupError> {
    client
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&table])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(refused("the tables cannot be listed"))
}

async fn schema_version(client: &Client) -> Result<i64, BackupError> {
    client
        .query_one("SELECT COALESCE(MAX(version), 0) FROM schema_migrations", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(refused("the schema's version cannot be read"))
}

/// What it says of its master key and epoch.
pub(super) async fn installation(client: &Client) -> Result<Option<Installation>, BackupError> {
    let sql = "SELECT master_key_id, key_check, epoch, keys_version FROM installation WHERE id = 1";
    let read = async {
        let Some(row) = client.query_opt(sql, &[]).await? else { return Ok(None) };
        Ok(Some(Installation {
            master_key_id: row.try_get(0)?,
            key_check: row.try_get(1)?,
            epoch: row.try_get(2)?,
            keys_version: row.try_get(3)?,
        }))
    };
    read.await.map_err(refused("the installation cannot be read"))
}

async fn columns(client: &Client, table: &str) -> Result<Vec<String>, BackupError> {
    let sql = "SELECT CAST(attname AS TEXT) FROM pg_attribute \
               WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped \
               ORDER BY attnum";
    let read = async {
        let rows = client.query(sql, &[&table]).await?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()
    };
    read.await.map_err(refused("the columns cannot be listed"))
}

/// Names, for a list in SQL.
pub(super) fn list(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// A name, whatever it is, for SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn write_frame(to: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| std::io::ErrorKind::InvalidData)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(bytes)
}

/// Reads a frame; `None` at the end.
pub(super) fn read_frame(from: &mut impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    let mut read = 0;
    while read < length.len() {
        match from.read(length.get_mut(read..).unwrap_or_default())? {
            0 if read == 0 => return Ok(None),
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            more => read += more,
        }
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// An error of the database, in its own words.
pub(super) fn refused(what: &'static str) -> impl FnOnce(tokio_postgres::Error) -> BackupError {
    move |error| BackupError::Engine { what, why: described(&error) }
}

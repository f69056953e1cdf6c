//! A body in a file of its own; and that of a backup of SQLite, which is a database itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::super::Installation;
use super::change::{Restored, Restoring};
use super::file::{copy, create, io};
use super::{BackupError, Content, failed};

/// A body in a file of its own, which is removed when this is dropped.
#[derive(Debug)]
pub struct Body {
    path: PathBuf,
}

impl Body {
    /// Copies a database as it stands at one moment, while others read and write it. What was
    /// deleted from it is not copied.
    pub(super) fn copy_of_sqlite(database: &Path, to: &Path) -> Result<Body, BackupError> {
        // Without CREATE: a database that is missing is not to be made.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if let Err(source) = fs::metadata(database) {
            return Err(BackupError::Io { path: database.to_owned(), source });
        }
        let connection = Connection::open_with_flags(database, flags)
            .map_err(failed("the database cannot be opened"))?;
        // SQLite takes an empty file for its own, and it has the mode that it needs already.
        let body = Body::empty(to)?;
        connection
            .busy_timeout(std::time::Duration::from_secs(5))
            .and_then(|()| connection.execute("VACUUM INTO ?1", [body.path.to_string_lossy()]))
            .map_err(failed("the database cannot be copied"))?;
        Ok(body)
    }

    /// A file for a body, with nothing in it yet.
    pub(super) fn empty(path: &Path) -> Result<Body, BackupError> {
        create(path).map_err(io(path))?;
        Ok(Body { path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn open(&self) -> Result<File, BackupError> {
        File::open(&self.path).map_err(io(&self.path))
    }

    pub(super) fn write(&self) -> Result<File, BackupError> {
        File::options().write(true).open(&self.path).map_err(io(&self.path))
    }

    pub(super) fn connect(&self) -> Result<Connection, BackupError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(&self.path, flags)
            .map_err(failed("the body of the backup cannot be opened"))
    }

    /// What is wrong with it as a database, in words.
    pub(super) fn check_integrity(&self) -> Result<(), String> {
        let connection = self.connect().map_err(|error| error.to_string())?;
        let found: String = connection
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(|error| format!("its body is no database: {error}"))?;
        if found == "ok" { Ok(()) } else { Err(format!("its body is no sound database: {found}")) }
    }

    /// How many bytes it has, and their SHA-256.
    pub(super) fn sum(&self) -> Result<(u64, String), BackupError> {
        copy(&mut self.open()?, &mut std::io::sink()).map_err(io(&self.path))
    }

    /// Changes an SQLite body, in one transaction, while it stands beside the database: all of it or
    /// nothing.
    ///
    /// # Errors
    /// [`BackupError::Engine`]
    pub fn apply(&self, restoring: &Restoring<'_>) -> Result<Restored, BackupError> {
        let mut connection = self.connect()?;
        let mut apply = || -> rusqlite::Result<Restored> {
            connection.pragma_update(None, "synchronous", "FULL")?;
            let transaction = connection.transaction()?;
            let mut done = Restored::default();
            for change in restoring.changes() {
                let values = rusqlite::params_from_iter(&change.values);
                let changed = transaction.prepare_cached(change.sql)?.execute(values)?;
                change.count(u64::try_from(changed).unwrap_or(0), &mut done);
            }
            transaction.commit()?;
            Ok(done)
        };
        let done = apply().map_err(failed("the backup cannot be prepared"))?;
        self.write()?.sync_all().map_err(io(&self.path))?;
        Ok(done)
    }

    /// What an SQLite body says of itself.
    pub(super) fn content(&self) -> Result<Content, BackupError> {
        Ok(Content {
            installation: self.installation()?,
            schema_version: self.schema_version()?,
            tables: self.tables()?,
        })
    }

    fn installation(&self) -> Result<Option<Installation>, BackupError> {
        let sql =
            "SELECT master_key_id, key_check, epoch, keys_version FROM installation WHERE id = 1";
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Installation {
                master_key_id: row.get(0)?,
                key_check: row.get(1)?,
                epoch: row.get(2)?,
                keys_version: row.get(3)?,
            })
        };
        self.connect()?
            .query_row(sql, [], read)
            .optional()
            .map_err(failed("the installation cannot be read"))
    }

    fn schema_version(&self) -> Result<i64, BackupError> {
        let sql = "SELECT COALESCE(MAX(version), 0) FROM schema_migrations";
        self.connect()?
            .query_row(sql, [], |row| row.get(0))
            .map_err(failed("the schema's version cannot be read"))
    }

    /// How many rows each table has.
    fn tables(&self) -> Result<BTreeMap<String, i64>, BackupError> {
        let connection = self.connect()?;
        let count = || -> rusqlite::Result<BTreeMap<String, i64>> {
            let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' \
                       AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
            let mut names = connection.prepare(sql)?;
            let names = names.query_map([], |row| row.get::<_, String>(0))?;
            names
                .map(|name| {
                    let name = name?;
                    let sql = format!("SELECT COUNT(*) FROM \"{}\"", name.replace('"', "\"\""));
                    let rows = connection.query_row(&sql, [], |row| row.get(0))?;
                    Ok((name, rows))
                })
                .collect()
        };
        count().map_err(failed("the rows cannot be counted"))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // Once it is in its place there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
        let mut log = self.path.clone().into_os_string();
        log.push("-journal");
        let _ = fs::remove_file(log);
    }
}

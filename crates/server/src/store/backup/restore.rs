//! Makes the body of a backup the database.
//!
//! 1. [`extract`] checks the backup, and writes its body beside the database, where [`Body::apply`]
//!    changes it;
//! 2. [`refuse_in_use`] sees that no server has the database open, and takes SQLite's log into it;
//! 3. [`put_in_place`] keeps the old database under another name and renames the body over it, so
//!    that a crash leaves the old one or the new one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::file::{self, beside, damaged, io, sync_folder};
use super::{BackupError, Body, Header};
use crate::store::StoreError;

/// Checks a backup of SQLite as a whole and writes its body beside `database`.
///
/// # Errors
/// [`BackupError`], which says what is wrong. Nothing is left of the body then.
pub fn extract(file: &Path, database: &Path) -> Result<(Header, Body), BackupError> {
    let body = Body::empty(&being_restored(database))?;
    let mut writer = body.write()?;
    let header = file::check(file, &mut writer)?;
    writer.sync_all().map_err(io(body.path()))?;
    drop(writer);
    body.check_integrity().map_err(|what| damaged(file, what))?;
    // The sum holds already; these hold a header to its body that no program of ours wrote together.
    let content = body.content()?;
    if content.tables != header.tables {
        return Err(damaged(file, "its tables have other numbers of rows than its header says"));
    }
    if content
        .installation
        .is_none_or(|it| it.master_key_id != header.master_key_id || it.epoch != header.epoch)
        || content.schema_version != header.schema_version
    {
        return Err(damaged(file, "its header is of another database"));
    }
    Ok((header, body))
}

/// Where a body stands until it takes the place of the database. A restore that was killed leaves
/// it there.
fn being_restored(database: &Path) -> PathBuf {
    beside(database, "restoring")
}

/// Where a restore was cut short there is the old database, or none: neither is what somebody
/// wanted to have.
pub(super) fn refuse_unfinished(database: &Path) -> Result<(), StoreError> {
    let left = being_restored(database);
    if left.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(StoreError::Unfinished { database: database.display().to_string(), remove: Some(left) })
}

/// Sees that there is no database, or that it may be replaced.
pub(super) fn refuse_to_lose(database: &Path, replace: bool) -> Result<(), BackupError> {
    match fs::metadata(database) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io(database)(error)),
        Ok(found) if found.len() > 0 && !replace => {
            Err(BackupError::NotReplaced { path: database.to_owned() })
        }
        Ok(_) => Ok(()),
    }
}

/// Sees that nobody has the database open, and that all of it stands in its one file.
///
/// # Errors
/// [`BackupError::InUse`]
pub fn refuse_in_use(database: &Path) -> Result<(), BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let quiet = Connection::open_with_flags(database, flags).and_then(|connection| {
        connection.busy_timeout(Duration::from_millis(500))?;
        // To leave the write-ahead log SQLite demands to be alone, and empties the log first.
        connection.query_row("PRAGMA journal_mode=DELETE", [], |row| row.get::<_, String>(0))
    });
    let busy = |error: &rusqlite::Error| {
        let code = error.sqlite_error_code();
        matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    };
    match quiet {
        Ok(mode) if mode != "delete" => {
            Err(BackupError::InUse { database: database.display().to_string() })
        }
        Err(error) if busy(&error) => {
            Err(BackupError::InUse { database: database.display().to_string() })
        }
        // A missing or broken database is what a restore is for; of a server that has a broken one
        // open the lock of the journal tells.
        _ => Ok(()),
    }
}

/// The epoch of a database that is about to be replaced; `None` where it cannot be read.
pub fn epoch_of(database: &Path) -> Option<i64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).ok()?;
    // To read it changes nothing in it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).ok()?;
    let sql = "SELECT epoch FROM installation WHERE id = 1";
    connection.query_row(sql, [], |row| row.get(0)).ok()
}

/// Puts the body in the place of the database. Answers where the old one is kept.
///
/// # Errors
/// [`BackupError::Io`]; then the old one still is in its place, or the new one already.
pub fn put_in_place(
    body: &Body,
    database: &Path,
    now: i64,
) -> Result<Option<PathBuf>, BackupError> {
    let put = || -> std::io::Result<Option<PathBuf>> {
        let kept = match database.symlink_metadata() {
            Ok(_) => Some(keep(database, now)?),
            Err(_) => None,
        };
        // A log that SQLite could not empty belongs to the old one alone, and outlives it where the
        // database was lost without its log: SQLite would write it into the new one.
        let former = format!(".before-restore-{now}");
        let former = kept.clone().unwrap_or_else(|| with_ending(database, &former));
        for log in ["-wal", "-shm"] {
            let beside = with_ending(database, log);
            if beside.symlink_metadata().is_ok() {
                fs::rename(&beside, with_ending(&former, log))?;
            }
        }
        sync_folder(database)?;
        fs::rename(body.path(), database)?;
        sync_folder(database)?;
        Ok(kept)
    };
    let kept = put().map_err(io(database))?;
    File::open(database).and_then(|file| file.sync_all()).map_err(io(database))?;
    Ok(kept)
}

/// Gives the old database a second name that is free. It is linked and not moved: there is no moment
/// without a database, in which a server that starts would make a new and empty one.
fn keep(database: &Path, now: i64) -> std::io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let more = if number > 1 { format!("-{number}") } else { String::new() };
        let kept = with_ending(database, &format!(".before-restore-{now}{more}"));
        match fs::hard_link(database, &kept) {
            Ok(()) => return Ok(kept),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

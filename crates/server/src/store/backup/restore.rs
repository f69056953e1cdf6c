//! Makes the body of a backup the database.
//!
//! 1. [`Restoring::apply`] changes the body, in one transaction, while it stands beside the
//!    database: the epoch rises, what the journal says ended ends again;
//! 2. [`refuse_in_use`] sees that no server has the database open, and takes SQLite's log into it;
//! 3. [`put_in_place`] keeps the old database under another name and renames the body over it, so
//!    that a crash leaves the old one or the new one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, params};

use super::{BackupError, Body, engine, io, sync_folder};
use crate::journal::Ending;

/// What a restore does to a body.
#[derive(Debug)]
pub struct Restoring<'a> {
    /// The epoch that begins.
    pub epoch: i64,
    /// What ended since the backup, as far as is known.
    pub endings: &'a [Ending],
    /// Whether all connections end.
    pub end_all_connections: bool,
    /// Which clients lose their secrets.
    pub void_secrets: Voided,
    /// Which customers lose their passwords.
    pub void_passwords: Voided,
    /// A password hash that no password has.
    pub unusable_hash: &'a str,
    /// In Unix seconds.
    pub now: i64,
}

/// Whose secrets or passwords stop working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voided {
    /// nobody's
    Nobody,
    /// of those whose was changed since the backup
    Changed,
    /// everybody's, because it is not known whose was changed
    Everybody,
}

/// What a restore did, in numbers of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Restored {
    /// connections that had been ended since the backup, one by one, and ended again
    pub connections_ended_again: usize,
    /// consents and all their connections that ended again
    pub consents_ended_again: usize,
    /// clients whose connections ended again
    pub clients_ended_again: usize,
    /// customers whose sessions and connections ended again
    pub customers_ended_again: usize,
    /// clients without a secret, whose connections end because a spent token could be used again
    pub public_clients_ended: usize,
    /// clients whose connections ended because all were to end
    pub all_clients_ended: usize,
    /// clients that have no secret any more
    pub secrets_voided: usize,
    /// customers whose password works no more
    pub passwords_voided: usize,
}

impl Restoring<'_> {
    /// Changes the body: all of it or nothing.
    ///
    /// # Errors
    /// [`BackupError::Engine`]
    pub fn apply(&self, body: &Body) -> Result<Restored, BackupError> {
        let mut connection = body.connect()?;
        let mut apply = || -> rusqlite::Result<Restored> {
            connection.pragma_update(None, "synchronous", "FULL")?;
            let transaction = connection.transaction()?;
            let mut done = Restored::default();
            transaction.execute("UPDATE installation SET epoch = ?1 WHERE id = 1", [self.epoch])?;
            // Their epoch ended them already.
            transaction.execute("DELETE FROM sessions", [])?;
            self.end_connections(&transaction, &mut done)?;
            for ending in self.endings {
                self.end_again(&transaction, ending, &mut done)?;
            }
            self.void(&transaction, &mut done)?;
            transaction.commit()?;
            Ok(done)
        };
        let done = apply().map_err(engine("the backup cannot be prepared"))?;
        body.write()?.sync_all().map_err(io(body.path()))?;
        Ok(done)
    }

    /// A row that went back takes a refresh token for the newest that was spent long ago. A
    /// confidential client proves itself beside it, so nobody else can use it. A client without a
    /// secret proves nothing: whoever kept an old token of it would get in, so its connections end.
    fn end_connections(&self, to: &Transaction<'_>, done: &mut Restored) -> rusqlite::Result<()> {
        if self.end_all_connections {
            done.all_clients_ended = to.execute("UPDATE clients SET counter = counter + 1", [])?;
        } else {
            done.public_clients_ended =
                to.execute("UPDATE clients SET counter = counter + 1 WHERE public", [])?;
        }
        Ok(())
    }

    /// Ends once more what had ended. What was switched off is off, even where somebody had switched
    /// it on again since: that is for a person to decide.
    fn end_again(
        &self,
        to: &Transaction<'_>,
        ending: &Ending,
        done: &mut Restored,
    ) -> rusqlite::Result<()> {
        match ending {
            Ending::Grant { environment, id } => {
                done.connections_ended_again += to
                    .prepare_cached(
                        "UPDATE grants SET revoked_at = ?3 \
                         WHERE environment = ?1 AND id = ?2 AND revoked_at IS NULL",
                    )?
                    .execute(params![environment.as_str(), id, self.now])?;
            }
            Ending::Consent { environment, customer_id, client_id } => {
                done.consents_ended_again += to.execute(
                    "UPDATE consents SET revoked = 1, counter = counter + 1 \
                     WHERE environment = ?1 AND customer_id = ?2 \
                     AND client_key = (SELECT key FROM clients WHERE environment = ?1 AND id = ?3)",
                    params![environment.as_str(), customer_id, client_id],
                )?;
            }
            Ending::Client { environment, id } => {
                done.clients_ended_again += to.execute(
                    "UPDATE clients SET counter = counter + 1 WHERE environment = ?1 AND id = ?2",
                    params![environment.as_str(), id],
                )?;
            }
            Ending::ClientDisabled { environment, id } => {
                done.clients_ended_again += to.execute(
                    "UPDATE clients SET disabled = 1, counter = counter + 1 \
                     WHERE environment = ?1 AND id = ?2",
                    params![environment.as_str(), id],
                )?;
            }
            Ending::PartnerDisabled { id } => {
                done.clients_ended_again += to.execute(
                    "UPDATE clients SET disabled = 1, counter = counter + 1 WHERE partner_id = ?1",
                    params![id],
                )?;
            }
            Ending::Customer { environment, id } | Ending::PasswordChanged { environment, id } => {
                done.customers_ended_again += to.execute(
                    "UPDATE customers SET counter = counter + 1 WHERE environment = ?1 AND id = ?2",
                    params![environment.as_str(), id],
                )?;
            }
            Ending::CustomerDisabled { environment, id } => {
                done.customers_ended_again += to.execute(
                    "UPDATE customers SET disabled = 1, counter = counter + 1 \
                     WHERE environment = ?1 AND id = ?2",
                    params![environment.as_str(), id],
                )?;
            }
            // It ended nothing but itself.
            Ending::SecretChanged { .. } => {}
        }
        Ok(())
    }

    fn void(&self, to: &Transaction<'_>, done: &mut Restored) -> rusqlite::Result<()> {
        const SECRETS: &str = "UPDATE clients SET \
            secret_1_digest = NULL, secret_1_hint = NULL, secret_1_created_at = NULL, \
            secret_1_used_at = NULL, secret_2_digest = NULL, secret_2_hint = NULL, \
            secret_2_created_at = NULL, secret_2_used_at = NULL WHERE \
            (secret_1_digest IS NOT NULL OR secret_2_digest IS NOT NULL)";
        const PASSWORDS: &str = "UPDATE customers SET password_hash = ?1 WHERE password_hash <> ?1";
        if self.void_secrets == Voided::Everybody {
            done.secrets_voided = to.execute(SECRETS, [])?;
        }
        if self.void_passwords == Voided::Everybody {
            done.passwords_voided = to.execute(PASSWORDS, [self.unusable_hash])?;
        }
        for ending in self.endings {
            match ending {
                Ending::SecretChanged { environment, client_id }
                    if self.void_secrets == Voided::Changed =>
                {
                    let sql = format!("{SECRETS} AND environment = ?1 AND id = ?2");
                    done.secrets_voided +=
                        to.execute(&sql, params![environment.as_str(), client_id])?;
                }
                Ending::PasswordChanged { environment, id }
                    if self.void_passwords == Voided::Changed =>
                {
                    let sql = format!("{PASSWORDS} AND environment = ?2 AND id = ?3");
                    done.passwords_voided +=
                        to.execute(&sql, params![self.unusable_hash, environment.as_str(), id])?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Sees that there is no database, or that it may be replaced.
///
/// # Errors
/// [`BackupError::NotEmpty`]
pub fn refuse_to_lose(database: &Path, replace: bool) -> Result<(), BackupError> {
    match fs::metadata(database) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io(database)(error)),
        Ok(found) if found.len() > 0 && !replace => {
            Err(BackupError::NotEmpty { path: database.to_owned() })
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
        Ok(mode) if mode != "delete" => Err(BackupError::InUse { path: database.to_owned() }),
        Err(error) if busy(&error) => Err(BackupError::InUse { path: database.to_owned() }),
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
        // A log that SQLite could not empty belongs to the old one alone.
        for log in ["-wal", "-shm"] {
            let beside = with_ending(database, log);
            if let Some(kept) = &kept
                && beside.symlink_metadata().is_ok()
            {
                fs::rename(&beside, with_ending(kept, log))?;
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

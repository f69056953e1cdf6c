//! Backups: one file for each, with a body as its engine makes it.
//!
//! ```text
//! grantor backup 1
//! {"id":…,"engine":…,"created_at":…,"schema_version":…,"epoch":…,"master_key_id":…,"tables":{…},"body_bytes":…,"body_sha256":…}
//! SHA-256 of the two lines above
//! the body: an SQLite database, or the rows of each table as PostgreSQL copies them
//! ```
//!
//! 1. [`take`] copies the tables as they stand at one moment into a body (`body.rs`, `rows.rs`),
//!    and `file.rs` writes header and body beside the file that was named, and links it to that
//!    name, which must be free;
//! 2. [`prepare`] checks a backup as a whole, and that there is a place for it: a [`Prepared`];
//! 3. `change.rs` says what a restore changes in it, `restore.rs` puts it in the place of an SQLite
//!    file, and `load.rs` into an empty PostgreSQL database, in one transaction;
//! 4. [`refuse_unfinished`] tells a restore that was cut short, so that nobody serves what it left.
//!
//! The master key is not in it: a backup alone makes no token. A backup goes back to an engine of
//! its own kind alone.

mod body;
mod change;
mod file;
mod load;
mod restore;
mod rows;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use body::Body;
pub use change::{Restored, Restoring, Voided};
pub use file::unfinished;
pub use load::{EmptyDatabase, Loaded};
pub use restore::{epoch_of, extract, put_in_place, refuse_in_use};

use super::engine::{Address, Engine};
use super::{StoreError, migration};

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its id, which stands in the journal too.
    pub id: String,
    /// What its body is of.
    pub engine: Kind,
    /// When it was begun, in Unix seconds.
    pub created_at: i64,
    /// The version of the schema.
    pub schema_version: i64,
    /// The epoch of the database.
    pub epoch: i64,
    /// The master key that the database belongs to.
    pub master_key_id: String,
    /// How many rows each table has.
    pub tables: BTreeMap<String, i64>,
    /// How long the body is.
    pub body_bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub body_sha256: String,
}

/// An engine, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// SQLite
    Sqlite,
    /// PostgreSQL
    Postgres,
}

/// A backup that was checked as a whole, and a place for it where nothing was changed yet.
#[derive(Debug)]
pub enum Prepared {
    /// The body beside the SQLite file that it is to become.
    File(Body),
    /// An empty PostgreSQL database.
    Empty(EmptyDatabase),
}

/// Why a backup was not taken, or not restored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file of that name.
    #[error("there is a {} already", path.display())]
    Exists {
        /// which
        path: PathBuf,
    },
    /// The system refused.
    #[error("{} cannot be used: {source}", path.display())]
    Io {
        /// which file
        path: PathBuf,
        /// what the system said
        source: std::io::Error,
    },
    /// The engine refused.
    #[error("{what}: {why}")]
    Engine {
        /// what was being done
        what: &'static str,
        /// what the engine said
        why: String,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database has no keys yet.
    #[error("the database {database} was never served: there is nothing in it to keep")]
    NeverServed {
        /// which
        database: String,
    },
    /// The file is none of ours.
    #[error("{} is not a backup of grantor", path.display())]
    NoBackup {
        /// which file
        path: PathBuf,
    },
    /// The file is ours and is damaged.
    #[error("the backup {} is damaged: {what}", path.display())]
    Damaged {
        /// which file
        path: PathBuf,
        /// what is wrong with it
        what: String,
    },
    /// Another program made the backup.
    #[error("the backup {} has the format {found}, and this program reads {}", path.display(), file::FORMAT)]
    OtherFormat {
        /// which file
        path: PathBuf,
        /// its format
        found: u32,
    },
    /// A newer program made the backup.
    #[error("{what} has schema version {found}, and this program knows {known}")]
    Newer {
        /// which backup or database
        what: String,
        /// the version in it
        found: i64,
        /// the newest that this program knows
        known: i64,
    },
    /// It was taken of another engine.
    #[error("the backup {} is of {}, and `store` names {}", path.display(), found.name(), wanted.name())]
    OtherEngine {
        /// which file
        path: PathBuf,
        /// its engine
        found: Kind,
        /// the engine of the configuration
        wanted: Kind,
    },
    /// A newer program changes the tables just now, or was cut off in it.
    #[error("the database is being upgraded to a newer version of grantor")]
    Upgrading,
    /// Some process has the database open.
    #[error("the database {database} is in use")]
    InUse {
        /// which
        database: String,
    },
    /// There is a database, and nobody said that it may be replaced.
    #[error("there is a database {} already", path.display())]
    NotReplaced {
        /// which
        path: PathBuf,
    },
    /// A PostgreSQL database is not empty.
    #[error("the database {database} is not empty: it holds the table {table}")]
    NotEmpty {
        /// which
        database: String,
        /// one of its tables
        table: String,
    },
    /// Whether the last step happened is not known.
    #[error("whether the restore was committed is not known: {why}")]
    Unknown {
        /// what the engine said
        why: String,
    },
}

impl Kind {
    /// The kind of a database.
    pub fn of(address: &Address) -> Kind {
        match address {
            Address::Sqlite(_) => Kind::Sqlite,
            Address::Postgres(_) => Kind::Postgres,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Sqlite => "an SQLite file",
            Kind::Postgres => "a PostgreSQL database",
        }
    }
}

/// Saves a database, which may be in use, to the new file `file`.
///
/// # Errors
/// [`BackupError`]; then there is no file of that name.
pub async fn take(
    database: &Address,
    file: &Path,
    id: String,
    created_at: i64,
) -> Result<Header, BackupError> {
    if file.symlink_metadata().is_ok() {
        return Err(BackupError::Exists { path: file.to_owned() });
    }
    let (body, content) = match database {
        Address::Sqlite(path) => {
            let (path, to) = (path.clone(), unfinished(file));
            let copied = tokio::task::spawn_blocking(move || {
                let body = Body::copy_of_sqlite(&path, &to)?;
                let content = body.content()?;
                Ok::<_, BackupError>((body, content))
            });
            copied.await.map_err(|error| failed("the copy stopped")(error))??
        }
        Address::Postgres(database) => rows::copy(database, &unfinished(file)).await?,
    };
    let Some(installation) = content.installation else {
        return Err(BackupError::NeverServed { database: database.to_string() });
    };
    refuse_newer(|| format!("the database {database}"), content.schema_version)?;
    let (body_bytes, body_sha256) = body.sum()?;
    let header = Header {
        id,
        engine: Kind::of(database),
        created_at,
        schema_version: content.schema_version,
        epoch: installation.epoch,
        master_key_id: installation.master_key_id,
        tables: content.tables,
        body_bytes,
        body_sha256,
    };
    file::write(file, &header, &mut body.open()?)?;
    Ok(header)
}

/// Checks a backup as a whole, and that there is a place for it in `database`: an SQLite file that
/// is missing or may be replaced, or an empty PostgreSQL database.
///
/// # Errors
/// [`BackupError`], which says what is wrong. Nothing was changed then.
pub async fn prepare(
    file: &Path,
    database: &Address,
    replace: bool,
) -> Result<(Header, Prepared), BackupError> {
    let header = file::header(file)?;
    let (found, wanted) = (header.engine, Kind::of(database));
    if found != wanted {
        return Err(BackupError::OtherEngine { path: file.to_owned(), found, wanted });
    }
    match database {
        Address::Sqlite(path) => {
            restore::refuse_to_lose(path, replace)?;
            let (header, body) = extract(file, path)?;
            Ok((header, Prepared::File(body)))
        }
        Address::Postgres(server) => {
            let header = check(file)?;
            let empty = EmptyDatabase::open(server, database.to_string()).await?;
            Ok((header, Prepared::Empty(empty)))
        }
    }
}

/// Checks a backup as a whole, whatever it is of.
///
/// # Errors
/// [`BackupError`], which says what is wrong.
pub fn check(file: &Path) -> Result<Header, BackupError> {
    file::check(file, &mut std::io::sink())
}

/// Where a restore was cut short, nobody serves what it left.
pub(super) async fn refuse_unfinished(
    address: &Address,
    engine: &Engine,
) -> Result<(), StoreError> {
    load::refuse_unfinished(address, engine).await
}

/// The same of an SQLite file, before it is opened, which would make it.
pub(super) fn refuse_unfinished_file(address: &Address) -> Result<(), StoreError> {
    match address {
        Address::Sqlite(path) => restore::refuse_unfinished(path),
        Address::Postgres(_) => Ok(()),
    }
}

/// What the tables say, for the header.
struct Content {
    installation: Option<super::Installation>,
    schema_version: i64,
    tables: BTreeMap<String, i64>,
}

/// Refuses a version that this program does not know.
fn refuse_newer(what: impl FnOnce() -> String, found: i64) -> Result<(), BackupError> {
    let known = migration::known();
    if found > known {
        return Err(BackupError::Newer { what: what(), found, known });
    }
    Ok(())
}

fn failed<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> BackupError {
    move |error| BackupError::Engine { what, why: error.to_string() }
}

//! Backups: one file, one form for every engine.
//!
//! ```text
//! grantor backup 1
//! {"id":…,"created_at":…,"schema_version":…,"epoch":…,"master_key_id":…,"tables":{…},"body_bytes":…,"body_sha256":…}
//! SHA-256 of the two lines above
//! the body: an SQLite database with all tables
//! ```
//!
//! 1. [`take`] copies the tables as they stand at one moment into a body (`body.rs`), writes header
//!    and body beside the file that was named, and links it to that name, which must be free;
//! 2. [`extract`] checks a backup as a whole, and writes its body beside the database that it is to
//!    become: a [`Body`], which `restore.rs` changes and puts in place.
//!
//! The master key is not in it: a backup alone makes no token.

mod body;
mod restore;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256, digest};
use serde::{Deserialize, Serialize};

pub use body::Body;
pub use restore::{
    Restored, Restoring, Voided, epoch_of, put_in_place, refuse_in_use, refuse_to_lose,
};

use super::migration;

const MAGIC: &str = "grantor backup 1\n";
/// No header is longer, in bytes.
const MAX_HEADER_BYTES: u64 = 64 * 1024;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its id, which stands in the journal too.
    pub id: String,
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
    #[error("{what}: {source}")]
    Engine {
        /// what was being done
        what: &'static str,
        /// what the engine said
        source: rusqlite::Error,
    },
    /// The database has no keys yet.
    #[error("the database {} was never served: there is nothing in it to keep", path.display())]
    NeverServed {
        /// which
        path: PathBuf,
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
    /// A newer program made the backup.
    #[error("the backup {} has schema version {found}, and this program knows {known}", path.display())]
    Newer {
        /// which file
        path: PathBuf,
        /// the version in the backup
        found: i64,
        /// the newest that this program knows
        known: i64,
    },
    /// Some process has the database open.
    #[error("the database {} is in use", path.display())]
    InUse {
        /// which
        path: PathBuf,
    },
    /// There is a database, and nobody said that it may be replaced.
    #[error("there is a database {} already", path.display())]
    NotEmpty {
        /// which
        path: PathBuf,
    },
}

/// Saves the SQLite database `database`, which may be in use, to the new file `file`.
///
/// # Errors
/// [`BackupError`]; then there is no file of that name.
pub fn take(
    database: &Path,
    file: &Path,
    id: String,
    created_at: i64,
) -> Result<Header, BackupError> {
    if file.symlink_metadata().is_ok() {
        return Err(BackupError::Exists { path: file.to_owned() });
    }
    let body = Body::copy_of_sqlite(database, &unfinished(file))?;
    let installation = body.installation()?;
    let Some((master_key_id, epoch)) = installation.map(|it| (it.master_key_id, it.epoch)) else {
        return Err(BackupError::NeverServed { path: database.to_owned() });
    };
    let mut reader = body.open()?;
    let (body_bytes, body_sha256) =
        copy(&mut reader, &mut std::io::sink()).map_err(io(body.path()))?;
    let header = Header {
        id,
        created_at,
        schema_version: body.schema_version()?,
        epoch,
        master_key_id,
        tables: body.tables()?,
        body_bytes,
        body_sha256,
    };
    write(file, &header, &mut body.open()?)?;
    Ok(header)
}

/// Where the body of a backup stands while it is made.
pub fn unfinished(file: &Path) -> PathBuf {
    beside(file, "body")
}

/// Checks a backup as a whole and writes its body beside `database`.
///
/// # Errors
/// [`BackupError`], which says what is wrong. Nothing is left of the body then.
pub fn extract(file: &Path, database: &Path) -> Result<(Header, Body), BackupError> {
    let damaged =
        |what: &str| BackupError::Damaged { path: file.to_owned(), what: what.to_owned() };
    let mut reader = BufReader::new(File::open(file).map_err(io(file))?);
    let header = read_header(file, &mut reader)?;
    let known = migration::known();
    if header.schema_version > known {
        let (path, found) = (file.to_owned(), header.schema_version);
        return Err(BackupError::Newer { path, found, known });
    }
    let body = Body::empty(&beside(database, "restoring"))?;
    let mut writer = body.write()?;
    let (bytes, sha256) = copy(&mut reader, &mut writer).map_err(io(body.path()))?;
    if bytes != header.body_bytes {
        let (found, wanted) = (bytes, header.body_bytes);
        return Err(damaged(&format!("its body has {found} bytes, and should have {wanted}")));
    }
    if sha256 != header.body_sha256 {
        return Err(damaged("its body was changed (its SHA-256 is another)"));
    }
    writer.sync_all().map_err(io(body.path()))?;
    drop(writer);
    body.check_integrity().map_err(|what| damaged(&what))?;
    // The sum holds already; these hold a header to its body that no program of ours wrote together.
    if body.tables()? != header.tables {
        return Err(damaged("its tables have other numbers of rows than its header says"));
    }
    let installation = body.installation()?;
    if installation
        .is_none_or(|it| it.master_key_id != header.master_key_id || it.epoch != header.epoch)
        || body.schema_version()? != header.schema_version
    {
        return Err(damaged("its header is of another database"));
    }
    Ok((header, body))
}

fn write(file: &Path, header: &Header, body: &mut File) -> Result<(), BackupError> {
    #[expect(clippy::expect_used, reason = "names and numbers are always JSON")]
    let header = serde_json::to_string(header).expect("JSON");
    let head = format!("{MAGIC}{header}\n");
    let new = beside(file, "new");
    let mut write = || -> std::io::Result<()> {
        let mut to = create(&new)?;
        to.write_all(head.as_bytes())?;
        to.write_all(format!("{}\n", hex(digest(&SHA256, head.as_bytes()).as_ref())).as_bytes())?;
        std::io::copy(body, &mut to)?;
        to.sync_all()?;
        // A link is never put over a file that is there, as a rename would be.
        fs::hard_link(&new, file)?;
        sync_folder(file)
    };
    let written = write();
    let _ = fs::remove_file(&new);
    written.map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => BackupError::Exists { path: file.to_owned() },
        _ => BackupError::Io { path: file.to_owned(), source },
    })
}

fn read_header(file: &Path, reader: &mut impl std::io::BufRead) -> Result<Header, BackupError> {
    let damaged =
        |what: &str| BackupError::Damaged { path: file.to_owned(), what: what.to_owned() };
    let mut line = || -> Result<Vec<u8>, BackupError> {
        let mut line = Vec::new();
        reader.by_ref().take(MAX_HEADER_BYTES).read_until(b'\n', &mut line).map_err(io(file))?;
        Ok(line)
    };
    let magic = line()?;
    if magic != MAGIC.as_bytes() {
        // Somebody else's file is told from ours with its first bytes damaged.
        let ours = MAGIC.as_bytes();
        let same = magic.iter().zip(ours).filter(|(found, wanted)| found == wanted).count();
        return Err(if same + 2 >= ours.len() {
            damaged("its first line was changed, or is of another version of grantor")
        } else {
            BackupError::NoBackup { path: file.to_owned() }
        });
    }
    let (header, sum) = (line()?, line()?);
    let head = [magic.as_slice(), &header].concat();
    if sum != format!("{}\n", hex(digest(&SHA256, &head).as_ref())).as_bytes() {
        return Err(damaged("its header was changed"));
    }
    serde_json::from_slice(&header).map_err(|_| damaged("its header cannot be read"))
}

/// Copies, and says how many bytes, and their SHA-256.
fn copy(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<(u64, String)> {
    let (mut sum, mut bytes) = (Context::new(&SHA256), 0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, hex(sum.finish().as_ref())));
        }
        let part = buffer.get(..read).unwrap_or_default();
        sum.update(part);
        to.write_all(part)?;
        bytes += u64::try_from(read).unwrap_or(0);
    }
}

/// `name` becomes `.name.what`, in the same folder.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}"))
}

/// Makes a new file that only its owner may read, in the place of one that a crash left.
fn create(path: &Path) -> std::io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// A name lasts once its folder is on the disk.
fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    |source| BackupError::Io { path, source }
}

fn engine(what: &'static str) -> impl FnOnce(rusqlite::Error) -> BackupError {
    move |source| BackupError::Engine { what, source }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

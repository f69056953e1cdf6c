//! Files that their owner alone can use.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeepingError;

/// No file is larger, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Makes a folder, or looks at the one that is there: nobody else may get into it.
pub(super) fn make(folder: &Path) -> Result<(), KeepingError> {
    // Most of the time it is there.
    if let Ok(metadata) = fs::metadata(folder) {
        return check(folder, &metadata, "700");
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| KeepingError::Io { path: folder.to_owned(), source })?;
    let metadata = fs::metadata(folder).map_err(|source| of(folder, source))?;
    check(folder, &metadata, "700")
}

/// Reads a file that nobody else may read; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeepingError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(of(path, error)),
    };
    check(path, &file.metadata().map_err(|error| of(path, error))?, "600")?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(|error| of(path, error))?;
    Ok(Some(bytes))
}

/// Writes a file beside and puts it in its place; it lasts when this returns. Two writers of one path
/// must not come at once: they hold a lock.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), KeepingError> {
    let beside = beside(path);
    let write = || -> io::Result<()> {
        write_new(&beside, bytes)?;
        fs::rename(&beside, path)?;
        sync_folder(path)
    };
    write().map_err(|error| of(path, error))
}

/// Writes a file that must not be there yet; whether it was this call that made it.
pub(super) fn write_first(path: &Path, beside: &Path, bytes: &[u8]) -> Result<bool, KeepingError> {
    let write = || -> io::Result<bool> {
        write_new(beside, bytes)?;
        // A link and no rename: of two that come at once, one wins, and the other takes what won.
        let linked = fs::hard_link(beside, path);
        fs::remove_file(beside)?;
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
            Ok(()) => sync_folder(path).map(|()| true),
        }
    };
    write().map_err(|error| of(path, error))
}

/// Removes a file; whether there was one.
pub(super) fn remove(path: &Path) -> Result<bool, KeepingError> {
    match fs::remove_file(path).and_then(|()| sync_folder(path)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(of(path, error)),
    }
}

/// Opens a file to lock it, and makes it where there is none.
pub(super) fn open_lock(path: &Path) -> Result<File, KeepingError> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    opened.map_err(|error| of(path, error))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a killed process left is never written into: whoever laid it may read it.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn check(path: &Path, metadata: &fs::Metadata, wanted: &'static str) -> Result<(), KeepingError> {
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeepingError::Open { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

fn of(path: &Path, source: io::Error) -> KeepingError {
    KeepingError::Io { path: path.to_owned(), source }
}

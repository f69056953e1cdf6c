//! Files that their owner alone can use, and whose owner is the user of this process: what somebody else
//! laid there, they could read and change.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::KeepingError;

/// No file is larger, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The user that this process acts as.
pub(crate) fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

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
    let file = match not_through_a_link().read(true).open(path) {
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
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), KeepingError> {
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
pub(crate) fn open_lock(path: &Path) -> Result<File, KeepingError> {
    let opened =
        not_through_a_link().create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = opened.map_err(|error| of(path, error))?;
    check(path, &file.metadata().map_err(|error| of(path, error))?, "600")?;
    Ok(file)
}

/// Nobody has a reason to put a link in the place of a file of ours: it would lead elsewhere what is
/// secret.
fn not_through_a_link() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
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
    let (owner, user) = (metadata.uid(), own_user());
    if owner != user {
        return Err(KeepingError::OtherOwner { path: path.to_owned(), owner, user });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeepingError::Open { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

fn of(path: &Path, source: io::Error) -> KeepingError {
    let is_link = source.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    let source = if is_link { io::Error::other("it is a link to elsewhere") } else { source };
    KeepingError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file and a folder of another user: root gives them away, and anybody else finds some of root's.
    fn of_another_user(place: &Path) -> (PathBuf, PathBuf) {
        if own_user() != 0 {
            return ("/etc/passwd".into(), "/etc".into());
        }
        let (file, folder) = (place.join("file"), place.join("folder"));
        write(&file, b"").unwrap();
        make(&folder).unwrap();
        for path in [&file, &folder] {
            std::os::unix::fs::chown(path, Some(65_534), None).unwrap();
        }
        (file, folder)
    }

    #[test]
    fn what_another_user_owns_is_neither_read_nor_locked_nor_written_into() {
        let place = tempfile::tempdir().unwrap();
        let (file, folder) = of_another_user(place.path());
        for (error, path) in
            [(read(&file).map(|_| ()).unwrap_err(), &file), (make(&folder).unwrap_err(), &folder)]
        {
            let words = error.to_string();
            assert!(matches!(error, KeepingError::OtherOwner { .. }), "{words}");
            assert!(words.starts_with(&path.display().to_string()), "{words}");
        }
        // Who is not root cannot even open it to write.
        assert!(open_lock(&file).is_err());
    }

    #[test]
    fn no_link_in_the_place_of_a_file_is_followed() {
        let place = tempfile::tempdir().unwrap();
        let (file, link) = (place.path().join("file"), place.path().join("link"));
        write(&file, b"a secret").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for error in
            [read(&link).map(|_| ()).unwrap_err(), open_lock(&link).map(|_| ()).unwrap_err()]
        {
            assert!(error.to_string().contains("it is a link to elsewhere"), "{error}");
        }
        // What is written takes the link's place.
        write(&link, b"another").unwrap();
        assert_eq!(read(&file).unwrap().unwrap().as_slice(), b"a secret");
        assert_eq!(read(&link).unwrap().unwrap().as_slice(), b"another");
    }
}

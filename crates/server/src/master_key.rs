//! The master key: it encrypts the sealing keys at rest and never enters the database.
//!
//! It lives in a small file that only its owner may read, beside its id and the **epoch**. The
//! epoch stands in the database too. A database whose epoch is lower than the key's was put back
//! from a copy by somebody who did not use `grantor restore`: codes and sessions that ended would
//! live again, so the server refuses to start.
//!
//! A rekey lays the next key beside the file, as `<file>.new`, before the database changes over to
//! it, and puts it in the file's place afterwards. Between the two the key in force is the one of
//! those files that the database names: [`MasterKey::of_id`].

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::random::Random;

/// A master key that was read from its file. It does not print.
#[derive(Clone)]
pub struct MasterKey {
    id: String,
    epoch: i64,
    secret: Zeroizing<[u8; 32]>,
    /// Where the key of this installation stands; `None` for one that was never in a file.
    file: Option<PathBuf>,
}

/// A master key's file with its new epoch, not yet in its place. Dropped before, it is removed.
pub struct RaisedEpoch {
    beside: PathBuf,
    path: PathBuf,
}

/// Why a master key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// There is no file.
    #[error("there is no master key at {}", path.display())]
    Missing {
        /// where it was looked for
        path: PathBuf,
    },
    /// Others than its owner may read the file.
    #[error("others may read the master key {} (mode {mode:03o}); run: chmod 600 {}", path.display(), path.display())]
    Readable {
        /// which file
        path: PathBuf,
        /// its permission bits
        mode: u32,
    },
    /// The file is not a master key.
    #[error("{} is not a master key: {why}", path.display())]
    Malformed {
        /// which file
        path: PathBuf,
        /// what is wrong with it
        why: String,
    },
    /// The file cannot be read or written.
    #[error("the master key {} cannot be used: {source}", path.display())]
    Io {
        /// which file
        path: PathBuf,
        /// what the system said
        source: std::io::Error,
    },
    /// Something was not encrypted under this key, or was changed since.
    #[error("this is not the key {id} under which {what} was encrypted")]
    Wrong {
        /// the id of this key
        id: String,
        /// what could not be decrypted
        what: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: String,
    epoch: i64,
    key: Zeroizing<String>,
}

impl MasterKey {
    /// Draws a new one, of the first epoch.
    pub fn generate(random: &Random) -> MasterKey {
        MasterKey::generate_in(1, random)
    }

    /// Draws a new one, of that epoch.
    pub fn generate_in(epoch: i64, random: &Random) -> MasterKey {
        let secret = Zeroizing::new(random.bytes::<32>());
        MasterKey { id: id_of(&secret), epoch, secret, file: None }
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`MasterKeyError`]: missing, readable by others, or malformed.
    pub fn read(path: &Path) -> Result<MasterKey, MasterKeyError> {
        let io = |source| MasterKeyError::Io { path: path.to_owned(), source };
        let malformed =
            |why: &str| MasterKeyError::Malformed { path: path.to_owned(), why: why.to_owned() };
        let mode = match fs::metadata(path) {
            Ok(metadata) => metadata.permissions().mode() & 0o777,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(MasterKeyError::Missing { path: path.to_owned() });
            }
            Err(error) => return Err(io(error)),
        };
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::Readable { path: path.to_owned(), mode });
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
        // The parser's own message quotes the line, which may hold the key.
        let file: File = toml::from_str(&text)
            .map_err(|_| malformed("it does not hold id, epoch and key, one a line"))?;
        let bytes = Zeroizing::new(
            STANDARD.decode(file.key.as_bytes()).map_err(|_| malformed("its key is not Base64"))?,
        );
        let secret: [u8; 32] =
            bytes.as_slice().try_into().map_err(|_| malformed("its key does not have 32 bytes"))?;
        let secret = Zeroizing::new(secret);
        if id_of(&secret) != file.id {
            return Err(malformed("its id is not the id of its key"));
        }
        Ok(MasterKey { id: file.id, epoch: file.epoch, secret, file: Some(path.to_owned()) })
    }

    /// The master key of this id: this one, or the one that stands in its file by now, or the one
    /// that a rekey laid beside it. `None` where it is none of them.
    ///
    /// # Errors
    /// [`MasterKeyError`]: one of the files is there and cannot be used.
    pub fn of_id(&self, id: &str) -> Result<Option<MasterKey>, MasterKeyError> {
        if self.id == id {
            return Ok(Some(self.clone()));
        }
        let Some(file) = &self.file else {
            return Ok(None);
        };
        for path in [file.clone(), next_file(file)] {
            match MasterKey::read(&path) {
                Ok(key) if key.id == id => {
                    return Ok(Some(MasterKey { file: Some(file.clone()), ..key }));
                }
                Ok(_) | Err(MasterKeyError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Writes it to a new file that only its owner may read.
    ///
    /// # Errors
    /// [`MasterKeyError::Io`], also where there is a file already: a key is never overwritten.
    pub fn write(&self, path: &Path) -> Result<(), MasterKeyError> {
        let io = |source| MasterKeyError::Io { path: path.to_owned(), source };
        // Written beside and linked: a crash leaves a whole key file or none, never a part of one.
        let beside = extended(path, &format!("{}.tmp", std::process::id()));
        let beside = self.write_beside(path, beside, self.epoch)?;
        // The name has to last too, before a database depends on it.
        let linked = fs::hard_link(&beside, path).and_then(|()| sync_folder(path));
        remove_if_there(&beside).map_err(io)?;
        linked.map_err(io)
    }

    /// Writes this key with a higher epoch beside its file, which stays as it is until
    /// [`RaisedEpoch::put_in_place`]. So it is known before anything else is changed that it can be
    /// written.
    ///
    /// # Errors
    /// [`MasterKeyError::Io`]
    pub fn raise_epoch(&self, path: &Path, epoch: i64) -> Result<RaisedEpoch, MasterKeyError> {
        let io = |source| MasterKeyError::Io { path: path.to_owned(), source };
        // A link stays a link, and what it points to is replaced.
        let path = fs::canonicalize(path).map_err(io)?;
        let beside = self.write_beside(&path, extended(&path, "raised"), epoch)?;
        Ok(RaisedEpoch { beside, path })
    }

    /// Writes the file that `path` is to become, with nobody else's right to read it.
    fn write_beside(
        &self,
        path: &Path,
        beside: PathBuf,
        epoch: i64,
    ) -> Result<PathBuf, MasterKeyError> {
        let io = |source| MasterKeyError::Io { path: path.to_owned(), source };
        let text = Zeroizing::new(format!(
            "# The master key of a Grantor data folder. Whoever has it and the database can make\n\
             # tokens; without it the database cannot be used. Keep a copy, apart from backups.\n\
             id = \"{}\"\nepoch = {}\nkey = \"{}\"\n",
            self.id,
            epoch,
            Zeroizing::new(STANDARD.encode(*self.secret)).as_str()
        ));
        let write = || -> std::io::Result<()> {
            // Never into a file that is there: whoever laid it may read it.
            let mut file =
                fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        remove_if_there(&beside).map_err(io)?;
        if let Err(error) = write() {
            remove_if_there(&beside).map_err(io)?;
            return Err(io(error));
        }
        Ok(beside)
    }

    /// Its id, which is no secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The epoch that stands beside it.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Encrypts, bound to `context`: what it is and where it stands.
    pub fn encrypt(&self, context: &str, plain: &[u8], random: &Random) -> Vec<u8> {
        let nonce = random.bytes::<NONCE_LEN>();
        let mut sealed = plain.to_vec();
        let done = self.cipher().seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context.as_bytes()),
            &mut sealed,
        );
        // Sealing fails only past 64 GiB; an empty answer can never be decrypted.
        if done.is_err() {
            return Vec::new();
        }
        [nonce.as_slice(), &sealed].concat()
    }

    /// Decrypts what [`MasterKey::encrypt`] made in the same context.
    ///
    /// # Errors
    /// [`MasterKeyError::Wrong`], which names this key.
    pub fn decrypt(
        &self,
        context: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
        let wrong = || MasterKeyError::Wrong { id: self.id.clone(), what: context.to_owned() };
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or_else(wrong)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let length = self
            .cipher()
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut buffer)
            .map_err(|_| wrong())?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    #[expect(clippy::expect_used, reason = "the key has the 32 bytes that the cipher takes")]
    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM_SIV, self.secret.as_slice());
        LessSafeKey::new(key.expect("32 bytes"))
    }
}

/// Where a rekey lays the next key of this file.
pub fn next_file(file: &Path) -> PathBuf {
    extended(file, "new")
}

/// Puts the next key, whose id is `id`, in the place of the file's own, which stays beside it under
/// its own id: backups from before need it. Answers where it stays. Whoever does it again, or at
/// the same time, finds it done.
///
/// # Errors
/// [`MasterKeyError`]
pub fn put_next_in_place(file: &Path, id: &str) -> Result<Option<PathBuf>, MasterKeyError> {
    let io = |source| MasterKeyError::Io { path: file.to_owned(), source };
    let standing = MasterKey::read(file)?;
    if standing.id == id {
        return Ok(None);
    }
    let kept = extended(file, &standing.id);
    match fs::hard_link(file, &kept) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(error)),
        _ => {}
    }
    match fs::rename(next_file(file), file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    sync_folder(file).map_err(io)?;
    Ok(Some(kept))
}

/// Removes what [`next_file`] names, where it is the very key that stands in the file already.
///
/// # Errors
/// [`MasterKeyError::Io`]
pub(crate) fn remove_next(file: &Path) -> Result<(), MasterKeyError> {
    let path = next_file(file);
    remove_if_there(&path).map_err(|source| MasterKeyError::Io { path, source })
}

fn extended(file: &Path, more: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(more);
    PathBuf::from(name)
}

fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

impl RaisedEpoch {
    /// Puts it in the place of the file before: a crash leaves the one or the other.
    ///
    /// # Errors
    /// [`MasterKeyError::Io`]
    pub fn put_in_place(self) -> Result<(), MasterKeyError> {
        let put = fs::rename(&self.beside, &self.path).and_then(|()| sync_folder(&self.path));
        put.map_err(|source| MasterKeyError::Io { path: self.path.clone(), source })
    }
}

impl Drop for RaisedEpoch {
    fn drop(&mut self) {
        // Once it is in its place there is nothing left to remove.
        let _ = fs::remove_file(&self.beside);
    }
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn id_of(secret: &[u8; 32]) -> String {
    let hash = digest(&SHA256, &[b"grantor master key id".as_slice(), secret].concat());
    let hex: String = hash.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("mk-{hex}")
}

//! Where connections are kept: a folder that belongs to one user, shared by all of their processes.
//!
//! ```text
//! key                 32 random bytes, or by which id the keyring of the user's session holds them
//! NAME.connection     one connection, encrypted under the key (AES-256-GCM-SIV), mode 0600
//! NAME.lock           whoever writes that connection holds a lock on this file
//! ```
//!
//! `NAME` is a digest of the connection's name. Files are written beside and renamed, and are on the
//! disk before anything depends on them: a crash leaves the old content or the new. Reading takes no
//! lock. The system's own permissions keep other users out, and nothing is read whose permissions let
//! them in, or that another user owns. A key in a file stands beside what it encrypts, so whoever can
//! read the whole folder can read it all; a key in the keyring is not in the folder at all.

mod folder;
mod key;
#[cfg(feature = "keyring")]
mod keyring;
mod lock;

use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

pub(crate) use folder::{open_lock, own_user, write as write_private};
pub use lock::Lock;

use crate::clock::Clock;
use crate::connection::Connection;
use crate::random::Random;
use key::Key;

/// How a file of a connection ends.
const ENDING: &str = "connection";

/// A folder of connections. Cloned freely.
#[derive(Clone)]
pub struct Connections {
    folder: PathBuf,
    key: Key,
    clock: Clock,
    random: Random,
    /// The renewals that were begun and have not ended: each outlives whoever asked for it.
    pub(crate) renewals: TaskTracker,
}

/// Why connections cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum KeepingError {
    /// The system refuses.
    #[error("{} cannot be used: {source}", path.display())]
    Io {
        /// which file or folder
        path: PathBuf,
        /// what it said
        source: io::Error,
    },
    /// It belongs to another user, who could read it, or has put something in its place.
    #[error(
        "{} belongs to user {owner}, and this program runs as user {user}: run it as the user whose \
         connections they are",
        path.display()
    )]
    OtherOwner {
        /// which file or folder
        path: PathBuf,
        /// the id of whoever owns it
        owner: u32,
        /// the id of the user that this process acts as
        user: u32,
    },
    /// Others may get at what is secret.
    #[error("others may use {} (mode {mode:03o}); run: chmod {wanted} {}", path.display(), path.display())]
    Open {
        /// which file or folder
        path: PathBuf,
        /// its permission bits
        mode: u32,
        /// what they have to be, as it is typed
        wanted: &'static str,
    },
    /// The key is no key.
    #[error("{} is no key of connections", path.display())]
    NoKey {
        /// which file
        path: PathBuf,
    },
    /// The key is in a keyring that cannot be read just now.
    #[error("the key that {} names is in the keyring of your session, which {why}", path.display())]
    Keyring {
        /// which file names it
        path: PathBuf,
        /// what is wrong with it
        why: String,
    },
    /// A connection was encrypted under another key, or was changed.
    #[error("{} cannot be decrypted: it was changed, or the key beside it is another one", path.display())]
    NotDecrypted {
        /// which file
        path: PathBuf,
    },
    /// Somebody else has been writing this connection all the time.
    #[error("another process has been renewing {name} for {seconds} seconds")]
    Locked {
        /// which connection
        name: String,
        /// how long it was waited
        seconds: u64,
    },
}

impl Connections {
    /// Opens a folder, and makes it where there is none, with a key of its own in a file.
    ///
    /// ```
    /// use grantor_client::clock::Clock;
    /// use grantor_client::connections::Connections;
    /// use grantor_client::random::Random;
    ///
    /// # let place = tempfile::tempdir()?;
    /// # let folder = place.path().join("connections");
    /// let connections = Connections::open(&folder, &Clock::system(), &Random::system())?;
    /// assert!(connections.all()?.is_empty());
    /// assert!(connections.find("mine")?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`KeepingError`]
    pub fn open(
        folder: &Path,
        clock: &Clock,
        random: &Random,
    ) -> Result<Connections, KeepingError> {
        Connections::open_with(folder, None, clock, random)
    }

    /// The same with the keyring of the user's session at this address of D-Bus: a new folder has its
    /// key there, where a keyring answers that is open or opens unasked, and in a file otherwise. It
    /// waits for the keyring, five seconds at most, and nobody is ever asked for a passphrase. Without
    /// the feature `keyring` it is a file always.
    ///
    /// # Errors
    /// [`KeepingError`]; `Keyring` where the key of this folder is in a keyring that cannot be read.
    pub fn open_with(
        folder: &Path,
        keyring: Option<&str>,
        clock: &Clock,
        random: &Random,
    ) -> Result<Connections, KeepingError> {
        folder::make(folder)?;
        let key = Key::read_or_make(folder, keyring, random)?;
        let (clock, random) = (clock.clone(), random.clone());
        let (folder, renewals) = (folder.to_owned(), TaskTracker::new());
        Ok(Connections { folder, key, clock, random, renewals })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The clock that this was opened with.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The connection of that name, as it stands now.
    ///
    /// # Errors
    /// [`KeepingError`]
    pub fn find(&self, name: &str) -> Result<Option<Connection>, KeepingError> {
        self.read(&self.file(name, ENDING))
    }

    /// The connection that a customer allowed last.
    ///
    /// # Errors
    /// [`KeepingError`]
    pub fn latest(&self) -> Result<Option<Connection>, KeepingError> {
        Ok(self.all()?.into_iter().next())
    }

    /// All of them, the latest first.
    ///
    /// # Errors
    /// [`KeepingError`]
    pub fn all(&self) -> Result<Vec<Connection>, KeepingError> {
        let io = |source| KeepingError::Io { path: self.folder.clone(), source };
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                // One that another process forgets meanwhile is none.
                all.extend(self.read(&path)?);
            }
        }
        all.sort_by(|a, b| b.connected_at.cmp(&a.connected_at).then_with(|| a.name.cmp(&b.name)));
        Ok(all)
    }

    /// Waits until nobody else writes that connection.
    ///
    /// # Errors
    /// [`KeepingError`], also where that takes too long.
    pub async fn lock(&self, name: &str) -> Result<Lock, KeepingError> {
        Lock::take(&self.file(name, "lock"), name).await
    }

    /// Writes a connection, over the one of that name. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`KeepingError`]
    pub fn keep(&self, connection: &Connection, lock: &Lock) -> Result<(), KeepingError> {
        let path = self.file(&connection.name, ENDING);
        lock.must_be_of(&self.file(&connection.name, "lock"));
        let text = Zeroizing::new(serde_json::to_vec(connection).map_err(|error| {
            KeepingError::Io { path: path.clone(), source: io::Error::other(error) }
        })?);
        let sealed = self.key.encrypt(&context(&path), &text, &self.random);
        folder::write(&path, &sealed)
    }

    /// Removes a connection from this machine. The server is not told. Whether there was one.
    ///
    /// # Errors
    /// [`KeepingError`]
    pub fn forget(&self, name: &str, lock: &Lock) -> Result<bool, KeepingError> {
        lock.must_be_of(&self.file(name, "lock"));
        folder::remove(&self.file(name, ENDING))
    }

    fn read(&self, path: &Path) -> Result<Option<Connection>, KeepingError> {
        let Some(sealed) = folder::read(path)? else {
            return Ok(None);
        };
        let not_decrypted = || KeepingError::NotDecrypted { path: path.to_owned() };
        let text = self.key.decrypt(&context(path), &sealed).ok_or_else(not_decrypted)?;
        serde_json::from_slice(&text).map(Some).map_err(|_| not_decrypted())
    }

    fn file(&self, name: &str, ending: &str) -> PathBuf {
        let digest = digest(&SHA256, name.as_bytes());
        let hex: String = digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{hex}.{ending}"))
    }
}

/// What an encrypted file is bound to: put in the place of another one, it cannot be read.
fn context(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    format!("grantor connection 1 {stem}")
}

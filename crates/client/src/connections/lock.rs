//! One writer at a time, across processes. The system gives the lock back when its holder ends,
//! however it ends.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{KeepingError, folder};

/// How long it is waited for another process. It renews within three calls of thirty seconds.
const WAIT_SECONDS: u64 = 100;
/// The pause between two tries, which doubles up to the second number; in milliseconds.
const PAUSE_MILLIS: (u64, u64) = (2, 50);

/// The right to write one connection, until it is dropped.
pub struct Lock {
    path: PathBuf,
    // Locked for as long as it is open.
    _file: File,
}

impl Lock {
    /// Tries again and again, so that whoever goes away meanwhile leaves no thread behind.
    pub(super) async fn take(path: &Path, name: &str) -> Result<Lock, KeepingError> {
        let file = folder::open_lock(path)?;
        let (mut pause, longest) = PAUSE_MILLIS;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { path: path.to_owned(), _file: file }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => {
                    return Err(KeepingError::Io { path: path.to_owned(), source });
                }
            }
            if waited.as_secs() >= WAIT_SECONDS {
                let (name, seconds) = (name.to_owned(), WAIT_SECONDS);
                return Err(KeepingError::Locked { name, seconds });
            }
            let now = Duration::from_millis(pause);
            tokio::time::sleep(now).await;
            waited += now;
            pause = (pause * 2).min(longest);
        }
    }

    /// Whoever writes one connection under the lock of another has a fault in the program.
    pub(super) fn must_be_of(&self, path: &Path) {
        debug_assert_eq!(self.path, path, "the lock of another connection");
    }
}

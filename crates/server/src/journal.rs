//! The journal of endings: what ended, kept beside the database, so that a restored backup cannot
//! bring it back.
//!
//! 1. [`Journal::note`] is called before the commit that ends something, and answers when the line
//!    reached the disk. An ending that stands here and not in the database is harmless; the reverse
//!    would live again after a restore;
//! 2. one thread writes whatever waits with one `write` and one fsync. Each write begins and ends
//!    with a line end, and the file is only ever appended to, so that many processes share it, and
//!    what a crash tore stands on a line of its own;
//! 3. [`read`](fn@read) reads it for a restore, and tells a torn line from a changed or missing one.
//!
//! A line is one JSON object. It names its writer and is numbered in the order of that writer, and
//! ends in the front of a SHA-256 over the rest. Ids stand in it; no secret, no name, no address.

mod line;
mod read;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

pub use line::{Ending, Entry, Mark};
pub use read::{JournalFault, Noted, Reading, read};

use crate::clock::Clock;
use crate::random::Random;

/// No more endings wait.
const QUEUE: usize = 4096;
/// No more endings share one fsync.
const GROUP: usize = 512;
/// How often a server that serves says so, in seconds.
pub const ALIVE_SECONDS: u64 = 60;

/// The journal, open to be written. Cloned freely: all clones are one writer.
#[derive(Clone)]
pub struct Journal {
    queue: mpsc::Sender<Job>,
}

/// Why nothing was noted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// A restore holds it.
    #[error("the journal of endings {} is held by `grantor restore`", path.display())]
    Held {
        /// which file
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("the journal of endings {} cannot be written: {why}", path.display())]
    Io {
        /// which file
        path: PathBuf,
        /// what the system said
        why: String,
    },
    /// Too much waits already.
    #[error("the journal of endings has too much waiting")]
    Busy,
    /// Its thread ended.
    #[error("the journal of endings stopped")]
    Stopped,
}

struct Job {
    entry: Entry,
    answer: oneshot::Sender<Result<(), JournalError>>,
}

/// The thread's side.
struct Writer {
    path: PathBuf,
    file: File,
    clock: Clock,
    random: Random,
    name: String,
    next: u64,
}

impl Journal {
    /// Opens the journal, making it where there is none, and starts its thread. For as long as it
    /// is open, no restore can begin.
    ///
    /// # Errors
    /// [`JournalError::Held`] while a restore is under way, [`JournalError::Io`].
    pub fn open(path: &Path, clock: &Clock, random: &Random) -> Result<Journal, JournalError> {
        let writer = Writer {
            path: path.to_owned(),
            file: open_shared(path)?,
            clock: clock.clone(),
            random: random.clone(),
            name: random.hex::<8>(),
            next: 0,
        };
        let (queue, jobs) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.write_all(jobs))
            .map_err(|error| JournalError::Io { path: path.to_owned(), why: error.to_string() })?;
        Ok(Journal { queue })
    }

    /// Notes an ending, and answers once it is on the disk. Call it before the commit.
    ///
    /// # Errors
    /// [`JournalError`]: then the ending must not happen either.
    pub async fn note(&self, ending: Ending) -> Result<(), JournalError> {
        self.append(Entry::Ending(ending)).await
    }

    /// Writes a mark, and answers once it is on the disk.
    ///
    /// # Errors
    /// [`JournalError`]
    pub async fn mark(&self, mark: Mark) -> Result<(), JournalError> {
        self.append(Entry::Mark(mark)).await
    }

    async fn append(&self, entry: Entry) -> Result<(), JournalError> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Job { entry, answer }).map_err(|error| match error {
            TrySendError::Full(_) => JournalError::Busy,
            TrySendError::Closed(_) => JournalError::Stopped,
        })?;
        answered.await.unwrap_or(Err(JournalError::Stopped))
    }
}

/// Takes the journal for a restore alone, until the file is dropped. `None` where some process has
/// it open.
///
/// # Errors
/// What the system said.
pub fn claim(path: &Path) -> std::io::Result<Option<File>> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Notes a restore in a journal that was claimed.
///
/// # Errors
/// What the system said.
pub fn mark_restored(
    file: &mut File,
    backup: &str,
    epoch: i64,
    now: i64,
    random: &Random,
) -> std::io::Result<()> {
    let mark = Entry::Mark(Mark::Restored { backup: backup.to_owned(), epoch });
    let line = line::write(now, &random.hex::<8>(), 0, &mark);
    file.write_all(format!("\n{line}\n").as_bytes())?;
    file.sync_all()
}

fn open(path: &Path) -> std::io::Result<File> {
    let is_new = !path.exists();
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    if is_new && let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // Its name has to last as its lines do.
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

fn open_shared(path: &Path) -> Result<File, JournalError> {
    let io = |why: &std::io::Error| JournalError::Io { path: path.into(), why: why.to_string() };
    let file = open(path).map_err(|error| io(&error))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(JournalError::Held { path: path.into() }),
        Err(std::fs::TryLockError::Error(error)) => Err(io(&error)),
    }
}

impl Writer {
    fn write_all(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(GROUP);
        while jobs.blocking_recv_many(&mut group, GROUP) > 0 {
            let written = self.write(&group).map_err(|error| match error {
                error @ JournalError::Held { .. } => error,
                error => {
                    // What reached the file is not known: a new name begins to count anew.
                    self.name = self.random.hex::<8>();
                    self.next = 0;
                    error
                }
            });
            for job in group.drain(..) {
                // The caller may have gone away; what stands here is harmless.
                let _ = job.answer.send(written.clone());
            }
        }
    }

    /// One write, one fsync. A line that another process may be in the middle of never runs into
    /// ours: `O_APPEND` keeps writes whole, and a line end comes first.
    fn write(&mut self, group: &[Job]) -> Result<(), JournalError> {
        self.follow()?;
        let now = self.clock.now();
        let mut text = String::from("\n");
        for (number, job) in (self.next..).zip(group) {
            text.push_str(&line::write(now, &self.name, number, &job.entry));
            text.push('\n');
        }
        let io = |error: std::io::Error| JournalError::Io {
            path: self.path.clone(),
            why: error.to_string(),
        };
        (&self.file).write_all(text.as_bytes()).map_err(io)?;
        self.file.sync_data().map_err(io)?;
        self.next += u64::try_from(group.len()).unwrap_or(0);
        Ok(())
    }

    /// Where somebody moved the file away, to begin a new one, what is noted goes to the file that
    /// bears the name now, and not to one that nobody will read.
    fn follow(&mut self) -> Result<(), JournalError> {
        let same = match (std::fs::metadata(&self.path), self.file.metadata()) {
            (Ok(named), Ok(open)) => named.dev() == open.dev() && named.ino() == open.ino(),
            _ => false,
        };
        if !same {
            self.file = open_shared(&self.path)?;
            self.name = self.random.hex::<8>();
            self.next = 0;
        }
        Ok(())
    }
}

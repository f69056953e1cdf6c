//! Passwords, hashed with argon2id behind a bounded queue.
//!
//! Hashing costs 20 ms of a core and 19 MiB on purpose, so it is the first thing that an attacker
//! would have us do too often. A few threads of our own do it, each with one piece of memory that
//! it keeps; past the bound a request is told to come again. The work itself holds the place in the
//! queue: a caller that goes away frees nothing before its work is done (S21).

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::count::Count;
use crate::random::Random;

/// No password is longer, in bytes; at sign-in too.
pub const MAX_PASSWORD_BYTES: usize = 1024;
/// No password is shorter, in characters, when it is set.
pub const MIN_PASSWORD_CHARACTERS: usize = 12;
/// The password of the demo, which everybody reads in the documentation: nobody sets it, and outside
/// dev it opens nothing (S26).
pub const KNOWN_PASSWORD: &str = "demo-password-for-dev-only";
/// No more hashes wait.
const QUEUE: usize = 64;

/// What an unknown address is checked against, so that it takes as long as a known one (S19).
/// Nobody knows a password for it: salt and hash are bytes that were drawn, not computed.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$\
    2xC1hI9m6y0mQm0mH7vJ5w$4u4dq0o3bqk4Qm2gG3m0kT0m6cW1nR8s5yXvP7aZb1U";

/// A password as it was typed. It does not print, and its memory is wiped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// Why a password was not hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many wait. Come again.
    #[error("too many passwords are being checked")]
    Busy,
    /// Too short, or too long.
    #[error(
        "a password has at least {MIN_PASSWORD_CHARACTERS} characters and at most {MAX_PASSWORD_BYTES} bytes"
    )]
    Length,
    /// What is stored is no hash.
    #[error("a stored password hash cannot be read")]
    Corrupt,
}

/// Why a password is none that may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has fewer than [`MIN_PASSWORD_CHARACTERS`] characters.
    Short,
    /// It has more than [`MAX_PASSWORD_BYTES`] bytes.
    Long,
    /// It is [`KNOWN_PASSWORD`].
    Known,
}

/// Why this is no password that somebody may set, as far as it can be told without hashing.
pub fn unfit(password: &str) -> Option<Unfit> {
    if password.chars().count() < MIN_PASSWORD_CHARACTERS {
        return Some(Unfit::Short);
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return Some(Unfit::Long);
    }
    (password == KNOWN_PASSWORD).then_some(Unfit::Known)
}

/// The threads that hash. Cloned freely: all clones share the queue.
#[derive(Clone)]
pub struct Passwords {
    queue: SyncSender<Job>,
    random: Random,
    metrics: Arc<PasswordMetrics>,
}

/// What is counted of passwords, from the start of this process.
#[derive(Debug, Default)]
pub struct PasswordMetrics {
    /// Hashes that were made, to check a password or to set it.
    pub hashed: Count,
    /// Passwords that were turned away because too many waited.
    pub busy: Count,
    /// Passwords that wait now.
    pub waiting: Count,
}

type Job = Box<dyn FnOnce() + Send>;

impl Password {
    /// Takes a password.
    pub fn new(text: String) -> Password {
        Password(Zeroizing::new(text))
    }

    /// Whether it is this text; for the demo's fixed words alone.
    pub fn is(&self, text: &str) -> bool {
        self.0.as_str() == text
    }
}

impl Passwords {
    /// Starts `threads` threads.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(threads: usize, random: Random) -> std::io::Result<Passwords> {
        let (queue, jobs) = sync_channel::<Job>(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..threads.max(1) {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new().name("password".into()).spawn(move || work(&jobs))?;
        }
        Ok(Passwords { queue, random, metrics: Arc::default() })
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`PasswordError::Length`], [`PasswordError::Busy`].
    pub async fn hash(&self, password: Password) -> Result<String, PasswordError> {
        let characters = password.0.chars().count();
        if characters < MIN_PASSWORD_CHARACTERS || password.0.len() > MAX_PASSWORD_BYTES {
            return Err(PasswordError::Length);
        }
        let salt = self.random.bytes::<16>();
        self.run(move || {
            argon2()
                .hash_password_with_salt(password.0.as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(|_| PasswordError::Corrupt)
        })
        .await?
    }

    /// Whether the password is the one of that hash; `None` for a person who does not exist, which
    /// takes as long and is never true.
    ///
    /// # Errors
    /// [`PasswordError::Busy`], [`PasswordError::Corrupt`].
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<String>,
    ) -> Result<bool, PasswordError> {
        // Longer than any that can be set: it is wrong, and must not cost more than others.
        let exists = stored.is_some() && password.0.len() <= MAX_PASSWORD_BYTES;
        let stored = stored.filter(|_| exists).unwrap_or_else(|| NOBODY.to_owned());
        self.run(move || {
            let hash = PasswordHash::new(&stored).map_err(|_| PasswordError::Corrupt)?;
            let length = password.0.len().min(MAX_PASSWORD_BYTES);
            let right = argon2().verify_password(&password.0.as_bytes()[..length], &hash).is_ok();
            Ok(right && exists)
        })
        .await?
    }

    /// What was counted.
    pub fn metrics(&self) -> &PasswordMetrics {
        &self.metrics
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (answer, answered) = oneshot::channel();
        let metrics = Arc::clone(&self.metrics);
        let job = Box::new(move || {
            metrics.waiting.subtract(1);
            let done = work();
            metrics.hashed.add(1);
            let _ = answer.send(done);
        });
        // Before it is in the queue, where it may be taken at once.
        self.metrics.waiting.add(1);
        match self.queue.try_send(job) {
            Ok(()) => answered.await.map_err(|_| PasswordError::Busy),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.metrics.waiting.subtract(1);
                self.metrics.busy.add(1);
                Err(PasswordError::Busy)
            }
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}

/// OWASP's parameters: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

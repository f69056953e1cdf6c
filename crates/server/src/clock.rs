//! The time, handed in. Nothing else in the server asks the system for it, so tests move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from. Cloned freely; clones of a manual clock move together.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

/// Measures how long something took, by a clock that never goes back and that no test moves. For the
/// log, and for what may be as old as that and is right all the same.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock(Source::System)
    }

    /// A clock that stands still at `unix_seconds` until it is moved.
    pub fn manual(unix_seconds: i64) -> Clock {
        Clock(Source::Manual(Arc::new(AtomicI64::new(unix_seconds))))
    }

    /// Now, in Unix seconds.
    pub fn now(&self) -> i64 {
        self.now_millis().div_euclid(1000)
    }

    /// Now, in Unix milliseconds: for ids, which are time-ordered.
    pub fn now_millis(&self) -> i64 {
        match &self.0 {
            Source::System => system_millis(),
            Source::Manual(seconds) => seconds.load(Ordering::SeqCst) * 1000,
        }
    }

    /// Moves a manual clock, backwards too. The system's clock does not move.
    pub fn advance(&self, seconds: i64) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(seconds, Ordering::SeqCst);
        }
    }

    /// Starts a stopwatch.
    #[expect(clippy::disallowed_methods, reason = "the one place that measures")]
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch(Instant::now())
    }
}

impl Stopwatch {
    /// How long ago it was started.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
fn system_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

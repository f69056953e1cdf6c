//! Taking leave: what a server does between the signal to stop and the end of its listeners (D6).
//!
//! A balancer goes on sending until it has seen that a server is not ready, and what it sends right
//! then would be cut off: a connection that nobody has taken yet, or whose request is still on its
//! way, is reset when the listener closes. So where somebody asked `/readyz` lately, it answers 503
//! for [`NOTICE`] first, while everything else is served as ever. Where nobody asks, nobody waits.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

/// How long a balancer has to notice.
pub(super) const NOTICE: Duration = Duration::from_secs(3);
/// Who asked no longer ago than that, in seconds, will ask again.
const LATELY_SECONDS: i64 = 60;

/// Whether this process is about to end, and whether anybody wants to know.
pub(super) struct Leaving {
    leaving: AtomicBool,
    /// When somebody last asked, in Unix seconds.
    asked_at: AtomicI64,
}

impl Leaving {
    pub(super) fn new() -> Leaving {
        Leaving { leaving: AtomicBool::new(false), asked_at: AtomicI64::new(i64::MIN) }
    }

    /// Somebody asks whether this process is ready. Answers whether it is about to end.
    pub(super) fn ask(&self, now: i64) -> bool {
        self.asked_at.store(now, Ordering::Relaxed);
        self.leaving.load(Ordering::Relaxed)
    }

    /// Says from now on that this process is about to end, and waits until those who ask know it.
    /// Answers how long that took.
    pub(super) async fn announce(&self, now: i64) -> Duration {
        self.leaving.store(true, Ordering::Relaxed);
        let ago = now.saturating_sub(self.asked_at.load(Ordering::Relaxed));
        if !(0..LATELY_SECONDS).contains(&ago) {
            return Duration::ZERO;
        }
        tokio::time::sleep(NOTICE).await;
        NOTICE
    }
}

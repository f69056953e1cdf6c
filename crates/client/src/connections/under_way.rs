//! The renewals that this process has begun and not ended: each outlives whoever asked for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// Counts them. Cloned freely: all clones count together.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Inner>);

#[derive(Default)]
struct Inner {
    count: watch::Sender<usize>,
    leaves: AtomicBool,
}

/// One that was begun. It has ended when this is dropped, also by a panic.
pub(crate) struct Begun(UnderWay);

impl UnderWay {
    pub(crate) fn begin(&self) -> Begun {
        self.0.count.send_modify(|count| *count += 1);
        Begun(self.clone())
    }

    /// Whether the process only waits for what is under way.
    pub(crate) fn leaves(&self) -> bool {
        self.0.leaves.load(Ordering::SeqCst)
    }

    pub(crate) async fn leave(&self) {
        self.0.leaves.store(true, Ordering::SeqCst);
        // It fails where the sender is gone, and we hold that.
        let _ = self.0.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.0.count.send_modify(|count| *count -= 1);
    }
}

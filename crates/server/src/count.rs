//! A number that many threads change at once, at the price of one atomic addition.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number. No order between two of them is promised: each is right for itself.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Nought.
    pub const fn new() -> Count {
        Count(AtomicU64::new(0))
    }

    /// Adds.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// Takes away what was added before: for what waits, and waits no more.
    pub fn subtract(&self, fewer: u64) {
        self.0.fetch_sub(fewer, Relaxed);
    }

    /// Makes it another one: for what is counted elsewhere.
    pub fn set(&self, number: u64) {
        self.0.store(number, Relaxed);
    }

    /// What it is now.
    pub fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

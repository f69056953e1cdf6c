//! What the store counts of itself, for whoever watches over it.

use super::Store;
use crate::count::Count;

/// The numbers of one store, from the start of this process.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    /// Transactions that were carried out or refused by their condition, and committed.
    pub transactions: Count,
    /// Commits: one for a whole group of transactions.
    pub commits: Count,
    /// Transactions that were turned away because too much waited.
    pub busy: Count,
    /// Transactions and reads that failed.
    pub faults: Count,
    /// Reads.
    pub reads: Count,
    /// Transactions that wait now.
    pub waiting: Count,
}

impl Store {
    /// What this store counted.
    pub fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }
}

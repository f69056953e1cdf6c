//! What the store counts of itself, for whoever watches over it: [`Counted`] stands before the
//! engine, whichever it is, and counts what goes through.

use std::sync::Arc;

use super::engine::{Engine, Outcome, Row, Statement, Value};
use super::{Store, StoreError};
use crate::count::Count;
use crate::outbox::OutboxMetrics;

/// The numbers of one store, from the start of this process.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    /// Transactions that were carried out, or refused by their condition.
    pub transactions: Count,
    /// Commits: one for a whole group of transactions. The engine alone knows them.
    pub commits: Count,
    /// Transactions that were turned away because too much waited.
    pub busy: Count,
    /// Transactions and reads that failed.
    pub faults: Count,
    /// Reads that were answered.
    pub reads: Count,
    /// Callers that wait for a transaction now.
    pub waiting: Count,
    /// What became of the messages in it.
    pub outbox: OutboxMetrics,
}

/// An engine, and what is counted of it. Cloned freely.
#[derive(Clone)]
pub(super) struct Counted {
    engine: Engine,
    metrics: Arc<StoreMetrics>,
}

/// One caller that waits, until it has its answer or goes away.
struct Waiting<'a>(&'a Count);

impl Store {
    /// What this store counted.
    pub fn metrics(&self) -> &StoreMetrics {
        &self.engine.metrics
    }
}

impl Counted {
    pub(super) fn new(engine: Engine, metrics: Arc<StoreMetrics>) -> Counted {
        Counted { engine, metrics }
    }

    /// Carries out a transaction, and answers after its commit.
    pub(super) async fn write(&self, transaction: Vec<Statement>) -> Result<Outcome, StoreError> {
        let _waiting = Waiting::begin(&self.metrics.waiting);
        let outcome = self.engine.write(transaction).await;
        match &outcome {
            Ok(_) => self.metrics.transactions.add(1),
            Err(StoreError::Busy) => self.metrics.busy.add(1),
            Err(_) => self.metrics.faults.add(1),
        }
        outcome
    }

    /// Reads.
    pub(super) async fn read(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let rows = self.engine.read(sql, values).await;
        match &rows {
            Ok(_) => self.metrics.reads.add(1),
            Err(_) => self.metrics.faults.add(1),
        }
        rows
    }
}

impl Waiting<'_> {
    fn begin(count: &Count) -> Waiting<'_> {
        count.add(1);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.subtract(1);
    }
}

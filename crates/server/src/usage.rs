//! What is counted of clients, outside the hot path: how often one sends parameters in the query,
//! and when a secret was last used.
//!
//! A request adds to a number in memory; a task writes the numbers once a second, and once more at
//! the end. A process that is killed loses at most that second, and only of these numbers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use grantor_protocol::environment::Environment;

use crate::store::{ClientUse, Store};

/// The numbers. Cloned freely: all clones are one.
#[derive(Clone, Default)]
pub struct Usage {
    waiting: Arc<Mutex<HashMap<(Environment, String), ClientUse>>>,
}

impl Usage {
    /// Counts a call that took parameters from the query.
    pub fn count_query_call(&self, environment: Environment, client_id: &str, now: i64) {
        self.note(environment, client_id, |calls| {
            calls.query_calls += 1;
            calls.query_called_at = Some(now);
        });
    }

    /// Notes that the secret in place `slot` (1 or 2) was used.
    pub fn note_secret(&self, environment: Environment, client_id: &str, slot: i64, now: i64) {
        self.note(environment, client_id, |calls| {
            calls.secret_used_at[usize::from(slot == 2)] = Some(now);
        });
    }

    /// Writes what was counted since the last time. What cannot be written waits for the next.
    pub async fn flush(&self, store: &Store) {
        let counted = std::mem::take(&mut *self.lock());
        for ((environment, client_id), calls) in counted {
            if let Err(error) = store.note_client_use(environment, &client_id, &calls).await {
                tracing::warn!(%error, "usage.flush");
                self.note(environment, &client_id, |waiting| {
                    waiting.query_calls += calls.query_calls;
                    waiting.query_called_at = waiting.query_called_at.max(calls.query_called_at);
                    for (waiting, calls) in
                        waiting.secret_used_at.iter_mut().zip(calls.secret_used_at)
                    {
                        *waiting = (*waiting).max(calls);
                    }
                });
            }
        }
    }

    fn note(&self, environment: Environment, client_id: &str, change: impl FnOnce(&mut ClientUse)) {
        change(self.lock().entry((environment, client_id.to_owned())).or_default());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Environment, String), ClientUse>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

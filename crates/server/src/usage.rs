//! What is counted of clients, outside the hot path: how often one sends parameters in the query,
//! and when a secret was last used.
//!
//! A request adds to a number in memory; a task writes the numbers once a second, and once more at
//! the end. A process that is killed loses at most that second, and only of these numbers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grantor_protocol::client::SecretDigest;
use grantor_protocol::environment::Environment;

use crate::store::{ClientUse, SecretUse, Store};

/// No more clients share one transaction, so that none holds up the others for long.
const CLIENTS_IN_ONE_WRITE: usize = 200;

/// The numbers. Cloned freely: all clones are one.
#[derive(Clone, Default)]
pub struct Usage {
    waiting: Arc<Mutex<Waiting>>,
}

/// By environment, in the order of [`Environment::ISSUERS`], and by client.
type Waiting = [HashMap<String, ClientUse>; Environment::ISSUERS.len()];

impl Usage {
    /// Counts a call that took parameters from the query.
    pub fn count_query_call(&self, environment: Environment, client_id: &str, now: i64) {
        self.note(environment, client_id, |calls| {
            calls.query_calls += 1;
            calls.query_called_at = Some(now);
        });
    }

    /// Notes that the secret with that digest, in place `slot` (1 or 2), was used.
    pub fn note_secret(
        &self,
        environment: Environment,
        client_id: &str,
        (slot, digest): (i64, SecretDigest),
        now: i64,
    ) {
        self.note(environment, client_id, |calls| {
            calls.secrets[usize::from(slot == 2)] = Some(SecretUse { digest, used_at: now });
        });
    }

    /// Writes what was counted since the last time. What cannot be written waits for the next.
    pub async fn flush(&self, store: &Store) {
        let counted = std::mem::take(&mut *self.lock());
        let mut counted: Vec<(Environment, String, ClientUse)> = Environment::ISSUERS
            .into_iter()
            .zip(counted)
            .flat_map(|(environment, clients)| {
                clients.into_iter().map(move |(client_id, calls)| (environment, client_id, calls))
            })
            .collect();
        // Always in this order: two processes that write the same rows each in their own would wait
        // for one another.
        counted.sort_by(|(_, one, _), (_, other, _)| one.cmp(other));
        for clients in counted.chunks(CLIENTS_IN_ONE_WRITE) {
            if let Err(error) = store.note_client_uses(clients).await {
                tracing::warn!(%error, clients = clients.len(), "usage.flush");
                for (environment, client_id, calls) in clients {
                    self.note(*environment, client_id, |waiting| put_back(waiting, calls));
                }
            }
        }
    }

    fn note(&self, environment: Environment, client_id: &str, change: impl FnOnce(&mut ClientUse)) {
        let clients = &mut self.lock()[environment as usize];
        match clients.get_mut(client_id) {
            Some(calls) => change(calls),
            None => change(clients.entry(client_id.to_owned()).or_default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds what could not be written to what was counted since.
fn put_back(waiting: &mut ClientUse, calls: &ClientUse) {
    waiting.query_calls += calls.query_calls;
    waiting.query_called_at = waiting.query_called_at.max(calls.query_called_at);
    for (waiting, calls) in waiting.secrets.iter_mut().zip(calls.secrets) {
        *waiting = waiting.or(calls);
    }
}

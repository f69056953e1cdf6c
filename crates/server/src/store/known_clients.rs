//! Clients that called a moment ago, so that not each call reads its client anew.
//!
//! What is known is at most [`FRESH_FOR`] old, counted from before it was read. A write of this
//! process forgets it at once; a write of another process is seen when it has become old. So a
//! client that is disabled, or a secret that is removed, counts after a second wherever it was done;
//! and every write about a grant demands the client's counter in the database all the same, so what
//! a disabled client held is ended at once. Whoever is refused by what is known here is to be looked
//! at again by what is true now: nobody waits for a new secret to count.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grantor_protocol::environment::Environment;

use super::{ClientRecord, Store, StoreError};
use crate::clock::{Clock, Stopwatch};

/// How long a client is known.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// No more clients are known at once.
const MOST: usize = 1024;

/// A client as it was a moment ago.
#[derive(Clone, Debug)]
pub struct KnownClient {
    /// The client.
    pub record: Arc<ClientRecord>,
    /// Whether it was read for this very call.
    pub is_new: bool,
}

/// Clients that called a moment ago. Cloned freely: all clones are one.
#[derive(Clone, Default)]
pub(super) struct KnownClients(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// By environment, in the order of [`Environment::ISSUERS`].
    clients: [HashMap<String, (Stopwatch, Arc<ClientRecord>)>; Environment::ISSUERS.len()],
    /// How often all was forgotten: what was read before that is not kept after it.
    forgotten: u64,
}

impl Store {
    /// The client of that id as it is seen from an environment, at most a second old.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn known_client(
        &self,
        environment: Environment,
        id: &str,
        clock: &Clock,
    ) -> Result<Option<KnownClient>, StoreError> {
        if let Some(record) = self.known_clients.get(environment, id) {
            return Ok(Some(KnownClient { record, is_new: false }));
        }
        self.newly_known_client(environment, id, clock).await
    }

    /// The same, read now.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn newly_known_client(
        &self,
        environment: Environment,
        id: &str,
        clock: &Clock,
    ) -> Result<Option<KnownClient>, StoreError> {
        let (since, forgotten) = (clock.stopwatch(), self.known_clients.lock().forgotten);
        let Some(record) = self.client_seen_from(environment, id).await?.map(Arc::new) else {
            // Whoever guesses ids must not fill the memory.
            return Ok(None);
        };
        self.known_clients.keep((environment, id), since, Arc::clone(&record), forgotten);
        Ok(Some(KnownClient { record, is_new: true }))
    }
}

impl KnownClients {
    /// To be called after every write about clients.
    pub(super) fn forget(&self) {
        let mut known = self.lock();
        known.clients.iter_mut().for_each(HashMap::clear);
        known.forgotten += 1;
    }

    fn get(&self, environment: Environment, id: &str) -> Option<Arc<ClientRecord>> {
        let known = self.lock();
        let (since, record) = known.clients[environment as usize].get(id)?;
        (since.elapsed() < FRESH_FOR).then(|| Arc::clone(record))
    }

    fn keep(
        &self,
        (environment, id): (Environment, &str),
        since: Stopwatch,
        record: Arc<ClientRecord>,
        forgotten: u64,
    ) {
        let mut known = self.lock();
        if known.forgotten != forgotten {
            return;
        }
        let clients = &mut known.clients[environment as usize];
        if clients.len() >= MOST {
            clients.retain(|_, (since, _)| since.elapsed() < FRESH_FOR);
        }
        if clients.len() >= MOST {
            clients.clear();
        }
        clients.insert(id.to_owned(), (since, record));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

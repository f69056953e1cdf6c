//! The public keys that tokens are verified with, fetched and kept.
//!
//! 1. a set is fresh for [`FRESH_SECONDS`]; then whoever comes first fetches it anew, and the others
//!    use the one that is there;
//! 2. an unknown `kid` fetches at once, but no more often than once in [`RETRY_SECONDS`]: anybody can
//!    make up a `kid`;
//! 3. where the server is away, the set is used for [`STALE_SECONDS`] and not longer: by then a key
//!    may have been withdrawn.

use std::sync::{Arc, PoisonError, RwLock};

use grantor_protocol::jose::JwkSet;
use tokio::sync::{Mutex, MutexGuard};

use crate::clock::Clock;
use crate::fetch::Http;
use crate::refusal::Refusal;

/// For how long a set is used without a look, in seconds.
pub const FRESH_SECONDS: i64 = 300;
/// For how long it is used where no newer one can be had, in seconds.
pub const STALE_SECONDS: i64 = 3600;
/// No more often than this is it fetched, in seconds.
pub const RETRY_SECONDS: i64 = 10;

/// The key set at one address.
pub(crate) struct PublishedKeys {
    url: String,
    http: Http,
    clock: Clock,
    known: RwLock<Option<Known>>,
    /// Who fetches holds it. When the last try was, and whether it gave a set.
    turn: Mutex<Option<Try>>,
}

#[derive(Clone)]
struct Known {
    keys: Arc<JwkSet>,
    fetched_at: i64,
}

#[derive(Clone, Copy)]
struct Try {
    at: i64,
    succeeded: bool,
}

impl PublishedKeys {
    pub(crate) fn at(url: String, http: Http, clock: Clock) -> PublishedKeys {
        PublishedKeys { url, http, clock, known: RwLock::new(None), turn: Mutex::new(None) }
    }

    /// The set in which this key would stand. That it does is not said: a set that was fetched a
    /// moment ago without it is the answer too.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] where the key is not known and the set could not be fetched.
    pub(crate) async fn with(&self, key_id: &str) -> Result<Arc<JwkSet>, Refusal> {
        let now = self.clock.now();
        let usable =
            self.known().filter(|known| known.has(key_id) && known.age(now) < STALE_SECONDS);
        let mut turn = match usable {
            Some(known) if known.age(now) < FRESH_SECONDS => return Ok(known.keys),
            // Another request is fetching: this one need not wait for it.
            Some(known) => match self.turn.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(known.keys),
            },
            None => self.turn.lock().await,
        };
        self.fetch_if_due(&mut turn).await;
        let now = self.clock.now();
        let last_failed = turn.is_some_and(|last| !last.succeeded);
        match self.known().filter(|known| known.age(now) < STALE_SECONDS) {
            Some(known) if known.has(key_id) || !last_failed => Ok(known.keys),
            Some(_) | None => Err(Refusal::Unavailable),
        }
    }

    async fn fetch_if_due(&self, turn: &mut MutexGuard<'_, Option<Try>>) {
        let now = self.clock.now();
        // A clock that went back says nothing of how long ago it was.
        if turn.is_some_and(|last| (0..RETRY_SECONDS).contains(&(now - last.at))) {
            return;
        }
        // Noted before, so that a caller who goes away in the middle has tried all the same.
        **turn = Some(Try { at: now, succeeded: false });
        let set = match self.http.get(&self.url).await {
            Ok(body) => JwkSet::parse_published(&body).map_err(|fault| fault.words().into_owned()),
            Err(fault) => Err(fault.to_string()),
        };
        match set {
            Ok(set) => {
                let known = Known { keys: Arc::new(set), fetched_at: now };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
                **turn = Some(Try { at: now, succeeded: true });
            }
            Err(error) => tracing::error!(url = self.url, error, "guard.keys_not_fetched"),
        }
    }

    fn known(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Known {
    fn has(&self, key_id: &str) -> bool {
        self.keys.keys().iter().any(|key| key.key_id() == Some(key_id))
    }

    /// In seconds. One of the future is as old as can be.
    fn age(&self, now: i64) -> i64 {
        let age = now - self.fetched_at;
        if age < 0 { i64::MAX } else { age }
    }
}

//! Decisions that were made a moment ago, by the digest of their token: bounded in number and in
//! time. The token itself is not kept.
//!
//! Each shard has two halves. What is new goes to the young half; when that is full, it becomes the
//! old one, and what was old is forgotten. So nothing is ever searched for what could go, and what
//! was asked for lately stays.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

/// More shards than a machine has cores that wait for one of them.
const SHARDS: usize = 16;

/// The SHA-256 of a token.
pub(crate) type Key = [u8; 32];

/// Decisions of one kind.
pub(crate) struct Cache<V> {
    shards: Vec<Mutex<Shard<V>>>,
    half: usize,
}

struct Shard<V> {
    young: HashMap<Key, Kept<V>>,
    old: HashMap<Key, Kept<V>>,
}

#[derive(Clone)]
struct Kept<V> {
    value: V,
    since: i64,
    until: i64,
}

/// The digest that a token is kept by.
pub(crate) fn key(token: &str) -> Key {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    key
}

impl<V: Clone> Cache<V> {
    /// Keeps no more than about `most`.
    pub(crate) fn new(most: usize) -> Cache<V> {
        let shard = || Mutex::new(Shard { young: HashMap::new(), old: HashMap::new() });
        Cache { shards: (0..SHARDS).map(|_| shard()).collect(), half: (most / SHARDS / 2).max(1) }
    }

    /// What is kept for a token at `now`, in Unix seconds. A clock that went back ends what was kept
    /// after it: nobody knows how long ago that was.
    pub(crate) fn find(&self, key: &Key, now: i64) -> Option<V> {
        let mut shard = self.shard(key);
        let holds = |kept: &&Kept<V>| kept.since <= now && now < kept.until;
        if let Some(kept) = shard.young.get(key) {
            return Some(kept).filter(holds).map(|kept| kept.value.clone());
        }
        let kept = shard.old.get(key).filter(holds)?.clone();
        let value = kept.value.clone();
        shard.keep(*key, kept, self.half);
        Some(value)
    }

    /// Keeps a decision from `since` until before `until`, in Unix seconds.
    pub(crate) fn keep(&self, key: Key, value: V, [since, until]: [i64; 2]) {
        self.shard(&key).keep(key, Kept { value, since, until }, self.half);
    }

    fn shard(&self, key: &Key) -> std::sync::MutexGuard<'_, Shard<V>> {
        let at = usize::from(key[0]) % SHARDS;
        // A thread that panicked here left two maps that are sound.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Shard<V> {
    fn keep(&mut self, key: Key, kept: Kept<V>, half: usize) {
        if self.young.len() >= half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_kept_for_its_time_alone_and_not_at_all_before_it_was_made() {
        let cache = Cache::new(100);
        cache.keep(key("a"), 1, [10, 12]);
        let at = |now| cache.find(&key("a"), now);
        assert_eq!([at(9), at(10), at(11), at(12)], [None, Some(1), Some(1), None]);
        assert_eq!(cache.find(&key("b"), 11), None);
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for_and_what_is_asked_for_stays() {
        let cache = Cache::new(320);
        for number in 0..10_000 {
            cache.keep(key(&number.to_string()), number, [0, 10]);
            assert_eq!(cache.find(&key("0"), 1), Some(0), "after {number}");
        }
        let kept = (0..10_000).filter(|it| cache.find(&key(&it.to_string()), 1).is_some()).count();
        assert!((100..=330).contains(&kept), "{kept}");
    }
}

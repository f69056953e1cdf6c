//! New sealing keys, and the end of old ones.
//!
//! ```text
//! made ──[PUBLISHED_SECONDS]──► seals ──a newer one seals──► verifies ──[LIFE_SECONDS]──► removed
//!  └────────────────────────────────── revoked: gone at once ─────────────────────────────┘
//! ```
//!
//! A key that a newer one took over from goes on verifying until the last token that it sealed has
//! ended, so a rotation ends nothing. Nobody counts those tokens: none can live longer than the
//! settings allow, and that is how long the key stays.

use grantor_protocol::environment::Environment;

use super::{KeysError, TRIES, draw, in_force, new_version};
use crate::clock::Clock;
use crate::master_key::MasterKey;
use crate::random::Random;
use crate::store::{Act, KeyChange, Store, StoreError, StoredSealingKey};

const DAY: i64 = 24 * 3600;
/// How long a new key is known before it seals, in seconds: longer than the second in which every
/// process has noticed it.
pub const PUBLISHED_SECONDS: i64 = 5;
/// How long a key verifies after a newer one took over, in seconds: the longest that a setting lets
/// a refresh token live, which is longer than all else that is sealed, and a day for clocks that
/// differ.
pub const LIFE_SECONDS: i64 = 366 * DAY + DAY;

/// What a sealing key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is known already, and seals soon.
    Next,
    /// It seals.
    Sealing,
    /// A newer one seals; this one verifies what it sealed.
    Verifying {
        /// in Unix seconds
        until: i64,
    },
    /// All that it sealed has ended: the next clean-up or rotation removes it.
    Ended,
}

/// A sealing key, without its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its environment.
    pub environment: Environment,
    /// Its id, which stands in each seal.
    pub id: u32,
    /// In Unix seconds.
    pub created_at: i64,
    /// From when on it seals, in Unix seconds.
    pub seals_from: i64,
    /// What it does.
    pub state: KeyState,
}

/// What a rotation did in one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The new key.
    pub key: KeyRecord,
    /// The ids of keys that were removed, because all that they sealed had ended.
    pub removed: Vec<u32>,
}

/// The sealing keys of an environment, the oldest first.
///
/// # Errors
/// [`KeysError::Store`]
pub async fn list(
    store: &Store,
    environment: Environment,
    now: i64,
) -> Result<Vec<KeyRecord>, KeysError> {
    Ok(records(&store.sealing_keys(environment).await?, now))
}

/// Makes a new sealing key, which takes over in [`PUBLISHED_SECONDS`], and removes those that have
/// ended; with the act that it is, where it is somebody's, which names the new key.
///
/// # Errors
/// [`KeysError`]
pub async fn rotate(
    store: &Store,
    master_key: &MasterKey,
    environment: Environment,
    (clock, random): (&Clock, &Random),
    act: Option<&Act>,
) -> Result<Rotated, KeysError> {
    for _ in 0..TRIES {
        let current = in_force(store, master_key).await?;
        let (stored, now) = (store.sealing_keys(environment).await?, clock.now());
        // Never before a key that is there: on a clock that is behind it would not be the newest.
        let newest = stored.last().map_or(now, |key| key.seals_from);
        let seals_from = (now + PUBLISHED_SECONDS).max(newest + 1);
        let new = draw(environment, &current.master_key, random, [now, seals_from]);
        let act = act.map(|act| act.with(&format!("{:08x}", new.id)));
        let removed: Vec<u32> = records(&stored, now)
            .iter()
            .filter(|key| key.state == KeyState::Ended)
            .map(|key| key.id)
            .collect();
        let change = KeyChange {
            master_key_id: current.master_key.id(),
            keys_version: current.installation.keys_version,
            new_keys_version: new_version(random),
            add: std::slice::from_ref(&new),
            remove: &removed.iter().map(|id| (environment, *id)).collect::<Vec<_>>(),
            act: act.as_ref(),
        };
        if store.change_sealing_keys(&change).await? {
            let state = KeyState::Next;
            return Ok(Rotated { key: record(&new, state), removed });
        }
    }
    Err(KeysError::Contended)
}

/// Removes a sealing key at once, and with it everything that it sealed. Where it is the one that
/// seals, a new one takes over in the same transaction, at once: the answer is its record. The act
/// that it is stands in it too, and names the new key.
///
/// # Errors
/// [`KeysError`]: [`KeysError::UnknownSealingKey`] where there is none of this id.
pub async fn revoke(
    store: &Store,
    master_key: &MasterKey,
    (environment, id): (Environment, u32),
    (clock, random): (&Clock, &Random),
    act: Option<&Act>,
) -> Result<Option<KeyRecord>, KeysError> {
    for _ in 0..TRIES {
        let current = in_force(store, master_key).await?;
        let (stored, now) = (store.sealing_keys(environment).await?, clock.now());
        let found = records(&stored, now);
        let Some(revoked) = found.iter().find(|key| key.id == id) else {
            return Err(KeysError::UnknownSealingKey { id, environment });
        };
        // An older key that is left must not begin to seal again, nor must there be none.
        let seals = revoked.state == KeyState::Sealing || found.len() == 1;
        let new = seals.then(|| draw(environment, &current.master_key, random, [now, now]));
        let act = act.map(|act| match &new {
            Some(new) => act.with(&format!("replaced by {:08x}", new.id)),
            None => act.clone(),
        });
        let change = KeyChange {
            master_key_id: current.master_key.id(),
            keys_version: current.installation.keys_version,
            new_keys_version: new_version(random),
            add: new.as_slice(),
            remove: &[(environment, id)],
            act: act.as_ref(),
        };
        if store.change_sealing_keys(&change).await? {
            return Ok(new.map(|new| record(&new, KeyState::Sealing)));
        }
    }
    Err(KeysError::Contended)
}

/// Removes the sealing keys of both environments of which everything has ended. Answers whether
/// there were any. It needs no master key: the clean-up of a running server may call it.
///
/// # Errors
/// [`StoreError`]
pub async fn remove_ended(store: &Store, now: i64, random: &Random) -> Result<bool, StoreError> {
    store.remove_ended_sealing_keys(now - LIFE_SECONDS, new_version(random)).await
}

/// What each key does, of keys in the order in which they begin to seal.
fn records(stored: &[StoredSealingKey], now: i64) -> Vec<KeyRecord> {
    let successors = stored.iter().skip(1).map(Some).chain([None]);
    stored
        .iter()
        .zip(successors)
        .map(|(key, successor)| {
            let state = match successor {
                Some(newer) if newer.seals_from <= now => {
                    let until = newer.seals_from + LIFE_SECONDS;
                    if now < until { KeyState::Verifying { until } } else { KeyState::Ended }
                }
                _ if key.seals_from > now => KeyState::Next,
                _ => KeyState::Sealing,
            };
            record(key, state)
        })
        .collect()
}

fn record(key: &StoredSealingKey, state: KeyState) -> KeyRecord {
    let StoredSealingKey { environment, id, created_at, seals_from, .. } = *key;
    KeyRecord { environment, id, created_at, seals_from, state }
}

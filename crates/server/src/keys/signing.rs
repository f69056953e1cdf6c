//! New signing keys, and the end of old ones.
//!
//! ```text
//! made ──[PUBLISHED_SECONDS]──► signs ──a newer one signs──► published ──[LIFE_SECONDS]──► removed
//!  └────────────────────────────────── revoked: gone at once ─────────────────────────────┘
//! ```
//!
//! The first keys are made when somebody asks for them: an RSA key takes a tenth of a second, and
//! most installations start long before the first ID token. They sign at once, because no verifier
//! can hold a set without them. A later key is published before it signs, for longer than a
//! verifier keeps the set, and stays published until the last token that it signed has ended (S27).

use grantor_protocol::environment::Environment;
use grantor_protocol::jose::{Algorithm, SigningFault, SigningKey, generate};

use super::{Keys, KeysError, Loaded, TRIES, in_force, new_version};
use crate::clock::Clock;
use crate::master_key::MasterKey;
use crate::random::Random;
use crate::signer::ALGORITHMS;
use crate::store::{
    Act, SigningKeyChange, Store, StoreError, StoredSigningKey, signing_key_context,
};

/// For how long a verifier may keep the set, in seconds.
pub const CACHE_SECONDS: i64 = 300;
/// How long a new key is published before it signs, in seconds.
pub const PUBLISHED_SECONDS: i64 = 3 * CACHE_SECONDS;
/// How long a key stays published after a newer one took over, in seconds: the longest that a
/// setting lets an access token live, and ten minutes for clocks that differ.
pub const LIFE_SECONDS: i64 = 24 * 3600 + 600;

/// What a signing key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningState {
    /// It is published, and signs soon.
    Next,
    /// It signs.
    Signing,
    /// A newer one signs; this one is published for what it signed.
    Published {
        /// in Unix seconds
        until: i64,
    },
    /// All that it signed has ended: the next clean-up removes it.
    Ended,
}

/// A signing key, without its private half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningRecord {
    /// Its environment.
    pub environment: Environment,
    /// Its `kid`.
    pub id: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// In Unix seconds.
    pub created_at: i64,
    /// From when on it signs, in Unix seconds.
    pub signs_from: i64,
    /// What it does.
    pub state: SigningState,
}

impl Keys {
    /// Makes the signing keys that an environment has none of, and reads them. Whoever comes while
    /// somebody makes them waits.
    ///
    /// # Errors
    /// [`KeysError`]
    pub async fn make_signing_keys(&self, environment: Environment) -> Result<(), KeysError> {
        let _alone = self.0.making.lock().await;
        for _ in 0..TRIES {
            self.reload().await?;
            if self.signer(environment).ring().is_complete() {
                return Ok(());
            }
            let (current, clock) = (self.in_force().await?, &self.0.clock);
            let stored = self.0.store.signing_keys(environment).await?;
            let held = |algorithm| stored.iter().any(|key| key.algorithm == algorithm);
            let missing: Vec<Algorithm> =
                ALGORITHMS.into_iter().filter(|algorithm| !held(*algorithm)).collect();
            let random = self.0.random.clone();
            let times = [clock.now(); 2];
            let change = Proposed { environment, times, remove: None, act: None };
            if change.carry_out(&self.0.store, &current, &random, &missing).await?.is_some() {
                tracing::info!(%environment, "keys.signing_keys_made");
            }
        }
        self.reload().await?;
        match self.signer(environment).ring().is_complete() {
            true => Ok(()),
            false => Err(KeysError::Contended),
        }
    }
}

/// The signing keys of an environment, in the order in which they begin to sign.
///
/// # Errors
/// [`KeysError::Store`]
pub async fn list(
    store: &Store,
    environment: Environment,
    now: i64,
) -> Result<Vec<SigningRecord>, KeysError> {
    Ok(records(&store.signing_keys(environment).await?, now))
}

/// Makes a new signing key of each algorithm, which takes over in [`PUBLISHED_SECONDS`]; at once
/// where there was none of its algorithm. The act that it is is noted with it, and names them.
///
/// # Errors
/// [`KeysError`]
pub async fn rotate(
    store: &Store,
    master_key: &MasterKey,
    environment: Environment,
    (clock, random): (&Clock, &Random),
    act: Option<&Act>,
) -> Result<Vec<SigningRecord>, KeysError> {
    for _ in 0..TRIES {
        let current = in_force(store, master_key).await?;
        let (stored, now) = (store.signing_keys(environment).await?, clock.now());
        let signs_from = match stored.last() {
            None => now,
            // Never before a key that is there: on a clock that is behind it would not be the newest.
            Some(newest) => (now + PUBLISHED_SECONDS).max(newest.signs_from + 1),
        };
        let change = Proposed { environment, times: [now, signs_from], remove: None, act };
        if let Some(made) = change.carry_out(store, &current, random, &ALGORITHMS).await? {
            return Ok(records(&made, now));
        }
    }
    Err(KeysError::Contended)
}

/// Removes a signing key at once: a verifier that reads the set again takes nothing more that it
/// signed. Where it is the one that signs, a new one takes over in the same transaction, at once:
/// the answer is its record.
///
/// # Errors
/// [`KeysError`]: [`KeysError::UnknownSigningKey`] where there is none of this id.
pub async fn revoke(
    store: &Store,
    master_key: &MasterKey,
    (environment, id): (Environment, &str),
    (clock, random): (&Clock, &Random),
    act: Option<&Act>,
) -> Result<Option<SigningRecord>, KeysError> {
    for _ in 0..TRIES {
        let current = in_force(store, master_key).await?;
        let (stored, now) = (store.signing_keys(environment).await?, clock.now());
        let found = records(&stored, now);
        let Some(revoked) = found.iter().find(|key| key.id == id) else {
            return Err(KeysError::UnknownSigningKey { id: id.to_owned(), environment });
        };
        // An older key that is left must not begin to sign again.
        let alone = found.iter().filter(|key| key.algorithm == revoked.algorithm).count() == 1;
        let signs = revoked.state == SigningState::Signing || alone;
        let algorithms: &[Algorithm] =
            if signs { std::slice::from_ref(&revoked.algorithm) } else { &[] };
        let change = Proposed { environment, times: [now; 2], remove: Some(id), act };
        if let Some(made) = change.carry_out(store, &current, random, algorithms).await? {
            return Ok(records(&made, now).pop());
        }
    }
    Err(KeysError::Contended)
}

/// Removes the signing keys of both environments of which everything has ended. Answers whether
/// there were any. It needs no master key.
///
/// # Errors
/// [`StoreError`]
pub async fn remove_ended(store: &Store, now: i64, random: &Random) -> Result<bool, StoreError> {
    store.remove_ended_signing_keys(now - LIFE_SECONDS, new_version(random)).await
}

/// A change that is to be carried out if the keys are still what was read.
struct Proposed<'a> {
    environment: Environment,
    /// When new keys are made, and from when on they sign, in Unix seconds.
    times: [i64; 2],
    remove: Option<&'a str>,
    /// Whose act it is, where it is somebody's.
    act: Option<&'a Act>,
}

impl Proposed<'_> {
    /// Draws a key for each algorithm, and carries the change out. Answers what was made; `None`
    /// where others changed the keys meanwhile.
    async fn carry_out(
        &self,
        store: &Store,
        current: &Loaded,
        random: &Random,
        algorithms: &[Algorithm],
    ) -> Result<Option<Vec<StoredSigningKey>>, KeysError> {
        let mut made = Vec::with_capacity(algorithms.len());
        for algorithm in algorithms.iter().copied() {
            let (master_key, random) = (current.master_key.clone(), random.clone());
            let (environment, times) = (self.environment, self.times);
            let draw = move || draw(environment, algorithm, &master_key, &random, times);
            // RSA's primes take a while to find, and other requests go on meanwhile.
            let drawn = tokio::task::spawn_blocking(draw).await;
            made.push(drawn.unwrap_or(Err(SigningFault::LibraryFailed))?);
        }
        let ids = made.iter().map(|key| key.id.as_str()).collect::<Vec<_>>().join(" ");
        let act = self.act.map(|act| match (made.is_empty(), self.remove) {
            (true, _) => act.clone(),
            (false, None) => act.with(&ids),
            (false, Some(_)) => act.with(&format!("replaced by {ids}")),
        });
        let change = SigningKeyChange {
            master_key_id: current.master_key.id(),
            keys_version: current.installation.keys_version,
            new_keys_version: new_version(random),
            add: &made,
            remove: self.remove.map(|id| (self.environment, id)),
            act: act.as_ref(),
        };
        Ok(store.change_signing_keys(&change).await?.then_some(made))
    }
}

fn draw(
    environment: Environment,
    algorithm: Algorithm,
    master_key: &MasterKey,
    random: &Random,
    [created_at, signs_from]: [i64; 2],
) -> Result<StoredSigningKey, SigningFault> {
    let pkcs8 = generate(algorithm)?;
    let id = SigningKey::from_pkcs8(algorithm, &pkcs8, None)?.public().thumbprint().to_string();
    let key = SigningKey::from_pkcs8(algorithm, &pkcs8, Some(id.clone()))?;
    let public_jwk =
        serde_json::to_string(key.public()).map_err(|_| SigningFault::ClaimsNotWritten)?;
    let encrypted = master_key.encrypt(&signing_key_context(environment, &id), &pkcs8, random);
    Ok(StoredSigningKey {
        environment,
        id,
        algorithm,
        encrypted,
        public_jwk,
        created_at,
        signs_from,
    })
}

/// What each key does, of keys in the order in which they begin to sign.
fn records(stored: &[StoredSigningKey], now: i64) -> Vec<SigningRecord> {
    stored
        .iter()
        .enumerate()
        .map(|(at, key)| {
            let newer = stored[at + 1..].iter().find(|newer| newer.algorithm == key.algorithm);
            let state = match newer {
                Some(newer) if newer.signs_from <= now => {
                    let until = newer.signs_from + LIFE_SECONDS;
                    if now < until {
                        SigningState::Published { until }
                    } else {
                        SigningState::Ended
                    }
                }
                _ if key.signs_from > now => SigningState::Next,
                _ => SigningState::Signing,
            };
            SigningRecord {
                environment: key.environment,
                id: key.id.clone(),
                algorithm: key.algorithm,
                created_at: key.created_at,
                signs_from: key.signs_from,
                state,
            }
        })
        .collect()
}

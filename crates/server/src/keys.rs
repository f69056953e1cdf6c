//! The keys of an installation: made once, encrypted under the master key, opened at each start,
//! and followed while the server runs.
//!
//! 1. [`Keys::open`] opens them, or makes them in a new database;
//! 2. [`Keys::watch`] looks twice a second whether they were changed, so that every process knows a
//!    new key before it seals, and forgets a revoked one;
//! 3. [`Keys::reload_for_unknown`] looks at once, where a seal names a key that is not here;
//! 4. `rotation.rs` makes and revokes sealing keys, `signing.rs` signing keys, `rekey.rs` changes the
//!    master key.
//!
//! Where the keys cannot be read while the server runs, it goes on with those that it has, and says
//! so in the log.

mod factor;
pub mod rekey;
pub mod rotation;
pub mod signing;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use grantor_protocol::environment::Environment;
use grantor_protocol::jose::{Jwk, SigningFault};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::master_key::{MasterKey, MasterKeyError};
use crate::random::Random;
use crate::seal::{Ring, Sealer, SealingKey};
use crate::signer::{HeldKey, Signer, SigningRing};
use crate::store::{
    Installation, KEY_CHECK_CONTEXT, KeyChange, Store, StoreError, StoredSealingKey,
    StoredSigningKey, sealing_key_context, signing_key_context,
};

const CHECK: &[u8] = b"grantor";
/// How often a running server looks whether the keys were changed. A revoked key is forgotten
/// within a second: the other half of it is for reading them.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// How often something is tried again that others changed meanwhile.
const TRIES: usize = 3;

/// Why the keys of a database cannot be opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The database belongs to another master key.
    #[error(
        "the database belongs to the master key {wanted}, and the key file holds {found}; put {wanted} back, or point to the database of {found}"
    )]
    OtherMasterKey {
        /// the id that the database names
        wanted: String,
        /// the id of the key that was given
        found: String,
    },
    /// The database was put back from a copy without `grantor restore`.
    #[error(
        "the database is of epoch {database}, and the master key {key_id} of epoch {key}: it was put back from an older copy, and what was revoked since would live again"
    )]
    OlderEpoch {
        /// the id of the master key
        key_id: String,
        /// the epoch in the database
        database: i64,
        /// the epoch beside the key
        key: i64,
    },
    /// An environment has no key to seal with.
    #[error(
        "the database of the master key {key_id} holds no sealing key of {environment}; put the database back from a copy"
    )]
    NoSealingKey {
        /// the id of the master key
        key_id: String,
        /// which environment
        environment: Environment,
    },
    /// There is no sealing key of this id to revoke.
    #[error("there is no sealing key {id:08x} in {environment}")]
    UnknownSealingKey {
        /// its id
        id: u32,
        /// which environment
        environment: Environment,
    },
    /// There is no signing key of this id to revoke.
    #[error("there is no signing key {id} in {environment}")]
    UnknownSigningKey {
        /// its id
        id: String,
        /// which environment
        environment: Environment,
    },
    /// A signing key cannot be made or used.
    #[error("{}", .0.words())]
    Signing(SigningFault),
    /// What is stored as the public half of a signing key is not of that key.
    #[error("the public half of the signing key {id} is not what it was made as; revoke it")]
    PublicHalf {
        /// its id
        id: String,
    },
    /// There are no keys yet.
    #[error("the database has no keys yet")]
    NotInstalled,
    /// The next master key was prepared before the database was restored.
    #[error(
        "the prepared master key {prepared} is of epoch {epoch}, and {standing} of another: nothing is encrypted under {prepared}"
    )]
    PreparedBefore {
        /// the id of the prepared one
        prepared: String,
        /// its epoch
        epoch: i64,
        /// the id of the one in force
        standing: String,
    },
    /// Others changed the keys at the same time, again and again.
    #[error("others change the keys at the same time; nothing was changed here")]
    Contended,
    /// Something does not decrypt.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The sealers of all environments of a store. Cloned freely: all clones are one.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    random: Random,
    staging: Held,
    production: Held,
    portal: Held,
    /// What the sealers hold. Who has the lock may replace it.
    loaded: Mutex<Loaded>,
    /// When an unknown key was looked for last, in Unix seconds, and whether the keys were read.
    looked: Mutex<Option<(i64, bool)>>,
    /// Who has the lock makes the signing keys that are missing.
    making: Mutex<()>,
}

/// What seals and what signs in one environment.
struct Held {
    sealer: Arc<Sealer>,
    signer: Arc<Signer>,
}

/// The keys of one environment, as they were read.
struct Rings {
    /// On the heap: it is large, and three of them on their way are more than a small stack takes.
    sealing: Box<Ring>,
    signing: SigningRing,
}

/// What the keys that are held were read from.
struct Loaded {
    installation: Installation,
    master_key: MasterKey,
}

impl Keys {
    /// Opens the keys of a store, or makes them in a new one.
    ///
    /// # Errors
    /// [`KeysError`]: the wrong master key by its id (D8), or a database that went back in time.
    pub async fn open(
        store: &Store,
        master_key: &MasterKey,
        clock: &Clock,
        random: &Random,
    ) -> Result<Keys, KeysError> {
        if store.installation().await?.is_none() {
            install(store, master_key, clock, random).await?;
        }
        // Read again: another process may have been first.
        let read_now = match read(store, master_key).await {
            Err(KeysError::NoSealingKey { environment: Environment::Portal, .. }) => {
                add_portal_key(store, master_key, clock, random).await?;
                read(store, master_key).await?
            }
            read_now => read_now?,
        };
        let (loaded, [staging, production, portal]) = read_now;
        if loaded.master_key.id() != master_key.id() {
            tracing::warn!(
                master_key.id = loaded.master_key.id(),
                "keys.rekey_unfinished: `grantor key rekey` finishes it"
            );
        }
        Ok(Keys(Arc::new(Inner {
            store: store.clone(),
            clock: clock.clone(),
            random: random.clone(),
            staging: Held::new(staging),
            production: Held::new(production),
            portal: Held::new(portal),
            loaded: Mutex::new(loaded),
            looked: Mutex::new(None),
            making: Mutex::new(()),
        })))
    }

    /// Opens every key of a store, and changes nothing.
    ///
    /// # Errors
    /// [`KeysError`]: what would keep a server from starting; [`KeysError::NotInstalled`] where the
    /// store has no keys yet.
    pub async fn check(store: &Store, master_key: &MasterKey) -> Result<(), KeysError> {
        read(store, master_key).await.map(|_| ())
    }

    /// The sealer of one environment. It takes on new keys while it is used.
    pub fn sealer(&self, environment: Environment) -> Arc<Sealer> {
        Arc::clone(&self.held(environment).sealer)
    }

    /// What signs in one environment. It may have no keys yet: [`Keys::make_signing_keys`].
    pub fn signer(&self, environment: Environment) -> Arc<Signer> {
        Arc::clone(&self.held(environment).signer)
    }

    fn held(&self, environment: Environment) -> &Held {
        match environment {
            Environment::Staging => &self.0.staging,
            Environment::Production => &self.0.production,
            Environment::Portal => &self.0.portal,
        }
    }

    /// The installation as it stands now, with its master key.
    async fn in_force(&self) -> Result<Loaded, KeysError> {
        let master_key = self.0.loaded.lock().await.master_key.clone();
        in_force(&self.0.store, &master_key).await
    }

    /// What stands encrypted under the master key that is in force.
    async fn decrypt(
        &self,
        context: &str,
        encrypted: &[u8],
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, KeysError> {
        let plain = self.0.loaded.lock().await.master_key.decrypt(context, encrypted);
        match plain {
            // Read before a rekey that this process has heard of, or after one that it has not.
            Err(MasterKeyError::Wrong { .. }) => {
                self.reload().await?;
                Ok(self.0.loaded.lock().await.master_key.decrypt(context, encrypted)?)
            }
            plain => Ok(plain?),
        }
    }

    /// Reads the keys again where they were changed. Answers whether they were.
    ///
    /// # Errors
    /// [`KeysError`]; the sealers keep what they have.
    pub async fn reload(&self) -> Result<bool, KeysError> {
        let mut loaded = self.0.loaded.lock().await;
        let found = self.0.store.installation().await?.ok_or(KeysError::NotInstalled)?;
        let held = &loaded.installation;
        let same = found.keys_version == held.keys_version
            && found.epoch == held.epoch
            && found.master_key_id == held.master_key_id;
        if same {
            return Ok(false);
        }
        let (fresh, [staging, production, portal]) =
            read(&self.0.store, &loaded.master_key).await?;
        tracing::info!(
            master_key.id = fresh.master_key.id(),
            staging.keys = ids(&staging.sealing),
            production.keys = ids(&production.sealing),
            portal.keys = ids(&portal.sealing),
            "keys.changed"
        );
        self.0.staging.replace(staging);
        self.0.production.replace(production);
        self.0.portal.replace(portal);
        *loaded = fresh;
        Ok(true)
    }

    /// Reads the keys again because a seal names one that is not here: at most once a second in
    /// this process, because anybody can name any key. Answers whether the keys that are held now
    /// are those of the store.
    pub async fn reload_for_unknown(&self) -> bool {
        // Whoever comes while somebody looks waits for what is found.
        let mut looked = self.0.looked.lock().await;
        let now = self.0.clock.now();
        if let Some((at, read)) = *looked
            && at == now
        {
            return read;
        }
        let read = self.reload().await;
        if let Err(error) = &read {
            tracing::warn!(%error, "keys.not_read");
        }
        *looked = Some((now, read.is_ok()));
        read.is_ok()
    }

    /// Looks twice a second whether the keys were changed, for ever. What cannot be read is told
    /// once, and changes nothing.
    pub async fn watch(self) {
        let mut tick = tokio::time::interval(WATCH_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = None;
        loop {
            tick.tick().await;
            let fault = self.reload().await.err();
            let words = fault.as_ref().map(KeysError::to_string);
            if words == told {
                continue;
            }
            match &fault {
                None => tracing::info!("keys.readable_again"),
                Some(KeysError::Store(error)) => tracing::warn!(%error, "keys.not_read"),
                Some(error) => {
                    tracing::error!(%error, "keys.unusable: the keys that were read before stay");
                }
            }
            told = words;
        }
    }
}

impl Held {
    fn new(rings: Rings) -> Held {
        Held {
            sealer: Arc::new(Sealer::new(*rings.sealing)),
            signer: Arc::new(Signer::new(rings.signing)),
        }
    }

    fn replace(&self, rings: Rings) {
        self.sealer.replace(*rings.sealing);
        self.signer.replace(rings.signing);
    }
}

fn ids(ring: &Ring) -> String {
    ring.key_ids().iter().map(|id| format!("{id:08x}")).collect::<Vec<_>>().join(",")
}

/// Reads and opens everything, with the master key that is in force.
async fn read(
    store: &Store,
    master_key: &MasterKey,
) -> Result<(Loaded, [Rings; Environment::ISSUERS.len()]), KeysError> {
    let mut tries = 1;
    loop {
        let loaded = in_force(store, master_key).await?;
        let rings = async {
            let staging = read_rings(store, &loaded, Environment::Staging).await?;
            let production = read_rings(store, &loaded, Environment::Production).await?;
            Ok([staging, production, read_rings(store, &loaded, Environment::Portal).await?])
        };
        match rings.await {
            // A rekey came between the two reads, or something is wrong with a key.
            Err(KeysError::MasterKey(MasterKeyError::Wrong { .. })) if tries < TRIES => tries += 1,
            rings => return Ok((loaded, rings?)),
        }
    }
}

async fn read_rings(
    store: &Store,
    loaded: &Loaded,
    environment: Environment,
) -> Result<Rings, KeysError> {
    let sealing = Box::new(ring(store, loaded, environment).await?);
    let stored = store.signing_keys(environment).await?;
    let held = stored.into_iter().map(|key| held_key(&loaded.master_key, key));
    Ok(Rings { sealing, signing: SigningRing::new(held.collect::<Result<_, _>>()?) })
}

/// A key is named by the thumbprint of its public half, and its private half is bound to that name:
/// whoever can write to the database cannot have another key published.
fn held_key(master_key: &MasterKey, key: StoredSigningKey) -> Result<HeldKey, KeysError> {
    let context = signing_key_context(key.environment, &key.id);
    let pkcs8 = master_key.decrypt(&context, &key.encrypted)?;
    let public = Jwk::parse(key.public_jwk.as_bytes())
        .ok()
        .filter(|public| public.thumbprint().to_string() == key.id);
    let public = public.ok_or_else(|| KeysError::PublicHalf { id: key.id.clone() })?;
    Ok(HeldKey::new((key.id, key.algorithm), key.signs_from, public, pkcs8))
}

async fn ring(store: &Store, loaded: &Loaded, environment: Environment) -> Result<Ring, KeysError> {
    let master_key = &loaded.master_key;
    let stored = store.sealing_keys(environment).await?;
    let keys = stored
        .iter()
        .map(|key| {
            let context = sealing_key_context(environment, key.id);
            let secret = master_key.decrypt(&context, &key.encrypted)?;
            Ok(SealingKey { id: key.id, seals_from: key.seals_from, secret })
        })
        .collect::<Result<Vec<_>, MasterKeyError>>()?;
    Ring::new(environment, loaded.installation.epoch, keys)
        .ok_or_else(|| KeysError::NoSealingKey { key_id: master_key.id().to_owned(), environment })
}

/// The installation, and the master key that it belongs to: the given one, or the one that a rekey
/// put in its place.
async fn in_force(store: &Store, master_key: &MasterKey) -> Result<Loaded, KeysError> {
    let installation = store.installation().await?.ok_or(KeysError::NotInstalled)?;
    let Some(master_key) = master_key.of_id(&installation.master_key_id)? else {
        return Err(KeysError::OtherMasterKey {
            wanted: installation.master_key_id,
            found: master_key.id().to_owned(),
        });
    };
    master_key.decrypt(KEY_CHECK_CONTEXT, &installation.key_check)?;
    if installation.epoch < master_key.epoch() {
        return Err(KeysError::OlderEpoch {
            key_id: master_key.id().to_owned(),
            database: installation.epoch,
            key: master_key.epoch(),
        });
    }
    Ok(Loaded { installation, master_key })
}

async fn install(
    store: &Store,
    master_key: &MasterKey,
    clock: &Clock,
    random: &Random,
) -> Result<(), KeysError> {
    let now = clock.now();
    let installation = Installation {
        master_key_id: master_key.id().to_owned(),
        key_check: master_key.encrypt(KEY_CHECK_CONTEXT, CHECK, random),
        epoch: master_key.epoch(),
        keys_version: new_version(random),
    };
    // The first key of an installation seals at once: nobody else holds any.
    let keys = fresh(master_key, random, now);
    store.install(&installation, &keys, now).await?;
    Ok(())
}

/// Makes the first key of the portal, which an installation of the version before does not have.
/// Where another process is faster, its key is the one.
async fn add_portal_key(
    store: &Store,
    master_key: &MasterKey,
    clock: &Clock,
    random: &Random,
) -> Result<(), KeysError> {
    let loaded = in_force(store, master_key).await?;
    let key = draw(Environment::Portal, &loaded.master_key, random, [clock.now(); 2]);
    let change = KeyChange {
        master_key_id: loaded.master_key.id(),
        keys_version: loaded.installation.keys_version,
        new_keys_version: new_version(random),
        add: std::slice::from_ref(&key),
        remove: &[],
        act: None,
    };
    store.change_sealing_keys(&change).await?;
    Ok(())
}

/// Draws a key of each issuer that seals from `now` on, in Unix seconds.
pub fn fresh(
    master_key: &MasterKey,
    random: &Random,
    now: i64,
) -> [StoredSealingKey; Environment::ISSUERS.len()] {
    Environment::ISSUERS.map(|environment| draw(environment, master_key, random, [now; 2]))
}

/// Draws a sealing key that is made and seals at these times, in Unix seconds.
fn draw(
    environment: Environment,
    master_key: &MasterKey,
    random: &Random,
    [created_at, seals_from]: [i64; 2],
) -> StoredSealingKey {
    let id = u32::from_be_bytes(random.bytes());
    let secret = zeroize::Zeroizing::new(random.bytes::<32>());
    let context = sealing_key_context(environment, id);
    let encrypted = master_key.encrypt(&context, secret.as_slice(), random);
    StoredSealingKey { environment, id, encrypted, created_at, seals_from }
}

impl From<SigningFault> for KeysError {
    fn from(fault: SigningFault) -> KeysError {
        KeysError::Signing(fault)
    }
}

fn new_version(random: &Random) -> i64 {
    i64::from_be_bytes(random.bytes())
}

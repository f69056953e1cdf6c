//! The keys of an installation: made once, encrypted under the master key, opened at each start.

use std::sync::Arc;

use grantor_protocol::environment::Environment;

use crate::clock::Clock;
use crate::master_key::{MasterKey, MasterKeyError};
use crate::random::Random;
use crate::seal::{Sealer, SealingKey};
use crate::store::{Installation, Store, StoreError, StoredSealingKey};

const CHECK: &[u8] = b"grantor";
const CHECK_CONTEXT: &str = "the key check of the installation";

/// Why the keys of a database cannot be opened.
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
    /// Something does not decrypt.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The sealers of all environments of a store.
pub struct Keys {
    staging: Arc<Sealer>,
    production: Arc<Sealer>,
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
        let found = store
            .installation()
            .await?
            .ok_or_else(|| StoreError::Engine("the installation's row is missing".to_owned()))?;
        check(&found, master_key)?;
        let sealer = async |environment| {
            let stored = store.sealing_keys(environment).await?;
            if stored.is_empty() {
                let key_id = master_key.id().to_owned();
                return Err(KeysError::NoSealingKey { key_id, environment });
            }
            let keys = stored
                .iter()
                .map(|key| {
                    let secret =
                        master_key.decrypt(&context(key.environment, key.id), &key.encrypted)?;
                    Ok(SealingKey { id: key.id, created_at: key.created_at, secret })
                })
                .collect::<Result<Vec<_>, MasterKeyError>>()?;
            Ok::<_, KeysError>(Arc::new(Sealer::new(environment, found.epoch, keys)))
        };
        Ok(Keys {
            staging: sealer(Environment::Staging).await?,
            production: sealer(Environment::Production).await?,
        })
    }

    /// The sealer of one environment.
    pub fn sealer(&self, environment: Environment) -> Arc<Sealer> {
        match environment {
            Environment::Staging => Arc::clone(&self.staging),
            Environment::Production => Arc::clone(&self.production),
        }
    }
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
        key_check: master_key.encrypt(CHECK_CONTEXT, CHECK, random),
        epoch: master_key.epoch(),
    };
    let keys = Environment::ALL.map(|environment| {
        let id = u32::from_be_bytes(random.bytes());
        let secret = zeroize::Zeroizing::new(random.bytes::<32>());
        let encrypted = master_key.encrypt(&context(environment, id), secret.as_slice(), random);
        StoredSealingKey { environment, id, encrypted, created_at: now }
    });
    store.install(&installation, &keys, now).await?;
    Ok(())
}

fn check(found: &Installation, master_key: &MasterKey) -> Result<(), KeysError> {
    belongs(found, master_key)?;
    if found.epoch < master_key.epoch() {
        return Err(KeysError::OlderEpoch {
            key_id: master_key.id().to_owned(),
            database: found.epoch,
            key: master_key.epoch(),
        });
    }
    Ok(())
}

/// Whether a database belongs to this master key, whatever its epoch: by the ids, and where the id is
/// right, by the key.
fn belongs(found: &Installation, master_key: &MasterKey) -> Result<(), KeysError> {
    if found.master_key_id != master_key.id() {
        return Err(KeysError::OtherMasterKey {
            wanted: found.master_key_id.clone(),
            found: master_key.id().to_owned(),
        });
    }
    master_key.decrypt(CHECK_CONTEXT, &found.key_check)?;
    Ok(())
}

/// What an encrypted key is bound to: moved to another row, it does not decrypt.
fn context(environment: Environment, id: u32) -> String {
    format!("the sealing key {id:08x} of {environment}")
}

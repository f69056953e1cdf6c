//! Secrets of second factors, encrypted under the master key that is in force.
//!
//! A write of one gives the keys a new version, so that a rekey at the same time cannot miss it; and
//! where the keys were changed meanwhile, it is tried again.

use super::{Keys, KeysError, TRIES, new_version};
use crate::second_factor::FactorSecret;
use crate::store::{Act, Confirmed, KeysAsRead, Spent, SteppedUp, factor_context};

impl Keys {
    /// Puts a new secret beside the one that stands, to be confirmed. Answers whether it did: who
    /// has a factor needs a code that was not used yet.
    ///
    /// # Errors
    /// [`KeysError`]
    pub async fn begin_factor(
        &self,
        person_id: [u8; 16],
        secret: &FactorSecret,
        renewing: Option<(&Spent, &Act)>,
    ) -> Result<bool, KeysError> {
        let context = factor_context(person_id);
        let store = &self.0.store;
        for _ in 0..TRIES {
            let current = self.in_force().await?;
            let encrypted = current.master_key.encrypt(&context, secret.as_bytes(), &self.0.random);
            let keys = KeysAsRead {
                master_key_id: current.master_key.id(),
                keys_version: current.installation.keys_version,
                new_keys_version: new_version(&self.0.random),
            };
            if store.begin_factor(&keys, person_id, &encrypted, renewing).await? {
                return Ok(true);
            }
            let now = store.installation().await?.ok_or(KeysError::NotInstalled)?;
            if now.keys_version == keys.keys_version {
                return Ok(false);
            }
        }
        Err(KeysError::Contended)
    }

    /// Makes the new secret the one that counts. Answers whether it did: another page may have begun
    /// anew, or confirmed it already.
    ///
    /// # Errors
    /// [`KeysError`]
    pub async fn confirm_factor(
        &self,
        confirmed: &Confirmed<'_>,
        session: &SteppedUp,
        act: &Act,
    ) -> Result<bool, KeysError> {
        let store = &self.0.store;
        for _ in 0..TRIES {
            let current = self.in_force().await?;
            let keys = KeysAsRead {
                master_key_id: current.master_key.id(),
                keys_version: current.installation.keys_version,
                new_keys_version: new_version(&self.0.random),
            };
            if store.confirm_factor(&keys, confirmed, session, act).await? {
                return Ok(true);
            }
            let now = store.installation().await?.ok_or(KeysError::NotInstalled)?;
            if now.keys_version == keys.keys_version {
                return Ok(false);
            }
        }
        Err(KeysError::Contended)
    }

    /// Opens the secret of a second factor.
    ///
    /// # Errors
    /// [`KeysError`]
    pub async fn factor_secret(
        &self,
        person_id: [u8; 16],
        encrypted: &[u8],
    ) -> Result<Option<FactorSecret>, KeysError> {
        let plain = self.decrypt(&factor_context(person_id), encrypted).await?;
        Ok(FactorSecret::from_bytes(&plain))
    }
}

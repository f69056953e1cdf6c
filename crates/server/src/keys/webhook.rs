//! Secrets of webhook endpoints, encrypted under the master key that is in force.
//!
//! A write of one gives the keys a new version, so that a rekey at the same time cannot miss it; and
//! where the keys were changed meanwhile, it is encrypted anew and tried again.

use super::{Keys, KeysError, TRIES, new_version};
use crate::store::{
    Act, EndpointOfPartner, EndpointSettings, EndpointTarget, KeysAsRead, NewSecret,
    webhook_secret_context,
};
use crate::webhook::WebhookSecret;

/// So much of a secret's text is shown again: enough to tell two apart.
const HINT_CHARACTERS: usize = 5;

/// What is written.
enum Write<'a> {
    /// An endpoint, with its first secret.
    Endpoint(&'a EndpointSettings),
    /// One more secret, in this place.
    Secret(u8),
}

impl Keys {
    /// Adds an endpoint. Answers whether there is such a partner, with such a client.
    ///
    /// # Errors
    /// [`KeysError`]
    pub async fn add_webhook_endpoint(
        &self,
        endpoint: &EndpointOfPartner,
        settings: &EndpointSettings,
        (secret, act): (&WebhookSecret, &Act),
    ) -> Result<bool, KeysError> {
        self.write_secret(endpoint, (&Write::Endpoint(settings), act), 1, secret).await
    }

    /// Adds a second secret beside the first. Answers in which place, or `None` where both are taken
    /// or the endpoint is not that partner's.
    ///
    /// # Errors
    /// [`KeysError`]
    pub async fn add_webhook_secret(
        &self,
        endpoint: &EndpointOfPartner,
        (secret, act): (&WebhookSecret, &Act),
    ) -> Result<Option<u8>, KeysError> {
        for slot in [1, 2] {
            if self.write_secret(endpoint, (&Write::Secret(slot), act), slot, secret).await? {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// The secrets that sign the calls to an endpoint.
    ///
    /// # Errors
    /// [`KeysError`]
    pub async fn webhook_secrets(
        &self,
        target: &EndpointTarget,
    ) -> Result<Vec<WebhookSecret>, KeysError> {
        let mut secrets = Vec::new();
        for (context, encrypted) in &target.secrets {
            let plain = self.decrypt(context, encrypted).await?;
            secrets.extend(WebhookSecret::from_bytes(plain.to_vec()));
        }
        Ok(secrets)
    }

    async fn write_secret(
        &self,
        endpoint: &EndpointOfPartner,
        (write, act): (&Write<'_>, &Act),
        slot: u8,
        secret: &WebhookSecret,
    ) -> Result<bool, KeysError> {
        let context = webhook_secret_context(endpoint.environment, endpoint.id, slot);
        let store = &self.0.store;
        for _ in 0..TRIES {
            let current = self.in_force().await?;
            let plain = secret.as_bytes();
            let encrypted = current.master_key.encrypt(&context, plain, &self.0.random);
            let keys = KeysAsRead {
                master_key_id: current.master_key.id(),
                keys_version: current.installation.keys_version,
                new_keys_version: new_version(&self.0.random),
            };
            let text = secret.to_text();
            let secret = NewSecret { encrypted: &encrypted, hint: hint(&text) };
            let written = match write {
                Write::Endpoint(settings) => {
                    store.add_webhook_endpoint(&keys, endpoint, settings, (&secret, act)).await?
                }
                Write::Secret(slot) => {
                    store.add_webhook_secret(&keys, endpoint, *slot, (&secret, act)).await?
                }
            };
            if written {
                return Ok(true);
            }
            let now = store.installation().await?.ok_or(KeysError::NotInstalled)?;
            if now.keys_version == current.installation.keys_version {
                return Ok(false);
            }
        }
        Err(KeysError::Contended)
    }
}

/// The last characters of a secret's text.
fn hint(text: &str) -> &str {
    text.get(text.len().saturating_sub(HINT_CHARACTERS)..).unwrap_or_default()
}

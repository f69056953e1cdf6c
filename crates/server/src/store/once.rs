//! Values that may be used once: the `jti` of client assertions and proofs (RFC 7523 3, RFC 9449
//! 11.1). They are remembered in the database, so every process refuses what one of them has seen.

use aws_lc_rs::digest::{Context, SHA256};
use grantor_protocol::environment::Environment;

use super::engine::Statement;
use super::{Store, StoreError};

/// What a value was used for. A value of one kind is nothing to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// the `jti` of a client assertion
    Assertion,
    /// the `jti` of a proof of possession
    Proof,
    /// one of a customer's tries to type the code of a device
    DeviceTry,
    /// one of a person's tries to show its second factor
    FactorTry,
}

impl Store {
    /// Uses a value that `owner` (a client, a key) may use once. Answers whether this was the first
    /// time. It is remembered until `expires_at`, in Unix seconds.
    ///
    /// # Errors
    /// [`StoreError`]; then nobody knows, and what the value came with must not be taken.
    pub async fn use_once(
        &self,
        environment: Environment,
        kind: Once,
        [owner, value]: [&[u8]; 2],
        expires_at: i64,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO once_values (environment, id, expires_at) VALUES ($1, $2, $3) \
             ON CONFLICT DO NOTHING",
            vec![environment.as_str().into(), digest(kind, owner, value).into(), expires_at.into()],
        );
        Ok(self.engine.write(vec![statement]).await?.is_done())
    }
}

impl Store {
    /// Whether a value was used. It may be by the next moment.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn was_used(
        &self,
        environment: Environment,
        kind: Once,
        [owner, value]: [&[u8]; 2],
    ) -> Result<bool, StoreError> {
        let sql = "SELECT id FROM once_values WHERE environment = $1 AND id = $2";
        let values = vec![environment.as_str().into(), digest(kind, owner, value).into()];
        Ok(!self.engine.read(sql, values).await?.is_empty())
    }
}

/// Each part with its length before it: no two lists of parts give one text.
fn digest(kind: Once, owner: &[u8], value: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let kind: &[u8] = match kind {
        Once::Assertion => b"assertion",
        Once::Proof => b"proof",
        Once::DeviceTry => b"device try",
        Once::FactorTry => b"factor try",
    };
    for part in [kind, owner, value] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

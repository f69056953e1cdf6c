//! Values that may be used once: the `jti` of client assertions and proofs (RFC 7523 3, RFC 9449
//! 11.1). They are remembered in the database, so every process refuses what one of them has seen.

use aws_lc_rs::digest::{Context, SHA256};
use grantor_protocol::environment::Environment;

use super::engine::{HotWrite, Parameter, Statement};
use super::{Store, StoreError};

/// What a value was used for. A value of one kind is nothing to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// the `jti` of a client assertion
    Assertion,
    /// the `jti` of a proof of possession
    Proof,
    /// one of a person's tries to show its second factor
    FactorTry,
}

/// Of two callers with one value one writes the row, and the other learns that it is there: the
/// second in a batch is refused before anything is asked.
static USE: HotWrite = HotWrite::new(
    &["INSERT INTO once_values (environment, id, expires_at) SELECT {1}, {2}, {3} {ONLY_MEMBERS}\
       WHERE TRUE ON CONFLICT DO NOTHING"],
    &[Parameter::Text, Parameter::Bytes, Parameter::Integer],
);

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
        let statement = Statement::hot(
            &USE,
            vec![
                environment.as_str().into(),
                digest(environment, kind, owner, value).into(),
                expires_at.into(),
            ],
        );
        Ok(self.engine.write(vec![statement]).await?.is_done())
    }
}

/// Each part with its length before it: no two lists of parts give one text. The environment is one
/// of them, because a batch tells its members apart by the id alone.
fn digest(environment: Environment, kind: Once, owner: &[u8], value: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let kind: &[u8] = match kind {
        Once::Assertion => b"assertion",
        Once::Proof => b"proof",
        Once::FactorTry => b"factor try",
    };
    for part in [environment.as_str().as_bytes(), kind, owner, value] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

//! The sealing keys: which there are, and the one way to change them.
//!
//! Whoever changes them read them before, so a change demands that master key and version still
//! are what was read. The version is drawn anew at each change, and each server process looks at it
//! once a second.

use grantor_protocol::environment::Environment;

use super::engine::Statement;
use super::{Store, StoreError};

/// A sealing key at rest.
#[derive(Clone, Debug)]
pub struct StoredSealingKey {
    /// Its environment.
    pub environment: Environment,
    /// Its id, random.
    pub id: u32,
    /// Its secret, encrypted under the master key.
    pub encrypted: Vec<u8>,
    /// In Unix seconds.
    pub created_at: i64,
    /// From when on it seals, in Unix seconds.
    pub seals_from: i64,
}

/// A change of the sealing keys.
#[derive(Clone, Copy, Debug)]
pub struct KeyChange<'a> {
    /// The id of the master key as it was read: it must still stand.
    pub master_key_id: &'a str,
    /// The version of the keys as it was read: it must still stand.
    pub keys_version: i64,
    /// The new version of the keys.
    pub new_keys_version: i64,
    /// Keys that come.
    pub add: &'a [StoredSealingKey],
    /// Keys that go.
    pub remove: &'a [(Environment, u32)],
}

impl Store {
    /// The sealing keys of an environment, in the order in which they began to seal.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn sealing_keys(
        &self,
        environment: Environment,
    ) -> Result<Vec<StoredSealingKey>, StoreError> {
        let sql = "SELECT id, encrypted, created_at, seals_from FROM sealing_keys \
                   WHERE environment = $1 ORDER BY seals_from, id";
        let rows = self.engine.read(sql, vec![environment.as_str().into()]).await?;
        rows.into_iter()
            .map(|row| {
                let mut row = row.columns("sealing_keys", environment.as_str());
                Ok(StoredSealingKey {
                    environment,
                    id: u32::try_from(row.integer("id")?).map_err(|_| row.corrupt("id"))?,
                    encrypted: row.bytes("encrypted")?,
                    created_at: row.integer("created_at")?,
                    seals_from: row.integer("seals_from")?,
                })
            })
            .collect()
    }

    /// Adds and removes sealing keys. Answers whether the keys still were what was read; where they
    /// were not, nothing happened.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn change_sealing_keys(&self, change: &KeyChange<'_>) -> Result<bool, StoreError> {
        let mut transaction = vec![Statement::new(
            "UPDATE installation SET keys_version = $1 \
             WHERE id = 1 AND master_key_id = $2 AND keys_version = $3",
            vec![
                change.new_keys_version.into(),
                change.master_key_id.into(),
                change.keys_version.into(),
            ],
        )];
        transaction.extend(change.remove.iter().map(|(environment, id)| {
            Statement::new(
                "DELETE FROM sealing_keys WHERE environment = $1 AND id = $2",
                vec![environment.as_str().into(), i64::from(*id).into()],
            )
        }));
        transaction.extend(change.add.iter().map(insert));
        Ok(self.engine.write(transaction).await?.is_done())
    }
}

/// A key whose id is taken, by chance, refuses the transaction.
pub(super) fn insert(key: &StoredSealingKey) -> Statement {
    Statement::new(
        "INSERT INTO sealing_keys (environment, id, encrypted, created_at, seals_from) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        vec![
            key.environment.as_str().into(),
            i64::from(key.id).into(),
            key.encrypted.as_slice().into(),
            key.created_at.into(),
            key.seals_from.into(),
        ],
    )
}

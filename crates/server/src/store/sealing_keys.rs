//! The sealing keys: which there are, and the one way to change them.
//!
//! Whoever changes them read them before, so a change demands that master key and version still
//! are what was read. The version is drawn anew at each change, and each server process looks at it
//! twice a second. Where the fate of a commit is not known, the version tells it too.

use std::time::Duration;

use grantor_protocol::environment::Environment;

use super::engine::Statement;
use super::{Act, Along, Store, StoreError};
use crate::journal::Ending;

/// How often a change is tried whose fate is not known, and how long to wait before each time: a
/// database that fails over or starts again is away for a moment.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_millis(100);

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
    /// Whose act it is, where it is somebody's.
    pub act: Option<&'a Act>,
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
        for (environment, id) in change.remove {
            self.note(Ending::SealingKey { environment: *environment, id: *id }).await?;
        }
        let versions = [change.keys_version, change.new_keys_version];
        let mut transaction = vec![still_as_read(change.master_key_id, versions)];
        transaction.extend(change.remove.iter().map(|(environment, id)| {
            Statement::new(
                "DELETE FROM sealing_keys WHERE environment = $1 AND id = $2",
                vec![environment.as_str().into(), i64::from(*id).into()],
            )
        }));
        transaction.extend(change.add.iter().map(insert));
        self.change_keys(transaction, change.new_keys_version, change.act).await
    }

    /// Removes the sealing keys of all environments that a newer one took over from by
    /// `taken_over_by`, in Unix seconds. Answers whether there were any. Running servers forget
    /// them, because the version of the keys becomes `new_keys_version`. The newest key that seals
    /// is never one of them.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_ended_sealing_keys(
        &self,
        taken_over_by: i64,
        new_keys_version: i64,
    ) -> Result<bool, StoreError> {
        let transaction = vec![
            Statement::new(
                "UPDATE installation SET keys_version = $1 WHERE id = 1 AND EXISTS \
                 (SELECT 1 FROM sealing_keys k JOIN sealing_keys newer \
                  ON newer.environment = k.environment AND newer.seals_from > k.seals_from \
                  WHERE newer.seals_from <= $2)",
                vec![new_keys_version.into(), taken_over_by.into()],
            ),
            Statement::any(
                "DELETE FROM sealing_keys WHERE EXISTS (SELECT 1 FROM sealing_keys newer \
                 WHERE newer.environment = sealing_keys.environment \
                 AND newer.seals_from > sealing_keys.seals_from AND newer.seals_from <= $1)",
                vec![taken_over_by.into()],
            ),
        ];
        self.change_keys(transaction, new_keys_version, None).await
    }

    /// Carries out a change of the keys, whose first statement gives them a new version, with the act
    /// that it is, where it is somebody's. Answers whether it happened, by this call.
    ///
    /// A change can happen once: it demands what it itself changes. So it is safe to send it again
    /// where the first answer was lost, and the version says whose change it was.
    pub(super) async fn change_keys(
        &self,
        transaction: Vec<Statement>,
        new_keys_version: i64,
        act: Option<&Act>,
    ) -> Result<bool, StoreError> {
        let along = act.map_or(Along::ALONE, Along::Act);
        let mut unknown: Option<StoreError> = None;
        for _ in 0..TRIES {
            match (self.write_along(transaction.clone(), along).await, &unknown) {
                (Ok(true), _) => return Ok(true),
                (Ok(false), None) => return Ok(false),
                // Perhaps by our own, which came late. Past it nobody can tell.
                (Ok(false), Some(error)) => {
                    let found = self.installation().await;
                    return match found {
                        Ok(Some(found)) if found.keys_version == new_keys_version => {
                            self.confirm().await.map(|()| true)
                        }
                        _ => Err(error.clone()),
                    };
                }
                (Err(error @ StoreError::Unknown(_)), _) => {
                    tracing::warn!(%error, "store.commit: looking for what became of it");
                    unknown = Some(error);
                }
                (Err(StoreError::Unreachable(_)), Some(_)) => {}
                (Err(error), _) => return Err(unknown.unwrap_or(error)),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(unknown
            .unwrap_or_else(|| StoreError::Unknown("the database does not come back".into())))
    }
}

/// What every change of the keys begins with: they still are what was read, and have a new version.
pub(super) fn still_as_read(
    master_key_id: &str,
    [keys_version, new_keys_version]: [i64; 2],
) -> Statement {
    Statement::new(
        "UPDATE installation SET keys_version = $1 \
         WHERE id = 1 AND master_key_id = $2 AND keys_version = $3",
        vec![new_keys_version.into(), master_key_id.into(), keys_version.into()],
    )
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

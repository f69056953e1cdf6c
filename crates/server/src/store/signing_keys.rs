//! The signing keys: which there are, and the one way to change them. As with the sealing keys, a
//! change demands that the version of the keys still is what was read.

use grantor_protocol::environment::Environment;
use grantor_protocol::jose::Algorithm;

use super::engine::Statement;
use super::sealing_keys::still_as_read;
use super::{Act, Store, StoreError};
use crate::journal::Ending;

/// A signing key at rest.
#[derive(Clone, Debug)]
pub struct StoredSigningKey {
    /// Its environment.
    pub environment: Environment,
    /// Its id: the thumbprint of its public half (RFC 7638), which stands in each token as `kid`.
    pub id: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// Its private half as PKCS#8, encrypted under the master key.
    pub encrypted: Vec<u8>,
    /// Its public half, as it is published.
    pub public_jwk: String,
    /// In Unix seconds.
    pub created_at: i64,
    /// From when on it signs, in Unix seconds.
    pub signs_from: i64,
}

/// A change of the signing keys.
#[derive(Clone, Copy, Debug)]
pub struct SigningKeyChange<'a> {
    /// The id of the master key as it was read: it must still stand.
    pub master_key_id: &'a str,
    /// The version of the keys as it was read: it must still stand.
    pub keys_version: i64,
    /// The new version of the keys.
    pub new_keys_version: i64,
    /// Keys that come.
    pub add: &'a [StoredSigningKey],
    /// The id of a key that goes, with its environment.
    pub remove: Option<(Environment, &'a str)>,
    /// Whose act it is, where it is somebody's.
    pub act: Option<&'a Act>,
}

impl Store {
    /// The signing keys of an environment, in the order in which they begin to sign.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn signing_keys(
        &self,
        environment: Environment,
    ) -> Result<Vec<StoredSigningKey>, StoreError> {
        let sql = "SELECT id, algorithm, encrypted, public_jwk, created_at, signs_from \
                   FROM signing_keys WHERE environment = $1 ORDER BY signs_from, id";
        let rows = self.engine.read(sql, vec![environment.as_str().into()]).await?;
        rows.into_iter()
            .map(|row| {
                let mut row = row.columns("signing_keys", environment.as_str());
                Ok(StoredSigningKey {
                    environment,
                    id: row.text("id")?,
                    algorithm: Algorithm::parse(&row.text("algorithm")?)
                        .ok_or_else(|| row.corrupt("algorithm"))?,
                    encrypted: row.bytes("encrypted")?,
                    public_jwk: row.text("public_jwk")?,
                    created_at: row.integer("created_at")?,
                    signs_from: row.integer("signs_from")?,
                })
            })
            .collect()
    }

    /// Adds signing keys and removes one. Answers whether the keys still were what was read; where
    /// they were not, nothing happened.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn change_signing_keys(
        &self,
        change: &SigningKeyChange<'_>,
    ) -> Result<bool, StoreError> {
        let versions = [change.keys_version, change.new_keys_version];
        let mut transaction = vec![still_as_read(change.master_key_id, versions)];
        if let Some((environment, id)) = change.remove {
            self.note(Ending::SigningKey { environment, id: id.to_owned() }).await?;
            transaction.push(Statement::new(
                "DELETE FROM signing_keys WHERE environment = $1 AND id = $2",
                vec![environment.as_str().into(), id.into()],
            ));
        }
        transaction.extend(change.add.iter().map(|key| {
            Statement::new(
                "INSERT INTO signing_keys (environment, id, algorithm, encrypted, public_jwk, \
                 created_at, signs_from) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                 ON CONFLICT DO NOTHING",
                vec![
                    key.environment.as_str().into(),
                    key.id.as_str().into(),
                    key.algorithm.as_str().into(),
                    key.encrypted.as_slice().into(),
                    key.public_jwk.as_str().into(),
                    key.created_at.into(),
                    key.signs_from.into(),
                ],
            )
        }));
        self.change_keys(transaction, change.new_keys_version, change.act).await
    }

    /// Removes the signing keys that a newer one of the same environment and algorithm took over
    /// from by `taken_over_by`, in Unix seconds. Answers whether there were any.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_ended_signing_keys(
        &self,
        taken_over_by: i64,
        new_keys_version: i64,
    ) -> Result<bool, StoreError> {
        let transaction = vec![
            Statement::new(
                "UPDATE installation SET keys_version = $1 WHERE id = 1 AND EXISTS \
                 (SELECT 1 FROM signing_keys k JOIN signing_keys newer \
                  ON newer.environment = k.environment AND newer.algorithm = k.algorithm \
                  AND newer.signs_from > k.signs_from WHERE newer.signs_from <= $2)",
                vec![new_keys_version.into(), taken_over_by.into()],
            ),
            Statement::any(
                "DELETE FROM signing_keys WHERE EXISTS (SELECT 1 FROM signing_keys newer \
                 WHERE newer.environment = signing_keys.environment \
                 AND newer.algorithm = signing_keys.algorithm \
                 AND newer.signs_from > signing_keys.signs_from AND newer.signs_from <= $1)",
                vec![taken_over_by.into()],
            ),
        ];
        self.change_keys(transaction, new_keys_version, None).await
    }
}

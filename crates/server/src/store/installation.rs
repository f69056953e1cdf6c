//! What makes this database this database: its master key's id, its epoch, its sealing keys.

use grantor_protocol::environment::Environment;

use super::engine::Statement;
use super::{Store, StoreError};

/// The one row that says which master key this database belongs to.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The id of the master key.
    pub master_key_id: String,
    /// A known text, encrypted under it: whoever decrypts it has the right key.
    pub key_check: Vec<u8>,
    /// The epoch. It rises when the database is restored.
    pub epoch: i64,
}

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
}

impl Store {
    /// The installation; `None` in a new database.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn installation(&self) -> Result<Option<Installation>, StoreError> {
        let sql = "SELECT master_key_id, key_check, epoch FROM installation WHERE id = 1";
        let rows = self.engine.read(sql, vec![]).await?;
        let Some(row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let mut row = row.columns("installation", "1");
        Ok(Some(Installation {
            master_key_id: row.text("master_key_id")?,
            key_check: row.bytes("key_check")?,
            epoch: row.integer("epoch")?,
        }))
    }

    /// Writes the installation and the first sealing keys. Answers whether it was this call that
    /// did: another process may have been first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn install(
        &self,
        installation: &Installation,
        keys: &[StoredSealingKey],
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut transaction = vec![Statement::new(
            "INSERT INTO installation (id, master_key_id, key_check, epoch, created_at) \
             VALUES (1, $1, $2, $3, $4) ON CONFLICT DO NOTHING",
            vec![
                installation.master_key_id.as_str().into(),
                installation.key_check.as_slice().into(),
                installation.epoch.into(),
                now.into(),
            ],
        )];
        transaction.extend(keys.iter().map(|key| {
            Statement::new(
                "INSERT INTO sealing_keys (environment, id, encrypted, created_at) \
                 VALUES ($1, $2, $3, $4)",
                vec![
                    key.environment.as_str().into(),
                    i64::from(key.id).into(),
                    key.encrypted.as_slice().into(),
                    key.created_at.into(),
                ],
            )
        }));
        Ok(self.engine.write(transaction).await?.is_done())
    }

    /// Proves that something can be written: not only that the file or the server answers, but that
    /// its disk takes more, and that whoever writes is alive. Any number of processes may do it at
    /// once; nobody reads what it writes.
    ///
    /// # Errors
    /// [`StoreError`] where nothing can be written.
    pub async fn prove_write(&self, now: i64) -> Result<(), StoreError> {
        let statement = Statement::new(
            "UPDATE installation SET written_at = $1 WHERE id = 1",
            vec![now.into()],
        );
        match self.engine.write(vec![statement]).await?.is_done() {
            true => Ok(()),
            false => Err(StoreError::Engine("the row of the installation is gone".into())),
        }
    }

    /// The sealing keys of an environment.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn sealing_keys(
        &self,
        environment: Environment,
    ) -> Result<Vec<StoredSealingKey>, StoreError> {
        let sql = "SELECT id, encrypted, created_at FROM sealing_keys \
                   WHERE environment = $1 ORDER BY created_at, id";
        let rows = self.engine.read(sql, vec![environment.as_str().into()]).await?;
        rows.into_iter()
            .map(|row| {
                let mut row = row.columns("sealing_keys", environment.as_str());
                Ok(StoredSealingKey {
                    environment,
                    id: u32::try_from(row.integer("id")?).map_err(|_| row.corrupt("id"))?,
                    encrypted: row.bytes("encrypted")?,
                    created_at: row.integer("created_at")?,
                })
            })
            .collect()
    }

    /// What stands in this database that only dev may have: the demo clients, customers and
    /// managers, by name.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn demo_records(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT 'client ' || id FROM clients WHERE demo \
                   UNION ALL SELECT 'customer ' || email FROM customers WHERE demo \
                   UNION ALL SELECT 'manager ' || email FROM managers WHERE demo";
        let rows = self.engine.read(sql, vec![]).await?;
        rows.into_iter().map(|row| row.columns("demo", "any").text("name")).collect()
    }
}

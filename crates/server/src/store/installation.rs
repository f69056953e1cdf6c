//! What makes this database this database: its master key's id, its epoch, its sealing keys.

use super::engine::Statement;
use super::sealing_keys::{self, StoredSealingKey};
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
    /// The version of the keys, drawn anew at each change of them and never counted: a database
    /// that went back shows no version that other keys have had.
    pub keys_version: i64,
}

impl Store {
    /// The installation; `None` in a new database.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn installation(&self) -> Result<Option<Installation>, StoreError> {
        let sql = "SELECT master_key_id, key_check, epoch, keys_version \
                   FROM installation WHERE id = 1";
        let rows = self.engine.read(sql, vec![]).await?;
        let Some(row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let mut row = row.columns("installation", "1");
        Ok(Some(Installation {
            master_key_id: row.text("master_key_id")?,
            key_check: row.bytes("key_check")?,
            epoch: row.integer("epoch")?,
            keys_version: row.integer("keys_version")?,
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
            "INSERT INTO installation (id, master_key_id, key_check, epoch, keys_version, \
             created_at) VALUES (1, $1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            vec![
                installation.master_key_id.as_str().into(),
                installation.key_check.as_slice().into(),
                installation.epoch.into(),
                installation.keys_version.into(),
                now.into(),
            ],
        )];
        transaction.extend(keys.iter().map(sealing_keys::insert));
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

    /// The newest time that any server wrote for itself, in Unix seconds: the last proof that
    /// something can be written, and the last entry of the audit log. 0 where there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn newest_time(&self) -> Result<i64, StoreError> {
        let sql = "SELECT COALESCE(MAX(at), 0) FROM (\
                     SELECT written_at AS at FROM installation \
                     UNION ALL SELECT MAX(at) FROM audit \
                     UNION ALL SELECT MAX(applied_at) FROM schema_migrations) times";
        let row = self.engine.read(sql, vec![]).await?.into_iter().next();
        row.map_or(Ok(0), |row| row.columns("installation", "(times)").integer("at"))
    }

    /// What stands in this database that only dev may have: the demo clients and accounts,
    /// by name.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn demo_records(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT 'client ' || id FROM clients WHERE demo \
                   UNION ALL SELECT 'customer ' || email FROM customers WHERE demo";
        let rows = self.engine.read(sql, vec![]).await?;
        rows.into_iter().map(|row| row.columns("demo", "any").text("name")).collect()
    }
}

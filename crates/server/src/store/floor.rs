//! The floor: the least that a durable write and an indexed read cost on this engine, for `bench/`
//! to hold the server against. Only the feature `floor` has it, and the program never does.

use std::sync::Arc;

use super::engine::{Engine, HotWrite, Parameter, Statement};
use super::{Address, StoreError};

/// How many rows are laid with one commit.
const ROWS_A_COMMIT: usize = 500;

static TURN: HotWrite = HotWrite::new(
    &["UPDATE floor SET generation = generation + 1 \
       {MEMBERS}WHERE environment = {1} AND id = {2} AND generation >= {3}"],
    &[Parameter::Text, Parameter::Bytes, Parameter::Integer],
);

/// Five lookups by key, for the grant, its client, customer and consent, and the revoked token.
const READ: &str = "SELECT a.generation + b.generation + c.generation + d.generation \
     + (SELECT generation FROM floor e WHERE e.environment = $1 AND e.id = $2) \
     FROM floor a JOIN floor b ON b.environment = a.environment AND b.id = a.id \
     JOIN floor c ON c.environment = a.environment AND c.id = a.id \
     JOIN floor d ON d.environment = a.environment AND d.id = a.id \
     WHERE a.environment = $1 AND a.id = $2";

/// A table of ids and generations, and nothing else. Cloned freely.
#[derive(Clone)]
pub struct Floor {
    engine: Engine,
}

impl Floor {
    /// Opens the database and lays the rows `0..rows`, where they are missing.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn open(address: &Address, rows: u32) -> Result<Floor, StoreError> {
        let engine = Engine::open(address, &Arc::default()).await?;
        let table = "CREATE TABLE IF NOT EXISTS floor \
                     (environment TEXT NOT NULL, id {BYTES} NOT NULL, generation BIGINT NOT NULL, \
                     PRIMARY KEY (environment, id)){CLUSTERED}";
        engine.migrate(table).await?;
        let all: Vec<u32> = (0..rows).collect();
        for some in all.chunks(ROWS_A_COMMIT) {
            let sql = "INSERT INTO floor (environment, id, generation) VALUES ($1, $2, $3) \
                       ON CONFLICT DO NOTHING";
            let lay = |row: &u32| {
                Statement::any(sql, vec!["floor".into(), id(*row).into(), 0_i64.into()])
            };
            engine.write(some.iter().map(lay).collect()).await?;
        }
        Ok(Floor { engine })
    }

    /// One conditional write, and its commit. Answers whether the row was there.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn turn(&self, row: u32) -> Result<bool, StoreError> {
        let values = vec!["floor".into(), id(row).into(), 0_i64.into()];
        let statement = Statement::hot(&TURN, values);
        Ok(self.engine.write(vec![statement]).await?.is_done())
    }

    /// As many indexed reads as introspection makes, in one statement as there: the sum of what is
    /// read, which is five times the row's generation.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn read(&self, row: u32) -> Result<Option<i64>, StoreError> {
        let rows = self.engine.read(READ, vec!["floor".into(), id(row).into()]).await?;
        let generations =
            |found: super::engine::Row| found.columns("floor", "").integer("generation");
        rows.into_iter().next().map(generations).transpose()
    }
}

/// As long as a grant's.
fn id(row: u32) -> [u8; 16] {
    u128::from(row).to_be_bytes()
}

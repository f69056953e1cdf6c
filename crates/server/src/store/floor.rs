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

    /// One indexed read: the row's generation.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn read(&self, row: u32) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT generation FROM floor WHERE environment = $1 AND id = $2";
        let rows = self.engine.read(sql, vec!["floor".into(), id(row).into()]).await?;
        let generation =
            |found: super::engine::Row| found.columns("floor", "").integer("generation");
        rows.into_iter().next().map(generation).transpose()
    }
}

/// As long as a grant's.
fn id(row: u32) -> [u8; 16] {
    u128::from(row).to_be_bytes()
}

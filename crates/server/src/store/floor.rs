//! The floor: the least that a durable write and an indexed read cost on this engine, for `bench/`
//! to hold the server against. Only the feature `floor` has it, and the program never does.

use std::path::Path;

use super::StoreError;
use super::engine::{Engine, Statement};

/// How many rows are laid with one commit.
const ROWS_A_COMMIT: usize = 500;

/// A table of ids and generations, and nothing else. Cloned freely.
#[derive(Clone)]
pub struct Floor {
    engine: Engine,
}

impl Floor {
    /// Opens the SQLite database at `path` and lays the rows `0..rows`, where they are missing.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn open(path: &Path, rows: u32) -> Result<Floor, StoreError> {
        let engine = Engine::open(path)?;
        let table = "CREATE TABLE IF NOT EXISTS floor \
                     (id {BYTES} NOT NULL, generation BIGINT NOT NULL, PRIMARY KEY (id)){CLUSTERED};";
        engine.migrate(&Engine::dialect(table))?;
        let all: Vec<u32> = (0..rows).collect();
        for some in all.chunks(ROWS_A_COMMIT) {
            let sql = "INSERT INTO floor (id, generation) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            let lay = |row: &u32| Statement::any(sql, vec![id(*row).into(), 0_i64.into()]);
            engine.write(some.iter().map(lay).collect()).await?;
        }
        Ok(Floor { engine })
    }

    /// One conditional write, and its commit. Answers whether the row was there.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn turn(&self, row: u32) -> Result<bool, StoreError> {
        let sql = "UPDATE floor SET generation = generation + 1 WHERE id = $1 AND generation >= $2";
        let statement = Statement::new(sql, vec![id(row).into(), 0_i64.into()]);
        Ok(self.engine.write(vec![statement]).await?.is_done())
    }

    /// One indexed read: the row's generation.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn read(&self, row: u32) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT generation FROM floor WHERE id = $1";
        let rows = self.engine.read(sql, vec![id(row).into()]).await?;
        let generation =
            |found: super::engine::Row| found.columns("floor", "").integer("generation");
        rows.into_iter().next().map(generation).transpose()
    }
}

/// As long as a grant's.
fn id(row: u32) -> [u8; 16] {
    u128::from(row).to_be_bytes()
}

//! How SQLite finds what a statement asks for, for tests: PostgreSQL makes its plan from what it has
//! counted.

use super::{Address, Store};
use crate::clock::Clock;

/// An empty store of a test, which lives as long as the folder.
pub(super) async fn empty() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let address = Address::Sqlite(folder.path().join("grantor.db"));
    (Store::open(&address, &Clock::manual(0)).await.unwrap(), folder)
}

/// The lines of the plan of a statement with that many values.
pub(super) async fn plan(store: &Store, sql: &str, values: usize) -> String {
    let values = (0..values).map(|_| 1_i64.into()).collect();
    let sql = format!("EXPLAIN QUERY PLAN {sql}");
    let mut lines = String::new();
    for row in store.engine.read(&sql, values).await.unwrap() {
        let mut row = row.columns("(plan)", "(line)");
        for _ in 0..3 {
            row.integer("id").unwrap();
        }
        lines += &format!("{}\n", row.text("detail").unwrap());
    }
    lines
}

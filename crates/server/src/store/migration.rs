//! Brings the schema up to date, one migration a transaction. A migration only adds: the version
//! before must be able to run on the schema after.

use super::StoreError;
use super::engine::Engine;

/// All, in order; the place in the list is the version.
const MIGRATIONS: [(&str, &str); 1] =
    [("0001_foundation", include_str!("migrations/0001_foundation.sql"))];

/// The newest schema version that this program knows.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

pub(super) async fn migrate(engine: &Engine, now: i64) -> Result<(), StoreError> {
    engine.migrate(
        "CREATE TABLE IF NOT EXISTS schema_migrations \
         (version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL);",
    )?;
    let found = newest(engine).await?;
    let known = known();
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (version, (name, script)) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        let script = Engine::dialect(script);
        let applied = engine.migrate(&format!(
            "INSERT INTO schema_migrations (version, name, applied_at) \
             VALUES ({version}, '{name}', {now});\n{script}"
        ));
        // Two processes that open a file at the same time both find the step missing. The key of
        // the first statement lets one of them through; for the other the work is done.
        if let Err(error) = applied
            && newest(engine).await? < version
        {
            return Err(error);
        }
    }
    Ok(())
}

async fn newest(engine: &Engine) -> Result<i64, StoreError> {
    engine
        .read("SELECT COALESCE(MAX(version), 0) FROM schema_migrations", vec![])
        .await?
        .into_iter()
        .next()
        .map_or(Ok(0), |row| row.columns("schema_migrations", "newest").integer("version"))
}

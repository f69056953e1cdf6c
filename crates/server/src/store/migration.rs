//! Brings the schema up to date. A migration only adds: the version before must be able to run on
//! the schema after.
//!
//! 1. Of many processes that start at once, one has the lease, a row; the others wait until the
//!    schema is the one that they know, or the lease is free;
//! 2. each statement is a transaction of its own and does nothing where its work is done, so that a
//!    migration which broke off goes on where it was;
//! 3. the version is written last.

use std::sync::Arc;
use std::time::Duration;

use super::StoreError;
use super::engine::{Address, Engine, Statement};
use crate::clock::Clock;

/// All, in order; the place in the list is the version.
const MIGRATIONS: [(&str, &str); 3] = [
    ("0001_store", include_str!("migrations/0001_store.sql")),
    ("0002_standard_core", include_str!("migrations/0002_standard_core.sql")),
    (
        "0003_partner_programme",
        concat!(
            include_str!("migrations/0003_partner_programme.sql"),
            include_str!("migrations/0003_outbox.sql"),
            include_str!("migrations/0003_throttling.sql"),
            include_str!("migrations/0003_connections.sql"),
            include_str!("migrations/0003_request_log.sql"),
            include_str!("migrations/0003_test_customers.sql"),
            include_str!("migrations/0003_secret_ends.sql"),
            include_str!("migrations/0003_logos.sql"),
        ),
    ),
];

/// The newest schema version that this program knows.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The newest schema that this program runs on: a migration only adds, so the version before runs on
/// the schema after, and of a rolling upgrade either half may start again (D6).
fn newest_usable() -> i64 {
    known() + 1
}

/// Which schema a database has, and which this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaVersion {
    /// of the database
    pub version: i64,
    /// the newest that this program knows
    pub known: i64,
}

/// Looks which schema a database has, and changes nothing.
///
/// # Errors
/// [`StoreError`]
pub async fn schema_version(address: &Address) -> Result<SchemaVersion, StoreError> {
    let engine = Engine::open(address, &Arc::default()).await?;
    Ok(SchemaVersion { version: newest(&engine).await?, known: known() })
}

/// All tables with rows to keep, in a schema of that version.
pub(super) fn tables(version: i64) -> Vec<&'static str> {
    let made = scripts(version).flat_map(|script| script.split("CREATE TABLE ").skip(1));
    let names = made.filter_map(|behind| behind.split_whitespace().next());
    ["schema_migrations"].into_iter().chain(names).collect()
}

/// What makes an empty schema of that version, with the words in it that differ.
pub(super) fn statements(version: i64) -> Vec<String> {
    let parts = scripts(version).flat_map(|script| script.split(';')).map(str::trim);
    [VERSIONS].into_iter().chain(parts.filter(|text| !text.is_empty())).map(str::to_owned).collect()
}

fn scripts(version: i64) -> impl Iterator<Item = &'static str> {
    (1..).zip(MIGRATIONS).take_while(move |(at, _)| *at <= version).map(|(_, (_, script))| script)
}

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_migrations \
    (version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)";
const LEASES: &str = "CREATE TABLE IF NOT EXISTS schema_leases \
    (id BIGINT PRIMARY KEY, ends_at BIGINT NOT NULL)";

/// How long a process that died in a migration keeps the others waiting, in seconds. One that lives
/// takes it anew before each statement. Where a statement takes longer, another process may come to
/// the same one: it does nothing where its work is done.
const LEASE_SECONDS: i64 = 3;
/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a table is tried that others make at the same moment.
const TRIES: u32 = 20;

pub(super) async fn migrate(engine: &Engine, clock: &Clock) -> Result<(), StoreError> {
    // Nearly every start finds the schema that it knows, and then writes nothing. Where there is no
    // table to ask yet, the question itself fails.
    if newest(engine).await.is_ok_and(|found| found >= known() && found <= newest_usable())
        && is_released(engine).await?
    {
        return Ok(());
    }
    for table in [VERSIONS, LEASES] {
        make(engine, table).await?;
    }
    let known = known();
    loop {
        let found = newest(engine).await?;
        if found > newest_usable() {
            return Err(StoreError::Newer { found, known });
        }
        if found > 0 && !is_released(engine).await? {
            return Err(StoreError::Unreleased);
        }
        if found >= known {
            return Ok(());
        }
        let mut lease = Lease { ends_at: clock.now() + LEASE_SECONDS };
        if lease.take(engine, clock.now()).await? {
            let applied = apply(engine, clock, &mut lease).await;
            lease.release(engine).await?;
            return applied;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// PostgreSQL's `IF NOT EXISTS` does not see what another connection is about to commit, and then
/// fails where it should have done nothing.
async fn make(engine: &Engine, statement: &str) -> Result<(), StoreError> {
    for _ in 1..TRIES {
        if engine.migrate(statement).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    engine.migrate(statement).await
}

async fn apply(engine: &Engine, clock: &Clock, lease: &mut Lease) -> Result<(), StoreError> {
    let found = newest(engine).await?;
    for (version, (name, script)) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        for statement in script.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            let statement = statement
                .replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ")
                .replace("CREATE INDEX ", "CREATE INDEX IF NOT EXISTS ")
                .replace(" ADD COLUMN ", " ADD COLUMN IF NOT EXISTS ");
            lease.renew(engine, clock.now()).await?;
            make(engine, &statement).await?;
        }
        let sql = "INSERT INTO schema_migrations (version, name, applied_at) VALUES ($1, $2, $3) \
                   ON CONFLICT DO NOTHING";
        let values = vec![version.into(), name.into(), clock.now().into()];
        engine.write(vec![Statement::any(sql, values)]).await?;
    }
    Ok(())
}

/// The right to migrate, until it ends or is given back.
struct Lease {
    /// In Unix seconds.
    ends_at: i64,
}

impl Lease {
    /// Takes it, if it is free or its holder is taken for dead.
    async fn take(&self, engine: &Engine, now: i64) -> Result<bool, StoreError> {
        let sql = "INSERT INTO schema_leases (id, ends_at) VALUES (1, $1) \
                   ON CONFLICT (id) DO UPDATE SET ends_at = excluded.ends_at \
                   WHERE schema_leases.ends_at <= $2";
        let values = vec![self.ends_at.into(), now.into()];
        Ok(engine.write(vec![Statement::new(sql, values)]).await?.is_done())
    }

    async fn renew(&mut self, engine: &Engine, now: i64) -> Result<(), StoreError> {
        let ends_at = now + LEASE_SECONDS;
        if ends_at == self.ends_at {
            return Ok(());
        }
        let sql = "UPDATE schema_leases SET ends_at = $1 WHERE id = 1 AND ends_at = $2";
        let values = vec![ends_at.into(), self.ends_at.into()];
        engine.write(vec![Statement::any(sql, values)]).await?;
        self.ends_at = ends_at;
        Ok(())
    }

    async fn release(&self, engine: &Engine) -> Result<(), StoreError> {
        let sql = "DELETE FROM schema_leases WHERE id = 1 AND ends_at = $1";
        engine.write(vec![Statement::any(sql, vec![self.ends_at.into()])]).await.map(|_| ())
    }
}

async fn newest(engine: &Engine) -> Result<i64, StoreError> {
    engine
        .read("SELECT COALESCE(MAX(version), 0) FROM schema_migrations", vec![])
        .await?
        .into_iter()
        .next()
        .map_or(Ok(0), |row| row.columns("schema_migrations", "newest").integer("version"))
}

/// Whether the schema grew from the first migration of a release, and not from an earlier sketch.
async fn is_released(engine: &Engine) -> Result<bool, StoreError> {
    let sql = "SELECT name FROM schema_migrations WHERE version = 1";
    let first = engine.read(sql, vec![]).await?.into_iter().next();
    first.map_or(Ok(false), |row| {
        Ok(row.columns("schema_migrations", "1").text("name")? == MIGRATIONS[0].0)
    })
}

#[cfg(test)]
mod tests {
    use grantor_protocol::client::{ClientAuthentication, ClientSettings};
    use grantor_test_cluster::{Cluster, Database};

    use super::*;
    use crate::store::{RegisteredBy, Store, StoreMetrics};

    const NOW: i64 = 1_700_000_000;
    /// How the version before adds a client.
    const ADD_CLIENT: &str = "INSERT INTO clients (environment, id, key, partner_id, name, \
         redirect_uris, scopes, optional_scopes, public, approved, disabled, demo, counter, \
         refresh_tokens, parameters_in_query, pkce_required, query_calls, created_at) \
         SELECT 'staging', $1, $2, id, 'App', 'https://a.example/', 'orders-api', '', FALSE, TRUE, \
         FALSE, FALSE, 0, TRUE, TRUE, FALSE, 0, 1 FROM partners";

    async fn opened(address: &Address) -> Engine {
        Engine::open(address, &Arc::new(StoreMetrics::default())).await.unwrap()
    }

    async fn write(engine: &Engine, sql: &'static str, values: Vec<super::super::engine::Value>) {
        assert!(engine.write(vec![Statement::new(sql, values)]).await.unwrap().is_done(), "{sql}");
    }

    async fn upgrade(address: Address) {
        let engine = opened(&address).await;
        for statement in statements(1) {
            engine.migrate(&statement).await.unwrap();
        }
        let applied =
            "INSERT INTO schema_migrations (version, name, applied_at) VALUES (1, '0001_store', 1)";
        write(&engine, applied, vec![]).await;
        let partner = "INSERT INTO partners (id, name, verified, created_at) \
                       VALUES ($1, 'Partner', TRUE, 1)";
        write(&engine, partner, vec![[1_u8; 16].into()]).await;
        write(&engine, ADD_CLIENT, vec!["before".into(), 1_i64.into()]).await;

        let store = Store::open(&address, &Clock::manual(NOW)).await.unwrap();
        assert_eq!(newest(&engine).await.unwrap(), known());
        // A process of the version before is still at work.
        write(&engine, ADD_CLIENT, vec!["after".into(), 2_i64.into()]).await;
        for id in ["before", "after"] {
            let record = store.client(id).await.unwrap().unwrap();
            assert_eq!(record.client.settings, ClientSettings::default());
            let no_secret = ClientAuthentication::Secret { secrets: vec![] };
            assert_eq!(record.client.authentication, no_secret);
            assert_eq!(record.registration.by, RegisteredBy::Company);
        }
        // One that broke off before it wrote the version is done again, and does nothing.
        let unwritten = "DELETE FROM schema_migrations WHERE version = $1";
        write(&engine, unwritten, vec![known().into()]).await;
        Store::open(&address, &Clock::manual(NOW)).await.unwrap();
        assert_eq!(newest(&engine).await.unwrap(), known());
    }

    async fn later(address: Address) {
        Store::open(&address, &Clock::manual(NOW)).await.unwrap();
        let engine = opened(&address).await;
        let applied = "INSERT INTO schema_migrations (version, name, applied_at) \
                       VALUES ($1, 'later', 1)";
        write(&engine, applied, vec![(known() + 1).into()]).await;
        assert!(Store::open(&address, &Clock::manual(NOW)).await.is_ok());
        write(&engine, applied, vec![(known() + 2).into()]).await;
        let refused = Store::open(&address, &Clock::manual(NOW)).await.err();
        assert!(matches!(refused, Some(StoreError::Newer { .. })), "{refused:?}");
    }

    fn sqlite(folder: &tempfile::TempDir) -> Address {
        Address::Sqlite(folder.path().join("grantor.db"))
    }

    fn postgres(database: &Database) -> Address {
        Address::parse(&database.url(), "".as_ref()).unwrap()
    }

    #[tokio::test]
    async fn d6_a_database_of_the_version_before_is_brought_up_and_that_version_goes_on() {
        upgrade(sqlite(&tempfile::tempdir().unwrap())).await;
    }

    #[tokio::test]
    async fn d6_a_postgres_database_of_the_version_before_is_brought_up_and_that_version_goes_on() {
        upgrade(postgres(&Cluster::shared_database().unwrap())).await;
    }

    #[tokio::test]
    async fn d6_a_program_runs_on_the_schema_after_its_own_and_on_no_later_one() {
        later(sqlite(&tempfile::tempdir().unwrap())).await;
    }

    #[tokio::test]
    async fn d6_a_program_runs_on_the_postgres_schema_after_its_own_and_on_no_later_one() {
        later(postgres(&Cluster::shared_database().unwrap())).await;
    }
}

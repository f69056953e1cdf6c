//! The database below a server, as seen from beside it: how often it committed and what it wrote.
//!
//! On SQLite the number of commits stands in the file's shared index: `iChange`, the third word of
//! `-shm`, is raised by every transaction that is written to the log (SQLite, "WAL-mode File
//! Format", 2.1). On PostgreSQL every transaction that writes draws one id, and the position in the
//! log says how many bytes there were.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use grantor_test_cluster::Cluster;

use crate::failure::Failure;
use crate::process;

/// Where the commits are counted in the shared index, in bytes from its beginning.
const CHANGES_AT: u64 = 8;

/// Which database a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// embedded
    Sqlite,
    /// a cluster of its own, made for the run
    Postgres,
}

/// One database.
pub(crate) enum Database {
    /// A file.
    Sqlite {
        /// where it is
        path: PathBuf,
    },
    /// A database in a cluster.
    Postgres {
        /// how to reach it
        url: String,
        /// the id of its first process
        process: u32,
        /// a connection to ask it
        client: tokio_postgres::Client,
    },
}

/// What a database counted until now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// Transactions that wrote.
    pub(crate) commits: Option<u64>,
    /// Processor time of its own processes, in nanoseconds.
    pub(crate) cpu_ns: Option<u64>,
    /// Bytes of its log.
    pub(crate) log_bytes: Option<u64>,
}

impl Engine {
    /// Its name in the results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        }
    }
}

impl Database {
    /// A new one: a file of this name in the folder, or a database of this name in the cluster.
    pub(crate) async fn make(
        folder: &Path,
        cluster: Option<&Cluster>,
        name: &str,
    ) -> Result<Database, Failure> {
        let Some(cluster) = cluster else {
            return Ok(Database::Sqlite { path: folder.join(format!("{name}.db")) });
        };
        let url = cluster.create_database(name)?;
        let client = crate::postgres::connect(&url).await?;
        Ok(Database::Postgres { url, process: cluster.process().unwrap_or_default(), client })
    }

    /// As the configuration names it.
    pub(crate) fn url(&self) -> String {
        match self {
            Database::Sqlite { path } => format!("sqlite:{}", path.display()),
            Database::Postgres { url, .. } => url.clone(),
        }
    }

    /// The file of an embedded one.
    pub(crate) fn path(&self) -> Result<&Path, Failure> {
        match self {
            Database::Sqlite { path } => Ok(path),
            Database::Postgres { .. } => Err(Failure::said("this is measured on SQLite alone")),
        }
    }

    /// How many bytes it has, indexes included, once it is put in order: the log is written into an
    /// SQLite file, and PostgreSQL has freed what no row holds any more.
    pub(crate) async fn bytes(&self) -> Result<f64, Failure> {
        match self {
            Database::Sqlite { path } => {
                let connection = rusqlite::Connection::open(path)?;
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
                let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
                let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
                Ok((pages * number("PRAGMA page_size")?) as f64)
            }
            Database::Postgres { client, .. } => {
                client.batch_execute("VACUUM").await?;
                let sql = "SELECT pg_database_size(current_database())";
                Ok(client.query_one(sql, &[]).await?.get::<_, i64>(0) as f64)
            }
        }
    }

    /// What a question is answered with, which is one number.
    pub(crate) async fn number(&self, sql: &str) -> Result<i64, Failure> {
        match self {
            Database::Sqlite { path } => {
                Ok(rusqlite::Connection::open(path)?.query_row(sql, [], |row| row.get(0))?)
            }
            Database::Postgres { client, .. } => Ok(client.query_one(sql, &[]).await?.get(0)),
        }
    }

    /// Carries out statements beside the server.
    pub(crate) async fn execute(&self, sql: &str) -> Result<(), Failure> {
        match self {
            Database::Sqlite { path } => {
                let connection = rusqlite::Connection::open(path)?;
                connection.execute_batch("PRAGMA busy_timeout=60000")?;
                Ok(connection.execute_batch(sql)?)
            }
            Database::Postgres { client, .. } => Ok(client.batch_execute(sql).await?),
        }
    }

    /// What it counted until now.
    pub(crate) async fn counted(&self) -> Result<Counted, Failure> {
        match self {
            Database::Sqlite { path } => {
                let commits = changes(path).ok().map(u64::from);
                Ok(Counted { commits, cpu_ns: None, log_bytes: None })
            }
            Database::Postgres { process, client, .. } => {
                let sql = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, \
                           pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
                let row = client.query_one(sql, &[]).await?;
                let whole = |at| u64::try_from(row.get::<_, i64>(at)).ok();
                let cpu_ns = Some(process::cpu_of_children(*process)?);
                Ok(Counted { commits: whole(0), cpu_ns, log_bytes: whole(1) })
            }
        }
    }
}

impl Counted {
    /// What was added since `before`.
    pub(crate) fn since(self, before: Counted) -> Counted {
        let more = |now: Option<u64>, before: Option<u64>| Some(now?.saturating_sub(before?));
        Counted {
            // The word has 32 bits and may begin again.
            commits: more(self.commits, before.commits),
            cpu_ns: more(self.cpu_ns, before.cpu_ns),
            log_bytes: more(self.log_bytes, before.log_bytes),
        }
    }
}

fn changes(path: &Path) -> std::io::Result<u32> {
    let mut index = path.as_os_str().to_owned();
    index.push("-shm");
    let mut word = [0; 4];
    File::open(index)?.read_exact_at(&mut word, CHANGES_AT)?;
    Ok(u32::from_ne_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commit_that_writes_is_counted_once_and_a_read_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t (a)").unwrap();
        let before = changes(&path).unwrap();
        for _ in 0..25 {
            connection
                .execute_batch("BEGIN; INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); COMMIT")
                .unwrap();
            let _: i64 =
                connection.query_row("SELECT COUNT(*) FROM t", [], |row| row.get(0)).unwrap();
        }
        connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
        connection.execute_batch("INSERT INTO t VALUES (3)").unwrap();
        assert_eq!(changes(&path).unwrap() - before, 26);
    }
}

//! SQLite, embedded: one writer, readers beside it.
//!
//! 1. [`Sqlite::write`] puts a transaction into a bounded queue; past the bound it is
//!    [`StoreError::Busy`], so that load turns into 503 and not into memory;
//! 2. one thread takes whatever waits, and for a moment what is about to come ([`gather`]), carries
//!    each out so that it can be undone alone, and commits all of it with one fsync
//!    (`synchronous=FULL`);
//! 3. only after that commit does any of the callers get its answer. A caller that went away
//!    cancels nothing.
//!
//! Reads go to a small pool of connections beside the writer: with the write-ahead log they wait
//! for nobody.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, TransactionBehavior};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

use super::{Expect, Outcome, Row, Sql, Statement, StoreError, StoreMetrics, Value};

/// No more transactions wait.
const QUEUE: usize = 4096;
/// No more transactions share one commit.
const GROUP: usize = 512;
/// Where the last commit answered as many, more than one caller is about to come again.
const MANY: usize = 4;
/// How long is waited for more of them, and how often at most.
const GATHER_PAUSE: Duration = Duration::from_micros(60);
const GATHER_PAUSES: usize = 4;
/// How long to wait where SQLite does not wait by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// The write-ahead log of older versions has a bug that can corrupt the file.
const OLDEST_SAFE_VERSION: i32 = 3_051_003;

/// A database file. Cloned freely.
#[derive(Clone)]
pub(in crate::store) struct Sqlite {
    queue: mpsc::Sender<Job>,
    readers: Arc<Readers>,
}

struct Job {
    transaction: Vec<Statement>,
    answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

struct Readers {
    path: std::path::PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Sqlite {
    /// Opens the file, making it where there is none, and starts the writer.
    pub(super) fn open(path: &Path, metrics: &Arc<StoreMetrics>) -> Result<Sqlite, StoreError> {
        if rusqlite::version_number() < OLDEST_SAFE_VERSION {
            return Err(StoreError::Engine(format!(
                "SQLite {} has a bug that can corrupt the database; 3.51.3 or newer is needed",
                rusqlite::version()
            )));
        }
        // It holds people's addresses, so nobody else reads it from its first moment on. Its log
        // and index take over its mode.
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(StoreError::Engine(error.to_string()));
            }
            _ => {}
        }
        let writer = connect(path)?;
        use_write_ahead_log(&writer)?;
        let (queue, jobs) = mpsc::channel(QUEUE);
        let metrics = Arc::clone(metrics);
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || write_all(writer, jobs, &metrics))
            .map_err(|error| StoreError::Engine(error.to_string()))?;
        let readers = Readers { path: path.to_owned(), idle: Mutex::default() };
        Ok(Sqlite { queue, readers: Arc::new(readers) })
    }

    /// Carries out a transaction, and answers after its commit.
    pub(super) async fn write(&self, transaction: Vec<Statement>) -> Result<Outcome, StoreError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || StoreError::Engine("the writer stopped".into());
        self.queue.try_send(Job { transaction, answer }).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Closed(_) => stopped(),
        })?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Reads. A lookup by key takes microseconds, so it runs where it is called.
    pub(super) fn read(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let connection = self.readers.take()?;
        let rows = select(&connection, sql, values);
        self.readers.put(connection);
        rows
    }

    /// Carries out one statement of a migration.
    pub(super) fn migrate(&self, statement: &str) -> Result<(), StoreError> {
        let connection = self.readers.take()?;
        let done = migrate(&connection, statement);
        self.readers.put(connection);
        done
    }
}

/// Carries out one statement of a migration. SQLite has no `ADD COLUMN IF NOT EXISTS`.
pub(super) fn migrate(connection: &Connection, statement: &str) -> Result<(), StoreError> {
    let plain = statement.replace(" ADD COLUMN IF NOT EXISTS ", " ADD COLUMN ");
    let mut words = plain.split_whitespace();
    if plain != statement
        && let (Some(table), Some(column)) = (words.nth(2), words.nth(2))
    {
        let sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)";
        let stands: bool =
            connection.query_row(sql, [table, column], |row| row.get(0)).map_err(fault)?;
        if stands {
            return Ok(());
        }
    }
    connection.execute_batch(&plain).map_err(fault)
}

impl Readers {
    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => connect(&self.path),
        }
    }

    fn put(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection
        .execute_batch(
            "PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000; PRAGMA foreign_keys=OFF;",
        )
        .map_err(fault)?;
    // Without it every statement that joins is planned anew each time that a value is bound: SQLite
    // is built with STAT4 here, and would look whether another value asks for another plan.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Two processes that do this to a new file at the same time lock each other out, and SQLite does
/// not wait by itself here.
fn use_write_ahead_log(connection: &Connection) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        let mode = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0));
        match mode {
            // The pragma answers with the mode that it got, and not with an error.
            Ok(mode) if mode == *"wal" => return Ok(()),
            Ok::<String, _>(_) => {
                return Err(StoreError::Engine("the write-ahead log cannot be used here".into()));
            }
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && tries < 100 =>
            {
                tries += 1;
                std::thread::sleep(BUSY_PAUSE);
            }
            Err(error) => return Err(fault(error)),
        }
    }
}

fn write_all(mut connection: Connection, mut jobs: mpsc::Receiver<Job>, metrics: &StoreMetrics) {
    let mut group = Vec::with_capacity(GROUP);
    let mut answered = 0;
    while jobs.blocking_recv_many(&mut group, GROUP) > 0 {
        if answered >= MANY {
            gather(&mut jobs, &mut group);
        }
        answered = group.len();
        let (transactions, answers): (Vec<_>, Vec<_>) =
            group.drain(..).map(|job| (job.transaction, job.answer)).unzip();
        let outcomes = commit_group(&mut connection, &transactions, metrics);
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // The caller may have gone away; what it asked for is done all the same.
            let _ = answer.send(outcome);
        }
    }
}

/// Takes what comes while more comes. Who was answered by the last commit asks again at about the
/// same time, and a commit costs more than the wait: without it the first few would get one for
/// themselves, and everybody else would wait for that. A caller alone never waits here.
fn gather(jobs: &mut mpsc::Receiver<Job>, group: &mut Vec<Job>) {
    for _ in 0..GATHER_PAUSES {
        std::thread::sleep(GATHER_PAUSE);
        let before = group.len();
        while group.len() < GROUP
            && let Ok(job) = jobs.try_recv()
        {
            group.push(job);
        }
        if group.len() == before || group.len() == GROUP {
            return;
        }
    }
}

/// One commit for all: where it fails, none of them happened.
pub(super) fn commit_group(
    connection: &mut Connection,
    transactions: &[Vec<Statement>],
    metrics: &StoreMetrics,
) -> Vec<Result<Outcome, StoreError>> {
    let committed = (|| {
        let group =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
        let mut outcomes = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            let outcome = carry_out(&group, transaction);
            // On a full disk or a failed read the engine ends the whole transaction by itself. A
            // savepoint after that would be a transaction of its own: it would be committed, and
            // its caller told that nothing happened.
            if group.is_autocommit() {
                return Err(outcome.err().unwrap_or_else(|| {
                    StoreError::Engine("the engine ended the transaction".into())
                }));
            }
            outcomes.push(outcome);
        }
        group.commit().map_err(fault)?;
        metrics.commits.add(1);
        Ok::<Vec<_>, StoreError>(outcomes)
    })();
    committed.unwrap_or_else(|error| {
        let why = match error {
            StoreError::Engine(why) => why,
            other => other.to_string(),
        };
        transactions.iter().map(|_| Err(StoreError::Engine(why.clone()))).collect()
    })
}

/// One transaction of the group, undone alone where it is refused or fails.
fn carry_out(connection: &Connection, transaction: &[Statement]) -> Result<Outcome, StoreError> {
    // A statement that fails undoes itself, and a hot write that is refused has changed nothing:
    // it is about one row. So one alone needs nothing around it.
    if let [Statement { sql: Sql::Hot(_), .. }] = transaction {
        return run(connection, transaction).map_err(fault);
    }
    connection
        .prepare_cached("SAVEPOINT one")
        .and_then(|mut begin| begin.execute([]))
        .map_err(fault)?;
    let outcome = run(connection, transaction);
    if connection.is_autocommit() {
        return outcome.map_err(fault);
    }
    if !matches!(outcome, Ok(Outcome::Done(_))) {
        connection
            .prepare_cached("ROLLBACK TO one")
            .and_then(|mut undo| undo.execute([]))
            .map_err(fault)?;
    }
    connection
        .prepare_cached("RELEASE one")
        .and_then(|mut release| release.execute([]))
        .map_err(fault)?;
    outcome.map_err(fault)
}

fn run(connection: &Connection, transaction: &[Statement]) -> rusqlite::Result<Outcome> {
    let mut back = None;
    for statement in transaction {
        let mut prepared = connection.prepare_cached(statement.text())?;
        let changed = if statement.gives_back() {
            let mut rows = rows(&mut prepared, &statement.values)?;
            let changed = rows.len();
            back = rows.pop();
            changed
        } else {
            bind(&mut prepared, &statement.values)?.raw_execute()?
        };
        if statement.expect == Expect::One && changed != 1 {
            return Ok(Outcome::Refused);
        }
    }
    Ok(Outcome::Done(back))
}

pub(super) fn select(
    connection: &Connection,
    sql: &str,
    values: &[Value],
) -> Result<Vec<Row>, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| rows(&mut statement, values))
        .map_err(fault)
}

fn rows(
    statement: &mut rusqlite::CachedStatement<'_>,
    values: &[Value],
) -> rusqlite::Result<Vec<Row>> {
    let width = statement.column_count();
    let mut rows = bind(statement, values)?.raw_query();
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = (0..width).map(|at| row.get_ref(at).map(Value::from));
        read.push(Row(columns.collect::<rusqlite::Result<_>>()?));
    }
    Ok(read)
}

/// SQLite takes `$1` for a name, so each parameter is bound by its name: the text of a statement is
/// then the same on every engine.
fn bind<'a, 'c>(
    statement: &'a mut rusqlite::CachedStatement<'c>,
    values: &[Value],
) -> rusqlite::Result<&'a mut rusqlite::CachedStatement<'c>> {
    const NAMES: [&str; 48] = [
        "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14",
        "$15", "$16", "$17", "$18", "$19", "$20", "$21", "$22", "$23", "$24", "$25", "$26", "$27",
        "$28", "$29", "$30", "$31", "$32", "$33", "$34", "$35", "$36", "$37", "$38", "$39", "$40",
        "$41", "$42", "$43", "$44", "$45", "$46", "$47", "$48",
    ];
    // What has no name here would be left out in silence.
    if values.len() > NAMES.len() {
        return Err(rusqlite::Error::InvalidParameterCount(values.len(), NAMES.len()));
    }
    for (name, value) in NAMES.iter().zip(values) {
        match statement.parameter_index(name)? {
            Some(index) => statement.raw_bind_parameter(index, value)?,
            None => return Err(rusqlite::Error::InvalidParameterName((*name).to_owned())),
        }
    }
    Ok(statement)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Integer(integer) => ValueRef::Integer(*integer),
            Value::Boolean(boolean) => ValueRef::Integer(i64::from(*boolean)),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Value {
        match value {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(integer) => Value::Integer(integer),
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Value::Text(text.to_owned()),
                Err(_) => Value::Bytes(text.to_vec()),
            },
            ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
            // No column of ours is a float; a reader that meets one says which column it was.
            ValueRef::Real(_) => Value::Bytes(Vec::new()),
        }
    }
}

fn fault(error: rusqlite::Error) -> StoreError {
    StoreError::Engine(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d2_every_connection_syncs_each_commit_to_a_write_ahead_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grantor.db");
        let _engine = Sqlite::open(&path, &Arc::default()).unwrap();
        let connection = connect(&path).unwrap();
        let pragma = |name: &str| {
            let sql = format!("PRAGMA {name}");
            connection.query_row(&sql, [], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap()
        };
        assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
        // 2 is FULL: without it a power cut takes commits that were acknowledged.
        assert_eq!(pragma("synchronous"), 2.into());
        assert_eq!(pragma("busy_timeout"), 5000.into());
    }
}

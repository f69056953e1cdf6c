//! PostgreSQL: many server processes on one database.
//!
//! 1. [`Postgres::write`] puts a transaction into a bounded queue; past the bound it is
//!    [`StoreError::Busy`];
//! 2. a few workers, each with a connection of its own, take whatever waits (`batch.rs`): the hot
//!    writes of one kind become one statement and one flush of the database's log; any other
//!    transaction is carried out alone;
//! 3. what the database asks to try again is tried again. Where the connection is lost before the
//!    answer, the fate of the commit is [`StoreError::Unknown`], and the caller looks for its own
//!    attempt before it writes again (`store/grant.rs`).
//!
//! Reads are pipelined on connections of their own, shared by all callers: they wait for no flush.
//! Durable writes would, each for its own, which is why those are batched.

mod batch;
mod link;
mod values;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::{Mutex, oneshot};
use tokio_postgres::error::SqlState;

use super::address::Database;
use super::{Expect, Outcome, Row, Statement, StoreError, StoreMetrics, Value};
use link::{Connector, Link, Session};
pub(in crate::store) use values::parameters;

/// No more transactions wait.
const QUEUE: usize = 4096;
/// No more transactions are taken at once by one worker.
const GROUP: usize = 256;
/// How many connections write. While one waits for its flush, the next takes what came since.
const WRITERS: usize = 3;
/// How many connections read.
const READERS: usize = 2;
/// A database that answers later than this is taken for gone.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often a transaction is tried that the database asks to try again.
const TRIES: u32 = 6;
/// How long to wait before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(2);

/// A database. Cloned freely.
#[derive(Clone)]
pub(in crate::store) struct Postgres {
    queue: mpsc::Sender<Job>,
    readers: Arc<[Link]>,
    next_reader: Arc<AtomicUsize>,
}

struct Job {
    transaction: Vec<Statement>,
    answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// One of those who take from the queue.
struct Writer {
    link: Link,
    metrics: Arc<StoreMetrics>,
}

/// What an error says about the statement that met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It did not happen, and may when it is tried again.
    Again,
    /// It did not happen, and may on another connection.
    Elsewhere,
    /// It did not happen, and will not.
    NotDone,
    /// The connection is gone. Perhaps it happened.
    Unknown,
}

impl Postgres {
    /// Connects, and starts the workers.
    pub(super) async fn open(
        database: &Database,
        metrics: &Arc<StoreMetrics>,
    ) -> Result<Postgres, StoreError> {
        let connector = Arc::new(Connector::new(database)?);
        let link = || Link::new(Arc::clone(&connector));
        let readers: Arc<[Link]> = (0..READERS).map(|_| link()).collect();
        // A wrong address or password is told at once and not to the first request.
        if let Some(first) = readers.first() {
            first.session().await?;
        }
        let (queue, jobs) = mpsc::channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..WRITERS {
            let writer = Writer { link: link(), metrics: Arc::clone(metrics) };
            tokio::spawn(work(writer, Arc::clone(&jobs)));
        }
        Ok(Postgres { queue, readers, next_reader: Arc::default() })
    }

    /// Carries out a transaction, and answers after its commit.
    pub(super) async fn write(&self, transaction: Vec<Statement>) -> Result<Outcome, StoreError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || StoreError::Engine("the writers stopped".into());
        self.queue.try_send(Job { transaction, answer }).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Closed(_) => stopped(),
        })?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Reads. It is safe to read again, so a connection that was lost costs a second try.
    pub(super) async fn read(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let at = self.next_reader.fetch_add(1, Ordering::Relaxed);
        let Some(link) = self.readers.get(at % READERS) else {
            return Err(StoreError::Engine("there is no reader".into()));
        };
        let mut tries = 0;
        loop {
            let session = link.session().await?;
            let error = match answered(session.select(sql, values)).await {
                Ok(rows) => return rows.iter().map(values::row).collect(),
                Err(error) => error,
            };
            tries += 1;
            match error.fate() {
                Fate::Again if tries < TRIES => {}
                Fate::Unknown | Fate::Elsewhere if tries < 2 => link.forget(&session).await,
                Fate::Unknown | Fate::Elsewhere => {
                    link.forget(&session).await;
                    return Err(StoreError::Engine(error.to_string()));
                }
                Fate::Again | Fate::NotDone => return Err(StoreError::Engine(error.to_string())),
            }
        }
    }

    /// Carries out one statement of a migration.
    pub(super) async fn migrate(&self, statement: &str) -> Result<(), StoreError> {
        let Some(link) = self.readers.first() else {
            return Err(StoreError::Engine("there is no connection".into()));
        };
        let session = link.session().await?;
        session.client().batch_execute(statement).await.map_err(|error| {
            let error = Fault::Database(error);
            StoreError::Engine(error.to_string())
        })
    }
}

/// Connects for one purpose, such as a backup, with nothing between the caller and the database.
pub(in crate::store) async fn connect(
    database: &Database,
) -> Result<tokio_postgres::Client, StoreError> {
    Ok(Connector::new(database)?.connect().await?.into_client())
}

async fn work(writer: Writer, jobs: Arc<Mutex<mpsc::Receiver<Job>>>) {
    loop {
        let mut taken = Vec::new();
        // One worker waits at the queue; the others wait for the place.
        if jobs.lock().await.recv_many(&mut taken, GROUP).await == 0 {
            return;
        }
        batch::carry_out(&writer, taken).await;
    }
}

/// Carries out one transaction alone, again where the database asks for it.
async fn alone(writer: &Writer, transaction: &[Statement]) -> Result<Outcome, StoreError> {
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        let session = writer.link.session().await?;
        let failed = match transact(&session, transaction).await {
            Ok(outcome) => {
                writer.metrics.commits.add(outcome.is_done().into());
                return Ok(outcome);
            }
            Err(failed) => failed,
        };
        match failed.fate() {
            Fate::Again => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Fate::Elsewhere => writer.link.forget(&session).await,
            Fate::NotDone => {
                writer.link.give_up(&session).await;
                return Err(StoreError::Engine(failed.fault.to_string()));
            }
            Fate::Unknown => {
                writer.link.forget(&session).await;
                return Err(StoreError::Unknown(failed.fault.to_string()));
            }
        }
    }
    Err(StoreError::Engine("the database keeps asking to try again".into()))
}

/// Why a transaction did not come to its end.
struct Failed {
    fault: Fault,
    /// Whether what was sent last could commit. Before that, a lost connection undoes everything.
    committing: bool,
}

impl Failed {
    fn fate(&self) -> Fate {
        match self.fault.fate() {
            Fate::Unknown if !self.committing => Fate::Elsewhere,
            fate => fate,
        }
    }
}

async fn transact(session: &Session, transaction: &[Statement]) -> Result<Outcome, Failed> {
    let failed = |committing| move |fault| Failed { fault, committing };
    if let [statement] = transaction {
        // One statement is a transaction by itself: one round trip.
        if statement.gives_back() {
            let rows = answered(session.select(statement.text(), &statement.values))
                .await
                .map_err(failed(true))?;
            // What cannot be read is written all the same; who needs it reads it again.
            let back = |row| Outcome::Done(values::row(row).ok());
            return Ok(rows.first().map_or(Outcome::Refused, back));
        }
        let changed = answered(session.execute(statement.text(), &statement.values))
            .await
            .map_err(failed(true))?;
        let refused = statement.expect == Expect::One && changed != 1;
        return Ok(if refused { Outcome::Refused } else { Outcome::Done(None) });
    }
    answered(session.command("BEGIN")).await.map_err(failed(false))?;
    for statement in transaction {
        let changed = match answered(session.execute(statement.text(), &statement.values)).await {
            Ok(changed) => changed,
            Err(fault) => {
                // Where nobody answers that it is over, the next to use this connection would come into
                // the same transaction, and fail for ever: so it goes elsewhere.
                answered(session.command("ROLLBACK")).await.map_err(failed(false))?;
                return Err(Failed { fault, committing: false });
            }
        };
        if statement.expect == Expect::One && changed != 1 {
            answered(session.command("ROLLBACK")).await.map_err(failed(false))?;
            return Ok(Outcome::Refused);
        }
    }
    answered(session.command("COMMIT")).await.map_err(failed(true))?;
    Ok(Outcome::Done(None))
}

/// What went wrong with a statement.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{}", described(.0))]
    Database(tokio_postgres::Error),
    #[error("the database did not answer within {} s", ANSWER_WITHIN.as_secs())]
    Silence,
}

/// The driver's own words say where it was; the database's say what is wrong.
pub(in crate::store) fn described(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(database), _) => format!("{} ({})", database.message(), database.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// No statement is given a time-out in the database itself: one that is cancelled while it waits for
/// a replica answers as if it had reached it (D3).
async fn answered<T>(
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(answer) => answer.map_err(Fault::Database),
        Err(_) => Err(Fault::Silence),
    }
}

impl Fault {
    fn fate(&self) -> Fate {
        let Fault::Database(error) = self else {
            return Fate::Unknown;
        };
        let Some(code) = error.code() else {
            return Fate::Unknown;
        };
        match code {
            &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => Fate::Again,
            // The plan is older than the schema, or this is no primary any more.
            &SqlState::FEATURE_NOT_SUPPORTED
            | &SqlState::INVALID_SQL_STATEMENT_NAME
            | &SqlState::READ_ONLY_SQL_TRANSACTION => Fate::Elsewhere,
            &SqlState::ADMIN_SHUTDOWN
            | &SqlState::CRASH_SHUTDOWN
            | &SqlState::CANNOT_CONNECT_NOW
            | &SqlState::DATABASE_DROPPED
            | &SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => Fate::Unknown,
            other if other.code().starts_with("08") => Fate::Unknown,
            _ => Fate::NotDone,
        }
    }
}

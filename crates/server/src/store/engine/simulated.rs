//! A database in the simulation: real SQL in the memory of one process, and whatever can go wrong
//! between it and its caller. It does nothing by itself; the simulation's scheduler says when it
//! takes its next step, and its chance says what becomes of that step.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::sqlite::{commit_group, select};
use super::{Outcome, Row, Statement, StoreError, StoreMetrics, Value};
use crate::chance::Chance;

/// No more transactions share a commit here.
const GROUP: u64 = 4;

/// A database. Cloned freely.
#[derive(Clone)]
pub(crate) struct Simulated(Arc<Mutex<Database>>);

struct Database {
    connection: Connection,
    chance: Chance,
    weather: Weather,
    waiting: Vec<Job>,
    faults: u64,
}

/// What a caller has to expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Everything is carried out where it is asked for: for what stands before and after.
    Calm,
    /// Transactions wait for the scheduler, and some meet a fault.
    Storm,
    /// As in a storm; besides, some are acknowledged and forgotten. No store may pass under it.
    Amnesia,
}

struct Job {
    transaction: Vec<Statement>,
    /// Nobody, where the caller was told already that nobody knows.
    answer: Option<oneshot::Sender<Result<Outcome, StoreError>>>,
}

/// What becomes of a group of transactions.
enum Fate {
    Committed,
    /// The disk is full, an insert fails, the connection was refused: nothing happened.
    Failed(StoreError),
    /// The connection was lost before the answer: it happened, or not, or will in a while.
    Lost(Happens),
    Forgotten,
}

enum Happens {
    Now,
    Never,
    Later,
}

impl Simulated {
    pub(crate) fn new(chance: Chance) -> Result<Simulated, StoreError> {
        let connection =
            Connection::open_in_memory().map_err(|error| StoreError::Engine(error.to_string()))?;
        let (weather, waiting) = (Weather::Calm, Vec::new());
        let database = Database { connection, chance, weather, waiting, faults: 0 };
        Ok(Simulated(Arc::new(Mutex::new(database))))
    }

    pub(crate) fn turn_to(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// How many transactions wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// How many faults callers met.
    pub(crate) fn faults(&self) -> u64 {
        self.lock().faults
    }

    /// Takes some of what waits, whichever came first, and makes one commit of it, or a fault.
    pub(crate) fn step(&self) {
        let mut database = self.lock();
        let mut group = Vec::new();
        for _ in 0..=database.chance.below(GROUP) {
            let waiting = database.waiting.len() as u64;
            if waiting > 0 {
                let at = usize::try_from(database.chance.below(waiting)).unwrap_or_default();
                group.push(database.waiting.swap_remove(at));
            }
        }
        database.carry_out(group);
    }

    pub(super) async fn write(&self, transaction: Vec<Statement>) -> Result<Outcome, StoreError> {
        let answered = {
            let mut database = self.lock();
            if database.weather == Weather::Calm {
                let mut outcomes = database.commit(&[transaction]);
                return outcomes.remove(0);
            }
            if database.meets(60) {
                return Err(StoreError::Busy);
            }
            let (answer, answered) = oneshot::channel();
            database.waiting.push(Job { transaction, answer: Some(answer) });
            answered
        };
        answered.await.unwrap_or_else(|_| Err(StoreError::Engine("the database is gone".into())))
    }

    /// Others go on while a read is on its way, and while its answer is.
    pub(super) async fn read(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let storm = self.lock().weather != Weather::Calm;
        if storm {
            pause().await;
        }
        let rows = {
            let mut database = self.lock();
            if storm && database.meets(60) {
                return Err(StoreError::Unreachable("a fault of the simulation".into()));
            }
            select(&database.connection, sql, values)
        };
        if storm {
            pause().await;
        }
        rows
    }

    pub(super) fn migrate(&self, statement: &str) -> Result<(), StoreError> {
        super::sqlite::migrate(&self.lock().connection, statement)
    }

    fn lock(&self) -> MutexGuard<'_, Database> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Database {
    /// Whether a caller meets a fault that comes once in so many times.
    fn meets(&mut self, once_in: u64) -> bool {
        let meets = self.chance.below(once_in) == 0;
        self.faults += u64::from(meets);
        meets
    }

    fn fate(&mut self) -> Fate {
        if !self.meets(8) {
            return Fate::Committed;
        }
        let fault = || "a fault of the simulation".to_owned();
        match self.chance.below(6) {
            0 => Fate::Failed(StoreError::Engine(fault())),
            1 => Fate::Failed(StoreError::Unreachable(fault())),
            2 if self.weather == Weather::Amnesia => Fate::Forgotten,
            2 | 3 => Fate::Lost(Happens::Now),
            4 => Fate::Lost(Happens::Never),
            _ => Fate::Lost(Happens::Later),
        }
    }

    fn commit(&mut self, transactions: &[Vec<Statement>]) -> Vec<Result<Outcome, StoreError>> {
        commit_group(&mut self.connection, transactions, &StoreMetrics::default())
    }

    fn carry_out(&mut self, mut group: Vec<Job>) {
        let fate = self.fate();
        let transactions: Vec<_> = group.iter().map(|job| job.transaction.clone()).collect();
        let outcomes = match fate {
            Fate::Committed => self.commit(&transactions),
            Fate::Failed(ref error) => group.iter().map(|_| Err(error.clone())).collect(),
            Fate::Forgotten => group.iter().map(|_| Ok(Outcome::Done(None))).collect(),
            Fate::Lost(ref happens) => {
                if matches!(happens, Happens::Now) {
                    self.commit(&transactions);
                }
                let unknown = || StoreError::Unknown("a fault of the simulation".into());
                group.iter().map(|_| Err(unknown())).collect()
            }
        };
        for (job, outcome) in group.iter_mut().zip(outcomes) {
            if let Some(answer) = job.answer.take() {
                // The caller may have gone away.
                let _ = answer.send(outcome);
            }
        }
        if matches!(fate, Fate::Lost(Happens::Later)) {
            self.waiting.append(&mut group);
        }
    }
}

/// Gives way to others once.
pub(crate) async fn pause() {
    let mut given = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

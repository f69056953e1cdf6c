//! What waits goes together: one statement for all hot writes of a kind.
//!
//! 1. [`sort`] makes batches of what a worker took. A row that stands twice in a batch is written
//!    once: the later ones are refused, and decide again, or share the fault of the first;
//! 2. the members of a batch are in the order of their ids, so that two batches which meet in the
//!    same rows take their locks in the same order;
//! 3. [`together`] carries a batch out and credits the members whose rows came back. A fault in one
//!    member's data fails the whole statement, so its members are then carried out one by one.

use std::collections::HashMap;

use tokio_postgres::types::ToSql;

use super::super::{HotWrite, Row, Sql, Statement, Value};
use super::link::Session;
use super::values::{self, Column};
use super::{Fate, Fault, Job, Outcome, PAUSE, StoreError, TRIES, Writer, alone, answered};

/// What a batch wrote: each row's id, and what it gives back.
type Written = HashMap<Vec<u8>, Option<Row>>;

/// Hot writes of one kind, each of another row.
struct Batch {
    write: &'static HotWrite,
    members: Vec<Job>,
    /// Those whose row another member writes.
    doubles: Vec<Job>,
}

/// Carries out all of it, and answers each.
pub(super) async fn carry_out(writer: &Writer, jobs: Vec<Job>) {
    let (batches, others) = sort(jobs);
    for batch in batches {
        let outcomes = together(writer, batch.write, &batch.members).await;
        let mut failed: HashMap<Vec<u8>, StoreError> = HashMap::new();
        for (job, outcome) in batch.members.into_iter().zip(outcomes) {
            if let Err(error) = &outcome {
                failed.insert(id(&job).to_vec(), error.clone());
            }
            answer(job, outcome);
        }
        // After the commit, so that they read what is true now. "Refused" says that somebody was
        // faster, which to whoever ends something means that it ended: where the faster one failed,
        // it would be a false 200.
        for job in batch.doubles {
            let fault = failed.get(id(&job)).cloned();
            answer(job, fault.map_or(Ok(Outcome::Refused), Err));
        }
    }
    for job in others {
        let outcome = alone(writer, &job.transaction).await;
        answer(job, outcome);
    }
}

/// The caller may have gone away; what it asked for is done all the same.
fn answer(job: Job, outcome: Result<Outcome, StoreError>) {
    let _ = job.answer.send(outcome);
}

fn sort(jobs: Vec<Job>) -> (Vec<Batch>, Vec<Job>) {
    let mut batches: Vec<Batch> = Vec::new();
    let mut others = Vec::new();
    for job in jobs {
        let [Statement { sql: Sql::Hot(write), .. }] = job.transaction.as_slice() else {
            others.push(job);
            continue;
        };
        let write = *write;
        match batches.iter_mut().find(|batch| std::ptr::eq(batch.write, write)) {
            Some(batch) => batch.members.push(job),
            None => batches.push(Batch { write, members: vec![job], doubles: Vec::new() }),
        }
    }
    for batch in &mut batches {
        // Stable: of two for one row, the one that came first is the member.
        batch.members.sort_by(|one, other| id(one).cmp(id(other)));
        let mut last: Option<Vec<u8>> = None;
        for job in std::mem::take(&mut batch.members) {
            if last.as_deref() == Some(id(&job)) {
                batch.doubles.push(job);
            } else {
                last = Some(id(&job).to_vec());
                batch.members.push(job);
            }
        }
    }
    (batches, others)
}

/// The id of the row that a hot write is about.
fn id(job: &Job) -> &[u8] {
    match job.transaction.first().and_then(|statement| statement.values.get(1)) {
        Some(Value::Bytes(id)) => id,
        _ => &[],
    }
}

async fn together(
    writer: &Writer,
    write: &'static HotWrite,
    members: &[Job],
) -> Vec<Result<Outcome, StoreError>> {
    if members.len() > 1 {
        match written(writer, write, members).await {
            Ok(Some(mut written)) => {
                let credit = |job| written.remove(id(job)).map_or(Outcome::Refused, Outcome::Done);
                return members.iter().map(credit).map(Ok).collect();
            }
            // One member's data may be at fault, and which one only shows alone.
            Ok(None) => {}
            Err(error) => return members.iter().map(|_| Err(error.clone())).collect(),
        }
    }
    let mut outcomes = Vec::with_capacity(members.len());
    for job in members {
        outcomes.push(alone(writer, &job.transaction).await);
    }
    outcomes
}

/// The rows that were written, by their ids; `None` where the statement did not happen at all.
async fn written(
    writer: &Writer,
    write: &'static HotWrite,
    members: &[Job],
) -> Result<Option<Written>, StoreError> {
    let Some(columns) = columns(write, members) else {
        return Ok(None);
    };
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        let session = writer.link.session().await?;
        let fault = match answered(select(&session, write.batch(), &columns)).await {
            Ok(rows) => {
                writer.metrics.commits.add(1);
                return Ok(Some(rows.iter().map(|row| (row.get(0), back(write, row))).collect()));
            }
            Err(fault) => fault,
        };
        match fault.fate() {
            Fate::Again => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Fate::Elsewhere => writer.link.forget(&session).await,
            Fate::NotDone => {
                tracing::warn!(error = fault.to_string(), "store.batch: carried out one by one");
                return Ok(None);
            }
            Fate::Unknown => {
                writer.link.forget(&session).await;
                return Err(lost(&fault));
            }
        }
    }
    Ok(None)
}

/// What a row of the answer gives back behind its id. What cannot be read is written all the same;
/// who needs it reads it again.
fn back(write: &HotWrite, row: &tokio_postgres::Row) -> Option<Row> {
    let mut row = values::row(row).ok().filter(|_| write.gives_back())?;
    row.0.remove(0);
    Some(row)
}

fn lost(fault: &Fault) -> StoreError {
    StoreError::Unknown(fault.to_string())
}

async fn select(
    session: &Session,
    sql: &str,
    columns: &[Column<'_>],
) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
    let statement = session.prepare(sql).await?;
    let parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(Column::as_parameter).collect();
    session.client().query(&statement, &parameters).await
}

fn columns<'a>(write: &HotWrite, members: &'a [Job]) -> Option<Vec<Column<'a>>> {
    let members: Vec<&[Value]> =
        members.iter().filter_map(|job| Some(job.transaction.first()?.values.as_slice())).collect();
    write
        .parameters()
        .iter()
        .enumerate()
        .map(|(at, parameter)| {
            let values: Option<Vec<&Value>> = members.iter().map(|values| values.get(at)).collect();
            Column::gather(*parameter, values?.into_iter())
        })
        .collect()
}

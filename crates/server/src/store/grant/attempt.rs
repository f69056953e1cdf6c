//! A commit whose fate is unknown, settled (D4).
//!
//! Where the connection is lost between a write and its answer, the write may have happened. Each
//! turn carries an attempt, drawn for its request, so the row itself knows:
//!
//! 1. it holds our attempt: the write happened, and nobody else did it;
//! 2. it stands where it stood: the write did not happen, and is made again;
//! 3. it went on without us, or past us: nobody can tell, and the caller gets 503. To take it for a
//!    replay would end a connection for a fault of our own.

use std::time::Duration;

use grantor_protocol::environment::Environment;

use super::{NewGrant, Turn};
use crate::store::engine::Statement;
use crate::store::{Along, Store, StoreError};

/// How often a write is made whose fate stays unknown.
const TRIES: u32 = 4;
/// How often it is looked whether the database is back, and how long to wait before each time: a
/// database that fails over or starts again is away for a moment.
const LOOKS: u32 = 30;
const PAUSE: Duration = Duration::from_millis(100);

/// A row whose commit was lost from sight.
struct Found {
    /// The attempt that made it what it is.
    attempt: Option<[u8; 16]>,
    generation: i64,
}

impl Store {
    /// Makes a turn from `generation`. Answers whether it was made, by this call. `lost` is how the
    /// answer to a first try was lost, where there was one.
    pub(super) async fn settle(
        &self,
        statement: Statement,
        turn: &Turn<'_>,
        generation: i64,
        lost: Option<StoreError>,
    ) -> Result<bool, StoreError> {
        let mut first = lost.map(Err);
        let mut unknown: Option<StoreError> = None;
        for _ in 0..TRIES {
            let outcome = match first.take() {
                Some(lost) => lost,
                None => self.engine.write(vec![statement.clone()]).await,
            };
            let refused = match outcome {
                Ok(outcome) if outcome.is_done() => return Ok(true),
                Ok(_) if unknown.is_none() => return Ok(false),
                // Perhaps by our own earlier write, which came late.
                Ok(_) => true,
                Err(error @ StoreError::Unknown(_)) => {
                    tracing::warn!(%error, "store.commit: looking for what became of it");
                    unknown = Some(error);
                    false
                }
                Err(error) => return Err(unknown.unwrap_or(error)),
            };
            match self.found(turn.environment, turn.id).await? {
                Some(found) if found.attempt == Some(turn.attempt) => {
                    self.confirm().await.map_err(|error| unknown.unwrap_or(error))?;
                    return Ok(true);
                }
                Some(found) if found.generation == generation && refused => return Ok(false),
                Some(found) if found.generation == generation => {}
                Some(_) | None => break,
            }
        }
        Err(unknown.unwrap_or_else(|| StoreError::Unknown("the row went on".into())))
    }

    /// Carries out a grant's birth. Answers whether it was born, by this call: its id was drawn for
    /// this call alone.
    pub(super) async fn born(
        &self,
        transaction: Vec<Statement>,
        grant: &NewGrant,
    ) -> Result<bool, StoreError> {
        let mut unknown: Option<StoreError> = None;
        for _ in 0..TRIES {
            let refused = match self.engine.write(transaction.clone()).await {
                Ok(outcome) if outcome.is_done() => return Ok(true),
                Ok(_) if unknown.is_none() => return Ok(false),
                Ok(_) => true,
                Err(error @ StoreError::Unknown(_)) => {
                    tracing::warn!(%error, "store.commit: looking for what became of it");
                    unknown = Some(error);
                    false
                }
                Err(error) => return Err(unknown.unwrap_or(error)),
            };
            let found = self.found(grant.environment, grant.id).await?.is_some();
            if found || refused {
                return Ok(found);
            }
        }
        Err(unknown.unwrap_or_else(|| StoreError::Unknown("the grant does not appear".into())))
    }

    /// Ends something: to do it twice is to do it once. Answers whether it was this call that did.
    pub(in crate::store) async fn ended(&self, statement: Statement) -> Result<bool, StoreError> {
        self.ended_along(statement, Along::ALONE).await
    }

    /// The same, with what stands along it in one transaction. Where an answer was lost, an act may
    /// be noted twice, as it may have been carried out twice.
    pub(in crate::store) async fn ended_along(
        &self,
        statement: Statement,
        along: Along<'_>,
    ) -> Result<bool, StoreError> {
        let mut unknown = false;
        for looks in 0..LOOKS {
            let outcome = match self.write_along(vec![statement.clone()], along).await {
                // Perhaps by our own earlier write, which came late.
                Ok(_) if unknown => self.confirm().await.map(|()| true),
                outcome => outcome,
            };
            match outcome {
                Ok(ended) => return Ok(ended),
                Err(StoreError::Unknown(_)) => unknown = true,
                Err(StoreError::Unreachable(_)) if unknown => {}
                Err(error) => return Err(error),
            }
            if looks > 0 {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Err(StoreError::Unknown("the database does not come back".into()))
    }

    /// Waits until all that can be seen lasts as a commit does (D3). A commit that waited for its
    /// replica when the database was stopped stands in it when it starts again, and perhaps nowhere
    /// else. What is committed after it reaches a replica after it, so this write answers for both.
    ///
    /// # Errors
    /// [`StoreError`]: then nobody knows whether it lasts.
    pub async fn confirm(&self) -> Result<(), StoreError> {
        let sql = "UPDATE installation SET written_at = written_at WHERE id = 1";
        self.engine.write(vec![Statement::any(sql, vec![])]).await.map(|_| ())
    }

    /// The row as it is now, as soon as the database says.
    async fn found(
        &self,
        environment: Environment,
        id: [u8; 16],
    ) -> Result<Option<Found>, StoreError> {
        let sql = "SELECT attempt, generation FROM grants WHERE environment = $1 AND id = $2";
        let mut looks = 0;
        let rows = loop {
            let values = vec![environment.as_str().into(), id.into()];
            looks += 1;
            match self.engine.read(sql, values).await {
                Ok(rows) => break rows,
                Err(StoreError::Unreachable(_)) if looks < LOOKS => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        };
        let Some(row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let mut row = row.columns("grants", "(turned)");
        Ok(Some(Found {
            attempt: row.optional_array("attempt")?,
            generation: row.integer("generation")?,
        }))
    }
}

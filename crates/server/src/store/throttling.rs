//! Tallies of what was tried: how often in a window of time, and how long the next try has to wait.
//!
//! A try is taken by one transaction that counts it in each of its tallies, on condition that all
//! of them have room. Nothing is read, checked and then counted, so of many tries at once no more
//! are taken than there is room for, on all processes together. A tally is named by a keyed digest:
//! people type passwords where an address belongs, and nothing of that stands here.

use grantor_protocol::environment::Environment;

use super::engine::{Columns, Statement, Value};
use super::{Store, StoreError};

/// A tally, and how much room it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Which one.
    pub id: [u8; 32],
    /// So many tries in a window.
    pub most: i64,
    /// So many of them without a wait.
    pub unhurried: i64,
    /// How long to wait after those; it doubles with each try. 0 for never.
    pub wait_seconds: i64,
    /// How long a window is.
    pub window_seconds: i64,
    /// Where less room is left.
    pub narrowed: Option<Narrowed>,
}

/// Less room in one tally while another one is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Narrowed {
    /// Which other one.
    pub by: [u8; 32],
    /// Once it has more tries than this.
    pub above: i64,
    /// So many tries are left here.
    pub most: i64,
}

/// What becomes of a try in one tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It counts for nothing, and nothing that was tried before it does.
    Emptied([u8; 32]),
    /// It counts for nothing.
    GivenBack([u8; 32]),
}

/// A tally as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tallied {
    /// Which one.
    pub id: [u8; 32],
    /// How many tries.
    pub tries: i64,
    /// When the last one was taken, in Unix seconds.
    pub tried_at: i64,
    /// How long the next one has to wait from then on.
    pub wait_seconds: i64,
    /// When the window ends, in Unix seconds.
    pub expires_at: i64,
}

/// A window that ended begins anew; so does one that a clock made which ran ahead by more than a
/// whole window, or it would stay closed for that long (D10). Less than that is nothing: clocks of
/// two processes differ, and whoever goes from one to the other must not get a new window each time.
const TAKE: &str = "INSERT INTO throttles AS t \
       (realm, id, tries, tried_at, wait_seconds, expires_at) \
     VALUES ($1, $2, 1, $3, $4, $5) \
     ON CONFLICT (realm, id) DO UPDATE SET \
       tries = CASE WHEN t.expires_at <= $3 OR t.expires_at > $13 THEN 1 ELSE t.tries + 1 END, \
       tried_at = $3, \
       wait_seconds = CASE \
         WHEN t.expires_at <= $3 OR t.expires_at > $13 THEN $4 \
         WHEN t.tries + 1 < $6 THEN 0 \
         WHEN t.wait_seconds = 0 THEN $7 \
         WHEN t.wait_seconds * 2 > $8 THEN $8 \
         ELSE t.wait_seconds * 2 END, \
       expires_at = CASE WHEN t.expires_at <= $3 OR t.expires_at > $13 THEN $5 \
         ELSE t.expires_at END \
     WHERE t.expires_at <= $3 OR t.expires_at > $13 \
       OR ((t.wait_seconds = 0 OR t.tried_at + t.wait_seconds <= $3) AND t.tries < CASE \
         WHEN (SELECT n.tries FROM throttles n \
           WHERE n.realm = $1 AND n.id = $10 AND n.expires_at > $3) > $11 \
         THEN CAST($12 AS BIGINT) ELSE $9 END)";

impl Tally {
    /// Counts a try, if there is room.
    fn take(&self, realm: Environment, now: i64) -> Statement {
        let first_wait = if self.unhurried <= 1 { self.wait_seconds } else { 0 };
        let (by, above, most) = match self.narrowed {
            Some(Narrowed { by, above, most }) => (by.to_vec(), above, most),
            None => (Vec::new(), 0, 0),
        };
        let values: Vec<Value> = vec![
            realm.as_str().into(),
            self.id.into(),
            now.into(),
            first_wait.into(),
            (now + self.window_seconds).into(),
            self.unhurried.into(),
            self.wait_seconds.into(),
            self.window_seconds.into(),
            self.most.into(),
            by.into(),
            above.into(),
            most.into(),
            (now + 2 * self.window_seconds).into(),
        ];
        Statement::new(TAKE, values)
    }
}

impl Store {
    /// Takes a try: counts it in all of these tallies, or, where one of them has no room, in none.
    /// Answers whether it was taken. Callers name them in one order, so that no two wait for each
    /// other.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn take_try(
        &self,
        realm: Environment,
        tallies: &[Tally],
        now: i64,
    ) -> Result<bool, StoreError> {
        let transaction = tallies.iter().map(|tally| tally.take(realm, now)).collect();
        Ok(self.engine.write(transaction).await?.is_done())
    }

    /// The tallies of these ids, as far as there are any.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn tallies(
        &self,
        realm: Environment,
        ids: &[[u8; 32]],
    ) -> Result<Vec<Tallied>, StoreError> {
        let sql = "SELECT id, tries, tried_at, wait_seconds, expires_at FROM throttles \
                   WHERE realm = $1 AND id = $2";
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let rows = self.engine.read(sql, vec![realm.as_str().into(), id.into()]).await?;
            for row in rows {
                found.push(read(row.columns("throttles", "(digest)"))?);
            }
        }
        Ok(found)
    }

    /// Says what became of a try, in the order in which its tallies were taken.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn settle_try(
        &self,
        realm: Environment,
        settled: &[Settled],
    ) -> Result<(), StoreError> {
        let values = |id: &[u8; 32]| vec![realm.as_str().into(), id.into()];
        let mut transaction = Vec::with_capacity(2 * settled.len());
        for settled in settled {
            match settled {
                Settled::Emptied(id) => {
                    let all = "DELETE FROM throttles WHERE realm = $1 AND id = $2";
                    transaction.push(Statement::any(all, values(id)));
                }
                Settled::GivenBack(id) => {
                    // The other way round a second try would go with the first.
                    let last = "DELETE FROM throttles WHERE realm = $1 AND id = $2 AND tries <= 1";
                    let one = "UPDATE throttles SET tries = tries - 1 \
                               WHERE realm = $1 AND id = $2 AND tries > 1";
                    transaction.push(Statement::any(last, values(id)));
                    transaction.push(Statement::any(one, values(id)));
                }
            }
        }
        self.engine.write(transaction).await.map(drop)
    }
}

fn read(mut row: Columns) -> Result<Tallied, StoreError> {
    Ok(Tallied {
        id: row.array("id")?,
        tries: row.integer("tries")?,
        tried_at: row.integer("tried_at")?,
        wait_seconds: row.integer("wait_seconds")?,
        expires_at: row.integer("expires_at")?,
    })
}

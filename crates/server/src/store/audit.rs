//! The audit log of the partner programme: every act of a developer, a manager or an operator, one
//! row each, chained by hash.
//!
//! 1. [`Store::act`] carries out what was done and its entry in one transaction: neither is there
//!    without the other;
//! 2. an entry's hash is over all that it says and the hash of the one before, so whoever changes or
//!    takes out one has to write all later ones anew, and [`Store::audit_fault`] finds whoever did not;
//! 3. entries are numbered without a gap: of two acts at one moment one is refused by the number,
//!    and comes again behind the other.

use aws_lc_rs::digest::{Context, SHA256};

use super::engine::{Columns, Row, Statement, Value};
use super::{Store, StoreError, outbox};
use crate::mail::Mail;
use crate::webhook::Notice;

/// How often an act is tried that others are faster than.
const TRIES: usize = 50;
/// How many entries are checked at once.
const CHECKED_AT_ONCE: i64 = 1000;
/// What the first entry follows.
const NOTHING: [u8; 32] = [0; 32];

/// What somebody did.
#[derive(Clone)]
pub struct Act {
    /// When, in Unix seconds.
    pub at: i64,
    /// Who, in words: an address, or the name of a command.
    pub actor: String,
    /// Who, where it is a person of the portal.
    pub actor_id: Option<[u8; 16]>,
    /// What, by its name: `client.created`.
    pub act: &'static str,
    /// Which partner it concerns.
    pub partner_id: Option<[u8; 16]>,
    /// Which client it concerns.
    pub client_id: Option<String>,
    /// More about it, in words or as JSON; no secret.
    pub detail: String,
    /// What goes to people with it.
    pub mails: Vec<Mail>,
    /// What goes to the partner's own programs with it.
    pub notices: Vec<Notice>,
}

impl Act {
    /// The same with more in its detail, which is known only while it is carried out.
    #[must_use]
    pub fn with(&self, more: &str) -> Act {
        let detail = match self.detail.as_str() {
            "" => more.to_owned(),
            detail => format!("{detail}; {more}"),
        };
        Act { detail, ..self.clone() }
    }
}

/// By its name alone: its mails hold links that open something.
impl std::fmt::Debug for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Act({})", self.act)
    }
}

/// What stands in the transaction of a change, beside it.
#[derive(Clone, Copy)]
pub enum Along<'a> {
    /// What partners are told; of nothing, nobody.
    Told(&'a [Notice]),
    /// Somebody's act, with whom it tells.
    Act(&'a Act),
}

impl Along<'_> {
    /// Nothing: nobody is told, and it is nobody's act.
    pub const ALONE: Along<'static> = Along::Told(&[]);
}

/// An act as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, from 1.
    pub number: i64,
    /// In Unix seconds.
    pub at: i64,
    /// Who, in words.
    pub actor: String,
    /// Who.
    pub actor_id: Option<[u8; 16]>,
    /// What, by its name.
    pub act: String,
    /// Which partner it concerns.
    pub partner_id: Option<[u8; 16]>,
    /// Which client it concerns.
    pub client_id: Option<String>,
    /// More about it.
    pub detail: String,
    /// The hash of the entry before.
    pub previous: [u8; 32],
    /// The hash of all that stands above.
    pub hash: [u8; 32],
}

/// Whose entries are wanted.
#[derive(Clone, Debug)]
pub enum AuditOf {
    /// all
    Everybody,
    /// what concerns a partner
    Partner([u8; 16]),
    /// what concerns a client
    Client(String),
}

const COLUMNS: &str =
    "number, at, actor, actor_id, act, partner_id, client_id, detail, previous, hash FROM audit";

impl Store {
    /// Carries out a transaction and notes the act, both or neither. Answers whether the
    /// transaction's own conditions held.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Busy`] where others act all the time.
    pub(super) async fn act(
        &self,
        transaction: Vec<Statement>,
        act: &Act,
    ) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            let (number, previous) = self.audit_tail().await?;
            let mut entry = AuditEntry {
                number: number + 1,
                at: act.at,
                actor: act.actor.clone(),
                actor_id: act.actor_id,
                act: act.act.to_owned(),
                partner_id: act.partner_id,
                client_id: act.client_id.clone(),
                detail: act.detail.clone(),
                previous,
                hash: NOTHING,
            };
            entry.hash = entry.digest();
            let mut whole = transaction.clone();
            whole.push(insert(&entry));
            whole.extend(act.mails.iter().map(outbox::post));
            whole.extend(act.notices.iter().map(outbox::tell));
            if self.write_clients(whole).await?.is_done() {
                return Ok(true);
            }
            // Where nobody else wrote an entry, it was the act itself that was refused.
            if self.audit_tail().await?.0 == number {
                return Ok(false);
            }
        }
        Err(StoreError::Busy)
    }

    /// Carries out a transaction with what stands along it. Answers whether its own conditions held.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(super) async fn write_along(
        &self,
        mut transaction: Vec<Statement>,
        along: Along<'_>,
    ) -> Result<bool, StoreError> {
        match along {
            Along::Act(act) => self.act(transaction, act).await,
            Along::Told(notices) => {
                transaction.extend(notices.iter().map(outbox::tell));
                Ok(self.engine.write(transaction).await?.is_done())
            }
        }
    }

    /// Notes an act by itself, where nothing of this store has to happen with it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn note_act(&self, act: &Act) -> Result<(), StoreError> {
        self.act(Vec::new(), act).await.map(|_| ())
    }

    /// Entries, the newest first, of those before number `before`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn audit(
        &self,
        of: &AuditOf,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut values: Vec<Value> = vec![before.unwrap_or(i64::MAX).into(), limit.into()];
        let condition = of.condition(&mut values);
        self.engine.read(&newest(condition), values).await?.into_iter().map(read_entry).collect()
    }

    /// Entries, the oldest first, of those behind number `after`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn audit_from(&self, after: i64) -> Result<Vec<AuditEntry>, StoreError> {
        self.audit_behind(&AuditOf::Everybody, after, CHECKED_AT_ONCE).await
    }

    /// The same of those alone that are wanted, and no more than `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn audit_behind(
        &self,
        of: &AuditOf,
        after: i64,
        limit: i64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut values: Vec<Value> = vec![after.into(), limit.into()];
        let condition = of.condition(&mut values);
        let sql =
            format!("SELECT {COLUMNS} WHERE number > $1 {condition} ORDER BY number LIMIT $2");
        self.engine.read(&sql, values).await?.into_iter().map(read_entry).collect()
    }

    /// The number of the first entry that is not what was written, or whose neighbour is missing;
    /// and how many were looked at.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn audit_fault(&self) -> Result<(Option<i64>, i64), StoreError> {
        let (mut number, mut hash) = (0, NOTHING);
        loop {
            let entries = self.audit_from(number).await?;
            if entries.is_empty() {
                return Ok((None, number));
            }
            for entry in entries {
                let follows = entry.number == number + 1 && entry.previous == hash;
                if !follows || entry.digest() != entry.hash {
                    return Ok((Some(entry.number), number));
                }
                (number, hash) = (entry.number, entry.hash);
            }
        }
    }

    async fn audit_tail(&self) -> Result<(i64, [u8; 32]), StoreError> {
        let sql = "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1";
        let Some(row) = self.engine.read(sql, vec![]).await?.into_iter().next() else {
            return Ok((0, NOTHING));
        };
        let mut row = row.columns("audit", "(the last)");
        Ok((row.integer("number")?, row.array("hash")?))
    }
}

/// What finds the newest of those that a condition takes.
fn newest(condition: &str) -> String {
    format!("SELECT {COLUMNS} WHERE number < $1 {condition} ORDER BY number DESC LIMIT $2")
}

impl AuditOf {
    /// As a condition, whose value is the third.
    fn condition(&self, values: &mut Vec<Value>) -> &'static str {
        match self {
            AuditOf::Everybody => "",
            AuditOf::Partner(id) => {
                values.push((*id).into());
                "AND partner_id = $3"
            }
            AuditOf::Client(id) => {
                values.push(id.as_str().into());
                "AND client_id = $3"
            }
        }
    }
}

impl AuditEntry {
    /// Each part with its length before it: no two entries give one text.
    fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let (number, at) = (self.number.to_be_bytes(), self.at.to_be_bytes());
        let parts: [Option<&[u8]>; 9] = [
            Some(&self.previous),
            Some(&number),
            Some(&at),
            Some(self.actor.as_bytes()),
            self.actor_id.as_ref().map(|id| id.as_slice()),
            Some(self.act.as_bytes()),
            self.partner_id.as_ref().map(|id| id.as_slice()),
            self.client_id.as_deref().map(str::as_bytes),
            Some(self.detail.as_bytes()),
        ];
        for part in parts {
            match part {
                None => context.update(&u64::MAX.to_be_bytes()),
                Some(part) => {
                    context.update(&(part.len() as u64).to_be_bytes());
                    context.update(part);
                }
            }
        }
        let mut hash = NOTHING;
        hash.copy_from_slice(context.finish().as_ref());
        hash
    }
}

fn insert(entry: &AuditEntry) -> Statement {
    Statement::new(
        "INSERT INTO audit (number, at, actor, actor_id, act, partner_id, client_id, detail, \
         previous, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
        vec![
            entry.number.into(),
            entry.at.into(),
            entry.actor.as_str().into(),
            entry.actor_id.into(),
            entry.act.as_str().into(),
            entry.partner_id.into(),
            entry.client_id.as_deref().into(),
            entry.detail.as_str().into(),
            entry.previous.into(),
            entry.hash.into(),
        ],
    )
}

fn read_entry(row: Row) -> Result<AuditEntry, StoreError> {
    let number = match row.0.first() {
        Some(Value::Integer(number)) => number.to_string(),
        _ => "(no number)".to_owned(),
    };
    let mut row: Columns = row.columns("audit", number);
    Ok(AuditEntry {
        number: row.integer("number")?,
        at: row.integer("at")?,
        actor: row.text("actor")?,
        actor_id: row.optional_array("actor_id")?,
        act: row.text("act")?,
        partner_id: row.optional_array("partner_id")?,
        client_id: row.optional_text("client_id")?,
        detail: row.text("detail")?,
        previous: row.array("previous")?,
        hash: row.array("hash")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::{empty, plan};

    #[tokio::test]
    async fn the_activity_of_a_partner_or_a_client_is_found_without_reading_the_whole_log() {
        let (store, _folder) = empty().await;
        for (of, index) in [
            (AuditOf::Partner([1; 16]), "audit_of_partner"),
            (AuditOf::Client("one".to_owned()), "audit_of_client"),
        ] {
            let sql = newest(of.condition(&mut Vec::new()));
            let found = plan(&store, &sql, 3).await;
            assert!(found.contains(index) && !found.contains("SCAN"), "{found}");
            assert!(!found.contains("TEMP B-TREE"), "{found}");
        }
    }
}

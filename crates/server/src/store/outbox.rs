//! Messages that have to be delivered: mail to people, and webhooks to partners.
//!
//! ```text
//! waiting ──lease──► under way ──► delivered
//!    ▲                   │
//!    └── failed, later ──┴──► gave up
//! ```
//!
//! 1. A message comes in the transaction of what it is about, so neither is without the other;
//! 2. it waits in a lane: one for each endpoint, one for all mail. The lane and the id are its key,
//!    so that one event is one id for whoever hears of it;
//! 3. a process leases it before it sends it, by one conditional write that also counts the attempt,
//!    and only the lease may write what became of it. A process that dies leaves a lease that ends,
//!    and the message is sent once more: at least once, with the same id;
//! 4. what is waiting has a `next_try_at`, and nothing else has.

use grantor_protocol::environment::Environment;

use super::engine::{Columns, Row, Statement, Value};
use super::webhook_endpoint::EndpointOfPartner;
use super::{Store, StoreError};
use crate::mail::{Mail, MailAddress, Subject};
use crate::webhook::Notice;

/// The lane of all mail. An endpoint's lane is its id.
pub const MAIL_LANE: [u8; 16] = [0; 16];

/// A lane in which something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The endpoint's id, or [`MAIL_LANE`].
    pub id: [u8; 16],
    /// Whether its last try failed.
    pub failing: bool,
}

/// A message as it waits. What it says does not print: a mail may hold a link that signs in.
#[derive(Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its lane.
    pub lane: [u8; 16],
    /// Its id.
    pub id: [u8; 16],
    /// How often it was tried.
    pub attempts: i64,
    /// When it is to be tried next, in Unix seconds.
    pub next_try_at: i64,
    /// What it is.
    pub content: Content,
}

/// What a message is.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Mail.
    Mail(Mail),
    /// A call to an endpoint of this environment.
    Webhook {
        /// in which
        environment: Environment,
        /// what is posted
        body: String,
    },
}

/// The right to send a message, until it ends.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// Drawn for this attempt.
    pub id: [u8; 16],
    /// When it ends, in Unix seconds.
    pub until: i64,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When, in Unix seconds.
    pub at: i64,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// What it came to.
    pub outcome: AttemptOutcome,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It was taken.
    Delivered {
        /// whether nobody needs the text any more
        forget: bool,
    },
    /// It was not taken, and is tried again.
    Later {
        /// when, in Unix seconds
        next_try_at: i64,
        /// why, in words
        fault: &'static str,
    },
    /// It was not taken, and is not tried again.
    GaveUp {
        /// why, in words
        fault: &'static str,
        /// whether nobody needs the text any more
        forget: bool,
    },
    /// The endpoint is gone (410): nothing is sent there any more.
    EndpointGone {
        /// why, in words
        fault: &'static str,
    },
}

const WAITING_COLUMNS: &str = "lane, id, environment, recipient, subject, body, created_at, attempts, \
     next_try_at FROM outbox";

/// The client comes first, and then the endpoints of its partner: SQLite keeps the order of a cross
/// join, and would otherwise look at every endpoint of the environment, with all other writes waiting.
const TELL: &str = "INSERT INTO outbox \
     (lane, id, environment, subject, body, created_at, attempts, next_try_at) \
     SELECT e.id, $1, e.environment, $2, $3, $4, 0, $4 \
     FROM clients c CROSS JOIN webhook_endpoints e \
     WHERE c.environment = $5 AND c.id = $6 \
     AND e.environment = $5 AND e.partner_id = c.partner_id AND e.enabled \
     AND COALESCE(e.client_id, c.id) = c.id AND ' ' || e.events || ' ' LIKE $7 \
     ON CONFLICT DO NOTHING";

/// Puts an event into the lane of each endpoint that wants to hear of it. Where there is none it does
/// nothing, and it is no condition of its transaction.
pub(super) fn tell(notice: &Notice) -> Statement {
    let name = notice.event.event_type().name();
    Statement::any(
        TELL,
        vec![
            notice.id.into(),
            name.into(),
            notice.body().into(),
            notice.at.into(),
            notice.environment.as_str().into(),
            notice.client_id.as_str().into(),
            format!("% {name} %").into(),
        ],
    )
}

/// Puts an event into the lane of this endpoint alone, where anything is sent there and it wants to
/// hear of that.
pub(super) fn tell_one(endpoint: &EndpointOfPartner, notice: &Notice) -> Statement {
    let name = notice.event.event_type().name();
    let mut values = endpoint.values();
    values.extend([
        notice.id.into(),
        name.into(),
        notice.body().into(),
        notice.at.into(),
        format!("% {name} %").into(),
    ]);
    Statement::new(
        "INSERT INTO outbox \
         (lane, id, environment, subject, body, created_at, attempts, next_try_at) \
         SELECT id, $4, environment, $5, $6, $7, 0, $7 FROM webhook_endpoints \
         WHERE id = $1 AND environment = $2 AND partner_id = $3 AND enabled \
         AND ' ' || events || ' ' LIKE $8",
        values,
    )
}

/// Puts a mail into the outbox.
pub(super) fn post(mail: &Mail) -> Statement {
    Statement::any(
        "INSERT INTO outbox (lane, id, recipient, subject, body, created_at, attempts, next_try_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 0, $6) ON CONFLICT DO NOTHING",
        vec![
            MAIL_LANE.into(),
            mail.id.into(),
            mail.to.as_str().into(),
            mail.subject.as_str().into(),
            mail.text.as_str().into(),
            mail.at.into(),
        ],
    )
}

impl Store {
    /// Puts a mail into the outbox by itself. To do it twice is to do it once.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn post_mail(&self, mail: &Mail) -> Result<(), StoreError> {
        self.engine.write(vec![post(mail)]).await.map(|_| ())
    }

    /// Tells an event by itself, where nothing of this store has to happen with it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn tell_event(&self, notice: &Notice) -> Result<(), StoreError> {
        self.engine.write(vec![tell(notice)]).await.map(|_| ())
    }

    /// The lanes in which something is due, at most so many: those whose last try went well first,
    /// and then the one that was left alone for the longest. Mail is the very first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn due_lanes(&self, now: i64, most: i64) -> Result<Vec<Lane>, StoreError> {
        // Nearly always nothing is due, and that is one look into an index.
        let sql = "SELECT lane FROM outbox WHERE next_try_at <= $1 ORDER BY next_try_at LIMIT 1";
        if self.engine.read(sql, vec![now.into()]).await?.is_empty() {
            return Ok(Vec::new());
        }
        let sql = "SELECT lane FROM outbox WHERE lane = $1 AND next_try_at <= $2 LIMIT 1";
        let mail = self.engine.read(sql, vec![MAIL_LANE.into(), now.into()]).await?;
        let mail = mail.first().map(|_| Lane { id: MAIL_LANE, failing: false });
        // One look into an index for each endpoint, however much waits for it.
        let sql = "SELECT e.id, e.failures > 0 FROM webhook_endpoints e WHERE EXISTS \
                   (SELECT 1 FROM outbox o WHERE o.lane = e.id AND o.next_try_at <= $1) \
                   ORDER BY e.failures > 0, COALESCE(e.tried_at, 0), e.id LIMIT $2";
        let rows = self.engine.read(sql, vec![now.into(), most.into()]).await?;
        let read = |row: Row| {
            let mut row = row.columns("webhook_endpoints", "(due)");
            Ok(Lane { id: row.array("id")?, failing: row.boolean("failures")? })
        };
        mail.into_iter().map(Ok).chain(rows.into_iter().map(read)).collect()
    }

    /// What is due in a lane, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn due_messages(
        &self,
        lane: [u8; 16],
        now: i64,
        most: i64,
    ) -> Result<Vec<Waiting>, StoreError> {
        let sql = format!(
            "SELECT {WAITING_COLUMNS} WHERE lane = $1 AND next_try_at <= $2 \
             ORDER BY next_try_at, id LIMIT $3"
        );
        let rows = self.engine.read(&sql, vec![lane.into(), now.into(), most.into()]).await?;
        rows.into_iter().map(read_waiting).collect()
    }

    /// Takes the right to send a message. Answers whether nobody else has it, or had it since the
    /// message was read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn lease_message(&self, message: &Waiting, lease: Lease) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE outbox SET lease = $3, next_try_at = $4, attempts = attempts + 1 \
             WHERE lane = $1 AND id = $2 AND next_try_at = $5 AND attempts = $6",
            vec![
                message.lane.into(),
                message.id.into(),
                lease.id.into(),
                lease.until.into(),
                message.next_try_at.into(),
                message.attempts.into(),
            ],
        );
        Ok(self.engine.write(vec![statement]).await?.is_done())
    }

    /// Writes what became of an attempt, on the message and on its endpoint. Answers whether the
    /// lease still stood.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn note_attempt(
        &self,
        message: &Waiting,
        lease: Lease,
        attempt: &Attempt,
    ) -> Result<bool, StoreError> {
        let transaction = note_attempt(message, lease, attempt);
        Ok(self.engine.write(transaction).await?.is_done())
    }

    /// How many messages wait.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn waiting_messages(&self) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) FROM outbox WHERE next_try_at IS NOT NULL";
        let row = self.engine.read(sql, vec![]).await?.into_iter().next();
        row.map_or(Ok(0), |row| {
            let mut row = row.columns("outbox", "(counted)");
            u64::try_from(row.integer("count")?).map_err(|_| row.corrupt("count"))
        })
    }

    /// How many messages wait, and since when the oldest of them, in Unix seconds.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn outbox_backlog(&self) -> Result<(i64, Option<i64>), StoreError> {
        let sql = "SELECT COUNT(*), MIN(created_at) FROM outbox WHERE next_try_at IS NOT NULL";
        let row = self.engine.read(sql, vec![]).await?.into_iter().next();
        row.map_or(Ok((0, None)), |row| {
            let mut row = row.columns("outbox", "(counted)");
            Ok((row.integer("count")?, row.optional_integer("created_at")?))
        })
    }

    /// Removes messages that were written before that time, in Unix seconds, at most so many: by
    /// then each was delivered or given up long ago. Answers whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_old_messages(&self, before: i64, most: i64) -> Result<bool, StoreError> {
        let sql =
            "SELECT created_at FROM outbox WHERE created_at < $1 ORDER BY created_at LIMIT $2";
        let rows = self.engine.read(sql, vec![before.into(), most.into()]).await?;
        let found = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let Some(last) = rows.into_iter().next_back() else {
            return Ok(false);
        };
        let last = last.columns("outbox", "(old)").integer("created_at")?;
        let statement =
            Statement::any("DELETE FROM outbox WHERE created_at <= $1", vec![last.into()]);
        self.engine.write(vec![statement]).await?;
        Ok(found == most)
    }

    /// The newest mails, for the mailbox page of dev, behind an id where one is given.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn newest_mails(
        &self,
        before: Option<[u8; 16]>,
        most: i64,
    ) -> Result<Vec<Mail>, StoreError> {
        let sql = format!(
            "SELECT {WAITING_COLUMNS} WHERE lane = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
        );
        let before = before.unwrap_or([u8::MAX; 16]);
        self.mails(&sql, vec![MAIL_LANE.into(), before.into(), most.into()]).await
    }

    /// The newest mails to one address, as it was written. It looks at all mail, and is for dev and
    /// for tests.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn mails_to(&self, to: &MailAddress, most: i64) -> Result<Vec<Mail>, StoreError> {
        let sql = format!(
            "SELECT {WAITING_COLUMNS} WHERE lane = $1 AND recipient = $2 ORDER BY id DESC LIMIT $3"
        );
        self.mails(&sql, vec![MAIL_LANE.into(), to.as_str().into(), most.into()]).await
    }

    async fn mails(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Mail>, StoreError> {
        let rows = self.engine.read(sql, values).await?;
        let mail = |row: Row| {
            let mut row = row.columns("outbox", "(mail)");
            let (_lane, id) = (row.array::<16>("lane")?, row.array("id")?);
            row.optional_text("environment")?;
            read_mail(&mut row, id)
        };
        rows.into_iter().map(mail).collect()
    }
}

fn note_attempt(message: &Waiting, lease: Lease, attempt: &Attempt) -> Vec<Statement> {
    let (next_try_at, delivered, fault, forget) = match attempt.outcome {
        AttemptOutcome::Delivered { forget } => (None, true, None, forget),
        AttemptOutcome::Later { next_try_at, fault } => {
            (Some(next_try_at), false, Some(fault), false)
        }
        AttemptOutcome::GaveUp { fault, forget } => (None, false, Some(fault), forget),
        AttemptOutcome::EndpointGone { fault } => (None, false, Some(fault), false),
    };
    let gave_up = next_try_at.is_none() && !delivered;
    let (at, status) = (attempt.at, attempt.status.map(i64::from));
    let mut transaction = vec![Statement::new(
        "UPDATE outbox SET lease = NULL, next_try_at = $4, delivered_at = $5, gave_up_at = $6, \
         status = $7, fault = $8, body = CASE WHEN $9 THEN '' ELSE body END \
         WHERE lane = $1 AND id = $2 AND lease = $3",
        vec![
            message.lane.into(),
            message.id.into(),
            lease.id.into(),
            next_try_at.into(),
            delivered.then_some(at).into(),
            gave_up.then_some(at).into(),
            status.into(),
            fault.into(),
            forget.into(),
        ],
    )];
    if let Content::Webhook { environment, .. } = message.content {
        transaction.push(Statement::any(
            "UPDATE webhook_endpoints SET tried_at = $3, status = $4, fault = $5, \
             failures = CASE WHEN $6 THEN 0 ELSE failures + 1 END \
             WHERE environment = $1 AND id = $2",
            vec![
                environment.as_str().into(),
                message.lane.into(),
                at.into(),
                status.into(),
                fault.into(),
                delivered.into(),
            ],
        ));
        if let AttemptOutcome::EndpointGone { fault } = attempt.outcome {
            transaction.push(Statement::any(
                "UPDATE webhook_endpoints SET enabled = $3 WHERE environment = $1 AND id = $2",
                vec![environment.as_str().into(), message.lane.into(), false.into()],
            ));
            transaction.push(give_up_lane(message.lane, fault, at));
        }
    }
    transaction
}

/// Nothing of a lane waits any more.
pub(super) fn give_up_lane(lane: [u8; 16], fault: &'static str, now: i64) -> Statement {
    Statement::any(
        "UPDATE outbox SET next_try_at = NULL, lease = NULL, gave_up_at = $2, fault = $3 \
         WHERE lane = $1 AND next_try_at IS NOT NULL",
        vec![lane.into(), now.into(), fault.into()],
    )
}

fn read_waiting(row: Row) -> Result<Waiting, StoreError> {
    let mut row = row.columns("outbox", "(waiting)");
    let (lane, id): ([u8; 16], [u8; 16]) = (row.array("lane")?, row.array("id")?);
    let environment = row.optional_text("environment")?;
    let content = match environment {
        None => Content::Mail(read_mail(&mut row, id)?),
        Some(name) => {
            let environment =
                Environment::parse(&name).ok_or_else(|| row.corrupt("environment"))?;
            row.optional_text("recipient")?;
            row.text("subject")?;
            let body = row.text("body")?;
            row.integer("created_at")?;
            Content::Webhook { environment, body }
        }
    };
    let attempts = row.integer("attempts")?;
    let next_try_at = row.integer("next_try_at")?;
    Ok(Waiting { lane, id, attempts, next_try_at, content })
}

/// From the recipient on.
fn read_mail(row: &mut Columns, id: [u8; 16]) -> Result<Mail, StoreError> {
    let to = MailAddress::parse(&row.text("recipient")?);
    let to = to.ok_or_else(|| row.corrupt("recipient"))?;
    let subject = Subject::parse(&row.text("subject")?).ok_or_else(|| row.corrupt("subject"))?;
    Ok(Mail { id, to, subject, text: row.text("body")?, at: row.integer("created_at")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::{empty, plan};

    #[tokio::test]
    async fn an_event_finds_the_endpoints_of_its_partner_and_looks_at_no_other() {
        let (store, _folder) = empty().await;
        let found = plan(&store, TELL, 7).await;
        assert!(found.contains("c USING") && found.contains("(environment=? AND id=?)"), "{found}");
        let of_partner = "webhook_endpoints_of_partner (environment=? AND partner_id=?)";
        assert!(found.contains(of_partner), "{found}");
    }
}

//! The second factor of a person. Its secret stands encrypted under the master key; whoever writes or
//! moves one gives the keys a new version (`encrypted.rs`).
//!
//! ```text
//! begin ─► totp_next ──confirm, with a first code──► totp ──begin, with a code──► totp and totp_next …
//!                                                     └── removed, or reset by an operator
//! ```
//!
//! A code is spent by the write that it is for: [`Spent`] is a condition of it. So of two that come
//! with one code at the same time, one does nothing.

use grantor_protocol::environment::Environment;

use super::audit::Act;
use super::encrypted::factor_context;
use super::engine::Statement;
use super::{KeysAsRead, Store, StoreError};
use crate::journal::Ending;

/// The second factor of a person, as far as it has one.
#[derive(Clone, Debug, Default)]
pub struct Factor {
    /// The secret, encrypted; set once it is confirmed.
    pub secret: Option<Vec<u8>>,
    /// A secret that is not confirmed yet, encrypted.
    pub next: Option<Vec<u8>>,
    /// The last half minute whose code was used.
    pub step: Option<i64>,
    /// The digests of the recovery codes that are left.
    pub recovery_codes: String,
}

/// What proves that the person holds its factor, and can do so once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spent {
    /// the code of a half minute
    Step(i64),
    /// a recovery code
    RecoveryCode {
        /// the codes as they were read
        stored: String,
        /// those that are left
        left: String,
    },
}

/// The session in which something happens, and the id that it has afterwards (S18).
#[derive(Clone, Copy, Debug)]
pub struct SteppedUp {
    /// The SHA-256 of its id.
    pub former: [u8; 32],
    /// The SHA-256 of its new one.
    pub id_digest: [u8; 32],
}

/// A factor to be: what the person showed of it.
pub struct Confirmed<'a> {
    /// Whose.
    pub person_id: [u8; 16],
    /// The secret that was confirmed, encrypted, as it was read.
    pub secret: &'a [u8],
    /// The half minute of the first code.
    pub step: i64,
    /// The digests of the recovery codes.
    pub recovery_codes: &'a str,
}

impl Store {
    /// The second factor of a person.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn factor(&self, person_id: [u8; 16]) -> Result<Factor, StoreError> {
        let sql = "SELECT totp, totp_next, totp_confirmed_at, totp_step, recovery_codes \
                   FROM people WHERE id = $1";
        let rows = self.engine.read(sql, vec![person_id.into()]).await?;
        let Some(row) = rows.into_iter().next() else {
            return Ok(Factor::default());
        };
        let mut row = row.columns("people", factor_context(person_id));
        let (secret, next) = (row.optional_bytes("totp")?, row.optional_bytes("totp_next")?);
        let confirmed = row.optional_integer("totp_confirmed_at")?;
        Ok(Factor {
            secret: secret.filter(|_| confirmed.is_some()),
            next,
            step: row.optional_integer("totp_step")?,
            recovery_codes: row.optional_text("recovery_codes")?.unwrap_or_default(),
        })
    }

    /// Puts a new secret, encrypted, beside the one that stands until it is confirmed. Who has a
    /// factor spends a code of it, which is noted. Answers whether the keys and the code still were what was read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn begin_factor(
        &self,
        keys: &KeysAsRead<'_>,
        person_id: [u8; 16],
        secret: &[u8],
        renewing: Option<(&Spent, &Act)>,
    ) -> Result<bool, StoreError> {
        let begin = Statement::new(
            "UPDATE people SET totp_next = $2 WHERE id = $1 \
             AND (totp_confirmed_at IS NULL OR $3)",
            vec![person_id.into(), secret.into(), renewing.is_some().into()],
        );
        let mut transaction = vec![keys.statement(), begin];
        match renewing {
            Some((spent, act)) => {
                self.note_spent(person_id, spent).await?;
                transaction.push(spend(person_id, spent));
                self.act(transaction, act).await
            }
            None => self.change_keys(transaction, keys.new_keys_version, None).await,
        }
    }

    /// Makes the new secret the one that counts. All other sessions of the person end, and this one
    /// has another id and the factor in it. Answers whether all still was what was read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn confirm_factor(
        &self,
        keys: &KeysAsRead<'_>,
        confirmed: &Confirmed<'_>,
        session: &SteppedUp,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let person_id = confirmed.person_id;
        let confirm = Statement::new(
            "UPDATE people SET totp = totp_next, totp_next = NULL, totp_confirmed_at = $3, \
             totp_step = $4, recovery_codes = $5 WHERE id = $1 AND totp_next = $2",
            vec![
                person_id.into(),
                confirmed.secret.into(),
                act.at.into(),
                confirmed.step.into(),
                confirmed.recovery_codes.into(),
            ],
        );
        self.note(Ending::FactorEnded { id: person_id }).await?;
        let mut transaction = vec![keys.statement(), confirm];
        transaction.extend(end_other_sessions(person_id, session, Some(act.at)));
        self.act(transaction, act).await
    }

    /// Notes in a session that the person showed its factor; the session has another id. Answers
    /// whether the code was used for the first time.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn pass_factor(
        &self,
        person_id: [u8; 16],
        spent: &Spent,
        (session, now): (&SteppedUp, i64),
        act: Option<&Act>,
    ) -> Result<bool, StoreError> {
        let step_up = Statement::new(
            "UPDATE sessions SET id_digest = $3, factor_at = $4 \
             WHERE environment = $1 AND id_digest = $2 AND factor_at IS NULL",
            vec![
                Environment::Portal.as_str().into(),
                session.former.into(),
                session.id_digest.into(),
                now.into(),
            ],
        );
        self.note_spent(person_id, spent).await?;
        let transaction = vec![spend(person_id, spent), step_up];
        match act {
            Some(act) => self.act(transaction, act).await,
            None => Ok(self.engine.write(transaction).await?.is_done()),
        }
    }

    /// Removes a person's factor. All other sessions end. Answers whether the code was used for the
    /// first time.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_factor(
        &self,
        person_id: [u8; 16],
        spent: &Spent,
        session: &SteppedUp,
        act: &Act,
    ) -> Result<bool, StoreError> {
        self.note(Ending::FactorEnded { id: person_id }).await?;
        let mut transaction =
            vec![spend(person_id, spent), Statement::new(REMOVE, vec![person_id.into()])];
        transaction.extend(end_other_sessions(person_id, session, None));
        self.act(transaction, act).await
    }

    /// Removes the factor of a person who lost it, and ends all its sessions. Answers whether it had
    /// one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn reset_factor(&self, person_id: [u8; 16], act: &Act) -> Result<bool, StoreError> {
        self.note(Ending::FactorEnded { id: person_id }).await?;
        let end_sessions = Statement::new(
            "UPDATE customers SET counter = counter + 1 WHERE environment = $1 AND id = $2",
            vec![Environment::Portal.as_str().into(), person_id.into()],
        );
        let transaction = vec![Statement::new(REMOVE, vec![person_id.into()]), end_sessions];
        self.act(transaction, act).await
    }

    /// A code of a half minute is over before any restore; a recovery code would work again.
    async fn note_spent(&self, person_id: [u8; 16], spent: &Spent) -> Result<(), StoreError> {
        match spent {
            Spent::Step(_) => Ok(()),
            Spent::RecoveryCode { .. } => {
                self.note(Ending::RecoveryCodeUsed { id: person_id }).await
            }
        }
    }
}

const REMOVE: &str = "UPDATE people SET totp = NULL, totp_next = NULL, totp_confirmed_at = NULL, \
    totp_step = NULL, recovery_codes = NULL WHERE id = $1 \
    AND (totp_confirmed_at IS NOT NULL OR totp_next IS NOT NULL)";

/// A code that was used, or is older than one that was, is none (RFC 6238 5.2).
fn spend(person_id: [u8; 16], spent: &Spent) -> Statement {
    match spent {
        Spent::Step(step) => Statement::new(
            "UPDATE people SET totp_step = $2 WHERE id = $1 AND totp_confirmed_at IS NOT NULL \
             AND (totp_step IS NULL OR totp_step < $2)",
            vec![person_id.into(), (*step).into()],
        ),
        Spent::RecoveryCode { stored, left } => Statement::new(
            "UPDATE people SET recovery_codes = $3 WHERE id = $1 \
             AND totp_confirmed_at IS NOT NULL AND recovery_codes = $2",
            vec![person_id.into(), stored.as_str().into(), left.as_str().into()],
        ),
    }
}

/// The person's counter rises, which ends its sessions; this one follows it under a new id.
fn end_other_sessions(
    person_id: [u8; 16],
    session: &SteppedUp,
    factor_at: Option<i64>,
) -> [Statement; 2] {
    let portal = Environment::Portal.as_str();
    [
        Statement::new(
            "UPDATE customers SET counter = counter + 1 WHERE environment = $1 AND id = $2 \
             AND NOT disabled AND EXISTS (SELECT 1 FROM sessions s WHERE s.environment = $1 \
               AND s.id_digest = $3 AND s.customer_id = $2 AND s.customer_counter = counter)",
            vec![portal.into(), person_id.into(), session.former.into()],
        ),
        Statement::new(
            "UPDATE sessions SET id_digest = $3, factor_at = $4, \
             customer_counter = customer_counter + 1 \
             WHERE environment = $1 AND id_digest = $2",
            vec![portal.into(), session.former.into(), session.id_digest.into(), factor_at.into()],
        ),
    ]
}

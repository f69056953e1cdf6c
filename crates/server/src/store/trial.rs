//! Trials: hard cases that a partner makes happen on purpose. Each method takes the proof that it is
//! about staging, which nothing else gives.
//!
//! 1. [`Store::begin_trial`] arms one that waits for a call, or carries out one that does not;
//! 2. every process of staging reads [`Store::armed_trials`] once a second (`trials.rs`);
//! 3. [`Store::take_trial`] is the one conditional write by which one of them takes it.

use grantor_protocol::environment::Staging;
use grantor_protocol::grant::GrantStatus;
use grantor_protocol::integration_report::Seen;
use grantor_protocol::trial::{ARMED_SECONDS, Trial};

use super::audit::Act;
use super::client_fact;
use super::client_key::client_key;
use super::connection::WhichConnections;
use super::engine::Statement;
use super::{Store, StoreError};

/// Of so many newest connections the first that lives is ended.
const LOOKED_AT: i64 = 20;

/// A trial that waits for its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArmedTrial {
    /// Its client.
    pub client_key: i64,
    /// What is to happen.
    pub trial: Trial,
    /// Until when it waits, in Unix seconds.
    pub expires_at: i64,
}

/// A trial as its client's owner sees it. Times are in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialRecord {
    /// What is to happen, or did.
    pub trial: Trial,
    /// When it was armed.
    pub armed_at: i64,
    /// Until when it waits.
    pub expires_at: i64,
    /// When it happened.
    pub taken_at: Option<i64>,
}

/// What became of a trial that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BegunTrial {
    /// It waits for its call until then, in Unix seconds.
    Armed {
        /// until when
        until: i64,
    },
    /// It was carried out.
    Done,
    /// There is nothing to carry it out on.
    NothingThere,
    /// There is no such client on staging.
    NoClient,
}

/// When a trial begins, and the entry of the audit log that it leaves.
#[derive(Clone, Copy)]
struct Begin<'a> {
    now: i64,
    act: Option<&'a Act>,
}

const NOTE: &str = "INSERT INTO trials (environment, client_key, kind, armed_at, expires_at, \
     taken_at) SELECT c.environment, c.key, $3, $4, $5, $6 FROM clients c \
     WHERE c.environment = $1 AND c.id = $2 \
     ON CONFLICT (environment, client_key, kind) DO UPDATE SET armed_at = excluded.armed_at, \
     expires_at = excluded.expires_at, taken_at = excluded.taken_at";

impl Store {
    /// Begins a trial: one that waits for a call is armed, any other is carried out now, on the
    /// newest token or connection of the client. One that is armed already waits anew.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn begin_trial(
        &self,
        staging: Staging,
        client_id: &str,
        trial: Trial,
        now: i64,
    ) -> Result<BegunTrial, StoreError> {
        self.begin(staging, client_id, trial, Begin { now, act: None }).await
    }

    /// The same, for somebody of the portal: with its entry in the audit log, where anything comes of
    /// it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn begin_trial_noting(
        &self,
        staging: Staging,
        client_id: &str,
        trial: Trial,
        act: &Act,
    ) -> Result<BegunTrial, StoreError> {
        self.begin(staging, client_id, trial, Begin { now: act.at, act: Some(act) }).await
    }

    async fn begin(
        &self,
        staging: Staging,
        client_id: &str,
        trial: Trial,
        begin: Begin<'_>,
    ) -> Result<BegunTrial, StoreError> {
        match trial {
            Trial::LoseResponse | Trial::DenyConsent => {
                let until = begin.now + ARMED_SECONDS;
                let armed = note(staging, client_id, trial, (begin.now, until, None));
                match self.write_begun(vec![armed], begin).await? {
                    true => Ok(BegunTrial::Armed { until }),
                    false => Ok(BegunTrial::NoClient),
                }
            }
            Trial::ExpireToken => self.expire_newest_token(staging, client_id, begin).await,
            Trial::EndGrant => self.end_newest_grant(staging, client_id, begin).await,
        }
    }

    async fn write_begun(
        &self,
        transaction: Vec<Statement>,
        begin: Begin<'_>,
    ) -> Result<bool, StoreError> {
        match begin.act {
            Some(act) => self.act(transaction, act).await,
            None => Ok(self.engine.write(transaction).await?.is_done()),
        }
    }

    /// Ends this grant of the client, on purpose.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn end_grant_on_purpose(
        &self,
        staging: Staging,
        client_id: &str,
        grant_id: [u8; 16],
        now: i64,
    ) -> Result<BegunTrial, StoreError> {
        self.end_grant_begun(staging, client_id, grant_id, Begin { now, act: None }).await
    }

    async fn end_grant_begun(
        &self,
        staging: Staging,
        client_id: &str,
        grant_id: [u8; 16],
        begin: Begin<'_>,
    ) -> Result<BegunTrial, StoreError> {
        let environment = staging.environment();
        let grant = self.grant(environment, grant_id).await?;
        // Whose a grant is never changes.
        if grant.is_none_or(|grant| grant.client_id != client_id) {
            return Ok(BegunTrial::NothingThere);
        }
        match self.revoke_grant(environment, grant_id, begin.now).await? {
            true => self.done(staging, client_id, Trial::EndGrant, begin).await,
            false => Ok(BegunTrial::NothingThere),
        }
    }

    async fn end_newest_grant(
        &self,
        staging: Staging,
        client_id: &str,
        begin: Begin<'_>,
    ) -> Result<BegunTrial, StoreError> {
        let which = WhichConnections {
            environment: staging.environment(),
            client_id: Some(client_id),
            email: None,
            limit: LOOKED_AT,
        };
        let living = |status: GrantStatus| match status {
            GrantStatus::Active(active) => begin.now < active.idle_expires_at,
            GrantStatus::Pending | GrantStatus::Revoked { .. } => false,
        };
        let connections = self.connections(&which).await?;
        let mut grants = connections.into_iter().map(|connection| connection.grant);
        match grants.find(|grant| grant.in_force && living(grant.status)) {
            Some(grant) => self.end_grant_begun(staging, client_id, grant.id, begin).await,
            None => Ok(BegunTrial::NothingThere),
        }
    }

    async fn expire_newest_token(
        &self,
        staging: Staging,
        client_id: &str,
        begin: Begin<'_>,
    ) -> Result<BegunTrial, StoreError> {
        let environment = staging.environment();
        let newest = self.newest_token(environment, client_id).await?;
        let Some(token) = newest.filter(|token| begin.now < token.expires_at) else {
            return Ok(BegunTrial::NothingThere);
        };
        self.revoke_access_token(environment, token.owner, token.id, token.expires_at).await?;
        self.done(staging, client_id, Trial::ExpireToken, begin).await
    }

    /// Notes a trial that was carried out, and what that says of its client.
    async fn done(
        &self,
        staging: Staging,
        client_id: &str,
        trial: Trial,
        begin: Begin<'_>,
    ) -> Result<BegunTrial, StoreError> {
        let now = begin.now;
        let mut transaction = vec![note(staging, client_id, trial, (now, now, Some(now)))];
        let environment = staging.environment();
        transaction.extend(
            trial
                .fact()
                .map(|fact| client_fact::statement(environment, client_id, fact, Seen::once(now))),
        );
        self.write_begun(transaction, begin).await?;
        Ok(BegunTrial::Done)
    }

    /// The trials that wait for a call.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn armed_trials(
        &self,
        staging: Staging,
        now: i64,
    ) -> Result<Vec<ArmedTrial>, StoreError> {
        let sql = "SELECT client_key, kind, expires_at FROM trials \
                   WHERE environment = $1 AND taken_at IS NULL AND expires_at > $2";
        let values = vec![staging.environment().as_str().into(), now.into()];
        let mut armed = Vec::new();
        for row in self.engine.read(sql, values).await? {
            let mut row = row.columns("trials", "(armed)");
            let (client_key, kind) = (row.integer("client_key")?, row.text("kind")?);
            let expires_at = row.integer("expires_at")?;
            armed.extend(Trial::parse(&kind).map(|trial| ArmedTrial {
                client_key,
                trial,
                expires_at,
            }));
        }
        Ok(armed)
    }

    /// Takes a trial that waits. Answers whether it was this call that did.
    ///
    /// # Errors
    /// [`StoreError`]; then nobody knows, and nothing is to be made to happen.
    pub async fn take_trial(
        &self,
        staging: Staging,
        client_id: &str,
        trial: Trial,
        now: i64,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE trials SET taken_at = $4 WHERE environment = $1 AND client_key = $2 \
             AND kind = $3 AND taken_at IS NULL AND expires_at > $4",
            vec![
                staging.environment().as_str().into(),
                client_key(client_id).into(),
                trial.as_str().into(),
                now.into(),
            ],
        );
        Ok(self.engine.write(vec![statement]).await?.is_done())
    }

    /// The trials of a client, the newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn trials(
        &self,
        staging: Staging,
        client_id: &str,
    ) -> Result<Vec<TrialRecord>, StoreError> {
        let sql = "SELECT kind, armed_at, expires_at, taken_at FROM trials \
                   WHERE environment = $1 AND client_key = $2 ORDER BY armed_at DESC, kind";
        let values = vec![staging.environment().as_str().into(), client_key(client_id).into()];
        let mut trials = Vec::new();
        for row in self.engine.read(sql, values).await? {
            let mut row = row.columns("trials", client_id);
            let kind = row.text("kind")?;
            let trial = Trial::parse(&kind).ok_or_else(|| row.corrupt("kind"))?;
            trials.push(TrialRecord {
                trial,
                armed_at: row.integer("armed_at")?,
                expires_at: row.integer("expires_at")?,
                taken_at: row.optional_integer("taken_at")?,
            });
        }
        Ok(trials)
    }
}

fn note(
    staging: Staging,
    client_id: &str,
    trial: Trial,
    (armed_at, expires_at, taken_at): (i64, i64, Option<i64>),
) -> Statement {
    let values = vec![
        staging.environment().as_str().into(),
        client_id.into(),
        trial.as_str().into(),
        armed_at.into(),
        expires_at.into(),
        taken_at.into(),
    ];
    Statement::new(NOTE, values)
}

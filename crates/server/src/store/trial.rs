//! Trials: hard cases that a partner makes happen on purpose. Each method takes the proof that it is
//! about staging, which nothing else gives.
//!
//! 1. [`Store::arm_trial`] arms one that waits for a call; [`Store::end_grant_on_purpose`] and
//!    [`Store::expire_newest_token`] carry out what does not;
//! 2. every process of staging reads [`Store::armed_trials`] once a second (`trials.rs`);
//! 3. [`Store::take_trial`] is the one conditional write by which one of them takes it.

use grantor_protocol::environment::Staging;
use grantor_protocol::grant::{Grant, GrantStatus};
use grantor_protocol::integration_report::Seen;
use grantor_protocol::trial::{ARMED_SECONDS, Trial};

use super::audit::Act;
use super::client_fact;
use super::client_key::client_key;
use super::connection::WhichConnections;
use super::engine::{Expect, Statement};
use super::{Store, StoreError, access_token, grant};
use crate::journal::Ending;

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

const NOTE: &str = "INSERT INTO trials (environment, client_key, kind, armed_at, expires_at, \
     taken_at) SELECT c.environment, c.key, $3, $4, $5, $6 FROM clients c \
     WHERE c.environment = $1 AND c.id = $2 \
     ON CONFLICT (environment, client_key, kind) DO UPDATE SET armed_at = excluded.armed_at, \
     expires_at = excluded.expires_at, taken_at = excluded.taken_at";

impl Store {
    /// Arms a trial that waits for a call; one that is armed already waits anew. Answers whether there
    /// is such a client on staging.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn arm_trial(
        &self,
        staging: Staging,
        client_id: &str,
        trial: Trial,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let until = act.at + ARMED_SECONDS;
        let armed = note(staging, client_id, trial, (act.at, until, None));
        self.act(vec![armed], act).await
    }

    /// The newest connection of the client that lives.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn newest_living_grant(
        &self,
        staging: Staging,
        client_id: &str,
        now: i64,
    ) -> Result<Option<Grant>, StoreError> {
        let which = WhichConnections {
            environment: staging.environment(),
            client_id: Some(client_id),
            email: None,
            limit: LOOKED_AT,
        };
        let living = |status: GrantStatus| match status {
            GrantStatus::Active(active) => now < active.idle_expires_at,
            GrantStatus::Pending | GrantStatus::Revoked { .. } => false,
        };
        let connections = self.connections(&which).await?;
        let mut grants = connections.into_iter().map(|connection| connection.grant);
        Ok(grants.find(|grant| grant.in_force && living(grant.status)))
    }

    /// Ends this connection of the client, on purpose. Answers whether it was the client's, and not
    /// ended already.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn end_grant_on_purpose(
        &self,
        staging: Staging,
        client_id: &str,
        grant_id: [u8; 16],
        act: &Act,
    ) -> Result<bool, StoreError> {
        let environment = staging.environment();
        let grant = self.grant(environment, grant_id).await?;
        // Whose a grant is never changes.
        if grant.is_none_or(|grant| grant.client_id != client_id) {
            return Ok(false);
        }
        self.note(Ending::Grant { environment, id: grant_id }).await?;
        let ended = grant::revoked(environment, grant_id, act.at);
        self.done(staging, client_id, (Trial::EndGrant, ended), act).await
    }

    /// Makes the newest access token of the client expire at once, on purpose. Answers whether the
    /// log knows one that lives.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn expire_newest_token(
        &self,
        staging: Staging,
        client_id: &str,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let environment = staging.environment();
        let newest = self.newest_token(environment, client_id).await?;
        let Some(token) = newest.filter(|token| act.at < token.expires_at) else {
            return Ok(false);
        };
        // Where it stands there already, it expires no less.
        let expired = access_token::revoked(environment, (token.owner, token.id), token.expires_at);
        let expired = Statement { expect: Expect::Any, ..expired };
        self.done(staging, client_id, (Trial::ExpireToken, expired), act).await
    }

    /// Carries out a trial, and notes in the same transaction that it happened, what that says of its
    /// client, and who asked for it.
    async fn done(
        &self,
        staging: Staging,
        client_id: &str,
        (trial, happens): (Trial, Statement),
        act: &Act,
    ) -> Result<bool, StoreError> {
        let (environment, now) = (staging.environment(), act.at);
        let mut transaction = vec![happens, note(staging, client_id, trial, (now, now, Some(now)))];
        transaction.extend(
            trial
                .fact()
                .map(|fact| client_fact::statement(environment, client_id, fact, Seen::once(now))),
        );
        self.act(transaction, act).await
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

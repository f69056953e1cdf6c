//! Grants. One row each, from the pressing of Allow to the end.
//!
//! 1. [`Store::allow`] inserts it, pending;
//! 2. [`Store::redeem_code`] makes it active, generation 1;
//! 3. [`Store::turn_generation`] turns it, at each refresh;
//! 4. [`Store::revoke_grant`] ends it.
//!
//! `at_once.rs` does 2 and 3 without a read before, for a caller who presents what it should.
//!
//! A grant copies the counters of its client, customer and consent when it is born, and every write
//! demands that they still stand. So a whole past ends by raising one counter, and no clock decides
//! what came first.

mod at_once;
mod attempt;
mod openid;

use std::sync::LazyLock;

use grantor_protocol::environment::Environment;
use grantor_protocol::grant::{Active, Binding, Grant, GrantStatus, OpenIdRequest};
use grantor_protocol::pkce::CodeChallenge;
use grantor_protocol::redirect_uri::RedirectUriDigest;
use grantor_protocol::scope::Scope;

use super::consent::{self, NewConsent};
use super::engine::{Columns, HotWrite, Parameter, Statement, Value};
use super::{Act, Along, Store, StoreError};
use crate::hex::hex;
use crate::journal::Ending;
use crate::webhook::Notice;

pub use at_once::{Presented, Turned};

/// What has to be true of a grant besides its own state, in every write that lets it live on.
const IN_FORCE: &str = " AND revoked_at IS NULL \
     AND client_counter = (SELECT counter FROM clients WHERE environment = {1} \
       AND key = grants.client_key AND NOT disabled) \
     AND customer_counter = (SELECT counter FROM customers WHERE environment = {1} \
       AND id = grants.customer_id) \
     AND consent_counter = (SELECT counter FROM consents WHERE environment = {1} \
       AND customer_id = grants.customer_id AND client_key = grants.client_key)";

/// A consent that was read must not have been taken back since: its counter would differ.
static ALLOW: HotWrite = HotWrite::new(
    &["INSERT INTO grants (environment, id, client_key, customer_id, client_counter, \
       customer_counter, consent_counter, scope, businesses, redirect_uri_digest, \
       code_challenge, code_expires_at, ends_at, generation, repeated, repeats_running, resources, \
       jkt, openid) \
       SELECT {1}, {2}, c.key, u.id, c.counter, u.counter, k.counter, {6}, {7}, {8}, {9}, {10}, \
       {11}, 0, FALSE, 0, {13}, {14}, {15} \
       {MEMBERS}clients c, customers u, consents k \
       WHERE c.environment = {1} AND c.id = {3} AND NOT c.disabled \
       AND u.environment = {1} AND u.id = {4} AND u.counter = {5} \
       AND k.environment = {1} AND k.customer_id = {4} AND k.client_key = c.key \
       AND k.counter = COALESCE({12}, k.counter) AND NOT k.revoked \
       ON CONFLICT (environment, id) DO NOTHING"],
    &[
        Parameter::Text,
        Parameter::Bytes,
        Parameter::Text,
        Parameter::Bytes,
        Parameter::Integer,
        Parameter::Text,
        Parameter::Text,
        Parameter::Bytes,
        Parameter::Bytes,
        Parameter::Integer,
        Parameter::Integer,
        Parameter::Integer,
        Parameter::Text,
        Parameter::Bytes,
        Parameter::Text,
    ],
);

/// How a code is redeemed, and what of its own state that takes.
const REDEEM_SET: &str = "UPDATE grants SET generation = 1, attempt = {3}, redeemed_at = {4}, \
     turned_at = {4}, idle_expires_at = CASE WHEN ends_at < {5} THEN ends_at ELSE {5} END, \
     turned_from = {6}, jkt = {8} {MEMBERS}";
const REDEEM_WHERE: &str = "WHERE environment = {1} AND id = {2} AND generation = 0 \
     AND code_expires_at > {4} AND (ends_at IS NULL OR ends_at > {4}) \
     AND (jkt IS NULL OR jkt = {7})";

/// How a generation is turned, and what of its own state that takes.
const TURN_SET: &str = "UPDATE grants SET generation = generation + 1, attempt = {3}, \
     turned_at = {4}, idle_expires_at = CASE WHEN ends_at < {5} THEN ends_at ELSE {5} END, \
     turned_from = {6}, repeated = FALSE, \
     repeats_running = CASE WHEN repeated THEN repeats_running ELSE 0 END {MEMBERS}";
const TURN_WHERE: &str = "WHERE environment = {1} AND id = {2} AND generation = {8} \
     AND idle_expires_at > {4} AND (ends_at IS NULL OR ends_at > {4}) \
     AND (jkt IS NULL OR jkt = {7})";

static REDEEM: HotWrite = HotWrite::new(
    &[REDEEM_SET, REDEEM_WHERE, IN_FORCE],
    &[
        Parameter::Text,
        Parameter::Bytes,
        Parameter::Bytes,
        Parameter::Integer,
        Parameter::Integer,
        Parameter::Text,
        Parameter::Bytes,
        Parameter::Bytes,
    ],
);

static TURN: HotWrite = HotWrite::new(
    &[TURN_SET, TURN_WHERE, IN_FORCE],
    &[
        Parameter::Text,
        Parameter::Bytes,
        Parameter::Bytes,
        Parameter::Integer,
        Parameter::Integer,
        Parameter::Text,
        Parameter::Bytes,
        Parameter::Integer,
    ],
);

static REVOKE: HotWrite = HotWrite::new(
    &["UPDATE grants SET revoked_at = {3} \
       {MEMBERS}WHERE environment = {1} AND id = {2} AND revoked_at IS NULL"],
    &[Parameter::Text, Parameter::Bytes, Parameter::Integer],
);

/// What [`read_grant`] reads, and from where.
pub(super) const COLUMNS: &str = "c.id, g.customer_id, g.scope, g.businesses, \
     g.redirect_uri_digest, g.code_challenge, g.code_expires_at, g.ends_at, g.generation, \
     g.redeemed_at, g.turned_at, g.idle_expires_at, g.repeated, g.repeats_running, g.revoked_at, \
     (NOT c.disabled AND c.counter = g.client_counter AND u.counter = g.customer_counter \
      AND k.counter = g.consent_counter), \
     g.resources, g.jkt, g.openid";
pub(super) const TABLES: &str = "grants g \
     JOIN clients c ON c.environment = g.environment AND c.key = g.client_key \
     JOIN customers u ON u.environment = g.environment AND u.id = g.customer_id \
     JOIN consents k ON k.environment = g.environment \
       AND k.customer_id = g.customer_id AND k.client_key = g.client_key";

static GRANT: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {COLUMNS} FROM {TABLES} WHERE g.environment = $1 AND g.id = $2")
});

/// A grant to be.
pub struct NewGrant {
    /// Its environment.
    pub environment: Environment,
    /// Its id.
    pub id: [u8; 16],
    /// The client.
    pub client_id: String,
    /// The customer.
    pub customer_id: [u8; 16],
    /// The customer's counter in the session that allows it: it must still stand.
    pub customer_counter: i64,
    /// The consent's counter as it was read, where nobody was asked: it must still stand.
    pub consent_counter: Option<i64>,
    /// What is allowed.
    pub scope: Scope,
    /// For which businesses.
    pub businesses: Vec<i64>,
    /// Where the code goes.
    pub redirect_uri: String,
    /// What the code's verifier has to answer.
    pub code_challenge: Option<CodeChallenge>,
    /// For which APIs, and for which key its code is.
    pub binding: Binding,
    /// What its ID token has to say, where one was asked for.
    pub openid: Option<OpenIdRequest>,
    /// When its code expires, in Unix seconds.
    pub code_expires_at: i64,
    /// When it ends whatever happens, in Unix seconds.
    pub ends_at: Option<i64>,
}

/// One turn of a grant: to generation 1 by its code, or to the next by a refresh.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// Its environment.
    pub environment: Environment,
    /// Its id.
    pub id: [u8; 16],
    /// Drawn for this request: a retry of ours that finds its own succeeded, and is no replay.
    pub attempt: [u8; 16],
    /// When the new generation ends unless it is refreshed, in Unix seconds; never later than its
    /// grant.
    pub idle_expires_at: i64,
    /// Where the request came from, to be reported beside a repeat.
    pub from: &'a str,
    /// The thumbprint of the key that the caller proved (RFC 9449): what is bound to a key turns
    /// with that one alone.
    pub key: Option<[u8; 32]>,
    /// Whether the refresh tokens of a code that is redeemed are bound to `key`: those of a client
    /// that proves nothing else.
    pub binds_refresh: bool,
    /// Now, in Unix seconds.
    pub now: i64,
}

impl Store {
    /// Inserts a pending grant and, where the customer was asked, the consent. Answers whether the
    /// client, the customer and the consent still stood as they were read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn allow(
        &self,
        grant: &NewGrant,
        given: Option<&NewConsent>,
        epoch: i64,
        now: i64,
    ) -> Result<bool, StoreError> {
        self.allow_and(grant, given, [epoch, now], None).await
    }

    /// The same, together with what else has to happen, or nothing of it does.
    pub(super) async fn allow_and(
        &self,
        grant: &NewGrant,
        given: Option<&NewConsent>,
        [epoch, now]: [i64; 2],
        and: Option<Statement>,
    ) -> Result<bool, StoreError> {
        let resources = consent::written(&grant.binding.resources);
        let mut transaction = Vec::with_capacity(3);
        transaction.extend(given.map(|consent| consent::give(grant, consent, epoch, now)));
        transaction.push(Statement::hot(
            &ALLOW,
            vec![
                grant.environment.as_str().into(),
                grant.id.into(),
                grant.client_id.as_str().into(),
                grant.customer_id.into(),
                grant.customer_counter.into(),
                grant.scope.to_string().into(),
                consent::join(&grant.businesses).into(),
                (*RedirectUriDigest::of(&grant.redirect_uri).as_bytes()).into(),
                grant.code_challenge.map(|challenge| *challenge.as_bytes()).into(),
                grant.code_expires_at.into(),
                grant.ends_at.into(),
                grant.consent_counter.into(),
                resources.as_deref().into(),
                grant.binding.key.into(),
                openid::write(grant.openid.as_ref()).into(),
            ],
        ));
        transaction.extend(and);
        self.born(transaction, grant).await
    }

    /// Reads a grant, and whether it is in force.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn grant(
        &self,
        environment: Environment,
        id: [u8; 16],
    ) -> Result<Option<Grant>, StoreError> {
        let rows = self.engine.read(&GRANT, vec![environment.as_str().into(), id.into()]).await?;
        rows.into_iter()
            .next()
            .map(|row| read_grant(id, row.columns("grants", hex(&id))))
            .transpose()
    }

    /// Pending and not expired becomes active, generation 1. Answers whether it did: of many that
    /// try with one code, one succeeds.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn redeem_code(&self, turn: &Turn<'_>) -> Result<bool, StoreError> {
        let mut values = turn.values(1);
        values.push(turn.refresh_key().into());
        let statement = Statement::hot(&REDEEM, values);
        self.settle(statement, turn, 0, None).await
    }

    /// `generation` becomes the next. Answers whether it did: of many that try with one refresh
    /// token, one succeeds.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn turn_generation(
        &self,
        turn: &Turn<'_>,
        generation: i64,
    ) -> Result<bool, StoreError> {
        let mut values = turn.values(1);
        values.push(generation.into());
        self.settle(Statement::hot(&TURN, values), turn, generation, None).await
    }

    /// Notes that the turn to `generation` was asked for again. Answers whether this was the first
    /// time in this generation.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn note_repeat(
        &self,
        environment: Environment,
        id: [u8; 16],
        generation: i64,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE grants SET repeated = TRUE, repeats_running = repeats_running + 1 \
             WHERE environment = $1 AND id = $2 AND generation = $3 AND revoked_at IS NULL \
             AND NOT repeated",
            vec![environment.as_str().into(), id.into(), generation.into()],
        );
        Ok(self.engine.write(vec![statement]).await?.is_done())
    }

    /// From where the present generation was turned, for the report of a repeat.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn turned_from(
        &self,
        environment: Environment,
        id: [u8; 16],
    ) -> Result<Option<String>, StoreError> {
        let sql = "SELECT turned_from FROM grants WHERE environment = $1 AND id = $2";
        let rows = self.engine.read(sql, vec![environment.as_str().into(), id.into()]).await?;
        match rows.into_iter().next() {
            Some(row) => row.columns("grants", "(turned)").optional_text("turned_from"),
            None => Ok(None),
        }
    }

    /// Ends a grant. Answers whether it was this call that did.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn revoke_grant(
        &self,
        environment: Environment,
        id: [u8; 16],
        now: i64,
    ) -> Result<bool, StoreError> {
        self.note(Ending::Grant { environment, id }).await?;
        self.ended(revoked(environment, id, now)).await
    }

    /// Ends a grant, and tells its partner in the same transaction. Answers whether it was this call
    /// that did: of many that try, one tells.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn revoke_grant_telling(
        &self,
        id: [u8; 16],
        notice: &Notice,
    ) -> Result<bool, StoreError> {
        let Notice { environment, at, .. } = *notice;
        self.note(Ending::Grant { environment, id }).await?;
        let told = Along::Told(std::slice::from_ref(notice));
        self.ended_along(revoked(environment, id, at), told).await
    }

    /// Ends a grant, and notes whose act that was in the same transaction. Answers whether it was
    /// this call that did.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn revoke_grant_noting(
        &self,
        environment: Environment,
        id: [u8; 16],
        act: &Act,
    ) -> Result<bool, StoreError> {
        self.note(Ending::Grant { environment, id }).await?;
        self.ended_along(revoked(environment, id, act.at), Along::Act(act)).await
    }
}

impl Turn<'_> {
    /// The first parameters of every turn, with room for that many more.
    fn values(&self, more: usize) -> Vec<Value> {
        let mut values = Vec::with_capacity(7 + more);
        values.extend([
            self.environment.as_str().into(),
            self.id.into(),
            self.attempt.into(),
            self.now.into(),
            self.idle_expires_at.into(),
            self.from.into(),
            self.key.into(),
        ]);
        values
    }

    /// The key that the refresh tokens of a redeemed code are bound to.
    pub(super) fn refresh_key(&self) -> Option<[u8; 32]> {
        self.key.filter(|_| self.binds_refresh)
    }
}

/// Ends a grant that has not ended.
pub(super) fn revoked(environment: Environment, id: [u8; 16], now: i64) -> Statement {
    Statement::hot(&REVOKE, vec![environment.as_str().into(), id.into(), now.into()])
}

pub(super) fn read_grant(id: [u8; 16], mut row: Columns) -> Result<Grant, StoreError> {
    Ok(Grant {
        id,
        client_id: row.text("client_id")?,
        customer_id: row.array("customer_id")?,
        scope: consent::scope(&mut row, "scope")?,
        businesses: consent::businesses(&mut row)?,
        redirect_uri: RedirectUriDigest::from_bytes(row.array("redirect_uri_digest")?),
        code_challenge: row.optional_array("code_challenge")?.map(CodeChallenge::from_bytes),
        code_expires_at: row.integer("code_expires_at")?,
        ends_at: row.optional_integer("ends_at")?,
        status: read_status(&mut row)?,
        in_force: row.boolean("counters")?,
        binding: openid::binding(&mut row)?,
        openid: openid::read(&mut row)?,
    })
}

/// A revoked grant is revoked whatever else it is; one that is not is pending until its first turn.
fn read_status(row: &mut Columns) -> Result<GrantStatus, StoreError> {
    let generation = row.integer("generation")?;
    let redeemed_at = row.optional_integer("redeemed_at")?;
    let turned_at = row.optional_integer("turned_at")?;
    let idle_expires_at = row.optional_integer("idle_expires_at")?;
    let repeated = row.boolean("repeated")?;
    let repeats_running = row.integer("repeats_running")?;
    let revoked_at = row.optional_integer("revoked_at")?;
    match (revoked_at, generation) {
        (Some(at), _) => Ok(GrantStatus::Revoked { at }),
        (None, 0) => Ok(GrantStatus::Pending),
        (None, 1..) => Ok(GrantStatus::Active(Active {
            generation,
            redeemed_at: redeemed_at.ok_or_else(|| row.corrupt("redeemed_at"))?,
            turned_at: turned_at.ok_or_else(|| row.corrupt("turned_at"))?,
            idle_expires_at: idle_expires_at.ok_or_else(|| row.corrupt("idle_expires_at"))?,
            repeated,
            repeats_running,
        })),
        (None, _) => Err(row.corrupt("generation")),
    }
}

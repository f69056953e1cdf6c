//! A turn without a read before it: the hot path.
//!
//! What a caller presents is enough to say what the row must hold, so it all stands in the `WHERE`
//! of the write, and the write gives back what the new tokens are sealed from. Where it is refused
//! nothing happened, and the caller reads the grant and lets `protocol` say why: every cause, every
//! repeat and every replay is decided there and nowhere else.
//!
//! These writes must never admit what `protocol` would refuse. `tests/server/at_once.rs` holds the
//! two against each other.

use grantor_protocol::grant::{Binding, OpenIdRequest};
use grantor_protocol::pkce::CodeChallenge;
use grantor_protocol::redirect_uri::RedirectUriDigest;
use grantor_protocol::scope::Scope;

use super::{IN_FORCE, REDEEM_SET, REDEEM_WHERE, TURN_SET, TURN_WHERE, Turn, openid};
use crate::store::client_key::client_key;
use crate::store::consent;
use crate::store::engine::{HotWrite, Outcome, Parameter, Row, Statement};
use crate::store::{Store, StoreError};

/// What a turn gives back: what the tokens are sealed from, and what an API will be told of them, so
/// that no token is given for a row that cannot be read.
const BACK: &str =
    "scope, idle_expires_at, ends_at, businesses, customer_id, resources, jkt, openid";

static REDEEM_AT_ONCE: HotWrite = HotWrite::giving_back(
    BACK,
    &[
        REDEEM_SET,
        REDEEM_WHERE,
        " AND client_key = {9} AND redirect_uri_digest = {10} \
         AND code_challenge IS NOT DISTINCT FROM {11}",
        IN_FORCE,
    ],
    &[
        Parameter::Text,
        Parameter::Bytes,
        Parameter::Bytes,
        Parameter::Integer,
        Parameter::Integer,
        Parameter::Text,
        Parameter::Bytes,
        Parameter::Bytes,
        Parameter::Integer,
        Parameter::Bytes,
        Parameter::Bytes,
    ],
);

static TURN_AT_ONCE: HotWrite = HotWrite::giving_back(
    BACK,
    &[
        TURN_SET,
        TURN_WHERE,
        // A row without them is none that can be read.
        " AND client_key = {9} AND redeemed_at IS NOT NULL AND turned_at IS NOT NULL",
        IN_FORCE,
    ],
    &[
        Parameter::Text,
        Parameter::Bytes,
        Parameter::Bytes,
        Parameter::Integer,
        Parameter::Integer,
        Parameter::Text,
        Parameter::Bytes,
        Parameter::Integer,
        Parameter::Integer,
    ],
);

/// What came with a code.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The client, which proved its secret if it has one. One that has none must present a verifier.
    pub client_id: &'a str,
    /// The redirect URI.
    pub redirect_uri: RedirectUriDigest,
    /// The challenge that the verifier answers; `None` where there is no verifier.
    pub code_challenge: Option<CodeChallenge>,
}

/// What the tokens of a new generation are sealed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turned {
    /// What was allowed.
    pub scope: Scope,
    /// When the generation ends unless it is refreshed, in Unix seconds.
    pub idle_expires_at: i64,
    /// When the grant ends whatever happens, in Unix seconds.
    pub ends_at: Option<i64>,
    /// Whose it is.
    pub customer_id: [u8; 16],
    /// For which businesses.
    pub businesses: Vec<i64>,
    /// For which APIs it is, and to which key its refresh tokens are bound.
    pub binding: Binding,
    /// What the ID token has to say, where one was asked for.
    pub openid: Option<OpenIdRequest>,
}

impl Store {
    /// Redeems the code of a pending grant, if everything that was presented is what it was issued
    /// for (RFC 6749 4.1.3, RFC 7636 4.6). `None` where it is not, or where somebody was faster.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn redeem_at_once(
        &self,
        turn: &Turn<'_>,
        presented: &Presented<'_>,
    ) -> Result<Option<Turned>, StoreError> {
        let statement = || {
            let mut values = turn.values(4);
            values.push(turn.refresh_key().into());
            values.push(client_key(presented.client_id).into());
            values.push((*presented.redirect_uri.as_bytes()).into());
            values.push(presented.code_challenge.map(|challenge| *challenge.as_bytes()).into());
            Statement::hot(&REDEEM_AT_ONCE, values)
        };
        self.at_once(statement, turn, 0).await
    }

    /// Turns `generation` of a grant of that client. `None` where the row is not as it should be,
    /// or where somebody was faster.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn turn_at_once(
        &self,
        turn: &Turn<'_>,
        generation: i64,
        client_id: &str,
    ) -> Result<Option<Turned>, StoreError> {
        let statement = || {
            let mut values = turn.values(2);
            values.push(generation.into());
            values.push(client_key(client_id).into());
            Statement::hot(&TURN_AT_ONCE, values)
        };
        self.at_once(statement, turn, generation).await
    }

    /// The statement is made again where it has to be tried again, which is rare: a copy would be
    /// made every time.
    async fn at_once(
        &self,
        statement: impl Fn() -> Statement,
        turn: &Turn<'_>,
        generation: i64,
    ) -> Result<Option<Turned>, StoreError> {
        match self.engine.write(vec![statement()]).await {
            Ok(Outcome::Done(Some(row))) => return read_turned(row).map(Some),
            Ok(Outcome::Done(None)) => {}
            Ok(Outcome::Refused) => return Ok(None),
            Err(lost @ StoreError::Unknown(_)) => {
                if !self.settle(statement(), turn, generation, Some(lost)).await? {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
        // It was turned, and what came back of it was lost.
        let sql = "SELECT scope, idle_expires_at, ends_at, businesses, customer_id, resources, jkt, \
                   openid FROM grants WHERE environment = $1 AND id = $2 AND attempt = $3";
        let values = vec![turn.environment.as_str().into(), turn.id.into(), turn.attempt.into()];
        let rows = self.engine.read(sql, values).await?;
        match rows.into_iter().next() {
            Some(row) => read_turned(row).map(Some),
            // Whoever was given the same successor has turned it already. Were the row read as if
            // this call had been refused, our own retry would look like a replay.
            None => Err(StoreError::Unknown("it was turned, and the row went on".into())),
        }
    }
}

fn read_turned(row: Row) -> Result<Turned, StoreError> {
    let mut row = row.columns("grants", "(turned)");
    let scope = consent::scope(&mut row, "scope")?;
    let idle_expires_at = row.integer("idle_expires_at")?;
    let ends_at = row.optional_integer("ends_at")?;
    let businesses = consent::businesses(&mut row)?;
    let customer_id = row.array("customer_id")?;
    let binding = openid::binding(&mut row)?;
    let openid = openid::read(&mut row)?;
    Ok(Turned { scope, idle_expires_at, ends_at, customer_id, businesses, binding, openid })
}

//! The log of each client's calls: what its owner looks at when something does not work.
//!
//! Rows are keyed by client and time, so the newest of a client are one range of an index; another
//! index finds a call by its request id. A row is inserted only where there is a client of that id,
//! so whoever makes ids up fills nothing. `request_log/trim.rs` keeps it small.

mod trim;

use grantor_protocol::environment::Environment;
use grantor_protocol::integration_report::{Fact, Seen};
use grantor_protocol::logged_call::{Endpoint, Outcome, SentParameters};
use grantor_protocol::trial::Trial;

use super::client_fact;
use super::client_key::client_key;
use super::engine::{Row, Statement, Value};
use super::{Store, StoreError};

pub use trim::Trimmed;

/// A call as its client's owner may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedCall {
    /// When it was answered, in Unix milliseconds.
    pub called_at_millis: i64,
    /// The id that its answer carried.
    pub request_id: String,
    /// The environment that was called, which need not be the client's own.
    pub called_in: Environment,
    /// Where it went.
    pub endpoint: Endpoint,
    /// Its grant type, as it was sent.
    pub grant_type: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// The HTTP status.
    pub status: i64,
    /// Why it was refused.
    pub cause: Option<LoggedCause>,
    /// Whether the client proved that it was its own. Otherwise anybody may have sent it.
    pub proved: bool,
    /// What was sent, as far as it may be kept.
    pub parameters: SentParameters,
    /// The network that it came from, and not the whole address.
    pub network: Option<String>,
    /// How long it took.
    pub microseconds: i64,
    /// What was made to happen on purpose.
    pub trial: Option<Trial>,
}

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedCause {
    /// A name that never changes.
    pub name: String,
    /// The anchor in the docs.
    pub anchor: String,
    /// In words.
    pub words: String,
}

/// A call to be logged.
#[derive(Clone, Debug)]
pub struct NewLoggedCall {
    /// The client that it is of, or that it claims to be of.
    pub client_id: String,
    /// The call.
    pub call: LoggedCall,
    /// The access token that it got. Nobody is shown it; it can be revoked by that alone.
    pub token: Option<LoggedToken>,
    /// What it shows of its client.
    pub facts: Vec<Fact>,
}

/// An access token, by what revokes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedToken {
    /// Its grant, or what stands for its client.
    pub owner: [u8; 16],
    /// Its own id.
    pub id: [u8; 8],
    /// When it expires, in Unix seconds.
    pub expires_at: i64,
}

/// Where a page of calls ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallCursor {
    called_at_millis: i64,
    request_id: String,
}

/// Whose calls are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichClients {
    /// those of this partner
    OfPartner([u8; 16]),
    /// all of them, for a manager
    All,
}

const INSERT: &str = "INSERT INTO request_log (environment, client_key, called_at, request_id, \
     called_in, endpoint, grant_type, outcome, status, cause, anchor, words, proved, parameters, \
     network, microseconds, trial, token_owner, token_id, token_expires_at) \
     SELECT c.environment, c.key, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, \
     $16, $17, $18, $19 FROM clients c \
     WHERE c.id = $1 AND c.environment IN ('staging', 'production') ON CONFLICT DO NOTHING";

const NEWEST: &str = "SELECT called_at, request_id, called_in, endpoint, grant_type, outcome, \
     status, cause, anchor, words, proved, parameters, network, microseconds, trial \
     FROM request_log WHERE environment = $1 AND client_key = $2 \
     AND (called_at, request_id) < ($3, $4) \
     ORDER BY called_at DESC, request_id DESC LIMIT $5";

const BY_REQUEST_ID: &str = "SELECT c.id, r.called_at, r.request_id, r.called_in, r.endpoint, \
     r.grant_type, r.outcome, r.status, r.cause, r.anchor, r.words, r.proved, r.parameters, \
     r.network, r.microseconds, r.trial FROM request_log r \
     JOIN clients c ON c.environment = r.environment AND c.key = r.client_key \
     WHERE r.environment = $1 AND r.request_id = $2 \
     AND c.partner_id = COALESCE($3, c.partner_id)";

const NEWEST_TOKEN: &str = "SELECT token_owner, token_id, token_expires_at FROM request_log \
     WHERE environment = $1 AND client_key = $2 AND token_id IS NOT NULL AND trial IS NULL \
     ORDER BY called_at DESC, request_id DESC LIMIT 1";

impl Store {
    /// Writes calls and what they show, in one transaction. `facts` have to be in an order that is
    /// always the same: two processes that write the same rows each in their own would wait for one
    /// another.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was written.
    pub async fn log_calls(
        &self,
        environment: Environment,
        calls: &[NewLoggedCall],
        facts: &[(String, Fact, Seen)],
    ) -> Result<(), StoreError> {
        let mut transaction = Vec::with_capacity(calls.len() + facts.len());
        for new in calls {
            transaction.push(insert(new)?);
        }
        transaction.extend(facts.iter().map(|(client_id, fact, seen)| {
            client_fact::statement(environment, client_id, *fact, *seen)
        }));
        self.engine.write(transaction).await.map(|_| ())
    }

    /// The calls of a client before a place, the newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn logged_calls(
        &self,
        environment: Environment,
        client_id: &str,
        before: Option<&CallCursor>,
        limit: i64,
    ) -> Result<Vec<LoggedCall>, StoreError> {
        let first = CallCursor { called_at_millis: i64::MAX, request_id: String::new() };
        let CallCursor { called_at_millis, request_id } = before.unwrap_or(&first);
        let values = vec![
            environment.as_str().into(),
            client_key(client_id).into(),
            (*called_at_millis).into(),
            request_id.as_str().into(),
            limit.into(),
        ];
        let rows = self.engine.read(NEWEST, values).await?;
        rows.into_iter().map(|row| read_call(row, false).map(|(_, call)| call)).collect()
    }

    /// The calls of that request id, with the ids of their clients. There is one, unless an id was
    /// drawn twice.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn logged_call(
        &self,
        environment: Environment,
        request_id: &str,
        of: WhichClients,
    ) -> Result<Vec<(String, LoggedCall)>, StoreError> {
        // No text of a stranger with a NUL goes to PostgreSQL.
        if !request_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Vec::new());
        }
        let partner = match of {
            WhichClients::OfPartner(id) => Some(id),
            WhichClients::All => None,
        };
        let values = vec![environment.as_str().into(), request_id.into(), partner.into()];
        let rows = self.engine.read(BY_REQUEST_ID, values).await?;
        rows.into_iter().map(|row| read_call(row, true)).collect()
    }

    /// The newest access token of a client that the log knows.
    pub(super) async fn newest_token(
        &self,
        environment: Environment,
        client_id: &str,
    ) -> Result<Option<LoggedToken>, StoreError> {
        let values = vec![environment.as_str().into(), client_key(client_id).into()];
        let row = self.engine.read(NEWEST_TOKEN, values).await?.into_iter().next();
        row.map(|row| {
            let mut row = row.columns("request_log", client_id);
            Ok(LoggedToken {
                owner: row.array("token_owner")?,
                id: row.array("token_id")?,
                expires_at: row.integer("token_expires_at")?,
            })
        })
        .transpose()
    }
}

impl LoggedCall {
    /// Where a page that ends with this call ends.
    pub fn cursor(&self) -> CallCursor {
        let request_id = self.request_id.clone();
        CallCursor { called_at_millis: self.called_at_millis, request_id }
    }
}

impl CallCursor {
    /// Reads one; `None` for what none of ours looks like.
    pub fn parse(text: &str) -> Option<CallCursor> {
        let (at, request_id) = text.split_once('-')?;
        let is_id = request_id.len() <= 64 && request_id.bytes().all(|b| b.is_ascii_hexdigit());
        let called_at_millis = at.parse().ok()?;
        is_id.then(|| CallCursor { called_at_millis, request_id: request_id.to_owned() })
    }
}

impl std::fmt::Display for CallCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.called_at_millis, self.request_id)
    }
}

fn insert(new: &NewLoggedCall) -> Result<Statement, StoreError> {
    let NewLoggedCall { client_id, call, token, .. } = new;
    let cause = call.cause.as_ref();
    let parameters = serde_json::to_string(&call.parameters)
        .map_err(|error| StoreError::Engine(error.to_string()))?;
    let values: Vec<Value> = vec![
        client_id.as_str().into(),
        call.called_at_millis.into(),
        call.request_id.as_str().into(),
        call.called_in.as_str().into(),
        call.endpoint.path().into(),
        call.grant_type.as_deref().into(),
        call.outcome.as_str().into(),
        call.status.into(),
        cause.map(|cause| cause.name.as_str()).into(),
        cause.map(|cause| cause.anchor.as_str()).into(),
        cause.map(|cause| cause.words.as_str()).into(),
        call.proved.into(),
        parameters.into(),
        call.network.as_deref().into(),
        call.microseconds.into(),
        call.trial.map(Trial::as_str).into(),
        token.map(|token| token.owner).into(),
        token.map(|token| token.id).into(),
        token.map(|token| token.expires_at).into(),
    ];
    Ok(Statement::any(INSERT, values))
}

/// A call, and the id of its client where that stands before it.
fn read_call(row: Row, with_client: bool) -> Result<(String, LoggedCall), StoreError> {
    let mut row = row.columns("request_log", "(a call)");
    let client_id = if with_client { row.text("id")? } else { String::new() };
    let called_at_millis = row.integer("called_at")?;
    let request_id = row.text("request_id")?;
    let called_in = Environment::parse(&row.text("called_in")?);
    let called_in = called_in.ok_or_else(|| row.corrupt("called_in"))?;
    let endpoint = Endpoint::parse(&row.text("endpoint")?);
    let endpoint = endpoint.ok_or_else(|| row.corrupt("endpoint"))?;
    let grant_type = row.optional_text("grant_type")?;
    let outcome = Outcome::parse(&row.text("outcome")?);
    let outcome = outcome.ok_or_else(|| row.corrupt("outcome"))?;
    let status = row.integer("status")?;
    let cause =
        [row.optional_text("cause")?, row.optional_text("anchor")?, row.optional_text("words")?];
    let cause = match cause {
        [Some(name), Some(anchor), Some(words)] => Some(LoggedCause { name, anchor, words }),
        _ => None,
    };
    let proved = row.boolean("proved")?;
    let parameters = serde_json::from_str(&row.text("parameters")?);
    let parameters = parameters.map_err(|_| row.corrupt("parameters"))?;
    let network = row.optional_text("network")?;
    let microseconds = row.integer("microseconds")?;
    let trial = row.optional_text("trial")?.as_deref().and_then(Trial::parse);
    let call = LoggedCall {
        called_at_millis,
        request_id,
        called_in,
        endpoint,
        grant_type,
        outcome,
        status,
        cause,
        proved,
        parameters,
        network,
        microseconds,
        trial,
    };
    Ok((client_id, call))
}

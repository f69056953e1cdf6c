//! Requests of partners that a manager decides: a production client, more scopes, new hosts.
//!
//! ```text
//! waiting ──ask back──► asked back ──answered──► waiting …
//!    │  └──approve──► approved        └──withdraw──► withdrawn
//!    └──decline──► declined
//! ```
//!
//! Each step demands the version that was read, so nobody decides about what was changed meanwhile.

use grantor_protocol::redirect_uri::RedirectUri;
use serde::{Deserialize, Serialize};

use super::audit::Act;
use super::client::insert_client;
use super::engine::{Row, Statement, Value};
use super::logo;
use super::{ClientRecord, NewClient, Store, StoreError};
use crate::logo::LogoDigest;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// a production client
    Production,
    /// more scopes, or redirect URIs on new hosts, of a production client
    Change,
}

/// How a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// a manager has to decide
    Waiting,
    /// the partner has to answer first
    AskedBack,
    /// done
    Approved,
    /// not done, for the reason in the note
    Declined,
    /// taken back by the partner
    Withdrawn,
}

/// What the client is to be, as the partner wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The app's name.
    pub name: String,
    /// Its web site.
    pub website: Option<String>,
    /// Whom customers can ask.
    pub support_contact: Option<String>,
    /// Where a code may go.
    pub redirect_uris: Vec<String>,
    /// What it may ask for, each with the reason that the partner gave.
    pub scopes: Vec<(String, String)>,
    /// Whom the manager can write to.
    pub contact: String,
    /// What the app does, in the partner's words.
    pub message: String,
    /// Of a change: the redirect URIs that the app had when this was written.
    #[serde(default)]
    pub seen_redirect_uris: Vec<String>,
    /// The scopes that it had then.
    #[serde(default)]
    pub seen_scopes: String,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgrammeRequest {
    /// Its id.
    pub id: [u8; 16],
    /// Whose.
    pub partner_id: [u8; 16],
    /// The partner's name.
    pub partner: String,
    /// For what.
    pub kind: RequestKind,
    /// About which client: the staging one, or the production one that is to change.
    pub client_id: String,
    /// The logo of that client.
    pub logo: Option<LogoDigest>,
    /// What is asked for.
    pub asked: Asked,
    /// How it stands.
    pub state: RequestState,
    /// Raised at each step.
    pub version: i64,
    /// Who asked, in words.
    pub asked_by: String,
    /// When, in Unix seconds.
    pub asked_at: i64,
    /// Who took the last step of a manager, in words.
    pub decided_by: Option<String>,
    /// When, in Unix seconds.
    pub decided_at: Option<i64>,
    /// The manager's note.
    pub note: Option<String>,
    /// The client that came of it.
    pub made_client_id: Option<String>,
}

/// Whose requests are wanted.
#[derive(Clone, Copy, Debug)]
pub enum RequestsOf<'a> {
    /// all in this state
    Everybody(RequestState),
    /// a partner's, in that state or in whatever state
    Partner([u8; 16], Option<RequestState>),
    /// those about a client, in whatever state
    Client(&'a str),
}

/// What a manager's approval changes.
pub enum Approval<'a> {
    /// makes the production client, linked to the staging one
    Make {
        /// the client
        client: &'a NewClient,
        /// whom customers can ask
        support_contact: Option<&'a str>,
        /// whether it has no secret
        public: bool,
    },
    /// widens a production client, as it was read
    Widen {
        /// the client
        record: &'a ClientRecord,
        /// its new redirect URIs, separated by blanks
        redirect_uris: String,
        /// its new scopes
        scopes: String,
    },
}

const COLUMNS: &str = "r.id, r.partner_id, p.name, r.kind, r.client_id, r.asked, r.state, r.version, \
    r.asked_by, r.asked_at, r.decided_by, r.decided_at, r.note, r.made_client_id, c.logo \
    FROM requests r JOIN partners p ON p.id = r.partner_id LEFT JOIN clients c ON c.id = r.client_id \
    AND c.environment = CASE r.kind WHEN 'production' THEN 'staging' ELSE 'production' END";

impl RequestKind {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            RequestKind::Production => "production",
            RequestKind::Change => "change",
        }
    }
}

impl RequestState {
    const ALL: [RequestState; 5] = [
        RequestState::Waiting,
        RequestState::AskedBack,
        RequestState::Approved,
        RequestState::Declined,
        RequestState::Withdrawn,
    ];

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            RequestState::Waiting => "waiting",
            RequestState::AskedBack => "asked_back",
            RequestState::Approved => "approved",
            RequestState::Declined => "declined",
            RequestState::Withdrawn => "withdrawn",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<RequestState> {
        RequestState::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether nothing has been decided yet.
    pub fn is_open(self) -> bool {
        matches!(self, RequestState::Waiting | RequestState::AskedBack)
    }
}

impl Store {
    /// Adds a request, unless one of its kind about its client is open. Answers whether it did.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_request(
        &self,
        request: &ProgrammeRequest,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO requests (id, partner_id, kind, client_id, asked, state, version, \
             asked_by, asked_at) SELECT $1, $2, $3, $4, $5, $6, 1, $7, $8 \
             WHERE NOT EXISTS (SELECT 1 FROM requests WHERE client_id = $4 AND kind = $3 \
             AND state IN ('waiting', 'asked_back'))",
            vec![
                request.id.into(),
                request.partner_id.into(),
                request.kind.as_str().into(),
                request.client_id.as_str().into(),
                written(&request.asked).into(),
                RequestState::Waiting.as_str().into(),
                request.asked_by.as_str().into(),
                act.at.into(),
            ],
        );
        self.act(vec![statement], act).await
    }

    /// Puts another text in the place of an open request's, which then waits for a decision. Answers
    /// whether it still was of that version.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn answer_request(
        &self,
        request: &ProgrammeRequest,
        asked: &Asked,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE requests SET asked = $3, state = $4, version = version + 1 \
             WHERE id = $1 AND version = $2 AND state IN ('waiting', 'asked_back')",
            vec![
                request.id.into(),
                request.version.into(),
                written(asked).into(),
                RequestState::Waiting.as_str().into(),
            ],
        );
        self.act(vec![statement], act).await
    }

    /// Takes a request back. Answers whether it still was of that version, and open.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn withdraw_request(
        &self,
        request: &ProgrammeRequest,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE requests SET state = $3, version = version + 1 \
             WHERE id = $1 AND version = $2 AND state IN ('waiting', 'asked_back')",
            vec![
                request.id.into(),
                request.version.into(),
                RequestState::Withdrawn.as_str().into(),
            ],
        );
        self.act(vec![statement], act).await
    }

    /// Takes a manager's step, and changes what an approval changes, in one transaction. Answers
    /// whether the request still was of that version, and the client what was read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn decide_request(
        &self,
        request: &ProgrammeRequest,
        (state, approval): (RequestState, Option<&Approval<'_>>),
        (by, note): (&str, &str),
        act: &Act,
    ) -> Result<bool, StoreError> {
        let made = match approval {
            Some(Approval::Make { client, .. }) => Some(client.id.as_str()),
            _ => None,
        };
        let mut transaction = vec![Statement::new(
            "UPDATE requests SET state = $3, version = version + 1, decided_by = $4, \
             decided_at = $5, note = $6, made_client_id = $7 \
             WHERE id = $1 AND version = $2 AND state = 'waiting'",
            vec![
                request.id.into(),
                request.version.into(),
                state.as_str().into(),
                by.into(),
                act.at.into(),
                note.into(),
                made.into(),
            ],
        )];
        if let Some(Approval::Widen { record, redirect_uris, scopes }) = approval {
            let client = &record.client;
            let lost = |held: &str, new: &str| !new.split(' ').any(|new| new == held);
            let uris = client.redirect_uris.iter().any(|uri| lost(uri.as_str(), redirect_uris));
            if uris || client.scopes.iter().any(|scope| lost(scope, scopes)) {
                self.note_narrowed(client.environment, &client.id).await?;
            }
        }
        transaction.extend(
            approval.map(|approval| approved(request, approval, act)).into_iter().flatten(),
        );
        self.act(transaction, act).await
    }

    /// A request.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn request(&self, id: [u8; 16]) -> Result<Option<ProgrammeRequest>, StoreError> {
        let sql = format!("SELECT {COLUMNS} WHERE r.id = $1");
        let rows = self.engine.read(&sql, vec![id.into()]).await?;
        rows.into_iter().next().map(read_request).transpose()
    }

    /// Requests behind `after`: those that wait, the oldest first; a partner's or a client's, the
    /// newest first, before `after`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn requests(
        &self,
        of: RequestsOf<'_>,
        after: Option<[u8; 16]>,
        limit: i64,
    ) -> Result<Vec<ProgrammeRequest>, StoreError> {
        let (first, last) = ([0; 16], [0xff; 16]);
        let (condition, values): (&str, Vec<Value>) = match of {
            RequestsOf::Everybody(state) => (
                "r.state = $1 AND r.id > $2 ORDER BY r.id",
                vec![state.as_str().into(), after.unwrap_or(first).into(), limit.into()],
            ),
            RequestsOf::Partner(id, state) => (
                "r.partner_id = $1 AND r.id < $2 AND r.state = COALESCE($4, r.state) \
                 ORDER BY r.id DESC",
                vec![
                    id.into(),
                    after.unwrap_or(last).into(),
                    limit.into(),
                    state.map(RequestState::as_str).into(),
                ],
            ),
            RequestsOf::Client(id) => (
                "r.client_id = $1 AND r.id < $2 ORDER BY r.id DESC",
                vec![id.into(), after.unwrap_or(last).into(), limit.into()],
            ),
        };
        let sql = format!("SELECT {COLUMNS} WHERE {condition} LIMIT $3");
        self.engine.read(&sql, values).await?.into_iter().map(read_request).collect()
    }
}

/// What an approval changes beside the request itself.
fn approved(request: &ProgrammeRequest, approval: &Approval<'_>, act: &Act) -> Vec<Statement> {
    match approval {
        Approval::Make { client, support_contact, public } => {
            let production = client.environment.as_str();
            let mut statements = vec![insert_client(client, act.at)];
            if !public {
                // A secret is made by the partner, who alone sees it: until then there is none.
                statements.push(Statement::new(
                    "UPDATE clients SET public = FALSE, authentication_method = $3 \
                     WHERE environment = $1 AND id = $2",
                    vec![
                        production.into(),
                        client.id.as_str().into(),
                        "client_secret_basic".into(),
                    ],
                ));
            }
            statements.push(Statement::new(
                "UPDATE clients SET support_contact = $3, sibling = $4 \
                 WHERE environment = $1 AND id = $2",
                vec![
                    production.into(),
                    client.id.as_str().into(),
                    (*support_contact).into(),
                    request.client_id.as_str().into(),
                ],
            ));
            statements.extend(logo::inherited(&client.id, &request.client_id));
            // Whose staging client has a production client already gets no second one.
            statements.push(Statement::new(
                "UPDATE clients SET sibling = $3 WHERE environment = $1 AND id = $2 \
                 AND sibling IS NULL",
                vec![
                    "staging".into(),
                    request.client_id.as_str().into(),
                    client.id.as_str().into(),
                ],
            ));
            statements
        }
        Approval::Widen { record, redirect_uris, scopes } => {
            let client = &record.client;
            let uris: Vec<&str> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
            let held = client.scopes.to_string();
            // Where it may do less than before, its connections end.
            let less = client.scopes.iter().any(|scope| !scopes.split(' ').any(|new| new == scope));
            vec![Statement::new(
                "UPDATE clients SET redirect_uris = $3, scopes = $4, counter = counter + $7 \
                 WHERE environment = $1 AND id = $2 AND redirect_uris = $5 AND scopes = $6",
                vec![
                    client.environment.as_str().into(),
                    client.id.as_str().into(),
                    redirect_uris.as_str().into(),
                    scopes.as_str().into(),
                    uris.join(" ").into(),
                    held.into(),
                    i64::from(less).into(),
                ],
            )]
        }
    }
}

/// Texts and lists of texts are always JSON.
fn written(asked: &Asked) -> String {
    serde_json::to_string(asked).unwrap_or_default()
}

fn read_request(row: Row) -> Result<ProgrammeRequest, StoreError> {
    let mut row = row.columns("requests", "(being read)");
    let (id, partner_id) = (row.array("id")?, row.array("partner_id")?);
    let partner = row.text("partner name")?;
    let kind = match row.text("kind")?.as_str() {
        "production" => RequestKind::Production,
        "change" => RequestKind::Change,
        _ => return Err(row.corrupt("kind")),
    };
    let client_id = row.text("client_id")?;
    let asked = serde_json::from_str(&row.text("asked")?).map_err(|_| row.corrupt("asked"))?;
    let state = RequestState::parse(&row.text("state")?).ok_or_else(|| row.corrupt("state"))?;
    Ok(ProgrammeRequest {
        id,
        partner_id,
        partner,
        kind,
        client_id,
        asked,
        state,
        version: row.integer("version")?,
        asked_by: row.text("asked_by")?,
        asked_at: row.integer("asked_at")?,
        decided_by: row.optional_text("decided_by")?,
        decided_at: row.optional_integer("decided_at")?,
        note: row.optional_text("note")?,
        made_client_id: row.optional_text("made_client_id")?,
        logo: row.optional_array("logo")?.map(LogoDigest),
    })
}

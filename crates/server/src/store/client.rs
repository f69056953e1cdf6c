//! API clients, with their one or two secrets. Both secrets stand in the client's own row, so that
//! "never a third" and "never without" are conditions of one write. `profile.rs` holds how a client
//! proves itself and what it registered.

mod profile;

pub(super) use profile::values as profile_values;

use std::sync::Arc;

use grantor_protocol::client::{Client, ClientKeys, ClientSettings, Partner, SecretDigest};
use grantor_protocol::environment::Environment;
use grantor_protocol::jose::JwkSet;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;

use super::client_key::client_key;
use super::consent;
use super::engine::{Columns, Outcome, Row, Statement, Value};
use super::{Store, StoreError};
use crate::journal::Ending;
use crate::logo::LogoDigest;

/// A client to be.
pub struct NewClient {
    /// Its environment.
    pub environment: Environment,
    /// Its id.
    pub id: String,
    /// The partner that it belongs to.
    pub partner_id: [u8; 16],
    /// The app's name.
    pub name: String,
    /// Its web site.
    pub website: Option<String>,
    /// Where a code may go.
    pub redirect_uris: Vec<RedirectUri>,
    /// What it may ask for.
    pub scopes: Scope,
    /// What of that a customer may leave out.
    pub optional_scopes: Scope,
    /// The digest and the last characters of its first secret; `None` makes a public client.
    pub secret: Option<(SecretDigest, String)>,
    /// Whether somebody of this company looked at it.
    pub approved: bool,
    /// Whether it is the one of dev.
    pub demo: bool,
    /// Its settings.
    pub settings: ClientSettings,
    /// Its public keys, where it signs instead of having a secret.
    pub keys: Option<ClientKeys>,
    /// Where a customer may be sent after signing out.
    pub post_logout_redirect_uris: Vec<String>,
    /// How it came here.
    pub registration: Registration,
}

/// How a client came here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// By whom.
    pub by: RegisteredBy,
    /// The SHA-256 of the token that manages the registration (RFC 7592).
    pub token_digest: Option<[u8; 32]>,
    /// What was registered besides what has a meaning here, as JSON.
    pub metadata: Option<String>,
}

/// What a partner says of its client in the portal, and what the portal knows of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Whom customers can ask.
    pub support_contact: Option<String>,
    /// Its other half: the production client of a staging client, or the reverse.
    pub sibling: Option<String>,
    /// Whether it was switched off together with its partner.
    pub suspended: bool,
    /// Its logo, by its name; the picture has a table of its own.
    pub logo: Option<LogoDigest>,
}

/// Who registered a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegisteredBy {
    /// An operator or a manager.
    #[default]
    Company,
    /// The client itself (RFC 7591).
    Itself,
    /// Nobody: its id is the address of its metadata.
    Document,
}

/// A client as an operator sees it.
#[derive(Clone, Debug)]
pub struct ClientRecord {
    /// The client.
    pub client: Client,
    /// Its partner's id.
    pub partner_id: [u8; 16],
    /// How it came here.
    pub registration: Registration,
    /// What its partner says of it in the portal.
    pub listing: Listing,
    /// Its public keys, ready to verify, where they stand in its row.
    pub keys: Option<Arc<JwkSet>>,
    /// Its secrets, without themselves.
    pub secrets: Vec<SecretRecord>,
    /// How often it sent parameters in the query.
    pub query_calls: i64,
    /// When it last did, in Unix seconds.
    pub query_called_at: Option<i64>,
    /// In Unix seconds.
    pub created_at: i64,
}

/// What is known of a secret after it was shown.
#[derive(Clone, Debug)]
pub struct SecretRecord {
    /// 1 or 2.
    pub slot: i64,
    /// Its last characters.
    pub hint: String,
    /// In Unix seconds.
    pub created_at: i64,
    /// In Unix seconds.
    pub used_at: Option<i64>,
    /// When it ends, in Unix seconds, where it does by itself.
    pub expires_at: Option<i64>,
}

impl SecretRecord {
    /// For how long it has been over, in seconds; `None` while it works.
    pub fn ended_for(&self, now: i64) -> Option<i64> {
        self.expires_at.map(|end| now - end).filter(|over| *over >= 0)
    }
}

pub(super) const COLUMNS: &str = "c.environment, c.id, c.partner_id, c.name, p.name, p.verified, c.website, \
    c.redirect_uris, c.scopes, c.optional_scopes, c.public, c.approved, c.disabled, c.demo, \
    c.counter, c.refresh_tokens, c.parameters_in_query, c.pkce_required, c.refresh_window_seconds, \
    c.secret_1_digest, c.secret_1_hint, c.secret_1_created_at, c.secret_1_used_at, \
    c.secret_1_expires_at, c.secret_2_digest, c.secret_2_hint, c.secret_2_created_at, \
    c.secret_2_used_at, c.secret_2_expires_at, \
    c.query_calls, c.query_called_at, c.created_at, c.authentication_method, c.jwks, c.jwks_uri, \
    c.grant_types, c.par_required, c.dpop_required, c.offline_access_required, \
    c.id_token_algorithm, c.post_logout_redirect_uris, c.registration, \
    c.registration_token_digest, c.metadata, c.support_contact, c.sibling, c.suspended, c.logo \
    FROM clients c JOIN partners p ON p.id = c.partner_id";

impl Store {
    /// Adds a client. Answers whether its id was free in both environments and its partner exists.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_client(&self, client: &NewClient, now: i64) -> Result<bool, StoreError> {
        Ok(self.engine.write(vec![insert_client(client, now)]).await?.is_done())
    }

    /// The client of that id, in whichever environment it stands: an id that was made here is
    /// never used twice. For one that may be the address of a document see
    /// [`Store::client_seen_from`].
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn client(&self, id: &str) -> Result<Option<ClientRecord>, StoreError> {
        Ok(self.clients_of_id(id).await?.into_iter().next())
    }

    async fn clients_of_id(&self, id: &str) -> Result<Vec<ClientRecord>, StoreError> {
        // Every issuer by key, rather than by an id without its environment.
        let sql = format!(
            "SELECT {COLUMNS} WHERE (c.environment = $1 AND c.id = $4) \
             OR (c.environment = $2 AND c.id = $4) OR (c.environment = $3 AND c.id = $4)"
        );
        let mut values: Vec<Value> =
            Environment::ISSUERS.iter().map(|issuer| issuer.as_str().into()).collect();
        values.push(id.into());
        let rows = self.engine.read(&sql, values).await?;
        rows.into_iter().map(read_client).collect()
    }

    /// The client of that id in this environment, or else in the other one. An id that the server
    /// made stands in one of them; one that is the address of a document may stand in both.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn client_seen_from(
        &self,
        environment: Environment,
        id: &str,
    ) -> Result<Option<ClientRecord>, StoreError> {
        let mut found = self.clients_of_id(id).await?;
        let own = found.iter().position(|record| record.client.environment == environment);
        Ok(own.map(|at| found.swap_remove(at)).or_else(|| found.pop()))
    }

    /// Switches a client off, which ends all its grants, or on again, which brings none back.
    /// Answers whether it was in the other state before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn set_client_disabled(
        &self,
        environment: Environment,
        id: &str,
        disabled: bool,
    ) -> Result<bool, StoreError> {
        if disabled {
            self.note(Ending::ClientDisabled { environment, id: id.to_owned() }).await?;
        }
        let statement = Statement::new(
            "UPDATE clients SET disabled = $3, counter = counter + 1 \
             WHERE environment = $1 AND id = $2 AND disabled <> $3",
            vec![environment.as_str().into(), id.into(), disabled.into()],
        );
        Ok(self.write_clients(vec![statement]).await?.is_done())
    }

    /// Adds what was counted of these clients' calls since the last time, in one transaction: how
    /// often each sent parameters in the query, and when it last used a secret. A secret that was
    /// replaced since leaves nothing to the one in its place.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of it was added.
    pub async fn note_client_uses(
        &self,
        uses: &[(Environment, String, ClientUse)],
    ) -> Result<(), StoreError> {
        let statement = |(environment, id, calls): &(Environment, String, ClientUse)| {
            let [one, two] = calls.secrets;
            let digest = |secret: Option<SecretUse>| secret.map(|used| *used.digest.as_bytes());
            let used_at = |secret: Option<SecretUse>| secret.map(|used| used.used_at);
            Statement::any(
                NOTE_USE,
                vec![
                    environment.as_str().into(),
                    id.as_str().into(),
                    calls.query_calls.into(),
                    calls.query_called_at.into(),
                    digest(one).into(),
                    used_at(one).into(),
                    digest(two).into(),
                    used_at(two).into(),
                ],
            )
        };
        self.engine.write(uses.iter().map(statement).collect()).await.map(|_| ())
    }

    /// Carries out a write that changes what a client may, and forgets what was known of clients.
    pub(super) async fn write_clients(
        &self,
        transaction: Vec<Statement>,
    ) -> Result<Outcome, StoreError> {
        let outcome = self.engine.write(transaction).await;
        self.known_clients.forget();
        outcome
    }

    /// Makes the demo client's redirect URIs those of the ports that dev has this time.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn set_demo_redirect_uris(
        &self,
        environment: Environment,
        id: &str,
        redirect_uris: &[RedirectUri],
    ) -> Result<bool, StoreError> {
        let uris: Vec<&str> = redirect_uris.iter().map(RedirectUri::as_str).collect();
        let statement = Statement::new(
            "UPDATE clients SET redirect_uris = $3 WHERE environment = $1 AND id = $2 AND demo",
            vec![environment.as_str().into(), id.into(), uris.join(" ").into()],
        );
        Ok(self.write_clients(vec![statement]).await?.is_done())
    }
}

/// What was counted of one client's calls.
#[derive(Clone, Copy, Default)]
pub struct ClientUse {
    /// How many took parameters from the query.
    pub query_calls: i64,
    /// When the last of them came, in Unix seconds.
    pub query_called_at: Option<i64>,
    /// The last use of what stood in each of the two places for secrets.
    pub secrets: [Option<SecretUse>; 2],
}

/// The last use of a secret.
#[derive(Clone, Copy)]
pub struct SecretUse {
    /// Which secret.
    pub digest: SecretDigest,
    /// When, in Unix seconds.
    pub used_at: i64,
}

const NOTE_USE: &str = "UPDATE clients SET query_calls = query_calls + $3, \
    query_called_at = COALESCE($4, query_called_at), \
    secret_1_used_at = CASE WHEN secret_1_digest = $5 THEN $6 ELSE secret_1_used_at END, \
    secret_2_used_at = CASE WHEN secret_2_digest = $7 THEN $8 ELSE secret_2_used_at END \
    WHERE environment = $1 AND id = $2";
/// Adds a secret in the first or the second place, where that is free.
pub(super) const ADD: [&str; 2] = [
    "UPDATE clients SET secret_1_digest = $3, secret_1_hint = $4, secret_1_created_at = $5, \
     secret_1_used_at = NULL, secret_1_expires_at = $6, secret_1_told_at = NULL \
     WHERE environment = $1 AND id = $2 AND NOT public AND secret_1_digest IS NULL",
    "UPDATE clients SET secret_2_digest = $3, secret_2_hint = $4, secret_2_created_at = $5, \
     secret_2_used_at = NULL, secret_2_expires_at = $6, secret_2_told_at = NULL \
     WHERE environment = $1 AND id = $2 AND NOT public AND secret_2_digest IS NULL",
];
const REMOVE: [&str; 2] = [
    "UPDATE clients SET secret_1_digest = NULL, secret_1_hint = NULL, \
     secret_1_created_at = NULL, secret_1_used_at = NULL, secret_1_expires_at = NULL, \
     secret_1_told_at = NULL WHERE environment = $1 AND id = $2 \
     AND secret_1_digest IS NOT NULL AND secret_2_digest IS NOT NULL \
     AND COALESCE(secret_2_expires_at > $3, TRUE)",
    "UPDATE clients SET secret_2_digest = NULL, secret_2_hint = NULL, \
     secret_2_created_at = NULL, secret_2_used_at = NULL, secret_2_expires_at = NULL, \
     secret_2_told_at = NULL WHERE environment = $1 AND id = $2 \
     AND secret_1_digest IS NOT NULL AND secret_2_digest IS NOT NULL \
     AND COALESCE(secret_1_expires_at > $3, TRUE)",
];

/// Removes the secret in that place, 1 or 2, unless it is the last one that works at `$3`.
pub(super) fn remove(slot: i64) -> Option<&'static str> {
    REMOVE.get(usize::try_from(slot).ok()?.checked_sub(1)?).copied()
}

/// What adds a client, where its id is free and its partner exists.
pub(super) fn insert_client(client: &NewClient, now: i64) -> Statement {
    let (digest, hint) = match &client.secret {
        Some((digest, hint)) => (Some(*digest.as_bytes()), Some(hint.as_str())),
        None => (None, None),
    };
    let uris: Vec<&str> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
    let mut values = vec![
        client.environment.as_str().into(),
        client.id.as_str().into(),
        client.partner_id.into(),
        client.name.as_str().into(),
        client.website.as_deref().into(),
        uris.join(" ").into(),
        client.scopes.to_string().into(),
        client.optional_scopes.to_string().into(),
        is_public(client).into(),
        client.approved.into(),
        false.into(),
        client.demo.into(),
        client.settings.refresh_tokens.into(),
        client.settings.parameters_in_query.into(),
        client.settings.pkce_required.into(),
        client.settings.refresh_window_seconds.into(),
        digest.into(),
        hint.into(),
        digest.map(|_| now).into(),
        now.into(),
        client.environment.other().as_str().into(),
        client_key(&client.id).into(),
    ];
    values.extend(profile::values(client));
    Statement::new(
        "INSERT INTO clients (environment, id, key, partner_id, name, website, redirect_uris, \
         scopes, optional_scopes, public, approved, disabled, demo, counter, refresh_tokens, \
         parameters_in_query, pkce_required, refresh_window_seconds, secret_1_digest, \
         secret_1_hint, secret_1_created_at, query_calls, created_at, authentication_method, \
         jwks, jwks_uri, grant_types, par_required, dpop_required, offline_access_required, \
         id_token_algorithm, post_logout_redirect_uris, registration, \
         registration_token_digest, metadata) \
         SELECT $1, $2, $22, id, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $13, $14, $15, $16, $17, \
         $18, $19, 0, $20, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34 \
         FROM partners WHERE id = $3 AND NOT COALESCE(suspended, FALSE) \
         AND ($32 = 'document' \
           OR NOT EXISTS (SELECT 1 FROM clients WHERE environment = $21 AND id = $2)) \
         ON CONFLICT DO NOTHING",
        values,
    )
}

fn is_public(client: &NewClient) -> bool {
    client.secret.is_none() && client.keys.is_none()
}

pub(super) fn read_client(row: Row) -> Result<ClientRecord, StoreError> {
    let key = match row.0.get(1) {
        Some(Value::Text(id)) => id.clone(),
        _ => "(no id)".to_owned(),
    };
    let mut row = row.columns("clients", key);
    let environment = row.text("environment")?;
    let environment = Environment::parse(&environment).ok_or_else(|| row.corrupt("environment"))?;
    let id = row.text("id")?;
    let partner_id = row.array("partner_id")?;
    let name = row.text("name")?;
    let partner = Partner { name: row.text("partner")?, verified: row.boolean("verified")? };
    let website = row.optional_text("website")?;
    let redirect_uris = redirect_uris(&mut row)?;
    let scopes = consent::scope(&mut row, "scopes")?;
    let optional_scopes = consent::scope(&mut row, "optional_scopes")?;
    let public = row.boolean("public")?;
    let (approved, disabled) = (row.boolean("approved")?, row.boolean("disabled")?);
    let (demo, counter) = (row.boolean("demo")?, row.integer("counter")?);
    let mut settings = ClientSettings {
        refresh_tokens: row.boolean("refresh_tokens")?,
        parameters_in_query: row.boolean("parameters_in_query")?,
        pkce_required: row.boolean("pkce_required")?,
        refresh_window_seconds: row.optional_integer("refresh_window_seconds")?,
        ..ClientSettings::default()
    };
    let (mut digests, mut secrets) = (Vec::new(), Vec::new());
    for (slot, column) in [(1, "secret_1_digest"), (2, "secret_2_digest")] {
        if let Some((digest, secret)) = read_secret(&mut row, slot, column)? {
            digests.push(digest);
            secrets.push(secret);
        }
    }
    let query_calls = row.integer("query_calls")?;
    let query_called_at = row.optional_integer("query_called_at")?;
    let created_at = row.integer("created_at")?;
    let profile = profile::read(&mut row, public, digests, &mut settings)?;
    let listing = Listing {
        support_contact: row.optional_text("support_contact")?,
        sibling: row.optional_text("sibling")?,
        suspended: row.optional_boolean("suspended")?.unwrap_or_default(),
        logo: row.optional_array("logo")?.map(LogoDigest),
    };
    Ok(ClientRecord {
        listing,
        client: Client {
            environment,
            id,
            name,
            partner,
            website,
            redirect_uris,
            scopes,
            optional_scopes,
            authentication: profile.authentication,
            post_logout_redirect_uris: profile.post_logout_redirect_uris,
            approved,
            disabled,
            demo,
            counter,
            settings,
        },
        partner_id,
        registration: profile.registration,
        keys: profile.keys,
        secrets,
        query_calls,
        query_called_at,
        created_at,
    })
}

fn read_secret(
    row: &mut Columns,
    slot: i64,
    column: &'static str,
) -> Result<Option<(SecretDigest, SecretRecord)>, StoreError> {
    let digest = row.optional_array(column)?;
    let hint = row.optional_text("secret hint")?.unwrap_or_default();
    let created_at = row.optional_integer("secret created_at")?.unwrap_or_default();
    let used_at = row.optional_integer("secret used_at")?;
    let expires_at = row.optional_integer("secret expires_at")?;
    let record = SecretRecord { slot, hint, created_at, used_at, expires_at };
    Ok(digest.map(|digest| (SecretDigest::from_bytes(digest), record)))
}

/// A registered URI has no blank inside, so blanks separate them.
fn redirect_uris(row: &mut Columns) -> Result<Vec<RedirectUri>, StoreError> {
    let text = row.text("redirect_uris")?;
    text.split(' ')
        .filter(|uri| !uri.is_empty())
        .map(|uri| RedirectUri::register(uri).map_err(|_| row.corrupt("redirect_uris")))
        .collect()
}

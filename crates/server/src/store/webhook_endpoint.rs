//! Webhook endpoints: where partners want to be told what happens to their clients. Each write and
//! each read of a partner's own demands that the endpoint is that partner's.
//!
//! The secrets stand encrypted under the master key in the endpoint's own row, one or two of them,
//! so that "never a third" and "never without" are conditions of one write. Whoever writes one gives
//! the keys a new version (`encrypted.rs`).

use grantor_protocol::environment::Environment;

use super::encrypted::webhook_secret_context;
use super::engine::{Row, Statement, Value};
use super::outbox::{give_up_lane, tell_one};
use super::sealing_keys::still_as_read;
use super::version::version;
use super::{Act, Store, StoreError};
use crate::journal::Ending;
use crate::webhook::{EventType, Notice};

/// An endpoint, and the partner that it has to belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointOfPartner {
    /// In this environment.
    pub environment: Environment,
    /// Its id.
    pub id: [u8; 16],
    /// The partner's.
    pub partner_id: [u8; 16],
}

/// What a partner chose for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Of this client alone, or of all that the partner has in the environment.
    pub client_id: Option<String>,
    /// Where it is.
    pub url: String,
    /// What it wants to hear of.
    pub events: Vec<EventType>,
    /// Whether anything is sent there.
    pub enabled: bool,
}

/// An endpoint as its owner looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Which one.
    pub of: EndpointOfPartner,
    /// What the partner chose.
    pub settings: EndpointSettings,
    /// What it wants to hear of, as it is stored: with types that a later version wrote.
    pub stored_events: String,
    /// The last characters of the secret in each of the two places, where there is one.
    pub secrets: [Option<String>; 2],
    /// In Unix seconds.
    pub created_at: i64,
    /// When it was tried last, in Unix seconds.
    pub tried_at: Option<i64>,
    /// The status of the last answer.
    pub status: Option<i64>,
    /// What was wrong the last time, in words; `None` where it went well.
    pub fault: Option<String>,
    /// How many tries failed since the last that went well.
    pub failures: i64,
}

/// Where a call goes, and what signs it.
#[derive(Clone, Debug)]
pub struct EndpointTarget {
    /// Where it is.
    pub url: String,
    /// Whether anything is sent there.
    pub enabled: bool,
    /// Its secrets, encrypted, each with what it is bound to.
    pub secrets: Vec<(String, Vec<u8>)>,
}

/// A secret on its way to its row.
#[derive(Clone, Copy, Debug)]
pub struct NewSecret<'a> {
    /// Encrypted.
    pub encrypted: &'a [u8],
    /// Its last characters, by which its owner knows it again.
    pub hint: &'a str,
}

/// The keys as they were read, and their new version: what a write of a secret demands.
#[derive(Clone, Copy, Debug)]
pub struct KeysAsRead<'a> {
    /// The id of the master key as it was read: it must still stand.
    pub master_key_id: &'a str,
    /// The version of the keys as it was read: it must still stand.
    pub keys_version: i64,
    /// The new version of the keys.
    pub new_keys_version: i64,
}

/// No partner has more endpoints in one environment.
pub const MOST_ENDPOINTS: i64 = 20;
/// What is wrong where the owner switched it off.
const SWITCHED_OFF: &str = "The endpoint was switched off.";

impl EndpointOfPartner {
    /// The first parameters of a statement: `$1` its id, `$2` the environment, `$3` the partner.
    pub(super) fn values(&self) -> Vec<Value> {
        vec![self.id.into(), self.environment.as_str().into(), self.partner_id.into()]
    }
}

impl EndpointSettings {
    /// Names what stands here, all of it (`version.rs`).
    pub fn version(&self) -> String {
        let client_id = self.client_id.as_deref().unwrap_or_default();
        let enabled = if self.enabled { "on" } else { "off" };
        version([client_id, self.url.as_str(), &self.written_events(), enabled])
    }

    fn written_events(&self) -> String {
        self.events.iter().map(|event| event.name()).collect::<Vec<_>>().join(" ")
    }
}

impl Store {
    /// Adds an endpoint with its first secret, encrypted. Answers whether the keys still were what
    /// was read; where the partner has no such client, or [`MOST_ENDPOINTS`] already, it adds nothing
    /// and answers `false` too.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_webhook_endpoint(
        &self,
        keys: &KeysAsRead<'_>,
        endpoint: &EndpointOfPartner,
        settings: &EndpointSettings,
        (secret, act): (&NewSecret<'_>, &Act),
    ) -> Result<bool, StoreError> {
        let mut values = endpoint.values();
        values.extend([
            settings.client_id.as_deref().into(),
            settings.url.as_str().into(),
            settings.written_events().into(),
            settings.enabled.into(),
            act.at.into(),
            secret.encrypted.into(),
            MOST_ENDPOINTS.into(),
            secret.hint.into(),
        ]);
        let insert = Statement::new(
            "INSERT INTO webhook_endpoints (id, environment, partner_id, client_id, url, events, \
             enabled, created_at, secret_1, failures, secret_1_hint) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $11 FROM partners WHERE id = $3 \
             AND (COALESCE($4, '') = '' OR EXISTS (SELECT 1 FROM clients \
               WHERE environment = $2 AND id = $4 AND partner_id = $3)) \
             AND (SELECT COUNT(*) FROM webhook_endpoints \
               WHERE environment = $2 AND partner_id = $3) < $10 \
             ON CONFLICT DO NOTHING",
            values,
        );
        self.act(vec![keys.statement(), insert], act).await
    }

    /// Adds a second secret, encrypted, in place 1 or 2. Answers whether it is there now.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_webhook_secret(
        &self,
        keys: &KeysAsRead<'_>,
        endpoint: &EndpointOfPartner,
        slot: u8,
        (secret, act): (&NewSecret<'_>, &Act),
    ) -> Result<bool, StoreError> {
        let sql = match slot {
            1 => ADD_1,
            2 => ADD_2,
            _ => return Ok(false),
        };
        let mut values = endpoint.values();
        values.extend([secret.encrypted.into(), secret.hint.into()]);
        self.act(vec![keys.statement(), Statement::new(sql, values)], act).await
    }

    /// Removes the secret in place 1 or 2, unless it is the last one. Answers whether it did.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_webhook_secret(
        &self,
        endpoint: &EndpointOfPartner,
        slot: u8,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let sql = match slot {
            1 => REMOVE_1,
            2 => REMOVE_2,
            _ => return Ok(false),
        };
        self.note_changed(endpoint).await?;
        self.act(vec![Statement::new(sql, endpoint.values())], act).await
    }

    /// What it was before is not to come back: an address that was given up may be another's by then.
    async fn note_changed(&self, endpoint: &EndpointOfPartner) -> Result<(), StoreError> {
        let EndpointOfPartner { environment, id, .. } = *endpoint;
        self.note(Ending::WebhookChanged { environment, id }).await
    }

    /// The endpoints of a partner in an environment, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn webhook_endpoints(
        &self,
        environment: Environment,
        partner_id: [u8; 16],
    ) -> Result<Vec<WebhookEndpoint>, StoreError> {
        let sql = "SELECT id, client_id, url, events, enabled, secret_1_hint, \
                   secret_2_hint, created_at, tried_at, status, fault, failures \
                   FROM webhook_endpoints WHERE environment = $1 AND partner_id = $2 ORDER BY id";
        let values = vec![environment.as_str().into(), partner_id.into()];
        let rows = self.engine.read(sql, values).await?;
        rows.into_iter().map(|row| read_endpoint(row, environment, partner_id)).collect()
    }

    /// Makes other settings those of an endpoint, where it still has those that were `seen`. One that
    /// is switched off has nothing waiting any more. Answers whether it did: the endpoint is there, as
    /// it was seen, and the partner's, and the client too.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn change_webhook_endpoint(
        &self,
        endpoint: &EndpointOfPartner,
        (seen, settings): (&WebhookEndpoint, &EndpointSettings),
        act: &Act,
    ) -> Result<bool, StoreError> {
        let mut values = endpoint.values();
        values.extend([
            settings.client_id.as_deref().into(),
            settings.url.as_str().into(),
            settings.written_events().into(),
            settings.enabled.into(),
            seen.settings.client_id.as_deref().unwrap_or_default().into(),
            seen.settings.url.as_str().into(),
            seen.stored_events.as_str().into(),
            seen.settings.enabled.into(),
        ]);
        let mut transaction = vec![Statement::new(
            "UPDATE webhook_endpoints SET client_id = $4, url = $5, events = $6, enabled = $7, \
             failures = 0 WHERE id = $1 AND environment = $2 AND partner_id = $3 \
             AND COALESCE(client_id, '') = $8 AND url = $9 AND events = $10 AND enabled = $11 \
             AND (COALESCE($4, '') = '' OR EXISTS (SELECT 1 FROM clients \
               WHERE environment = $2 AND id = $4 AND partner_id = $3))",
            values,
        )];
        if settings.url != seen.settings.url || !settings.enabled {
            self.note_changed(endpoint).await?;
        }
        if !settings.enabled {
            transaction.push(give_up_lane(endpoint.id, SWITCHED_OFF, act.at));
        }
        self.act(transaction, act).await
    }

    /// Removes an endpoint, with all its messages. Answers whether it was there, and the partner's.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_webhook_endpoint(
        &self,
        endpoint: &EndpointOfPartner,
        act: &Act,
    ) -> Result<bool, StoreError> {
        self.note_changed(endpoint).await?;
        let transaction = vec![
            Statement::new(
                "DELETE FROM webhook_endpoints \
                 WHERE id = $1 AND environment = $2 AND partner_id = $3",
                endpoint.values(),
            ),
            Statement::any("DELETE FROM outbox WHERE lane = $1", vec![endpoint.id.into()]),
        ];
        self.act(transaction, act).await
    }

    /// Sends something to this endpoint alone, whatever others want to hear. Answers whether anything
    /// is sent there, and it wants to hear of that.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn tell_endpoint(
        &self,
        endpoint: &EndpointOfPartner,
        notice: &Notice,
        act: &Act,
    ) -> Result<bool, StoreError> {
        self.act(vec![tell_one(endpoint, notice)], act).await
    }

    /// Where the messages of a lane go.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn webhook_target(
        &self,
        environment: Environment,
        id: [u8; 16],
    ) -> Result<Option<EndpointTarget>, StoreError> {
        let sql = "SELECT url, enabled, COALESCE(secret_1, $3), COALESCE(secret_2, $3) \
                   FROM webhook_endpoints WHERE environment = $1 AND id = $2";
        let nothing: &[u8] = &[];
        let values = vec![environment.as_str().into(), id.into(), nothing.into()];
        let Some(row) = self.engine.read(sql, values).await?.into_iter().next() else {
            return Ok(None);
        };
        let mut row = row.columns("webhook_endpoints", "(target)");
        let (url, enabled) = (row.text("url")?, row.boolean("enabled")?);
        let mut secrets = Vec::new();
        for (slot, column) in [(1, "secret_1"), (2, "secret_2")] {
            let encrypted = row.bytes(column)?;
            if !encrypted.is_empty() {
                secrets.push((webhook_secret_context(environment, id, slot), encrypted));
            }
        }
        Ok(Some(EndpointTarget { url, enabled, secrets }))
    }
}

impl KeysAsRead<'_> {
    pub(super) fn statement(&self) -> Statement {
        still_as_read(self.master_key_id, [self.keys_version, self.new_keys_version])
    }
}

const ADD_1: &str = "UPDATE webhook_endpoints SET secret_1 = $4, secret_1_hint = $5 WHERE id = $1 \
     AND environment = $2 AND partner_id = $3 AND secret_1 IS NULL";
const ADD_2: &str = "UPDATE webhook_endpoints SET secret_2 = $4, secret_2_hint = $5 WHERE id = $1 \
     AND environment = $2 AND partner_id = $3 AND secret_2 IS NULL";
const REMOVE_1: &str = "UPDATE webhook_endpoints SET secret_1 = NULL, secret_1_hint = NULL WHERE id = $1 \
     AND environment = $2 AND partner_id = $3 AND secret_1 IS NOT NULL AND secret_2 IS NOT NULL";
const REMOVE_2: &str = "UPDATE webhook_endpoints SET secret_2 = NULL, secret_2_hint = NULL WHERE id = $1 \
     AND environment = $2 AND partner_id = $3 AND secret_1 IS NOT NULL AND secret_2 IS NOT NULL";

fn read_endpoint(
    row: Row,
    environment: Environment,
    partner_id: [u8; 16],
) -> Result<WebhookEndpoint, StoreError> {
    let mut row = row.columns("webhook_endpoints", "(listed)");
    let of = EndpointOfPartner { environment, id: row.array("id")?, partner_id };
    let (client_id, url) = (row.optional_text("client_id")?, row.text("url")?);
    let stored_events = row.text("events")?;
    let settings = EndpointSettings {
        client_id,
        url,
        // Types that a later version wrote are left out.
        events: stored_events.split_whitespace().filter_map(EventType::parse).collect(),
        enabled: row.boolean("enabled")?,
    };
    Ok(WebhookEndpoint {
        of,
        settings,
        stored_events,
        secrets: [row.optional_text("secret_1_hint")?, row.optional_text("secret_2_hint")?],
        created_at: row.integer("created_at")?,
        tried_at: row.optional_integer("tried_at")?,
        status: row.optional_integer("status")?,
        fault: row.optional_text("fault")?,
        failures: row.integer("failures")?,
    })
}

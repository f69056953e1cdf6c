//! What the API answers with, as JSON. Ids are text, and times are those of RFC 3339.

mod call;
mod request;
mod team;
mod test_customer;
mod webhook;

pub(crate) use call::{Call, Calls, NotKept, OneCall, ReportShown, Trials};
pub(crate) use request::{OneRequest, Request, Requests};
pub(crate) use team::{Invitation, Invitations, People, Person, PersonRole};
pub(crate) use test_customer::{TestCustomer, TestCustomerWithPassword, TestCustomers};
pub(crate) use webhook::{Deliveries, Delivery, Webhook, WebhookWithSecret, Webhooks};

use grantor_protocol::redirect_uri::RedirectUri;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::hex::hex;
use crate::programme::app;
use crate::store::{AuditEntry, ClientRecord, Partner, SecretRecord};

/// An app: an API client of staging or production.
#[derive(Serialize, ToSchema)]
pub(crate) struct App {
    /// The `client_id`.
    #[schema(example = "devp-staging-table-planner-0f8d3c1b5e7a49d28c6b1f0e9d7a3c52")]
    id: String,
    environment: &'static str,
    /// Whose it is.
    partner_id: String,
    /// As customers read it.
    name: String,
    website: Option<String>,
    /// An e-mail or web address where customers find help.
    support_contact: Option<String>,
    redirect_uris: Vec<String>,
    scopes: Vec<String>,
    kind: Kind,
    /// Whether this company looked at it.
    approved: bool,
    state: State,
    /// Names what its partner says of it, as it stands here: whoever changes that sends it along.
    #[schema(example = "3a6f0c5d1e8b49a7c2d4f6081b3e5a79")]
    version: String,
    /// The SHA-256 of its logo as it is shown, in hexadecimal digits.
    logo: Option<String>,
    /// Its other half: on production, or on staging.
    sibling: Option<String>,
    /// One or two; none for a public app.
    secrets: Vec<Secret>,
    #[schema(format = DateTime)]
    created_at: String,
}

/// Whether an app keeps a secret.
#[derive(Clone, Copy, Serialize, serde::Deserialize, ToSchema, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// It runs on a server, and has a secret.
    #[default]
    Confidential,
    /// It runs in a browser or on people's devices, has none, and uses PKCE.
    Public,
}

/// How an app stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum State {
    Works,
    Suspended,
}

/// A secret, without itself.
#[derive(Serialize, ToSchema)]
struct Secret {
    /// Its place: 1 or 2.
    #[schema(minimum = 1, maximum = 2)]
    slot: i64,
    /// What it ends in.
    hint: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// When it ends, where it does by itself.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// An app with a secret that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct AppWithSecret {
    app: App,
    /// It is shown this once, and only its digest is kept. None for a public app.
    client_secret: Option<String>,
}

/// A part of a list of apps.
#[derive(Serialize, ToSchema)]
pub(crate) struct Apps {
    pub(crate) items: Vec<App>,
    /// The parameter `cursor` of the next part; none where this is the last.
    pub(crate) next_cursor: Option<String>,
}

/// The organisation that integrates.
#[derive(Serialize, ToSchema)]
pub(crate) struct PartnerShown {
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    name: String,
    /// Whom this company writes to.
    contact: Option<String>,
    /// Whether this company has verified who it is.
    verified: bool,
    /// Whether all that it has is switched off.
    suspended: bool,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A part of the list of partners.
#[derive(Serialize, ToSchema)]
pub(crate) struct Partners {
    pub(crate) items: Vec<PartnerShown>,
    /// The parameter `cursor` of the next part; none where this is the last.
    pub(crate) next_cursor: Option<String>,
}

/// What somebody did.
#[derive(Serialize, ToSchema)]
pub(crate) struct Entry {
    /// Its number, from 1, as text: of the whole log, so a partner's entries have gaps.
    #[schema(example = "4711")]
    number: String,
    #[schema(format = DateTime)]
    at: String,
    /// Who, in words.
    #[schema(example = "developer@demo.example (owner)")]
    actor: String,
    /// Which person.
    actor_id: Option<String>,
    #[schema(example = "client.created")]
    act: String,
    partner_id: Option<String>,
    client_id: Option<String>,
    detail: String,
    /// The hash of the entry before, in hexadecimal digits.
    previous: String,
    /// The hash of this one and so of all before it.
    hash: String,
}

/// A part of the audit log.
#[derive(Serialize, ToSchema)]
pub(crate) struct Entries {
    pub(crate) items: Vec<Entry>,
    /// The parameter `cursor` of the next part; none where this is the last.
    pub(crate) next_cursor: Option<String>,
}

/// Why a call was refused.
#[derive(Serialize, ToSchema)]

pub(crate) struct Error {
    /// A word that does not change.
    #[schema(example = "conflict")]
    error: String,
    /// What happened and what to do, for people.
    message: String,
    /// What to name when asking for help.
    request_id: String,
    /// Each field that cannot be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<FieldError>>,
}

/// What is wrong with one field.
#[derive(Serialize, ToSchema)]

struct FieldError {
    field: String,
    message: String,
}

impl From<&ClientRecord> for App {
    fn from(record: &ClientRecord) -> App {
        let (client, listing) = (&record.client, &record.listing);
        App {
            id: client.id.clone(),
            environment: client.environment.as_str(),
            partner_id: id(record.partner_id),
            name: client.name.clone(),
            website: client.website.clone(),
            support_contact: listing.support_contact.clone(),
            redirect_uris: client.redirect_uris.iter().map(RedirectUri::to_string).collect(),
            scopes: client.scopes.iter().map(str::to_owned).collect(),
            kind: if client.is_public() { Kind::Public } else { Kind::Confidential },
            approved: client.approved,
            state: if client.disabled { State::Suspended } else { State::Works },
            version: app::version(record),
            logo: record.listing.logo.map(|digest| hex(&digest.0)),
            sibling: listing.sibling.clone(),
            secrets: record.secrets.iter().map(Secret::from).collect(),
            created_at: time(record.created_at),
        }
    }
}

impl From<&SecretRecord> for Secret {
    fn from(secret: &SecretRecord) -> Secret {
        Secret {
            slot: secret.slot,
            hint: secret.hint.clone(),
            created_at: time(secret.created_at),
            last_used_at: secret.used_at.map(time),
            expires_at: secret.expires_at.map(time),
        }
    }
}

impl AppWithSecret {
    pub(crate) fn of(record: &ClientRecord, client_secret: Option<&str>) -> AppWithSecret {
        AppWithSecret { app: record.into(), client_secret: client_secret.map(str::to_owned) }
    }
}

impl From<&Partner> for PartnerShown {
    fn from(partner: &Partner) -> PartnerShown {
        PartnerShown {
            id: id(partner.id),
            name: partner.name.clone(),
            contact: partner.contact.clone(),
            verified: partner.verified,
            suspended: partner.suspended,
            created_at: time(partner.created_at),
        }
    }
}

impl From<&AuditEntry> for Entry {
    fn from(entry: &AuditEntry) -> Entry {
        Entry {
            number: entry.number.to_string(),
            at: time(entry.at),
            actor: entry.actor.clone(),
            actor_id: entry.actor_id.map(id),
            act: entry.act.clone(),
            partner_id: entry.partner_id.map(id),
            client_id: entry.client_id.clone(),
            detail: entry.detail.clone(),
            previous: hex(&entry.previous),
            hash: hex(&entry.hash),
        }
    }
}

fn id(bytes: [u8; 16]) -> String {
    Uuid::from_bytes(bytes).to_string()
}

fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

fn millis(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).unwrap_or_default().to_string()
}

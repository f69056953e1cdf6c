//! Webhooks, and what was sent to them.

use axum::body::Body;
use axum::extract::{Extension, RawQuery};
use axum::http::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::fault::Fault;
use super::call::{Json, Named, Query, environment, id_of};
use super::cursor::List;
use super::guard::Caller;
use super::show::{Deliveries, Delivery, Webhook, WebhookWithSecret, Webhooks};
use crate::programme::webhook::{self, WebhookForm};
use crate::store::WebhookEndpoint;

/// A webhook to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "environment": "staging",
    "url": "https://hooks.planner.example/grantor",
    "events": ["grant.revoked"],
}))]
pub(super) struct NewWebhook {
    environment: AppEnvironment,
    /// An address that the open internet reaches, with https.
    url: String,
    /// What it wants to hear of.
    events: Vec<String>,
    /// Of this app alone; of all that the partner has there where it is left out.
    client_id: Option<String>,
    /// Whether anything is sent there; it is where this is left out.
    enabled: Option<bool>,
}

/// What is to change of a webhook; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "version": "1d3f0a5b8c2e4f60718293a4b5c6d7e8", "enabled": false }))]
pub(super) struct WebhookChanges {
    /// The version that was read.
    version: String,
    url: Option<String>,
    /// All of them, those that stay included.
    events: Option<Vec<String>>,
    /// An empty text stands for all apps.
    client_id: Option<String>,
    /// Whatever waits for one that is switched off is given up.
    enabled: Option<bool>,
}

/// Where apps are.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AppEnvironment {
    Staging,
    Production,
}

/// List webhooks
///
/// The oldest first. They are for API clients of partners.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks",
    operation_id = "listWebhooks",
    tag = "webhooks",
    params(
        ("environment" = String, Query, description = "Of which environment.",
            pattern = "^(staging|production)$", example = "staging"),
        ("limit" = Option<i64>, Query, description = "How many at most.",
            minimum = 1, maximum = 100, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the part before."),
    ),
    responses((status = 200, description = "A part of the list.", body = Webhooks)),
)]
pub(super) async fn list(
    Extension(by): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let query = Query::of(query.as_deref(), &["environment", "limit", "cursor"])?;
    let (environment, limit) = (query.environment()?, query.limit()?);
    let list = List { by: &by, name: format!("webhooks {environment}") };
    let after = list.after_id(&query).await?;
    let held = webhook::list(&by.site, &by.actor, environment).await?;
    let (held, next_cursor) = list.part(held, (after, limit), |endpoint| endpoint.of.id);
    Ok(by.answer(&Webhooks { items: held.iter().map(Webhook::from).collect(), next_cursor }))
}

/// Add a webhook
#[utoipa::path(
    post,
    path = "/api/v1/webhooks",
    operation_id = "createWebhook",
    tag = "webhooks",
    request_body = NewWebhook,
    responses((
        status = 201, description = "It is told from now on. Its secret is shown this once.",
        body = WebhookWithSecret,
        headers(("Location" = String, description = "Where it stands.")),
    )),
)]
pub(super) async fn create(
    Extension(by): Extension<Caller>,
    Json(new): Json<NewWebhook>,
) -> Result<Response<Body>, Fault> {
    let environment = match new.environment {
        AppEnvironment::Staging => grantor_protocol::environment::Environment::Staging,
        AppEnvironment::Production => grantor_protocol::environment::Environment::Production,
    };
    let form = WebhookForm {
        url: new.url,
        events: new.events,
        client_id: new.client_id.unwrap_or_default(),
        enabled: new.enabled.unwrap_or(true),
    };
    let (of, secret) = webhook::add(&by.site, &by.actor, environment, &form).await?;
    let added = webhook::find(&by.site, &by.actor, environment, of.id).await?;
    let place = format!("webhooks/{environment}/{}", Uuid::from_bytes(of.id));
    Ok(by.made(&place, &WebhookWithSecret::of(&added, &secret.to_text())))
}

/// Read a webhook
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{environment}/{id}",
    operation_id = "readWebhook",
    tag = "webhooks",
    params(
        ("environment" = String, Path, description = "Of which environment.",
            pattern = "^(staging|production)$", example = "staging"),
        ("id" = String, Path, description = "The webhook's id."),
    ),
    responses((status = 200, description = "The webhook.", body = Webhook)),
)]
pub(super) async fn read(
    Extension(by): Extension<Caller>,
    Named(place): Named<(String, String)>,
) -> Result<Response<Body>, Fault> {
    Ok(by.answer(&Webhook::from(&find(&by, &place).await?)))
}

/// Change a webhook
#[utoipa::path(
    patch,
    path = "/api/v1/webhooks/{environment}/{id}",
    operation_id = "changeWebhook",
    tag = "webhooks",
    params(
        ("environment" = String, Path, description = "Of which environment.",
            pattern = "^(staging|production)$", example = "staging"),
        ("id" = String, Path, description = "The webhook's id."),
    ),
    request_body = WebhookChanges,
    responses((status = 200, description = "The webhook as it stands now.", body = Webhook)),
)]
pub(super) async fn change(
    Extension(by): Extension<Caller>,
    Named(place): Named<(String, String)>,
    Json(changes): Json<WebhookChanges>,
) -> Result<Response<Body>, Fault> {
    let endpoint = find(&by, &place).await?;
    let version = changes.version.clone();
    let form = changes.of(&endpoint);
    webhook::change(&by.site, &by.actor, &endpoint, (&version, &form)).await?;
    Ok(by.answer(&Webhook::from(&find(&by, &place).await?)))
}

/// Remove a webhook
///
/// What waits for it goes with it.
#[utoipa::path(
    delete,
    path = "/api/v1/webhooks/{environment}/{id}",
    operation_id = "removeWebhook",
    tag = "webhooks",
    params(
        ("environment" = String, Path, description = "Of which environment.",
            pattern = "^(staging|production)$", example = "staging"),
        ("id" = String, Path, description = "The webhook's id."),
    ),
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn remove(
    Extension(by): Extension<Caller>,
    Named(place): Named<(String, String)>,
) -> Result<Response<Body>, Fault> {
    let endpoint = find(&by, &place).await?;
    webhook::remove(&by.site, &by.actor, &endpoint).await?;
    Ok(by.done())
}

/// Make a second secret of a webhook
///
/// Both sign from now on, so that the receiver can change over without a gap.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{environment}/{id}/secrets",
    operation_id = "addWebhookSecret",
    tag = "webhooks",
    params(
        ("environment" = String, Path, description = "Of which environment.",
            pattern = "^(staging|production)$", example = "staging"),
        ("id" = String, Path, description = "The webhook's id."),
    ),
    responses((
        status = 201, description = "It signs now, and is shown this once.",
        body = WebhookWithSecret,
    )),
)]
pub(super) async fn add_secret(
    Extension(by): Extension<Caller>,
    Named(place): Named<(String, String)>,
) -> Result<Response<Body>, Fault> {
    let endpoint = find(&by, &place).await?;
    let secret = webhook::add_secret(&by.site, &by.actor, &endpoint).await?;
    let endpoint = find(&by, &place).await?;
    let (environment, id) = place;
    let shown = WebhookWithSecret::of(&endpoint, &secret.to_text());
    Ok(by.made(&format!("webhooks/{environment}/{id}"), &shown))
}

/// Remove one of two secrets of a webhook
#[utoipa::path(
    delete,
    path = "/api/v1/webhooks/{environment}/{id}/secrets/{slot}",
    operation_id = "removeWebhookSecret",
    tag = "webhooks",
    params(
        ("environment" = String, Path, description = "Of which environment.",
            pattern = "^(staging|production)$", example = "staging"),
        ("id" = String, Path, description = "The webhook's id."),
        ("slot" = i64, Path, description = "Its place.", minimum = 1, maximum = 2),
    ),
    responses((status = 200, description = "The webhook without it.", body = Webhook)),
)]
pub(super) async fn remove_secret(
    Extension(by): Extension<Caller>,
    Named((environment, id, slot)): Named<(String, String, u8)>,
) -> Result<Response<Body>, Fault> {
    let place = (environment, id);
    let endpoint = find(&by, &place).await?;
    let held = usize::from(slot).checked_sub(1).and_then(|at| endpoint.secrets.get(at));
    if held.is_none_or(Option::is_none) {
        return Err(Fault::NotFound);
    }
    webhook::remove_secret(&by.site, &by.actor, &endpoint, slot).await?;
    Ok(by.answer(&Webhook::from(&find(&by, &place).await?)))
}

/// Send a test to a webhook
///
/// It goes to this webhook and to no other.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{environment}/{id}/ping",
    operation_id = "pingWebhook",
    tag = "webhooks",
    params(
        ("environment" = String, Path, description = "Of which environment.",
            pattern = "^(staging|production)$", example = "staging"),
        ("id" = String, Path, description = "The webhook's id."),
    ),
    responses((status = 204, description = "It is on its way: the deliveries tell how it goes.")),
)]
pub(super) async fn ping(
    Extension(by): Extension<Caller>,
    Named(place): Named<(String, String)>,
) -> Result<Response<Body>, Fault> {
    let endpoint = find(&by, &place).await?;
    webhook::ping(&by.site, &by.actor, &endpoint).await?;
    Ok(by.done())
}

/// List what was sent to a webhook
///
/// The newest first.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{environment}/{id}/deliveries",
    operation_id = "listDeliveries",
    tag = "webhooks",
    params(
        ("environment" = String, Path, description = "Of which environment.",
            pattern = "^(staging|production)$", example = "staging"),
        ("id" = String, Path, description = "The webhook's id."),
        ("limit" = Option<i64>, Query, description = "How many at most.",
            minimum = 1, maximum = 100, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the part before."),
    ),
    responses((status = 200, description = "A part of the list.", body = Deliveries)),
)]
pub(super) async fn deliveries(
    Extension(by): Extension<Caller>,
    Named(place): Named<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let query = Query::of(query.as_deref(), &["limit", "cursor"])?;
    let limit = query.limit()?;
    let endpoint = find(&by, &place).await?;
    let list = List { by: &by, name: format!("deliveries {}", Uuid::from_bytes(endpoint.of.id)) };
    let before = list.after_id(&query).await?;
    let mut sent = webhook::deliveries(&by.site, &endpoint, before, limit + 1).await?;
    let next_cursor = list.cut(&mut sent, limit).map(|last| list.cursor(&last.id));
    Ok(by.answer(&Deliveries { items: sent.iter().map(Delivery::from).collect(), next_cursor }))
}

/// Read what was sent to a webhook
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{environment}/{id}/deliveries/{delivery}",
    operation_id = "readDelivery",
    tag = "webhooks",
    params(
        ("environment" = String, Path, description = "Of which environment.",
            pattern = "^(staging|production)$", example = "staging"),
        ("id" = String, Path, description = "The webhook's id."),
        ("delivery" = String, Path, description = "The delivery's id."),
    ),
    responses((status = 200, description = "The delivery.", body = Delivery)),
)]
pub(super) async fn delivery(
    Extension(by): Extension<Caller>,
    Named((environment, id, delivery)): Named<(String, String, String)>,
) -> Result<Response<Body>, Fault> {
    let endpoint = find(&by, &(environment, id)).await?;
    let sent = webhook::delivery(&by.site, &endpoint, id_of(&delivery)?).await?;
    Ok(by.answer(&Delivery::from(&sent)))
}

/// Send something again
///
/// With the same id and body, whether it was delivered or given up.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{environment}/{id}/deliveries/{delivery}/again",
    operation_id = "redeliver",
    tag = "webhooks",
    params(
        ("environment" = String, Path, description = "Of which environment.",
            pattern = "^(staging|production)$", example = "staging"),
        ("id" = String, Path, description = "The webhook's id."),
        ("delivery" = String, Path, description = "The delivery's id."),
    ),
    responses((status = 200, description = "The delivery, waiting.", body = Delivery)),
)]
pub(super) async fn again(
    Extension(by): Extension<Caller>,
    Named((environment, id, delivery)): Named<(String, String, String)>,
) -> Result<Response<Body>, Fault> {
    let endpoint = find(&by, &(environment, id)).await?;
    let sent = webhook::delivery(&by.site, &endpoint, id_of(&delivery)?).await?;
    webhook::redeliver(&by.site, &by.actor, &endpoint, sent.id).await?;
    let sent = webhook::delivery(&by.site, &endpoint, sent.id).await?;
    Ok(by.answer(&Delivery::from(&sent)))
}

async fn find(by: &Caller, (at, id): &(String, String)) -> Result<WebhookEndpoint, Fault> {
    let environment = environment(at).ok_or(Fault::NotFound)?;
    Ok(webhook::find(&by.site, &by.actor, environment, id_of(id)?).await?)
}

impl WebhookChanges {
    /// The whole webhook as it is to be.
    fn of(self, endpoint: &WebhookEndpoint) -> WebhookForm {
        let stands = &endpoint.settings;
        let events = || stands.events.iter().map(|event| event.name().to_owned()).collect();
        WebhookForm {
            url: self.url.unwrap_or_else(|| stands.url.clone()),
            events: self.events.unwrap_or_else(events),
            client_id: self
                .client_id
                .unwrap_or_else(|| stands.client_id.clone().unwrap_or_default()),
            enabled: self.enabled.unwrap_or(stands.enabled),
        }
    }
}

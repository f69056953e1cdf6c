//! Webhooks and what was sent to them.

use serde::Serialize;
use utoipa::ToSchema;

use super::{id, time};
use crate::store;
use crate::store::WebhookEndpoint;
use crate::webhook::{EventType, message_name};

/// Where a partner's own programs are told what happens to its apps.
#[derive(Serialize, ToSchema)]
pub(crate) struct Webhook {
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    environment: &'static str,
    url: String,
    /// What it wants to hear of.
    #[schema(example = json!(["grant.revoked"]))]
    events: Vec<&'static str>,
    /// Of this app alone; none for all that the partner has there.
    client_id: Option<String>,
    /// Whether anything is sent there.
    enabled: bool,
    /// Names what stands here; whoever changes the webhook says which version it read.
    version: String,
    /// One or two.
    secrets: Vec<HeldSecret>,
    #[schema(format = DateTime)]
    created_at: String,
    /// When something was sent there last.
    #[schema(format = DateTime)]
    tried_at: Option<String>,
    /// Of HTTP, of the last answer.
    status: Option<i64>,
    /// What was wrong the last time.
    fault: Option<String>,
    /// How many tries failed since the last that went well.
    failures: i64,
}

/// A secret of a webhook, as it is shown again.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct HeldSecret {
    /// Its place: 1 or 2.
    slot: i64,
    /// Its last characters.
    #[schema(example = "x9Q0=")]
    hint: String,
}

/// A webhook with a secret that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookWithSecret {
    webhook: Webhook,
    /// What signs its calls. It is shown this once.
    secret: String,
}

/// A part of a list of webhooks.
#[derive(Serialize, ToSchema)]
pub(crate) struct Webhooks {
    pub(crate) items: Vec<Webhook>,
    /// The parameter `cursor` of the next part; none where this is the last.
    pub(crate) next_cursor: Option<String>,
}

/// Something that was sent to a webhook, or is to be.
#[derive(Serialize, ToSchema)]
pub(crate) struct Delivery {
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    /// The header `webhook-id` of its call.
    #[schema(example = "msg_01890a5dac96774bbcceb302099a8057")]
    webhook_id: String,
    /// What it tells; none where this version does not know it.
    event: Option<&'static str>,
    /// What is posted, byte for byte: the signature is over it.
    body: String,
    state: DeliveryState,
    #[schema(format = DateTime)]
    created_at: String,
    /// How often it was tried.
    attempts: i64,
    #[schema(format = DateTime)]
    next_try_at: Option<String>,
    #[schema(format = DateTime)]
    delivered_at: Option<String>,
    #[schema(format = DateTime)]
    gave_up_at: Option<String>,
    /// Of HTTP, of the last answer.
    status: Option<i64>,
    /// What was wrong the last time.
    fault: Option<String>,
}

/// How a delivery stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DeliveryState {
    /// It is tried, again where it failed.
    Waiting,
    Delivered,
    GaveUp,
}

/// A part of what was sent to a webhook.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deliveries {
    pub(crate) items: Vec<Delivery>,
    /// The parameter `cursor` of the next part; none where this is the last.
    pub(crate) next_cursor: Option<String>,
}

impl From<&WebhookEndpoint> for Webhook {
    fn from(endpoint: &WebhookEndpoint) -> Webhook {
        let settings = &endpoint.settings;
        let slots = (1..).zip(endpoint.secrets.iter().cloned());
        let secrets = slots.filter_map(|(slot, hint)| Some(HeldSecret { slot, hint: hint? }));
        Webhook {
            id: id(endpoint.of.id),
            environment: endpoint.of.environment.as_str(),
            url: settings.url.clone(),
            events: settings.events.iter().map(|event| event.name()).collect(),
            client_id: settings.client_id.clone(),
            enabled: settings.enabled,
            version: settings.version(),
            secrets: secrets.collect(),
            created_at: time(endpoint.created_at),
            tried_at: endpoint.tried_at.map(time),
            status: endpoint.status,
            fault: endpoint.fault.clone(),
            failures: endpoint.failures,
        }
    }
}

impl WebhookWithSecret {
    pub(crate) fn of(endpoint: &WebhookEndpoint, secret: &str) -> WebhookWithSecret {
        WebhookWithSecret { webhook: endpoint.into(), secret: secret.to_owned() }
    }
}

impl From<&store::Delivery> for Delivery {
    fn from(delivery: &store::Delivery) -> Delivery {
        Delivery {
            id: id(delivery.id),
            webhook_id: message_name(delivery.id),
            event: delivery.event.map(EventType::name),
            body: delivery.body.clone(),
            state: match (delivery.delivered_at, delivery.gave_up_at) {
                (Some(_), _) => DeliveryState::Delivered,
                (None, Some(_)) => DeliveryState::GaveUp,
                (None, None) => DeliveryState::Waiting,
            },
            created_at: time(delivery.created_at),
            attempts: delivery.attempts,
            next_try_at: delivery.next_try_at.map(time),
            delivered_at: delivery.delivered_at.map(time),
            gave_up_at: delivery.gave_up_at.map(time),
            status: delivery.status,
            fault: delivery.fault.clone(),
        }
    }
}

//! Webhooks: the list, the form, and what was delivered.

use askama::Template;

use super::{Form, Shell};
use crate::pages::filters;

/// All webhooks of a partner.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/webhooks.html")]
pub(crate) struct WebhooksPage {
    pub(crate) shell: Shell,
    pub(crate) webhooks: Vec<WebhookLine>,
}

/// One webhook in a list.
#[derive(Debug, Clone)]
pub(crate) struct WebhookLine {
    pub(crate) path: String,
    pub(crate) url: String,
    pub(crate) environment: &'static str,
    pub(crate) events: String,
    pub(crate) words: &'static str,
    pub(crate) class: &'static str,
    /// What the last try came to.
    pub(crate) last: String,
}

/// The form that makes or changes one. Posts `url`, `environment`, `events` (repeated), `client_id`,
/// `enabled`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/webhook_form.html")]
pub(crate) struct WebhookFormPage {
    pub(crate) shell: Shell,
    pub(crate) form: Form,
    pub(crate) events: Vec<EventChoice>,
}

/// An event that may be ticked.
#[derive(Debug, Clone)]
pub(crate) struct EventChoice {
    pub(crate) name: &'static str,
    pub(crate) sentence: &'static str,
    pub(crate) ticked: bool,
}

/// One webhook.
#[derive(Clone, Template)]
#[template(path = "portal/webhook.html")]
pub(crate) struct WebhookPage {
    pub(crate) shell: Shell,
    pub(crate) form: Form,
    pub(crate) path: String,
    pub(crate) line: WebhookLine,
    pub(crate) enabled: bool,
    pub(crate) events: Vec<EventChoice>,
    /// The places in which there is a secret, each with its last characters.
    pub(crate) secrets: Vec<(u8, String)>,
    /// What the editor sees, by name.
    pub(crate) version: String,
    /// A secret that was just made: this page alone shows it.
    pub(crate) new_secret: Option<String>,
    pub(crate) deliveries: Vec<DeliveryLine>,
    /// The address of the next part.
    pub(crate) next: Option<String>,
}

/// One delivery.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryLine {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) when: String,
    pub(crate) words: String,
    pub(crate) class: &'static str,
    pub(crate) body: String,
    /// Whether it may be sent again.
    pub(crate) again: bool,
}

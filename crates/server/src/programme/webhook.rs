//! Webhooks of a partner: where its own programs are told what happens to its clients.
//!
//! Owners and developers set them up alike. The secret that signs is shown once, and two may stand
//! side by side, as with clients.

use grantor_protocol::environment::Environment;

use super::{Actor, FieldFault, Refused};
use crate::site::Site;
use crate::store::{
    Act, Delivery, EndpointOfPartner, EndpointSettings, MOST_ENDPOINTS, WebhookEndpoint,
};
use crate::throttle::{Credential, Subject};
use crate::webhook::{Event, EventType, Notice, WebhookSecret};

/// No address is longer, in bytes.
const MAX_URL_BYTES: usize = 500;

/// An endpoint as a partner describes it.
#[derive(Clone, Debug, Default)]
pub struct WebhookForm {
    /// Where it is.
    pub url: String,
    /// What it wants to hear of, by name.
    pub events: Vec<String>,
    /// Of this client alone; empty for all.
    pub client_id: String,
    /// Whether anything is sent there.
    pub enabled: bool,
}

/// Adds an endpoint. Answers with its secret, which is shown this once.
///
/// # Errors
/// [`Refused`]
pub async fn add(
    site: &Site,
    actor: &Actor,
    environment: Environment,
    form: &WebhookForm,
) -> Result<(EndpointOfPartner, WebhookSecret), Refused> {
    let partner_id = actor.partner_id().ok_or(Refused::NotAllowed)?;
    let settings = check(site, form)?;
    actor.takes_turn(site).await?;
    let of = EndpointOfPartner { environment, id: site.random.id(&site.clock), partner_id };
    let secret = WebhookSecret::generate(&site.random);
    let words = ("webhook.added", described(&settings));
    let act = noted(site, actor, (environment, &settings), words);
    if site.keys.add_webhook_endpoint(&of, &settings, (&secret, &act)).await? {
        return Ok((of, secret));
    }
    let held = site.store.webhook_endpoints(environment, partner_id).await?.len();
    Err(match i64::try_from(held) {
        Ok(held) if held < MOST_ENDPOINTS => {
            fault("client_id", "Your organisation has no such app there.")
        }
        _ => Refused::Conflict(format!(
            "Your organisation has {MOST_ENDPOINTS} webhooks on {environment}, and that is the most."
        )),
    })
}

/// Changes an endpoint. `version` names what the editor saw: of two who change the same one the second
/// is told so.
///
/// # Errors
/// [`Refused`]
pub async fn change(
    site: &Site,
    actor: &Actor,
    endpoint: &WebhookEndpoint,
    (version, form): (&str, &WebhookForm),
) -> Result<(), Refused> {
    actor.of_partner(endpoint.of.partner_id)?;
    let changed = || {
        Refused::Conflict(
            "Somebody else changed this webhook since you read it. Nothing of yours was saved."
                .to_owned(),
        )
    };
    if endpoint.settings.version() != version {
        return Err(changed());
    }
    let settings = check(site, form)?;
    actor.takes_turn(site).await?;
    let environment = endpoint.of.environment;
    let words = ("webhook.changed", difference(&endpoint.settings, &settings));
    let act = noted(site, actor, (environment, &settings), words);
    let change = (endpoint, &settings);
    if site.store.change_webhook_endpoint(&endpoint.of, change, &act).await? {
        return Ok(());
    }
    let now = find(site, actor, endpoint.of.environment, endpoint.of.id).await?;
    match settings.client_id.is_some() && now.settings == endpoint.settings {
        true => Err(fault("client_id", "Your organisation has no such app there.")),
        false => Err(changed()),
    }
}

/// Removes an endpoint with all that waits for it.
///
/// # Errors
/// [`Refused`]
pub async fn remove(site: &Site, actor: &Actor, endpoint: &WebhookEndpoint) -> Result<(), Refused> {
    actor.of_partner(endpoint.of.partner_id)?;
    let act = about(site, actor, endpoint, "webhook.removed");
    match site.store.remove_webhook_endpoint(&endpoint.of, &act).await? {
        true => Ok(()),
        false => Err(Refused::NotFound),
    }
}

/// Makes a second secret, which signs beside the first.
///
/// # Errors
/// [`Refused`]: there is never a third.
pub async fn add_secret(
    site: &Site,
    actor: &Actor,
    endpoint: &WebhookEndpoint,
) -> Result<WebhookSecret, Refused> {
    actor.of_partner(endpoint.of.partner_id)?;
    actor.takes_turn(site).await?;
    let secret = WebhookSecret::generate(&site.random);
    let act = about(site, actor, endpoint, "webhook.secret_added");
    match site.keys.add_webhook_secret(&endpoint.of, (&secret, &act)).await? {
        Some(_) => Ok(secret),
        None => Err(Refused::Conflict("It has two secrets, and there is never a third.".into())),
    }
}

/// Removes one of two secrets.
///
/// # Errors
/// [`Refused`]: the last one stays.
pub async fn remove_secret(
    site: &Site,
    actor: &Actor,
    endpoint: &WebhookEndpoint,
    slot: u8,
) -> Result<(), Refused> {
    actor.of_partner(endpoint.of.partner_id)?;
    let act = about(site, actor, endpoint, "webhook.secret_removed");
    match site.store.remove_webhook_secret(&endpoint.of, slot, &act).await? {
        true => Ok(()),
        false => Err(Refused::Conflict("The only secret stays: make a second one first.".into())),
    }
}

/// Sends a test about a client to the endpoint, and to no other.
///
/// # Errors
/// [`Refused`]
pub async fn ping(site: &Site, actor: &Actor, endpoint: &WebhookEndpoint) -> Result<(), Refused> {
    actor.of_partner(endpoint.of.partner_id)?;
    let (environment, partner_id) = (endpoint.of.environment, endpoint.of.partner_id);
    let client_id = match &endpoint.settings.client_id {
        Some(client_id) => client_id.clone(),
        None => {
            let apps = site.store.apps_of(partner_id, environment, "", 1).await?;
            let first = apps.into_iter().next().ok_or_else(|| {
                Refused::Conflict("A test is about an app, and there is none yet.".to_owned())
            })?;
            first.client.id
        }
    };
    if !endpoint.settings.events.contains(&EventType::Ping) {
        return Err(Refused::Conflict(
            "This webhook does not want tests: tick ping, and save it first.".to_owned(),
        ));
    }
    take_call(site, partner_id).await?;
    let notice = Notice::new((&site.clock, &site.random), environment, &client_id, Event::Ping);
    let act = about(site, actor, endpoint, "webhook.tried");
    match site.store.tell_endpoint(&endpoint.of, &notice, &act).await? {
        true => Ok(()),
        false => Err(Refused::Conflict(
            "This webhook is switched off, or wants no tests any more.".to_owned(),
        )),
    }
}

/// Counts a call that somebody asks for: whose door it knocks at, nobody here knows.
async fn take_call(site: &Site, partner_id: [u8; 16]) -> Result<(), Refused> {
    let subject = Subject::new(Credential::WebhookCall, &partner_id);
    Ok(site.throttle.count_named(&subject).await?)
}

/// Sends something again that was delivered or given up.
///
/// # Errors
/// [`Refused`]
pub async fn redeliver(
    site: &Site,
    actor: &Actor,
    endpoint: &WebhookEndpoint,
    id: [u8; 16],
) -> Result<(), Refused> {
    actor.of_partner(endpoint.of.partner_id)?;
    take_call(site, endpoint.of.partner_id).await?;
    let act = about(site, actor, endpoint, "webhook.redelivered");
    match site.store.redeliver(&endpoint.of, id, &act).await? {
        true => Ok(()),
        false => Err(Refused::Conflict(
            "It is under way already, or the webhook is switched off.".to_owned(),
        )),
    }
}

/// An endpoint of the actor's partner.
///
/// # Errors
/// [`Refused::NotFound`]
pub async fn find(
    site: &Site,
    actor: &Actor,
    environment: Environment,
    id: [u8; 16],
) -> Result<WebhookEndpoint, Refused> {
    let partner_id = actor.partner_id().ok_or(Refused::NotFound)?;
    let held = site.store.webhook_endpoints(environment, partner_id).await?;
    held.into_iter().find(|held| held.of.id == id).ok_or(Refused::NotFound)
}

/// The endpoints of the actor's partner in an environment, the oldest first.
///
/// # Errors
/// [`Refused::NotAllowed`] for staff, which has none.
pub async fn list(
    site: &Site,
    actor: &Actor,
    environment: Environment,
) -> Result<Vec<WebhookEndpoint>, Refused> {
    let partner_id = actor.partner_id().ok_or(Refused::NotAllowed)?;
    Ok(site.store.webhook_endpoints(environment, partner_id).await?)
}

/// What was sent to an endpoint, the newest first.
///
/// # Errors
/// [`Refused`]
pub async fn deliveries(
    site: &Site,
    endpoint: &WebhookEndpoint,
    before: Option<[u8; 16]>,
    most: i64,
) -> Result<Vec<Delivery>, Refused> {
    Ok(site.store.deliveries(&endpoint.of, before, most).await?)
}

/// One of them.
///
/// # Errors
/// [`Refused::NotFound`]
pub async fn delivery(
    site: &Site,
    endpoint: &WebhookEndpoint,
    id: [u8; 16],
) -> Result<Delivery, Refused> {
    site.store.delivery(&endpoint.of, id).await?.ok_or(Refused::NotFound)
}

fn check(site: &Site, form: &WebhookForm) -> Result<EndpointSettings, Refused> {
    let mut faults = Vec::new();
    let url = form.url.trim();
    if url.len() > MAX_URL_BYTES || !site.outbound.takes(url) {
        faults.push(FieldFault {
            field: "url",
            words: "Write an address that begins with https:// and can be reached from the open \
                    internet, without a name, a password or a fragment."
                .to_owned(),
        });
    }
    let mut events: Vec<EventType> = Vec::new();
    for name in &form.events {
        match EventType::parse(name) {
            Some(event) if events.contains(&event) => {}
            Some(event) => events.push(event),
            None => {
                let words = "One of these is no event of this server.".to_owned();
                faults.push(FieldFault { field: "events", words });
            }
        }
    }
    if form.events.is_empty() {
        faults.push(FieldFault { field: "events", words: "Choose at least one.".to_owned() });
    }
    if !faults.is_empty() {
        return Err(Refused::Fields(faults));
    }
    let client_id = Some(form.client_id.trim()).filter(|id| !id.is_empty());
    Ok(EndpointSettings {
        client_id: client_id.map(str::to_owned),
        url: url.to_owned(),
        events,
        enabled: form.enabled,
    })
}

fn fault(field: &'static str, words: &str) -> Refused {
    Refused::Fields(vec![FieldFault { field, words: words.to_owned() }])
}

fn about(site: &Site, actor: &Actor, endpoint: &WebhookEndpoint, name: &'static str) -> Act {
    let of = (endpoint.of.environment, &endpoint.settings);
    noted(site, actor, of, (name, described(&endpoint.settings)))
}

/// An entry of the log about an endpoint, and about its app where it is of one alone.
fn noted(
    site: &Site,
    actor: &Actor,
    (environment, settings): (Environment, &EndpointSettings),
    (name, words): (&'static str, String),
) -> Act {
    let mut act = actor.act(site, name, format!("{environment}: {words}"));
    act.client_id.clone_from(&settings.client_id);
    act
}

fn described(settings: &EndpointSettings) -> String {
    let events: Vec<&str> = settings.events.iter().map(|event| event.name()).collect();
    let state = if settings.enabled { "on" } else { "off" };
    format!("{}, of {}, {state}", address(&settings.url), events.join(" "))
}

/// What changed, in words.
fn difference(seen: &EndpointSettings, new: &EndpointSettings) -> String {
    match (described(seen), described(new)) {
        (seen, new) if seen == new => format!("{new}; another query or app"),
        (seen, new) => format!("{seen} → {new}"),
    }
}

/// An address without its query, which may hold what opens the receiver: the log is for ever.
fn address(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

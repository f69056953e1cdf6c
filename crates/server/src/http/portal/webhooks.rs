//! Webhooks: the list, adding, changing, what was delivered.

use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::{Response, StatusCode};
use grantor_protocol::environment::Environment;
use grantor_protocol::parameters::Parameters;
use uuid::Uuid;

use super::apps::moment;
use super::fault::Fault;
use super::part::{PAGE, cut};
use super::visit::{Posted, SignedIn};
use crate::pages::portal::{
    DeliveryLine, EventChoice, Form, WebhookFormPage, WebhookLine, WebhookPage, WebhooksPage,
};
use crate::programme::webhook::{self, WebhookForm};
use crate::programme::{Actor, Refused};
use crate::store::{Delivery, WebhookEndpoint};
use crate::webhook::EventType;

/// The list.
pub(super) async fn list(by: SignedIn) -> Result<Response<Body>, Fault> {
    by.person.role.partner_id().ok_or(Fault::NotFound)?;
    let mut webhooks = Vec::new();
    for environment in Environment::ALL {
        let held = webhook::list(&by.visit.site, &Actor::from(&by.person), environment).await?;
        webhooks.extend(held.iter().map(line));
    }
    let page = WebhooksPage { shell: by.visit.shell("webhooks"), webhooks };
    Ok(by.visit.page(StatusCode::OK, &page))
}

/// The form that adds one.
pub(super) async fn new(by: SignedIn) -> Result<Response<Body>, Fault> {
    by.person.role.partner_id().ok_or(Fault::NotFound)?;
    Ok(form_page(&by, StatusCode::OK, Form::default(), |_| true))
}

/// Adds one, and shows its secret this once.
pub(super) async fn add(posted: Posted) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let environment = match form.value("environment") {
        Some("production") => Environment::Production,
        _ => Environment::Staging,
    };
    let actor = Actor::from(&by.person);
    match webhook::add(&by.visit.site, &actor, environment, &read(&form)).await {
        Ok((of, secret)) => {
            let added = webhook::find(&by.visit.site, &actor, environment, of.id).await?;
            let secret = secret.to_text().to_string();
            show_one(&by, &added, (StatusCode::OK, as_form(&added)), Some(secret), None).await
        }
        Err(Refused::Fields(faults)) => {
            let ticked: Vec<&str> = form.values("events").collect();
            let again = Form::again(&form, faults);
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(form_page(&by, status, again, |event| ticked.contains(&event.name())))
        }
        Err(refused) => Err(refused.into()),
    }
}

/// One of them.
pub(super) async fn show(
    by: SignedIn,
    Path((environment, id)): Path<(String, Uuid)>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let endpoint = find(&by, &environment, id).await?;
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let before = parameters.value("before").and_then(|id| Uuid::parse_str(id).ok());
    let form = (StatusCode::OK, as_form(&endpoint));
    show_one(&by, &endpoint, form, None, before.map(Uuid::into_bytes)).await
}

/// Changes one.
pub(super) async fn change(
    Path((environment, id)): Path<(String, Uuid)>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let endpoint = find(&by, &environment, id).await?;
    let actor = Actor::from(&by.person);
    let version = form.value("version").unwrap_or_default();
    match webhook::change(&by.visit.site, &actor, &endpoint, (version, &read(&form))).await {
        Ok(()) => Ok(by.visit.go(&path(&endpoint))),
        Err(Refused::Fields(faults)) => {
            let form = (StatusCode::UNPROCESSABLE_ENTITY, Form::again(&form, faults));
            show_one(&by, &endpoint, form, None, None).await
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Removes one.
pub(super) async fn remove(
    Path((environment, id)): Path<(String, Uuid)>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let endpoint = find(&by, &environment, id).await?;
    webhook::remove(&by.visit.site, &Actor::from(&by.person), &endpoint).await?;
    Ok(by.visit.go("/webhooks"))
}

/// Makes a second secret, and shows it this once.
pub(super) async fn add_secret(
    Path((environment, id)): Path<(String, Uuid)>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let endpoint = find(&by, &environment, id).await?;
    let actor = Actor::from(&by.person);
    let secret = webhook::add_secret(&by.visit.site, &actor, &endpoint).await?;
    let endpoint = find(&by, &environment, id).await?;
    let secret = secret.to_text().to_string();
    show_one(&by, &endpoint, (StatusCode::OK, as_form(&endpoint)), Some(secret), None).await
}

/// Removes a secret.
pub(super) async fn remove_secret(
    Path((environment, id, slot)): Path<(String, Uuid, u8)>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let endpoint = find(&by, &environment, id).await?;
    webhook::remove_secret(&by.visit.site, &Actor::from(&by.person), &endpoint, slot).await?;
    Ok(by.visit.go(&path(&endpoint)))
}

/// Sends a test.
pub(super) async fn ping(
    Path((environment, id)): Path<(String, Uuid)>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let endpoint = find(&by, &environment, id).await?;
    webhook::ping(&by.visit.site, &Actor::from(&by.person), &endpoint).await?;
    Ok(by.visit.go(&path(&endpoint)))
}

/// Sends something again.
pub(super) async fn again(
    Path((environment, id, delivery)): Path<(String, Uuid, Uuid)>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let endpoint = find(&by, &environment, id).await?;
    let actor = Actor::from(&by.person);
    webhook::redeliver(&by.visit.site, &actor, &endpoint, delivery.into_bytes()).await?;
    Ok(by.visit.go(&path(&endpoint)))
}

async fn find(by: &SignedIn, environment: &str, id: Uuid) -> Result<WebhookEndpoint, Fault> {
    let environment = Environment::parse(environment).ok_or(Fault::NotFound)?;
    let actor = Actor::from(&by.person);
    Ok(webhook::find(&by.visit.site, &actor, environment, id.into_bytes()).await?)
}

async fn show_one(
    by: &SignedIn,
    endpoint: &WebhookEndpoint,
    (status, form): (StatusCode, Form),
    new_secret: Option<String>,
    before: Option<[u8; 16]>,
) -> Result<Response<Body>, Fault> {
    let site = &by.visit.site;
    let mut sent = webhook::deliveries(site, endpoint, before, PAGE + 1).await?;
    let path = path(endpoint);
    let next = cut(&mut sent, PAGE);
    let next = next.map(|last| format!("{path}?before={}", Uuid::from_bytes(last.id)));
    let settings = &endpoint.settings;
    let page = WebhookPage {
        shell: by.visit.shell("webhooks"),
        form,
        line: line(endpoint),
        enabled: settings.enabled,
        events: choices(|event| settings.events.contains(&event)),
        secrets: (1..)
            .zip(endpoint.secrets.iter().cloned())
            .filter_map(|(slot, hint)| Some((slot, hint?)))
            .collect(),
        new_secret,
        next,
        deliveries: sent.into_iter().map(delivered).collect(),
        version: settings.version(),
        path,
    };
    Ok(by.visit.page(status, &page))
}

fn delivered(delivery: Delivery) -> DeliveryLine {
    let status = delivery.status.map_or_else(String::new, |status| format!(" ({status})"));
    let fault = delivery.fault.unwrap_or_default();
    let tries = match delivery.attempts {
        1 => "1 try".to_owned(),
        tries => format!("{tries} tries"),
    };
    let (words, class) = match (delivery.delivered_at, delivery.gave_up_at, delivery.next_try_at) {
        (Some(_), _, _) => (format!("Delivered{status}, {tries}"), "state-good"),
        (_, Some(_), _) => (format!("Given up{status}, {tries}. {fault}"), "state-bad"),
        (_, _, Some(at)) if delivery.attempts > 0 => {
            (format!("{tries}{status}. {fault} Next {}", moment(at)), "state-waiting")
        }
        _ => ("Waiting".to_owned(), "state-waiting"),
    };
    DeliveryLine {
        id: Uuid::from_bytes(delivery.id).to_string(),
        event: delivery.event.map_or("unknown", EventType::name).to_owned(),
        when: moment(delivery.created_at),
        words,
        class,
        body: delivery.body,
        again: delivery.next_try_at.is_none(),
    }
}

fn form_page(
    by: &SignedIn,
    status: StatusCode,
    form: Form,
    ticked: impl Fn(EventType) -> bool,
) -> Response<Body> {
    let shell = by.visit.shell("webhooks");
    by.visit.page(status, &WebhookFormPage { shell, form, events: choices(ticked) })
}

fn choices(ticked: impl Fn(EventType) -> bool) -> Vec<EventChoice> {
    EventType::ALL
        .into_iter()
        .map(|event| EventChoice {
            name: event.name(),
            sentence: event.words(),
            ticked: ticked(event),
        })
        .collect()
}

fn as_form(endpoint: &WebhookEndpoint) -> Form {
    Form::of(&[
        ("url", &endpoint.settings.url),
        ("client_id", endpoint.settings.client_id.as_deref().unwrap_or_default()),
    ])
}

fn read(form: &Parameters) -> WebhookForm {
    let text = |name: &str| form.value(name).unwrap_or_default().to_owned();
    WebhookForm {
        url: text("url"),
        events: form.values("events").map(str::to_owned).collect(),
        client_id: text("client_id"),
        enabled: form.value("enabled").is_some(),
    }
}

fn path(endpoint: &WebhookEndpoint) -> String {
    let id = Uuid::from_bytes(endpoint.of.id);
    format!("/webhooks/{}/{id}", endpoint.of.environment)
}

fn line(endpoint: &WebhookEndpoint) -> WebhookLine {
    let settings = &endpoint.settings;
    let (words, class) = match (settings.enabled, endpoint.failures) {
        (false, _) => ("Switched off", ""),
        (true, 0) => ("Works", "state-good"),
        (true, _) => ("Failing", "state-bad"),
    };
    let last = match (endpoint.tried_at, &endpoint.fault) {
        (None, _) => "Nothing was sent yet".to_owned(),
        (Some(at), None) => format!("Last sent {}", moment(at)),
        (Some(at), Some(fault)) => format!("{} {fault}", moment(at)),
    };
    let events: Vec<&str> = settings.events.iter().map(|event| event.name()).collect();
    WebhookLine {
        path: path(endpoint),
        url: settings.url.clone(),
        environment: endpoint.of.environment.as_str(),
        events: events.join(", "),
        words,
        class,
        last,
    }
}

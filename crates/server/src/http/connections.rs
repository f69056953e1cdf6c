//! `/connections`: what a customer has connected, and its end (U10).
//!
//! 1. sign in, and show each app with what is known of it;
//! 2. disconnecting one app, or all of them after one more question, takes back what was allowed: the
//!    grants end for the very next call in every process, and the app has to ask again;
//! 3. answer by 303; the page then says what ended, and within what time.

mod apps;

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::HeaderMap;
use axum::http::{Response, StatusCode, Uri};
use grantor_protocol::api::AccessTokenFormat;
use grantor_protocol::parameters::Parameters;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::account::{Done, Fault, Visit};
use super::answer::{self, frame};
use super::authorize::consent_words::duration;
use super::request::RequestId;
use crate::http::ClientAddress;
use crate::pages::{ConnectedApp, ConnectionsPage, DisconnectAllPage};
use crate::site::Site;
use crate::store::{Along, Session};
use crate::webhook::{Ended, EndedBy, Event, Notice};

const HERE: &str = "/connections";
/// How many apps one page shows.
const PAGE: usize = 50;

/// Shows what is connected.
pub(super) async fn get(
    State(site): State<Arc<Site>>,
    (Extension(request_id), Extension(ClientAddress(address))): (
        Extension<RequestId>,
        Extension<ClientAddress>,
    ),
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let answered = match Visit::load(&site, (&request_id, address), HERE, (&uri, &headers)).await {
        Ok(visit) => match &visit.session {
            Some(session) => page(&visit, session, uri.query()).await,
            None => Ok(visit.sign_in_page()),
        },
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| fault.answer(&site, &request_id))
}

/// Takes a form.
pub(super) async fn post(
    State(site): State<Arc<Site>>,
    (Extension(request_id), Extension(ClientAddress(address))): (
        Extension<RequestId>,
        Extension<ClientAddress>,
    ),
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let answered = match Visit::load(&site, (&request_id, address), HERE, (&uri, &headers)).await {
        Ok(visit) => carry_out(&visit, &headers, &body).await,
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| fault.answer(&site, &request_id))
}

/// Asks once more before all are disconnected: a slip here stops every app of a business.
pub(super) async fn ask_for_all(
    State(site): State<Arc<Site>>,
    (Extension(request_id), Extension(ClientAddress(address))): (
        Extension<RequestId>,
        Extension<ClientAddress>,
    ),
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let answered = match Visit::load(&site, (&request_id, address), HERE, (&uri, &headers)).await {
        Ok(visit) => match &visit.session {
            Some(session) => question(&visit, session).await,
            None => Ok(visit.back()),
        },
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| fault.answer(&site, &request_id))
}

async fn page(
    visit: &Visit<'_>,
    session: &Session,
    query: Option<&str>,
) -> Result<Response<Body>, Fault> {
    let site = visit.site;
    let apps = apps::load(site, session).await?;
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let (count, done) = (apps.len(), told(visit, &apps).await?);
    let (apps, next) = part(apps, parameters.value("after"));
    let page = ConnectionsPage {
        frame: frame(site, visit.request_id),
        account_email: session.email.clone(),
        csrf_token: visit.browser.form_token(site),
        done,
        count,
        apps,
        next,
        what_ends: what_ends(site),
        renewed_every: duration(site.settings.access_token_ttl_seconds),
    };
    Ok(answer::page(site, StatusCode::OK, &page, None))
}

/// The apps behind the one of that id, as many as a page shows, and where the next part is. Where that
/// one is gone, it begins again.
fn part(mut apps: Vec<ConnectedApp>, after: Option<&str>) -> (Vec<ConnectedApp>, Option<String>) {
    let at = after.and_then(|after| apps.iter().position(|app| app.client_id == after));
    let first = at.map(|at| at + 1).filter(|first| *first < apps.len()).unwrap_or_default();
    let mut shown = apps.split_off(first);
    let more = shown.len() > PAGE;
    shown.truncate(PAGE);
    let next = shown.last().filter(|_| more).map(|last| {
        format!("{HERE}?after={}", utf8_percent_encode(&last.client_id, NON_ALPHANUMERIC))
    });
    (shown, next)
}

async fn question(visit: &Visit<'_>, session: &Session) -> Result<Response<Body>, Fault> {
    let site = visit.site;
    let apps = apps::load(site, session).await?;
    if apps.is_empty() {
        return Ok(visit.back());
    }
    let page = DisconnectAllPage {
        frame: frame(site, visit.request_id),
        csrf_token: visit.browser.form_token(site),
        names: apps.into_iter().map(|app| app.app.name).collect(),
        what_ends: what_ends(site),
    };
    Ok(answer::page(site, StatusCode::OK, &page, None))
}

async fn carry_out(
    visit: &Visit<'_>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response<Body>, Fault> {
    let form = visit.form(headers, body)?;
    match (form.value("step"), &visit.session) {
        (Some("sign_in"), _) => visit.sign_in(&form).await,
        (Some("disconnect"), Some(session)) => {
            disconnect(visit, session, form.value("client_id").unwrap_or_default()).await
        }
        (Some("disconnect_all"), Some(session)) => disconnect_all(visit, session).await,
        _ => Ok(visit.back()),
    }
}

/// One app. Of what this customer did not connect nothing is ended, and nothing noted.
async fn disconnect(
    visit: &Visit<'_>,
    session: &Session,
    client_id: &str,
) -> Result<Response<Body>, Fault> {
    let (site, customer) = (visit.site, session.customer_id);
    if !apps::load(site, session).await?.iter().any(|app| app.client_id == client_id) {
        return Ok(visit.back());
    }
    let notice = notice(site, session, client_id);
    site.store
        .end_grants_of_customer_and_client(
            site.environment,
            customer,
            client_id,
            Along::Told(&[notice]),
        )
        .await?;
    tracing::info!(request.id = visit.request_id.0, client.id = client_id, "connection.ended");
    let done = Done::Disconnected { client_id: client_id.to_owned() };
    Ok(visit.back_with(&done, &visit.browser))
}

async fn disconnect_all(visit: &Visit<'_>, session: &Session) -> Result<Response<Body>, Fault> {
    let (site, customer) = (visit.site, session.customer_id);
    let clients = site.store.clients_allowed_by(site.environment, customer).await?;
    let notices: Vec<Notice> = clients.iter().map(|id| notice(site, session, id)).collect();
    site.store.end_grants_and_consents_of_customer(site.environment, customer, &notices).await?;
    tracing::info!(request.id = visit.request_id.0, "connection.all_ended");
    Ok(visit.back_with(&Done::DisconnectedAll, &visit.browser))
}

/// What the programs of the app's partner are told, so that it can say "reconnect".
fn notice(site: &Site, session: &Session, client_id: &str) -> Notice {
    let ended = Ended::OfCustomer { customer_id: session.customer_id };
    let event = Event::GrantRevoked { ended, by: EndedBy::Customer };
    Notice::new((&site.clock, &site.random), site.environment, client_id, event)
}

/// What was done right before, as long as it is still so.
async fn told(visit: &Visit<'_>, apps: &[ConnectedApp]) -> Result<Option<String>, Fault> {
    let site = visit.site;
    let what = match &visit.done {
        Some(Done::Disconnected { client_id }) => {
            if apps.iter().any(|app| app.client_id == *client_id) {
                return Ok(None);
            }
            let record = site.store.client_seen_from(site.environment, client_id).await?;
            let Some(record) = record else {
                return Ok(None);
            };
            format!("{} is disconnected.", record.client.name)
        }
        Some(Done::DisconnectedAll) if apps.is_empty() => "All apps are disconnected.".to_owned(),
        Some(Done::DisconnectedAll | Done::PasswordChanged) | None => return Ok(None),
    };
    let again = "You can connect again at any time: begin in the app.";
    Ok(Some(format!("{what} {} {again}", what_ends(site))))
}

/// What ends, and within what time, as docs/guides/connected-apps.md says it. A signed token is
/// checked by an API without asking here, so there it lives on until its time is over.
fn what_ends(site: &Site) -> String {
    let settings = &site.settings;
    let mut formats = settings.apis.iter().map(|api| api.access_tokens);
    match formats.any(|format| format != AccessTokenFormat::Sealed) {
        false => "Access ends at once, and cannot be renewed.".to_owned(),
        true => format!(
            "Access cannot be renewed any more. It ends at once at some APIs, and within {} at \
             the others.",
            duration(settings.access_token_ttl_seconds)
        ),
    }
}

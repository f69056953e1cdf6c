//! Requests: the queue, one of them, asking, answering, deciding.

use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::{Response, StatusCode};
use grantor_protocol::environment::Environment;
use grantor_protocol::parameters::Parameters;
use grantor_protocol::redirect_uri::RedirectUri;
use uuid::Uuid;

use super::apps::{self, moment};
use super::fault::Fault;
use super::log::report_lines;
use super::logo;
use super::part::{PAGE, cut};
use super::visit::{Posted, SignedIn};
use crate::catalogue::{changes_something, sentence};
use crate::pages::portal::{
    DiffChange, DiffLine, Form, RequestFormPage, RequestLine, RequestPage, RequestsPage,
    ScopeChoice, Standing, View,
};
use crate::programme::app::{self, hosts};
use crate::programme::log::shown_on_staging;
use crate::programme::request::{self, Change, Decision, Item, RequestForm};
use crate::programme::{Actor, Refused};
use crate::store::{Asked, AuditOf, ClientRecord, ProgrammeRequest, RequestKind, RequestState};

/// How many steps one page tells.
const STEPS: i64 = 50;

/// The queue of a manager, or all requests of a partner.
pub(super) async fn list(by: SignedIn, RawQuery(query): RawQuery) -> Result<Response<Body>, Fault> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let state = parameters.value("state").and_then(RequestState::parse);
    let state = state.unwrap_or(RequestState::Waiting);
    let after = parameters.value("after").and_then(id_of);
    let staff = by.person.role.is_staff();
    let actor = Actor::from(&by.person);
    let part = (after, PAGE + 1);
    let mut requests = request::list(&by.visit.site, &actor, staff.then_some(state), part).await?;
    let next = cut(&mut requests, PAGE)
        .map(|last| format!("/requests?state={}&after={}", state.as_str(), shown_id(last.id)));
    let views = [
        (RequestState::Waiting, "To decide"),
        (RequestState::AskedBack, "Asked back"),
        (RequestState::Approved, "Approved"),
        (RequestState::Declined, "Declined"),
    ];
    let now = by.visit.site.clock.now();
    let page = RequestsPage {
        shell: by.visit.shell("requests"),
        staff,
        views: views
            .iter()
            .map(|(view, words)| View {
                path: format!("/requests?state={}", view.as_str()),
                words,
                current: *view == state,
            })
            .collect(),
        requests: requests.iter().map(|request| line(request, now)).collect(),
        next,
    };
    Ok(by.visit.page(StatusCode::OK, &page))
}

fn line(request: &ProgrammeRequest, now: i64) -> RequestLine {
    let (uris, _) = request::widened(&request.asked);
    RequestLine {
        id: shown_id(request.id),
        title: title(request),
        partner: request.partner.clone(),
        state: standing(request.state),
        age: age(request, now),
        hosts: hosts(&uris).join("  "),
        name: request.asked.name.clone(),
        logo: logo(request),
    }
}

/// One request.
pub(super) async fn show(by: SignedIn, Path(id): Path<String>) -> Result<Response<Body>, Fault> {
    let request = find(&by, &id).await?;
    shown(&by, &request, StatusCode::OK, Form::default()).await
}

async fn shown(
    by: &SignedIn,
    request: &ProgrammeRequest,
    status: StatusCode,
    form: Form,
) -> Result<Response<Body>, Fault> {
    let site = &by.visit.site;
    let actor = Actor::from(&by.person);
    let record = app::find(site, &actor, &request.client_id).await?;
    let report = shown_on_staging(site, &actor, request, &record).await?;
    let asked = &request.asked;
    let difference = request::difference(request, &record);
    let staff = by.person.role.is_staff();
    let decided = request.decided_by.as_ref().zip(request.decided_at);
    let page = RequestPage {
        shell: by.visit.shell("requests"),
        id: shown_id(request.id),
        version: request.version,
        title: title(request),
        name: request.asked.name.clone(),
        logo: logo(request),
        partner: request.partner.clone(),
        verified: record.client.partner.verified,
        client_id: request.client_id.clone(),
        standing: standing(request.state),
        asked_by: request.asked_by.clone(),
        asked_when: age(request, site.clock.now()),
        contact: asked.contact.clone(),
        message: asked.message.clone(),
        facts: facts(request, &record),
        changes: [
            ("Hosts that codes go to", lines(&difference.hosts, |_| Vec::new())),
            ("Redirect URIs", lines(&difference.redirect_uris, |_| Vec::new())),
            ("Scopes", lines(&difference.scopes, |scope| notes(scope, asked))),
        ],
        note: request.note.clone(),
        decided: decided.map(|(by, at)| format!("{by}, {}", moment(at))),
        made_client_id: request.made_client_id.clone(),
        report: report.map(|(id, report)| (id, report_lines(&report))),
        decides: staff && request.state == RequestState::Waiting,
        answers: !staff && request.state.is_open(),
        form,
        steps: steps(by, request).await?,
    };
    Ok(by.visit.page(status, &page))
}

/// What the log says about the client since the request was made.
async fn steps(by: &SignedIn, request: &ProgrammeRequest) -> Result<Vec<String>, Fault> {
    let of = AuditOf::Client(request.client_id.clone());
    let entries = by.visit.site.store.audit(&of, None, STEPS).await?;
    let own = entries
        .into_iter()
        .filter(|entry| entry.act.starts_with("request.") && entry.at >= request.asked_at)
        .map(|entry| {
            let what = entry.act.trim_start_matches("request.").replace('_', " ");
            format!("{}: {what} by {}. {}", moment(entry.at), entry.actor, entry.detail)
        });
    Ok(own.collect())
}

/// The form that asks about an app.
pub(super) async fn new(by: SignedIn, Path(id): Path<String>) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.visit.site, &Actor::from(&by.person), &id).await?;
    let client = &record.client;
    let uris: Vec<&str> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
    let form = Form::of(&[
        ("name", &client.name),
        ("website", client.website.as_deref().unwrap_or_default()),
        ("support_contact", record.listing.support_contact.as_deref().unwrap_or_default()),
        ("redirect_uris", &uris.join("\n")),
        ("contact", &by.person.email),
    ]);
    let about = About::App(&record);
    form_page(&by, StatusCode::OK, form, about, |scope| client.scopes.contains(scope))
}

/// Asks.
pub(super) async fn ask(Path(id): Path<String>, posted: Posted) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let actor = Actor::from(&by.person);
    let record = app::find(&by.visit.site, &actor, &id).await?;
    let sent = read(&form);
    match request::ask(&by.visit.site, by.visit.portal()?, &actor, &record, &sent).await {
        Ok(id) => Ok(by.visit.go(&format!("/requests/{}", shown_id(id)))),
        Err(refused) => again(&by, &form, About::App(&record), refused),
    }
}

/// The form that answers.
pub(super) async fn edit(by: SignedIn, Path(id): Path<String>) -> Result<Response<Body>, Fault> {
    let request = find(&by, &id).await?;
    let asked = &request.asked;
    let record = app::find(&by.visit.site, &Actor::from(&by.person), &request.client_id).await?;
    // What would come of it now, so that an answer takes back nothing that was changed since.
    let (uris, scopes) = request::outcome(&request, &record);
    let uris: Vec<&str> = uris.iter().map(RedirectUri::as_str).collect();
    let mut values = vec![
        ("name".to_owned(), asked.name.clone()),
        ("website".to_owned(), asked.website.clone().unwrap_or_default()),
        ("support_contact".to_owned(), asked.support_contact.clone().unwrap_or_default()),
        ("redirect_uris".to_owned(), uris.join("\n")),
        ("contact".to_owned(), asked.contact.clone()),
        ("message".to_owned(), asked.message.clone()),
        ("version".to_owned(), request.version.to_string()),
    ];
    values.extend(
        asked.scopes.iter().map(|(scope, reason)| (format!("reason_{scope}"), reason.clone())),
    );
    let borrowed: Vec<(&str, &str)> =
        values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let ticked = |scope: &str| scopes.contains(scope);
    form_page(&by, StatusCode::OK, Form::of(&borrowed), About::Request(&request), ticked)
}

/// Answers.
pub(super) async fn answer(
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let request = seen(find(&by, &id).await?, &form)?;
    let actor = Actor::from(&by.person);
    let sent = read(&form);
    match request::answer(&by.visit.site, by.visit.portal()?, &actor, &request, &sent).await {
        Ok(()) => Ok(by.visit.go(&format!("/requests/{id}"))),
        Err(refused) => again(&by, &form, About::Request(&request), refused),
    }
}

/// Takes one back.
pub(super) async fn withdraw(
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let request = seen(find(&by, &id).await?, &form)?;
    request::withdraw(&by.visit.site, &Actor::from(&by.person), &request).await?;
    Ok(by.visit.go(&format!("/requests/{id}")))
}

/// Decides.
pub(super) async fn decide(
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let request = seen(find(&by, &id).await?, &form)?;
    let decision = form.value("decision").and_then(Decision::parse).ok_or(Fault::FormExpired)?;
    let note = form.value("note").unwrap_or_default();
    let actor = Actor::from(&by.person);
    let (site, portal) = (&by.visit.site, by.visit.portal()?);
    match request::decide(site, portal, &actor, (&request, decision), note).await {
        Ok(()) => Ok(by.visit.go(&format!("/requests/{id}"))),
        Err(Refused::Fields(faults)) => {
            let form = Form::again(&form, faults);
            shown(&by, &request, StatusCode::UNPROCESSABLE_ENTITY, form).await
        }
        Err(refused) => Err(refused.into()),
    }
}

/// The request in the version that the page showed: what was changed since is refused by the write.
fn seen(mut request: ProgrammeRequest, form: &Parameters) -> Result<ProgrammeRequest, Fault> {
    let version = form.value("version").and_then(|version| version.parse().ok());
    request.version = version.ok_or(Fault::FormExpired)?;
    Ok(request)
}

/// What a form is about.
#[derive(Clone, Copy)]
enum About<'a> {
    App(&'a ClientRecord),
    Request(&'a ProgrammeRequest),
}

impl About<'_> {
    /// Where the texts of an app are changed that is on production already: at once, and not by a
    /// request.
    fn texts_at(self) -> Option<String> {
        let (kind, id) = match self {
            About::App(record) => (request::kind_for(record), &record.client.id),
            About::Request(request) => (request.kind, &request.client_id),
        };
        (kind == RequestKind::Change).then(|| format!("/apps/{id}/edit"))
    }
}

fn again(
    by: &SignedIn,
    sent: &Parameters,
    about: About<'_>,
    refused: Refused,
) -> Result<Response<Body>, Fault> {
    let Refused::Fields(faults) = refused else {
        return Err(refused.into());
    };
    let ticked: Vec<&str> = sent.values("scopes").collect();
    let form = Form::again(sent, faults);
    form_page(by, StatusCode::UNPROCESSABLE_ENTITY, form, about, |scope| ticked.contains(&scope))
}

fn form_page(
    by: &SignedIn,
    status: StatusCode,
    form: Form,
    about: About<'_>,
    ticked: impl Fn(&str) -> bool,
) -> Result<Response<Body>, Fault> {
    let site = by.visit.portal()?.site(Environment::Production).ok_or(Fault::NotFound)?;
    let (title, action, back, note) = match about {
        About::App(record) => {
            let (id, name) = (&record.client.id, &record.client.name);
            let title = match request::kind_for(record) {
                RequestKind::Production => format!("Ask for production: {name}"),
                RequestKind::Change => format!("Ask for more: {name}"),
            };
            (title, format!("/apps/{id}/request"), format!("/apps/{id}"), None)
        }
        About::Request(request) => {
            let id = shown_id(request.id);
            let path = format!("/requests/{id}");
            let name = &request.asked.name;
            let title = match request.state {
                RequestState::AskedBack => format!("Answer about {name}"),
                _ => format!("Change what you ask for: {name}"),
            };
            (title, format!("{path}/answer"), path, request.note.clone())
        }
    };
    let page = RequestFormPage {
        shell: by.visit.shell("requests"),
        form,
        action,
        back,
        title,
        note,
        is_request: matches!(about, About::Request(_)),
        texts_at: about.texts_at(),
        scopes: app::offered(site)
            .iter()
            .map(|scope| ScopeChoice {
                name: scope.to_owned(),
                sentence: sentence(scope),
                ticked: ticked(scope),
                writes: changes_something(scope),
            })
            .collect(),
    };
    Ok(by.visit.page(status, &page))
}

fn read(form: &Parameters) -> RequestForm {
    let text = |name: &str| form.value(name).unwrap_or_default().to_owned();
    let reasons = form.pairs().filter_map(|(name, value)| {
        Some((name.strip_prefix("reason_")?.to_owned(), value.to_owned()))
    });
    RequestForm {
        app: apps::read(form),
        reasons: reasons.collect(),
        contact: text("contact"),
        message: text("message"),
    }
}

async fn find(by: &SignedIn, id: &str) -> Result<ProgrammeRequest, Fault> {
    let id = id_of(id).ok_or(Fault::NotFound)?;
    Ok(request::find(&by.visit.site, &Actor::from(&by.person), id).await?)
}

fn id_of(text: &str) -> Option<[u8; 16]> {
    Uuid::parse_str(text).ok().map(|id| *id.as_bytes())
}

fn shown_id(id: [u8; 16]) -> String {
    Uuid::from_bytes(id).to_string()
}

fn title(request: &ProgrammeRequest) -> String {
    match request.kind {
        RequestKind::Production => format!("Production for {}", request.asked.name),
        RequestKind::Change => format!("A change of {}", request.asked.name),
    }
}

fn logo(request: &ProgrammeRequest) -> Option<String> {
    logo::path(&request.client_id, request.logo)
}

fn standing(state: RequestState) -> Standing {
    let (words, class) = match state {
        RequestState::Waiting => ("Waiting", "state-waiting"),
        RequestState::AskedBack => ("Asked back", "state-waiting"),
        RequestState::Approved => ("Approved", "state-good"),
        RequestState::Declined => ("Declined", "state-bad"),
        RequestState::Withdrawn => ("Withdrawn", ""),
    };
    Standing { words, class }
}

fn age(request: &ProgrammeRequest, now: i64) -> String {
    let waited = (now - request.asked_at).max(0);
    let (count, unit) = match waited {
        0..3_600 => (waited / 60, "minute"),
        3_600..172_800 => (waited / 3_600, "hour"),
        _ => (waited / 86_400, "day"),
    };
    match count {
        0 => "Asked just now".to_owned(),
        1 => format!("Asked 1 {unit} ago"),
        count => format!("Asked {count} {unit}s ago"),
    }
}

/// What customers read of the app: as it is asked for, or, of an app that is on production already,
/// as it stands.
fn facts(request: &ProgrammeRequest, record: &ClientRecord) -> Vec<(&'static str, String)> {
    let optional = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    let asked = &request.asked;
    let (name, website, contact) = match request.kind {
        RequestKind::Production => (&asked.name, &asked.website, &asked.support_contact),
        RequestKind::Change => {
            (&record.client.name, &record.client.website, &record.listing.support_contact)
        }
    };
    vec![("App", name.clone()), ("Web site", optional(website)), ("Support", optional(contact))]
}

fn lines(items: &[Item], notes: impl Fn(&str) -> Vec<String>) -> Vec<DiffLine> {
    let line = |item: &Item| DiffLine {
        text: item.text.clone(),
        notes: notes(&item.text),
        change: match item.change {
            Change::Added => DiffChange::Added,
            Change::Removed => DiffChange::Removed,
            Change::Stays => DiffChange::Stays,
        },
    };
    items.iter().map(line).collect()
}

/// What stands beside a scope.
fn notes(scope: &str, asked: &Asked) -> Vec<String> {
    let reason = asked.scopes.iter().find(|(of, _)| of == scope);
    let reason = reason.map(|(_, reason)| reason.clone()).filter(|reason| !reason.is_empty());
    let changes = changes_something(scope).then(|| "It can change something.".to_owned());
    let reason = reason.map(|reason| format!("Why: {reason}"));
    [Some(sentence(scope)), changes, reason].into_iter().flatten().collect()
}

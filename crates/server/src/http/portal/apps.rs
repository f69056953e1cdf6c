//! Apps: the list, one of them, making, changing, secrets.

use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::{Response, StatusCode};
use grantor_protocol::client::ClientSecret;
use grantor_protocol::environment::Environment;
use grantor_protocol::parameters::Parameters;
use grantor_protocol::redirect_uri::RedirectUri;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::fault::Fault;
use super::part::{PAGE, cut};
use super::visit::{Posted, SignedIn};
use crate::catalogue::{changes_something, sentence};
use crate::pages::portal::{
    AppFacts, AppFormPage, AppLine, AppList, AppPage, AppState, AppsPage, Form, ScopeChoice,
    SecretLine,
};
use crate::programme::app::{self, AppForm};
use crate::programme::{Actor, Refused};
use crate::store::{ClientRecord, SecretRecord};

/// The list.
pub(super) async fn list(by: SignedIn, RawQuery(query): RawQuery) -> Result<Response<Body>, Fault> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let after = |environment: Environment| parameters.value(environment.as_str()).unwrap_or("");
    let page = AppsPage {
        shell: by.visit.shell("apps"),
        lists: [
            part(&by, Environment::Staging, after(Environment::Staging)).await?,
            part(&by, Environment::Production, after(Environment::Production)).await?,
        ],
    };
    Ok(by.visit.page(StatusCode::OK, &page))
}

async fn part(by: &SignedIn, environment: Environment, after: &str) -> Result<AppList, Fault> {
    let store = &by.visit.site.store;
    let records = match by.person.role.partner_id() {
        Some(partner_id) => store.apps_of(partner_id, environment, after, PAGE + 1).await?,
        None => store.apps(environment, after, PAGE + 1).await?,
    };
    let staff = by.person.role.is_staff();
    Ok(listed(records, environment, ("/apps", staff)))
}

/// A part of the apps of an environment, of which one more than [`PAGE`] was read; `path` shows
/// them, and `whose` says each one's partner too.
pub(super) fn listed(
    mut records: Vec<ClientRecord>,
    environment: Environment,
    (path, whose): (&str, bool),
) -> AppList {
    let next = cut(&mut records, PAGE).map(|last| {
        let last = utf8_percent_encode(&last.client.id, NON_ALPHANUMERIC);
        format!("{path}?{environment}={last}")
    });
    let (words, empty) = match environment {
        Environment::Production => (
            "Production",
            "None yet. When an app works on staging, ask for production from its page.",
        ),
        Environment::Staging | Environment::Portal => {
            ("Staging", "No app yet. Make one: it works at once, with test customers of your own.")
        }
    };
    let apps = records.into_iter().map(|record| line(record, whose)).collect();
    AppList { environment: environment.as_str(), words, empty, apps, next }
}

/// One app in a list; `whose` says its partner too.
fn line(record: ClientRecord, whose: bool) -> AppLine {
    AppLine {
        state: state(&record),
        id: record.client.id,
        name: record.client.name,
        partner: whose.then_some(record.client.partner.name),
    }
}

/// One app.
pub(super) async fn show(by: SignedIn, Path(id): Path<String>) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.visit.site, &Actor::from(&by.person), &id).await?;
    shown(&by, &record, None, None)
}

fn shown(
    by: &SignedIn,
    record: &ClientRecord,
    done: Option<&str>,
    secret: Option<&ClientSecret>,
) -> Result<Response<Body>, Fault> {
    let now = by.visit.site.clock.now();
    let secrets = record.secrets.iter().map(|secret| secret_line(secret, now));
    let page = AppPage {
        shell: by.visit.shell("apps"),
        app: facts(by, record)?,
        secrets: secrets.collect(),
        done: done.map(str::to_owned),
        new_secret: secret.map(|secret| secret.expose().to_owned()),
    };
    Ok(by.visit.page(StatusCode::OK, &page))
}

/// A secret, without itself.
pub(super) fn secret_line(secret: &SecretRecord, now: i64) -> SecretLine {
    SecretLine {
        slot: secret.slot,
        hint: secret.hint.clone(),
        made: day(secret.created_at),
        used: secret.used_at.map(moment),
        ends: secret.expires_at.map(day),
        ended: secret.ended_for(now).is_some(),
    }
}

fn facts(by: &SignedIn, record: &ClientRecord) -> Result<AppFacts, Fault> {
    let client = &record.client;
    let issuer = by.visit.portal()?.site(client.environment).map(|site| site.base_url.clone());
    let issuer = issuer.unwrap_or_default();
    let authorize_url = client.redirect_uris.first().map(|uri| {
        format!(
            "{issuer}/oauth/authorize?client_id={}&response_type=code&redirect_uri={}",
            utf8_percent_encode(&client.id, NON_ALPHANUMERIC),
            utf8_percent_encode(uri.as_str(), NON_ALPHANUMERIC),
        )
    });
    Ok(AppFacts {
        id: client.id.clone(),
        name: client.name.clone(),
        partner: client.partner.name.clone(),
        environment: client.environment.as_str(),
        authorize_url: authorize_url.filter(|_| !client.is_public() && !client.disabled),
        issuer,
        state: state(record),
        approved: client.approved,
        public: client.is_public(),
        website: client.website.clone(),
        support_contact: record.listing.support_contact.clone(),
        redirect_uris: client.redirect_uris.iter().map(RedirectUri::to_string).collect(),
        scopes: client.scopes.iter().map(|scope| (scope.to_owned(), sentence(scope))).collect(),
        sibling: record.listing.sibling.clone(),
        made: day(record.created_at),
        by_partner: !by.person.role.is_staff(),
    })
}

/// The form that makes one.
pub(super) async fn new(by: SignedIn) -> Result<Response<Body>, Fault> {
    let ticked = |scope: &str| scope == "financial-api" || scope == "orders-api";
    form_page(&by, StatusCode::OK, Form::default(), None, ticked)
}

/// Makes one.
pub(super) async fn make(posted: Posted) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let staging = by.visit.portal()?.site(Environment::Staging).ok_or(Fault::NotFound)?;
    let actor = Actor::from(&by.person);
    match app::make(&by.visit.site, staging, &actor, &read(&form)).await {
        Ok(made) => {
            let record = app::find(&by.visit.site, &actor, &made.client_id).await?;
            shown(&by, &record, Some("The app works now."), made.secret.as_ref())
        }
        Err(refused) => again(&by, &form, None, refused),
    }
}

/// The form that changes one.
pub(super) async fn edit(by: SignedIn, Path(id): Path<String>) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.visit.site, &Actor::from(&by.person), &id).await?;
    let client = &record.client;
    let uris: Vec<&str> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
    let form = Form::of(&[
        ("name", &client.name),
        ("website", client.website.as_deref().unwrap_or_default()),
        ("support_contact", record.listing.support_contact.as_deref().unwrap_or_default()),
        ("redirect_uris", &uris.join("\n")),
    ]);
    form_page(&by, StatusCode::OK, form, Some(&record), |scope| client.scopes.contains(scope))
}

/// Changes one.
pub(super) async fn change(
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let actor = Actor::from(&by.person);
    let record = app::find(&by.visit.site, &actor, &id).await?;
    let site = by.visit.portal()?.site(record.client.environment).ok_or(Fault::NotFound)?;
    match app::change(&by.visit.site, site, &actor, &record, &read(&form)).await {
        Ok(()) => Ok(by.visit.go(&format!("/apps/{id}"))),
        Err(refused) => again(&by, &form, Some(&record), refused),
    }
}

/// Makes a secret, and shows it this once.
pub(super) async fn add_secret(
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let actor = Actor::from(&by.person);
    let record = app::find(&by.visit.site, &actor, &id).await?;
    let secret = app::add_secret(&by.visit.site, &actor, &record).await?;
    let record = app::find(&by.visit.site, &actor, &id).await?;
    shown(&by, &record, Some("The new secret works now."), Some(&secret))
}

/// Removes a secret.
pub(super) async fn remove_secret(
    Path((id, slot)): Path<(String, i64)>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let actor = Actor::from(&by.person);
    let record = app::find(&by.visit.site, &actor, &id).await?;
    app::remove_secret(&by.visit.site, &actor, &record, slot).await?;
    Ok(by.visit.go(&format!("/apps/{id}")))
}

/// Switches one off.
pub(super) async fn suspend(path: Path<String>, posted: Posted) -> Result<Response<Body>, Fault> {
    switch(path, posted, true).await
}

/// Switches one on.
pub(super) async fn resume(path: Path<String>, posted: Posted) -> Result<Response<Body>, Fault> {
    switch(path, posted, false).await
}

async fn switch(
    Path(id): Path<String>,
    posted: Posted,
    off: bool,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let actor = Actor::from(&by.person);
    let record = app::find(&by.visit.site, &actor, &id).await?;
    app::switch(&by.visit.site, &actor, &record, off).await?;
    Ok(by.visit.go(&format!("/apps/{id}")))
}

fn again(
    by: &SignedIn,
    sent: &Parameters,
    record: Option<&ClientRecord>,
    refused: Refused,
) -> Result<Response<Body>, Fault> {
    let Refused::Fields(faults) = refused else {
        return Err(refused.into());
    };
    let ticked: Vec<&str> = sent.values("scopes").collect();
    let form = Form::again(sent, faults);
    form_page(by, StatusCode::UNPROCESSABLE_ENTITY, form, record, |scope| ticked.contains(&scope))
}

fn form_page(
    by: &SignedIn,
    status: StatusCode,
    form: Form,
    record: Option<&ClientRecord>,
    ticked: impl Fn(&str) -> bool,
) -> Result<Response<Body>, Fault> {
    let environment = record.map_or(Environment::Staging, |record| record.client.environment);
    let site = by.visit.portal()?.site(environment).ok_or(Fault::NotFound)?;
    let scopes = app::offered(site);
    let page = AppFormPage {
        shell: by.visit.shell("apps"),
        form,
        action: match record {
            Some(record) => format!("/apps/{}/edit", record.client.id),
            None => "/apps/new".to_owned(),
        },
        back: match record {
            Some(record) => format!("/apps/{}", record.client.id),
            None => "/apps".to_owned(),
        },
        changes: record.map(|record| record.client.name.clone()),
        is_production: environment == Environment::Production,
        scopes: scopes
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

/// What the form of an app says.
pub(super) fn read(form: &Parameters) -> AppForm {
    let text = |name: &str| form.value(name).unwrap_or_default().to_owned();
    AppForm {
        name: text("name"),
        website: text("website"),
        support_contact: text("support_contact"),
        redirect_uris: text("redirect_uris").lines().map(str::to_owned).collect(),
        scopes: form.values("scopes").map(str::to_owned).collect(),
        public: form.value("kind") == Some("public"),
    }
}

fn state(record: &ClientRecord) -> AppState {
    if record.client.disabled { AppState::Off } else { AppState::Works }
}

/// A day, as people write it.
pub(super) fn day(seconds: i64) -> String {
    shown_as(seconds, "%-d %B %Y")
}

/// A moment, as people write it.
pub(super) fn moment(seconds: i64) -> String {
    shown_as(seconds, "%-d %B %Y, %H:%M UTC")
}

/// A moment to the second, as it stands in a log. `millis` are Unix milliseconds.
pub(super) fn instant(millis: i64) -> String {
    shown_as(millis / 1000, "%-d %B %Y, %H:%M:%S UTC")
}

fn shown_as(seconds: i64, format: &str) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| "at an unknown time".to_owned(), |at| at.strftime(format).to_string())
}

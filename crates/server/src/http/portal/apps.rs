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
use super::logo;
use super::part::{PAGE, cut};
use super::visit::{Posted, SignedIn};
use crate::catalogue::{changes_something, sentence};
use crate::pages::portal::{
    AppFacts, AppFormPage, AppLine, AppList, AppPage, AppState, AppsPage, Form, ScopeChoice,
    SecretLine,
};
use crate::programme::app::{self, AppForm};
use crate::programme::{Actor, Refused};
use crate::store::{ClientRecord, RegisteredBy, SecretRecord};

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
        logo: logo::path(&record.client.id, record.listing.logo),
        id: record.client.id,
        name: record.client.name,
        partner: whose.then_some(record.client.partner.name),
    }
}

/// One app.
pub(super) async fn show(by: SignedIn, Path(id): Path<String>) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.visit.site, &Actor::from(&by.person), &id).await?;
    shown(&by, &record, StatusCode::OK, Said::default())
}

/// What the page of an app says beside what it is.
#[derive(Default)]
pub(super) struct Said<'a> {
    /// What was just done, in a sentence.
    pub(super) done: Option<&'a str>,
    /// A secret that was just made.
    pub(super) secret: Option<&'a ClientSecret>,
    /// The form of its logo.
    pub(super) form: Form,
}

pub(super) fn shown(
    by: &SignedIn,
    record: &ClientRecord,
    status: StatusCode,
    said: Said<'_>,
) -> Result<Response<Body>, Fault> {
    let now = by.visit.site.clock.now();
    let secrets = record.secrets.iter().map(|secret| secret_line(secret, now));
    let page = AppPage {
        shell: by.visit.shell("apps"),
        app: facts(by, record)?,
        secrets: secrets.collect(),
        form: said.form,
        done: said.done.map(str::to_owned),
        new_secret: said.secret.map(|secret| secret.expose().to_owned()),
    };
    Ok(by.visit.page(status, &page))
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
        logo: logo::path(&client.id, record.listing.logo),
        may_have_logo: record.registration.by == RegisteredBy::Company,
    })
}

/// The form that makes one.
pub(super) async fn new(by: SignedIn) -> Result<Response<Body>, Fault> {
    let ticked = |scope: &str| scope == "financial-api" || scope == "orders-api";
    form_page(&by, StatusCode::OK, Form::default(), About::New, ticked)
}

/// Makes one.
pub(super) async fn make(posted: Posted) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let staging = by.visit.portal()?.site(Environment::Staging).ok_or(Fault::NotFound)?;
    let actor = Actor::from(&by.person);
    match app::make(&by.visit.site, staging, &actor, &read(&form)).await {
        Ok(made) => {
            let record = app::find(&by.visit.site, &actor, &made.client_id).await?;
            let secret = made.secret.as_ref();
            let said = Said { done: Some("The app works now."), secret, ..Said::default() };
            shown(&by, &record, StatusCode::OK, said)
        }
        Err(refused) => again(&by, &form, About::New, refused),
    }
}

/// The form that changes one.
pub(super) async fn edit(by: SignedIn, Path(id): Path<String>) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.visit.site, &Actor::from(&by.person), &id).await?;
    let app = AppForm::of(&record);
    let form = Form::of(&[
        ("name", &app.name),
        ("website", &app.website),
        ("support_contact", &app.support_contact),
        ("redirect_uris", &app.redirect_uris.join("\n")),
        ("version", &app::version(&record)),
    ]);
    let ticked = |scope: &str| record.client.scopes.contains(scope);
    form_page(&by, StatusCode::OK, form, About::App { record: &record, meanwhile: None }, ticked)
}

/// Changes one, if it still is what the page showed.
pub(super) async fn change(
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let actor = Actor::from(&by.person);
    let record = app::find(&by.visit.site, &actor, &id).await?;
    let site = by.visit.portal()?.site(record.client.environment).ok_or(Fault::NotFound)?;
    let version = form.value("version").ok_or(Fault::FormExpired)?;
    let sent = read(&form);
    match app::change(&by.visit.site, site, &actor, &record, (version, &sent)).await {
        Ok(()) => Ok(by.visit.go(&format!("/apps/{id}"))),
        Err(Refused::Conflict(_)) => {
            let now = app::find(&by.visit.site, &actor, &id).await?;
            changed_meanwhile(&by, &form, &now)
        }
        Err(refused) => again(&by, &form, About::App { record: &record, meanwhile: None }, refused),
    }
}

/// What the second of two reads who changed an app at one time: the own text as it was sent, beside
/// what stands there now. Sent once more, it takes the place of what was seen then.
fn changed_meanwhile(
    by: &SignedIn,
    sent: &Parameters,
    now: &ClientRecord,
) -> Result<Response<Body>, Fault> {
    let meanwhile = differing(&AppForm::of(now), &read(sent));
    let ticked: Vec<&str> = sent.values("scopes").collect();
    let form = Form::again(sent, Vec::new()).with("version", app::version(now));
    let about = About::App { record: now, meanwhile: Some(&meanwhile) };
    form_page(by, StatusCode::CONFLICT, form, about, |scope| ticked.contains(&scope))
}

/// What stands there, where it is not what was sent.
fn differing(now: &AppForm, sent: &AppForm) -> Vec<(&'static str, String)> {
    let text = |text: &str| match text.trim() {
        "" => "none".to_owned(),
        text => text.to_owned(),
    };
    let list = |list: &[String]| {
        let mut list: Vec<&str> = list.iter().map(|item| item.trim()).collect();
        list.sort_unstable();
        list.join(" ")
    };
    [
        ("Name", text(&now.name), text(&sent.name)),
        ("Web site", text(&now.website), text(&sent.website)),
        ("Support contact", text(&now.support_contact), text(&sent.support_contact)),
        ("Redirect URIs", list(&now.redirect_uris), list(&sent.redirect_uris)),
        ("What it may ask for", list(&now.scopes), list(&sent.scopes)),
    ]
    .into_iter()
    .filter(|(_, now, sent)| now != sent)
    .map(|(what, now, _)| (what, now))
    .collect()
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
    let (done, secret) = (Some("The new secret works now."), Some(&secret));
    shown(&by, &record, StatusCode::OK, Said { done, secret, ..Said::default() })
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

/// What a form is about.
#[derive(Clone, Copy)]
enum About<'a> {
    New,
    App {
        record: &'a ClientRecord,
        /// What somebody else put there meanwhile.
        meanwhile: Option<&'a [(&'static str, String)]>,
    },
}

impl About<'_> {
    fn record(&self) -> Option<&ClientRecord> {
        match self {
            About::New => None,
            About::App { record, .. } => Some(record),
        }
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
    let record = about.record();
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
        meanwhile: match about {
            About::New => None,
            About::App { meanwhile, .. } => meanwhile.map(<[_]>::to_vec),
        },
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

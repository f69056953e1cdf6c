//! Apps.

use axum::body::Body;
use axum::extract::{Extension, RawQuery};
use axum::http::Response;
use grantor_protocol::environment::Environment;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::fault::Fault;
use super::call::{Json, Named, Query};
use super::cursor::List;
use super::guard::Caller;
use super::show::{App, AppWithSecret, Apps, Kind};
use crate::programme::app::{self, AppForm};
use crate::programme::listing;
use crate::store::ClientRecord;

/// An app to be. It is made on staging, and works at once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Table Planner",
    "website": "https://planner.example",
    "support_contact": "help@planner.example",
    "redirect_uris": ["https://planner.example/callback"],
    "scopes": ["orders-api"],
    "kind": "confidential",
}))]
pub(super) struct NewApp {
    /// As customers read it.
    name: String,
    website: Option<String>,
    /// An e-mail or web address where customers find help.
    support_contact: Option<String>,
    /// Where a code may go. They are compared byte for byte.
    redirect_uris: Vec<String>,
    /// What it may ask for.
    scopes: Vec<String>,
    #[serde(default)]
    kind: Kind,
}

/// What is to change of an app; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "version": "3a6f0c5d1e8b49a7c2d4f6081b3e5a79", "name": "Table Planner Plus",
}))]
pub(super) struct AppChanges {
    /// That of the app as it was read: where somebody else changed it since, nothing is changed.
    version: String,
    name: Option<String>,
    /// An empty text removes it.
    website: Option<String>,
    /// An empty text removes it.
    support_contact: Option<String>,
    /// All of them, those that stay included.
    redirect_uris: Option<Vec<String>>,
    /// All of them, those that stay included. Whatever is taken away ends the app's connections.
    scopes: Option<Vec<String>>,
}

/// List apps
///
/// In the order of their ids. A partner's API client sees the partner's own.
#[utoipa::path(
    get,
    path = "/api/v1/apps",
    operation_id = "listApps",
    tag = "apps",
    params(
        ("environment" = String, Query, description = "Of which environment.",
            pattern = "^(staging|production)$", example = "staging"),
        ("limit" = Option<i64>, Query, description = "How many at most.",
            minimum = 1, maximum = 100, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the part before."),
    ),
    responses((status = 200, description = "A part of the list.", body = Apps)),
)]
pub(super) async fn list(
    Extension(by): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let query = Query::of(query.as_deref(), &["environment", "limit", "cursor"])?;
    let environment = query.environment()?;
    let limit = query.limit()?;
    let list = List { by: &by, name: format!("apps {environment}") };
    let after = list.after(&query).await?.unwrap_or_default();
    let after = String::from_utf8(after).unwrap_or_default();
    let part = (after.as_str(), limit + 1);
    let mut records = listing::apps(&by.site, &by.actor, environment, part).await?;
    let last = list.cut(&mut records, limit);
    let next_cursor = last.map(|record| list.cursor(record.client.id.as_bytes()));
    let apps = Apps { items: records.iter().map(App::from).collect(), next_cursor };
    Ok(by.answer(&apps))
}

/// Make an app on staging
#[utoipa::path(
    post,
    path = "/api/v1/apps",
    operation_id = "createApp",
    tag = "apps",
    request_body = NewApp,
    responses((
        status = 201, description = "It works now. Its secret is shown this once.",
        body = AppWithSecret,
        headers(("Location" = String, description = "Where it stands.")),
    )),
)]
pub(super) async fn create(
    Extension(by): Extension<Caller>,
    Json(new): Json<NewApp>,
) -> Result<Response<Body>, Fault> {
    let staging = by.portal()?.site(Environment::Staging).ok_or(Fault::NotFound)?;
    let form = AppForm {
        name: new.name,
        website: new.website.unwrap_or_default(),
        support_contact: new.support_contact.unwrap_or_default(),
        redirect_uris: new.redirect_uris,
        scopes: new.scopes,
        public: new.kind == Kind::Public,
    };
    let made = app::make(&by.site, staging, &by.actor, &form).await?;
    let record = app::find(&by.site, &by.actor, &made.client_id).await?;
    let secret = made.secret.as_ref().map(|secret| secret.expose());
    let shown = AppWithSecret::of(&record, secret);
    Ok(by.made(&format!("apps/{}", made.client_id), &shown))
}

/// Read an app
#[utoipa::path(
    get,
    path = "/api/v1/apps/{id}",
    operation_id = "readApp",
    tag = "apps",
    params(("id" = String, Path, description = "The `client_id`.")),
    responses((status = 200, description = "The app.", body = App)),
)]
pub(super) async fn read(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Response<Body>, Fault> {
    shown(&by, &id).await
}

/// Change an app
///
/// On staging everything takes effect at once. On production more scopes and new hosts are asked for,
/// and the partner manager decides; the rest takes effect at once there too.
#[utoipa::path(
    patch,
    path = "/api/v1/apps/{id}",
    operation_id = "changeApp",
    tag = "apps",
    params(("id" = String, Path, description = "The `client_id`.")),
    request_body = AppChanges,
    responses((status = 200, description = "The app as it stands now.", body = App)),
)]
pub(super) async fn change(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
    Json(changes): Json<AppChanges>,
) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.site, &by.actor, &id).await?;
    let environment = by.portal()?.site(record.client.environment).ok_or(Fault::NotFound)?;
    let (version, form) = changes.of(&record);
    app::change(&by.site, environment, &by.actor, &record, (&version, &form)).await?;
    shown(&by, &id).await
}

/// Make a second secret
///
/// It works at once beside the first, so that the app can change over without a gap.
#[utoipa::path(
    post,
    path = "/api/v1/apps/{id}/secrets",
    operation_id = "addSecret",
    tag = "secrets",
    params(("id" = String, Path, description = "The `client_id`.")),
    responses((
        status = 201, description = "It works now, and is shown this once.", body = AppWithSecret,
    )),
)]
pub(super) async fn add_secret(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.site, &by.actor, &id).await?;
    let secret = app::add_secret(&by.site, &by.actor, &record).await?;
    let record = app::find(&by.site, &by.actor, &id).await?;
    let shown = AppWithSecret::of(&record, Some(secret.expose()));
    Ok(by.made(&format!("apps/{id}"), &shown))
}

/// Remove one of two secrets
#[utoipa::path(
    delete,
    path = "/api/v1/apps/{id}/secrets/{slot}",
    operation_id = "removeSecret",
    tag = "secrets",
    params(
        ("id" = String, Path, description = "The `client_id`."),
        ("slot" = i64, Path, description = "Its place.", minimum = 1, maximum = 2),
    ),
    responses((status = 200, description = "The app without it.", body = App)),
)]
pub(super) async fn remove_secret(
    Extension(by): Extension<Caller>,
    Named((id, slot)): Named<(String, i64)>,
) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.site, &by.actor, &id).await?;
    if !record.secrets.iter().any(|secret| secret.slot == slot) {
        return Err(Fault::NotFound);
    }
    app::remove_secret(&by.site, &by.actor, &record, slot).await?;
    shown(&by, &id).await
}

/// Suspend an app
///
/// All its connections end within a second.
#[utoipa::path(
    post,
    path = "/api/v1/apps/{id}/suspend",
    operation_id = "suspendApp",
    tag = "apps",
    params(("id" = String, Path, description = "The `client_id`.")),
    responses((status = 200, description = "The app, suspended.", body = App)),
)]
pub(super) async fn suspend(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Response<Body>, Fault> {
    switch(&by, &id, true).await
}

/// Resume an app
///
/// It works again at once. Its former connections stay ended.
#[utoipa::path(
    post,
    path = "/api/v1/apps/{id}/resume",
    operation_id = "resumeApp",
    tag = "apps",
    params(("id" = String, Path, description = "The `client_id`.")),
    responses((status = 200, description = "The app, working.", body = App)),
)]
pub(super) async fn resume(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Response<Body>, Fault> {
    switch(&by, &id, false).await
}

async fn switch(by: &Caller, id: &str, off: bool) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.site, &by.actor, id).await?;
    app::switch(&by.site, &by.actor, &record, off).await?;
    shown(by, id).await
}

pub(super) async fn shown(by: &Caller, id: &str) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.site, &by.actor, id).await?;
    Ok(by.answer(&App::from(&record)))
}

impl AppChanges {
    /// The version that was seen, and the whole app as it is to be.
    fn of(self, record: &ClientRecord) -> (String, AppForm) {
        let stands = AppForm::of(record);
        let form = AppForm {
            name: self.name.unwrap_or(stands.name),
            website: self.website.unwrap_or(stands.website),
            support_contact: self.support_contact.unwrap_or(stands.support_contact),
            redirect_uris: self.redirect_uris.unwrap_or(stands.redirect_uris),
            scopes: self.scopes.unwrap_or(stands.scopes),
            public: stands.public,
        };
        (self.version, form)
    }
}

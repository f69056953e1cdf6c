//! What an app did: its calls, its integration report, and hard cases on purpose.

use axum::body::Body;
use axum::extract::{Extension, RawQuery};
use axum::http::Response;
use grantor_protocol::trial::Trial;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::fault::Fault;
use super::call::{CallFault, Json, Named, Query, parameter};
use super::cursor::List;
use super::guard::Caller;
use super::show::{Call, Calls, OneCall, ReportShown, Trials};
use crate::programme::{app, log};
use crate::store::{CallCursor, ClientRecord};

/// A hard case that is to happen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "trial": "deny_consent" }))]
pub(super) struct NewTrial {
    trial: TrialName,
}

/// Which one.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TrialName {
    /// The next tokens are made, and their answer is cut off.
    LoseResponse,
    /// The next authorization request is denied.
    DenyConsent,
    /// The newest access token counts as expired.
    ExpireToken,
    /// The newest connection ends.
    EndGrant,
}

/// List the calls of an app
///
/// The newest first: what it sent to staging or production, and what came of it.
#[utoipa::path(
    get,
    path = "/api/v1/apps/{id}/calls",
    operation_id = "listCalls",
    tag = "log",
    params(
        ("id" = String, Path, description = "The `client_id`."),
        ("limit" = Option<i64>, Query, description = "How many at most.",
            minimum = 1, maximum = 100, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the part before."),
    ),
    responses((status = 200, description = "A part of the log.", body = Calls)),
)]
pub(super) async fn list(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let query = Query::of(query.as_deref(), &["limit", "cursor"])?;
    let limit = query.limit()?;
    let record = app::find(&by.site, &by.actor, &id).await?;
    let list = List { by: &by, name: format!("calls {}", record.client.id) };
    let before = list.after(&query).await?;
    let place = |bytes| CallCursor::parse(&String::from_utf8(bytes).ok()?);
    let before = before.map(|bytes| place(bytes).ok_or(Fault::Call(CallFault::Cursor)));
    let before = before.transpose()?;
    let newest = log::newest(&by.site, &by.actor, &record, before.as_ref(), limit + 1).await?;
    let (mut calls, not_kept) = newest;
    let last = list.cut(&mut calls, limit);
    let next_cursor = last.map(|last| list.cursor(last.cursor().to_string().as_bytes()));
    let items = calls.iter().map(|call| Call::of(&by.site, &record.client.id, call));
    let items = items.collect();
    Ok(by.answer(&Calls { items, not_kept: not_kept.map(Into::into), next_cursor }))
}

/// Read a call
///
/// With the same call done right.
#[utoipa::path(
    get,
    path = "/api/v1/apps/{id}/calls/{request_id}",
    operation_id = "readCall",
    tag = "log",
    params(
        ("id" = String, Path, description = "The `client_id`."),
        ("request_id" = String, Path, description = "The id that its answer carried."),
    ),
    responses((status = 200, description = "The call.", body = OneCall)),
)]
pub(super) async fn read(
    Extension(by): Extension<Caller>,
    Named((id, request_id)): Named<(String, String)>,
) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.site, &by.actor, &id).await?;
    let call = log::call(&by.site, &by.actor, &record, &request_id).await?;
    let done_right = log::done_right(&by.site, &record, &call);
    let shown = Call::of(&by.site, &record.client.id, &call);
    Ok(by.answer(&OneCall::of(shown, done_right)))
}

/// Find a call by its request id
///
/// On both environments, among the apps that the caller may see. There is one, or none.
#[utoipa::path(
    get,
    path = "/api/v1/calls",
    operation_id = "findCalls",
    tag = "log",
    params((
        "request_id" = String, Query, description = "The id that its answer carried.",
        min_length = 1, example = "0f8d3c1b5e7a49d2",
    )),
    responses((status = 200, description = "What was found.", body = Calls)),
)]
pub(super) async fn find(
    Extension(by): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let query = Query::of(query.as_deref(), &["request_id"])?;
    let request_id = query.value("request_id").ok_or_else(|| {
        parameter("Say which: request_id is the id that the answer of the call carried.".into())
    })?;
    let found = log::find(&by.site, &by.actor, request_id).await?;
    let items = found.iter().map(|(id, call)| Call::of(&by.site, id, call)).collect();
    Ok(by.answer(&Calls { items, not_kept: None, next_cursor: None }))
}

/// Read the integration report of an app
///
/// What its calls have shown so far, line by line.
#[utoipa::path(
    get,
    path = "/api/v1/apps/{id}/report",
    operation_id = "readReport",
    tag = "log",
    params(("id" = String, Path, description = "The `client_id`.")),
    responses((status = 200, description = "The report.", body = ReportShown)),
)]
pub(super) async fn report(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.site, &by.actor, &id).await?;
    let report = log::report(&by.site, &by.actor, &record).await?;
    Ok(by.answer(&ReportShown::of(&record.client.id, &report)))
}

/// List the hard cases of an app
///
/// Those that were begun, of an app on staging.
#[utoipa::path(
    get,
    path = "/api/v1/apps/{id}/trials",
    operation_id = "listTrials",
    tag = "log",
    params(("id" = String, Path, description = "The `client_id`.")),
    responses((status = 200, description = "All of them.", body = Trials)),
)]
pub(super) async fn trials(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.site, &by.actor, &id).await?;
    shown(&by, &record).await
}

/// Make a hard case happen
///
/// At once, or with the next call that it is about, for which it waits ten minutes. On staging alone.
#[utoipa::path(
    post,
    path = "/api/v1/apps/{id}/trials",
    operation_id = "beginTrial",
    tag = "log",
    params(("id" = String, Path, description = "The `client_id`.")),
    request_body = NewTrial,
    responses((status = 200, description = "The hard cases of the app.", body = Trials)),
)]
pub(super) async fn begin(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
    Json(NewTrial { trial }): Json<NewTrial>,
) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.site, &by.actor, &id).await?;
    let trial = match trial {
        TrialName::LoseResponse => Trial::LoseResponse,
        TrialName::DenyConsent => Trial::DenyConsent,
        TrialName::ExpireToken => Trial::ExpireToken,
        TrialName::EndGrant => Trial::EndGrant,
    };
    log::begin(&by.site, &by.actor, &record, trial).await?;
    shown(&by, &record).await
}

async fn shown(by: &Caller, record: &ClientRecord) -> Result<Response<Body>, Fault> {
    let begun = log::trials(&by.site, &by.actor, record).await?;
    Ok(by.answer(&Trials::from(begun.as_slice())))
}

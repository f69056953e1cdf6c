//! Requests, and what is decided about them.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Extension, RawQuery};
use axum::http::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::fault::Fault;
use super::call::{Json, Named, Query, id_of, parameter};
use super::cursor::List;
use super::guard::Caller;
use super::show::{OneRequest, ReportShown, Request, Requests};
use crate::programme::app::{self, AppForm};
use crate::programme::log::shown_on_staging;
use crate::programme::request::{self, RequestForm};
use crate::store::{ClientRecord, ProgrammeRequest, RequestKind, RequestState};

/// What is asked for: of an app on staging, to be on production too; of one on production, more scopes
/// or redirect URIs on new hosts. What is left out is as the app has it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "redirect_uris": ["https://planner.example/callback"],
    "scopes": ["orders-api"],
    "reasons": { "orders-api": "Guests order at their table." },
    "contact": "help@planner.example",
    "message": "Guests see the menu at their table and order from it.",
}))]
pub(super) struct NewRequest {
    /// For production alone: that of an app on production changes without a request.
    name: Option<String>,
    /// For production alone.
    website: Option<String>,
    /// For production alone.
    support_contact: Option<String>,
    /// All of them, those that are there already included.
    redirect_uris: Option<Vec<String>>,
    /// All of them, those that are there already included.
    scopes: Option<Vec<String>>,
    /// By scope, why. Needed for each new one that changes something.
    #[serde(default)]
    reasons: BTreeMap<String, String>,
    /// The e-mail address of somebody who answers.
    contact: String,
    /// What the app does.
    message: String,
}

/// The answer to what was asked back, or a request mended. What is left out stays as it was asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "version": 2, "message": "For guests who sit in the restaurant." }))]
pub(super) struct RequestAnswer {
    /// That of the request as it was read.
    version: i64,
    /// For production alone.
    name: Option<String>,
    /// For production alone.
    website: Option<String>,
    /// For production alone.
    support_contact: Option<String>,
    redirect_uris: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    /// By scope, why: all of them.
    reasons: Option<BTreeMap<String, String>>,
    contact: Option<String>,
    message: Option<String>,
}

/// Which request is taken back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "version": 1 }))]
pub(super) struct Withdrawal {
    /// That of the request as it was read.
    version: i64,
}

/// A decision of the company.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "version": 1, "decision": "ask_back", "note": "For whom is it?" }))]
pub(super) struct NewDecision {
    /// That of the request as it was read: nobody decides about what was changed since.
    version: i64,
    decision: Decision,
    /// What the partner reads.
    note: String,
}

/// What is decided.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Approve,
    Decline,
    /// The partner says more first.
    AskBack,
}

/// List requests
///
/// A partner's API client sees the partner's own, the newest first. The company's sees those in one
/// state, the oldest first.
#[utoipa::path(
    get,
    path = "/api/v1/requests",
    operation_id = "listRequests",
    tag = "requests",
    params(
        ("state" = Option<String>, Query,
            description = "In this state alone. For the company it is `waiting` where it is left out.",
            pattern = "^(waiting|asked_back|approved|declined|withdrawn)$", example = "waiting"),
        ("limit" = Option<i64>, Query, description = "How many at most.",
            minimum = 1, maximum = 100, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the part before."),
    ),
    responses((status = 200, description = "A part of the list.", body = Requests)),
)]
pub(super) async fn list(
    Extension(by): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let query = Query::of(query.as_deref(), &["state", "limit", "cursor"])?;
    let state = query.sent("state").map(|name| {
        let unknown = "state is waiting, asked_back, approved, declined or withdrawn.";
        RequestState::parse(name).ok_or_else(|| parameter(unknown.to_owned()))
    });
    let (state, limit) = (state.transpose()?, query.limit()?);
    let list =
        List { by: &by, name: format!("requests {}", state.map_or("", RequestState::as_str)) };
    let after = list.after_id(&query).await?;
    let mut found = request::list(&by.site, &by.actor, state, (after, limit + 1)).await?;
    let next_cursor = list.cut(&mut found, limit).map(|last| list.cursor(&last.id));
    Ok(by.answer(&Requests { items: found.iter().map(Request::from).collect(), next_cursor }))
}

/// Read a request
///
/// With the difference to what is, and what the app has shown on staging.
#[utoipa::path(
    get,
    path = "/api/v1/requests/{id}",
    operation_id = "readRequest",
    tag = "requests",
    params(("id" = String, Path, description = "The request's id.")),
    responses((status = 200, description = "The request.", body = OneRequest)),
)]
pub(super) async fn read(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Response<Body>, Fault> {
    let found = request::find(&by.site, &by.actor, id_of(&id)?).await?;
    let record = app::find(&by.site, &by.actor, &found.client_id).await?;
    let report = shown_on_staging(&by.site, &by.actor, &found, &record).await?;
    let report = report.map(|(client_id, report)| ReportShown::of(&client_id, &report));
    let difference = request::difference(&found, &record);
    Ok(by.answer(&OneRequest::of(&found, &difference, report)))
}

/// Ask for production, or for more
///
/// Nothing changes until the company has decided. Of an app on production, its name, web site and
/// support contact are no part of it: they change at once, with the app.
#[utoipa::path(
    post,
    path = "/api/v1/apps/{id}/requests",
    operation_id = "createRequest",
    tag = "requests",
    params(("id" = String, Path, description = "The `client_id`.")),
    request_body = NewRequest,
    responses((
        status = 201, description = "It waits for a decision.", body = Request,
        headers(("Location" = String, description = "Where it stands.")),
    )),
)]
pub(super) async fn ask(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
    Json(new): Json<NewRequest>,
) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.site, &by.actor, &id).await?;
    let stands = AppForm::of(&record);
    let form = RequestForm {
        app: AppForm {
            name: new.name.unwrap_or(stands.name),
            website: new.website.unwrap_or(stands.website),
            support_contact: new.support_contact.unwrap_or(stands.support_contact),
            redirect_uris: new.redirect_uris.unwrap_or(stands.redirect_uris),
            scopes: new.scopes.unwrap_or(stands.scopes),
            public: stands.public,
        },
        reasons: new.reasons.into_iter().collect(),
        contact: new.contact,
        message: new.message,
    };
    let asked = request::ask(&by.site, by.portal()?, &by.actor, &record, &form).await?;
    let made = request::find(&by.site, &by.actor, asked).await?;
    Ok(by.made(&format!("requests/{}", Uuid::from_bytes(asked)), &Request::from(&made)))
}

/// Answer, or mend a request
///
/// It waits for a decision again.
#[utoipa::path(
    post,
    path = "/api/v1/requests/{id}/answer",
    operation_id = "answerRequest",
    tag = "requests",
    params(("id" = String, Path, description = "The request's id.")),
    request_body = RequestAnswer,
    responses((status = 200, description = "The request as it stands now.", body = Request)),
)]
pub(super) async fn answer(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
    Json(answer): Json<RequestAnswer>,
) -> Result<Response<Body>, Fault> {
    let found = seen(&by, &id, answer.version).await?;
    let record = app::find(&by.site, &by.actor, &found.client_id).await?;
    let form = answer.of(&found, &record);
    request::answer(&by.site, by.portal()?, &by.actor, &found, &form).await?;
    shown(&by, found.id).await
}

/// Take a request back
#[utoipa::path(
    post,
    path = "/api/v1/requests/{id}/withdraw",
    operation_id = "withdrawRequest",
    tag = "requests",
    params(("id" = String, Path, description = "The request's id.")),
    request_body = Withdrawal,
    responses((status = 200, description = "The request, withdrawn.", body = Request)),
)]
pub(super) async fn withdraw(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
    Json(Withdrawal { version }): Json<Withdrawal>,
) -> Result<Response<Body>, Fault> {
    let found = seen(&by, &id, version).await?;
    request::withdraw(&by.site, &by.actor, &found).await?;
    shown(&by, found.id).await
}

/// Decide about a request
///
/// An approval makes or widens the app at once. The secret of a new one is made by its partner, who
/// alone sees it.
#[utoipa::path(
    post,
    path = "/api/v1/requests/{id}/decision",
    operation_id = "decideRequest",
    tag = "requests",
    params(("id" = String, Path, description = "The request's id.")),
    request_body = NewDecision,
    responses((status = 200, description = "The request as it stands now.", body = Request)),
)]
pub(super) async fn decide(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
    Json(NewDecision { version, decision, note }): Json<NewDecision>,
) -> Result<Response<Body>, Fault> {
    let found = seen(&by, &id, version).await?;
    let decision = match decision {
        Decision::Approve => request::Decision::Approve,
        Decision::Decline => request::Decision::Decline,
        Decision::AskBack => request::Decision::AskBack,
    };
    request::decide(&by.site, by.portal()?, &by.actor, (&found, decision), &note).await?;
    shown(&by, found.id).await
}

/// The request in the version that the caller saw: what was changed since is refused by the write.
async fn seen(by: &Caller, id: &str, version: i64) -> Result<ProgrammeRequest, Fault> {
    let found = request::find(&by.site, &by.actor, id_of(id)?).await?;
    Ok(ProgrammeRequest { version, ..found })
}

async fn shown(by: &Caller, id: [u8; 16]) -> Result<Response<Body>, Fault> {
    let found = request::find(&by.site, &by.actor, id).await?;
    Ok(by.answer(&Request::from(&found)))
}

impl RequestAnswer {
    /// The whole of what is asked for then.
    fn of(self, request: &ProgrammeRequest, record: &ClientRecord) -> RequestForm {
        let asked = &request.asked;
        // What would come of it now, so that an answer takes back nothing that was changed since.
        let (uris, held) = request::outcome(request, record);
        // What of an app on production changes without a request may have changed since it was asked.
        let text = |text: &str| match request.kind {
            RequestKind::Production => text.to_owned(),
            RequestKind::Change => String::new(),
        };
        let optional = |held: &Option<String>| text(held.as_deref().unwrap_or_default());
        let scopes = || held.iter().map(str::to_owned).collect();
        let uris = || uris.iter().map(ToString::to_string).collect();
        RequestForm {
            app: AppForm {
                name: self.name.unwrap_or_else(|| text(&asked.name)),
                website: self.website.unwrap_or_else(|| optional(&asked.website)),
                support_contact: self
                    .support_contact
                    .unwrap_or_else(|| optional(&asked.support_contact)),
                redirect_uris: self.redirect_uris.unwrap_or_else(uris),
                scopes: self.scopes.unwrap_or_else(scopes),
                public: false,
            },
            reasons: match self.reasons {
                Some(reasons) => reasons.into_iter().collect(),
                None => asked.scopes.clone(),
            },
            contact: self.contact.unwrap_or_else(|| asked.contact.clone()),
            message: self.message.unwrap_or_else(|| asked.message.clone()),
        }
    }
}

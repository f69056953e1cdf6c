//! What people did: the audit log, as far as it concerns the reader, or of one app alone (U3).

use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::header::{CONTENT_DISPOSITION, HeaderValue};
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;

use super::apps::moment;
use super::audit_lines::audit_lines;
use super::fault::Fault;
use super::log::about;
use super::part::cut;
use super::visit::SignedIn;
use crate::pages::portal::{ActivityLine, ActivityOf, ActivityPage};
use crate::programme::{Actor, app, listing};
use crate::store::{AuditEntry, AuditOf};

/// How many entries one page lists.
const PAGE: i64 = 100;

/// The newest entries.
pub(super) async fn list(by: SignedIn, RawQuery(query): RawQuery) -> Result<Response<Body>, Fault> {
    let of = concerns(&by);
    part(&by, (&of, None), "/activity", query).await
}

/// The newest entries about one app.
pub(super) async fn of_app(
    by: SignedIn,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.visit.site, &Actor::from(&by.person), &id).await?;
    let of = AuditOf::Client(record.client.id.clone());
    let path = format!("/apps/{}/activity", record.client.id);
    let app = ActivityOf { app: about(&record), sibling: record.listing.sibling };
    part(&by, (&of, Some(app)), &path, query).await
}

/// One part of a list of entries, whose page stands at `path`.
async fn part(
    by: &SignedIn,
    (of, app): (&AuditOf, Option<ActivityOf>),
    path: &str,
    query: Option<String>,
) -> Result<Response<Body>, Fault> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let before = parameters.value("before").and_then(|before| before.parse().ok());
    let mut entries = listing::audit(&by.visit.site, of, (before, PAGE + 1)).await?;
    let next = cut(&mut entries, PAGE).map(|last| format!("{path}?before={}", last.number));
    let page = ActivityPage {
        shell: by.visit.shell(if app.is_some() { "apps" } else { "activity" }),
        next,
        entries: entries.into_iter().map(|entry| line(entry, app.is_none())).collect(),
        of: app,
    };
    Ok(by.visit.page(StatusCode::OK, &page))
}

/// All of them as JSON lines, as the API exports them.
pub(super) async fn export(by: SignedIn) -> Result<Response<Body>, Fault> {
    let mut response = audit_lines(&by.visit.site, concerns(&by), 0).await?;
    let name = HeaderValue::from_static("attachment; filename=\"activity.jsonl\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

/// A partner sees what concerns it; staff sees all.
fn concerns(by: &SignedIn) -> AuditOf {
    by.person.role.partner_id().map_or(AuditOf::Everybody, AuditOf::Partner)
}

/// An entry. Where all of them are about one app, none names it.
fn line(entry: AuditEntry, names_app: bool) -> ActivityLine {
    ActivityLine {
        number: entry.number,
        when: moment(entry.at),
        actor: entry.actor,
        act: entry.act.replace(['.', '_'], " "),
        client_id: entry.client_id.filter(|_| names_app),
        detail: entry.detail,
    }
}

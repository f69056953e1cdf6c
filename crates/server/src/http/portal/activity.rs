//! What people did: the audit log, as far as it concerns the reader.

use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::header::{CONTENT_DISPOSITION, HeaderValue};
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;

use super::apps::moment;
use super::audit_lines::audit_lines;
use super::fault::Fault;
use super::part::cut;
use super::visit::SignedIn;
use crate::pages::portal::{ActivityLine, ActivityPage};
use crate::store::{AuditEntry, AuditOf};

/// How many entries one page lists.
const PAGE: i64 = 100;

/// The newest entries.
pub(super) async fn list(by: SignedIn, RawQuery(query): RawQuery) -> Result<Response<Body>, Fault> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let before = parameters.value("before").and_then(|before| before.parse().ok());
    let mut entries = by.visit.site.store.audit(&concerns(&by), before, PAGE + 1).await?;
    let next = cut(&mut entries, PAGE).map(|last| format!("/activity?before={}", last.number));
    let page = ActivityPage {
        shell: by.visit.shell("activity"),
        next,
        entries: entries.into_iter().map(line).collect(),
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

fn line(entry: AuditEntry) -> ActivityLine {
    ActivityLine {
        number: entry.number,
        when: moment(entry.at),
        actor: entry.actor,
        act: entry.act.replace(['.', '_'], " "),
        client_id: entry.client_id,
        detail: entry.detail,
    }
}

//! What people did: the audit log, as far as it concerns the reader.

use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::header::{CONTENT_DISPOSITION, HeaderValue};
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;
use serde_json::json;
use uuid::Uuid;

use super::super::answer;
use super::apps::moment;
use super::fault::Fault;
use super::visit::SignedIn;
use crate::hex::hex;
use crate::pages::portal::{ActivityLine, ActivityPage};
use crate::store::{AuditEntry, AuditOf};

/// How many entries one page lists.
const PAGE: i64 = 100;
/// No export has more entries: the newest of them.
const MOST_EXPORTED: usize = 100_000;

/// The newest entries.
pub(super) async fn list(by: SignedIn, RawQuery(query): RawQuery) -> Result<Response<Body>, Fault> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let before = parameters.value("before").and_then(|before| before.parse().ok());
    let mut entries = by.visit.site.store.audit(&concerns(&by), before, PAGE + 1).await?;
    let more = entries.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    entries.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let next = entries.last().filter(|_| more);
    let page = ActivityPage {
        shell: by.visit.shell("activity"),
        next: next.map(|last| format!("/activity?before={}", last.number)),
        entries: entries.into_iter().map(line).collect(),
    };
    Ok(by.visit.page(StatusCode::OK, &page))
}

/// All of them as JSON lines, the newest first.
pub(super) async fn export(by: SignedIn) -> Result<Response<Body>, Fault> {
    let (of, mut before, mut lines) = (concerns(&by), None, String::new());
    let mut count = 0;
    while count < MOST_EXPORTED {
        let entries = by.visit.site.store.audit(&of, before, PAGE * 10).await?;
        let Some(last) = entries.last() else { break };
        before = Some(last.number);
        count += entries.len();
        for entry in &entries {
            lines.push_str(&as_json(entry).to_string());
            lines.push('\n');
        }
    }
    let site = &by.visit.site;
    let mut response = answer::respond(site, StatusCode::OK, "application/jsonl", lines);
    let name = HeaderValue::from_static("attachment; filename=\"activity.jsonl\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

/// An entry, with all that its hash is over.
pub(in crate::http) fn as_json(entry: &AuditEntry) -> serde_json::Value {
    let id = |id: Option<[u8; 16]>| id.map(|id| Uuid::from_bytes(id).to_string());
    json!({
        "number": entry.number,
        "at": entry.at,
        "actor": entry.actor,
        "actor_id": id(entry.actor_id),
        "act": entry.act,
        "partner_id": id(entry.partner_id),
        "client_id": entry.client_id,
        "detail": entry.detail,
        "previous": hex(&entry.previous),
        "hash": hex(&entry.hash),
    })
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

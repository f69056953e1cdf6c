//! What people did: the audit log, as far as it concerns the reader.

use axum::body::{Body, Bytes};
use axum::extract::RawQuery;
use axum::http::header::{CONTENT_DISPOSITION, HeaderValue};
use axum::http::{Response, StatusCode};
use futures_util::stream;
use grantor_protocol::parameters::Parameters;
use serde_json::json;
use uuid::Uuid;

use super::super::answer;
use super::apps::moment;
use super::fault::Fault;
use super::part::cut;
use super::visit::SignedIn;
use crate::hex::hex;
use crate::pages::portal::{ActivityLine, ActivityPage};
use crate::store::{AuditEntry, AuditOf, Store, StoreError};

/// How many entries one page lists.
const PAGE: i64 = 100;
/// How many entries are read at once for an export.
const AT_ONCE: i64 = 500;

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

/// All of them as JSON lines, the newest first, sent as they are read: however long the log is, no
/// more than a part of it is held.
pub(super) async fn export(by: SignedIn) -> Result<Response<Body>, Fault> {
    let site = &by.visit.site;
    let export = Export { store: site.store.clone(), of: concerns(&by), before: None };
    // The first part before the answer begins: a store that cannot be reached is a 503.
    let first = export.next().await?;
    let lines = stream::try_unfold((export, Some(first)), |(mut export, read)| async move {
        let entries = match read {
            Some(first) => first,
            None => export.next().await?,
        };
        let Some(last) = entries.last() else { return Ok(None) };
        export.before = Some(last.number);
        // Where the store fails the answer breaks off: nobody takes a part for the whole.
        Ok::<_, StoreError>(Some((written(&entries), (export, None))))
    });
    let body = Body::from_stream(lines);
    let mut response = answer::respond(site, StatusCode::OK, "application/jsonl", body);
    let name = HeaderValue::from_static("attachment; filename=\"activity.jsonl\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

/// An export under way.
struct Export {
    store: Store,
    of: AuditOf,
    before: Option<i64>,
}

impl Export {
    async fn next(&self) -> Result<Vec<AuditEntry>, StoreError> {
        self.store.audit(&self.of, self.before, AT_ONCE).await
    }
}

fn written(entries: &[AuditEntry]) -> Bytes {
    entries.iter().map(|entry| format!("{}\n", as_json(entry))).collect::<String>().into()
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

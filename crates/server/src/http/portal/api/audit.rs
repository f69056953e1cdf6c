//! The audit log: a part of it, or all of it as JSON lines.

use axum::body::Body;
use axum::extract::{Extension, RawQuery};
use axum::http::Response;

use super::super::audit_lines::audit_lines;
use super::super::fault::Fault;
use super::call::{Query, parameter};
use super::cursor::List;
use super::guard::Caller;
use super::show::{Entries, Entry};
use crate::programme::listing;

/// List what was done
///
/// The newest first. A partner's API client sees what concerns the partner.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    operation_id = "listAudit",
    tag = "audit",
    params(
        ("client_id" = Option<String>, Query, description = "What concerns this app alone."),
        ("limit" = Option<i64>, Query, description = "How many at most.",
            minimum = 1, maximum = 100, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the part before."),
    ),
    responses((status = 200, description = "A part of the log.", body = Entries)),
)]
pub(super) async fn list(
    Extension(by): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let query = Query::of(query.as_deref(), &["client_id", "limit", "cursor"])?;
    let limit = query.limit()?;
    let client_id = query.value("client_id");
    let list = List { by: &by, name: format!("audit {}", client_id.unwrap_or_default()) };
    let before = list.after(&query).await?.and_then(|last| last.try_into().ok());
    let of = listing::audited(&by.site, &by.actor, client_id).await?;
    let part = (before.map(i64::from_be_bytes), limit + 1);
    let mut entries = listing::audit(&by.site, &of, part).await?;
    let last = list.cut(&mut entries, limit);
    let next_cursor = last.map(|last| list.cursor(&last.number.to_be_bytes()));
    let shown = Entries { items: entries.iter().map(Entry::from).collect(), next_cursor };
    Ok(by.answer(&shown))
}

/// Export what was done, as JSON lines
///
/// One entry a line, the oldest first, until the last one. Whoever keeps them asks for those behind
/// the last one it has.
#[utoipa::path(
    get,
    path = "/api/v1/audit/export",
    operation_id = "exportAudit",
    tag = "audit",
    params(
        ("client_id" = Option<String>, Query, description = "What concerns this app alone."),
        ("after" = Option<i64>, Query, description = "Entries behind the one of this number.",
            minimum = 0, example = 0),
    ),
    responses((
        status = 200, description = "Each line is an `Entry`.",
        body = String, content_type = "application/jsonl",
    )),
)]
pub(super) async fn export(
    Extension(by): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let query = Query::of(query.as_deref(), &["client_id", "after"])?;
    let after = query.value("after").unwrap_or("0").parse().ok().filter(|after| *after >= 0);
    let after = after.ok_or_else(|| parameter("after is a number from 0 on.".to_owned()))?;
    let of = listing::audited(&by.site, &by.actor, query.value("client_id")).await?;
    audit_lines(&by.site, of, after).await
}

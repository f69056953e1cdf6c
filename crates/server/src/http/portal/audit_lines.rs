//! The audit log as JSON lines, the oldest first: the one export, of the page and of the API.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode};
use futures_util::stream;

use super::super::answer;
use super::api::Entry;
use super::fault::Fault;
use crate::site::Site;
use crate::store::{AuditEntry, AuditOf, Store, StoreError};

/// How many entries are read at once.
const AT_ONCE: i64 = 500;

/// Answers with the entries behind number `after`, until the last one. It is written while it is
/// read, so that a long log is never held as a whole.
///
/// # Errors
/// [`Fault`] where the first of them cannot be read; later the answer breaks off.
pub(super) async fn audit_lines(
    site: &Arc<Site>,
    of: AuditOf,
    after: i64,
) -> Result<Response<Body>, Fault> {
    let export = Export { store: site.store.clone(), of, after };
    // The first part before the answer begins: a store that cannot be reached is a 503.
    let first = export.next().await?;
    let lines = stream::try_unfold(Some((export, first)), |state| async move {
        let Some((mut export, entries)) = state else { return Ok(None) };
        let Some(last) = entries.last() else { return Ok(None) };
        export.after = last.number;
        let written = written(&entries);
        let next = export.next().await?;
        // Where the store fails now the answer breaks off: nobody takes a part for the whole.
        Ok::<_, StoreError>(Some((written, Some((export, next)))))
    });
    let body = Body::from_stream(lines);
    Ok(answer::respond(site, StatusCode::OK, "application/jsonl", body))
}

/// An export under way.
struct Export {
    store: Store,
    of: AuditOf,
    after: i64,
}

impl Export {
    async fn next(&self) -> Result<Vec<AuditEntry>, StoreError> {
        self.store.audit_behind(&self.of, self.after, AT_ONCE).await
    }
}

fn written(entries: &[AuditEntry]) -> Bytes {
    let lines = entries.iter().filter_map(|entry| serde_json::to_string(&Entry::from(entry)).ok());
    lines.map(|line| line + "\n").collect::<String>().into()
}

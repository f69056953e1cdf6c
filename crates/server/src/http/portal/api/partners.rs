//! Partners.

use axum::body::Body;
use axum::extract::{Extension, RawQuery};
use axum::http::{Response, StatusCode};
use uuid::Uuid;

use super::super::super::answer;
use super::super::fault::Fault;
use super::call::{Named, Query};
use super::cursor::List;
use super::guard::Caller;
use super::show::{PartnerShown, Partners};
use crate::programme::listing;

/// List partners
///
/// The oldest first. For API clients of the company.
#[utoipa::path(
    get,
    path = "/api/v1/partners",
    operation_id = "listPartners",
    tag = "partners",
    params(
        ("limit" = Option<i64>, Query, description = "How many at most.",
            minimum = 1, maximum = 100, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the part before."),
    ),
    responses((status = 200, description = "A part of the list.", body = Partners)),
)]
pub(super) async fn list(
    Extension(by): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let query = Query::of(query.as_deref(), &["limit", "cursor"])?;
    let limit = query.limit()?;
    let list = List { by: &by, name: "partners".to_owned() };
    let after = list.after(&query).await?;
    let after = after.and_then(|after| after.try_into().ok()).unwrap_or([0; 16]);
    let mut partners = listing::partners(&by.site, &by.actor, (after, limit + 1)).await?;
    let next_cursor = list.cut(&mut partners, limit).map(|last| list.cursor(&last.id));
    let shown = Partners { items: partners.iter().map(PartnerShown::from).collect(), next_cursor };
    Ok(answer::json(&by.site, StatusCode::OK, &shown))
}

/// Read a partner
///
/// A partner's API client sees its own alone.
#[utoipa::path(
    get,
    path = "/api/v1/partners/{id}",
    operation_id = "readPartner",
    tag = "partners",
    params(("id" = String, Path, description = "The partner's id.")),
    responses((status = 200, description = "The partner.", body = PartnerShown)),
)]
pub(super) async fn read(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Response<Body>, Fault> {
    let id = Uuid::parse_str(&id).map_err(|_| Fault::NotFound)?;
    let partner = listing::partner(&by.site, &by.actor, id.into_bytes()).await?;
    Ok(answer::json(&by.site, StatusCode::OK, &PartnerShown::from(&partner)))
}

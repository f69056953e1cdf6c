//! Partners.

use axum::body::Body;
use axum::extract::{Extension, RawQuery};
use axum::http::Response;

use super::super::fault::Fault;
use super::call::{Named, Query, id_of};
use super::cursor::List;
use super::guard::Caller;
use super::show::{PartnerShown, Partners};
use crate::programme::{listing, partner};

type Answer = Result<Response<Body>, Fault>;

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
    Ok(by.answer(&shown))
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
    let partner = listing::partner(&by.site, &by.actor, id_of(&id)?).await?;
    Ok(by.answer(&PartnerShown::from(&partner)))
}

/// Say that a partner was verified
///
/// Somebody of the company found out who it is. Customers read it when they are asked.
#[utoipa::path(
    post,
    path = "/api/v1/partners/{id}/verify",
    operation_id = "verifyPartner",
    tag = "partners",
    params(("id" = String, Path, description = "The partner's id.")),
    responses((status = 200, description = "The partner as it stands now.", body = PartnerShown)),
)]
pub(super) async fn verify(by: Extension<Caller>, id: Named<String>) -> Answer {
    set_verified(by, id, true).await
}

/// Take back that a partner was verified
#[utoipa::path(
    post,
    path = "/api/v1/partners/{id}/unverify",
    operation_id = "unverifyPartner",
    tag = "partners",
    params(("id" = String, Path, description = "The partner's id.")),
    responses((status = 200, description = "The partner as it stands now.", body = PartnerShown)),
)]
pub(super) async fn unverify(by: Extension<Caller>, id: Named<String>) -> Answer {
    set_verified(by, id, false).await
}

/// Suspend a partner
///
/// All its apps stop, and their connections end within a second.
#[utoipa::path(
    post,
    path = "/api/v1/partners/{id}/suspend",
    operation_id = "suspendPartner",
    tag = "partners",
    params(("id" = String, Path, description = "The partner's id.")),
    responses((status = 200, description = "The partner, suspended.", body = PartnerShown)),
)]
pub(super) async fn suspend(by: Extension<Caller>, id: Named<String>) -> Answer {
    switch(by, id, true).await
}

/// Resume a partner
///
/// Its apps work again, but for those that were suspended alone. Former connections stay ended.
#[utoipa::path(
    post,
    path = "/api/v1/partners/{id}/resume",
    operation_id = "resumePartner",
    tag = "partners",
    params(("id" = String, Path, description = "The partner's id.")),
    responses((status = 200, description = "The partner, working.", body = PartnerShown)),
)]
pub(super) async fn resume(by: Extension<Caller>, id: Named<String>) -> Answer {
    switch(by, id, false).await
}

async fn set_verified(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
    verified: bool,
) -> Answer {
    let found = partner::find(&by.site, &by.actor, id_of(&id)?).await?;
    partner::verify(&by.site, &by.actor, &found, verified).await?;
    shown(&by, found.id).await
}

async fn switch(Extension(by): Extension<Caller>, Named(id): Named<String>, off: bool) -> Answer {
    let found = partner::find(&by.site, &by.actor, id_of(&id)?).await?;
    partner::switch(&by.site, &by.actor, &found, off).await?;
    shown(&by, found.id).await
}

async fn shown(by: &Caller, id: [u8; 16]) -> Answer {
    let found = partner::find(&by.site, &by.actor, id).await?;
    Ok(by.answer(&PartnerShown::from(&found)))
}

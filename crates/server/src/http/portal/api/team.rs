//! The team: people and invitations.

use axum::body::Body;
use axum::extract::{Extension, RawQuery};
use axum::http::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::fault::Fault;
use super::call::{Json, Named, Query, id_of};
use super::cursor::List;
use super::guard::Caller;
use super::show::{Invitation, Invitations, People, Person, PersonRole};
use crate::programme::team;

/// Somebody to invite.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "email": "colleague@planner.example", "role": "developer" }))]
pub(super) struct NewInvitation {
    email: String,
    role: PersonRole,
}

/// What somebody is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "role": "owner" }))]
pub(super) struct PersonChanges {
    role: PersonRole,
}

/// List people
///
/// The first first: a partner's, or the company's own managers and operators.
#[utoipa::path(
    get,
    path = "/api/v1/people",
    operation_id = "listPeople",
    tag = "team",
    params(
        ("limit" = Option<i64>, Query, description = "How many at most.",
            minimum = 1, maximum = 100, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the part before."),
    ),
    responses((status = 200, description = "A part of the list.", body = People)),
)]
pub(super) async fn people(
    Extension(by): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let query = Query::of(query.as_deref(), &["limit", "cursor"])?;
    let limit = query.limit()?;
    let list = List { by: &by, name: "people".to_owned() };
    let after = list.after_id(&query).await?;
    let all = team::people(&by.site, &by.actor, (after.unwrap_or_default(), limit + 1)).await?;
    let (people, next_cursor) = list.part(all, (after, limit), |person| person.id);
    Ok(by.answer(&People { items: people.iter().map(Person::from).collect(), next_cursor }))
}

/// Give somebody another role
///
/// A partner is never without an owner.
#[utoipa::path(
    patch,
    path = "/api/v1/people/{id}",
    operation_id = "changePerson",
    tag = "team",
    params(("id" = String, Path, description = "The person's id.")),
    request_body = PersonChanges,
    responses((status = 200, description = "The person as it stands now.", body = Person)),
)]
pub(super) async fn change(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
    Json(PersonChanges { role }): Json<PersonChanges>,
) -> Result<Response<Body>, Fault> {
    let person = team::find(&by.site, &by.actor, id_of(&id)?).await?;
    team::set_owner(&by.site, &by.actor, &person, role == PersonRole::Owner).await?;
    let person = team::find(&by.site, &by.actor, person.id).await?;
    Ok(by.answer(&Person::from(&person)))
}

/// Remove somebody
///
/// Whoever is signed in is signed out. A partner is never without an owner.
#[utoipa::path(
    delete,
    path = "/api/v1/people/{id}",
    operation_id = "removePerson",
    tag = "team",
    params(("id" = String, Path, description = "The person's id.")),
    responses((status = 204, description = "The account is gone.")),
)]
pub(super) async fn remove(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Response<Body>, Fault> {
    let person = team::find(&by.site, &by.actor, id_of(&id)?).await?;
    team::remove(&by.site, &by.actor, &person).await?;
    Ok(by.done())
}

/// List invitations
///
/// The oldest first, those that are too old included.
#[utoipa::path(
    get,
    path = "/api/v1/invitations",
    operation_id = "listInvitations",
    tag = "team",
    params(
        ("limit" = Option<i64>, Query, description = "How many at most.",
            minimum = 1, maximum = 100, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the part before."),
    ),
    responses((status = 200, description = "A part of the list.", body = Invitations)),
)]
pub(super) async fn invitations(
    Extension(by): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let query = Query::of(query.as_deref(), &["limit", "cursor"])?;
    let limit = query.limit()?;
    let list = List { by: &by, name: "invitations".to_owned() };
    let after = list.after_id(&query).await?;
    let all =
        team::invitations(&by.site, &by.actor, (after.unwrap_or_default(), limit + 1)).await?;
    let (held, next_cursor) = list.part(all, (after, limit), |invitation| invitation.id);
    let items = held.iter().map(Invitation::from).collect();
    Ok(by.answer(&Invitations { items, next_cursor }))
}

/// Invite somebody
///
/// A mail with a link goes there, which works for seven days. Nobody else is shown the link.
#[utoipa::path(
    post,
    path = "/api/v1/invitations",
    operation_id = "createInvitation",
    tag = "team",
    request_body = NewInvitation,
    responses((status = 201, description = "The mail is on its way.", body = Invitation)),
)]
pub(super) async fn invite(
    Extension(by): Extension<Caller>,
    Json(NewInvitation { email, role }): Json<NewInvitation>,
) -> Result<Response<Body>, Fault> {
    let owner = role == PersonRole::Owner;
    let made = team::invite(&by.site, &by.actor, &email, owner).await?;
    let place = format!("invitations/{}", Uuid::from_bytes(made.id));
    Ok(by.made(&place, &Invitation::from(&made)))
}

/// Withdraw an invitation
///
/// Its link works no more.
#[utoipa::path(
    delete,
    path = "/api/v1/invitations/{id}",
    operation_id = "withdrawInvitation",
    tag = "team",
    params(("id" = String, Path, description = "The invitation's id.")),
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn withdraw(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Response<Body>, Fault> {
    team::withdraw(&by.site, &by.actor, id_of(&id)?).await?;
    Ok(by.done())
}

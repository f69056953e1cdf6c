//! The people of a partner, or of the staff: inviting, roles, leaving.

use axum::body::Body;
use axum::extract::Path;
use axum::http::{Response, StatusCode};
use uuid::Uuid;

use super::apps::day;
use super::fault::Fault;
use super::visit::{Posted, SignedIn};
use crate::pages::portal::{Form, InvitationLine, PersonLine, TeamPage};
use crate::programme::{Actor, Refused, team};
use crate::store::Person;

/// The list.
pub(super) async fn list(by: SignedIn) -> Result<Response<Body>, Fault> {
    show(&by, StatusCode::OK, Form::default()).await
}

/// Invites somebody.
pub(super) async fn invite(posted: Posted) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let actor = Actor::from(&by.person);
    let email = form.value("email").unwrap_or_default();
    let owner = form.value("role") == Some("owner");
    match team::invite(&by.visit.site, &actor, email, owner).await {
        Ok(_) => Ok(by.visit.go("/team")),
        Err(Refused::Fields(faults)) => {
            show(&by, StatusCode::UNPROCESSABLE_ENTITY, Form::again(&form, faults)).await
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Takes an invitation back.
pub(super) async fn withdraw(
    Path(id): Path<Uuid>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    team::withdraw(&by.visit.site, &Actor::from(&by.person), id.into_bytes()).await?;
    Ok(by.visit.go("/team"))
}

/// Gives somebody another role.
pub(super) async fn role(Path(id): Path<Uuid>, posted: Posted) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let person = find(&by, id).await?;
    let owner = form.value("role") == Some("owner");
    team::set_owner(&by.visit.site, &Actor::from(&by.person), &person, owner).await?;
    Ok(by.visit.go("/team"))
}

/// Ends somebody's access.
pub(super) async fn remove(Path(id): Path<Uuid>, posted: Posted) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let person = find(&by, id).await?;
    team::remove(&by.visit.site, &Actor::from(&by.person), &person).await?;
    Ok(by.visit.go("/team"))
}

async fn find(by: &SignedIn, id: Uuid) -> Result<Person, Fault> {
    Ok(team::find(&by.visit.site, &Actor::from(&by.person), id.into_bytes()).await?)
}

async fn show(by: &SignedIn, status: StatusCode, form: Form) -> Result<Response<Body>, Fault> {
    let (site, actor) = (&by.visit.site, Actor::from(&by.person));
    let people = team::people(site, &actor).await?;
    let decides = actor.owner().is_ok();
    // What is not to be decided about is not to be known either.
    let invitations = if decides { team::invitations(site, &actor).await? } else { Vec::new() };
    let page = TeamPage {
        shell: by.visit.shell("team"),
        form,
        staff: actor.role.is_staff(),
        decides,
        people: people
            .into_iter()
            .map(|person| PersonLine {
                id: Uuid::from_bytes(person.id).to_string(),
                own: person.id == by.person.id,
                name: person.name,
                email: person.email,
                role: person.role.as_str(),
                since: day(person.joined_at),
            })
            .collect(),
        invitations: invitations
            .into_iter()
            .map(|invitation| InvitationLine {
                id: Uuid::from_bytes(invitation.id).to_string(),
                email: invitation.email,
                role: invitation.role.as_str(),
                until: day(invitation.expires_at),
            })
            .collect(),
    };
    Ok(by.visit.page(status, &page))
}

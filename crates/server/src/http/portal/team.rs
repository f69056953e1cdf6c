//! The people of a partner, or of the staff: inviting, roles, leaving.

use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;
use uuid::Uuid;

use super::apps::day;
use super::fault::Fault;
use super::part::{PAGE, cut};
use super::visit::{Posted, SignedIn};
use crate::pages::portal::{Form, InvitationLine, PersonLine, TeamPage};
use crate::programme::{Actor, Refused, team};
use crate::store::Person;

const HERE: &str = "/team";

/// The list.
pub(super) async fn list(by: SignedIn, RawQuery(query): RawQuery) -> Result<Response<Body>, Fault> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    show(&by, &parameters, StatusCode::OK, Form::default()).await
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
            let (first, again) = (Parameters::default(), Form::again(&form, faults));
            show(&by, &first, StatusCode::UNPROCESSABLE_ENTITY, again).await
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

/// The entry behind which the list of that name begins, as [`more`] wrote it.
pub(super) fn behind(parameters: &Parameters, list: &str) -> [u8; 16] {
    let id = parameters.value(list).and_then(|id| Uuid::parse_str(id).ok());
    id.unwrap_or_default().into_bytes()
}

/// The address of what comes behind an entry of the list of that name.
pub(super) fn more(path: &str, list: &str, last: [u8; 16]) -> String {
    format!("{path}?{list}={}", Uuid::from_bytes(last))
}

/// One person, as `reader` sees it.
pub(super) fn line(person: Person, reader: &Person) -> PersonLine {
    PersonLine {
        id: Uuid::from_bytes(person.id).to_string(),
        own: person.id == reader.id,
        name: person.name,
        email: person.email,
        role: person.role.as_str(),
        since: day(person.joined_at),
    }
}

async fn show(
    by: &SignedIn,
    at: &Parameters,
    status: StatusCode,
    form: Form,
) -> Result<Response<Body>, Fault> {
    let (site, actor) = (&by.visit.site, Actor::from(&by.person));
    let mut people = team::people(site, &actor, (behind(at, "people"), PAGE + 1)).await?;
    let more_people = cut(&mut people, PAGE).map(|last| more(HERE, "people", last.id));
    let decides = actor.owner().is_ok();
    // What is not to be decided about is not to be known either.
    let mut invitations = match decides {
        true => team::invitations(site, &actor, (behind(at, "invited"), PAGE + 1)).await?,
        false => Vec::new(),
    };
    let more_invitations = cut(&mut invitations, PAGE).map(|last| more(HERE, "invited", last.id));
    let page = TeamPage {
        shell: by.visit.shell("team"),
        form,
        staff: actor.role.is_staff(),
        decides,
        people: people.into_iter().map(|person| line(person, &by.person)).collect(),
        more_people,
        more_invitations,
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

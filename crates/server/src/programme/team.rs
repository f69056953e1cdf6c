//! Who belongs to a partner, or to the managers: invitations, roles, leaving.

use super::account::{self, SignUpForm, address, mail};
use super::{Actor, Refused};
use crate::link::{INVITATION_SECONDS, Link};
use crate::site::Site;
use crate::store::{Invitation, Person, Role};
use crate::throttle::{self, Credential};

/// No partner has more people and invitations.
pub const MOST_PEOPLE: i64 = 200;

/// Invites a colleague: an owner into its partner, staff among the managers.
///
/// # Errors
/// [`Refused`]
pub async fn invite(
    site: &Site,
    actor: &Actor,
    email: &str,
    owner: bool,
) -> Result<Invitation, Refused> {
    actor.owner()?;
    let role = match (actor.partner_id(), owner) {
        (Some(partner_id), true) => Role::Owner { partner_id },
        (Some(partner_id), false) => Role::Developer { partner_id },
        (None, _) => Role::Manager,
    };
    invite_as(site, actor, email, role).await
}

/// Invites somebody in that role.
///
/// # Errors
/// [`Refused`]
pub async fn invite_as(
    site: &Site,
    actor: &Actor,
    email: &str,
    role: Role,
) -> Result<Invitation, Refused> {
    actor.owner()?;
    let to = address(email)?;
    let subject = throttle::Subject::new(Credential::Invitation, to.as_str().as_bytes());
    site.throttle.count_named(&subject).await?;
    actor.takes_turn(site).await?;
    let now = site.clock.now();
    let invitation = Invitation {
        id: site.random.id(&site.clock),
        email: to.as_str().to_owned(),
        role,
        invited_by: actor.name.clone(),
        created_at: now,
        expires_at: now + INVITATION_SECONDS,
    };
    let link = Link::Invitation { id: invitation.id }.address(site);
    let text = format!(
        "{} invites you to the partner portal, as {}.\n\nFollow this link; it works for seven \
         days:\n\n{link}\n\nIf you do not know why, you need not do anything.\n",
        actor.name,
        role.as_str()
    );
    let detail = format!("{} as {}", to.as_str(), role.as_str());
    let mut act = actor.act(site, "person.invited", detail);
    act.mails.push(mail(site, to, "You are invited to the partner portal", text)?);
    match site.store.invite(&invitation, MOST_PEOPLE, &act).await? {
        true => Ok(invitation),
        false => Err(Refused::Conflict(
            "Nobody more can be invited, or this address is invited already.".to_owned(),
        )),
    }
}

/// Takes an invitation.
///
/// # Errors
/// [`Refused`]: one that was withdrawn, taken or is too old.
pub async fn take(site: &Site, invitation: &Invitation, form: SignUpForm) -> Result<(), Refused> {
    let who = (invitation.email.as_str(), invitation.role);
    account::join(site, who, (None, Some(invitation.id)), form, Vec::new()).await
}

/// The people on the actor's side behind one, the first first: of its partner, or the staff.
///
/// # Errors
/// [`Refused`]
pub async fn people(
    site: &Site,
    actor: &Actor,
    (after, limit): ([u8; 16], i64),
) -> Result<Vec<Person>, Refused> {
    Ok(match actor.partner_id() {
        Some(partner_id) => site.store.people_of(partner_id, after, limit).await?,
        None => site.store.staff(after, limit).await?,
    })
}

/// The invitations on the actor's side behind one, the oldest first.
///
/// # Errors
/// [`Refused::NotAllowed`] for who does not decide about them: it is not to know of them either.
pub async fn invitations(
    site: &Site,
    actor: &Actor,
    (after, limit): ([u8; 16], i64),
) -> Result<Vec<Invitation>, Refused> {
    actor.owner()?;
    Ok(site.store.invitations(actor.partner_id(), after, limit).await?)
}

/// A person that the actor may know of.
///
/// # Errors
/// [`Refused::NotFound`] also where it is another partner's.
pub async fn find(site: &Site, actor: &Actor, id: [u8; 16]) -> Result<Person, Refused> {
    let person = site.store.person(id).await?.ok_or(Refused::NotFound)?;
    same_side(actor, person.role)?;
    Ok(person)
}

/// Takes an invitation back.
///
/// # Errors
/// [`Refused`]
pub async fn withdraw(site: &Site, actor: &Actor, id: [u8; 16]) -> Result<(), Refused> {
    actor.owner()?;
    let invitation = site.store.invitation(id).await?.ok_or(Refused::NotFound)?;
    same_side(actor, invitation.role)?;
    let mut act = actor.act(site, "invitation.withdrawn", invitation.email.clone());
    act.partner_id = invitation.role.partner_id();
    match site.store.withdraw_invitation(id, &act).await? {
        true => Ok(()),
        false => Err(Refused::NotFound),
    }
}

/// Makes an owner a developer, or the reverse. A partner is never without an owner.
///
/// # Errors
/// [`Refused`]
pub async fn set_owner(
    site: &Site,
    actor: &Actor,
    person: &Person,
    owner: bool,
) -> Result<(), Refused> {
    actor.owner()?;
    same_side(actor, person.role)?;
    let partner_id = person.role.partner_id().ok_or(Refused::NotAllowed)?;
    let role = match owner {
        true => Role::Owner { partner_id },
        false => Role::Developer { partner_id },
    };
    if person.role == role {
        return Ok(());
    }
    actor.takes_turn(site).await?;
    let detail = format!("{} as {}", person.email, role.as_str());
    let mut act = actor.act(site, "person.role", detail);
    // Whoever did it: it concerns the partner.
    act.partner_id = Some(partner_id);
    kept(site.store.set_role(person, role, &act).await?)
}

/// Ends somebody's access. A partner is never without an owner, nor the portal without a manager.
///
/// # Errors
/// [`Refused`]
pub async fn remove(site: &Site, actor: &Actor, person: &Person) -> Result<(), Refused> {
    actor.owner()?;
    same_side(actor, person.role)?;
    // One manager that somebody took over does not lock the company out of its console.
    if person.role == Role::Operator && actor.role != Role::Operator {
        return Err(Refused::NotAllowed);
    }
    let mut act = actor.act(site, "person.removed", person.email.clone());
    act.partner_id = person.role.partner_id();
    kept(site.store.remove_person(person, &act).await?)
}

fn kept(done: bool) -> Result<(), Refused> {
    match done {
        true => Ok(()),
        false => Err(Refused::Conflict(
            "The last owner stays, and so does the last manager. Make somebody else one first."
                .to_owned(),
        )),
    }
}

/// Owners decide about their own partner, staff about staff and, as the company, about everybody.
fn same_side(actor: &Actor, role: Role) -> Result<(), Refused> {
    match (actor.partner_id(), role.partner_id()) {
        (None, _) => Ok(()),
        (Some(own), Some(other)) if own == other => Ok(()),
        (Some(_), _) => Err(Refused::NotFound),
    }
}

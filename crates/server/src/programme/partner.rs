//! Partners, as managers see them: who they are, whether that was verified, and whether they may do
//! anything at all.

use grantor_protocol::environment::Environment;

use super::{Actor, Refused, app};
use crate::site::Site;
use crate::store::{Act, COMPANY_ID, Partner};
use crate::webhook::{Event, Notice};

/// A partner, for staff.
///
/// # Errors
/// [`Refused`]
pub async fn find(site: &Site, actor: &Actor, id: [u8; 16]) -> Result<Partner, Refused> {
    actor.staff()?;
    // The company itself is no partner that anybody decides about.
    let found = site.store.partner(id).await?.filter(|found| found.id != COMPANY_ID);
    found.ok_or(Refused::NotFound)
}

/// Says that somebody of this company verified who the partner is, or takes it back.
///
/// # Errors
/// [`Refused`]
pub async fn verify(
    site: &Site,
    actor: &Actor,
    partner: &Partner,
    verified: bool,
) -> Result<(), Refused> {
    actor.staff()?;
    let name = if verified { "partner.verified" } else { "partner.unverified" };
    let act = about(site, actor, partner, name);
    stood(site.store.set_partner_verified(partner.id, verified, &act).await?)
}

/// Switches off all that a partner has, which ends every connection, or on again.
///
/// # Errors
/// [`Refused`]
pub async fn switch(
    site: &Site,
    actor: &Actor,
    partner: &Partner,
    off: bool,
) -> Result<(), Refused> {
    actor.staff()?;
    let name = if off { "partner.suspended" } else { "partner.resumed" };
    let mut act = about(site, actor, partner, name);
    act.notices = notices(site, partner, off).await?;
    stood(site.store.switch_partner(partner.id, off, &act).await?)
}

/// One for each client that is switched with its partner.
async fn notices(site: &Site, partner: &Partner, off: bool) -> Result<Vec<Notice>, Refused> {
    let mut notices = Vec::new();
    for environment in Environment::ALL {
        let apps = site.store.apps_of(partner.id, environment, "", app::MOST_APPS).await?;
        let switched = apps
            .iter()
            .filter(|record| if off { !record.client.disabled } else { record.listing.suspended });
        let event = if off { Event::ClientSuspended } else { Event::ClientResumed };
        notices.extend(switched.map(|record| app::notice(site, record, event.clone())));
    }
    Ok(notices)
}

fn about(site: &Site, actor: &Actor, partner: &Partner, name: &'static str) -> Act {
    let mut act = actor.act(site, name, partner.name.clone());
    act.partner_id = Some(partner.id);
    act
}

fn stood(done: bool) -> Result<(), Refused> {
    match done {
        true => Ok(()),
        false => Err(Refused::Conflict("It is in that state already.".to_owned())),
    }
}

/// Whether a partner is suspended.
pub(super) async fn suspended(portal: &Site, partner_id: [u8; 16]) -> Result<bool, Refused> {
    Ok(portal.store.partner(partner_id).await?.is_some_and(|partner| partner.suspended))
}

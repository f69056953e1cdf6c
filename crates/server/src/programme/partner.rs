//! Partners, as managers see them: who they are, whether that was verified, and whether they may do
//! anything at all.

use super::{Actor, Refused};
use crate::site::Site;
use crate::store::{Act, COMPANY_ID, Partner};

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
    let act = about(site, actor, partner, name);
    stood(site.store.switch_partner(partner.id, off, &act).await?)
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

//! The logo of an app. It is changed at once, without a decision, on staging and on production; like
//! an app's name it is each client's own, and a new production client begins with that of its staging
//! client.

use axum::body::Bytes;

use super::app::about;
use super::{Actor, FieldFault, Refused};
use crate::hex::hex;
use crate::logo::{LogoDigest, NotDrawn};
use crate::site::{Portal, Site};
use crate::store::{ClientRecord, RegisteredBy};

/// The field of the form.
pub const FIELD: &str = "logo";

/// Draws a logo of what was uploaded, and gives it to the client.
///
/// # Errors
/// [`Refused`]; [`Refused::Fields`] where the upload is no picture that is taken.
pub async fn change(
    site: &Site,
    portal: &Portal,
    actor: &Actor,
    record: &ClientRecord,
    upload: Bytes,
) -> Result<(), Refused> {
    actor.of_partner(record.partner_id)?;
    // Nobody here knows who stands behind such a client, and it is removed by itself.
    if record.registration.by != RegisteredBy::Company {
        return Err(Refused::Conflict(
            "A client that registered itself has no logo: nobody vouches for it.".to_owned(),
        ));
    }
    actor.takes_turn(site).await?;
    let logo = portal.logos.draw(upload).await.map_err(|not_drawn| match not_drawn {
        NotDrawn::Busy => Refused::Busy,
        NotDrawn::Fault(fault) => {
            Refused::Fields(vec![FieldFault { field: FIELD, words: fault.words() }])
        }
    })?;
    if record.listing.logo == Some(logo.digest()) {
        return Ok(());
    }
    let detail = format!("logo: {} → {}", shown(record.listing.logo), shown(Some(logo.digest())));
    let act = about(site, actor, record, "client.logo_changed", detail);
    stood(site.store.change_logo(record, Some(&logo), &act).await?)
}

/// Takes the logo away.
///
/// # Errors
/// [`Refused`]
pub async fn remove(site: &Site, actor: &Actor, record: &ClientRecord) -> Result<(), Refused> {
    actor.of_partner(record.partner_id)?;
    if record.listing.logo.is_none() {
        return Ok(());
    }
    let detail = format!("logo: {} → none", shown(record.listing.logo));
    let act = about(site, actor, record, "client.logo_removed", detail);
    stood(site.store.change_logo(record, None, &act).await?)
}

fn stood(done: bool) -> Result<(), Refused> {
    match done {
        true => Ok(()),
        false => Err(Refused::Conflict("Somebody else changed the logo meanwhile.".to_owned())),
    }
}

/// So much of its name that two are told apart.
fn shown(logo: Option<LogoDigest>) -> String {
    logo.map_or_else(|| "none".to_owned(), |digest| hex(&digest.0[..6]))
}

//! Lists, a part at a time: apps, partners, the audit log. Whoever asks sees what is its own.

use grantor_protocol::environment::Environment;

use super::{Actor, Refused, app};
use crate::site::Site;
use crate::store::{AuditEntry, AuditOf, COMPANY_ID, ClientRecord, Partner};

/// The actor's apps in an environment, in the order of their ids, behind `after`.
///
/// # Errors
/// [`Refused`]
pub async fn apps(
    portal: &Site,
    actor: &Actor,
    environment: Environment,
    (after, limit): (&str, i64),
) -> Result<Vec<ClientRecord>, Refused> {
    Ok(match actor.partner_id() {
        Some(partner_id) => portal.store.apps_of(partner_id, environment, after, limit).await?,
        None => portal.store.apps(environment, after, limit).await?,
    })
}

/// Partners, the oldest first, behind the one of that id.
///
/// # Errors
/// [`Refused::NotAllowed`] for who belongs to one.
pub async fn partners(
    portal: &Site,
    actor: &Actor,
    (after, limit): ([u8; 16], i64),
) -> Result<Vec<Partner>, Refused> {
    actor.staff()?;
    Ok(portal.store.partners_behind(after, limit).await?)
}

/// One partner.
///
/// # Errors
/// [`Refused::NotFound`] also where the actor belongs to another.
pub async fn partner(portal: &Site, actor: &Actor, id: [u8; 16]) -> Result<Partner, Refused> {
    actor.of_partner(id)?;
    match portal.store.partner(id).await? {
        Some(partner) if id != COMPANY_ID => Ok(partner),
        _ => Err(Refused::NotFound),
    }
}

/// Whose entries of the audit log the actor sees: its partner's, or all; of one client alone where
/// that is named.
///
/// # Errors
/// [`Refused::NotFound`] also where the client is another partner's.
pub async fn audited(
    portal: &Site,
    actor: &Actor,
    client_id: Option<&str>,
) -> Result<AuditOf, Refused> {
    if let Some(id) = client_id {
        let record = app::find(portal, actor, id).await?;
        return Ok(AuditOf::Client(record.client.id));
    }
    Ok(match actor.partner_id() {
        Some(partner_id) => AuditOf::Partner(partner_id),
        None => AuditOf::Everybody,
    })
}

/// Entries of the audit log, the newest first, of those before number `before`.
///
/// # Errors
/// [`Refused`]
pub async fn audit(
    portal: &Site,
    of: &AuditOf,
    (before, limit): (Option<i64>, i64),
) -> Result<Vec<AuditEntry>, Refused> {
    Ok(portal.store.audit(of, before, limit).await?)
}

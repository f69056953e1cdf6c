//! A device gets the tokens that its user allowed (RFC 8628 3.4).

use grantor_protocol::device::{DeviceFault, check_device};
use grantor_protocol::grant::GrantStatus;
use grantor_protocol::token_error::TokenError;

use super::exchange::first_tokens;
use super::issue::{Generation, Issued, at_most_idle_until, narrowed, turned};
use super::{Caller, unavailable};
use crate::store::Turn;

/// Redeems what a user allowed, once; or says that the device has to wait, or for how long it is in
/// vain.
pub(super) async fn device(caller: &Caller<'_>, device_code: &str) -> Result<Issued, TokenError> {
    let site = caller.site;
    let (environment, now) = (site.environment, site.clock.now());
    if !caller.client.settings.device_code {
        return Err(TokenError::DevicesNotAllowed);
    }
    let epoch = site.sealer.epoch();
    let found = site.store.device(environment, device_code, epoch).await;
    let found = found.map_err(unavailable(caller.request_id))?;
    let authorization = found.as_ref().map(|found| &found.authorization);
    let grant_id = match check_device(authorization, caller.client, now) {
        Ok(grant_id) => grant_id,
        Err(fault) => {
            if let (Some(found), DeviceFault::Pending | DeviceFault::SlowDown { .. }) =
                (&found, fault)
            {
                let noted = site.store.note_poll(environment, found.id, now).await;
                noted.map_err(unavailable(caller.request_id))?;
            }
            return Err(TokenError::Device(fault));
        }
    };
    let grant = site.store.grant(environment, grant_id).await;
    let grant = grant.map_err(unavailable(caller.request_id))?;
    let Some(grant) = grant.filter(|grant| grant.in_force) else {
        return Err(TokenError::Device(DeviceFault::Ended));
    };
    match grant.status {
        GrantStatus::Pending => {}
        GrantStatus::Active(_) => return Err(TokenError::Device(DeviceFault::Used)),
        GrantStatus::Revoked { .. } => return Err(TokenError::Device(DeviceFault::Ended)),
    }
    narrowed(caller, &grant.binding.resources, &grant.scope)?;
    let from = caller.address.to_string();
    let turn = Turn {
        environment,
        id: grant_id,
        attempt: site.random.bytes(),
        idle_expires_at: at_most_idle_until(caller, now),
        from: &from,
        key: caller.key,
        binds_refresh: caller.client.is_public(),
        now,
    };
    if !site.store.redeem_code(&turn).await.map_err(unavailable(caller.request_id))? {
        // Another call of the device was faster, or the connection ended meanwhile.
        return Err(TokenError::Device(DeviceFault::Used));
    }
    let turned = turned(&turn, &grant);
    let first = Generation { grant_id, number: 1, turned_at: now, turned: &turned };
    first_tokens(caller, &first).await
}

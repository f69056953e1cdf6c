//! A refresh token becomes the next tokens of its grant (RFC 6749 6).

use grantor_protocol::grant::{
    Grant, GrantStatus, Refresh, RefreshDecision, RefreshFault, check_refresh,
};
use grantor_protocol::scope::Scope;
use grantor_protocol::token_error::TokenError;

use super::issue::{Generation, Issued, at_most_idle_until, issue, narrowed, turned};
use super::{Caller, unavailable};
use crate::metrics::TokenEvent;
use crate::seal::{NotThisSeal, RefreshSeal};
use crate::store::{Turn, Turned};
use crate::webhook::{Event, Reused};

/// Turns a generation, or gives the same successor once more.
///
/// 1. The turn is tried at once, with everything that must be true in the write itself;
/// 2. where that is refused, or a scope is asked for, the grant is read and `protocol` decides.
pub(super) async fn refresh(
    caller: &Caller<'_>,
    refresh_token: &str,
    scope: Option<&str>,
) -> Result<Issued, TokenError> {
    let site = caller.site;
    let seal = open(caller, refresh_token).await?;
    let presented = Refresh {
        client: caller.client,
        generation: seal.generation,
        key: caller.key,
        window_seconds: site.settings.refresh_window_seconds,
    };
    let attempt = site.random.bytes();
    let from = caller.address.to_string();
    let turn = |now| Turn {
        environment: site.environment,
        id: seal.grant_id,
        attempt,
        idle_expires_at: at_most_idle_until(caller, now),
        from: &from,
        key: caller.key,
        binds_refresh: false,
        now,
    };
    let next = |now, turned| Generation {
        grant_id: seal.grant_id,
        number: seal.generation + 1,
        turned_at: now,
        turned,
    };
    if scope.is_none() && caller.resources.is_empty() {
        let now = site.clock.now();
        let turned = site.store.turn_at_once(&turn(now), seal.generation, &caller.client.id).await;
        if let Some(turned) = turned.map_err(unavailable(caller.request_id))? {
            return issue(caller, &next(now, &turned), &turned.scope).await;
        }
    }
    for _ in 0..3 {
        let grant = site
            .store
            .grant(site.environment, seal.grant_id)
            .await
            .map_err(unavailable(caller.request_id))?;
        let now = site.clock.now();
        let decision = check_refresh(grant.as_ref(), &presented, now);
        if let RefreshDecision::Refuse { fault, revoke, alarm } = decision {
            let customer_id = grant.as_ref().map(|grant| grant.customer_id);
            let reuse = revoke.then_some(Reuse { grant_id: seal.grant_id, customer_id });
            return Err(refuse(caller, fault, reuse, alarm).await?);
        }
        let Some(grant) = grant else {
            return Err(TokenError::Unavailable);
        };
        // A scope never grows (RFC 6749 6); what is asked for is checked before anything is spent.
        let scope = granted_scope(scope, &grant.scope)?;
        narrowed(caller, &grant.binding.resources, &scope)?;
        if decision == RefreshDecision::Repeat {
            return repeat(caller, &grant, &scope).await;
        }
        let turn = turn(now);
        if site
            .store
            .turn_generation(&turn, seal.generation)
            .await
            .map_err(unavailable(caller.request_id))?
        {
            return issue(caller, &next(now, &turned(&turn, &grant)), &scope).await;
        }
    }
    Err(TokenError::Unavailable)
}

/// A part of what was granted: all of it where nothing is asked for.
fn granted_scope(requested: Option<&str>, granted: &Scope) -> Result<Scope, TokenError> {
    match requested.unwrap_or_default().trim_matches(' ') {
        "" => Ok(granted.clone()),
        requested => Scope::requested(Some(requested), granted).map_err(TokenError::Scope),
    }
}

/// The successor was never used: the caller gets it again. That is what parallel workers and lost
/// answers need; a thief would look the same, so it is counted and reported.
async fn repeat(caller: &Caller<'_>, grant: &Grant, scope: &Scope) -> Result<Issued, TokenError> {
    let site = caller.site;
    let GrantStatus::Active(active) = grant.status else {
        return Err(TokenError::Unavailable);
    };
    let store = &site.store;
    if !active.repeated {
        store
            .note_repeat(site.environment, grant.id, active.generation)
            .await
            .map_err(unavailable(caller.request_id))?;
    }
    let first = store
        .turned_from(site.environment, grant.id)
        .await
        .map_err(unavailable(caller.request_id))?;
    site.metrics.tokens.note(TokenEvent::RefreshRepeated);
    tracing::warn!(
        request.id = caller.request_id.0,
        client.id = caller.client.id,
        client.address = %caller.address,
        first.address = first.unwrap_or_default(),
        generation = active.generation,
        "refresh.repeated"
    );
    let turned = Turned {
        scope: grant.scope.clone(),
        idle_expires_at: active.idle_expires_at,
        ends_at: grant.ends_at,
        customer_id: grant.customer_id,
        businesses: grant.businesses.clone(),
        binding: grant.binding.clone(),
        openid: grant.openid.clone(),
    };
    let same = Generation {
        grant_id: grant.id,
        number: active.generation,
        turned_at: active.turned_at,
        turned: &turned,
    };
    Ok(issue(caller, &same, scope).await?.once_more())
}

/// A connection that ends because its token was used twice.
struct Reuse {
    grant_id: [u8; 16],
    customer_id: Option<[u8; 16]>,
}

async fn refuse(
    caller: &Caller<'_>,
    fault: RefreshFault,
    reuse: Option<Reuse>,
    alarm: bool,
) -> Result<TokenError, TokenError> {
    let site = caller.site;
    if alarm {
        site.metrics.tokens.note(TokenEvent::RefreshAheadOfRow);
        tracing::error!(
            request.id = caller.request_id.0,
            client.id = caller.client.id,
            "refresh.ahead_of_row: the database went back in time"
        );
    }
    if let Some(Reuse { grant_id, customer_id }) = reuse {
        let reused = Reused::RefreshToken;
        let event = Event::GrantReuseDetected { grant_id, customer_id, reused };
        site.store
            .revoke_grant_telling(grant_id, &site.notice(&caller.client.id, event))
            .await
            .map_err(unavailable(caller.request_id))?;
        site.metrics.tokens.note(TokenEvent::RefreshReused);
        tracing::warn!(
            request.id = caller.request_id.0,
            client.id = caller.client.id,
            client.address = %caller.address,
            "refresh.reused: the connection was ended"
        );
    }
    Ok(TokenError::Refresh { fault, proved: !caller.client.is_public() })
}

async fn open(caller: &Caller<'_>, token: &str) -> Result<RefreshSeal, TokenError> {
    let site = caller.site;
    let fault = match site.open(|sealer| sealer.open_refresh(token)).await {
        Ok(seal) => return Ok(seal),
        Err(NotThisSeal::OtherKind(_)) => RefreshFault::OtherKind,
        Err(NotThisSeal::Foreign) if site.other_sealer.open_refresh(token).is_ok() => {
            RefreshFault::OtherEnvironment {
                here: site.environment,
                issued_in: site.other_sealer.environment(),
            }
        }
        Err(NotThisSeal::Foreign) => RefreshFault::Unreadable,
        Err(NotThisSeal::UnknownKey) => return Err(TokenError::Unavailable),
    };
    Err(TokenError::Refresh { fault, proved: !caller.client.is_public() })
}

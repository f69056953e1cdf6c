//! A refresh token becomes the next tokens of its grant (RFC 6749 6).

use grantor_protocol::grant::{
    Grant, GrantStatus, RefreshDecision, RefreshFault, check_refresh, refresh_window_seconds,
};
use grantor_protocol::scope::Scope;
use grantor_protocol::token_error::TokenError;
use serde_json::Value;

use super::issue::{Generation, idle_expires_at, issue};
use super::{Caller, unavailable};
use crate::metrics::TokenEvent;
use crate::seal::{NotThisSeal, RefreshSeal};
use crate::store::Turn;

/// Turns a generation, or gives the same successor once more.
pub(super) async fn refresh(
    caller: &Caller<'_>,
    refresh_token: &str,
    scope: Option<&str>,
) -> Result<Value, TokenError> {
    let site = caller.site;
    let seal = open(caller, refresh_token).await?;
    let window = refresh_window_seconds(caller.client, site.settings.refresh_window_seconds);
    let attempt = site.random.bytes();
    for _ in 0..3 {
        let grant = site
            .store
            .grant(site.environment, seal.grant_id)
            .await
            .map_err(unavailable(caller.request_id))?;
        let now = site.clock.now();
        let decision = check_refresh(grant.as_ref(), caller.client, seal.generation, window, now);
        if let RefreshDecision::Refuse { fault, revoke, alarm } = decision {
            return Err(refuse(caller, &seal, fault, revoke, alarm).await?);
        }
        let Some(grant) = grant else {
            return Err(TokenError::Unavailable);
        };
        // A scope never grows (RFC 6749 6); what is asked for is checked before anything is spent.
        let scope = Scope::requested(scope, &grant.scope).map_err(TokenError::Scope)?;
        if decision == RefreshDecision::Repeat {
            return repeat(caller, &grant, &scope).await;
        }
        let idle_expires_at = idle_expires_at(caller, &grant, now);
        let from = caller.address.to_string();
        let turn = Turn {
            environment: site.environment,
            id: grant.id,
            attempt,
            idle_expires_at,
            from: &from,
            now,
        };
        if site
            .store
            .turn_generation(&turn, seal.generation)
            .await
            .map_err(unavailable(caller.request_id))?
        {
            let number = seal.generation + 1;
            let next = Generation { grant: &grant, number, turned_at: now, idle_expires_at };
            return Ok(issue(caller, &next, &scope));
        }
    }
    Err(TokenError::Unavailable)
}

/// The successor was never used: the caller gets it again. That is what parallel workers and lost
/// answers need; a thief would look the same, so it is counted and reported.
async fn repeat(caller: &Caller<'_>, grant: &Grant, scope: &Scope) -> Result<Value, TokenError> {
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
    let same = Generation {
        grant,
        number: active.generation,
        turned_at: active.turned_at,
        idle_expires_at: active.idle_expires_at,
    };
    Ok(issue(caller, &same, scope))
}

async fn refuse(
    caller: &Caller<'_>,
    seal: &RefreshSeal,
    fault: RefreshFault,
    revoke: bool,
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
    if revoke {
        let now = site.clock.now();
        site.store
            .revoke_grant(site.environment, seal.grant_id, now)
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

//! The tokens of one turn, sealed, as they go over the wire (RFC 6749 5.1).

use grantor_protocol::grant::Grant;
use grantor_protocol::scope::Scope;
use serde_json::{Value, json};

use super::Caller;
use crate::seal::{AccessSeal, RefreshSeal};

/// One generation of a grant: what its tokens are sealed from.
pub(super) struct Generation<'a> {
    pub(super) grant: &'a Grant,
    pub(super) number: i64,
    /// When it began, in Unix seconds.
    pub(super) turned_at: i64,
    /// When its refresh token ends unless it is used, in Unix seconds.
    pub(super) idle_expires_at: i64,
}

/// When a generation that begins now ends unless it is refreshed.
pub(super) fn idle_expires_at(caller: &Caller<'_>, grant: &Grant, now: i64) -> i64 {
    let settings = &caller.site.settings;
    let ttl = match caller.client.settings.refresh_tokens {
        true => settings.refresh_token_idle_seconds,
        // Without a refresh token nobody can come back: the grant ends with its access token.
        false => settings.access_token_ttl_seconds,
    };
    let idle = now + ttl;
    grant.ends_at.map_or(idle, |end| end.min(idle))
}

/// Seals the tokens. The refresh token is the same whenever it is computed for this generation; the
/// access token is for the scope of this very request.
pub(super) fn issue(caller: &Caller<'_>, generation: &Generation<'_>, scope: &Scope) -> Value {
    let site = caller.site;
    let now = site.clock.now();
    let Generation { grant, number, turned_at, idle_expires_at } = *generation;
    let lifetime = now + site.settings.access_token_ttl_seconds;
    let expires_at = grant.ends_at.map_or(lifetime, |end| end.min(lifetime));
    let access_token = site.sealer.access(&AccessSeal {
        grant_id: grant.id,
        generation: number,
        expires_at,
        issued_at: now,
        token_id: site.random.bytes(),
        scope: scope.clone(),
    });
    let mut issued = json!({
        "access_token": access_token,
        "token_type": "bearer",
        "expires_in": expires_at - now,
        "scope": scope.to_string(),
    });
    if caller.client.settings.refresh_tokens {
        let refresh =
            RefreshSeal { grant_id: grant.id, generation: number, expires_at: idle_expires_at };
        issued["refresh_token"] = site.sealer.refresh(&refresh, turned_at).into();
    }
    issued
}

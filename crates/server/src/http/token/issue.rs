//! The tokens of one turn, sealed, as they go over the wire (RFC 6749 5.1).

use grantor_protocol::grant::{Binding, Grant};
use grantor_protocol::scope::Scope;
use serde::Serialize;

use super::Caller;
use crate::seal::{AccessSeal, RefreshSeal};
use crate::store::{Turn, Turned};

/// What is answered (RFC 6749 5.1).
#[derive(Serialize)]
pub(super) struct Issued {
    access_token: String,
    /// In seconds from now.
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    scope: String,
    token_type: &'static str,
}

impl Issued {
    /// A token of a client itself: nobody can refresh it (RFC 6749 4.4.3).
    pub(super) fn of_client(
        access_token: String,
        expires_in: i64,
        scope: &Scope,
        is_bound: bool,
    ) -> Issued {
        Issued {
            access_token,
            expires_in,
            refresh_token: None,
            scope: scope.to_string(),
            token_type: token_type(is_bound),
        }
    }
}

/// RFC 6750 4, RFC 9449 5.
fn token_type(is_bound: bool) -> &'static str {
    if is_bound { "DPoP" } else { "bearer" }
}

/// One generation of a grant: what its tokens are sealed from.
pub(super) struct Generation<'a> {
    pub(super) grant_id: [u8; 16],
    pub(super) number: i64,
    /// When it began, in Unix seconds.
    pub(super) turned_at: i64,
    /// What it has from its grant.
    pub(super) turned: &'a Turned,
}

/// When a generation that begins now ends unless it is refreshed, or its grant ends before.
pub(super) fn at_most_idle_until(caller: &Caller<'_>, now: i64) -> i64 {
    let settings = &caller.site.settings;
    let ttl = match caller.client.settings.refresh_tokens {
        true => settings.refresh_token_idle_seconds,
        // Without a refresh token nobody can come back: the grant ends with its access token.
        false => settings.access_token_ttl_seconds,
    };
    now + ttl
}

/// What a turn made of a grant that was read.
pub(super) fn turned(turn: &Turn<'_>, grant: &Grant) -> Turned {
    let idle = turn.idle_expires_at;
    Turned {
        scope: grant.scope.clone(),
        idle_expires_at: grant.ends_at.map_or(idle, |end| end.min(idle)),
        ends_at: grant.ends_at,
        customer_id: grant.customer_id,
        binding: grant.binding.clone(),
        openid: grant.openid.clone(),
    }
}

/// Seals the tokens. The refresh token is the same whenever it is computed for this generation; the
/// access token is for the scope of this very request.
pub(super) fn issue(caller: &Caller<'_>, generation: &Generation<'_>, scope: &Scope) -> Issued {
    let site = caller.site;
    let now = site.clock.now();
    let Generation { grant_id, number, turned_at, turned } = *generation;
    let lifetime = now + site.settings.access_token_ttl_seconds;
    let expires_at = turned.ends_at.map_or(lifetime, |end| end.min(lifetime));
    let access_token = site.sealer.access(&AccessSeal {
        grant_id,
        generation: number,
        expires_at,
        issued_at: now,
        token_id: site.random.bytes(),
        scope: scope.clone(),
        binding: Binding { resources: turned.binding.resources.clone(), key: caller.key },
    });
    let refresh_token = caller.client.settings.refresh_tokens.then(|| {
        let refresh =
            RefreshSeal { grant_id, generation: number, expires_at: turned.idle_expires_at };
        site.sealer.refresh(&refresh, turned_at)
    });
    Issued {
        access_token,
        expires_in: expires_at - now,
        refresh_token,
        scope: scope.to_string(),
        token_type: token_type(caller.key.is_some()),
    }
}

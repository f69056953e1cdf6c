//! The tokens of one turn, sealed, as they go over the wire (RFC 6749 5.1).

use grantor_protocol::grant::{Binding, Grant};
use grantor_protocol::jose::SigningFault;
use grantor_protocol::openid::OFFLINE_ACCESS;
use grantor_protocol::resource::Resources;
use grantor_protocol::scope::Scope;
use grantor_protocol::token_error::TokenError;
use serde::Serialize;
use uuid::Uuid;

use super::Caller;
use crate::http::heard::Mark;
use crate::http::signed_token::{Parties, sign_access};
use crate::seal::{AccessSeal, RefreshSeal};
use crate::store::{LoggedToken, Turn, Turned};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    /// What the log keeps of it, which is told to nobody.
    #[serde(skip)]
    mark: Mark,
}

impl Issued {
    pub(super) fn access_token(&self) -> &str {
        &self.access_token
    }

    pub(super) fn with_id_token(self, id_token: Option<String>) -> Issued {
        Issued { id_token, ..self }
    }

    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// The same tokens as before.
    pub(super) fn once_more(mut self) -> Issued {
        self.mark.is_repeat = true;
        self
    }

    /// A token of a client itself: nobody can refresh it (RFC 6749 4.4.3).
    pub(super) fn of_client(
        access_token: String,
        expires_in: i64,
        scope: &Scope,
        (is_bound, token): (bool, LoggedToken),
    ) -> Issued {
        Issued {
            access_token,
            expires_in,
            refresh_token: None,
            scope: scope.to_string(),
            token_type: token_type(is_bound),
            id_token: None,
            mark: Mark { token, generation: None, is_repeat: false },
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
        businesses: grant.businesses.clone(),
        binding: grant.binding.clone(),
        openid: grant.openid.clone(),
    }
}

/// For which APIs the tokens of a grant are, as this call and its scope narrow them.
///
/// # Errors
/// [`TokenError::Resource`]
pub(super) fn narrowed(
    caller: &Caller<'_>,
    granted: &Resources,
    scope: &Scope,
) -> Result<Resources, TokenError> {
    let apis = &caller.site.settings.apis;
    apis.narrowed(caller.resources, granted, scope).map_err(TokenError::Resource)
}

/// Makes the tokens. The refresh token is the same whenever it is computed for this generation; the
/// access token is for the scope and the APIs of this very request.
///
/// # Errors
/// [`TokenError::Resource`] where the request names what was not granted: whoever comes here looked
/// before anything was spent. [`TokenError::Unavailable`] where a token cannot be signed.
pub(super) async fn issue(
    caller: &Caller<'_>,
    generation: &Generation<'_>,
    scope: &Scope,
) -> Result<Issued, TokenError> {
    let site = caller.site;
    let now = site.clock.now();
    let Generation { grant_id, number, turned_at, turned } = *generation;
    let lifetime = now + site.settings.access_token_ttl_seconds;
    let expires_at = turned.ends_at.map_or(lifetime, |end| end.min(lifetime));
    let apis = &site.settings.apis;
    let resources = narrowed(caller, &turned.binding.resources, scope)?;
    let scope = apis.scope_for(&resources, scope);
    let algorithm = apis.format_for(&resources).algorithm();
    let seal = AccessSeal {
        grant_id,
        generation: number,
        expires_at,
        issued_at: now,
        token_id: site.random.bytes(),
        scope: scope.clone(),
        binding: Binding { resources, key: caller.key },
    };
    let token = LoggedToken { owner: grant_id, id: seal.token_id, expires_at };
    let access_token = match algorithm {
        None => site.sealer.access(&seal),
        Some(algorithm) => {
            let subject = Uuid::from_bytes(turned.customer_id).to_string();
            let businesses = turned.businesses.as_slice();
            let parties = Parties { client_id: &caller.client.id, subject: &subject, businesses };
            let ring = caller.signing_keys().await?;
            sign_access(site, (&ring, algorithm), &seal, &parties).map_err(unsigned(caller))?
        }
    };
    let refresh_token = may_refresh(caller, &turned.scope).then(|| {
        let refresh =
            RefreshSeal { grant_id, generation: number, expires_at: turned.idle_expires_at };
        site.sealer.refresh(&refresh, turned_at)
    });
    Ok(Issued {
        access_token,
        expires_in: expires_at - now,
        refresh_token,
        scope: scope.to_string(),
        token_type: token_type(caller.key.is_some()),
        id_token: None,
        mark: Mark { token, generation: Some(number), is_repeat: false },
    })
}

/// A refresh token comes without `offline_access`, unless the client's setting says otherwise.
fn may_refresh(caller: &Caller<'_>, granted: &Scope) -> bool {
    let settings = &caller.client.settings;
    settings.refresh_tokens
        && (!settings.offline_access_required || granted.contains(OFFLINE_ACCESS))
}

/// What a fault of the signature is to the caller.
pub(super) fn unsigned(caller: &Caller<'_>) -> impl Fn(SigningFault) -> TokenError {
    move |fault| {
        tracing::error!(request.id = caller.request_id.0, error = fault.words(), "token.unsigned");
        TokenError::Unavailable
    }
}

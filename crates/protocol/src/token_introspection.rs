//! What `/oauth/introspect` says of a token (RFC 7662).
//!
//! 1. [`IntrospectionRequest::parse`] reads the call;
//! 2. [`introspect`] decides from what the seal says, the grant's row and who asks.
//!
//! A client learns of its own tokens, and of nothing else: whatever is not active is told apart by
//! no word (RFC 7662 2.2), so that nobody can feel for tokens here.

use crate::access_token::{AccessFault, AccessToken, TokenRow, check_access};
use crate::api::Apis;
use crate::client::Client;
use crate::client_call::{ClientCall, TokenForm};
use crate::grant::{Binding, Grant, GrantStatus};
use crate::scope::Scope;
use crate::token_error::TokenError;

/// A call whose parts are within their rules.
pub struct IntrospectionRequest(pub TokenForm);

/// What a genuine seal says of itself, of the kinds that may be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealedToken {
    /// a code
    Code,
    /// a refresh token
    Refresh {
        /// of this generation
        generation: i64,
        /// when it ends, in Unix seconds
        expires_at: i64,
    },
    /// an access token
    Access(AccessToken),
}

/// What is said of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introspection {
    /// It lives.
    Active(ActiveToken),
    /// It does not, or is none of the client's concern.
    Inactive {
        /// whether the row went back in time, which is for the operator to know at once
        alarm: bool,
    },
}

/// A token that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveToken {
    /// What it may do.
    pub scope: Scope,
    /// Whose connection it belongs to.
    pub customer_id: [u8; 16],
    /// When it ends, in Unix seconds.
    pub expires_at: i64,
    /// When it was made, in Unix seconds.
    pub issued_at: i64,
    /// For which APIs, as who asks is told it, and for which key it is (RFC 9449 6.2).
    pub binding: Binding,
}

/// Who asks: a client that proved itself, and what it may check besides its own tokens.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// the client
    pub client: &'a Client,
    /// the APIs of the environment
    pub apis: &'a Apis,
}

impl IntrospectionRequest {
    /// Reads a call.
    ///
    /// # Errors
    /// [`TokenError::Request`] for what is malformed, [`TokenError::Client`] for a header that is.
    pub fn parse(call: &ClientCall<'_>) -> Result<IntrospectionRequest, TokenError> {
        TokenForm::parse(call).map(IntrospectionRequest)
    }
}

/// Decides what is said of a genuine token to whoever proved itself.
pub fn introspect(
    token: &SealedToken,
    row: Option<&TokenRow>,
    asker: Asker<'_>,
    now: i64,
) -> Introspection {
    let Some(row) = row else {
        return Introspection::Inactive { alarm: false };
    };
    let decided = match token {
        // A code is spent at the token endpoint alone.
        SealedToken::Code => Err(AccessFault::Unknown),
        SealedToken::Refresh { generation, expires_at } => {
            check_refresh_token(&row.grant, *generation, *expires_at, now)
        }
        SealedToken::Access(token) => check_access(token, Some(row), now).map(|live| ActiveToken {
            scope: live.scope,
            customer_id: row.grant.customer_id,
            expires_at: live.expires_at,
            issued_at: token.issued_at,
            binding: live.binding,
        }),
    };
    let active = match decided {
        Ok(active) => active,
        Err(fault) => {
            return Introspection::Inactive { alarm: fault == AccessFault::AheadOfRow };
        }
    };
    let is_own = row.grant.client_id == asker.client.id;
    match token {
        SealedToken::Access(_) => match asker.told(is_own, active.scope, active.binding) {
            Some((scope, binding)) => {
                Introspection::Active(ActiveToken { scope, binding, ..active })
            }
            None => Introspection::Inactive { alarm: false },
        },
        _ if is_own => Introspection::Active(active),
        _ => Introspection::Inactive { alarm: false },
    }
}

impl Asker<'_> {
    /// What the asker is told of an access token's scope and audience; `None` where it is none of its
    /// concern. RFC 7662 4: what a token says is for the client that it was issued to, and for those
    /// who check it at an API that it is for.
    ///
    /// A token that names no API is for whichever knows its scopes: to those who check it, the answer
    /// names them, so that they need not take one without an audience (RFC 7662 2.2).
    pub fn told(&self, is_own: bool, scope: Scope, binding: Binding) -> Option<(Scope, Binding)> {
        match self.apis.seen_by(self.client, &binding.resources, &scope) {
            Some(seen) => {
                let scope = if is_own { scope } else { seen.scope };
                Some((scope, Binding { resources: seen.audience, ..binding }))
            }
            None => is_own.then_some((scope, binding)),
        }
    }
}

/// A refresh token lives at the current generation alone, although the one before it may still be
/// repeated for a moment: who asks wants to know which to keep.
fn check_refresh_token(
    grant: &Grant,
    generation: i64,
    expires_at: i64,
    now: i64,
) -> Result<ActiveToken, AccessFault> {
    let active = match grant.status {
        GrantStatus::Active(active) => active,
        GrantStatus::Pending => return Err(AccessFault::AheadOfRow),
        GrantStatus::Revoked { .. } => return Err(AccessFault::Ended),
    };
    if generation > active.generation {
        return Err(AccessFault::AheadOfRow);
    }
    let idle = active.idle_expires_at.min(expires_at);
    let expires_at = grant.ends_at.map_or(idle, |end| end.min(idle));
    if !grant.in_force || generation < active.generation || now >= expires_at {
        return Err(AccessFault::Ended);
    }
    Ok(ActiveToken {
        scope: grant.scope.clone(),
        customer_id: grant.customer_id,
        expires_at,
        issued_at: active.turned_at,
        binding: grant.binding.clone(),
    })
}

//! Whether an access token lives. The one place that says so: the API and introspection ask here.
//!
//! A token answers as seal ∩ row: its own scope and expiry, while its grant lives. That a row is
//! behind a genuine seal is found before anything that ends a grant, because the operator has to
//! hear of it.

use crate::grant::{Binding, Grant, GrantStatus};
use crate::scope::Scope;

/// How far the clocks of two servers may differ, in seconds: a seal from further ahead is refused.
pub const CLOCK_SKEW_SECONDS: i64 = 60;

/// What a genuine access token says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// At which generation it was made.
    pub generation: i64,
    /// In Unix seconds.
    pub expires_at: i64,
    /// In Unix seconds.
    pub issued_at: i64,
    /// What it may do, of what was granted.
    pub scope: Scope,
    /// For which APIs and which key.
    pub binding: Binding,
}

/// What the store says of the grant that a token belongs to, read in one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// The grant.
    pub grant: Grant,
    /// Whether this access token alone was revoked. Never, of another kind.
    pub token_revoked: bool,
}

/// An access token that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveAccess {
    /// What it may do: no more than its own scope, and no more than what is granted.
    pub scope: Scope,
    /// For which APIs and which key: its own, whatever its grant is for.
    pub binding: Binding,
    /// When it ends, in Unix seconds.
    pub expires_at: i64,
}

/// Why an access token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFault {
    /// its time is over
    Expired,
    /// it was made later than now, by more than clocks may differ
    FromTheFuture,
    /// its grant is not, or no more, in the store
    Unknown,
    /// it is newer than its grant's row: the row went back in time, and an alarm is due
    AheadOfRow,
    /// its grant ended
    Ended,
    /// it alone was revoked
    Revoked,
}

impl AccessToken {
    /// What can be said without the store: whether its time is now.
    ///
    /// # Errors
    /// [`AccessFault::Expired`], [`AccessFault::FromTheFuture`].
    pub fn check_time(&self, now: i64) -> Result<(), AccessFault> {
        if now >= self.expires_at {
            return Err(AccessFault::Expired);
        }
        match self.issued_at.saturating_sub(now) {
            ..=CLOCK_SKEW_SECONDS => Ok(()),
            _ => Err(AccessFault::FromTheFuture),
        }
    }
}

/// Decides whether a genuine access token lives, and what it may do.
///
/// # Errors
/// [`AccessFault`].
pub fn check_access(
    token: &AccessToken,
    row: Option<&TokenRow>,
    now: i64,
) -> Result<LiveAccess, AccessFault> {
    token.check_time(now)?;
    let row = row.ok_or(AccessFault::Unknown)?;
    let grant = &row.grant;
    let generation = match grant.status {
        GrantStatus::Active(active) => active.generation,
        // There is no access token before the exchange.
        GrantStatus::Pending => return Err(AccessFault::AheadOfRow),
        GrantStatus::Revoked { .. } => return Err(AccessFault::Ended),
    };
    if token.generation > generation {
        return Err(AccessFault::AheadOfRow);
    }
    if !grant.in_force || grant.ends_at.is_some_and(|end| now >= end) {
        return Err(AccessFault::Ended);
    }
    if row.token_revoked {
        return Err(AccessFault::Revoked);
    }
    Ok(LiveAccess {
        scope: token.scope.intersection(&grant.scope),
        binding: token.binding.clone(),
        expires_at: grant.ends_at.map_or(token.expires_at, |end| end.min(token.expires_at)),
    })
}

//! Access tokens of a client itself (RFC 6749 4.4): no customer stands behind them, and no grant. Such
//! a token lives by its seal, its client's row, and nothing else: none is written when it is issued.

use crate::access_token::{AccessFault, CLOCK_SKEW_SECONDS, LiveAccess};
use crate::grant::Binding;
use crate::scope::Scope;

/// What a genuine token of a client says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientToken {
    /// The counter that its client had: it must still stand.
    pub counter: i64,
    /// In Unix seconds.
    pub expires_at: i64,
    /// In Unix seconds.
    pub issued_at: i64,
    /// What it may do.
    pub scope: Scope,
    /// For which APIs and which key.
    pub binding: Binding,
}

/// What the store says of the client that a token belongs to, read in one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTokenRow {
    /// The client's id.
    pub client_id: String,
    /// Its counter now.
    pub counter: i64,
    /// Whether it is switched off.
    pub disabled: bool,
    /// What it may ask for now.
    pub scopes: Scope,
    /// Whether this token alone was revoked.
    pub token_revoked: bool,
}

/// Decides whether a genuine token of a client lives, and what it may do: its own scope, as far as
/// the client still has it.
///
/// # Errors
/// [`AccessFault`]
pub fn check_client_token(
    token: &ClientToken,
    row: Option<&ClientTokenRow>,
    now: i64,
) -> Result<LiveAccess, AccessFault> {
    if now >= token.expires_at {
        return Err(AccessFault::Expired);
    }
    if token.issued_at.saturating_sub(now) > CLOCK_SKEW_SECONDS {
        return Err(AccessFault::FromTheFuture);
    }
    let row = row.ok_or(AccessFault::Unknown)?;
    // A counter only rises: a token that is ahead of its row says that the row went back in time.
    if token.counter > row.counter {
        return Err(AccessFault::AheadOfRow);
    }
    if row.disabled || token.counter < row.counter {
        return Err(AccessFault::Ended);
    }
    if row.token_revoked {
        return Err(AccessFault::Revoked);
    }
    Ok(LiveAccess {
        scope: token.scope.intersection(&row.scopes),
        binding: token.binding.clone(),
        expires_at: token.expires_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn s17_a_clients_token_lives_while_its_client_stands_as_it_stood() {
        let scope = |text| Scope::parse(text).unwrap();
        let token = ClientToken {
            counter: 3,
            expires_at: NOW + 10,
            issued_at: NOW,
            scope: scope("a b"),
            binding: Binding::default(),
        };
        let row = ClientTokenRow {
            client_id: "c".into(),
            counter: 3,
            disabled: false,
            scopes: scope("b c"),
            token_revoked: false,
        };
        let live = check_client_token(&token, Some(&row), NOW).unwrap();
        assert_eq!((live.scope, live.expires_at), (scope("b"), NOW + 10));
        for (row, now, fault) in [
            (None, NOW, AccessFault::Unknown),
            (Some(row.clone()), NOW + 10, AccessFault::Expired),
            (Some(row.clone()), NOW - 61, AccessFault::FromTheFuture),
            (Some(ClientTokenRow { counter: 4, ..row.clone() }), NOW, AccessFault::Ended),
            (Some(ClientTokenRow { counter: 2, ..row.clone() }), NOW, AccessFault::AheadOfRow),
            (Some(ClientTokenRow { disabled: true, ..row.clone() }), NOW, AccessFault::Ended),
            (Some(ClientTokenRow { token_revoked: true, ..row }), NOW, AccessFault::Revoked),
        ] {
            assert_eq!(check_client_token(&token, row.as_ref(), now), Err(fault));
        }
    }
}

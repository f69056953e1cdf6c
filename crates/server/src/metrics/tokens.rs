//! What became of calls to the token endpoint of one environment.

use crate::count::Count;

/// What a call brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// Nothing: it was refused before that could be read, or its client did not prove itself.
    None,
    /// A code.
    AuthorizationCode,
    /// A refresh token.
    RefreshToken,
    /// The client's own proof.
    ClientCredentials,
    /// A device's code.
    DeviceCode,
}

/// What deserves a look. Each is a line of the log too, with the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenEvent {
    /// A code came twice, and its grant was ended.
    CodeReplayed,
    /// The same refresh was asked for again inside its window.
    RefreshRepeated,
    /// An old refresh token came, and its grant was ended.
    RefreshReused,
    /// A genuine token is newer than its row.
    RefreshAheadOfRow,
}

/// What became of calls to the token endpoint.
#[derive(Debug, Default)]
pub struct Tokens {
    calls: [[Count; OUTCOMES.len()]; GRANT_TYPES.len()],
    events: [Count; EVENTS.len()],
}

/// In the order of [`GrantType`].
const GRANT_TYPES: [&str; 5] =
    ["none", "authorization_code", "refresh_token", "client_credentials", "device_code"];

/// In the order of [`TokenEvent`].
const EVENTS: [&str; 4] =
    ["code.replayed", "refresh.repeated", "refresh.reused", "refresh.ahead_of_row"];

/// Tokens, or the error code of the answer (RFC 6749 5.2). The last one stands for all that are not
/// here.
const OUTCOMES: [&str; 16] = [
    ISSUED,
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "invalid_target",
    "authorization_pending",
    "slow_down",
    "access_denied",
    "expired_token",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    "unauthorized_client",
    "unsupported_grant_type",
    "temporarily_unavailable",
    "other",
];
const ISSUED: &str = "issued";

impl Tokens {
    /// Counts a call that got its tokens.
    pub fn issued(&self, grant_type: GrantType) {
        self.outcome(grant_type, ISSUED);
    }

    /// Counts a call that was answered with this error code.
    pub fn refused(&self, grant_type: GrantType, code: &str) {
        self.outcome(grant_type, code);
    }

    /// Counts what deserves a look.
    pub fn note(&self, event: TokenEvent) {
        self.events[event as usize].add(1);
    }

    fn outcome(&self, grant_type: GrantType, outcome: &str) {
        let known = OUTCOMES.iter().position(|known| *known == outcome);
        self.calls[grant_type as usize][known.unwrap_or(OUTCOMES.len() - 1)].add(1);
    }

    /// Grant type, outcome, and how often.
    pub(crate) fn calls(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        GRANT_TYPES.into_iter().zip(&self.calls).flat_map(|(grant_type, outcomes)| {
            let counted = OUTCOMES.into_iter().zip(outcomes);
            counted.map(move |(outcome, count)| (grant_type, outcome, count.read()))
        })
    }

    /// Each event, and how often.
    pub(crate) fn events(&self) -> impl Iterator<Item = (&'static str, u64)> {
        EVENTS.into_iter().zip(self.events.iter().map(Count::read))
    }
}

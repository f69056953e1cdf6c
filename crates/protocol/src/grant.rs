//! The life of a grant, decided from its row and never in two places.
//!
//! ```text
//! Allow ──► pending ──exchange──► active, generation 1 ──refresh──► generation 2 …
//!              │                     │
//!              └──── expires         └── revoked, or expires when idle
//! ```
//!
//! These functions read a row and say what should happen. They change nothing: the write that
//! follows is conditional on the very state that was read, so a decision that came too late is
//! simply not carried out and is taken again.

use crate::client::Client;
use crate::environment::Environment;
use crate::pkce::{CodeChallenge, CodeVerifier};
use crate::redirect_uri::RedirectUriDigest;
use crate::resource::Resources;
use crate::scope::Scope;

/// A double submit of a code with PKCE within this time harms nobody, in seconds.
pub const DOUBLE_SUBMIT_SECONDS: i64 = 10;
/// How far the clocks of two server processes may be apart, whole seconds included: what one of them
/// wrote "in the future" of the other by no more than this happened just now, in seconds.
pub const CLOCKS_APART_SECONDS: i64 = 2;
/// How long a public client may repeat a refresh, unless its setting says otherwise, in seconds.
pub const PUBLIC_REFRESH_WINDOW_SECONDS: i64 = 10;
/// A public client that repeats in so many generations running has a double.
pub const PUBLIC_REPEATS_RUNNING: i64 = 3;

/// One allowed connection: customer, client, scopes, businesses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id, which is time-ordered and no secret.
    pub id: [u8; 16],
    /// The client.
    pub client_id: String,
    /// The customer.
    pub customer_id: [u8; 16],
    /// What was allowed.
    pub scope: Scope,
    /// For which businesses.
    pub businesses: Vec<i64>,
    /// Where the code went.
    pub redirect_uri: RedirectUriDigest,
    /// What the code's verifier has to answer.
    pub code_challenge: Option<CodeChallenge>,
    /// When its code stops being one, in Unix seconds.
    pub code_expires_at: i64,
    /// When it ends whatever happens, in Unix seconds.
    pub ends_at: Option<i64>,
    /// For which APIs and which key.
    pub binding: Binding,
    /// What an ID token has to say, where one was asked for.
    pub openid: Option<OpenIdRequest>,
    /// Where it stands in its life.
    pub status: GrantStatus,
    /// Whether its client, customer and consent still carry the counters that it was born with, and
    /// the client is not disabled. A grant that is not in force is ended, whatever its status says.
    pub in_force: bool,
}

/// What a token is bound to besides its client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The APIs that it is for (RFC 8707); none named: any that knows its scopes.
    pub resources: Resources,
    /// The SHA-256 thumbprint of the key that its bearer has to prove (RFC 9449 6.1).
    pub key: Option<[u8; 32]>,
}

/// What an authorization request with the scope `openid` leaves for the ID token (OpenID Connect
/// Core 3.1.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenIdRequest {
    /// Handed back in the ID token as it came.
    pub nonce: Option<String>,
    /// When the customer entered the password, in Unix seconds.
    pub signed_in_at: i64,
    /// The names of the claims that were asked for in the ID token by `claims`.
    pub id_token_claims: Vec<String>,
    /// The names of the claims that were asked for at `/oauth/userinfo` by `claims`.
    pub userinfo_claims: Vec<String>,
}

/// Where a grant stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantStatus {
    /// Its code is not redeemed.
    Pending,
    /// Redeemed.
    Active(Active),
    /// Ended by somebody.
    Revoked {
        /// when, in Unix seconds
        at: i64,
    },
}

/// A grant that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active {
    /// How often it was refreshed, and one more.
    pub generation: i64,
    /// When its code was redeemed, in Unix seconds.
    pub redeemed_at: i64,
    /// When this generation began, in Unix seconds.
    pub turned_at: i64,
    /// When it ends unless it is refreshed, in Unix seconds.
    pub idle_expires_at: i64,
    /// Whether the turn to this generation was asked for again.
    pub repeated: bool,
    /// In how many generations running that happened, this one included.
    pub repeats_running: i64,
}

/// What a code is presented with.
pub struct Exchange<'a> {
    /// the client, which has proved who it is if it is one that can
    pub client: &'a Client,
    /// the redirect URI
    pub redirect_uri: &'a str,
    /// the verifier
    pub code_verifier: Option<&'a CodeVerifier>,
    /// the thumbprint of the key that the caller proved (RFC 9449)
    pub key: Option<[u8; 32]>,
}

/// Why a code is not redeemed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeFault {
    /// no seal of ours
    Unreadable,
    /// a genuine code of the other environment
    OtherEnvironment {
        /// this one
        here: Environment,
        /// the one that made it
        issued_in: Environment,
    },
    /// a genuine refresh or access token in the place of a code
    OtherKind,
    /// its grant is not, or no more, in the store
    Unknown,
    /// it was issued to another client
    OtherClient,
    /// the redirect URI is not the one that the code went to
    RedirectUriDiffers,
    /// it was issued with a challenge and comes without a verifier
    VerifierMissing,
    /// it was issued without a challenge and comes with a verifier (RFC 9700 4.8.2)
    VerifierUnexpected,
    /// the verifier does not answer the challenge
    VerifierWrong,
    /// it is bound to a key, and no proof of one came with it (RFC 9449 10)
    ProofMissing,
    /// it is bound to another key than was proved
    KeyDiffers,
    /// too late
    Expired {
        /// by how many seconds
        seconds_ago: i64,
    },
    /// it was redeemed before
    Used {
        /// how many seconds before
        seconds_ago: i64,
    },
    /// the connection was ended before it began
    Ended,
}

/// A code that is not redeemed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeRefused {
    /// why
    pub fault: CodeFault,
    /// whether the caller proved enough to be told (U7)
    pub proved: bool,
    /// whether the grant has to end
    pub revoke: bool,
}

/// Decides whether a genuine code may be redeemed: client, redirect URI and verifier before the
/// state, so that a check that fails burns nothing (S12).
///
/// # Errors
/// [`ExchangeRefused`].
pub fn check_exchange(
    grant: Option<&Grant>,
    exchange: &Exchange<'_>,
    now: i64,
) -> Result<(), ExchangeRefused> {
    let authenticated = !exchange.client.is_public();
    let refused = |fault| ExchangeRefused { fault, proved: authenticated, revoke: false };
    let grant = grant.ok_or(refused(CodeFault::Unknown))?;
    if grant.client_id != exchange.client.id {
        return Err(refused(CodeFault::OtherClient));
    }
    // RFC 6749 4.1.3
    if grant.redirect_uri != RedirectUriDigest::of(exchange.redirect_uri) {
        return Err(refused(CodeFault::RedirectUriDiffers));
    }
    check_verifier(grant, exchange).map_err(refused)?;
    match check_key(grant, exchange.key) {
        Ok(()) => {}
        Err(KeyFault::ProofMissing) => return Err(refused(CodeFault::ProofMissing)),
        Err(KeyFault::Differs) => return Err(refused(CodeFault::KeyDiffers)),
    }
    // RFC 9700 2.1.1: without a secret and without a challenge anybody could redeem it. It takes a
    // client that lost its secret after its code was made.
    if !authenticated && grant.code_challenge.is_none() {
        return Err(refused(CodeFault::VerifierMissing));
    }
    // A public client has proved itself by its verifier, and only by now.
    let refused = |fault| ExchangeRefused { fault, proved: true, revoke: false };
    if !grant.in_force {
        return Err(refused(CodeFault::Ended));
    }
    match grant.status {
        GrantStatus::Pending if grant.ends_at.is_some_and(|end| now >= end) => {
            Err(refused(CodeFault::Ended))
        }
        GrantStatus::Pending if now >= grant.code_expires_at => {
            Err(refused(CodeFault::Expired { seconds_ago: now - grant.code_expires_at }))
        }
        GrantStatus::Pending => Ok(()),
        GrantStatus::Revoked { .. } => Err(refused(CodeFault::Ended)),
        GrantStatus::Active(active) => {
            let age = age(active.redeemed_at, now);
            // A reloaded old callback must not end a living connection, so the replay counts only
            // in the code's own life; a double click with a matching verifier is no theft.
            let double_submit = grant.code_challenge.is_some() && age <= DOUBLE_SUBMIT_SECONDS;
            Err(ExchangeRefused {
                fault: CodeFault::Used { seconds_ago: age.max(0) },
                proved: true,
                // A clock that went back says nothing about a thief (D10).
                revoke: age >= 0 && now < grant.code_expires_at && !double_submit,
            })
        }
    }
}

enum KeyFault {
    ProofMissing,
    Differs,
}

/// RFC 9449 5 and 10: what is bound to a key is worth nothing without it.
fn check_key(grant: &Grant, proved: Option<[u8; 32]>) -> Result<(), KeyFault> {
    match (grant.binding.key, proved) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(KeyFault::ProofMissing),
        (Some(bound), Some(proved)) if bound == proved => Ok(()),
        (Some(_), Some(_)) => Err(KeyFault::Differs),
    }
}

fn check_verifier(grant: &Grant, exchange: &Exchange<'_>) -> Result<(), CodeFault> {
    match (&grant.code_challenge, exchange.code_verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(CodeFault::VerifierUnexpected),
        (Some(_), None) => Err(CodeFault::VerifierMissing),
        (Some(challenge), Some(verifier)) if challenge.matches(verifier) => Ok(()),
        (Some(_), Some(_)) => Err(CodeFault::VerifierWrong),
    }
}

/// What should happen to a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshDecision {
    /// Turn to the next generation.
    Turn,
    /// Give the same successor once more.
    Repeat,
    /// Refuse.
    Refuse {
        /// why
        fault: RefreshFault,
        /// whether the grant has to end
        revoke: bool,
        /// whether the row went back in time, which is for the operator to know at once
        alarm: bool,
    },
}

/// Why a refresh token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshFault {
    /// no seal of ours
    Unreadable,
    /// a genuine refresh token of the other environment
    OtherEnvironment {
        /// this one
        here: Environment,
        /// the one that made it
        issued_in: Environment,
    },
    /// a genuine code or access token in the place of a refresh token
    OtherKind,
    /// its grant is not, or no more, in the store
    Unknown,
    /// it was issued to another client
    OtherClient,
    /// it was not used for too long
    Expired {
        /// by how many seconds
        seconds_ago: i64,
    },
    /// it was used before, and the window for a repeat is over
    Reused {
        /// how many seconds before; `None` if longer ago than is remembered
        seconds_ago: Option<i64>,
    },
    /// the clock of this server went back behind the turn
    ClockWentBack,
    /// it is newer than its grant's row
    AheadOfRow,
    /// somebody ended the connection
    Ended,
    /// it is bound to a key, and no proof of one came with it (RFC 9449 5)
    ProofMissing,
    /// it is bound to another key than was proved
    KeyDiffers,
}

/// What a refresh token is presented with.
pub struct Refresh<'a> {
    /// the client, which has proved who it is if it is one that can
    pub client: &'a Client,
    /// the generation of the token
    pub generation: i64,
    /// the thumbprint of the key that the caller proved (RFC 9449)
    pub key: Option<[u8; 32]>,
    /// how long a refresh may be repeated in this environment, in seconds
    pub window_seconds: i64,
}

/// How long a client may repeat a refresh, in seconds. `default_seconds` is the environment's.
/// `is_bound` says whether the token is bound to a key, which a thief would have to hold too.
pub fn refresh_window_seconds(client: &Client, is_bound: bool, default_seconds: i64) -> i64 {
    match client.settings.refresh_window_seconds {
        Some(seconds) => seconds,
        None if client.is_public() && !is_bound => {
            default_seconds.min(PUBLIC_REFRESH_WINDOW_SECONDS)
        }
        None => default_seconds,
    }
}

/// Decides what happens to a genuine refresh token.
pub fn check_refresh(grant: Option<&Grant>, refresh: &Refresh<'_>, now: i64) -> RefreshDecision {
    let Refresh { client, generation, .. } = *refresh;
    let refuse = |fault| RefreshDecision::Refuse { fault, revoke: false, alarm: false };
    let Some(grant) = grant else {
        return refuse(RefreshFault::Unknown);
    };
    if grant.client_id != client.id {
        return refuse(RefreshFault::OtherClient);
    }
    let active = match grant.status {
        GrantStatus::Active(active) => active,
        GrantStatus::Revoked { .. } => return refuse(RefreshFault::Ended),
        GrantStatus::Pending => return ahead_of_row(),
    };
    // Before all that ends a grant: a row that was put back from an old copy has often expired, and
    // the operator has to hear of it all the same.
    if generation > active.generation {
        return ahead_of_row();
    }
    // Before anything that ends the grant: who does not hold the key proves nothing (rule 5).
    match check_key(grant, refresh.key) {
        Ok(()) => {}
        Err(KeyFault::ProofMissing) => return refuse(RefreshFault::ProofMissing),
        Err(KeyFault::Differs) => return refuse(RefreshFault::KeyDiffers),
    }
    if !grant.in_force {
        return refuse(RefreshFault::Ended);
    }
    let expires_at =
        grant.ends_at.map_or(active.idle_expires_at, |end| end.min(active.idle_expires_at));
    if now >= expires_at {
        return refuse(RefreshFault::Expired { seconds_ago: now - expires_at });
    }
    match active.generation.saturating_sub(generation) {
        ..=0 => RefreshDecision::Turn,
        1 => repeat(grant, refresh, &active, now),
        2.. => reused(None),
    }
}

/// The successor was never used: whoever asks again inside the window gets the same one. The window
/// runs from the turn and never slides.
/// How long ago it was, in seconds; negative where the clock went back behind it. Callers of two
/// processes at the same moment are no clock that went back.
fn age(at: i64, now: i64) -> i64 {
    match now - at {
        age @ ..0 if age >= -CLOCKS_APART_SECONDS => 0,
        age => age,
    }
}

fn repeat(grant: &Grant, refresh: &Refresh<'_>, active: &Active, now: i64) -> RefreshDecision {
    let is_bound = grant.binding.key.is_some();
    let window_seconds = refresh_window_seconds(refresh.client, is_bound, refresh.window_seconds);
    let age = age(active.turned_at, now);
    if age < 0 {
        return RefreshDecision::Refuse {
            fault: RefreshFault::ClockWentBack,
            revoke: false,
            alarm: false,
        };
    }
    if age >= window_seconds {
        return reused(Some(age));
    }
    let running = active.repeats_running + i64::from(!active.repeated);
    if refresh.client.is_public() && !is_bound && running >= PUBLIC_REPEATS_RUNNING {
        return reused(Some(age));
    }
    RefreshDecision::Repeat
}

fn reused(seconds_ago: Option<i64>) -> RefreshDecision {
    RefreshDecision::Refuse {
        fault: RefreshFault::Reused { seconds_ago },
        revoke: true,
        alarm: false,
    }
}

/// A genuine seal that is ahead of its row proves that the row went back in time (rule 6).
fn ahead_of_row() -> RefreshDecision {
    RefreshDecision::Refuse { fault: RefreshFault::AheadOfRow, revoke: false, alarm: true }
}

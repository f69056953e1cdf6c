//! A client that proves itself by a token that it signed: `private_key_jwt` (RFC 7523 2.2 and 3;
//! OpenID Connect Core 9).
//!
//! 1. [`parse`] reads the assertion;
//! 2. [`claimed_client_id`] says whose keys to look up, where the request does not;
//! 3. [`verify`] holds the signature against those keys, then each claim against what is expected;
//! 4. the caller remembers the `jti` until [`ClientAssertion::remember_until`]: an assertion is
//!    good once.

use std::borrow::Cow;

use crate::jose::{
    Algorithm, Claims, ClaimsFault, Demand, Jwk, JwsFault, TypeDemand, UnverifiedJws, Value,
    VerifiedJws,
};

/// No assertion is longer, in bytes.
pub const MAX_ASSERTION_BYTES: usize = 8192;

/// How far ahead its `exp` may lie, in seconds, unless an operator says otherwise: it bounds for
/// how long a `jti` has to be remembered. An hour is what Authlib gives an assertion, by a clock
/// that may be ahead of ours.
pub const MAX_AHEAD_SECONDS: i64 = 3600 + CLOCK_SKEW_SECONDS;

/// How far the client's clock may be off, in seconds.
pub const CLOCK_SKEW_SECONDS: i64 = 60;

/// No `jti` is longer, in bytes.
pub const MAX_TOKEN_ID_BYTES: usize = 128;

/// What its `typ` may be, where it has one.
const TYPES: [&str; 2] = ["JWT", "client-authentication+jwt"];

/// What an assertion has to say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The client that is calling.
    pub client_id: &'a str,
    /// Its audience: our issuer, and whatever else the caller takes for it. One of them has to be
    /// the only audience: an assertion for two servers could be used by the one at the other.
    pub audiences: &'a [&'a str],
    /// Now, in Unix seconds.
    pub now: i64,
    /// How far ahead its `exp` may lie, in seconds: [`MAX_AHEAD_SECONDS`].
    pub max_ahead_seconds: i64,
}

/// An assertion that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAssertion {
    /// Its `jti`, unique for its client.
    pub token_id: String,
    /// From when on it is refused as expired, in Unix seconds: until then its `jti` is remembered.
    pub remember_until: i64,
}

/// Why an assertion proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAssertionFault {
    /// it cannot be read, or its signature is not the client's
    Jws(JwsFault),
    /// a claim is missing, or of the wrong kind
    Claims(ClaimsFault),
    /// `iss` is not the client
    IssuerDiffers,
    /// `sub` is not the client
    SubjectDiffers,
    /// `aud` is not text, nor a list of one text
    AudienceNotOne,
    /// `aud` is somebody else
    AudienceDiffers,
    /// its time is over
    Expired {
        /// for how long
        seconds_ago: i64,
    },
    /// it would be good for too long
    ExpiresTooLate {
        /// how far ahead `exp` may lie, in seconds
        limit: i64,
    },
    /// its time has not come (`nbf`)
    NotYetValid,
    /// it was made later than now (`iat`)
    FromTheFuture,
    /// `jti` is empty or longer than [`MAX_TOKEN_ID_BYTES`]
    TokenIdLength,
}

/// Reads an assertion, without a word on who made it.
///
/// # Errors
/// [`JwsFault`], but for those of keys and of the signature.
pub fn parse(assertion: &str) -> Result<UnverifiedJws<'_>, JwsFault> {
    UnverifiedJws::parse(
        assertion,
        &Demand {
            algorithms: &Algorithm::ALL,
            typ: TypeDemand::AbsentOrOneOf(&TYPES),
            max_bytes: MAX_ASSERTION_BYTES,
        },
    )
}

/// Who it says it is, so that the keys can be looked up (RFC 7521 4.2 lets `client_id` be left
/// out). Nobody vouches for it before [`verify`].
pub fn claimed_client_id(assertion: &UnverifiedJws<'_>) -> Option<String> {
    let claims = assertion.unverified_claims().ok()?;
    claims.text("sub").ok().map(str::to_owned)
}

/// Verifies an assertion by the keys of its client, and checks what it says (RFC 7523 3).
///
/// # Errors
/// [`ClientAssertionFault`]. Nothing of the claims is told before the signature is verified.
pub fn verify(
    assertion: UnverifiedJws<'_>,
    keys: &[Jwk],
    expected: &Expected<'_>,
) -> Result<ClientAssertion, ClientAssertionFault> {
    check(&assertion.verify(keys).map_err(ClientAssertionFault::Jws)?, expected)
}

/// Checks what a verified assertion says (RFC 7523 3).
///
/// # Errors
/// [`ClientAssertionFault`], but for [`ClientAssertionFault::Jws`].
pub fn check(
    assertion: &VerifiedJws,
    expected: &Expected<'_>,
) -> Result<ClientAssertion, ClientAssertionFault> {
    let claims = assertion.claims().map_err(ClientAssertionFault::Claims)?;
    let text = |claim| claims.text(claim).map_err(ClientAssertionFault::Claims);
    if text("iss")? != expected.client_id {
        return Err(ClientAssertionFault::IssuerDiffers);
    }
    if text("sub")? != expected.client_id {
        return Err(ClientAssertionFault::SubjectDiffers);
    }
    check_audience(&claims, expected.audiences)?;
    let remember_until = check_times(&claims, expected)?;
    let token_id = text("jti")?;
    if !(1..=MAX_TOKEN_ID_BYTES).contains(&token_id.len()) {
        return Err(ClientAssertionFault::TokenIdLength);
    }
    Ok(ClientAssertion { token_id: token_id.to_owned(), remember_until })
}

/// RFC 7523 3, point 3; one audience alone, so that no other server can pass the assertion on.
fn check_audience(claims: &Claims<'_>, audiences: &[&str]) -> Result<(), ClientAssertionFault> {
    let missing = ClaimsFault::Missing { claim: "aud" };
    let audience = match claims.value("aud") {
        None => return Err(ClientAssertionFault::Claims(missing)),
        Some(Value::Array(listed)) => match listed.as_slice() {
            [Value::String(only)] => only,
            _ => return Err(ClientAssertionFault::AudienceNotOne),
        },
        Some(Value::String(only)) => only,
        Some(_) => return Err(ClientAssertionFault::AudienceNotOne),
    };
    match audiences.contains(&audience.as_ref()) {
        true => Ok(()),
        false => Err(ClientAssertionFault::AudienceDiffers),
    }
}

/// RFC 7523 3, points 4 to 6. Gives the second from which on it is expired.
fn check_times(claims: &Claims<'_>, expected: &Expected<'_>) -> Result<i64, ClientAssertionFault> {
    let now = expected.now;
    let expires_at = claims.seconds("exp").map_err(ClientAssertionFault::Claims)?;
    let optional = |claim| claims.optional_seconds(claim).map_err(ClientAssertionFault::Claims);
    let ends_at = expires_at + CLOCK_SKEW_SECONDS;
    if now >= ends_at {
        return Err(ClientAssertionFault::Expired { seconds_ago: now - expires_at });
    }
    if expires_at - now > expected.max_ahead_seconds {
        return Err(ClientAssertionFault::ExpiresTooLate { limit: expected.max_ahead_seconds });
    }
    if optional("nbf")?.is_some_and(|not_before| not_before - now > CLOCK_SKEW_SECONDS) {
        return Err(ClientAssertionFault::NotYetValid);
    }
    if optional("iat")?.is_some_and(|issued_at| issued_at - now > CLOCK_SKEW_SECONDS) {
        return Err(ClientAssertionFault::FromTheFuture);
    }
    Ok(ends_at)
}

impl ClientAssertionFault {
    /// What is wrong and what to do, for the client's developer.
    pub fn words(self) -> Cow<'static, str> {
        match self {
            ClientAssertionFault::Jws(fault) => fault.words("The client assertion").into(),
            ClientAssertionFault::Claims(fault) => {
                format!("The client assertion cannot be taken. {}", fault.words()).into()
            }
            ClientAssertionFault::IssuerDiffers => {
                "The iss of the client assertion is not the client_id.".into()
            }
            ClientAssertionFault::SubjectDiffers => {
                "The sub of the client assertion is not the client_id.".into()
            }
            ClientAssertionFault::AudienceNotOne => {
                "The aud of the client assertion has to be one text: our issuer.".into()
            }
            ClientAssertionFault::AudienceDiffers => {
                "The aud of the client assertion is not our issuer, as the server metadata has it."
                    .into()
            }
            ClientAssertionFault::Expired { seconds_ago } => format!(
                "The client assertion expired {seconds_ago} seconds ago. Make a new one for each \
                 call, and compare the clock."
            )
            .into(),
            ClientAssertionFault::ExpiresTooLate { limit } => format!(
                "The exp of the client assertion lies more than {limit} seconds ahead. Make it \
                 short, for one call, and compare the clock."
            )
            .into(),
            ClientAssertionFault::NotYetValid => {
                "The nbf of the client assertion lies in the future. Compare the clock.".into()
            }
            ClientAssertionFault::FromTheFuture => {
                "The iat of the client assertion lies in the future. Compare the clock.".into()
            }
            ClientAssertionFault::TokenIdLength => format!(
                "The jti of the client assertion has to be 1 to {MAX_TOKEN_ID_BYTES} bytes long."
            )
            .into(),
        }
    }
}

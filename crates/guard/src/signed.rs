//! Signed access tokens, `at+jwt` (RFC 9068), checked offline.
//!
//! 1. read under what is demanded of algorithm, type and size;
//! 2. the key is found by `kid`, among those that the issuer publishes;
//! 3. signature and claims (RFC 9068 4);
//! 4. what was verified is kept for [`KEPT_SECONDS`], and never past its `exp`.
//!
//! A token whose connection ended opens until its `exp`: nobody is asked.

use std::sync::Arc;

use grantor_protocol::access_token::CLOCK_SKEW_SECONDS;
use grantor_protocol::jose::{Algorithm, Claims, Demand, TypeDemand, UnverifiedJws};

use crate::access::Access;
use crate::cache::{Cache, Key};
use crate::credentials::MAX_TOKEN_BYTES;
use crate::keys::PublishedKeys;
use crate::refusal::Refusal;

/// For how long a verified token is not verified again, in seconds. A key that was withdrawn counts
/// for as long, after [`crate::keys::FRESH_SECONDS`].
pub const KEPT_SECONDS: i64 = 60;

/// RFC 9068 2.1.
const TYPE: &str = "at+jwt";
/// The asymmetric ones of RFC 7518 that issuers of access tokens use.
const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps256];

/// Tokens that one issuer signs.
pub(crate) struct SignedTokens {
    issuer: String,
    keys: PublishedKeys,
    kept: Cache<Arc<Access>>,
}

/// A token that was read once, and whose signature was not looked at.
pub(crate) struct Read<'a> {
    unverified: UnverifiedJws<'a>,
    /// What it opens if its signature holds; `None` for claims that open nothing.
    claimed: Option<Access>,
}

impl SignedTokens {
    pub(crate) fn of(issuer: String, keys: PublishedKeys, most_kept: usize) -> SignedTokens {
        SignedTokens { issuer, keys, kept: Cache::new(most_kept) }
    }

    /// What was verified a moment ago.
    pub(crate) fn kept(&self, key: &Key, now: i64) -> Option<Arc<Access>> {
        self.kept.find(key, now)
    }

    /// Reads a token that says it is one of these; `None` for every other. Nobody vouches for it
    /// yet, and [`SignedTokens::verify`] alone makes a decision of it.
    pub(crate) fn read<'a>(&self, token: &'a str, now: i64) -> Option<Read<'a>> {
        let unverified = UnverifiedJws::parse(token, &demand()).ok()?;
        let claimed = {
            let claims = unverified.unverified_claims().ok()?;
            (claims.text("iss") == Ok(&self.issuer)).then_some(())?;
            claimed(&claims, now)
        };
        Some(Read { unverified, claimed })
    }

    /// Verifies a token that was read.
    ///
    /// # Errors
    /// [`Refusal::Invalid`]; [`Refusal::Unavailable`] where its key cannot be had.
    pub(crate) async fn verify(
        &self,
        Read { unverified, claimed }: Read<'_>,
        key: Key,
        now: i64,
    ) -> Result<Arc<Access>, Refusal> {
        // RFC 9068 2.1 leaves `kid` to the issuer. Ours always has one, and without it any set would
        // have to be tried for whoever made up a token.
        let key_id = unverified.header().key_id.as_deref().ok_or(Refusal::Invalid)?;
        let keys = self.keys.with(key_id).await?;
        // What it claims was read from the very bytes whose signature this is.
        unverified.verify(keys.keys()).map_err(|_| Refusal::Invalid)?;
        let access = Arc::new(claimed.ok_or(Refusal::Invalid)?);
        let until = access.expires_at.min(now + KEPT_SECONDS);
        self.kept.keep(key, Arc::clone(&access), [now, until]);
        Ok(access)
    }
}

/// RFC 9068 4: what belongs to every reader alike, but for the issuer. Which audience it is for is
/// the API's own question.
fn claimed(claims: &Claims<'_>, now: i64) -> Option<Access> {
    let not_before = claims.optional_seconds("nbf").ok()?.unwrap_or(0);
    let latest = now.saturating_add(CLOCK_SKEW_SECONDS);
    let holds =
        claims.seconds("iat").ok()? <= latest && not_before <= latest && claims.text("jti").is_ok();
    Access::read(claims).filter(|access| holds && !access.audience.is_empty())
}

fn demand() -> Demand<'static> {
    Demand { algorithms: &ALGORITHMS, typ: TypeDemand::OneOf(&[TYPE]), max_bytes: MAX_TOKEN_BYTES }
}

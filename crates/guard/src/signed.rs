//! Signed access tokens, `at+jwt` (RFC 9068), checked offline.
//!
//! 1. read under what is demanded of algorithm, type and size;
//! 2. the key is found by `kid`, among those that the issuer publishes;
//! 3. signature, then claims (RFC 9068 4);
//! 4. what was verified is kept for [`KEPT_SECONDS`], and never past its `exp`.
//!
//! A token whose connection ended opens until its `exp`: nobody is asked.

use std::sync::Arc;

use grantor_protocol::access_token::CLOCK_SKEW_SECONDS;
use grantor_protocol::jose::{Algorithm, Claims, Demand, TypeDemand, UnverifiedJws};

use crate::access::Access;
use crate::cache::{self, Cache};
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

impl SignedTokens {
    pub(crate) fn of(issuer: String, keys: PublishedKeys, most_kept: usize) -> SignedTokens {
        SignedTokens { issuer, keys, kept: Cache::new(most_kept) }
    }

    /// Whether a token says that it is one of these. Nobody vouches for it yet.
    pub(crate) fn claims_to_be_one(&self, token: &str) -> bool {
        // What begins like this is the Base64 of a JSON object.
        if !token.starts_with("ey") {
            return false;
        }
        let Ok(unverified) = UnverifiedJws::parse(token, &demand()) else { return false };
        unverified.unverified_claims().is_ok_and(|claims| claims.text("iss") == Ok(&self.issuer))
    }

    /// What was verified a moment ago.
    pub(crate) fn kept(&self, token: &str, now: i64) -> Option<Arc<Access>> {
        match token.starts_with("ey") {
            true => self.kept.find(&cache::key(token), now),
            false => None,
        }
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// [`Refusal::Invalid`]; [`Refusal::Unavailable`] where its key cannot be had.
    pub(crate) async fn verify(&self, token: &str, now: i64) -> Result<Arc<Access>, Refusal> {
        let unverified = UnverifiedJws::parse(token, &demand()).map_err(|_| Refusal::Invalid)?;
        // RFC 9068 2.1 leaves `kid` to the issuer. Ours always has one, and without it any set would
        // have to be tried for whoever made up a token.
        let key_id = unverified.header().key_id.clone().ok_or(Refusal::Invalid)?;
        let keys = self.keys.with(&key_id).await?;
        let verified = unverified.verify(keys.keys()).map_err(|_| Refusal::Invalid)?;
        let claims = verified.claims().map_err(|_| Refusal::Invalid)?;
        self.check(&claims, now).ok_or(Refusal::Invalid)?;
        let access = Access::read(&claims).filter(|access| !access.audience.is_empty());
        let access = Arc::new(access.ok_or(Refusal::Invalid)?);
        let until = access.expires_at.min(now + KEPT_SECONDS);
        self.kept.keep(cache::key(token), Arc::clone(&access), [now, until]);
        Ok(access)
    }

    /// RFC 9068 4: what belongs to every reader alike. The audience is the API's own question.
    fn check(&self, claims: &Claims, now: i64) -> Option<()> {
        let not_before = claims.optional_seconds("nbf").ok()?.unwrap_or(0);
        let latest = now.saturating_add(CLOCK_SKEW_SECONDS);
        let holds = claims.text("iss") == Ok(&self.issuer)
            && claims.seconds("iat").ok()? <= latest
            && not_before <= latest
            && claims.text("jti").is_ok();
        holds.then_some(())
    }
}

fn demand() -> Demand<'static> {
    Demand { algorithms: &ALGORITHMS, typ: TypeDemand::OneOf(&[TYPE]), max_bytes: MAX_TOKEN_BYTES }
}

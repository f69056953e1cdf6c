//! Proof of possession at the API (RFC 9449 7): whoever brings a bound token shows, for this very
//! request, that the key is theirs, and each proof works once.
//!
//! What was used is known to this process alone: another process of the API would take the same
//! proof once more, for the few minutes that it is good (RFC 9449 11.1).

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use axum::http::HeaderMap;
use axum::http::header::HeaderName;
use grantor_protocol::dpop::{self, CLOCK_SKEW_SECONDS, MAX_AGE_SECONDS, Proof};
use grantor_protocol::jose::Thumbprint;
use grantor_protocol::proof_error::ProofError;

use crate::credentials::{Credentials, Scheme};
use crate::refusal::KeyFault;

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// How long a proof may be good after it was used, in seconds.
const GOOD_SECONDS: i64 = MAX_AGE_SECONDS + CLOCK_SKEW_SECONDS + 1;
/// In each half.
const MOST_KNOWN: usize = 100_000;

/// The proofs that were used.
#[derive(Default)]
pub(crate) struct UsedProofs(Mutex<Halves>);

/// The young half takes what is new. When it is as old as a proof may be good, it becomes the old
/// one, and what was old is good no more.
#[derive(Default)]
struct Halves {
    young: HashSet<[u8; 32]>,
    old: HashSet<[u8; 32]>,
    since: i64,
}

/// The request that a proof comes with.
pub(crate) struct Target<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) method: &'a str,
    /// As the caller knows it.
    pub(crate) uri: &'a str,
    pub(crate) now: i64,
}

impl UsedProofs {
    /// Checks that whoever presents the token holds the key that it is bound to, if it is to one.
    ///
    /// # Errors
    /// [`KeyFault`]
    pub(crate) fn check(
        &self,
        credentials: &Credentials<'_>,
        bound_to: Option<Thumbprint>,
        target: &Target<'_>,
    ) -> Result<(), KeyFault> {
        let key = match (credentials.scheme, bound_to) {
            (Scheme::Bearer, None) => return Ok(()),
            // RFC 9449 7.2
            (Scheme::Bearer, Some(_)) => return Err(KeyFault::BoundAsBearer),
            (Scheme::Dpop, None) => return Err(KeyFault::Unbound),
            (Scheme::Dpop, Some(key)) => key,
        };
        let proof = read(target.headers)?;
        let Target { method, uri, now, .. } = *target;
        let access_token = Some(credentials.token);
        let request = dpop::Request { method, uri, access_token, nonces: None, now };
        let proof = dpop::verify(proof, &request)
            .map_err(|fault| KeyFault::Proof(ProofError::Fault(fault)))?;
        if proof.thumbprint != key {
            return Err(KeyFault::Differs);
        }
        // Last of all: a proof that fails a check is not used up.
        self.use_once(&proof, now).map_err(KeyFault::Proof)
    }

    fn use_once(&self, proof: &Proof, now: i64) -> Result<(), ProofError> {
        let mut parts = Context::new(&SHA256);
        parts.update(proof.thumbprint.as_bytes());
        parts.update(proof.token_id.as_bytes());
        let mut name = [0; 32];
        name.copy_from_slice(parts.finish().as_ref());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now - known.since >= GOOD_SECONDS {
            known.old = std::mem::take(&mut known.young);
            known.since = now;
        }
        if known.young.contains(&name) || known.old.contains(&name) {
            return Err(ProofError::Replayed);
        }
        // Forgetting one early would let it be used again.
        if known.young.len() >= MOST_KNOWN {
            return Err(ProofError::Unavailable);
        }
        known.young.insert(name);
        Ok(())
    }
}

/// The one `DPoP` header (RFC 9449 4.3, point 1).
fn read(headers: &HeaderMap) -> Result<&str, KeyFault> {
    let mut values = headers.get_all(DPOP).iter();
    let value = values.next().ok_or(KeyFault::Proof(ProofError::Required))?;
    if values.next().is_some() {
        return Err(KeyFault::Proof(ProofError::TwoHeaders));
    }
    value.to_str().map_err(|_| KeyFault::Proof(ProofError::NotText))
}

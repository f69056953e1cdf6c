//! Proof of possession at the API (RFC 9449 7): whoever brings a bound token shows, for this very
//! request, that the key is theirs, and each proof works once.
//!
//! What was used is known to this process alone: another process of the API would take the same
//! proof once more, for the few minutes that it is good (RFC 9449 11.1).
//!
//! The memory for it is bounded, and none is forgotten early, so somebody has to be refused where it
//! is full. That is whoever filled it: no key may take more than a share of the room that is left.

use std::collections::{HashMap, HashSet};
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
/// So many proofs in each half: 2,500 calls a second. A half is 18 MB then, and what is counted in the
/// young one 22 MB, where each proof is of another key: 58 MB in all.
const MOST_KNOWN: usize = 900_000;
/// A key may have used one proof for so many that there is room for. So one alone comes to 100,000,
/// which is 277 calls a second; and where nine do all they can, a third of the room is still left, of
/// which anybody else may take his share.
const ROOM_FOR_ONE: usize = 8;

/// The proofs that were used.
#[derive(Default)]
pub(crate) struct UsedProofs(Mutex<Halves>);

/// The young half takes what is new. When it is as old as a proof may be good, it becomes the old
/// one, and what was old is good no more.
#[derive(Default)]
struct Halves {
    young: Half,
    old: HashSet<Name>,
    since: i64,
}

#[derive(Default)]
struct Half {
    proofs: HashSet<Name>,
    /// How many of them each key has.
    of_key: HashMap<Name, u32>,
}

/// Half a digest names a proof, or a key. Whoever looks for two that have one name finds two of his
/// own, and is refused the second.
type Name = [u8; 16];

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
        let key = proof.thumbprint.as_bytes();
        let mut parts = Context::new(&SHA256);
        parts.update(key);
        parts.update(proof.token_id.as_bytes());
        let names = [first_half(parts.finish().as_ref()), first_half(key)];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(names, now)
    }
}

impl Halves {
    fn take(&mut self, [proof, key]: [Name; 2], now: i64) -> Result<(), ProofError> {
        if now - self.since >= GOOD_SECONDS {
            self.old = std::mem::take(&mut self.young).proofs;
            self.since = now;
        }
        if self.young.proofs.contains(&proof) || self.old.contains(&proof) {
            return Err(ProofError::Replayed);
        }
        let room = MOST_KNOWN.saturating_sub(self.young.proofs.len());
        let of_key = self.young.of_key.get(&key).copied().unwrap_or_default();
        // Forgetting one early would let it be used again.
        if of_key as usize * ROOM_FOR_ONE >= room {
            return Err(ProofError::Unavailable);
        }
        self.young.of_key.insert(key, of_key + 1);
        self.young.proofs.insert(proof);
        Ok(())
    }
}

fn first_half(digest: &[u8]) -> Name {
    let mut name = Name::default();
    name.copy_from_slice(&digest[..size_of::<Name>()]);
    name
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

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> Name {
        let mut name = Name::default();
        name[..8].copy_from_slice(&number.to_le_bytes());
        name
    }

    /// How many more proofs the key can use before it is refused.
    fn fill(known: &mut Halves, key: usize, now: i64) -> usize {
        let of_key = |proof: usize| [name(key * 10_000_000 + proof), name(key)];
        let before = known.young.of_key.get(&name(key)).copied().unwrap_or_default() as usize;
        let mut used = 0;
        while known.take(of_key(before + used), now).is_ok() {
            used += 1;
        }
        let refused = known.take(of_key(before + used), now);
        assert_eq!(refused, Err(ProofError::Unavailable), "key {key} after {used}");
        used
    }

    #[test]
    fn a_key_that_uses_all_that_it_may_leaves_room_for_the_others() {
        let mut known = Halves::default();
        assert_eq!(fill(&mut known, 1, 1000), 100_000);
        assert_eq!(known.take([name(7), name(2)], 1000), Ok(()));
        for greedy in 3..11 {
            fill(&mut known, greedy, 1000);
        }
        let left = MOST_KNOWN - known.young.proofs.len();
        assert!(left > MOST_KNOWN / 3, "{left}");
        assert!(fill(&mut known, 2, 1000) > 30_000);
    }

    #[test]
    fn what_is_refused_for_want_of_room_is_not_used_up_and_none_is_forgotten_early() {
        let mut known = Halves::default();
        fill(&mut known, 1, 1000);
        let first = [name(10_000_000), name(1)];
        let refused = [name(10_000_000 + 100_000), name(1)];
        assert_eq!(known.take(refused, 1360), Err(ProofError::Unavailable));
        assert_eq!(known.take(first, 1360), Err(ProofError::Replayed));
        // A window later there is room again, and what was used in the one before is still known.
        assert_eq!(known.take(refused, 1361), Ok(()));
        assert_eq!(known.take(first, 1361), Err(ProofError::Replayed));
        assert_eq!(known.take(refused, 1721), Err(ProofError::Replayed));
        assert_eq!(known.take(refused, 2083), Err(ProofError::Replayed));
    }

    #[test]
    fn the_whole_is_bounded_however_many_keys_there_are() {
        let mut known = Halves::default();
        let mut taken = 0;
        for key in 0..MOST_KNOWN + 10 {
            taken += usize::from(known.take([name(key), name(key)], 1000).is_ok());
        }
        assert_eq!((taken, known.young.proofs.len()), (MOST_KNOWN, MOST_KNOWN));
        assert_eq!(known.young.of_key.len(), MOST_KNOWN);
    }
}

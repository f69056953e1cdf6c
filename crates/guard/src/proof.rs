//! Proof of possession at the API (RFC 9449 7): whoever brings a bound token shows, for this very
//! request, that the key is theirs, and each proof works once.
//!
//! What was used is known to this process alone: another process of the API would take the same
//! proof once more, for the few minutes that it is good (RFC 9449 11.1).
//!
//! The memory for it is bounded, and none is forgotten early, so somebody has to be refused where it
//! is full. That is whoever filled it: no client may take more than a share of the room that is left, and
//! no key of it more than a share of that.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256, digest};
use axum::http::HeaderMap;
use axum::http::header::HeaderName;
use grantor_protocol::dpop::{self, CLOCK_SKEW_SECONDS, MAX_AGE_SECONDS, Proof};
use grantor_protocol::proof_error::ProofError;

use crate::access::Access;
use crate::credentials::{Credentials, Scheme};
use crate::refusal::KeyFault;

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// How long a proof may be good after it was used, in seconds.
const GOOD_SECONDS: i64 = MAX_AGE_SECONDS + CLOCK_SKEW_SECONDS + 1;
/// So many proofs in each half: 2,500 calls a second. A half is 18 MB then, and what is counted in the
/// young one 22 MB, where each proof is of another key, and as much again where each is of another
/// client: 80 MB in all.
const MOST_KNOWN: usize = 900_000;
/// A key may have used one proof for so many that there is room for. So one alone comes to 100,000,
/// which is 277 calls a second.
const ROOM_FOR_A_KEY: usize = 8;
/// The same for a client, which can have any number of keys. So one that does all it can leaves half of
/// the room, of which the next may take half.
const ROOM_FOR_A_CLIENT: usize = 1;

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
    /// How many of them each key has, and each client.
    used_by: HashMap<Name, usize>,
}

/// Half a digest names a proof, a key or a client. Whoever looks for two that have one name finds two
/// of his own, and is refused the second.
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
    /// Checks that whoever presents the token of that access holds the key that it is bound to, if it is
    /// to one.
    ///
    /// # Errors
    /// [`KeyFault`]
    pub(crate) fn check(
        &self,
        credentials: &Credentials<'_>,
        access: &Access,
        target: &Target<'_>,
    ) -> Result<(), KeyFault> {
        let key = match (credentials.scheme, access.key) {
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
        self.use_once(&proof, &access.client_id, now).map_err(KeyFault::Proof)
    }

    fn use_once(&self, proof: &Proof, client_id: &str, now: i64) -> Result<(), ProofError> {
        let key = proof.thumbprint.as_bytes();
        let mut parts = Context::new(&SHA256);
        parts.update(key);
        parts.update(proof.token_id.as_bytes());
        let client = digest(&SHA256, client_id.as_bytes());
        let names = [parts.finish().as_ref(), key, client.as_ref()].map(first_half);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(names, now)
    }
}

impl Halves {
    fn take(&mut self, [proof, key, client]: [Name; 3], now: i64) -> Result<(), ProofError> {
        if now - self.since >= GOOD_SECONDS {
            self.old = std::mem::take(&mut self.young).proofs;
            self.since = now;
        }
        if self.young.proofs.contains(&proof) || self.old.contains(&proof) {
            return Err(ProofError::Replayed);
        }
        let room = MOST_KNOWN.saturating_sub(self.young.proofs.len());
        let used_by = |who| self.young.used_by.get(who).copied().unwrap_or_default();
        let (by_key, by_client) = (used_by(&key), used_by(&client));
        // Forgetting one early would let it be used again.
        if by_key * ROOM_FOR_A_KEY >= room || by_client * ROOM_FOR_A_CLIENT >= room {
            return Err(ProofError::Unavailable);
        }
        self.young.used_by.extend([(key, by_key + 1), (client, by_client + 1)]);
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

    /// No key has this name.
    fn client(number: usize) -> Name {
        name(1_000_000_000_000 + number)
    }

    /// How many more proofs the key of that client can use before it is refused.
    fn fill(known: &mut Halves, [key, of]: [usize; 2], now: i64) -> usize {
        let names = |proof: usize| [name(key * 10_000_000 + proof), name(key), client(of)];
        let before = known.young.used_by.get(&name(key)).copied().unwrap_or_default();
        let mut used = 0;
        while known.take(names(before + used), now).is_ok() {
            used += 1;
        }
        let refused = known.take(names(before + used), now);
        assert_eq!(refused, Err(ProofError::Unavailable), "key {key} after {used}");
        used
    }

    #[test]
    fn a_key_that_uses_all_that_it_may_leaves_room_for_the_others() {
        let mut known = Halves::default();
        assert_eq!(fill(&mut known, [1, 1], 1000), 100_000);
        assert_eq!(known.take([name(7), name(2), client(1)], 1000), Ok(()));
        for greedy in 3..11 {
            fill(&mut known, [greedy, greedy], 1000);
        }
        let left = MOST_KNOWN - known.young.proofs.len();
        assert!(left > MOST_KNOWN / 3, "{left}");
        assert!(fill(&mut known, [2, 2], 1000) > 30_000);
    }

    #[test]
    fn a_client_with_any_number_of_keys_leaves_half_of_the_room() {
        let mut known = Halves::default();
        let used = |known: &mut Halves, keys: std::ops::Range<usize>, of: usize| {
            keys.filter(|key| known.take([name(*key), name(*key), client(of)], 1000).is_ok())
                .count()
        };
        assert_eq!(used(&mut known, 0..1_000_000, 1), MOST_KNOWN / 2);
        assert_eq!(used(&mut known, 1_000_000..2_000_000, 2), MOST_KNOWN / 4);
        assert!(fill(&mut known, [2_000_000, 3], 1000) > 20_000);
    }

    #[test]
    fn what_is_refused_for_want_of_room_is_not_used_up_and_none_is_forgotten_early() {
        let mut known = Halves::default();
        fill(&mut known, [1, 1], 1000);
        let first = [name(10_000_000), name(1), client(1)];
        let refused = [name(10_000_000 + 100_000), name(1), client(1)];
        assert_eq!(known.take(refused, 1360), Err(ProofError::Unavailable));
        assert_eq!(known.take(first, 1360), Err(ProofError::Replayed));
        // A window later there is room again, and what was used in the one before is still known.
        assert_eq!(known.take(refused, 1361), Ok(()));
        assert_eq!(known.take(first, 1361), Err(ProofError::Replayed));
        assert_eq!(known.take(refused, 1721), Err(ProofError::Replayed));
        assert_eq!(known.take(refused, 2083), Err(ProofError::Replayed));
    }

    #[test]
    fn the_whole_is_bounded_however_many_keys_and_clients_there_are() {
        let mut known = Halves::default();
        let mut taken = 0;
        for key in 0..MOST_KNOWN + 10 {
            taken += usize::from(known.take([name(key), name(key), client(key)], 1000).is_ok());
        }
        assert_eq!((taken, known.young.proofs.len()), (MOST_KNOWN, MOST_KNOWN));
        assert_eq!(known.young.used_by.len(), 2 * MOST_KNOWN);
    }
}

//! The sealing keys of one environment, derived and in order.
//!
//! A ring holds at least one key by its shape, so that a seal can always be written. Which key
//! writes one is decided by a time that belongs to what is sealed, and not by the moment: whoever
//! seals the same again, in whatever process, finds the same key.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use grantor_protocol::environment::Environment;

use super::Kind;

/// The secret of one sealing key, as [`Ring::new`] takes it.
pub struct SealingKey {
    /// its id, which stands in each seal
    pub id: u32,
    /// from when on it seals, in Unix seconds
    pub seals_from: i64,
    /// 256 random bits
    pub secret: zeroize::Zeroizing<Vec<u8>>,
}

/// The keys of one environment in one epoch. It does not print.
pub struct Ring {
    environment: Environment,
    epoch: i64,
    oldest: DerivedKey,
    /// the newest last
    newer: Vec<DerivedKey>,
}

pub(super) struct DerivedKey {
    pub(super) id: u32,
    seals_from: i64,
    /// On the heap: rings are handed on by value, and threads have small stacks.
    pub(super) macs: Box<[hmac::Key; Kind::ALL.len()]>,
}

impl Ring {
    /// Derives the keys once, so that a seal costs one HMAC. `None` where there is no key.
    pub fn new(environment: Environment, epoch: i64, mut keys: Vec<SealingKey>) -> Option<Ring> {
        keys.sort_by_key(|key| (key.seals_from, key.id));
        let mut derived = keys.iter().map(|key| DerivedKey::derive(environment, key));
        Some(Ring { environment, epoch, oldest: derived.next()?, newer: derived.collect() })
    }

    /// The environment whose keys these are.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// The epoch that stands in each seal.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The ids of its keys, the oldest first. They are no secrets.
    pub fn key_ids(&self) -> Vec<u32> {
        std::iter::once(&self.oldest).chain(&self.newer).map(|key| key.id).collect()
    }

    /// The key for what belongs to the time `at`: the newest that sealed by then. Where all are
    /// newer, because the one of then was revoked, it is the oldest that is left.
    pub(super) fn at(&self, at: i64) -> &DerivedKey {
        self.newer.iter().rev().find(|key| key.seals_from <= at).unwrap_or(&self.oldest)
    }

    pub(super) fn key(&self, id: u32) -> Option<&DerivedKey> {
        std::iter::once(&self.oldest).chain(&self.newer).find(|key| key.id == id)
    }
}

impl DerivedKey {
    fn derive(environment: Environment, key: &SealingKey) -> DerivedKey {
        let root = Salt::new(HKDF_SHA256, b"grantor seal 1").extract(&key.secret);
        let macs = Kind::ALL.map(|kind| {
            let info = [environment.as_str().as_bytes(), b"/", kind.prefix().as_bytes()];
            #[expect(
                clippy::expect_used,
                reason = "HKDF gives up to 255 times the length asked for"
            )]
            let derived = root.expand(&info, HMAC_SHA256).expect("one digest long");
            hmac::Key::from(derived)
        });
        DerivedKey { id: key.id, seals_from: key.seals_from, macs: Box::new(macs) }
    }
}

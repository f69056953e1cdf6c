//! The signing keys of one environment, ready: what is published, and what signs.
//!
//! A private key is read from its PKCS#8 when it signs for the first time, because that costs
//! milliseconds for RSA, and a server that only seals never needs it.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use grantor_protocol::jose::{Algorithm, Jwk, SigningFault, SigningKey};
use serde::Serialize;
use zeroize::Zeroizing;

/// The algorithms that an environment has a key for. RS256 because OpenID Connect makes it
/// mandatory, the others because they are smaller and quicker.
pub const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

/// A signing key as it was read and decrypted. It does not print.
pub struct HeldKey {
    /// Its `kid`.
    pub id: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// From when on it signs, in Unix seconds.
    pub signs_from: i64,
    /// Its public half.
    pub public: Jwk,
    /// Its private half.
    pub pkcs8: Zeroizing<Vec<u8>>,
    ready: OnceLock<Result<SigningKey, SigningFault>>,
}

/// All signing keys of one environment at one moment.
#[derive(Default)]
pub struct SigningRing {
    /// In the order in which they begin to sign.
    keys: Vec<HeldKey>,
    public: Vec<Jwk>,
    /// The JWK set as it is answered (RFC 7517 5).
    published: String,
}

/// What signs in one environment. Its keys change while it is used.
#[derive(Default)]
pub struct Signer(RwLock<Arc<SigningRing>>);

/// What is answered at `/oauth/jwks`.
#[derive(Serialize)]
struct PublishedKeys<'a> {
    keys: &'a [Jwk],
}

impl HeldKey {
    /// A key with both halves. `pkcs8` is not looked at until it signs.
    pub fn new(
        (id, algorithm): (String, Algorithm),
        signs_from: i64,
        public: Jwk,
        pkcs8: Zeroizing<Vec<u8>>,
    ) -> HeldKey {
        HeldKey { id, algorithm, signs_from, public, pkcs8, ready: OnceLock::new() }
    }

    fn ready(&self) -> Result<&SigningKey, SigningFault> {
        let read = || SigningKey::from_pkcs8(self.algorithm, &self.pkcs8, Some(self.id.clone()));
        self.ready.get_or_init(read).as_ref().map_err(|fault| *fault)
    }
}

impl SigningRing {
    /// Takes the keys in the order in which they begin to sign.
    pub fn new(keys: Vec<HeldKey>) -> SigningRing {
        let public: Vec<Jwk> = keys.iter().map(|key| key.public.clone()).collect();
        let published = serde_json::to_string(&PublishedKeys { keys: &public }).unwrap_or_default();
        SigningRing { keys, public, published }
    }

    /// Whether there is a key for each of [`ALGORITHMS`].
    pub fn is_complete(&self) -> bool {
        ALGORITHMS.iter().all(|wanted| self.keys.iter().any(|key| key.algorithm == *wanted))
    }

    /// The JWK set, as JSON.
    pub fn published(&self) -> &str {
        &self.published
    }

    /// The public keys, to verify what was signed here.
    pub fn public(&self) -> &[Jwk] {
        &self.public
    }

    /// The key that signs at `now`, in Unix seconds: the newest that has begun. Where none has, the
    /// oldest.
    fn at(&self, algorithm: Algorithm, now: i64) -> Option<&HeldKey> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
        let begun = fitting.clone().rfind(|key| key.signs_from <= now);
        begun.or_else(|| fitting.next())
    }

    /// Signs claims as a compact token (RFC 7515 7.1).
    ///
    /// # Errors
    /// [`SigningFault`]: [`SigningFault::AlgorithmNotOffered`] where there is no key for it.
    pub fn sign(
        &self,
        (algorithm, now): (Algorithm, i64),
        typ: &str,
        claims: &impl Serialize,
    ) -> Result<String, SigningFault> {
        let key = self.at(algorithm, now).ok_or(SigningFault::AlgorithmNotOffered)?;
        key.ready()?.sign(typ, claims)
    }
}

impl Signer {
    /// Begins with these keys.
    pub fn new(ring: SigningRing) -> Signer {
        Signer(RwLock::new(Arc::new(ring)))
    }

    /// Works with these keys from now on.
    pub fn replace(&self, ring: SigningRing) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    /// The keys that it works with now.
    pub fn ring(&self) -> Arc<SigningRing> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

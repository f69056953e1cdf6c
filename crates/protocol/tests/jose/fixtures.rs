//! Keys of the tests, and tokens with any header that one may want.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaEncoding,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_protocol::jose::{
    Algorithm, Demand, Jwk, JwsFault, SigningKey, TypeDemand, UnverifiedJws, VerifiedJws, generate,
};
use serde_json::Value;

/// A key of ours, and what it was read from.
pub(crate) struct Pair {
    pub(crate) pkcs8: Vec<u8>,
    pub(crate) key: SigningKey,
}

pub(crate) static RSA: LazyLock<Pair> = LazyLock::new(|| pair(Algorithm::Rs256));
pub(crate) static EC: LazyLock<Pair> = LazyLock::new(|| pair(Algorithm::Es256));
pub(crate) static ED: LazyLock<Pair> = LazyLock::new(|| pair(Algorithm::EdDsa));

fn pair(algorithm: Algorithm) -> Pair {
    let pkcs8 = generate(algorithm).unwrap().to_vec();
    let key = SigningKey::from_pkcs8(algorithm, &pkcs8, Some("ours".into())).unwrap();
    Pair { pkcs8, key }
}

pub(crate) fn pairs() -> [&'static Pair; 3] {
    [&RSA, &EC, &ED]
}

impl Pair {
    /// The raw signature, whatever the header says.
    pub(crate) fn signature(&self, message: &[u8]) -> Vec<u8> {
        match self.key.algorithm() {
            Algorithm::Rs256 => self.rsa_signature(&RSA_PKCS1_SHA256, message),
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pkcs8);
                pair.unwrap().sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
            }
            _ => Ed25519KeyPair::from_pkcs8(&self.pkcs8).unwrap().sign(message).as_ref().to_vec(),
        }
    }

    pub(crate) fn rsa_signature(
        &self,
        encoding: &'static dyn RsaEncoding,
        message: &[u8],
    ) -> Vec<u8> {
        let pair = RsaKeyPair::from_pkcs8(&self.pkcs8).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    /// A token with this very header and payload, truly signed.
    pub(crate) fn token(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature = self.signature(signed.as_bytes());
        format!("{signed}.{}", encode(signature))
    }

    /// The public key without `kid`, `alg` and `use`.
    pub(crate) fn bare(&self) -> Value {
        let mut members = serde_json::to_value(self.key.public()).unwrap();
        for member in ["kid", "alg", "use"] {
            members.as_object_mut().unwrap().remove(member);
        }
        members
    }
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub(crate) fn jwk(value: &Value) -> Jwk {
    Jwk::parse(value.to_string().as_bytes()).unwrap()
}

/// Any type, any algorithm, any size that a test needs.
pub(crate) const ANYTHING: Demand<'static> =
    Demand { algorithms: &Algorithm::ALL, typ: TypeDemand::Any, max_bytes: 16 * 1024 };

pub(crate) fn verify(token: &str, keys: &[Jwk]) -> Result<VerifiedJws, JwsFault> {
    UnverifiedJws::parse(token, &ANYTHING)?.verify(keys)
}

//! Signing tokens with a key of ours.
//!
//! 1. [`generate`] makes a key pair, as PKCS#8;
//! 2. [`SigningKey::from_pkcs8`] reads it, once;
//! 3. [`SigningKey::sign`] writes a compact token (RFC 7515 7.1);
//! 4. [`SigningKey::public`] is what is published for it.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use zeroize::Zeroizing;

use super::algorithm::{Algorithm, Curve};
use super::jwk::Jwk;
use super::jwk::material::Material;

/// A private key, ready to sign. It does not print.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
    public: Jwk,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why a token cannot be signed, or a key not be used for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningFault {
    /// tokens of ours are signed with RS256, ES256 and EdDSA alone
    AlgorithmNotOffered,
    /// not PKCS#8 of a sound private key for this algorithm
    KeyRejected,
    /// the claims cannot be written as a JSON object
    ClaimsNotWritten,
    /// the library failed: it has no randomness, or no memory
    LibraryFailed,
}

/// The header of a token, in the order that it is written in.
#[derive(Serialize)]
struct SignedHeader<'a> {
    alg: &'static str,
    typ: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

/// Makes a private key for RS256 (2048 bits), ES256 or EdDSA, as PKCS#8 DER.
///
/// The one function of this crate that is not a function of its arguments. A key pair is drawn by
/// the library's own generator, and none of it takes its randomness from outside: RSA's primes and
/// the scalars of a curve are sampled until they pass tests that are the library's. The caller
/// keeps what came out, and everything else here depends on that alone.
///
/// # Errors
/// [`SigningFault::AlgorithmNotOffered`], [`SigningFault::LibraryFailed`].
pub fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, SigningFault> {
    let failed = |_| SigningFault::LibraryFailed;
    match algorithm {
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
            let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
            Ok(Zeroizing::new(der.as_ref().to_vec()))
        }
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
            Ok(Zeroizing::new(pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()))
        }
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::generate().map_err(failed)?;
            Ok(Zeroizing::new(pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()))
        }
        Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512
        | Algorithm::Es384
        | Algorithm::Es512 => Err(SigningFault::AlgorithmNotOffered),
    }
}

impl SigningKey {
    /// Reads a private key in PKCS#8 DER (RFC 5208). The `kid` is written in its public key and in
    /// the header of each token.
    ///
    /// # Errors
    /// [`SigningFault::AlgorithmNotOffered`], [`SigningFault::KeyRejected`].
    pub fn from_pkcs8(
        algorithm: Algorithm,
        pkcs8: &[u8],
        kid: Option<String>,
    ) -> Result<SigningKey, SigningFault> {
        let (pair, material) = match algorithm {
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| SigningFault::KeyRejected)?;
                let public = read_rsa_public_key(pair.public_key().as_ref());
                let (modulus, exponent) = public.ok_or(SigningFault::KeyRejected)?;
                (Pair::Rsa(pair), Material::Rsa { modulus, exponent })
            }
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
                    .map_err(|_| SigningFault::KeyRejected)?;
                // SEC 1, 2.3.3: 4, then x and y.
                let point = pair.public_key().as_ref();
                let (x, y) = (point.get(1..33), point.get(33..65));
                let (Some(x), Some(y)) = (x, y) else { return Err(SigningFault::KeyRejected) };
                let material = Material::Ec { curve: Curve::P256, x: x.to_vec(), y: y.to_vec() };
                (Pair::Ec(pair), material)
            }
            Algorithm::EdDsa => {
                let pair =
                    Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| SigningFault::KeyRejected)?;
                let x = pair.public_key().as_ref().to_vec();
                (Pair::Ed25519(pair), Material::Ed25519 { x })
            }
            Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512
            | Algorithm::Es384
            | Algorithm::Es512 => return Err(SigningFault::AlgorithmNotOffered),
        };
        let public =
            Jwk::of_ours(material, kid, algorithm).map_err(|_| SigningFault::KeyRejected)?;
        Ok(SigningKey { algorithm, pair, public })
    }

    /// The public half, with its `kid`, `alg` and `use`.
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Writes a compact token with `alg`, `typ` and, where the key has one, `kid` in its header.
    ///
    /// # Errors
    /// [`SigningFault::ClaimsNotWritten`], [`SigningFault::LibraryFailed`].
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SigningFault> {
        let header = SignedHeader { alg: self.algorithm.as_str(), typ, kid: self.public.key_id() };
        let header = serde_json::to_vec(&header).map_err(|_| SigningFault::ClaimsNotWritten)?;
        let claims = serde_json::to_vec(claims).map_err(|_| SigningFault::ClaimsNotWritten)?;
        if claims.first() != Some(&b'{') {
            return Err(SigningFault::ClaimsNotWritten);
        }
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.pair.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

impl Pair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFault> {
        // The library's interface asks for a source of randomness, and does not use it: it draws
        // ECDSA's nonce itself, and the other two need none.
        let unused = SystemRandom::new();
        let failed = |_| SigningFault::LibraryFailed;
        match self {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &unused, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Pair::Ec(pair) => Ok(pair.sign(&unused, message).map_err(failed)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SigningFault {
    /// What is wrong, for an operator.
    pub fn words(self) -> &'static str {
        match self {
            SigningFault::AlgorithmNotOffered => {
                "Tokens are signed with RS256, ES256 or EdDSA, and with nothing else."
            }
            SigningFault::KeyRejected => {
                "The private key is not PKCS#8 of a sound key for its algorithm."
            }
            SigningFault::ClaimsNotWritten => "The claims of the token are not a JSON object.",
            SigningFault::LibraryFailed => "The cryptographic library failed to sign.",
        }
    }
}

/// Modulus and exponent of an `RSAPublicKey` in DER (RFC 8017 A.1.1), without leading zeros.
fn read_rsa_public_key(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (sequence, behind) = read_element(0x30, der)?;
    let (modulus, rest) = read_element(0x02, sequence)?;
    let (exponent, rest) = read_element(0x02, rest)?;
    let unsigned = |bytes: &[u8]| bytes.strip_prefix(&[0]).unwrap_or(bytes).to_vec();
    (behind.is_empty() && rest.is_empty()).then(|| (unsigned(modulus), unsigned(exponent)))
}

/// One element of that tag, and what stands behind it.
fn read_element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let [first, length, rest @ ..] = der else { return None };
    if *first != tag {
        return None;
    }
    let (length, rest) = match *length {
        short @ ..=0x7f => (usize::from(short), rest),
        // Two bytes of length are 65,535: more than a key that the library takes.
        long @ 0x81..=0x82 => {
            let (length, rest) = rest.split_at_checked(usize::from(long - 0x80))?;
            (length.iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

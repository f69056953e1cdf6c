//! A key for each algorithm of RFC 7518 3.1 that is taken, with which a test signs what it likes.

#![expect(unreachable_pub, reason = "seen by the other files of this binary alone")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A key pair for one algorithm.
pub struct AnyKey {
    algorithm: String,
    pair: Pair,
    pub jwk: Value,
}

enum Pair {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl AnyKey {
    pub fn new(algorithm: &str) -> AnyKey {
        let (pair, jwk) = match algorithm {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "RS384" => rsa(&RSA_PKCS1_SHA384),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "PS384" => rsa(&RSA_PSS_SHA384),
            "PS512" => rsa(&RSA_PSS_SHA512),
            "ES256" => ec("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ec("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
            "ES512" => ec("P-521", &ECDSA_P521_SHA512_FIXED_SIGNING),
            "EdDSA" => {
                let pair = Ed25519KeyPair::generate().unwrap();
                let x = encoded(pair.public_key().as_ref());
                (Pair::Ed25519(pair), json!({ "kty": "OKP", "crv": "Ed25519", "x": x }))
            }
            other => panic!("no test can sign with {other}"),
        };
        AnyKey { algorithm: algorithm.to_owned(), pair, jwk }
    }

    /// A compact JWS. `alg` stands in the header by itself.
    pub fn sign(&self, mut header: Value, claims: &Value) -> String {
        header["alg"] = json!(self.algorithm);
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let (random, text) = (SystemRandom::new(), signed.as_bytes());
        let signature = match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, text, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, text).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(text).as_ref().to_vec(),
        };
        format!("{signed}.{}", encoded(signature))
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa(encoding: &'static dyn RsaEncoding) -> (Pair, Value) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    // RFC 8017 A.1.1, of 2048 bits: nine bytes before the modulus, and after it the exponent.
    let modulus = encoded(&pair.public_key().as_ref()[9..265]);
    (Pair::Rsa(pair, encoding), json!({ "kty": "RSA", "n": modulus, "e": "AQAB" }))
}

fn ec(curve: &str, algorithm: &'static EcdsaSigningAlgorithm) -> (Pair, Value) {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = json!({ "kty": "EC", "crv": curve, "x": encoded(x), "y": encoded(y) });
    (Pair::Ec(pair), jwk)
}

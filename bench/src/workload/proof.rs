//! Proofs of possession (RFC 9449), made before they are measured.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::clock::Clock;
use serde_json::json;

use crate::failure::Failure;

/// A key of a client, and the proofs that it makes for the token endpoint.
pub(crate) struct Prover {
    pair: EcdsaKeyPair,
    header: String,
    uri: String,
    clock: Clock,
    made: u64,
}

impl Prover {
    /// A new key, for a server with that host.
    pub(crate) fn new(host: &str) -> Result<Prover, Failure> {
        let failed = |_| Failure::said("no key could be made");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
        let point = pair.public_key().as_ref();
        let coordinate =
            |at: usize| point.get(at..at + 32).map(|part| URL_SAFE_NO_PAD.encode(part));
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": coordinate(1), "y": coordinate(33) });
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let uri = format!("http://{host}/oauth/token");
        Ok(Prover { pair, header, uri, clock: Clock::system(), made: 0 })
    }

    /// Another proof, good for five minutes.
    pub(crate) fn proof(&mut self) -> Result<String, Failure> {
        self.made += 1;
        let claims = json!({
            "htm": "POST", "htu": self.uri, "iat": self.clock.now(), "jti": self.made.to_string(),
        });
        let signed = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| Failure::said("no proof could be made"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

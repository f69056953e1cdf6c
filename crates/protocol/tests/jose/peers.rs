//! jsonwebtoken as a peer: each verifies what the other signs.

use grantor_protocol::jose::Algorithm as Ours;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde_json::{Value, json};

use crate::fixtures::{Pair, pairs, verify};

fn algorithm(pair: &Pair) -> Algorithm {
    match pair.key.algorithm() {
        Ours::Rs256 => Algorithm::RS256,
        Ours::Es256 => Algorithm::ES256,
        _ => Algorithm::EdDSA,
    }
}

#[test]
fn s27_a_peer_verifies_what_we_sign() {
    for pair in pairs() {
        let claims = json!({"sub": "a", "aud": "b", "exp": 4_000_000_000_u64});
        let token = pair.key.sign("at+jwt", &claims).unwrap();
        let public = serde_json::to_value(pair.key.public()).unwrap();
        let key = DecodingKey::from_jwk(&serde_json::from_value(public).unwrap()).unwrap();
        let mut validation = Validation::new(algorithm(pair));
        validation.set_audience(&["b"]);
        let read = decode::<Value>(&token, &key, &validation).unwrap();
        assert_eq!(read.claims, claims);
        assert_eq!(read.header.kid.as_deref(), Some("ours"));
        assert_eq!(read.header.typ.as_deref(), Some("at+jwt"));
    }
}

#[test]
fn s27_we_verify_what_a_peer_signs() {
    for pair in pairs() {
        let key = match pair.key.algorithm() {
            // It wants the RSAPrivateKey, which stands behind 26 bytes of PKCS#8.
            Ours::Rs256 => EncodingKey::from_rsa_der(&pair.pkcs8[26..]),
            Ours::Es256 => EncodingKey::from_ec_der(&pair.pkcs8),
            _ => EncodingKey::from_ed_der(&pair.pkcs8),
        };
        let mut header = Header::new(algorithm(pair));
        header.kid = Some("ours".into());
        let token = encode(&header, &json!({"sub": "a"}), &key).unwrap();
        let verified = verify(&token, &[pair.key.public().clone()]).unwrap();
        assert_eq!(verified.claims().unwrap().text("sub"), Ok("a"));
    }
}

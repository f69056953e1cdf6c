//! What a proof of possession has to say (RFC 9449 4.3).

use aws_lc_rs::digest::{SHA256, digest};
use grantor_protocol::dpop::{self, Proof, ProofFault as Fault, Request};
use grantor_protocol::jose::{ClaimsFault, JwsFault, KeyFault};
use serde_json::{Value, json};

use crate::fixtures::{EC, ED, Pair, encode, pairs};

const NOW: i64 = 1_800_000_000;
const URI: &str = "https://auth.example.com/oauth/token";

fn request() -> Request<'static> {
    Request { method: "POST", uri: URI, access_token: None, nonces: None, now: NOW }
}

fn claims() -> Value {
    json!({"htm": "POST", "htu": URI, "iat": NOW, "jti": "1"})
}

fn header(pair: &Pair) -> Value {
    json!({"typ": "dpop+jwt", "alg": pair.key.algorithm().as_str(), "jwk": pair.bare()})
}

fn verify(claims: &Value, request: &Request<'_>) -> Result<Proof, Fault> {
    dpop::verify(&EC.token(&header(&EC).to_string(), &claims.to_string()), request)
}

fn with(claim: &str, value: Value) -> Result<Proof, Fault> {
    let mut claims = claims();
    claims[claim] = value;
    verify(&claims, &request())
}

#[test]
fn s27_a_proof_names_the_key_that_made_it() {
    for pair in pairs() {
        let token = pair.token(&header(pair).to_string(), &claims().to_string());
        let proof = dpop::verify(&token, &request()).unwrap();
        assert_eq!(proof.thumbprint, pair.key.public().thumbprint());
        assert_eq!((proof.issued_at, proof.remember_until()), (NOW, NOW + 301));
    }
}

#[test]
fn s27_the_header_of_a_proof_is_held() {
    let fault = |member: &str, value: Value| {
        let mut header = header(&EC);
        header[member] = value;
        match dpop::verify(&EC.token(&header.to_string(), &claims().to_string()), &request()) {
            Err(Fault::Jws(fault)) => fault,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fault("typ", json!("JWT")), JwsFault::TypeDiffers);
    assert_eq!(fault("alg", json!("HS256")), JwsFault::AlgorithmNotAllowed);
    assert_eq!(fault("alg", json!("none")), JwsFault::AlgorithmNotAllowed);
    assert_eq!(fault("jwk", ED.bare()), JwsFault::KeyDoesNotFit);
    assert_eq!(fault("jwk", json!("x")), JwsFault::EmbeddedKey(KeyFault::NotAnObject));
    let secret = json!({"kty": "oct", "k": "AAAA"});
    assert_eq!(fault("jwk", secret), JwsFault::EmbeddedKey(KeyFault::Symmetric));
    let mut private = EC.bare();
    private["d"] = json!(encode([1; 32]));
    assert_eq!(fault("jwk", private), JwsFault::EmbeddedKey(KeyFault::Private));
    let none = json!({"typ": "dpop+jwt", "alg": "ES256"}).to_string();
    let outcome = dpop::verify(&EC.token(&none, &claims().to_string()), &request());
    assert_eq!(outcome, Err(Fault::Jws(JwsFault::EmbeddedKeyMissing)));
    let other_key = ED.token(&header(&EC).to_string(), &claims().to_string());
    let outcome = dpop::verify(&other_key, &request());
    assert_eq!(outcome, Err(Fault::Jws(JwsFault::SignatureWrong)));
}

#[test]
fn s27_a_proof_is_for_its_method_and_its_uri() {
    assert_eq!(with("htm", json!("GET")), Err(Fault::MethodDiffers));
    assert_eq!(with("htm", json!("post")), Err(Fault::MethodDiffers));
    for same in [
        "HTTPS://AUTH.example.com/oauth/token",
        "https://auth.example.com:443/oauth/token",
        "https://auth.example.com/oauth/token?a=b#c",
        "https://auth.example.com/oauth/./x/../token",
        "https://auth.example.com/oauth/%74oken",
    ] {
        assert!(with("htu", json!(same)).is_ok(), "{same}");
    }
    for other in [
        "http://auth.example.com/oauth/token",
        "https://auth.example.com:8443/oauth/token",
        "https://auth.example.com/oauth/token/",
        "https://auth.example.com/oauth/Token",
        "https://auth.example.com/oauth%2Ftoken",
        "https://auth.example.com.evil.example/oauth/token",
        "https://evil.example/oauth/token",
    ] {
        assert_eq!(with("htu", json!(other)), Err(Fault::UriDiffers), "{other}");
    }
    for malformed in [
        "",
        "/oauth/token",
        "auth.example.com/oauth/token",
        "ftp://auth.example.com/oauth/token",
        "https://user@auth.example.com/oauth/token",
        "https:\\\\auth.example.com\\oauth\\token",
        " https://auth.example.com/oauth/token",
        "https://auth.example.com/oauth/tok\nen",
    ] {
        assert_eq!(with("htu", json!(malformed)), Err(Fault::UriMalformed), "{malformed}");
    }
}

#[test]
fn s27_a_proof_is_fresh() {
    assert!(with("iat", json!(NOW + 60)).is_ok());
    assert_eq!(with("iat", json!(NOW + 61)), Err(Fault::FromTheFuture));
    assert!(with("iat", json!(NOW - 300)).is_ok());
    assert_eq!(with("iat", json!(NOW - 301)), Err(Fault::TooOld { seconds_ago: 301 }));
    let float = Fault::Claims(ClaimsFault::NotSeconds { claim: "iat" });
    assert_eq!(with("iat", json!(1.5)), Err(float));
    for claim in ["htm", "htu", "iat", "jti"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(claim);
        let fault = Fault::Claims(ClaimsFault::Missing { claim });
        assert_eq!(verify(&claims, &request()), Err(fault));
    }
    for length in [0, 129] {
        assert_eq!(with("jti", json!("j".repeat(length))), Err(Fault::TokenIdLength));
    }
}

#[test]
fn s27_a_proof_is_for_its_access_token_and_nonce() {
    let with_token = Request { access_token: Some("token"), ..request() };
    let mut claims = claims();
    assert_eq!(verify(&claims, &with_token), Err(Fault::TokenHashMissing));
    claims["ath"] = json!(encode(digest(&SHA256, b"other")));
    assert_eq!(verify(&claims, &with_token), Err(Fault::TokenHashDiffers));
    claims["ath"] = json!(encode(digest(&SHA256, b"token")));
    assert!(verify(&claims, &with_token).is_ok());

    let with_nonce = Request { nonces: Some(&["now", "before"]), ..request() };
    assert_eq!(verify(&claims, &with_nonce), Err(Fault::NonceMissing));
    claims["nonce"] = json!("older");
    assert_eq!(verify(&claims, &with_nonce), Err(Fault::NonceDiffers));
    claims["nonce"] = json!("before");
    assert_eq!(verify(&claims, &with_nonce).unwrap().nonce.as_deref(), Some("before"));
    let no_nonce_is_good = Request { nonces: Some(&[]), ..request() };
    assert_eq!(verify(&claims, &no_nonce_is_good), Err(Fault::NonceDiffers));
}

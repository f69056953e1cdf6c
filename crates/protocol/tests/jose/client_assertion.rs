//! What a client assertion has to say (RFC 7523 3).

use grantor_protocol::client_assertion::{
    self, ClientAssertion, ClientAssertionFault as Fault, Expected, MAX_AHEAD_SECONDS,
};
use grantor_protocol::jose::{ClaimsFault, JwsFault};
use serde_json::{Value, json};

use crate::fixtures::{EC, RSA, pairs};

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://auth.example.com";

fn sound() -> Value {
    json!({"iss": "client", "sub": "client", "aud": ISSUER, "exp": NOW + 60, "iat": NOW, "jti": "1"})
}

fn verify(claims: &Value, audiences: &[&str]) -> Result<ClientAssertion, Fault> {
    let token = EC.key.sign("JWT", claims).unwrap();
    let assertion = client_assertion::parse(&token).unwrap();
    let expected =
        Expected { client_id: "client", audiences, now: NOW, max_ahead_seconds: MAX_AHEAD_SECONDS };
    client_assertion::verify(assertion, &[EC.key.public().clone()], &expected)
}

fn with(claim: &str, value: Value) -> Result<ClientAssertion, Fault> {
    let mut claims = sound();
    claims[claim] = value;
    verify(&claims, &[ISSUER])
}

#[test]
fn s27_a_sound_assertion_holds_with_each_algorithm() {
    let expected = ClientAssertion { token_id: "1".into(), remember_until: NOW + 120 };
    assert_eq!(verify(&sound(), &[ISSUER]), Ok(expected));
    for pair in pairs() {
        for typ in ["JWT", "jwt", "client-authentication+jwt"] {
            let token = pair.key.sign(typ, &sound()).unwrap();
            let parsed = client_assertion::parse(&token).unwrap();
            assert_eq!(client_assertion::claimed_client_id(&parsed).as_deref(), Some("client"));
            assert!(parsed.verify(&[pair.key.public().clone()]).is_ok());
        }
        let token = pair.key.sign("at+jwt", &sound()).unwrap();
        assert_eq!(client_assertion::parse(&token).err(), Some(JwsFault::TypeDiffers));
    }
}

#[test]
fn s27_an_assertion_of_another_key_is_refused_before_its_claims_are_read() {
    let token = EC.key.sign("JWT", &json!({})).unwrap();
    let expected =
        Expected { client_id: "client", audiences: &[ISSUER], now: NOW, max_ahead_seconds: 600 };
    let parsed = client_assertion::parse(&token).unwrap();
    let outcome = client_assertion::verify(parsed, &[RSA.key.public().clone()], &expected);
    assert_eq!(outcome, Err(Fault::Jws(JwsFault::KeyDoesNotFit)));
}

#[test]
fn s27_an_assertion_is_of_its_client_and_for_us_alone() {
    assert_eq!(with("iss", json!("other")), Err(Fault::IssuerDiffers));
    assert_eq!(with("sub", json!("other")), Err(Fault::SubjectDiffers));
    assert!(with("aud", json!([ISSUER])).is_ok());
    for aud in [
        json!([]),
        json!([ISSUER, ISSUER]),
        json!([ISSUER, "b"]),
        json!([1]),
        json!(1),
        json!({}),
        Value::Null,
    ] {
        assert_eq!(with("aud", aud.clone()), Err(Fault::AudienceNotOne), "{aud}");
    }
    for aud in [
        "https://auth.example.com/",
        "https://AUTH.example.com",
        "https://auth.example.com/token",
        "",
    ] {
        assert_eq!(with("aud", json!(aud)), Err(Fault::AudienceDiffers), "{aud}");
    }
    let token_endpoint = "https://auth.example.com/token";
    let mut claims = sound();
    claims["aud"] = json!(token_endpoint);
    assert!(verify(&claims, &[ISSUER, token_endpoint]).is_ok());
}

#[test]
fn s27_the_times_of_an_assertion_are_held() {
    assert!(with("exp", json!(NOW - 59)).is_ok());
    assert_eq!(with("exp", json!(NOW - 60)), Err(Fault::Expired { seconds_ago: 60 }));
    let limit = MAX_AHEAD_SECONDS;
    assert!(with("exp", json!(NOW + limit)).is_ok());
    assert_eq!(with("exp", json!(NOW + limit + 1)), Err(Fault::ExpiresTooLate { limit }));
    assert!(with("nbf", json!(NOW + 60)).is_ok());
    assert_eq!(with("nbf", json!(NOW + 61)), Err(Fault::NotYetValid));
    assert!(with("iat", json!(NOW + 60)).is_ok());
    assert_eq!(with("iat", json!(NOW + 61)), Err(Fault::FromTheFuture));
    for claim in ["exp", "nbf", "iat"] {
        for odd in [
            json!(1.5),
            json!(1.8e9),
            json!(-1),
            json!(1e300),
            json!(u64::MAX),
            json!("1"),
            Value::Null,
        ] {
            let fault = Fault::Claims(ClaimsFault::NotSeconds { claim });
            assert_eq!(with(claim, odd.clone()), Err(fault), "{claim} {odd}");
        }
    }
}

/// What Authlib sends, from a machine whose clock is ahead of ours by as much as it may be.
#[test]
fn s27_an_assertion_for_an_hour_holds_and_its_jti_is_remembered_as_long() {
    let ahead = NOW + 60;
    let mut claims = sound();
    claims["iat"] = json!(ahead);
    claims["exp"] = json!(ahead + 3600);
    let held = verify(&claims, &[ISSUER]).unwrap();
    assert_eq!(held.remember_until, ahead + 3600 + 60);
}

#[test]
fn s27_claims_that_are_missing_or_of_another_kind_are_refused() {
    for claim in ["iss", "sub", "aud", "exp", "jti"] {
        let mut claims = sound();
        claims.as_object_mut().unwrap().remove(claim);
        let fault = Fault::Claims(ClaimsFault::Missing { claim });
        assert_eq!(verify(&claims, &[ISSUER]), Err(fault));
    }
    for claim in ["iss", "sub", "jti"] {
        let fault = Fault::Claims(ClaimsFault::NotText { claim });
        assert_eq!(with(claim, json!(["client"])), Err(fault));
    }
    for length in [0, 129] {
        assert_eq!(with("jti", json!("j".repeat(length))), Err(Fault::TokenIdLength));
    }
    assert!(with("jti", json!("j".repeat(128))).is_ok());
}

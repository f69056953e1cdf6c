//! `at+jwt`, checked offline.

use grantor_protocol::jose::{Algorithm, SigningKey};
use serde_json::{Value, json};

use crate::issuer::{Api, Issuer, NOW, RESOURCE, key};

const TYPE: &str = "at+jwt";

fn claims(issuer: &Issuer) -> Value {
    json!({
        "iss": issuer.url(),
        "aud": RESOURCE,
        "sub": "customer-1",
        "client_id": "client-1",
        "scope": "financial-api",
        "iat": NOW,
        "exp": NOW + 3600,
        "jti": "1",
    })
}

/// The claims with one of them changed; `null` takes it away.
fn with(issuer: &Issuer, claim: &str, value: Value) -> Value {
    let mut claims = claims(issuer);
    match value {
        Value::Null => {
            claims.as_object_mut().unwrap().remove(claim);
        }
        value => claims[claim] = value,
    }
    claims
}

async fn published(algorithm: Algorithm) -> (Issuer, SigningKey, Api) {
    let issuer = Issuer::start().await;
    let key = key(algorithm, Some("one"));
    issuer.publish(&[&key]);
    let api = Api::trusting(&issuer, |plan| plan.offline());
    (issuer, key, api)
}

#[tokio::test]
async fn a_signed_token_opens_offline_and_the_keys_are_fetched_once() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
        let (issuer, key, api) = published(algorithm).await;
        assert_eq!(issuer.jwks_asked(), 0);
        for jti in ["1", "2", "3"] {
            let token = key.sign(TYPE, &with(&issuer, "jti", jti.into())).unwrap();
            let answer = api.bearer("/v1/who", &token).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "client-1 for customer-1"));
        }
        assert_eq!(issuer.jwks_asked(), 1);
    }
}

#[tokio::test]
async fn s27_a_token_with_anything_wrong_in_it_opens_nothing() {
    let (issuer, key, api) = published(Algorithm::Es256).await;
    for (claim, wrong) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!(format!("{}/", issuer.url()))),
        ("iss", Value::Null),
        ("aud", json!("https://orders.example.com")),
        ("aud", json!(["https://orders.example.com"])),
        ("aud", json!(format!("{RESOURCE}/"))),
        ("aud", json!([])),
        ("aud", json!(7)),
        ("aud", Value::Null),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("client_id", Value::Null),
        ("exp", json!(NOW)),
        ("exp", json!("later")),
        ("exp", Value::Null),
        ("iat", json!(NOW + 61)),
        ("iat", Value::Null),
        ("nbf", json!(NOW + 61)),
        ("jti", Value::Null),
        ("scope", json!(["financial-api"])),
        ("businesses", json!("9765040300495493")),
        ("cnf", json!({ "x5t#S256": "AAAA" })),
        ("cnf", json!({ "jkt": "short" })),
    ] {
        let token = key.sign(TYPE, &with(&issuer, claim, wrong.clone())).unwrap();
        let answer = api.bearer("/v1/who", &token).await;
        assert_eq!(answer.status, 401, "{claim} {wrong}");
        assert!(answer.challenge().contains("error=\"invalid_token\""), "{claim} {wrong}");
    }
    for (claim, sound) in [
        ("aud", json!(["https://orders.example.com", RESOURCE])),
        ("iat", json!(NOW + 60)),
        ("nbf", json!(NOW)),
        ("exp", json!(NOW + 1)),
        ("scope", Value::Null),
    ] {
        let token = key.sign(TYPE, &with(&issuer, claim, sound.clone())).unwrap();
        assert_eq!(api.status(&token).await, 200, "{claim} {sound}");
    }
}

#[tokio::test]
async fn s27_a_token_of_another_type_or_another_key_opens_nothing() {
    let (issuer, sound, api) = published(Algorithm::Es256).await;
    let claims = claims(&issuer);
    for typ in ["JWT", "dpop+jwt", "logout+jwt", ""] {
        assert_eq!(api.status(&sound.sign(typ, &claims).unwrap()).await, 401, "{typ}");
    }
    assert_eq!(api.status(&sound.sign("application/at+jwt", &claims).unwrap()).await, 200);
    let forged = key(Algorithm::Es256, Some("one"));
    let nameless = key(Algorithm::Es256, None);
    for wrong in [forged.sign(TYPE, &claims).unwrap(), nameless.sign(TYPE, &claims).unwrap()] {
        assert_eq!(api.status(&wrong).await, 401);
    }
    let good = sound.sign(TYPE, &claims).unwrap();
    let (signed, _) = good.rsplit_once('.').unwrap();
    // The headers: {"alg":"none","typ":"at+jwt"}, and the same with HS256.
    let (_, payload) = signed.split_once('.').unwrap();
    for header in
        ["eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0", "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9"]
    {
        assert_eq!(api.status(&format!("{header}.{payload}.")).await, 401);
        assert_eq!(api.status(&format!("{header}.{payload}.AAAA")).await, 401);
    }
    let long = format!("{good}{}", "A".repeat(20_000));
    for garbage in [signed, "ey.ey.ey", "gr_access_x", &long, &good[..good.len() - 2]] {
        assert_eq!(api.status(garbage).await, 401);
    }
    assert_eq!(api.status(&good).await, 200);
}

#[tokio::test]
async fn a_verified_token_ends_with_its_exp_though_its_decision_is_kept() {
    let (issuer, key, api) = published(Algorithm::EdDsa).await;
    let token = key.sign(TYPE, &with(&issuer, "exp", json!(NOW + 5))).unwrap();
    assert_eq!(api.status(&token).await, 200);
    api.time.set(4);
    assert_eq!(api.status(&token).await, 200);
    api.time.set(5);
    assert_eq!(api.status(&token).await, 401);
}

#[tokio::test]
async fn s27_a_key_that_was_withdrawn_counts_no_longer_than_six_minutes() {
    let (issuer, old, api) = published(Algorithm::Es256).await;
    let token = old.sign(TYPE, &claims(&issuer)).unwrap();
    assert_eq!(api.status(&token).await, 200);
    let new = key(Algorithm::Es256, Some("two"));
    issuer.publish(&[&new]);
    api.time.set(299);
    assert_eq!((api.status(&token).await, issuer.jwks_asked()), (200, 1));
    // Its decision of that second is kept for sixty more.
    api.time.set(358);
    assert_eq!((api.status(&token).await, issuer.jwks_asked()), (200, 1));
    api.time.set(359);
    assert_eq!((api.status(&token).await, issuer.jwks_asked()), (401, 2));
    let later = with(&issuer, "iat", json!(NOW + 359));
    assert_eq!(api.status(&new.sign(TYPE, &later).unwrap()).await, 200);
}

#[tokio::test]
async fn a_new_key_is_found_at_once_and_made_up_key_ids_fetch_once_in_ten_seconds() {
    let (issuer, one, api) = published(Algorithm::Es256).await;
    let claims = claims(&issuer);
    assert_eq!(api.status(&one.sign(TYPE, &claims).unwrap()).await, 200);
    api.time.set(10);
    let two = key(Algorithm::Es256, Some("two"));
    issuer.publish(&[&one, &two]);
    assert_eq!(api.status(&two.sign(TYPE, &claims).unwrap()).await, 200);
    assert_eq!(issuer.jwks_asked(), 2);
    for made_up in 0..20 {
        let made_up = key(Algorithm::EdDsa, Some(&format!("made up {made_up}")));
        assert_eq!(api.status(&made_up.sign(TYPE, &claims).unwrap()).await, 401);
    }
    assert_eq!(issuer.jwks_asked(), 2);
    api.time.set(20);
    let made_up = key(Algorithm::EdDsa, Some("one more"));
    assert_eq!(api.status(&made_up.sign(TYPE, &claims).unwrap()).await, 401);
    assert_eq!(issuer.jwks_asked(), 3);
}

#[tokio::test]
async fn while_the_issuer_is_away_known_keys_serve_for_an_hour_and_nothing_else_is_guessed() {
    let (issuer, one, api) = published(Algorithm::Es256).await;
    let sign = |jti: i64| {
        let claims = with(&issuer, "jti", jti.to_string().into());
        let mut claims = claims;
        claims["exp"] = json!(NOW + 100_000);
        one.sign(TYPE, &claims).unwrap()
    };
    issuer.fail_keys();
    let answer = api.bearer("/v1/who", &sign(1)).await;
    assert_eq!((answer.status, answer.headers["retry-after"].to_str().unwrap()), (503, "2"));
    assert!(!answer.headers.contains_key("www-authenticate"));
    // Nobody asks again so soon.
    assert_eq!((api.status(&sign(1)).await, issuer.jwks_asked()), (503, 1));
    api.time.set(10);
    issuer.publish(&[&one]);
    assert_eq!((api.status(&sign(1)).await, issuer.jwks_asked()), (200, 2));
    issuer.fail_keys();
    for (seconds, status) in [(309, 200), (310, 200), (3609, 200), (3610, 503)] {
        api.time.set(seconds);
        assert_eq!(api.status(&sign(seconds)).await, status, "after {seconds}");
    }
    let unknown = key(Algorithm::Es256, Some("two"));
    assert_eq!(api.status(&unknown.sign(TYPE, &claims(&issuer)).unwrap()).await, 503);
}

#[tokio::test]
async fn many_first_calls_at_once_fetch_the_keys_once() {
    let (issuer, one, api) = published(Algorithm::Es256).await;
    issuer.take_its_time(std::time::Duration::from_millis(50));
    let calls: Vec<_> = (0..20)
        .map(|jti| {
            let claims = with(&issuer, "jti", jti.to_string().into());
            let (api, token) = (api.clone(), one.sign(TYPE, &claims).unwrap());
            tokio::spawn(async move { api.status(&token).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(issuer.jwks_asked(), 1);
}

//! Tokens that are bound to a key (RFC 9449).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_protocol::jose::{Algorithm, SigningKey};
use serde_json::{Value, json};

use crate::issuer::{Answer, Api, Issuer, NOW, RESOURCE, key};

const URI: &str = "https://finance.example.com/v1/who";

/// An ES256 proof of RFC 9449 4.2: the header carries the key itself.
struct Prover {
    key: aws_lc_rs::signature::EcdsaKeyPair,
    public: SigningKey,
}

impl Prover {
    fn new() -> Prover {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
        let pkcs8 = grantor_protocol::jose::generate(Algorithm::Es256).unwrap();
        Prover {
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).unwrap(),
            public: SigningKey::from_pkcs8(Algorithm::Es256, &pkcs8, None).unwrap(),
        }
    }

    fn jkt(&self) -> String {
        self.public.public().thumbprint().to_string()
    }

    fn proof(&self, claims: &Value) -> String {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.public.public() });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let random = aws_lc_rs::rand::SystemRandom::new();
        let signature = self.key.sign(&random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn claims(jti: &str, token: &str) -> Value {
    let ath = URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()));
    json!({ "htm": "GET", "htu": URI, "iat": NOW, "jti": jti, "ath": ath })
}

async fn call(api: &Api, token: &str, proofs: &[&str]) -> Answer {
    let authorization = format!("DPoP {token}");
    let mut headers = vec![("authorization", authorization.as_str())];
    headers.extend(proofs.iter().map(|proof| ("dpop", *proof)));
    api.call("/v1/who", &headers).await
}

async fn bound_to(jkt: &str) -> (Issuer, Api) {
    let issuer = Issuer::start().await;
    issuer.answer(
        200,
        json!({
            "active": true, "token_type": "DPoP", "sub": "customer-1", "client_id": "client-1",
            "scope": "", "exp": NOW + 3600, "cnf": { "jkt": jkt }, "aud": RESOURCE,
        }),
    );
    let api = Api::trusting(&issuer, |plan| plan.asking("finance-backend", "secret"));
    (issuer, api)
}

#[tokio::test]
async fn a_bound_token_opens_with_a_proof_for_this_very_call_which_works_once() {
    let prover = Prover::new();
    let (issuer, api) = bound_to(&prover.jkt()).await;
    let proof = prover.proof(&claims("1", "t"));
    assert_eq!(call(&api, "t", &[&proof]).await.status, 200);
    let replayed = call(&api, "t", &[&proof]).await;
    assert_eq!(replayed.status, 401);
    assert!(replayed.challenge().contains("DPoP algs=\""), "{}", replayed.challenge());
    assert!(replayed.challenge().contains("error=\"invalid_dpop_proof\""), "{replayed:?}");
    // The decision is cached, and each call is proved anew.
    assert_eq!(call(&api, "t", &[&prover.proof(&claims("2", "t"))]).await.status, 200);
    assert_eq!(issuer.introspect_asked(), 1);
}

#[tokio::test]
async fn a_used_proof_is_known_for_as_long_as_it_would_be_good() {
    let prover = Prover::new();
    let (_issuer, api) = bound_to(&prover.jkt()).await;
    let mut early = claims("early", "t");
    early["iat"] = json!(NOW + 60);
    let proof = prover.proof(&early);
    assert_eq!(call(&api, "t", &[&proof]).await.status, 200);
    for seconds in [1, 200, 359, 360, 361] {
        api.time.set(seconds);
        assert_eq!(call(&api, "t", &[&proof]).await.status, 401, "after {seconds}");
    }
}

#[tokio::test]
async fn a_proof_for_anything_else_opens_nothing_and_is_not_used_up() {
    let prover = Prover::new();
    let (_issuer, api) = bound_to(&prover.jkt()).await;
    let with = |claim: &str, value: Value| {
        let mut claims = claims("1", "t");
        claims[claim] = value;
        prover.proof(&claims)
    };
    for wrong in [
        with("htm", json!("POST")),
        with("htu", json!("https://finance.example.com/v1/takings")),
        with("htu", json!("http://finance.example.com/v1/who")),
        with("htu", json!("https://evil.example/v1/who")),
        with("iat", json!(NOW - 301)),
        with("iat", json!(NOW + 61)),
        with("ath", json!("AAAA")),
        prover.proof(&claims("1", "another token")),
        Prover::new().proof(&claims("1", "t")),
        "nonsense".to_owned(),
    ] {
        assert_eq!(call(&api, "t", &[&wrong]).await.status, 401);
    }
    let sound = with("htu", json!(format!("{URI}?page=1")));
    assert_eq!(call(&api, "t", &[]).await.status, 401);
    assert_eq!(call(&api, "t", &[&sound, &sound]).await.status, 401);
    assert_eq!(call(&api, "t", &[&sound]).await.status, 200);
}

#[tokio::test]
async fn a_bound_token_as_bearer_and_a_bearer_token_as_bound_are_refused() {
    let prover = Prover::new();
    let (issuer, api) = bound_to(&prover.jkt()).await;
    let stolen = api.bearer("/v1/who", "t").await;
    assert_eq!(stolen.status, 401);
    assert!(stolen.challenge().contains("is bound to a key"), "{}", stolen.challenge());
    let proof = prover.proof(&claims("1", "t"));
    let authorization = [("authorization", "Bearer t"), ("dpop", proof.as_str())];
    assert_eq!(api.call("/v1/who", &authorization).await.status, 401);
    assert_eq!(call(&api, "t", &[&proof]).await.status, 200);
    issuer.answer(
        200,
        json!({
            "active": true, "token_type": "bearer", "sub": "customer-1", "client_id": "client-1",
            "exp": NOW + 3600, "aud": RESOURCE,
        }),
    );
    let unbound = call(&api, "u", &[&prover.proof(&claims("2", "u"))]).await;
    assert_eq!(unbound.status, 401);
    assert!(unbound.challenge().contains("is bound to no key"), "{}", unbound.challenge());
}

#[tokio::test]
async fn a_signed_token_is_bound_by_its_own_claim() {
    let issuer = Issuer::start().await;
    let signer = key(Algorithm::Es256, Some("one"));
    issuer.publish(&[&signer]);
    let prover = Prover::new();
    let api = Api::trusting(&issuer, |plan| plan.offline());
    let claims_of_token = json!({
        "iss": issuer.url(), "aud": RESOURCE, "sub": "customer-1", "client_id": "client-1",
        "iat": NOW, "exp": NOW + 60, "jti": "1", "cnf": { "jkt": prover.jkt() },
    });
    let token = signer.sign("at+jwt", &claims_of_token).unwrap();
    assert_eq!(api.bearer("/v1/who", &token).await.status, 401);
    let proof = prover.proof(&claims("1", &token));
    assert_eq!(call(&api, &token, &[&proof]).await.status, 200);
}

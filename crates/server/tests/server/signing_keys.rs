//! Signing keys that come and go under running servers, as whoever verifies offline sees them.

use grantor::keys::signing::{
    LIFE_SECONDS, PUBLISHED_SECONDS, SigningRecord, SigningState, list, remove_ended, revoke,
    rotate,
};
use grantor::random::Random;
use grantor::site::Site;
use grantor_protocol::environment::Environment;
use grantor_protocol::jose::{Algorithm, Demand, JwkSet, TypeDemand, UnverifiedJws};
use serde_json::{Value, json};

use crate::harness::Server;

const STAGING: Environment = Environment::Staging;
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

/// The set as a verifier fetches it.
async fn fetched(server: &Server) -> JwkSet {
    let answer = reqwest::get(server.url("/oauth/jwks")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/jwk-set+json");
    assert_eq!(answer.headers()["cache-control"], "public, max-age=300");
    let text = answer.text().await.unwrap();
    let parsed: Value = serde_json::from_str(&text).unwrap();
    for key in parsed["keys"].as_array().unwrap() {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "{private} of {key}");
        }
        assert_eq!(key["use"], "sig");
    }
    JwkSet::parse(text.as_bytes()).unwrap()
}

fn ids(set: &JwkSet) -> Vec<String> {
    let mut ids: Vec<String> =
        set.keys().iter().map(|key| key.key_id().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

async fn signed(site: &Site, algorithm: Algorithm) -> String {
    let ring = site.signing_keys().await.unwrap();
    ring.sign((algorithm, site.clock.now()), "at+jwt", &json!({ "sub": "x" })).unwrap()
}

fn verifies(set: &JwkSet, token: &str) -> bool {
    let demand =
        Demand { algorithms: &ALGORITHMS, typ: TypeDemand::OneOf(&["at+jwt"]), max_bytes: 4096 };
    UnverifiedJws::parse(token, &demand).unwrap().verify(set.keys()).is_ok()
}

fn kid(token: &str) -> String {
    let demand =
        Demand { algorithms: &ALGORITHMS, typ: TypeDemand::OneOf(&["at+jwt"]), max_bytes: 4096 };
    UnverifiedJws::parse(token, &demand).unwrap().header().key_id.clone().unwrap()
}

async fn rotated(server: &Server) -> Vec<SigningRecord> {
    let site = &server.staging;
    rotate(&site.store, &server.master_key, STAGING, (&site.clock, &Random::system()), None)
        .await
        .unwrap()
}

async fn records(server: &Server) -> Vec<SigningRecord> {
    list(&server.staging.store, STAGING, server.clock.now()).await.unwrap()
}

async fn s27_a_rotation_never_breaks_a_verifier(server: Server) {
    let before = fetched(&server).await;
    assert_eq!(before.keys().len(), 3, "one key for each algorithm");
    let mut old = Vec::new();
    for algorithm in ALGORITHMS {
        old.push(signed(&server.staging, algorithm).await);
    }
    let new = rotated(&server).await;
    server.staging.keys.reload().await.unwrap();
    // What a verifier fetches from now on holds the keys that will sign.
    let published = fetched(&server).await;
    assert_eq!(published.keys().len(), 6);
    server.clock.advance(PUBLISHED_SECONDS - 1);
    for algorithm in ALGORITHMS {
        let token = signed(&server.staging, algorithm).await;
        assert!(verifies(&before, &token), "{algorithm:?} signs before everybody can know it");
    }
    server.clock.advance(1);
    for (algorithm, new) in ALGORITHMS.into_iter().zip(&new) {
        let token = signed(&server.staging, algorithm).await;
        assert_eq!(kid(&token), new.id);
        assert!(verifies(&published, &token) && !verifies(&before, &token));
    }
    // The retired ones stay until the last that they signed has ended, and clocks may differ.
    let random = Random::system();
    let store = &server.staging.store;
    server.clock.advance(LIFE_SECONDS - 1);
    assert!(!remove_ended(store, server.clock.now(), &random).await.unwrap());
    let still = fetched(&server).await;
    assert!(old.iter().all(|token| verifies(&still, token)));
    server.clock.advance(1);
    assert!(records(&server).await[..3].iter().all(|key| key.state == SigningState::Ended));
    assert!(remove_ended(store, server.clock.now(), &random).await.unwrap());
    server.staging.keys.reload().await.unwrap();
    let after = fetched(&server).await;
    assert_eq!(after.keys().len(), 3);
    assert!(!old.iter().any(|token| verifies(&after, token)));
    // What signs is never removed, however old it is.
    server.clock.advance(10 * LIFE_SECONDS);
    assert!(!remove_ended(store, server.clock.now(), &random).await.unwrap());
    assert!(records(&server).await.iter().all(|key| key.state == SigningState::Signing));
}

async fn s27_the_first_keys_are_made_once_whoever_asks_first(server: Server) {
    let other = server.start_another().await;
    let (one, same, two) = tokio::join!(fetched(&server), fetched(&server), fetched(&other));
    assert_eq!((ids(&one), ids(&same)), (ids(&two), ids(&two)));
    assert_eq!(server.count("signing_keys"), 3, "and those of production are not made yet");
    let production = reqwest::get(format!("{}/oauth/jwks", server.production.base_url)).await;
    let production = JwkSet::parse(production.unwrap().text().await.unwrap().as_bytes()).unwrap();
    assert!(ids(&production).iter().all(|id| !ids(&one).contains(id)), "a key of both");
    // Another process signs with what this one published.
    let token = signed(&other.staging, Algorithm::Es256).await;
    assert!(verifies(&one, &token));
    let again = server.start_another().await;
    assert_eq!(ids(&fetched(&again).await), ids(&one), "a start makes no others");
}

async fn s27_a_signing_key_that_leaked_is_gone_at_once_and_another_signs(server: Server) {
    fetched(&server).await;
    let leaked = signed(&server.staging, Algorithm::Es256).await;
    let (site, random) = (&server.staging, Random::system());
    let (store, master_key) = (&site.store, &server.master_key);
    let id = kid(&leaked);
    let made =
        revoke(store, master_key, (STAGING, &id), (&site.clock, &random), None).await.unwrap();
    let made = made.expect("another one");
    assert_eq!((made.algorithm, made.state), (Algorithm::Es256, SigningState::Signing));
    let unknown = revoke(store, master_key, (STAGING, &id), (&site.clock, &random), None).await;
    assert!(unknown.unwrap_err().to_string().contains("there is no signing key"));
    site.keys.reload().await.unwrap();
    let set = fetched(&server).await;
    assert_eq!(set.keys().len(), 3);
    assert!(!verifies(&set, &leaked));
    assert_eq!(kid(&signed(site, Algorithm::Es256).await), made.id);
    // One that does not sign goes without another in its place.
    let next = rotated(&server).await;
    let gone =
        revoke(store, master_key, (STAGING, &next[0].id), (&site.clock, &random), None).await;
    assert_eq!(gone.unwrap(), None);
    assert_eq!(records(&server).await.len(), 5);
}

/// Who can write to the database but does not have the master key publishes no key of his own.
async fn s27_another_public_half_in_the_database_is_not_published(server: Server) {
    fetched(&server).await;
    let of_production = format!("{}/oauth/jwks", server.production.base_url);
    reqwest::get(of_production).await.unwrap();
    let changed = server.execute(
        "UPDATE signing_keys SET public_jwk = (SELECT k.public_jwk FROM signing_keys k \
         WHERE k.environment = 'production' AND k.algorithm = 'ES256') \
         WHERE environment = 'staging' AND algorithm = 'ES256'",
    );
    assert_eq!(changed, 1);
    server.execute("UPDATE installation SET keys_version = keys_version + 1");
    let refused = server.staging.keys.reload().await.unwrap_err();
    assert!(refused.to_string().contains("is not what it was made as"), "{refused}");
    assert_eq!(fetched(&server).await.keys().len(), 3, "what was read before stays");
}

on_both_engines! {
    s27_a_rotation_never_breaks_a_verifier,
    s27_the_first_keys_are_made_once_whoever_asks_first,
    s27_a_signing_key_that_leaked_is_gone_at_once_and_another_signs,
    s27_another_public_half_in_the_database_is_not_published,
}

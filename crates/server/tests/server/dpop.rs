//! Tokens that work with a key alone (RFC 9449), and what a thief without it gets.

#![expect(unreachable_pub, reason = "seen by the other files of this binary alone")]

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::demo;
use grantor::site::Settings;
use grantor::store::Turn;
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::{Binding, Exchange, Refresh, check_exchange, check_refresh};
use grantor_protocol::grant::{GrantStatus, RefreshDecision};
use grantor_protocol::pkce::CodeVerifier;
use grantor_protocol::redirect_uri::RedirectUriDigest;
use serde_json::{Value, json};

use crate::calls::{Call, VERIFIER, challenge, introspect, issue_with, row};
use crate::harness::{Answer, START, Server, TestClient};

const HERE: Environment = Environment::Staging;
const API: &str = "/f/data/businesses";

/// A key of a client, and the proofs that it makes.
pub struct Key {
    pair: EcdsaKeyPair,
    pub jwk: Value,
}

/// One proof before it is signed: tests change what they like.
pub struct Proof {
    pub header: Value,
    pub claims: Value,
}

impl Key {
    pub fn new() -> Key {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let coordinate = |at: usize| URL_SAFE_NO_PAD.encode(&point[at..at + 32]);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": coordinate(1), "y": coordinate(33) });
        Key { pair, jwk }
    }

    pub fn jkt(&self) -> String {
        let (x, y) = (self.jwk["x"].as_str().unwrap(), self.jwk["y"].as_str().unwrap());
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
    }

    fn thumbprint(&self) -> [u8; 32] {
        URL_SAFE_NO_PAD.decode(self.jkt()).unwrap().try_into().unwrap()
    }

    pub fn proof(&self, server: &Server, method: &str, path: &str) -> Proof {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk });
        let claims = json!({
            "htm": method,
            "htu": format!("{}{path}", server.staging.base_url),
            "iat": server.clock.now(),
            "jti": server.staging.random.hex::<16>(),
        });
        Proof { header, claims }
    }

    pub fn sign(&self, proof: &Proof) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&proof.header), part(&proof.claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A good proof for the token endpoint.
    fn for_token(&self, server: &Server) -> String {
        self.sign(&self.proof(server, "POST", "/oauth/token"))
    }

    /// A good proof for the API, with this token.
    fn for_api(&self, server: &Server, token: &str) -> String {
        let mut proof = self.proof(server, "GET", API);
        proof.claims["ath"] = json!(URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())));
        self.sign(&proof)
    }
}

async fn public(server: &Server) -> TestClient {
    server.client_with(HERE, |client| client.secret = None).await
}

/// Posts to the token endpoint as this client, with these proofs.
async fn token(
    server: &Server,
    client: &TestClient,
    form: &[(&str, &str)],
    proofs: &[String],
) -> Answer {
    let is_public =
        server.staging.store.client(&client.id).await.unwrap().unwrap().client.is_public();
    let mut form = form.to_vec();
    let mut call = Call::to(&server.staging);
    if is_public {
        form.push(("client_id", &client.id));
    } else {
        call = call.basic(client);
    }
    for proof in proofs {
        call = call.header("DPoP", proof.as_bytes());
    }
    call.form(&form).send().await
}

async fn code(server: &Server, client: &TestClient, key: Option<[u8; 32]>) -> (String, [u8; 16]) {
    let issued = issue_with(&server.staging, client, |grant| {
        grant.code_challenge = Some(challenge());
        grant.binding = Binding { key, ..Binding::default() };
    })
    .await;
    (issued.code, issued.grant_id)
}

fn exchange_form<'a>(client: &'a TestClient, code: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &client.redirect_uri),
        ("code_verifier", VERIFIER),
    ]
}

fn refresh_form(token: &str) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", token)]
}

async fn api(server: &Server, scheme: &str, token: &str, proof: Option<String>) -> Answer {
    let mut call = Call::at(&server.staging, API)
        .method("GET")
        .header("Authorization", format!("{scheme} {token}").as_bytes());
    if let Some(proof) = proof {
        call = call.header("DPoP", proof.as_bytes());
    }
    call.send().await
}

/// The first tokens of a new grant, bound to this key.
async fn bound(server: &Server, client: &TestClient, key: &Key) -> (Answer, [u8; 16]) {
    let (code, id) = code(server, client, None).await;
    let proofs = [key.for_token(server)];
    let answer = token(server, client, &exchange_form(client, &code), &proofs).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.text("token_type"), "DPoP");
    (answer, id)
}

async fn a_bound_token_opens_the_api_with_its_key_and_with_nothing_else(server: Server) {
    let (client, key, thief) = (server.client().await, Key::new(), Key::new());
    let (tokens, _) = bound(&server, &client, &key).await;
    let access = tokens.text("access_token");
    let good = key.for_api(&server, access);
    assert_eq!(api(&server, "DPoP", access, Some(good.clone())).await.status, 200);
    let of_other = key.for_api(&server, "another token");
    for (scheme, proof, error, words) in [
        ("DPoP", Some(good), "invalid_dpop_proof", "used before"),
        ("Bearer", None, "invalid_token", "bound to a key"),
        ("Bearer", Some(key.for_api(&server, access)), "invalid_token", "bound to a key"),
        ("DPoP", None, "invalid_dpop_proof", "send a DPoP header"),
        ("DPoP", Some(thief.for_api(&server, access)), "invalid_token", "another key"),
        ("DPoP", Some(of_other), "invalid_dpop_proof", "ath"),
    ] {
        let answer = api(&server, scheme, access, proof).await;
        assert_eq!(answer.status, 401, "{scheme} {words}: {answer:?}");
        let challenge = answer.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains(error) && challenge.contains(words), "{challenge}");
        assert!(challenge.contains("DPoP algs=\""), "{challenge}");
    }
    let said = introspect(&server, &client, access).await;
    assert_eq!(said.body["cnf"], json!({ "jkt": key.jkt() }));
    assert_eq!(said.body["token_type"], "DPoP");
    // A token that is bound to nothing is no DPoP token.
    let (code, _) = code(&server, &client, None).await;
    let plain = token(&server, &client, &exchange_form(&client, &code), &[]).await;
    assert_eq!(plain.text("token_type"), "bearer");
    let access = plain.text("access_token");
    let answer = api(&server, "DPoP", access, Some(key.for_api(&server, access))).await;
    assert_eq!(answer.status, 401);
    assert_eq!(api(&server, "Bearer", access, None).await.status, 200);
    assert!(introspect(&server, &client, access).await.body.get("cnf").is_none());
}

async fn s15_a_public_clients_refresh_token_is_worth_nothing_without_its_key(server: Server) {
    let (client, key, thief) = (public(&server).await, Key::new(), Key::new());
    let (tokens, id) = bound(&server, &client, &key).await;
    let refresh = tokens.text("refresh_token").to_owned();
    let before = row(&server, id).await;
    assert_eq!(before.binding.key, Some(key.thumbprint()));
    for proofs in [vec![], vec![thief.for_token(&server)]] {
        let answer = token(&server, &client, &refresh_form(&refresh), &proofs).await;
        answer.assert_error(400, "invalid_grant", "");
        assert_eq!(row(&server, id).await, before);
    }
    let mine = [key.for_token(&server)];
    let next = token(&server, &client, &refresh_form(&refresh), &mine).await;
    assert_eq!(next.status, 200, "{next:?}");
    // The one that is spent is reuse for its owner alone.
    server.clock.advance(100);
    let turned = row(&server, id).await;
    for proofs in [vec![], vec![thief.for_token(&server)]] {
        let answer = token(&server, &client, &refresh_form(&refresh), &proofs).await;
        answer.assert_error(400, "invalid_grant", "");
        assert_eq!(row(&server, id).await, turned);
    }
    let mine = [key.for_token(&server)];
    let reused = token(&server, &client, &refresh_form(&refresh), &mine).await;
    reused.assert_error(400, "invalid_grant", "");
    assert!(matches!(row(&server, id).await.status, GrantStatus::Revoked { .. }));
}

async fn d11_a_bound_refresh_is_repeated_with_its_key_and_refused_without(server: Server) {
    let (client, key) = (public(&server).await, Key::new());
    let (tokens, id) = bound(&server, &client, &key).await;
    let refresh = tokens.text("refresh_token").to_owned();
    let ask =
        async |proofs: Vec<String>| token(&server, &client, &refresh_form(&refresh), &proofs).await;
    let first = ask(vec![key.for_token(&server)]).await;
    // Longer than a client has whose token is bound to nothing.
    server.clock.advance(30);
    let again = ask(vec![key.for_token(&server)]).await;
    assert_eq!(first.text("refresh_token"), again.text("refresh_token"));
    let turned = row(&server, id).await;
    ask(vec![]).await.assert_error(400, "invalid_grant", "");
    assert_eq!(row(&server, id).await, turned);
}

async fn s13_a_code_that_is_bound_to_a_key_is_exchanged_with_it_alone(server: Server) {
    let (key, thief) = (Key::new(), Key::new());
    for client in [server.client().await, public(&server).await] {
        let (code, id) = code(&server, &client, Some(key.thumbprint())).await;
        let form = exchange_form(&client, &code);
        let before = row(&server, id).await;
        for proofs in [vec![], vec![thief.for_token(&server)]] {
            let answer = token(&server, &client, &form, &proofs).await;
            answer.assert_error(400, "invalid_grant", "");
            assert_eq!(row(&server, id).await, before);
        }
        let answer = token(&server, &client, &form, &[key.for_token(&server)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        // A client with a secret proves itself by that: its refresh token is bound to no key.
        let is_bound = row(&server, id).await.binding.key.is_some();
        let refresh = answer.text("refresh_token");
        let plain = token(&server, &client, &refresh_form(refresh), &[]).await;
        assert_eq!((is_bound, plain.status), if is_bound { (true, 400) } else { (false, 200) });
    }
}

async fn s12_the_write_that_reads_nothing_and_the_rules_agree_about_keys(server: Server) {
    let store = &server.staging.store;
    let (mine, other) = (Some([1; 32]), Some([2; 32]));
    let verifier = CodeVerifier::parse(VERIFIER).unwrap();
    let mut turned = 0;
    for client in [server.client().await, public(&server).await] {
        let record = store.client(&client.id).await.unwrap().unwrap().client;
        for bound in [None, mine] {
            for key in [None, mine, other] {
                let (_, id) = code(&server, &client, bound).await;
                let turn = Turn {
                    environment: HERE,
                    id,
                    attempt: [7; 16],
                    idle_expires_at: START + 1000,
                    from: "::1",
                    key,
                    binds_refresh: record.is_public(),
                    now: START,
                };
                let before = row(&server, id).await;
                let exchange = Exchange {
                    client: &record,
                    redirect_uri: &client.redirect_uri,
                    code_verifier: Some(&verifier),
                    key,
                };
                let admitted = check_exchange(Some(&before), &exchange, START).is_ok();
                let presented = grantor::store::Presented {
                    client_id: &client.id,
                    redirect_uri: RedirectUriDigest::of(&client.redirect_uri),
                    code_challenge: Some(verifier.challenge()),
                };
                let found = store.redeem_at_once(&turn, &presented).await.unwrap();
                assert_eq!(found.is_some(), admitted, "{bound:?} {key:?}");
                let Some(found) = found else { continue };
                let row_now = row(&server, id).await;
                assert_eq!(found.binding, row_now.binding);
                assert_eq!(row_now.binding.key, key.filter(|_| record.is_public()));
                for key in [None, mine, other] {
                    let before = row(&server, id).await;
                    let GrantStatus::Active(active) = before.status else { panic!("{before:?}") };
                    let generation = active.generation;
                    let refresh = Refresh { client: &record, generation, key, window_seconds: 60 };
                    let decided = check_refresh(Some(&before), &refresh, START);
                    let turn = Turn { key, ..turn };
                    let found = store.turn_at_once(&turn, generation, &client.id).await.unwrap();
                    let admitted = decided == RefreshDecision::Turn;
                    assert_eq!(found.is_some(), admitted, "{before:?} {key:?}");
                    turned += usize::from(admitted);
                }
            }
        }
    }
    // Of a client with a secret three times each; of a public one as its key says.
    assert_eq!(turned, 4 * 3 + 3 + 1 + 1 + 1);
}

#[tokio::test]
async fn s27_a_proof_that_does_not_hold_for_its_request_spends_nothing() {
    let server = Server::start().await;
    let (client, key, other) = (server.client().await, Key::new(), Key::new());
    let (code, id) = code(&server, &client, None).await;
    let form = exchange_form(&client, &code);
    let before = row(&server, id).await;
    let changed = |change: &dyn Fn(&mut Proof)| {
        let mut proof = key.proof(&server, "POST", "/oauth/token");
        change(&mut proof);
        key.sign(&proof)
    };
    let unsigned = |alg: &str| {
        let token = changed(&|proof| proof.header["alg"] = json!(alg));
        format!("{}.", token.rsplit_once('.').unwrap().0)
    };
    let now = server.clock.now();
    for (name, proof) in [
        ("another method", changed(&|proof| proof.claims["htm"] = json!("GET"))),
        (
            "another address",
            changed(&|proof| proof.claims["htu"] = json!("https://elsewhere.example/oauth/token")),
        ),
        (
            "the other environment",
            changed(&|proof| {
                proof.claims["htu"] = json!(format!("{}/oauth/token", server.production.base_url))
            }),
        ),
        ("too old", changed(&|proof| proof.claims["iat"] = json!(now - 301))),
        ("of the future", changed(&|proof| proof.claims["iat"] = json!(now + 61))),
        ("no jti", changed(&|proof| proof.claims["jti"] = Value::Null)),
        ("another typ", changed(&|proof| proof.header["typ"] = json!("JWT"))),
        ("crit", changed(&|proof| proof.header["crit"] = json!(["exp"]))),
        ("a private key", changed(&|proof| proof.header["jwk"]["d"] = json!("AAAA"))),
        ("another key", changed(&|proof| proof.header["jwk"] = other.jwk.clone())),
        (
            "a symmetric key",
            changed(&|proof| proof.header["jwk"] = json!({ "kty": "oct", "k": "AAAA" })),
        ),
        ("none", unsigned("none")),
        ("HS256", unsigned("HS256")),
        ("cut off", key.for_token(&server)[..80].to_owned()),
        ("giant", format!("{}.{}", key.for_token(&server), "A".repeat(10_000))),
        ("empty", String::new()),
    ] {
        let answer = token(&server, &client, &form, &[proof]).await;
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
        assert_eq!(answer.text("error"), "invalid_dpop_proof", "{name}: {answer:?}");
        assert_eq!(row(&server, id).await, before, "{name}");
    }
    let two = [key.for_token(&server), key.for_token(&server)];
    let answer = token(&server, &client, &form, &two).await;
    answer.assert_error(400, "invalid_dpop_proof", "once");
    assert_eq!(row(&server, id).await, before);
    assert_eq!(token(&server, &client, &form, &[key.for_token(&server)]).await.status, 200);
}

#[tokio::test]
async fn a_nonce_is_demanded_where_the_operator_wants_one_and_expires() {
    let settings = Settings { dpop_nonce_required: true, ..Settings::default() };
    let server = Server::start_with(settings, true).await;
    let (client, key) = (server.client().await, Key::new());
    let (code, _) = code(&server, &client, None).await;
    let form = exchange_form(&client, &code);
    let with = |nonce: &str| {
        let mut proof = key.proof(&server, "POST", "/oauth/token");
        proof.claims["nonce"] = json!(nonce);
        [key.sign(&proof)]
    };
    let asked = token(&server, &client, &form, &[key.for_token(&server)]).await;
    asked.assert_error(400, "use_dpop_nonce", "nonce");
    let nonce = asked.headers["dpop-nonce"].to_str().unwrap().to_owned();
    let made_up = token(&server, &client, &form, &with("gr_nonce_AAAA")).await;
    made_up.assert_error(400, "use_dpop_nonce", "nonce");
    server.clock.advance(301);
    let old = token(&server, &client, &form, &with(&nonce)).await;
    old.assert_error(400, "use_dpop_nonce", "nonce");
    let nonce = old.headers["dpop-nonce"].to_str().unwrap().to_owned();
    let (code, _) = self::code(&server, &client, None).await;
    let answer = token(&server, &client, &exchange_form(&client, &code), &with(&nonce)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.headers.contains_key("dpop-nonce"));
    let access = answer.text("access_token");
    let refused = api(&server, "DPoP", access, Some(key.for_api(&server, access))).await;
    assert_eq!(refused.status, 401);
    assert!(refused.headers.contains_key("dpop-nonce"));
    // Who proves no key is asked for none.
    let (code, _) = self::code(&server, &client, None).await;
    let plain = token(&server, &client, &exchange_form(&client, &code), &[]).await;
    assert_eq!(plain.status, 200);
    assert!(!plain.headers.contains_key("dpop-nonce"));
}

#[tokio::test]
async fn a_client_whose_tokens_have_to_be_bound_gets_none_without_a_proof() {
    let server = Server::start().await;
    let client = server.client_with(HERE, |client| client.settings.dpop_required = true).await;
    let (code, id) = code(&server, &client, None).await;
    let form = exchange_form(&client, &code);
    let before = row(&server, id).await;
    let refused = token(&server, &client, &form, &[]).await;
    refused.assert_error(400, "invalid_dpop_proof", "send a DPoP header");
    assert_eq!(row(&server, id).await, before);
    let key = Key::new();
    assert_eq!(token(&server, &client, &form, &[key.for_token(&server)]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s27_postgres_a_proof_is_used_once_on_all_processes_together() {
    // Both stand behind one base URL, as behind a proxy.
    let one = Server::start_on_postgres().await;
    let (client, key) = (one.client().await, Key::new());
    let proof = key.for_token(&one);
    let (first, _) = code(&one, &client, None).await;
    let (second, id) = code(&one, &client, None).await;
    let proofs = [proof];
    let answer = token(&one, &client, &exchange_form(&client, &first), &proofs).await;
    assert_eq!(answer.status, 200);
    let store = one.another_store().await;
    let claims: Value = {
        let payload = proofs[0].split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    };
    let token_id = claims["jti"].as_str().unwrap();
    let parts = [key.thumbprint().to_vec(), token_id.as_bytes().to_vec()];
    let parts = [parts[0].as_slice(), parts[1].as_slice()];
    let again = store.use_once(HERE, grantor::store::Once::Proof, parts, START + 400).await;
    assert!(!again.unwrap(), "another process took it for new");
    let answer = token(&one, &client, &exchange_form(&client, &second), &proofs).await;
    answer.assert_error(400, "invalid_dpop_proof", "used before");
    assert_eq!(row(&one, id).await.status, GrantStatus::Pending);
}

async fn s17_a_store_that_cannot_say_whether_a_proof_is_new_takes_it_for_neither(server: Server) {
    let (client, key) = (server.client().await, Key::new());
    let (code, id) = code(&server, &client, None).await;
    let form = exchange_form(&client, &code);
    server.alter("ALTER TABLE once_values RENAME TO away");
    let refused = token(&server, &client, &form, &[key.for_token(&server)]).await;
    refused.assert_error(503, "temporarily_unavailable", "cannot answer just now");
    assert_eq!(row(&server, id).await.status, GrantStatus::Pending);
    server.alter("ALTER TABLE away RENAME TO once_values");
    assert_eq!(token(&server, &client, &form, &[key.for_token(&server)]).await.status, 200);
}

#[tokio::test]
async fn a_thumbprint_at_authorize_binds_the_code_and_a_malformed_one_is_refused() {
    let server = Server::start().await;
    let (client, key, thief) = (server.demo_client(), Key::new(), Key::new());
    assert_eq!(client.id, demo::client_id(HERE));
    let code = server.code(&client, &format!("&dpop_jkt={}", key.jkt())).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", client.redirect_uri.as_str()),
    ];
    for proofs in [vec![], vec![thief.for_token(&server)]] {
        token(&server, &client, &form, &proofs).await.assert_error(400, "invalid_grant", "key");
    }
    assert_eq!(token(&server, &client, &form, &[key.for_token(&server)]).await.status, 200);
    let url = server.authorize_url(&client, "&dpop_jkt=short");
    let page = server.browser().get(&url).await;
    page.assert_refused(&client.redirect_uri, "invalid_request", "43 characters");
}

on_both_engines! {
    a_bound_token_opens_the_api_with_its_key_and_with_nothing_else,
    s15_a_public_clients_refresh_token_is_worth_nothing_without_its_key,
    d11_a_bound_refresh_is_repeated_with_its_key_and_refused_without,
    s13_a_code_that_is_bound_to_a_key_is_exchanged_with_it_alone,
    s12_the_write_that_reads_nothing_and_the_rules_agree_about_keys,
    s17_a_store_that_cannot_say_whether_a_proof_is_new_takes_it_for_neither,
}

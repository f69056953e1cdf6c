//! Clients that send their secret in the body, and clients that sign (RFC 7523).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_protocol::client::{ClientKeys, SecretMethods};
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::GrantStatus;
use serde_json::{Value, json};

use crate::calls::{Call, assert_unspent, exchange_form, issue, row};
use crate::dpop::{Key, Proof};
use crate::harness::{Answer, Server, TestClient, roomy};

const HERE: Environment = Environment::Staging;
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn signing(server: &Server, key: &Key) -> TestClient {
    let set = json!({ "keys": [key.jwk] }).to_string();
    server
        .client_with(HERE, |client| {
            client.secret = None;
            client.keys = Some(ClientKeys::Set(set));
        })
        .await
}

/// A good assertion, changed by `change` and then signed.
fn assertion(
    server: &Server,
    client: &TestClient,
    key: &Key,
    change: impl FnOnce(&mut Proof),
) -> String {
    let now = server.clock.now();
    let mut proof = Proof {
        header: json!({ "alg": "ES256", "typ": "JWT" }),
        claims: json!({
            "iss": client.id,
            "sub": client.id,
            "aud": server.staging.base_url,
            "exp": now + 60,
            "iat": now,
            "jti": server.staging.random.hex::<16>(),
        }),
    };
    change(&mut proof);
    key.sign(&proof)
}

async fn exchange(server: &Server, form: &[(&str, &str)], assertion: &str) -> Answer {
    let mut form = form.to_vec();
    form.extend([("client_assertion_type", TYPE), ("client_assertion", assertion)]);
    Call::to(&server.staging).form(&form).send().await
}

#[tokio::test]
async fn s14_u8_a_client_sends_its_secret_where_its_setting_says_and_is_told_where() {
    let server = Server::start().await;
    for (methods, basic, post) in [
        (SecretMethods::Basic, true, false),
        (SecretMethods::Post, false, true),
        (SecretMethods::Any, true, true),
    ] {
        let client = server.client_with(HERE, |new| new.settings.secret_methods = methods).await;
        for (in_body, allowed, words) in [
            (false, basic, "sends its secret in the body"),
            (true, post, "Send it in the header instead: Authorization: Basic"),
        ] {
            let issued = issue(&server.staging, &client).await;
            let mut form = exchange_form(&client, &issued);
            let mut call = Call::to(&server.staging);
            if in_body {
                form.extend([("client_id", client.id.as_str()), ("client_secret", &client.secret)]);
            } else {
                call = call.basic(&client);
            }
            let answer = call.form(&form).send().await;
            if allowed {
                assert_eq!(answer.status, 200, "{methods:?} {answer:?}");
            } else {
                answer.assert_error(401, "invalid_client", words);
                assert_eq!(row(&server, issued.grant_id).await.status, GrantStatus::Pending);
            }
        }
        let mut wrong = vec![("grant_type", "refresh_token"), ("refresh_token", "x")];
        wrong.extend([("client_id", client.id.as_str()), ("client_secret", "wrong")]);
        let answer = Call::to(&server.staging).form(&wrong).send().await;
        assert_eq!((answer.status, answer.text("error")), (401, "invalid_client"));
    }
}

#[tokio::test]
async fn s27_an_assertion_proves_its_client_at_each_endpoint_and_once() {
    let server = Server::start().await;
    let key = Key::new();
    let client = signing(&server, &key).await;
    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    let good = assertion(&server, &client, &key, |_| ());
    let answer = exchange(&server, &form, &good).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let next = issue(&server.staging, &client).await;
    let again = exchange(&server, &exchange_form(&client, &next), &good).await;
    again.assert_error(401, "invalid_client", "used before");
    assert_eq!(row(&server, next.grant_id).await.status, GrantStatus::Pending);
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        let issuer = &server.staging.base_url;
        let good = assertion(&server, &client, &key, |it| it.claims["aud"] = json!([issuer]));
        let form = [
            ("token", answer.text("access_token")),
            ("client_assertion_type", TYPE),
            ("client_assertion", &good),
        ];
        let said = Call::at(&server.staging, path).form(&form).send().await;
        assert_eq!(said.status, 200, "{path}: {said:?}");
    }
}

#[tokio::test]
async fn s27_an_assertion_that_does_not_hold_proves_nothing_and_spends_nothing() {
    let server = Server::start_with(roomy(), true).await;
    let (key, other_key) = (Key::new(), Key::new());
    let client = signing(&server, &key).await;
    let other = signing(&server, &other_key).await;
    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    let now = server.clock.now();
    let changed = |change: &dyn Fn(&mut Proof)| assertion(&server, &client, &key, |it| change(it));
    let unsigned = |alg: &str| {
        let token = changed(&|it| it.header["alg"] = json!(alg));
        format!("{}.", token.rsplit_once('.').unwrap().0)
    };
    let elsewhere = "https://elsewhere.example";
    let there = server.production.base_url.clone();
    let two = [server.staging.base_url.clone(), elsewhere.to_owned()];
    let foreign = assertion(&server, &client, &other_key, |it| {
        it.header["jwk"] = other_key.jwk.clone();
        it.header["jku"] = json!("https://evil.example/jwks");
    });
    let cases = [
        ("another audience", changed(&|it| it.claims["aud"] = json!(elsewhere))),
        ("two audiences", changed(&|it| it.claims["aud"] = json!(two))),
        ("the other environment", changed(&|it| it.claims["aud"] = json!(there))),
        ("no audience", changed(&|it| it.claims["aud"] = Value::Null)),
        ("another issuer", changed(&|it| it.claims["iss"] = json!(other.id))),
        ("expired", changed(&|it| it.claims["exp"] = json!(now - 61))),
        ("for years", changed(&|it| it.claims["exp"] = json!(now + 100_000))),
        ("no exp", changed(&|it| it.claims["exp"] = Value::Null)),
        ("not yet", changed(&|it| it.claims["nbf"] = json!(now + 120))),
        ("no jti", changed(&|it| it.claims["jti"] = Value::Null)),
        ("empty jti", changed(&|it| it.claims["jti"] = json!(""))),
        ("a proof of RFC 9449", changed(&|it| it.header["typ"] = json!("dpop+jwt"))),
        ("crit", changed(&|it| it.header["crit"] = json!(["exp"]))),
        ("a key of its own", foreign),
        ("none", unsigned("none")),
        ("None", unsigned("None")),
        ("HS256", unsigned("HS256")),
        ("cut off", changed(&|_| ())[..100].to_owned()),
    ];
    for (name, text) in cases {
        let answer = exchange(&server, &form, &text).await;
        assert_eq!(answer.status, 401, "{name}: {answer:?}");
        assert_eq!(answer.text("error"), "invalid_client", "{name}");
        assert_eq!(row(&server, issued.grant_id).await.status, GrantStatus::Pending, "{name}");
    }
    let giant = format!("{}{}", changed(&|_| ()), "A".repeat(9_000));
    exchange(&server, &form, &giant).await.assert_error(400, "invalid_request", "client_assertion");
    // Another client's own assertion is good, and the code is not its.
    let theirs = assertion(&server, &other, &other_key, |_| ());
    exchange(&server, &form, &theirs).await.assert_error(400, "invalid_grant", "another client");
    let answer = exchange(&server, &form, &changed(&|_| ())).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn s14_a_client_that_signs_has_no_other_way_and_one_that_does_not_has_not_that_one() {
    let server = Server::start().await;
    let key = Key::new();
    let (signing, plain) = (signing(&server, &key).await, server.client().await);
    let issued = issue(&server.staging, &signing).await;
    let form = exchange_form(&signing, &issued);
    let named = [&form[..], &[("client_id", signing.id.as_str())]].concat();
    let answer = Call::to(&server.staging).form(&named).send().await;
    answer.assert_error(401, "invalid_client", "This client signs");
    let with_secret = TestClient {
        id: signing.id.clone(),
        secret: "a".repeat(43),
        redirect_uri: signing.redirect_uri.clone(),
    };
    let answer = Call::to(&server.staging).basic(&with_secret).form(&form).send().await;
    answer.assert_error(401, "invalid_client", "This client signs");
    let issued = issue(&server.staging, &plain).await;
    let text = assertion(&server, &plain, &key, |_| ());
    let answer = exchange(&server, &exchange_form(&plain, &issued), &text).await;
    answer.assert_error(401, "invalid_client", "names no keys");
    assert_unspent(&server, &plain, &issued).await;
}

/// An assertion that one process has seen is used up for all of them.
async fn s27_ghsa_3p3g_vpw6_4w66_an_assertion_is_used_once_on_all_processes(server: Server) {
    let key = Key::new();
    let client = signing(&server, &key).await;
    let other = server.start_another().await;
    let first = issue(&server.staging, &client).await;
    let second = issue(&server.staging, &client).await;
    let good = assertion(&server, &client, &key, |_| ());
    let answer = exchange(&server, &exchange_form(&client, &first), &good).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let payload = URL_SAFE_NO_PAD.decode(good.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    // Behind a proxy both would have one base URL; here each has its own.
    let there = assertion(&server, &client, &key, |it| {
        it.claims["aud"] = json!(other.staging.base_url);
        it.claims["jti"] = claims["jti"].clone();
    });
    let again = exchange(&other, &exchange_form(&client, &second), &there).await;
    again.assert_error(401, "invalid_client", "used before");
    assert_eq!(row(&server, second.grant_id).await.status, GrantStatus::Pending);
}

async fn s17_a_store_that_cannot_say_whether_an_assertion_is_new_takes_it_for_neither(
    server: Server,
) {
    let key = Key::new();
    let client = signing(&server, &key).await;
    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    server.alter("ALTER TABLE once_values RENAME TO away");
    let good = assertion(&server, &client, &key, |_| ());
    let refused = exchange(&server, &form, &good).await;
    refused.assert_error(503, "temporarily_unavailable", "cannot answer just now");
    server.alter("ALTER TABLE away RENAME TO once_values");
    assert_eq!(exchange(&server, &form, &good).await.status, 200);
}

on_both_engines! {
    s27_ghsa_3p3g_vpw6_4w66_an_assertion_is_used_once_on_all_processes,
    s17_a_store_that_cannot_say_whether_an_assertion_is_new_takes_it_for_neither,
}

/// draft-ietf-oauth-rfc7523bis: the issuer alone, but for a client whose library is older; and RFC
/// 9126 2 for a pushed request.
#[tokio::test]
async fn s27_an_assertion_names_the_issuer_or_what_its_client_may_name_beside_it() {
    let server = Server::start().await;
    let key = Key::new();
    let set = json!({ "keys": [key.jwk] }).to_string();
    for older in [false, true] {
        let client = server
            .client_with(HERE, |client| {
                client.secret = None;
                client.keys = Some(ClientKeys::Set(set.clone()));
                client.settings.assertion_for_token_endpoint = older;
            })
            .await;
        for (path, audience, taken) in [
            ("/oauth/introspect", "", true),
            ("/oauth/introspect", "/", false),
            ("/oauth/introspect", "/oauth/token", older),
            ("/oauth/introspect", "/oauth/par", false),
            ("/oauth/introspect", "/oauth/introspect", false),
            ("/oauth/revoke", "/oauth/token", older),
            ("/oauth/token", "/oauth/token", older),
            ("/oauth/token", "/oauth/par", false),
            ("/oauth/par", "", true),
            ("/oauth/par", "/oauth/token", older),
            ("/oauth/par", "/oauth/par", true),
        ] {
            let named = format!("{}{audience}", server.staging.base_url);
            let assertion = assertion(&server, &client, &key, |it| it.claims["aud"] = json!(named));
            let form = [
                ("token", "x"),
                ("grant_type", "refresh_token"),
                ("refresh_token", "x"),
                ("response_type", "code"),
                ("redirect_uri", &client.redirect_uri),
                ("client_assertion_type", TYPE),
                ("client_assertion", &assertion),
            ];
            let answer = Call::at(&server.staging, path).form(&form).send().await;
            let what = format!("{path}, {audience}, {older}: {answer:?}");
            assert_eq!(answer.status != 401, taken, "{what}");
            if !taken {
                answer.assert_error(401, "invalid_client", "is not our issuer");
            }
        }
    }
    let kept =
        server.number("SELECT COUNT(*) FROM pushed_requests WHERE parameters LIKE '%assert%'");
    assert_eq!(kept, 0, "what proved the client is not kept");
    assert_eq!(server.number("SELECT COUNT(*) FROM pushed_requests"), 5);
}

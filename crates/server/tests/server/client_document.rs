//! Clients that nobody registered: their id is the address of their own description. And the keys of
//! clients that publish them (`jwks_uri`).

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use grantor::demo;
use grantor::site::Settings;
use grantor::store::RegisteredBy;
use grantor_protocol::client::ClientKeys;
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::GrantStatus;
use serde_json::{Value, json};

use crate::calls::{CHALLENGE, Call, VERIFIER, assert_opens, exchange_form, issue, row};
use crate::dpop::{Key, Proof};
use crate::harness::{Answer, Server, TestClient, encode, query};

const HERE: Environment = Environment::Staging;
const PKCE: &str = "&code_challenge_method=S256&code_challenge=";

type Pages = Arc<Mutex<HashMap<String, (u16, Value)>>>;

/// A web server of somebody else, which shows what a test puts there.
struct Web {
    address: SocketAddr,
    pages: Pages,
}

impl Web {
    async fn start() -> Web {
        let pages = Pages::default();
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let show = async |State(pages): State<Pages>, Path(path): Path<String>| {
            let (status, page) =
                pages.lock().unwrap().get(&path).cloned().unwrap_or((404, Value::Null));
            let status = StatusCode::from_u16(status).unwrap();
            (status, [(CONTENT_TYPE, "application/json")], page.to_string())
        };
        let routes = Router::new()
            .route("/{*path}", axum::routing::get(show))
            .with_state(Arc::clone(&pages));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Web { address, pages }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn put(&self, path: &str, page: Value) -> String {
        self.pages.lock().unwrap().insert(path.to_owned(), (200, page));
        self.url(path)
    }

    /// From now on its host cannot answer.
    fn fail(&self, path: &str) {
        self.pages.lock().unwrap().insert(path.to_owned(), (500, Value::Null));
    }

    fn remove(&self, path: &str) {
        self.pages.lock().unwrap().insert(path.to_owned(), (404, Value::Null));
    }

    /// A description, changed by `change`.
    fn describe(&self, path: &str, change: impl FnOnce(&mut Value)) -> TestClient {
        let mut document = json!({
            "client_id": self.url(path),
            "client_name": "An agent",
            "redirect_uris": [crate::harness::REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
        });
        change(&mut document);
        let id = self.put(path, document);
        let redirect_uri = crate::harness::REDIRECT_URI.to_owned();
        TestClient { id, secret: String::new(), redirect_uri }
    }
}

async fn start() -> Server {
    let settings = Settings {
        registration_scopes: demo::client_scopes(),
        client_id_metadata_documents: true,
        ..Settings::default()
    };
    Server::start_with(settings, true).await
}

fn link(server: &Server, client: &TestClient) -> String {
    let id = encode(&client.id);
    server.url(&format!(
        "/oauth/authorize?client_id={id}&response_type=code&redirect_uri={}{PKCE}{CHALLENGE}",
        encode(&client.redirect_uri)
    ))
}

async fn exchange(server: &Server, client: &TestClient, code: &str) -> Answer {
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", &client.id),
        ("code", code),
        ("redirect_uri", &client.redirect_uri),
        ("code_verifier", VERIFIER),
    ];
    Call::to(&server.staging).form(&form).send().await
}

#[tokio::test]
async fn a_client_that_nobody_registered_connects_by_its_own_description() {
    let (server, web) = (start().await, Web::start().await);
    let client = web.describe("client.json", |_| ());
    let browser = server.browser();
    let page = browser.get(&link(&server, &client)).await;
    page.assert_page(200, "An agent");
    let target = browser.allow(page.url.as_ref()).await;
    let answer = exchange(&server, &client, &query(&target, "code").unwrap()).await;
    assert_eq!((answer.status, answer.text("scope")), (200, demo::SCOPES), "{answer:?}");
    assert_opens(&server, answer.text("access_token"), true).await;
    let record = server.staging.store.client(&client.id).await.unwrap().unwrap();
    // Pages link to it, and so show its host; by https, as everywhere but here.
    assert_eq!(record.client.website.as_deref(), Some(client.id.as_str()));
    assert!(record.client.is_public() && !record.client.approved);
    assert!(record.client.pkce_required() && !record.client.partner.verified);
    // The other environment knows it by itself, and the two share nothing.
    let there =
        link(&server, &client).replace(&server.staging.base_url, &server.production.base_url);
    let page = server.browser().get(&there).await;
    page.assert_page(200, "An agent");
    let refused = Call::to(&server.production)
        .form(&[
            ("grant_type", "refresh_token"),
            ("client_id", &client.id),
            ("refresh_token", answer.text("refresh_token")),
        ])
        .send()
        .await;
    refused.assert_error(400, "invalid_grant", "");
    let refreshed = Call::to(&server.staging)
        .form(&[
            ("grant_type", "refresh_token"),
            ("client_id", &client.id),
            ("refresh_token", answer.text("refresh_token")),
        ])
        .send()
        .await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
}

#[tokio::test]
async fn s2_what_a_description_says_now_counts_and_what_it_said_does_not() {
    let (server, web) = (start().await, Web::start().await);
    let client = web.describe("client.json", |_| ());
    let browser = server.browser();
    let target = browser.allow(&link(&server, &client)).await;
    let answer = exchange(&server, &client, &query(&target, "code").unwrap()).await;
    assert_eq!(answer.status, 200);
    web.describe("client.json", |document| {
        document["redirect_uris"] = json!(["https://elsewhere.example/cb"]);
        document["client_name"] = json!("Another name");
    });
    server.clock.advance(3600);
    browser.get(&link(&server, &client)).await.assert_page(400, "We stopped before leaving");
    let moved = TestClient { redirect_uri: "https://elsewhere.example/cb".into(), ..client };
    let page = browser.get(&link(&server, &moved)).await;
    page.assert_page(200, "Another name");
    // Less to ask for: what it had ends.
    web.describe("client.json", |document| document["scope"] = json!("orders-api"));
    server.clock.advance(3600);
    browser.get(&link(&server, &moved)).await;
    let refused = Call::to(&server.staging)
        .form(&[
            ("grant_type", "refresh_token"),
            ("client_id", &moved.id),
            ("refresh_token", answer.text("refresh_token")),
        ])
        .send()
        .await;
    refused.assert_error(400, "invalid_grant", "");
    // Gone, it connects nobody new.
    web.remove("client.json");
    server.clock.advance(3600);
    let page = browser.get(&link(&server, &moved)).await;
    page.assert_page(400, "did not answer 200");
}

/// Where a description stands, how it differs from a good one, and what the page says of it.
type Change = (&'static str, fn(&mut Value), &'static str);

#[tokio::test]
async fn s22_a_description_that_lies_or_asks_for_too_much_is_refused_with_its_reason() {
    let (server, web) = (start().await, Web::start().await);
    let changes: [Change; 9] = [
        ("other-id", |it| it["client_id"] = json!("https://app.example/"), "client_id"),
        ("no-id", |it| it["client_id"] = Value::Null, "client_id"),
        (
            "secret",
            |it| it["token_endpoint_auth_method"] = json!("client_secret_basic"),
            "has no secret",
        ),
        ("scope", |it| it["scope"] = json!("admin"), "admin"),
        ("grants", |it| it["grant_types"] = json!(["client_credentials"]), "client_credentials"),
        ("script", |it| it["redirect_uris"] = json!(["javascript:alert(1)"]), ""),
        ("name", |it| it["client_name"] = json!("Bank\u{202e}knab"), ""),
        ("keys", |it| it["jwks_uri"] = json!("http://10.0.0.1/"), ""),
        ("array", |it| *it = json!([1]), "not an object"),
    ];
    for (path, change, words) in changes {
        let client = web.describe(path, change);
        let page = server.browser().get(&link(&server, &client)).await;
        page.assert_page(400, "This app cannot be known here");
        page.assert_page(400, words);
    }
    assert_eq!(server.number("SELECT COUNT(*) FROM clients WHERE registration = 'document'"), 0);
    // An address that is none of a document is an id like any other: unknown.
    for id in ["https://app.example", "http://app.example/a", "https://u@app.example/a"] {
        let client = TestClient { id: id.into(), ..server.demo_client() };
        let page = server.browser().get(&link(&server, &client)).await;
        page.assert_page(400, "This app is not known here");
    }
    // Neither page tells what is inside from what is nowhere.
    for id in ["https://10.0.0.1/app", "https://127.0.0.1:1/app"] {
        let client = TestClient { id: id.into(), ..server.demo_client() };
        let page = server.browser().get(&link(&server, &client)).await;
        page.assert_page(400, "Its host cannot be reached over the open internet.");
    }
    // Where the setting is off nobody asks anybody.
    let closed = Server::start().await;
    let client = web.describe("client.json", |_| ());
    let page = closed.browser().get(&link(&closed, &client)).await;
    page.assert_page(400, "This app is not known here");
}

/// The row is there, and its document too: what is off is off for whoever came before.
#[tokio::test]
async fn s24_where_the_setting_is_off_clients_that_came_by_it_are_strangers() {
    let closed = Server::start().await;
    let client = closed
        .client_with(HERE, |new| {
            new.id = "http://127.0.0.1:9/client.json".to_owned();
            new.secret = None;
            new.registration.by = RegisteredBy::Document;
        })
        .await;
    let client = TestClient { id: "http://127.0.0.1:9/client.json".to_owned(), ..client };
    assert!(closed.staging.store.client(&client.id).await.unwrap().is_some());
    let page = closed.browser().get(&link(&closed, &client)).await;
    page.assert_page(400, "This app is not known here");
    let issued = issue(&closed.staging, &client).await;
    let answer = exchange(&closed, &client, &issued.code).await;
    answer.assert_error(401, "invalid_client", "");
    assert_eq!(row(&closed, issued.grant_id).await.status, GrantStatus::Pending);
}

#[tokio::test]
async fn s24_a_client_that_was_switched_off_stays_off_whatever_its_description_says() {
    let (server, web) = (start().await, Web::start().await);
    let client = web.describe("client.json", |_| ());
    server.browser().get(&link(&server, &client)).await.assert_page(200, "An agent");
    server.staging.store.set_client_disabled(HERE, &client.id, true).await.unwrap();
    web.describe("client.json", |document| document["client_name"] = json!("Back again"));
    server.clock.advance(3600);
    let page = server.browser().get(&link(&server, &client)).await;
    page.assert_page(400, "This app is switched off");
}

fn assertion(server: &Server, client: &TestClient, (key, kid): (&Key, &str)) -> String {
    let now = server.clock.now();
    key.sign(&Proof {
        header: json!({ "alg": "ES256", "typ": "JWT", "kid": kid }),
        claims: json!({
            "iss": client.id,
            "sub": client.id,
            "aud": server.staging.base_url,
            "exp": now + 60,
            "iat": now,
            "jti": server.staging.random.hex::<16>(),
        }),
    })
}

fn set(keys: &[(&Key, &str)]) -> Value {
    let named = keys.iter().map(|(key, kid)| {
        let mut jwk = key.jwk.clone();
        jwk["kid"] = json!(kid);
        jwk
    });
    // Among them what others may publish: a kind that nobody knows, and a broken one.
    let strange = [json!({ "kty": "XYZ" }), json!({ "kty": "RSA", "n": "AA", "e": "AQAB" })];
    json!({ "keys": named.chain(strange).collect::<Vec<_>>() })
}

async fn s27_keys_that_a_client_publishes_are_fetched_and_a_new_one_counts_within_a_minute(
    server: Server,
) {
    let web = Web::start().await;
    let (old, new) = (Key::new(), Key::new());
    let uri = web.put("jwks", set(&[(&old, "1")]));
    let client = server
        .client_with(HERE, |client| {
            client.secret = None;
            client.keys = Some(ClientKeys::Uri(uri));
        })
        .await;
    let call = async |key: (&Key, &str)| {
        let issued = issue(&server.staging, &client).await;
        let assertion = assertion(&server, &client, key);
        let mut form = exchange_form(&client, &issued);
        form.push(("client_assertion", &assertion));
        form.push((
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ));
        Call::to(&server.staging).form(&form).send().await
    };
    let answer = call((&old, "1")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // A key that nobody published, under a name that is known and under one that is not.
    call((&new, "1")).await.assert_error(401, "invalid_client", "");
    call((&new, "2")).await.assert_error(401, "invalid_client", "");
    web.put("jwks", set(&[(&old, "1"), (&new, "2")]));
    server.clock.advance(60);
    let answer = call((&new, "2")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // Where its server is away, what was fetched before stays good for its time, also once somebody
    // has had it asked for anew, by an assertion that anybody can write.
    web.fail("jwks");
    server.clock.advance(60);
    call((&Key::new(), "3")).await.assert_error(401, "invalid_client", "");
    let answer = call((&old, "1")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    server.clock.advance(3600);
    let answer = call((&old, "1")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // And where it says that there are none, no longer.
    web.remove("jwks");
    server.clock.advance(60);
    call((&old, "1")).await.assert_error(401, "invalid_client", "");
}

on_both_engines! {
    s27_keys_that_a_client_publishes_are_fetched_and_a_new_one_counts_within_a_minute,
}

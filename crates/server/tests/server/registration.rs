//! Clients that register themselves (RFC 7591), and look after it (RFC 7592).

use grantor::site::{Registration, Settings};
use grantor::store::Act;
use grantor_protocol::scope::Scope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::calls::{Call, VERIFIER, act_of_test};
use crate::harness::{Server, encode, query};

const PATH: &str = "/oauth/register";
const CHALLENGE: &str = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
                         &code_challenge_method=S256";

fn settings(registration: Registration) -> Settings {
    let registration_scopes = Scope::parse("financial-api orders-api").unwrap();
    Settings { registration, registration_scopes, ..Settings::default() }
}

async fn open() -> Server {
    Server::start_with(settings(Registration::Open), true).await
}

async fn call(
    server: &Server,
    method: Method,
    path: &str,
    token: Option<&str>,
    document: Option<&Value>,
) -> (StatusCode, Value) {
    let mut request = reqwest::Client::new().request(method, server.url(path));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(document) = document {
        request = request.header("Content-Type", "application/json").body(document.to_string());
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

async fn register(server: &Server, document: &Value) -> Value {
    let (status, made) = call(server, Method::POST, PATH, None, Some(document)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[tokio::test]
async fn a_client_that_registered_itself_connects_a_customer_and_refreshes() {
    let server = open().await;
    for (method, has_secret) in
        [("none", false), ("client_secret_basic", true), ("client_secret_post", true)]
    {
        let made = register(
            &server,
            &json!({
                "client_name": "An Agent",
                "redirect_uris": ["http://127.0.0.1/callback"],
                "grant_types": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_method": method,
                "scope": "financial-api",
            }),
        )
        .await;
        assert_eq!(made.get("client_secret").is_some(), has_secret, "{made}");
        let id = text(&made, "client_id");
        let url = server.url(&format!(
            "/oauth/authorize?client_id={id}&response_type=code&redirect_uri={}{CHALLENGE}",
            encode("http://127.0.0.1:4000/callback")
        ));
        let page = server.browser().get(&url).await;
        page.assert_page(200, "An Agent");
        let target = server.browser().allow(&url).await;
        let code = query(&target, "code").unwrap();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", "http://127.0.0.1:4000/callback"),
            ("code_verifier", VERIFIER),
        ];
        let secret = made["client_secret"].as_str().unwrap_or_default();
        let basic = crate::harness::basic(id, secret);
        let send = async |mut form: Vec<(&str, &str)>| {
            let mut call = Call::to(&server.staging);
            if method == "client_secret_basic" {
                call = call.header("Authorization", basic.as_bytes());
            } else {
                form.push(("client_id", id));
            }
            if method == "client_secret_post" {
                form.push(("client_secret", secret));
            }
            call.form(&form).send().await
        };
        let tokens = send(std::mem::take(&mut form)).await;
        assert_eq!(tokens.status, 200, "{tokens:?}");
        assert_eq!(tokens.text("scope"), "financial-api");
        let refresh = tokens.text("refresh_token").to_owned();
        let next = send(vec![("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await;
        assert_eq!(next.status, 200, "{next:?}");
    }
}

#[tokio::test]
async fn s14_who_registers_no_method_may_send_the_secret_in_the_header_or_in_the_body() {
    let server = open().await;
    let uris = json!({ "redirect_uris": ["http://127.0.0.1/callback"] });
    let made = register(&server, &uris).await;
    assert_eq!(made["token_endpoint_auth_method"], "client_secret_basic");
    let (id, secret) = (text(&made, "client_id"), text(&made, "client_secret"));
    let basic = crate::harness::basic(id, secret);
    let header = Call::at(&server.staging, "/oauth/introspect")
        .header("Authorization", basic.as_bytes())
        .form(&[("token", "x")]);
    assert_eq!(header.send().await.status, 200);
    let named = [("token", "x"), ("client_id", id), ("client_secret", secret)];
    let body = Call::at(&server.staging, "/oauth/introspect").form(&named);
    assert_eq!(body.send().await.status, 200);
    let wrong = [("token", "x"), ("client_id", id), ("client_secret", "wrong")];
    let refused = Call::at(&server.staging, "/oauth/introspect").form(&wrong).send().await;
    assert_eq!(refused.status, 401, "{refused:?}");
}

#[tokio::test]
async fn s24_nobody_chooses_an_id_or_a_right_by_registering() {
    let server = open().await;
    let made = register(
        &server,
        &json!({
            "redirect_uris": ["https://app.example/cb"], "client_id": "mine", "approved": true,
            "client_secret": "mine", "registration_access_token": "mine", "demo": true,
            "client_name": "<b>App</b>"
        }),
    )
    .await;
    let id = text(&made, "client_id");
    assert_ne!(id, "mine");
    assert_ne!(text(&made, "client_secret"), "mine");
    let record = server.staging.store.client(id).await.unwrap().unwrap();
    assert!(!record.client.approved && !record.client.demo && record.client.settings.pkce_required);
    assert!(!record.client.partner.verified);
    let (status, refused) = call(
        &server,
        Method::POST,
        PATH,
        None,
        Some(&json!({ "redirect_uris": ["https://app.example/cb"], "scope": "admin" })),
    )
    .await;
    assert_eq!((status.as_u16(), text(&refused, "error")), (400, "invalid_client_metadata"));
    for (name, value) in [("jwks_uri", json!("https://app.example:8443/jwks"))] {
        let document = json!({
            "redirect_uris": ["https://app.example/cb"], name: value,
            "token_endpoint_auth_method": if name == "jwks_uri" { "private_key_jwt" } else { "none" },
        });
        let (status, refused) = call(&server, Method::POST, PATH, None, Some(&document)).await;
        assert_eq!((status.as_u16(), text(&refused, "error")), (400, "invalid_client_metadata"));
        let words = text(&refused, "error_description");
        assert!(words.contains(name), "{words}");
    }
    for grant_type in ["client_credentials", "urn:ietf:params:oauth:grant-type:device_code"] {
        let document = json!({ "grant_types": [grant_type], "response_types": [] });
        let (status, refused) = call(&server, Method::POST, PATH, None, Some(&document)).await;
        assert_eq!((status.as_u16(), text(&refused, "error")), (400, "invalid_client_metadata"));
    }
}

#[tokio::test]
async fn s27_a_key_that_anybody_can_sign_for_registers_nobody() {
    let server = open().await;
    // The neutral point of Ed25519, and a point of order 8.
    for x in [
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
    ] {
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        let document = json!({
            "redirect_uris": ["https://app.example/cb"],
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": { "keys": [key] },
        });
        let (status, refused) = call(&server, Method::POST, PATH, None, Some(&document)).await;
        assert_eq!((status.as_u16(), text(&refused, "error")), (400, "invalid_client_metadata"));
        let words = text(&refused, "error_description");
        assert!(words.contains("small order"), "{words}");
    }
    assert_eq!(server.number("SELECT COUNT(*) FROM clients WHERE registration = 'itself'"), 0);
}

#[tokio::test]
async fn a_registration_is_read_changed_and_ended_with_its_own_token_alone() {
    let server = open().await;
    let document = json!({
        "redirect_uris": ["https://app.example/cb"], "client_name": "One",
        "token_endpoint_auth_method": "none", "contacts": ["dev@app.example"],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let one = register(&server, &document).await;
    let two = register(&server, &document).await;
    let (id, token) = (text(&one, "client_id"), text(&one, "registration_access_token"));
    let other_token = text(&two, "registration_access_token");
    let path = format!("{PATH}/{id}");
    assert_eq!(text(&one, "registration_client_uri"), server.url(&path));

    let (status, read) = call(&server, Method::GET, &path, Some(token), None).await;
    assert_eq!(status, StatusCode::OK, "{read}");
    for name in ["client_id", "client_name", "redirect_uris", "contacts", "grant_types"] {
        assert_eq!(read[name], one[name], "{name}");
    }
    assert!(read.get("client_secret").is_none());

    let mut changed = document.clone();
    changed["client_name"] = json!("Another");
    for token in [None, Some(other_token), Some("wrong"), Some("")] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let (status, refused) = call(&server, method, &path, token, Some(&changed)).await;
            assert_eq!((status.as_u16(), text(&refused, "error")), (401, "invalid_token"));
        }
    }
    let (status, refused) = call(&server, Method::PUT, &path, Some(token), Some(&changed)).await;
    assert_eq!((status.as_u16(), text(&refused, "error")), (400, "invalid_client_metadata"));
    changed["client_id"] = json!(id);
    let (status, put) = call(&server, Method::PUT, &path, Some(token), Some(&changed)).await;
    assert_eq!((status.as_u16(), text(&put, "client_name")), (200, "Another"), "{put}");
    changed["token_endpoint_auth_method"] = json!("client_secret_basic");
    let (status, _) = call(&server, Method::PUT, &path, Some(token), Some(&changed)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    changed["token_endpoint_auth_method"] = json!("none");
    changed["client_secret"] = json!("of its own");
    let (status, _) = call(&server, Method::PUT, &path, Some(token), Some(&changed)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "it has none");

    let (status, _) = call(&server, Method::DELETE, &path, Some(token), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = call(&server, Method::GET, &path, Some(token), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let url = server.url(&format!(
        "/oauth/authorize?client_id={id}&response_type=code&redirect_uri={}{CHALLENGE}",
        encode("https://app.example/cb")
    ));
    assert_eq!(server.browser().get(&url).await.status, 400);
}

/// RFC 7592 2.2.
#[tokio::test]
async fn an_update_names_the_secret_that_there_is_or_none_and_nothing_that_is_the_servers() {
    let server = open().await;
    let document = json!({
        "redirect_uris": ["https://app.example/cb"], "client_name": "One",
        "token_endpoint_auth_method": "client_secret_basic",
    });
    let made = register(&server, &document).await;
    let (id, token) = (text(&made, "client_id"), text(&made, "registration_access_token"));
    let path = format!("{PATH}/{id}");
    let put = async |name: &str, value: Value| {
        let mut changed = document.clone();
        changed["client_id"] = json!(id);
        changed["client_name"] = json!("Another");
        changed[name] = value;
        call(&server, Method::PUT, &path, Some(token), Some(&changed)).await
    };
    for (name, value) in [
        ("client_secret", json!("wrong")),
        ("client_secret", json!("")),
        ("client_secret", json!(7)),
        ("registration_access_token", json!(token)),
        ("registration_client_uri", made["registration_client_uri"].clone()),
        ("client_secret_expires_at", json!(0)),
        ("client_id_issued_at", made["client_id_issued_at"].clone()),
    ] {
        let (status, refused) = put(name, value).await;
        assert_eq!((status.as_u16(), text(&refused, "error")), (400, "invalid_client_metadata"));
        assert!(text(&refused, "error_description").contains(name), "{refused}");
        let (_, read) = call(&server, Method::GET, &path, Some(token), None).await;
        assert_eq!(text(&read, "client_name"), "One", "{name}");
    }
    let (status, put) = put("client_secret", made["client_secret"].clone()).await;
    assert_eq!((status.as_u16(), text(&put, "client_name")), (200, "Another"), "{put}");
}

/// RFC 7591 3.2.1: what is registered may be less than what was asked for, and stands in the answer.
#[tokio::test]
async fn who_asks_for_what_discovery_names_gets_of_it_what_there_is_to_register() {
    let server = open().await;
    let path = "/.well-known/openid-configuration";
    let (_, metadata) = call(&server, Method::GET, path, None, None).await;
    let all: Vec<&str> =
        metadata["scopes_supported"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let asked = format!("{} financial-api orders-api", all.join(" "));
    let mut document = json!({
        "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none",
        "scope": asked,
    });
    let made = register(&server, &document).await;
    assert_eq!(text(&made, "scope"), "financial-api orders-api");
    let (id, token) = (text(&made, "client_id"), text(&made, "registration_access_token"));
    let record = server.staging.store.client(id).await.unwrap().unwrap();
    assert_eq!(record.client.scopes.to_string(), "financial-api orders-api");
    document["client_id"] = json!(id);
    document["scope"] = json!("openid orders-api");
    let path = format!("{PATH}/{id}");
    let (status, put) = call(&server, Method::PUT, &path, Some(token), Some(&document)).await;
    assert_eq!((status.as_u16(), text(&put, "scope")), (200, "orders-api"), "{put}");
    document["scope"] = json!("openid admin");
    let (status, refused) = call(&server, Method::PUT, &path, Some(token), Some(&document)).await;
    assert_eq!((status.as_u16(), text(&refused, "error")), (400, "invalid_client_metadata"));
}

#[tokio::test]
async fn a_closed_environment_registers_nobody_and_names_no_endpoint() {
    let server = Server::start().await;
    let document = json!({ "redirect_uris": ["https://app.example/cb"] });
    let (status, refused) = call(&server, Method::POST, PATH, None, Some(&document)).await;
    assert_eq!((status.as_u16(), text(&refused, "error")), (403, "access_denied"));
    let path = "/.well-known/oauth-authorization-server";
    let (_, metadata) = call(&server, Method::GET, path, None, None).await;
    assert!(metadata.get("registration_endpoint").is_none());
    let (_, metadata) = call(&open().await, Method::GET, path, None, None).await;
    assert!(text(&metadata, "registration_endpoint").ends_with(PATH));
}

async fn an_initial_access_token_admits_as_many_as_it_says(server: Server) {
    use aws_lc_rs::digest::{SHA256, digest};
    let site = &server.staging;
    let now = site.clock.now();
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, b"the token").as_ref());
    let token = grantor::store::InitialAccessToken {
        environment: site.environment,
        id: [1; 16],
        digest: bytes,
        note: String::new(),
        uses: 2,
        expires_at: now + 100,
    };
    let act = Act { at: now, ..act_of_test("registration.admitted") };
    assert!(site.store.add_initial_access_token(&token, &act).await.unwrap());
    let admits = async |digest, now| {
        site.store.use_initial_access_token(site.environment, digest, now).await.unwrap()
    };
    assert!(!admits([0; 32], now).await);
    assert!(!admits(bytes, now + 100).await);
    assert!(admits(bytes, now).await && admits(bytes, now + 99).await);
    assert!(!admits(bytes, now).await);
    assert!(
        !site.store.use_initial_access_token(site.environment.other(), bytes, now).await.unwrap()
    );
}

#[tokio::test]
async fn who_has_no_initial_access_token_registers_nothing_where_one_is_needed() {
    let server = Server::start_with(settings(Registration::Token), true).await;
    let document = json!({ "redirect_uris": ["https://app.example/cb"] });
    // Nothing is said of the document either, nor is anything written.
    for document in [document, json!({ "redirect_uris": ["javascript:alert(1)"] }), json!([])] {
        for token in [None, Some("wrong")] {
            let (status, refused) = call(&server, Method::POST, PATH, token, Some(&document)).await;
            assert_eq!((status.as_u16(), text(&refused, "error")), (401, "invalid_token"));
        }
    }
    assert_eq!(server.number("SELECT COUNT(*) FROM partners WHERE name LIKE 'Self-reg%'"), 0);
    assert_eq!(server.number("SELECT COUNT(*) FROM clients WHERE registration = 'itself'"), 0);
}

#[tokio::test]
async fn s22_a_body_that_is_no_json_document_is_a_clear_error() {
    let server = open().await;
    for (content_type, body, status) in [
        ("application/x-www-form-urlencoded", "client_name=x".to_owned(), 415),
        ("application/json", "{".to_owned(), 400),
        ("application/json", "[]".to_owned(), 400),
        ("application/json", format!("{{\"x\":\"{}\"}}", "x".repeat(70_000)), 400),
        ("application/json", r#"{"redirect_uris":["javascript:alert(1)"]}"#.to_owned(), 400),
    ] {
        let answer = reqwest::Client::new()
            .post(server.url(PATH))
            .header("Content-Type", content_type)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status);
        let said: Value = answer.json().await.unwrap();
        assert!(text(&said, "error_description").len() > 10);
    }
    assert_eq!(server.number("SELECT COUNT(*) FROM clients WHERE registration = 'itself'"), 0);
}

on_both_engines! {
    an_initial_access_token_admits_as_many_as_it_says,
}

//! Discovery (RFC 8414), and what scripts of other origins may call (S7).

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::harness::Server;

const METADATA: &str = "/.well-known/oauth-authorization-server";

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

async fn call(server: &Server, method: Method, path: &str) -> Answered {
    let answer = reqwest::Client::new()
        .request(method, server.url(path))
        .header("Origin", "https://app.example.com")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization, dpop")
        .send()
        .await
        .unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    Answered { status, headers, text: answer.text().await.unwrap() }
}

fn is_open(headers: &HeaderMap) -> bool {
    // A cookie never counts, so `*` harms nobody.
    assert!(!headers.contains_key("access-control-allow-credentials"));
    let found = headers.get("access-control-allow-origin");
    assert!(found.is_none_or(|origin| origin == "*"), "{found:?}");
    found.is_some()
}

async fn metadata(server: &Server) -> Value {
    let answer = call(server, Method::GET, METADATA).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/json");
    serde_json::from_str(&answer.text).unwrap()
}

fn words<'a>(metadata: &'a Value, name: &str) -> Vec<&'a str> {
    let list = metadata[name].as_array().unwrap_or_else(|| panic!("no {name}"));
    assert!(!list.is_empty(), "{name}");
    list.iter().map(|word| word.as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_endpoint_that_the_metadata_names_is_there_and_below_the_issuer() {
    let server = Server::start().await;
    let metadata = metadata(&server).await;
    let issuer = metadata["issuer"].as_str().unwrap();
    assert_eq!(issuer, server.staging.base_url);
    let mut seen = 0;
    for (name, value) in metadata.as_object().unwrap() {
        let is_address = name.ends_with("_endpoint") || name.ends_with("_uri");
        if !is_address && name != "service_documentation" {
            continue;
        }
        let url = value.as_str().unwrap();
        let path = url.strip_prefix(issuer).unwrap_or_else(|| panic!("{name}: {url}"));
        let answer = call(&server, Method::GET, path).await;
        assert_ne!(answer.status, StatusCode::NOT_FOUND, "{name}");
        seen += 1;
    }
    assert!(seen >= 5, "only {seen}");
}

#[tokio::test]
async fn every_grant_type_that_the_metadata_names_is_taken_and_no_other() {
    let server = Server::start().await;
    let client = server.client().await;
    let metadata = metadata(&server).await;
    let named = words(&metadata, "grant_types_supported");
    for grant_type in [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:openid:params:grant-type:ciba",
    ] {
        let answer = reqwest::Client::new()
            .post(server.url("/oauth/token"))
            .basic_auth(&client.id, Some(&client.secret))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("grant_type={grant_type}"))
            .send()
            .await
            .unwrap();
        let body: Value = answer.json().await.unwrap();
        let unsupported = body["error"] == "unsupported_grant_type";
        assert_eq!(unsupported, !named.contains(&grant_type), "{grant_type}: {body}");
    }
}

#[tokio::test]
async fn the_metadata_promises_what_the_server_keeps() {
    let server = Server::start().await;
    let metadata = metadata(&server).await;
    assert_eq!(words(&metadata, "response_types_supported"), ["code"]);
    assert_eq!(words(&metadata, "code_challenge_methods_supported"), ["S256"]);
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    let token = words(&metadata, "token_endpoint_auth_methods_supported");
    assert!(token.contains(&"client_secret_basic") && token.contains(&"none"), "{token:?}");
    // RFC 7662 2.1: a client that proves nothing may not ask.
    let introspection = words(&metadata, "introspection_endpoint_auth_methods_supported");
    assert!(!introspection.contains(&"none"));
    let production = reqwest::get(format!("{}{METADATA}", server.production.base_url)).await;
    let production: Value = production.unwrap().json().await.unwrap();
    assert_eq!(production["issuer"], server.production.base_url);
}

/// RFC 8414 2: where `private_key_jwt` is named, the algorithms have to be; Authlib takes no metadata
/// without them.
#[tokio::test]
async fn s27_wherever_assertions_are_taken_the_metadata_names_their_algorithms() {
    let server = Server::start().await;
    let metadata = metadata(&server).await;
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = words(&metadata, &format!("{endpoint}_endpoint_auth_methods_supported"));
        assert!(methods.contains(&"private_key_jwt"), "{endpoint}");
        let name = format!("{endpoint}_endpoint_auth_signing_alg_values_supported");
        let algorithms = words(&metadata, &name);
        assert!(algorithms.contains(&"ES256") && !algorithms.contains(&"none"), "{algorithms:?}");
    }
}

#[tokio::test]
async fn who_knows_the_api_alone_finds_the_server_that_gives_tokens_for_it() {
    let server = Server::start().await;
    let refused = call(&server, Method::GET, "/f/data/businesses").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let challenge = refused.headers["www-authenticate"].to_str().unwrap();
    let url = challenge.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap();
    let path = url.strip_prefix(&server.staging.base_url).unwrap();
    let found = call(&server, Method::GET, path).await;
    assert_eq!(found.status, StatusCode::OK);
    assert!(is_open(&found.headers));
    let found: Value = serde_json::from_str(&found.text).unwrap();
    // RFC 9728 3.3: the identifier is the one that the address was made from.
    assert_eq!(found["resource"], server.staging.base_url);
    assert_eq!(words(&found, "authorization_servers"), [server.staging.base_url.as_str()]);
    assert_eq!(words(&found, "scopes_supported"), ["financial-api", "orders-api"]);
    // Outside dev there is no such API here.
    let real = Server::start_with(grantor::site::Settings::default(), false).await;
    assert_eq!(call(&real, Method::GET, path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn s7_scripts_may_call_what_needs_no_cookie_and_authorize_never() {
    let server = Server::start().await;
    for path in ["/oauth/token", "/oauth/revoke", METADATA] {
        for method in [Method::GET, Method::POST] {
            let answer = call(&server, method, path).await;
            assert!(is_open(&answer.headers), "{path}");
        }
        let asked = call(&server, Method::OPTIONS, path).await;
        assert_eq!(asked.status, StatusCode::NO_CONTENT, "{path}");
        assert!(is_open(&asked.headers), "{path}");
        let allowed = asked.headers["access-control-allow-headers"].to_str().unwrap();
        assert!(allowed.contains("authorization") && allowed.contains("dpop"), "{allowed}");
    }
    for path in ["/", "/oauth/authorize", "/oauth/introspect", "/docs/", "/nowhere"] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let answer = call(&server, method, path).await;
            assert!(!is_open(&answer.headers), "{path}");
        }
    }
}

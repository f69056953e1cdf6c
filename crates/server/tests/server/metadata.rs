//! Discovery (RFC 8414), and what scripts of other origins may call (S7).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::demo;
use grantor::store::NewClient;
use grantor_protocol::client::{ClientKeys, IdTokenAlgorithm, SecretMethods};
use grantor_protocol::environment::Environment;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::any_algorithm::AnyKey;
use crate::calls::{Call, exchange_form, issue};
use crate::harness::{Server, TestClient};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const INTROSPECT: &str = "/oauth/introspect";
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

/// A client that signs, with that key.
async fn signing(server: &Server, key: &AnyKey) -> TestClient {
    let set = json!({ "keys": [key.jwk] }).to_string();
    server
        .client_with(Environment::Staging, |client| {
            client.secret = None;
            client.keys = Some(ClientKeys::Set(set));
        })
        .await
}

fn assertion(server: &Server, client: &TestClient, key: &AnyKey) -> String {
    let claims = json!({
        "iss": client.id,
        "sub": client.id,
        "aud": server.staging.base_url,
        "exp": server.clock.now() + 60,
        "jti": server.staging.random.hex::<16>(),
    });
    key.sign(json!({ "typ": "JWT" }), &claims)
}

/// Whether an endpoint takes a client that proves itself by that method: what it then says of a token
/// that is none does not matter.
async fn is_taken(server: &Server, path: &str, method: &str, algorithm: &str) -> bool {
    let public =
        async || server.client_with(Environment::Staging, |client| client.secret = None).await;
    let mut call = Call::at(&server.staging, path);
    let mut form = vec![("token", "none"), ("refresh_token", "none")];
    form.push(("grant_type", "refresh_token"));
    let (client, signed);
    match method {
        "client_secret_basic" => call = call.basic(&server.client().await),
        "client_secret_post" => {
            let posts = |client: &mut NewClient| {
                client.settings.secret_methods = SecretMethods::Post;
            };
            client = server.client_with(Environment::Staging, posts).await;
            form.extend([("client_id", &*client.id), ("client_secret", &*client.secret)]);
        }
        "private_key_jwt" => {
            let key = AnyKey::new(algorithm);
            client = signing(server, &key).await;
            signed = assertion(server, &client, &key);
            form.extend([("client_assertion_type", ASSERTION), ("client_assertion", &*signed)]);
        }
        "none" => {
            client = public().await;
            form.push(("client_id", &*client.id));
        }
        other => panic!("no test knows {other}"),
    }
    let answer = call.form(&form).send().await;
    let expected = if path == "/oauth/token" { 400 } else { 200 };
    assert!([expected, 401].contains(&answer.status), "{path} {method}: {answer:?}");
    if answer.status == 400 {
        answer.assert_error(400, "invalid_grant", "");
    }
    answer.status == expected
}

#[tokio::test]
async fn every_way_to_prove_a_client_that_the_metadata_names_is_taken_there_and_no_other() {
    let server = Server::start().await;
    let metadata = metadata(&server).await;
    for (name, path) in
        [("token", "/oauth/token"), ("revocation", "/oauth/revoke"), ("introspection", INTROSPECT)]
    {
        let methods = words(&metadata, &format!("{name}_endpoint_auth_methods_supported"));
        for method in ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"] {
            let taken = is_taken(&server, path, method, "ES256").await;
            assert_eq!(taken, methods.contains(&method), "{name} {method}");
        }
        assert!(methods.len() <= 4, "{methods:?}");
        let algorithms = format!("{name}_endpoint_auth_signing_alg_values_supported");
        for algorithm in words(&metadata, &algorithms) {
            let taken = is_taken(&server, path, "private_key_jwt", algorithm).await;
            assert!(taken, "{name} {algorithm}");
        }
    }
}

#[tokio::test]
async fn every_algorithm_of_a_proof_and_of_an_id_token_that_the_metadata_names_is_used() {
    let server = Server::start().await;
    let metadata = metadata(&server).await;
    let client = server.client().await;
    for algorithm in words(&metadata, "dpop_signing_alg_values_supported") {
        let key = AnyKey::new(algorithm);
        let claims = json!({
            "htm": "POST",
            "htu": server.url("/oauth/token"),
            "iat": server.clock.now(),
            "jti": server.staging.random.hex::<16>(),
        });
        let proof = key.sign(json!({ "typ": "dpop+jwt", "jwk": key.jwk }), &claims);
        let issued = issue(&server.staging, &client).await;
        let call = Call::to(&server.staging).basic(&client).header("DPoP", proof.as_bytes());
        let answer = call.form(&exchange_form(&client, &issued)).send().await;
        assert_eq!((answer.status, answer.text("token_type")), (200, "DPoP"), "{algorithm}");
    }
    let named = words(&metadata, "id_token_signing_alg_values_supported");
    assert_eq!(named.len(), IdTokenAlgorithm::ALL.len());
    for algorithm in IdTokenAlgorithm::ALL {
        let asks = |client: &mut NewClient| {
            client.scopes = demo::client_scopes();
            client.settings.id_token_algorithm = algorithm;
        };
        let client = server.client_with(Environment::Staging, asks).await;
        let code = server.code(&client, "&scope=openid").await;
        let answer = server.exchange(&client, &code).await;
        let header = answer.text("id_token").split('.').next().unwrap().to_owned();
        let header = URL_SAFE_NO_PAD.decode(header).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(header["alg"], algorithm.as_str());
        assert!(named.contains(&algorithm.as_str()));
    }
}

#[tokio::test]
async fn every_response_mode_and_every_prompt_that_the_metadata_names_is_used_and_no_other() {
    let server = Server::start().await;
    let metadata = metadata(&server).await;
    let client = server.client().await;
    let browser = server.browser();
    browser.allow(&server.authorize_url(&client, "")).await;
    let ask = async |more: &str| browser.get(&server.authorize_url(&client, more)).await;
    let modes = words(&metadata, "response_modes_supported");
    for mode in ["query", "form_post", "fragment", "jwt"] {
        let page = ask(&format!("&response_mode={mode}")).await;
        match mode {
            "query" => drop(page.assert_code(&client.redirect_uri)),
            "form_post" => {
                page.assert_page(200, "name=\"code\"");
                assert_eq!(page.form_action(), client.redirect_uri);
            }
            _ => page.assert_refused(&client.redirect_uri, "invalid_request", "response_mode"),
        }
        assert_eq!(modes.contains(&mode), ["query", "form_post"].contains(&mode), "{mode}");
    }
    let prompts = words(&metadata, "prompt_values_supported");
    for (prompt, step) in [
        ("none", None),
        ("login", Some("sign_in")),
        ("select_account", Some("sign_in")),
        ("consent", Some("businesses")),
    ] {
        let page = ask(&format!("&prompt={prompt}")).await;
        assert_eq!(page.step().as_deref(), step, "{prompt}");
        assert!(prompts.contains(&prompt), "{prompt}");
    }
    assert_eq!(prompts.len(), 4, "one that no test uses: {prompts:?}");
    let other = ask("&prompt=create").await;
    other.assert_refused(&client.redirect_uri, "invalid_request", "prompt");
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
    for path in [
        "/oauth/token",
        "/oauth/revoke",
        "/oauth/jwks",
        "/oauth/userinfo",
        "/oauth/register",
        "/oauth/register/some-client",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-protected-resource",
        METADATA,
    ] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            let answer = call(&server, method, path).await;
            assert!(is_open(&answer.headers), "{path}");
        }
        let asked = call(&server, Method::OPTIONS, path).await;
        assert_eq!(asked.status, StatusCode::NO_CONTENT, "{path}");
        assert!(is_open(&asked.headers), "{path}");
        let allowed = asked.headers["access-control-allow-headers"].to_str().unwrap();
        assert!(allowed.contains("authorization") && allowed.contains("dpop"), "{allowed}");
        // RFC 7592 2: a client without a server of its own manages its registration too.
        assert_eq!(asked.headers["access-control-allow-methods"], "GET, POST, PUT, DELETE");
    }
    for path in [
        "/",
        "/oauth/authorize",
        "/oauth/par",
        "/oauth/device_authorization",
        "/oauth/introspect",
        "/guard/check",
        "/oauth/logout",
        "/device",
        "/docs/",
        "/nowhere",
    ] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let answer = call(&server, method, path).await;
            assert!(!is_open(&answer.headers), "{path}");
        }
    }
}

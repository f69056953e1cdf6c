//! The JSON API of the portal: who is let in, what a call has to be, and that its document says so.

use grantor::http::portal_routes;
use grantor::store::{COMPANY_ID, Role};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Server};
use crate::people::PARTNER_ID;

const APPS: &str = "/api/v1/apps?environment=staging";

async fn send(
    server: &Server,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let url = format!("{}{path}", server.portal.base_url);
    let request = reqwest::Client::new().request(method, url);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Answer::read(request.body(body.to_owned()).send().await.unwrap()).await
}

fn challenge(answer: &Answer) -> &str {
    answer.headers.get("www-authenticate").map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn who_is_let_in_is_said_as_rfc_6750_says() {
    let server = Server::start().await;
    let known = format!("{}/.well-known/oauth-protected-resource", server.portal.base_url);
    let nobody = server.call("", "GET", APPS, None).await;
    assert_eq!((nobody.status, nobody.text("error")), (401, "token_required"));
    let expected = format!("Bearer realm=\"grantor portal\", resource_metadata=\"{known}\"");
    assert_eq!(challenge(&nobody), expected);

    let staging =
        server.token(&server.demo_client(), &[("grant_type", "client_credentials")]).await;
    assert_eq!(staging.status, 200);
    let token = server.api_token(PARTNER_ID).await;
    let tampered = format!("{}AA", &token[..token.len() - 2]);
    for wrong in ["nonsense", "gr_client_x", &tampered, staging.text("access_token")] {
        let refused = server.call(wrong, "GET", APPS, None).await;
        assert_eq!((refused.status, refused.text("error")), (401, "invalid_token"), "{wrong}");
        assert!(challenge(&refused).contains("error=\"invalid_token\""), "{refused:?}");
    }
    let header = format!("Bearer {token}");
    let two = [("authorization", header.as_str()), ("authorization", "Bearer x")];
    let refused = send(&server, Method::GET, APPS, &two, "").await;
    assert_eq!((refused.status, refused.text("error")), (400, "invalid_request"));
    // In the query a token is none: it would stand in logs.
    let path = format!("{APPS}&access_token={token}");
    assert_eq!(server.call("", "GET", &path, None).await.status, 401);

    let refused = server.call(&token, "POST", "/api/v1/apps/x/suspend", None).await;
    assert_eq!((refused.status, refused.text("error")), (403, "insufficient_scope"));
    assert!(challenge(&refused).contains("scope=\"apps:suspend\""), "{refused:?}");

    server.clock.advance(3600);
    assert_eq!(server.call(&token, "GET", APPS, None).await.status, 401);
}

#[tokio::test]
async fn a_browser_that_is_signed_in_is_nobody_to_the_api() {
    let server = Server::start().await;
    let owner = server.signed_in("owner@example.com", Role::Owner { partner_id: PARTNER_ID }).await;
    let page = owner.get(&format!("{}{APPS}", server.portal.base_url)).await;
    assert_eq!(page.status.as_u16(), 401, "{}", page.text);
    assert_eq!(page.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn the_token_comes_before_the_body_and_the_body_is_json_of_a_known_shape() {
    let server = Server::start().await;
    let token = server.api_token(PARTNER_ID).await;
    let header = format!("Bearer {token}");
    let (json_type, form_type) = ("application/json", "application/x-www-form-urlencoded");
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(70_000));
    let clients = server.count("clients");
    for (by, media, body, status, error) in [
        ("Bearer x", json_type, large.as_str(), 401, "invalid_token"),
        ("Bearer x", "text/plain", "", 401, "invalid_token"),
        (header.as_str(), json_type, large.as_str(), 413, "too_large"),
        (&header, form_type, "name=x", 415, "content_type"),
        (&header, "text/json", "{}", 415, "content_type"),
        (&header, json_type, "", 400, "json"),
        (&header, json_type, "{", 400, "json"),
        (&header, json_type, "[]", 400, "json"),
        (&header, json_type, "{}", 400, "json"),
        (&header, json_type, "{\"name\": \"a\", \"name\": \"b\"}", 400, "json"),
        (&header, json_type, "{\"name\": 1, \"redirect_uris\": [], \"scopes\": []}", 400, "json"),
        (
            &header,
            json_type,
            "{\"name\": \"\u{202e}x\", \"redirect_uris\": [], \"scopes\": [\"x y\"]}",
            422,
            "fields",
        ),
    ] {
        let headers = [("authorization", by), ("content-type", media)];
        let refused = send(&server, Method::POST, "/api/v1/apps", &headers, body).await;
        let shown = body.get(..60).unwrap_or(body);
        assert_eq!((refused.status, refused.text("error")), (status, error), "{media} {shown}");
        assert!(refused.text("message").len() > 20 && refused.text("request_id").len() == 16);
    }
    assert_eq!(server.count("clients"), clients);
}

#[tokio::test]
async fn a_query_holds_what_is_known_and_what_is_not_there_is_json_too() {
    let server = Server::start().await;
    let token = server.api_token(PARTNER_ID).await;
    for path in [
        "/api/v1/apps",
        "/api/v1/apps?environment=portal",
        "/api/v1/apps?environment=staging&environment=staging",
        "/api/v1/apps?environment=staging&partner_id=x",
        "/api/v1/apps?environment=staging&limit=0",
        "/api/v1/apps?environment=staging&limit=101",
        "/api/v1/apps?environment=staging&limit=",
        "/api/v1/audit/export?after=-1",
    ] {
        let refused = server.call(&token, "GET", path, None).await;
        assert_eq!((refused.status, refused.text("error")), (400, "parameter"), "{path}");
    }
    for (method, path, status) in [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/apps/%ff", 404),
        ("GET", "/api/v1/partners/x", 404),
        ("PUT", "/api/v1/apps", 405),
    ] {
        let refused = server.call(&token, method, path, None).await;
        assert_eq!(refused.status, status, "{method} {path}: {refused:?}");
        assert!(refused.text("message").len() > 20, "{refused:?}");
        let allow = refused.headers.get("allow").map(|allow| allow.to_str().unwrap());
        assert_eq!(allow, (status == 405).then_some("GET,HEAD,POST"));
    }
}

#[tokio::test]
async fn the_document_has_every_operation_and_each_demands_the_scope_that_it_says() {
    let server = Server::start().await;
    let document = server.call("", "GET", "/openapi.json", None).await.body;
    assert_eq!(
        document["openapi"].as_str().unwrap().split('.').take(2).collect::<Vec<_>>(),
        ["3", "1"]
    );
    let flow = &document["components"]["securitySchemes"]["portal"]["flows"]["clientCredentials"];
    assert_eq!(flow["tokenUrl"], json!(format!("{}/oauth/token", server.portal.base_url)));
    let mut described = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            described.push((path.clone(), method.clone()));
            let security = operation["security"].as_array().unwrap();
            let Some(scope) = security.first().map(|demand| &demand["portal"][0]) else {
                assert_eq!(path, "/openapi.json", "whatever is open is meant to be");
                continue;
            };
            refuses_without(&server, (&method, path), scope).await;
        }
    }
    let routes = portal_routes(&server.portal)
        .into_iter()
        .filter(|route| route.path.starts_with("/api/") || route.path == "/openapi.json");
    let routes: Vec<_> = routes.map(|route| (route.path, route.method)).collect();
    described.sort();
    assert_eq!(described, routes);
}

async fn refuses_without(server: &Server, (method, path): (&str, &str), scope: &Value) {
    let scope = scope.as_str().unwrap();
    let client = server.api_client(COMPANY_ID, &[scope]).await;
    let answer = server.portal_token(&client, &[("grant_type", "client_credentials")]).await;
    let named = path
        .replace("{id}", "x")
        .replace("{slot}", "1")
        .replace("{environment}", "staging")
        .replace("{delivery}", "x")
        .replace("{request_id}", "x");
    let refused = server.call(answer.text("access_token"), method, &named, None).await;
    assert_eq!((refused.status, refused.text("error")), (403, "insufficient_scope"), "{path}");
    assert!(challenge(&refused).contains(&format!("scope=\"{scope}\"")), "{refused:?}");
}

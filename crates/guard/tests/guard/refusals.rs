//! How a call is refused (RFC 6750 3, RFC 9728 5.1).

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use axum::routing::get;
use grantor_guard::{Allowed, Guard, OwnApi};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::issuer::{Answer, Api, FinancialApi, Issuer, NOW, RESOURCE};

fn saying(scope: &str) -> Value {
    json!({
        "active": true, "token_type": "bearer", "sub": "customer-1", "client_id": "client-1",
        "scope": scope, "exp": NOW + 3600, "aud": RESOURCE,
    })
}

async fn api(scope: &str) -> (Issuer, Api, String) {
    let issuer = Issuer::start().await;
    issuer.answer(200, saying(scope));
    let api = Api::trusting(&issuer, |plan| plan.asking("finance-backend", "secret"));
    let metadata = format!(
        "resource_metadata=\"{}/.well-known/oauth-protected-resource/finance.example.com/v1\"",
        issuer.url()
    );
    (issuer, api, metadata)
}

#[tokio::test]
async fn who_sends_no_token_is_told_where_tokens_come_from_and_no_error_code() {
    let (issuer, api, metadata) = api("financial-api").await;
    for headers in [
        vec![],
        vec![("authorization", "Basic YTpi")],
        vec![("authorization", "Bearer")],
        vec![("authorization", "Bearer ")],
        vec![("authorization", "t")],
    ] {
        let answer = api.call("/v1/takings", &headers).await;
        assert_eq!(answer.status, 401, "{headers:?}");
        assert_eq!(answer.challenge(), format!("Bearer realm=\"finance\", {metadata}"));
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(!answer.body.contains("\"error\""), "{}", answer.body);
    }
    assert_eq!(api.call("/v1/takings?access_token=t", &[]).await.status, 401);
    assert_eq!(issuer.introspect_asked(), 0);
    for scheme in ["bearer t", "BEARER t", "Bearer  t"] {
        assert_eq!(api.call("/v1/takings", &[("authorization", scheme)]).await.status, 200);
    }
}

#[tokio::test]
async fn s14_two_authorization_headers_are_refused_and_neither_is_asked_about() {
    let (issuer, api, metadata) = api("financial-api").await;
    let headers = [("authorization", "Bearer t"), ("authorization", "Bearer t")];
    let answer = api.call("/v1/takings", &headers).await;
    assert_eq!(answer.status, 400);
    let expected = format!(
        "Bearer realm=\"finance\", error=\"invalid_request\", error_description=\"Send the \
         Authorization header once\", {metadata}"
    );
    assert_eq!((answer.challenge(), issuer.introspect_asked()), (expected.as_str(), 0));
}

#[tokio::test]
async fn a_handler_that_asks_for_a_scope_names_it_to_whoever_lacks_it() {
    let (_issuer, api, metadata) = api("orders-api").await;
    let answer = api.bearer("/v1/takings", "t").await;
    assert_eq!(answer.status, 403);
    let expected = format!(
        "Bearer realm=\"finance\", error=\"insufficient_scope\", error_description=\"The access \
         token has to have financial-api\", scope=\"financial-api\", {metadata}"
    );
    assert_eq!(answer.challenge(), expected);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["error"], "insufficient_scope");
    assert_eq!(api.bearer("/v1/who", "t").await.status, 200);
}

#[tokio::test]
async fn a_handler_that_forgets_to_ask_is_guarded_all_the_same() {
    let (issuer, api, _) = api("financial-api").await;
    assert_eq!(api.call("/v1/forgetful", &[]).await.status, 401);
    assert_eq!(api.bearer("/v1/forgetful", "t").await.body, "reached");
    issuer.answer(200, json!({ "active": false }));
    assert_eq!(api.bearer("/v1/forgetful", "other").await.status, 401);
}

fn own_guard() -> Guard {
    let api = OwnApi {
        resource: "https://orders.example.com",
        realm: "or\"d\\ers\n",
        metadata_url: "https://x/.well-known/y",
    };
    Guard::by(api, |parts| {
        let scope = parts.headers.get("x-scope").map(|it| it.to_str().unwrap_or_default());
        let scope = scope.map(grantor_protocol::scope::Scope::parse);
        let elsewhere = parts.headers.get("x-audience");
        let audience = match elsewhere.map(|it| it.to_str().unwrap_or_default()) {
            None => Some("https://orders.example.com".to_owned()),
            Some("") => None,
            Some(named) => Some(named.to_owned()),
        };
        Box::pin(async move {
            let Some(Ok(scope)) = scope else { return Err(grantor_guard::Refusal::NoToken) };
            Ok(grantor_guard::Access {
                subject: "s".into(),
                client_id: "c".into(),
                scope,
                audience: audience.into_iter().collect(),
                businesses: None,
                locations: None,
                expires_at: NOW,
                key: None,
            })
        })
    })
}

async fn call(routes: Router, scope: Option<&str>) -> Answer {
    let mut request = Request::get("/");
    if let Some(scope) = scope {
        request = request.header("x-scope", scope);
    }
    let response = routes.oneshot(request.body(Body::empty()).unwrap()).await;
    Answer::read(response.unwrap()).await
}

#[tokio::test]
async fn a_function_of_the_program_decides_and_its_own_words_are_used() {
    let guard = own_guard().answering(|refusal, response| {
        let (mut parts, _) = response.into_parts();
        parts.headers.insert("x-own", "yes".parse().unwrap());
        Response::from_parts(parts, Body::from(format!("no: {:?}", refusal.code())))
    });
    let routes =
        Router::new().route("/", get(async |_: Allowed<FinancialApi>| "in")).layer(guard.layer());
    let answer = call(routes.clone(), None).await;
    assert_eq!((answer.status, answer.body.as_str()), (401, "no: None"));
    let challenge = "Bearer realm=\"orders\", resource_metadata=\"https://x/.well-known/y\"";
    assert_eq!(
        (answer.challenge(), &answer.headers["x-own"]),
        (challenge, &"yes".parse().unwrap())
    );
    let answer = call(routes.clone(), Some("orders-api")).await;
    assert_eq!((answer.status, answer.body.as_str()), (403, "no: Some(\"insufficient_scope\")"));
    assert_eq!(call(routes, Some("orders-api financial-api")).await.body, "in");
}

#[tokio::test]
async fn what_a_function_of_the_program_lets_in_for_another_api_or_for_none_opens_nothing() {
    let routes = Router::new().route("/", get(async || "in")).layer(own_guard().layer());
    for (audience, status) in
        [("https://orders.example.com/", 200), ("https://finance.example.com", 401), ("", 401)]
    {
        let request = Request::get("/").header("x-scope", "").header("x-audience", audience);
        let response = routes.clone().oneshot(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.unwrap().status().as_u16(), status, "{audience:?}");
    }
}

#[tokio::test]
async fn a_layer_may_ask_for_scopes_by_itself() {
    let routes =
        Router::new().route("/", get(async || "in")).layer(own_guard().layer_for::<FinancialApi>());
    assert_eq!(call(routes.clone(), Some("orders-api")).await.status, 403);
    assert_eq!(call(routes, Some("financial-api")).await.status, 200);
}

#[tokio::test]
async fn a_handler_without_a_guard_before_it_is_never_reached() {
    let routes = Router::new().route("/", get(async |_: Allowed<FinancialApi>| "in"));
    assert_eq!(call(routes, Some("financial-api")).await.status, 500);
}

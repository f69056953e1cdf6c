//! `grantor_guard` before an API of its own, and this very server behind it: what the guard's own
//! tests say with answers of their choice, with the answers that it really gets.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use grantor::site::Settings;
use grantor_guard::{Allowed, Clock, Guard, Refused, Scopes};
use grantor_protocol::api::{AccessTokenFormat, Api, Apis};
use grantor_protocol::environment::Environment;
use grantor_protocol::scope::Scope;
use tower::ServiceExt as _;

use crate::calls::{BISTRO, GRILL, introspect, issue_with, revoke};
use crate::harness::{Server, TestClient};

const ORDERS: &str = "https://orders.example.com";
const FINANCE: &str = "https://finance.example.com";

struct OrdersApi;

impl Scopes for OrdersApi {
    const NAMES: &'static [&'static str] = &["orders-api"];
}

struct FinancialApi;

impl Scopes for FinancialApi {
    const NAMES: &'static [&'static str] = &["financial-api"];
}

/// An environment with a sealed and a signed API.
async fn start() -> Server {
    let api = |resource: &str, scopes: &str, access_tokens, checker: &str| Api {
        resource: resource.into(),
        name: resource.into(),
        scopes: Scope::parse(scopes).unwrap(),
        access_tokens,
        introspection_clients: vec![checker.to_owned()],
    };
    let apis = Apis::new(vec![
        api(ORDERS, "orders-api", AccessTokenFormat::Sealed, "orders-backend"),
        api(FINANCE, "financial-api", AccessTokenFormat::Es256, "finance-backend"),
    ]);
    Server::start_with(Settings { apis, ..Settings::default() }, false).await
}

/// The APIs, which know of each other nothing, and the client with which the first of them asks.
async fn apis(server: &Server) -> ([Router; 2], TestClient) {
    let backend = async |id: &str| {
        server.client_with(Environment::Staging, |client| client.id = id.to_owned()).await
    };
    let (orders, finance) = (backend("orders-backend").await, backend("finance-backend").await);
    let clock = server.clock.clone();
    let plan = |resource, client: &TestClient| {
        let clock = clock.clone();
        Guard::of(resource, &server.staging.base_url)
            .offline()
            .asking(&client.id, &client.secret)
            .clock(Clock::of(move || clock.now()))
            .build()
            .unwrap()
    };
    let of_orders = plan(ORDERS, &orders).layer();
    let of_finance = plan(FINANCE, &finance).layer();
    let routes = [
        Router::new().route("/business/{id}", get(orders_of)).layer(of_orders),
        Router::new().route("/business/{id}", get(takings_of)).layer(of_finance),
    ];
    (routes, orders)
}

async fn orders_of(token: Allowed<OrdersApi>, Path(id): Path<String>) -> Result<String, Refused> {
    token.for_business(&id)?;
    Ok(token.customer()?.to_owned())
}

async fn takings_of(
    token: Allowed<FinancialApi>,
    Path(id): Path<String>,
) -> Result<String, Refused> {
    token.for_business(&id)?;
    Ok(token.customer()?.to_owned())
}

async fn status(api: &Router, business: i64, token: &str) -> StatusCode {
    let request = Request::get(format!("/business/{business}"))
        .header("authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    api.clone().oneshot(request).await.unwrap().status()
}

/// A connection for one business alone; its tokens for the one and the other API.
async fn connected(server: &Server, client: &TestClient) -> [String; 3] {
    let issued = issue_with(&server.staging, client, |grant| grant.businesses = vec![GRILL]).await;
    let first = server.exchange(client, &issued.code).await;
    let named = async |token: &str, resource| {
        let form =
            [("grant_type", "refresh_token"), ("refresh_token", token), ("resource", resource)];
        server.token(client, &form).await
    };
    let orders = named(first.text("refresh_token"), ORDERS).await;
    let finance = named(orders.text("refresh_token"), FINANCE).await;
    [
        orders.text("access_token").to_owned(),
        finance.text("access_token").to_owned(),
        finance.text("refresh_token").to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u10_a_guarded_api_takes_its_own_tokens_for_their_business_until_the_documented_time() {
    let server = start().await;
    let client = server.client().await;
    let ([orders, finance], _) = apis(&server).await;
    let [sealed, signed, refresh] = connected(&server, &client).await;
    assert!(sealed.starts_with("gr_access_") && signed.starts_with("ey"));
    for (api, token, other) in [(&orders, &sealed, &signed), (&finance, &signed, &sealed)] {
        assert_eq!(status(api, GRILL, token).await, 200);
        assert_eq!(status(api, BISTRO, token).await, 403);
        assert_eq!(status(api, GRILL, other).await, 401);
        assert_eq!(status(api, GRILL, &refresh).await, 401);
        assert_eq!(status(api, GRILL, "nonsense").await, 401);
    }
    assert_eq!(revoke(&server, &client, &refresh).await.status, 200);
    // A sealed token ends two seconds later, a signed one with its own hour.
    server.clock.advance(1);
    assert_eq!(status(&orders, GRILL, &sealed).await, 200);
    server.clock.advance(1);
    assert_eq!(status(&orders, GRILL, &sealed).await, 401);
    server.clock.advance(3597);
    assert_eq!(status(&finance, GRILL, &signed).await, 200);
    server.clock.advance(1);
    assert_eq!(status(&finance, GRILL, &signed).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_that_names_no_api_opens_each_that_knows_its_scopes() {
    let server = start().await;
    let client = server.client().await;
    let ([orders, finance], _) = apis(&server).await;
    let named_none = |scope: &'static str| {
        let (server, client) = (&server, &client);
        async move {
            let issued = issue_with(&server.staging, client, |grant| {
                grant.businesses = vec![GRILL];
                grant.scope = Scope::parse(scope).unwrap();
            });
            server.exchange(client, &issued.await.code).await.text("access_token").to_owned()
        }
    };
    let both = named_none("financial-api orders-api").await;
    assert_eq!(
        [status(&orders, GRILL, &both).await, status(&finance, GRILL, &both).await],
        [200; 2]
    );
    assert_eq!(status(&orders, BISTRO, &both).await, 403);
    let narrow = named_none("orders-api").await;
    assert_eq!(status(&orders, GRILL, &narrow).await, 200);
    assert_eq!(status(&finance, GRILL, &narrow).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s17_an_api_is_not_opened_by_its_own_refresh_tokens_nor_by_a_fault_of_the_store() {
    let server = start().await;
    let ([orders, _], backend) = apis(&server).await;
    // To its own client introspection says of a refresh token that it is active.
    let issued = issue_with(&server.staging, &backend, |_| ()).await;
    let own = server.exchange(&backend, &issued.code).await;
    let said = introspect(&server, &backend, own.text("refresh_token")).await;
    assert_eq!(said.body["active"], true);
    assert_eq!(status(&orders, GRILL, own.text("refresh_token")).await, 401);
    let client = server.client().await;
    let [sealed, ..] = connected(&server, &client).await;
    server.execute("ALTER TABLE grants RENAME TO elsewhere");
    assert_eq!(status(&orders, GRILL, &sealed).await, 503);
    server.execute("ALTER TABLE elsewhere RENAME TO grants");
    assert_eq!(status(&orders, GRILL, &sealed).await, 200);
}

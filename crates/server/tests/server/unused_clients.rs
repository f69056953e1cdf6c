//! Clients that nobody here made and no customer used go after a time, so that whoever fills the
//! place shuts nobody out for good. All others stay.

use std::time::Duration;

use grantor::cleanup::walk;
use grantor::demo;
use grantor::site::{Registration as Policy, Settings};
use grantor::store::{MOST_SELF_REGISTERED, NewClient, RegisteredBy};
use grantor_protocol::environment::Environment;
use reqwest::StatusCode;
use serde_json::json;

use crate::calls::{Call, assert_opens, issue, tokens};
use crate::harness::{Server, TestClient, basic};

const HERE: Environment = Environment::Staging;
const DAY: i64 = 24 * 3600;
/// By how far clocks may differ.
const SKEW: i64 = 60;

async fn clean(server: &Server) -> u64 {
    walk(&server.staging, 2, Duration::ZERO).await.unwrap().unused_clients
}

async fn came(
    server: &Server,
    by: RegisteredBy,
    change: impl FnOnce(&mut NewClient),
) -> TestClient {
    let made = server.client_with(HERE, |client| {
        client.approved = false;
        client.registration.by = by;
        change(client);
    });
    made.await
}

async fn is_there(server: &Server, client: &TestClient) -> bool {
    server.staging.store.client(&client.id).await.unwrap().is_some()
}

async fn s24_a_client_that_no_customer_used_goes_after_its_time_and_no_other_does(server: Server) {
    let (itself, document) = (RegisteredBy::Itself, RegisteredBy::Document);
    let store = &server.staging.store;
    let switch_off = async |client: &TestClient| {
        assert!(store.set_client_disabled(HERE, &client.id, true).await.unwrap());
    };
    let unused = [
        came(&server, itself, |_| ()).await,
        came(&server, itself, |_| ()).await,
        came(&server, document, |client| client.id = "https://app.example/a.json".into()).await,
    ];
    switch_off(&unused[1]).await;

    let by_the_company = server.client_with(HERE, |client| client.approved = false).await;
    let approved = came(&server, itself, |client| client.approved = true).await;
    let elsewhere = server
        .client_with(Environment::Production, |client| {
            client.approved = false;
            client.registration.by = RegisteredBy::Itself;
        })
        .await;
    let forbidden =
        came(&server, document, |client| client.id = "https://app.example/b.json".into()).await;
    switch_off(&forbidden).await;
    // Allowed once, and the code was never brought.
    let allowed = came(&server, itself, |_| ()).await;
    issue(&server.staging, &allowed).await;
    let used = came(&server, itself, |_| ()).await;
    let living = tokens(&server, &used).await;
    let stay = [by_the_company, approved, elsewhere, forbidden, allowed, used];

    // Whoever calls is known for a moment.
    let introspects = async || {
        let basic = basic(&unused[0].id, &unused[0].secret);
        let call = Call::at(&server.staging, "/oauth/introspect");
        call.header("Authorization", basic.as_bytes()).form(&[("token", "x")]).send().await.status
    };
    server.clock.advance(10 * DAY);
    let refreshed = server.refresh(&stay[5], living.text("refresh_token")).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    server.clock.advance(10 * DAY);
    let refreshed = server.refresh(&stay[5], refreshed.text("refresh_token")).await;
    server.clock.advance(10 * DAY + SKEW - 1);
    assert_eq!(clean(&server).await, 0);
    assert_eq!(introspects().await, 200);
    server.clock.advance(1);
    assert_eq!(clean(&server).await, 3);
    assert_eq!(introspects().await, 401);
    for client in &unused {
        assert!(!is_there(&server, client).await, "{}", client.id);
    }
    let refreshed = server.refresh(&stay[5], refreshed.text("refresh_token")).await;
    assert_opens(&server, refreshed.text("access_token"), true).await;

    // Also when no grant is left: the consent is.
    server.clock.advance(400 * DAY);
    assert_eq!(clean(&server).await, 0);
    assert_eq!(server.count("grants"), 0);
    for client in &stay {
        assert!(is_there(&server, client).await, "{}", client.id);
    }
}

async fn walks_and_customers_at_once_leave_no_connection_without_its_client(server: Server) {
    let server = std::sync::Arc::new(server);
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(came(&server, RegisteredBy::Itself, |_| ()).await);
    }
    server.clock.advance(30 * DAY + SKEW);
    let (one, other) = clients.split_at(6);
    for client in one {
        issue(&server.staging, client).await;
    }
    let walks = tokio::join!(clean(&server), clean(&server), clean(&server));
    assert!(walks.0 <= 6 && walks.1 <= 6 && walks.2 <= 6, "{walks:?}");
    for client in one {
        assert!(is_there(&server, client).await);
        assert_eq!(tokens(&server, client).await.status, 200);
    }
    for client in other {
        assert!(!is_there(&server, client).await);
    }
}

async fn a_full_place_is_free_again_after_the_time(server: Server) {
    let of_nobody = came(&server, RegisteredBy::Itself, |_| ()).await;
    let columns = "partner_id, name, redirect_uris, scopes, optional_scopes, public, approved, \
                   disabled, demo, counter, refresh_tokens, parameters_in_query, pkce_required, \
                   query_calls, created_at, registration";
    server.alter(&format!(
        "INSERT INTO clients (environment, id, key, {columns}) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
         SELECT environment, 'self-' || i, i, {columns} FROM n, clients WHERE id = '{}'",
        of_nobody.id
    ));
    let registered = async || server.staging.store.self_registered(HERE).await.unwrap();
    assert_eq!(registered().await, MOST_SELF_REGISTERED);
    server.clock.advance(30 * DAY + SKEW);
    let walked = walk(&server.staging, 500, Duration::ZERO).await.unwrap();
    assert_eq!(walked.unused_clients, 10_000);
    assert_eq!(registered().await, 0);
}

#[tokio::test]
async fn the_time_is_the_setting_and_who_registers_after_it_finds_room() {
    let settings = Settings {
        registration: Policy::Open,
        registration_scopes: demo::client_scopes(),
        unused_client_ttl_seconds: 3600,
        ..Settings::default()
    };
    let server = Server::start_with(settings, true).await;
    let register = async || {
        let body = json!({ "redirect_uris": ["https://app.example/cb"] }).to_string();
        let post = reqwest::Client::new().post(server.url("/oauth/register"));
        let answer = post.header("Content-Type", "application/json").body(body).send().await;
        answer.unwrap().status()
    };
    assert_eq!(register().await, StatusCode::CREATED);
    let sql = "UPDATE clients SET registration = 'itself' WHERE demo";
    assert!(server.execute(sql) > 0);
    assert_eq!(clean(&server).await, 0);
    server.clock.advance(3600 + SKEW);
    // The demo's clients are not among them, whatever stands in their rows.
    assert_eq!(clean(&server).await, 1);
    assert_eq!(register().await, StatusCode::CREATED);
}

on_both_engines! {
    s24_a_client_that_no_customer_used_goes_after_its_time_and_no_other_does,
    walks_and_customers_at_once_leave_no_connection_without_its_client,
    a_full_place_is_free_again_after_the_time,
}

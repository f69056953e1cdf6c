//! Two servers on one PostgreSQL database: what one of them ended is ended for the other at once.

use grantor::store::Along;
use std::sync::Arc;

use grantor::demo;
use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;
use serde_json::json;

use crate::calls::{assert_opens, introspect, issue, revoke, tokens};
use crate::harness::{Answer, Server, TestClient};
use crate::store::race;

const HERE: Environment = Environment::Staging;

async fn two_servers() -> (Arc<Server>, Arc<Server>) {
    let one = Server::start_on_postgres().await;
    let other = one.start_another().await;
    assert_ne!(one.staging.base_url, other.staging.base_url);
    (Arc::new(one), Arc::new(other))
}

async fn assert_ended(server: &Server, client: &TestClient, tokens: &Answer) {
    for member in ["access_token", "refresh_token"] {
        let said = introspect(server, client, tokens.text(member)).await;
        assert_eq!((said.status, said.body), (200, json!({ "active": false })), "{member}");
    }
    assert_opens(server, tokens.text("access_token"), false).await;
    let answer = server.refresh(client, tokens.text("refresh_token")).await;
    answer.assert_error(400, "invalid_grant", "The connection was ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s17_postgres_what_one_server_ended_is_ended_at_the_very_next_call_of_the_other() {
    let (one, other) = two_servers().await;
    let client = one.client().await;
    let store = &one.staging.store;
    let customer =
        store.credentials(HERE, demo::CUSTOMER_EMAIL).await.unwrap().unwrap().customer_id;
    for round in 0..3 {
        for ending in ["grant", "client", "customer", "customer and client"] {
            let living = tokens(&other, &client).await;
            assert_opens(&other, living.text("access_token"), true).await;
            let done = match ending {
                "grant" => {
                    let answer = revoke(&one, &client, living.text("refresh_token")).await;
                    answer.status == 200
                }
                "client" => {
                    store.end_grants_of_client(HERE, &client.id, Along::ALONE).await.unwrap()
                }
                "customer" => {
                    store.end_grants_of_customer(HERE, customer, Along::ALONE).await.unwrap()
                }
                _ => {
                    let id = &client.id;
                    store
                        .end_grants_of_customer_and_client(HERE, customer, id, Along::ALONE)
                        .await
                        .unwrap()
                }
            };
            assert!(done, "{round} {ending}");
            assert_ended(&other, &client, &living).await;
        }
        // One access token alone.
        let living = tokens(&other, &client).await;
        assert_eq!(revoke(&one, &client, living.text("access_token")).await.status, 200);
        let said = introspect(&other, &client, living.text("access_token")).await;
        assert_eq!(said.body, json!({ "active": false }));
        let next = other.refresh(&client, living.text("refresh_token")).await;
        assert_opens(&one, next.text("access_token"), true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s17_postgres_no_refresh_at_one_server_outlives_a_revocation_at_the_other() {
    let (one, other) = two_servers().await;
    let client = Arc::new(one.client().await);
    for _ in 0..6 {
        let living = Arc::new(tokens(&one, &client).await);
        let outcomes = race(18, |at| {
            let here = Arc::clone(if at % 2 == 0 { &one } else { &other });
            let there = Arc::clone(if at % 2 == 0 { &other } else { &one });
            let (client, living) = (Arc::clone(&client), Arc::clone(&living));
            async move {
                let refresh_token = living.text("refresh_token");
                if at >= 16 {
                    assert_eq!(revoke(&here, &client, refresh_token).await.status, 200);
                    assert_ended(&there, &client, &living).await;
                    return None;
                }
                let answer = here.refresh(&client, refresh_token).await;
                (answer.status == 200).then_some(answer)
            }
        })
        .await;
        for answer in outcomes.into_iter().flatten() {
            assert_ended(&one, &client, &answer).await;
            assert_ended(&other, &client, &answer).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s10_postgres_of_many_that_bring_one_code_to_two_servers_one_gets_tokens() {
    let (one, other) = two_servers().await;
    let client = Arc::new(one.client().await);
    for _ in 0..5 {
        let code = issue(&one.staging, &client).await.code;
        let outcomes = race(16, |at| {
            let server = Arc::clone(if at % 2 == 0 { &one } else { &other });
            let (client, code) = (Arc::clone(&client), code.clone());
            async move { server.exchange(&client, &code).await.status }
        })
        .await;
        assert_eq!(outcomes.iter().filter(|status| **status == 200).count(), 1, "{outcomes:?}");
    }
}

/// Authorize knows a client for a second too.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s17_postgres_what_is_known_of_a_client_refuses_nobody_at_authorize_and_gives_no_code() {
    let (one, other) = two_servers().await;
    let (demo, store) = (other.demo_client(), &one.staging.store);
    let moved = "https://app.example.com/new";
    let moved_client = TestClient { redirect_uri: moved.to_owned(), ..other.demo_client() };
    let url = other.authorize_url(&moved_client, "");
    assert_eq!(other.browser().get(&url).await.status, 400);
    let uris = [RedirectUri::register(moved).unwrap()];
    assert!(store.set_demo_redirect_uris(HERE, &demo.id, &uris).await.unwrap());
    let browser = other.browser();
    let target = browser.allow(&url).await;
    assert!(target.starts_with(moved), "{target}");
    assert!(browser.get(&url).await.leaves().is_some(), "a consent that stands is not asked again");

    assert!(store.set_client_disabled(HERE, &demo.id, true).await.unwrap());
    let refused = browser.get(&url).await;
    assert_eq!((refused.status.as_u16(), refused.leaves()), (400, None));
    let refused = browser.get(&url).await;
    assert!(refused.text.contains("switched off"), "{}", refused.text);
    assert!(store.set_client_disabled(HERE, &demo.id, false).await.unwrap());
    assert!(browser.get(&url).await.leaves().is_some(), "it is switched on again");
}

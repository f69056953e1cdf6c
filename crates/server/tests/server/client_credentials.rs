//! Tokens of a client itself (RFC 6749 4.4).

use grantor::store::Along;
use grantor_protocol::client::SecretMethods;
use grantor_protocol::environment::Environment;
use grantor_protocol::scope::Scope;
use serde_json::json;

use crate::calls::{Call, introspect, revoke};
use crate::harness::{Answer, Server, TestClient};

const HERE: Environment = Environment::Staging;

async fn machine(server: &Server) -> TestClient {
    server
        .client_with(HERE, |client| {
            client.settings.client_credentials = true;
            client.settings.secret_methods = SecretMethods::Any;
        })
        .await
}

async fn ask(server: &Server, client: &TestClient, scope: Option<&str>) -> Answer {
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(scope.map(|scope| ("scope", scope)));
    server.token(client, &form).await
}

async fn a_client_gets_a_token_of_its_own_and_nothing_is_written(server: Server) {
    let client = machine(&server).await;
    let before = server.rows();
    for (scope, given) in [(None, "financial-api orders-api"), (Some("orders-api"), "orders-api")] {
        let answer = ask(&server, &client, scope).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!((answer.text("scope"), answer.text("token_type")), (given, "bearer"));
        assert_eq!(answer.body["expires_in"], 3600);
        assert!(answer.body.get("refresh_token").is_none(), "RFC 6749 4.4.3");
        let said = introspect(&server, &client, answer.text("access_token")).await;
        assert_eq!(said.body["active"], true, "{said:?}");
        assert_eq!(said.body["sub"], json!(client.id));
        assert_eq!(said.body["client_id"], json!(client.id));
        assert_eq!(said.body["scope"], json!(given));
        // No customer stands behind it, so the API about customers' businesses has nothing to show.
        let api = server.api("/f/data/businesses", answer.text("access_token")).await;
        assert_eq!(api.status, 403, "{api:?}");
    }
    assert_eq!(server.rows(), before);
}

async fn s17_a_clients_token_ends_with_its_client_its_time_or_its_revocation(server: Server) {
    let client = machine(&server).await;
    let other = machine(&server).await;
    let store = &server.staging.store;
    let inactive = json!({ "active": false });
    let is_active = async |token: &str| introspect(&server, &client, token).await.body != inactive;
    let token = async || ask(&server, &client, None).await.text("access_token").to_owned();

    let (one, two) = (token().await, token().await);
    // Another client's: nothing is said of it, and nothing happens to it.
    assert_eq!(introspect(&server, &other, &one).await.body, inactive);
    assert_eq!(revoke(&server, &other, &one).await.status, 200);
    assert!(is_active(&one).await);
    assert_eq!(revoke(&server, &client, &one).await.status, 200);
    assert!(!is_active(&one).await && is_active(&two).await);

    assert!(store.end_grants_of_client(HERE, &client.id, Along::ALONE).await.unwrap());
    assert!(!is_active(&two).await);
    server.forget_known_clients().await;
    let three = token().await;
    assert!(is_active(&three).await);
    assert!(store.set_client_disabled(HERE, &client.id, true).await.unwrap());
    assert!(store.set_client_disabled(HERE, &client.id, false).await.unwrap());
    assert!(!is_active(&three).await);

    let four = token().await;
    server.clock.advance(3599);
    assert!(is_active(&four).await);
    server.clock.advance(1);
    assert!(!is_active(&four).await);
}

#[tokio::test]
async fn who_may_not_have_a_token_of_its_own_is_told_so() {
    let server = Server::start().await;
    let plain = server.client().await;
    let answer = ask(&server, &plain, None).await;
    answer.assert_error(400, "unauthorized_client", "tokens of its own");
    let public = server
        .client_with(HERE, |client| {
            client.secret = None;
            client.settings.client_credentials = true;
        })
        .await;
    let form = [("grant_type", "client_credentials"), ("client_id", public.id.as_str())];
    let answer = Call::to(&server.staging).form(&form).send().await;
    answer.assert_error(400, "unauthorized_client", "tokens of its own");
    let machine = machine(&server).await;
    for (scope, words) in [("admin", "'admin'"), ("orders_api", "Did you mean 'orders-api'?")] {
        ask(&server, &machine, Some(scope)).await.assert_error(400, "invalid_scope", words);
    }
    // In production it is nobody.
    let form = [("grant_type", "client_credentials")];
    let answer = Call::to(&server.production).basic(&machine).form(&form).send().await;
    answer.assert_error(401, "invalid_client", "belongs to staging");
}

#[tokio::test]
async fn s17_cve_2020_15223_a_revocation_of_a_clients_token_that_was_not_stored_is_503() {
    let server = Server::start().await;
    let client = machine(&server).await;
    let answer =
        ask(&server, &client, Some(&Scope::parse("orders-api").unwrap().to_string())).await;
    server.alter("ALTER TABLE revoked_tokens RENAME TO elsewhere");
    let token = answer.text("access_token");
    let refused = revoke(&server, &client, token).await;
    refused.assert_error(503, "temporarily_unavailable", "cannot answer just now");
    server.alter("ALTER TABLE elsewhere RENAME TO revoked_tokens");
    assert_eq!(introspect(&server, &client, token).await.body["active"], true);
}

on_both_engines! {
    a_client_gets_a_token_of_its_own_and_nothing_is_written,
    s17_a_clients_token_ends_with_its_client_its_time_or_its_revocation,
}

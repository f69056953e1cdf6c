//! Parameters in the query of a POST, as the guide has it: which, for whom, and how often.

use grantor::site::Settings;
use grantor_protocol::environment::Environment;

use crate::calls::{
    Call, VERIFIER, assert_unspent, challenge, exchange_form, issue, issue_with, tokens,
};
use crate::harness::Server;

#[tokio::test]
async fn s16_a_secret_in_the_url_is_refused_with_the_reason_and_spends_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    let living = tokens(&server, &client).await;
    let refresh_token = living.text("refresh_token");
    for (sent, named) in [
        ("client_secret", "client_secret"),
        ("client-secret", "client_secret"),
        ("refresh_token", "refresh_token"),
        ("refresh-token", "refresh_token"),
        ("code_verifier", "code_verifier"),
        ("password", "password"),
        ("client_assertion", "client_assertion"),
    ] {
        for value in [refresh_token, ""] {
            let query = [&form[..], &[(sent, value)]].concat();
            let answer = Call::to(&server.staging).basic(&client).query(&query).send().await;
            let words = format!("{named} stands in the URL, where every log on the way keeps it");
            answer.assert_error(400, "invalid_request", &words);
        }
    }
    let query = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    let answer = Call::to(&server.staging).basic(&client).query(&query).send().await;
    answer.assert_error(400, "invalid_request", "refresh_token stands in the URL");
    assert_eq!(server.refresh(&client, refresh_token).await.status, 200);
    assert_unspent(&server, &client, &issued).await;
}

#[tokio::test]
async fn s6_a_verifier_in_the_body_stands_beside_the_guides_query() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued =
        issue_with(&server.staging, &client, |grant| grant.code_challenge = Some(challenge()))
            .await;
    let query = exchange_form(&client, &issued);
    let call = Call::to(&server.staging).basic(&client).query(&query);
    let answer = call.form(&[("code_verifier", VERIFIER)]).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn the_query_is_closed_by_the_environments_setting_and_by_the_clients() {
    let closed = Settings { parameters_in_query: false, ..Settings::default() };
    let by_environment = Server::start_with(closed, true).await;
    let one = by_environment.client().await;
    let by_client = Server::start().await;
    let change = |new: &mut grantor::store::NewClient| new.settings.parameters_in_query = false;
    let other = by_client.client_with(Environment::Staging, change).await;
    for (server, client) in [(by_environment, one), (by_client, other)] {
        let issued = issue(&server.staging, &client).await;
        let form = exchange_form(&client, &issued);
        let partly = Call::to(&server.staging).basic(&client).query(&form[..1]).form(&form);
        for call in [Call::to(&server.staging).basic(&client).query(&form), partly] {
            let words = "Parameters are not taken from the query here";
            call.send().await.assert_error(400, "invalid_request", words);
        }
        // What the server never takes from a query does not count as taken.
        let call = Call::to(&server.staging).basic(&client).query(&[("utm_source", "x")]);
        let answer = call.form(&form).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        server.staging.usage.flush(&server.staging.store).await;
        let record = server.staging.store.client(&client.id).await.unwrap().unwrap();
        assert_eq!((record.query_calls, record.query_called_at), (0, None));
    }
}

#[tokio::test]
async fn each_call_by_query_is_counted_per_client_with_its_last_time() {
    let server = Server::start().await;
    let (client, other) = (server.client().await, server.client().await);
    let first = server.clock.now();
    for seconds in [0, 7] {
        server.clock.advance(seconds);
        let issued = issue(&server.staging, &client).await;
        let form = exchange_form(&client, &issued);
        let answer = Call::to(&server.staging).basic(&client).query(&form).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let issued = issue(&server.staging, &other).await;
    assert_eq!(server.exchange(&other, &issued.code).await.status, 200);
    server.staging.usage.flush(&server.staging.store).await;
    let record = server.staging.store.client(&client.id).await.unwrap().unwrap();
    assert_eq!((record.query_calls, record.query_called_at), (2, Some(first + 7)));
    let record = server.staging.store.client(&other.id).await.unwrap().unwrap();
    assert_eq!((record.query_calls, record.query_called_at), (0, None));
}

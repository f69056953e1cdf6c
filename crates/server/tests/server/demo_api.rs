//! The API of dev: what a token opens, and how everything else is refused.

use grantor::seal::{AccessSeal, RefreshSeal};
use grantor_protocol::environment::Environment;
use grantor_protocol::scope::Scope;
use serde_json::{Value, json};

use crate::calls::{BISTRO, GRILL, issue, issue_with, row, tokens};
use crate::harness::{Answer, Server};

const FINANCIAL: &str = "/f/data/businesses";
const ORDERS: &str = "/o/op/data/businesses";

async fn call(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = reqwest::Client::new().get(server.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::read(request.send().await.unwrap()).await
}

/// RFC 6750 3, with the vendor's body.
#[track_caller]
fn assert_invalid_token(answer: &Answer) {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.body, unauthorized());
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.starts_with("Bearer realm=\"grantor staging\", error=\"invalid_token\""),
        "{challenge}"
    );
    assert_eq!(answer.headers["cache-control"], "no-store");
}

fn unauthorized() -> Value {
    json!({ "errors": [{
        "code": "unauthorized",
        "title": "Full authentication is required to access this resource",
    }] })
}

/// The challenge, without where the API says who gives tokens for it (RFC 9728 5.1).
fn challenge_of(answer: &Answer) -> String {
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    let (before, behind) = challenge.split_once(", resource_metadata=\"").unwrap();
    assert!(behind.ends_with("/.well-known/oauth-protected-resource\""), "{challenge}");
    before.to_owned()
}

#[tokio::test]
async fn the_answers_have_the_vendors_shapes_with_whole_integers() {
    let server = Server::start().await;
    let client = server.client().await;
    let living = tokens(&server, &client).await;
    let token = living.text("access_token");
    let financial = server.api("/f/data/businesses?page=0&size=1000", token).await;
    let href = server.url("/f/data/businesses?page=0&size=1000");
    assert_eq!(financial.headers["content-type"], "application/json");
    assert_eq!(
        financial.body,
        json!({
            "_embedded": { "businessList": [
                {
                    "businessName": "Bistro Aurora",
                    "businessId": 9_765_040_300_495_493_i64,
                    "currencyCode": "EUR",
                    "businessLocations": [
                        { "blName": "Aurora Ghent", "blID": 9_765_040_300_495_501_i64,
                          "country": "BE", "timezone": "Europe/Brussels" },
                        { "blName": "Aurora Lyon", "blID": 9_765_040_300_495_502_i64,
                          "country": "FR", "timezone": "Europe/Paris" },
                    ],
                },
                {
                    "businessName": "Harbour Grill",
                    "businessId": 9_765_040_300_495_494_i64,
                    "currencyCode": "GBP",
                    "businessLocations": [
                        { "blName": "Harbour Leith", "blID": 9_765_040_300_495_503_i64,
                          "country": "GB", "timezone": "Europe/London" },
                    ],
                },
            ] },
            "_links": { "self": { "href": href } },
        })
    );
    let orders = server.api(ORDERS, token).await;
    assert_eq!(
        orders.body,
        json!([
            { "name": "Bistro Aurora", "id": 9_765_040_300_495_493_i64, "businessLocations": [
                { "id": 9_765_040_300_495_501_i64, "name": "Aurora Ghent" },
                { "id": 9_765_040_300_495_502_i64, "name": "Aurora Lyon" },
            ] },
            { "name": "Harbour Grill", "id": 9_765_040_300_495_494_i64, "businessLocations": [
                { "id": 9_765_040_300_495_503_i64, "name": "Harbour Leith" },
            ] },
        ])
    );
}

#[tokio::test]
async fn pages_are_cut_as_asked_and_nonsense_does_not_break_them() {
    let server = Server::start().await;
    let client = server.client().await;
    let living = tokens(&server, &client).await;
    for (query, ids) in [
        ("", vec![BISTRO, GRILL]),
        ("?page=0&size=1", vec![BISTRO]),
        ("?page=1&size=1", vec![GRILL]),
        ("?page=2&size=1", vec![]),
        ("?page=18446744073709551615&size=1000", vec![]),
        ("?size=0", vec![BISTRO]),
        ("?size=-1&page=-1", vec![BISTRO, GRILL]),
        ("?size=99999999999999999999", vec![BISTRO, GRILL]),
        ("?page=%ff&page=1", vec![BISTRO, GRILL]),
    ] {
        let answer = server.api(&format!("{FINANCIAL}{query}"), living.text("access_token")).await;
        assert_eq!(answer.status, 200, "{query} {answer:?}");
        let list = answer.body["_embedded"]["businessList"].as_array().unwrap();
        let found: Vec<_> = list.iter().map(|one| one["businessId"].as_i64().unwrap()).collect();
        assert_eq!(found, ids, "{query}");
    }
}

#[tokio::test]
async fn only_the_businesses_of_the_grant_are_shown_and_only_while_the_customer_has_them() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued =
        issue_with(&server.staging, &client, |grant| grant.businesses = vec![GRILL, 1]).await;
    let living = server.exchange(&client, &issued.code).await;
    for path in [FINANCIAL, ORDERS] {
        let answer = server.api(path, living.text("access_token")).await;
        let text = answer.body.to_string();
        assert!(text.contains("Harbour Grill") && !text.contains("Bistro"), "{text}");
    }
    server.execute(&format!("DELETE FROM memberships WHERE business_id = {GRILL}"));
    let answer = server.api(ORDERS, living.text("access_token")).await;
    assert_eq!((answer.status, &answer.body), (200, &json!([])));
}

#[tokio::test]
async fn who_sends_no_token_is_told_no_error_code() {
    let server = Server::start().await;
    let client = server.demo_client();
    let basic = crate::harness::basic(&client.id, &client.secret);
    let living = tokens(&server, &client).await;
    let in_query = format!("{FINANCIAL}?access_token={}", living.text("access_token"));
    for (path, headers) in [
        (FINANCIAL, vec![]),
        (ORDERS, vec![]),
        (FINANCIAL, vec![("Authorization", basic.as_str())]),
        (FINANCIAL, vec![("Authorization", living.text("access_token"))]),
        (FINANCIAL, vec![("Authorization", "Bearer ")]),
        (in_query.as_str(), vec![]),
    ] {
        let answer = call(&server, path, &headers).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.body, unauthorized());
        // RFC 6750 3.1
        assert_eq!(challenge_of(&answer), "Bearer realm=\"grantor staging\"");
    }
}

#[tokio::test]
async fn s14_two_authorization_headers_are_refused_and_neither_is_taken() {
    let server = Server::start().await;
    let client = server.client().await;
    let living = tokens(&server, &client).await;
    let right = format!("Bearer {}", living.text("access_token"));
    for (one, other) in [(right.as_str(), "Bearer x"), ("Bearer x", &right), (&right, &right)] {
        let headers = [("Authorization", one), ("Authorization", other)];
        let answer = call(&server, FINANCIAL, &headers).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(answer.body["errors"][0]["title"], "Send the Authorization header once");
        let challenge = "Bearer realm=\"grantor staging\", error=\"invalid_request\", \
                         error_description=\"Send the Authorization header once\"";
        assert_eq!(challenge_of(&answer), challenge);
    }
    assert_eq!(call(&server, FINANCIAL, &[("Authorization", &right)]).await.status, 200);
}

#[tokio::test]
async fn s10_what_is_no_access_token_of_this_environment_opens_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let living = tokens(&server, &client).await;
    let issued = issue(&server.staging, &client).await;
    let token = living.text("access_token");
    let upper = token.to_uppercase();
    let renamed = living.text("refresh_token").replace("gr_refresh_", "gr_access_");
    let (cut, longer) = (&token[..token.len() - 1], format!("{token}A"));
    let long = "x".repeat(20_000);
    for garbage in [
        living.text("refresh_token"),
        &renamed,
        &issued.code,
        &upper,
        cut,
        &longer,
        "gr_access_",
        "nonsense",
        "null",
        "a b c",
        &long,
    ] {
        assert_invalid_token(&server.api(FINANCIAL, garbage).await);
        assert_invalid_token(&server.api(ORDERS, garbage).await);
    }
    crate::calls::assert_opens(&server, token, true).await;
    crate::calls::assert_unspent(&server, &client, &issued).await;
    for scheme in ["bearer", "BEARER", "Bearer  "] {
        let value = format!("{scheme} {token}");
        let answer = call(&server, FINANCIAL, &[("Authorization", &value)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn u4_a_token_of_production_opens_nothing_in_staging_although_the_store_is_one() {
    let server = Server::start().await;
    let client = server.client_with(Environment::Production, |_| ()).await;
    let issued = issue(&server.production, &client).await;
    let form = crate::calls::exchange_form(&client, &issued);
    let living = crate::calls::Call::to(&server.production).basic(&client).form(&form).send().await;
    assert_eq!(living.status, 200, "{living:?}");
    assert_invalid_token(&server.api(FINANCIAL, living.text("access_token")).await);
    let there = reqwest::Client::new()
        .get(format!("{}{FINANCIAL}", server.production.base_url))
        .bearer_auth(living.text("access_token"));
    assert_eq!(Answer::read(there.send().await.unwrap()).await.status, 200);
}

#[tokio::test]
async fn an_expired_or_revoked_token_opens_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let living = tokens(&server, &client).await;
    let issued = issue(&server.staging, &client).await;
    let revoked = server.exchange(&client, &issued.code).await;
    let store = &server.staging.store;
    store.revoke_grant(Environment::Staging, issued.grant_id, 7).await.unwrap();
    assert_invalid_token(&server.api(FINANCIAL, revoked.text("access_token")).await);
    server.clock.advance(3599);
    crate::calls::assert_opens(&server, living.text("access_token"), true).await;
    server.clock.advance(1);
    assert_invalid_token(&server.api(FINANCIAL, living.text("access_token")).await);
}

#[tokio::test]
async fn a_token_without_the_scope_is_403_and_names_the_scope_that_is_needed() {
    let server = Server::start().await;
    let client = server.client().await;
    for (scope, opens, refuses) in
        [("orders-api", ORDERS, FINANCIAL), ("financial-api", FINANCIAL, ORDERS)]
    {
        let narrow = Scope::parse(scope).unwrap();
        let issued = issue_with(&server.staging, &client, |grant| grant.scope = narrow).await;
        let living = server.exchange(&client, &issued.code).await;
        assert_eq!(server.api(opens, living.text("access_token")).await.status, 200);
        let answer = server.api(refuses, living.text("access_token")).await;
        let needed = if refuses == ORDERS { "orders-api" } else { "financial-api" };
        assert_eq!(answer.status, 403, "{answer:?}");
        let expected = format!(
            "Bearer realm=\"grantor staging\", error=\"insufficient_scope\", \
             error_description=\"The access token has to have {needed}\", scope=\"{needed}\""
        );
        assert_eq!(challenge_of(&answer), expected);
        assert_eq!(answer.body["errors"][0]["code"], "forbidden");
    }
}

#[tokio::test]
async fn a_seal_says_no_more_than_its_row_and_a_row_no_more_than_its_seal() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue_with(&server.staging, &client, |grant| {
        grant.scope = Scope::parse("orders-api").unwrap();
    })
    .await;
    assert_eq!(server.exchange(&client, &issued.code).await.status, 200);
    let now = server.clock.now();
    let seal = |scope: &str, generation: i64, issued_at: i64| {
        server.staging.sealer.access(&AccessSeal {
            grant_id: issued.grant_id,
            generation,
            expires_at: issued_at + 3600,
            issued_at,
            token_id: [7; 8],
            scope: Scope::parse(scope).unwrap(),
            binding: grantor_protocol::grant::Binding::default(),
        })
    };
    let wide = server.api(FINANCIAL, &seal("financial-api orders-api", 1, now)).await;
    assert_eq!(wide.status, 403, "{wide:?}");
    let narrow = server.api(ORDERS, &seal("financial-api", 1, now)).await;
    assert_eq!(narrow.status, 403, "{narrow:?}");
    assert_eq!(server.api(ORDERS, &seal("orders-api", 1, now)).await.status, 200);
    // Ahead of its row, or of the clock by more than the skew: not valid early (D10).
    assert_invalid_token(&server.api(ORDERS, &seal("orders-api", 2, now)).await);
    assert_eq!(server.api(ORDERS, &seal("orders-api", 1, now + 60)).await.status, 200);
    assert_invalid_token(&server.api(ORDERS, &seal("orders-api", 1, now + 61)).await);
    let refresh = RefreshSeal { grant_id: issued.grant_id, generation: 1, expires_at: now + 9 };
    assert_invalid_token(&server.api(ORDERS, &server.staging.sealer.refresh(&refresh, now)).await);
    let pending = issue(&server.staging, &client).await;
    let early = server.staging.sealer.access(&AccessSeal {
        grant_id: pending.grant_id,
        generation: 0,
        expires_at: now + 3600,
        issued_at: now,
        token_id: [7; 8],
        scope: Scope::parse("orders-api").unwrap(),
        binding: grantor_protocol::grant::Binding::default(),
    });
    assert_invalid_token(&server.api(ORDERS, &early).await);
    assert_eq!(row(&server, pending.grant_id).await.scope.to_string(), "financial-api orders-api");
}

#[tokio::test]
async fn outside_dev_there_is_no_demo_api() {
    let server = Server::start_with(grantor::site::Settings::default(), false).await;
    let client = server.client().await;
    let living = tokens(&server, &client).await;
    for path in [FINANCIAL, ORDERS] {
        assert_eq!(server.api(path, living.text("access_token")).await.status, 404);
    }
}

#[tokio::test]
async fn the_demo_api_is_read_with_get_alone() {
    let server = Server::start().await;
    for path in [FINANCIAL, ORDERS] {
        let answer = reqwest::Client::new().post(server.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.headers()["allow"], "GET,HEAD");
    }
}

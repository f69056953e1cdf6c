//! Revocation (RFC 7009): a client ends what is its own, for good, and nothing else.

use std::sync::Arc;

use grantor::seal::{AccessSeal, RefreshSeal};
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::GrantStatus;
use grantor_protocol::scope::Scope;
use serde_json::json;

use crate::calls::{
    Call, about_token, assert_opens, assert_unspent, connect, introspect, issue, public_tokens,
    revoke, row, tokens,
};
use crate::harness::{Answer, Server, TestClient};
use crate::program::Dev;
use crate::store::race;

const REVOKE: &str = "/oauth/revoke";

/// The one answer of revocation, whatever there was to end.
#[track_caller]
fn assert_revoked(answer: &Answer) {
    assert_eq!((answer.status, &answer.body), (200, &json!({})), "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["pragma"], "no-cache");
}

async fn is_revoked(server: &Server, id: [u8; 16]) -> bool {
    matches!(row(server, id).await.status, GrantStatus::Revoked { .. })
}

fn public(token: &str, client: &TestClient, site: &grantor::site::Site) -> Call {
    Call::at(site, REVOKE).form(&[("token", token), ("client_id", &client.id)])
}

async fn s17_a_refresh_token_of_any_generation_ends_the_connection_and_keeps_the_consent(
    server: Server,
) {
    let client = server.client().await;
    for old in [false, true] {
        let (first, id) = connect(&server, &client).await;
        let mut newest = server.refresh(&client, first.text("refresh_token")).await;
        newest = server.refresh(&client, newest.text("refresh_token")).await;
        assert_opens(&server, newest.text("access_token"), true).await;
        let given = if old { &first } else { &newest };
        assert_revoked(&revoke(&server, &client, given.text("refresh_token")).await);
        assert!(is_revoked(&server, id).await);
        for access_token in [first.text("access_token"), newest.text("access_token")] {
            assert_opens(&server, access_token, false).await;
        }
        let answer = server.refresh(&client, newest.text("refresh_token")).await;
        answer.assert_error(400, "invalid_grant", "The connection was ended");
        // Once more is no error (RFC 7009 2.2).
        assert_revoked(&revoke(&server, &client, given.text("refresh_token")).await);
        let kept = "SELECT COUNT(*) FROM consents WHERE NOT revoked";
        let kept = server.number(kept);
        assert_eq!(kept, 1);
    }
}

async fn s17_an_access_token_ends_alone_until_it_would_have_expired(server: Server) {
    let client = server.client().await;
    let (first, id) = connect(&server, &client).await;
    let second = server.refresh(&client, first.text("refresh_token")).await;
    for _ in 0..2 {
        assert_revoked(&revoke(&server, &client, first.text("access_token")).await);
    }
    assert_eq!(server.count("revoked_tokens"), 1);
    assert_opens(&server, first.text("access_token"), false).await;
    assert_eq!(server.api("/o/op/data/businesses", first.text("access_token")).await.status, 401);
    assert_opens(&server, second.text("access_token"), true).await;
    assert!(!is_revoked(&server, id).await);
    let third = server.refresh(&client, second.text("refresh_token")).await;
    assert_opens(&server, third.text("access_token"), true).await;
    let sql = "SELECT expires_at FROM revoked_tokens";
    let until = server.number(sql);
    assert_eq!(until, crate::harness::START + 3600);
    // One that expired by itself is not written down.
    server.clock.advance(3600);
    assert_revoked(&revoke(&server, &client, second.text("access_token")).await);
    assert_eq!(server.count("revoked_tokens"), 1);
}

async fn s17_a_code_of_its_own_client_ends_its_grant_until_the_code_expires(server: Server) {
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    assert_revoked(&revoke(&server, &client, &issued.code).await);
    let answer = server.exchange(&client, &issued.code).await;
    answer.assert_error(400, "invalid_grant", "The connection was ended");

    let issued = issue(&server.staging, &client).await;
    let living = server.exchange(&client, &issued.code).await;
    server.clock.advance(60);
    assert_revoked(&revoke(&server, &client, &issued.code).await);
    assert_opens(&server, living.text("access_token"), true).await;
}

async fn s17_what_is_not_the_clients_own_changes_nothing_and_is_answered_alike(server: Server) {
    let (client, other) = (server.client().await, server.client().await);
    let there = server.client_with(Environment::Production, |_| ()).await;
    let (living, id) = connect(&server, &client).await;
    let issued = issue(&server.staging, &client).await;
    let before = (row(&server, id).await, server.rows());
    let (access, refresh) = (living.text("access_token"), living.text("refresh_token"));
    let cut = &access[..access.len() - 1];
    let long = "x".repeat(4096);
    for token in [access, refresh, issued.code.as_str()] {
        assert_revoked(&revoke(&server, &other, token).await);
        // Another environment's client, at its own server.
        let call = about_token(&server.production, REVOKE, &there, token);
        assert_revoked(&call.send().await);
    }
    for token in [cut, "nonsense", "null", "gr_access_", "gr_refresh_", long.as_str()] {
        assert_revoked(&revoke(&server, &client, token).await);
    }
    let progress = server.staging.sealer.seal(grantor::seal::Kind::Progress, &id, 0);
    assert_revoked(&revoke(&server, &client, &progress).await);
    let nobody = RefreshSeal { grant_id: [9; 16], generation: 1, expires_at: i64::MAX };
    let nobody = server.staging.sealer.refresh(&nobody, server.clock.now());
    assert_revoked(&revoke(&server, &client, &nobody).await);
    assert_eq!((row(&server, id).await, server.rows()), before);
    assert_eq!(server.count("revoked_tokens"), 0);
    assert_opens(&server, access, true).await;
    assert_unspent(&server, &client, &issued).await;
}

async fn s17_a_client_without_a_secret_names_itself_and_ends_its_own_alone(server: Server) {
    let app = server.client_with(Environment::Staging, |client| client.secret = None).await;
    let other_app = server.client_with(Environment::Staging, |client| client.secret = None).await;
    let confidential = server.client().await;
    let of_confidential = tokens(&server, &confidential).await;
    let living = public_tokens(&server, &app).await;
    let (access, refresh) = (living.text("access_token"), living.text("refresh_token"));
    let site = &server.staging;

    assert_revoked(&public(refresh, &other_app, site).send().await);
    assert_opens(&server, access, true).await;
    let answer = Call::at(site, REVOKE).form(&[("token", refresh)]).send().await;
    answer.assert_error(401, "invalid_client", "The client did not say who it is");
    let answer = public(of_confidential.text("refresh_token"), &confidential, site).send().await;
    answer.assert_error(401, "invalid_client", "This client has a secret and has to prove it");
    assert_opens(&server, of_confidential.text("access_token"), true).await;
    assert_opens(&server, access, true).await;

    assert_revoked(&public(access, &app, site).send().await);
    assert_opens(&server, access, false).await;
    assert_revoked(&public(refresh, &app, site).send().await);
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", &app.id)];
    let answer = Call::to(site).form(&form).send().await;
    assert_eq!((answer.status, answer.text("error")), (400, "invalid_grant"), "{answer:?}");
}

async fn s14_s16_a_call_that_is_wrong_ends_nothing_and_says_what_is_wrong(server: Server) {
    let client = server.client().await;
    let (living, id) = connect(&server, &client).await;
    let before = row(&server, id).await;
    let refresh = living.text("refresh_token");
    let form = [("token", refresh)];
    let call = || Call::at(&server.staging, REVOKE);
    let wrong =
        TestClient { id: client.id.clone(), secret: "wrong".into(), redirect_uri: String::new() };
    let json = json!({ "token": refresh }).to_string();
    let in_body = [("token", refresh), ("client_secret", client.secret.as_str())];
    for (call, status, error, words) in [
        (call().basic(&wrong).form(&form), 401, "invalid_client", "The client secret is wrong"),
        (call().form(&form), 401, "invalid_client", "The client did not say who it is"),
        (call().basic(&client), 400, "invalid_request", "The parameter token is missing"),
        (call().basic(&client).query(&form), 400, "invalid_request", "token stands in the URL"),
        (
            call().basic(&client).query(&[("client_id", &client.id)]).form(&form),
            400,
            "invalid_request",
            "Parameters are not taken from the query here",
        ),
        (call().basic(&client).form(&[form[0], form[0]]), 400, "invalid_request", "token"),
        (call().basic(&client).form(&in_body), 400, "invalid_request", "in two ways at once"),
        (
            call().basic(&client).basic(&client).form(&form),
            400,
            "invalid_request",
            "in two ways at once",
        ),
        (
            call().basic(&client).body("application/json", json.as_bytes()),
            400,
            "invalid_request",
            "The body is JSON",
        ),
    ] {
        call.send().await.assert_error(status, error, words);
        assert_eq!(row(&server, id).await, before, "{words}");
    }
    for method in ["GET", "PUT", "DELETE", "NONSENSE"] {
        let answer = call().method(method).basic(&client).form(&form).send().await;
        answer.assert_error(405, "invalid_request", "Send a POST.");
        assert_eq!(answer.headers["allow"], "POST");
    }
    assert_eq!(row(&server, id).await, before);
    // A hint that is wrong or unknown costs nothing (RFC 7009 2.1).
    for hint in ["access_token", "nonsense"] {
        let (living, id) = connect(&server, &client).await;
        let form = [("token", living.text("refresh_token")), ("token_type_hint", hint)];
        assert_revoked(&call().basic(&client).form(&form).send().await);
        assert!(is_revoked(&server, id).await);
    }
}

#[tokio::test]
async fn s17_a_fault_of_the_store_is_503_and_never_a_false_200() {
    let server = Server::start().await;
    let client = server.client().await;
    let (living, id) = connect(&server, &client).await;
    let (access, refresh) = (living.text("access_token"), living.text("refresh_token"));
    for (breaks, mends) in [
        ("ALTER TABLE grants RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO grants"),
        (
            "ALTER TABLE revoked_tokens RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO revoked_tokens",
        ),
        ("ALTER TABLE clients RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO clients"),
        (
            "CREATE TRIGGER boom BEFORE UPDATE ON grants BEGIN SELECT RAISE(ABORT, 'boom'); END",
            "DROP TRIGGER boom",
        ),
        (
            "CREATE TRIGGER boom BEFORE INSERT ON revoked_tokens \
             BEGIN SELECT RAISE(ABORT, 'boom'); END",
            "DROP TRIGGER boom",
        ),
    ] {
        server.execute(breaks);
        let mut failed = 0;
        for token in [access, refresh] {
            // A trigger breaks one of the two writes, and the other is not called here.
            let skipped = if token == access { "UPDATE ON grants" } else { "ON revoked_tokens" };
            if breaks.contains(skipped) {
                continue;
            }
            let answer = revoke(&server, &client, token).await;
            answer.assert_error(503, "temporarily_unavailable", "cannot answer just now");
            assert_eq!(answer.headers["retry-after"], "2");
            failed += 1;
        }
        assert!(failed > 0);
        server.execute(mends);
        assert!(!is_revoked(&server, id).await);
        assert_opens(&server, access, true).await;
    }
}

async fn s17_a_genuine_token_ahead_of_its_row_is_ended_by_its_client_all_the_same(server: Server) {
    let client = server.client().await;
    let (living, id) = connect(&server, &client).await;
    let now = server.clock.now();
    let ahead = server.staging.sealer.access(&AccessSeal {
        grant_id: id,
        generation: 5,
        expires_at: now + 100,
        issued_at: now,
        token_id: [7; 8],
        scope: Scope::parse("orders-api").unwrap(),
        binding: grantor_protocol::grant::Binding::default(),
    });
    assert_revoked(&revoke(&server, &client, &ahead).await);
    assert_eq!(server.count("revoked_tokens"), 1);
    assert!(!is_revoked(&server, id).await);
    let ahead = RefreshSeal { grant_id: id, generation: 5, expires_at: now + 100 };
    let ahead = server.staging.sealer.refresh(&ahead, now);
    assert_revoked(&revoke(&server, &client, &ahead).await);
    assert!(is_revoked(&server, id).await);
    assert_opens(&server, living.text("access_token"), false).await;
}

async fn s17_after_the_200_of_a_revocation_no_refresh_and_no_introspection_succeeds(
    server: Server,
) {
    let server = Arc::new(server);
    let client = Arc::new(server.client().await);
    for _ in 0..8 {
        let (first, id) = connect(&server, &client).await;
        let refresh_token = Arc::new(first.text("refresh_token").to_owned());
        // Of sixteen two revoke, and the others refresh as fast as they can.
        let outcomes = race(16, |at| {
            let (server, client, token) =
                (Arc::clone(&server), Arc::clone(&client), Arc::clone(&refresh_token));
            async move {
                if at % 8 == 0 {
                    assert_revoked(&revoke(&server, &client, &token).await);
                    let late = server.refresh(&client, &token).await;
                    late.assert_error(400, "invalid_grant", "The connection was ended");
                    let said = introspect(&server, &client, &token).await;
                    assert_eq!(said.body, json!({ "active": false }));
                    return None;
                }
                let answer = server.refresh(&client, &token).await;
                (answer.status == 200).then(|| answer.body.clone())
            }
        })
        .await;
        assert!(is_revoked(&server, id).await);
        for body in outcomes.into_iter().flatten() {
            for member in ["access_token", "refresh_token"] {
                let token = body[member].as_str().unwrap();
                let said = introspect(&server, &client, token).await;
                assert_eq!(said.body, json!({ "active": false }), "{member} outlived its end");
            }
            assert_opens(&server, body["access_token"].as_str().unwrap(), false).await;
        }
    }
}

/// Of those that come together, PostgreSQL is asked for one alone: the others have to be told what
/// became of that one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s17_postgres_of_many_revocations_that_cannot_be_written_not_one_is_answered_200() {
    let server = Arc::new(Server::start_on_postgres().await);
    let client = Arc::new(server.client().await);
    let (living, id) = connect(&server, &client).await;
    let refresh_token = living.text("refresh_token");
    server.alter("ALTER TABLE grants ADD CONSTRAINT none_ends CHECK (revoked_at IS NULL)");
    let outcomes = race(24, |_| {
        let (server, client, token) =
            (Arc::clone(&server), Arc::clone(&client), refresh_token.to_owned());
        async move {
            let told = server.staging.store.revoke_grant(Environment::Staging, id, 1).await;
            assert!(told.is_err(), "told {told:?}, and nothing was written");
            revoke(&server, &client, &token).await
        }
    })
    .await;
    for answer in outcomes {
        answer.assert_error(503, "temporarily_unavailable", "cannot answer just now");
    }
    assert!(!is_revoked(&server, id).await);
    server.alter("ALTER TABLE grants DROP CONSTRAINT none_ends");
    assert_revoked(&revoke(&server, &client, refresh_token).await);
    assert!(is_revoked(&server, id).await);
}

#[tokio::test]
async fn d2_a_revocation_that_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let dev = Dev::start(&data, &[]).await;
    let (partner, url) = (dev.partner(), dev.authorize_url(""));
    let browser = partner.browser(&url).await;
    let mut connections = Vec::new();
    for _ in 0..3 {
        let code = partner.code(&browser, &url).await.unwrap();
        connections.push(partner.exchange(&code).await.unwrap());
    }
    let [ended, narrowed, kept] = &connections[..] else { panic!("{connections:?}") };
    assert_revoked(&partner.revoke(ended.text("refresh_token")).await.unwrap());
    assert_revoked(&partner.revoke(narrowed.text("access_token")).await.unwrap());
    dev.kill().await;

    let dev = Dev::start(&data, &[]).await;
    let partner = partner.moved_to(&dev);
    let refused = partner.refresh(ended.text("refresh_token")).await.unwrap();
    refused.assert_error(400, "invalid_grant", "The connection was ended");
    for (token, status) in [(ended, 401), (narrowed, 401), (kept, 200)] {
        assert_eq!(partner.api(token.text("access_token")).await, status);
        let said = partner.introspect(token.text("access_token")).await.unwrap();
        assert_eq!(said.body["active"], status == 200, "{said:?}");
    }
    assert_eq!(partner.refresh(narrowed.text("refresh_token")).await.unwrap().status, 200);
}

on_both_engines! {
    s17_a_refresh_token_of_any_generation_ends_the_connection_and_keeps_the_consent,
    s17_an_access_token_ends_alone_until_it_would_have_expired,
    s17_a_code_of_its_own_client_ends_its_grant_until_the_code_expires,
    s17_what_is_not_the_clients_own_changes_nothing_and_is_answered_alike,
    s17_a_client_without_a_secret_names_itself_and_ends_its_own_alone,
    s14_s16_a_call_that_is_wrong_ends_nothing_and_says_what_is_wrong,
    s17_a_genuine_token_ahead_of_its_row_is_ended_by_its_client_all_the_same,
    s17_after_the_200_of_a_revocation_no_refresh_and_no_introspection_succeeds,
}

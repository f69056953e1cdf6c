//! Refresh: one successor for all that ask in time, and an end for what comes too late.

use std::sync::Arc;

use grantor::site::Settings;
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::{Grant, GrantStatus};

use crate::calls::{Call, assert_opens, connect, issue, issue_with, public_tokens, row, tokens};
use crate::harness::{Answer, Server, TestClient};

const DAY: i64 = 24 * 3600;

fn generation(grant: &Grant) -> i64 {
    match grant.status {
        GrantStatus::Active(active) => active.generation,
        GrantStatus::Pending | GrantStatus::Revoked { .. } => panic!("{grant:?}"),
    }
}

async fn narrowed(
    server: &Server,
    client: &TestClient,
    refresh_token: &str,
    scope: &str,
) -> Answer {
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("scope", scope)];
    server.token(client, &form).await
}

async fn refresh_public(server: &Server, client: &TestClient, refresh_token: &str) -> Answer {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("client_id", client.id.as_str()),
    ];
    Call::to(&server.staging).form(&form).send().await
}

async fn s15_d11_thirty_two_parallel_refreshes_get_one_successor_and_end_nothing(server: Server) {
    let server = Arc::new(server);
    let client = server.client().await;
    let (first, id) = connect(&server, &client).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", first.text("refresh_token"))];
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..32 {
        calls.spawn(Call::to(&server.staging).basic(&client).form(&form).send());
    }
    let answers = calls.join_all().await;
    let successor = answers[0].text("refresh_token");
    assert_ne!(successor, first.text("refresh_token"));
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.text("refresh_token"), successor);
        assert_opens(&server, answer.text("access_token"), true).await;
    }
    assert_eq!(generation(&row(&server, id).await), 2);
    assert_eq!(server.refresh(&client, successor).await.status, 200);
    assert_eq!(generation(&row(&server, id).await), 3);
    assert_opens(&server, first.text("access_token"), true).await;
}

async fn s15_d11_a_lost_response_is_had_again_inside_the_window_which_never_slides(server: Server) {
    let client = server.client().await;
    let (first, id) = connect(&server, &client).await;
    let lost = server.refresh(&client, first.text("refresh_token")).await;
    for seconds in [0, 30, 29] {
        server.clock.advance(seconds);
        let again = server.refresh(&client, first.text("refresh_token")).await;
        assert_eq!(again.status, 200, "{again:?}");
        assert_eq!(again.text("refresh_token"), lost.text("refresh_token"));
        assert_opens(&server, again.text("access_token"), true).await;
    }
    let before = row(&server, id).await;
    assert_eq!(generation(&before), 2);
    server.clock.advance(1);
    let answer = server.refresh(&client, first.text("refresh_token")).await;
    let words = "This refresh token was used before, 60 seconds ago, and a newer one replaced it.";
    answer.assert_error(400, "invalid_grant", words);
    assert!(matches!(row(&server, id).await.status, GrantStatus::Revoked { .. }));
    assert_opens(&server, lost.text("access_token"), false).await;
    let answer = server.refresh(&client, lost.text("refresh_token")).await;
    answer.assert_error(400, "invalid_grant", "The connection was ended");
}

async fn s15_reuse_of_a_token_whose_successor_was_used_ends_the_family_at_once(server: Server) {
    let client = server.client().await;
    let (first, id) = connect(&server, &client).await;
    let second = server.refresh(&client, first.text("refresh_token")).await;
    let third = server.refresh(&client, second.text("refresh_token")).await;
    assert_eq!(third.status, 200, "{third:?}");
    let answer = server.refresh(&client, first.text("refresh_token")).await;
    answer.assert_error(400, "invalid_grant", "This refresh token was used before, and a newer");
    assert!(matches!(row(&server, id).await.status, GrantStatus::Revoked { .. }));
    assert_opens(&server, third.text("access_token"), false).await;
}

async fn s15_reuse_by_somebody_who_does_not_prove_the_client_changes_nothing(server: Server) {
    let (client, other) = (server.client().await, server.client().await);
    let (first, id) = connect(&server, &client).await;
    let second = server.refresh(&client, first.text("refresh_token")).await;
    let third = server.refresh(&client, second.text("refresh_token")).await;
    let before = row(&server, id).await;
    let refresh_token = first.text("refresh_token");
    let wrong =
        TestClient { id: client.id.clone(), secret: "wrong".into(), redirect_uri: String::new() };
    let answer = server.refresh(&wrong, refresh_token).await;
    answer.assert_error(401, "invalid_client", "The client secret is wrong");
    let answer = refresh_public(&server, &client, refresh_token).await;
    answer.assert_error(401, "invalid_client", "This client has a secret and has to prove it");
    let answer = server.refresh(&other, refresh_token).await;
    answer.assert_error(400, "invalid_grant", "This refresh token was issued to another client.");
    assert_eq!(row(&server, id).await, before);
    assert_eq!(server.refresh(&client, third.text("refresh_token")).await.status, 200);
}

async fn s15_the_window_is_a_setting_of_the_client_and_ten_seconds_for_a_public_one(
    server: Server,
) {
    let change = |new: &mut grantor::store::NewClient| {
        new.settings.refresh_window_seconds = Some(3);
    };
    let narrow = server.client_with(Environment::Staging, change).await;
    for (seconds, status) in [(2, 200), (3, 400)] {
        let (first, _) = connect(&server, &narrow).await;
        assert_eq!(server.refresh(&narrow, first.text("refresh_token")).await.status, 200);
        server.clock.advance(seconds);
        let again = server.refresh(&narrow, first.text("refresh_token")).await;
        assert_eq!(again.status, status, "{again:?}");
    }
    let public = server.client_with(Environment::Staging, |new| new.secret = None).await;
    for (seconds, status) in [(9, 200), (10, 400)] {
        let first = public_tokens(&server, &public).await;
        let token = first.text("refresh_token");
        let second = refresh_public(&server, &public, token).await;
        assert_eq!(second.status, 200, "{second:?}");
        server.clock.advance(seconds);
        let again = refresh_public(&server, &public, token).await;
        assert_eq!(again.status, status, "{again:?}");
        if status == 400 {
            let words = "The refresh token is not valid for this client.";
            again.assert_error(400, "invalid_grant", words);
        }
        assert_opens(&server, second.text("access_token"), status == 200).await;
    }
}

async fn s15_a_public_client_that_repeats_in_three_generations_running_has_a_double(
    server: Server,
) {
    let public = server.client_with(Environment::Staging, |new| new.secret = None).await;
    // A generation without a repeat in between begins the count anew.
    for (pauses, ends) in [([false, false], true), ([false, true], false)] {
        let mut newest = public_tokens(&server, &public).await;
        for (at, pause) in [false, pauses[0], pauses[1], false].into_iter().enumerate() {
            let token = newest.text("refresh_token").to_owned();
            newest = refresh_public(&server, &public, &token).await;
            assert_eq!(newest.status, 200, "{newest:?}");
            if pause {
                continue;
            }
            let again = refresh_public(&server, &public, &token).await;
            if ends && at == 2 {
                again.assert_error(400, "invalid_grant", "not valid for this client");
                break;
            }
            assert_eq!(again.text("refresh_token"), newest.text("refresh_token"), "{again:?}");
        }
        assert_opens(&server, newest.text("access_token"), !ends).await;
    }
    let client = server.client().await;
    let (mut newest, _) = connect(&server, &client).await;
    for _ in 0..5 {
        let token = newest.text("refresh_token").to_owned();
        newest = server.refresh(&client, &token).await;
        assert_eq!(server.refresh(&client, &token).await.status, 200);
    }
    assert_opens(&server, newest.text("access_token"), true).await;
}

async fn s15_a_narrower_scope_is_this_access_tokens_alone_and_the_refresh_token_stays_whole(
    server: Server,
) {
    let client = server.client().await;
    let (first, id) = connect(&server, &client).await;
    let narrow = narrowed(&server, &client, first.text("refresh_token"), "orders-api").await;
    assert_eq!((narrow.status, narrow.text("scope")), (200, "orders-api"), "{narrow:?}");
    let refused = server.api("/f/data/businesses", narrow.text("access_token")).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let orders = server.api("/o/op/data/businesses", narrow.text("access_token")).await;
    assert_eq!(orders.status, 200, "{orders:?}");
    // The repeat of the same turn, for another scope, brings the same refresh token.
    let repeat = narrowed(&server, &client, first.text("refresh_token"), "financial-api").await;
    assert_eq!(repeat.text("refresh_token"), narrow.text("refresh_token"));
    assert_eq!(repeat.text("scope"), "financial-api");
    let whole = server.refresh(&client, narrow.text("refresh_token")).await;
    assert_eq!(whole.text("scope"), "financial-api orders-api", "{whole:?}");
    assert_opens(&server, whole.text("access_token"), true).await;
    assert_eq!(generation(&row(&server, id).await), 3);
}

async fn s15_a_scope_never_grows_and_asking_for_more_spends_nothing(server: Server) {
    let client = server.client().await;
    let issued = issue_with(&server.staging, &client, |grant| {
        grant.scope = grantor_protocol::scope::Scope::parse("financial-api").unwrap();
    })
    .await;
    let first = server.exchange(&client, &issued.code).await;
    let before = row(&server, issued.grant_id).await;
    for (scope, words) in [
        ("orders-api", "'orders-api' is not part of what the customer allowed"),
        ("financial-api orders-api", "'orders-api' is not part of what the customer allowed"),
        ("financial_api", "Did you mean 'financial-api'?"),
        ("financial-api,orders-api", "joined by commas"),
        ("caf\u{e9}", "a character that no scope may have"),
    ] {
        let answer = narrowed(&server, &client, first.text("refresh_token"), scope).await;
        answer.assert_error(400, "invalid_scope", words);
    }
    assert_eq!(row(&server, issued.grant_id).await, before);
    let next = server.refresh(&client, first.text("refresh_token")).await;
    assert_eq!((next.status, next.text("scope")), (200, "financial-api"));
    // Nor does it in a repeat.
    let answer = narrowed(&server, &client, first.text("refresh_token"), "orders-api").await;
    answer.assert_error(400, "invalid_scope", "not part of what the customer allowed");
    assert_opens(&server, next.text("access_token"), true).await;
}

#[tokio::test]
async fn s15_the_absolute_lifetime_holds_however_often_it_is_refreshed() {
    let settings = Settings { grant_ttl_seconds: Some(4000), ..Settings::default() };
    let server = Server::start_with(settings, true).await;
    let client = server.client().await;
    let (mut newest, _) = connect(&server, &client).await;
    assert_eq!(newest.body["expires_in"], 3600);
    for expires_in in [2500, 1000] {
        server.clock.advance(1500);
        newest = server.refresh(&client, newest.text("refresh_token")).await;
        assert_eq!(newest.body["expires_in"], expires_in, "{newest:?}");
    }
    server.clock.advance(999);
    assert_opens(&server, newest.text("access_token"), true).await;
    server.clock.advance(1);
    assert_opens(&server, newest.text("access_token"), false).await;
    let answer = server.refresh(&client, newest.text("refresh_token")).await;
    answer.assert_error(400, "invalid_grant", "The refresh token expired 0 seconds ago");
}

async fn s15_a_refresh_token_ends_after_fourteen_days_unused_and_each_use_begins_them_anew(
    server: Server,
) {
    let client = server.client().await;
    let (mut newest, _) = connect(&server, &client).await;
    for _ in 0..3 {
        server.clock.advance(14 * DAY - 1);
        newest = server.refresh(&client, newest.text("refresh_token")).await;
        assert_eq!(newest.status, 200, "{newest:?}");
    }
    server.clock.advance(14 * DAY);
    let answer = server.refresh(&client, newest.text("refresh_token")).await;
    answer.assert_error(400, "invalid_grant", "The refresh token expired 0 seconds ago");
    server.clock.advance(5);
    let answer = server.refresh(&client, newest.text("refresh_token")).await;
    answer.assert_error(400, "invalid_grant", "expired 5 seconds ago, because it was not used");
}

async fn s15_no_refresh_token_comes_where_the_clients_setting_says_no(server: Server) {
    let change = |new: &mut grantor::store::NewClient| new.settings.refresh_tokens = false;
    let client = server.client_with(Environment::Staging, change).await;
    let (answer, _) = connect(&server, &client).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.get("refresh_token").is_none(), "{answer:?}");
    server.clock.advance(3599);
    assert_opens(&server, answer.text("access_token"), true).await;
    server.clock.advance(1);
    assert_opens(&server, answer.text("access_token"), false).await;
}

async fn u7_what_is_no_refresh_token_is_named_to_a_client_that_proved_itself(server: Server) {
    let client = server.client().await;
    let (first, id) = connect(&server, &client).await;
    let code = issue(&server.staging, &client).await.code;
    let cut = &first.text("refresh_token")[1..];
    for (token, words) in [
        (first.text("access_token"), "This is a code or an access token, and no refresh token."),
        (code.as_str(), "This is a code or an access token, and no refresh token."),
        (cut, "This is not a refresh token of this server."),
        ("nonsense", "This is not a refresh token of this server."),
        (&"x".repeat(4000), "This is not a refresh token of this server."),
    ] {
        server.refresh(&client, token).await.assert_error(400, "invalid_grant", words);
    }
    assert_eq!(generation(&row(&server, id).await), 1);
    server.execute("DELETE FROM grants WHERE generation > 0");
    let answer = server.refresh(&client, first.text("refresh_token")).await;
    answer.assert_error(400, "invalid_grant", "This connection is no longer known.");
}

async fn d10_a_clock_that_goes_back_ends_no_family_and_lets_no_access_token_live_on(
    server: Server,
) {
    let client = server.client().await;
    let (first, id) = connect(&server, &client).await;
    let second = server.refresh(&client, first.text("refresh_token")).await;
    server.clock.advance(-3600);
    // Sealed an hour ahead of now: not valid early.
    assert_opens(&server, second.text("access_token"), false).await;
    let before = row(&server, id).await;
    let answer = server.refresh(&client, first.text("refresh_token")).await;
    answer.assert_error(400, "invalid_grant", "was used a moment ago. Use the newest one.");
    assert_eq!(row(&server, id).await, before);
    // The newest goes on, and its tokens are of the time that is now.
    let third = server.refresh(&client, second.text("refresh_token")).await;
    assert_eq!(third.status, 200, "{third:?}");
    assert_opens(&server, third.text("access_token"), true).await;
    server.clock.advance(3600);
    assert_opens(&server, second.text("access_token"), true).await;
    assert_opens(&server, third.text("access_token"), false).await;
    server.clock.advance(3600);
    assert_opens(&server, second.text("access_token"), false).await;
}

async fn s15_a_genuine_token_ahead_of_its_row_is_refused_and_ends_nothing(server: Server) {
    let client = server.client().await;
    let (first, id) = connect(&server, &client).await;
    let second = server.refresh(&client, first.text("refresh_token")).await;
    // What a restored copy of the database looks like.
    server.execute("UPDATE grants SET generation = 1");
    let answer = server.refresh(&client, second.text("refresh_token")).await;
    answer.assert_error(400, "invalid_grant", "does not know this refresh token any more");
    assert_opens(&server, second.text("access_token"), false).await;
    assert_opens(&server, first.text("access_token"), true).await;
    assert_eq!(generation(&row(&server, id).await), 1);
}

async fn d11_tokens_of_one_connection_outlive_another_connection_of_the_same_client(
    server: Server,
) {
    let client = server.client().await;
    let (one, id) = connect(&server, &client).await;
    let other = tokens(&server, &client).await;
    server.staging.store.revoke_grant(Environment::Staging, id, server.clock.now()).await.unwrap();
    assert_opens(&server, one.text("access_token"), false).await;
    let answer = server.refresh(&client, one.text("refresh_token")).await;
    answer.assert_error(400, "invalid_grant", "The connection was ended");
    assert_opens(&server, other.text("access_token"), true).await;
    assert_eq!(server.refresh(&client, other.text("refresh_token")).await.status, 200);
}

on_both_engines! {
    s15_d11_thirty_two_parallel_refreshes_get_one_successor_and_end_nothing,
    s15_d11_a_lost_response_is_had_again_inside_the_window_which_never_slides,
    s15_reuse_of_a_token_whose_successor_was_used_ends_the_family_at_once,
    s15_reuse_by_somebody_who_does_not_prove_the_client_changes_nothing,
    s15_the_window_is_a_setting_of_the_client_and_ten_seconds_for_a_public_one,
    s15_a_public_client_that_repeats_in_three_generations_running_has_a_double,
    s15_a_narrower_scope_is_this_access_tokens_alone_and_the_refresh_token_stays_whole,
    s15_a_scope_never_grows_and_asking_for_more_spends_nothing,
    s15_a_refresh_token_ends_after_fourteen_days_unused_and_each_use_begins_them_anew,
    s15_no_refresh_token_comes_where_the_clients_setting_says_no,
    u7_what_is_no_refresh_token_is_named_to_a_client_that_proved_itself,
    d10_a_clock_that_goes_back_ends_no_family_and_lets_no_access_token_live_on,
    s15_a_genuine_token_ahead_of_its_row_is_refused_and_ends_nothing,
    d11_tokens_of_one_connection_outlive_another_connection_of_the_same_client,
}

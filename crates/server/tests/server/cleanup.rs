//! Expired rows go, in small steps, and nothing that lives or may still be asked about.

use std::time::Duration;

use grantor::cleanup::{Walked, walk};
use grantor::store::{Expiring, NewSession, Step};
use grantor_protocol::environment::Environment;

use crate::calls::{connect, introspect, issue, revoke, tokens};
use crate::harness::{START, Server};

const DAY: i64 = 24 * 3600;
/// By how far clocks may differ.
const SKEW: i64 = 60;

async fn clean(server: &Server) -> Walked {
    // Steps of two rows: a walk takes several.
    walk(&server.staging, 2, Duration::ZERO).await.unwrap()
}

async fn u7_a_grant_stays_for_a_day_after_its_end_and_then_goes(server: Server) {
    let client = server.client().await;
    for _ in 0..5 {
        issue(&server.staging, &client).await;
    }
    let ended = tokens(&server, &client).await;
    let idle = server.staging.settings.refresh_token_idle_seconds;
    let code = server.staging.settings.code_ttl_seconds;
    assert!(code < idle);

    server.clock.advance(code + DAY + SKEW - 1);
    assert_eq!(clean(&server).await, Walked::default());
    server.clock.advance(1);
    assert_eq!(clean(&server).await, Walked { grants: 5, ..Walked::default() });
    assert_eq!(server.count("grants"), 1);

    // Whoever comes too late is told so, as long as the row is there.
    server.clock.advance(idle - code - DAY - SKEW + 10);
    let late = server.refresh(&client, ended.text("refresh_token")).await;
    late.assert_error(400, "invalid_grant", "expired 10 seconds ago");
    server.clock.advance(DAY + SKEW - 11);
    assert_eq!(clean(&server).await, Walked::default());
    server.clock.advance(1);
    assert_eq!(clean(&server).await, Walked { grants: 1, ..Walked::default() });
    let late = server.refresh(&client, ended.text("refresh_token")).await;
    assert_eq!((late.status, late.text("error")), (400, "invalid_grant"));
}

async fn s15_a_grant_that_is_refreshed_never_goes_and_a_revoked_one_not_before_its_time(
    server: Server,
) {
    let client = server.client().await;
    let (mut living, _) = connect(&server, &client).await;
    let (ended, _) = connect(&server, &client).await;
    let idle = server.staging.settings.refresh_token_idle_seconds;
    revoke(&server, &client, ended.text("refresh_token")).await;
    for _ in 0..3 {
        server.clock.advance(idle - 100);
        living = server.refresh(&client, living.text("refresh_token")).await;
        assert_eq!(living.status, 200);
        if server.clock.now() < START + idle {
            assert_eq!(clean(&server).await, Walked::default());
            let answer = server.refresh(&client, ended.text("refresh_token")).await;
            answer.assert_error(400, "invalid_grant", "The connection was ended");
        }
    }
    assert_eq!(clean(&server).await, Walked { grants: 1, ..Walked::default() });
    assert_eq!(server.refresh(&client, living.text("refresh_token")).await.status, 200);
}

async fn s17_a_revoked_access_token_is_forgotten_a_day_after_it_would_have_expired(server: Server) {
    let client = server.client().await;
    let (living, _) = connect(&server, &client).await;
    revoke(&server, &client, living.text("access_token")).await;
    server.clock.advance(3600 + DAY + SKEW - 1);
    assert_eq!(clean(&server).await, Walked::default());
    server.clock.advance(1);
    assert_eq!(clean(&server).await, Walked { revoked_tokens: 1, ..Walked::default() });
    // It does not come back to life.
    let answer = introspect(&server, &client, living.text("access_token")).await;
    assert_eq!(answer.body["active"], false);
    assert_eq!(server.refresh(&client, living.text("refresh_token")).await.status, 200);
}

async fn s17_d10_a_clock_that_ran_ahead_and_was_put_right_brings_no_revoked_access_token_back(
    server: Server,
) {
    let client = server.client().await;
    let (revoked, _) = connect(&server, &client).await;
    let (living, _) = connect(&server, &client).await;
    revoke(&server, &client, revoked.text("access_token")).await;
    server.clock.advance(DAY);
    clean(&server).await;
    server.clock.advance(-DAY);
    let answer = introspect(&server, &client, revoked.text("access_token")).await;
    assert_eq!(answer.body["active"], false);
    let answer = introspect(&server, &client, living.text("access_token")).await;
    assert_eq!(answer.body["active"], true);
}

async fn s24_sessions_that_expired_go_and_the_others_stay(server: Server) {
    let store = &server.staging.store;
    let customer = store
        .credentials(Environment::Staging, grantor::demo::CUSTOMER_EMAIL)
        .await
        .unwrap()
        .unwrap();
    for at in 0..7 {
        let session = NewSession {
            environment: Environment::Staging,
            id_digest: [at; 32],
            customer_id: customer.customer_id,
            customer_counter: customer.counter,
            epoch: 1,
            signed_in_at: START,
            expires_at: START + i64::from(at),
        };
        assert!(store.begin_session(&session, None).await.unwrap());
    }
    server.clock.advance(SKEW + 3);
    assert_eq!(clean(&server).await, Walked { sessions: 4, ..Walked::default() });
    assert_eq!(server.count("sessions"), 3);
}

async fn a_step_looks_at_so_many_rows_and_says_where_the_next_begins(server: Server) {
    let client = server.client().await;
    for _ in 0..5 {
        issue(&server.staging, &client).await;
    }
    let before = START + 1_000_000;
    let mut after = Vec::new();
    let mut steps = Vec::new();
    loop {
        let table = Expiring::Grants;
        let environment = Environment::Staging;
        let step = Step { environment, table, after: &after, before, rows: 2 };
        let removed = server.staging.store.remove_expired(&step).await.unwrap();
        steps.push((removed.rows, server.count("grants")));
        match removed.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(steps, [(2, 3), (2, 1), (1, 0)]);
}

async fn two_walks_at_once_harm_nobody(server: Server) {
    let client = server.client().await;
    for _ in 0..30 {
        issue(&server.staging, &client).await;
    }
    server.clock.advance(DAY + SKEW + server.staging.settings.code_ttl_seconds);
    let living = tokens(&server, &client).await;
    let walks = tokio::join!(clean(&server), clean(&server), clean(&server));
    assert!(walks.0.grants >= 1 && walks.0.grants <= 30, "{walks:?}");
    assert_eq!(server.count("grants"), 1);
    assert_eq!(server.refresh(&client, living.text("refresh_token")).await.status, 200);
}

on_both_engines! {
    u7_a_grant_stays_for_a_day_after_its_end_and_then_goes,
    s15_a_grant_that_is_refreshed_never_goes_and_a_revoked_one_not_before_its_time,
    s17_a_revoked_access_token_is_forgotten_a_day_after_it_would_have_expired,
    s17_d10_a_clock_that_ran_ahead_and_was_put_right_brings_no_revoked_access_token_back,
    s24_sessions_that_expired_go_and_the_others_stay,
    a_step_looks_at_so_many_rows_and_says_where_the_next_begins,
    two_walks_at_once_harm_nobody,
}

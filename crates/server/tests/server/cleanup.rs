//! Expired rows go, in small steps, and nothing that lives or may still be asked about.

use std::sync::Arc;
use std::time::Duration;

use grantor::cleanup::{Walked, walk};
use grantor::seal::RefreshSeal;
use grantor::store::{Expiring, NewSession, Step};
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::GrantStatus;
use serde_json::json;

use crate::calls::{assert_opens, connect, introspect, issue, revoke, row, tokens};
use crate::harness::{START, Server};
use crate::metrics::Metrics;
use crate::store::race;

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
            password_hash: customer.password_hash.clone(),
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

async fn a_step_goes_between_the_revoked_tokens_of_one_grant_too(server: Server) {
    let store = &server.staging.store;
    for at in 0..9 {
        let (grant, until) = ([at / 8; 16], START + if at == 3 { DAY } else { 0 });
        let environment = Environment::Staging;
        store.revoke_access_token(environment, grant, [at; 8], until).await.unwrap();
    }
    let (mut after, mut steps) = (Vec::new(), Vec::new());
    loop {
        let (environment, table) = (Environment::Staging, Expiring::RevokedTokens);
        let step = Step { environment, table, after: &after, before: START, rows: 2 };
        let removed = store.remove_expired(&step).await.unwrap();
        steps.push((removed.rows, server.count("revoked_tokens")));
        match removed.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(steps, [(2, 7), (1, 6), (2, 4), (2, 2), (1, 1)]);
}

async fn s10_a_code_that_is_replayed_and_a_token_that_is_reused_end_a_grant_behind_a_walk(
    server: Server,
) {
    let client = server.client().await;
    let revoked_at = |at| GrantStatus::Revoked { at };
    let issued = issue(&server.staging, &client).await;
    assert_eq!(server.exchange(&client, &issued.code).await.status, 200);
    server.clock.advance(59);
    clean(&server).await;
    let answer = server.exchange(&client, &issued.code).await;
    assert_eq!((answer.status, answer.text("error")), (400, "invalid_grant"), "{answer:?}");
    assert_eq!(row(&server, issued.grant_id).await.status, revoked_at(START + 59));

    let (first, id) = connect(&server, &client).await;
    assert_eq!(server.refresh(&client, first.text("refresh_token")).await.status, 200);
    server.clock.advance(13 * DAY);
    clean(&server).await;
    let answer = server.refresh(&client, first.text("refresh_token")).await;
    assert_eq!((answer.status, answer.text("error")), (400, "invalid_grant"), "{answer:?}");
    assert_eq!(row(&server, id).await.status, revoked_at(START + 59 + 13 * DAY));
}

async fn d10_a_row_that_went_back_in_time_raises_the_alarm_behind_a_walk(server: Server) {
    let client = server.client().await;
    let (_, grant_id) = connect(&server, &client).await;
    let idle = server.staging.settings.refresh_token_idle_seconds;
    let metrics = Metrics::of(&server);
    let alarms =
        "grantor_token_events_total{environment=\"staging\",event=\"refresh.ahead_of_row\"}";
    // The row is of an older copy, and ended in the meantime.
    server.clock.advance(idle + DAY);
    clean(&server).await;
    assert_eq!(metrics.value(alarms).await.to_string(), "0");
    let seal = RefreshSeal { grant_id, generation: 7, expires_at: START + 2 * idle };
    let newer = server.staging.sealer.refresh(&seal, START + idle);
    let answer = server.refresh(&client, &newer).await;
    assert_eq!((answer.status, answer.text("error")), (400, "invalid_grant"), "{answer:?}");
    assert_eq!(metrics.value(alarms).await.to_string(), "1");
}

async fn s17_without_its_row_a_token_is_none_that_we_know(server: Server) {
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let living = server.exchange(&client, &issued.code).await;
    server.execute("DELETE FROM grants");
    for member in ["access_token", "refresh_token"] {
        let said = introspect(&server, &client, living.text(member)).await;
        assert_eq!((said.status, said.body), (200, json!({ "active": false })), "{member}");
        assert_eq!(revoke(&server, &client, living.text(member)).await.status, 200);
    }
    assert_opens(&server, living.text("access_token"), false).await;
    for answer in [
        server.refresh(&client, living.text("refresh_token")).await,
        server.exchange(&client, &issued.code).await,
    ] {
        assert_eq!((answer.status, answer.text("error")), (400, "invalid_grant"), "{answer:?}");
    }
}

async fn d6_sixteen_walks_and_the_refreshes_beside_them_do_not_harm_one_another(server: Server) {
    let server = Arc::new(server);
    let client = Arc::new(server.client().await);
    for _ in 0..60 {
        issue(&server.staging, &client).await;
    }
    server.clock.advance(DAY + SKEW + server.staging.settings.code_ttl_seconds);
    let mut living = Vec::new();
    for _ in 0..8 {
        living.push(tokens(&server, &client).await.text("refresh_token").to_owned());
    }
    race(24, |at| {
        let (server, client) = (Arc::clone(&server), Arc::clone(&client));
        let token = living[at / 3].clone();
        async move {
            if at % 3 > 0 {
                clean(&server).await;
                return;
            }
            let answer = server.refresh(&client, &token).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_opens(&server, answer.text("access_token"), true).await;
        }
    })
    .await;
    assert_eq!(server.count("grants"), 8);
}

on_both_engines! {
    a_step_goes_between_the_revoked_tokens_of_one_grant_too,
    s10_a_code_that_is_replayed_and_a_token_that_is_reused_end_a_grant_behind_a_walk,
    d10_a_row_that_went_back_in_time_raises_the_alarm_behind_a_walk,
    s17_without_its_row_a_token_is_none_that_we_know,
    d6_sixteen_walks_and_the_refreshes_beside_them_do_not_harm_one_another,
    u7_a_grant_stays_for_a_day_after_its_end_and_then_goes,
    s15_a_grant_that_is_refreshed_never_goes_and_a_revoked_one_not_before_its_time,
    s17_a_revoked_access_token_is_forgotten_a_day_after_it_would_have_expired,
    s17_d10_a_clock_that_ran_ahead_and_was_put_right_brings_no_revoked_access_token_back,
    s24_sessions_that_expired_go_and_the_others_stay,
    a_step_looks_at_so_many_rows_and_says_where_the_next_begins,
    two_walks_at_once_harm_nobody,
}

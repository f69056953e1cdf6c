//! The clean-up of rows whose time is over: what goes, what stays, and how.

use std::collections::BTreeSet;
use std::sync::Arc;

use grantor::demo;
use grantor::seal::RefreshSeal;
use grantor::store::{NewSession, Store, Swept, Walk};
use grantor_protocol::environment::Environment;
use serde_json::json;

use crate::calls::{Issued, assert_opens, introspect, issue, issue_with, revoke, row, tokens};
use crate::harness::{START, Server, TestClient};
use crate::metrics::Metrics;
use crate::program::Dev;
use crate::store::race;

const HERE: Environment = Environment::Staging;
const DAY: i64 = 24 * 3600;
/// How long a grant stays after its end.
const KEPT: i64 = 2 * DAY;
/// How long a session and the mark of a revoked token do.
const SKEW: i64 = 60;

/// Walks once through everything, and gives the steps.
async fn walk(store: &Store, environment: Environment, rows: i64, now: i64) -> Vec<Swept> {
    let mut walk = Walk::in_steps(environment, rows);
    let mut steps = Vec::new();
    loop {
        let swept = store.clean_up(&mut walk, now).await.unwrap();
        steps.push(swept);
        if swept.finished {
            return steps;
        }
    }
}

/// Walks once through both environments as the server does, and gives how many rows went.
async fn clean_up(server: &Server) -> usize {
    let mut expired = 0;
    for environment in Environment::ALL {
        let steps = walk(&server.staging.store, environment, 500, server.clock.now()).await;
        expired += steps.iter().map(|step| step.expired).sum::<usize>();
    }
    expired
}

async fn connect(server: &Server, client: &TestClient) -> Issued {
    let issued = issue(&server.staging, client).await;
    assert_eq!(server.exchange(client, &issued.code).await.status, 200);
    issued
}

async fn exists(server: &Server, id: [u8; 16]) -> bool {
    server.staging.store.grant(HERE, id).await.unwrap().is_some()
}

async fn begin_session(server: &Server, digest: u8, expires_at: i64) {
    let store = &server.staging.store;
    let customer = store.credentials(HERE, demo::CUSTOMER_EMAIL).await.unwrap().unwrap();
    let session = NewSession {
        environment: HERE,
        id_digest: [digest; 32],
        customer_id: customer.customer_id,
        customer_counter: customer.counter,
        epoch: 1,
        signed_in_at: START,
        expires_at,
    };
    assert!(store.begin_session(&session, None).await.unwrap());
}

async fn a_grant_goes_when_the_last_of_its_tokens_is_over_and_its_time_of_keeping_too(
    server: Server,
) {
    let client = server.client().await;
    let idle = server.staging.settings.refresh_token_idle_seconds;
    let code_ttl = server.staging.settings.code_ttl_seconds;
    let pending = issue(&server.staging, &client).await.grant_id;
    let with_end =
        issue_with(&server.staging, &client, |grant| grant.ends_at = Some(START + 7200)).await;
    assert_eq!(server.exchange(&client, &with_end.code).await.status, 200);
    let active = connect(&server, &client).await.grant_id;
    let there = server.client_with(Environment::Production, |_| ()).await;
    let elsewhere = issue(&server.production, &there).await.grant_id;
    let consents = server.count("consents");
    let living = async |ids: &[[u8; 16]]| {
        let mut living = 0;
        for id in ids {
            living += usize::from(exists(&server, *id).await);
        }
        living
    };
    let all = [pending, with_end.grant_id, active];
    for (end, after) in [(code_ttl, 2), (7200, 1), (idle, 0)] {
        // To the second: at the end of its time of keeping it stays, one later it goes.
        server.clock.advance(START + end + KEPT - server.clock.now());
        clean_up(&server).await;
        assert_eq!(living(&all).await, after + 1, "{end}");
        server.clock.advance(1);
        clean_up(&server).await;
        assert_eq!(living(&all).await, after, "{end}");
    }
    assert!(
        server.production.store.grant(Environment::Production, elsewhere).await.unwrap().is_none()
    );
    assert_eq!((server.count("grants"), server.count("consents")), (0, consents));
    assert_eq!(clean_up(&server).await, 0);
}

async fn a_connection_that_is_used_never_goes_however_old_it_is(server: Server) {
    let client = server.client().await;
    let mut newest = tokens(&server, &client).await;
    for _ in 0..5 {
        server.clock.advance(13 * DAY);
        newest = server.refresh(&client, newest.text("refresh_token")).await;
        assert_eq!(newest.status, 200, "{newest:?}");
        assert_eq!(clean_up(&server).await, 0);
    }
    assert_opens(&server, newest.text("access_token"), true).await;
}

async fn s17_what_was_ended_stays_as_long_as_any_token_of_it_and_says_no_all_that_time(
    server: Server,
) {
    let client = server.client().await;
    let idle = server.staging.settings.refresh_token_idle_seconds;
    for ending in ["grant", "client"] {
        let (begin, issued) = (server.clock.now(), issue(&server.staging, &client).await);
        let living = server.exchange(&client, &issued.code).await;
        let refresh_token = living.text("refresh_token");
        match ending {
            "grant" => assert_eq!(revoke(&server, &client, refresh_token).await.status, 200),
            _ => {
                assert!(server.staging.store.end_grants_of_client(HERE, &client.id).await.unwrap())
            }
        }
        for at in [0, 3599, idle - 1, idle, idle + KEPT] {
            server.clock.advance(begin + at - server.clock.now());
            clean_up(&server).await;
            assert!(exists(&server, issued.grant_id).await, "{ending} {at}");
            let answer = server.refresh(&client, refresh_token).await;
            answer.assert_error(400, "invalid_grant", "The connection was ended");
        }
        server.clock.advance(1);
        clean_up(&server).await;
        assert_eq!(server.count("grants"), 0);
        // Without its row a token is none that we know, and opens as little.
        for member in ["access_token", "refresh_token"] {
            let said = introspect(&server, &client, living.text(member)).await;
            assert_eq!(said.body, json!({ "active": false }));
            assert_eq!(revoke(&server, &client, living.text(member)).await.status, 200);
        }
        assert_opens(&server, living.text("access_token"), false).await;
        let answer = server.refresh(&client, refresh_token).await;
        assert_eq!((answer.status, answer.text("error")), (400, "invalid_grant"), "{answer:?}");
        let answer = server.exchange(&client, &issued.code).await;
        assert_eq!((answer.status, answer.text("error")), (400, "invalid_grant"), "{answer:?}");
    }
}

async fn s10_the_replay_of_a_code_and_the_reuse_of_a_refresh_token_end_a_grant_behind_a_clean_up(
    server: Server,
) {
    let client = server.client().await;
    let issued = connect(&server, &client).await;
    server.clock.advance(59);
    clean_up(&server).await;
    let answer = server.exchange(&client, &issued.code).await;
    assert_eq!((answer.status, answer.text("error")), (400, "invalid_grant"), "{answer:?}");
    let revoked_at = |at| grantor_protocol::grant::GrantStatus::Revoked { at };
    assert_eq!(row(&server, issued.grant_id).await.status, revoked_at(START + 59));

    let issued = issue(&server.staging, &client).await;
    let first = server.exchange(&client, &issued.code).await;
    assert_eq!(server.refresh(&client, first.text("refresh_token")).await.status, 200);
    server.clock.advance(13 * DAY);
    clean_up(&server).await;
    assert_eq!(server.refresh(&client, first.text("refresh_token")).await.status, 400);
    assert_eq!(row(&server, issued.grant_id).await.status, revoked_at(START + 59 + 13 * DAY));
}

async fn d10_a_row_that_went_back_in_time_raises_the_alarm_behind_a_clean_up(server: Server) {
    let client = server.client().await;
    let issued = connect(&server, &client).await;
    let idle = server.staging.settings.refresh_token_idle_seconds;
    let seal = |grant_id| {
        let seal = RefreshSeal { grant_id, generation: 7, expires_at: START + 2 * idle };
        server.staging.sealer.refresh(&seal, START + idle)
    };
    // The row is of the copy of a day before, and ended in the meantime.
    server.clock.advance(idle + DAY);
    clean_up(&server).await;
    let metrics = Metrics::of(&server);
    let alarms =
        "grantor_token_events_total{environment=\"staging\",event=\"refresh.ahead_of_row\"}";
    assert_eq!(metrics.value(alarms).await.to_string(), "0");
    let answer = server.refresh(&client, &seal(issued.grant_id)).await;
    assert_eq!((answer.status, answer.text("error")), (400, "invalid_grant"), "{answer:?}");
    assert_eq!(metrics.value(alarms).await.to_string(), "1");
}

async fn the_mark_of_a_revoked_token_stays_until_the_token_is_over_on_every_clock(server: Server) {
    let client = server.client().await;
    let living = tokens(&server, &client).await;
    let access_token = living.text("access_token");
    assert_eq!(revoke(&server, &client, access_token).await.status, 200);
    for at in [0, 3599, 3600, 3600 + SKEW] {
        server.clock.advance(START + at - server.clock.now());
        clean_up(&server).await;
        assert_eq!(server.count("revoked_tokens"), 1, "{at}");
        assert_opens(&server, access_token, false).await;
    }
    server.clock.advance(1);
    clean_up(&server).await;
    assert_eq!(server.count("revoked_tokens"), 0);
    assert_opens(&server, access_token, false).await;
    assert_eq!(server.refresh(&client, living.text("refresh_token")).await.status, 200);
}

async fn a_session_goes_when_it_is_over_and_the_others_stay(server: Server) {
    for (digest, expires_at) in [(1, START + 10), (2, START + 20), (3, START + 20), (255, START)] {
        begin_session(&server, digest, expires_at).await;
    }
    for (now, left) in
        [(START, 4), (START + SKEW, 4), (START + SKEW + 1, 3), (START + SKEW + 11, 2)]
    {
        server.clock.advance(now - server.clock.now());
        clean_up(&server).await;
        assert_eq!(server.count("sessions"), left, "{now}");
    }
}

async fn a_walk_goes_in_small_steps_and_begins_anew_behind_the_last(server: Server) {
    let client = server.client().await;
    let mut expected = BTreeSet::new();
    for at in 0..23 {
        let id = issue(&server.staging, &client).await.grant_id;
        // Every third was redeemed, so living and expired ones stand side by side.
        if at % 3 == 0 {
            let turn = crate::store::turn(id, 1, START);
            assert!(server.staging.store.redeem_code(&turn).await.unwrap());
            server.execute(&format!(
                "UPDATE grants SET idle_expires_at = {} WHERE attempt IS NOT NULL",
                START + 100 * DAY
            ));
            expected.insert(id);
        }
    }
    for at in 0..9 {
        let store = &server.staging.store;
        store.revoke_access_token(HERE, [at / 4; 16], [at; 8], START).await.unwrap();
        begin_session(&server, at, START).await;
    }
    let store = &server.staging.store;
    let now = START + 10 * DAY;
    let mut place = Walk::in_steps(HERE, 5);
    let (mut grants, mut steps) = (23, Vec::new());
    loop {
        let swept = store.clean_up(&mut place, now).await.unwrap();
        assert!(swept.read <= 5 && swept.expired <= swept.read, "{swept:?}");
        let left = server.count("grants");
        assert!(grants - left <= 5, "{grants} {left}");
        grants = left;
        steps.push(swept);
        if swept.finished {
            break;
        }
    }
    // 23 grants in five steps, nine marks in two, nine sessions in two.
    let counted: Vec<_> = steps.iter().map(|step| (step.read, step.expired)).collect();
    let marks_and_sessions = [(5, 5), (4, 4), (5, 5), (4, 4)];
    assert_eq!(counted[5..], marks_and_sessions);
    let of_grants = counted[..5].iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!(of_grants, (23, 15));
    let left: BTreeSet<_> = connections(store).await;
    assert_eq!(left, expected);
    assert_eq!((server.count("revoked_tokens"), server.count("sessions")), (0, 0));

    // The next step of the same walk begins at the beginning.
    server.clock.advance(10 * DAY);
    issue(&server.staging, &client).await;
    let swept = store.clean_up(&mut place, now).await.unwrap();
    assert_eq!((swept.read, swept.expired), (5, 0));
}

async fn connections(store: &Store) -> BTreeSet<[u8; 16]> {
    let which = grantor::store::WhichConnections {
        environment: HERE,
        client_id: None,
        email: None,
        limit: 1000,
    };
    store.connections(&which).await.unwrap().iter().map(|one| one.grant.id).collect()
}

async fn many_walks_and_the_requests_beside_them_do_not_harm_one_another(server: Server) {
    let server = Arc::new(server);
    let client = Arc::new(server.client().await);
    for _ in 0..60 {
        issue(&server.staging, &client).await;
    }
    let mut living = Vec::new();
    server.clock.advance(10 * DAY);
    for _ in 0..8 {
        living.push(tokens(&server, &client).await.text("refresh_token").to_owned());
    }
    let now = server.clock.now();
    race(24, |at| {
        let (server, client) = (Arc::clone(&server), Arc::clone(&client));
        let token = living[at / 3].clone();
        async move {
            match at % 3 {
                0 => {
                    let answer = server.refresh(&client, &token).await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    assert_opens(&server, answer.text("access_token"), true).await;
                }
                _ => drop(walk(&server.staging.store, HERE, 7, now).await),
            }
        }
    })
    .await;
    assert_eq!(server.count("grants"), 8);
}

async fn a_step_that_fails_stays_where_it_is(server: Server) {
    let client = server.client().await;
    for _ in 0..3 {
        issue(&server.staging, &client).await;
    }
    let store = &server.staging.store;
    let mut place = Walk::in_steps(HERE, 2);
    let now = START + 10 * DAY;
    assert_eq!(store.clean_up(&mut place, now).await.unwrap().expired, 2);
    server.alter("ALTER TABLE grants RENAME TO elsewhere");
    for _ in 0..2 {
        assert!(store.clean_up(&mut place, now).await.is_err());
    }
    server.alter("ALTER TABLE elsewhere RENAME TO grants");
    let swept = store.clean_up(&mut place, now).await.unwrap();
    assert_eq!((swept.read, swept.expired), (1, 1));
}

#[tokio::test]
async fn a_server_that_runs_cleans_up_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let dev = Dev::start(&data, &[]).await;
    let (partner, url) = (dev.partner(), dev.authorize_url(""));
    let browser = partner.browser(&url).await;
    let kept = partner.exchange(&partner.code(&browser, &url).await.unwrap()).await.unwrap();
    let database = rusqlite::Connection::open(data.join("grantor.db")).unwrap();
    let count = || -> i64 {
        database.query_row("SELECT COUNT(*) FROM grants", [], |row| row.get(0)).unwrap()
    };
    partner.code(&browser, &url).await.unwrap();
    let sql = "UPDATE grants SET code_expires_at = 1 WHERE generation = 0";
    assert!(database.execute(sql, []).unwrap() > 0);
    // The first walk begins some seconds after the start.
    for _ in 0..600 {
        if count() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(count(), 1);
    assert_eq!(partner.api(kept.text("access_token")).await, 200);
}

on_both_engines! {
    a_grant_goes_when_the_last_of_its_tokens_is_over_and_its_time_of_keeping_too,
    a_connection_that_is_used_never_goes_however_old_it_is,
    s17_what_was_ended_stays_as_long_as_any_token_of_it_and_says_no_all_that_time,
    s10_the_replay_of_a_code_and_the_reuse_of_a_refresh_token_end_a_grant_behind_a_clean_up,
    d10_a_row_that_went_back_in_time_raises_the_alarm_behind_a_clean_up,
    the_mark_of_a_revoked_token_stays_until_the_token_is_over_on_every_clock,
    a_session_goes_when_it_is_over_and_the_others_stay,
    a_walk_goes_in_small_steps_and_begins_anew_behind_the_last,
    many_walks_and_the_requests_beside_them_do_not_harm_one_another,
    a_step_that_fails_stays_where_it_is,
}

//! The write that reads nothing before it, beside the rules that decide from what was read: neither
//! admits what the other refuses.

use grantor::demo;
use grantor::store::{Along, Once, Presented, Turn};
use grantor_protocol::client::Client;
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::{Exchange, Refresh, RefreshDecision, check_exchange, check_refresh};
use grantor_protocol::pkce::CodeVerifier;
use grantor_protocol::redirect_uri::RedirectUriDigest;

use crate::calls::{
    OTHER_VERIFIER, VERIFIER, challenge, exchange_form, issue, issue_with, row, tokens,
};
use crate::harness::{START, Server, TestClient, basic};
use crate::secrets::add_secret;

const HERE: Environment = Environment::Staging;
/// When the grants of these tests end, after their beginning.
const ENDS_AFTER: i64 = 50;
/// When their generations do.
const IDLE: i64 = 30;
const HAPPENED: [Happened; 4] =
    [Happened::Nothing, Happened::Revoked, Happened::ClientSwitchedOff, Happened::NewPassword];

/// What befell a grant before somebody came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happened {
    Nothing,
    Revoked,
    ClientSwitchedOff,
    NewPassword,
}

async fn befall(server: &Server, happened: Happened, id: [u8; 16], client: &TestClient) {
    let store = &server.staging.store;
    assert!(match happened {
        Happened::Nothing => true,
        Happened::Revoked => store.revoke_grant(HERE, id, START).await.unwrap(),
        Happened::ClientSwitchedOff => {
            store.set_client_disabled(HERE, &client.id, true).await.unwrap()
                && store.set_client_disabled(HERE, &client.id, false).await.unwrap()
        }
        Happened::NewPassword => {
            store
                .set_customer_password(HERE, demo::CUSTOMER_EMAIL, "hash", Along::ALONE)
                .await
                .unwrap()
        }
    });
}

fn turn(id: [u8; 16], now: i64) -> Turn<'static> {
    let attempt = [7; 16];
    Turn {
        environment: HERE,
        id,
        attempt,
        idle_expires_at: now + IDLE,
        from: "::1",
        key: None,
        binds_refresh: false,
        now,
    }
}

async fn protocol_client(server: &Server, client: &TestClient) -> Client {
    server.staging.store.client(&client.id).await.unwrap().unwrap().client
}

async fn s12_a_code_is_redeemed_at_once_exactly_where_every_check_passes(server: Server) {
    let (own, other) = (server.client().await, server.client().await);
    let store = &server.staging.store;
    let verifier = |text| Some(CodeVerifier::parse(text).unwrap());
    let mut redeemed = 0;
    for happened in HAPPENED {
        for (challenged, presented) in [
            (None, None),
            (None, verifier(VERIFIER)),
            (Some(challenge()), None),
            (Some(challenge()), verifier(VERIFIER)),
            (Some(challenge()), verifier(OTHER_VERIFIER)),
        ] {
            for (client, redirect_uri, after) in [
                (&own, own.redirect_uri.as_str(), 0),
                (&own, "https://elsewhere.example/", 0),
                (&other, own.redirect_uri.as_str(), 0),
                (&own, own.redirect_uri.as_str(), ENDS_AFTER - 1),
                (&own, own.redirect_uri.as_str(), ENDS_AFTER),
                (&own, own.redirect_uri.as_str(), 60),
            ] {
                let issued = issue_with(&server.staging, &own, |grant| {
                    grant.code_challenge = challenged;
                    grant.ends_at = (after < 60).then_some(START + ENDS_AFTER);
                })
                .await;
                befall(&server, happened, issued.grant_id, &own).await;
                let now = START + after;
                let proved = protocol_client(&server, client).await;
                let exchange = Exchange {
                    client: &proved,
                    redirect_uri,
                    code_verifier: presented.as_ref(),
                    key: None,
                };
                let before = row(&server, issued.grant_id).await;
                let admitted = check_exchange(Some(&before), &exchange, now).is_ok();
                let shown = Presented {
                    client_id: &client.id,
                    redirect_uri: RedirectUriDigest::of(redirect_uri),
                    code_challenge: presented.as_ref().map(CodeVerifier::challenge),
                };
                // Twice: whoever comes second finds it spent.
                for admitted in [admitted, false] {
                    let turned =
                        store.redeem_at_once(&turn(issued.grant_id, now), &shown).await.unwrap();
                    assert_eq!(turned.is_some(), admitted, "{happened:?}, {after} s, {before:?}");
                    if let Some(turned) = turned {
                        assert_eq!(turned.scope, before.scope);
                        assert_eq!(turned.ends_at, before.ends_at);
                        let ends_at = before.ends_at.unwrap_or(i64::MAX);
                        assert_eq!(turned.idle_expires_at, ends_at.min(now + IDLE));
                        redeemed += 1;
                    }
                }
            }
        }
    }
    assert_eq!(redeemed, 2 * 2, "both kinds of code, at the first moment and at the last");
}

async fn s15_a_generation_is_turned_at_once_exactly_where_protocol_turns_it(server: Server) {
    let (own, other) = (server.client().await, server.client().await);
    let store = &server.staging.store;
    let proved = [protocol_client(&server, &own).await, protocol_client(&server, &other).await];
    let mut turned_grants = 0;
    for happened in HAPPENED {
        for ends in [false, true] {
            for (client, generation, after) in [
                (0, 1, 0),
                (0, 0, 0),
                (0, 2, 0),
                (1, 1, 0),
                (0, 1, IDLE - 1),
                (0, 1, IDLE),
                (0, 1, ENDS_AFTER),
            ] {
                let issued = issue_with(&server.staging, &own, |grant| {
                    grant.ends_at = ends.then_some(START + IDLE - 1);
                })
                .await;
                assert!(store.redeem_code(&turn(issued.grant_id, START)).await.unwrap());
                befall(&server, happened, issued.grant_id, &own).await;
                let (client, now) = (&proved[client], START + after);
                let before = row(&server, issued.grant_id).await;
                let refresh = Refresh { client, generation, key: None, window_seconds: 60 };
                let decision = check_refresh(Some(&before), &refresh, now);
                let turn = turn(issued.grant_id, now);
                let turned = store.turn_at_once(&turn, generation, &client.id).await.unwrap();
                let what = format!("{happened:?}, {after} s, {before:?}");
                assert_eq!(turned.is_some(), decision == RefreshDecision::Turn, "{what}");
                turned_grants += usize::from(turned.is_some());
                let again = store.turn_at_once(&turn, generation, &client.id).await.unwrap();
                assert_eq!(again, None, "{what}");
            }
        }
    }
    assert_eq!(turned_grants, 3, "at once, at the last moment, and within a grant that ends");
    let pending = issue(&server.staging, &own).await.grant_id;
    for generation in [0, 1] {
        let none = store.turn_at_once(&turn(pending, START), generation, &own.id).await.unwrap();
        assert_eq!(none, None);
    }
}

async fn s17_a_client_that_is_known_is_refused_once_it_is_switched_off_and_u5_secrets_count_at_once(
    server: Server,
) {
    let client = server.client().await;
    let refresh = tokens(&server, &client).await.text("refresh_token").to_owned();
    let store = &server.staging.store;
    // By this process: at once.
    assert!(store.set_client_disabled(HERE, &client.id, true).await.unwrap());
    let refused = server.refresh(&client, &refresh).await;
    assert_eq!((refused.status, refused.text("error")), (401, "invalid_client"));
    assert!(store.set_client_disabled(HERE, &client.id, false).await.unwrap());

    // By another process, which this store knows nothing of: its grants end at once, the client
    // itself within a second; and what becomes allowed is allowed at once.
    let issued = issue(&server.staging, &client).await;
    let refresh = tokens(&server, &client).await.text("refresh_token").to_owned();
    let elsewhere = server.another_store().await;
    assert!(elsewhere.set_client_disabled(HERE, &client.id, true).await.unwrap());
    let refused = server.refresh(&client, &refresh).await;
    assert!(matches!(refused.status, 400 | 401), "{refused:?}");
    tokio::time::sleep(std::time::Duration::from_millis(1050)).await;
    let refused = server.exchange(&client, &issued.code).await;
    assert_eq!((refused.status, refused.text("error")), (401, "invalid_client"));
    assert!(elsewhere.set_client_disabled(HERE, &client.id, false).await.unwrap());
    tokens(&server, &client).await;

    let second = grantor_protocol::client::ClientSecret::new("the second secret".to_owned());
    let digest = (second.digest(), "hint".to_owned());
    assert_eq!(add_secret(&elsewhere, &client.id, &digest).await, Some(2));
    let issued = issue(&server.staging, &client).await;
    let answer = crate::calls::Call::to(&server.staging)
        .header("Authorization", basic(&client.id, "the second secret").as_bytes())
        .form(&exchange_form(&client, &issued))
        .send()
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn s27_of_many_who_use_one_value_at_once_one_is_the_first(server: Server) {
    let there = HERE.other();
    let values: Vec<_> = (0..40u8)
        .flat_map(|at| {
            [
                (HERE, Once::Proof, [b"key".to_vec(), vec![at]]),
                (there, Once::Proof, [b"key".to_vec(), vec![at]]),
                (HERE, Once::Assertion, [b"key".to_vec(), vec![at]]),
                (HERE, Once::Proof, [b"another".to_vec(), vec![at]]),
            ]
        })
        .collect();
    for expected in [1, 0] {
        let calls: Vec<_> = (0..4)
            .flat_map(|_| values.clone())
            .map(|(environment, kind, parts)| {
                let store = server.staging.store.clone();
                tokio::spawn(async move {
                    let bytes = [parts[0].as_slice(), parts[1].as_slice()];
                    store.use_once(environment, kind, bytes, START + 60).await.unwrap()
                })
            })
            .collect();
        let mut first = vec![0; values.len()];
        for (at, call) in calls.into_iter().enumerate() {
            first[at % values.len()] += usize::from(call.await.unwrap());
        }
        assert_eq!(first, vec![expected; values.len()]);
    }
    assert_eq!(server.number("SELECT COUNT(*) FROM once_values"), 160);
}

on_both_engines! {
    s27_of_many_who_use_one_value_at_once_one_is_the_first,
    s12_a_code_is_redeemed_at_once_exactly_where_every_check_passes,
    s15_a_generation_is_turned_at_once_exactly_where_protocol_turns_it,
    s17_a_client_that_is_known_is_refused_once_it_is_switched_off_and_u5_secrets_count_at_once,
}

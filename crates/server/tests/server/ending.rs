//! Endings of a whole past: each is one write, and the very next refresh and introspection see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use grantor::demo;
use grantor::store::{Along, WhichConnections};
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::GrantStatus;
use serde_json::json;

use crate::calls::{act_of_test, assert_opens, connect, introspect, issue, new_grant, row, tokens};
use crate::harness::{Answer, START, Server, TestClient};
use crate::store::{race, turn};

const HERE: Environment = Environment::Staging;

#[derive(Clone, Copy, Debug)]
enum Ending {
    /// Alone, by its id: only where the id is known.
    Grant,
    Client,
    Customer,
    CustomerAndClient,
}

async fn end(server: &Server, client: &TestClient, ending: Ending) -> bool {
    let store = &server.staging.store;
    let customer =
        store.credentials(HERE, demo::CUSTOMER_EMAIL).await.unwrap().unwrap().customer_id;
    match ending {
        Ending::Grant => panic!("which one?"),
        Ending::Client => store.end_grants_of_client(HERE, &client.id, Along::ALONE).await.unwrap(),
        Ending::Customer => {
            store.end_grants_of_customer(HERE, customer, Along::ALONE).await.unwrap()
        }
        Ending::CustomerAndClient => store
            .end_grants_of_customer_and_client(HERE, customer, &client.id, Along::ALONE)
            .await
            .unwrap(),
    }
}

async fn assert_lives(server: &Server, client: &TestClient, tokens: &Answer, lives: bool) {
    for member in ["access_token", "refresh_token"] {
        let said = introspect(server, client, tokens.text(member)).await;
        assert_eq!(said.body["active"], lives, "{said:?}");
    }
    assert_opens(server, tokens.text("access_token"), lives).await;
    if !lives {
        let answer = server.refresh(client, tokens.text("refresh_token")).await;
        answer.assert_error(400, "invalid_grant", "The connection was ended");
    }
}

async fn s17_each_ending_ends_what_it_names_at_once_and_who_connects_again_is_not_cut_off(
    server: Server,
) {
    let (client, other) = (server.client().await, server.client().await);
    for ending in [Ending::Client, Ending::Customer, Ending::CustomerAndClient] {
        let waiting = issue(&server.staging, &client).await;
        let living = [tokens(&server, &client).await, tokens(&server, &client).await];
        let beside = tokens(&server, &other).await;
        assert!(end(&server, &client, ending).await);
        for living in &living {
            assert_lives(&server, &client, living, false).await;
        }
        let answer = server.exchange(&client, &waiting.code).await;
        answer.assert_error(400, "invalid_grant", "The connection was ended");
        // Another client's connection to the same customer ends with the customer's alone.
        assert_lives(&server, &other, &beside, !matches!(ending, Ending::Customer)).await;
        // In the same second: no clock decides.
        let again = tokens(&server, &client).await;
        assert_lives(&server, &client, &again, true).await;
        assert_lives(&server, &client, &living[0], false).await;
    }
}

async fn s17_what_a_customer_took_back_is_asked_for_again_and_what_a_client_ended_is_not(
    server: Server,
) {
    let client = server.client().await;
    let browser = server.browser();
    let url = server.authorize_url(&client, "");
    browser.allow(&url).await;
    browser.get(&url).await.assert_code(&client.redirect_uri);
    assert!(end(&server, &client, Ending::Client).await);
    browser.get(&url).await.assert_code(&client.redirect_uri);

    assert!(end(&server, &client, Ending::CustomerAndClient).await);
    assert!(!end(&server, &client, Ending::CustomerAndClient).await, "it was taken back already");
    assert!(browser.get(&url).await.leaves().is_none(), "the customer was not asked");
    let before = server.count("grants");
    let target = browser.allow(&url).await;
    let code = crate::harness::query(&target, "code").unwrap();
    assert_eq!(server.count("grants"), before + 1);
    let living = server.exchange(&client, &code).await;
    assert_lives(&server, &client, &living, true).await;
    browser.get(&url).await.assert_code(&client.redirect_uri);
}

async fn s17_a_silent_allow_that_read_the_consent_before_it_was_taken_back_makes_no_grant(
    server: Server,
) {
    let client = server.client().await;
    tokens(&server, &client).await;
    let mut silent = new_grant(&server.staging, &client).await;
    silent.consent_counter = Some(0);
    assert!(end(&server, &client, Ending::CustomerAndClient).await);
    let rows = server.rows();
    let store = &server.staging.store;
    assert!(!store.allow(&silent, None, 1, server.clock.now()).await.unwrap());
    assert_eq!(server.rows(), rows);
}

async fn an_ending_of_what_is_not_there_says_so_and_stays_in_its_environment(server: Server) {
    let client = server.client().await;
    let living = tokens(&server, &client).await;
    let store = &server.staging.store;
    let customer =
        store.credentials(HERE, demo::CUSTOMER_EMAIL).await.unwrap().unwrap().customer_id;
    let there = Environment::Production;
    assert!(!store.end_grants_of_client(there, &client.id, Along::ALONE).await.unwrap());
    assert!(!store.end_grants_of_client(HERE, "nobody", Along::ALONE).await.unwrap());
    // The demo customer has one id in both environments, and is two people all the same.
    assert!(store.end_grants_of_customer(there, customer, Along::ALONE).await.unwrap());
    assert!(!store.end_grants_of_customer(HERE, [9; 16], Along::ALONE).await.unwrap());
    assert!(
        !store
            .end_grants_of_customer_and_client(there, customer, &client.id, Along::ALONE)
            .await
            .unwrap()
    );
    assert!(
        !store
            .end_grants_of_customer_and_client(HERE, customer, "nobody", Along::ALONE)
            .await
            .unwrap()
    );
    assert_lives(&server, &client, &living, true).await;
}

async fn s17_after_an_ending_was_acknowledged_none_of_sixteen_refreshes_lives(server: Server) {
    let server = Arc::new(server);
    let client = Arc::new(server.client().await);
    for ending in [Ending::Client, Ending::Customer, Ending::CustomerAndClient] {
        let living = Arc::new(tokens(&server, &client).await);
        let outcomes = race(16, |at| {
            let (server, client, living) =
                (Arc::clone(&server), Arc::clone(&client), Arc::clone(&living));
            async move {
                if at == 0 {
                    assert!(end(&server, &client, ending).await);
                    assert_lives(&server, &client, &living, false).await;
                    return None;
                }
                Some(server.refresh(&client, living.text("refresh_token")).await)
            }
        })
        .await;
        for answer in outcomes.into_iter().flatten().filter(|answer| answer.status == 200) {
            let said = introspect(&server, &client, answer.text("access_token")).await;
            assert_eq!(said.body, json!({ "active": false }), "{ending:?}");
        }
    }
}

async fn s17_no_turn_and_no_redemption_that_begins_behind_an_ending_is_carried_out(server: Server) {
    let client = Arc::new(server.client().await);
    let server = Arc::new(server);
    for ending in [Ending::Grant, Ending::Client, Ending::Customer, Ending::CustomerAndClient] {
        let store = &server.staging.store;
        let active = issue(&server.staging, &client).await.grant_id;
        assert!(store.redeem_code(&turn(active, 1, START)).await.unwrap());
        let pending = issue(&server.staging, &client).await.grant_id;
        let ended = Arc::new(AtomicBool::new(false));
        race(24, |at| {
            let (server, client, ended) =
                (Arc::clone(&server), Arc::clone(&client), Arc::clone(&ended));
            async move {
                let store = &server.staging.store;
                if at % 12 == 0 {
                    match ending {
                        Ending::Grant => {
                            store.revoke_grant(HERE, active, START).await.unwrap();
                            store.revoke_grant(HERE, pending, START).await.unwrap();
                        }
                        _ => drop(end(&server, &client, ending).await),
                    }
                    ended.store(true, Ordering::SeqCst);
                    return;
                }
                for generation in 1..40 {
                    let begun_behind = ended.load(Ordering::SeqCst);
                    let done = match at % 2 {
                        0 => store.redeem_code(&turn(pending, at, START)).await.unwrap(),
                        _ => {
                            let turn = turn(active, at, START);
                            store.turn_generation(&turn, generation).await.unwrap()
                        }
                    };
                    assert!(!(begun_behind && done), "{ending:?} was outlived");
                }
            }
        })
        .await;
        for id in [active, pending] {
            let grant = row(&server, id).await;
            let revoked = matches!(grant.status, GrantStatus::Revoked { .. });
            assert!(revoked || !grant.in_force, "{ending:?} {grant:?}");
        }
    }
}

async fn s17_of_many_that_take_back_one_consent_one_is_told_that_it_did(server: Server) {
    let server = Arc::new(server);
    let client = Arc::new(server.client().await);
    for _ in 0..5 {
        let living = tokens(&server, &client).await;
        let outcomes = race(16, |_| {
            let (server, client) = (Arc::clone(&server), Arc::clone(&client));
            async move { end(&server, &client, Ending::CustomerAndClient).await }
        })
        .await;
        assert_eq!(outcomes.iter().filter(|done| **done).count(), 1);
        assert_lives(&server, &client, &living, false).await;
    }
}

async fn connections_are_listed_newest_first_within_their_bounds(server: Server) {
    let (client, other) = (server.client().await, server.client().await);
    let mut ids = Vec::new();
    for at in 0..5 {
        server.clock.advance(1);
        let client = if at % 2 == 0 { &client } else { &other };
        ids.push(issue(&server.staging, client).await.grant_id);
    }
    ids.reverse();
    let list = async |environment, client_id, email, limit| {
        let which = WhichConnections { environment, client_id, email, limit };
        let found = server.staging.store.connections(&which).await.unwrap();
        assert!(found.iter().all(|one| one.email == demo::CUSTOMER_EMAIL));
        found.iter().map(|one| one.grant.id).collect::<Vec<_>>()
    };
    let nobody = Some("nobody@example.com");
    assert_eq!(list(HERE, None, None, 100).await, ids);
    assert_eq!(list(HERE, None, None, 2).await, ids[..2]);
    assert_eq!(list(HERE, Some(client.id.as_str()), None, 2).await, [ids[0], ids[2]]);
    assert_eq!(list(HERE, Some(&other.id), Some(demo::CUSTOMER_EMAIL), 9).await, [ids[1], ids[3]]);
    assert!(list(HERE, None, nobody, 9).await.is_empty());
    assert!(list(Environment::Production, None, None, 9).await.is_empty());
}

/// The acts that the log holds about endings, the oldest first.
async fn noted(server: &Server) -> Vec<String> {
    let all = server.staging.store.audit_from(0).await.unwrap();
    assert_eq!(server.staging.store.audit_fault().await.unwrap().0, None);
    all.into_iter().map(|entry| entry.act).filter(|act| act.starts_with("test.")).collect()
}

async fn u3_an_ending_and_whose_act_it_was_stand_in_one_transaction(server: Server) {
    let store = &server.staging.store;
    let client = server.client().await;
    let customer =
        store.credentials(HERE, demo::CUSTOMER_EMAIL).await.unwrap().unwrap().customer_id;
    let (_, grant) = connect(&server, &client).await;
    // Of many that end one grant it is one that did, and one entry that says so.
    let ends = race(16, |_| {
        let store = store.clone();
        let act = act_of_test("test.grant");
        async move { store.revoke_grant_noting(HERE, grant, &act).await.unwrap() }
    });
    assert_eq!(ends.await.into_iter().filter(|ended| *ended).count(), 1);
    assert!(matches!(row(&server, grant).await.status, GrantStatus::Revoked { .. }));
    assert_eq!(noted(&server).await, ["test.grant"]);

    let living = tokens(&server, &client).await;
    let act = act_of_test("test.client");
    let along = Along::Act(&act);
    assert!(!store.end_grants_of_client(HERE, "nobody", along).await.unwrap());
    assert_lives(&server, &client, &living, true).await;
    assert!(store.end_grants_of_client(HERE, &client.id, along).await.unwrap());
    assert_lives(&server, &client, &living, false).await;

    let living = tokens(&server, &client).await;
    let act = act_of_test("test.both");
    let of_both = |id: &'static str| {
        store.end_grants_of_customer_and_client(HERE, customer, id, Along::Act(&act))
    };
    assert!(!of_both("nobody").await.unwrap());
    let id = client.id.clone();
    let ended = store.end_grants_of_customer_and_client(HERE, customer, &id, Along::Act(&act));
    assert!(ended.await.unwrap());
    assert_lives(&server, &client, &living, false).await;

    let act = act_of_test("test.customer");
    let switch =
        |off| store.set_customer_disabled(HERE, demo::CUSTOMER_EMAIL, off, Along::Act(&act));
    for (off, changed) in [(false, false), (true, true), (true, false), (false, true)] {
        assert_eq!(switch(off).await.unwrap(), changed, "{off}");
    }
    let expected = ["test.grant", "test.client", "test.both", "test.customer", "test.customer"];
    assert_eq!(noted(&server).await, expected);
}

on_both_engines! {
    u3_an_ending_and_whose_act_it_was_stand_in_one_transaction,
    s17_each_ending_ends_what_it_names_at_once_and_who_connects_again_is_not_cut_off,
    s17_what_a_customer_took_back_is_asked_for_again_and_what_a_client_ended_is_not,
    s17_a_silent_allow_that_read_the_consent_before_it_was_taken_back_makes_no_grant,
    an_ending_of_what_is_not_there_says_so_and_stays_in_its_environment,
    s17_after_an_ending_was_acknowledged_none_of_sixteen_refreshes_lives,
    s17_no_turn_and_no_redemption_that_begins_behind_an_ending_is_carried_out,
    s17_of_many_that_take_back_one_consent_one_is_told_that_it_did,
    connections_are_listed_newest_first_within_their_bounds,
}

//! The store: every conditional write has one winner, whoever else writes at the same time.

use std::future::Future;
use std::sync::Arc;

use grantor::demo;
use grantor::store::{Along, AuditOf, Credentials, NewGrant, NewPassword, NewSession, Store, Turn};
use grantor_protocol::client::ClientSecret;
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::GrantStatus;
use tokio::sync::Barrier;

use crate::calls::{allow, issue, new_grant, row};
use crate::harness::{START, Server, TestClient};
use crate::secrets::{add_secret, remove_secret};

const HERE: Environment = Environment::Staging;
const RACERS: usize = 24;

/// Starts all at once, waits for all, and gives their outcomes in order.
pub(crate) async fn race<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(count));
    let mut tasks = tokio::task::JoinSet::new();
    for at in 0..count {
        let (barrier, task) = (Arc::clone(&barrier), task(at));
        tasks.spawn(async move {
            barrier.wait().await;
            (at, task.await)
        });
    }
    let mut outcomes = tasks.join_all().await;
    outcomes.sort_by_key(|(at, _)| *at);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

pub(crate) fn turn(id: [u8; 16], attempt: usize, now: i64) -> Turn<'static> {
    let attempt = u8::try_from(attempt).unwrap();
    let idle_expires_at = now + 1000;
    Turn {
        environment: HERE,
        id,
        attempt: [attempt; 16],
        idle_expires_at,
        from: "::1",
        key: None,
        binds_refresh: false,
        now,
    }
}

fn won(outcomes: &[bool]) -> usize {
    outcomes.iter().filter(|won| **won).count()
}

async fn connected(server: &Server, client: &TestClient) -> [u8; 16] {
    let issued = issue(&server.staging, client).await;
    assert!(server.staging.store.redeem_code(&turn(issued.grant_id, 1, START)).await.unwrap());
    issued.grant_id
}

fn secret(text: &str) -> (grantor_protocol::client::SecretDigest, String) {
    (ClientSecret::new(text.to_owned()).digest(), "hint".to_owned())
}

async fn s10_of_many_that_redeem_one_code_one_wins(server: Server) {
    let client = server.client().await;
    for _ in 0..10 {
        let id = issue(&server.staging, &client).await.grant_id;
        let outcomes = race(RACERS, |at| {
            let store = server.staging.store.clone();
            async move { store.redeem_code(&turn(id, at, START)).await.unwrap() }
        })
        .await;
        assert_eq!(won(&outcomes), 1);
    }
}

async fn s15_of_many_that_turn_one_generation_one_wins(server: Server) {
    let client = server.client().await;
    let id = connected(&server, &client).await;
    for generation in 1..=10 {
        let outcomes = race(RACERS, |at| {
            let store = server.staging.store.clone();
            async move { store.turn_generation(&turn(id, at, START), generation).await.unwrap() }
        })
        .await;
        assert_eq!(won(&outcomes), 1);
    }
    let GrantStatus::Active(active) = row(&server, id).await.status else { panic!() };
    assert_eq!(active.generation, 11);
}

async fn d2_of_many_that_revoke_one_wins_and_no_turn_brings_the_grant_back(server: Server) {
    let client = server.client().await;
    for _ in 0..10 {
        let id = connected(&server, &client).await;
        let outcomes = race(RACERS, |at| {
            let store = server.staging.store.clone();
            async move {
                match at % 2 {
                    0 => store.revoke_grant(HERE, id, START).await.unwrap(),
                    _ => !store.turn_generation(&turn(id, at, START), 1).await.unwrap(),
                }
            }
        })
        .await;
        let (revoked, denied): (Vec<_>, Vec<_>) =
            outcomes.iter().copied().enumerate().partition(|(at, _)| at % 2 == 0);
        let count = |list: Vec<(usize, bool)>| list.iter().filter(|(_, yes)| *yes).count();
        assert_eq!(count(revoked), 1);
        assert!(count(denied) >= RACERS / 2 - 1);
        assert!(matches!(row(&server, id).await.status, GrantStatus::Revoked { .. }));
        assert!(!server.staging.store.turn_generation(&turn(id, 9, START), 2).await.unwrap());
        assert!(!server.staging.store.redeem_code(&turn(id, 9, START)).await.unwrap());
    }
}

async fn u5_of_many_that_add_a_secret_one_wins_and_there_is_never_a_third(server: Server) {
    let client = server.client().await;
    let outcomes = race(RACERS, |at| {
        let (store, id) = (server.staging.store.clone(), client.id.clone());
        let new = secret(&format!("secret {at}"));
        async move { add_secret(&store, &id, &new).await }
    })
    .await;
    let places: Vec<_> = outcomes.into_iter().flatten().collect();
    assert_eq!(places, [2]);
    let record = server.staging.store.client(&client.id).await.unwrap().unwrap();
    assert_eq!(record.secrets.len(), 2);
    assert_eq!(acts(&server, &client.id).await, ["secret.added"]);

    let public = server.client_with(HERE, |new| new.secret = None).await;
    let store = &server.staging.store;
    let added = add_secret(store, &public.id, &secret("x")).await;
    assert_eq!(added, None);
    assert!(acts(&server, &public.id).await.is_empty());
    assert!(store.client(&public.id).await.unwrap().unwrap().client.is_public());
}

async fn u5_of_many_that_remove_secrets_one_wins_and_the_last_one_stays(server: Server) {
    for _ in 0..5 {
        let client = server.client().await;
        let store = &server.staging.store;
        assert_eq!(add_secret(store, &client.id, &secret("second")).await, Some(2));
        let outcomes = race(RACERS, |at| {
            let (store, id) = (server.staging.store.clone(), client.id.clone());
            let place = i64::try_from(at % 2 + 1).unwrap();
            async move { remove_secret(&store, &id, place).await }
        })
        .await;
        assert_eq!(outcomes.iter().filter(|removed| **removed).count(), 1);
        let record = store.client(&client.id).await.unwrap().unwrap();
        assert_eq!(record.secrets.len(), 1);
        assert!(!remove_secret(store, &client.id, 3).await);
        assert_eq!(acts(&server, &client.id).await, ["secret.removed", "secret.added"]);
    }
}

/// What was noted about a client, the newest first.
async fn acts(server: &Server, client_id: &str) -> Vec<String> {
    let of = AuditOf::Client(client_id.to_owned());
    let entries = server.staging.store.audit(&of, None, 100).await.unwrap();
    entries.into_iter().map(|entry| entry.act).collect()
}

fn session(id: u8, customer: &Credentials, customer_counter: i64) -> NewSession {
    NewSession {
        environment: HERE,
        id_digest: [id; 32],
        customer_id: customer.customer_id,
        customer_counter,
        password_hash: customer.password_hash.clone(),
        epoch: 1,
        signed_in_at: START,
        expires_at: START + 1000,
    }
}

async fn s18_a_session_begins_only_under_the_counter_that_its_password_was_checked_under(
    server: Server,
) {
    let store = &server.staging.store;
    let customer = store.credentials(HERE, demo::CUSTOMER_EMAIL).await.unwrap().unwrap();
    let counter = customer.counter;
    assert!(store.begin_session(&session(200, &customer, counter), None).await.unwrap());
    let stands = async |digest| store.session(HERE, [digest; 32], 1, START).await.unwrap();
    assert!(stands(200).await.is_some());
    let later = session(201, &customer, counter + 1);
    assert!(!store.begin_session(&later, Some([200; 32])).await.unwrap());
    assert!(stands(200).await.is_some(), "a refused session ended the former one");
    assert!(store.session(HERE, [200; 32], 2, START).await.unwrap().is_none(), "another epoch");
    assert!(store.session(HERE, [200; 32], 1, START + 1000).await.unwrap().is_none());

    let began = race(RACERS, |at| {
        let store = store.clone();
        let new = session(u8::try_from(at).unwrap(), &customer, counter);
        let email = demo::CUSTOMER_EMAIL;
        async move {
            match at {
                12 => store.set_customer_password(HERE, email, "hash", Along::ALONE).await.unwrap(),
                _ => store.begin_session(&new, None).await.unwrap(),
            }
        }
    })
    .await;
    assert!(began.len() == RACERS);
    for digest in 0..24 {
        assert!(stands(digest).await.is_none(), "a session outlived the change of the password");
    }
    // One id begins once.
    let customer = store.credentials(HERE, demo::CUSTOMER_EMAIL).await.unwrap().unwrap();
    let began = race(RACERS, |_| {
        let store = store.clone();
        let new = session(100, &customer, customer.counter);
        async move { store.begin_session(&new, None).await.unwrap_or(false) }
    })
    .await;
    assert_eq!(won(&began), 1);
}

async fn s18_no_session_of_the_former_password_outlives_its_change_by_the_customer(server: Server) {
    let store = &server.staging.store;
    for round in 0..6_i64 {
        let customer = store.credentials(HERE, demo::CUSTOMER_EMAIL).await.unwrap().unwrap();
        let counter = customer.counter;
        let outcomes = race(RACERS, |at| {
            let store = store.clone();
            let mut new = session(u8::try_from(at).unwrap(), &customer, counter);
            // Ids of an earlier round are free again: their sessions ended.
            new.signed_in_at = START + round;
            let password_hash = format!("hash {round} {at}");
            async move {
                match at % 12 {
                    0 => {
                        let new = NewPassword { password_hash: &password_hash, session: &new };
                        store.change_password(&new).await.unwrap()
                    }
                    _ => store.begin_session(&new, None).await.unwrap(),
                }
            }
        })
        .await;
        let changes: Vec<usize> = (0..RACERS).filter(|at| at % 12 == 0 && outcomes[*at]).collect();
        assert_eq!(changes.len(), 1, "of many that know the former password one changes it");
        assert_eq!(server.count("sessions"), 1, "the session that goes on, and no other");
        let goes_on = [u8::try_from(changes[0]).unwrap(); 32];
        assert!(store.session(HERE, goes_on, 1, START).await.unwrap().is_some());
        let now = store.credentials(HERE, demo::CUSTOMER_EMAIL).await.unwrap().unwrap();
        assert_eq!(now.counter, counter, "connections stay");
        assert!(!store.begin_session(&session(99, &customer, counter), None).await.unwrap());
    }
}

/// Whether a grant and a consent came of it.
async fn left_behind(server: &Server, grant: &NewGrant) -> (bool, bool) {
    let store = &server.staging.store;
    let row = store.grant(HERE, grant.id).await.unwrap();
    let consent = store.consent(HERE, grant.customer_id, &grant.client_id, 1).await.unwrap();
    (row.is_some(), consent.is_some())
}

async fn allowing_is_refused_whole_where_client_customer_or_consent_changed_in_between(
    server: Server,
) {
    let store = &server.staging.store;
    let client = server.client().await;
    let grant = new_grant(&server.staging, &client).await;
    store.set_client_disabled(HERE, &client.id, true).await.unwrap();
    assert!(!allow(&server.staging, &grant).await);
    assert_eq!(left_behind(&server, &grant).await, (false, false), "the client was disabled");
    store.set_client_disabled(HERE, &client.id, false).await.unwrap();

    store.set_customer_password(HERE, demo::CUSTOMER_EMAIL, "hash", Along::ALONE).await.unwrap();
    assert!(!allow(&server.staging, &grant).await);
    assert_eq!(left_behind(&server, &grant).await, (false, false), "the customer's past ended");

    let nobody =
        NewGrant { client_id: "nobody".into(), ..new_grant(&server.staging, &client).await };
    assert!(!allow(&server.staging, &nobody).await);
    assert_eq!(left_behind(&server, &nobody).await, (false, false), "no such client");

    let first = new_grant(&server.staging, &client).await;
    assert!(allow(&server.staging, &first).await);
    let consent = store.consent(HERE, first.customer_id, &client.id, 1).await.unwrap().unwrap();
    let mut silent = new_grant(&server.staging, &client).await;
    silent.consent_counter = Some(consent.counter);
    server.execute("UPDATE consents SET revoked = TRUE, counter = counter + 1");
    assert!(!store.allow(&silent, None, 1, START).await.unwrap());
    assert_eq!(left_behind(&server, &silent).await, (false, false), "the consent was taken back");
    assert!(!row(&server, first.id).await.in_force);
    assert!(!store.redeem_code(&turn(first.id, 1, START)).await.unwrap());
    // Asked again, the customer may allow again, and nothing of before comes back.
    let again = new_grant(&server.staging, &client).await;
    assert!(allow(&server.staging, &again).await);
    assert!(row(&server, again.id).await.in_force);
    assert!(!row(&server, first.id).await.in_force);
}

async fn s17_no_grant_that_races_with_the_end_of_its_client_stays_in_force(server: Server) {
    let server = Arc::new(server);
    let client = Arc::new(server.client().await);
    let pending = issue(&server.staging, &client).await.grant_id;
    let active = connected(&server, &client).await;
    let ids = race(RACERS, |at| {
        let (server, client) = (Arc::clone(&server), Arc::clone(&client));
        async move {
            if at == 12 {
                let store = &server.staging.store;
                store.set_client_disabled(HERE, &client.id, true).await.unwrap();
                return None;
            }
            let grant = new_grant(&server.staging, &client).await;
            allow(&server.staging, &grant).await.then_some(grant.id)
        }
    })
    .await;
    let store = &server.staging.store;
    for reenabled in [false, true] {
        if reenabled {
            store.set_client_disabled(HERE, &client.id, false).await.unwrap();
        }
        for id in ids.iter().flatten().copied().chain([pending, active]) {
            assert!(!row(&server, id).await.in_force);
            assert!(!store.redeem_code(&turn(id, 1, START)).await.unwrap());
            assert!(!store.turn_generation(&turn(id, 1, START), 1).await.unwrap());
        }
    }
    let again = issue(&server.staging, &client).await.grant_id;
    assert!(store.redeem_code(&turn(again, 1, START)).await.unwrap());
}

async fn s17_a_customers_new_password_or_switching_off_ends_every_connection_for_good(
    server: Server,
) {
    let client = server.client().await;
    let (store, email) = (&server.staging.store, demo::CUSTOMER_EMAIL);
    for switched_off in [false, true] {
        let (active, pending) =
            (connected(&server, &client).await, issue(&server.staging, &client).await.grant_id);
        if switched_off {
            assert!(store.set_customer_disabled(HERE, email, true, Along::ALONE).await.unwrap());
            assert!(!store.set_customer_disabled(HERE, email, true, Along::ALONE).await.unwrap());
            assert!(store.credentials(HERE, email).await.unwrap().is_none());
            assert!(store.set_customer_disabled(HERE, email, false, Along::ALONE).await.unwrap());
        } else {
            assert!(store.set_customer_password(HERE, email, "hash", Along::ALONE).await.unwrap());
        }
        for id in [active, pending] {
            assert!(!row(&server, id).await.in_force);
            assert!(!store.redeem_code(&turn(id, 1, START)).await.unwrap());
            assert!(!store.turn_generation(&turn(id, 1, START), 1).await.unwrap());
        }
    }
    // Somebody of the same address in the other environment is somebody else.
    let other = store.credentials(Environment::Production, email).await.unwrap().unwrap();
    assert_eq!(other.counter, 0);
}

async fn a_write_that_comes_too_late_or_for_another_state_changes_nothing(server: Server) {
    let store = &server.staging.store;
    let client = server.client().await;
    let id = issue(&server.staging, &client).await.grant_id;
    let before = row(&server, id).await;
    assert!(!store.redeem_code(&turn(id, 1, START + 60)).await.unwrap(), "expired");
    let elsewhere = Turn { environment: Environment::Production, ..turn(id, 1, START) };
    assert!(!store.redeem_code(&elsewhere).await.unwrap(), "another environment");
    assert!(!store.turn_generation(&turn(id, 1, START), 0).await.unwrap(), "pending");
    assert_eq!(row(&server, id).await, before);
    assert!(store.redeem_code(&turn(id, 1, START)).await.unwrap());
    let active = row(&server, id).await;
    assert!(!store.turn_generation(&turn(id, 1, START), 0).await.unwrap(), "an older generation");
    assert!(!store.turn_generation(&turn(id, 1, START), 2).await.unwrap(), "a newer one");
    assert!(!store.turn_generation(&turn(id, 1, START + 1000), 1).await.unwrap(), "idle too long");
    assert!(!store.note_repeat(HERE, id, 2).await.unwrap());
    assert!(!store.revoke_grant(Environment::Production, id, START).await.unwrap());
    assert_eq!(row(&server, id).await, active);
    assert!(store.note_repeat(HERE, id, 1).await.unwrap());
    assert!(!store.note_repeat(HERE, id, 1).await.unwrap(), "counted once in a generation");
}

async fn s24_an_id_is_given_once_in_both_environments_together(server: Server) {
    let client = server.client().await;
    let store: &Store = &server.staging.store;
    let mut taken = None;
    let other = server.client_with(Environment::Production, |new| taken = Some(new.id.clone()));
    assert_eq!(Some(other.await.id), taken);
    let partner = store.partners().await.unwrap().remove(0);
    for environment in Environment::ALL {
        let again = grantor::store::NewClient {
            environment,
            id: client.id.clone(),
            partner_id: partner.id,
            name: "Impostor".into(),
            website: None,
            redirect_uris: vec![],
            scopes: grantor_protocol::scope::Scope::default(),
            optional_scopes: grantor_protocol::scope::Scope::default(),
            secret: None,
            approved: true,
            demo: false,
            settings: store.client(&client.id).await.unwrap().unwrap().client.settings,
            keys: None,
            post_logout_redirect_uris: vec![],
            registration: grantor::store::Registration::default(),
        };
        assert!(!store.add_client(&again, START).await.unwrap(), "{environment}");
    }
    let record = store.client(&client.id).await.unwrap().unwrap();
    assert_eq!((record.client.environment, record.client.name.as_str()), (HERE, "Test App"));
}

on_both_engines! {
    s10_of_many_that_redeem_one_code_one_wins,
    s15_of_many_that_turn_one_generation_one_wins,
    d2_of_many_that_revoke_one_wins_and_no_turn_brings_the_grant_back,
    u5_of_many_that_add_a_secret_one_wins_and_there_is_never_a_third,
    u5_of_many_that_remove_secrets_one_wins_and_the_last_one_stays,
    s18_no_session_of_the_former_password_outlives_its_change_by_the_customer,
    s18_a_session_begins_only_under_the_counter_that_its_password_was_checked_under,
    allowing_is_refused_whole_where_client_customer_or_consent_changed_in_between,
    s17_no_grant_that_races_with_the_end_of_its_client_stays_in_force,
    s17_a_customers_new_password_or_switching_off_ends_every_connection_for_good,
    a_write_that_comes_too_late_or_for_another_state_changes_nothing,
    s24_an_id_is_given_once_in_both_environments_together,
}

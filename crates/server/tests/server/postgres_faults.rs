//! Single statements that fail on PostgreSQL (S17): a constraint stands for whatever makes the database
//! say no, and a database that takes no writes for a replica or a full disk.

use std::time::Duration;

use grantor::store::{NewConsent, Turn};
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::GrantStatus;
use grantor_protocol::scope::Scope;
use grantor_test_cluster::{Cluster, Replication};

use crate::calls::{allow, connect, introspect, issue, new_grant, revoke, row};
use crate::harness::{START, Server};
use crate::store::race;

const HERE: Environment = Environment::Staging;

#[tokio::test]
async fn s17_postgres_of_many_that_end_one_grant_and_fail_none_is_told_that_it_ended() {
    let server = Server::start_on_postgres().await;
    let client = server.client().await;
    let (living, id) = connect(&server, &client).await;
    server.execute("ALTER TABLE grants ADD CONSTRAINT boom CHECK (revoked_at IS NULL)");
    // On one thread all of them wait before a worker takes any: they come into one batch.
    let outcomes = race(16, {
        let store = server.staging.store.clone();
        move |_| {
            let store = store.clone();
            async move { store.revoke_grant(HERE, id, START).await }
        }
    });
    let told: Vec<bool> = outcomes.await.into_iter().filter_map(Result::ok).collect();
    assert!(told.is_empty(), "told that it ended: {told:?}");
    let token = living.text("refresh_token").to_owned();
    let answer = revoke(&server, &client, &token).await;
    answer.assert_error(503, "temporarily_unavailable", "cannot answer just now");
    server.execute("ALTER TABLE grants DROP CONSTRAINT boom");
    assert!(matches!(row(&server, id).await.status, GrantStatus::Active(_)));
    assert_eq!(revoke(&server, &client, &token).await.status, 200);
    assert!(matches!(row(&server, id).await.status, GrantStatus::Revoked { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s17_d1_postgres_one_members_fault_fails_no_other_and_leaves_nothing_half_done() {
    let server = Server::start_on_postgres().await;
    let client = server.client().await;
    let mut ids = Vec::new();
    for _ in 0..48 {
        ids.push(issue(&server.staging, &client).await.grant_id);
    }
    server.execute("ALTER TABLE grants ADD CONSTRAINT boom CHECK (turned_from <> 'boom')");
    let outcomes = race(48, {
        let (store, ids) = (server.staging.store.clone(), ids.clone());
        move |at| {
            let (store, id) = (store.clone(), ids[at]);
            async move {
                let from = if at % 3 == 0 { "boom" } else { "::1" };
                let (attempt, idle_expires_at) = ([7; 16], START + 1000);
                let turn = Turn {
                    environment: HERE,
                    id,
                    attempt,
                    idle_expires_at,
                    from,
                    key: None,
                    binds_refresh: false,
                    now: START,
                };
                (at, store.redeem_code(&turn).await)
            }
        }
    });
    for (at, outcome) in outcomes.await {
        let is_active = matches!(row(&server, ids[at]).await.status, GrantStatus::Active(_));
        assert_eq!((outcome.ok(), is_active), (((at % 3) != 0).then_some(true), at % 3 != 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s17_postgres_an_exchange_a_refresh_and_an_allow_that_fail_are_503_and_can_be_retried() {
    let server = Server::start_on_postgres().await;
    let client = server.client().await;
    let (living, _) = connect(&server, &client).await;
    let issued = issue(&server.staging, &client).await;
    let grants = server.count("grants");
    server.execute("ALTER TABLE grants ADD CONSTRAINT boom CHECK (generation < 0) NOT VALID");
    let token = living.text("refresh_token").to_owned();
    for answer in
        [server.exchange(&client, &issued.code).await, server.refresh(&client, &token).await]
    {
        answer.assert_error(503, "temporarily_unavailable", "cannot answer just now");
        assert_eq!(answer.headers["retry-after"], "2");
    }
    let mut grant = new_grant(&server.staging, &client).await;
    grant.scope = Scope::parse("orders-api").unwrap();
    let consent = NewConsent { scope: grant.scope.clone(), asked_scope: grant.scope.clone() };
    assert!(server.staging.store.allow(&grant, Some(&consent), 1, START).await.is_err());
    let given = "SELECT COUNT(*) FROM consents WHERE scope = 'orders-api'";
    assert_eq!((server.count("grants"), server.number(given)), (grants, 0));
    server.execute("ALTER TABLE grants DROP CONSTRAINT boom");
    assert_eq!(server.exchange(&client, &issued.code).await.status, 200);
    assert_eq!(server.refresh(&client, &token).await.status, 200);
    assert!(allow(&server.staging, &grant).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s17_postgres_a_database_that_takes_no_writes_is_503_and_spends_nothing() {
    let server = Server::start_on_postgres().await;
    let client = server.client().await;
    let (living, _) = connect(&server, &client).await;
    let issued = issue(&server.staging, &client).await;
    let token = living.text("refresh_token").to_owned();
    let name = server.database_name();
    server.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    server.end_connections();
    for answer in [
        server.exchange(&client, &issued.code).await,
        server.refresh(&client, &token).await,
        revoke(&server, &client, &token).await,
        introspect(&server, &client, &token).await,
    ] {
        answer.assert_error(503, "temporarily_unavailable", "cannot answer just now");
    }
    server.execute(&format!("SET transaction_read_only = off; ALTER DATABASE {name} RESET ALL"));
    assert_eq!(introspect(&server, &client, &token).await.body["active"], true);
    assert_eq!(server.exchange(&client, &issued.code).await.status, 200);
    assert_eq!(server.refresh(&client, &token).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d3_postgres_an_end_that_no_replica_has_is_not_acknowledged_by_a_primary_that_started_again()
 {
    let mut primary = Cluster::start().unwrap();
    let mut replica = primary.replica(Replication::Synchronous).unwrap();
    let server = Server::start_on(&primary.create_database("grantor").unwrap()).await;
    let client = server.client().await;
    let (living, id) = connect(&server, &client).await;
    let (other, _) = connect(&server, &client).await;
    replica.kill();
    let store = server.staging.store.clone();
    let mut ending = tokio::spawn(async move { store.revoke_grant(HERE, id, START).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!ending.is_finished());
    let impatient = Duration::from_millis(500);
    let alone = other.text("access_token");
    assert!(tokio::time::timeout(impatient, revoke(&server, &client, alone)).await.is_err());
    // The commit stops waiting for the replica, and stands in the primary alone.
    primary.stop_fast().unwrap();
    primary.start_again().unwrap();
    let revoked = "SELECT COUNT(*)::TEXT FROM grants WHERE revoked_at IS NOT NULL";
    assert_eq!(primary.execute("grantor", revoked).unwrap(), [Some("1".to_owned())]);
    let told = tokio::time::timeout(Duration::from_secs(4), &mut ending).await;
    assert!(told.is_err(), "{told:?}: and the replica does not have it");
    // Nor by asking once more, for the connection or for one access token.
    for token in [living.text("refresh_token"), alone] {
        let told = tokio::time::timeout(impatient, revoke(&server, &client, token)).await;
        assert!(told.is_err(), "{told:?}: and the replica does not have it");
    }
    replica.start_again().unwrap();
    assert!(ending.await.unwrap().unwrap());
    primary.kill();
    replica.promote().unwrap();
    assert_eq!(replica.execute("grantor", revoked).unwrap(), [Some("1".to_owned())]);
}

//! A connection that is lost between a commit and its answer (D4). A proxy before PostgreSQL cuts
//! exactly there: the database has done what was asked, and nobody was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grantor::store::{Along, StoreError, Turn};
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::GrantStatus;
use reqwest::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::calls::{Call, allow, assert_opens, exchange_form, issue, new_grant, revoke, row};
use crate::harness::{START, Server};

/// How often each write loses its answer: it is another connection each time.
const TIMES: usize = 8;

/// What stands in the writes that are meant.
const WRITES: [&str; 6] = [
    "UPDATE grants",
    "INTO grants",
    "INTO revoked_tokens",
    "UPDATE clients SET counter",
    "UPDATE customers SET counter",
    "UPDATE consents",
];

/// Stands before a database, and loses answers when it is told to.
#[derive(Clone, Default)]
struct Proxy {
    /// How many answers are still to be lost.
    to_lose: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
    /// How often somebody asked which row holds an attempt. Each waits for a moment.
    asked: Arc<AtomicUsize>,
}

/// How long the question for an attempt is held up.
const HELD_UP: Duration = Duration::from_secs(2);

impl Proxy {
    async fn start(&self, database: u16) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = self.clone();
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", database)).await.unwrap();
                let (from_caller, to_caller) = caller.into_split();
                let (from_server, to_server) = server.into_split();
                let wrote = Arc::new(AtomicUsize::new(0));
                tokio::spawn(proxy.clone().forward(from_caller, to_server, Arc::clone(&wrote)));
                tokio::spawn(proxy.clone().answer(from_server, to_caller, wrote));
            }
        });
        port
    }

    /// Loses the answer to the next write.
    fn lose_next(&self) {
        self.to_lose.store(1, Ordering::SeqCst);
    }

    /// Passes answers on, and cuts the connection instead of the one that is to be lost.
    async fn answer(
        self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        wrote: Arc<AtomicUsize>,
    ) {
        let mut buffer = vec![0; 65_536];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            // A prepared statement was carried out; without a transaction around it, that is its
            // commit. Only connections that write are meant.
            let carried_out = buffer[0] == b'2' && wrote.load(Ordering::SeqCst) > 0;
            if carried_out && self.to_lose.swap(0, Ordering::SeqCst) > 0 {
                self.lost.fetch_add(1, Ordering::SeqCst);
                return;
            }
            if to.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    }

    /// Passes requests on, and notes whether this connection writes what is meant.
    async fn forward(
        self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        wrote: Arc<AtomicUsize>,
    ) {
        let mut buffer = vec![0; 65_536];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let text = String::from_utf8_lossy(&buffer[..read]);
            if WRITES.iter().any(|write| text.contains(write)) {
                wrote.fetch_add(1, Ordering::SeqCst);
            }
            if text.contains("AND attempt = $3") {
                self.asked.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(HELD_UP).await;
            }
            if to.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    }
}

async fn start() -> (Server, Proxy) {
    let proxy = Proxy::default();
    let server = Server::start_on_postgres_through(async |port| proxy.start(port).await).await;
    (server, proxy)
}

fn turn(id: [u8; 16], attempt: u8) -> Turn<'static> {
    let environment = Environment::Staging;
    let (attempt, idle_expires_at) = ([attempt; 16], START + 1000);
    Turn {
        environment,
        id,
        attempt,
        idle_expires_at,
        from: "::1",
        key: None,
        binds_refresh: false,
        now: START,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d4_postgres_a_write_whose_answer_is_lost_is_done_once_and_is_no_replay() {
    let (server, proxy) = start().await;
    let client = server.client().await;
    let store = &server.staging.store;
    for _ in 0..TIMES {
        let grant = new_grant(&server.staging, &client).await;
        assert!(allow(&server.staging, &grant).await);
        let grant = new_grant(&server.staging, &client).await;
        proxy.lose_next();
        assert!(store.allow(&grant, None, 1, START).await.unwrap());
        proxy.lose_next();
        assert!(store.redeem_code(&turn(grant.id, 1)).await.unwrap());
        proxy.lose_next();
        assert!(store.turn_generation(&turn(grant.id, 2), 1).await.unwrap());
        let GrantStatus::Active(active) = row(&server, grant.id).await.status else {
            panic!("a retry of ours was taken for a replay");
        };
        assert_eq!(active.generation, 2);
        // Another attempt is another request.
        assert!(!store.redeem_code(&turn(grant.id, 3)).await.unwrap());
        assert!(!store.turn_generation(&turn(grant.id, 3), 1).await.unwrap());
        proxy.lose_next();
        assert!(store.revoke_grant(Environment::Staging, grant.id, START).await.unwrap());
        let revoked = GrantStatus::Revoked { at: START };
        assert_eq!(row(&server, grant.id).await.status, revoked);
    }
    // The first of each kind on a connection is prepared there, and its answer is not lost.
    let lost = proxy.lost.load(Ordering::SeqCst);
    assert!(lost >= TIMES, "only {lost} answers were lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d4_postgres_an_exchange_and_a_refresh_whose_commit_answer_is_lost_are_granted() {
    let (server, proxy) = start().await;
    let client = server.client().await;
    for _ in 0..TIMES {
        let issued = issue(&server.staging, &client).await;
        proxy.lose_next();
        let form = exchange_form(&client, &issued);
        let answer = Call::to(&server.staging).basic(&client).form(&form).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let token = answer.body["refresh_token"].as_str().unwrap().to_owned();
        proxy.lose_next();
        let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        let answer = Call::to(&server.staging).basic(&client).form(&form).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let next = answer.body["refresh_token"].as_str().unwrap().to_owned();
        assert_ne!(token, next);
        let form = [("grant_type", "refresh_token"), ("refresh_token", next.as_str())];
        let answer = Call::to(&server.staging).basic(&client).form(&form).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let lost = proxy.lost.load(Ordering::SeqCst);
    assert!(lost >= TIMES, "only {lost} answers were lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d4_postgres_an_ending_whose_commit_answer_is_lost_is_told_as_done_and_is() {
    let (server, proxy) = start().await;
    let client = server.client().await;
    let (store, here) = (&server.staging.store, Environment::Staging);
    for _ in 0..TIMES {
        for ending in ["client", "customer", "customer and client", "grant", "token"] {
            let issued = issue(&server.staging, &client).await;
            let living = server.exchange(&client, &issued.code).await;
            let grant = row(&server, issued.grant_id).await;
            let (customer, refresh) = (grant.customer_id, living.text("refresh_token"));
            proxy.lose_next();
            match ending {
                "client" => assert!(
                    store.end_grants_of_client(here, &client.id, Along::ALONE).await.unwrap()
                ),
                "customer" => assert!(
                    store.end_grants_of_customer(here, customer, Along::ALONE).await.unwrap()
                ),
                "customer and client" => {
                    let id = &client.id;
                    let told = store
                        .end_grants_of_customer_and_client(here, customer, id, Along::ALONE)
                        .await;
                    assert!(told.unwrap());
                }
                "grant" => assert_eq!(revoke(&server, &client, refresh).await.status, 200),
                _ => {
                    let told = revoke(&server, &client, living.text("access_token")).await;
                    assert_eq!(told.status, 200);
                }
            }
            assert_opens(&server, living.text("access_token"), false).await;
            let answer = server.refresh(&client, refresh).await;
            assert_eq!(answer.status, if ending == "token" { 200 } else { 400 }, "{ending}");
        }
    }
    let lost = proxy.lost.load(Ordering::SeqCst);
    assert!(lost >= TIMES, "only {lost} answers were lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d4_postgres_a_turn_whose_row_went_on_before_it_was_found_is_unknown_and_no_replay() {
    let (server, proxy) = start().await;
    let client = server.client().await;
    let grant = new_grant(&server.staging, &client).await;
    let store = server.staging.store.clone();
    assert!(allow(&server.staging, &grant).await);
    assert!(store.redeem_code(&turn(grant.id, 1)).await.unwrap());
    let mut generation = 1;
    // An answer that was cut off where it is prepared is asked for again, and never lost.
    while proxy.asked.load(Ordering::SeqCst) == 0 {
        proxy.lose_next();
        let mine = tokio::spawn({
            let (store, id, client_id) = (store.clone(), grant.id, client.id.clone());
            async move { store.turn_at_once(&turn(id, 2), generation, &client_id).await }
        });
        while proxy.asked.load(Ordering::SeqCst) == 0 && !mine.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if proxy.asked.load(Ordering::SeqCst) > 0 {
            // Who repeated the refresh in parallel has the successor already, and uses it.
            assert_eq!(
                server.execute("UPDATE grants SET generation = generation + 1, attempt = NULL"),
                1
            );
            // "Refused" would be taken for a replay, and end the connection.
            let outcome = mine.await.unwrap();
            assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
        } else {
            assert!(mine.await.unwrap().unwrap().is_some());
            generation += 1;
        }
    }
}

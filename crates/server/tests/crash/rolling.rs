//! A rolling upgrade under load (D6): two servers on one PostgreSQL database, behind a balancer, and
//! one after the other is asked to stop and replaced, while partners go on as they do all day.
//!
//! No request may fail. The balancer does what every balancer does: it asks `/readyz` of each server,
//! here ten times a second, and sends nothing to one that is not ready; where a connection is
//! refused, the other server is asked; whatever else goes wrong it passes on. It makes a connection
//! for each request, as nginx does unless it is told otherwise.
//!
//! What is replaced is the program by itself, the same binary: there is no earlier release to begin
//! with. That the schema of the version before is brought up under it, and that it goes on with the
//! schema after, is tested where the migrations are (`store/migration.rs`). When there is a release,
//! the first two servers are to be of that one.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use grantor_test_cluster::{Cluster, free_port};
use tokio::task::JoinSet;

use crate::chance::Chance;
use crate::load::{Books, Worker};
use crate::partner::Partner;
use crate::server::{Installed, Server};

const WORKERS: u64 = 8;
/// How often both are replaced.
const ROUNDS: usize = 1;
/// How long the load goes on between two replacements.
const BETWEEN: Duration = Duration::from_millis(400);
/// D7: how long a server has to end.
const DRAIN: Duration = Duration::from_secs(10);

/// Two servers, and what stands before them.
struct Fleet<'a> {
    installed: &'a Installed,
    servers: [Option<Server>; 2],
    balancer: Arc<Balancer>,
}

struct Balancer {
    ports: [u16; 2],
    http: reqwest::Client,
    next: AtomicUsize,
    ready: [AtomicBool; 2],
    /// How many requests each server answered.
    answered: [AtomicUsize; 2],
    /// How many connections were refused.
    refused: AtomicUsize,
}

impl<'a> Fleet<'a> {
    async fn start(installed: &'a Installed, store: &str) -> Fleet<'a> {
        let ports = [(); 2].map(|()| free_port().unwrap());
        for (at, port) in ports.iter().enumerate() {
            let config = format!(
                "store = \"{store}\"\nmaster_key_file = \"master.key\"\n[environment.staging]\n\
                 base_url = \"{}\"\nlisten = \"127.0.0.1:{port}\"\nrefresh_window_seconds = 600\n",
                installed.base_url()
            );
            installed.house.write(&format!("{at}.toml"), &config);
        }
        let balancer = Arc::new(Balancer {
            ports,
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .pool_max_idle_per_host(0)
                .build()
                .unwrap(),
            next: AtomicUsize::new(0),
            ready: Default::default(),
            answered: Default::default(),
            refused: AtomicUsize::new(0),
        });
        let front = (Ipv4Addr::LOCALHOST, installed.port);
        let front = tokio::net::TcpListener::bind(front).await.unwrap();
        let routes = Router::new().fallback(forward).with_state(Arc::clone(&balancer));
        tokio::spawn(async move { axum::serve(front, routes).await });
        let servers = [installed.start_with("0.toml").await, installed.start_with("1.toml").await];
        for at in [0, 1] {
            tokio::spawn(watch(Arc::clone(&balancer), at));
            balancer.is_ready(at).await;
        }
        Fleet { installed, servers: servers.map(Some), balancer }
    }

    /// Stops one and starts another in its place. The other server works alone meanwhile.
    async fn replace(&mut self, at: usize) {
        let before = self.balancer.answered(1 - at);
        let (status, took) = self.servers[at].take().unwrap().stop().await;
        assert!(status.success() && took < DRAIN, "{status} after {took:?}");
        let server = self.installed.start_with(&format!("{at}.toml")).await;
        self.servers[at] = Some(server);
        assert!(self.balancer.answered(1 - at) > before, "there was no load");
        // The other one is replaced when this one does its part.
        self.balancer.is_ready(at).await;
    }
}

/// Asks a server whether it is ready, until the test ends.
async fn watch(balancer: Arc<Balancer>, at: usize) {
    let url = format!("http://127.0.0.1:{}/readyz", balancer.ports[at]);
    loop {
        let answer = balancer.http.get(&url).send().await;
        let ready = answer.is_ok_and(|answer| answer.status() == StatusCode::OK);
        balancer.ready[at].store(ready, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Balancer {
    async fn is_ready(&self, at: usize) {
        while !self.ready[at].load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn answered(&self, at: usize) -> usize {
        self.answered[at].load(Ordering::Relaxed)
    }
}

async fn forward(
    State(balancer): State<Arc<Balancer>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let first = balancer.next.fetch_add(1, Ordering::Relaxed);
    let mut why = "no server is ready".to_owned();
    let both = [first % 2, (first + 1) % 2].into_iter();
    for at in both.filter(|at| balancer.ready[*at].load(Ordering::Relaxed)) {
        let url = format!("http://127.0.0.1:{}{uri}", balancer.ports[at]);
        let request = balancer.http.request(method.clone(), url).headers(headers.clone());
        match request.body(body.clone()).send().await {
            Err(error) if error.is_connect() => {
                balancer.refused.fetch_add(1, Ordering::Relaxed);
                why = format!("{error:?}");
            }
            Err(error) => return bad_gateway(format!("{error:?}")),
            Ok(answer) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = answer.status();
                *response.headers_mut() = answer.headers().clone();
                for hop in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
                    response.headers_mut().remove(hop);
                }
                let Ok(bytes) = answer.bytes().await else {
                    return bad_gateway("the answer broke off".to_owned());
                };
                balancer.answered[at].fetch_add(1, Ordering::Relaxed);
                *response.body_mut() = bytes.into();
                return response;
            }
        }
    }
    bad_gateway(why)
}

/// No part of the protocol knows this answer, so the ledger calls it strange.
fn bad_gateway(why: String) -> Response<Body> {
    let mut response = Response::new(why.into());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d6_postgres_servers_that_are_replaced_one_after_the_other_under_load_fail_no_request() {
    let database = Cluster::shared_database().unwrap();
    let installed = tokio::task::block_in_place(|| Installed::new(&database.url()));
    let mut fleet = Fleet::start(&installed, &database.url()).await;
    let partner = Arc::new(Partner::connect(&installed).await);
    let (books, enough) = (Books::default(), Arc::new(AtomicBool::new(false)));
    let worker = |seed| Worker {
        partner: Arc::clone(&partner),
        books: books.clone(),
        chance: Chance::new(seed),
        codes: Vec::new(),
        enough: Arc::clone(&enough),
    };
    let mut working = JoinSet::new();
    for seed in 0..WORKERS {
        working.spawn(worker(seed).work());
    }
    for at in [0, 1].repeat(ROUNDS) {
        tokio::time::sleep(BETWEEN).await;
        fleet.replace(at).await;
    }
    enough.store(true, Ordering::Relaxed);
    let touched = working.join_all().await;
    // Everything goes on at the servers that came last.
    for code in touched.into_iter().flat_map(|codes| codes.into_iter().rev().take(4)) {
        worker(0).settle(&code).await;
    }
    let refused = fleet.balancer.refused.load(Ordering::Relaxed);
    println!("connections refused, and made to the other server: {refused}; {:#?}", books.counts());
    assert_eq!(books.ledger().violations(), [], "{}", installed.log());
    assert_eq!(partner.lost(), 0);
    let counts = books.counts();
    let unanswered = |what: &str| what.ends_with("unanswered") && !what.starts_with("settled");
    assert!(!counts.keys().any(|what| unanswered(what)), "{counts:?}");
    for what in ["codes", "exchanges granted", "refreshes granted"] {
        assert!(counts.get(what).is_some_and(|count| *count > 20), "{what}: {counts:?}");
    }
}

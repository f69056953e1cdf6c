//! The metrics: what is counted where, and that the docs name all of it and nothing else.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use grantor::exposition::Exposition;
use grantor::listener::{Bound, Socket, serve};
use grantor::store::Store;
use grantor::throttle::Credential;
use grantor_protocol::environment::Environment;

use crate::calls::{exchange_form, issue, tokens};
use crate::harness::{Page, START, Server};

/// The metrics of a server, at an address of their own.
pub(crate) struct Metrics {
    url: String,
    http: reqwest::Client,
}

impl Metrics {
    pub(crate) fn of(server: &Server) -> Metrics {
        let exposition = Exposition {
            sites: vec![Arc::clone(&server.staging), Arc::clone(&server.production)],
            store: server.staging.store.clone(),
            passwords: server.staging.passwords.clone(),
            started_at: START,
        };
        let socket = Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let url = format!("http://{}", socket.address());
        let page = Bound::page(socket, exposition.router());
        tokio::spawn(serve(vec![page], std::future::pending()));
        Metrics { url, http: reqwest::Client::new() }
    }

    async fn get(&self, path: &str) -> Page {
        let url = format!("{}{path}", self.url);
        Page::read(self.http.get(url).send().await.unwrap()).await
    }

    async fn text(&self) -> String {
        let page = self.get("/metrics").await;
        assert_eq!(page.status, 200);
        page.text
    }

    /// The value of one series; 0 where there is none yet.
    pub(crate) async fn value(&self, series: &str) -> f64 {
        let text = self.text().await;
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("{series} ")));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    #[track_caller]
    fn assert(&self, series: &str, expected: f64) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let value = self.value(series).await;
            assert!((value - expected).abs() < 1e-9, "{series} is {value}, at {caller}");
        }
    }
}

#[tokio::test]
async fn the_metrics_are_open_metrics_text_at_one_address_and_nothing_else_is() {
    let server = Server::start().await;
    let metrics = Metrics::of(&server);
    let page = metrics.get("/metrics").await;
    assert_eq!(page.status, 200);
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((page.header("content-type"), page.header("cache-control")), (form, "no-store"));
    assert!(page.text.ends_with("\n# EOF\n"), "{}", page.text);
    for path in ["/", "/healthz", "/oauth/token", "/metrics/"] {
        assert_eq!(metrics.get(path).await.status, 404, "{path}");
    }
    let posted = metrics.http.post(format!("{}/metrics", metrics.url)).send().await.unwrap();
    assert_eq!(posted.status(), 405);
    // And no environment serves them.
    assert_eq!(server.browser().get(&server.url("/metrics")).await.status, 404);
}

#[tokio::test]
async fn requests_are_counted_by_environment_route_and_status_and_by_nothing_that_a_stranger_chose()
{
    let server = Server::start().await;
    let metrics = Metrics::of(&server);
    let browser = server.browser();
    for path in ["/", "/", "/docs/guides/connect", "/canary-one", "/canary-two?x=canary-three"] {
        browser.get(&server.url(path)).await;
    }
    browser.get(&format!("{}/", server.production.base_url)).await;
    let series = |environment: &str, route: &str, status: u16| {
        format!(
            "grantor_requests_total{{environment=\"{environment}\",route=\"{route}\",\
             status=\"{status}\"}}"
        )
    };
    metrics.assert(&series("staging", "/", 200), 2.0).await;
    metrics.assert(&series("production", "/", 200), 1.0).await;
    metrics.assert(&series("staging", "/docs/{*page}", 200), 1.0).await;
    metrics.assert(&series("staging", "(no route)", 404), 2.0).await;
    let labels = "environment=\"staging\",route=\"/\"";
    let duration = "grantor_request_duration_seconds";
    metrics.assert(&format!("{duration}_count{{{labels}}}"), 2.0).await;
    metrics.assert(&format!("{duration}_bucket{{le=\"+Inf\",{labels}}}"), 2.0).await;
    assert!(metrics.value(&format!("{duration}_sum{{{labels}}}")).await > 0.0);
    let text = metrics.text().await;
    assert!(!text.contains("canary") && !text.contains("connect"), "{text}");
}

#[tokio::test]
async fn s15_s11_token_calls_and_what_deserves_a_look_are_counted() {
    let server = Server::start().await;
    let metrics = Metrics::of(&server);
    let client = server.client().await;
    let calls = |grant_type: &str, outcome: &str| {
        format!(
            "grantor_token_calls_total{{environment=\"staging\",grant_type=\"{grant_type}\",\
             outcome=\"{outcome}\"}}"
        )
    };
    let event = |event: &str| {
        format!("grantor_token_events_total{{environment=\"staging\",event=\"{event}\"}}")
    };
    // What has not happened yet stands there with 0, so that its first time is seen as a rise.
    assert!(metrics.text().await.contains(&format!("{} 0\n", event("code.replayed"))));

    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    assert_eq!(server.token(&client, &form).await.status, 200);
    assert_eq!(server.token(&client, &form).await.status, 400);
    let first = tokens(&server, &client).await;
    for _ in 0..3 {
        assert_eq!(server.refresh(&client, first.text("refresh_token")).await.status, 200);
    }
    server.clock.advance(3000);
    assert_eq!(server.refresh(&client, first.text("refresh_token")).await.status, 400);
    assert_eq!(server.token(&client, &[("grant_type", "password")]).await.status, 400);
    let stranger = crate::harness::TestClient { secret: "wrong".to_owned(), ..client };
    assert_eq!(server.exchange(&stranger, "x").await.status, 401);

    metrics.assert(&calls("authorization_code", "issued"), 2.0).await;
    metrics.assert(&calls("authorization_code", "invalid_grant"), 1.0).await;
    metrics.assert(&calls("refresh_token", "issued"), 3.0).await;
    metrics.assert(&calls("refresh_token", "invalid_grant"), 1.0).await;
    metrics.assert(&calls("none", "unsupported_grant_type"), 1.0).await;
    metrics.assert(&calls("none", "invalid_client"), 1.0).await;
    metrics.assert(&event("code.replayed"), 1.0).await;
    metrics.assert(&event("refresh.repeated"), 2.0).await;
    metrics.assert(&event("refresh.reused"), 1.0).await;
    metrics.assert(&event("refresh.ahead_of_row"), 0.0).await;
}

#[tokio::test]
async fn every_error_code_of_the_token_endpoint_is_counted_by_its_own_name() {
    let server = Server::start().await;
    let text = Metrics::of(&server).text().await;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read =
        |file: &str| std::fs::read_to_string(here.join("../protocol/src").join(file)).unwrap();
    let source: String =
        ["token_error.rs", "token_error/client.rs", "token_error/grant.rs"].map(read).concat();
    let codes: BTreeSet<&str> = ["code: \"", "bad_request(\""]
        .iter()
        .flat_map(|before| source.split(before).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(codes.len() > 4, "only {codes:?}");
    for code in codes {
        assert!(text.contains(&format!("outcome=\"{code}\"")), "{code} is counted as other");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_does_refuses_and_fails_at_is_counted() {
    let server = Server::start().await;
    // One of its own: the server looks at its keys twice a second.
    let store = Store::open(&server.address(), &server.clock).await.unwrap();
    let client = server.client().await;
    let numbers = || {
        let metrics = store.metrics();
        [&metrics.transactions, &metrics.reads, &metrics.busy, &metrics.faults, &metrics.waiting]
            .map(grantor::count::Count::read)
    };
    let before = numbers();
    let since = || std::array::from_fn::<u64, 5, _>(|at| numbers()[at].wrapping_sub(before[at]));
    // One that is carried out, and one that its own condition refuses.
    let end = || store.set_client_disabled(Environment::Staging, &client.id, true);
    assert!(end().await.unwrap() && !end().await.unwrap());
    assert_eq!(since(), [2, 0, 0, 0, 0]);
    store.client(&client.id).await.unwrap();
    assert_eq!(since(), [2, 1, 0, 0, 0]);

    server.execute("ALTER TABLE clients RENAME TO elsewhere");
    assert!(end().await.is_err() && store.client(&client.id).await.is_err());
    server.execute("ALTER TABLE elsewhere RENAME TO clients");
    assert_eq!(since(), [2, 1, 0, 2, 0]);

    // While somebody else holds the file, callers wait; who goes away waits no more.
    let lock = server.database();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let patient = tokio::spawn({
        let (store, id) = (store.clone(), client.id.clone());
        async move { store.set_client_disabled(Environment::Staging, &id, false).await }
    });
    let second = std::time::Duration::from_millis(300);
    assert!(tokio::time::timeout(second, end()).await.is_err());
    assert_eq!(since(), [2, 1, 0, 2, 1]);
    lock.execute_batch("ROLLBACK").unwrap();
    patient.await.unwrap().unwrap();
    assert_eq!(since(), [3, 1, 0, 2, 0]);
    let shown = server.staging.store.metrics().transactions.read();
    let series = format!("grantor_store_transactions_total {shown}");
    assert!(Metrics::of(&server).text().await.contains(&series));
}

#[tokio::test]
async fn s21_passwords_and_the_process_are_counted() {
    let server = Server::start().await;
    let metrics = Metrics::of(&server);
    let before = metrics.value("grantor_passwords_hashed_total").await;
    server.code(&server.demo_client(), "").await;
    metrics.assert("grantor_passwords_hashed_total", before + 1.0).await;
    metrics.assert("grantor_passwords_waiting", 0.0).await;
    for kind in ["mail", "webhook"] {
        for name in ["delivered", "failed", "gave_up"] {
            let series = format!("grantor_outbox_{name}_total{{kind=\"{kind}\"}}");
            metrics.assert(&series, 0.0).await;
        }
    }
    metrics.assert("grantor_outbox_waiting", 0.0).await;
    #[expect(clippy::cast_precision_loss, reason = "a time of this century")]
    metrics.assert("process_start_time_seconds", START as f64).await;
    assert!(metrics.value("process_resident_memory_bytes").await > 1e6);
    assert!(metrics.value("process_open_fds").await > 5.0);
    let version = format!("grantor_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    metrics.assert(&version, 1.0).await;
}

#[tokio::test]
async fn the_docs_name_every_family_and_no_other() {
    let server = Server::start().await;
    server.browser().get(&server.url("/")).await;
    let text = Metrics::of(&server).text().await;
    let served: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, "info") => format!("{name}_info"),
            (name, _) => name.to_owned(),
        })
        .collect();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let named: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split('`').next())
        .filter(|name| name.starts_with("grantor_") || name.starts_with("process_"))
        .map(str::to_owned)
        .collect();
    assert_eq!(named, served);
    assert!(served.len() > 10, "only {served:?}");
}

#[test]
fn the_docs_name_every_credential_that_is_throttled() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let line = page.lines().find(|line| line.starts_with("`credential` is ")).unwrap();
    let named: Vec<&str> = line.split('.').next().unwrap().split('`').skip(3).step_by(2).collect();
    assert_eq!(named, Credential::ALL.map(Credential::as_str));
}

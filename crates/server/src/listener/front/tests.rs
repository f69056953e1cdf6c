use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use grantor_protocol::environment::Environment;
use http_body_util::BodyExt as _;

use super::*;
use crate::clock::Clock;
use crate::keys::Keys;
use crate::master_key::MasterKey;
use crate::metrics::SiteMetrics;
use crate::outbound::{Outbound, Reach};
use crate::password::Passwords;
use crate::random::Random;
use crate::request_log::RequestLog;
use crate::site::{Dev, Settings};
use crate::store::Store;
use crate::throttle::{Limits, Throttle};
use crate::trials::Trials;
use crate::usage::Usage;

const PEER: &str = "203.0.113.9";
const PROXY: &str = "10.0.0.7";

/// A folder for the store, which goes with it.
struct House {
    folder: tempfile::TempDir,
}

impl House {
    fn new() -> House {
        House { folder: tempfile::tempdir().unwrap() }
    }

    async fn site(&self, environment: Environment, base_url: &str, dev: bool) -> Arc<Site> {
        let (clock, random) = (Clock::manual(1_000_000), Random::system());
        let path = self.folder.path().join(format!("{environment}.db"));
        let store =
            Store::open(&crate::store::Address::Sqlite(path.clone()), &clock).await.unwrap();
        let master_key = MasterKey::generate(&random);
        let keys = Keys::open(&store, &master_key, &clock, &random).await.unwrap();
        Arc::new(Site {
            environment,
            base_url: base_url.to_owned(),
            settings: Settings::default(),
            sealer: keys.sealer(environment),
            other_sealer: keys.sealer(environment.other()),
            signer: keys.signer(environment),
            keys: keys.clone(),
            throttle: Throttle::new(
                store.clone(),
                environment,
                keys.sealer(environment),
                clock.clone(),
                Limits::default(),
            ),
            passwords: Passwords::start(1, random.clone()).unwrap(),
            usage: Usage::default(),
            request_log: RequestLog::default(),
            trials: Trials::of(environment),
            metrics: SiteMetrics::default(),
            outbound: Outbound::new(Reach::Public, clock.clone()),
            store,
            clock,
            random,
            dev: dev.then(|| Dev { redirect_uri: "http://127.0.0.1:1/".to_owned() }),
            portal: None,
            portal_url: None,
        })
    }
}

/// A front whose sites answer with their names and the client's address.
fn front(sites: Vec<Arc<Site>>, plain: bool, loopback: bool, trusted_proxies: &[&str]) -> Router {
    let routers = sites
        .iter()
        .map(|site| {
            let name = site.environment.as_str();
            Router::new().fallback(move |request: Request<Body>| async move {
                let client = request.extensions().get::<ClientAddress>().unwrap();
                format!("{name} {}", client.0)
            })
        })
        .collect();
    let trusted_proxies = trusted_proxies.iter().map(|text| text.parse().unwrap()).collect();
    let leaving = Arc::new(Leaving::new());
    Front { plain, loopback, trusted_proxies, sites, leaving }.before(routers)
}

async fn ask(
    front: &Router,
    peer: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, String) {
    let mut request = Request::builder().uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    let peer: IpAddr = peer.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer, 4000)));
    let response = front.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn s25_the_client_is_the_right_most_forwarded_address_that_is_no_listed_proxy() {
    let house = House::new();
    let site = house.site(Environment::Staging, "https://a.example", false).await;
    let front = front(vec![site], true, false, &[PROXY, "10.0.0.8", "fd00::1"]);
    for (forwarded, client) in [
        (vec!["198.51.100.1"], "198.51.100.1"),
        (vec!["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        (vec!["6.6.6.6, 198.51.100.1, 10.0.0.8"], "198.51.100.1"),
        (vec!["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        (vec!["6.6.6.6", "198.51.100.1", "10.0.0.8"], "198.51.100.1"),
        (vec!["198.51.100.1:4711"], "198.51.100.1"),
        (vec!["[2001:db8::5]:4711"], "2001:db8::5"),
        (vec!["[2001:db8::5]"], "2001:db8::5"),
        (vec!["2001:db8::5,fd00::1"], "2001:db8::5"),
        (vec!["::ffff:198.51.100.1"], "198.51.100.1"),
        (vec![], PROXY),
        (vec![""], PROXY),
        (vec!["unknown"], PROXY),
        (vec!["6.6.6.6, unknown"], PROXY),
        (vec!["6.6.6.6, unknown, 10.0.0.8"], "10.0.0.8"),
        (vec!["10.0.0.8"], "10.0.0.8"),
    ] {
        let headers: Vec<_> = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect();
        let (status, answer) = ask(&front, PROXY, "/", &headers).await;
        assert_eq!(
            (status, answer),
            (StatusCode::OK, format!("staging {client}")),
            "{forwarded:?}"
        );
    }
    // A proxy that reaches an IPv6 socket over IPv4.
    let (_, answer) =
        ask(&front, "::ffff:10.0.0.7", "/", &[("x-forwarded-for", "198.51.100.1")]).await;
    assert_eq!(answer, "staging 198.51.100.1");
}

#[tokio::test]
async fn s25_nobody_but_a_listed_proxy_says_whose_address_it_is() {
    let house = House::new();
    let site = house.site(Environment::Staging, "https://a.example", false).await;
    let front = front(vec![site], false, false, &[PROXY]);
    let headers = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=198.51.100.1")];
    assert_eq!(ask(&front, PEER, "/", &headers).await, (StatusCode::OK, format!("staging {PEER}")));
}

#[tokio::test]
async fn an_https_site_takes_plain_http_from_its_proxies_alone() {
    let house = House::new();
    let site = house.site(Environment::Staging, "https://a.example", false).await;
    let open = front(vec![Arc::clone(&site)], true, false, &[PROXY]);
    let (status, answer) = ask(&open, PEER, "/oauth/token", &[]).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(answer, "This server takes requests over TLS only, through its proxy.\n");
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(ask(&open, PEER, probe, &[]).await.0, StatusCode::OK);
    }
    assert_eq!(ask(&open, PEER, "/healthz/", &[]).await.0, StatusCode::FORBIDDEN);
    assert_eq!(ask(&open, PROXY, "/", &[]).await.0, StatusCode::OK);
    let with_tls = front(vec![Arc::clone(&site)], false, false, &[]);
    assert_eq!(ask(&with_tls, PEER, "/", &[]).await.0, StatusCode::OK);
    let on_loopback = front(vec![site], true, true, &[]);
    assert_eq!(ask(&on_loopback, "127.0.0.1", "/", &[]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn one_site_is_served_whatever_host_says_and_several_by_their_names() {
    let house = House::new();
    let staging = house.site(Environment::Staging, "https://trial.a.example", false).await;
    let production = house.site(Environment::Production, "https://a.example:8443", false).await;
    let one = front(vec![Arc::clone(&staging)], false, false, &[]);
    assert_eq!(
        ask(&one, PEER, "/", &[("host", "else.example")]).await.1,
        format!("staging {PEER}")
    );
    assert_eq!(ask(&one, PEER, "/", &[]).await.0, StatusCode::OK);

    let two = front(vec![staging, production], false, false, &[]);
    for (host, site) in [
        ("trial.a.example", Some("staging")),
        ("trial.a.example:443", Some("staging")),
        ("Trial.A.Example", Some("staging")),
        ("a.example:8443", Some("production")),
        ("trial.a.example:80", None),
        ("trial.a.example:", None),
        ("trial.a.example:443x", None),
        ("trial.a.example.", None),
        ("me@trial.a.example", None),
        ("a.example", None),
        ("a.example:443", None),
        ("else.example", None),
        ("trial.a.example, a.example:8443", None),
        ("", None),
    ] {
        let (status, answer) = ask(&two, PEER, "/", &[("host", host)]).await;
        match site {
            Some(site) => {
                assert_eq!((status, answer), (StatusCode::OK, format!("{site} {PEER}")), "{host}")
            }
            None => {
                assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "{host}");
                assert!(answer.starts_with("Nothing is served under this host name here."));
            }
        }
    }
    let twice = [("host", "trial.a.example"), ("host", "a.example:8443")];
    assert_eq!(ask(&two, PEER, "/", &twice).await.0, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(ask(&two, PEER, "/", &[]).await.0, StatusCode::MISDIRECTED_REQUEST);
    // The target's own host counts, and not the header beside it (RFC 9112 3.2.2).
    let target = "https://a.example:8443/oauth/token";
    let answer = ask(&two, PEER, target, &[("host", "trial.a.example")]).await.1;
    assert_eq!(answer, format!("production {PEER}"));
    assert_eq!(ask(&two, PEER, "/healthz", &[("host", "else.example")]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn u14_dev_answers_to_the_names_of_this_machine_alone() {
    let house = House::new();
    let site = house.site(Environment::Staging, "http://127.0.0.1:8300", true).await;
    let front = front(vec![site], true, true, &[]);
    for host in ["127.0.0.1:8300", "localhost:8300", "LOCALHOST:1", "[::1]:8300", "127.0.0.1"] {
        assert_eq!(
            ask(&front, "127.0.0.1", "/", &[("host", host)]).await.0,
            StatusCode::OK,
            "{host}"
        );
    }
    for host in
        ["evil.example:8300", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.2", ""]
    {
        let status = ask(&front, "127.0.0.1", "/", &[("host", host)]).await.0;
        assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    assert_eq!(ask(&front, "127.0.0.1", "/", &[]).await.0, StatusCode::MISDIRECTED_REQUEST);
}

//! How often something may be tried, and that strangers keep nobody from anything.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use grantor::cleanup::walk;
use grantor::demo;
use grantor::http::{ClientAddress, router};
use grantor::outbound::{Outbound, Reach};
use grantor::site::{Registration, Settings, Site};
use grantor::store::Store;
use grantor::throttle::{Caller, Credential, KnownBrowser, Limits, NotTaken, Subject, Throttle};
use grantor_protocol::environment::Environment;
use grantor_protocol::scope::Scope;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::calls::{Call, issue};
use crate::harness::{Answer, Page, Server, TestClient, basic, encode, form_body};
use crate::metrics::Metrics;

const HERE: Environment = Environment::Staging;
const WRONG: &str = "The e-mail address or the password is not right.";
const WAIT: &str = "Please wait a little";
const WINDOW: i64 = Limits::USUAL.window_seconds;
/// Tries of one name from one address without a wait.
const UNHURRIED: usize = 5;
const ROBIN: Subject<'_> =
    Subject { credential: Credential::Password, name: b"robin@rest.example" };

/// Tries a password with a new browser at that address.
async fn try_password(server: &Server, at: [u8; 4], email: &str, password: &str) -> Page {
    let browser = server.browser_at(at);
    let page = browser.get(&server.authorize_url(&server.demo_client(), "")).await;
    browser.submit(&page, &[("email", email), ("password", password)]).await
}

/// A client with a secret that is not its own.
fn wrong(client: &TestClient) -> TestClient {
    TestClient {
        id: client.id.clone(),
        secret: "wrong".to_owned(),
        redirect_uri: client.redirect_uri.clone(),
    }
}

/// A throttle of its own on the server's store.
fn throttle(server: &Server, realm: Environment, limits: Limits) -> Throttle {
    let site = &server.staging;
    Throttle::new(site.store.clone(), realm, Arc::clone(&site.sealer), site.clock.clone(), limits)
}

fn at(last: u8) -> Caller<'static> {
    Caller { address: IpAddr::from([203, 0, 113, last]), browser: None }
}

#[track_caller]
fn assert_waits<T: std::fmt::Debug>(outcome: Result<T, NotTaken>, expected: i64) {
    match outcome {
        Err(NotTaken::TooMany { wait_seconds }) => assert_eq!(wait_seconds, expected),
        other => panic!("{other:?}"),
    }
}

async fn s20_of_fifty_wrong_passwords_at_once_on_two_processes_five_are_hashed(server: Server) {
    let other = server.start_another().await;
    let hashed = |server: &Server| server.staging.passwords.metrics().hashed.read();
    let before = hashed(&server) + hashed(&other);
    let tries = (0..50).map(|nth| {
        let server = if nth % 2 == 0 { &server } else { &other };
        try_password(server, [127, 0, 0, 1], demo::CUSTOMER_EMAIL, "a wrong password")
    });
    let mut statuses = BTreeMap::<u16, usize>::new();
    for answer in join_all(tries).await {
        *statuses.entry(answer.status.as_u16()).or_default() += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(401, UNHURRIED), (429, 50 - UNHURRIED)]));
    assert_eq!(hashed(&server) + hashed(&other) - before, UNHURRIED as u64);
}

async fn s19_s20_known_and_unknown_names_wait_alike_and_time_opens_again(server: Server) {
    let mut seen = Vec::new();
    for (last, email) in [(2, demo::CUSTOMER_EMAIL), (3, "nobody@demo.example")] {
        let from = [127, 0, 0, last];
        let mut answers = Vec::new();
        for _ in 0..7 {
            let answer = try_password(&server, from, email, "a wrong password").await;
            let id = answer.header("x-request-id").to_owned();
            let text = answer.text.replace(&id, "").replace(email, "");
            let retry_after = answer.header("retry-after").to_owned();
            if answer.status == 429 {
                answer.assert_page(429, WAIT);
                assert!(!text.contains(demo::PASSWORD) && answer.header("set-cookie").is_empty());
                answers.push((answer.status.as_u16(), retry_after, text));
            } else {
                answer.assert_page(401, WRONG);
                answers.push((401, retry_after, String::new()));
            }
        }
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1]);
    let statuses: Vec<(u16, &str)> =
        seen[0].iter().map(|(status, wait, _)| (*status, wait.as_str())).collect();
    let expected = [(401, ""); UNHURRIED].into_iter().chain([(429, "5"); 2]);
    assert_eq!(statuses, expected.collect::<Vec<_>>());
    // The right password waits too, and is taken when the time has come.
    let from = [127, 0, 0, 2];
    let early = try_password(&server, from, demo::CUSTOMER_EMAIL, demo::PASSWORD).await;
    early.assert_page(429, "Try again in 5 seconds.");
    server.clock.advance(5);
    let late = try_password(&server, from, demo::CUSTOMER_EMAIL, demo::PASSWORD).await;
    assert_eq!(late.status, 303, "{}", late.text);
    // What was wrong before counts no more.
    for _ in 0..UNHURRIED {
        let answer = try_password(&server, from, demo::CUSTOMER_EMAIL, "wrong").await;
        answer.assert_page(401, WRONG);
    }
    let refused = Metrics::of(&server);
    let series = "grantor_throttled_total{environment=\"staging\",credential=\"password\"}";
    assert_eq!(refused.value(series).await.to_string(), "5");
}

async fn s20_a_stranger_keeps_the_owner_from_nothing(server: Server) {
    let owner = server.browser();
    let url = server.authorize_url(&server.demo_client(), "&prompt=login");
    let page = owner.get(&url).await;
    let fields = [("email", demo::CUSTOMER_EMAIL), ("password", demo::PASSWORD)];
    let signed_in = owner.submit(&page, &fields).await;
    let cookies: Vec<&str> = signed_in
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|cookie| cookie.to_str().unwrap())
        .collect();
    assert!(cookies[1].starts_with("grantor-staging-known=gr_browser_"), "{cookies:?}");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=15552000"] {
        assert!(cookies[1].contains(attribute), "{cookies:?}");
    }
    // A stranger at the owner's own address, and one at another.
    for last in [1, 2] {
        for _ in 0..UNHURRIED {
            try_password(&server, [127, 0, 0, last], demo::CUSTOMER_EMAIL, "wrong").await;
        }
        let answer =
            try_password(&server, [127, 0, 0, last], demo::CUSTOMER_EMAIL, demo::PASSWORD).await;
        answer.assert_page(429, WAIT);
    }
    // The owner's own browser, right and wrong.
    let page = owner.get(&url).await;
    let wrong = [("email", demo::CUSTOMER_EMAIL), ("password", "a slip of the finger")];
    owner.submit(&page, &wrong).await.assert_page(401, WRONG);
    assert_eq!(owner.submit(&page, &fields).await.status, 303);
    // The owner with a new telephone, somewhere else.
    let new = try_password(&server, [127, 0, 0, 3], demo::CUSTOMER_EMAIL, demo::PASSWORD).await;
    assert_eq!(new.status, 303);
    // Who is known in one account is a stranger in another.
    server.customer(HERE, "robin@rest.example", "a password of Robin's own", 1).await;
    let page = owner.get(&url).await;
    let robin = [("email", "robin@rest.example"), ("password", "wrong")];
    for _ in 0..UNHURRIED {
        owner.submit(&page, &robin).await.assert_page(401, WRONG);
    }
    owner.submit(&page, &robin).await.assert_page(429, WAIT);
}

async fn s20_a_name_tried_from_many_addresses_leaves_two_tries_to_each_and_refuses_none(
    server: Server,
) {
    let limits = Limits { failures_per_name: 10, ..Limits::USUAL };
    let throttle = throttle(&server, HERE, limits);
    let random = &server.staging.random;
    for nth in 0..11 {
        drop(throttle.take(&ROBIN, at(nth / 5)).await.unwrap());
    }
    // From here on each address has two, however many others tried.
    for last in 100..110 {
        drop(throttle.take(&ROBIN, at(last)).await.unwrap());
        drop(throttle.take(&ROBIN, at(last)).await.unwrap());
        assert_waits(throttle.take(&ROBIN, at(last)).await, WINDOW);
    }
    // A browser that was in the account before has all of its own.
    let known = KnownBrowser::signed_in(None, &ROBIN, random);
    let owner = Caller { browser: Some(&known), ..at(100) };
    for _ in 0..UNHURRIED {
        drop(throttle.take(&ROBIN, owner).await.unwrap());
    }
    assert_waits(throttle.take(&ROBIN, owner).await, 5);
    // One of somebody else's account has not; and Robin in the portal is somebody else.
    let other = Subject { name: b"alex@rest.example", ..ROBIN };
    let known = KnownBrowser::signed_in(None, &other, random);
    let stranger = Caller { browser: Some(&known), ..at(100) };
    assert_waits(throttle.take(&ROBIN, stranger).await, WINDOW);
    let portal = self::throttle(&server, Environment::Portal, limits);
    drop(portal.take(&ROBIN, at(100)).await.unwrap());
    server.clock.advance(WINDOW);
    drop(throttle.take(&ROBIN, at(100)).await.unwrap());
}

async fn s20_waits_grow_a_right_one_ends_them_and_no_clock_keeps_a_name_closed(server: Server) {
    let throttle = throttle(&server, Environment::Portal, Limits::USUAL);
    for _ in 1..UNHURRIED {
        drop(throttle.take(&ROBIN, at(1)).await.unwrap());
    }
    let mut waited = 0;
    for wait in [5, 10, 20, 40, 80] {
        drop(throttle.take(&ROBIN, at(1)).await.unwrap());
        assert_waits(throttle.take(&ROBIN, at(1)).await, wait);
        server.clock.advance(wait);
        waited += wait;
    }
    // The tenth was the last of this window.
    drop(throttle.take(&ROBIN, at(1)).await.unwrap());
    assert_waits(throttle.take(&ROBIN, at(1)).await, WINDOW - waited);
    server.clock.advance(WINDOW - waited);
    let taken = throttle.take(&ROBIN, at(1)).await.unwrap();
    throttle.right(taken).await;
    assert_eq!(server.count("throttles"), 0);
    // What was not tried is given back.
    for _ in 0..20 {
        let taken = throttle.take(&ROBIN, at(1)).await.unwrap();
        throttle.give_back(taken).await;
    }
    assert_eq!(server.count("throttles"), 0);
    // Of one address no more than a hundred, of whatever name; and a clock that is put right by
    // years does not leave it closed.
    for nth in 0..100_u8 {
        drop(throttle.take(&Subject { name: &[nth], ..ROBIN }, at(1)).await.unwrap());
    }
    let another = Subject { name: b"another", ..ROBIN };
    assert_waits(throttle.take(&another, at(1)).await, WINDOW);
    drop(throttle.take(&another, at(2)).await.unwrap());
    server.clock.advance(-100 * WINDOW);
    drop(throttle.take(&another, at(1)).await.unwrap());
    // Nor does one that is behind by a little give a new window to whoever goes to and fro.
    for nth in 0..99_u8 {
        server.clock.advance(if nth % 2 == 0 { -1 } else { 1 });
        drop(throttle.take(&Subject { name: &[nth], ..ROBIN }, at(1)).await.unwrap());
    }
    assert!(throttle.take(&another, at(1)).await.is_err());
}

async fn s20_tallies_hold_no_name_and_go_when_their_window_is_over(server: Server) {
    for secret in ["a password in the wrong field", "robin@rest.example"] {
        try_password(&server, [127, 0, 0, 1], secret, "x").await.assert_page(401, WRONG);
    }
    assert_eq!(server.count("throttles"), 5);
    let named = "SELECT COUNT(*) FROM throttles WHERE length(id) <> 32 OR realm <> 'staging'";
    assert_eq!(server.number(named), 0);
    server.clock.advance(WINDOW + 60);
    assert_eq!(walk(&server.staging, 2, Duration::ZERO).await.unwrap().short_lived, 5);
    assert_eq!(server.count("throttles"), 0);
}

async fn s20_wrong_secrets_wait_on_every_process_and_a_right_one_is_never_refused(server: Server) {
    let client = server.client().await;
    let other = server.start_another().await;
    let form = [("grant_type", "client_credentials")];
    let stranger = wrong(&client);
    for nth in 0..10 {
        let server = if nth % 2 == 0 { &server } else { &other };
        server.token(&stranger, &form).await.assert_error(401, "invalid_client", "secret is wrong");
    }
    let unknown = TestClient { id: "devp-staging-nobody".to_owned(), ..wrong(&client) };
    for _ in 0..10 {
        server.token(&unknown, &form).await.assert_error(401, "invalid_client", "known here");
    }
    for server in [&server, &other] {
        for client in [&stranger, &unknown] {
            let refused = server.token(client, &form).await;
            refused.assert_error(429, "temporarily_unavailable", "Too many calls");
            assert_eq!(refused.headers["retry-after"], "900");
            assert!(refused.text("error_uri").ends_with("#too-many-tries"));
        }
        for path in ["/oauth/revoke", "/oauth/introspect", "/oauth/par"] {
            let call = Call::at(&server.staging, path).basic(&stranger).form(&[("token", "x")]);
            call.send().await.assert_error(429, "temporarily_unavailable", "Too many calls");
        }
        // The secret that is right is taken, from the same address, at once.
        let issued = issue(&server.staging, &client).await;
        assert_eq!(server.exchange(&client, &issued.code).await.status, 200);
    }
    // From another address the wrong one is looked at as before.
    let elsewhere = reqwest::Client::builder().local_address(IpAddr::from([127, 0, 0, 2]));
    let call = elsewhere.build().unwrap().post(server.url("/oauth/token"));
    let call = call.header("Authorization", basic(&stranger.id, &stranger.secret));
    let call = call.header("Content-Type", "application/x-www-form-urlencoded");
    let answer = Answer::read(call.body(form_body(&form)).send().await.unwrap()).await;
    answer.assert_error(401, "invalid_client", "secret is wrong");
    server.clock.advance(WINDOW);
    server.token(&stranger, &form).await.assert_error(401, "invalid_client", "secret is wrong");
}

async fn s25_a_header_of_a_peer_that_is_no_listed_proxy_makes_no_new_address(server: Server) {
    let client = wrong(&server.client().await);
    for nth in 0..12 {
        let forwarded = format!("198.51.100.{nth}");
        let answer = Call::to(&server.staging)
            .basic(&client)
            .header("X-Forwarded-For", forwarded.as_bytes())
            .header("Forwarded", format!("for={forwarded}").as_bytes())
            .form(&[("grant_type", "client_credentials")])
            .send()
            .await;
        assert_eq!(answer.status, if nth < 10 { 401 } else { 429 }, "{nth}: {answer:?}");
    }
}

/// A site that nobody serves: nothing is written beside its requests.
async fn alone(server: &Server) -> (Arc<Site>, Store) {
    let (of, store) = (&server.staging, server.another_store().await);
    let realm = HERE;
    let site = Site {
        environment: HERE,
        base_url: of.base_url.clone(),
        settings: of.settings.clone(),
        throttle: Throttle::new(
            store.clone(),
            realm,
            Arc::clone(&of.sealer),
            of.clock.clone(),
            Limits::USUAL,
        ),
        store: store.clone(),
        sealer: Arc::clone(&of.sealer),
        other_sealer: Arc::clone(&of.other_sealer),
        signer: Arc::clone(&of.signer),
        keys: of.keys.clone(),
        passwords: of.passwords.clone(),
        usage: grantor::usage::Usage::default(),
        metrics: grantor::metrics::SiteMetrics::default(),
        outbound: Outbound::new(Reach::ThisMachine, of.clock.clone()),
        clock: of.clock.clone(),
        random: of.random.clone(),
        dev: of.dev.clone(),
        request_log: grantor::request_log::RequestLog::default(),
        trials: grantor::trials::Trials::of(HERE),
        portal: None,
        portal_url: None,
    };
    (Arc::new(site), store)
}

async fn s20_a_call_that_proves_its_client_asks_the_store_for_nothing_more(server: Server) {
    let client = server.client().await;
    let (site, store) = alone(&server).await;
    let caller = Extension(ClientAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let router = router(Arc::clone(&site)).layer(caller);
    let call = async |path: &str, client: &TestClient, form: &[(&str, &str)]| {
        let request = Request::post(path)
            .header("Authorization", basic(&client.id, &client.secret))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(Body::from(form_body(form)))
            .unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice::<Value>(&body).unwrap_or_default())
    };
    let stranger = wrong(&client);
    for at_rest in [true, false] {
        if !at_rest {
            for nth in 0..12 {
                let (status, _) = call("/oauth/introspect", &stranger, &[("token", "x")]).await;
                assert_eq!(status, if nth < 10 { 401 } else { 429 });
            }
        }
        let issued = issue(&site, &client).await;
        // As a client that called a moment ago.
        store.newly_known_client(HERE, &client.id, &site.clock).await.unwrap();
        let numbers =
            || [&store.metrics().reads, &store.metrics().transactions].map(|count| count.read());
        let mut before = numbers();
        let mut since = || {
            let now = numbers();
            let since = [now[0] - before[0], now[1] - before[1]];
            before = now;
            since
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("code", issued.code.as_str()),
            ("redirect_uri", client.redirect_uri.as_str()),
        ];
        let (status, tokens) = call("/oauth/token", &client, &form).await;
        assert_eq!((status, since()), (200, [0, 1]), "{tokens}");
        let refresh_token = tokens["refresh_token"].as_str().unwrap();
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        let (status, tokens) = call("/oauth/token", &client, &form).await;
        assert_eq!((status, since()), (200, [0, 1]), "{tokens}");
        let form = [("token", tokens["access_token"].as_str().unwrap())];
        let (status, said) = call("/oauth/introspect", &client, &form).await;
        assert_eq!((status, &said["active"], since()), (200, &Value::Bool(true), [1, 0]));
        // Who is known to be too many costs no write either.
        if !at_rest {
            call("/oauth/introspect", &stranger, &form).await;
            since();
            let (status, _) = call("/oauth/introspect", &stranger, &form).await;
            assert_eq!((status, since()[1]), (429, 0));
        }
    }
}

#[tokio::test]
async fn s20_whoever_registers_much_waits_and_a_token_that_is_right_never_does() {
    let registration_scopes = Scope::parse("financial-api").unwrap();
    let settings =
        Settings { registration: Registration::Open, registration_scopes, ..Settings::default() };
    let server = Server::start_with(settings, true).await;
    let document = r#"{"redirect_uris":["https://app.example/cb"]}"#;
    let register = async |last: u8| {
        let address = IpAddr::from([127, 0, 0, last]);
        let http = reqwest::Client::builder().local_address(address).build().unwrap();
        let call = http.post(server.url("/oauth/register")).body(document);
        let call = call.header("Content-Type", "application/json");
        Answer::read(call.send().await.unwrap()).await
    };
    let mut made = Vec::new();
    for _ in 0..20 {
        made.push(register(1).await);
        assert_eq!(made.last().unwrap().status, 201);
    }
    let refused = register(1).await;
    refused.assert_error(429, "temporarily_unavailable", "Too many registrations");
    assert_eq!(refused.headers["retry-after"], "900");
    assert_eq!(server.count("clients"), 22);
    assert_eq!(register(2).await.status, 201);

    let (uri, token) = (made[0].text("registration_client_uri"), "registration_access_token");
    let read = async |token: &str| {
        let call = reqwest::Client::new().get(uri).bearer_auth(token);
        Answer::read(call.send().await.unwrap()).await.status
    };
    for nth in 0..12 {
        assert_eq!(read("wrong").await, if nth < 10 { 401 } else { 429 });
    }
    assert_eq!(read(made[0].text(token)).await, 200);
}

#[tokio::test]
async fn s20_who_guesses_codes_of_devices_learns_nothing_from_the_page_that_decides() {
    let server = Server::start().await;
    let client = server
        .client_with(HERE, |client| {
            client.scopes = demo::client_scopes();
            client.settings.device_code = true;
        })
        .await;
    let begin = async || {
        let path = "/oauth/device_authorization";
        Call::at(&server.staging, path).basic(&client).form(&[]).send().await
    };
    let (own, other) = (begin().await, begin().await);
    let browser = server.browser();
    let page = browser.get(own.text("verification_uri_complete")).await;
    let page = browser.sign_in(&page).await;
    let page = browser.submit(&page, &[("user_code", own.text("user_code"))]).await;
    assert_eq!(page.step().as_deref(), Some("decide"), "{}", page.text);
    let (seen, csrf_token) = (page.hidden("seen"), page.hidden("csrf_token"));
    let body = format!("step=decide&decision=deny&seen={}&csrf_token={csrf_token}", encode(&seen));
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    for code in [other.text("user_code"), "BCDF-GHJK"] {
        let url = server.url(&format!("/device?user_code={code}"));
        let answer = browser.post(&url, &headers, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (303, ""), "{code}");
    }
    let url = server.url(&format!("/device?user_code={}", own.text("user_code")));
    let denied = browser.post(&url, &headers, body).await;
    denied.assert_page(200, "Nothing was connected");
}

on_both_engines! {
    s20_of_fifty_wrong_passwords_at_once_on_two_processes_five_are_hashed,
    s19_s20_known_and_unknown_names_wait_alike_and_time_opens_again,
    s20_a_stranger_keeps_the_owner_from_nothing,
    s20_a_name_tried_from_many_addresses_leaves_two_tries_to_each_and_refuses_none,
    s20_waits_grow_a_right_one_ends_them_and_no_clock_keeps_a_name_closed,
    s20_tallies_hold_no_name_and_go_when_their_window_is_over,
    s20_wrong_secrets_wait_on_every_process_and_a_right_one_is_never_refused,
    s25_a_header_of_a_peer_that_is_no_listed_proxy_makes_no_new_address,
    s20_a_call_that_proves_its_client_asks_the_store_for_nothing_more,
}

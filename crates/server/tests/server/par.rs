//! Pushed authorization requests (RFC 9126), and answers that are posted as a form.

use futures_util::StreamExt as _;
use grantor::store::{NewDevice, NewPushedRequest};
use grantor_protocol::device::{DeviceAuthorization, UserCode};
use grantor_protocol::environment::Environment;
use grantor_protocol::pushed_request::RequestUri;
use grantor_protocol::resource::Resources;
use grantor_protocol::scope::Scope;
use reqwest::StatusCode;
use serde_json::Value;

use crate::calls::{CHALLENGE, Call, VERIFIER};
use crate::dpop::Key;
use crate::harness::{Answer, Page, Server, TestClient, encode, query};

const HERE: Environment = Environment::Staging;
const PAR: &str = "/oauth/par";

async fn push(server: &Server, client: &TestClient, more: &[(&str, &str)]) -> Answer {
    let mut form =
        vec![("response_type", "code"), ("redirect_uri", &client.redirect_uri), ("state", "s t")];
    form.extend(more);
    Call::at(&server.staging, PAR).basic(client).form(&form).send().await
}

fn authorize(server: &Server, client: &TestClient, request_uri: &str, more: &str) -> String {
    let request_uri = encode(request_uri);
    server.url(&format!("/oauth/authorize?client_id={}&request_uri={request_uri}{more}", client.id))
}

#[track_caller]
fn assert_used(page: &Page) {
    page.assert_page(400, "This link was used, or is too old");
}

async fn a_pushed_request_becomes_a_code_once_and_the_link_says_nothing_else(server: Server) {
    let client = server.client().await;
    let pushed = push(&server, &client, &[("scope", "orders-api")]).await;
    assert_eq!((pushed.status, &pushed.body["expires_in"]), (201, &90.into()), "{pushed:?}");
    assert_eq!(pushed.headers["cache-control"], "no-store");
    let name = pushed.text("request_uri");
    assert!(name.starts_with("urn:ietf:params:oauth:request_uri:") && name.len() > 70, "{name}");
    // RFC 9126 4: whoever changes the link changes nothing.
    let changed = "&scope=financial-api&redirect_uri=https%3A%2F%2Fevil.example&state=x";
    let url = authorize(&server, &client, name, changed);
    let browser = server.browser();
    let page = browser.get(&url).await;
    assert_eq!(browser.get(&url).await.step(), page.step(), "a reload is no use");
    let target = browser.allow(&url).await;
    assert!(target.starts_with(&client.redirect_uri), "{target}");
    assert_eq!(query(&target, "state").as_deref(), Some("s t"));
    let answer = server.exchange(&client, &query(&target, "code").unwrap()).await;
    assert_eq!((answer.status, answer.text("scope")), (200, "orders-api"));
    assert_used(&browser.get(&url).await);
    assert_eq!(server.count("pushed_requests"), 0);
}

/// Whoever knows the id of a public client may push for it: what waits for it has a bound.
async fn s20_of_one_client_no_more_requests_and_devices_wait_than_there_is_room_for(
    server: Server,
) {
    let (client, other) = (server.client().await, server.client().await);
    let site = &server.staging;
    let push = async |client: &TestClient, at_most| {
        let request_uri = RequestUri::new(site.random.bytes());
        let new = NewPushedRequest {
            environment: HERE,
            request_uri: &request_uri,
            client_id: &client.id,
            parameters: "state=s",
            epoch: site.sealer.epoch(),
            expires_at: server.clock.now() + 90,
            now: server.clock.now(),
            at_most,
        };
        let pushed = site.store.push_request(&new).await.unwrap();
        (pushed, request_uri)
    };
    let (pushed, first) = push(&client, 3).await;
    assert!(pushed);
    for expected in [true, true, false, false] {
        assert_eq!(push(&client, 3).await.0, expected);
    }
    assert_eq!(server.count("pushed_requests"), 3);
    // Of another client others wait; what is used, or too old, takes no room.
    assert!(push(&other, 3).await.0 && push(&client, i64::MAX).await.0);
    assert!(!push(&client, 4).await.0);
    assert!(site.store.use_pushed_request(HERE, &first).await.unwrap());
    assert!(push(&client, 4).await.0 && !push(&client, 4).await.0);
    server.clock.advance(90);
    assert!(push(&client, 1).await.0);
    let begin = async |client: &TestClient, at_most| {
        let user_code = UserCode::new(site.random.bytes());
        let now = server.clock.now();
        let authorization = DeviceAuthorization {
            client_id: client.id.clone(),
            scope: Scope::parse("orders-api").unwrap(),
            resources: Resources::default(),
            requested_from: "this machine".to_owned(),
            interval_seconds: 5,
            polled_at: None,
            decision: None,
            created_at: now,
            expires_at: now + 600,
        };
        let new = NewDevice {
            environment: HERE,
            device_code: &site.random.secret(),
            user_code: &user_code,
            authorization: &authorization,
            epoch: site.sealer.epoch(),
            at_most,
        };
        site.store.add_device(&new).await.unwrap()
    };
    for expected in [true, true, false] {
        assert_eq!(begin(&client, 2).await, expected);
    }
    assert!(begin(&other, 1).await);
    server.clock.advance(600);
    assert!(begin(&client, 1).await);
}

/// The bound over HTTP: who names a public client is told to come again, and who proves itself is not
/// kept out by strangers.
#[tokio::test]
async fn s20_strangers_fill_the_room_of_a_public_client_and_of_no_other() {
    let server = Server::start().await;
    let public = server.client_with(HERE, |client| client.secret = None).await;
    let site = &server.staging;
    let waiting = (0..5_000).map(|_| async {
        let request_uri = RequestUri::new(site.random.bytes());
        let new = NewPushedRequest {
            environment: HERE,
            request_uri: &request_uri,
            client_id: &public.id,
            parameters: "state=s",
            epoch: site.sealer.epoch(),
            expires_at: server.clock.now() + 90,
            now: server.clock.now(),
            at_most: i64::MAX,
        };
        site.store.push_request(&new).await.unwrap()
    });
    let mut all = futures_util::stream::iter(waiting).buffer_unordered(64);
    while let Some(pushed) = all.next().await {
        assert!(pushed);
    }
    let form = [
        ("client_id", public.id.as_str()),
        ("response_type", "code"),
        ("redirect_uri", &public.redirect_uri),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let push_as = || Call::at(&server.staging, PAR).form(&form).send();
    push_as().await.assert_error(503, "temporarily_unavailable", "");
    assert_eq!(push(&server, &server.client().await, &[]).await.status, 201);
    server.clock.advance(90);
    let again = push_as().await;
    assert_eq!(again.status, 201, "{again:?}");
}

async fn s12_of_many_that_use_one_request_one_gets_a_code(server: Server) {
    let client = server.client().await;
    let browser = server.browser();
    browser.allow(&server.authorize_url(&client, "")).await;
    let pushed = push(&server, &client, &[]).await;
    let url = authorize(&server, &client, pushed.text("request_uri"), "");
    let tries = (0..6).map(|_| browser.get(&url));
    let pages = futures_util::future::join_all(tries).await;
    let codes = pages.iter().filter(|page| page.status == StatusCode::SEE_OTHER).count();
    assert_eq!(codes, 1);
    pages.iter().filter(|page| page.status != StatusCode::SEE_OTHER).for_each(assert_used);
}

async fn s3_a_request_of_another_client_or_too_old_or_unknown_is_a_page(server: Server) {
    let (client, other) = (server.client().await, server.client().await);
    let pushed = push(&server, &client, &[]).await;
    let name = pushed.text("request_uri");
    let browser = server.browser();
    assert_used(&browser.get(&authorize(&server, &other, name, "")).await);
    let unknown = format!("urn:ietf:params:oauth:request_uri:{}", "A".repeat(43));
    assert_used(&browser.get(&authorize(&server, &client, &unknown, "")).await);
    // Of the other environment: it knows neither the client nor the request.
    let there = authorize(&server, &client, name, "")
        .replace(&server.staging.base_url, &server.production.base_url);
    browser.get(&there).await.assert_page(400, "This app is not known here");
    server.clock.advance(90);
    assert_used(&browser.get(&authorize(&server, &client, name, "")).await);
    // A customer who came in time has ten minutes to sign in.
    let pushed = push(&server, &client, &[]).await;
    let url = authorize(&server, &client, pushed.text("request_uri"), "");
    server.clock.advance(89);
    browser.get(&url).await;
    server.clock.advance(500);
    assert_eq!(browser.get(&url).await.step().as_deref(), Some("sign_in"));
    server.clock.advance(101);
    assert_used(&browser.get(&url).await);
}

async fn a_request_that_would_be_refused_in_the_browser_is_refused_when_it_is_pushed(
    server: Server,
) {
    let client = server.client().await;
    for (form, code, words) in [
        (vec![("response_type", "token")], "unsupported_response_type", "response_type=code"),
        (vec![("scope", "admin")], "invalid_scope", "admin"),
        (vec![("resource", "https://evil.example")], "invalid_target", "no API"),
        (vec![("redirect_uri", "https://evil.example/")], "invalid_request", "not registered"),
        (vec![("redirect_uri", "")], "invalid_request", "redirect_uri"),
        (vec![("request_uri", "https://a.example")], "invalid_request", "request_uri"),
        (vec![("request", "eyJ")], "request_not_supported", "Request objects"),
        (vec![("prompt", "none login")], "invalid_request", "prompt"),
        (vec![("response_mode", "fragment")], "invalid_request", "response_mode"),
        (vec![("state", "x")], "invalid_request", "more than once"),
    ] {
        let mut whole = vec![("response_type", "code"), ("state", "s")];
        whole.push(("redirect_uri", &client.redirect_uri));
        let is_new = |name: &str| name != "state" && form.iter().any(|(new, _)| *new == name);
        whole.retain(|(name, _)| !is_new(name));
        whole.extend(form);
        let refused = Call::at(&server.staging, PAR).basic(&client).form(&whole).send().await;
        refused.assert_error(400, code, words);
    }
    assert_eq!(server.count("pushed_requests"), 0);
    let stranger = TestClient { secret: "wrong".into(), ..server.client().await };
    push(&server, &stranger, &[]).await.assert_error(401, "invalid_client", "");
    let in_query =
        Call::at(&server.staging, PAR).basic(&client).raw_query("response_type=code").send().await;
    in_query.assert_error(400, "invalid_request", "");
    let giant = "x".repeat(70_000);
    let refused = push(&server, &client, &[("login_hint", &giant)]).await;
    assert_eq!(refused.status, 413, "{refused:?}");
}

async fn a_client_that_has_to_push_is_told_so_and_so_are_its_customers(server: Server) {
    let client = server.client_with(HERE, |client| client.settings.par_required = true).await;
    let browser = server.browser();
    let page = browser.get(&server.authorize_url(&client, "&state=s")).await;
    page.assert_refused(&client.redirect_uri, "invalid_request", "/oauth/par");
    let pushed = push(&server, &client, &[]).await;
    let url = authorize(&server, &client, pushed.text("request_uri"), "");
    assert!(query(&browser.allow(&url).await, "code").is_some());
}

async fn a_public_client_pushes_and_its_key_is_bound_by_the_proof_alone(server: Server) {
    let client = server.client_with(HERE, |client| client.secret = None).await;
    let key = Key::new();
    let form = [
        ("client_id", client.id.as_str()),
        ("response_type", "code"),
        ("redirect_uri", &client.redirect_uri),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let call = |proof: String| {
        Call::at(&server.staging, PAR).header("DPoP", proof.as_bytes()).form(&form).send()
    };
    let proof = key.sign(&key.proof(&server, "POST", PAR));
    let pushed = call(proof.clone()).await;
    assert_eq!(pushed.status, 201, "{pushed:?}");
    call(proof).await.assert_error(400, "invalid_dpop_proof", "used before");
    let other = key.sign(&key.proof(&server, "POST", "/oauth/token"));
    call(other).await.assert_error(400, "invalid_dpop_proof", "");
    let url = authorize(&server, &client, pushed.text("request_uri"), "");
    let code = query(&server.browser().allow(&url).await, "code").unwrap();
    let exchange = [
        ("grant_type", "authorization_code"),
        ("client_id", &client.id),
        ("code", &code),
        ("redirect_uri", &client.redirect_uri),
        ("code_verifier", VERIFIER),
    ];
    let exchanged = |key: &Key| {
        let proof = key.sign(&key.proof(&server, "POST", "/oauth/token"));
        Call::to(&server.staging).header("DPoP", proof.as_bytes()).form(&exchange).send()
    };
    exchanged(&Key::new()).await.assert_error(400, "invalid_grant", "");
    assert_eq!(exchanged(&key).await.status, 200);
    // Named, and proved as another.
    let named = [&form[..], &[("dpop_jkt", CHALLENGE)]].concat();
    let proof = key.sign(&key.proof(&server, "POST", PAR));
    let refused =
        Call::at(&server.staging, PAR).header("DPoP", proof.as_bytes()).form(&named).send().await;
    refused.assert_error(400, "invalid_dpop_proof", "another key than dpop_jkt");
}

async fn another_account_may_be_chosen_amid_a_pushed_request(server: Server) {
    let client = server.client().await;
    let browser = server.browser();
    browser.allow(&server.authorize_url(&client, "")).await;
    let pushed = push(&server, &client, &[("prompt", "consent")]).await;
    let url = authorize(&server, &client, pushed.text("request_uri"), "");
    let page = browser.get(&url).await;
    assert_ne!(page.step().as_deref(), Some("sign_in"));
    let switch = page.text.split("href=\"").find(|part| part.contains("prompt=")).unwrap();
    let switch = switch.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let page = browser.get(&page.absolute(&switch)).await;
    assert_eq!(page.step().as_deref(), Some("sign_in"));
    let target = browser.allow(page.url.as_ref()).await;
    assert!(query(&target, "code").is_some(), "{target}");
}

/// The answer of a form, as the browser would post it.
fn posted(page: &Page) -> (String, Vec<(String, String)>) {
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let names = ["code", "state", "iss", "error", "error_description"];
    let fields = names
        .iter()
        .filter(|name| page.text.contains(&format!("name=\"{name}\"")))
        .map(|name| ((*name).to_owned(), page.hidden(name)));
    (page.form_action(), fields.collect())
}

async fn s7_an_answer_by_form_goes_to_the_proved_address_alone(server: Server) {
    let client = server.client().await;
    let browser = server.browser();
    browser.allow(&server.authorize_url(&client, "")).await;
    let hostile = encode("\"><script>alert(1)</script>");
    let more = format!("&response_mode=form_post&state={hostile}");
    let page = browser.get(&server.authorize_url(&client, &more)).await;
    let (action, fields) = posted(&page);
    assert_eq!(action, client.redirect_uri);
    let value = |name: &str| fields.iter().find(|(held, _)| held == name).unwrap().1.clone();
    assert_eq!(value("state"), "\"><script>alert(1)</script>");
    assert_eq!(value("iss"), server.staging.base_url);
    assert_eq!(server.exchange(&client, &value("code")).await.status, 200);
    assert_eq!(page.header("cache-control"), "no-store");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("form-action https://mycompany.com;"), "{policy}");
    assert!(policy.contains("script-src 'sha256-") && policy.contains("frame-ancestors 'none'"));
    assert_eq!(page.text.matches("<script>").count(), 1, "{}", page.text);
    // An error comes the same way.
    let more = "&response_mode=form_post&scope=admin&state=s";
    let (action, fields) = posted(&browser.get(&server.authorize_url(&client, more)).await);
    assert_eq!(action, client.redirect_uri);
    assert!(fields.contains(&("error".into(), "invalid_scope".into())), "{fields:?}");
    let app = server
        .client_with(HERE, |client| {
            let uri = grantor_protocol::redirect_uri::RedirectUri::register("com.example.app:/cb");
            client.redirect_uris = vec![uri.unwrap()];
        })
        .await;
    // No server stands behind such an address.
    let page = browser.get(&server.authorize_url(&app, "&response_mode=form_post")).await;
    page.assert_refused(&app.redirect_uri, "invalid_request", "form_post");
}

async fn the_metadata_says_where_to_push(server: Server) {
    let found = reqwest::get(server.url("/.well-known/oauth-authorization-server")).await.unwrap();
    let found: Value = found.json().await.unwrap();
    assert_eq!(found["pushed_authorization_request_endpoint"], server.url(PAR));
    assert_eq!(found["require_pushed_authorization_requests"], false);
    assert_eq!(found["response_modes_supported"], serde_json::json!(["query", "form_post"]));
}

on_both_engines! {
    a_pushed_request_becomes_a_code_once_and_the_link_says_nothing_else,
    s20_of_one_client_no_more_requests_and_devices_wait_than_there_is_room_for,
    s12_of_many_that_use_one_request_one_gets_a_code,
    s3_a_request_of_another_client_or_too_old_or_unknown_is_a_page,
    a_request_that_would_be_refused_in_the_browser_is_refused_when_it_is_pushed,
    a_client_that_has_to_push_is_told_so_and_so_are_its_customers,
    a_public_client_pushes_and_its_key_is_bound_by_the_proof_alone,
    another_account_may_be_chosen_amid_a_pushed_request,
    s7_an_answer_by_form_goes_to_the_proved_address_alone,
    the_metadata_says_where_to_push,
}

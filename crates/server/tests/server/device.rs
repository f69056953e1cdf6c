//! Devices without a browser (RFC 8628), and what somebody gets who sends others the code of his own.

use grantor::demo;
use grantor_protocol::environment::Environment;
use grantor_protocol::scope::Scope;
use reqwest::StatusCode;
use serde_json::json;

use crate::calls::{Call, assert_opens, introspect};
use crate::dpop::Key;
use crate::harness::{Answer, Browser, Page, Server, TestClient};

const HERE: Environment = Environment::Staging;
const BEGIN: &str = "/oauth/device_authorization";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn client(server: &Server) -> TestClient {
    server
        .client_with(HERE, |client| {
            client.scopes = demo::client_scopes();
            client.optional_scopes = Scope::parse("orders-api").unwrap();
            client.settings.device_code = true;
        })
        .await
}

async fn begin(server: &Server, client: &TestClient) -> Answer {
    let begun = Call::at(&server.staging, BEGIN).basic(client).form(&[]).send().await;
    assert_eq!(begun.status, 200, "{begun:?}");
    begun
}

async fn poll(server: &Server, client: &TestClient, begun: &Answer) -> Answer {
    let form = [("grant_type", GRANT_TYPE), ("device_code", begun.text("device_code"))];
    server.token(client, &form).await
}

/// Opens the page with the code in its address, signs in where that is needed, and comes to the
/// page that asks.
async fn asked(browser: &Browser, begun: &Answer) -> Page {
    let mut page = browser.get(begun.text("verification_uri_complete")).await;
    if page.step().as_deref() == Some("sign_in") {
        page = browser.sign_in(&page).await;
    }
    assert_eq!(page.step().as_deref(), Some("code"), "{}", page.text);
    let code = begun.text("user_code").to_owned();
    browser.submit(&page, &[("user_code", &code)]).await
}

async fn decide(browser: &Browser, page: &Page, decision: &str) -> Page {
    assert_eq!(page.step().as_deref(), Some("decide"), "{}", page.text);
    let (seen, businesses) = (page.hidden("seen"), page.values("business"));
    let mut fields = vec![("seen", seen.as_str()), ("decision", decision)];
    fields.extend(businesses.iter().map(|id| ("business", id.as_str())));
    let scopes = page.values("scope");
    fields.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
    browser.submit(page, &fields).await
}

async fn a_device_gets_its_tokens_once_after_its_user_allowed_it(server: Server) {
    let client = client(&server).await;
    let begun = begin(&server, &client).await;
    assert_eq!((&begun.body["expires_in"], &begun.body["interval"]), (&json!(600), &json!(5)));
    let code = begun.text("user_code");
    assert_eq!((code.len(), code.as_bytes()[4]), (9, b'-'));
    assert_eq!(begun.text("verification_uri"), server.url("/device"));
    poll(&server, &client, &begun).await.assert_error(400, "authorization_pending", "not decided");
    let browser = server.browser();
    let page = asked(&browser, &begun).await;
    for words in ["Test App", code, "this machine", "less than a minute ago", "press Deny"] {
        page.assert_page(200, words);
    }
    let done = decide(&browser, &page, "allow").await;
    done.assert_page(200, "Your device is connected");
    let answer = poll(&server, &client, &begun).await;
    assert_eq!((answer.status, answer.text("scope")), (200, demo::SCOPES), "{answer:?}");
    assert_opens(&server, answer.text("access_token"), true).await;
    poll(&server, &client, &begun).await.assert_error(400, "invalid_grant", "given already");
    assert_eq!(server.refresh(&client, answer.text("refresh_token")).await.status, 200);
    // The page has nothing more to decide.
    let again = decide(&browser, &page, "allow").await;
    again.assert_page(400, "This code is not waiting any more");
    assert_eq!(server.count("grants"), 1);
}

async fn who_says_no_or_nothing_connects_nobody(server: Server) {
    let client = client(&server).await;
    let browser = server.browser();
    let begun = begin(&server, &client).await;
    let page = asked(&browser, &begun).await;
    decide(&browser, &page, "deny").await.assert_page(200, "Nothing was connected");
    poll(&server, &client, &begun).await.assert_error(400, "access_denied", "not to allow");
    let late = begin(&server, &client).await;
    let page = asked(&browser, &late).await;
    server.clock.advance(600);
    decide(&browser, &page, "allow").await.assert_page(400, "not waiting any more");
    poll(&server, &client, &late).await.assert_error(400, "expired_token", "in time");
    assert_eq!(server.count("grants"), 0);
}

async fn a_device_that_asks_too_often_is_slowed_down_by_every_process(server: Server) {
    let client = client(&server).await;
    let other = server.start_another().await;
    let begun = begin(&server, &client).await;
    poll(&server, &client, &begun).await.assert_error(400, "authorization_pending", "");
    server.clock.advance(4);
    poll(&other, &client, &begun).await.assert_error(400, "slow_down", "wait 10 seconds");
    server.clock.advance(9);
    poll(&server, &client, &begun).await.assert_error(400, "slow_down", "wait 15 seconds");
    server.clock.advance(15);
    poll(&other, &client, &begun).await.assert_error(400, "authorization_pending", "");
}

async fn s12_of_many_calls_of_a_device_one_gets_tokens(server: Server) {
    let client = client(&server).await;
    let begun = begin(&server, &client).await;
    let browser = server.browser();
    let page = asked(&browser, &begun).await;
    // Of two presses, too, one decides.
    let (one, other) =
        tokio::join!(decide(&browser, &page, "allow"), decide(&browser, &page, "deny"));
    let ok = [one, other].iter().filter(|page| page.status == StatusCode::OK).count();
    assert_eq!(ok, 1);
    let begun = begin(&server, &client).await;
    let page = asked(&browser, &begun).await;
    decide(&browser, &page, "allow").await;
    let calls = (0..6).map(|_| poll(&server, &client, &begun));
    let answers = futures_util::future::join_all(calls).await;
    let given = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(given, 1, "{answers:?}");
}

async fn u8_a_client_that_may_not_or_another_one_is_told(server: Server) {
    let client = client(&server).await;
    let plain = server.client().await;
    let refused = Call::at(&server.staging, BEGIN).basic(&plain).form(&[]).send().await;
    refused.assert_error(400, "unauthorized_client", "connect no devices");
    let begun = begin(&server, &client).await;
    poll(&server, &plain, &begun).await.assert_error(400, "unauthorized_client", "");
    let other = server.client_with(HERE, |client| client.settings.device_code = true).await;
    poll(&server, &other, &begun).await.assert_error(400, "invalid_grant", "another client");
    let wrong = [("grant_type", GRANT_TYPE), ("device_code", "gr_device_nonsense")];
    server.token(&client, &wrong).await.assert_error(400, "invalid_grant", "none of this");
    let missing = [("grant_type", GRANT_TYPE)];
    server.token(&client, &missing).await.assert_error(400, "invalid_request", "device_code");
    for (form, code) in [
        (vec![("scope", "admin")], "invalid_scope"),
        (vec![("resource", "https://evil.example")], "invalid_target"),
    ] {
        let refused = Call::at(&server.staging, BEGIN).basic(&client).form(&form).send().await;
        refused.assert_error(400, code, "");
    }
}

async fn s9_a_code_is_never_taken_without_a_press_and_never_from_another_site(server: Server) {
    let client = client(&server).await;
    let begun = begin(&server, &client).await;
    let browser = server.browser();
    let page = asked(&browser, &begun).await;
    let url = server.url("/device");
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = format!("step=decide&decision=allow&seen={}", page.hidden("seen"));
    browser.post(&url, &headers, body.clone()).await.assert_page(400, "open for too long");
    let cross = [headers[0], ("Sec-Fetch-Site", "cross-site")];
    let body = format!("{body}&csrf_token={}", page.hidden("csrf_token"));
    browser.post(page.url.as_ref(), &cross, body).await.assert_page(400, "open for too long");
    // Without what the page showed nothing is decided.
    let token = page.hidden("csrf_token");
    let body = format!("step=decide&decision=allow&csrf_token={token}");
    let back = browser.post(begun.text("verification_uri_complete"), &headers, body).await;
    assert_eq!((back.status, back.location().as_str()), (StatusCode::SEE_OTHER, "/device"));
    poll(&server, &client, &begun).await.assert_error(400, "authorization_pending", "");
    let framed = page.header("content-security-policy");
    assert!(framed.contains("frame-ancestors 'none'"), "{framed}");
}

/// dex let the page that approves be opened in another browser, which then got the code: somebody
/// could relay his own page to a victim, or take over a victim's.
async fn cve_2022_39222_the_approval_page_decides_nothing_in_another_browser(server: Server) {
    let client = client(&server).await;
    let begun = begin(&server, &client).await;
    let (attacker, victim) = (server.browser(), server.browser());
    let page = asked(&attacker, &begun).await;
    // The victim, who is signed in as somebody else, is made to press the attacker's button.
    server.customer(HERE, "robin@example.com", "a long password of robin", 1).await;
    let own = victim.get(&server.url("/device")).await;
    let own = victim.sign_in_as(&own, "robin@example.com", "a long password of robin").await;
    for token in [page.hidden("csrf_token"), own.hidden("csrf_token")] {
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let body =
            format!("step=decide&decision=allow&seen={}&csrf_token={token}", page.hidden("seen"));
        victim.post(page.url.as_ref(), &headers, body).await;
    }
    poll(&server, &client, &begun).await.assert_error(400, "authorization_pending", "");
    // The same at authorize: what a browser went through is worth nothing in another.
    let url = server.authorize_url(&client, "");
    let page = attacker.get(&url).await;
    let fields: Vec<String> = page.values("business");
    let fields: Vec<(&str, &str)> = fields.iter().map(|id| ("business", id.as_str())).collect();
    let moved = attacker.submit(&page, &fields).await;
    let relayed = page.absolute(&moved.location());
    assert_eq!(attacker.get(&relayed).await.step().as_deref(), Some("consent"));
    let stranger = server.browser().get(&relayed).await;
    assert_eq!(stranger.step().as_deref(), Some("sign_in"));
    // Robin has one business: what the attacker chose is not what Robin is asked about.
    let of_victim = victim.get(&relayed).await;
    assert!(!of_victim.text.contains("Bistro Aurora"), "{}", of_victim.text);
    let forged = attacker.get(&relayed).await.hidden("csrf_token");
    let body = format!("step=consent&decision=allow&csrf_token={forged}");
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = victim.post(&relayed, &headers, body).await;
    assert_eq!(answer.leaves(), None, "{}", answer.location());
    assert_eq!(server.count("grants"), 0);
}

async fn s20_codes_cannot_be_tried_at_will_and_strangers_lock_nobody_out(server: Server) {
    let client = client(&server).await;
    let begun = begin(&server, &client).await;
    let browser = server.browser();
    let page = browser.get(&server.url("/device")).await;
    let page = browser.sign_in(&page).await;
    for code in ["", "BCDF-GHJ1", "AAAA-AAAA", "BCDF-GHJK"] {
        let answer = browser.submit(&page, &[("user_code", code)]).await;
        answer.assert_page(422, "not a code that a device shows now");
    }
    for _ in 0..6 {
        browser.submit(&page, &[("user_code", "BCDF-GHJK")]).await;
    }
    let right = begun.text("user_code");
    let answer = browser.submit(&page, &[("user_code", right)]).await;
    answer.assert_page(429, "Try again in 15 minutes.");
    assert_eq!(answer.header("retry-after"), "900");
    // On another process too; and nobody else is kept from it.
    server.customer(HERE, "robin@example.com", "a long password of robin", 1).await;
    let robin = server.browser();
    let page = robin.get(begun.text("verification_uri_complete")).await;
    let page = robin.sign_in_as(&page, "robin@example.com", "a long password of robin").await;
    let page = robin.submit(&page, &[("user_code", right)]).await;
    assert_eq!(page.step().as_deref(), Some("decide"));
    server.clock.advance(900);
    let fresh = begin(&server, &client).await;
    let page = asked(&browser, &fresh).await;
    assert_eq!(page.step().as_deref(), Some("decide"));
}

/// A form in hand, sixty codes at once: those that are counted are ten, whichever process takes them.
async fn s20_codes_that_are_tried_at_the_same_time_are_counted(server: Server) {
    let client = client(&server).await;
    let begun = begin(&server, &client).await;
    let browser = server.browser();
    let page = browser.get(&server.url("/device")).await;
    let page = browser.sign_in(&page).await;
    // What is right never counts, however often it comes.
    for _ in 0..12 {
        let answer = browser.submit(&page, &[("user_code", begun.text("user_code"))]).await;
        assert_eq!(answer.step().as_deref(), Some("decide"), "{}", answer.text);
    }
    let wrong = [("user_code", "BCDF-GHJK")];
    let tries = (0..60).map(|_| browser.submit(&page, &wrong));
    let answers = futures_util::future::join_all(tries).await;
    let said = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((said(422), said(429)), (10, 50));
}

/// The step that decides looks nothing up for who has not seen the page of that very code: a code
/// that waits, one that nobody shows, and one that is no code are answered alike.
async fn s20_the_step_that_decides_tells_nobody_which_codes_wait(server: Server) {
    let client = client(&server).await;
    let (begun, other) = (begin(&server, &client).await, begin(&server, &client).await);
    let browser = server.browser();
    let page = asked(&browser, &begun).await;
    let (token, seen) = (page.hidden("csrf_token"), page.hidden("seen"));
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let waits = other.text("user_code");
    for seen in ["", "gr_nonsense", seen.as_str()] {
        for code in [waits, "BCDF-GHJK", "AAAA-AAAA", ""] {
            let url = server.url(&format!("/device?user_code={code}"));
            let body = format!("step=decide&decision=deny&seen={seen}&csrf_token={token}");
            let answer = browser.post(&url, &headers, body).await;
            let told = (answer.status, answer.location());
            assert_eq!(told, (StatusCode::SEE_OTHER, "/device".to_owned()), "{code} {seen}");
        }
    }
    poll(&server, &client, &other).await.assert_error(400, "authorization_pending", "");
}

async fn a_public_device_binds_its_tokens_to_its_key_and_learns_who_it_is(server: Server) {
    let client = server
        .client_with(HERE, |client| {
            client.scopes = demo::client_scopes();
            client.secret = None;
            client.settings.device_code = true;
        })
        .await;
    let id = client.id.as_str();
    let form = [("client_id", id), ("scope", "openid financial-api")];
    let begun = Call::at(&server.staging, BEGIN).form(&form).send().await;
    assert_eq!(begun.status, 200, "{begun:?}");
    let browser = server.browser();
    let page = asked(&browser, &begun).await;
    decide(&browser, &page, "allow").await.assert_page(200, "connected");
    let (key, device_code) = (Key::new(), begun.text("device_code"));
    let form = [("grant_type", GRANT_TYPE), ("client_id", id), ("device_code", device_code)];
    let proof = key.sign(&key.proof(&server, "POST", "/oauth/token"));
    let answer =
        Call::to(&server.staging).header("DPoP", proof.as_bytes()).form(&form).send().await;
    assert_eq!((answer.status, answer.text("token_type")), (200, "DPoP"), "{answer:?}");
    assert_eq!(answer.text("id_token").split('.').count(), 3);
    let refresh = [
        ("grant_type", "refresh_token"),
        ("client_id", id),
        ("refresh_token", answer.text("refresh_token")),
    ];
    let refused = Call::to(&server.staging).form(&refresh).send().await;
    refused.assert_error(400, "invalid_grant", "");
}

async fn s16_a_client_that_ended_meanwhile_connects_no_device(server: Server) {
    let client = client(&server).await;
    let begun = begin(&server, &client).await;
    let browser = server.browser();
    let page = asked(&browser, &begun).await;
    server.staging.store.set_client_disabled(HERE, &client.id, true).await.unwrap();
    decide(&browser, &page, "allow").await.assert_page(400, "not waiting any more");
    server.staging.store.set_client_disabled(HERE, &client.id, false).await.unwrap();
    // Its counter rose: what it began before is over.
    decide(&browser, &page, "allow").await.assert_page(400, "not waiting any more");
    assert_eq!(server.count("grants"), 0);
    let begun = begin(&server, &client).await;
    let page = asked(&browser, &begun).await;
    decide(&browser, &page, "allow").await.assert_page(200, "connected");
    let answer = poll(&server, &client, &begun).await;
    let said = introspect(&server, &client, answer.text("access_token")).await;
    assert_eq!(said.body["active"], true);
}

on_both_engines! {
    a_device_gets_its_tokens_once_after_its_user_allowed_it,
    who_says_no_or_nothing_connects_nobody,
    a_device_that_asks_too_often_is_slowed_down_by_every_process,
    s12_of_many_calls_of_a_device_one_gets_tokens,
    u8_a_client_that_may_not_or_another_one_is_told,
    s9_a_code_is_never_taken_without_a_press_and_never_from_another_site,
    cve_2022_39222_the_approval_page_decides_nothing_in_another_browser,
    s20_codes_cannot_be_tried_at_will_and_strangers_lock_nobody_out,
    s20_codes_that_are_tried_at_the_same_time_are_counted,
    s20_the_step_that_decides_tells_nobody_which_codes_wait,
    a_public_device_binds_its_tokens_to_its_key_and_learns_who_it_is,
    s16_a_client_that_ended_meanwhile_connects_no_device,
}

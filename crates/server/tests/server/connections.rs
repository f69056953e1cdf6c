//! `/connections`: what a customer sees of the connections, and ends.

use grantor::demo;
use grantor::store::Along;
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::GrantStatus;
use grantor_protocol::scope::Scope;

use crate::calls::{
    BISTRO, GRILL, assert_opens, connect, introspect, issue, issue_with, row, tokens,
};
use crate::harness::{Browser, Page, Server, TestClient, form_body, query, unescape};

const HERE: Environment = Environment::Staging;
const ROBIN: [&str; 2] = ["robin@rest.example", "a password of Robin's own"];
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// Signs the demo customer in, and shows what is connected.
async fn shown(server: &Server, browser: &Browser) -> Page {
    let page = browser.get(&server.url("/connections")).await;
    match page.step().as_deref() {
        Some("sign_in") => browser.sign_in(&page).await,
        _ => page,
    }
}

/// Posts a form of that page, with its token.
async fn press(browser: &Browser, page: &Page, fields: &[(&str, &str)]) -> Page {
    let token = page.hidden("csrf_token");
    let body = form_body(&[&[("csrf_token", token.as_str())], fields].concat());
    browser.post(&page.absolute("/connections"), &[FORM], body).await
}

async fn disconnect(browser: &Browser, page: &Page, client: &TestClient) -> Page {
    press(browser, page, &[("step", "disconnect"), ("client_id", &client.id)]).await
}

async fn named(server: &Server, name: &str) -> TestClient {
    server.client_with(HERE, |client| client.name = name.to_owned()).await
}

fn text(page: &Page) -> String {
    unescape(&page.text)
}

async fn u10_each_app_is_shown_once_with_what_its_grants_know(server: Server) {
    let client = named(&server, "Ledger").await;
    let first = issue_with(&server.staging, &client, |grant| {
        grant.scope = Scope::parse("financial-api").unwrap();
        grant.businesses = vec![BISTRO];
    })
    .await;
    server.exchange(&client, &first.code).await;
    server.clock.advance(86_400);
    let second = issue_with(&server.staging, &client, |grant| {
        grant.scope = Scope::parse("orders-api").unwrap();
        grant.businesses = vec![GRILL];
    })
    .await;
    let living = server.exchange(&client, &second.code).await;
    server.clock.advance(3600);
    assert_eq!(server.refresh(&client, living.text("refresh_token")).await.status, 200);
    // A code that waits is no connection yet.
    issue(&server.staging, &named(&server, "Waiting").await).await;

    let page = shown(&server, &server.browser()).await;
    page.assert_page(200, "Connected apps");
    let text = text(&page);
    assert_eq!(text.matches("<h2 class=\"app-name\"><bdi>Ledger</bdi>").count(), 1, "{text}");
    for words in [
        "Demo Partner Ltd",
        "Verified organisation",
        "Connected since</dt><dd>15 January 2027, 08:00 UTC",
        "Last used</dt><dd>16 January 2027, 09:00 UTC",
        "Ends</dt><dd>30 January 2027, 09:00 UTC, unless the app is used before",
        "See sales, payments and other financial figures of your business.",
        "See your menus and locations, and place and follow orders for you.",
        "<bdi>Bistro Aurora</bdi>, <bdi>Harbour Grill</bdi>",
        "customer@demo.example",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    assert!(!text.contains("Nobody has reviewed"), "{text}");
}

async fn u10_an_app_that_may_come_back_in_silence_is_shown_without_a_grant_and_others_are_not(
    server: Server,
) {
    let trusted = named(&server, "Trusted").await;
    let stranger = server
        .client_with(HERE, |client| {
            client.name = "Stranger".to_owned();
            client.approved = false;
        })
        .await;
    tokens(&server, &trusted).await;
    tokens(&server, &stranger).await;
    let browser = server.browser();
    let page = text(&shown(&server, &browser).await);
    assert!(page.contains("Trusted") && page.contains("Stranger"), "{page}");
    assert_eq!(page.matches("Nobody has reviewed this app.").count(), 1);
    server.clock.advance(15 * 86_400);
    let browser = server.browser();
    let page = shown(&server, &browser).await;
    let words = text(&page);
    assert!(words.contains("it may connect again without asking you"), "{words}");
    assert!(!words.contains("Stranger") && !words.contains("Last used</dt>"), "{words}");
    disconnect(&browser, &page, &trusted).await;
    let page = shown(&server, &browser).await;
    page.assert_page(200, "No app is connected");
    let again = browser.get(&server.authorize_url(&trusted, "")).await;
    assert!(again.leaves().is_none(), "the customer was not asked");
}

async fn u10_an_app_without_refresh_tokens_is_shown_as_long_as_its_access_lasts(server: Server) {
    let client =
        server.client_with(HERE, |client| client.settings.offline_access_required = true).await;
    tokens(&server, &client).await;
    let browser = server.browser();
    let page = text(&shown(&server, &browser).await);
    assert!(page.contains("Ends</dt><dd>15 January 2027, 09:00 UTC</dd>"), "{page}");
    server.clock.advance(3600);
    let page = text(&shown(&server, &browser).await);
    assert!(page.contains("Connected now</dt><dd>No."), "{page}");
}

async fn u10_s17_disconnecting_one_app_ends_its_grants_at_once_on_every_process_and_no_other(
    server: Server,
) {
    let other_process = server.start_another().await;
    let (client, other) = (named(&server, "Ledger").await, named(&server, "Tables").await);
    let living = [tokens(&server, &client).await, tokens(&server, &client).await];
    let beside = tokens(&server, &other).await;
    let pending = issue(&server.staging, &client).await;
    for living in &living {
        assert_opens(&other_process, living.text("access_token"), true).await;
    }
    let browser = server.browser();
    let page = shown(&server, &browser).await;
    let answer = disconnect(&browser, &page, &client).await;
    assert_eq!(answer.status, 303);
    assert!(answer.location().starts_with("/connections?done=gr_notice_"), "{}", answer.location());
    for process in [&server, &other_process] {
        for living in &living {
            assert_opens(process, living.text("access_token"), false).await;
            let said = introspect(process, &client, living.text("access_token")).await;
            assert_eq!(said.body["active"], false);
            let refused = process.refresh(&client, living.text("refresh_token")).await;
            refused.assert_error(400, "invalid_grant", "The connection was ended");
        }
        assert_opens(process, beside.text("access_token"), true).await;
    }
    let refused = server.exchange(&client, &pending.code).await;
    refused.assert_error(400, "invalid_grant", "The connection was ended");

    let told = browser.get(&page.absolute(&answer.location())).await;
    told.assert_page(200, "Ledger is disconnected. Access ends at once, and cannot be renewed.");
    assert!(text(&told).contains("You can connect again at any time"));
    // To nobody else, and not for ever.
    let robin = server.browser();
    server.customer(HERE, ROBIN[0], ROBIN[1], 1).await;
    let signed_out = robin.get(told.url.as_ref()).await;
    assert!(!robin.sign_in_as(&signed_out, ROBIN[0], ROBIN[1]).await.text.contains("Ledger"));
    assert!(!robin.get(told.url.as_ref()).await.text.contains("Ledger"));
    server.clock.advance(600);
    assert!(!browser.get(told.url.as_ref()).await.text.contains("Ledger"));

    // It asks again, and lives; what ended stays ended.
    let url = server.authorize_url(&client, "");
    assert!(browser.get(&url).await.leaves().is_none(), "the customer was not asked");
    let code = query(&browser.allow(&url).await, "code").unwrap();
    let again = server.exchange(&client, &code).await;
    assert_opens(&other_process, again.text("access_token"), true).await;
    assert_opens(&server, living[0].text("access_token"), false).await;
}

async fn u10_disconnecting_all_asks_once_more_and_leaves_the_session_and_other_customers(
    server: Server,
) {
    let other_process = server.start_another().await;
    let (one, two) = (named(&server, "Ledger").await, named(&server, "Tables").await);
    let of_demo = [tokens(&server, &one).await, tokens(&server, &two).await];
    server.customer(HERE, ROBIN[0], ROBIN[1], 1).await;
    let robin = server.staging.store.credentials(HERE, ROBIN[0]).await.unwrap().unwrap();
    let issued = issue_with(&server.staging, &one, |grant| {
        grant.customer_id = robin.customer_id;
        grant.customer_counter = robin.counter;
    })
    .await;
    let of_robin = server.exchange(&one, &issued.code).await;

    let browser = server.browser();
    let page = shown(&server, &browser).await;
    assert!(page.text.contains("href=\"/connections/disconnect-all\""));
    let question = browser.get(&server.url("/connections/disconnect-all")).await;
    question.assert_page(200, "Disconnect all apps?");
    assert!(question.text.contains("Ledger") && question.text.contains("Tables"));
    assert_opens(&server, of_demo[0].text("access_token"), true).await;
    let answer = browser.submit(&question, &[]).await;
    assert_eq!(answer.status, 303);
    let told = browser.get(&page.absolute(&answer.location())).await;
    told.assert_page(200, "All apps are disconnected.");
    assert!(told.text.contains(demo::CUSTOMER_EMAIL), "still signed in");
    for process in [&server, &other_process] {
        for (client, living) in [&one, &two].into_iter().zip(&of_demo) {
            assert_opens(process, living.text("access_token"), false).await;
            let refused = process.refresh(client, living.text("refresh_token")).await;
            refused.assert_error(400, "invalid_grant", "The connection was ended");
        }
        assert_opens(process, of_robin.text("access_token"), true).await;
    }
    // Nothing left to ask about.
    let empty = browser.get(&server.url("/connections/disconnect-all")).await;
    assert_eq!((empty.status.as_u16(), empty.location().as_str()), (303, "/connections"));
    for client in [&one, &two] {
        let again = browser.get(&server.authorize_url(client, "")).await;
        assert!(again.leaves().is_none(), "the customer was not asked");
    }
}

async fn s24_what_another_customer_connected_is_neither_shown_nor_ended_by_its_id(server: Server) {
    let client = named(&server, "Ledger").await;
    let (living, grant_id) = connect(&server, &client).await;
    server.customer(HERE, ROBIN[0], ROBIN[1], 1).await;
    let robin = server.browser();
    let page = robin.get(&server.url("/connections")).await;
    let page = robin.sign_in_as(&page, ROBIN[0], ROBIN[1]).await;
    page.assert_page(200, "No app is connected");
    let rows = server.rows();
    for id in [client.id.as_str(), "", "nobody", demo::client_id(Environment::Production)] {
        let answer = press(&robin, &page, &[("step", "disconnect"), ("client_id", id)]).await;
        assert_eq!((answer.status.as_u16(), answer.location().as_str()), (303, "/connections"));
    }
    let answer = press(&robin, &page, &[("step", "disconnect_all")]).await;
    assert_eq!(answer.status, 303);
    assert_eq!(server.rows(), rows);
    assert_opens(&server, living.text("access_token"), true).await;
    assert!(matches!(row(&server, grant_id).await.status, GrantStatus::Active(_)));
}

async fn s9_nothing_is_ended_by_a_form_of_another_site_or_browser_or_by_a_link(server: Server) {
    let client = named(&server, "Ledger").await;
    let living = tokens(&server, &client).await;
    let browser = server.browser();
    let page = shown(&server, &browser).await;
    let url = server.url("/connections");
    let ends = [("step", "disconnect"), ("client_id", client.id.as_str())];
    let all = [("step", "disconnect_all")];
    let stranger = server.browser().get(&url).await.hidden("csrf_token");
    let own = page.hidden("csrf_token");
    for fields in [&ends[..], &all[..]] {
        for (token, site) in [
            ("", "same-origin"),
            ("gr_form_nonsense", "same-origin"),
            (stranger.as_str(), "same-origin"),
            (own.as_str(), "cross-site"),
            (own.as_str(), "same-site"),
        ] {
            let body = form_body(&[&[("csrf_token", token)], fields].concat());
            let headers = [FORM, ("Sec-Fetch-Site", site)];
            let answer = browser.post(&url, &headers, body).await;
            answer.assert_page(400, "This page was open for too long");
        }
        let link = format!("{url}?{}", form_body(fields));
        browser.get(&link).await.assert_page(200, "Ledger");
        let all = browser.get(&format!("{}/disconnect-all?{}", url, form_body(fields))).await;
        all.assert_page(200, "Ledger");
        for at in [&link, &format!("{url}/disconnect-all")] {
            let head = browser.http.head(at).send().await.unwrap();
            assert_eq!(
                (head.status().as_u16(), &head.headers()["cache-control"] == "no-store"),
                (200, true)
            );
        }
    }
    // A notice that nobody sealed is not told.
    for done in ["gr_notice_nonsense", own.as_str(), client.id.as_str()] {
        let page = browser.get(&format!("{url}?done={done}")).await;
        assert!(!page.text.contains("is disconnected"), "{}", page.text);
    }
    assert_opens(&server, living.text("access_token"), true).await;
    assert_eq!(server.refresh(&client, living.text("refresh_token")).await.status, 200);
}

async fn u10_who_is_not_signed_in_signs_in_first_and_who_is_switched_off_sees_nothing(
    server: Server,
) {
    let client = named(&server, "Ledger").await;
    tokens(&server, &client).await;
    let browser = server.browser();
    let page = browser.get(&server.url("/connections")).await;
    page.assert_page(200, "Sign in");
    assert!(!page.text.contains("Ledger"));
    let wrong = browser.submit(&page, &[("email", "x@y.example"), ("password", "wrong")]).await;
    wrong.assert_page(401, "is not right");
    let question = browser.get(&server.url("/connections/disconnect-all")).await;
    assert_eq!((question.status.as_u16(), question.location().as_str()), (303, "/connections"));
    let page = browser.sign_in(&page).await;
    page.assert_page(200, "Ledger");

    let store = &server.staging.store;
    assert!(
        store.set_customer_disabled(HERE, demo::CUSTOMER_EMAIL, true, Along::ALONE).await.unwrap()
    );
    let after = disconnect(&browser, &page, &client).await;
    assert_eq!((after.status.as_u16(), after.location().as_str()), (303, "/connections"));
    let page = browser.get(&server.url("/connections")).await;
    assert_eq!(page.step().as_deref(), Some("sign_in"));
    let fields = [("email", demo::CUSTOMER_EMAIL), ("password", demo::PASSWORD)];
    browser.submit(&page, &fields).await.assert_page(401, "is not right");
    assert!(
        store.set_customer_disabled(HERE, demo::CUSTOMER_EMAIL, false, Along::ALONE).await.unwrap()
    );
    // What ended stays ended: the consent alone is left.
    let page = browser.sign_in(&page).await;
    assert!(text(&page).contains("Connected now</dt><dd>No."), "{}", page.text);
}

async fn u10_signing_out_there_ends_the_session_and_no_connection(server: Server) {
    let client = named(&server, "Ledger").await;
    let living = tokens(&server, &client).await;
    let browser = server.browser();
    let page = shown(&server, &browser).await;
    let body = form_body(&[("csrf_token", &page.hidden("csrf_token"))]);
    let answer = browser.post(&server.url("/oauth/logout"), &[FORM], body).await;
    answer.assert_page(200, "You are signed out");
    let page = browser.get(&server.url("/connections")).await;
    assert_eq!(page.step().as_deref(), Some("sign_in"));
    assert_opens(&server, living.text("access_token"), true).await;
}

on_both_engines! {
    u10_each_app_is_shown_once_with_what_its_grants_know,
    u10_an_app_that_may_come_back_in_silence_is_shown_without_a_grant_and_others_are_not,
    u10_an_app_without_refresh_tokens_is_shown_as_long_as_its_access_lasts,
    u10_s17_disconnecting_one_app_ends_its_grants_at_once_on_every_process_and_no_other,
    u10_disconnecting_all_asks_once_more_and_leaves_the_session_and_other_customers,
    s24_what_another_customer_connected_is_neither_shown_nor_ended_by_its_id,
    s9_nothing_is_ended_by_a_form_of_another_site_or_browser_or_by_a_link,
    u10_who_is_not_signed_in_signs_in_first_and_who_is_switched_off_sees_nothing,
    u10_signing_out_there_ends_the_session_and_no_connection,
}

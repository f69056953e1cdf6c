//! `/account/forgotten`: a customer who forgot the password sets another.

use grantor::store::Along;
use grantor::throttle::Limits;
use grantor_protocol::environment::Environment;

use crate::calls::{assert_opens, issue_with};
use crate::harness::{Browser, Page, Server, form_body};

const HERE: Environment = Environment::Staging;
const EMAIL: &str = "robin@rest.example";
const OLD: &str = "a password of Robin's own";
const NEW: &str = "another one, of Robin's too";

on_both_engines! {
    s19_a_mail_is_written_to_whoever_is_named_and_nobody_learns_who_has_an_account,
    a_link_sets_a_password_once_ends_every_session_and_no_connection,
    of_two_who_follow_a_link_at_once_one_sets_the_password,
    a_link_is_for_its_own_environment_its_hour_and_the_password_of_then,
    s20_mails_to_one_mailbox_are_bounded_whoever_asks_for_them,
}

async fn post(page: &Page, browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Page {
    let token = page.hidden("csrf_token");
    let mut form = vec![("csrf_token", token.as_str())];
    form.extend_from_slice(fields);
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    browser.post(&page.absolute(path), &headers, form_body(&form)).await
}

async fn forgotten(server: &Server, browser: &Browser, email: &str) -> Page {
    let page = browser.get(&server.url("/account/forgotten")).await;
    page.assert_page(200, "Forgotten your password?");
    post(&page, browser, "/account/forgotten", &[("email", email)]).await
}

/// The text of all mail, the newest first.
async fn mailbox(server: &Server) -> String {
    server.browser().get(&format!("{}/mailbox", server.portal.base_url)).await.text
}

/// The path of the newest link in the mailbox.
async fn link(server: &Server) -> String {
    let mails = mailbox(server).await;
    let at = mails.find("/account/reset/").expect("a link");
    let end = mails[at..].find(|each: char| !(each.is_alphanumeric() || "/_-".contains(each)));
    mails[at..at + end.unwrap()].to_owned()
}

/// Asks for a link, and gives its path.
async fn link_for_robin(server: &Server) -> String {
    // So that it is the newest.
    server.clock.advance(1);
    forgotten(server, &server.browser(), EMAIL).await.assert_page(200, "Look into your mailbox");
    link(server).await
}

async fn set(server: &Server, link: &str, new: &str) -> Page {
    let browser = server.browser();
    let page = browser.get(&server.url(link)).await;
    page.assert_page(200, EMAIL);
    let fields = [("new_password", new), ("new_password_again", new)];
    post(&page, &browser, link, &fields).await
}

/// Signs in, and gives what the browser then shows.
async fn sign_in(server: &Server, password: &str) -> (Browser, Page) {
    let browser = server.browser();
    let page = browser.get(&server.url("/connections")).await;
    browser.submit(&page, &[("email", EMAIL), ("password", password)]).await;
    let page = browser.get(&server.url("/connections")).await;
    (browser, page)
}

async fn opens(server: &Server, password: &str) -> bool {
    sign_in(server, password).await.1.text.contains(EMAIL)
}

async fn s19_a_mail_is_written_to_whoever_is_named_and_nobody_learns_who_has_an_account(
    server: Server,
) {
    server.customer(HERE, EMAIL, OLD, 1).await;
    let browser = server.browser();
    let sign_in = browser.get(&server.url("/connections")).await;
    assert!(sign_in.text.contains("href=\"/account/forgotten\""), "{}", sign_in.text);
    let nobody = forgotten(&server, &browser, "nobody@rest.example").await;
    assert!(mailbox(&server).await.contains("it has no account"));
    let robin = forgotten(&server, &browser, " Robin@Rest.example ").await;
    let without_id = |page: &Page| page.text.replace(page.header("x-request-id"), "");
    assert_eq!(without_id(&robin), without_id(&nobody));
    assert!(mailbox(&server).await.contains(&server.url("/account/reset/")));
    for none in ["", "robin", "robin@rest.example\r\nBcc: eve@rest.example"] {
        forgotten(&server, &browser, none).await.assert_page(422, "Write the e-mail address");
    }
    let forged = [("email", EMAIL), ("csrf_token", "gr_form_x")];
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let url = server.url("/account/forgotten");
    browser.post(&url, &headers, form_body(&forged)).await.assert_page(400, "open for too long");
}

async fn a_link_sets_a_password_once_ends_every_session_and_no_connection(server: Server) {
    server.customer(HERE, EMAIL, OLD, 1).await;
    let (elsewhere, page) = sign_in(&server, OLD).await;
    assert!(page.text.contains(EMAIL));
    let client = server.client().await;
    let customer = server.staging.store.credentials(HERE, EMAIL).await.unwrap().unwrap();
    let issued = issue_with(&server.staging, &client, |grant| {
        grant.customer_id = customer.customer_id;
        grant.customer_counter = customer.counter;
    })
    .await;
    let tokens = server.exchange(&client, &issued.code).await;
    let link = link_for_robin(&server).await;
    // Programs that read mail open its links.
    server.browser().get(&server.url(&link)).await.assert_page(200, "Set a new password");
    let short = set(&server, &link, "short").await;
    short.assert_page(422, "too short");
    assert!(opens(&server, OLD).await);
    set(&server, &link, NEW).await.assert_page(200, "Your password is changed");
    assert!(!opens(&server, OLD).await && opens(&server, NEW).await);
    let page = elsewhere.get(&server.url("/connections")).await;
    assert!(!page.text.contains(EMAIL), "a session of before goes on");
    assert_opens(&server, tokens.text("access_token"), true).await;
    assert_eq!(server.refresh(&client, tokens.text("refresh_token")).await.status, 200);
    assert!(mailbox(&server).await.contains("The password of your account was set anew"));
    server.browser().get(&server.url(&link)).await.assert_page(404, "does not work any more");
}

async fn of_two_who_follow_a_link_at_once_one_sets_the_password(server: Server) {
    server.customer(HERE, EMAIL, OLD, 1).await;
    let link = link_for_robin(&server).await;
    let other = "a third one, that nobody knows";
    let (one, two) = tokio::join!(set(&server, &link, NEW), set(&server, &link, other));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404]);
    assert_ne!(opens(&server, NEW).await, opens(&server, other).await);
}

async fn a_link_is_for_its_own_environment_its_hour_and_the_password_of_then(server: Server) {
    server.customer(HERE, EMAIL, OLD, 1).await;
    server.customer(Environment::Production, EMAIL, OLD, 2).await;
    let browser = server.browser();
    let first = link_for_robin(&server).await;
    for foreign in
        [format!("{}{first}", server.production.base_url), server.url("/account/reset/gr_link_x")]
    {
        browser.get(&foreign).await.assert_page(404, "does not work any more");
    }
    let second = link_for_robin(&server).await;
    set(&server, &first, NEW).await.assert_page(200, "Your password is changed");
    browser.get(&server.url(&second)).await.assert_page(404, "does not work any more");
    let third = link_for_robin(&server).await;
    server.clock.advance(3599);
    browser.get(&server.url(&third)).await.assert_page(200, "Set a new password");
    server.clock.advance(1);
    browser.get(&server.url(&third)).await.assert_page(404, "does not work any more");
    let fourth = link_for_robin(&server).await;
    let store = &server.staging.store;
    assert!(store.set_customer_disabled(HERE, EMAIL, true, Along::ALONE).await.unwrap());
    browser.get(&server.url(&fourth)).await.assert_page(404, "does not work any more");
}

async fn s20_mails_to_one_mailbox_are_bounded_whoever_asks_for_them(server: Server) {
    server.customer(HERE, EMAIL, OLD, 1).await;
    let most = u8::try_from(Limits::USUAL.mails_per_name).unwrap();
    for each in 0..most {
        let browser = server.browser_at([127, 0, 0, 10 + each]);
        forgotten(&server, &browser, EMAIL).await.assert_page(200, "Look into your mailbox");
    }
    let written = server.count("outbox");
    let browser = server.browser_at([127, 0, 0, 90]);
    assert_eq!(forgotten(&server, &browser, EMAIL).await.status, 429);
    assert_eq!(server.count("outbox"), written);
    // The last of those that came works, and another mailbox is another matter.
    let link = link(&server).await;
    set(&server, &link, NEW).await.assert_page(200, "Your password is changed");
    forgotten(&server, &browser, "other@rest.example").await.assert_page(200, "Look into");
    // The portal counts its own.
    let url = format!("{}/forgotten", server.portal.base_url);
    for at in 0..=most {
        let browser = server.browser_at([127, 0, 0, 10 + at]);
        let page = browser.get(&url).await;
        let answer = post(&page, &browser, "/forgotten", &[("email", EMAIL)]).await;
        assert_eq!(answer.status, if at < most { 200 } else { 429 }, "{}", answer.text);
    }
}

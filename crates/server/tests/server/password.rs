//! `/account/password`: a customer changes the password.

use grantor::store::Along;
use grantor_protocol::environment::Environment;

use crate::calls::{assert_opens, issue_with};
use crate::harness::{Browser, Page, Server, form_body};

const HERE: Environment = Environment::Staging;
const EMAIL: &str = "robin@rest.example";
const OLD: &str = "a password of Robin's own";
const NEW: &str = "another one, of Robin's too";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

async fn robin(server: &Server) -> (Browser, Page) {
    if server.staging.store.customer(HERE, EMAIL).await.unwrap().is_none() {
        server.customer(HERE, EMAIL, OLD, 1).await;
    }
    let browser = server.browser();
    let page = browser.get(&server.url("/account/password")).await;
    page.assert_page(200, "Sign in");
    let page = browser.sign_in_as(&page, EMAIL, OLD).await;
    page.assert_page(200, "Change your password");
    (browser, page)
}

async fn change(browser: &Browser, page: &Page, [old, new, again]: [&str; 3]) -> Page {
    let token = page.hidden("csrf_token");
    let body = form_body(&[
        ("csrf_token", &token),
        ("step", "password"),
        ("current_password", old),
        ("new_password", new),
        ("new_password_again", again),
    ]);
    browser.post(&page.absolute("/account/password"), &[FORM], body).await
}

async fn is_signed_in(server: &Server, browser: &Browser) -> bool {
    browser.get(&server.url("/connections")).await.text.contains(EMAIL)
}

/// Whether a sign-in with that password begins a session.
async fn opens(server: &Server, password: &str) -> bool {
    let browser = server.browser();
    let page = browser.get(&server.url("/connections")).await;
    browser.submit(&page, &[("email", EMAIL), ("password", password)]).await.status == 303
}

async fn s18_a_change_gives_this_browser_a_new_id_ends_the_other_sessions_and_no_connection(
    server: Server,
) {
    let (browser, page) = robin(&server).await;
    let (elsewhere, _) = robin(&server).await;
    let client = server.client().await;
    let customer = server.staging.store.credentials(HERE, EMAIL).await.unwrap().unwrap();
    let issued = issue_with(&server.staging, &client, |grant| {
        grant.customer_id = customer.customer_id;
        grant.customer_counter = customer.counter;
    })
    .await;
    let living = server.exchange(&client, &issued.code).await;
    let demo = server.browser();
    let sign_in = demo.get(&server.url("/connections")).await;
    demo.sign_in(&sign_in).await;

    let answer = change(&browser, &page, [OLD, NEW, NEW]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.starts_with("grantor-staging=") && cookie.contains("HttpOnly"), "{cookie}");
    let told = browser.get(&page.absolute(&answer.location())).await;
    told.assert_page(200, "Your password is changed.");
    assert!(!told.text.contains(OLD) && !told.text.contains(NEW));
    assert!(is_signed_in(&server, &browser).await);
    assert!(!is_signed_in(&server, &elsewhere).await, "a session outlived the change");
    // Another customer's stays.
    assert!(demo.get(&server.url("/connections")).await.text.contains("customer@demo.example"));
    assert!(opens(&server, NEW).await && !opens(&server, OLD).await);
    // The old id is worth nothing, in its form either.
    change(&browser, &page, [NEW, OLD, OLD]).await.assert_page(400, "open for too long");
    let other_process = server.start_another().await;
    for process in [&server, &other_process] {
        assert_opens(process, living.text("access_token"), true).await;
    }
    assert_eq!(server.refresh(&client, living.text("refresh_token")).await.status, 200);
}

async fn u15_what_is_wrong_is_said_of_its_field_and_changes_nothing(server: Server) {
    let (browser, page) = robin(&server).await;
    let (elsewhere, _) = robin(&server).await;
    let long = "p".repeat(1025);
    for (typed, words) in [
        (["not the password", NEW, NEW], "This is not your password"),
        (["", NEW, NEW], "This is not your password"),
        ([OLD, "", ""], "too short"),
        ([OLD, "elevenchars", "elevenchars"], "too short"),
        ([OLD, &long, &long], "too long"),
        ([OLD, NEW, OLD], "are not the same"),
        ([OLD, NEW, ""], "are not the same"),
        ([OLD, OLD, OLD], "the password that you have"),
        ([OLD, grantor::demo::PASSWORD, grantor::demo::PASSWORD], "Everybody knows"),
    ] {
        let answer = change(&browser, &page, typed).await;
        answer.assert_page(422, words);
        assert!(answer.text.contains("<title>Error: "), "{words}");
        assert_eq!(answer.text.matches("aria-invalid=\"true\"").count(), 1, "{words}");
        for typed in typed.into_iter().filter(|typed| typed.len() > 8) {
            assert!(!answer.text.contains(typed), "what was typed comes back");
        }
    }
    assert!(is_signed_in(&server, &browser).await && is_signed_in(&server, &elsewhere).await);
    assert!(opens(&server, OLD).await);
    // Twelve characters, however many bytes each has.
    let twelve = "é".repeat(12);
    assert_eq!(change(&browser, &page, [OLD, &twelve, &twelve]).await.status, 303);
}

async fn s9_a_form_of_another_site_or_browser_changes_no_password(server: Server) {
    let (browser, page) = robin(&server).await;
    let stranger = server.browser().get(&server.url("/account/password")).await;
    let own = page.hidden("csrf_token");
    for (token, site) in [
        ("", "same-origin"),
        (stranger.hidden("csrf_token").as_str(), "same-origin"),
        (own.as_str(), "cross-site"),
    ] {
        let body = form_body(&[
            ("csrf_token", token),
            ("step", "password"),
            ("current_password", OLD),
            ("new_password", NEW),
            ("new_password_again", NEW),
        ]);
        let headers = [FORM, ("Sec-Fetch-Site", site)];
        let answer = browser.post(&server.url("/account/password"), &headers, body).await;
        answer.assert_page(400, "This page was open for too long");
    }
    let head = browser.http.head(server.url("/account/password")).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["cache-control"], "no-store");
    assert!(opens(&server, OLD).await && !opens(&server, NEW).await);
}

async fn who_was_switched_off_or_given_another_password_meanwhile_changes_nothing(server: Server) {
    let (browser, page) = robin(&server).await;
    let store = &server.staging.store;
    assert!(store.set_customer_disabled(HERE, EMAIL, true, Along::ALONE).await.unwrap());
    let answer = change(&browser, &page, [OLD, NEW, NEW]).await;
    assert_eq!((answer.status.as_u16(), answer.location().as_str()), (303, "/account/password"));
    let again = browser.get(&server.url("/account/password")).await;
    assert_eq!(again.step().as_deref(), Some("sign_in"));
    assert!(store.set_customer_disabled(HERE, EMAIL, false, Along::ALONE).await.unwrap());
    assert!(opens(&server, OLD).await && !opens(&server, NEW).await);
    // Of two changes at once one is made.
    let (one, two) = (robin(&server).await, robin(&server).await);
    let (first, second) = tokio::join!(
        change(&one.0, &one.1, [OLD, NEW, NEW]),
        change(&two.0, &two.1, [OLD, "a third one, quite another", "a third one, quite another"])
    );
    let told = |page: &Page| page.location().contains("done=");
    assert!(told(&first) != told(&second), "{} {}", first.status, second.status);
}

#[tokio::test]
async fn s21_where_too_many_passwords_wait_a_change_is_503_and_changes_nothing() {
    let server = Server::start().await;
    let (browser, page) = robin(&server).await;
    // Others come again and again until this one was answered, so that the queue stays full.
    let answered = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let waiting: Vec<_> = (0..200)
        .map(|_| {
            let passwords = server.staging.passwords.clone();
            let answered = std::sync::Arc::clone(&answered);
            tokio::spawn(async move {
                while !answered.load(std::sync::atomic::Ordering::Relaxed) {
                    let password = grantor::password::Password::new("x".to_owned());
                    let _ = passwords.verify(password, None).await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    while server.staging.passwords.metrics().busy.read() == 0 {
        tokio::task::yield_now().await;
    }
    let answer = change(&browser, &page, [OLD, NEW, NEW]).await;
    answer.assert_page(503, "Very busy just now");
    answered.store(true, std::sync::atomic::Ordering::Relaxed);
    for one in waiting {
        one.await.unwrap();
    }
    assert!(opens(&server, OLD).await && !opens(&server, NEW).await);
}

on_both_engines! {
    s18_a_change_gives_this_browser_a_new_id_ends_the_other_sessions_and_no_connection,
    u15_what_is_wrong_is_said_of_its_field_and_changes_nothing,
    s9_a_form_of_another_site_or_browser_changes_no_password,
    who_was_switched_off_or_given_another_password_meanwhile_changes_nothing,
}

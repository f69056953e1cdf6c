//! Signing in, and the session that it begins.

use grantor::store::Along;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grantor::demo;
use grantor::password::{MAX_PASSWORD_BYTES, Password, PasswordError, Passwords};
use grantor::random::Random;
use grantor::site::Settings;
use grantor_protocol::environment::Environment;

use crate::harness::{Browser, Page, Server, query, roomy};

const EMAIL: &str = "robin@rest.example";
const PASSWORD: &str = "a password of Robin's own";
const WRONG: &str = "The e-mail address or the password is not right.";

/// The cookie that an answer sets, as `name=value`.
fn cookie(page: &Page) -> String {
    page.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn sign_in_page(server: &Server, browser: &Browser, more: &str) -> Page {
    let page = browser.get(&server.authorize_url(&server.demo_client(), more)).await;
    page.assert_page(200, "Sign in");
    page
}

/// Opens an address with this cookie and no other.
async fn get_as(server: &Server, url: &str, cookie: &str) -> Page {
    let request = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
        .get(url)
        .header("Cookie", cookie);
    assert!(url.contains(&server.staging.base_url) || url.contains(&server.production.base_url));
    Page::read(request.send().await.unwrap()).await
}

/// Who is signed in with this cookie sees something else than the sign-in page.
async fn is_signed_in(server: &Server, cookie: &str) -> bool {
    let page = get_as(server, &server.authorize_url(&server.demo_client(), ""), cookie).await;
    page.step().as_deref() != Some("sign_in")
}

#[tokio::test]
async fn s2_after_the_password_the_answer_is_303_and_holds_nothing_of_it() {
    let server = Server::start().await;
    let browser = server.browser();
    let page = sign_in_page(&server, &browser, "&state=s").await;
    let fields = [("email", demo::CUSTOMER_EMAIL), ("password", demo::PASSWORD)];
    let answer = browser.submit(&page, &fields).await;
    assert_eq!(answer.status, 303);
    assert!(answer.location().starts_with("/oauth/authorize?client_id="), "{}", answer.location());
    assert!(!answer.location().contains(demo::PASSWORD));
    assert_eq!(answer.text, "");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn s18_signing_in_gives_the_browser_a_new_id_and_ends_the_old_one() {
    let server = Server::start().await;
    let browser = server.browser();
    let page = sign_in_page(&server, &browser, "").await;
    let before = cookie(&page);
    let fields = [("email", demo::CUSTOMER_EMAIL), ("password", demo::PASSWORD)];
    let answer = browser.submit(&page, &fields).await;
    let first = cookie(&answer);
    assert_ne!(first, before);
    assert!(!is_signed_in(&server, &before).await);
    assert!(is_signed_in(&server, &first).await);

    // Stepping up draws another one, and the first ends.
    let page = browser.get(&server.authorize_url(&server.demo_client(), "&prompt=login")).await;
    let second = cookie(&browser.submit(&page, &fields).await);
    assert_ne!(second, first);
    assert!(!is_signed_in(&server, &first).await);
    assert!(is_signed_in(&server, &second).await);
    assert_eq!(server.count("sessions"), 1);
}

#[tokio::test]
async fn s18_an_id_that_somebody_planted_is_worth_nothing_after_sign_in() {
    let server = Server::start().await;
    let planted = format!("grantor-staging={}", "A".repeat(43));
    let url = server.authorize_url(&server.demo_client(), "");
    let page = get_as(&server, &url, &planted).await;
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let browser = Browser { http };
    let body = format!(
        "step=sign_in&csrf_token={}&email=customer%40demo.example&password={}",
        page.hidden("csrf_token"),
        demo::PASSWORD
    );
    let answer = browser.post(&url, &[("Cookie", &planted)], body).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_ne!(cookie(&answer), planted);
    assert!(!is_signed_in(&server, &planted).await);
    assert!(is_signed_in(&server, &cookie(&answer)).await);
    // One that is not even of the right form is replaced at once.
    for odd in ["", "x", &"A".repeat(42), &"A".repeat(44), &"A".repeat(5000)] {
        let page = get_as(&server, &url, &format!("grantor-staging={odd}")).await;
        assert_eq!(cookie(&page).len(), "grantor-staging=".len() + 43, "{odd}");
    }
}

#[tokio::test]
async fn s18_the_cookie_is_http_only_lax_for_the_whole_host_and_names_its_environment() {
    let server = Server::start().await;
    let page = sign_in_page(&server, &server.browser(), "").await;
    let set = page.header("set-cookie");
    assert!(set.starts_with("grantor-staging="), "{set}");
    let attributes: Vec<&str> = set.split("; ").skip(1).collect();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(attributes.contains(&attribute), "{set}");
    }
    assert_eq!(attributes.len(), 3, "{set}");
    // A browser that has one keeps it: the second tab does not break the first.
    let again = get_as(&server, page.url.as_str(), &cookie(&page)).await;
    assert_eq!(again.header("set-cookie"), "");
    assert_eq!(again.hidden("csrf_token"), page.hidden("csrf_token"));
}

#[tokio::test]
async fn s18_where_there_is_tls_the_cookie_is_host_bound_and_secure_and_no_other_is_taken() {
    let base_url = |environment, _| format!("https://{environment}.grantor.example");
    let server = Server::start_as(Settings::default(), false, base_url).await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 1).await;
    let client = server.client().await;
    // The site is https; the socket that the test reaches is not.
    let address = server.listening(Environment::Staging);
    let url = server.authorize_url(&client, "").replace(&server.staging.base_url, &address);
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let browser = Browser { http };
    let page = browser.get(&url).await;
    let set = page.header("set-cookie").to_owned();
    assert!(set.starts_with("__Host-grantor-staging="), "{set}");
    assert!(
        set.contains("; Secure") && set.contains("; Path=/") && !set.contains("Domain"),
        "{set}"
    );
    assert!(page.header("strict-transport-security").starts_with("max-age="));

    let body = format!(
        "step=sign_in&csrf_token={}&email=robin%40rest.example&password={PASSWORD}",
        page.hidden("csrf_token")
    );
    let signed_in = browser.post(&url, &[("Cookie", &cookie(&page))], body).await;
    assert_eq!(signed_in.status, 303, "{}", signed_in.text);
    let session = cookie(&signed_in);
    assert!(session.starts_with("__Host-grantor-staging="), "{session}");
    let page = browser.get_with(&url, &[("Cookie", &session)]).await;
    assert_eq!(page.step().as_deref(), Some("consent"));
    // The same id under the name that a plain page could plant is nobody's.
    let plain = session.replace("__Host-", "");
    let page = browser.get_with(&url, &[("Cookie", &plain)]).await;
    assert_eq!(page.step().as_deref(), Some("sign_in"));
    let target = browser.get_with(&format!("{url}&scope=x"), &[]).await.location();
    assert_eq!(query(&target, "iss").as_deref(), Some("https://staging.grantor.example"));
}

#[tokio::test]
async fn s18_a_session_of_one_environment_is_nothing_in_the_other() {
    let server = Server::start().await;
    let browser = server.browser();
    let page = sign_in_page(&server, &browser, "").await;
    let fields = [("email", demo::CUSTOMER_EMAIL), ("password", demo::PASSWORD)];
    let signed_in = browser.submit(&page, &fields).await;
    let staging = cookie(&signed_in);
    assert!(is_signed_in(&server, &staging).await);
    let production = server.production.base_url.clone();
    let url = demo::authorize_url(&server.production).unwrap();
    let renamed = staging.replace("staging", "production");
    for cookie in [staging.clone(), renamed.clone(), format!("{staging}; {renamed}")] {
        let page = get_as(&server, &url, &cookie).await;
        assert_eq!(page.step().as_deref(), Some("sign_in"), "{cookie}");
    }
    // Nor is a form token: the keys differ.
    let body = format!(
        "step=sign_in&csrf_token={}&email=customer%40demo.example&password={}",
        page.hidden("csrf_token"),
        demo::PASSWORD
    );
    let before = cookie(&page).replace("staging", "production");
    let answer = browser.post(&url, &[("Cookie", &before)], body).await;
    answer.assert_page(400, "Nothing was shared");
    assert!(url.starts_with(&production));
    assert_eq!(server.count("sessions"), 1);
}

#[tokio::test]
async fn s18_a_session_ends_by_its_time_and_with_the_password_it_was_begun_with() {
    let server = Server::start().await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 1).await;
    let browser = server.browser();
    let url = server.authorize_url(&server.demo_client(), "");
    let page = browser.get(&url).await;
    let page = browser.sign_in_as(&page, EMAIL, PASSWORD).await;
    assert_eq!(page.step().as_deref(), Some("consent"));
    server.clock.advance(12 * 3600 - 1);
    assert_eq!(browser.get(&url).await.step().as_deref(), Some("consent"));
    server.clock.advance(1);
    assert_eq!(browser.get(&url).await.step().as_deref(), Some("sign_in"));

    let page = browser.get(&url).await;
    browser.sign_in_as(&page, EMAIL, PASSWORD).await;
    let site = &server.staging;
    let other = "quite another password";
    let hash = site.passwords.hash(Password::new(other.to_owned())).await.unwrap();
    assert!(
        site.store
            .set_customer_password(site.environment, EMAIL, &hash, Along::ALONE)
            .await
            .unwrap()
    );
    let page = browser.get(&url).await;
    assert_eq!(page.step().as_deref(), Some("sign_in"));
    let refused = browser.submit(&page, &[("email", EMAIL), ("password", PASSWORD)]).await;
    refused.assert_page(401, WRONG);
    browser.sign_in_as(&page, EMAIL, other).await.assert_page(200, EMAIL);
}

/// What two answers to a sign-in must have in common: all but the request's own id and the address.
fn comparable(page: &Page, email: &str) -> (u16, Vec<String>, String) {
    let text =
        page.text.replace(page.header("x-request-id"), "(request)").replace(email, "(email)");
    let headers = page
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "date", "content-length"].contains(&name.as_str()));
    let headers = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
    (page.status.as_u16(), headers, text)
}

#[tokio::test]
async fn s19_an_unknown_address_and_a_wrong_password_get_the_same_answer() {
    let server = Server::start().await;
    let browser = server.browser();
    let page = sign_in_page(&server, &browser, "").await;
    let mut answers = Vec::new();
    let long = format!("{}@demo.example", "a".repeat(300));
    for (email, password) in [
        (demo::CUSTOMER_EMAIL, "a wrong password"),
        (demo::CUSTOMER_EMAIL, ""),
        ("nobody@demo.example", "a wrong password"),
        ("nobody@demo.example", demo::PASSWORD),
        ("nobody@demo.example", ""),
        (demo::MANAGER_EMAIL, demo::PASSWORD),
        ("no address at all", "a wrong password"),
        ("customer@demo.example%", demo::PASSWORD),
        ("customer@demo.example' OR '1'='1", demo::PASSWORD),
        (&long, demo::PASSWORD),
    ] {
        let answer = browser.submit(&page, &[("email", email), ("password", password)]).await;
        answer.assert_page(401, WRONG);
        assert!(!answer.text.contains("a wrong password"));
        let escaped = email.replace('\'', "&#39;");
        answers.push((email.to_owned(), comparable(&answer, &escaped)));
    }
    // Dev shows the demo customer's own address beside the form: nothing else may differ.
    let shown = format!(">{}<", demo::CUSTOMER_EMAIL);
    let first = answers[0].1.clone();
    for (email, (status, headers, text)) in answers {
        let text = text.replace(&shown, ">(email)<");
        assert_eq!((status, headers, text), first, "{email}");
    }
    assert_eq!(server.count("sessions"), 0);
}

#[tokio::test]
async fn s19_an_unknown_address_is_checked_against_a_hash_that_can_be_read() {
    let passwords = Passwords::start(1, Random::system()).unwrap();
    // Were it no hash, the answer would be `Corrupt`, and 20 ms earlier.
    let verified = passwords.verify(Password::new("whatever".to_owned()), None).await;
    assert_eq!(verified, Ok(false));
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_read_is_like_a_wrong_one() {
    let server = Server::start_with(roomy(), true).await;
    let browser = server.browser();
    let page = sign_in_page(&server, &browser, "").await;
    let (token, long) = (page.hidden("csrf_token"), "a".repeat(10_000));
    let word = demo::PASSWORD;
    for fields in [
        String::new(),
        "&email=&password=".to_owned(),
        format!("&email={long}&password={word}"),
        format!("&email=customer%40demo.example&password={long}"),
        format!("&email=customer%40demo.example&password={word}&password={word}"),
        format!("&email=customer%40demo.example&email=x&password={word}"),
        format!("&email[]=customer%40demo.example&password={word}"),
        format!("&email=customer%40demo.example&password[]={word}"),
        format!("&email=customer%40demo.example%00&password={word}"),
        format!("&email=%ff&password={word}"),
        "&email=customer%40demo.example&password=%ff".to_owned(),
    ] {
        let body = format!("step=sign_in&csrf_token={token}{fields}");
        let answer = browser.post(page.url.as_str(), &[], body).await;
        answer.assert_page(401, WRONG);
    }
    assert_eq!(server.count("sessions"), 0);
}

#[tokio::test]
async fn one_person_has_one_address_however_it_is_typed() {
    let server = Server::start().await;
    for email in ["CUSTOMER@Demo.Example", "  customer@demo.example \t"] {
        let browser = server.browser();
        let page = sign_in_page(&server, &browser, "").await;
        let page = browser.sign_in_as(&page, email, demo::PASSWORD).await;
        page.assert_page(200, demo::CUSTOMER_EMAIL);
    }
}

#[tokio::test]
async fn u15_a_wrong_password_keeps_the_address_ties_the_error_to_its_fields_and_asks_again() {
    let server = Server::start().await;
    let browser = server.browser();
    let page = sign_in_page(&server, &browser, "").await;
    let fields = [("email", "<b>@demo.example"), ("password", "wrong")];
    let answer = browser.submit(&page, &fields).await;
    answer.assert_page(401, WRONG);
    assert!(answer.text.contains("value=\"&#60;b&#62;@demo.example\""), "{}", answer.text);
    assert!(answer.text.contains("aria-invalid=\"true\" aria-describedby=\"fault\""));
    assert!(answer.text.contains("id=\"fault\" class=\"fault\" role=\"alert\""));
    // The same page goes on.
    browser.sign_in(&answer).await.assert_page(200, "Which businesses");
}

#[tokio::test]
async fn s9_a_sign_in_form_that_this_browser_did_not_get_from_us_is_refused() {
    let server = Server::start().await;
    let (browser, other) = (server.browser(), server.browser());
    let page = sign_in_page(&server, &browser, "").await;
    let foreign = sign_in_page(&server, &other, "").await.hidden("csrf_token");
    let own = page.hidden("csrf_token");
    let body = |token: &str| {
        format!(
            "step=sign_in&csrf_token={token}&email=customer%40demo.example&password={}",
            demo::PASSWORD
        )
    };
    let mut changed = own.clone();
    changed.replace_range(20..21, if &own[20..21] == "A" { "B" } else { "A" });
    let url = page.url.as_str();
    for token in ["", "x", foreign.as_str(), changed.as_str(), &own[..own.len() - 1]] {
        browser.post(url, &[], body(token)).await.assert_page(400, "Nothing was shared");
    }
    // Without its cookie a browser owns nothing, and from another site it is not asked.
    server.browser().post(url, &[], body(&own)).await.assert_page(400, "Nothing was shared");
    for site in ["cross-site", "same-site", "anything"] {
        let answer = browser.post(url, &[("Sec-Fetch-Site", site)], body(&own)).await;
        answer.assert_page(400, "Nothing was shared");
        assert_eq!(answer.header("set-cookie"), "", "{site}");
    }
    assert_eq!(server.count("sessions"), 0);
    let answer = browser.post(url, &[("Sec-Fetch-Site", "same-origin")], body(&own)).await;
    assert_eq!(answer.status, 303);
}

#[tokio::test]
async fn s21_a_password_longer_than_any_that_can_be_set_is_refused_and_not_cut_to_one() {
    let server = Server::start().await;
    let longest = "p".repeat(MAX_PASSWORD_BYTES);
    server.customer(Environment::Staging, EMAIL, &longest, 1).await;
    let browser = server.browser();
    let page = sign_in_page(&server, &browser, "").await;
    for length in [MAX_PASSWORD_BYTES + 1, 2000, 4096, 5000] {
        let password = "p".repeat(length);
        let answer = browser.submit(&page, &[("email", EMAIL), ("password", &password)]).await;
        answer.assert_page(401, WRONG);
    }
    assert_eq!(server.count("sessions"), 0);
    browser.sign_in_as(&page, EMAIL, &longest).await.assert_page(200, EMAIL);
}

/// Keeps the queue of passwords full until it is dropped.
struct Flood(Arc<AtomicBool>);

impl Flood {
    fn begin(passwords: &Passwords) -> Flood {
        let flood = Flood(Arc::new(AtomicBool::new(true)));
        for _ in 0..90 {
            let (on, passwords) = (Arc::clone(&flood.0), passwords.clone());
            tokio::spawn(async move {
                while on.load(Ordering::SeqCst) {
                    let _ = passwords.verify(Password::new("flood".to_owned()), None).await;
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
            });
        }
        flood
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn s19_s21_past_the_bound_known_and_unknown_alike_get_503_and_when_to_come_again() {
    let server = Server::start().await;
    let browser = server.browser();
    let page = sign_in_page(&server, &browser, "&state=s").await;
    let flood = Flood::begin(&server.staging.passwords);
    for email in [demo::CUSTOMER_EMAIL, "nobody@demo.example"] {
        let mut answer = browser.submit(&page, &[("email", email), ("password", "x")]).await;
        // A place may have been free just then.
        for _ in 0..20 {
            if answer.status == 503 {
                break;
            }
            answer = browser.submit(&page, &[("email", email), ("password", "x")]).await;
        }
        answer.assert_page(503, "Please try again in a few seconds");
        assert_eq!(answer.header("retry-after"), "3");
        assert!(answer.text.contains("Try again"), "{}", answer.text);
        assert!(answer.text.contains("state=s"), "{}", answer.text);
    }
    assert_eq!(server.count("sessions"), 0);
    drop(flood);
}

#[tokio::test]
async fn s21_a_caller_that_goes_away_frees_no_place_before_its_work_is_done() {
    let passwords = Passwords::start(1, Random::system()).unwrap();
    let mut abandoned = 0;
    let busy = loop {
        let verify = passwords.verify(Password::new("gone".to_owned()), None);
        match tokio::time::timeout(Duration::ZERO, verify).await {
            Err(_) => abandoned += 1,
            Ok(answer) => break answer,
        }
        assert!(abandoned < 200, "places are freed by going away");
    };
    assert_eq!(busy, Err(PasswordError::Busy));
    assert!(abandoned >= 64, "{abandoned}");
}

#[tokio::test]
async fn s26_the_demo_password_opens_nothing_outside_dev_and_the_page_does_not_show_it() {
    let server = Server::start_with(Settings::default(), false).await;
    // Somebody whose own password happens to be those words cannot use it either.
    server.customer(Environment::Staging, EMAIL, demo::PASSWORD, 1).await;
    let browser = server.browser();
    // The demo client's secret is known to everybody too, so there is no such client here.
    let demo = browser.get(&server.authorize_url(&server.demo_client(), "&state=s")).await;
    demo.assert_page(400, "not known here");
    let page = browser.get(&server.authorize_url(&server.client().await, "")).await;
    page.assert_page(200, "Sign in");
    assert!(!page.text.contains(demo::PASSWORD) && !page.text.contains(demo::CUSTOMER_EMAIL));
    for email in [demo::CUSTOMER_EMAIL, EMAIL] {
        let answer = browser.submit(&page, &[("email", email), ("password", demo::PASSWORD)]).await;
        answer.assert_page(401, WRONG);
    }
    assert_eq!(server.count("sessions"), 0);
}

#[tokio::test]
async fn s18_the_database_holds_nothing_that_a_browser_could_present() {
    let server = Server::start().await;
    let browser = server.browser();
    let client = server.client().await;
    let page = browser.get(&server.authorize_url(&client, "")).await;
    page.assert_page(200, "Sign in");
    let fields = [("email", demo::CUSTOMER_EMAIL), ("password", demo::PASSWORD)];
    let session = cookie(&browser.submit(&page, &fields).await);
    let id = session.split_once('=').unwrap().1.to_owned();
    let stored: Vec<u8> = server
        .database()
        .query_row("SELECT id_digest FROM sessions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(stored.len(), 32);
    assert_ne!(stored, id.as_bytes());
    // What is stored, as a cookie, is nobody.
    use base64::Engine as _;
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&stored);
    assert!(!is_signed_in(&server, &format!("grantor-staging={text}")).await);
    assert!(is_signed_in(&server, &session).await);
}

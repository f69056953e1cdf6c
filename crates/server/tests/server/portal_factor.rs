//! The second factor of people of the portal.

#![expect(unreachable_pub, reason = "seen by the other files of this binary alone")]

use grantor::second_factor::FactorSecret;
use grantor::store::{Factor, NewPerson, Person, Role};
use grantor_protocol::environment::Environment;

use crate::harness::{Browser, Page, Server};
use crate::portal_account::{EMAIL, PASSWORD, person, sign_in};

on_both_engines! {
    staff_without_a_second_factor_reach_nothing_but_its_enrolment,
    a_code_works_once_also_in_two_browsers_at_once_and_so_does_a_recovery_code,
    s20_codes_are_tried_ten_times_and_the_person_is_told,
    s18_each_step_up_gives_the_session_a_new_id_and_a_new_factor_ends_the_others,
    d9_a_rekey_takes_the_secrets_of_second_factors_along,
}

/// The secret that an enrolment page shows.
fn shown(page: &Page) -> FactorSecret {
    let letters = page.text.split("<code class=\"pick scan-key\"").nth(1).unwrap();
    let letters = letters.split('>').nth(1).unwrap().split('<').next().unwrap();
    let mut bits = String::new();
    for letter in letters.chars().filter(|letter| *letter != '-') {
        let value = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).unwrap();
        bits.push_str(&format!("{value:05b}"));
    }
    let bytes: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|bits| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap())
        .collect();
    FactorSecret::from_bytes(&bytes).unwrap()
}

/// The code that an app shows at that time.
fn code(secret: &FactorSecret, at: i64) -> String {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(secret.as_bytes());
    let app = totp_rs::Builder::new().with_secret(totp_rs::Secret::new_stack(bytes));
    app.build().unwrap().generate(u64::try_from(at).unwrap()).to_string()
}

/// The recovery codes of the page that shows them.
fn recovery_codes(page: &Page) -> Vec<String> {
    let codes = page.text.split("<code class=\"pick\">").skip(1);
    codes.map(|after| after.split('<').next().unwrap().to_owned()).collect()
}

async fn manager(server: &Server, email: &str) -> Person {
    person(server, email, Role::Manager).await
}

async fn get(server: &Server, browser: &Browser, path: &str) -> Page {
    browser.get(&format!("{}{path}", server.portal.base_url)).await
}

async fn factor(server: &Server, person: &Person) -> Factor {
    server.portal.store.factor(person.id).await.unwrap()
}

/// Signs in with the password, sets up a factor, and gives it with the recovery codes.
async fn enrolled(server: &Server, email: &str) -> (Browser, FactorSecret, Vec<String>) {
    let browser = server.browser();
    let answer = sign_in(server, &browser, email, "/sign-in").await;
    assert_eq!(answer.location(), "/account/factor");
    let (secret, codes) = enrol(server, &browser).await;
    (browser, secret, codes)
}

/// Sets up a factor for who just gave the password.
pub async fn enrol(server: &Server, browser: &Browser) -> (FactorSecret, Vec<String>) {
    let page = get(server, browser, "/account/factor").await;
    let secret = shown(&page);
    let code = code(&secret, server.clock.now());
    let page = submit_to(server, browser, &page, "/account/factor", &[("code", &code)]).await;
    page.assert_page(200, "Your second factor is on");
    (secret, recovery_codes(&page))
}

/// Posts a form of a page to one of its actions.
async fn submit_to(
    server: &Server,
    browser: &Browser,
    page: &Page,
    path: &str,
    fields: &[(&str, &str)],
) -> Page {
    crate::portal_account::submit_to(server, browser, page, path, fields).await
}

async fn staff_without_a_second_factor_reach_nothing_but_its_enrolment(server: Server) {
    let boss = manager(&server, EMAIL).await;
    let browser = server.browser();
    let answer = sign_in(&server, &browser, EMAIL, "/sign-in?next=%2Fteam").await;
    assert_eq!((answer.status.as_u16(), answer.location().as_str()), (303, "/account/factor"));
    for path in ["/requests", "/team", "/account", "/activity", "/activity.jsonl", "/apps"] {
        let page = get(&server, &browser, path).await;
        assert!(page.location().starts_with("/sign-in"), "{path}: {}", page.location());
    }
    let page = get(&server, &browser, "/sign-in").await;
    assert_eq!(page.location(), "/account/factor");
    let page = get(&server, &browser, "/account/factor").await;
    page.assert_page(200, "Managers and operators need one");
    let picture = get(&server, &browser, "/account/factor/picture.svg").await;
    assert_eq!(picture.header("content-type"), "image/svg+xml");
    assert_eq!(picture.header("cache-control"), "no-store");
    // The picture is the enrolling person's alone.
    let stranger = get(&server, &server.browser(), "/account/factor/picture.svg").await;
    assert_eq!(stranger.status, 303);

    let secret = shown(&page);
    let wrong =
        submit_to(&server, &browser, &page, "/account/factor", &[("code", "000000x")]).await;
    wrong.assert_page(422, "This code is not right");
    let right = code(&secret, server.clock.now());
    let done = submit_to(&server, &browser, &page, "/account/factor", &[("code", &right)]).await;
    done.assert_page(200, "Your second factor is on");
    assert_eq!(recovery_codes(&done).len(), 10);
    get(&server, &browser, "/team").await.assert_page(200, "Managers");
    // Nothing of it stands in the database in clear.
    let stored = factor(&server, &boss).await;
    assert!(stored.secret.is_some_and(|held| held != secret.as_bytes()));
    for shown in recovery_codes(&done) {
        assert!(!stored.recovery_codes.contains(&shown));
    }
    assert_eq!(server.number("SELECT COUNT(*) FROM audit WHERE act = 'factor.enrolled'"), 1);
    assert_eq!(mails(&server, "A second factor was set up"), 1);
}

fn mails(server: &Server, subject: &str) -> i64 {
    server.number(&format!("SELECT COUNT(*) FROM outbox WHERE subject = '{subject}'"))
}

async fn a_code_works_once_also_in_two_browsers_at_once_and_so_does_a_recovery_code(
    server: Server,
) {
    let boss = manager(&server, EMAIL).await;
    let (_, secret, codes) = enrolled(&server, EMAIL).await;
    server.clock.advance(60);
    let by_time = code(&secret, server.clock.now());
    for (typed, left) in [(by_time.as_str(), 10), (codes[0].as_str(), 9)] {
        let browsers = [server.browser(), server.browser()];
        let mut pages = Vec::new();
        for browser in &browsers {
            let answer = sign_in(&server, browser, EMAIL, "/sign-in?next=%2Fteam").await;
            assert_eq!(answer.location(), "/sign-in/code?next=%2Fteam");
            let page = get(&server, browser, "/team").await;
            assert_eq!(page.location(), "/sign-in?next=%2Fteam", "the password alone is nobody");
            pages.push(get(&server, browser, "/sign-in/code?next=%2Fteam").await);
        }
        let fields = [("code", typed)];
        let path = "/sign-in/code?next=%2Fteam";
        let answers = tokio::join!(
            submit_to(&server, &browsers[0], &pages[0], path, &fields),
            submit_to(&server, &browsers[1], &pages[1], path, &fields),
        );
        let mut statuses = [answers.0.status.as_u16(), answers.1.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 422]);
        let stored = factor(&server, &boss).await.recovery_codes;
        assert_eq!(stored.split(' ').count(), left);
        // Later it is still used up.
        let browser = server.browser();
        sign_in(&server, &browser, EMAIL, "/sign-in").await;
        let page = get(&server, &browser, "/sign-in/code").await;
        let again = submit_to(&server, &browser, &page, "/sign-in/code", &fields).await;
        again.assert_page(422, "was used already");
    }
    assert_eq!(mails(&server, "A recovery code was used"), 1);
    assert_eq!(server.number("SELECT COUNT(*) FROM audit WHERE act = 'factor.recovery_code'"), 1);
}

async fn s20_codes_are_tried_ten_times_and_the_person_is_told(server: Server) {
    manager(&server, EMAIL).await;
    let (_, secret, _) = enrolled(&server, EMAIL).await;
    server.clock.advance(900);
    let browser = server.browser();
    sign_in(&server, &browser, EMAIL, "/sign-in").await;
    let page = get(&server, &browser, "/sign-in/code").await;
    // Two at a time: the tries are counted before anything is looked at.
    for _ in 0..5 {
        let fields = [("code", "12345")];
        let (first, second) = tokio::join!(
            submit_to(&server, &browser, &page, "/sign-in/code", &fields),
            submit_to(&server, &browser, &page, "/sign-in/code", &fields),
        );
        first.assert_page(422, "This code is not right");
        second.assert_page(422, "This code is not right");
    }
    let right = code(&secret, server.clock.now());
    for _ in 0..2 {
        let refused =
            submit_to(&server, &browser, &page, "/sign-in/code", &[("code", &right)]).await;
        refused.assert_page(422, "Too many codes were tried");
    }
    assert_eq!(mails(&server, "Many codes were tried"), 1);
    server.clock.advance(900);
    let right = code(&secret, server.clock.now());
    let done = submit_to(&server, &browser, &page, "/sign-in/code", &[("code", &right)]).await;
    assert_eq!((done.status.as_u16(), done.location().as_str()), (303, "/"));
}

async fn s18_each_step_up_gives_the_session_a_new_id_and_a_new_factor_ends_the_others(
    server: Server,
) {
    // A developer, for whom it is optional.
    let partner = server.portal.store.partners().await.unwrap().remove(0);
    let developer = person(&server, EMAIL, Role::Developer { partner_id: partner.id }).await;
    let (browser, other) = (server.browser(), server.browser());
    for browser in [&browser, &other] {
        assert_eq!(sign_in(&server, browser, EMAIL, "/sign-in").await.location(), "/");
    }
    let page = get(&server, &browser, "/account").await;
    page.assert_page(200, "None yet.");
    let begin = "/account/factor/begin";
    let wrong = [("former", "not the password of it")];
    let refused = submit_to(&server, &browser, &page, begin, &wrong).await;
    refused.assert_page(422, "This is not your password.");
    let begun = submit_to(&server, &browser, &page, begin, &[("former", PASSWORD)]).await;
    assert_eq!(begun.location(), "/account/factor");
    let setup = get(&server, &browser, "/account/factor").await;
    let secret = shown(&setup);
    let first = code(&secret, server.clock.now());
    let done = submit_to(&server, &browser, &setup, "/account/factor", &[("code", &first)]).await;
    done.assert_page(200, "Your second factor is on");
    assert!(done.header("set-cookie").starts_with("grantor-portal="), "a new id");
    get(&server, &browser, "/account").await.assert_page(200, "Each sign-in asks for a code");
    assert!(get(&server, &other, "/account").await.location().starts_with("/sign-in"));

    // Renewing needs the password and a code, and the former factor counts until then.
    server.clock.advance(60);
    let page = get(&server, &browser, "/account").await;
    let without = submit_to(&server, &browser, &page, begin, &[("former", PASSWORD)]).await;
    without.assert_page(422, "This code is not right");
    let second = code(&secret, server.clock.now());
    let proof = [("former", PASSWORD), ("code", second.as_str())];
    assert_eq!(submit_to(&server, &browser, &page, begin, &proof).await.status, 303);
    assert!(factor(&server, &developer).await.secret.is_some());
    let renewed = shown(&get(&server, &browser, "/account/factor").await);
    assert_ne!(renewed.as_bytes(), secret.as_bytes());
    let remove = "/account/factor/remove";
    let used = submit_to(&server, &browser, &page, remove, &proof).await;
    used.assert_page(422, "was used already");

    server.clock.advance(60);
    let third = code(&secret, server.clock.now());
    let proof = [("former", PASSWORD), ("code", third.as_str())];
    let removed = submit_to(&server, &browser, &page, remove, &proof).await;
    assert_eq!(removed.location(), "/account");
    assert!(removed.header("set-cookie").starts_with("grantor-portal="));
    get(&server, &browser, "/account").await.assert_page(200, "None yet.");
    let left = factor(&server, &developer).await;
    assert!(left.secret.is_none() && left.next.is_none() && left.recovery_codes.is_empty());
    assert_eq!(mails(&server, "Your second factor was removed"), 1);
}

async fn d9_a_rekey_takes_the_secrets_of_second_factors_along(server: Server) {
    let boss = manager(&server, EMAIL).await;
    let (_, secret, _) = enrolled(&server, EMAIL).await;
    // Another secret waits to be confirmed.
    server.portal.keys.begin_factor(boss.id, &secret, None).await.unwrap();
    server.execute("UPDATE people SET totp_next = totp WHERE totp IS NOT NULL");
    let file = server.folder.path().join("master.key");
    server.master_key.write(&file).unwrap();
    let store = &server.portal.store;
    let done =
        grantor::keys::rekey::rekey(store, &file, &server.portal.random, None).await.unwrap();
    for column in ["people.totp", "people.totp_next"] {
        let count = done.counts.iter().find(|count| count.column == column).unwrap();
        assert_eq!(count.values, 1, "{column}");
    }
    let stored = factor(&server, &boss).await;
    // As a process that starts with the new key.
    let key = grantor::master_key::MasterKey::read(&file).unwrap();
    let keys = grantor::keys::Keys::open(store, &key, &server.clock, &server.portal.random);
    let keys = keys.await.unwrap();
    for encrypted in [stored.secret.unwrap(), stored.next.unwrap()] {
        let opened = keys.factor_secret(boss.id, &encrypted).await.unwrap();
        assert_eq!(opened.unwrap().as_bytes(), secret.as_bytes());
    }
}

#[tokio::test]
async fn the_demo_manager_of_dev_needs_none_and_the_page_says_so() {
    let server = Server::start().await;
    let browser = server.browser();
    let page = get(&server, &browser, "/sign-in").await;
    let fields = [("email", grantor::demo::MANAGER_EMAIL), ("password", grantor::demo::PASSWORD)];
    let answer = submit_to(&server, &browser, &page, "/sign-in", &fields).await;
    assert_eq!(answer.location(), "/");
    get(&server, &browser, "/account").await.assert_page(200, "this is a development server");
}

/// Who is added here is one of these tests alone.
pub(crate) async fn add(server: &Server, id: [u8; 16], email: &str, role: Role) {
    let site = server.site(Environment::Portal);
    let password = grantor::password::Password::new(PASSWORD.to_owned());
    let password_hash = site.passwords.hash(password).await.unwrap();
    let person = NewPerson {
        id,
        email,
        name: "Robin Rest",
        password_hash: &password_hash,
        role,
        demo: false,
    };
    let act = crate::portal_account::act(server, "person.joined");
    assert!(site.store.add_person(&person, None, None, &act).await.unwrap());
}

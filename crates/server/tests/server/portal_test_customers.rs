//! Test customers: a partner makes them for itself, on staging alone.

use grantor::demo;
use grantor::store::{AuditOf, NewPerson, Partner, Role};
use grantor_protocol::environment::Environment;
use reqwest::StatusCode;

use crate::harness::{Browser, DEMO_REDIRECT_URI, Page, START, Server, encode, query};

pub(crate) async fn developer(server: &Server) -> Browser {
    signed_in(server, demo::DEVELOPER_EMAIL).await
}

pub(crate) async fn signed_in(server: &Server, email: &str) -> Browser {
    let browser = server.browser();
    let page = browser.get(&portal(server, "/sign-in")).await;
    let fields = [
        ("csrf_token", page.hidden("csrf_token")),
        ("email", email.to_owned()),
        ("password", demo::PASSWORD.to_owned()),
    ];
    let answer = post(&browser, &portal(server, "/sign-in"), &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    browser
}

pub(crate) fn portal(server: &Server, path: &str) -> String {
    format!("{}{path}", server.portal.base_url)
}

/// Posts fields as a form.
pub(crate) async fn post(browser: &Browser, url: &str, fields: &[(&str, String)]) -> Page {
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    browser.post(url, &form, pairs.join("&")).await
}

/// Posts a form without fields, as the buttons of a page do.
pub(crate) async fn press(server: &Server, browser: &Browser, path: &str) -> Page {
    let page = browser.get(&portal(server, "/test-customers")).await;
    let token = [("csrf_token", page.hidden("csrf_token"))];
    post(browser, &portal(server, path), &token).await
}

/// Makes one, and gives its address and password.
pub(crate) async fn make(server: &Server, browser: &Browser) -> (String, String) {
    drawn(&press(server, browser, "/test-customers").await)
}

fn drawn(page: &Page) -> (String, String) {
    page.assert_page(200, "shown this once");
    let picks: Vec<&str> = page.text.split("<code class=\"pick\">").skip(1).collect();
    let pick = |at: usize| picks[at].split('<').next().unwrap().to_owned();
    (pick(0), pick(1))
}

fn id_of(page: &Page, email: &str) -> String {
    let line = page.text.split("<li>").find(|line| line.contains(email)).unwrap();
    line.split("/test-customers/").nth(1).unwrap().split('/').next().unwrap().to_owned()
}

/// A second partner, whose owner signs in with the demo's password.
pub(crate) async fn other_partner(server: &Server) -> Browser {
    let site = &server.portal;
    let password = grantor::password::Password::new(demo::PASSWORD.to_owned());
    let password_hash = site.passwords.hash(password).await.unwrap();
    let partner = Partner {
        id: site.random.id(&site.clock),
        name: "Other Partner".to_owned(),
        contact: None,
        verified: false,
        suspended: false,
        created_at: START,
    };
    let role = Role::Owner { partner_id: partner.id };
    let id = site.random.id(&site.clock);
    let actor =
        grantor::programme::Actor { name: "a test".to_owned(), id: None, role, behalf: None };
    let person = NewPerson {
        id,
        email: "owner@other.example",
        name: "Olga Other",
        password_hash: &password_hash,
        role,
        demo: false,
    };
    let act = actor.act(site, "person.joined", "");
    assert!(site.store.add_person(&person, Some(&partner), None, &act).await.unwrap());
    signed_in(server, "owner@other.example").await
}

async fn connect(server: &Server, browser: &Browser, (email, password): (&str, &str)) -> String {
    let mut client = server.demo_client();
    client.redirect_uri = DEMO_REDIRECT_URI.to_owned();
    let mut page = browser.get(&server.authorize_url(&client, "")).await;
    page = browser.sign_in_as(&page, email, password).await;
    let all = page.values("business");
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|id| id.parse::<i64>().unwrap() > 1 << 53), "{all:?}");
    let fields: Vec<(&str, &str)> = all.iter().map(|id| ("business", id.as_str())).collect();
    page = browser.submit(&page, &fields).await;
    page = browser.get(&page.absolute(&page.location())).await;
    let scopes = page.values("scope");
    let mut fields: Vec<(&str, &str)> =
        scopes.iter().map(|scope| ("scope", scope.as_str())).collect();
    fields.push(("decision", "allow"));
    let target = browser.submit(&page, &fields).await.location();
    query(&target, "code").unwrap_or_else(|| panic!("no code in {target}"))
}

async fn u1_a_test_customer_signs_in_on_staging_with_two_businesses_and_nowhere_else(
    server: Server,
) {
    let browser = developer(&server).await;
    let (email, password) = make(&server, &browser).await;
    assert!(email.starts_with("test-") && email.ends_with("@demo-partner-ltd.test"), "{email}");

    let code = connect(&server, &server.browser(), (&email, &password)).await;
    let client = server.demo_client();
    let answer = server.exchange(&client, &code).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let businesses = server.api("/f/data/businesses", answer.text("access_token")).await;
    let list = businesses.body["_embedded"]["businessList"].as_array().unwrap().clone();
    assert_eq!(list.len(), 2);
    assert!(list.iter().all(|one| !one["businessLocations"].as_array().unwrap().is_empty()));

    let store = &server.portal.store;
    assert!(store.credentials(Environment::Production, &email).await.unwrap().is_none());
    assert!(store.credentials(Environment::Portal, &email).await.unwrap().is_none());
    // Shown once: the list has it no more.
    let list = browser.get(&portal(&server, "/test-customers")).await;
    assert!(list.text.contains(&email) && !list.text.contains(&password));
    let entry = store.audit(&AuditOf::Everybody, None, 1).await.unwrap().remove(0);
    assert_eq!(entry.act, "test_customer.made");
    assert!(!entry.detail.contains(&password));
}

async fn removing_a_test_customer_ends_its_connections_and_leaves_nothing(server: Server) {
    let browser = developer(&server).await;
    let before =
        ["customers", "businesses", "locations", "memberships"].map(|table| server.count(table));
    let (email, password) = make(&server, &browser).await;
    let client = server.demo_client();
    let code = connect(&server, &server.browser(), (&email, &password)).await;
    let tokens = server.exchange(&client, &code).await;
    let page = browser.get(&portal(&server, "/test-customers")).await;
    let path = format!("/test-customers/{}/remove", id_of(&page, &email));
    assert_eq!(press(&server, &browser, &path).await.status, StatusCode::SEE_OTHER);

    let called = server.api("/f/data/businesses", tokens.text("access_token")).await;
    assert_eq!(called.status, 401);
    server.refresh(&client, tokens.text("refresh_token")).await.assert_error(
        400,
        "invalid_grant",
        "",
    );
    let after =
        ["customers", "businesses", "locations", "memberships"].map(|table| server.count(table));
    assert_eq!(after, before);
    assert_eq!((server.count("test_customers"), server.count("consents")), (0, 0));
    // A second time there is nobody.
    press(&server, &browser, &path).await.assert_page(404, "There is no such page");
}

async fn a_password_that_is_drawn_anew_ends_what_the_former_one_began(server: Server) {
    let browser = developer(&server).await;
    let (email, password) = make(&server, &browser).await;
    let client = server.demo_client();
    let code = connect(&server, &server.browser(), (&email, &password)).await;
    let tokens = server.exchange(&client, &code).await;
    let page = browser.get(&portal(&server, "/test-customers")).await;
    let path = format!("/test-customers/{}/password", id_of(&page, &email));
    let (same, anew) = drawn(&press(&server, &browser, &path).await);
    assert_eq!(same, email);
    assert_ne!(anew, password);
    assert_eq!(server.api("/f/data/businesses", tokens.text("access_token")).await.status, 401);
    let browser = server.browser();
    let page = browser.get(&server.authorize_url(&client, "")).await;
    browser.sign_in_as(&page, &email, &anew).await;
}

async fn no_partner_touches_another_partners_test_customers_and_staff_has_none(server: Server) {
    let browser = developer(&server).await;
    let (email, password) = make(&server, &browser).await;
    let page = browser.get(&portal(&server, "/test-customers")).await;
    let id = id_of(&page, &email);

    let stranger = other_partner(&server).await;
    let list = stranger.get(&portal(&server, "/test-customers")).await;
    list.assert_page(200, "None yet");
    for way in ["remove", "password"] {
        let answer = press(&server, &stranger, &format!("/test-customers/{id}/{way}")).await;
        answer.assert_page(404, "There is no such page");
    }
    connect(&server, &server.browser(), (&email, &password)).await;

    let manager = signed_in(&server, demo::MANAGER_EMAIL).await;
    let refused = manager.get(&portal(&server, "/test-customers")).await;
    refused.assert_page(403, "That is not yours to do");
    // Without a form of ours nothing is made.
    let forged = post(&browser, &portal(&server, "/test-customers"), &[]).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    assert_eq!(server.count("test_customers"), 1);
}

async fn a_partner_has_at_most_twenty_however_many_it_asks_for_at_once(server: Server) {
    let browser = developer(&server).await;
    for _ in 0..17 {
        make(&server, &browser).await;
    }
    let page = browser.get(&portal(&server, "/test-customers")).await;
    let token = page.hidden("csrf_token");
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (http, url) = (browser.http.clone(), portal(&server, "/test-customers"));
        let token = token.clone();
        asked.spawn(async move {
            let fields = [("csrf_token", token)];
            post(&Browser { http }, &url, &fields).await.status
        });
    }
    let statuses = asked.join_all().await;
    let made = statuses.iter().filter(|status| **status == StatusCode::OK).count();
    assert_eq!(made, 3, "{statuses:?}");
    assert_eq!(server.count("test_customers"), 20);
    let full = press(&server, &browser, "/test-customers").await;
    full.assert_page(409, "20 test customers, and that is the most");
}

on_both_engines! {
    u1_a_test_customer_signs_in_on_staging_with_two_businesses_and_nowhere_else,
    removing_a_test_customer_ends_its_connections_and_leaves_nothing,
    a_password_that_is_drawn_anew_ends_what_the_former_one_began,
    no_partner_touches_another_partners_test_customers_and_staff_has_none,
    a_partner_has_at_most_twenty_however_many_it_asks_for_at_once,
}

//! Choosing businesses, allowing and denying; and when nobody is asked.

use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;
use reqwest::StatusCode;

use crate::harness::{
    Browser, DEMO_REDIRECT_URI, Page, REDIRECT_URI, Server, TestClient, query, unescape,
};

const BISTRO: &str = "9765040300495493";
const GRILL: &str = "9765040300495494";
const EMAIL: &str = "robin@rest.example";
const PASSWORD: &str = "a password of Robin's own";
const PKCE: &str =
    "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

/// Opens a URL, signs in where that is asked for, connects one business, and stops at consent.
async fn consent_page(browser: &Browser, url: &str) -> Page {
    let mut page = browser.get(url).await;
    if page.step().as_deref() == Some("sign_in") {
        page = browser.sign_in(&page).await;
    }
    if page.step().as_deref() == Some("businesses") {
        let answer = browser.submit(&page, &[("business", BISTRO)]).await;
        page = browser.get(&page.absolute(&answer.location())).await;
    }
    assert_eq!(page.step().as_deref(), Some("consent"), "{}", page.text);
    page
}

async fn client_with_optional(server: &Server) -> TestClient {
    server
        .client_with(Environment::Staging, |client| {
            client.scopes = Scope::parse("financial-api items orders-api").unwrap();
            client.optional_scopes = Scope::parse("items orders-api").unwrap();
        })
        .await
}

/// A browser that gave this client its consent just now.
async fn consented(server: &Server, client: &TestClient, more: &str) -> Browser {
    let browser = server.browser();
    browser.allow(&server.authorize_url(client, more)).await;
    browser
}

/// Asserts that an answer leads to a page of ours and not to the client, and gives that page.
async fn stays(browser: &Browser, answer: &Page) -> Page {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    assert_eq!(answer.leaves(), None);
    browser.get(&answer.absolute(&answer.location())).await
}

#[tokio::test]
async fn u9_consent_shows_who_asks_for_what_of_whom_for_how_long_and_where_the_code_goes() {
    let server = Server::start().await;
    let browser = server.browser();
    let page = consent_page(&browser, &server.authorize_url(&server.demo_client(), "")).await;
    for shown in [
        "Table Planner",
        "by <bdi>Demo Partner Ltd</bdi>",
        "Verified organisation",
        "customer@demo.example",
        "Bistro Aurora",
        "See sales, payments and other financial figures of your business.",
        "See your menus and locations, and place and follow orders for you.",
        "Until you disconnect it, or it is not used for 14 days.",
        "127.0.0.1:9",
        "Use another account",
    ] {
        page.assert_page(200, shown);
    }
    // What was left out is not connected.
    assert!(!page.text.contains("Harbour Grill"), "{}", page.text);
    // A required scope has no box, an optional one has.
    assert_eq!(page.values("scope"), ["orders-api"]);
    assert_eq!(page.text.matches(">Required<").count(), 1);
    assert_eq!(page.text.matches(">Optional<").count(), 1);
    // Deny weighs as much as Allow.
    for decision in ["allow\">Allow", "deny\">Deny"] {
        let button = format!(
            "<button class=\"button\" type=\"submit\" name=\"decision\" value=\"{decision}"
        );
        assert!(page.text.contains(&button), "{button}");
    }
    assert!(!page.text.contains("Nobody has reviewed this app"));
}

#[tokio::test]
async fn u9_consent_says_so_where_nobody_verified_or_reviewed_and_where_it_ends_by_itself() {
    let settings = grantor::site::Settings {
        grant_ttl_seconds: Some(90 * 86_400),
        ..grantor::site::Settings::default()
    };
    let server = Server::start_with(settings, true).await;
    server.execute("UPDATE partners SET verified = 0");
    let native = RedirectUri::register("com.example.app:/cb").unwrap();
    let client = server
        .client_with(Environment::Staging, |client| {
            client.approved = false;
            client.redirect_uris = vec![native];
        })
        .await;
    let page = consent_page(&server.browser(), &server.authorize_url(&client, "")).await;
    for shown in [
        "Organisation not verified",
        "Nobody has reviewed this app.",
        "an app on this device (com.example.app)",
        "For 90 days, or until it is not used for 14 days, or you disconnect it.",
    ] {
        page.assert_page(200, shown);
    }
    let brief = server
        .client_with(Environment::Staging, |client| client.settings.refresh_tokens = false)
        .await;
    let page = consent_page(&server.browser(), &server.authorize_url(&brief, "")).await;
    page.assert_page(200, "For 1 hour.");
    page.assert_page(200, ">mycompany.com<");
}

#[tokio::test]
async fn u9_the_token_has_the_scope_that_was_left_ticked() {
    let server = Server::start().await;
    let client = client_with_optional(&server).await;
    for (ticked, scope) in [
        (vec!["items", "orders-api"], "financial-api items orders-api"),
        (vec!["items"], "financial-api items"),
        (vec![], "financial-api"),
        // The required one has no box: to send it changes nothing.
        (vec!["financial-api"], "financial-api"),
        // What was not asked for, or is none of the client's, is not given.
        (vec!["items", "staff-api", "admin", "items orders-api", "", "*"], "financial-api items"),
    ] {
        let browser = server.browser();
        let page = consent_page(&browser, &server.authorize_url(&client, "&prompt=consent")).await;
        assert_eq!(page.values("scope"), ["items", "orders-api"]);
        let mut fields: Vec<(&str, &str)> = ticked.iter().map(|scope| ("scope", *scope)).collect();
        fields.push(("decision", "allow"));
        let code = browser.submit(&page, &fields).await.assert_code(REDIRECT_URI);
        let tokens = server.exchange(&client, &code).await;
        let mut granted: Vec<&str> = tokens.text("scope").split(' ').collect();
        let mut expected: Vec<&str> = scope.split(' ').collect();
        granted.sort_unstable();
        expected.sort_unstable();
        assert_eq!(granted, expected, "{ticked:?}");
    }
}

#[tokio::test]
async fn u9_where_every_scope_asked_for_is_optional_all_of_them_are_required() {
    let server = Server::start().await;
    let client = client_with_optional(&server).await;
    let browser = server.browser();
    let page = consent_page(&browser, &server.authorize_url(&client, "&scope=items")).await;
    assert_eq!(page.values("scope"), Vec::<String>::new());
    let code = browser.submit(&page, &[("decision", "allow")]).await.assert_code(REDIRECT_URI);
    assert_eq!(server.exchange(&client, &code).await.text("scope"), "items");
}

#[tokio::test]
async fn u9_the_token_opens_the_businesses_that_were_chosen_and_no_others() {
    let server = Server::start().await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 1).await;
    let client = server.client().await;
    let robins: String = server
        .database()
        .query_row("SELECT MAX(id) FROM businesses WHERE id < 1000", [], |row| row.get::<_, i64>(0))
        .unwrap()
        .to_string();
    for (chosen, opened) in [
        (vec![BISTRO], vec![BISTRO]),
        (vec![GRILL, BISTRO], vec![BISTRO, GRILL]),
        (vec![GRILL, GRILL], vec![GRILL]),
        // Another customer's, none at all, and what is no id.
        (vec![GRILL, &robins, "1234", "x", "", "-1", "99999999999999999999"], vec![GRILL]),
    ] {
        let browser = server.browser();
        let page = browser.get(&server.authorize_url(&client, "&prompt=consent")).await;
        let page = browser.sign_in(&page).await;
        let fields: Vec<(&str, &str)> = chosen.iter().map(|id| ("business", *id)).collect();
        let page = stays(&browser, &browser.submit(&page, &fields).await).await;
        let allowed = browser.submit(&page, &[("decision", "allow"), ("business", &robins)]).await;
        let code = allowed.assert_code(REDIRECT_URI);
        let tokens = server.exchange(&client, &code).await;
        let answer = server.api("/o/op/data/businesses", tokens.text("access_token")).await;
        let ids: Vec<String> =
            answer.body.as_array().unwrap().iter().map(|b| b["id"].to_string()).collect();
        assert_eq!(ids, opened, "{chosen:?}");
    }
}

#[tokio::test]
async fn u9_u15_choosing_no_business_says_so_at_the_boxes_and_changes_nothing() {
    let server = Server::start().await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 1).await;
    let client = server.client().await;
    let browser = server.browser();
    let page = browser.get(&server.authorize_url(&client, "&state=s")).await;
    let page = browser.sign_in(&page).await;
    // At first all are ticked.
    assert_eq!(page.text.matches("\" checked>").count(), 2);
    let before = server.rows();
    for fields in [vec![], vec![("business", "1")], vec![("business", "x")]] {
        let answer = browser.submit(&page, &fields).await;
        answer.assert_page(422, "Choose at least one business to go on.");
        assert!(answer.text.contains("aria-invalid=\"true\" aria-describedby=\"fault\""));
        assert_eq!(answer.values("business"), [BISTRO, GRILL]);
        assert!(!answer.text.contains("\" checked"));
        // The form goes on from there.
        let next = stays(&browser, &browser.submit(&answer, &[("business", GRILL)]).await).await;
        assert_eq!(next.step().as_deref(), Some("consent"));
    }
    assert_eq!(server.rows(), before);
}

#[tokio::test]
async fn u9_a_customer_with_very_many_businesses_gets_all_that_were_ticked() {
    let server = Server::start().await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 201).await;
    let client = server.client().await;
    let browser = server.browser();
    let page = browser.get(&server.authorize_url(&client, "")).await;
    let page = browser.sign_in_as(&page, EMAIL, PASSWORD).await;
    let all = page.values("business");
    assert_eq!(all.len(), 201);
    let fields: Vec<(&str, &str)> = all.iter().map(|id| ("business", id.as_str())).collect();
    let refused = browser.submit(&page, &fields).await;
    refused.assert_page(422, "Choose at most 200 businesses.");
    let page = stays(&browser, &browser.submit(&page, &fields[..200]).await).await;
    let code = browser.submit(&page, &[("decision", "allow")]).await.assert_code(REDIRECT_URI);
    let tokens = server.exchange(&client, &code).await;
    let answer = server.api("/o/op/data/businesses", tokens.text("access_token")).await;
    assert_eq!(answer.body.as_array().unwrap().len(), 200);
}

#[tokio::test]
async fn a_customer_with_one_business_or_none_is_not_asked_which() {
    let server = Server::start().await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 1).await;
    server.customer(Environment::Staging, "sam@rest.example", PASSWORD, 0).await;
    let client = server.client().await;
    for email in [EMAIL, "sam@rest.example"] {
        let browser = server.browser();
        let page = browser.get(&server.authorize_url(&client, "")).await;
        let page = browser.sign_in_as(&page, email, PASSWORD).await;
        assert_eq!(page.step().as_deref(), Some("consent"), "{email}");
        browser.submit(&page, &[("decision", "allow")]).await.assert_code(REDIRECT_URI);
    }
}

#[tokio::test]
async fn s2_s4_allow_and_deny_are_answered_by_303() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let page = consent_page(&browser, &server.authorize_url(&client, "&state=a%0d%0ab")).await;
    let before = server.rows();
    let denied = browser.submit(&page, &[("decision", "deny")]).await;
    denied.assert_refused(REDIRECT_URI, "access_denied", "chose not to allow");
    let target = denied.location();
    assert_eq!(query(&target, "state").as_deref(), Some("a\r\nb"));
    assert_eq!(query(&target, "iss").as_deref(), Some(server.staging.base_url.as_str()));
    // To deny is not remembered: nothing was decided for the next time.
    assert_eq!(server.rows(), before);
    let allowed = browser.submit(&page, &[("decision", "allow")]).await;
    allowed.assert_code(REDIRECT_URI);
    assert_eq!(allowed.text, "");
    assert_eq!(query(&allowed.location(), "state").as_deref(), Some("a\r\nb"));
    assert_eq!(server.rows(), [before[0] + 1, before[1] + 1, before[2]]);
}

#[tokio::test]
async fn s9_a_form_without_one_clear_decision_decides_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let page = consent_page(&browser, &server.authorize_url(&client, "")).await;
    let before = server.rows();
    for fields in [
        vec![],
        vec![("decision", "")],
        vec![("decision", "Allow")],
        vec![("decision", "yes")],
        vec![("decision[]", "allow")],
        vec![("decision", "allow"), ("decision", "allow")],
        vec![("decision", "deny"), ("decision", "allow")],
    ] {
        let next = stays(&browser, &browser.submit(&page, &fields).await).await;
        // And nothing that was chosen before is lost by it.
        assert_eq!(next.step().as_deref(), Some("consent"), "{fields:?}");
        assert!(next.text.contains("Bistro Aurora") && !next.text.contains("Harbour Grill"));
    }
    assert_eq!(server.rows(), before);
}

#[tokio::test]
async fn s9_the_form_of_one_request_allows_no_other() {
    let server = Server::start().await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 1).await;
    let (client, other) = (server.client().await, server.client().await);
    // With one business there is no choice in between that could be missing.
    let browser = server.browser();
    let url = server.authorize_url(&client, "&state=s");
    let page = browser.get(&url).await;
    let page = browser.sign_in_as(&page, EMAIL, PASSWORD).await;
    let before = server.rows();
    let body = format!("csrf_token={}&step=consent&decision=allow", page.hidden("csrf_token"));
    let progress = query(&page.absolute(&page.form_action()), "progress").unwrap();
    for foreign in [
        server.authorize_url(&other, "&state=s"),
        server.authorize_url(&client, "&state=t"),
        server.authorize_url(&client, "&state=s&scope=orders-api"),
        server.authorize_url(&client, "&state=s&prompt=none"),
        server.authorize_url(&client, "&state=s&a=b"),
        server.authorize_url(&client, "&state=%73"),
    ] {
        // With the progress of the first request, with none, and with two of them.
        for more in [format!("&progress={progress}"), String::new(), "&progress=".repeat(2)] {
            let answer = browser.post(&format!("{foreign}{more}"), &[], body.clone()).await;
            let next = stays(&browser, &answer).await;
            assert!(
                next.step().as_deref() == Some("consent")
                    || query(&next.location(), "error").as_deref() == Some("consent_required"),
                "{foreign}: {} {}",
                next.location(),
                next.text
            );
        }
    }
    assert_eq!(server.rows(), before);
    browser.submit(&page, &[("decision", "allow")]).await.assert_code(REDIRECT_URI);
}

#[tokio::test]
async fn s9_allow_counts_for_what_the_page_showed_and_not_for_what_is_asked_since() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let page = consent_page(&browser, &server.authorize_url(&client, "")).await;
    let before = server.rows();
    // The request names no scope, so the client's own apply: and those grow meanwhile.
    let sql = format!(
        "UPDATE clients SET scopes = 'financial-api orders-api staff-api' WHERE id = '{}'",
        client.id
    );
    assert_eq!(server.execute(&sql), 1);
    let next = stays(&browser, &browser.submit(&page, &[("decision", "allow")]).await).await;
    assert_eq!(server.rows(), before);
    next.assert_page(200, "See the members of your staff and their shifts.");
    let code = browser.submit(&next, &[("decision", "allow")]).await.assert_code(REDIRECT_URI);
    let scope = server.exchange(&client, &code).await.text("scope").to_owned();
    assert_eq!(scope, "financial-api orders-api staff-api");

    // A business that is no longer the customer's falls out, and that is shown first.
    let again = server.authorize_url(&client, "&prompt=consent");
    let page = browser.get(&again).await;
    let fields = [("business", BISTRO), ("business", GRILL)];
    let page = stays(&browser, &browser.submit(&page, &fields).await).await;
    assert_eq!(server.execute(&format!("DELETE FROM memberships WHERE business_id = {GRILL}")), 2);
    let before = server.rows();
    let next = stays(&browser, &browser.submit(&page, &[("decision", "allow")]).await).await;
    assert_eq!(server.rows(), before);
    assert!(next.text.contains("Bistro Aurora") && !next.text.contains("Harbour Grill"));
}

#[tokio::test]
async fn s9_a_redirect_uri_or_client_that_went_away_while_the_page_was_open_gets_no_code() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let page = consent_page(&browser, &server.authorize_url(&client, "")).await;
    let before = server.rows();
    let elsewhere = format!(
        "UPDATE clients SET redirect_uris = 'https://mycompany.com/new' WHERE id = '{}'",
        client.id
    );
    server.execute(&elsewhere);
    for decision in ["allow", "deny"] {
        let answer = browser.submit(&page, &[("decision", decision)]).await;
        answer.assert_page(400, REDIRECT_URI);
    }
    server.execute(&elsewhere.replace("https://mycompany.com/new", REDIRECT_URI));
    let disabled = server.staging.store.set_client_disabled(Environment::Staging, &client.id, true);
    assert!(disabled.await.unwrap());
    for decision in ["allow", "deny"] {
        let answer = browser.submit(&page, &[("decision", decision)]).await;
        answer.assert_page(400, "switched off");
    }
    assert_eq!(server.rows(), before);
}

#[tokio::test]
async fn s9_another_browsers_token_and_page_are_worth_nothing() {
    let server = Server::start().await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 1).await;
    let client = server.client().await;
    let url = server.authorize_url(&client, "&state=s");
    let (browser, other) = (server.browser(), server.browser());
    let page = consent_page(&browser, &url).await;
    let theirs = other.get(&url).await;
    let theirs = other.sign_in_as(&theirs, EMAIL, PASSWORD).await;
    let before = server.rows();
    let action = page.absolute(&page.form_action());
    let body = |page: &Page| {
        format!("csrf_token={}&step=consent&decision=allow", page.hidden("csrf_token"))
    };
    // Signed in as somebody else: neither page's token, nor its own token at the other's address.
    let next = stays(&other, &other.post(&action, &[], body(&page)).await).await;
    next.assert_page(200, EMAIL);
    let next = stays(&other, &other.post(&action, &[], body(&theirs)).await).await;
    next.assert_page(200, EMAIL);
    // Not signed in at all.
    let stranger = server.browser();
    stranger.post(&action, &[], body(&page)).await.assert_page(400, "Nothing was shared");
    // From another site, with everything right.
    let headers = [("Sec-Fetch-Site", "cross-site")];
    browser.post(&action, &headers, body(&page)).await.assert_page(400, "Nothing was shared");
    assert_eq!(server.rows(), before);
}

#[tokio::test]
async fn s9_progress_is_worth_nothing_in_another_browser_request_or_hour() {
    let server = Server::start().await;
    let client = server.client().await;
    let login = server.authorize_url(&client, "&prompt=login");
    let (browser, thief) = (server.browser(), server.browser());
    thief.sign_in(&thief.get(&server.authorize_url(&client, "")).await).await;
    let page = consent_page(&browser, &login).await;
    let stolen = page.absolute(&page.form_action());
    // In its own browser it leads to consent, in another one to the password.
    assert_eq!(browser.get(&stolen).await.step().as_deref(), Some("consent"));
    assert_eq!(thief.get(&stolen).await.step().as_deref(), Some("sign_in"));
    assert_eq!(server.browser().get(&stolen).await.step().as_deref(), Some("sign_in"));
    // Changed anywhere, cut, doubled, or of another request.
    let (front, sealed) = stolen.split_once("&progress=").unwrap();
    let mut changed: Vec<String> = (0..sealed.len())
        .step_by(23)
        .map(|at| {
            let other = if &sealed[at..=at] == "A" { "B" } else { "A" };
            format!("{}{other}{}", &sealed[..at], &sealed[at + 1..])
        })
        .filter(|changed| changed != sealed)
        .collect();
    changed.extend([sealed[1..].to_owned(), format!("{sealed}A"), String::new(), "x".repeat(9000)]);
    changed.push(page.hidden("csrf_token"));
    for changed in changed {
        let page = browser.get(&format!("{front}&progress={changed}")).await;
        assert_eq!(page.step().as_deref(), Some("sign_in"), "{changed}");
    }
    let other = browser.get(&format!("{front}&state=t&progress={sealed}")).await;
    assert_eq!(other.step().as_deref(), Some("sign_in"));
    // It lives ten minutes.
    server.clock.advance(599);
    assert_eq!(browser.get(&stolen).await.step().as_deref(), Some("consent"));
    server.clock.advance(1);
    assert_eq!(browser.get(&stolen).await.step().as_deref(), Some("sign_in"));
    let late = browser.submit(&page, &[("decision", "allow")]).await;
    assert_eq!(stays(&browser, &late).await.step().as_deref(), Some("sign_in"));
    assert_eq!(server.count("grants"), 0);
}

#[tokio::test]
async fn s9_progress_from_before_the_clock_was_put_back_is_worth_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let page = consent_page(&browser, &server.authorize_url(&client, "&prompt=login")).await;
    server.clock.advance(-1);
    let early = browser.get(&page.absolute(&page.form_action())).await;
    assert_eq!(early.step().as_deref(), Some("sign_in"));
}

#[tokio::test]
async fn s9_without_the_password_no_step_of_a_request_that_wants_it_is_carried_out() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = consented(&server, &client, "").await;
    let url = server.authorize_url(&client, "&prompt=login");
    let page = browser.get(&url).await;
    assert_eq!(page.step().as_deref(), Some("sign_in"));
    let token = page.hidden("csrf_token");
    let before = server.rows();
    let chosen = format!("csrf_token={token}&step=businesses&business={BISTRO}");
    let next = stays(&browser, &browser.post(&url, &[], chosen).await).await;
    assert_eq!(next.step().as_deref(), Some("sign_in"));
    for decision in ["allow", "deny"] {
        let body = format!("csrf_token={token}&step=consent&decision={decision}");
        let next = stays(&browser, &browser.post(next.url.as_str(), &[], body).await).await;
        assert_eq!(next.step().as_deref(), Some("sign_in"), "{decision}");
    }
    assert_eq!(server.rows(), before);
}

#[tokio::test]
async fn s9_a_second_tab_does_not_break_the_first() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let (one, two) =
        (server.authorize_url(&client, "&state=1"), server.authorize_url(&client, "&state=2"));
    // Both wait at the password; one is typed; the other form finds somebody signed in.
    let (first, second) = (browser.get(&one).await, browser.get(&two).await);
    assert_eq!(first.hidden("csrf_token"), second.hidden("csrf_token"));
    let first = browser.sign_in(&first).await;
    let sent = browser.submit(&second, &[("email", "x"), ("password", "wrong")]).await;
    let second = stays(&browser, &sent).await;
    assert_eq!(second.step().as_deref(), Some("businesses"));
    // Both choose, both wait at consent, and both are allowed, the later one first.
    let first = browser.submit(&first, &[("business", BISTRO)]).await;
    let first = stays(&browser, &first).await;
    let second = browser.submit(&second, &[("business", GRILL)]).await;
    let second = stays(&browser, &second).await;
    for (page, state, business) in [(second, "2", GRILL), (first, "1", BISTRO)] {
        let allowed = browser.submit(&page, &[("decision", "allow")]).await;
        let code = allowed.assert_code(REDIRECT_URI);
        assert_eq!(query(&allowed.location(), "state").as_deref(), Some(state));
        let tokens = server.exchange(&client, &code).await;
        let answer = server.api("/o/op/data/businesses", tokens.text("access_token")).await;
        assert_eq!(answer.body[0]["id"].to_string(), business);
        assert_eq!(answer.body.as_array().unwrap().len(), 1);
    }
    assert_eq!(server.rows(), [2, 1, 1]);
}

#[tokio::test]
async fn s9_what_is_unticked_in_one_tab_is_not_given_because_of_another() {
    let server = Server::start().await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 1).await;
    let client = client_with_optional(&server).await;
    let browser = server.browser();
    let url = server.authorize_url(&client, "");
    let page = browser.get(&url).await;
    let first = browser.sign_in_as(&page, EMAIL, PASSWORD).await;
    let second = browser.get(&url).await;
    let all = [("scope", "items"), ("scope", "orders-api"), ("decision", "allow")];
    browser.submit(&first, &all).await.assert_code(REDIRECT_URI);
    let allowed = browser.submit(&second, &[("decision", "allow")]).await;
    let code = allowed.assert_code(REDIRECT_URI);
    assert_eq!(server.exchange(&client, &code).await.text("scope"), "financial-api");
}

#[tokio::test]
async fn s9_a_form_from_before_another_account_signed_in_is_not_carried_out_for_it() {
    let server = Server::start().await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 1).await;
    let client = server.client().await;
    let browser = server.browser();
    let url = server.authorize_url(&client, "");
    let demos = consent_page(&browser, &url).await;
    let link = demos.text.split("href=\"").find(|after| after.contains("Use another account"));
    let switch = unescape(link.unwrap().split('"').next().unwrap());
    assert!(switch.ends_with("&prompt=login%20consent"), "{switch}");
    let page = browser.get(&demos.absolute(&switch)).await;
    let robins = browser.sign_in_as(&page, EMAIL, PASSWORD).await;
    robins.assert_page(200, EMAIL);
    let before = server.rows();
    for decision in ["allow", "deny"] {
        let answer = browser.submit(&demos, &[("decision", decision)]).await;
        let next = stays(&browser, &answer).await;
        next.assert_page(200, EMAIL);
    }
    assert_eq!(server.rows(), before);
}

#[tokio::test]
async fn s9_a_session_that_ended_while_the_page_was_open_allows_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let page = consent_page(&browser, &server.authorize_url(&client, "")).await;
    let before = server.count("grants");
    server.execute("UPDATE customers SET counter = counter + 1");
    for decision in ["allow", "deny"] {
        let answer = browser.submit(&page, &[("decision", decision)]).await;
        assert_eq!(stays(&browser, &answer).await.step().as_deref(), Some("sign_in"));
    }
    assert_eq!((server.count("grants"), server.count("consents")), (before, 0));
}

#[tokio::test]
async fn s9_who_is_signed_in_and_allowed_it_before_is_not_asked_again() {
    let server = Server::start().await;
    let client = client_with_optional(&server).await;
    let browser = server.browser();
    let page = consent_page(&browser, &server.authorize_url(&client, "")).await;
    let fields = [("scope", "items"), ("decision", "allow")];
    browser.submit(&page, &fields).await.assert_code(REDIRECT_URI);
    let before = server.rows();
    // The same, fewer, and one that was left out then together with one that was not.
    for (asked, granted) in [
        ("", "financial-api items"),
        ("&scope=financial-api", "financial-api"),
        ("&scope=items", "items"),
        ("&scope=orders-api+items", "items"),
        ("&prompt=none", "financial-api items"),
    ] {
        let answer = browser.get(&server.authorize_url(&client, &format!("&state=s{asked}"))).await;
        let code = answer.assert_code(REDIRECT_URI);
        assert_eq!(query(&answer.location(), "state").as_deref(), Some("s"));
        assert_eq!(query(&answer.location(), "iss"), Some(server.staging.base_url.clone()));
        let tokens = server.exchange(&client, &code).await;
        assert_eq!(tokens.text("scope"), granted, "{asked}");
        let opened = server.api("/f/data/businesses", tokens.text("access_token")).await;
        if granted.contains("financial") {
            let list = opened.body["_embedded"]["businessList"].as_array().unwrap().len();
            assert_eq!(list, 1, "{asked}");
        }
    }
    // The consent stays as it was given; each code is a grant of its own.
    assert_eq!(server.rows(), [before[0] + 5, before[1], before[2]]);
}

#[tokio::test]
async fn s9_who_wants_more_or_something_that_was_left_out_alone_asks_again() {
    let server = Server::start().await;
    let client = client_with_optional(&server).await;
    let browser = server.browser();
    let narrow = server.authorize_url(&client, "&scope=financial-api+items");
    let page = consent_page(&browser, &narrow).await;
    browser.submit(&page, &[("decision", "allow")]).await.assert_code(REDIRECT_URI);
    let before = server.rows();
    for asked in ["", "&scope=orders-api", "&scope=financial-api+orders-api", "&scope=items"] {
        let page = browser.get(&server.authorize_url(&client, asked)).await;
        page.assert_page(200, "Test App");
        let none = server.authorize_url(&client, &format!("{asked}&prompt=none"));
        let refused = browser.get(&none).await;
        refused.assert_refused(REDIRECT_URI, "consent_required", "prompt=none");
    }
    assert_eq!(server.rows(), before);
}

#[tokio::test]
async fn s9_consent_is_never_silent_for_who_cannot_be_told_from_somebody_else() {
    let server = Server::start().await;
    let at = |uri: &str| vec![RedirectUri::register(uri).unwrap()];
    let staging = Environment::Staging;
    let cases = [
        ("public", server.client_with(staging, |client| client.secret = None).await),
        ("unapproved", server.client_with(staging, |client| client.approved = false).await),
        (
            "loopback",
            server
                .client_with(staging, |client| client.redirect_uris = at("http://127.0.0.1/cb"))
                .await,
        ),
        (
            "localhost",
            server
                .client_with(staging, |client| client.redirect_uris = at("https://localhost/cb"))
                .await,
        ),
        (
            "private-use scheme",
            server
                .client_with(staging, |client| client.redirect_uris = at("com.example.app:/cb"))
                .await,
        ),
    ];
    for (case, client) in cases {
        let browser = consented(&server, &client, PKCE).await;
        let before = server.rows();
        let page = browser.get(&server.authorize_url(&client, PKCE)).await;
        assert_eq!(page.step().as_deref(), Some("businesses"), "{case}");
        let page = browser.submit(&page, &[("business", BISTRO)]).await;
        assert_eq!(stays(&browser, &page).await.step().as_deref(), Some("consent"), "{case}");
        let none = server.authorize_url(&client, &format!("{PKCE}&prompt=none"));
        let refused = browser.get(&none).await;
        refused.assert_refused(&client.redirect_uri, "consent_required", "prompt=none");
        assert_eq!(server.rows(), before, "{case}");
    }
}

#[tokio::test]
async fn s9_consent_is_for_one_redirect_uri_one_client_and_one_customer() {
    let server = Server::start().await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 2).await;
    let uris = ["https://mycompany.com/one", "https://mycompany.com/two"];
    let registered: Vec<_> = uris.iter().map(|uri| RedirectUri::register(uri).unwrap()).collect();
    let client =
        server.client_with(Environment::Staging, |client| client.redirect_uris = registered).await;
    let browser = consented(&server, &client, "").await;
    browser.get(&server.authorize_url(&client, "")).await.assert_code(uris[0]);
    let before = server.rows();
    let second = TestClient { redirect_uri: uris[1].to_owned(), ..client };
    let page = browser.get(&server.authorize_url(&second, "")).await;
    assert_eq!(page.step().as_deref(), Some("businesses"));
    let other = server.client().await;
    let page = browser.get(&server.authorize_url(&other, "")).await;
    assert_eq!(page.step().as_deref(), Some("businesses"));
    assert_eq!(server.rows(), before);
    // Another customer in the same browser.
    let first = TestClient { redirect_uri: uris[0].to_owned(), ..second };
    let page = browser.get(&server.authorize_url(&first, "&prompt=login")).await;
    let page = browser.sign_in_as(&page, EMAIL, PASSWORD).await;
    assert_eq!(page.step().as_deref(), Some("businesses"));
    assert!(page.text.contains(EMAIL) && !page.text.contains("Bistro"));
    assert_eq!(server.rows(), before);
}

#[tokio::test]
async fn s9_the_demo_client_of_dev_is_silent_for_its_page_and_not_for_another_port() {
    let server = Server::start().await;
    let demo = server.demo_client();
    let browser = consented(&server, &demo, "").await;
    browser.get(&server.authorize_url(&demo, "")).await.assert_code(DEMO_REDIRECT_URI);
    for port in [1, 2] {
        let tool = TestClient {
            redirect_uri: format!("http://127.0.0.1:{port}/callback"),
            ..server.demo_client()
        };
        let page = browser.get(&server.authorize_url(&tool, "")).await;
        assert_eq!(page.step().as_deref(), Some("businesses"), "{port}");
        browser.allow(&server.authorize_url(&tool, "")).await;
    }
}

#[tokio::test]
async fn s9_a_consent_that_was_taken_back_or_is_from_before_a_restore_is_asked_for_again() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = consented(&server, &client, "").await;
    let url = server.authorize_url(&client, "");
    for ended in [
        "UPDATE consents SET revoked = 1, counter = counter + 1",
        "UPDATE consents SET epoch = epoch - 1",
        "UPDATE consents SET businesses = '1 2'",
    ] {
        browser.get(&url).await.assert_code(REDIRECT_URI);
        assert_eq!(server.execute(ended), 1, "{ended}");
        let before = server.rows();
        let page = browser.get(&url).await;
        assert_eq!(page.step().as_deref(), Some("businesses"), "{ended}");
        let none = browser.get(&server.authorize_url(&client, "&prompt=none")).await;
        none.assert_refused(REDIRECT_URI, "consent_required", "prompt=none");
        assert_eq!(server.rows(), before, "{ended}");
        // Given again, it holds again, and the row is the same one.
        browser.allow(&url).await;
        assert_eq!(server.count("consents"), 1);
    }
}

#[tokio::test]
async fn s9_taking_consent_back_ends_a_code_that_is_on_its_way() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = consented(&server, &client, "").await;
    let code = browser.get(&server.authorize_url(&client, "")).await.assert_code(REDIRECT_URI);
    server.execute("UPDATE consents SET revoked = 1, counter = counter + 1");
    server.exchange(&client, &code).await.assert_error(400, "invalid_grant", "");
    // Neither does giving it again bring it back.
    browser.allow(&server.authorize_url(&client, "")).await;
    server.exchange(&client, &code).await.assert_error(400, "invalid_grant", "");
}

#[tokio::test]
async fn prompt_none_shows_nothing_and_says_what_would_be_needed() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let none = server.authorize_url(&client, "&state=s&prompt=none");
    let refused = browser.get(&none).await;
    refused.assert_refused(REDIRECT_URI, "login_required", "not signed in");
    assert_eq!(query(&refused.location(), "state").as_deref(), Some("s"));
    assert_eq!(query(&refused.location(), "iss"), Some(server.staging.base_url.clone()));
    let page = browser.get(&server.authorize_url(&client, "")).await;
    browser.sign_in(&page).await;
    browser.get(&none).await.assert_refused(REDIRECT_URI, "consent_required", "prompt=none");
    browser.allow(&server.authorize_url(&client, "")).await;
    browser.get(&none).await.assert_code(REDIRECT_URI);
    assert_eq!(server.count("grants"), 2);
}

#[tokio::test]
async fn prompt_login_and_select_account_ask_for_the_password_and_keep_the_consent() {
    let server = Server::start().await;
    let client = server.client().await;
    for prompt in ["login", "select_account", "login+select_account"] {
        let browser = consented(&server, &client, "").await;
        let url = server.authorize_url(&client, &format!("&prompt={prompt}"));
        let before = server.rows();
        let page = browser.get(&url).await;
        assert_eq!(page.step().as_deref(), Some("sign_in"), "{prompt}");
        // A wrong password is no password.
        let wrong = browser.submit(&page, &[("email", "x"), ("password", "x")]).await;
        wrong.assert_page(401, "not right");
        assert_eq!(browser.get(&url).await.step().as_deref(), Some("sign_in"));
        assert_eq!(server.rows(), before);
        browser.sign_in(&page).await.assert_code(REDIRECT_URI);
        assert_eq!(server.count("consents"), 1);
    }
}

#[tokio::test]
async fn prompt_consent_asks_again_and_the_newest_consent_takes_the_place_of_the_older() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = consented(&server, &client, "").await;
    let url = server.authorize_url(&client, "&prompt=consent");
    let page = browser.get(&url).await;
    assert_eq!(page.step().as_deref(), Some("businesses"));
    let page = stays(&browser, &browser.submit(&page, &[("business", GRILL)]).await).await;
    browser.submit(&page, &[("decision", "allow")]).await.assert_code(REDIRECT_URI);
    let businesses: String = server
        .database()
        .query_row("SELECT businesses FROM consents", [], |row| row.get(0))
        .unwrap();
    assert_eq!(businesses, GRILL);
    // Both: the password first, and then consent.
    let both = server.authorize_url(&client, "&prompt=consent+login");
    let page = browser.get(&both).await;
    assert_eq!(page.step().as_deref(), Some("sign_in"));
    assert_eq!(browser.sign_in(&page).await.step().as_deref(), Some("businesses"));
}

#[tokio::test]
async fn d11_one_customer_connects_one_client_many_times_and_no_grant_ends_another() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let url = server.authorize_url(&client, "&prompt=consent");
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let code = query(&browser.allow(&url).await, "code").unwrap();
        let answer = server.exchange(&client, &code).await;
        tokens.push(answer.text("refresh_token").to_owned());
    }
    for token in tokens {
        assert_eq!(server.refresh(&client, &token).await.status, 200);
    }
    assert_eq!(server.rows(), [3, 1, 1]);
}

#[tokio::test]
async fn u16_the_policy_of_each_step_lets_its_form_end_at_the_proved_uri_and_nowhere_else() {
    let server = Server::start().await;
    for (uri, source) in [
        ("https://mycompany.com:8443/cb?x=1", "https://mycompany.com:8443"),
        ("http://[::1]:4000/cb", "http:"),
        ("com.example.app:/cb", "com.example.app:"),
    ] {
        let registered = vec![RedirectUri::register(uri).unwrap()];
        let client = server
            .client_with(Environment::Staging, |client| client.redirect_uris = registered)
            .await;
        let browser = server.browser();
        let sign_in = browser.get(&server.authorize_url(&client, "")).await;
        let consent = consent_page(&browser, sign_in.url.as_str()).await;
        for page in [&sign_in, &consent] {
            let policy = page.header("content-security-policy");
            assert!(policy.contains(&format!("; form-action 'self' {source}; ")), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
        }
    }
}

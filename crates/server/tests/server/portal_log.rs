//! The request log and the integration report as the portal shows them: to whom, what of a call, and
//! the hard cases that a partner makes happen.

use grantor::demo;
use grantor::password::Password;
use grantor::store::{Act, LoggedCall, NewLoggedCall, NewPerson, Partner, Role};
use grantor_protocol::environment::Environment;
use grantor_protocol::integration_report::{Fact, Seen};
use grantor_protocol::logged_call::{Endpoint, Outcome, SentParameters};
use grantor_protocol::trial::Trial;

use crate::calls::{CHALLENGE, Call, VERIFIER};
use crate::harness::{Browser, Page, Server, TestClient, basic, form_body, unescape};

const HERE: Environment = Environment::Staging;
const STRANGER: &str = "stranger@other.example";

/// A browser in which somebody is signed in to the portal.
async fn signed_in(server: &Server, email: &str) -> Browser {
    let browser = server.browser();
    let page = open(server, &browser, "/sign-in").await;
    let fields = [("email", email), ("password", demo::PASSWORD)];
    let answer = send(server, &browser, "/sign-in", &page, &fields).await;
    assert_eq!(answer.status.as_u16(), 303, "{}", answer.text);
    browser
}

async fn open(server: &Server, browser: &Browser, path: &str) -> Page {
    browser.get(&format!("{}{path}", server.portal.base_url)).await
}

/// Sends a form with the token of a page.
async fn send(
    server: &Server,
    browser: &Browser,
    path: &str,
    page: &Page,
    fields: &[(&str, &str)],
) -> Page {
    let token = page.hidden("csrf_token");
    let mut form = vec![("csrf_token", token.as_str())];
    form.extend(fields);
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    browser.post(&format!("{}{path}", server.portal.base_url), &headers, form_body(&form)).await
}

/// An app as a developer makes one.
async fn made(server: &Server, browser: &Browser) -> TestClient {
    let page = open(server, browser, "/apps/new").await;
    let redirect_uri = "https://mycompany.com/redirection/ikentoo";
    let fields = [("name", "Seen App"), ("redirect_uris", redirect_uri), ("scopes", "orders-api")];
    let page = send(server, browser, "/apps/new", &page, &fields).await;
    assert_eq!(page.status.as_u16(), 200, "{}", page.text);
    let picked: Vec<&str> = page.text.split("class=\"pick\">").skip(1).collect();
    let picked = |at: usize| picked[at].split('<').next().unwrap().to_owned();
    TestClient { id: picked(1), secret: picked(0), redirect_uri: redirect_uri.to_owned() }
}

/// Waits until all calls are written.
async fn written(server: &Server) {
    for site in [&server.staging, &server.production] {
        site.request_log.flush(site.environment, &site.store).await;
    }
    // The server itself may be at it, once a second.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}

/// A developer of another partner.
async fn another_partner(server: &Server) -> Browser {
    let site = &server.portal;
    let partner = Partner {
        id: *b"another partner.",
        name: "Another Ltd".to_owned(),
        contact: None,
        verified: false,
        created_at: site.clock.now(),
        suspended: false,
    };
    let hash = site.passwords.hash(Password::new(demo::PASSWORD.to_owned())).await.unwrap();
    let person = NewPerson {
        id: *b"another person..",
        email: STRANGER,
        name: "Sam Stranger",
        password_hash: &hash,
        role: Role::Owner { partner_id: partner.id },
        demo: false,
    };
    let act = Act {
        at: site.clock.now(),
        actor: "a test".to_owned(),
        actor_id: None,
        act: "person.joined",
        partner_id: Some(partner.id),
        client_id: None,
        detail: String::new(),
        mails: Vec::new(),
        notices: Vec::new(),
    };
    assert!(site.store.add_person(&person, Some(&partner), None, &act).await.unwrap());
    signed_in(server, STRANGER).await
}

fn assert_says(page: &Page, words: &[&str]) {
    assert_eq!(page.status.as_u16(), 200, "{} {}", page.location(), page.text);
    let text = unescape(&page.text);
    for words in words {
        assert!(text.contains(words), "{words:?} is not in {}", page.text);
    }
}

async fn u7_u8_a_developer_sees_why_a_call_failed_and_the_same_call_done_right(server: Server) {
    let developer = signed_in(&server, demo::DEVELOPER_EMAIL).await;
    let app = made(&server, &developer).await;
    let log = format!("/apps/{}/log", app.id);
    assert_says(&open(&server, &developer, &log).await, &["No call is in the log"]);
    let wrong = Call::to(&server.staging)
        .header("Authorization", basic(&app.id, "wrong-secret-7Zq").as_bytes())
        .form(&[("grant_type", "refresh_token"), ("refresh_token", "x")]);
    wrong.send().await;
    let code = server.code(&app, "&state=xyzzy").await;
    server.clock.advance(61);
    let late = server.exchange(&app, &code).await;
    late.assert_error(400, "invalid_grant", "expired 1 second ago");
    let code = server.code(&app, "&state=xyzzy").await;
    let tokens = server.exchange(&app, &code).await;
    written(&server).await;
    let page = open(&server, &developer, &log).await;
    let words = ["Refused", "expired 1 second ago", "Tokens issued", "Anybody may have sent this"];
    assert_says(&page, &words);
    let request_id = late.headers["x-request-id"].to_str().unwrap();
    assert!(page.text.contains(&format!("href=\"{log}/{request_id}\"")), "{}", page.text);
    let call = open(&server, &developer, &format!("{log}/{request_id}")).await;
    assert_says(
        &call,
        &[
            "code.expired",
            "href=\"/docs/reference/errors#code-expired\"",
            "in the body",
            "The value is not kept",
            &format!("curl '{}/oauth/token'", server.staging.base_url),
            "--data-urlencode \"code=$CODE\"",
        ],
    );
    assert!(!unescape(&call.text).contains("Anybody may have sent this"), "{}", call.text);
    for secret in [&code, &app.secret, "wrong-secret-7Zq", "xyzzy", tokens.text("access_token")] {
        assert!(!page.text.contains(secret) && !call.text.contains(secret), "{secret}");
    }
    // Found by its id, however it was pasted, by the partner and by a manager.
    let manager = signed_in(&server, demo::MANAGER_EMAIL).await;
    for browser in [&developer, &manager] {
        let pasted = format!("/log?request_id=+{}+", request_id.to_uppercase());
        let found = open(&server, browser, &pasted).await;
        assert_eq!(found.status.as_u16(), 303, "{}", found.text);
        assert!(found.location().ends_with(&format!("{log}/{request_id}")), "{}", found.location());
        assert_says(
            &open(&server, browser, &format!("{log}/{request_id}")).await,
            &["code.expired"],
        );
    }
    for miss in ["0123456789abcdef", "'--", &"f".repeat(999)] {
        let page = open(&server, &developer, &format!("/log?request_id={miss}")).await;
        assert_says(&page, &["No call with this id is in the log of your apps."]);
    }
    // A NUL never reaches a database.
    assert_says(&open(&server, &developer, "/log?request_id=a%00").await, &["Find a call"]);
}

/// The page that a customer gets shows no registered URI; where its link leads, the owner sees all.
async fn u6_a_refused_redirect_uri_stands_beside_what_is_registered_for_its_owner(server: Server) {
    let developer = signed_in(&server, demo::DEVELOPER_EMAIL).await;
    let app = made(&server, &developer).await;
    let sent = format!("{}/", app.redirect_uri);
    let asked = TestClient { id: app.id.clone(), secret: String::new(), redirect_uri: sent };
    let refused = server.browser().get(&server.authorize_url(&asked, "")).await;
    assert_eq!(refused.status.as_u16(), 400);
    let target = unescape(&refused.text);
    let at = target.find(&format!("{}/log?request_id=", server.portal.base_url)).unwrap();
    let target = target[at..].split('"').next().unwrap().to_owned();
    written(&server).await;
    let found = developer.get(&target).await;
    let page = developer.get(&found.absolute(&found.location())).await;
    assert_says(&page, &["Registered redirect URIs", &app.redirect_uri, &asked.redirect_uri]);
    let stranger = another_partner(&server).await;
    let page = stranger.get(&target).await;
    assert_says(&page, &["No call with this id is in the log of your apps."]);
}

async fn nobody_of_another_partner_sees_a_call_or_a_report_or_breaks_anything(server: Server) {
    let developer = signed_in(&server, demo::DEVELOPER_EMAIL).await;
    let app = made(&server, &developer).await;
    let refused = server.exchange(&app, "no-code").await;
    let request_id = refused.headers["x-request-id"].to_str().unwrap();
    written(&server).await;
    let stranger = another_partner(&server).await;
    let manager = signed_in(&server, demo::MANAGER_EMAIL).await;
    let own = made(&server, &stranger).await;
    let (log, report) = (format!("/apps/{}/log", app.id), format!("/apps/{}/report", app.id));
    let call = format!("{log}/{request_id}");
    for path in [&log, &call, &report] {
        assert_says(&open(&server, &developer, path).await, &["/oauth/token", "Seen App"][1..]);
        assert_says(&open(&server, &manager, path).await, &["Seen App"]);
        open(&server, &stranger, path).await.assert_page(404, "There is no such page");
        let nobody = open(&server, &server.browser(), path).await;
        assert!(nobody.location().contains("/sign-in"), "{}", nobody.location());
    }
    // Neither by its id alone, nor under an app of one's own.
    let found = open(&server, &stranger, &format!("/log?request_id={request_id}")).await;
    assert_says(&found, &["No call with this id"]);
    let under = open(&server, &stranger, &format!("/apps/{}/log/{request_id}", own.id)).await;
    under.assert_page(404, "There is no such page");
    // Hard cases are the partner's own to make.
    let trials = format!("/apps/{}/trials", app.id);
    let fields = [("trial", "deny_consent")];
    let page = open(&server, &stranger, "/apps").await;
    let answer = send(&server, &stranger, &trials, &page, &fields).await;
    answer.assert_page(404, "There is no such page");
    let page = open(&server, &manager, "/apps").await;
    let answer = send(&server, &manager, &trials, &page, &fields).await;
    answer.assert_page(403, "That is not yours to do");
    assert_eq!(server.count("trials"), 0);
}

async fn s22_what_a_stranger_wrote_into_a_call_is_shown_safely(server: Server) {
    let developer = signed_in(&server, demo::DEVELOPER_EMAIL).await;
    let app = made(&server, &developer).await;
    let uri = format!("{}/'\"><script>alert(1)</script>\u{202e}", app.redirect_uri);
    let link = TestClient { redirect_uri: uri, id: app.id.clone(), secret: String::new() };
    let answer = server.browser().get(&server.authorize_url(&link, "&x<script>=1")).await;
    let request_id = answer.header("x-request-id").to_owned();
    written(&server).await;
    let log = format!("/apps/{}/log", app.id);
    for path in [format!("{log}/{request_id}"), log] {
        let page = open(&server, &developer, &path).await;
        assert_says(&page, &["Stopped on a page", "Anybody may have sent this"]);
        assert!(!page.text.contains("<script") && !page.text.contains('\u{202e}'), "{}", page.text);
    }
    let page = open(&server, &developer, &format!("/apps/{}/log/{request_id}", app.id)).await;
    assert_says(&page, &["[U+202E]", "1 more, whose name is not known"]);
    // Whoever copies the command runs nothing of the stranger's.
    let curl = page.text.split("<pre").nth(1).unwrap();
    assert!(!curl.contains("alert"), "{curl}");
    // What was searched for comes back as text.
    let page = open(&server, &developer, "/log?request_id=%22%3E%3Cscript%3E").await;
    assert_says(&page, &["No call with this id"]);
    assert!(!page.text.contains("<script"), "{}", page.text);
}

async fn a_partner_makes_hard_cases_happen_and_each_stands_in_the_audit_log(server: Server) {
    let developer = signed_in(&server, demo::DEVELOPER_EMAIL).await;
    let app = made(&server, &developer).await;
    let (report, trials) = (format!("/apps/{}/report", app.id), format!("/apps/{}/trials", app.id));
    let page = open(&server, &developer, &report).await;
    assert_says(&page, &["Uses PKCE", "Open", "Lose the next response"]);
    let begun = |name: &'static str| {
        let (server, developer, trials, page) = (&server, &developer, &trials, &page);
        async move { send(server, developer, trials, page, &[("trial", name)]).await }
    };
    // There is nothing yet that could end, and nothing is noted of it.
    let entries = server.count("audit");
    let answer = begun("end_grant").await;
    answer.assert_page(409, "no connection that still lives");
    begun("expire_token").await.assert_page(409, "no access token of this app");
    assert_eq!((server.count("audit"), server.count("trials")), (entries, 0));
    let answer = begun("deny_consent").await;
    assert!(answer.location().ends_with(&format!("{report}#trials")), "{}", answer.location());
    let armed = open(&server, &developer, &report).await;
    assert_says(&armed, &["Armed", "until 15 January 2027, 08:10 UTC"]);
    // It happens.
    server.staging.trials.look(&server.staging.store, server.clock.now()).await;
    let browser = server.browser();
    let page = browser.get(&server.authorize_url(&app, "&state=s1")).await;
    let denied = browser.sign_in(&page).await;
    denied.assert_refused(&app.redirect_uri, "access_denied", "chose not to allow");
    assert_says(&open(&server, &developer, &report).await, &["Happened"]);
    let code = server.code(&app, "&state=s2").await;
    server.exchange(&app, &code).await;
    assert_eq!(begun("end_grant").await.status.as_u16(), 303);
    let told = server.number("SELECT COUNT(*) FROM audit WHERE act = 'trial.begun'");
    assert_eq!(told, 2);
    let activity = open(&server, &developer, "/activity").await;
    assert_says(&activity, &["trial begun", "deny_consent", "end_grant", demo::DEVELOPER_EMAIL]);
    // From a page of ours, for a case that there is, and on staging.
    let url = format!("{}{trials}", server.portal.base_url);
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let forged = developer.post(&url, &headers, "trial=lose_response").await;
    forged.assert_page(403, "This form is too old");
    assert_eq!(begun("reboot").await.status.as_u16(), 403);
    let live = server.client_with(Environment::Production, |_| ()).await;
    let page = open(&server, &developer, &format!("/apps/{}/report", live.id)).await;
    assert_says(&page, &["Uses PKCE"]);
    assert!(!page.text.contains("name=\"trial\""), "{}", page.text);
    let fields = [("trial", Trial::LoseResponse.as_str())];
    let path = format!("/apps/{}/trials", live.id);
    let answer = send(&server, &developer, &path, &page, &fields).await;
    answer.assert_page(404, "There is no such page");
    assert_eq!(server.count("trials"), 2);
}

async fn u3_a_manager_decides_with_the_report_of_the_staging_app_in_view(server: Server) {
    let developer = signed_in(&server, demo::DEVELOPER_EMAIL).await;
    let app = made(&server, &developer).await;
    let more = format!("&state=s1&code_challenge={CHALLENGE}&code_challenge_method=S256");
    let code = server.code(&app, &more).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", app.redirect_uri.as_str()),
        ("code_verifier", VERIFIER),
    ];
    let tokens = server.token(&app, &form).await;
    server.clock.advance(120);
    let first = tokens.text("refresh_token");
    let second = server.refresh(&app, first).await;
    server.clock.advance(120);
    server.refresh(&app, second.text("refresh_token")).await;
    server.refresh(&app, first).await.assert_error(400, "invalid_grant", "");
    written(&server).await;
    let path = format!("/apps/{}/request", app.id);
    let page = open(&server, &developer, &path).await;
    let fields = [
        ("name", "Seen App"),
        ("redirect_uris", app.redirect_uri.as_str()),
        ("scopes", "orders-api"),
        ("reason_orders-api", "It places orders."),
        ("contact", demo::DEVELOPER_EMAIL),
        ("message", "It plans tables."),
    ];
    let asked = send(&server, &developer, &path, &page, &fields).await;
    assert_eq!(asked.status.as_u16(), 303, "{}", asked.text);
    let manager = signed_in(&server, demo::MANAGER_EMAIL).await;
    let path = asked.location().replace(&server.portal.base_url, "");
    let request = open(&server, &manager, &path).await;
    let report = format!("/apps/{}/report", app.id);
    assert_says(
        &request,
        &["Integration report", "To mend", "Shown", &format!("href=\"{report}\"")],
    );
    let lines: Vec<&str> = request.text.split("<li>").collect();
    let line = |title: &str| {
        let found = lines.iter().find(|line| line.contains(&format!("<span>{title}</span>")));
        *found.unwrap_or_else(|| panic!("no line {title}: {}", request.text))
    };
    for title in ["Uses state", "Uses PKCE", "Keeps parameters out of the URL"] {
        assert!(line(title).contains(">Shown<"), "{}", line(title));
    }
    assert!(line("Never used a code or token twice").contains(">To mend<"));
    assert!(line("Handles a denial").contains(">Open<"));
    let whole = open(&server, &manager, &report).await;
    assert_says(&whole, &["Refresh a connection, and use no code and no refresh token twice."]);
    assert!(!whole.text.contains("name=\"trial\""), "{}", whole.text);
}

async fn a_long_log_comes_in_parts_and_says_what_was_not_kept(server: Server) {
    let developer = signed_in(&server, demo::DEVELOPER_EMAIL).await;
    let app = made(&server, &developer).await;
    let new = |at: i64| NewLoggedCall {
        client_id: app.id.clone(),
        call: LoggedCall {
            called_at_millis: server.clock.now() * 1000 + at,
            request_id: format!("{at:032x}"),
            called_in: if at == 0 { Environment::Production } else { HERE },
            endpoint: Endpoint::Token,
            grant_type: None,
            outcome: Outcome::Refused,
            status: 400,
            cause: None,
            proved: true,
            parameters: SentParameters::default(),
            network: None,
            microseconds: 1,
            trial: None,
        },
        token: None,
        facts: Vec::new(),
    };
    let calls: Vec<NewLoggedCall> = (0..120).map(new).collect();
    let seen = Seen { count: 12, ..Seen::once(server.clock.now()) };
    let facts = [(app.id.clone(), Fact::NotKept, seen)];
    server.staging.store.log_calls(HERE, &calls, &facts).await.unwrap();
    let mut path = Some(format!("/apps/{}/log", app.id));
    let mut found = Vec::new();
    while let Some(part) = path.take() {
        let page = open(&server, &developer, &part).await;
        assert_says(&page, &["12 more calls were not kept under load"]);
        let ids = page.text.split("/log/").skip(1).map(|after| after[..32].to_owned());
        found.extend(ids);
        let next = page.text.split("href=\"").find(|after| after.contains("/log?before="));
        path = next.map(|after| unescape(after.split('"').next().unwrap()));
    }
    let expected: Vec<String> = (0..120).rev().map(|at| format!("{at:032x}")).collect();
    assert_eq!(found, expected);
    // The oldest one went to the other environment.
    let page = open(&server, &developer, &format!("/apps/{}/log/{:032x}", app.id, 0)).await;
    assert_says(&page, &["It was sent to production", &server.staging.base_url]);
    // A cursor that is none of ours is none.
    let page = open(&server, &developer, &format!("/apps/{}/log?before=x-'", app.id)).await;
    assert_says(&page, &[expected[0].as_str()]);
}

on_both_engines! {
    u7_u8_a_developer_sees_why_a_call_failed_and_the_same_call_done_right,
    u6_a_refused_redirect_uri_stands_beside_what_is_registered_for_its_owner,
    nobody_of_another_partner_sees_a_call_or_a_report_or_breaks_anything,
    s22_what_a_stranger_wrote_into_a_call_is_shown_safely,
    a_partner_makes_hard_cases_happen_and_each_stands_in_the_audit_log,
    u3_a_manager_decides_with_the_report_of_the_staging_app_in_view,
    a_long_log_comes_in_parts_and_says_what_was_not_kept,
}

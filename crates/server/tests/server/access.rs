//! Who may do what in the portal: every route, for everybody who may come. The routes are those of the
//! program's own table: one without a row here fails, and so does a row without a route.
//!
//! A browser that is sent to the sign-in counts as 401, as a program's answer does.

use std::collections::BTreeSet;

use grantor::http::portal_routes;
use grantor::store::{COMPANY_ID, Role};
use reqwest::Method;

use crate::access_things::{concrete, form, json_body, upload, version};
use crate::harness::{Browser, Server, form_body};
use crate::people::PARTNER_ID;
use crate::pictures::png;
use crate::portal_desk::FORM;
use crate::portal_logo::{MULTIPART, body as multipart};

/// For nobody, a customer, a developer of another partner, a developer, an owner, a manager, an
/// operator.
type Statuses = [u16; 7];

const PEOPLE: [&str; 7] =
    ["nobody", "customer", "another partner's", "developer", "owner", "manager", "operator"];

const SIGNED_IN: Statuses = [401, 401, 200, 200, 200, 200, 200];
/// What is not there, for who may look.
const ABSENT: Statuses = [401, 401, 404, 404, 404, 404, 404];
const EVERYBODY: Statuses = [200; 7];
/// A page of a partner's own.
const OWN: Statuses = [401, 401, 404, 200, 200, 200, 200];
/// A change of a partner's own, which leads back to a page.
const CHANGE: Statuses = [401, 401, 404, 303, 303, 303, 303];
/// What managers do.
const STAFF: Statuses = [401, 401, 404, 403, 403, 303, 303];
/// A change of an API client of the partner: the company's are others.
const API_CLIENT: Statuses = [401, 401, 403, 403, 303, 404, 404];
/// The API, which takes no sign-in of a browser: a developer has no token.
const API_OWN: Statuses = [401, 401, 404, 401, 200, 200, 200];
const API_LIST: Statuses = [401, 401, 200, 401, 200, 200, 200];
const API_STAFF: Statuses = [401, 401, 403, 401, 403, 200, 200];
/// What is the partner's own to do, and never the company's.
const API_PARTNER: Statuses = [401, 401, 404, 401, 200, 403, 403];
/// The same, of which something new comes.
const API_PARTNER_MADE: Statuses = [401, 401, 404, 401, 201, 403, 403];
/// The same, of which nothing is left to show.
const API_PARTNER_DONE: Statuses = [401, 401, 404, 401, 204, 403, 403];
/// What every partner may do, and the company not.
const API_EACH_MADE: Statuses = [401, 401, 201, 401, 201, 403, 403];
const API_EACH_LIST: Statuses = [401, 401, 200, 401, 200, 403, 403];
/// What is a partner's to see: to the company there is no such thing.
const API_PARTNER_READ: Statuses = [401, 401, 404, 401, 200, 404, 404];
/// Once it is in a state it is not brought there again.
const API_STAFF_ONCE: Statuses = [401, 401, 403, 401, 403, 200, 409];

const ROWS: [(&str, &str, Statuses); 150] = [
    ("GET", "/", [200, 200, 303, 303, 303, 303, 303]),
    ("GET", "/sign-in", [200, 200, 303, 303, 303, 303, 303]),
    // A wrong password, whoever is signed in.
    ("POST", "/sign-in", [401; 7]),
    // Whoever signed out is at the sign-in, and so is who has to sign in first.
    ("POST", "/sign-out", [401; 7]),
    ("GET", "/apps", [401, 401, 200, 200, 200, 200, 200]),
    ("GET", "/apps/new", [401, 401, 200, 200, 200, 200, 200]),
    ("POST", "/apps/new", [401, 401, 200, 200, 200, 403, 403]),
    ("GET", "/apps/{id}", OWN),
    ("GET", "/apps/{id}/edit", OWN),
    ("POST", "/apps/{id}/edit", CHANGE),
    ("POST", "/apps/{id}/secrets", [401, 401, 404, 200, 200, 403, 200]),
    ("POST", "/apps/{id}/secrets/{slot}/remove", [401, 401, 404, 303, 303, 403, 303]),
    ("POST", "/apps/{id}/logo", CHANGE),
    ("GET", "/apps/{id}/logo/{digest}", OWN),
    ("POST", "/apps/{id}/logo/remove", CHANGE),
    ("POST", "/apps/{id}/suspend", STAFF),
    ("POST", "/apps/{id}/resume", STAFF),
    ("GET", "/account/api-clients", [401, 401, 403, 403, 200, 200, 200]),
    ("POST", "/account/api-clients", [401, 401, 403, 403, 200, 200, 200]),
    ("POST", "/account/api-clients/{id}/secrets", [401, 401, 403, 403, 200, 404, 404]),
    ("POST", "/account/api-clients/{id}/secrets/{slot}/remove", API_CLIENT),
    ("POST", "/account/api-clients/{id}/remove", API_CLIENT),
    ("GET", "/sign-in/code", [401; 7]),
    ("POST", "/sign-in/code", [401; 7]),
    ("GET", "/account/factor", SIGNED_IN),
    ("GET", "/account/factor/picture.svg", ABSENT),
    ("POST", "/account/factor", [401, 401, 409, 409, 409, 409, 409]),
    ("POST", "/account/factor/begin", [401, 401, 422, 422, 422, 422, 422]),
    ("POST", "/account/factor/remove", [401, 401, 422, 422, 422, 403, 403]),
    ("GET", "/sign-up", [200; 7]),
    ("POST", "/sign-up", [422; 7]),
    // Who follows the link of a mail has read it, whoever that is.
    ("GET", "/sign-up/{link}", EVERYBODY),
    ("POST", "/sign-up/{link}", EVERYBODY),
    ("GET", "/invitation/{link}", EVERYBODY),
    ("POST", "/invitation/{link}", EVERYBODY),
    ("GET", "/forgotten", [200; 7]),
    ("POST", "/forgotten", [422; 7]),
    ("GET", "/reset/{link}", EVERYBODY),
    // It leads to the sign-in.
    ("POST", "/reset/{link}", [401; 7]),
    ("GET", "/account", SIGNED_IN),
    ("POST", "/account/password", [401, 401, 422, 422, 422, 422, 422]),
    ("GET", "/team", SIGNED_IN),
    ("POST", "/team/invitations", [401, 401, 403, 403, 422, 422, 422]),
    ("POST", "/team/invitations/{id}/withdraw", [401, 401, 403, 403, 303, 303, 303]),
    ("POST", "/team/{id}/role", [401, 401, 404, 403, 303, 303, 303]),
    ("POST", "/team/{id}/remove", [401, 401, 404, 403, 303, 303, 303]),
    ("GET", "/activity", SIGNED_IN),
    ("GET", "/activity.jsonl", SIGNED_IN),
    // Mail of dev, which is everybody's.
    ("GET", "/mailbox", [200; 7]),
    ("GET", "/partners", [401, 401, 403, 403, 403, 200, 200]),
    ("GET", "/partners/{id}", [401, 401, 403, 403, 403, 200, 200]),
    ("POST", "/partners/{id}/verify", [401, 401, 403, 403, 403, 409, 409]),
    ("POST", "/partners/{id}/unverify", [401, 401, 403, 403, 403, 303, 409]),
    ("POST", "/partners/{id}/suspend", [401, 401, 403, 403, 403, 303, 409]),
    ("POST", "/partners/{id}/resume", [401, 401, 403, 403, 403, 303, 409]),
    ("GET", "/requests", SIGNED_IN),
    ("GET", "/requests/{id}", OWN),
    ("GET", "/requests/{id}/answer", OWN),
    ("POST", "/requests/{id}/answer", [401, 401, 404, 303, 303, 403, 303]),
    ("POST", "/requests/{id}/withdraw", [401, 401, 404, 303, 303, 403, 303]),
    ("POST", "/requests/{id}/decision", STAFF),
    ("GET", "/apps/{id}/request", OWN),
    ("POST", "/apps/{id}/request", [401, 401, 404, 422, 422, 403, 422]),
    ("GET", "/apps/{id}/exports", OWN),
    ("GET", "/apps/{id}/exports/{file}", OWN),
    ("GET", "/apps/{id}/playground", [401, 401, 404, 200, 200, 403, 403]),
    ("POST", "/apps/{id}/playground", [401, 401, 404, 303, 303, 403, 403]),
    ("GET", "/playground/callback", [401, 401, 409, 409, 409, 409, 409]),
    ("GET", "/test-customers", [401, 401, 200, 200, 200, 403, 403]),
    ("POST", "/test-customers", [401, 401, 200, 200, 200, 403, 403]),
    ("POST", "/test-customers/{id}/password", [401, 401, 404, 200, 200, 403, 403]),
    ("POST", "/test-customers/{id}/remove", [401, 401, 404, 303, 303, 403, 403]),
    ("GET", "/apps/{id}/log", OWN),
    ("GET", "/apps/{id}/log/{request_id}", OWN),
    ("GET", "/apps/{id}/report", OWN),
    ("GET", "/apps/{id}/activity", OWN),
    ("POST", "/apps/{id}/trials", [401, 401, 404, 303, 303, 403, 403]),
    ("GET", "/log", SIGNED_IN),
    ("GET", "/webhooks", [401, 401, 200, 200, 200, 404, 404]),
    ("GET", "/webhooks/new", [401, 401, 200, 200, 200, 404, 404]),
    ("POST", "/webhooks/new", [401, 401, 422, 422, 422, 403, 403]),
    ("GET", "/webhooks/{environment}/{id}", [401, 401, 404, 200, 200, 404, 404]),
    ("POST", "/webhooks/{environment}/{id}", [401, 401, 404, 303, 303, 404, 404]),
    ("POST", "/webhooks/{environment}/{id}/remove", [401, 401, 404, 303, 303, 404, 404]),
    ("POST", "/webhooks/{environment}/{id}/ping", [401, 401, 404, 303, 303, 404, 404]),
    ("POST", "/webhooks/{environment}/{id}/secrets", [401, 401, 404, 200, 200, 404, 404]),
    (
        "POST",
        "/webhooks/{environment}/{id}/secrets/{slot}/remove",
        [401, 401, 404, 303, 303, 404, 404],
    ),
    (
        "POST",
        "/webhooks/{environment}/{id}/deliveries/{delivery}/again",
        // It is under way already.
        [401, 401, 404, 409, 409, 404, 404],
    ),
    // For clients, which prove themselves: no sign-in counts.
    ("POST", "/oauth/token", [401; 7]),
    ("POST", "/oauth/revoke", [401; 7]),
    ("POST", "/oauth/introspect", [401; 7]),
    ("GET", "/.well-known/oauth-authorization-server", EVERYBODY),
    ("GET", "/.well-known/oauth-protected-resource", EVERYBODY),
    ("GET", "/docs", [303; 7]),
    ("GET", "/docs/", EVERYBODY),
    ("GET", "/docs/{*page}", EVERYBODY),
    ("GET", "/assets/{name}", EVERYBODY),
    ("GET", "/favicon.ico", [303; 7]),
    ("GET", "/openapi.json", EVERYBODY),
    ("GET", "/api/v1/apps", API_LIST),
    ("POST", "/api/v1/apps", [401, 401, 201, 401, 201, 403, 403]),
    ("GET", "/api/v1/apps/{id}", API_OWN),
    ("PATCH", "/api/v1/apps/{id}", API_OWN),
    ("PUT", "/api/v1/apps/{id}/logo", API_OWN),
    ("DELETE", "/api/v1/apps/{id}/logo", API_OWN),
    ("POST", "/api/v1/apps/{id}/secrets", [401, 401, 404, 401, 201, 403, 403]),
    ("DELETE", "/api/v1/apps/{id}/secrets/{slot}", [401, 401, 404, 401, 200, 403, 403]),
    ("POST", "/api/v1/apps/{id}/suspend", API_STAFF),
    ("POST", "/api/v1/apps/{id}/resume", API_STAFF),
    ("GET", "/api/v1/partners", API_STAFF),
    ("GET", "/api/v1/partners/{id}", API_OWN),
    ("POST", "/api/v1/partners/{id}/verify", API_STAFF_ONCE),
    ("POST", "/api/v1/partners/{id}/unverify", API_STAFF_ONCE),
    ("POST", "/api/v1/partners/{id}/suspend", API_STAFF_ONCE),
    // The tokens of a partner that was suspended are over.
    ("POST", "/api/v1/partners/{id}/resume", [401, 401, 403, 401, 401, 200, 409]),
    ("POST", "/api/v1/apps/{id}/requests", API_PARTNER_MADE),
    ("GET", "/api/v1/requests", API_LIST),
    ("GET", "/api/v1/requests/{id}", API_OWN),
    ("POST", "/api/v1/requests/{id}/answer", API_PARTNER),
    ("POST", "/api/v1/requests/{id}/withdraw", API_PARTNER),
    ("POST", "/api/v1/requests/{id}/decision", API_STAFF),
    ("GET", "/api/v1/apps/{id}/calls", API_OWN),
    ("GET", "/api/v1/apps/{id}/calls/{request_id}", API_OWN),
    ("GET", "/api/v1/calls", API_LIST),
    ("GET", "/api/v1/apps/{id}/report", API_OWN),
    ("GET", "/api/v1/apps/{id}/trials", API_OWN),
    ("POST", "/api/v1/apps/{id}/trials", API_PARTNER),
    ("GET", "/api/v1/webhooks", API_EACH_LIST),
    ("POST", "/api/v1/webhooks", API_EACH_MADE),
    ("GET", "/api/v1/webhooks/{environment}/{id}", API_PARTNER_READ),
    ("PATCH", "/api/v1/webhooks/{environment}/{id}", API_PARTNER),
    ("DELETE", "/api/v1/webhooks/{environment}/{id}", API_PARTNER_DONE),
    ("POST", "/api/v1/webhooks/{environment}/{id}/secrets", API_PARTNER_MADE),
    ("DELETE", "/api/v1/webhooks/{environment}/{id}/secrets/{slot}", API_PARTNER),
    ("POST", "/api/v1/webhooks/{environment}/{id}/ping", API_PARTNER_DONE),
    ("GET", "/api/v1/webhooks/{environment}/{id}/deliveries", API_PARTNER_READ),
    ("GET", "/api/v1/webhooks/{environment}/{id}/deliveries/{delivery}", API_PARTNER_READ),
    // It is under way already.
    (
        "POST",
        "/api/v1/webhooks/{environment}/{id}/deliveries/{delivery}/again",
        [401, 401, 404, 401, 409, 403, 403],
    ),
    ("GET", "/api/v1/people", API_LIST),
    ("PATCH", "/api/v1/people/{id}", API_PARTNER),
    ("DELETE", "/api/v1/people/{id}", API_PARTNER_DONE),
    ("GET", "/api/v1/invitations", API_LIST),
    ("POST", "/api/v1/invitations", API_EACH_MADE),
    ("DELETE", "/api/v1/invitations/{id}", API_PARTNER_DONE),
    ("GET", "/api/v1/test-customers", API_EACH_LIST),
    ("POST", "/api/v1/test-customers", API_EACH_MADE),
    ("POST", "/api/v1/test-customers/{id}/password", API_PARTNER),
    ("DELETE", "/api/v1/test-customers/{id}", API_PARTNER_DONE),
    ("GET", "/api/v1/audit", API_LIST),
    ("GET", "/api/v1/audit/export", API_LIST),
];

/// Who comes: with a browser, and, to the API, with a token.
struct Visitor {
    browser: Browser,
    token: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_route_answers_everybody_as_the_table_says() {
    // Each tries a wrong password.
    let server = Server::start_with(crate::harness::roomy(), true).await;
    let rows: BTreeSet<(&str, &str)> =
        ROWS.iter().map(|(method, path, _)| (*method, *path)).collect();
    let routes = portal_routes(&server.portal);
    let routes: BTreeSet<(&str, &str)> =
        routes.iter().map(|route| (route.method.as_str(), route.path.as_str())).collect();
    let (missing, stale): (Vec<_>, Vec<_>) =
        (routes.difference(&rows).collect(), rows.difference(&routes).collect());
    assert!(missing.is_empty(), "these routes have no row: {missing:?}");
    assert!(stale.is_empty(), "these rows have no route: {stale:?}");

    let visitors = visitors(&server).await;
    let mut wrong = Vec::new();
    // Most rows make an app of their own, and a partner has only so many. Suspending the partner
    // ends its tokens, and after signing out nobody is signed in.
    let mut rows: Vec<_> = ROWS.iter().collect();
    rows.sort_by_key(|(method, path, _)| match (*method, *path) {
        ("POST", "/apps/new" | "/api/v1/apps" | "/api/v1/webhooks") => 0,
        (_, "/api/v1/partners/{id}/suspend") => 2,
        (_, "/api/v1/partners/{id}/resume") => 3,
        (_, "/partners/{id}/suspend") => 4,
        (_, "/partners/{id}/resume") => 5,
        (_, "/sign-out") => 6,
        _ => 1,
    });
    for (method, path, expected) in rows {
        for ((visitor, who), expected) in visitors.iter().zip(PEOPLE).zip(expected) {
            let status = status(&server, visitor, method, path).await;
            if status != *expected {
                wrong.push(format!("{method} {path} by {who}: {status}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// S9: whoever may send a form sends one of ours, or nothing happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s9_no_form_of_the_portal_is_taken_without_the_token_of_its_page() {
    let server = Server::start_with(crate::harness::roomy(), true).await;
    let visitors = visitors(&server).await;
    let mut taken = Vec::new();
    let mut asked = 0;
    for (method, path, expected) in &ROWS {
        // Programs prove themselves, and no browser sends what they prove themselves with.
        if *method != "POST" || path.starts_with("/api/") || path.starts_with("/oauth/") {
            continue;
        }
        for ((visitor, who), expected) in visitors.iter().zip(PEOPLE).zip(expected) {
            // Who is not let in is asked for no token.
            if matches!(*expected, 401 | 403 | 404 | 410) && *path != "/sign-in" {
                continue;
            }
            let named = concrete(&server, path).await;
            let acts = server.count("audit");
            let status = forged(&server, &visitor.browser, (path, &named)).await;
            asked += 1;
            if status != 403 || server.count("audit") != acts {
                taken.push(format!("{path} by {who}: {status}"));
            }
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
    assert!(asked > 100, "{asked}");
}

/// An owner of one partner is nobody at what another one has.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s24_an_owner_of_another_partner_gets_to_nothing_of_this_one() {
    let server = Server::start_with(crate::harness::roomy(), true).await;
    let partner_id = server.another_partner().await;
    let browser = server.signed_in("owner@other.example", Role::Owner { partner_id }).await;
    let visitor = Visitor { browser, token: server.api_token(partner_id).await };
    let mut open = Vec::new();
    for (method, path, _) in ROWS.iter().filter(|(_, path, _)| path.contains("{id}")) {
        let status = status(&server, &visitor, method, path).await;
        if !matches!(status, 403 | 404) {
            open.push(format!("{method} {path}: {status}"));
        }
    }
    assert!(open.is_empty(), "{}", open.join("\n"));
}

/// The status of a form that no page of ours holds.
async fn forged(server: &Server, browser: &Browser, (path, named): (&str, &str)) -> u16 {
    let url = format!("{}{named}", server.portal.base_url);
    let request = browser.http.post(url);
    let request = match path.ends_with("/logo") {
        true => request.header("content-type", MULTIPART).body(multipart(
            None,
            &png(8, 8),
            "logo.png",
            "image/png",
        )),
        false => request.header(FORM.0, FORM.1).body(form_body(form(path))),
    };
    request.send().await.unwrap().status().as_u16()
}

async fn visitors(server: &Server) -> Vec<Visitor> {
    let another = server.another_partner().await;
    let mut visitors = vec![Visitor { browser: server.browser(), token: String::new() }];
    // A customer is signed in on staging, and has let a client in there.
    let customer = server.browser();
    let client = server.client().await;
    let target = customer.allow(&server.authorize_url(&client, "")).await;
    let code = crate::harness::query(&target, "code").unwrap();
    let token = server.exchange(&client, &code).await.text("access_token").to_owned();
    visitors.push(Visitor { browser: customer, token });
    for (email, role, token_of) in [
        ("other@example.com", Role::Developer { partner_id: another }, Some(another)),
        ("developer@example.com", Role::Developer { partner_id: PARTNER_ID }, None),
        ("owner@example.com", Role::Owner { partner_id: PARTNER_ID }, Some(PARTNER_ID)),
        ("manager@example.com", Role::Manager, Some(COMPANY_ID)),
        ("operator@example.com", Role::Operator, Some(COMPANY_ID)),
    ] {
        let browser = server.signed_in(email, role).await;
        let token = match token_of {
            Some(partner_id) => server.api_token(partner_id).await,
            None => String::new(),
        };
        visitors.push(Visitor { browser, token });
    }
    visitors
}

/// The status of one request that is right but for who sends it.
async fn status(server: &Server, visitor: &Visitor, method: &str, path: &str) -> u16 {
    let named = concrete(server, path).await;
    let version = version(server, &named).await;
    if path.starts_with("/api/") {
        let url = format!("{}{named}", server.portal.base_url);
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = visitor.browser.http.request(method.clone(), url);
        if !visitor.token.is_empty() {
            request = request.bearer_auth(&visitor.token);
        }
        if let Some(body) = json_body(server, path, &version) {
            request = request.json(&body);
        } else if method == Method::PUT {
            request = request.header("content-type", "image/png").body(png(8, 8));
        }
        return request.send().await.unwrap().status().as_u16();
    }
    let page = match method {
        "GET" => visitor.browser.get(&format!("{}{named}", server.portal.base_url)).await,
        _ if path.ends_with("/logo") => upload(server, &visitor.browser, &named).await,
        _ => {
            let form = [form(path), &[("version", version.as_str())]].concat();
            server.post_form(&visitor.browser, &named, &form).await
        }
    };
    match page.location().starts_with("/sign-in") {
        true => 401,
        false => page.status.as_u16(),
    }
}

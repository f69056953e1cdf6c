//! What the requests of the access table are about: each thing is made for one request, so that what
//! another one did to it changes no answer.

use grantor::hex::hex;
use grantor::link::Link;
use grantor::logo::Logo;
use grantor::postman::COLLECTION_FILE;
use grantor::programme::app::AppForm;
use grantor::programme::request::{self, RequestForm};
use grantor::programme::{team, test_customer, webhook};
use grantor::store::{
    EndpointOfPartner, EndpointSettings, LoggedCall, NewLoggedCall, NewPerson, Role,
};
use grantor::webhook::{EventType, WebhookSecret};
use grantor_protocol::environment::Environment;
use grantor_protocol::logged_call::{Endpoint, Outcome, SentParameters};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::calls::act_of_test;
use crate::harness::{Browser, Page, Server};
use crate::people::{PARTNER_ID, somebody};
use crate::pictures::png;
use crate::portal_logo::{MULTIPART, body};

/// The path with names of what is there, made for this very request.
pub(crate) async fn concrete(server: &Server, path: &str) -> String {
    let id = if path.contains("partners/{id}") {
        Uuid::from_bytes(PARTNER_ID).to_string()
    } else if path.contains("api-clients/{id}") {
        let id = server.api_client(PARTNER_ID, &[]).await.id;
        if path.contains("{slot}") {
            second_secret(server, &id).await;
        }
        id
    } else if path.starts_with("/apps/{id}") || path.starts_with("/api/v1/apps/{id}") {
        let secrets = if path.contains("{slot}") { 2 } else { 1 };
        let id = server.app(PARTNER_ID, secrets).await;
        if path.ends_with("/resume") {
            let store = &server.portal.store;
            assert!(store.set_client_disabled(Environment::Staging, &id, true).await.unwrap());
        }
        id
    } else if path.contains("{id}") {
        Uuid::from_bytes(of_partner(server, path).await).to_string()
    } else {
        // Nothing of this name is asked for.
        Uuid::nil().to_string()
    };
    let delivery = match path.contains("{delivery}") {
        true => delivered(server, Uuid::parse_str(&id).unwrap().into_bytes()).await,
        false => Uuid::nil().into_bytes(),
    };
    let asset = stylesheet(server).await;
    let digest = if path.contains("{digest}") { logo(server, &id).await } else { String::new() };
    let link = if path.contains("{link}") { link(server, path).await } else { String::new() };
    let request_id = match path.contains("{request_id}") {
        true => logged(server, &id).await,
        false => String::new(),
    };
    let query = match path {
        "/api/v1/apps" | "/api/v1/webhooks" => "?environment=staging",
        "/api/v1/calls" => "?request_id=0000000000000000",
        _ => "",
    };
    let named = path
        .replace("{id}", &id)
        .replace("{slot}", "1")
        .replace("{name}", &asset)
        .replace("{digest}", &digest)
        .replace("{link}", &link)
        .replace("{file}", COLLECTION_FILE)
        .replace("{request_id}", &request_id)
        .replace("{environment}", "staging")
        .replace("{delivery}", &Uuid::from_bytes(delivery).to_string());
    format!("{}{query}", named.replace("{*page}", "reference/errors"))
}

/// Something of the partner's that the path is about.
async fn of_partner(server: &Server, path: &str) -> [u8; 16] {
    let (portal, owner) = (&server.portal, somebody(Role::Owner { partner_id: PARTNER_ID }));
    let email = format!("{}@example.com", portal.random.hex::<8>());
    // As the page calls it, or the API.
    let of = path.trim_start_matches("/api/v1").replace("/team/invitations/", "/invitations/");
    match of.split('/').nth(1).unwrap() {
        "requests" => {
            let app = server.app(PARTNER_ID, 1).await;
            let record = portal.store.client(&app).await.unwrap().unwrap();
            let form = RequestForm {
                app: AppForm::of(&record),
                reasons: vec![("orders-api".to_owned(), "For orders.".to_owned())],
                contact: email,
                message: "It books.".to_owned(),
            };
            let programme = portal.portal.as_ref().unwrap();
            request::ask(portal, programme, &owner, &record, &form).await.unwrap()
        }
        "webhooks" => {
            let id = portal.random.id(&server.clock);
            let of =
                EndpointOfPartner { environment: Environment::Staging, id, partner_id: PARTNER_ID };
            // A partner has only so many.
            for held in webhook::list(portal, &owner, Environment::Staging).await.unwrap() {
                webhook::remove(portal, &owner, &held).await.unwrap();
            }
            let settings = EndpointSettings {
                client_id: None,
                url: "https://hooks.example/grantor".to_owned(),
                events: EventType::ALL.to_vec(),
                enabled: true,
            };
            let secret = WebhookSecret::generate(&portal.random);
            let act = act_of_test("webhook.added");
            assert!(
                portal.keys.add_webhook_endpoint(&of, &settings, (&secret, &act)).await.unwrap()
            );
            if path.contains("{slot}") {
                portal.keys.add_webhook_secret(&of, (&secret, &act)).await.unwrap();
            }
            id
        }
        "people" | "team" => person(server, &email).await,
        "invitations" => team::invite(portal, &owner, &email, false).await.unwrap().id,
        "test-customers" => {
            for (held, _) in test_customer::list(portal, &owner).await.unwrap() {
                test_customer::remove(portal, &owner, held.id).await.unwrap();
            }
            test_customer::make(portal, &owner).await.unwrap().id
        }
        other => panic!("nothing is known of {other}"),
    }
}

/// Something that was sent to that webhook.
async fn delivered(server: &Server, id: [u8; 16]) -> [u8; 16] {
    let (portal, owner) = (&server.portal, somebody(Role::Owner { partner_id: PARTNER_ID }));
    let found = webhook::find(portal, &owner, Environment::Staging, id).await.unwrap();
    webhook::ping(portal, &owner, &found).await.unwrap();
    webhook::deliveries(portal, &found, None, 1).await.unwrap()[0].id
}

/// A link as a mail holds it, of somebody new or who is there.
async fn link(server: &Server, path: &str) -> String {
    let (portal, owner) = (&server.portal, somebody(Role::Owner { partner_id: PARTNER_ID }));
    let email = format!("{}@example.com", portal.random.hex::<8>());
    let link = match path.split('/').nth(1).unwrap() {
        "sign-up" => Link::SignUp { email },
        "invitation" => {
            let invited = team::invite(portal, &owner, &email, false).await.unwrap();
            Link::Invitation { id: invited.id }
        }
        "reset" => {
            let id = person(server, &email).await;
            Link::Reset { person_id: id, counter: 0 }
        }
        other => panic!("nothing is known of the link {other}"),
    };
    link.address(portal).rsplit('/').next().unwrap().to_owned()
}

/// A person of the partner, who is made for it.
async fn person(server: &Server, email: &str) -> [u8; 16] {
    let (portal, owner) = (&server.portal, somebody(Role::Owner { partner_id: PARTNER_ID }));
    let id = portal.random.id(&server.clock);
    let (role, name) = (Role::Developer { partner_id: PARTNER_ID }, "Robin Rest");
    let person = NewPerson { id, email, name, password_hash: "x", role, demo: false };
    let act = owner.act(portal, "person.joined", email);
    assert!(portal.store.add_person(&person, None, None, &act).await.unwrap());
    id
}

/// The request id of a call of that app.
async fn logged(server: &Server, client_id: &str) -> String {
    let request_id = server.portal.random.hex::<8>();
    let call = LoggedCall {
        called_at_millis: server.clock.now() * 1000,
        request_id: request_id.clone(),
        called_in: Environment::Staging,
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
    };
    let call =
        NewLoggedCall { client_id: client_id.to_owned(), call, token: None, facts: Vec::new() };
    server.staging.store.log_calls(Environment::Staging, &[call], &[]).await.unwrap();
    request_id
}

/// The version of the app that a path names, as its page would show it; or that of a new request.
pub(crate) async fn version(server: &Server, named: &str) -> String {
    let app = named.split('/').find(|part| part.starts_with("devp-"));
    match app {
        Some(id) => match server.portal.store.client(id).await.unwrap() {
            Some(record) => grantor::programme::app::version(&record),
            None => String::new(),
        },
        None if named.starts_with("/webhooks/") || named.starts_with("/api/v1/webhooks/") => {
            let owner = somebody(Role::Owner { partner_id: PARTNER_ID });
            let held = webhook::list(&server.portal, &owner, Environment::Staging).await.unwrap();
            held[0].settings.version()
        }
        None => "1".to_owned(),
    }
}

/// The name of a file that every page names.
async fn stylesheet(server: &Server) -> String {
    let page = server.browser().get(&format!("{}/", server.portal.base_url)).await;
    let after = page.text.split("/assets/").nth(1).unwrap();
    after.split('"').next().unwrap().to_owned()
}

async fn second_secret(server: &Server, id: &str) {
    let record = server.portal.store.client(id).await.unwrap().unwrap();
    let by = somebody(Role::Operator);
    grantor::programme::app::add_secret(&server.portal, &by, &record).await.unwrap();
}

/// The name of a logo that is given to an app.
async fn logo(server: &Server, id: &str) -> String {
    let record = server.portal.store.client(id).await.unwrap().unwrap();
    let logo = Logo::draw(&png(8, 8)).unwrap();
    let act = somebody(Role::Operator).act(&server.portal, "client.logo_changed", "");
    assert!(server.portal.store.change_logo(&record, Some(&logo), &act).await.unwrap());
    hex(&logo.digest().0)
}

/// Uploads a logo as its form does.
pub(crate) async fn upload(server: &Server, browser: &Browser, path: &str) -> Page {
    let token = server.form_token(browser).await;
    let request = browser.http.post(format!("{}{path}", server.portal.base_url));
    let body = body(Some(&token), &png(8, 8), "logo.png", "image/png");
    Page::read(request.header("content-type", MULTIPART).body(body).send().await.unwrap()).await
}

pub(crate) fn json_body(server: &Server, path: &str, version: &str) -> Option<Value> {
    match path {
        "/api/v1/apps" => Some(json!({
            "name": "Planner",
            "redirect_uris": ["https://planner.example/callback"],
            "scopes": ["orders-api"],
        })),
        "/api/v1/apps/{id}" => Some(json!({ "version": version, "name": "Planner" })),
        "/api/v1/apps/{id}/requests" => Some(json!({
            "reasons": { "orders-api": "For orders." },
            "contact": "help@planner.example",
            "message": "It books.",
        })),
        "/api/v1/requests/{id}/answer" => Some(json!({ "version": 1, "message": "It orders." })),
        "/api/v1/requests/{id}/withdraw" => Some(json!({ "version": 1 })),
        "/api/v1/requests/{id}/decision" => {
            Some(json!({ "version": 1, "decision": "ask_back", "note": "For whom?" }))
        }
        "/api/v1/apps/{id}/trials" => Some(json!({ "trial": "deny_consent" })),
        "/api/v1/webhooks" => Some(json!({
            "environment": "staging",
            "url": "https://hooks.example/grantor",
            "events": ["ping"],
        })),
        "/api/v1/webhooks/{environment}/{id}" => {
            Some(json!({ "version": version, "enabled": false }))
        }
        "/api/v1/people/{id}" => Some(json!({ "role": "owner" })),
        "/api/v1/invitations" => Some(json!({
            "email": format!("{}@example.com", server.portal.random.hex::<8>()),
            "role": "developer",
        })),
        _ => None,
    }
}

pub(crate) fn form(path: &str) -> &'static [(&'static str, &'static str)] {
    match path {
        "/apps/new" | "/apps/{id}/edit" => &[
            ("name", "Planner"),
            ("redirect_uris", "https://planner.example/callback"),
            ("scopes", "orders-api"),
        ],
        "/apps/{id}/playground" => &[("step", "register")],
        "/apps/{id}/trials" => &[("trial", "deny_consent")],
        "/account/api-clients" => &[("name", "Script"), ("scopes", "programme:read")],
        "/oauth/token" => &[("grant_type", "client_credentials")],
        "/oauth/revoke" | "/oauth/introspect" => &[("token", "gr_client_x")],
        "/requests/{id}/answer" => &[
            ("name", "Planner"),
            ("kind", "confidential"),
            ("redirect_uris", "https://planner.example/callback"),
            ("scopes", "orders-api"),
            ("reason_orders-api", "For orders."),
            ("contact", "owner@example.com"),
            ("message", "It books."),
        ],
        "/requests/{id}/decision" => &[("decision", "ask_back"), ("note", "Why orders?")],
        "/sign-up/{link}" | "/invitation/{link}" => &[
            ("name", "Robin Rest"),
            ("organisation", "Rest"),
            ("password", "a password of Robin's own"),
        ],
        "/reset/{link}" => &[("password", "a password of Robin's own")],
        "/team/{id}/role" => &[("role", "owner")],
        "/webhooks/{environment}/{id}" => {
            &[("url", "https://hooks.example/other"), ("events", "ping"), ("enabled", "on")]
        }
        "/sign-in" => &[("email", "owner@example.com"), ("password", "wrong")],
        _ => &[],
    }
}

//! Somebody at the portal: signed in, opening pages and sending forms as they come from them.

#![expect(unreachable_pub, reason = "seen by the other files of this binary alone")]

use grantor::demo;
use grantor::store::{Act, AuditOf, ClientRecord, NewPerson, Partner, Person, Role};
use grantor_protocol::environment::Environment;

use crate::harness::{
    Answer, Browser, Page, START, Server, TestClient, basic, form_body, unescape,
};

pub const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
/// The other partner's owner.
pub const STRANGER: &str = "owner@other.example";
/// A developer of the demo partner.
pub const COLLEAGUE: &str = "colleague@demo.example";
/// Where codes of the apps that tests make go.
pub const APP_URI: &str = "https://app.example/callback";

/// The owner of another partner, which is made for it.
pub async fn stranger(server: &Server) -> Person {
    let partner = Partner {
        id: *b"the other partn.",
        name: "Other Ltd".to_owned(),
        contact: None,
        verified: false,
        created_at: START,
        suspended: false,
    };
    let role = Role::Owner { partner_id: partner.id };
    add_person(server, STRANGER, role, Some(&partner)).await;
    let stored = server.portal.store.credentials(Environment::Portal, STRANGER).await.unwrap();
    server.portal.store.person(stored.unwrap().customer_id).await.unwrap().unwrap()
}

/// A person's browser in the portal.
pub struct Desk {
    pub browser: Browser,
    base_url: String,
}

impl Desk {
    /// The demo partner's owner.
    pub async fn owner(server: &Server) -> Desk {
        Desk::of(server, demo::DEVELOPER_EMAIL).await
    }

    /// The demo's manager.
    pub async fn manager(server: &Server) -> Desk {
        Desk::of(server, demo::MANAGER_EMAIL).await
    }

    /// A developer of the demo partner, who is made for it.
    pub async fn developer(server: &Server) -> Desk {
        let partner_id = demo_partner(server).await.id;
        add_person(server, COLLEAGUE, Role::Developer { partner_id }, None).await;
        Desk::of(server, COLLEAGUE).await
    }

    /// The owner of another partner, which is made for it.
    pub async fn stranger(server: &Server) -> Desk {
        stranger(server).await;
        Desk::of(server, STRANGER).await
    }

    /// Signs in.
    pub async fn of(server: &Server, email: &str) -> Desk {
        let base_url = server.portal.base_url.clone();
        let desk = Desk { browser: server.browser(), base_url };
        let page = desk.get("/sign-in").await;
        let page = desk.browser.sign_in_with(&page, email).await;
        assert_eq!(page.status, 303, "{}", page.text);
        desk
    }

    /// A path of the portal as a URL.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Opens a page.
    pub async fn get(&self, path: &str) -> Page {
        self.browser.get(&self.url(path)).await
    }

    /// The form token of this browser.
    pub async fn form_token(&self) -> String {
        self.get("/account").await.hidden("csrf_token")
    }

    /// Sends a form.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let token = self.form_token().await;
        let body = form_body(&[&[("csrf_token", token.as_str())], fields].concat());
        self.browser.post(&self.url(path), &[FORM], body).await
    }

    /// Makes an app on staging.
    pub async fn make_app(&self, name: &str) -> TestClient {
        let page = self.post("/apps/new", &app_form(name)).await;
        page.assert_page(200, "The app works now.");
        TestClient { id: client_id(&page), secret: secret(&page), redirect_uri: APP_URI.to_owned() }
    }

    /// Changes an app, as the form does that shows it as it stands now.
    pub async fn edit(&self, app: &str, fields: &[(&str, &str)]) -> Page {
        let path = format!("/apps/{app}/edit");
        let version = self.get(&path).await.hidden("version");
        self.post(&path, &[fields, &[("version", version.as_str())]].concat()).await
    }

    /// Asks for production, and gives the path of the request.
    pub async fn ask(&self, app: &str) -> String {
        let page = self.post(&format!("/apps/{app}/request"), &request_form("It books.")).await;
        assert_eq!(page.status, 303, "{}", page.text);
        page.location()
    }

    /// Decides about a request in a version.
    pub async fn decide(&self, request: &str, version: &str, decision: &str) -> Page {
        let fields = [("version", version), ("decision", decision), ("note", "As we spoke.")];
        self.post(&format!("{request}/decision"), &fields).await
    }
}

impl Browser {
    async fn sign_in_with(&self, page: &Page, email: &str) -> Page {
        let token = page.hidden("csrf_token");
        let fields =
            [("csrf_token", token.as_str()), ("email", email), ("password", demo::PASSWORD)];
        self.post(page.url.as_str(), &[FORM], form_body(&fields)).await
    }
}

/// What makes an app.
pub fn app_form(name: &str) -> Vec<(&str, &str)> {
    vec![
        ("name", name),
        ("redirect_uris", APP_URI),
        ("scopes", "financial-api"),
        ("scopes", "orders-api"),
        ("kind", "confidential"),
    ]
}

/// What asks for production.
pub fn request_form(message: &str) -> Vec<(&str, &str)> {
    let mut form = app_form("Asked");
    form.extend([
        ("message", message),
        ("contact", "help@demo.example"),
        ("reason_orders-api", "Guests order at their table."),
    ]);
    form
}

/// What asks for more of an app that is on production already.
pub fn change_form(message: &str) -> Vec<(&str, &str)> {
    let mut form = request_form(message);
    form.retain(|(name, _)| *name != "name");
    form
}

/// The id that the page of an app shows.
pub fn client_id(page: &Page) -> String {
    let after = page.text.split("<dt>Client id</dt>").nth(1).expect("a client id");
    picked(after)
}

/// The secret that a page shows this once.
pub fn secret(page: &Page) -> String {
    let after = page.text.split("id=\"new-secret\"").nth(1).expect("a new secret");
    picked(after)
}

fn picked(after: &str) -> String {
    let value = after.split("class=\"pick\">").nth(1).expect("a value to pick");
    unescape(value.split('<').next().unwrap())
}

/// The demo partner.
pub async fn demo_partner(server: &Server) -> Partner {
    let partners = server.portal.store.partners().await.unwrap();
    partners.into_iter().find(|partner| partner.name == "Demo Partner Ltd").unwrap()
}

async fn add_person(server: &Server, email: &str, role: Role, partner: Option<&Partner>) {
    let site = &server.portal;
    let password = grantor::password::Password::new(demo::PASSWORD.to_owned());
    let password_hash = &site.passwords.hash(password).await.unwrap();
    let id = site.random.id(&site.clock);
    let person = NewPerson { id, email, name: "Robin Rest", password_hash, role, demo: false };
    let act = Act {
        at: START,
        actor: "a test".to_owned(),
        actor_id: None,
        act: "person.joined",
        partner_id: role.partner_id(),
        client_id: None,
        detail: String::new(),
        mails: Vec::new(),
        notices: Vec::new(),
    };
    assert!(site.store.add_person(&person, partner, None, &act).await.unwrap());
}

/// A client as it stands.
pub async fn record(server: &Server, id: &str) -> ClientRecord {
    server.portal.store.client(id).await.unwrap().unwrap()
}

/// Whether a secret is taken at the token endpoint of an environment.
pub async fn authenticates(server: &Server, at: Environment, (id, secret): (&str, &str)) -> bool {
    let request = reqwest::Client::new()
        .post(format!("{}/oauth/token", server.site(at).base_url))
        .header("Authorization", basic(id, secret))
        .header(FORM.0, FORM.1)
        .body("grant_type=refresh_token&refresh_token=gr_refresh_nonsense");
    let answer = Answer::read(request.send().await.unwrap()).await;
    match (answer.status, answer.text("error")) {
        (400, "invalid_grant") => true,
        (401 | 400 | 403, "invalid_client" | "unauthorized_client") => false,
        _ => panic!("{answer:?}"),
    }
}

/// The acts of the log about a client, the oldest first, all of it being as it was written.
pub async fn acts(server: &Server, client_id: &str) -> Vec<String> {
    let store = &server.portal.store;
    let (fault, looked_at) = store.audit_fault().await.unwrap();
    assert_eq!((fault, looked_at), (None, server.count("audit")));
    let of = AuditOf::Client(client_id.to_owned());
    let mut entries = store.audit(&of, None, 100).await.unwrap();
    entries.reverse();
    entries.into_iter().map(|entry| entry.act).collect()
}

/// What a form could have changed: clients, requests, secrets, and what stands in the log.
pub fn standing(server: &Server) -> [i64; 6] {
    [
        "SELECT COUNT(*) FROM clients",
        "SELECT COUNT(*) FROM requests",
        "SELECT COUNT(*) FROM audit",
        "SELECT COUNT(secret_1_digest) + COUNT(secret_2_digest) FROM clients",
        "SELECT COALESCE(SUM(counter), 0) FROM clients",
        "SELECT COALESCE(SUM(version), 0) FROM requests",
    ]
    .map(|sql| server.number(&format!("SELECT CAST(({sql}) AS BIGINT)")))
}

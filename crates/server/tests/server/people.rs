//! Who comes to the portal: people with their browsers, and API clients with their tokens.

#![expect(unreachable_pub, reason = "seen by the other files of this binary alone")]

use grantor::demo;
use grantor::password::Password;
use grantor::programme::Actor;
use grantor::programme::api_client::new_client;
use grantor::programme::scope::SCOPES;
use grantor::store::{COMPANY_ID, NewPerson, Partner, Role};
use grantor_protocol::client::ClientSecret;
use grantor_protocol::environment::Environment;
use grantor_protocol::scope::Scope;
use reqwest::Method;
use serde_json::Value;

use crate::harness::{Answer, Browser, Page, Server, TestClient, basic, form_body};
use crate::secrets::add_secret;

/// The partner of the demo, to which what tests make belongs.
pub const PARTNER_ID: [u8; 16] = *b"demo partner id.";

impl Server {
    /// Another partner.
    pub async fn another_partner(&self) -> [u8; 16] {
        let partner = Partner {
            id: self.portal.random.id(&self.clock),
            name: "Another Partner Ltd".to_owned(),
            contact: None,
            verified: false,
            suspended: false,
            created_at: self.clock.now(),
        };
        assert!(self.portal.store.add_partner(&partner).await.unwrap());
        partner.id
    }

    /// A browser in which a person of that role is signed in to the portal.
    pub async fn signed_in(&self, email: &str, role: Role) -> Browser {
        let portal = &self.portal;
        let password = Password::new(demo::PASSWORD.to_owned());
        let password_hash = portal.passwords.hash(password).await.unwrap();
        let id = portal.random.id(&self.clock);
        let (name, password_hash) = ("Pat Person", password_hash.as_str());
        let person = NewPerson { id, email, name, password_hash, role, demo: true };
        let act = somebody(Role::Operator).act(portal, "person.joined", email);
        assert!(portal.store.add_person(&person, None, None, &act).await.unwrap());
        let browser = self.browser();
        let form = [("email", email), ("password", demo::PASSWORD)];
        let answer = self.post_form(&browser, "/sign-in", &form).await;
        let next = if role.is_staff() { "/account/factor" } else { "/" };
        assert_eq!((answer.status.as_u16(), answer.location().as_str()), (303, next));
        if role.is_staff() {
            crate::portal_factor::enrol(self, &browser).await;
        }
        browser
    }

    /// The form token of a browser in the portal.
    pub async fn form_token(&self, browser: &Browser) -> String {
        // Every page of the portal has a form: it signs in or out.
        let page = browser.get(&format!("{}/sign-in", self.portal.base_url)).await;
        let page = match page.status.as_u16() {
            303 => browser.get(&format!("{}/apps", self.portal.base_url)).await,
            _ => page,
        };
        page.hidden("csrf_token")
    }

    /// Posts a form of the portal as its pages do.
    pub async fn post_form(&self, browser: &Browser, path: &str, form: &[(&str, &str)]) -> Page {
        let token = self.form_token(browser).await;
        let mut whole = vec![("csrf_token", token.as_str())];
        whole.extend(form);
        let url = format!("{}{path}", self.portal.base_url);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        browser.post(&url, &headers, form_body(&whole)).await
    }

    /// An API client of the portal with all scopes that such a one may have, but for `without`.
    pub async fn api_client(&self, partner_id: [u8; 16], without: &[&str]) -> TestClient {
        let portal = &self.portal;
        let may = SCOPES.iter().filter(|scope| match partner_id {
            COMPANY_ID => scope.for_company,
            _ => scope.for_partners,
        });
        let names: Vec<&str> =
            may.map(|scope| scope.name).filter(|name| !without.contains(name)).collect();
        let secret = ClientSecret::new(portal.random.secret());
        let id = format!("devp-portal-test-{}", portal.random.hex::<16>());
        let scopes = Scope::parse(&names.join(" ")).unwrap();
        let client = new_client((id.clone(), "Script".to_owned()), partner_id, scopes, &secret);
        let act = somebody(Role::Operator).act(portal, "api_client.created", "Script");
        assert!(portal.store.make_api_client(&client, 1000, &act).await.unwrap());
        TestClient { id, secret: secret.expose().to_owned(), redirect_uri: String::new() }
    }

    /// A token of such a client.
    pub async fn api_token(&self, partner_id: [u8; 16]) -> String {
        let client = self.api_client(partner_id, &[]).await;
        let form = [("grant_type", "client_credentials")];
        let answer = self.portal_token(&client, &form).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text("access_token").to_owned()
    }

    /// Posts a form to `/oauth/token` of the portal, with Basic.
    pub async fn portal_token(&self, client: &TestClient, form: &[(&str, &str)]) -> Answer {
        let request = reqwest::Client::new()
            .post(format!("{}/oauth/token", self.portal.base_url))
            .header("Authorization", basic(&client.id, &client.secret))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form_body(form));
        Answer::read(request.send().await.unwrap()).await
    }

    /// Calls the portal's API.
    pub async fn call(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.portal.base_url);
        let mut request = reqwest::Client::new().request(method, url);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    /// An app on staging of that partner, with that many secrets.
    pub async fn app(&self, partner_id: [u8; 16], secrets: usize) -> String {
        let client =
            self.client_with(Environment::Staging, |client| client.partner_id = partner_id).await;
        if secrets == 2 {
            let secret = ClientSecret::new(self.portal.random.secret());
            let stored = (secret.digest(), secret.hint());
            let store = &self.portal.store;
            assert_eq!(add_secret(store, &client.id, &stored).await, Some(2));
        }
        client.id
    }
}

/// An actor of that role.
pub fn somebody(role: Role) -> Actor {
    Actor { name: "somebody@example.com".to_owned(), id: None, role, behalf: None }
}

/// A sealed text with one letter in its middle changed: its last one may hold bits that say nothing.
pub fn tampered(sealed: &str) -> String {
    let (front, behind) = sealed.split_at(sealed.len() / 2);
    let other = if behind.starts_with('A') { 'B' } else { 'A' };
    format!("{front}{other}{}", &behind[1..])
}

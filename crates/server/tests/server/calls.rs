//! Calls to the token endpoint as anybody may write them, and codes without a browser.

#![expect(unreachable_pub, reason = "seen by the other files of this binary alone")]

use grantor::demo;
use grantor::seal::CodeSeal;
use grantor::site::Site;
use grantor::store::{NewConsent, NewGrant};
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::{Grant, GrantStatus};
use grantor_protocol::pkce::CodeChallenge;
use grantor_protocol::scope::Scope;

use crate::harness::{Answer, Server, TestClient, basic, form_body};

/// The verifier and the challenge of RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// A verifier in the right form that answers no challenge.
pub const OTHER_VERIFIER: &str = "XBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// A business of the demo customer.
pub const BISTRO: i64 = 9_765_040_300_495_493;
/// And the other one.
pub const GRILL: i64 = 9_765_040_300_495_494;

/// A code that waits for its exchange.
pub struct Issued {
    pub code: String,
    pub grant_id: [u8; 16],
}

/// One call, as it goes over the wire.
pub struct Call {
    method: reqwest::Method,
    url: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

impl Call {
    /// A POST to `/oauth/token` of that environment, with nothing in it.
    pub fn to(site: &Site) -> Call {
        Call::at(site, "/oauth/token")
    }

    /// A POST to another endpoint for clients.
    pub fn at(site: &Site, path: &str) -> Call {
        Call {
            method: reqwest::Method::POST,
            url: format!("{}{path}", site.base_url),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn method(mut self, method: &str) -> Call {
        self.method = method.parse().unwrap();
        self
    }

    pub fn query(self, pairs: &[(&str, &str)]) -> Call {
        self.raw_query(&form_body(pairs))
    }

    pub fn raw_query(mut self, query: &str) -> Call {
        self.url = format!("{}?{query}", self.url);
        self
    }

    pub fn basic(self, client: &TestClient) -> Call {
        self.header("Authorization", basic(&client.id, &client.secret).as_bytes())
    }

    pub fn header(mut self, name: &'static str, value: &[u8]) -> Call {
        self.headers.push((name, value.to_vec()));
        self
    }

    pub fn form(self, pairs: &[(&str, &str)]) -> Call {
        let body = form_body(pairs);
        self.body("application/x-www-form-urlencoded", body.as_bytes())
    }

    pub fn body(self, content_type: &str, body: &[u8]) -> Call {
        let mut call = self.header("Content-Type", content_type.as_bytes());
        call.body = body.to_vec();
        call
    }

    pub async fn send(self) -> Answer {
        let mut request = reqwest::Client::new().request(self.method, self.url);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        Answer::read(request.body(self.body).send().await.unwrap()).await
    }
}

/// The parameters of an exchange.
pub fn exchange_form<'a>(client: &'a TestClient, issued: &'a Issued) -> Vec<(&'a str, &'a str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("code", &issued.code),
        ("redirect_uri", &client.redirect_uri),
    ]
}

/// The challenge of [`VERIFIER`].
pub fn challenge() -> CodeChallenge {
    CodeChallenge::parse(Some(CHALLENGE), Some("S256")).unwrap().unwrap()
}

/// A grant of the demo customer, as pressing Allow makes it, not yet in the store.
pub async fn new_grant(site: &Site, client: &TestClient) -> NewGrant {
    let now = site.clock.now();
    let customer =
        site.store.credentials(site.environment, demo::CUSTOMER_EMAIL).await.unwrap().unwrap();
    NewGrant {
        environment: site.environment,
        id: site.random.id(&site.clock),
        client_id: client.id.clone(),
        customer_id: customer.customer_id,
        customer_counter: customer.counter,
        consent_counter: None,
        scope: Scope::parse("financial-api orders-api").unwrap(),
        businesses: vec![BISTRO, GRILL],
        redirect_uri: client.redirect_uri.clone(),
        code_challenge: None,
        binding: grantor_protocol::grant::Binding::default(),
        openid: None,
        code_expires_at: now + site.settings.code_ttl_seconds,
        ends_at: site.settings.grant_ttl_seconds.map(|ttl| now + ttl),
    }
}

/// Puts a grant into the store, as pressing Allow does.
pub async fn allow(site: &Site, grant: &NewGrant) -> bool {
    let consent = NewConsent { scope: grant.scope.clone(), asked_scope: grant.scope.clone() };
    let epoch = site.sealer.epoch();
    site.store.allow(grant, Some(&consent), epoch, site.clock.now()).await.unwrap()
}

/// A code for the demo customer's businesses, changed by `change`.
pub async fn issue_with(
    site: &Site,
    client: &TestClient,
    change: impl FnOnce(&mut NewGrant),
) -> Issued {
    let mut grant = new_grant(site, client).await;
    change(&mut grant);
    assert!(allow(site, &grant).await);
    let code = CodeSeal { grant_id: grant.id, expires_at: grant.code_expires_at };
    Issued { code: site.sealer.code(&code, site.clock.now()), grant_id: grant.id }
}

/// A code as it comes.
pub async fn issue(site: &Site, client: &TestClient) -> Issued {
    issue_with(site, client, |_| ()).await
}

/// The first tokens of a new grant.
pub async fn tokens(server: &Server, client: &TestClient) -> Answer {
    let issued = issue(&server.staging, client).await;
    let answer = server.exchange(client, &issued.code).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// The first tokens of a new grant, and its id.
pub async fn connect(server: &Server, client: &TestClient) -> (Answer, [u8; 16]) {
    let issued = issue(&server.staging, client).await;
    (server.exchange(client, &issued.code).await, issued.grant_id)
}

/// The row of a grant of staging.
pub async fn row(server: &Server, grant_id: [u8; 16]) -> Grant {
    server.staging.store.grant(Environment::Staging, grant_id).await.unwrap().unwrap()
}

/// Asserts that a code was not spent, by spending it.
pub async fn assert_unspent(server: &Server, client: &TestClient, issued: &Issued) {
    assert_eq!(row(server, issued.grant_id).await.status, GrantStatus::Pending);
    let answer = server.exchange(client, &issued.code).await;
    assert_eq!(answer.status, 200, "the code was burned: {answer:?}");
}

/// Asserts that an access token opens the API, or that it does not.
pub async fn assert_opens(server: &Server, access_token: &str, opens: bool) {
    let answer = server.api("/f/data/businesses", access_token).await;
    assert_eq!(answer.status, if opens { 200 } else { 401 }, "{answer:?}");
}

/// Every byte of every file in the data folder.
pub fn database_bytes(folder: &std::path::Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    assert!(!bytes.is_empty());
    bytes
}

/// Whether one text of bytes stands in another.
pub fn holds(hay: &[u8], needle: &[u8]) -> bool {
    assert!(needle.len() >= 8, "a needle this short is found by chance");
    hay.windows(needle.len()).any(|window| window == needle)
}

/// A client revokes a token as a standard library does.
pub async fn revoke(server: &Server, client: &TestClient, token: &str) -> Answer {
    about_token(&server.staging, "/oauth/revoke", client, token).send().await
}

/// A client asks about a token.
pub async fn introspect(server: &Server, client: &TestClient, token: &str) -> Answer {
    about_token(&server.staging, "/oauth/introspect", client, token).send().await
}

/// A call about one token, with Basic.
pub fn about_token(site: &Site, path: &str, client: &TestClient, token: &str) -> Call {
    Call::at(site, path).basic(client).form(&[("token", token)])
}

/// The first tokens of a public client.
pub async fn public_tokens(server: &Server, client: &TestClient) -> Answer {
    let issued =
        issue_with(&server.staging, client, |grant| grant.code_challenge = Some(challenge())).await;
    let mut form = exchange_form(client, &issued);
    form.extend([("code_verifier", VERIFIER), ("client_id", client.id.as_str())]);
    let answer = Call::to(&server.staging).form(&form).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// What stands in the audit log beside what a test makes by itself.
pub fn act_of_test(name: &'static str) -> grantor::store::Act {
    grantor::store::Act {
        at: crate::harness::START,
        actor: "test".to_owned(),
        actor_id: None,
        act: name,
        partner_id: None,
        client_id: None,
        detail: String::new(),
        mails: Vec::new(),
        notices: Vec::new(),
    }
}

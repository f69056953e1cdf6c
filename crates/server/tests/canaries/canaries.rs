//! Secrets planted everywhere, and a search for them in all that is written (S28).

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use grantor::mail::{Mail, MailAddress, Mailer, Subject};
use grantor::outbox::{Delivering, Outbox};
use grantor::random::Random;
use grantor::store::{EndpointOfPartner, EndpointSettings};
use grantor::webhook::{Event, EventType, WebhookSecret};
use grantor_protocol::client::ClientSecret;
use grantor_protocol::environment::Environment;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::calls::{Call, OTHER_VERIFIER, VERIFIER, challenge, database_bytes, holds, issue_with};
use crate::harness::{Server, TestClient, basic, encode};
use crate::program::{Dev, log_file, new_browser};

/// Whatever was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Takes every line of this thread, of ours at every level, until the guard is dropped.
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let lines =
            tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || log.clone());
        // As `log.rs` has it: others write headers below INFO.
        let filter = tracing_subscriber::filter::Targets::new()
            .with_default(tracing::Level::INFO)
            .with_target("grantor", tracing::Level::TRACE);
        let lines = tracing_subscriber::Layer::with_filter(lines, filter);
        tracing::subscriber::set_default(tracing_subscriber::registry().with(lines))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What must not be found, with what it was, so that a failure does not print it.
struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    /// A text that nobody else writes.
    fn plant(&mut self, what: &'static str) -> String {
        let canary = format!("Canary{}{}X9", self.0.len(), what.replace(' ', "-"));
        self.0.push((what, canary.clone()));
        canary
    }

    fn keep(&mut self, what: &'static str, value: impl Into<String>) {
        self.0.push((what, value.into()));
    }

    #[track_caller]
    fn assert_nowhere_in(&self, place: &str, bytes: &[u8]) {
        for (what, canary) in &self.0 {
            let encoded = base64::engine::general_purpose::STANDARD.encode(canary);
            // The last characters of an encoding depend on what follows.
            let encoded = &encoded[..encoded.len() - 4];
            assert!(!holds(bytes, canary.as_bytes()), "{what} stands in {place}");
            assert!(!holds(bytes, encoded.as_bytes()), "{what} stands in {place}, in Base64");
            assert!(!holds(bytes, encode(canary).as_bytes()), "{what} stands in {place}, encoded");
        }
    }
}

async fn get(url: String, headers: &[(&'static str, &str)]) {
    let request = headers
        .iter()
        .fold(new_browser().http.get(url), |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap();
}

/// Everything that a stranger may write into a request.
async fn strange_requests(server: &Server, canaries: &mut Canaries) {
    let (path, name, value) =
        (canaries.plant("path"), canaries.plant("name of a parameter"), canaries.plant("value"));
    for before in ["", "docs/", "assets/", "oauth/", "oauth/authorize/"] {
        get(server.url(&format!("/{before}{path}?{name}={value}")), &[]).await;
    }
    let header = canaries.plant("header");
    let headers = [
        ("Authorization", header.as_str()),
        ("Cookie", &header),
        ("User-Agent", &header),
        ("Referer", &header),
        ("X-Forwarded-For", &header),
        ("X-Request-Id", &header),
        ("Origin", &header),
    ];
    for path in ["/", "/oauth/token", "/oauth/authorize", "/f/data/businesses", "/docs/"] {
        get(server.url(path), &headers).await;
        get(server.url(path), &[("Host", &header)]).await;
        Call::to(&server.staging).method(&header).send().await;
    }
    let (client_id, redirect_uri) = (canaries.plant("client id"), canaries.plant("redirect uri"));
    let (state, scope) = (canaries.plant("state"), canaries.plant("scope"));
    let demo = server.demo_client();
    for (id, uri) in [
        (client_id.as_str(), redirect_uri.as_str()),
        (&demo.id, &redirect_uri),
        (&demo.id, &demo.redirect_uri),
    ] {
        let (id, uri) = (encode(id), encode(uri));
        for more in [
            format!("&scope={scope}"),
            format!("&scope=a,{scope}"),
            format!("&scope={scope}&scope={scope}"),
            format!("&prompt={value}"),
            format!("&code_challenge={value}"),
            format!("&{name}={value}"),
        ] {
            let query =
                format!("client_id={id}&response_type=code&redirect_uri={uri}&state={state}{more}");
            get(server.url(&format!("/oauth/authorize?{query}")), &[]).await;
        }
    }
    token_calls(server, canaries).await;
    calls_about_tokens(server, canaries).await;
}

/// Calls to revoke and to introspect, with a secret in each place where people put one.
async fn calls_about_tokens(server: &Server, canaries: &mut Canaries) {
    let demo = server.demo_client();
    for path in ["/oauth/revoke", "/oauth/introspect"] {
        let call = || Call::at(&server.staging, path);
        let (name, value) = (canaries.plant("name"), canaries.plant("value"));
        let wrong = canaries.plant("wrong secret");
        let header = basic(&demo.id, &wrong);
        for name in ["token", "token_type_hint", "client_id", "client_secret", &name] {
            let form = [(name, value.as_str())];
            call().basic(&demo).form(&form).send().await;
            call().basic(&demo).query(&form).send().await;
            call().form(&form).send().await;
            call().header("Authorization", header.as_bytes()).form(&form).send().await;
            let both = [("token", value.as_str()), form[0]];
            call().basic(&demo).form(&both).send().await;
        }
    }
}

/// Calls to the token endpoint with a secret in each place where people put one.
async fn token_calls(server: &Server, canaries: &mut Canaries) {
    let site = &server.staging;
    let demo = server.demo_client();
    let wrong = canaries.plant("wrong secret");
    for (id, secret) in [(&demo.id, &wrong), (&wrong, &demo.secret), (&wrong, &wrong)] {
        let header = basic(id, secret);
        let form = [("grant_type", "authorization_code"), ("code", wrong.as_str())];
        Call::to(site).header("Authorization", header.as_bytes()).form(&form).send().await;
        Call::to(site)
            .header("Authorization", format!("{header}\"").as_bytes())
            .form(&form)
            .send()
            .await;
    }
    for name in [
        "grant_type",
        "code",
        "redirect_uri",
        "client_id",
        "client-id",
        "client_secret",
        "refresh_token",
        "code_verifier",
        "password",
        "scope",
        "state",
    ] {
        let value = canaries.plant("value of a known parameter");
        let unknown = canaries.plant("name of an unknown parameter");
        let form = [
            ("grant_type", "authorization_code"),
            ("code", "x"),
            ("redirect_uri", "x"),
            (unknown.as_str(), &value),
        ];
        let named: Vec<_> = form.iter().filter(|pair| pair.0 != name).copied().collect();
        let named = [&named[..], &[(name, value.as_str())]].concat();
        Call::to(site).basic(&demo).form(&named).send().await;
        Call::to(site).basic(&demo).query(&named).send().await;
        Call::to(site).form(&named).send().await;
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", &value), (name, &value)];
        Call::to(site).basic(&demo).form(&refresh).send().await;
        let json = serde_json::json!({ name: value }).to_string();
        Call::to(site).basic(&demo).body("application/json", json.as_bytes()).send().await;
        let bad = format!("{name}={value}%ff&{value}%ff=x");
        Call::to(site).body("application/x-www-form-urlencoded", bad.as_bytes()).send().await;
    }
}

/// The whole life of a connection, with its real secrets.
async fn a_whole_life(server: &Server, canaries: &mut Canaries) {
    let client = server.client().await;
    canaries.keep("the client's secret", client.secret.clone());
    let password = canaries.plant("password");
    let wrong = canaries.plant("wrong password");
    let address = canaries.plant("password in the place of an address");
    let state = canaries.plant("state of a good request");
    server.customer(Environment::Staging, "casey@canary.example", &password, 2).await;
    let browser = server.browser();
    let url = server.authorize_url(&client, &format!("&state={state}"));
    let page = browser.get(&url).await;
    for (email, password) in [("casey@canary.example", &wrong), (address.as_str(), &wrong)] {
        let page = browser.submit(&page, &[("email", email), ("password", password)]).await;
        assert_ne!(page.status, 500);
    }
    let answer =
        browser.submit(&page, &[("email", "casey@canary.example"), ("password", &password)]).await;
    for cookie in answer.headers.get_all("set-cookie") {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        if let Some((_, value)) = pair.split_once('=').filter(|(_, value)| value.len() >= 16) {
            canaries.keep("a cookie", value);
        }
    }
    let target = browser.allow(&url).await;
    let code = crate::harness::query(&target, "code").unwrap();
    canaries.keep("a code", code.clone());
    let first = server.exchange(&client, &code).await;
    let second = server.refresh(&client, first.text("refresh_token")).await;
    server.refresh(&client, first.text("refresh_token")).await;
    server.api("/f/data/businesses", second.text("access_token")).await;
    server.exchange(&client, &code).await;
    server.refresh(&client, second.text("refresh_token")).await;
    for answer in [&first, &second] {
        canaries.keep("an access token", answer.text("access_token"));
        canaries.keep("a refresh token", answer.text("refresh_token"));
    }
    with_verifiers(server, &client, canaries).await;
    given_back(server, &client, canaries).await;
}

/// Tokens that are asked about and given back, by their client and by another, and one that is
/// ahead of its row.
async fn given_back(server: &Server, client: &TestClient, canaries: &mut Canaries) {
    let issued = issue_with(&server.staging, client, |_| ()).await;
    let living = server.exchange(client, &issued.code).await;
    let ahead = grantor::seal::RefreshSeal {
        grant_id: issued.grant_id,
        generation: 9,
        expires_at: i64::MAX,
    };
    let ahead = server.staging.sealer.refresh(&ahead, server.clock.now());
    let tokens = [living.text("access_token"), &ahead, &issued.code, living.text("refresh_token")];
    for token in tokens {
        canaries.keep("a token that was given back", token);
        for client in [&server.demo_client(), client] {
            crate::calls::introspect(server, client, token).await;
            assert_eq!(crate::calls::revoke(server, client, token).await.status, 200);
        }
    }
}

async fn with_verifiers(server: &Server, client: &TestClient, canaries: &mut Canaries) {
    let issued =
        issue_with(&server.staging, client, |grant| grant.code_challenge = Some(challenge())).await;
    for verifier in [OTHER_VERIFIER, VERIFIER, VERIFIER] {
        let mut form = crate::calls::exchange_form(client, &issued);
        form.push(("code_verifier", verifier));
        Call::to(&server.staging).basic(client).form(&form).send().await;
        canaries.keep("a verifier", verifier);
    }
    canaries.keep("a code with PKCE", issued.code);
}

/// Webhooks and mail that are taken, and that are not.
async fn webhooks_and_mail(server: &Server, canaries: &mut Canaries) {
    let site = &server.staging;
    let random = Random::system();
    let secret = WebhookSecret::generate(&random);
    canaries.keep("a webhook secret", secret.to_text().to_string());
    canaries.keep("the key of a webhook secret", secret.to_text()["whsec_".len()..].to_owned());
    let (id, environment) = (site.random.id(&site.clock), Environment::Staging);
    let partner_id = site.store.partners().await.unwrap()[0].id;
    let endpoint = EndpointOfPartner { environment, id, partner_id };
    let (url, events) = ("http://127.0.0.1:9/".to_owned(), EventType::ALL.to_vec());
    let settings = EndpointSettings { client_id: None, url, events, enabled: true };
    let act = grantor::store::Act {
        at: site.clock.now(),
        actor: "test".to_owned(),
        actor_id: None,
        act: "webhook.added",
        partner_id: Some(partner_id),
        client_id: None,
        detail: String::new(),
        mails: Vec::new(),
        notices: Vec::new(),
    };
    let added = site.keys.add_webhook_endpoint(&endpoint, &settings, (&secret, &act)).await;
    assert!(added.unwrap());
    let notice = site.notice(&server.demo_client().id, Event::Ping);
    site.store.tell_event(&notice).await.unwrap();
    // Dev's mailbox keeps what it says; the log says nothing of it, nor to whom it goes.
    let mut spoken = Canaries(Vec::new());
    let (user, text) = (spoken.plant("reader"), spoken.plant("link"));
    let mail = Mail {
        id: [1; 16],
        to: MailAddress::parse(&format!("{user}@partner.example")).unwrap(),
        subject: Subject::parse(&spoken.plant("subject")).unwrap(),
        text,
        at: site.clock.now(),
    };
    site.store.post_mail(&mail).await.unwrap();
    let log = Log::default();
    {
        let _guard = log.capture();
        let mut outbox = Outbox::new(Delivering {
            store: site.store.clone(),
            keys: site.keys.clone(),
            outbound: site.outbound.clone(),
            mailer: Some(Mailer::Mailbox),
            clock: site.clock.clone(),
            random,
        });
        assert_eq!(outbox.take().await.unwrap(), 2);
        outbox.settle().await;
    }
    let log = log.text();
    assert!(log.contains("outbox.delivered") && log.contains("outbox.failed"), "{log}");
    spoken.assert_nowhere_in("the log", log.as_bytes());
    canaries.assert_nowhere_in("the log", log.as_bytes());
}

#[tokio::test]
async fn s28_no_planted_secret_stands_in_any_log_line_or_in_the_database() {
    let log = Log::default();
    let _guard = log.capture();
    let server = Server::start().await;
    let mut canaries = Canaries(Vec::new());
    strange_requests(&server, &mut canaries).await;
    a_whole_life(&server, &mut canaries).await;
    webhooks_and_mail(&server, &mut canaries).await;
    // And where the store fails, its errors quote nothing.
    server.execute("ALTER TABLE grants RENAME TO elsewhere");
    a_failing_store(&server, &canaries).await;
    server.execute("ALTER TABLE elsewhere RENAME TO grants");
    server.staging.usage.flush(&server.staging.store).await;

    let text = log.text();
    for line in [
        "/oauth/token",
        "/oauth/authorize",
        "/f/data/businesses",
        "token.refused",
        "code.replayed",
        "refresh.repeated",
        "token.ahead_of_row",
        "revoke.connection",
        "revoke.access_token",
        "OtherClient",
        "(no route)",
    ] {
        assert!(text.contains(line), "nothing was captured of {line}: {text}");
    }
    // What failed can be found by the id that its caller was told.
    let faults: Vec<&str> = text.lines().filter(|line| line.contains("ERROR")).collect();
    assert!(faults.iter().any(|line| line.contains("token.store")), "{faults:?}");
    for fault in faults {
        assert!(fault.contains("request.id="), "{fault}");
    }
    canaries.assert_nowhere_in("the log", text.as_bytes());
    canaries.assert_nowhere_in("the database", &database_bytes(server.folder.path()));
}

async fn a_failing_store(server: &Server, canaries: &Canaries) {
    let client = server.demo_client();
    for (what, canary) in &canaries.0 {
        match *what {
            "a code" => assert_eq!(server.exchange(&client, canary).await.status, 503),
            "a refresh token" => assert_eq!(server.refresh(&client, canary).await.status, 503),
            "an access token" => {
                assert_eq!(server.api("/f/data/businesses", canary).await.status, 503);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn s28_the_program_logs_no_secret_at_its_loudest_and_stores_none() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let dev = Dev::start(&data, &[]).await;
    let mut canaries = Canaries(Vec::new());
    let state = canaries.plant("state");
    let (partner, url) = (dev.partner(), dev.authorize_url(&format!("&state={state}")));
    let browser = partner.browser(&url).await;
    let code = partner.code(&browser, &url).await.unwrap();
    let first = partner.exchange(&code).await.unwrap();
    let second = partner.refresh(first.text("refresh_token")).await.unwrap();
    partner.api(second.text("access_token")).await;
    partner.exchange(&code).await.unwrap();
    let (path, header) = (canaries.plant("path"), canaries.plant("header"));
    let wrong = canaries.plant("wrong secret");
    let base_url = dev.staging("base_url");
    get(
        format!("{base_url}/{path}?{path}={path}"),
        &[("Authorization", &header), ("Cookie", &header)],
    )
    .await;
    let request = reqwest::Client::new()
        .post(format!("{base_url}/oauth/token?code={code}&{path}={path}"))
        .header("Authorization", basic(dev.staging("client_id"), &wrong));
    assert!(request.send().await.unwrap().status().is_client_error());
    // The demo client's own page gets codes by redirect, and whatever a stranger sends there.
    let callback = dev.staging("redirect_uri");
    get(format!("{callback}?code={code}&state={state}&{path}={path}"), &[("Cookie", &header)])
        .await;
    canaries.keep("the demo secret", dev.staging("client_secret"));
    canaries.keep("the demo password", crate::program::PASSWORD);
    canaries.keep("a code", code);
    for answer in [&first, &second] {
        canaries.keep("an access token", answer.text("access_token"));
        canaries.keep("a refresh token", answer.text("refresh_token"));
    }
    dev.kill().await;
    let log = std::fs::read(log_file(&data)).unwrap();
    let text = String::from_utf8_lossy(&log);
    assert!(text.contains("/oauth/token") && text.contains("code.replayed"), "{text}");
    canaries.assert_nowhere_in("the log", &log);
    let key = std::fs::read_to_string(data.join("master.key")).unwrap();
    canaries.keep("the master key", key.split('"').nth(3).unwrap());
    std::fs::remove_file(data.join("master.key")).unwrap();
    canaries.assert_nowhere_in("the log", &log);
    canaries.assert_nowhere_in("the data folder", &database_bytes(&data));
}

trait Silent {
    const PRINTS: bool = false;
}

impl<T> Silent for T {}

/// `Prints::<T>::PRINTS` is this constant where `T` can be printed, and the trait's where not.
struct Prints<T>(PhantomData<T>);

impl<T: Debug> Prints<T> {
    const PRINTS: bool = true;
}

#[test]
fn s28_what_holds_a_secret_cannot_be_printed() {
    const { assert!(Prints::<String>::PRINTS, "the test tells nothing apart") };
    let prints = [
        Prints::<ClientSecret>::PRINTS,
        Prints::<grantor_protocol::client_authentication::BasicCredentials>::PRINTS,
        Prints::<grantor_protocol::client_authentication::PresentedClient>::PRINTS,
        Prints::<grantor_protocol::parameters::Parameters>::PRINTS,
        Prints::<grantor_protocol::pkce::CodeVerifier>::PRINTS,
        Prints::<grantor_protocol::token_request::TokenRequest>::PRINTS,
        Prints::<grantor_protocol::token_request::TokenGrant>::PRINTS,
        Prints::<grantor_protocol::client_call::ClientCall<'static>>::PRINTS,
        Prints::<grantor_protocol::client_call::TokenForm>::PRINTS,
        Prints::<grantor::master_key::MasterKey>::PRINTS,
        Prints::<grantor::password::Password>::PRINTS,
        Prints::<grantor::seal::Sealer>::PRINTS,
        Prints::<grantor::seal::SealingKey>::PRINTS,
        Prints::<grantor::site::Site>::PRINTS,
        Prints::<grantor::store::Credentials>::PRINTS,
        Prints::<grantor::store::NewCustomer<'static>>::PRINTS,
        Prints::<grantor::store::NewPerson<'static>>::PRINTS,
    ];
    assert_eq!(prints, [false; 17]);
}

#[tokio::test]
async fn s28_what_prints_a_client_shows_no_secret_and_no_digest() {
    let server = Server::start().await;
    let client = server.client().await;
    let record = server.staging.store.client(&client.id).await.unwrap().unwrap();
    let text = format!("{record:?} {:?}", record.client);
    let digest = ClientSecret::new(client.secret.clone()).digest();
    assert!(text.contains("SecretDigest(..)"), "{text}");
    assert!(!text.contains(&client.secret) && !text.contains(&format!("{:?}", digest.as_bytes())));
}

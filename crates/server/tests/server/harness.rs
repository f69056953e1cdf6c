//! A server of its own for each test: real HTTP on loopback, a real SQLite file or a real PostgreSQL
//! database, and a clock that the test moves.

#![expect(unreachable_pub, reason = "seen by the other files of this binary alone")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use grantor::clock::Clock;
use grantor::demo;
use grantor::keys::Keys;
use grantor::listener::{Listener, Socket, serve};
use grantor::logo::Logos;
use grantor::master_key::MasterKey;
use grantor::metrics::SiteMetrics;
use grantor::outbound::{Outbound, Reach};
use grantor::password::{Password, Passwords};
use grantor::programme::scope;
use grantor::random::Random;
use grantor::request_log::RequestLog;
use grantor::site::{Dev, Portal, Settings, SignUp, Site};
use grantor::store::{Address, Business, NewClient, NewCustomer, Store};
use grantor::throttle::{Limits, Throttle};
use grantor::trials::Trials;
use grantor::usage::Usage;
use grantor_protocol::client::{ClientSecret, ClientSettings, SecretDigest};
use grantor_protocol::client_authentication::BasicCredentials;
use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;
use grantor_test_cluster::{Cluster, Database};
use reqwest::{Response, StatusCode, redirect};
use serde_json::Value;

/// Where the manual clock begins.
pub const START: i64 = 1_800_000_000;
/// Where codes of the clients that tests make go.
pub const REDIRECT_URI: &str = "https://mycompany.com/redirection/ikentoo";
/// The demo client's own redirect URI.
pub const DEMO_REDIRECT_URI: &str = "http://127.0.0.1:9/staging/callback";

/// Two environments and the portal, running.
pub struct Server {
    pub staging: Arc<Site>,
    pub production: Arc<Site>,
    pub portal: Arc<Site>,
    pub clock: Clock,
    pub folder: Arc<tempfile::TempDir>,
    pub master_key: Arc<MasterKey>,
    /// Where the data is not a file.
    postgres: Option<Arc<Database>>,
    store: Address,
    /// Where each environment really listens.
    addresses: Vec<SocketAddr>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

/// What a server stands on, and another may stand on too.
struct Ground {
    clock: Clock,
    folder: Arc<tempfile::TempDir>,
    store: Address,
    master_key: Arc<MasterKey>,
}

/// A client that a test made.
pub struct TestClient {
    pub id: String,
    pub secret: String,
    pub redirect_uri: String,
}

/// Settings with room for every try of a test that makes many.
pub fn roomy() -> Settings {
    let most = 1_000_000;
    let throttling = Limits {
        failures_per_name_and_address: most,
        failures_per_address: most,
        registrations_per_address: most,
        mails_per_name: most,
        ..Limits::USUAL
    };
    Settings { throttling, ..Settings::default() }
}

/// A browser: it keeps cookies and follows nothing.
pub struct Browser {
    pub http: reqwest::Client,
}

impl Server {
    /// Starts, with demo data, as dev does.
    pub async fn start() -> Server {
        Server::start_with(Settings::default(), true).await
    }

    /// Starts on a PostgreSQL database of its own.
    pub async fn start_on_postgres() -> Server {
        let database = Cluster::shared_database().unwrap();
        let address = |_: &Path| Address::parse(&database.url(), Path::new("")).unwrap();
        let base_url = |_, address| format!("http://{address}");
        let mut server = Server::start_at(address, Settings::default(), true, base_url).await;
        server.postgres = Some(Arc::new(database));
        server
    }

    /// Starts on the PostgreSQL database of that URL, which the test looks into by itself.
    pub async fn start_on(url: &str) -> Server {
        let address = |_: &Path| Address::parse(url, Path::new("")).unwrap();
        let base_url = |_, address| format!("http://{address}");
        Server::start_at(address, Settings::default(), true, base_url).await
    }

    /// Starts on a PostgreSQL database of its own, reached by the port that `between` gives for the
    /// database's own.
    pub async fn start_on_postgres_through(between: impl AsyncFn(u16) -> u16) -> Server {
        let database = Cluster::shared_database().unwrap();
        let mut url: url::Url = database.url().parse().unwrap();
        let port = between(url.port().unwrap()).await;
        url.set_port(Some(port)).unwrap();
        let address = |_: &Path| Address::parse(url.as_str(), Path::new("")).unwrap();
        let base_url = |_, address| format!("http://{address}");
        let mut server = Server::start_at(address, Settings::default(), true, base_url).await;
        server.postgres = Some(Arc::new(database));
        server
    }

    /// Starts with these settings; `dev` shows the demo API and the demo sign-in.
    pub async fn start_with(settings: Settings, dev: bool) -> Server {
        Server::start_as(settings, dev, |_, address| format!("http://{address}")).await
    }

    /// Starts with the base URL that each environment is to have, whatever it listens on.
    pub async fn start_as(
        settings: Settings,
        dev: bool,
        base_url: impl Fn(Environment, SocketAddr) -> String,
    ) -> Server {
        let address = |folder: &Path| Address::Sqlite(folder.join("grantor.db"));
        Server::start_at(address, settings, dev, base_url).await
    }

    /// Starts with the time of this machine, for programs that the test does not give the time.
    pub async fn start_now(settings: Settings) -> Server {
        let mut ground = ground(|folder| Address::Sqlite(folder.join("grantor.db")));
        ground.clock = Clock::system();
        let base_url = |_, address| format!("http://{address}");
        Box::pin(Server::start_on_ground(ground, settings, true, base_url)).await
    }

    async fn start_at(
        address: impl Fn(&Path) -> Address,
        settings: Settings,
        dev: bool,
        base_url: impl Fn(Environment, SocketAddr) -> String,
    ) -> Server {
        let ground = ground(address);
        // On the heap: a thread of a test has no room for all of it, and for the test.
        Box::pin(Server::start_on_ground(ground, settings, dev, base_url)).await
    }

    /// Starts another server on the same database, as a second machine would: with the same master
    /// key, and nothing in memory.
    pub async fn start_another(&self) -> Server {
        let ground = Ground {
            clock: self.clock.clone(),
            folder: Arc::clone(&self.folder),
            store: self.store.clone(),
            master_key: Arc::clone(&self.master_key),
        };
        let base_url = |_, address| format!("http://{address}");
        let settings = self.staging.settings.clone();
        let started = Server::start_on_ground(ground, settings, true, base_url);
        let mut other = Box::pin(started).await;
        other.postgres = self.postgres.clone();
        other
    }

    async fn start_on_ground(
        ground: Ground,
        settings: Settings,
        dev: bool,
        base_url: impl Fn(Environment, SocketAddr) -> String,
    ) -> Server {
        let Ground { clock, folder, store: address, master_key } = ground;
        let random = Random::system();
        let store = Store::open(&address, &clock).await.unwrap();
        let keys = Keys::open(&store, &master_key, &clock, &random).await.unwrap();
        let passwords = Passwords::start(2, random.clone()).unwrap();
        let mut sites = Vec::new();
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        let sockets = Environment::ISSUERS
            .map(|_| Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap());
        let [.., portal] = &sockets;
        let portal_url = base_url(Environment::Portal, portal.address());
        for (environment, socket) in Environment::ISSUERS.into_iter().zip(sockets) {
            let base_url = base_url(environment, socket.address());
            let is_portal = environment == Environment::Portal;
            let throttling = settings.throttling;
            let settings = settings_of(&settings, environment, (dev, &base_url));
            let site = Arc::new(Site {
                environment,
                base_url,
                settings,
                store: store.clone(),
                sealer: keys.sealer(environment),
                other_sealer: keys.sealer(environment.other()),
                signer: keys.signer(environment),
                keys: keys.clone(),
                throttle: throttle(&store, &keys, (environment, throttling), &clock),
                passwords: passwords.clone(),
                usage: Usage::default(),
                request_log: RequestLog::default(),
                trials: Trials::of(environment),
                metrics: SiteMetrics::default(),
                outbound: Outbound::new(Reach::ThisMachine, clock.clone()),
                clock: clock.clone(),
                random: random.clone(),
                dev: dev.then(|| Dev { redirect_uri: DEMO_REDIRECT_URI.to_owned() }),
                portal: is_portal.then(|| programme(&sites)),
                portal_url: Some(portal_url.clone()),
            });
            let listener = lay(&site, socket.address()).await;
            addresses.push(listener.address);
            listeners.push(listener.on(socket).unwrap());
            sites.push(site);
        }
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(serve(listeners, async {
            let _ = stopped.await;
        }));
        let portal = sites.pop().unwrap();
        let production = sites.pop().unwrap();
        let staging = sites.pop().unwrap();
        let postgres = None;
        let stop = Some(stop);
        Server {
            staging,
            production,
            portal,
            clock,
            folder,
            postgres,
            store: address,
            master_key,
            addresses,
            stop,
        }
    }

    /// The same database as another process sees it.
    pub async fn another_store(&self) -> Store {
        let address = match &self.postgres {
            Some(database) => Address::parse(&database.url(), Path::new("")).unwrap(),
            None => Address::Sqlite(self.folder.path().join("grantor.db")),
        };
        Store::open(&address, &self.clock).await.unwrap()
    }

    /// As after a second: whoever changes clients behind the store's back has to wait for it.
    pub async fn forget_known_clients(&self) {
        let store = &self.staging.store;
        let nobody = store.set_client_disabled(Environment::Staging, "nobody", true).await.unwrap();
        assert!(!nobody);
    }

    /// Where an environment can be reached, whatever its base URL says.
    pub fn listening(&self, environment: Environment) -> String {
        format!("http://{}", self.addresses[environment as usize])
    }

    /// Adds a customer with that many businesses.
    pub async fn customer(
        &self,
        environment: Environment,
        email: &str,
        password: &str,
        businesses: i64,
    ) {
        let site = self.site(environment);
        let password = Password::new(password.to_owned());
        let password_hash = site.passwords.hash(password).await.unwrap();
        let id = site.random.id(&site.clock);
        let name = "Robin Rest";
        let password_hash = password_hash.as_str();
        let customer = NewCustomer { environment, id, email, name, password_hash, demo: false };
        assert!(site.store.add_customer(&customer, START).await.unwrap());
        let first = self.count("businesses") + 1;
        for id in first..first + businesses {
            let (name, currency) = (format!("Business {id}"), "EUR".to_owned());
            let business = Business { id, name, currency, locations: vec![] };
            assert!(site.store.add_business(environment, customer.id, &business).await.unwrap());
        }
    }

    /// Where the data is, for another process on it.
    pub fn address(&self) -> Address {
        match &self.postgres {
            Some(database) => Address::parse(&database.url(), Path::new("")).unwrap(),
            None => Address::Sqlite(self.folder.path().join("grantor.db")),
        }
    }

    /// The database, beside the server.
    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder.path().join("grantor.db")).unwrap()
    }

    /// How many rows a table has.
    pub fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM {table}"))
    }

    /// What a statement answers with one number.
    pub fn number(&self, sql: &str) -> i64 {
        if let Some(database) = &self.postgres {
            let rows = database.execute(sql).unwrap();
            return rows[0].as_ref().unwrap().parse().unwrap();
        }
        self.database().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// How many grants, consents and sessions there are: for what must change nothing.
    pub fn rows(&self) -> [i64; 3] {
        ["grants", "consents", "sessions"].map(|table| self.count(table))
    }

    /// Changes the database behind the server's back, and answers how many rows.
    pub fn execute(&self, sql: &str) -> usize {
        match &self.postgres {
            Some(database) if sql.starts_with("ALTER") || sql.starts_with("SET") => {
                database.execute(sql).unwrap().len()
            }
            Some(database) => database.execute(&format!("{sql} RETURNING 1")).unwrap().len(),
            None => self.database().execute(sql, []).unwrap(),
        }
    }

    /// Changes the schema behind the server's back.
    pub fn alter(&self, sql: &str) {
        match &self.postgres {
            Some(database) => drop(database.execute(sql).unwrap()),
            None => self.database().execute_batch(sql).unwrap(),
        }
    }

    /// The PostgreSQL database, by its name.
    pub fn database_name(&self) -> &str {
        self.postgres.as_ref().unwrap().name()
    }

    /// Ends every connection of the server to its PostgreSQL database, as a restart would.
    pub fn end_connections(&self) {
        let ended = self.number(
            "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        assert!(ended > 0);
    }

    /// The site of an environment.
    pub fn site(&self, environment: Environment) -> &Arc<Site> {
        match environment {
            Environment::Staging => &self.staging,
            Environment::Production => &self.production,
            Environment::Portal => &self.portal,
        }
    }

    /// Adds a confidential, approved client with an https redirect URI, changed by `change`.
    pub async fn client_with(
        &self,
        environment: Environment,
        change: impl FnOnce(&mut NewClient),
    ) -> TestClient {
        let site = self.site(environment);
        let partner = site.store.partners().await.unwrap().remove(0);
        let secret = site.random.secret();
        let mut client = NewClient {
            environment,
            id: format!("devp-{environment}-test-{}", site.random.hex::<16>()),
            partner_id: partner.id,
            name: "Test App".to_owned(),
            website: None,
            redirect_uris: vec![RedirectUri::register(REDIRECT_URI).unwrap()],
            scopes: Scope::parse("financial-api orders-api").unwrap(),
            optional_scopes: Scope::default(),
            secret: Some(stored_secret(&secret)),
            approved: true,
            demo: false,
            settings: ClientSettings {
                refresh_tokens: true,
                parameters_in_query: true,
                pkce_required: false,
                refresh_window_seconds: None,
                ..ClientSettings::default()
            },
            keys: None,
            post_logout_redirect_uris: Vec::new(),
            registration: grantor::store::Registration::default(),
        };
        change(&mut client);
        assert!(site.store.add_client(&client, site.clock.now()).await.unwrap());
        TestClient {
            redirect_uri: client.redirect_uris[0].as_str().to_owned(),
            id: client.id,
            secret,
        }
    }

    /// Adds a client in staging as it comes.
    pub async fn client(&self) -> TestClient {
        self.client_with(Environment::Staging, |_| ()).await
    }

    /// The demo client of staging.
    pub fn demo_client(&self) -> TestClient {
        TestClient {
            id: demo::client_id(Environment::Staging).to_owned(),
            secret: demo::client_secret(Environment::Staging).to_owned(),
            redirect_uri: DEMO_REDIRECT_URI.to_owned(),
        }
    }

    /// A new browser.
    pub fn browser(&self) -> Browser {
        self.browser_at([127, 0, 0, 1])
    }

    /// A new browser at another address of this machine.
    pub fn browser_at(&self, address: [u8; 4]) -> Browser {
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .cookie_store(true)
            .local_address(std::net::IpAddr::from(address))
            .build()
            .unwrap();
        Browser { http }
    }

    /// A URL of staging.
    pub fn url(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.staging.base_url)
    }

    /// The first step of the guide for a client, with more parameters behind it.
    pub fn authorize_url(&self, client: &TestClient, more: &str) -> String {
        self.url(&format!(
            "/oauth/authorize?client_id={}&response_type=code&redirect_uri={}{more}",
            client.id,
            encode(&client.redirect_uri)
        ))
    }

    /// Walks through sign-in, businesses and consent with a new browser, and gives the code.
    pub async fn code(&self, client: &TestClient, more: &str) -> String {
        let target = self.browser().allow(&self.authorize_url(client, more)).await;
        query(&target, "code").unwrap_or_else(|| panic!("no code in {target}"))
    }

    /// Posts a form to `/oauth/token` of staging, with Basic.
    pub async fn token(&self, client: &TestClient, form: &[(&str, &str)]) -> Answer {
        let request = reqwest::Client::new()
            .post(self.url("/oauth/token"))
            .header("Authorization", basic(&client.id, &client.secret))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form_body(form));
        Answer::read(request.send().await.unwrap()).await
    }

    /// Exchanges a code as a standard client does.
    pub async fn exchange(&self, client: &TestClient, code: &str) -> Answer {
        self.token(
            client,
            &[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", &client.redirect_uri),
            ],
        )
        .await
    }

    /// Refreshes.
    pub async fn refresh(&self, client: &TestClient, refresh_token: &str) -> Answer {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        self.token(client, &form).await
    }

    /// Calls the demo API of staging.
    pub async fn api(&self, path: &str, access_token: &str) -> Answer {
        let request = reqwest::Client::new().get(self.url(path)).bearer_auth(access_token);
        Answer::read(request.send().await.unwrap()).await
    }
}

/// A folder and keys that are new, and the time of the test.
fn ground(address: impl Fn(&Path) -> Address) -> Ground {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    Ground {
        clock: Clock::manual(START),
        store: address(folder.path()),
        folder,
        master_key: Arc::new(MasterKey::generate(&Random::system())),
    }
}

/// A portal where everybody may sign up.
fn programme(sites: &[Arc<Site>]) -> Portal {
    Portal { environments: sites.to_vec(), sign_up: SignUp::Open, logos: Logos::default() }
}

/// The settings of one issuer, whose own API stands beside it: its address is known just now.
fn settings_of(
    settings: &Settings,
    environment: Environment,
    (dev, base_url): (bool, &str),
) -> Settings {
    let mut settings = Settings { mail: true, ..settings.clone() };
    if environment == Environment::Portal {
        settings.apis = scope::apis(base_url);
        settings.parameters_in_query = false;
    } else if dev && settings.apis.is_empty() {
        settings.apis = demo::apis(base_url);
    }
    settings
}

fn throttle(
    store: &Store,
    keys: &Keys,
    (environment, limits): (Environment, Limits),
    clock: &Clock,
) -> Throttle {
    let realm = environment;
    Throttle::new(store.clone(), realm, keys.sealer(environment), clock.clone(), limits)
}

/// Lays the demo data of a site, and says who listens for it.
async fn lay(site: &Arc<Site>, address: SocketAddr) -> Listener {
    match site.environment {
        Environment::Portal => demo::lay_portal(site).await.unwrap(),
        Environment::Staging | Environment::Production => {
            demo::lay(site, DEMO_REDIRECT_URI).await.unwrap();
        }
    }
    let sites = vec![Arc::clone(site)];
    Listener { address, tls: None, trusted_proxies: vec![], sites }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

impl Browser {
    /// Opens an address.
    pub async fn get(&self, url: &str) -> Page {
        Page::read(self.http.get(url).send().await.unwrap()).await
    }

    /// Posts a form of a page to its action, with its form token and step.
    pub async fn submit(&self, page: &Page, fields: &[(&str, &str)]) -> Page {
        let mut form =
            vec![("csrf_token", page.hidden("csrf_token")), ("step", page.hidden("step"))];
        form.extend(fields.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let pairs: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let request = self
            .http
            .post(page.absolute(&page.form_action()))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form_body(&pairs));
        Page::read(request.send().await.unwrap()).await
    }

    /// Signs in on a sign-in page, and follows to the next page.
    pub async fn sign_in(&self, page: &Page) -> Page {
        self.sign_in_as(page, demo::CUSTOMER_EMAIL, demo::PASSWORD).await
    }

    /// Signs in with these words.
    pub async fn sign_in_as(&self, page: &Page, email: &str, password: &str) -> Page {
        let answer = self.submit(page, &[("email", email), ("password", password)]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        self.get(&page.absolute(&answer.location())).await
    }

    /// Opens an address with these headers.
    pub async fn get_with(&self, url: &str, headers: &[(&str, &str)]) -> Page {
        let request = headers
            .iter()
            .fold(self.http.get(url), |request, (name, value)| request.header(*name, *value));
        Page::read(request.send().await.unwrap()).await
    }

    /// Posts a body as it stands.
    pub async fn post(&self, url: &str, headers: &[(&str, &str)], body: impl Into<String>) -> Page {
        let request = headers
            .iter()
            .fold(self.http.post(url), |request, (name, value)| request.header(*name, *value));
        Page::read(request.body(body.into()).send().await.unwrap()).await
    }

    /// Goes through all pages that come, ticks every business, allows, and gives the redirect.
    pub async fn allow(&self, url: &str) -> String {
        let mut page = self.get(url).await;
        for _ in 0..6 {
            if let Some(target) = page.leaves() {
                return target;
            }
            if page.status == StatusCode::SEE_OTHER {
                page = self.get(&page.absolute(&page.location())).await;
                continue;
            }
            page = match page.step().as_deref() {
                Some("sign_in") => self.sign_in(&page).await,
                Some("businesses") => {
                    let all = page.values("business");
                    let fields: Vec<(&str, &str)> =
                        all.iter().map(|id| ("business", id.as_str())).collect();
                    self.submit(&page, &fields).await
                }
                Some("consent") => {
                    let all = page.values("scope");
                    let mut fields: Vec<(&str, &str)> =
                        all.iter().map(|scope| ("scope", scope.as_str())).collect();
                    fields.push(("decision", "allow"));
                    self.submit(&page, &fields).await
                }
                other => panic!("unexpected page {other:?}: {} {}", page.status, page.text),
            };
        }
        panic!("the flow does not end: {}", page.text)
    }
}

/// An answer that a browser shows.
pub struct Page {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    pub url: reqwest::Url,
}

impl Page {
    pub async fn read(response: Response) -> Page {
        Page {
            status: response.status(),
            headers: response.headers().clone(),
            url: response.url().clone(),
            text: response.text().await.unwrap(),
        }
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The `Location`.
    pub fn location(&self) -> String {
        self.header("location").to_owned()
    }

    /// Asserts a page of that status that says `words` and leads nowhere.
    #[track_caller]
    pub fn assert_page(&self, status: u16, words: &str) {
        assert_eq!(self.status.as_u16(), status, "{} {}", self.location(), self.text);
        assert!(unescape(&self.text).contains(words), "{words:?} is not in {}", self.text);
        assert_eq!(self.header("location"), "");
        assert_eq!(self.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(self.header("cache-control"), "no-store");
    }

    /// Asserts an error response (RFC 6749 4.1.2.1), and what stands beside the error.
    #[track_caller]
    pub fn assert_refused(&self, redirect_uri: &str, error: &str, words: &str) {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        let target = self.location();
        assert!(target.starts_with(redirect_uri), "{target}");
        assert_eq!(query(&target, "error").as_deref(), Some(error), "{target}");
        let description = query(&target, "error_description").unwrap();
        assert!(description.contains(words), "{words:?} is not in {description:?}");
        assert_eq!(query(&target, "code"), None, "{target}");
    }

    /// Asserts a redirect to the client with a code, and gives it.
    #[track_caller]
    pub fn assert_code(&self, redirect_uri: &str) -> String {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        let target = self.location();
        assert!(target.starts_with(redirect_uri), "{target}");
        query(&target, "code").unwrap_or_else(|| panic!("no code in {target}"))
    }

    /// The `Location`, where it leaves the server.
    pub fn leaves(&self) -> Option<String> {
        let target = self.location();
        let own = self.url.origin().ascii_serialization();
        (!target.is_empty() && !target.starts_with('/') && !target.starts_with(&own))
            .then_some(target)
    }

    /// A path of this page's own host as a whole URL.
    pub fn absolute(&self, path: &str) -> String {
        self.url.join(path).unwrap().to_string()
    }

    /// Which step the page's form carries out.
    pub fn step(&self) -> Option<String> {
        self.values("step").pop()
    }

    /// The value of a hidden field.
    pub fn hidden(&self, name: &str) -> String {
        self.values(name).pop().unwrap_or_else(|| panic!("no field {name} in {}", self.text))
    }

    /// The form's action.
    pub fn form_action(&self) -> String {
        let after = self.text.split("action=\"").nth(1).expect("a form");
        unescape(after.split('"').next().unwrap())
    }

    /// The values of all fields of that name.
    pub fn values(&self, name: &str) -> Vec<String> {
        self.text
            .split('<')
            .filter(|tag| tag.starts_with("input") && tag.contains(&format!("name=\"{name}\"")))
            .filter_map(|tag| tag.split("value=\"").nth(1))
            .map(|after| unescape(after.split('"').next().unwrap()))
            .collect()
    }
}

/// An answer of JSON.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub async fn read(response: Response) -> Answer {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, headers, body }
    }

    /// A member as text.
    pub fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_default()
    }

    /// Asserts an error with its code, and a description that holds `words`.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str, words: &str) {
        assert_eq!((self.status, self.text("error")), (status, code), "{self:?}");
        assert!(self.text("error_description").contains(words), "{self:?}");
        assert_eq!(self.headers["cache-control"], "no-store");
    }
}

/// The value of a parameter in the query of a URL.
pub fn query(url: &str, name: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).unwrap();
    url.query_pairs().find(|(held, _)| held == name).map(|(_, value)| value.into_owned())
}

/// The value of a Basic header.
pub fn basic(id: &str, secret: &str) -> String {
    BasicCredentials::header(id, &ClientSecret::new(secret.to_owned()))
}

/// A form body.
pub fn form_body(form: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

/// Percent-encodes everything but letters and digits.
pub fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

pub fn unescape(text: &str) -> String {
    text.replace("&#38;", "&")
        .replace("&amp;", "&")
        .replace("&#34;", "\"")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
}

/// What is kept of a secret.
fn stored_secret(secret: &str) -> (SecretDigest, String) {
    let secret = ClientSecret::new(secret.to_owned());
    (secret.digest(), secret.hint())
}

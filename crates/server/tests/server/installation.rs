//! A data folder as an operator has it, and the real `grantor serve` on it, which can be killed.

#![expect(unreachable_pub, reason = "seen by the other files of this binary alone")]

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use grantor::clock::Clock;
use grantor::keys::Keys;
use grantor::master_key::MasterKey;
use grantor::random::Random;
use grantor::seal::Sealer;
use grantor::store::{Address, Store};
use grantor_protocol::environment::Environment;
use grantor_test_cluster::{Cluster, Database};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::calls::{CHALLENGE, VERIFIER};
use crate::harness::{Answer, Browser, Page, basic, encode, form_body};
use crate::program::{grantor, new_browser};

pub const REDIRECT_URI: &str = "https://mycompany.com/redirection/ikentoo";
pub const PASSWORD: &str = "a password of the tests alone";

/// A data folder in use.
pub struct Installation {
    pub folder: tempfile::TempDir,
    pub base_url: String,
    server: Option<Child>,
    /// Where the data is no file: all that there were, the present one last.
    databases: Vec<Database>,
}

/// A client of it.
pub struct App {
    pub id: String,
    secret: Option<String>,
    base_url: String,
}

impl Installation {
    /// Made by `grantor init`, with a partner and a customer, and served.
    pub async fn new() -> Installation {
        Installation::begin(vec![]).await
    }

    /// The same on a PostgreSQL database.
    pub async fn on_postgres() -> Installation {
        Installation::begin(vec![Cluster::shared_database().unwrap()]).await
    }

    async fn begin(databases: Vec<Database>) -> Installation {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let base_url = format!("http://127.0.0.1:{port}");
        let mut house = Installation { folder, base_url, server: None, databases };
        house.run(&["init", house.path("").to_str().unwrap()], false).await;
        house.configure(&house.store());
        house.serve().await;
        house.json(&["partner", "create", "--name", "Planner Ltd"]).await;
        house.customer("robin@example.com").await;
        house
    }

    /// Where the data is, as the configuration says it.
    pub fn store(&self) -> String {
        self.databases.last().map_or("sqlite:grantor.db".to_owned(), Database::url)
    }

    /// The database, where it is no file.
    pub fn database(&self) -> Option<&Database> {
        self.databases.last()
    }

    /// Names another database in the configuration.
    pub fn configure(&self, store: &str) {
        let listen = self.base_url.trim_start_matches("http://");
        let text = format!(
            "store = \"{store}\"\nmaster_key_file = \"master.key\"\n\
             [environment.staging]\nbase_url = \"{}\"\nlisten = \"{listen}\"\n\
             refresh_window_seconds = 0\n",
            self.base_url
        );
        std::fs::write(self.path("grantor.toml"), text).unwrap();
    }

    /// Makes a place for a restore: an empty PostgreSQL database, or none where a file is replaced.
    pub fn make_room(&mut self) {
        if !self.databases.is_empty() {
            self.databases.push(Cluster::shared_database().unwrap());
            self.configure(&self.store());
        }
    }

    /// Restores `b1`, whatever it needs for that.
    pub async fn restore(&mut self, more: &[&str]) -> Value {
        self.make_room();
        self.json(&[&["restore", "b1", "--replace"], more].concat()).await
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the server and waits until it is ready.
    pub async fn serve(&mut self) {
        self.try_serve().await.unwrap();
    }

    /// Starts the server and waits until it is ready, or gives the words of its refusal.
    pub async fn try_serve(&mut self) -> Result<(), String> {
        let mut child = self.spawn();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        if lines.next_line().await.unwrap().is_none() {
            let output = child.wait_with_output().await.unwrap();
            return Err(String::from_utf8(output.stderr).unwrap());
        }
        self.server = Some(child);
        Ok(())
    }

    /// Starts the server where it is expected to refuse, and gives its words.
    pub async fn serve_refuses(&self) -> String {
        let output = self.spawn().wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn spawn(&self) -> Child {
        let config = self.path("grantor.toml");
        let mut command = grantor(&["serve", "--json", "--config", config.to_str().unwrap()]);
        command.env("GRANTOR_LOG", "error").stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.server.take().unwrap().kill().await.unwrap();
    }

    /// SIGTERM.
    pub async fn stop(&mut self) {
        let child = self.server.take().unwrap();
        let id = child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").arg(id).status().unwrap().success());
        assert!(child.wait_with_output().await.unwrap().status.success());
    }

    /// Runs a command that has to succeed.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat(), true).await;
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that has to refuse, and gives its words.
    pub async fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, true).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(output.stdout, b"");
        String::from_utf8(output.stderr).unwrap()
    }

    /// A command of this data folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = grantor(arguments);
        command.arg("--config").arg(self.path("grantor.toml")).current_dir(self.folder.path());
        command
    }

    /// Runs a command, with the password on its standard input.
    async fn run(&self, arguments: &[&str], configured: bool) -> Output {
        let mut command = if configured { self.command(arguments) } else { grantor(arguments) };
        command.current_dir(self.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that asks for nothing does not read it.
        let _ = child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).await;
        child.wait_with_output().await.unwrap()
    }

    pub async fn customer(&self, email: &str) {
        let place = ["--environment", "staging", "--email", email];
        self.json(&[&["customer", "create", "--name", "Robin Rest"], &place[..]].concat()).await;
        let add = ["customer", "add-business", "--name", "Bistro", "--currency", "EUR"];
        self.json(&[&add[..], &place[..]].concat()).await;
    }

    pub async fn app(&self, more: &[&str]) -> App {
        let create = ["client", "create", "--environment", "staging", "--partner", "planner ltd"];
        let about = ["--name", "Table Planner", "--redirect-uri", REDIRECT_URI];
        let scope = ["--scope", "financial-api"];
        let made = self.json(&[&create[..], &about, &scope, more].concat()).await;
        App {
            id: made["client_id"].as_str().unwrap().to_owned(),
            secret: made["client_secret"].as_str().map(str::to_owned),
            base_url: self.base_url.clone(),
        }
    }

    /// The numbers that a query answers.
    pub fn values(&self, sql: &str) -> Vec<i64> {
        if let Some(database) = self.database() {
            let found = database.execute(sql).unwrap();
            return found.iter().map(|text| text.as_ref().unwrap().parse().unwrap()).collect();
        }
        let database = rusqlite::Connection::open(self.path("grantor.db")).unwrap();
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Changes the database behind the server's back.
    pub fn execute(&self, sql: &str) {
        match self.database() {
            Some(database) => drop(database.execute(sql).unwrap()),
            None => {
                let database = rusqlite::Connection::open(self.path("grantor.db")).unwrap();
                database.execute(sql, []).unwrap();
            }
        }
    }

    /// The sealer of staging, over the database as it stands.
    pub async fn sealer(&self) -> std::sync::Arc<Sealer> {
        let (clock, random) = (Clock::system(), Random::system());
        let address = Address::parse(&self.store(), self.folder.path()).unwrap();
        let store = Store::open(&address, &clock).await.unwrap();
        let key = MasterKey::read(&self.path("master.key")).unwrap();
        Keys::open(&store, &key, &clock, &random).await.unwrap().sealer(Environment::Staging)
    }

    /// All files of the folder with their bytes, but for SQLite's own beside the database.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !["db-wal", "db-shm"].iter().any(|end| ends(path, end)))
            .map(|path| (path.clone(), std::fs::read(path).unwrap_or_default()))
            .collect();
        files.sort();
        files
    }
}

fn ends(path: &Path, end: &str) -> bool {
    path.to_str().unwrap().ends_with(end)
}

impl App {
    pub fn authorize_url(&self) -> String {
        format!(
            "{}/oauth/authorize?client_id={}&response_type=code&redirect_uri={}\
             &code_challenge={CHALLENGE}&code_challenge_method=S256",
            self.base_url,
            self.id,
            encode(REDIRECT_URI)
        )
    }

    /// Signs in, allows and exchanges with a browser of its own.
    pub async fn connect(&self, email: &str) -> Answer {
        let (_, _, code) = walk(&new_browser(), &self.authorize_url(), email).await;
        self.exchange(&code).await
    }

    pub async fn exchange(&self, code: &str) -> Answer {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ])
        .await
    }

    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    async fn token(&self, form: &[(&str, &str)]) -> Answer {
        let mut form = form.to_vec();
        let mut request = reqwest::Client::new().post(format!("{}/oauth/token", self.base_url));
        match &self.secret {
            Some(secret) => request = request.header("Authorization", basic(&self.id, secret)),
            None => form.push(("client_id", &self.id)),
        }
        request = request
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form_body(&form));
        Answer::read(request.send().await.unwrap()).await
    }
}

/// Goes through all pages that come. Answers which came, the last one, and the code.
pub async fn walk(browser: &Browser, url: &str, email: &str) -> (Vec<String>, Page, String) {
    let (mut steps, mut page) = (Vec::new(), browser.get(url).await);
    for _ in 0..8 {
        if let Some(target) = page.leaves() {
            let code = crate::harness::query(&target, "code").expect(&target);
            return (steps, page, code);
        }
        if page.status.is_redirection() {
            page = browser.get(&page.absolute(&page.location())).await;
            continue;
        }
        let step = page.step().unwrap_or_else(|| panic!("{} {}", page.status, page.text));
        page = match step.as_str() {
            "sign_in" => browser.sign_in_as(&page, email, PASSWORD).await,
            "businesses" => {
                let all = page.values("business");
                browser.submit(&page, &[("business", &all[0])]).await
            }
            _ => browser.submit(&page, &[("decision", "allow")]).await,
        };
        steps.push(step);
    }
    panic!("the flow does not end: {steps:?} {}", page.text)
}

//! The real program on an installation that the operator's commands made.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use grantor::clock::Clock;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::house::{House, text};

pub(crate) const EMAIL: &str = "robin@example.com";
pub(crate) const PASSWORD: &str = "correct horse battery";
const PATIENCE: Duration = Duration::from_secs(20);

/// A data folder with one client and one customer, and the port that its servers listen on.
pub(crate) struct Installed {
    pub(crate) house: House,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) redirect_uri: String,
    pub(crate) port: u16,
}

/// `grantor serve`, running. It is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    /// How long it took to be ready.
    pub(crate) took: Duration,
}

impl Installed {
    /// Lays it out on a store: `sqlite:grantor.db`, or the URL of an empty database.
    pub(crate) fn new(store: &str) -> Installed {
        let house = House::new();
        let port = grantor_test_cluster::free_port().unwrap();
        // A code waits for the restart, and must not expire over it.
        let config = format!(
            "store = \"{store}\"\nmaster_key_file = \"master.key\"\n[environment.staging]\n\
             base_url = \"http://127.0.0.1:{port}\"\nlisten = \"127.0.0.1:{port}\"\n\
             code_ttl_seconds = 600\nrefresh_window_seconds = 600\n"
        );
        house.write("grantor.toml", &config);
        let client = house.client();
        let customer = ["customer", "create", "--environment", "staging", "--email", EMAIL];
        house.run_with(&[&customer[..], &["--name", "Robin"]].concat(), PASSWORD).done();
        let business = ["customer", "add-business", "--environment", "staging", "--email", EMAIL];
        house.run(&[&business[..], &["--name", "Bistro", "--currency", "EUR"]].concat()).done();
        Installed {
            client_id: text(&client, "client_id").to_owned(),
            client_secret: text(&client, "client_secret").to_owned(),
            redirect_uri: "https://mycompany.com/redirection/ikentoo".to_owned(),
            house,
            port,
        }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts a server and waits until it is ready.
    pub(crate) async fn start(&self) -> Server {
        self.start_with("grantor.toml").await
    }

    /// The same with the configuration of that name.
    pub(crate) async fn start_with(&self, config: &str) -> Server {
        let begun = Clock::system().stopwatch();
        let mut child = self.spawn(config);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        let line = line.expect("the server is not ready").unwrap();
        assert!(line.is_some(), "the server ended: {}", self.log());
        Server { child, took: begun.elapsed() }
    }

    /// Starts a server and kills it before it can be ready, or just then.
    pub(crate) async fn start_and_kill(&self, after: Duration) {
        let mut child = self.spawn("grantor.toml");
        tokio::time::sleep(after).await;
        child.kill().await.unwrap();
    }

    /// What all servers here have logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.house.path("log")).unwrap_or_default()
    }

    fn spawn(&self, config: &str) -> Child {
        let mut log = std::fs::OpenOptions::new();
        let log = log.create(true).append(true).open(self.house.path("log")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_grantor"))
            .args(["serve", "--json", "--config", config])
            .current_dir(self.house.folder())
            .env_remove("GRANTOR_CONFIG")
            .env("GRANTOR_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }
}

impl Server {
    /// SIGKILL, and nothing else.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, and whatever it still has to do. Answers how it ended, and after how long.
    pub(crate) async fn stop(mut self) -> (ExitStatus, Duration) {
        let begun = Clock::system().stopwatch();
        let process = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().await.unwrap().success());
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        (ended.expect("it does not end").unwrap(), begun.elapsed())
    }
}

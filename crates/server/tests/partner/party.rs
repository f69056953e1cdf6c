//! A partner: one client of a server of its own, and the program as it is typed for it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use grantor::clock::Clock as ServerClock;
use grantor::site::Settings;
use grantor::store::NewClient;
use grantor_client::clock::Clock;
use grantor_client::connection::Connection;
use grantor_client::connections::Connections;
use grantor_client::random::Random;
use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::harness::{Server, TestClient};
use crate::wire::Wire;

/// What `grantor connect` catches by itself.
pub(crate) const LOOPBACK: &str = "http://127.0.0.1/callback";
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server behind a wire, a client of staging, and a folder for connections.
pub(crate) struct Party {
    pub(crate) server: Server,
    pub(crate) wire: Wire,
    pub(crate) client: TestClient,
    pub(crate) folder: tempfile::TempDir,
    /// Where the session of this partner has its bus, if there is one.
    pub(crate) session_bus: Option<String>,
}

/// `grantor connect`, waiting for its customer.
pub(crate) struct Connecting {
    pub(crate) child: Child,
    pub(crate) url: String,
    /// What it said until then.
    pub(crate) said: String,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>,
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Party {
    /// With a client that has this redirect URI, and is changed by `change`.
    pub(crate) async fn with(redirect_uri: &str, change: impl FnOnce(&mut NewClient)) -> Party {
        let wire = Wire::lay().await;
        let staging = wire.base_url();
        let server =
            Server::start_as(Settings::default(), true, |environment, address| match environment {
                Environment::Staging => staging.clone(),
                _ => format!("http://{address}"),
            })
            .await;
        wire.leads_to(&server.listening(Environment::Staging));
        let client = server
            .client_with(Environment::Staging, |client| {
                client.redirect_uris = vec![RedirectUri::register(redirect_uri).unwrap()];
                change(client);
            })
            .await;
        Party { server, wire, client, folder: private_folder(), session_bus: None }
    }

    /// With the usual client.
    pub(crate) async fn new() -> Party {
        Party::with(LOOPBACK, |_| ()).await
    }

    /// The same, connected under the name `mine`.
    pub(crate) async fn connected(change: impl FnOnce(&mut NewClient)) -> Party {
        let party = Party::with(LOOPBACK, change).await;
        party.connect(&["--name", "mine"]).await.done();
        party
    }

    pub(crate) fn connections_folder(&self) -> PathBuf {
        self.folder.path().join("connections")
    }

    /// The folder, as the library opens it.
    pub(crate) fn connections(&self) -> Connections {
        let (clock, random) = (Clock::system(), Random::system());
        Connections::open(&self.connections_folder(), &clock, &random).unwrap()
    }

    /// The connection of the usual name, as it stands on the disk.
    pub(crate) fn mine(&self) -> Connection {
        self.connections().find("mine").unwrap().unwrap()
    }

    /// Changes the connection of the usual name on the disk.
    pub(crate) async fn change(&self, change: impl FnOnce(&mut Connection)) {
        let connections = self.connections();
        let lock = connections.lock("mine").await.unwrap();
        let mut connection = self.mine();
        change(&mut connection);
        connections.keep(&connection, &lock).unwrap();
    }

    /// The access token ends now.
    pub(crate) async fn expire(&self) {
        self.change(|connection| connection.tokens.expires_at = ServerClock::system().now()).await;
    }

    /// The access token still lives, and ends so soon that it is to be renewed.
    pub(crate) async fn nearly_expire(&self) {
        let now = ServerClock::system().now();
        self.change(|connection| {
            connection.renewed_at = now - 3600;
            connection.tokens.expires_at = now + 40;
        })
        .await;
    }

    /// How far the grant of the server went, by its generation.
    pub(crate) fn generation(&self) -> i64 {
        self.server.number("SELECT MAX(generation) FROM grants")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = grantor(arguments);
        command.env("GRANTOR_CONNECTIONS", self.connections_folder());
        command.envs(self.session_bus.iter().map(|address| ("DBUS_SESSION_BUS_ADDRESS", address)));
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Answer {
        self.run_with(arguments, "").await
    }

    /// Runs a command with that on its standard input.
    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Answer {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // A command that fails early does not read it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
        ended(child).await
    }

    /// What is typed to connect, without what differs.
    pub(crate) fn connect_arguments<'a>(&'a self, base_url: &'a str) -> Vec<&'a str> {
        let (id, uri) = (self.client.id.as_str(), self.client.redirect_uri.as_str());
        let server = ["--server", base_url, "--client-id", id, "--redirect-uri", uri];
        [&["connect", "--no-browser", "--client-secret-stdin"][..], &server].concat()
    }

    /// Types `grantor connect`, with more behind it, and waits for the authorize URL.
    pub(crate) async fn begin(&self, more: &[&str]) -> Connecting {
        self.begin_with(more, &format!("{}\n", self.client.secret)).await
    }

    pub(crate) async fn begin_with(&self, more: &[&str], input: &str) -> Connecting {
        let base_url = self.wire.base_url();
        let arguments = [&self.connect_arguments(&base_url), more].concat();
        let mut child = self.command(&arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(input.as_bytes()).await.unwrap();
        Connecting::read(child).await
    }

    /// Connects, from the command to its end; the customer allows it.
    pub(crate) async fn connect(&self, more: &[&str]) -> Answer {
        let connecting = self.begin(more).await;
        let target = self.server.browser().allow(&connecting.url).await;
        visit(&target).await;
        connecting.end().await
    }
}

impl Connecting {
    /// Reads until the line that is the authorize URL.
    pub(crate) async fn read(mut child: Child) -> Connecting {
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
            let line = line.unwrap_or_else(|| panic!("no authorize URL: {said}"));
            if line.starts_with("http") {
                return Connecting { child, url: line, said, lines };
            }
            said.push_str(&line);
            said.push('\n');
        }
    }

    /// Types another line.
    pub(crate) async fn paste(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{text}\n").as_bytes()).await.unwrap();
    }

    /// Waits for its end. What it said before the URL stands in front.
    pub(crate) async fn end(mut self) -> Answer {
        let mut stderr = self.said;
        while let Some(line) =
            tokio::time::timeout(PATIENCE, self.lines.next_line()).await.unwrap().unwrap()
        {
            stderr.push_str(&line);
            stderr.push('\n');
        }
        let answer = ended(self.child).await;
        Answer { stderr, ..answer }
    }
}

impl Answer {
    /// Asserts that it did what was asked.
    #[track_caller]
    pub(crate) fn done(self) -> Answer {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Asserts that it refused in these words, and wrote no data.
    #[track_caller]
    pub(crate) fn refused(self, words: &[&str]) -> Answer {
        assert_eq!((self.code, self.stdout.as_str()), (1, ""), "{self:?}");
        for words in words {
            assert!(self.stderr.contains(words), "{self:?} does not say {words}");
        }
        self
    }

    /// Asserts one line of JSON.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        let answer = self.done();
        assert_eq!(answer.stdout.lines().count(), 1, "{answer:?}");
        serde_json::from_str(&answer.stdout).unwrap()
    }

    /// The one line that it wrote.
    #[track_caller]
    pub(crate) fn line(self) -> String {
        let answer = self.done();
        assert_eq!(answer.stdout.lines().count(), 1, "{answer:?}");
        answer.stdout.trim_end().to_owned()
    }
}

/// The program, with nothing of this machine's user in its environment.
pub(crate) fn grantor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grantor"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let of_this_user = ["GRANTOR_CLIENT_SECRET", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS"];
    for variable in of_this_user.into_iter().chain(["GRANTOR_LOG", "BROWSER"]) {
        command.env_remove(variable);
    }
    command.kill_on_drop(true).env("RUST_BACKTRACE", "0");
    command
}

/// What a command answered when it ended.
pub(crate) async fn ended(child: Child) -> Answer {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    Answer::from(output.expect("it does not end").unwrap())
}

impl From<Output> for Answer {
    fn from(output: Output) -> Answer {
        Answer {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// What a browser does with a redirect to this machine. Gives the status and the page.
pub(crate) async fn visit(target: &str) -> (u16, String) {
    let answer = reqwest::get(target).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Where a page leads that a browser was given as the address of a file.
pub(crate) fn led_to(opened: &str) -> String {
    let path = url::Url::parse(opened).unwrap().to_file_path().unwrap();
    let html = std::fs::read_to_string(path).unwrap();
    let (_, refresh) = html.split_once("content=\"0; url=").expect("a page that leads on");
    let (url, _) = refresh.split_once('"').unwrap();
    url.replace("&#38;", "&")
}

/// A program that plays the browser: a line of sh that gets what it is to open.
pub(crate) fn browser(folder: &Path, line: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("browser");
    std::fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

/// The content of a file, once it is there.
pub(crate) async fn written(path: &Path) -> String {
    let reading = async {
        loop {
            match std::fs::read_to_string(path) {
                Ok(text) => return text,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("nothing is written")
}

/// A folder of this user alone.
pub(crate) fn private_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let owner_alone = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(owner_alone).tempdir().unwrap()
}

/// Every file below a folder, with its permission bits.
pub(crate) fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.clone(), mode(&path)))
        .chain([(folder.to_owned(), mode(folder))])
        .collect()
}

//! The real `grantor` program, started and killed.

#![expect(unreachable_pub, reason = "seen by the other files of this binary alone")]

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use grantor::demo;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::harness::{Answer, Browser, basic, encode, form_body};

/// `grantor dev`, running. It is killed when it is dropped.
pub struct Dev {
    child: Child,
    /// What it printed.
    pub ready: Value,
    /// How long it took to be ready.
    pub took: Duration,
}

/// A command of `grantor`.
pub fn grantor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grantor"));
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command.env_remove("GRANTOR_LOG").env("RUST_BACKTRACE", "0");
    command
}

/// Runs a command to its end, within 20 s.
pub async fn run(arguments: &[&str]) -> Output {
    let output = grantor(arguments).output();
    tokio::time::timeout(Duration::from_secs(20), output).await.expect("it does not end").unwrap()
}

/// Starts dev, and answers before it is ready.
pub fn spawn_dev(data: &Path, more: &[&str]) -> Child {
    let data = data.to_str().unwrap();
    let arguments = [&["dev", "--port", "0", "--json", "--data", data], more].concat();
    let mut command = grantor(&arguments);
    command.env("GRANTOR_LOG", "trace").stdout(Stdio::piped());
    // Beside the data folder, one file for all runs.
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log_file(data.as_ref()));
    command.stderr(log.unwrap()).spawn().unwrap()
}

/// Where the log of all runs over a data folder stands.
pub fn log_file(data: &Path) -> std::path::PathBuf {
    data.with_extension("log")
}

impl Dev {
    /// Starts on this data, on free ports, and waits until it is ready.
    pub async fn start(data: &Path, more: &[&str]) -> Dev {
        #[expect(clippy::disallowed_methods, reason = "measures a process and no rule")]
        let begun = Instant::now();
        let mut child = spawn_dev(data, more);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
        let log = || std::fs::read_to_string(log_file(data)).unwrap();
        let line = line.expect("dev is not ready").unwrap();
        let line = line.unwrap_or_else(|| panic!("dev ended: {}", log()));
        Dev { child, ready: serde_json::from_str(&line).unwrap(), took: begun.elapsed() }
    }

    /// SIGKILL, and nothing else.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// A member of what it printed of staging.
    pub fn staging(&self, member: &str) -> &str {
        self.ready["environments"][0][member].as_str().unwrap()
    }

    /// The first step of the guide.
    pub fn authorize_url(&self, more: &str) -> String {
        format!(
            "{}/oauth/authorize?client_id={}&response_type=code&redirect_uri={}{more}",
            self.staging("base_url"),
            self.staging("client_id"),
            encode(self.staging("redirect_uri"))
        )
    }

    /// How the demo client calls the token endpoint.
    pub fn partner(&self) -> Partner {
        Partner {
            base_url: self.staging("base_url").to_owned(),
            authorization: basic(self.staging("client_id"), self.staging("client_secret")),
            redirect_uri: self.staging("redirect_uri").to_owned(),
        }
    }
}

/// The demo client's own side, which outlives the server.
#[derive(Clone)]
pub struct Partner {
    pub base_url: String,
    authorization: String,
    redirect_uri: String,
}

impl Partner {
    /// A browser whose customer signed in and allowed the demo client.
    pub async fn browser(&self, authorize_url: &str) -> Browser {
        let browser = new_browser();
        let target = browser.allow(authorize_url).await;
        assert!(target.contains("code="), "{target}");
        browser
    }

    /// A code, in silence: the customer allowed it before. `None` where the server went away.
    pub async fn code(&self, browser: &Browser, authorize_url: &str) -> Option<String> {
        let answer = browser.http.get(authorize_url).send().await.ok()?;
        let target = answer.headers().get("location")?.to_str().unwrap().to_owned();
        crate::harness::query(&target, "code")
    }

    /// An exchange. `None` where the server went away before its answer was whole.
    pub async fn exchange(&self, code: &str) -> Option<Answer> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
        ];
        self.post("/oauth/token", &form).await
    }

    /// A refresh.
    pub async fn refresh(&self, refresh_token: &str) -> Option<Answer> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        self.post("/oauth/token", &form).await
    }

    /// A revocation.
    pub async fn revoke(&self, token: &str) -> Option<Answer> {
        self.post("/oauth/revoke", &[("token", token)]).await
    }

    /// A question about a token.
    pub async fn introspect(&self, token: &str) -> Option<Answer> {
        self.post("/oauth/introspect", &[("token", token)]).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Option<Answer> {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", self.base_url))
            .header("Authorization", &self.authorization)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form_body(form));
        read(request).await
    }

    /// The status of a call to the API.
    pub async fn api(&self, access_token: &str) -> u16 {
        let url = format!("{}/f/data/businesses", self.base_url);
        read(reqwest::Client::new().get(url).bearer_auth(access_token)).await.unwrap().status
    }

    /// A client of the operator's own.
    pub fn new(
        base_url: &str,
        [client_id, client_secret]: [&str; 2],
        redirect_uri: &str,
    ) -> Partner {
        Partner {
            base_url: base_url.to_owned(),
            authorization: basic(client_id, client_secret),
            redirect_uri: redirect_uri.to_owned(),
        }
    }

    /// The same partner, before another server of the same store.
    pub fn at(&self, base_url: &str) -> Partner {
        Partner { base_url: base_url.to_owned(), ..self.clone() }
    }

    /// The same partner, for a server that listens elsewhere now.
    pub fn moved_to(&self, dev: &Dev) -> Partner {
        self.at(dev.staging("base_url"))
    }
}

async fn read(request: reqwest::RequestBuilder) -> Option<Answer> {
    let response = request.send().await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = serde_json::from_str(&response.text().await.ok()?).ok()?;
    Some(Answer { status, headers, body })
}

/// A browser that knows nothing yet.
pub fn new_browser() -> Browser {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .cookie_store(true)
        .build()
        .unwrap();
    Browser { http }
}

/// The password of the demo customer, which no log line may hold.
pub const PASSWORD: &str = demo::PASSWORD;

//! The guide "Protect your API: Rust", done as it stands there: its project is built, its configuration
//! is read, and its commands are typed against a running server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use grantor::config::Config;
use grantor::site::Settings;
use grantor_protocol::api::Apis;
use grantor_protocol::environment::Environment;
use tokio::process::{Child, Command};

use crate::calls::GRILL;
use crate::harness::{Server, TestClient, encode};

/// Where the guide's program listens.
const LISTENS: &str = "127.0.0.1:9000";
const RESOURCE: &str = "https://finance.example.com";
const CHECKER: &str = "finance-backend";

/// The blocks of the guide in one language, in their order.
fn blocks(language: &str) -> Vec<String> {
    let guide = repository().join("docs/guides/protect-rust.md");
    let text = fs::read_to_string(guide).unwrap();
    let begins = format!("```{language}\n");
    text.split(&begins).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The text, with what is the test's own in the place of what is an example. Each has to stand there:
/// a guide that changes must not be tested as it was.
#[track_caller]
fn replaced(text: &str, [from, to]: [&str; 2]) -> String {
    assert!(text.contains(from), "{from} is not in {text}");
    text.replace(from, to)
}

/// The APIs that the guide describes.
fn described() -> Apis {
    let [describes, _] = blocks("toml").try_into().unwrap();
    let before = "store = \"sqlite:grantor.db\"\nmaster_key_file = \"master.key\"\n\
                  [environment.staging]\nbase_url = \"https://oauth.example.com\"\n\
                  listen = \"127.0.0.1:8300\"\n";
    let text = format!("{before}{}", replaced(&describes, ["CLIENT_ID", CHECKER]));
    let config = Config::parse(&text, Path::new("grantor.toml")).unwrap();
    config.environment(Environment::Staging).unwrap().settings.apis.clone()
}

/// The guide's project. It is always in the same folder, so that what was built of it is found again.
struct Project {
    folder: PathBuf,
    /// Where its program listens.
    address: String,
}

impl Project {
    fn new(issuer: &str) -> Project {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("protect-rust");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address = port.to_string();
        let [_, manifest] = blocks("toml").try_into().unwrap();
        let source = repository();
        let manifest = replaced(&manifest, ["../grantor/", &format!("{}/", source.display())]);
        let [program] = blocks("rust").try_into().unwrap();
        let program = replaced(&program, ["https://oauth.example.com", issuer]);
        let program = replaced(&program, [LISTENS, &address]);
        fs::create_dir_all(folder.join("src")).unwrap();
        // It stands below this workspace, and belongs to none.
        fs::write(folder.join("Cargo.toml"), format!("{manifest}\n[workspace]\n")).unwrap();
        fs::write(folder.join("src/main.rs"), program).unwrap();
        // The versions that were fetched for the workspace, so that nothing is fetched for this.
        fs::copy(source.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        Project { folder, address }
    }

    /// Types a command of the guide there.
    fn types(&self, command: &str, variables: &[(&str, &str)]) -> Command {
        // Beside what the workspace built, most of which it can use.
        let program = Path::new(env!("CARGO_BIN_EXE_grantor"));
        let target = program.ancestors().nth(2).unwrap();
        let mut bash = Command::new("bash");
        bash.args(["-c", &format!("set -euo pipefail\n{command}")]).current_dir(&self.folder);
        bash.envs(variables.iter().copied());
        bash.env("CARGO_TARGET_DIR", target).env("CARGO_NET_OFFLINE", "true");
        bash.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
        bash.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        bash
    }

    async fn answers(&self, command: &str, variables: &[(&str, &str)]) -> String {
        let Output { status, stdout, stderr } =
            self.types(command, variables).output().await.unwrap();
        let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(status.success(), "{command}: {stdout}{stderr}");
        stdout
    }

    /// Runs the program by the guide's own command, and waits until it listens.
    async fn start(&self, command: &str, variables: &[(&str, &str)]) -> Child {
        assert_eq!(command, "cargo run\n");
        self.answers("cargo build", &[]).await;
        // In the place of the shell, so that it ends with the test.
        let mut child = self.types("exec cargo run", variables).spawn().unwrap();
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(&self.address).await.is_ok() {
                return child;
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        child.start_kill().unwrap();
        panic!("the program of the guide does not listen: {:?}", child.wait_with_output().await);
    }
}

/// A token of a customer, with what stands behind the parameters of the first step.
async fn token(server: &Server, client: &TestClient, more: &str) -> String {
    let code = server.code(client, more).await;
    server.exchange(client, &code).await.text("access_token").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_project_of_protect_your_api_rust_builds_and_does_what_the_page_says() {
    let server = Server::start_now(Settings { apis: described(), ..Settings::default() }).await;
    let checker =
        server.client_with(Environment::Staging, |client| client.id = CHECKER.to_owned()).await;
    let client = server.client().await;
    let project = Project::new(&server.staging.base_url);
    let [run, call, refused] = blocks("sh").try_into().unwrap();
    let [call, refused] = [call, refused].map(|it| replaced(&it, [LISTENS, &project.address]));
    let secrets = [("CLIENT_ID", checker.id.as_str()), ("CLIENT_SECRET", &checker.secret)];
    let mut running = project.start(&run, &secrets).await;

    let signed = token(&server, &client, &format!("&resource={}", encode(RESOURCE))).await;
    let sealed = token(&server, &client, "").await;
    assert!(signed.starts_with("ey") && sealed.starts_with("gr_access_"));
    let business = GRILL.to_string();
    for access_token in [signed.as_str(), &sealed] {
        let variables = [("ACCESS_TOKEN", access_token), ("BUSINESS", &business)];
        let expected = format!("the takings of {business}, for {}\n", client.id);
        assert_eq!(project.answers(&call, &variables).await, expected);
        let answer = project.answers(&refused, &variables).await;
        let [said] = blocks("text").try_into().unwrap();
        let said = replaced(&said, ["https://oauth.example.com", &server.staging.base_url]);
        for line in said.lines() {
            assert!(answer.lines().any(|each| each == line), "{line:?} is not in {answer:?}");
        }
    }
    running.start_kill().unwrap();
    running.wait().await.unwrap();
}

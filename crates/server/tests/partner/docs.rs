//! Each command of the partner's guides, as it stands there, in a home of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use grantor::demo;
use grantor_protocol::environment::Environment;
use tokio::process::Command;

use crate::harness::Server;
use crate::party::{Answer, browser, ended, led_to, private_folder, visit};

/// A user of this machine: a home, and a browser that somebody sits at.
struct User {
    server: Server,
    home: tempfile::TempDir,
}

impl User {
    async fn new() -> User {
        let user = User { server: Server::start().await, home: private_folder() };
        let line = format!(
            "printf %s \"$1\" > {0}/opened.new && mv {0}/opened.new {0}/opened",
            user.home.path().display()
        );
        browser(user.home.path(), &line);
        user
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }

    /// Types commands, one after the other, until one fails. Whoever opens a browser is answered.
    async fn types(&self, commands: &str) -> Answer {
        let staging = self.server.listening(Environment::Staging);
        let commands = commands.replace("http://127.0.0.1:8300", &staging);
        let program = Path::new(env!("CARGO_BIN_EXE_grantor")).parent().unwrap();
        let script = format!(
            "set -euo pipefail\nexport PATH={}:$PATH\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{commands}",
            program.display()
        );
        let mut bash = Command::new("bash");
        bash.args(["-c", &script])
            .env("HOME", self.home.path())
            .env("BROWSER", self.path("browser"));
        bash.env("GRANTOR_CLIENT_SECRET", demo::client_secret(Environment::Staging));
        for variable in ["GRANTOR_CONNECTIONS", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS"] {
            bash.env_remove(variable);
        }
        bash.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let running = ended(bash.spawn().unwrap());
        tokio::pin!(running);
        loop {
            tokio::select! {
                answer = &mut running => return answer.done(),
                () = tokio::time::sleep(Duration::from_millis(50)) => self.sit_at_the_browser().await,
            }
        }
    }

    async fn sit_at_the_browser(&self) {
        let Ok(opened) = std::fs::read_to_string(self.path("opened")) else {
            return;
        };
        std::fs::remove_file(self.path("opened")).unwrap();
        let target = self.server.browser().allow(&led_to(&opened)).await;
        visit(&target).await;
    }
}

/// The commands of a guide, block by block.
fn blocks(page: &str) -> Vec<String> {
    let guides = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides");
    let text = std::fs::read_to_string(guides.join(page)).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_command_of_connect_in_one_minute_does_what_the_page_says() {
    let user = User::new().await;
    let blocks = blocks("connect-command.md");
    assert!(blocks.len() >= 6 && blocks[0].starts_with("grantor connect"), "{blocks:?}");
    assert!(blocks.last().unwrap().starts_with("grantor logout"), "{blocks:?}");
    let answer = user.types(&blocks.concat()).await;
    // By `grantor api` and by curl.
    assert_eq!(answer.stdout.matches("9765040300495493").count(), 2, "{answer:?}");
    // By `grantor connect` and by `grantor token`; what is behind `logout` has none.
    assert_eq!(answer.stdout.matches("gr_access_").count(), 2, "{answer:?}");
    assert!(answer.stdout.contains("CONNECTION"), "{answer:?}");
    let kept = user.path(".local/share/grantor/connections");
    let left: Vec<_> =
        std::fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(
        left.iter().all(|path| path.extension().is_none_or(|end| end != "connection")),
        "{left:?}"
    );
}

#[tokio::test]
async fn each_command_of_share_a_token_does_what_the_page_says() {
    let user = User::new().await;
    user.types(&blocks("connect-command.md")[0]).await;
    let blocks = blocks("share-a-token.md");
    assert!(blocks.len() >= 5, "{blocks:?}");
    let socket =
        "until [ -S ~/.local/share/grantor/connections/broker.sock ]; do sleep 0.1; done\n";
    let commands: Vec<String> = blocks
        .iter()
        // Who types is slower than a broker that starts.
        .map(|block| match block.as_str() {
            "grantor broker &\n" => format!("{block}{socket}"),
            _ => block.clone(),
        })
        .collect();
    let until_listening =
        "until [ -s ~/.local/share/grantor/connections/broker.json ]; do sleep 0.1; done\n";
    let answer = user.types(&format!("{}{until_listening}", commands.concat())).await;
    assert!(answer.stdout.contains("9765040300495493"), "{answer:?}");
    let from_broker = answer.stdout.lines().find(|line| line.contains("\"expires_in\""));
    assert!(from_broker.is_some_and(|line| line.contains("gr_access_")), "{answer:?}");
    assert!(!answer.stdout.contains("gr_refresh_"), "{answer:?}");
}

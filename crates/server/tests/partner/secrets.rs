//! S28 at the partner's side: whatever a command writes, and whatever a server does to it, a secret
//! stands only where it was asked for.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantor_client::broker::Broker;
use grantor_client::http::Http;
use grantor_client::random::Random;
use grantor_client::secret::Secret;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, UnixStream};
use tokio::process::Command;

use crate::harness::query;
use crate::party::{Answer, Connecting, Party, ended, visit};
use crate::wire::echoing;

/// A token that no server gave: it stands in answers that cannot be used.
const CANARY: &str = "canary-of-an-answer-0123456789abcdef";
/// A secret that is wrong.
const WRONG_SECRET: &str = "canary-of-a-wrong-secret-0123456789";

/// What the commands wrote: their words, and the data of those that were not asked for a token.
#[derive(Default)]
struct Heard(Vec<String>);

impl Heard {
    /// Runs a command and hears all that it writes.
    async fn run(&mut self, party: &Party, arguments: &[&str], input: &str) -> Answer {
        let child = talkative(party.command(arguments)).stdin(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        // A command that fails early does not read it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
        let answer = ended(child).await;
        self.0.push(format!("{arguments:?}\n{}", answer.stderr));
        // `token` prints a token, and `api` what the API says.
        if !matches!(arguments[0], "token" | "api") {
            self.0.push(format!("{arguments:?}\n{}", answer.stdout));
        }
        answer
    }

    /// Connects with that secret. Gives the code, and whether it was taken.
    async fn connect(&mut self, party: &Party, secret: &str) -> (String, bool) {
        let base_url = party.wire.base_url();
        let arguments =
            [&party.connect_arguments(&base_url)[..], &["--name", "mine", "--explain"]].concat();
        let mut child = talkative(party.command(&arguments)).stdin(Stdio::piped()).spawn().unwrap();
        let typed = format!("{secret}\n");
        child.stdin.as_mut().unwrap().write_all(typed.as_bytes()).await.unwrap();
        let connecting = Connecting::read(child).await;
        let target = party.server.browser().allow(&connecting.url).await;
        let (_, page) = visit(&target).await;
        let answer = connecting.end().await;
        self.0.extend([answer.stderr, page]);
        (query(&target, "code").unwrap(), answer.code == 0)
    }

    fn without(&self, secrets: &[String]) {
        for text in &self.0 {
            for secret in secrets {
                assert!(secret.len() > 16, "{secret} may stand anywhere");
                assert!(!text.contains(secret), "{secret} stands in {text}");
            }
        }
    }
}

/// As much as can be had of a program.
fn talkative(mut command: Command) -> Command {
    command.env("GRANTOR_LOG", "trace").env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
    command
}

/// A server that answers each call alike, and says in it what it was sent. Without an answer it hangs up.
pub(crate) async fn echo(answer: Option<(u16, &'static str)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 8192];
            let read = stream.read(&mut head).await.unwrap_or_default();
            let Some((status, body)) = answer else {
                continue;
            };
            let sent = String::from_utf8_lossy(&head[..read]);
            let _ = stream.write_all(echoing(status, body, &sent).as_bytes()).await;
        }
    });
    url
}

/// What a server may answer where tokens are expected.
fn answers() -> Vec<Option<(u16, &'static str)>> {
    vec![
        None,
        Some((200, "SENT")),
        Some((200, r#"{"access_token":"canary-of-an-answer-0123456789abcdef","sent":"SENT"}"#)),
        Some((
            200,
            r#"{"access_token":"canary-of-an-answer-0123456789abcdef","token_type":"mac","x":"SENT"}"#,
        )),
        // As gateways wrap it, and in names of their own.
        Some((200, r#"{"data":[{"access_token":"canary-of-an-answer-0123456789abcdef"},"SENT"]}"#)),
        Some((200, r#"{"accessToken":"canary-of-an-answer-0123456789abcdef"}"#)),
        Some((200, r#"["canary-of-an-answer-0123456789abcdef","SENT"]"#)),
        Some((200, r#""canary-of-an-answer-0123456789abcdef SENT""#)),
        Some((400, "<html>SENT")),
        Some((400, r#"{"error":"invalid_request","sent":"SENT"}"#)),
        // As older servers word it.
        Some((400, r#"{"error":"invalid_request","error_description":"Invalid: SENT"}"#)),
        Some((401, "SENT")),
        Some((429, "SENT")),
        Some((503, "SENT")),
    ]
}

/// What is kept of the usual connection now.
fn kept(party: &Party) -> Vec<String> {
    let tokens = party.mine().tokens;
    let refresh_token = tokens.refresh_token.as_ref().map(Secret::expose);
    [Some(tokens.access_token.expose()), refresh_token]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s28_no_command_writes_a_secret_but_where_it_was_asked_for() {
    let party = Party::new().await;
    let mut heard = Heard::default();
    let (refused_code, taken) = heard.connect(&party, WRONG_SECRET).await;
    assert!(!taken);
    let (code, taken) = heard.connect(&party, &party.client.secret).await;
    assert!(taken);
    let mut secrets = vec![CANARY.into(), WRONG_SECRET.into(), party.client.secret.clone()];
    secrets.extend([refused_code, code]);
    secrets.extend(kept(&party));
    let wild = answers().into_iter().flatten();
    let exchanges = 2 + wild.clone().count();
    for (status, body) in wild {
        party.wire.answer_instead(status, body);
        let (code, taken) = heard.connect(&party, &party.client.secret).await;
        assert!(!taken, "{body}");
        secrets.push(code);
    }
    let verifiers = party.wire.sent("code_verifier");
    assert_eq!(verifiers.len(), exchanges);
    secrets.extend(verifiers);

    as_it_should_be(&party, &mut heard).await;
    secrets.extend(kept(&party));
    secrets.push(key_of_the_broker(&party, &mut heard).await);
    answered_wildly(&party, &mut heard).await;
    hanging(&party, &mut heard).await;

    secrets.extend(kept(&party));
    heard.run(&party, &["logout", "--json"], "").await.done();
    heard.run(&party, &["token"], "").await.refused(&["nothing is connected"]);
    heard.without(&secrets);
}

async fn as_it_should_be(party: &Party, heard: &mut Heard) {
    party.expire().await;
    for arguments in [
        &["token", "--output", "json"][..],
        &["api", "GET", "/f/data/businesses"],
        &["connections", "list"],
        &["connections", "list", "--json"],
        &["connections", "show"],
        &["connections", "show", "--json"],
    ] {
        heard.run(party, arguments, "").await.done();
    }
}

/// Starts a broker on loopback, has it serve a token and refuse one, and stops it.
async fn key_of_the_broker(party: &Party, heard: &mut Heard) -> String {
    let command = party.command(&["broker", "--listen", "127.0.0.1:0"]);
    let mut child = talkative(command).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.next_line().await.unwrap().unwrap();
    let shown: serde_json::Value = serde_json::from_str(&ready).unwrap();
    let file = std::fs::read(shown["key_file"].as_str().unwrap()).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let (url, key) = (file["url"].as_str().unwrap(), file["key"].as_str().unwrap());
    let http = reqwest::Client::new();
    for (path, key) in [("token", key), ("token?connection=nothing", key), ("token", "wrong")] {
        let call = http.get(format!("{url}/{path}")).bearer_auth(key);
        let answer = call.send().await.unwrap().text().await.unwrap();
        if path != "token" || key == "wrong" {
            heard.0.push(answer);
        }
    }
    let process = child.id().unwrap().to_string();
    Command::new("kill").args(["-TERM", &process]).status().await.unwrap();
    heard.0.extend([ready, ended(child).await.done().stderr]);
    key.to_owned()
}

/// Each command against a server that says what it was sent.
async fn answered_wildly(party: &Party, heard: &mut Heard) {
    let right = party.mine().server;
    for answer in answers() {
        let url = echo(answer).await;
        party.expire().await;
        party
            .change(|connection| {
                connection.server.token_endpoint.clone_from(&url);
                connection.server.revocation_endpoint = Some(url);
            })
            .await;
        heard.run(party, &["token"], "").await.refused(&["mine could not be renewed"]);
        heard.run(party, &["api", "GET", "/f/data/businesses"], "").await.refused(&[]);
        if !matches!(answer, Some((200, _))) {
            heard.run(party, &["logout"], "").await.refused(&["mine was not ended"]);
        }
        heard.run(party, &["connections", "show", "mine"], "").await.done();
    }
    party.change(|connection| connection.server = right).await;
}

/// A command that is ended while a server keeps it waiting, and a broker that is.
async fn hanging(party: &Party, heard: &mut Heard) {
    party.expire().await;
    party.wire.hold();
    let broker = talkative(party.command(&["broker"])).spawn().unwrap();
    let socket = party.connections_folder().join("broker.sock");
    while !socket.exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut caller = UnixStream::connect(&socket).await.unwrap();
    caller.write_all(b"GET /token HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    party.wire.held().await;
    let mut waiting = talkative(party.command(&["token"])).spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    for process in [broker.id().unwrap(), waiting.id().unwrap()] {
        let process = process.to_string();
        Command::new("kill").args(["-KILL", &process]).status().await.unwrap();
    }
    waiting.wait().await.unwrap();
    for child in [broker, waiting] {
        let output = child.wait_with_output().await.unwrap();
        heard.0.push(String::from_utf8(output.stderr).unwrap());
        heard.0.push(String::from_utf8(output.stdout).unwrap());
    }
    heard.run(party, &["token"], "").await.done();
}

/// Hears what every panic of this process from now on would write, with its backtrace.
fn panics() -> Arc<Mutex<Vec<String>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (hook, own) = (std::panic::take_hook(), Arc::clone(&heard));
    std::panic::set_hook(Box::new(move |panic| {
        let trace = std::backtrace::Backtrace::force_capture();
        own.lock().unwrap().push(format!("{panic}\n{panic:?}\n{trace}"));
        hook(panic);
    }));
    heard
}

/// Renews through that client, by the library and behind a broker on loopback. Gives what was said of
/// it, and the key of the broker.
async fn renewed_through(party: &Party, http: &Http) -> (Vec<String>, String) {
    let error = party.connections().valid(http, "mine", None).await.unwrap_err();
    let mut said = vec![format!("{error} {error:?}")];
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("broker.json");
    let random = Random::system();
    let drawn = (key_file.as_path(), &random);
    let address = "127.0.0.1:0".parse().unwrap();
    let broker = Broker::on_loopback(party.connections(), http.clone(), address, drawn).await;
    let broker = broker.unwrap();
    let url = format!("http://{}", broker.address().unwrap());
    let serving = tokio::spawn(broker.serve());
    let file: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&key_file).unwrap()).unwrap();
    let key = file["key"].as_str().unwrap().to_owned();
    for (path, status) in [("token", 500), ("connections", 200)] {
        let call = reqwest::Client::new().get(format!("{url}/{path}")).bearer_auth(&key);
        let answer = call.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        said.push(answer.text().await.unwrap());
    }
    serving.abort();
    (said, key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s28_a_panic_in_the_middle_of_a_refresh_brings_no_secret_to_light() {
    let party = Party::connected(|_| ()).await;
    party.expire().await;
    let mut secrets = kept(&party);
    secrets.push(party.client.secret.clone());
    let panics = panics();
    // At the call, and while it is on its way, with all that is sent at hand.
    let at_once = Http::given(|_| -> std::future::Ready<_> { panic!("at once") });
    let on_its_way = Http::given(|request| async move {
        tokio::task::yield_now().await;
        let _at_hand = request;
        panic!("on its way")
    });
    for http in [at_once, on_its_way] {
        let (said, key) = renewed_through(&party, &http).await;
        assert!(said[0].contains("ended in a panic"), "{said:?}");
        secrets.push(key);
        let written = std::mem::take(&mut *panics.lock().unwrap());
        assert_eq!(written.len(), 2, "{written:?}");
        Heard([said, written].concat()).without(&secrets);
    }
    // What somebody else writes into their panic is theirs to write; nobody is told it.
    let wordy = Http::given(|request| async move { panic!("{request:?}") });
    let (said, _) = renewed_through(&party, &wordy).await;
    let written = panics.lock().unwrap().concat();
    assert!(secrets.iter().any(|secret| written.contains(secret)), "{written}");
    Heard(said).without(&secrets);

    // The lock is free, and the mark says that something was begun.
    assert!(party.mine().under_way_since.is_some());
    party.run(&["token"]).await.line();
    assert_eq!(party.generation(), 2);
}

//! `grantor broker`: tokens for programs that hold no refresh token.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use grantor_client::broker::Broker;
use grantor_client::http::Http;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::party::{Answer, Party, ended};

/// A broker that runs.
struct Running {
    child: Child,
    ready: Value,
}

impl Running {
    async fn start(party: &Party, more: &[&str]) -> Running {
        let arguments = [&["broker"][..], more].concat();
        let mut child = party.command(&arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
        let line = line.unwrap().unwrap().expect("the broker ended");
        Running { child, ready: serde_json::from_str(&line).unwrap() }
    }

    fn socket(&self) -> &Path {
        Path::new(self.ready["socket"].as_str().unwrap())
    }

    async fn stop(self) -> Answer {
        self.ask_to_stop().await;
        ended(self.child).await
    }

    async fn ask_to_stop(&self) {
        let process = self.child.id().unwrap().to_string();
        Command::new("kill").args(["-TERM", &process]).status().await.unwrap();
    }
}

/// A call over the socket, as a program in any language makes it. Gives the status and the JSON.
async fn get(socket: &Path, path: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s15_workers_get_tokens_over_the_socket_and_one_refresh_serves_them_all() {
    let party = Party::connected(|client| client.settings.refresh_window_seconds = Some(0)).await;
    let broker = Running::start(&party, &[]).await;
    let (status, first) = get(broker.socket(), "/token").await;
    assert_eq!(
        (status, first["access_token"].as_str()),
        (200, Some(party.mine().tokens.access_token.expose()))
    );
    assert_eq!(first["connection"], "mine");
    party.expire().await;
    let calls = party.wire.token_calls();
    let workers: Vec<_> = (0..16)
        .map(|_| {
            let socket = broker.socket().to_owned();
            tokio::spawn(async move { get(&socket, "/token?connection=mine").await })
        })
        .collect();
    for worker in workers {
        let (status, answer) = worker.await.unwrap();
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            answer["access_token"].as_str(),
            Some(party.mine().tokens.access_token.expose())
        );
        assert!(answer.get("refresh_token").is_none(), "{answer}");
    }
    assert_eq!(party.wire.token_calls(), calls + 1);
    let (_, all) = get(broker.socket(), "/connections").await;
    assert_eq!(all["connections"][0]["connection"], "mine");
    for secret in [party.mine().tokens.access_token.expose(), &party.client.secret] {
        assert!(!all.to_string().contains(secret));
    }
    let (status, answer) = get(broker.socket(), "/token?connection=nothing").await;
    assert_eq!((status, &answer["error"]), (404, &json!("no_connection")));
    let socket = broker.socket().to_owned();
    let stopped = broker.stop().await.done();
    assert!(!stopped.stderr.contains(party.mine().tokens.access_token.expose()));
    assert!(!socket.exists());
}

#[tokio::test]
async fn another_user_of_the_machine_gets_nothing_even_where_the_socket_is_open_to_all() {
    let party = Party::connected(|_| ()).await;
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let socket = place.path().join("broker.sock");
    let broker = Running::start(&party, &["--socket", socket.to_str().unwrap()]).await;
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let ask = async |user: Option<u32>| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-i", "http://localhost/token", "--unix-socket"]).arg(&socket);
        curl.stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir("/");
        if let Some(user) = user {
            curl.uid(user).gid(user);
        }
        let output = curl.output().await.unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (own, _) = ask(None).await;
    assert!(own.contains("access_token"), "{own}");
    // Whoever is not root can be nobody else: that a caller of another user is refused is shown by a
    // test of the library there.
    if is_root() {
        let (answer, error) = ask(Some(65_534)).await;
        assert!(answer.is_empty() && error.starts_with("curl: (7)"), "{answer} {error}");
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
        let (answer, error) = ask(Some(65_534)).await;
        assert!(answer.contains("403") && answer.contains("another user"), "{answer} {error}");
        assert!(!answer.contains("access_token"), "{answer}");
    }
    broker.stop().await.done();
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

#[tokio::test]
async fn over_loopback_a_key_is_needed_which_stands_in_a_file_of_its_owner() {
    let party = Party::connected(|_| ()).await;
    let broker = Running::start(&party, &["--listen", "127.0.0.1:0"]).await;
    let file = Path::new(broker.ready["key_file"].as_str().unwrap()).to_owned();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(kept["url"], broker.ready["url"]);
    let url = format!("{}/token", kept["url"].as_str().unwrap());
    let key = kept["key"].as_str().unwrap();
    assert!(!broker.ready.to_string().contains(key));
    let http = reqwest::Client::new();
    let right = http.get(&url).bearer_auth(key).send().await.unwrap();
    assert_eq!(right.status().as_u16(), 200);
    assert!(right.text().await.unwrap().contains("access_token"));
    for wrong in
        [http.get(&url), http.get(&url).bearer_auth(&key[1..]), http.post(&url).bearer_auth("")]
    {
        let answer = wrong.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 403);
        assert!(!answer.text().await.unwrap().contains("access_token"));
    }
    broker.stop().await.done();
    assert!(!file.exists());
    party.run(&["broker", "--listen", "0.0.0.0:0"]).await.refused(&["the address is not loopback"]);
}

/// Any user of the machine can connect to a port.
#[tokio::test]
async fn callers_who_say_nothing_do_not_keep_the_owner_out_of_a_broker_on_loopback() {
    let party = Party::connected(|_| ()).await;
    let broker = Running::start(&party, &["--listen", "127.0.0.1:0"]).await;
    let file = std::fs::read(broker.ready["key_file"].as_str().unwrap()).unwrap();
    let kept: Value = serde_json::from_slice(&file).unwrap();
    let (url, key) = (kept["url"].as_str().unwrap(), kept["key"].as_str().unwrap());
    let address = url.strip_prefix("http://").unwrap();
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    let call = reqwest::Client::new().get(format!("{url}/token")).bearer_auth(key);
    // Sooner than they are sent away for their silence.
    let answer = call.timeout(Duration::from_secs(5)).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    drop(silent);
    broker.stop().await.done();
}

#[tokio::test]
async fn a_broker_replaces_the_socket_of_a_dead_one_and_no_living_one_and_no_file() {
    let party = Party::connected(|_| ()).await;
    let mut dead = Running::start(&party, &[]).await;
    let socket = dead.socket().to_owned();
    dead.child.kill().await.unwrap();
    assert!(socket.exists(), "a killed broker leaves its socket");
    let living = Running::start(&party, &[]).await;
    party.run(&["broker"]).await.refused(&["a broker is there already"]);
    assert_eq!(get(&socket, "/token").await.0, 200);
    living.stop().await.done();
    std::fs::write(&socket, "a file").unwrap();
    party.run(&["broker"]).await.refused(&["there is a file that is no socket"]);
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "a file");
}

#[tokio::test]
async fn a_second_broker_does_not_take_the_place_of_the_first() {
    let party = Party::connected(|_| ()).await;
    let more = ["--listen", "127.0.0.1:0"];
    let first = Running::start(&party, &more).await;
    let file = Path::new(first.ready["key_file"].as_str().unwrap()).to_owned();
    let kept = std::fs::read(&file).unwrap();
    let second = [&["broker"][..], &more].concat();
    party.run(&second).await.refused(&["a broker is there already"]);
    assert_eq!(std::fs::read(&file).unwrap(), kept);
    // Nor where somebody removed its socket.
    let on_socket = Running::start(&party, &[]).await;
    std::fs::remove_file(on_socket.socket()).unwrap();
    party.run(&["broker"]).await.refused(&["a broker is there already"]);
    first.stop().await.done();
    Running::start(&party, &more).await.stop().await.done();
}

#[tokio::test]
async fn d7_sigterm_lets_calls_under_way_end_and_takes_nobody_new() {
    let party = Party::connected(|_| ()).await;
    let broker = Running::start(&party, &[]).await;
    let socket = broker.socket().to_owned();
    party.expire().await;
    // The refresh takes over a second: two answers are lost, and asked for again.
    party.wire.lose(2);
    let calls = party.wire.token_calls();
    let under_way = tokio::spawn({
        let socket = socket.clone();
        async move { get(&socket, "/token").await }
    });
    while party.wire.token_calls() < calls + 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    broker.ask_to_stop().await;
    while socket.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(UnixStream::connect(&socket).await.is_err());
    let (status, answer) = under_way.await.unwrap();
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["access_token"], party.mine().tokens.access_token.expose());
    ended(broker.child).await.done();
}

/// A server that does not repeat itself says only once what the next refresh token is.
#[tokio::test]
async fn d7_sigterm_cuts_off_no_refresh_whose_caller_has_gone() {
    let party = Party::connected(|client| client.settings.refresh_window_seconds = Some(0)).await;
    let mut broker = Running::start(&party, &[]).await;
    let socket = broker.socket().to_owned();
    party.expire().await;
    party.wire.delay();
    let mut caller = UnixStream::connect(&socket).await.unwrap();
    caller.write_all(b"GET /token HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    party.wire.held().await;
    drop(caller);
    broker.ask_to_stop().await;
    while socket.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(broker.child.try_wait().unwrap().is_none(), "it left in the middle of a refresh");
    party.wire.let_go();
    ended(broker.child).await.done();
    assert_eq!((party.mine().under_way_since, party.generation()), (None, 2));
    party.expire().await;
    party.run(&["token"]).await.line();
    assert_eq!(party.generation(), 3);
}

#[tokio::test]
async fn d7_a_server_that_hangs_holds_a_broker_for_one_call_and_no_longer() {
    let party = Party::connected(|_| ()).await;
    let broker = Running::start(&party, &[]).await;
    let socket = broker.socket().to_owned();
    party.expire().await;
    party.wire.hold();
    let calls = party.wire.token_calls();
    let mut hanging = UnixStream::connect(&socket).await.unwrap();
    hanging.write_all(b"GET /token HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    party.wire.held().await;
    broker.ask_to_stop().await;
    // The caller is sent away sooner.
    let mut nothing = Vec::new();
    let reading = hanging.read_to_end(&mut nothing);
    let sent_away = tokio::time::timeout(Duration::from_secs(20), reading).await;
    assert_eq!(sent_away.expect("a caller holds it").unwrap(), 0);
    let stopped = tokio::time::timeout(Duration::from_secs(40), ended(broker.child)).await;
    stopped.expect("it waits for a server that hangs").done();
    assert_eq!(party.wire.token_calls(), calls + 1);
    // What it had begun is settled by the next one.
    party.run(&["token"]).await.line();
    assert_eq!(party.generation(), 2);
}

#[tokio::test]
async fn the_broker_says_what_ended_and_what_may_be_tried_again() {
    let party = Party::connected(|_| ()).await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let broker = Broker::on_socket(party.connections(), Http::new(), &socket).await.unwrap();
    let serving = tokio::spawn(broker.serve());
    let right = party.mine().server;
    party.expire().await;
    party.change(|one| one.server.token_endpoint = "http://127.0.0.1:9/".into()).await;
    let (status, answer) = get(&socket, "/token").await;
    assert_eq!((status, &answer["error"]), (503, &json!("not_now")), "{answer}");
    party.change(|one| one.server = right).await;
    party.server.execute("UPDATE grants SET revoked_at = 1");
    let (status, answer) = get(&socket, "/token").await;
    assert_eq!((status, &answer["error"]), (409, &json!("connection_ended")), "{answer}");
    let (status, _) = get(&socket, "/other").await;
    assert_eq!(status, 404);
    serving.abort();
}

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor::clock::Clock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, Stream};

use crate::house::{Answer, House, free_address, text};

/// A server that is ready. It is ended with the test.
struct Server {
    child: Option<Child>,
    address: SocketAddr,
}

impl Server {
    /// Starts one with staging alone at a free address, and whatever `more` adds.
    fn start(house: &House, more: &str) -> Server {
        Server::start_with(house, more, &[])
    }

    /// Starts one with these variables too.
    fn start_with(house: &House, more: &str, variables: &[(&str, &str)]) -> Server {
        let address = free_address();
        let scheme = if more.contains("tls = ") { "https" } else { "http" };
        house.write(
            "grantor.toml",
            &config(&format!("{scheme}://localhost:{}", address.port()), address, more),
        );
        let mut child = house.start_with(&["serve", "--json"], variables);
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        if ready.is_empty() {
            panic!("{:?}", Answer::from(child.wait_with_output().unwrap()));
        }
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        assert_eq!(ready["environments"][0]["name"], "staging");
        assert_eq!(ready["environments"][0]["listen"], address.to_string());
        Server { child: Some(child), address }
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    fn ended(mut self) -> Answer {
        Answer::from(self.child.take().unwrap().wait_with_output().unwrap())
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn get(&self, path: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        read(&mut stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn read(stream: &mut impl std::io::Read) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

fn config(base_url: &str, listen: SocketAddr, more: &str) -> String {
    format!(
        "store = \"sqlite:grantor.db\"\nmaster_key_file = \"master.key\"\n[environment.staging]\n\
         base_url = \"{base_url}\"\nlisten = \"{listen}\"\n{more}"
    )
}

#[test]
fn a_bad_configuration_is_refused_with_its_line_and_a_hint() {
    let house = House::new();
    for (text, words, hint) in [
        (
            config("http://api.example.com", free_address(), ""),
            "grantor.toml:4: base_url is http",
            "https://",
        ),
        (
            config("https://api.example.com", "0.0.0.0:8300".parse().unwrap(), ""),
            "grantor.toml:5: this address",
            "tls =",
        ),
        (
            config("https://a.example", free_address(), "code_tll_seconds = 60"),
            "grantor.toml:6: unknown key",
            "",
        ),
        (
            config("https://a.example", free_address(), "code_ttl_seconds = \"60\""),
            "grantor.toml:6: invalid type",
            "3600",
        ),
    ] {
        house.write("grantor.toml", &text);
        let answer = house.run(&["serve"]).refused(words);
        assert!(answer.stderr.contains(hint), "{answer:?}");
        house.run(&["client", "list"]).refused(words);
    }
    assert!(!house.path("grantor.db").exists());
}

#[test]
fn d8_a_missing_wrong_or_readable_master_key_refuses_to_start_and_is_named() {
    let house = House::empty();
    let id = text(&house.json(&["init"]), "master_key_id").to_owned();
    let own = house.path("master.key");
    drop(Server::start(&house, ""));

    fs::set_permissions(&own, fs::Permissions::from_mode(0o644)).unwrap();
    let answer = house.run(&["serve"]).refused("others may read the master key");
    assert!(answer.stderr.contains(&format!("belongs to the master key {id}")), "{answer:?}");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).unwrap();

    fs::rename(&own, house.path("away")).unwrap();
    let answer = house.run(&["serve"]).refused("there is no master key");
    assert!(answer.stderr.contains(&format!("belongs to the master key {id}")), "{answer:?}");

    fs::write(&own, "id = \"mk-00000000\"\nepoch = 1\nkey = \"AAAA\"\n").unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).unwrap();
    let answer = house.run(&["serve"]).refused("is not a master key");
    assert!(answer.stderr.contains(&id), "{answer:?}");

    let other = text(&house.json(&["init", "other"]), "master_key_id").to_owned();
    fs::rename(house.path("other/master.key"), &own).unwrap();
    let answer =
        house.run(&["serve"]).refused(&format!("the database belongs to the master key {id}"));
    assert!(answer.stderr.contains(&other), "{answer:?}");

    fs::rename(house.path("away"), &own).unwrap();
    drop(Server::start(&house, ""));
}

#[test]
fn s26_a_database_with_demo_data_is_not_served_outside_dev() {
    let house = House::empty();
    let mut dev = house.start(&["dev", "--port", "0", "--data", "data", "--json"]);
    let mut ready = String::new();
    BufReader::new(dev.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
    dev.kill().unwrap();
    dev.wait().unwrap();
    assert!(ready.starts_with('{'), "{ready}");

    let text = config("https://a.example", free_address(), "");
    house.write("data/grantor.toml", &text);
    let answer = house.run(&["serve", "--config", "data/grantor.toml"]).refused("holds demo data");
    for name in [
        "client devp-staging-demo-partner-",
        "client devp-production-demo-",
        "customer customer@demo.example",
    ] {
        assert!(answer.stderr.contains(name), "{answer:?} does not name {name}");
    }
    let listed = house.json(&["client", "list", "--data", "data"]);
    assert_eq!(listed["clients"].as_array().unwrap().len(), 2);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let house = House::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    house.write("grantor.toml", &config("https://a.example", address, ""));
    let answer = house.run(&["serve"]).refused(&format!("cannot listen on {address}"));
    assert!(answer.stderr.contains("another process listens on port"), "{answer:?}");
}

#[test]
fn d7_sigterm_answers_what_is_under_way_takes_nothing_new_and_keeps_what_was_counted() {
    let house = House::new();
    let client = house.client();
    let (id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
    let server = Server::start(&house, "");
    assert!(server.get("/healthz").ends_with("\r\n\r\nok\n"));
    assert!(server.get("/readyz").ends_with("\r\n\r\nready\n"));

    let mut idle = server.connect();
    let mut half = server.connect();
    let body = "grant_type=authorization_code&code=none&redirect_uri=https://mycompany.com/redirection/ikentoo";
    write!(
        half,
        "POST /oauth/token HTTP/1.1\r\nhost: x\r\nauthorization: Basic {}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{}",
        STANDARD.encode(format!("{id}:{secret}")),
        body.len(),
        &body[..10]
    )
    .unwrap();
    std::thread::sleep(Duration::from_millis(300));

    let asked = Clock::system().stopwatch();
    server.signal("-TERM");
    // Somebody asked whether it is ready, and is told first; all else goes on meanwhile.
    std::thread::sleep(Duration::from_millis(300));
    let leaving = server.get("/readyz");
    assert!(leaving.starts_with("HTTP/1.1 503 ") && leaving.contains("about to end"), "{leaving}");
    assert!(server.get("/oauth/jwks").starts_with("HTTP/1.1 200 "));
    let refused = std::iter::repeat_with(|| TcpStream::connect(server.address).is_err());
    assert!(
        refused
            .take(250)
            .inspect(|_| std::thread::sleep(Duration::from_millis(20)))
            .any(|refused| refused)
    );
    half.write_all(&body.as_bytes()[10..]).unwrap();
    let answer = read(&mut half);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("invalid_grant"), "{answer}");

    let ended = server.ended().done();
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0, "an idle connection is closed");
    assert!(ended.stderr.contains("stopping") && ended.stderr.contains("stopped"), "{ended:?}");
    assert!(!ended.stderr.contains(secret), "s28: no secret in the log");
    let shown = house.json(&["client", "show", id]);
    assert!(shown["secrets"][0]["used_at"].is_i64(), "{shown}");
}

#[test]
fn d7_a_request_that_never_ends_does_not_hold_the_server_beyond_ten_seconds() {
    let house = House::new();
    let server = Server::start(&house, "");
    let mut half = server.connect();
    write!(half, "POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nx").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let asked = Clock::system().stopwatch();
    server.signal("-TERM");
    server.ended().done();
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[test]
fn s16_a_head_that_is_too_large_or_too_slow_is_not_waited_for() {
    let house = House::new();
    let server = Server::start(&house, "");
    let mut large = server.connect();
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n", "x".repeat(40_000));
    // The server may close before it has read all of it.
    let _ = large.write_all(head.as_bytes());
    let mut answer = Vec::new();
    let _ = large.read_to_end(&mut answer);
    assert!(
        answer.starts_with(b"HTTP/1.1 431 ") || answer.is_empty(),
        "{}",
        String::from_utf8_lossy(&answer)
    );

    let begun = Clock::system().stopwatch();
    let (mut silent, mut slow) = (server.connect(), server.connect());
    write!(slow, "GET / HTTP/1.1\r\nhost: ").unwrap();
    assert_eq!(silent.read(&mut [0; 1]).unwrap_or(0), 0);
    let _ = read(&mut slow);
    assert!((8..15).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert!(server.get("/healthz").starts_with("HTTP/1.1 200 "));
}

#[test]
fn the_log_can_be_json_and_says_which_environments_are_ready() {
    let house = House::new();
    let server = Server::start(&house, "[log]\nformat = \"json\"\n");
    server.get("/nosuch?code=canary-of-a-code");
    server.signal("-TERM");
    let ended = server.ended().done();
    let lines: Vec<serde_json::Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let ready = lines.iter().find(|line| line["message"] == "ready").unwrap();
    assert_eq!(ready["environment"], "staging");
    assert!(text(ready, "base_url").starts_with("http://localhost:"));
    assert!(!ended.stderr.contains("canary-of-a-code"));
}

#[test]
fn d7_the_metrics_have_an_address_of_their_own_and_end_with_the_rest() {
    let house = House::new();
    let metrics = free_address();
    let server = Server::start(&house, &format!("[metrics]\nlisten = \"{metrics}\"\n"));
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(metrics).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        read(&mut stream)
    };
    server.get("/nosuch");
    let answer = ask("/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let series =
        "grantor_requests_total{environment=\"staging\",route=\"(no route)\",status=\"404\"} 1";
    assert!(answer.contains(series), "{answer}");
    assert!(ask("/oauth/token").starts_with("HTTP/1.1 404 "));
    assert!(server.get("/metrics").starts_with("HTTP/1.1 404 "));

    let asked = Clock::system().stopwatch();
    server.signal("-TERM");
    server.ended().done();
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert!(TcpStream::connect(metrics).is_err());

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let more = format!("[metrics]\nlisten = \"{address}\"\n");
    house.write("grantor.toml", &config("https://a.example", free_address(), &more));
    house.run(&["serve"]).refused(&format!("cannot listen on {address}"));
}

#[test]
fn a_log_of_warnings_alone_has_no_line_for_requests_and_answers_as_ever() {
    let house = House::new();
    let server = Server::start_with(&house, "", &[("GRANTOR_LOG", "warn")]);
    let answer = server.get("/nosuch?code=x");
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("x-request-id: "), "{answer}");
    server.signal("-TERM");
    assert_eq!(server.ended().done().stderr, "");
}

/// A `grantor dev` whose output nobody reads, as in `grantor dev | head -0`, and the first of its
/// four ports. None where it ended before it listened.
fn deaf_dev(house: &House) -> Option<(u16, Child)> {
    let port = (0..50).map(|_| free_address().port()).find(|port| {
        *port < u16::MAX - 3
            && (0..4).all(|next| std::net::TcpListener::bind(("127.0.0.1", port + next)).is_ok())
    })?;
    let mut dev = house.start(&["dev", "--port", &port.to_string(), "--data", "data"]);
    drop(dev.stdout.take());
    let begun = Clock::system().stopwatch();
    while dev.try_wait().unwrap().is_none() {
        if (0..4).all(|next| TcpStream::connect(("127.0.0.1", port + next)).is_ok()) {
            return Some((port, dev));
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

#[test]
fn whoever_reads_no_further_ends_no_dev_and_hears_of_no_fault() {
    let house = House::empty();
    // Another test may take one of its ports before it does: then it ends, and is started on others.
    let (port, dev) = (0..10).find_map(|_| deaf_dev(&house)).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let answer = read(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let id = dev.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let ended = dev.wait_with_output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("error:"), "{stderr}");
}

#[test]
fn tls_certificates_are_reloaded_when_their_files_change() {
    let house = House::new();
    let first = renew(&house);
    let server =
        Server::start(&house, "tls = { certificate = \"chain.pem\", key = \"key.pem\" }\n");
    assert_eq!(presented(&server), first);

    // A look every few seconds.
    let second = renew(&house);
    let begun = Clock::system().stopwatch();
    while presented(&server) != second {
        assert!(begun.elapsed() < Duration::from_secs(15), "the new certificate is not taken");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Broken files keep the old one, also when somebody insists.
    house.write("chain.pem", "broken");
    server.signal("-HUP");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(presented(&server), second);

    let third = renew(&house);
    server.signal("-HUP");
    let begun = Clock::system().stopwatch();
    while presented(&server) != third {
        assert!(begun.elapsed() < Duration::from_secs(15), "SIGHUP is not heard");
        std::thread::sleep(Duration::from_millis(50));
    }
    server.signal("-TERM");
    let ended = server.ended().done();
    assert!(ended.stderr.contains("certificate.kept_the_old_one"), "{ended:?}");

    house.write("key.pem", "broken");
    house.run(&["serve"]).refused("cannot be used");
}

/// Writes a new certificate with its key, and answers with its bytes.
fn renew(house: &House) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    house.write("key.pem", &made.signing_key.serialize_pem());
    house.write("chain.pem", &made.cert.pem());
    made.cert.der().to_vec()
}

/// Asks over TLS for `/healthz`, and answers with the certificate that was presented.
fn presented(server: &Server) -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakesAny))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = server.connect();
    let mut stream = Stream::new(&mut connection, &mut socket);
    write!(stream, "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let answer = read(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    connection.peer_certificates().unwrap()[0].to_vec()
}

/// A test's own certificates are signed by nobody.
#[derive(Debug)]
struct TakesAny;

impl ServerCertVerifier for TakesAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::kept::{FRESH_SECONDS, MOST_KEPT, STALE_SECONDS};
use super::*;

const START: i64 = 1_800_000_000;
const STRANGER: ChosenBy = ChosenBy::Stranger;

/// A host that answers every call with these bytes, and counts the calls.
struct Host {
    port: u16,
    calls: Arc<AtomicU32>,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Host {
    async fn answering(answer: impl Into<Vec<u8>>) -> Host {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = Arc::new(Mutex::new(answer.into()));
        let calls = Arc::new(AtomicU32::new(0));
        let (counted, answers) = (Arc::clone(&calls), Arc::clone(&answer));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = answers.lock().unwrap().clone();
                tokio::spawn(async move {
                    let mut request = [0; 2048];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Host { port, calls, answer }
    }

    /// From now on it answers that.
    fn now_answers(&self, answer: impl Into<Vec<u8>>) {
        *self.answer.lock().unwrap() = answer.into();
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

fn json(headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// A network whose names lead elsewhere each time that they are asked for. It notes what is
/// connected to, and connects nobody.
#[derive(Clone, Default)]
struct Rebinding {
    answers: Vec<Vec<IpAddr>>,
    asked: Arc<AtomicU32>,
    dialled: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Network for Rebinding {
    fn addresses<'a>(&'a self, _host: &'a str) -> Pending<'a, Vec<IpAddr>> {
        let nth = self.asked.fetch_add(1, Ordering::SeqCst) as usize;
        let answer = self.answers[nth.min(self.answers.len() - 1)].clone();
        Box::pin(async move { Ok(answer) })
    }

    fn connect(&self, address: SocketAddr) -> Pending<'_, TcpStream> {
        self.dialled.lock().unwrap().push(address);
        Box::pin(async { Err(std::io::ErrorKind::ConnectionRefused.into()) })
    }
}

impl Rebinding {
    fn leading_to(answers: &[&[&str]]) -> Rebinding {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        Rebinding { answers: answers.iter().map(parse).collect(), ..Rebinding::default() }
    }

    fn reached_by(&self, reach: Reach) -> Outbound {
        Outbound::with_network(reach, Clock::manual(START), Box::new(self.clone()))
    }
}

const FAILING: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
const GONE: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

fn here() -> (Outbound, Clock) {
    let clock = Clock::manual(START);
    (Outbound::new(Reach::ThisMachine, clock.clone()), clock)
}

#[tokio::test]
async fn s23_a_document_is_kept_for_as_long_as_it_says_within_bounds() {
    let (outbound, clock) = here();
    for (headers, seconds) in [
        ("", KEPT_SECONDS),
        ("cache-control: max-age=600\r\n", 600),
        ("cache-control: no-store, max-age=0\r\n", KEPT_AT_LEAST_SECONDS),
        ("cache-control: max-age=99999999\r\n", KEPT_AT_MOST_SECONDS),
    ] {
        let host = Host::answering(json(headers, "{}")).await;
        let url = host.url("/a");
        assert_eq!(outbound.document(STRANGER, &url).await.unwrap(), "{}");
        clock.advance(seconds - 1);
        outbound.document(STRANGER, &url).await.unwrap();
        assert_eq!(host.calls(), 1, "{headers}");
        clock.advance(1);
        outbound.document(STRANGER, &url).await.unwrap();
        assert_eq!(host.calls(), 2, "{headers}");
        // Who misses something in it gets a new one, once a minute.
        outbound.fresh_document(STRANGER, &url).await.unwrap();
        assert_eq!(host.calls(), 2);
        clock.advance(FRESH_SECONDS);
        outbound.fresh_document(STRANGER, &url).await.unwrap();
        assert_eq!(host.calls(), 3);
    }
}

#[tokio::test]
async fn s23_what_is_no_document_is_named_and_not_asked_for_again_at_once() {
    let (outbound, clock) = here();
    let long = format!("[{}]", "1,".repeat(MAX_BYTES / 2));
    let endless =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{}", "x".repeat(200_000));
    for (answer, fault) in [
        (json("", &long), OutboundFault::TooLong),
        (endless, OutboundFault::TooLong),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into(), OutboundFault::Status),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\n{}".into(),
            OutboundFault::NotJson,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".into(), OutboundFault::NotJson),
        ("nonsense\r\n\r\n".into(), OutboundFault::Unreachable),
    ] {
        let host = Host::answering(answer).await;
        let url = host.url("/a");
        assert_eq!(outbound.document(STRANGER, &url).await, Err(fault));
        assert_eq!(outbound.document(STRANGER, &url).await, Err(fault));
        assert_eq!(outbound.fresh_document(STRANGER, &url).await, Err(fault));
        assert_eq!(host.calls(), 1, "{fault:?}");
        clock.advance(FRESH_SECONDS);
        assert_eq!(outbound.document(STRANGER, &url).await, Err(fault));
        assert_eq!(host.calls(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn s23_one_host_is_asked_ten_times_in_a_minute_and_no_more() {
    let (outbound, clock) = here();
    let host = Host::answering(json("", "{}")).await;
    for at in 0..MOST_OF_HOST[1] {
        outbound.document(STRANGER, &host.url(&format!("/{at}"))).await.unwrap();
    }
    assert_eq!(outbound.document(STRANGER, &host.url("/more")).await, Err(OutboundFault::Busy));
    assert_eq!(host.calls(), MOST_OF_HOST[1]);
    clock.advance(60);
    outbound.document(STRANGER, &host.url("/more")).await.unwrap();
}

#[test]
fn s23_an_address_is_https_and_plain_or_it_is_not_asked() {
    let takes = |reach, address: &str| Outbound::new(reach, Clock::manual(START)).takes(address);
    for (address, public, dev) in [
        ("https://app.example.com/client.json", true, true),
        ("https://app.example.com/", true, true),
        ("https://app.example.com/a?b=c", true, true),
        ("http://app.example.com/client.json", false, false),
        ("https://app.example.com:8443/a", false, false),
        ("https://user@app.example.com/a", false, false),
        ("https://app.example.com/a#b", false, false),
        ("https://app.example.com/a/../b", false, false),
        ("https://APP.example.com/a", false, false),
        ("https://app.example.com", false, false),
        ("https:///a", false, false),
        ("ftp://app.example.com/a", false, false),
        ("file:///etc/passwd", false, false),
        ("gopher://127.0.0.1/a", false, false),
        ("http://127.0.0.1:4000/a", false, true),
        ("http://localhost:4000/a", false, true),
        ("http://[::1]:4000/a", false, true),
        ("http://127.1/a", false, false),
        ("http://0x7f000001/a", false, false),
        ("http://2130706433/a", false, false),
    ] {
        assert_eq!(takes(Reach::Public, address), public, "{address}");
        assert_eq!(takes(Reach::ThisMachine, address), dev, "{address}");
    }
    let long = format!("https://app.example.com/{}", "a".repeat(MAX_URL_BYTES));
    assert!(!takes(Reach::Public, &long));
}

#[tokio::test]
async fn s23_in_production_nothing_on_this_machine_or_inside_is_reached() {
    let host = Host::answering(json("", "{}")).await;
    let outbound = Outbound::new(Reach::Public, Clock::manual(START));
    for address in ["https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest/"] {
        assert_eq!(
            outbound.document(STRANGER, address).await,
            Err(OutboundFault::NotPublic),
            "{address}"
        );
    }
    // A name that leads inside, alone or among others.
    for answer in [&["127.0.0.1"][..], &["8.8.8.8", "127.0.0.1"], &["fd00::1"]] {
        let network = Rebinding::leading_to(&[answer]);
        let outbound = network.reached_by(Reach::Public);
        let found = outbound.document(STRANGER, "https://inside.example/").await;
        assert_eq!(found, Err(OutboundFault::NotPublic));
        assert!(network.dialled.lock().unwrap().is_empty());
    }
    // Nor by a name in dev: there it is this machine's own names and literals alone.
    let network = Rebinding::leading_to(&[&["127.0.0.1"]]);
    let outbound = network.reached_by(Reach::ThisMachine);
    let found = outbound.document(STRANGER, "https://inside.example/").await;
    assert_eq!(found, Err(OutboundFault::NotPublic));
    assert_eq!(host.calls(), 0);
}

/// A server that looked at one answer of a name and connected by another was led inside, and by a
/// redirect once more.
#[tokio::test]
async fn s23_cve_2026_55671_neither_rebinding_nor_a_redirect_leads_inside() {
    let secret = Host::answering(json("", "{\"inside\":true}")).await;
    // First an address of the open internet, then this machine: the name is asked for once, and
    // what is connected to is what was looked at.
    let network = Rebinding::leading_to(&[&["8.8.8.8", "2606:4700::1111"], &["127.0.0.1"]]);
    let outbound = network.reached_by(Reach::Public);
    let found = outbound.document(STRANGER, "https://rebinding.example/").await;
    assert_eq!(found, Err(OutboundFault::Unreachable));
    assert_eq!(network.asked.load(Ordering::SeqCst), 1);
    let dialled = network.dialled.lock().unwrap().clone();
    assert_eq!(dialled, ["8.8.8.8:443", "[2606:4700::1111]:443"].map(|at| at.parse().unwrap()));
    // Whoever asks again looks again.
    let found = outbound.document(STRANGER, "https://rebinding.example/again").await;
    assert_eq!(found, Err(OutboundFault::NotPublic));
    assert_eq!(network.dialled.lock().unwrap().len(), 2);
    // A redirect is no answer, wherever it leads.
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let answer = format!(
            "HTTP/1.1 {status}\r\nlocation: {}\r\ncontent-type: application/json\r\n\
             content-length: 2\r\n\r\n{{}}",
            secret.url("/")
        );
        let host = Host::answering(answer).await;
        let (outbound, _) = here();
        let found = outbound.document(STRANGER, &host.url("/a")).await;
        assert_eq!(found, Err(OutboundFault::Status), "{status}");
        assert_eq!(host.calls(), 1);
    }
    assert_eq!(secret.calls(), 0);
}

#[tokio::test]
async fn s23_a_certificate_of_nobody_proves_nothing() {
    let (outbound, _) = here();
    let host = Host::answering(json("", "{}")).await;
    let url = format!("https://127.0.0.1:{}/a", host.port);
    assert_eq!(outbound.document(STRANGER, &url).await, Err(OutboundFault::Unreachable));
}

#[tokio::test(start_paused = true)]
async fn s23_a_host_that_never_answers_is_left_after_five_seconds() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://127.0.0.1:{}/a", listener.local_addr().unwrap().port());
    let (outbound, _) = here();
    assert_eq!(outbound.document(STRANGER, &url).await, Err(OutboundFault::TooSlow));
}

/// Anybody can name a key that nobody published, and so have it asked for anew.
#[tokio::test]
async fn s23_a_fault_takes_nothing_away_of_what_came_before() {
    let (outbound, clock) = here();
    for (answer, fault, stale_seconds) in
        [(FAILING, OutboundFault::Failing, STALE_SECONDS), (GONE, OutboundFault::Status, 0)]
    {
        let host = Host::answering(json("cache-control: max-age=600\r\n", "{}")).await;
        let url = host.url("/jwks");
        outbound.document(STRANGER, &url).await.unwrap();
        host.now_answers(answer);
        clock.advance(FRESH_SECONDS);
        assert_eq!(outbound.fresh_document(STRANGER, &url).await.unwrap(), "{}");
        assert_eq!(outbound.fresh_document(STRANGER, &url).await.unwrap(), "{}");
        assert_eq!(host.calls(), 2, "{fault:?}: the try is noted");
        clock.advance(600 - FRESH_SECONDS - 1);
        assert_eq!(outbound.document(STRANGER, &url).await.unwrap(), "{}");
        assert_eq!(host.calls(), 2, "{fault:?}");
        // Whose host is away serves a while longer; what is gone does not.
        clock.advance(stale_seconds);
        if stale_seconds > 0 {
            assert_eq!(outbound.document(STRANGER, &url).await.unwrap(), "{}");
            clock.advance(FRESH_SECONDS);
        }
        clock.advance(1);
        assert_eq!(outbound.document(STRANGER, &url).await, Err(fault));
        host.now_answers(json("", "[]"));
        clock.advance(FRESH_SECONDS);
        assert_eq!(outbound.document(STRANGER, &url).await.unwrap(), "[]");
    }
}

#[tokio::test]
async fn s23_what_is_refused_by_its_looks_takes_no_room() {
    let (outbound, _) = here();
    for at in 0..2 * MOST_KEPT {
        let url = format!("https://10.0.{}.{}/x", at / 256, at % 256);
        assert_eq!(outbound.document(STRANGER, &url).await, Err(OutboundFault::NotPublic));
    }
    assert_eq!(outbound.0.desks[1].lock().len(), (0, 0));
}

#[tokio::test]
async fn s23_where_there_is_no_room_the_oldest_goes_and_never_a_document_for_a_fault() {
    let (outbound, clock) = here();
    let host = Host::answering(json("", "{}")).await;
    outbound.document(STRANGER, &host.url("/first")).await.unwrap();
    // A name that nobody has is of the open internet as far as anybody can tell.
    let network = Rebinding::leading_to(&[&[]]);
    let strange = network.reached_by(Reach::Public);
    for (outbound, at) in (0..2 * MOST_KEPT).map(|at| (&strange, at)) {
        let url = format!("https://{at}.example/");
        assert_eq!(outbound.document(STRANGER, &url).await, Err(OutboundFault::Unreachable));
    }
    assert_eq!(strange.0.desks[1].lock().len(), (MOST_KEPT, MOST_KEPT));
    // The same beside a document, which stays.
    let now = clock.now();
    for at in 0..2 * MOST_KEPT {
        let url = format!("https://{at}.example/");
        let mut kept = outbound.0.desks[1].lock();
        assert_eq!(kept.keep(&url, Err(OutboundFault::TooSlow), now), Err(OutboundFault::TooSlow));
        assert!(kept.count(&format!("{at}.example"), 1, now));
    }
    assert_eq!(outbound.0.desks[1].lock().len(), (MOST_KEPT, MOST_KEPT));
    outbound.document(STRANGER, &host.url("/first")).await.unwrap();
    assert_eq!(host.calls(), 1);
}

/// A network in which the open internet never answers, and this machine does.
struct Silent;

impl Network for Silent {
    fn addresses<'a>(&'a self, _host: &'a str) -> Pending<'a, Vec<IpAddr>> {
        Box::pin(async { Ok(vec!["8.8.8.8".parse().unwrap()]) })
    }

    fn connect(&self, address: SocketAddr) -> Pending<'_, TcpStream> {
        if address.ip().is_loopback() {
            return Box::pin(TcpStream::connect(address));
        }
        Box::pin(std::future::pending())
    }
}

/// Strangers who have a host asked often, and hosts that never answer, keep no partner out.
#[tokio::test]
async fn s23_what_strangers_name_takes_nothing_from_what_partners_name() {
    let outbound =
        Outbound::with_network(Reach::ThisMachine, Clock::manual(START), Box::new(Silent));
    let host = Host::answering(json("", "{}")).await;
    for at in 0..MOST_OF_HOST[1] {
        outbound.document(STRANGER, &host.url(&format!("/{at}"))).await.unwrap();
    }
    let more = host.url("/more");
    assert_eq!(outbound.document(STRANGER, &more).await, Err(OutboundFault::Busy));
    outbound.document(ChosenBy::Company, &more).await.unwrap();
    // All turns of strangers are taken by hosts that never answer.
    let waiting: Vec<_> = (0..MOST_AT_ONCE[1])
        .map(|at| {
            let outbound = outbound.clone();
            let url = format!("https://{at}.example/");
            tokio::spawn(async move { outbound.document(STRANGER, &url).await })
        })
        .collect();
    while outbound.0.desks[1].at_once.available_permits() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    outbound.document(ChosenBy::Company, &host.url("/jwks")).await.unwrap();
    // A stranger who was here before is served by what came then.
    outbound.document(STRANGER, &host.url("/0")).await.unwrap();
    let found = outbound.document(STRANGER, &host.url("/other")).await;
    assert_eq!(found, Err(OutboundFault::Busy));
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn s23_many_who_want_one_document_at_once_ask_for_it_once() {
    let (outbound, _) = here();
    let host = Host::answering(json("", "{}")).await;
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (outbound, url) = (outbound.clone(), host.url("/jwks"));
            tokio::spawn(async move { outbound.document(ChosenBy::Company, &url).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "{}");
    }
    assert_eq!(host.calls(), 1);
}

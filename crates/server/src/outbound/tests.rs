use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const START: i64 = 1_800_000_000;

/// A host that answers every call with these bytes, and counts the calls.
struct Host {
    port: u16,
    calls: Arc<AtomicU32>,
}

impl Host {
    async fn answering(answer: impl Into<Vec<u8>>) -> Host {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (port, answer) = (listener.local_addr().unwrap().port(), answer.into());
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut request = [0; 2048];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Host { port, calls }
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

/// A host whose addresses are another set each time that it is asked for.
struct Rebinding {
    answers: Vec<Vec<IpAddr>>,
    asked: Arc<AtomicU32>,
}

impl Names for Rebinding {
    fn addresses<'a>(
        &'a self,
        _host: &'a str,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send + 'a>> {
        let nth = self.asked.fetch_add(1, Ordering::SeqCst) as usize;
        let answer = self.answers[nth.min(self.answers.len() - 1)].clone();
        Box::pin(async move { Ok(answer) })
    }
}

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
        assert_eq!(outbound.document(&url).await.unwrap(), "{}");
        clock.advance(seconds - 1);
        outbound.document(&url).await.unwrap();
        assert_eq!(host.calls(), 1, "{headers}");
        clock.advance(1);
        outbound.document(&url).await.unwrap();
        assert_eq!(host.calls(), 2, "{headers}");
        // Who misses something in it gets a new one, once a minute.
        outbound.fresh_document(&url).await.unwrap();
        assert_eq!(host.calls(), 2);
        clock.advance(FRESH_SECONDS);
        outbound.fresh_document(&url).await.unwrap();
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
        assert_eq!(outbound.document(&url).await, Err(fault));
        assert_eq!(outbound.document(&url).await, Err(fault));
        assert_eq!(outbound.fresh_document(&url).await, Err(fault));
        assert_eq!(host.calls(), 1, "{fault:?}");
        clock.advance(FAULT_KEPT_SECONDS);
        assert_eq!(outbound.document(&url).await, Err(fault));
        assert_eq!(host.calls(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn s23_one_host_is_asked_ten_times_in_a_minute_and_no_more() {
    let (outbound, clock) = here();
    let host = Host::answering(json("", "{}")).await;
    for at in 0..MOST_OF_HOST {
        outbound.document(&host.url(&format!("/{at}"))).await.unwrap();
    }
    assert_eq!(outbound.document(&host.url("/more")).await, Err(OutboundFault::Busy));
    assert_eq!(host.calls(), MOST_OF_HOST);
    clock.advance(60);
    outbound.document(&host.url("/more")).await.unwrap();
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
        assert_eq!(outbound.document(address).await, Err(OutboundFault::NotPublic), "{address}");
    }
    // A name that leads inside, alone or among others.
    let inside = IpAddr::from(Ipv4Addr::LOCALHOST);
    let outside: IpAddr = "8.8.8.8".parse().unwrap();
    for answer in [vec![inside], vec![outside, inside], vec!["fd00::1".parse().unwrap()]] {
        let names = Rebinding { answers: vec![answer], asked: Arc::default() };
        let outbound = Outbound::with_names(Reach::Public, Clock::manual(START), Box::new(names));
        let found = outbound.document("https://inside.example/").await;
        assert_eq!(found, Err(OutboundFault::NotPublic));
    }
    // Nor by a name in dev: there it is this machine's own names and literals alone.
    let names = Rebinding { answers: vec![vec![inside]], asked: Arc::default() };
    let outbound = Outbound::with_names(Reach::ThisMachine, Clock::manual(START), Box::new(names));
    let found = outbound.document("https://inside.example/").await;
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
    let asked = Arc::new(AtomicU32::new(0));
    let unroutable: IpAddr = "192.0.2.1".parse().unwrap();
    let names = Rebinding {
        answers: vec![vec!["8.8.8.8".parse().unwrap()], vec![Ipv4Addr::LOCALHOST.into()]],
        asked: Arc::clone(&asked),
    };
    let outbound = Outbound::with_names(Reach::Public, Clock::manual(START), Box::new(names));
    let url = Url::parse("https://rebinding.example/").unwrap();
    let checked = outbound.checked_addresses(&url).await.unwrap();
    assert_eq!(checked, ["8.8.8.8".parse::<IpAddr>().unwrap()]);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let second = outbound.checked_addresses(&url).await;
    assert_eq!(second, Err(OutboundFault::NotPublic), "whoever asks again looks again");
    assert!(!is_public(unroutable));
    // A redirect is no answer, wherever it leads.
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let answer = format!(
            "HTTP/1.1 {status}\r\nlocation: {}\r\ncontent-type: application/json\r\n\
             content-length: 2\r\n\r\n{{}}",
            secret.url("/")
        );
        let host = Host::answering(answer).await;
        let (outbound, _) = here();
        let found = outbound.document(&host.url("/a")).await;
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
    assert_eq!(outbound.document(&url).await, Err(OutboundFault::Unreachable));
}

#[tokio::test(start_paused = true)]
async fn s23_a_host_that_never_answers_is_left_after_five_seconds() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://127.0.0.1:{}/a", listener.local_addr().unwrap().port());
    let (outbound, _) = here();
    assert_eq!(outbound.document(&url).await, Err(OutboundFault::TooSlow));
}

//! Documents that clients name by an address: their keys, and their own descriptions; and calls to an
//! address that a partner named (S23).
//!
//! A stranger chooses the address, so fetching it is done with care:
//!
//! 1. the address is https, on the usual port, with nothing in it that a reader could mistake;
//! 2. its host is resolved once, and each address that comes is one of the open internet
//!    (`address.rs`): were one of them inside, nothing is fetched;
//! 3. the connection goes to an address that was looked at, and to no other: nothing here resolves a
//!    name a second time;
//! 4. a redirect is no answer, whatever it says; nor is anything but JSON, or more than
//!    [`MAX_BYTES`], or what takes longer than [`TIME_LIMIT`];
//! 5. what came is kept for as long as it says, between five minutes and a day, and a fault takes
//!    none of it away (`kept.rs`): nobody makes this server knock at a door again and again;
//! 6. what the company's own clients name and what strangers name share nothing, neither room nor
//!    turns ([`ChosenBy`]): no stranger keeps a partner out.
//!
//! `post.rs` makes a call with the same care: of its answer the status counts, and nothing is kept.

mod address;
mod kept;
mod post;

pub use post::{POST_TIME_LIMIT, Post};

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HOST, USER_AGENT};
use axum::http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use self::address::is_public;
use self::kept::{KEPT_AT_LEAST_SECONDS, KEPT_AT_MOST_SECONDS, KEPT_SECONDS, Kept};
use crate::clock::Clock;

/// No document is longer, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// How long a fetch may take, all of it.
pub const TIME_LIMIT: Duration = Duration::from_secs(5);
/// How long somebody waits until fewer are fetched.
const WAIT: Duration = Duration::from_secs(1);
/// No more are fetched at once: of what the company's clients name, and of what strangers name.
const MOST_AT_ONCE: [usize; 2] = [16, 32];
/// So often in a minute one host is asked at most, in the same order. Partners may share a host.
const MOST_OF_HOST: [u32; 2] = [60, 10];
/// No address is longer, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// How far this server reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The open internet, by https: everywhere but in dev.
    Public,
    /// This machine too, by http: for `grantor dev`, whose clients are here.
    ThisMachine,
}

/// Who chose an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChosenBy {
    /// A partner whose client the company made.
    Company,
    /// Anybody at all.
    Stranger,
}

/// Why there is no document. It compares, and says nothing of what is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundFault {
    /// no https address on the usual port, or one with a user, a fragment, or dots for steps
    Address,
    /// its host is not of the open internet
    NotPublic,
    /// its host has no address, or does not answer
    Unreachable,
    /// it took too long
    TooSlow,
    /// a status by which its host says that it cannot answer just now
    Failing,
    /// another status than 200; a redirect too
    Status,
    /// longer than [`MAX_BYTES`]
    TooLong,
    /// not JSON, by its content type
    NotJson,
    /// this server fetches too much just now, or asked that host too often
    Busy,
}

/// What is out there: the addresses of a host, and what answers at them.
pub trait Network: Send + Sync {
    /// All addresses of a host. Nothing is connected to that did not come from here.
    fn addresses<'a>(&'a self, host: &'a str) -> Pending<'a, Vec<IpAddr>>;

    /// A connection to that address, and to no other.
    fn connect(&self, address: SocketAddr) -> Pending<'_, TcpStream> {
        Box::pin(TcpStream::connect(address))
    }
}

/// What comes of the network.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = std::io::Result<T>> + Send + 'a>>;

/// What fetches. Cloned freely: all clones are one.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

struct Inner {
    reach: Reach,
    network: Box<dyn Network>,
    clock: Clock,
    tls: OnceLock<Option<TlsConnector>>,
    desks: [Desk; 2],
}

/// What one side has for itself.
struct Desk {
    kept: Mutex<Kept>,
    at_once: Semaphore,
    most_of_host: u32,
}

/// The network of the system.
struct System;

impl Network for System {
    fn addresses<'a>(&'a self, host: &'a str) -> Pending<'a, Vec<IpAddr>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 443)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

impl OutboundFault {
    /// What is wrong, for whoever runs the app.
    pub fn words(self) -> &'static str {
        match self {
            OutboundFault::Address => {
                "Its address is not https on the usual port, with a host and a path and nothing else."
            }
            // One sentence: whoever reads it may be asking which names and addresses are inside.
            OutboundFault::NotPublic | OutboundFault::Unreachable => {
                "Its host cannot be reached over the open internet."
            }
            OutboundFault::Failing => "Its host cannot answer just now.",
            OutboundFault::TooSlow => "Its host took too long to answer.",
            OutboundFault::Status => "Its host did not answer 200. Redirects are not followed.",
            OutboundFault::TooLong => "It is longer than 64 KiB.",
            OutboundFault::NotJson => "Its content type is not JSON.",
            OutboundFault::Busy => "It was asked for too often just now. Try again in a minute.",
        }
    }

    /// Whether it says nothing of the document: its host is away, and may come back.
    fn passes(self) -> bool {
        match self {
            OutboundFault::Unreachable
            | OutboundFault::TooSlow
            | OutboundFault::Failing
            | OutboundFault::Busy => true,
            OutboundFault::Address
            | OutboundFault::NotPublic
            | OutboundFault::Status
            | OutboundFault::TooLong
            | OutboundFault::NotJson => false,
        }
    }
}

impl Outbound {
    /// Reaches as far as that.
    pub fn new(reach: Reach, clock: Clock) -> Outbound {
        Outbound::with_network(reach, clock, Box::new(System))
    }

    /// The same, with another network.
    pub fn with_network(reach: Reach, clock: Clock, network: Box<dyn Network>) -> Outbound {
        let desks = [0, 1].map(|side| Desk {
            kept: Mutex::default(),
            at_once: Semaphore::new(MOST_AT_ONCE[side]),
            most_of_host: MOST_OF_HOST[side],
        });
        Outbound(Arc::new(Inner { reach, network, clock, tls: OnceLock::new(), desks }))
    }

    /// Whether this server would fetch such an address at all.
    pub fn takes(&self, address: &str) -> bool {
        self.parse(address).is_ok()
    }

    /// The JSON document at that address, as it was a while ago.
    ///
    /// # Errors
    /// [`OutboundFault`]
    pub async fn document(
        &self,
        chosen_by: ChosenBy,
        address: &str,
    ) -> Result<Bytes, OutboundFault> {
        self.bring(chosen_by, address, Kept::good).await
    }

    /// The same, and tried a minute ago at most: for whoever misses in it what must have come
    /// lately.
    ///
    /// # Errors
    /// [`OutboundFault`]
    pub async fn fresh_document(
        &self,
        chosen_by: ChosenBy,
        address: &str,
    ) -> Result<Bytes, OutboundFault> {
        self.bring(chosen_by, address, Kept::fresh).await
    }

    async fn bring(
        &self,
        chosen_by: ChosenBy,
        address: &str,
        kept: impl Fn(&Kept, &str, i64) -> Option<Result<Bytes, OutboundFault>>,
    ) -> Result<Bytes, OutboundFault> {
        let desk = match chosen_by {
            ChosenBy::Company => &self.0.desks[0],
            ChosenBy::Stranger => &self.0.desks[1],
        };
        let found = || kept(&desk.lock(), address, self.0.clock.now());
        if let Some(answer) = found() {
            return answer;
        }
        let url = self.parse(address)?;
        // Here nobody was asked yet: it takes no room and nobody's turn.
        self.check_literal(&url).inspect_err(|fault| note(*fault, &url))?;
        let busy = || desk.lock().without_asking(address, self.0.clock.now());
        let turn = desk.lock().turn(address);
        let Ok(_turn) = timeout(TIME_LIMIT, turn.lock()).await else { return busy() };
        // Somebody may have asked meanwhile.
        if let Some(answer) = found() {
            return answer;
        }
        let Ok(Ok(_permit)) = timeout(WAIT, desk.at_once.acquire()).await else { return busy() };
        let host = url.host_str().unwrap_or_default();
        // Nobody uses this server to knock at another's door.
        if !desk.lock().count(host, desk.most_of_host, self.0.clock.now()) {
            return busy();
        }
        let came = timeout(TIME_LIMIT, self.fetch(&url)).await;
        let came = came.unwrap_or(Err(OutboundFault::TooSlow));
        if let Err(fault) = &came {
            note(*fault, &url);
        }
        desk.lock().keep(address, came, self.0.clock.now())
    }

    fn parse(&self, address: &str) -> Result<Url, OutboundFault> {
        let url = Url::parse(address).map_err(|_| OutboundFault::Address)?;
        let is_local = self.0.reach == Reach::ThisMachine && is_this_machine(&url);
        let by_scheme = match url.scheme() {
            "https" => url.port().is_none() || is_local,
            "http" => is_local,
            _ => false,
        };
        // What a reader makes of it is what stands there: no dots, no escapes of the host, no case.
        let is_plain = url.as_str() == address && address.len() <= MAX_URL_BYTES;
        let is_bare = url.username().is_empty() && url.password().is_none();
        let is_whole = is_plain && is_bare && url.fragment().is_none() && url.host().is_some();
        (by_scheme && is_whole).then_some(url).ok_or(OutboundFault::Address)
    }

    async fn fetch(&self, url: &Url) -> Result<(Bytes, i64), OutboundFault> {
        let request = Request::get(target(url))
            .header(HOST, authority(url))
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "grantor")
            .body(Full::default())
            .map_err(|_| OutboundFault::Address)?;
        read(self.send(url, request).await?).await
    }

    /// Sends a request to an address that was looked at.
    async fn send(
        &self,
        url: &Url,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, OutboundFault> {
        let addresses = self.checked_addresses(url).await?;
        let port = url.port_or_known_default().ok_or(OutboundFault::Address)?;
        let host = url.host_str().ok_or(OutboundFault::Address)?;
        let mut stream = None;
        for address in addresses {
            if let Ok(open) = self.0.network.connect(SocketAddr::new(address, port)).await {
                stream = Some(open);
                break;
            }
        }
        let stream = stream.ok_or(OutboundFault::Unreachable)?;
        if url.scheme() == "https" {
            let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(name).map_err(|_| OutboundFault::Address)?;
            let tls = self.tls().ok_or(OutboundFault::Unreachable)?;
            let stream = tls.connect(name, stream).await;
            exchange(stream.map_err(|_| OutboundFault::Unreachable)?, request).await
        } else {
            exchange(stream, request).await
        }
    }

    /// The addresses of the host, each looked at. One that is inside spoils all: who mixes them
    /// means no good.
    async fn checked_addresses(&self, url: &Url) -> Result<Vec<IpAddr>, OutboundFault> {
        let addresses = match url.host() {
            Some(Host::Ipv4(address)) => vec![IpAddr::from(address)],
            Some(Host::Ipv6(address)) => vec![IpAddr::from(address)],
            Some(Host::Domain(host)) => {
                let found = self.0.network.addresses(host).await;
                found.map_err(|_| OutboundFault::Unreachable)?
            }
            None => return Err(OutboundFault::Address),
        };
        match addresses.as_slice() {
            [] => Err(OutboundFault::Unreachable),
            all if all.iter().all(|address| self.may_reach(url, *address)) => Ok(addresses),
            _ => Err(OutboundFault::NotPublic),
        }
    }

    /// An address that stands in the URL itself is looked at before anything is done.
    fn check_literal(&self, url: &Url) -> Result<(), OutboundFault> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::from(address),
            Some(Host::Ipv6(address)) => IpAddr::from(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        self.may_reach(url, address).then_some(()).ok_or(OutboundFault::NotPublic)
    }

    fn may_reach(&self, url: &Url, address: IpAddr) -> bool {
        let is_local = self.0.reach == Reach::ThisMachine && is_this_machine(url);
        is_public(address) || is_local && address.to_canonical().is_loopback()
    }

    /// Made when it is needed: reading the system's certificates takes a while.
    fn tls(&self) -> Option<&TlsConnector> {
        let make = || {
            let mut roots = rustls::RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .ok()?
                .with_root_certificates(roots)
                .with_no_client_auth();
            Some(TlsConnector::from(Arc::new(config)))
        };
        self.0.tls.get_or_init(make).as_ref()
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cause is for the operator; what a stranger is told says less ([`OutboundFault::words`]).
fn note(fault: OutboundFault, url: &Url) {
    tracing::info!(?fault, host = url.host_str().unwrap_or_default(), "outbound.fault");
}

/// Whether an address names this machine, by a literal or by the one name that means it.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// What a request says of its host.
fn authority(url: &Url) -> &str {
    &url[url::Position::BeforeHost..url::Position::AfterPort]
}

/// What a request asks its host for.
fn target(url: &Url) -> &str {
    &url[url::Position::BeforePath..url::Position::AfterQuery]
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, OutboundFault> {
    let unreachable = |_| OutboundFault::Unreachable;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    // It ends with the response, or with the time limit, which drops the sender.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(unreachable)
}

/// The body, and for how many seconds it may be kept.
async fn read(response: Response<Incoming>) -> Result<(Bytes, i64), OutboundFault> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::TOO_MANY_REQUESTS => return Err(OutboundFault::Failing),
        status if status.is_server_error() => return Err(OutboundFault::Failing),
        _ => return Err(OutboundFault::Status),
    }
    let headers = response.headers();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text(CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let is_json = essence == "application/json"
        || essence.starts_with("application/") && essence.ends_with("+json");
    if !is_json {
        return Err(OutboundFault::NotJson);
    }
    let max_age = text(CACHE_CONTROL)
        .split(',')
        .find_map(|part| part.trim().strip_prefix("max-age=")?.parse::<i64>().ok());
    let seconds =
        max_age.unwrap_or(KEPT_SECONDS).clamp(KEPT_AT_LEAST_SECONDS, KEPT_AT_MOST_SECONDS);
    let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
    let body = body.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            OutboundFault::TooLong
        } else {
            OutboundFault::Unreachable
        }
    })?;
    Ok((body.to_bytes(), seconds))
}

#[cfg(test)]
mod tests;

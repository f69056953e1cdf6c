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
//! 5. what came is kept for as long as it says, between five minutes and a day, and so is for a
//!    minute that nothing came: nobody makes this server knock at a door again and again.
//!
//! `post.rs` makes a call with the same care: of its answer the status counts, and nothing is kept.

mod address;
mod post;

pub use post::{POST_TIME_LIMIT, Post};

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use self::address::is_public;
use crate::clock::Clock;

/// No document is longer, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// How long a fetch may take, all of it.
pub const TIME_LIMIT: Duration = Duration::from_secs(5);
/// For how long a document is kept, in seconds, where it says nothing; at least; at most.
const KEPT_SECONDS: i64 = 3600;
const KEPT_AT_LEAST_SECONDS: i64 = 300;
const KEPT_AT_MOST_SECONDS: i64 = 24 * 3600;
/// For how long it is kept that nothing came, in seconds.
const FAULT_KEPT_SECONDS: i64 = 60;
/// How old a document may be that has to be new, in seconds.
const FRESH_SECONDS: i64 = 60;
/// No more documents are kept.
const MOST_KEPT: usize = 1000;
/// No more are fetched at once.
const MOST_AT_ONCE: usize = 8;
/// So often in a minute one host is asked at most.
const MOST_OF_HOST: u32 = 10;
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
    /// another status than 200; a redirect too
    Status,
    /// longer than [`MAX_BYTES`]
    TooLong,
    /// not JSON, by its content type
    NotJson,
    /// this server fetches too much just now, or asked that host too often
    Busy,
}

/// Who knows the addresses of a host.
pub trait Names: Send + Sync {
    /// All addresses of a host. Nothing is connected to that did not come from here.
    fn addresses<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send + 'a>>;
}

/// What fetches. Cloned freely: all clones are one.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

struct Inner {
    reach: Reach,
    names: Box<dyn Names>,
    clock: Clock,
    tls: OnceLock<Option<TlsConnector>>,
    at_once: Semaphore,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    documents: HashMap<String, Document>,
    /// How often a host was asked in which minute.
    hosts: HashMap<String, (i64, u32)>,
}

/// What came of a fetch.
#[derive(Clone)]
struct Document {
    found: Result<Bytes, OutboundFault>,
    fetched_at: i64,
    good_until: i64,
}

/// The names of the system.
struct SystemNames;

impl Names for SystemNames {
    fn addresses<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send + 'a>> {
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
            OutboundFault::NotPublic => "Its host is not one of the open internet.",
            OutboundFault::Unreachable => "Its host cannot be reached.",
            OutboundFault::TooSlow => "Its host took too long to answer.",
            OutboundFault::Status => "Its host did not answer 200. Redirects are not followed.",
            OutboundFault::TooLong => "It is longer than 64 KiB.",
            OutboundFault::NotJson => "Its content type is not JSON.",
            OutboundFault::Busy => "It was asked for too often just now. Try again in a minute.",
        }
    }
}

impl Outbound {
    /// Reaches as far as that.
    pub fn new(reach: Reach, clock: Clock) -> Outbound {
        Outbound::with_names(reach, clock, Box::new(SystemNames))
    }

    /// The same, with names from elsewhere.
    pub fn with_names(reach: Reach, clock: Clock, names: Box<dyn Names>) -> Outbound {
        Outbound(Arc::new(Inner {
            reach,
            names,
            clock,
            tls: OnceLock::new(),
            at_once: Semaphore::new(MOST_AT_ONCE),
            kept: Mutex::default(),
        }))
    }

    /// Whether this server would fetch such an address at all.
    pub fn takes(&self, address: &str) -> bool {
        self.parse(address).is_ok()
    }

    /// The JSON document at that address, as it was a while ago.
    ///
    /// # Errors
    /// [`OutboundFault`]
    pub async fn document(&self, address: &str) -> Result<Bytes, OutboundFault> {
        let now = self.0.clock.now();
        match self.kept(address) {
            Some(kept) if now < kept.good_until => kept.found,
            _ => self.fetch_and_keep(address).await,
        }
    }

    /// The same, at most a minute old: for whoever misses in it what must have come lately.
    ///
    /// # Errors
    /// [`OutboundFault`]
    pub async fn fresh_document(&self, address: &str) -> Result<Bytes, OutboundFault> {
        let now = self.0.clock.now();
        match self.kept(address) {
            Some(kept) if now < kept.fetched_at + FRESH_SECONDS => kept.found,
            _ => self.fetch_and_keep(address).await,
        }
    }

    fn kept(&self, address: &str) -> Option<Document> {
        self.lock().documents.get(address).cloned()
    }

    async fn fetch_and_keep(&self, address: &str) -> Result<Bytes, OutboundFault> {
        let url = self.parse(address)?;
        // Whoever is turned away here has cost nobody anything: it is not kept.
        let _permit = self.0.at_once.try_acquire().map_err(|_| OutboundFault::Busy)?;
        self.count(&url)?;
        let fetched = tokio::time::timeout(TIME_LIMIT, self.fetch(&url)).await;
        let now = self.0.clock.now();
        let document = match fetched.unwrap_or(Err(OutboundFault::TooSlow)) {
            Ok((body, seconds)) => {
                Document { found: Ok(body), fetched_at: now, good_until: now + seconds }
            }
            Err(fault) => {
                tracing::info!(?fault, host = url.host_str().unwrap_or_default(), "outbound.fault");
                let good_until = now + FAULT_KEPT_SECONDS;
                Document { found: Err(fault), fetched_at: now, good_until }
            }
        };
        let mut kept = self.lock();
        if kept.documents.len() >= MOST_KEPT {
            kept.documents.retain(|_, document| now < document.good_until);
        }
        if kept.documents.len() >= MOST_KEPT {
            kept.documents.clear();
        }
        kept.documents.insert(address.to_owned(), document.clone());
        document.found
    }

    /// Nobody uses this server to knock at another's door: so often in a minute, and no more.
    fn count(&self, url: &Url) -> Result<(), OutboundFault> {
        let minute = self.0.clock.now() / 60;
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut kept = self.lock();
        if kept.hosts.len() >= MOST_KEPT {
            kept.hosts.retain(|_, (of, _)| *of == minute);
        }
        if kept.hosts.len() >= MOST_KEPT && !kept.hosts.contains_key(&host) {
            return Err(OutboundFault::Busy);
        }
        let (of, count) = kept.hosts.entry(host).or_insert((minute, 0));
        if *of != minute {
            (*of, *count) = (minute, 0);
        }
        *count += 1;
        if *count > MOST_OF_HOST { Err(OutboundFault::Busy) } else { Ok(()) }
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
            if let Ok(open) = TcpStream::connect(SocketAddr::new(address, port)).await {
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
                let found = self.0.names.addresses(host).await;
                found.map_err(|_| OutboundFault::Unreachable)?
            }
            None => return Err(OutboundFault::Address),
        };
        let is_local = self.0.reach == Reach::ThisMachine && is_this_machine(url);
        let may_reach = |address: &IpAddr| {
            is_public(*address) || is_local && address.to_canonical().is_loopback()
        };
        match addresses.as_slice() {
            [] => Err(OutboundFault::Unreachable),
            all if all.iter().all(may_reach) => Ok(addresses),
            _ => Err(OutboundFault::NotPublic),
        }
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    if response.status() != StatusCode::OK {
        return Err(OutboundFault::Status);
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

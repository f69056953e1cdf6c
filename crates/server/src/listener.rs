//! Where requests come in: sockets, TLS, host names, proxies, and the end of all of it.
//!
//! 1. [`Listener::bind`] takes the address, so that a port 0 is known before anything is served;
//! 2. `certificate.rs` reads the certificate, and reads it again when its files change;
//! 3. [`serve`] serves until it is told to stop, follows the keys meanwhile, drains, and writes
//!    what was counted (D7);
//! 4. `leaving.rs` lets a balancer see the end before it comes (D6);
//! 5. `front.rs` is what each request meets first: whose address it is, whether it may come this
//!    way at all, and which site it is for.

mod certificate;
mod front;
mod leaving;

use std::future::Future;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::RustlsAcceptor;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::cleanup::keep_clean;
use crate::site::Site;
use certificate::Certificate;
use front::Front;
use leaving::Leaving;

/// How long a caller has for the head of a request, and for the TLS handshake before it. hyper
/// counts it from the end of the request before, so an idle connection ends then too.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a listed proxy may keep a connection idle: longer than proxies do by themselves (60 s
/// is usual). Where the server closes first, the request that crosses the closing is a 502.
const PROXY_IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// No request's head is larger, in bytes.
const MAX_HEADER_BYTES: u32 = 32 * 1024;
/// No HTTP/2 connection has more requests under way.
const MAX_STREAMS: u32 = 100;
/// How often an idle HTTP/2 connection is asked whether somebody is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long leave-taking and the requests under way may take after the signal to stop. With
/// [`LAST_FLUSH`] it stays below the 10 s of D7.
const DRAIN: Duration = Duration::from_secs(8);
/// How long the last flush may take.
const LAST_FLUSH: Duration = Duration::from_secs(1);
/// How often what was counted is written.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// One address, and the sites behind it.
pub struct Listener {
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// Its certificate; `None` for plain http.
    pub tls: Option<TlsFiles>,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// What is served. One site is served whatever `Host` says; of several, the one that `Host`
    /// names.
    pub sites: Vec<Arc<Site>>,
}

/// A certificate chain and its key, as PEM files. They are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A socket that has its port. Connections wait in it until it is served.
pub struct Socket {
    socket: TcpListener,
    address: SocketAddr,
}

/// A listener with its socket and its certificate: nothing can fail any more.
pub struct Bound {
    socket: Socket,
    certificate: Option<Arc<Certificate>>,
    trusted_proxies: Vec<IpAddr>,
    behind: Behind,
}

/// What a listener serves.
enum Behind {
    Sites(Vec<Arc<Site>>),
    /// A page that is no site, with nothing before it.
    Page(Router),
}

/// Why a listener cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// which
        address: SocketAddr,
        /// what the system said
        source: std::io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("the certificate {} with the key {} cannot be used: {why}", files.certificate.display(), files.key.display())]
    Certificate {
        /// which
        files: TlsFiles,
        /// what is wrong
        why: String,
    },
    /// A listener stopped by itself.
    #[error("a listener stopped")]
    Stopped(#[source] std::io::Error),
}

impl Socket {
    /// Takes an address.
    ///
    /// # Errors
    /// [`ListenError::Bind`]: taken already, not of this machine, or not allowed.
    pub fn bind(address: SocketAddr) -> Result<Socket, ListenError> {
        let fault = |source| ListenError::Bind { address, source };
        let socket = TcpListener::bind(address).map_err(fault)?;
        let address = socket.local_addr().map_err(fault)?;
        Ok(Socket { socket, address })
    }

    /// The address, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As the runtime takes it, for a page that is no site.
    ///
    /// # Errors
    /// [`ListenError::Bind`] where the system refuses.
    pub fn into_tokio(self) -> Result<tokio::net::TcpListener, ListenError> {
        let fault = |source| ListenError::Bind { address: self.address, source };
        self.socket.set_nonblocking(true).map_err(fault)?;
        tokio::net::TcpListener::from_std(self.socket).map_err(fault)
    }
}

impl Listener {
    /// Takes the address and reads the certificate.
    ///
    /// # Errors
    /// [`ListenError::Bind`], [`ListenError::Certificate`].
    pub fn bind(self) -> Result<Bound, ListenError> {
        let socket = Socket::bind(self.address)?;
        self.on(socket)
    }

    /// Uses a socket that was bound before: for whoever has to know the port to make the sites.
    /// The listener's own address is not looked at.
    ///
    /// # Errors
    /// [`ListenError::Certificate`].
    pub fn on(self, socket: Socket) -> Result<Bound, ListenError> {
        let certificate = match self.tls {
            Some(files) => Some(Arc::new(Certificate::load(files)?)),
            None => None,
        };
        let behind = Behind::Sites(self.sites);
        Ok(Bound { socket, certificate, trusted_proxies: self.trusted_proxies, behind })
    }
}

impl Bound {
    /// A page that is no site, in plain http: no host name, no proxy and no log line stands before
    /// it. It ends with the others.
    pub fn page(socket: Socket, page: Router) -> Bound {
        let behind = Behind::Page(page);
        Bound { socket, certificate: None, trusted_proxies: Vec::new(), behind }
    }

    fn sites(&self) -> &[Arc<Site>] {
        match &self.behind {
            Behind::Sites(sites) => sites,
            Behind::Page(_) => &[],
        }
    }

    /// The address, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.socket.address
    }
}

/// Serves until `shutdown` is done; then lets whoever asks `/readyz` see it for a moment, takes no
/// more connections, gives the requests under way the rest of 8 s, and writes what was counted.
///
/// # Errors
/// [`ListenError::Stopped`] where a listener ended by itself.
pub async fn serve(
    listeners: Vec<Bound>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ListenError> {
    let sites: Vec<Arc<Site>> = listeners.iter().flat_map(|bound| bound.sites().to_vec()).collect();
    let mut beside = JoinSet::new();
    beside.spawn(flush_every_second(sites.clone()));
    // All sites of a process have the keys of one store.
    if let Some(site) = sites.first() {
        beside.spawn(site.keys.clone().watch());
    }
    for site in &sites {
        beside.spawn(keep_clean(Arc::clone(site)));
    }
    for certificate in listeners.iter().filter_map(|bound| bound.certificate.clone()) {
        beside.spawn(async move { certificate.watch().await });
    }

    let (handle, leaving) = (Handle::new(), Arc::new(Leaving::new()));
    let mut servers = JoinSet::new();
    for bound in listeners {
        servers.spawn(serve_one(bound, handle.clone(), Arc::clone(&leaving)));
    }
    let (mut outcome, mut drain) = (Ok(()), DRAIN);
    tokio::select! {
        () = shutdown => {
            tracing::info!(drain.seconds = DRAIN.as_secs(), "stopping");
            let now = sites.first().map_or(0, |site| site.clock.now());
            drain -= leaving.announce(now).await;
        }
        Some(ended) = servers.join_next() => outcome = stopped(ended),
    }
    handle.graceful_shutdown(Some(drain));
    while let Some(ended) = servers.join_next().await {
        outcome = outcome.and(stopped(ended));
    }

    beside.shutdown().await;
    let flushed = tokio::time::timeout(LAST_FLUSH, flush(&sites)).await;
    if flushed.is_err() {
        tracing::warn!("usage.flush took too long; the last second of it is lost");
    }
    tracing::info!("stopped");
    outcome
}

/// Is done when somebody asks this process to end: SIGTERM, or Ctrl-C.
///
/// # Errors
/// Where the system takes no handler.
pub fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    // Taken at once and not at the first poll: a signal that comes before would end the process.
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    })
}

fn stopped(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> Result<(), ListenError> {
    ended.map_err(std::io::Error::other).flatten().map_err(ListenError::Stopped)
}

async fn serve_one(
    bound: Bound,
    handle: Handle<SocketAddr>,
    leaving: Arc<Leaving>,
) -> std::io::Result<()> {
    let header_timeout =
        if bound.trusted_proxies.is_empty() { HEADER_TIMEOUT } else { PROXY_IDLE_TIMEOUT };
    let router = match bound.behind {
        Behind::Sites(sites) => Front {
            plain: bound.certificate.is_none(),
            loopback: bound.socket.address.ip().is_loopback(),
            trusted_proxies: bound.trusted_proxies,
            sites,
            leaving,
        }
        .router(),
        Behind::Page(page) => page,
    };
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let mut server = axum_server::from_tcp(bound.socket.socket)?
        .handle(handle)
        .first_request_timeout(HEADER_TIMEOUT)
        .accept_error_handler(|peer, error| {
            // Handshakes that strangers break off are their business.
            tracing::debug!(peer = peer.map(tracing::field::display), %error, "accept");
        });
    let builder = server.http_builder();
    builder.http1().header_read_timeout(header_timeout).max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(HEADER_TIMEOUT);
    match bound.certificate {
        Some(certificate) => {
            let tls = RustlsAcceptor::new(certificate.current())
                .handshake_timeout(HEADER_TIMEOUT)
                .acceptor(NoDelayAcceptor::new());
            server.acceptor(tls).serve(service).await
        }
        None => server.acceptor(NoDelayAcceptor::new()).serve(service).await,
    }
}

async fn flush_every_second(sites: Vec<Arc<Site>>) {
    let mut tick = tokio::time::interval(FLUSH_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        flush(&sites).await;
        for site in &sites {
            site.trials.look(&site.store, site.clock.now()).await;
        }
    }
}

async fn flush(sites: &[Arc<Site>]) {
    for site in sites {
        site.usage.flush(&site.store).await;
        site.request_log.flush(site.environment, &site.store).await;
    }
}

//! What each request meets first.
//!
//! 1. `/healthz` and `/readyz` answer for the whole process, to anybody and under any name; ready
//!    means that the stores answer and take writes, and that the process is not about to end;
//! 2. [`admit`] says whose address it is, and turns away what came around the proxy;
//! 3. [`dispatch`] gives the rest to the site that `Host` names.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::sync::Mutex;
use tower::ServiceExt as _;

use super::leaving::Leaving;
use crate::http::ClientAddress;
use crate::site::Site;
use crate::store::StoreError;

/// A store that answers later than this is not ready.
const READY_WITHIN: Duration = Duration::from_secs(2);
/// How long a write that was taken proves that the next one would be, in seconds.
const PROVED_SECONDS: i64 = 5;
/// How long a write that was refused does, in seconds: who is well again is wanted back soon.
const REFUSED_SECONDS: i64 = 1;

/// What stands before the sites of one listener.
pub(super) struct Front {
    /// Whether it speaks plain http.
    pub(super) plain: bool,
    /// Whether only this machine can reach it.
    pub(super) loopback: bool,
    pub(super) trusted_proxies: Vec<IpAddr>,
    pub(super) sites: Vec<Arc<Site>>,
    pub(super) leaving: Arc<Leaving>,
}

struct Doors {
    front: Front,
    /// In the order of the sites.
    routers: Vec<Router>,
    /// In the order of the sites.
    names: Vec<Name>,
    /// What the last look at the stores found.
    proof: Mutex<Option<Proof>>,
}

/// Whether the stores took a write, and when that was tried, in Unix seconds.
#[derive(Clone, Copy)]
struct Proof {
    tried_at: i64,
    ready: bool,
}

/// A host name and a port, as a request names them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HostAndPort {
    host: String,
    port: Option<u16>,
}

/// The host and the port of a base URL, and the port that its scheme leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    host: String,
    port: u16,
    scheme_port: u16,
}

impl Front {
    pub(super) fn router(self) -> Router {
        let routers = self.sites.iter().map(|site| crate::http::router(Arc::clone(site))).collect();
        self.before(routers)
    }

    fn before(self, routers: Vec<Router>) -> Router {
        let names = self.sites.iter().map(|site| Name::of(&site.base_url)).collect();
        let doors = Arc::new(Doors { front: self, routers, names, proof: Mutex::default() });
        Router::new()
            .route("/healthz", get(healthy))
            .route("/readyz", get(ready))
            .fallback(enter)
            .with_state(doors)
    }

    /// Passwords and secrets of an https site must not have come over the open network in clear.
    fn only_through_proxy(&self) -> bool {
        self.plain && !self.loopback && self.sites.iter().any(|site| site.is_https())
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted_proxies.contains(&address)
    }

    /// The right-most address of `X-Forwarded-For` that is not itself a listed proxy: what stands
    /// to the left of it, anybody can write.
    fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.is_trusted(peer) {
            return peer;
        }
        let mut nearest = peer;
        let values = headers.get_all("x-forwarded-for");
        let values: Vec<&str> = values.iter().filter_map(|value| value.to_str().ok()).collect();
        for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
            match forwarded_address(hop) {
                Some(address) if self.is_trusted(address) => nearest = address,
                Some(address) => return address,
                // What a proxy of ours wrote that is no address says nothing; what stands to the
                // left of it even less.
                None => return nearest,
            }
        }
        nearest
    }
}

impl Doors {
    /// Which site a request is for.
    fn site_for(&self, uri: &Uri, headers: &HeaderMap) -> Option<usize> {
        if let [site] = self.front.sites.as_slice() {
            // In dev a page of the open web may have its own name resolve to this machine (DNS
            // rebinding): it would be of this origin and could read the answers.
            let local = |named: HostAndPort| {
                matches!(named.host.as_str(), "127.0.0.1" | "localhost" | "[::1]")
            };
            let admitted = site.dev.is_none() || named_host(uri, headers).is_some_and(local);
            return admitted.then_some(0);
        }
        let named = named_host(uri, headers)?;
        self.names.iter().position(|name| name.is(&named))
    }

    /// Whether every store takes a write. It is tried once in a while, however many ask; who asks
    /// while it is tried waits for the answer.
    async fn take_writes(&self) -> bool {
        let mut proof = self.proof.lock().await;
        let Some(now) = self.front.sites.first().map(|site| site.clock.now()) else {
            return true;
        };
        if let Some(proof) = proof.filter(|proof| proof.stands(now)) {
            return proof.ready;
        }
        let mut ready = true;
        for site in &self.front.sites {
            ready = ready && answers(site, site.store.prove_write(now)).await;
        }
        *proof = Some(Proof { tried_at: now, ready });
        ready
    }
}

impl Proof {
    /// A clock that went back makes none stand for long.
    fn stands(&self, now: i64) -> bool {
        let seconds = if self.ready { PROVED_SECONDS } else { REFUSED_SECONDS };
        (0..seconds).contains(&(now - self.tried_at))
    }
}

impl Name {
    fn of(base_url: &str) -> Name {
        let scheme_port = if base_url.starts_with("http:") { 80 } else { 443 };
        let url = url::Url::parse(base_url).ok();
        let host = url.as_ref().and_then(url::Url::host_str).unwrap_or_default().to_owned();
        let port = url.and_then(|url| url.port()).unwrap_or(scheme_port);
        Name { host, port, scheme_port }
    }

    /// A port that is left out is the one of the scheme.
    fn is(&self, named: &HostAndPort) -> bool {
        self.host == named.host && self.port == named.port.unwrap_or(self.scheme_port)
    }
}

/// All but the probes. One handler and no layer: each layer would be another allocation and another
/// indirection for every request.
async fn enter(
    State(doors): State<Arc<Doors>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    match admit(&doors, peer, &mut request) {
        Some(refusal) => refusal,
        None => dispatch(&doors, request).await,
    }
}

/// Says whose address it is, and turns away what came around the proxy, with this answer.
fn admit(doors: &Doors, peer: SocketAddr, request: &mut Request) -> Option<Response> {
    let peer = peer.ip().to_canonical();
    if doors.front.only_through_proxy() && !doors.front.is_trusted(peer) {
        tracing::warn!(client.address = %peer, response.status = 403, "refused: not through the proxy");
        return Some(sentence(
            StatusCode::FORBIDDEN,
            "This server takes requests over TLS only, through its proxy.\n",
        ));
    }
    let client = doors.front.client_address(peer, request.headers());
    request.extensions_mut().insert(ClientAddress(client));
    None
}

async fn healthy() -> Response {
    sentence(StatusCode::OK, "ok\n")
}

/// Ready means that every store answers and took a write a moment ago, and that this process stays.
async fn ready(State(doors): State<Arc<Doors>>) -> Response {
    let now = doors.front.sites.first().map_or(0, |site| site.clock.now());
    if doors.front.leaving.ask(now) {
        return sentence(StatusCode::SERVICE_UNAVAILABLE, "this server is about to end\n");
    }
    let mut ready = true;
    for site in &doors.front.sites {
        ready = ready && answers(site, site.store.ping()).await;
    }
    match ready && doors.take_writes().await {
        true => sentence(StatusCode::OK, "ready\n"),
        false => sentence(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n"),
    }
}

/// Whether a store answers in time. Where it does not, the log says why.
async fn answers(site: &Site, asked: impl Future<Output = Result<(), StoreError>>) -> bool {
    let environment = site.environment.as_str();
    match tokio::time::timeout(READY_WITHIN, asked).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(environment, %error, "not ready"),
        Err(_) => tracing::warn!(environment, "not ready: the store is slow"),
    }
    false
}

async fn dispatch(doors: &Doors, request: Request) -> Response {
    let site = doors.site_for(request.uri(), request.headers());
    match site.and_then(|at| doors.routers.get(at)) {
        Some(router) => router.clone().oneshot(request).await.into_response(),
        None => {
            let client = request.extensions().get::<ClientAddress>().map(|address| address.0);
            tracing::info!(
                client.address = client.map(tracing::field::display),
                response.status = 421,
                "refused: no site of this name"
            );
            sentence(
                StatusCode::MISDIRECTED_REQUEST,
                "Nothing is served under this host name here. Use the address that the server was \
                 given as its base URL.\n",
            )
        }
    }
}

fn sentence(status: StatusCode, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, text).into_response()
}

/// One address of `X-Forwarded-For`; some proxies write its port behind it.
fn forwarded_address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare
        .parse::<IpAddr>()
        .or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()?;
    Some(address.to_canonical())
}

/// The host that the request names. RFC 9112 3.2.2: the target's own, where it has one, and the
/// header otherwise; two headers name none.
fn named_host(uri: &Uri, headers: &HeaderMap) -> Option<HostAndPort> {
    let authority = match uri.authority() {
        Some(authority) => authority.clone(),
        None => {
            let mut values = headers.get_all(HOST).iter();
            match (values.next(), values.next()) {
                (Some(value), None) => Authority::try_from(value.as_bytes()).ok()?,
                _ => return None,
            }
        }
    };
    // RFC 9110 4.2.4: user information before a host is there to deceive.
    if authority.as_str().contains('@') {
        return None;
    }
    let port = match authority.as_str().len() - authority.host().len() {
        0 => None,
        _ => Some(authority.port_u16()?),
    };
    Some(HostAndPort { host: authority.host().to_ascii_lowercase(), port })
}

#[cfg(test)]
mod tests;

//! The broker's one table of addresses, and who may call.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use grantor_protocol::parameters::Parameters;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{AbortHandle, JoinSet};

use super::TokenAnswer;
use crate::connections::Connections;
use crate::http::Http;
use crate::renewal::RenewalError;
use crate::secret::Secret;

/// No more callers are served at once.
const MAX_CALLERS: usize = 256;
/// How long a caller may take to send its request.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The pause after a caller could not be taken: file descriptors may have run out.
const PAUSE: Duration = Duration::from_millis(50);
/// How long callers may take to end when the broker does.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);

/// What calls are answered from.
pub(super) struct Serving {
    pub(super) connections: Connections,
    pub(super) http: Http,
}

/// Whether a caller may be answered.
enum Admission {
    /// The system says so.
    Granted,
    /// It is another user.
    Refused,
    /// The caller has to know the key.
    ByKey(Arc<Secret>),
}

/// Those who are served now. They go when this goes.
#[derive(Default)]
pub(super) struct Callers {
    served: JoinSet<()>,
    /// Those of them who have not said yet what they may, the oldest first.
    silent: VecDeque<Silent>,
}

struct Silent {
    caller: AbortHandle,
    is_admitted: Arc<AtomicBool>,
}

impl Callers {
    /// Whether one more may come: there is a place, or somebody has one who may have to give it up.
    fn has_room(&mut self) -> bool {
        while self.served.try_join_next().is_some() {}
        self.served.len() < MAX_CALLERS || self.still_silent() > 0
    }

    fn still_silent(&mut self) -> usize {
        self.silent
            .retain(|one| !one.caller.is_finished() && !one.is_admitted.load(Ordering::SeqCst));
        self.silent.len()
    }

    /// Serves one more. Where there is no place, the oldest goes who was silent: other users of the
    /// machine can connect to a port, and would keep the owner's programs out by taking all places.
    /// Whoever the system vouches for keeps theirs.
    fn add(
        &mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        admission: Admission,
        serving: &Arc<Serving>,
    ) {
        // Who was silent a moment ago may have spoken since: then there is one above the bound.
        if self.served.len() >= MAX_CALLERS
            && self.still_silent() > 0
            && let Some(oldest) = self.silent.pop_front()
        {
            oldest.caller.abort();
        }
        let is_admitted = Arc::new(AtomicBool::new(matches!(admission, Admission::Granted)));
        let (serving, told) = (Arc::clone(serving), Arc::clone(&is_admitted));
        let caller = self.served.spawn(one(stream, admission, serving, told));
        self.silent.push_back(Silent { caller, is_admitted });
    }

    /// Waits until all have gone, or have had time to, and sends away who is still there.
    pub(super) async fn leave(&mut self) {
        let gone = async { while self.served.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LEAVE_LIMIT, gone).await;
        // Nobody begins a renewal behind our back: the process waits for those that were begun.
        self.served.shutdown().await;
    }
}

pub(super) async fn unix(
    listener: &UnixListener,
    owner: u32,
    serving: &Arc<Serving>,
    callers: &mut Callers,
) {
    loop {
        tokio::select! {
            came = listener.accept(), if callers.has_room() => match came {
                Ok((stream, _)) => {
                    // The mode of the socket keeps others out; this holds where that was changed.
                    let admission = match stream.peer_cred() {
                        Ok(peer) if peer.uid() == owner => Admission::Granted,
                        _ => Admission::Refused,
                    };
                    callers.add(stream, admission, serving);
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(_) = callers.served.join_next() => {}
        }
    }
}

pub(super) async fn tcp(
    listener: &TcpListener,
    key: &Arc<Secret>,
    serving: &Arc<Serving>,
    callers: &mut Callers,
) {
    loop {
        tokio::select! {
            came = listener.accept(), if callers.has_room() => match came {
                Ok((stream, _)) => {
                    let admission = Admission::ByKey(Arc::clone(key));
                    callers.add(stream, admission, serving);
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(_) = callers.served.join_next() => {}
        }
    }
}

async fn one(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    admission: Admission,
    serving: Arc<Serving>,
    is_admitted: Arc<AtomicBool>,
) {
    let service = service_fn(|call: Request<Incoming>| {
        let serving = Arc::clone(&serving);
        let admitted = admits(&admission, &call);
        is_admitted.store(admitted, Ordering::SeqCst);
        async move { Ok::<_, Infallible>(serving.answer(&call, admitted).await) }
    });
    // A caller that goes away has what it wanted, or wants it no more.
    let _ = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Serving {
    async fn answer(&self, call: &Request<Incoming>, admitted: bool) -> Response<Full<Bytes>> {
        if !admitted {
            return refuse(
                StatusCode::FORBIDDEN,
                "forbidden",
                "This broker serves another user, or another key.",
            );
        }
        if call.method() != Method::GET {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "method", "Send a GET.");
        }
        match call.uri().path() {
            "/token" => self.token(call.uri().query().unwrap_or_default()).await,
            "/connections" => self.connections(),
            _ => refuse(StatusCode::NOT_FOUND, "not_found", "There are /token and /connections."),
        }
    }

    async fn token(&self, query: &str) -> Response<Full<Bytes>> {
        let parameters = Parameters::parse(query.as_bytes());
        if parameters.fault().is_some() {
            return refuse(StatusCode::BAD_REQUEST, "invalid_request", "The query cannot be read.");
        }
        let name = match parameters.value("connection") {
            Some(name) => name.to_owned(),
            None => match self.connections.latest() {
                Ok(Some(latest)) => latest.name,
                Ok(None) => {
                    return refuse(
                        StatusCode::NOT_FOUND,
                        "no_connection",
                        "Nothing is connected: run grantor connect.",
                    );
                }
                Err(error) => return refused(&error.into()),
            },
        };
        match self.connections.valid(&self.http, &name, None).await {
            Ok(connection) => {
                let answer = TokenAnswer::of(&connection, self.connections.clock().now());
                json_response(StatusCode::OK, &serde_json::to_vec(&answer).unwrap_or_default())
            }
            Err(error) => refused(&error),
        }
    }

    fn connections(&self) -> Response<Full<Bytes>> {
        let all = match self.connections.all() {
            Ok(all) => all,
            Err(error) => return refused(&error.into()),
        };
        let all: Vec<Value> = all
            .iter()
            .map(|one| {
                json!({
                    "connection": one.name,
                    "issuer": one.server.issuer,
                    "client_id": one.client_id,
                    "scope": one.tokens.scope,
                    "ended": one.ended.is_some(),
                })
            })
            .collect();
        let body = json!({ "connections": all }).to_string();
        json_response(StatusCode::OK, body.as_bytes())
    }
}

fn admits(admission: &Admission, call: &Request<Incoming>) -> bool {
    match admission {
        Admission::Granted => true,
        Admission::Refused => false,
        Admission::ByKey(key) => {
            let header = call.headers().get("authorization").and_then(|value| value.to_str().ok());
            let presented = header.and_then(|value| value.strip_prefix("Bearer "));
            presented.is_some_and(|presented| Secret::new(presented.to_owned()) == **key)
        }
    }
}

/// The words for what a caller can do something about.
fn refused(error: &RenewalError) -> Response<Full<Bytes>> {
    let (status, code) = match error {
        RenewalError::NoConnection { .. } => (StatusCode::NOT_FOUND, "no_connection"),
        RenewalError::Ended { .. } | RenewalError::NotReplaceable { .. } => {
            (StatusCode::CONFLICT, "connection_ended")
        }
        RenewalError::NotNow { .. } => (StatusCode::SERVICE_UNAVAILABLE, "not_now"),
        RenewalError::Keeping(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not_kept"),
    };
    refuse(status, code, &error.to_string())
}

fn refuse(status: StatusCode, code: &str, words: &str) -> Response<Full<Bytes>> {
    let body = json!({ "error": code, "error_description": words }).to_string();
    json_response(status, body.as_bytes())
}

fn json_response(status: StatusCode, body: &[u8]) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("content-type", http::HeaderValue::from_static("application/json"));
    headers.insert("cache-control", http::HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::random::Random;

    #[tokio::test]
    async fn nobody_gives_up_a_place_who_was_let_in_or_has_spoken_since() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("connections");
        let connections = Connections::open(&folder, &Clock::system(), &Random::system()).unwrap();
        let serving = Arc::new(Serving { connections, http: Http::new() });
        let mut others = Vec::new();
        let mut come = |callers: &mut Callers, admission| {
            let (ours, theirs) = tokio::io::duplex(64);
            others.push(theirs);
            callers.add(ours, admission, &serving);
        };
        let mut callers = Callers::default();
        for _ in 1..MAX_CALLERS {
            come(&mut callers, Admission::Granted);
        }
        come(&mut callers, Admission::ByKey(Arc::new(Secret::new("key".to_owned()))));
        // There is room, because one is silent; and then that one speaks.
        assert!(callers.has_room());
        callers.silent[0].is_admitted.store(true, Ordering::SeqCst);
        come(&mut callers, Admission::Granted);
        assert!(!callers.has_room());
        tokio::task::yield_now().await;
        assert!(callers.served.try_join_next().is_none(), "somebody was sent away");
        assert_eq!(callers.served.len(), MAX_CALLERS + 1);
    }
}

//! Catching the redirect on a port of this machine (RFC 8252 7.3).
//!
//! 1. [`Loopback::bind`] takes the port that the redirect URI names, or a free one;
//! 2. [`Loopback::wait`] answers whoever comes, until the answer to this very request came. What
//!    belongs to another request is told so and changes nothing: any program of this machine can call.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use url::Url;

use crate::authorization::{AuthorizationCode, AuthorizationError, AuthorizationRequest};
use crate::http::is_loopback;

/// How long a browser may take to send what it wants.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The pause after a connection could not be taken: file descriptors may have run out.
const PAUSE: Duration = Duration::from_millis(50);
/// No more callers are answered at once. One more takes the place of the oldest who brought nothing.
const MAX_CALLERS: usize = 32;

/// A port of this machine that waits for a redirect.
pub struct Loopback {
    listener: TcpListener,
    redirect_uri: String,
    path: String,
}

type Outcome = Result<AuthorizationCode, AuthorizationError>;

/// What a caller brought, once it did.
type Brought = Arc<Mutex<Option<Outcome>>>;

impl Loopback {
    /// Whether a redirect URI leads to this machine by http, so that it can be caught here.
    pub fn can_catch(redirect_uri: &str) -> bool {
        Url::parse(redirect_uri).is_ok_and(|url| url.scheme() == "http" && is_loopback(&url))
    }

    /// Listens where that redirect URI leads, on its port; where it names none, on a free one
    /// (RFC 8252 7.3: a server takes any port of a loopback literal).
    ///
    /// # Errors
    /// What the system says: the port is taken, or the URI does not lead here.
    pub async fn bind(redirect_uri: &str) -> std::io::Result<Loopback> {
        let elsewhere = || std::io::Error::other("the redirect URI does not lead to this machine");
        let url = Url::parse(redirect_uri).map_err(|_| elsewhere())?;
        if !Loopback::can_catch(redirect_uri) {
            return Err(elsewhere());
        }
        let host = url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        // `localhost` is what a browser of this machine finds first, and that is 127.0.0.1 or ::1; a
        // redirect URI had better name a literal (RFC 8252 8.3).
        let address = if bare == "localhost" { "127.0.0.1" } else { bare };
        let address = address.parse().map_err(|_| elsewhere())?;
        let listener =
            TcpListener::bind(SocketAddr::new(address, url.port().unwrap_or_default())).await?;
        let redirect_uri = match url.port() {
            Some(_) => redirect_uri.to_owned(),
            // Byte for byte as it was registered, but for the port.
            None => {
                let port = listener.local_addr()?.port();
                redirect_uri.replacen(host, &format!("{host}:{port}"), 1)
            }
        };
        Ok(Loopback { listener, redirect_uri, path: url.path().to_owned() })
    }

    /// The redirect URI with the port that was taken.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Waits for the answer to this request. It has no limit of time: the caller sets one.
    ///
    /// # Errors
    /// [`AuthorizationError`], but for `StateDiffers`, after which it goes on waiting.
    pub async fn wait(&self, request: &AuthorizationRequest) -> Outcome {
        let request = Arc::new(request.clone());
        let mut callers = JoinSet::new();
        let mut places: VecDeque<(AbortHandle, Brought)> = VecDeque::new();
        // Who was sent away may have brought the answer at the same moment.
        let mut sent_away: Vec<Brought> = Vec::new();
        loop {
            tokio::select! {
                came = self.listener.accept() => {
                    // One that could not be accepted is gone; the next may be well.
                    let Ok((stream, _)) = came else {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    };
                    places.retain(|(caller, _)| !caller.is_finished());
                    if places.len() >= MAX_CALLERS {
                        // Any user of the machine can call and say nothing, and must keep nobody out.
                        let silent = places.iter().position(|(_, brought)| held(brought).is_none());
                        let oldest = silent.and_then(|place| places.remove(place));
                        if let Some((caller, brought)) = oldest {
                            caller.abort();
                            sent_away.push(brought);
                        }
                    }
                    let (request, brought) = (Arc::clone(&request), Brought::default());
                    let own = Arc::clone(&brought);
                    let caller = callers.spawn(answer(stream, request, self.path.clone(), own));
                    places.push_back((caller, brought));
                }
                Some(ended) = callers.join_next() => {
                    let outcome = match ended {
                        Ok(outcome) => outcome,
                        Err(_) => sent_away.iter().find_map(|brought| held(brought).take()),
                    };
                    sent_away.retain(|brought| Arc::strong_count(brought) > 1);
                    if let Some(outcome) = outcome {
                        return outcome;
                    }
                }
            }
        }
    }
}

/// Serves one connection to its end, so that the page has reached the browser. Gives what it brought.
async fn answer(
    stream: TcpStream,
    request: Arc<AuthorizationRequest>,
    path: String,
    brought: Brought,
) -> Option<Outcome> {
    let service = service_fn(|call: Request<Incoming>| {
        let (page, outcome) = look(&call, &request, &path);
        if outcome.is_some() {
            *held(&brought) = outcome;
        }
        async move { Ok::<_, Infallible>(page) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // A browser that went away before it had read the page brought its answer all the same.
    drop(served);
    held(&brought).take()
}

fn held(brought: &Brought) -> MutexGuard<'_, Option<Outcome>> {
    brought.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look(
    call: &Request<Incoming>,
    request: &AuthorizationRequest,
    path: &str,
) -> (Response<Full<Bytes>>, Option<Outcome>) {
    if call.method() != Method::GET || call.uri().path() != path {
        return (page(StatusCode::NOT_FOUND, "There is nothing here", ""), None);
    }
    match request.answered(call.uri().query().unwrap_or_default()) {
        Ok(code) => {
            let words = "Go back to the terminal: it goes on there. You can close this page.";
            (page(StatusCode::OK, "The answer has arrived", words), Some(Ok(code)))
        }
        // What cannot be read holds no state of ours either: anybody may have sent it.
        Err(AuthorizationError::StateDiffers | AuthorizationError::Parameters(_)) => {
            let words = "It is not what the program in the terminal asked for. Open the address \
                         that it shows, and close older pages.";
            let title = "This answer belongs to another request";
            (page(StatusCode::BAD_REQUEST, title, words), None)
        }
        Err(error) => {
            let words = "The terminal says why. You can close this page.";
            (page(StatusCode::OK, "No access was given", words), Some(Err(error)))
        }
    }
}

/// A page of ours: nothing of the request stands in it.
fn page(status: StatusCode, title: &str, words: &str) -> Response<Full<Bytes>> {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\n\
         <body style=\"font:1.1rem/1.5 system-ui;max-width:34rem;margin:4rem auto;padding:0 1rem\">\
         <h1>{title}</h1>\n<p>{words}</p></body></html>\n"
    );
    let mut response = Response::new(Full::new(Bytes::from(html)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        (
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
    ] {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Call, Http};
    use crate::random::Random;
    use crate::server::Preset;

    fn request(redirect_uri: &str) -> (AuthorizationRequest, String) {
        let server = Preset::KSeriesStaging.server();
        let request =
            AuthorizationRequest::new(&server, "devp", redirect_uri, None, &Random::system());
        let state = request.url().split_once("state=").unwrap().1.to_owned();
        (request, state)
    }

    #[tokio::test]
    async fn s1_the_redirect_uri_keeps_its_bytes_but_for_a_free_port() {
        let caught = Loopback::bind("http://127.0.0.1/staging/callback?x=1").await.unwrap();
        let port = caught.listener.local_addr().unwrap().port();
        assert_eq!(caught.redirect_uri(), format!("http://127.0.0.1:{port}/staging/callback?x=1"));
        let named = format!("http://127.0.0.1:{port}/");
        assert!(Loopback::bind(&named).await.is_err(), "the port is taken");
        for elsewhere in ["https://127.0.0.1/", "http://mycompany.com/", "app:/x", ""] {
            assert!(!Loopback::can_catch(elsewhere));
            assert!(Loopback::bind(elsewhere).await.is_err(), "{elsewhere}");
        }
    }

    #[tokio::test]
    async fn an_answer_of_another_request_and_a_silent_caller_do_not_end_the_wait() {
        let caught = Loopback::bind("http://127.0.0.1/callback").await.unwrap();
        let here = caught.redirect_uri().to_owned();
        let (request, state) = request(&here);
        let silent = TcpStream::connect(caught.listener.local_addr().unwrap()).await.unwrap();
        let calls = async {
            let get = async |url: String| Call::get(&url).send(&Http::new()).await.unwrap();
            assert_eq!(get(here.replace("/callback", "/favicon.ico")).await.status, 404);
            let other = get(format!("{here}?code=evil&state=other")).await;
            assert_eq!(other.status, 400);
            let right = get(format!("{here}?code=right&state={state}")).await;
            let text = String::from_utf8(right.body.to_vec()).unwrap();
            assert!(right.status == 200 && text.contains("The answer has arrived"), "{text}");
            assert!(!text.contains("right"), "{text}");
        };
        let (code, ()) = tokio::join!(caught.wait(&request), calls);
        assert_eq!(code.unwrap().expose(), "right");
        drop(silent);
    }

    #[tokio::test]
    async fn callers_who_say_nothing_do_not_keep_the_browser_out_however_many_they_are() {
        let caught = Loopback::bind("http://127.0.0.1/callback").await.unwrap();
        let address = caught.listener.local_addr().unwrap();
        let (request, state) = request(caught.redirect_uri());
        let url = format!("{}?code=right&state={state}", caught.redirect_uri());
        let calls = async {
            let mut silent = Vec::new();
            for _ in 0..3 * MAX_CALLERS {
                silent.push(TcpStream::connect(address).await.unwrap());
            }
            let answer = Call::get(&url).send(&Http::new()).await.unwrap();
            assert_eq!(answer.status, 200);
            silent
        };
        let both = async { tokio::join!(caught.wait(&request), calls) };
        // Sooner than they are sent away for their silence.
        let (code, _silent) = tokio::time::timeout(HEAD_LIMIT / 2, both).await.unwrap();
        assert_eq!(code.unwrap().expose(), "right");
    }
}

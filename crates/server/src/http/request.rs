//! Each request gets an id, and one line in the log that reads alone.
//!
//! What is never logged: values of parameters, bodies, headers, and paths that are no route of
//! ours, because people paste secrets into all of them. A target is logged as its route and the
//! names of its parameters, and of the names only those that are known.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::http::header::HeaderName;
use axum::middleware::Next;
use axum::response::Response;
use grantor_protocol::parameters::Parameters;

use crate::http::ClientAddress;
use crate::site::Site;

/// The id of one request: in its answer, in its line of the log, and on its page.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The parameters that the log names.
const KNOWN: [&str; 21] = [
    "client_id",
    "client-id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "iss",
    "login_hint",
    "nonce",
    "page",
    "progress",
    "prompt",
    "redirect_uri",
    "refresh_token",
    "response_mode",
    "response_type",
    "scope",
    "size",
    "state",
];

/// Gives the request its id, and logs it when it is answered.
pub(super) async fn log(
    State(site): State<Arc<Site>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId(site.random.hex::<8>());
    let stopwatch = site.clock.stopwatch();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "(no route)".to_owned(), |path| path.as_str().to_owned());
    let parameters = names(request.uri().query().unwrap_or_default());
    let client = request.extensions().get::<ClientAddress>().map(|address| address.0);
    request.extensions_mut().insert(id.clone());

    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    tracing::info!(
        environment = site.environment.as_str(),
        request.id = id.0,
        request.method = loggable_method(&method),
        request.route = route,
        request.parameters = parameters,
        client.address = client.map(tracing::field::display),
        response.status = response.status().as_u16(),
        response.microseconds = stopwatch.elapsed().as_micros(),
        "request"
    );
    response
}

/// The names that are known, and how many others there are: whatever else stands in the place of a
/// name may be a secret that somebody pasted.
fn names(query: &str) -> String {
    let parameters = Parameters::parse(query.as_bytes());
    let shown: Vec<&str> = parameters.names().filter(|name| KNOWN.contains(name)).collect();
    let hidden = parameters.names().count() - shown.len();
    match hidden {
        0 => shown.join(","),
        hidden => format!("{} and {hidden} more", shown.join(",")),
    }
}

fn loggable_method(method: &axum::http::Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "TRACE"
        | "CONNECT") => known,
        _ => "(other)",
    }
}

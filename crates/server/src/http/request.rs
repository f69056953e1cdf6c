//! Each request gets an id, and one line in the log that reads alone.
//!
//! What is never logged: values of parameters, bodies, headers, and paths that are no route of
//! ours, because people paste secrets into all of them. A target is logged as its route and the
//! names of its parameters, and of the names only those that are known.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{HeaderName, ORIGIN};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use grantor_protocol::parameters::Parameters;

use super::cors;
use super::heard::Admitted;
use crate::http::ClientAddress;
use crate::site::Site;

/// The id of one request: in its answer, in its line of the log, and on its page.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

/// Why a page could not be shown; whoever answers has no id to log it with, so it travels in the
/// answer to where there is one.
#[derive(Clone, Debug)]
pub(super) struct Unshown(pub(super) String);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The parameters that the log names.
const KNOWN: [&str; 31] = [
    "acr_values",
    "claims",
    "client_id",
    "client-id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "dpop_jkt",
    "grant_type",
    "id_token_hint",
    "iss",
    "login_hint",
    "max_age",
    "nonce",
    "page",
    "post_logout_redirect_uri",
    "progress",
    "prompt",
    "redirect_uri",
    "refresh_token",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "size",
    "state",
    "ui_locales",
    "user_code",
];

/// What only the line of the log needs.
struct Line {
    method: Method,
    parameters: String,
}

/// Gives the request its id, and counts and logs it when it is answered.
pub(super) async fn log(
    State(site): State<Arc<Site>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId(site.random.hex::<8>());
    let stopwatch = site.clock.stopwatch();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // A call of a script, or an answer that a cache may keep for one.
    let for_scripts = request.headers().contains_key(ORIGIN) || request.method() == Method::GET;
    // What goes into the line alone, where there is to be one.
    let line = tracing::enabled!(tracing::Level::INFO).then(|| Line {
        method: request.method().clone(),
        parameters: request.uri().query().map(names).unwrap_or_default(),
    });
    let address = request.extensions().get::<ClientAddress>().map(|address| address.0);
    request.extensions_mut().insert(id.clone());

    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    if let Some(Unshown(error)) = response.extensions().get() {
        tracing::error!(request.id = id.0, error, "page.render");
    }
    let route = route.as_ref().map_or("(no route)", MatchedPath::as_str);
    if for_scripts {
        cors::open(route, response.headers_mut());
    }
    let (status, took) = (response.status().as_u16(), stopwatch.elapsed());
    site.metrics.requests.count(route, status, took);
    if let Some(admitted) = response.extensions_mut().remove::<Admitted>() {
        site.request_log.push(admitted.answered(&id, address, (status, took), &site.clock));
    }
    if let Some(line) = line {
        tracing::info!(
            environment = site.environment.as_str(),
            request.id = id.0,
            request.method = loggable_method(&line.method),
            request.route = route,
            request.parameters = line.parameters,
            client.address = address.map(tracing::field::display),
            response.status = status,
            response.microseconds = took.as_micros(),
            "request"
        );
    }
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

fn loggable_method(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "TRACE"
        | "CONNECT") => known,
        _ => "(other)",
    }
}

//! Cross-origin calls (S7): which answers a browser may hand to a script of another origin.
//!
//! The endpoints that a client without a server of its own calls are open to every origin: nothing
//! there depends on a cookie, so a script learns no more than any program. `/oauth/authorize` and
//! every page are closed, because there the browser is signed in.

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderValue,
};
use axum::http::{Response, StatusCode};
use axum::routing::MethodRouter;

/// The open routes, as they stand in the table.
const OPEN: [&str; 10] = [
    "/oauth/token",
    "/oauth/revoke",
    "/oauth/register",
    "/oauth/register/{client_id}",
    "/oauth/jwks",
    "/oauth/userinfo",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource/{*api}",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
];

/// What a script may send, beyond what it always may.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, dpop");
/// What a script may read, beyond what it always may.
const RESPONSE_HEADERS: HeaderValue =
    HeaderValue::from_static("dpop-nonce, retry-after, www-authenticate, x-request-id");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE");
/// For how long a browser need not ask again, in seconds.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// Lets a route answer what a browser asks before a call that is more than a form's.
pub(super) fn preflighted<S: Clone + Send + Sync + 'static>(
    route: MethodRouter<S>,
) -> MethodRouter<S> {
    route.options(async || {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
        response
    })
}

/// Opens the answer of an open route, whatever it says: a script has to read its errors too.
pub(super) fn open(route: &str, headers: &mut HeaderMap) {
    if OPEN.contains(&route) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
    }
}

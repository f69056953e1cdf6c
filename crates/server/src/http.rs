//! What is answered over HTTP: one table of all routes, and what every answer has.
//!
//! 1. [`router`] is the table;
//! 2. `request.rs` gives each request its id and its one line in the log;
//! 3. each endpoint is one file of phases: parse, authenticate, load, decide, commit, answer;
//! 4. `answer.rs` holds the headers that no answer is without.

mod access_token;
mod account;
mod answer;
mod api_access;
mod authorize;
mod bearer;
pub mod callback;
mod client_call;
mod client_document;
mod client_keys;
mod connections;
mod cors;
mod demo_api;
mod device;
mod device_authorization;
mod docs;
mod guard_check;
mod heard;
mod home;
mod introspect;
mod jwks;
mod logo;
mod logout;
mod metadata;
mod par;
mod portal;
mod proof;
mod register;
mod request;
mod revoke;
mod session;
mod sign_in;
mod signed_token;
mod token;
mod userinfo;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{any, get, post};

use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

pub(crate) use self::portal::show;
pub use self::portal::{Route, listed as portal_routes};

use self::cors::preflighted;
use crate::site::Site;

/// No body is larger, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long a caller may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// No pause within a body is longer: who stops in the middle keeps no connection.
    pub body_pause: Duration,
    /// No request takes longer, however slowly its body drips.
    pub request: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { body_pause: Duration::from_secs(10), request: Duration::from_secs(30) }
    }
}

/// Who sent the request: the peer, or, behind a listed proxy, whom that proxy names. Whoever takes
/// the connection puts it beside each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// All routes of one site.
pub fn router(site: Arc<Site>) -> Router {
    router_with(site, Patience::default())
}

/// All routes of one site, for callers who have that long.
pub fn router_with(site: Arc<Site>, patience: Patience) -> Router {
    let routes = match &site.portal {
        Some(_) => portal::routes(&site),
        None => environment_routes(&site),
    };
    routes
        .method_not_allowed_fallback(home::method_not_allowed)
        // One layer of several, the first the outermost: each by itself would be another allocation
        // and another indirection for every request.
        .layer((
            middleware::from_fn_with_state(Arc::clone(&site), request::log),
            TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, patience.request),
            RequestBodyTimeoutLayer::new(patience.body_pause),
            DefaultBodyLimit::max(MAX_BODY_BYTES),
        ))
        .with_state(site)
}

/// What an environment serves. The portal's own table is in `portal.rs`.
fn environment_routes(site: &Arc<Site>) -> Router<Arc<Site>> {
    let mut routes = Router::new()
        .route("/", get(home::home))
        .route(
            "/oauth/authorize",
            get(authorize::get).post(authorize::post).fallback(authorize::method),
        )
        .route("/oauth/token", preflighted(any(token::token)))
        .route("/oauth/revoke", preflighted(any(revoke::revoke)))
        .route("/oauth/par", any(par::push))
        .route("/oauth/device_authorization", any(device_authorization::begin))
        .route("/device", get(device::get).post(device::post))
        .route("/connections", get(connections::get).post(connections::post))
        .route("/connections/disconnect-all", get(connections::ask_for_all))
        .route("/logos/{client_id}/{digest}", get(logo::show))
        .route("/account/password", get(account::password::get).post(account::password::post))
        .route("/oauth/introspect", any(introspect::introspect))
        .route(
            "/.well-known/oauth-authorization-server",
            preflighted(get(metadata::authorization_server)),
        )
        .route(
            "/.well-known/openid-configuration",
            preflighted(get(metadata::authorization_server)),
        )
        .route("/oauth/userinfo", preflighted(get(userinfo::userinfo).post(userinfo::userinfo)))
        .route("/oauth/logout", get(logout::logout).post(logout::logout))
        .route(
            "/.well-known/oauth-protected-resource/{*api}",
            preflighted(get(metadata::protected_resource_of)),
        )
        .route("/guard/check", any(guard_check::check))
        .route("/guard/check/{*call}", any(guard_check::check))
        .route("/oauth/jwks", preflighted(get(jwks::jwks)))
        .route("/oauth/register", preflighted(post(register::register)))
        .route(
            "/oauth/register/{client_id}",
            preflighted(get(register::manage).put(register::manage).delete(register::manage)),
        )
        .route("/docs", get(docs::to_index))
        .route("/docs/", get(docs::index))
        .route("/docs/{*page}", get(docs::page))
        .route("/assets/{name}", get(docs::asset))
        .route("/favicon.ico", get(docs::favicon));
    if site.settings.mail {
        routes = routes
            .route(
                "/account/forgotten",
                get(account::forgotten::get).post(account::forgotten::post),
            )
            .route(
                "/account/reset/{link}",
                get(account::forgotten::link).post(account::forgotten::reset),
            );
    }
    if site.dev.is_some() {
        for (path, guarded) in demo_api::routes(site) {
            routes = routes.route(path, guarded);
        }
        routes = routes.route(
            "/.well-known/oauth-protected-resource",
            preflighted(get(metadata::protected_resource)),
        );
    }
    routes.fallback(home::not_found)
}

//! Discovery: what a client library finds out from the base URL alone (RFC 8414), and from the API of
//! dev (RFC 9728).
//!
//! The document is made from the settings of the environment, and names nothing that the server
//! does not do: `tests/server/metadata.rs` asks every endpoint and every method that it names.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::http::{Response, StatusCode};
use grantor_protocol::dpop;
use grantor_protocol::jose::Algorithm;
use serde::Serialize;

use super::answer;
use crate::demo;
use crate::site::{Registration, Site};

/// For how long a client may keep it: a change of the configuration is known within that.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// How a client proves itself where it must.
const SECRET_METHODS: [&str; 3] = ["client_secret_basic", "client_secret_post", "private_key_jwt"];

/// RFC 8414 2.
#[derive(Serialize)]
struct ServerMetadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    jwks_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_endpoint: Option<String>,
    response_types_supported: [&'static str; 1],
    response_modes_supported: Vec<&'static str>,
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    token_endpoint_auth_signing_alg_values_supported: [&'static str; Algorithm::ALL.len()],
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    code_challenge_methods_supported: [&'static str; 1],
    /// RFC 9449 5.1
    dpop_signing_alg_values_supported: [&'static str; dpop::ALGORITHMS.len()],
    /// RFC 9207 3
    authorization_response_iss_parameter_supported: bool,
    ui_locales_supported: [&'static str; 1],
    service_documentation: String,
}

/// `/.well-known/oauth-authorization-server`
pub(super) async fn authorization_server(State(site): State<Arc<Site>>) -> Response<Body> {
    let mut response = answer::json(&site, StatusCode::OK, &metadata(&site));
    response.headers_mut().insert(CACHE_CONTROL, CACHE);
    response
}

/// RFC 9728 2.
#[derive(Serialize)]
struct ResourceMetadata {
    resource: String,
    resource_name: &'static str,
    authorization_servers: [String; 1],
    scopes_supported: Vec<&'static str>,
    bearer_methods_supported: [&'static str; 1],
    dpop_signing_alg_values_supported: [&'static str; dpop::ALGORITHMS.len()],
    resource_documentation: String,
}

/// `/.well-known/oauth-protected-resource` of the API of dev, which stands beside its issuer.
pub(super) async fn protected_resource(State(site): State<Arc<Site>>) -> Response<Body> {
    let metadata = ResourceMetadata {
        resource: site.base_url.clone(),
        resource_name: "The API of grantor dev",
        authorization_servers: [site.base_url.clone()],
        scopes_supported: demo::SCOPES.split(' ').collect(),
        bearer_methods_supported: ["header"],
        dpop_signing_alg_values_supported: dpop::ALGORITHMS.map(Algorithm::as_str),
        resource_documentation: format!("{}/docs/", site.base_url),
    };
    let mut response = answer::json(&site, StatusCode::OK, &metadata);
    response.headers_mut().insert(CACHE_CONTROL, CACHE);
    response
}

fn metadata(site: &Site) -> ServerMetadata {
    let at = |path: &str| format!("{}{path}", site.base_url);
    let with_none = || SECRET_METHODS.into_iter().chain(["none"]).collect();
    ServerMetadata {
        issuer: site.base_url.clone(),
        authorization_endpoint: at("/oauth/authorize"),
        token_endpoint: at("/oauth/token"),
        revocation_endpoint: at("/oauth/revoke"),
        introspection_endpoint: at("/oauth/introspect"),
        jwks_uri: at("/oauth/jwks"),
        registration_endpoint: (site.settings.registration != Registration::Closed)
            .then(|| at("/oauth/register")),
        response_types_supported: ["code"],
        response_modes_supported: vec!["query"],
        grant_types_supported: vec!["authorization_code", "refresh_token", "client_credentials"],
        token_endpoint_auth_methods_supported: with_none(),
        token_endpoint_auth_signing_alg_values_supported: Algorithm::ALL.map(Algorithm::as_str),
        revocation_endpoint_auth_methods_supported: with_none(),
        introspection_endpoint_auth_methods_supported: SECRET_METHODS.to_vec(),
        code_challenge_methods_supported: ["S256"],
        dpop_signing_alg_values_supported: dpop::ALGORITHMS.map(Algorithm::as_str),
        authorization_response_iss_parameter_supported: true,
        ui_locales_supported: ["en"],
        service_documentation: at("/docs/"),
    }
}

//! Discovery: what a client library finds out from the base URL alone (RFC 8414, OpenID Connect
//! Discovery), and from an API (RFC 9728).
//!
//! One document stands at both addresses: a library that knows one of the two specifications finds
//! what it knows. It is made from the settings of the environment, and names nothing that the server
//! does not do: `tests/server/metadata.rs` asks every endpoint, and uses every grant type,
//! way of authentication, algorithm, response mode and prompt that it names.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::http::{Response, StatusCode};
use grantor_protocol::api::Api;
use grantor_protocol::client::IdTokenAlgorithm;
use grantor_protocol::device;
use grantor_protocol::dpop;
use grantor_protocol::jose::Algorithm;
use grantor_protocol::openid;
use grantor_protocol::scope::Scope;
use serde::Serialize;

use super::answer;
use crate::programme::scope::SCOPES;
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
    userinfo_endpoint: String,
    /// RFC 9126 5
    pushed_authorization_request_endpoint: String,
    require_pushed_authorization_requests: bool,
    /// RFC 8628 4
    device_authorization_endpoint: String,
    end_session_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_endpoint: Option<String>,
    response_types_supported: [&'static str; 1],
    response_modes_supported: Vec<&'static str>,
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    token_endpoint_auth_signing_alg_values_supported: [&'static str; Algorithm::ALL.len()],
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    /// RFC 8414 2: it has to be there wherever `private_key_jwt` is.
    revocation_endpoint_auth_signing_alg_values_supported: [&'static str; Algorithm::ALL.len()],
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_signing_alg_values_supported: [&'static str; Algorithm::ALL.len()],
    code_challenge_methods_supported: [&'static str; 1],
    /// RFC 9449 5.1
    dpop_signing_alg_values_supported: [&'static str; dpop::ALGORITHMS.len()],
    /// OpenID Connect Discovery 3
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'static str; IdTokenAlgorithm::ALL.len()],
    claims_supported: [&'static str; openid::CLAIMS_SUPPORTED.len()],
    claims_parameter_supported: bool,
    request_parameter_supported: bool,
    request_uri_parameter_supported: bool,
    prompt_values_supported: [&'static str; 4],
    scopes_supported: Vec<String>,
    client_id_metadata_document_supported: bool,
    /// RFC 9728 4
    #[serde(skip_serializing_if = "Vec::is_empty")]
    protected_resources: Vec<String>,
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

/// RFC 8414 2, of the portal: it gives tokens to clients alone, for its own API.
#[derive(Serialize)]
struct PortalMetadata {
    issuer: String,
    token_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    response_types_supported: [&'static str; 0],
    grant_types_supported: [&'static str; 1],
    token_endpoint_auth_methods_supported: [&'static str; 1],
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    introspection_endpoint_auth_methods_supported: [&'static str; 1],
    scopes_supported: Vec<&'static str>,
    dpop_signing_alg_values_supported: [&'static str; dpop::ALGORITHMS.len()],
    /// RFC 9728 4
    protected_resources: [String; 1],
    service_documentation: String,
}

/// `/.well-known/oauth-authorization-server` of the portal.
pub(super) async fn portal(State(site): State<Arc<Site>>) -> Response<Body> {
    let at = |path: &str| format!("{}{path}", site.base_url);
    let metadata = PortalMetadata {
        issuer: site.base_url.clone(),
        token_endpoint: at("/oauth/token"),
        revocation_endpoint: at("/oauth/revoke"),
        introspection_endpoint: at("/oauth/introspect"),
        response_types_supported: [],
        grant_types_supported: ["client_credentials"],
        token_endpoint_auth_methods_supported: ["client_secret_basic"],
        revocation_endpoint_auth_methods_supported: ["client_secret_basic"],
        introspection_endpoint_auth_methods_supported: ["client_secret_basic"],
        scopes_supported: SCOPES.map(|scope| scope.name).to_vec(),
        dpop_signing_alg_values_supported: dpop::ALGORITHMS.map(Algorithm::as_str),
        protected_resources: [site.base_url.clone()],
        service_documentation: at("/docs/"),
    };
    let mut response = answer::json(&site, StatusCode::OK, &metadata);
    response.headers_mut().insert(CACHE_CONTROL, CACHE);
    response
}

/// RFC 9728 2.
#[derive(Serialize)]
struct ResourceMetadata<'a> {
    resource: &'a str,
    resource_name: &'a str,
    authorization_servers: [&'a str; 1],
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: [&'static str; 1],
    dpop_signing_alg_values_supported: [&'static str; dpop::ALGORITHMS.len()],
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<String>,
}

/// `/.well-known/oauth-protected-resource` of the API of dev, which stands beside its issuer.
pub(super) async fn protected_resource(State(site): State<Arc<Site>>) -> Response<Body> {
    match site.settings.apis.find(&site.base_url) {
        Some(api) => resource_metadata(&site, api),
        None => answer::plain(&site, StatusCode::NOT_FOUND, "There is no API at this address."),
    }
}

/// `/.well-known/oauth-protected-resource/{host}/{path}` of a configured API: RFC 9728 5.1 lets the
/// API's challenge name any address, so that it need not serve the document itself. Where the API
/// stands on this very host, `{path}` alone is the address that RFC 9728 3.1 makes of its URL.
pub(super) async fn protected_resource_of(
    State(site): State<Arc<Site>>,
    Path(named): Path<String>,
) -> Response<Body> {
    let beside = format!("{}/{named}", site.base_url);
    let apis = &site.settings.apis;
    let elsewhere = || apis.iter().find(|api| metadata_path(api) == named);
    match apis.find(&beside).or_else(elsewhere) {
        Some(api) => resource_metadata(&site, api),
        None => answer::plain(&site, StatusCode::NOT_FOUND, "There is no API at this address."),
    }
}

/// Where the metadata of an API is (RFC 9728 5.1).
pub(super) fn metadata_url(site: &Site, api: &Api) -> String {
    format!("{}/.well-known/oauth-protected-resource/{}", site.base_url, metadata_path(api))
}

/// The host and the path of an API, as they stand behind the well-known address here.
fn metadata_path(api: &Api) -> &str {
    let (_, rest) = api.resource.split_once("://").unwrap_or(("", &api.resource));
    rest.trim_end_matches('/')
}

fn resource_metadata(site: &Site, api: &Api) -> Response<Body> {
    // Those that an app asks for to use it. Who the customer is, is another question.
    let scopes = api.scopes.without(&standard_scopes());
    let metadata = ResourceMetadata {
        resource: &api.resource,
        resource_name: &api.name,
        authorization_servers: [&site.base_url],
        scopes_supported: scopes.iter().collect(),
        bearer_methods_supported: ["header"],
        dpop_signing_alg_values_supported: dpop::ALGORITHMS.map(Algorithm::as_str),
        resource_documentation: site.dev.as_ref().map(|_| format!("{}/docs/", site.base_url)),
    };
    let mut response = answer::json(site, StatusCode::OK, &metadata);
    response.headers_mut().insert(CACHE_CONTROL, CACHE);
    response
}

fn standard_scopes() -> Scope {
    Scope::parse(&openid::SCOPES.join(" ")).unwrap_or_default()
}

/// What may be asked for at all: what the APIs know, and OpenID Connect. A client may have others.
fn scopes(site: &Site) -> Vec<String> {
    let all = site.settings.apis.iter().fold(standard_scopes(), |all, api| all.union(&api.scopes));
    all.iter().map(str::to_owned).collect()
}

fn metadata(site: &Site) -> ServerMetadata {
    let at = |path: &str| format!("{}{path}", site.base_url);
    let apis = &site.settings.apis;
    let algorithms = Algorithm::ALL.map(Algorithm::as_str);
    let with_none = || SECRET_METHODS.into_iter().chain(["none"]).collect();
    ServerMetadata {
        issuer: site.base_url.clone(),
        authorization_endpoint: at("/oauth/authorize"),
        token_endpoint: at("/oauth/token"),
        revocation_endpoint: at("/oauth/revoke"),
        introspection_endpoint: at("/oauth/introspect"),
        jwks_uri: at("/oauth/jwks"),
        userinfo_endpoint: at("/oauth/userinfo"),
        pushed_authorization_request_endpoint: at("/oauth/par"),
        require_pushed_authorization_requests: false,
        device_authorization_endpoint: at("/oauth/device_authorization"),
        end_session_endpoint: at("/oauth/logout"),
        registration_endpoint: (site.settings.registration != Registration::Closed)
            .then(|| at("/oauth/register")),
        response_types_supported: ["code"],
        response_modes_supported: vec!["query", "form_post"],
        grant_types_supported: vec![
            "authorization_code",
            "refresh_token",
            "client_credentials",
            device::GRANT_TYPE,
        ],
        token_endpoint_auth_methods_supported: with_none(),
        token_endpoint_auth_signing_alg_values_supported: algorithms,
        revocation_endpoint_auth_methods_supported: with_none(),
        revocation_endpoint_auth_signing_alg_values_supported: algorithms,
        introspection_endpoint_auth_methods_supported: SECRET_METHODS.to_vec(),
        introspection_endpoint_auth_signing_alg_values_supported: algorithms,
        code_challenge_methods_supported: ["S256"],
        dpop_signing_alg_values_supported: dpop::ALGORITHMS.map(Algorithm::as_str),
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: IdTokenAlgorithm::ALL.map(IdTokenAlgorithm::as_str),
        claims_supported: openid::CLAIMS_SUPPORTED,
        claims_parameter_supported: true,
        request_parameter_supported: false,
        // Of an address elsewhere: what is pushed here is another thing (RFC 9126 5).
        request_uri_parameter_supported: false,
        prompt_values_supported: ["none", "login", "consent", "select_account"],
        scopes_supported: scopes(site),
        client_id_metadata_document_supported: site.settings.client_id_metadata_documents,
        protected_resources: apis.iter().map(|api| api.resource.clone()).collect(),
        authorization_response_iss_parameter_supported: true,
        ui_locales_supported: ["en"],
        service_documentation: at("/docs/"),
    }
}

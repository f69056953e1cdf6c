//! `/oauth/userinfo`: what an app may know of the customer who connected it (OpenID Connect Core
//! 5.3).

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Method, Response, StatusCode};
use grantor_protocol::api::is_for;
use grantor_protocol::openid::{CustomerClaims, OPENID};
use grantor_protocol::proof_error::ProofError;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::answer;
use super::bearer::{Bearer, BearerFault, KeyFault};
use super::proof;
use super::request::RequestId;
use crate::site::Site;

const PATH: &str = "/oauth/userinfo";

/// `sub` always (5.3.2).
#[derive(Serialize)]
struct UserInfo {
    sub: String,
    #[serde(flatten)]
    customer: CustomerClaims,
}

/// Answers a call, by GET or by POST.
pub(super) async fn userinfo(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    let method = if method == Method::POST { "POST" } else { "GET" };
    match read(&site, &request_id, &headers, method).await {
        Ok(info) => answer::json(&site, StatusCode::OK, &info),
        Err(fault) => refuse(&site, &request_id, &fault),
    }
}

enum Refusal {
    Bearer(BearerFault),
    /// a token for other APIs
    Audience,
    /// a token without the scope `openid`
    Scope,
}

async fn read(
    site: &Site,
    request_id: &RequestId,
    headers: &HeaderMap,
    method: &str,
) -> Result<UserInfo, Refusal> {
    let bearer = Bearer::of(site, request_id, headers, [method, PATH]).await;
    let Bearer { live, grant } = bearer.map_err(Refusal::Bearer)?;
    // RFC 8707 2: who takes tokens for another API must not learn here who its customers are.
    if !is_for(&live.binding.resources, &site.base_url) {
        return Err(Refusal::Audience);
    }
    if !live.scope.contains(OPENID) {
        return Err(Refusal::Scope);
    }
    let known = site.store.customer_claims(site.environment, grant.customer_id).await;
    let known = known.map_err(|error| Refusal::Bearer(BearerFault::Store(error)))?;
    Ok(UserInfo {
        sub: Uuid::from_bytes(grant.customer_id).to_string(),
        // What `claims` asked for by name has its scope too (`OpenIdParameters::scopes_of_claims`).
        customer: known.chosen(&live.scope, None),
    })
}

/// RFC 6750 3, with a body for developers.
fn refuse(site: &Site, request_id: &RequestId, refusal: &Refusal) -> Response<Body> {
    let (status, scheme, error, words) = match refusal {
        Refusal::Bearer(BearerFault::Missing) => (
            StatusCode::UNAUTHORIZED,
            "Bearer",
            "",
            "Send the access token as `Authorization: Bearer`".to_owned(),
        ),
        Refusal::Bearer(BearerFault::TwoHeaders) => (
            StatusCode::BAD_REQUEST,
            "Bearer",
            "invalid_request",
            "Send the Authorization header once".to_owned(),
        ),
        Refusal::Bearer(BearerFault::Invalid) => (
            StatusCode::UNAUTHORIZED,
            "Bearer",
            "invalid_token",
            "The access token is expired, revoked, or of another environment".to_owned(),
        ),
        Refusal::Bearer(BearerFault::Key(KeyFault::Proof(ProofError::Unavailable))) => {
            return unavailable(site);
        }
        Refusal::Bearer(BearerFault::Key(fault)) => {
            (StatusCode::UNAUTHORIZED, "DPoP", fault.code(), fault.words())
        }
        Refusal::Bearer(BearerFault::NoCustomer) => (
            StatusCode::FORBIDDEN,
            "Bearer",
            "insufficient_scope",
            "The access token is a client's own: no customer stands behind it".to_owned(),
        ),
        Refusal::Audience => (
            StatusCode::UNAUTHORIZED,
            "Bearer",
            "invalid_token",
            "The access token is for another API: name none to get one that opens this too"
                .to_owned(),
        ),
        Refusal::Scope => (
            StatusCode::FORBIDDEN,
            "Bearer",
            "insufficient_scope",
            "The access token does not have the scope openid".to_owned(),
        ),
        Refusal::Bearer(BearerFault::Store(error)) => {
            tracing::error!(request.id = request_id.0, %error, "userinfo.store");
            return unavailable(site);
        }
    };
    // RFC 6750 3.1: who sent no token learns no error code.
    let challenge = match error {
        "" => format!("{scheme} realm=\"grantor {}\"", site.environment),
        error => format!(
            "{scheme} realm=\"grantor {}\", error=\"{error}\", error_description=\"{words}\"",
            site.environment
        ),
    };
    let code = if error.is_empty() { "invalid_token" } else { error };
    let body = json!({ "error": code, "error_description": words });
    let mut response = answer::json(site, status, &body);
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    if scheme == "DPoP" {
        proof::offer_nonce(site, response.headers_mut());
    }
    response
}

fn unavailable(site: &Site) -> Response<Body> {
    let body = json!({
        "error": "temporarily_unavailable",
        "error_description": "Try again in a few seconds",
    });
    let mut response = answer::json(site, StatusCode::SERVICE_UNAVAILABLE, &body);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
    response
}

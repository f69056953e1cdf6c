//! `/oauth/jwks`: the public keys of this environment (RFC 7517 5). Whoever verifies a token offline
//! gets them here.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::http::{Response, StatusCode};

use super::answer;
use super::client_call::refuse;
use super::request::RequestId;
use crate::keys::signing::CACHE_SECONDS;
use crate::site::Site;
use grantor_protocol::token_error::TokenError;

/// Answers with all keys, those that will sign soon and those that signed lately included.
pub(super) async fn jwks(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
) -> Response<Body> {
    let ring = match site.signing_keys().await {
        Ok(ring) => ring,
        Err(error) => {
            tracing::error!(request.id = request_id.0, %error, "jwks.keys");
            return refuse(&site, &request_id, &TokenError::Unavailable);
        }
    };
    let keys = ring.published().to_owned();
    let mut response = answer::respond(&site, StatusCode::OK, "application/jwk-set+json", keys);
    let cache = format!("public, max-age={CACHE_SECONDS}");
    if let Ok(cache) = HeaderValue::from_str(&cache) {
        response.headers_mut().insert(CACHE_CONTROL, cache);
    }
    response
}

//! The logo of an app, as its pages show it. Its address holds its digest, so it never changes: a
//! browser may keep it for ever, and a new logo has another address.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use grantor_protocol::client::Client;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::request::RequestId;
use super::{answer, home};
use crate::hex::{hex, unhex};
use crate::logo::LogoDigest;
use crate::site::Site;
use crate::store::StoreError;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// Where an environment serves the logo of one of its clients.
pub(super) fn path(client: &Client, logo: Option<LogoDigest>) -> Option<String> {
    let id = utf8_percent_encode(&client.id, NON_ALPHANUMERIC);
    logo.map(|digest| format!("/logos/{id}/{}", hex(&digest.0)))
}

/// Serves it, to whoever may see the sign-in page: everybody.
pub(super) async fn show(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    named: Result<Path<(String, String)>, PathRejection>,
) -> Response<Body> {
    match find(&site, named).await {
        Ok(Some(png)) => picture(&site, png),
        Ok(None) => home::not_found(State(site), Extension(request_id)).await,
        Err(error) => {
            tracing::error!(request.id = request_id.0, %error, "logo.store");
            answer::plain(&site, StatusCode::SERVICE_UNAVAILABLE, "Not available at the moment.")
        }
    }
}

async fn find(
    site: &Site,
    named: Result<Path<(String, String)>, PathRejection>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Ok(Path((client_id, digest))) = named else { return Ok(None) };
    match parse(&digest) {
        Some(digest) => site.store.logo(site.environment, &client_id, digest).await,
        None => Ok(None),
    }
}

/// A digest as it stands in an address.
pub(super) fn parse(digest: &str) -> Option<LogoDigest> {
    unhex(digest)?.try_into().ok().map(LogoDigest)
}

/// A picture that this server wrote, and nothing that anybody could take for something else.
pub(super) fn picture(site: &Site, png: Vec<u8>) -> Response<Body> {
    let mut response = answer::respond(site, StatusCode::OK, "image/png", png);
    let headers = response.headers_mut();
    let mut put = |name, value| headers.insert(name, HeaderValue::from_static(value));
    put(CACHE_CONTROL, "public, max-age=31536000, immutable");
    put(CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox; frame-ancestors 'none'");
    put(CROSS_ORIGIN_RESOURCE_POLICY, "same-origin");
    response
}

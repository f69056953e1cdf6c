//! The base URL itself, and addresses where there is nothing.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use grantor_protocol::authorize_error::PageWords;

use super::answer::{self, fault_page, frame};
use super::request::RequestId;
use crate::demo;
use crate::pages::HomePage;
use crate::site::Site;

/// What somebody sees who opens the base URL.
pub(super) async fn home(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
) -> Response<Body> {
    let page = HomePage {
        frame: frame(&site, &request_id),
        issuer: site.base_url.clone(),
        authorize_url: demo::authorize_url(&site),
        docs_url: "/docs/".to_owned(),
    };
    answer::page(&site, StatusCode::OK, &page, None)
}

/// No such address.
pub(super) async fn not_found(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
) -> Response<Body> {
    let words = PageWords {
        anchor: "not-found",
        title: "There is nothing here",
        what_happened: "This address is not one of this server.".into(),
        what_to_do: "Compare it with the one in the guide; the docs list every address.".into(),
    };
    fault_page(&site, &request_id, StatusCode::NOT_FOUND, words, vec![])
}

/// An address that takes another method.
pub(super) async fn method_not_allowed(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
) -> Response<Body> {
    let words = PageWords {
        anchor: "method",
        title: "This address takes another method",
        what_happened: "The address is right, but not for this HTTP method.".into(),
        what_to_do: "The Allow header of this answer names the methods that it takes.".into(),
    };
    fault_page(&site, &request_id, StatusCode::METHOD_NOT_ALLOWED, words, vec![])
}

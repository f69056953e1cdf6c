//! Answers, and the headers that none of them is without.

use askama::Template;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
    REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{Response, StatusCode};
use grantor_protocol::authorization_request::ResponseMode;
use grantor_protocol::authorize_error::{PageFault, PageWords};
use grantor_protocol::redirect_uri::ProvedRedirectUri;
use serde::Serialize;

use super::request::{RequestId, Unshown};
use crate::pages::{FormPostPage, Frame, MessagePage, stylesheet_url};
use crate::site::Site;

/// The page that lists every error, behind each `error_uri`.
pub(super) const ERRORS_PATH: &str = "/docs/reference/errors";

/// What every page begins with.
pub(super) fn frame(site: &Site, request_id: &RequestId) -> Frame {
    Frame {
        environment: site.environment.as_str(),
        dev: site.dev.is_some(),
        lang: "en",
        stylesheet: stylesheet_url().to_owned(),
        request_id: request_id.0.clone(),
    }
}

/// A page. `leads_to` is where its form may end up: Chromium applies `form-action` to the redirect
/// after the POST too.
pub(super) fn page(
    site: &Site,
    status: StatusCode,
    page: &impl Template,
    leads_to: Option<&ProvedRedirectUri>,
) -> Response<Body> {
    let html = match page.render() {
        Ok(html) => html,
        Err(error) => {
            let words = "This page could not be shown.";
            let mut response = plain(site, StatusCode::INTERNAL_SERVER_ERROR, words);
            response.extensions_mut().insert(Unshown(error.to_string()));
            return response;
        }
    };
    let form_action = match leads_to {
        Some(redirect_uri) => format!("'self' {}", redirect_uri.form_action_source()),
        None => "'self'".to_owned(),
    };
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action {form_action}; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    let mut response = respond(site, status, "text/html; charset=utf-8", html);
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A page that says what went wrong.
pub(super) fn fault_page(
    site: &Site,
    request_id: &RequestId,
    status: StatusCode,
    words: PageWords,
    facts: Vec<(String, String)>,
) -> Response<Body> {
    let message = MessagePage {
        frame: frame(site, request_id),
        title: words.title.to_owned(),
        what_happened: words.what_happened,
        what_to_do: words.what_to_do,
        facts,
        registered: Vec::new(),
        docs_url: Some(format!("{ERRORS_PATH}#{}", words.anchor)),
        portal_url: None,
        retry_url: None,
    };
    page(site, status, &message, None)
}

/// A page that asks for patience: the same for an account that there is and for one that there is
/// not (S19).
pub(super) fn too_many_tries(
    site: &Site,
    request_id: &RequestId,
    wait_seconds: i64,
    retry: String,
) -> Response<Body> {
    let words = PageFault::TooManyTries { wait_seconds }.words();
    let message = MessagePage {
        frame: frame(site, request_id),
        title: words.title.to_owned(),
        what_happened: words.what_happened,
        what_to_do: words.what_to_do,
        facts: Vec::new(),
        registered: Vec::new(),
        docs_url: Some(format!("{ERRORS_PATH}#{}", words.anchor)),
        portal_url: None,
        retry_url: Some(retry),
    };
    let mut response = page(site, StatusCode::TOO_MANY_REQUESTS, &message, None);
    retry_after(wait_seconds, response.headers_mut());
    response
}

/// When to come again (RFC 9110 10.2.3).
pub(super) fn retry_after(seconds: i64, headers: &mut HeaderMap) {
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
}

/// A redirect to an address that a client registered for after signing out, compared byte for byte.
pub(super) fn redirect_to_registered(site: &Site, target: &str) -> Response<Body> {
    see_other(site, target)
}

/// An answer to a client through the browser: only a proved URI gets here.
pub(super) fn to_client(
    site: &Site,
    request_id: &RequestId,
    (redirect_uri, mode): (&ProvedRedirectUri, ResponseMode),
    parameters: &[(&str, &str)],
) -> Response<Body> {
    match mode {
        ResponseMode::Query => see_other(site, &redirect_uri.with(parameters)),
        ResponseMode::FormPost => form_post(site, request_id, redirect_uri, parameters),
    }
}

/// A page whose form goes to the client by itself, or by its button where scripts are off (OAuth 2.0
/// Form Post Response Mode 2).
fn form_post(
    site: &Site,
    request_id: &RequestId,
    redirect_uri: &ProvedRedirectUri,
    parameters: &[(&str, &str)],
) -> Response<Body> {
    let pairs = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let form = FormPostPage {
        frame: frame(site, request_id),
        action: redirect_uri.as_str().to_owned(),
        parameters: pairs.collect(),
    };
    let mut response = page(site, StatusCode::OK, &form, None);
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src '{}'; form-action {}; \
         frame-ancestors 'none'; base-uri 'none'",
        FormPostPage::script_source(),
        redirect_uri.form_action_source(),
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A redirect within this site: the target is a path of ours.
pub(super) fn redirect_within(site: &Site, path_and_query: &str) -> Response<Body> {
    see_other(site, path_and_query)
}

/// 303 and never 307: a 307 would post the customer's password to the client (RFC 9700 4.12).
fn see_other(site: &Site, target: &str) -> Response<Body> {
    let mut response = respond(site, StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "");
    match HeaderValue::from_str(target) {
        Ok(target) => {
            response.headers_mut().insert(LOCATION, target);
            response
        }
        Err(_) => plain(site, StatusCode::BAD_REQUEST, "The target of this redirect is damaged."),
    }
}

/// JSON.
pub(super) fn json(site: &Site, status: StatusCode, body: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(body) {
        Ok(body) => respond(site, status, "application/json", body),
        Err(_) => plain(site, StatusCode::INTERNAL_SERVER_ERROR, "This answer cannot be written."),
    }
}

/// Done, with nothing to say.
pub(super) fn nothing(site: &Site) -> Response<Body> {
    let mut response = respond(site, StatusCode::NO_CONTENT, "text/plain", Body::empty());
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

/// A sentence.
pub(super) fn plain(site: &Site, status: StatusCode, text: &'static str) -> Response<Body> {
    respond(site, status, "text/plain; charset=utf-8", text)
}

/// An answer of any kind, with the headers that none is without.
pub(super) fn respond(
    site: &Site,
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // Room for all of them at once, those of the endpoints included.
    *headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    secure(site, headers);
    response
}

fn secure(site: &Site, headers: &mut HeaderMap) {
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    if site.is_https() {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

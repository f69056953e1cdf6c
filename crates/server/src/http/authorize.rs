//! `/oauth/authorize`: from the link that a partner's app opens to the code that it gets back.
//!
//! 1. [`flow::Flow::load`] parses the request, loads its client and proves its redirect URI;
//! 2. it loads who is signed in and what that customer allowed before;
//! 3. `grantor_protocol::authorization_step::next` decides what comes next;
//! 4. a GET shows that page, or redirects with a code or an error;
//! 5. a POST carries out one step of a page (`sign_in.rs`, `businesses.rs`, `consent.rs`) and comes
//!    back here by 303, so that no step ever leads to another.
//!
//! The request itself travels in the query of each of these URLs, as the partner sent it; how far
//! the customer came travels beside it, sealed (`progress.rs`). So nothing is kept for a customer
//! who walks away, and any server process can take the next step.

mod businesses;
mod consent;
pub(super) mod consent_words;
mod fault;
mod flow;
mod issue;
mod progress;
mod sign_in;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{ALLOW, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Response, StatusCode, Uri};
use grantor_protocol::authorization_step::{Step, next};
use grantor_protocol::authorize_error::AuthorizeFault;
use grantor_protocol::parameters::Parameters;
use grantor_protocol::trial::Trial;

use self::flow::{Age, Flow};
use super::answer;
use super::request::RequestId;
use crate::http::ClientAddress;
use crate::site::Site;

const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const PURPOSE: HeaderName = HeaderName::from_static("purpose");
const X_PURPOSE: HeaderName = HeaderName::from_static("x-purpose");
const X_MOZ: HeaderName = HeaderName::from_static("x-moz");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Shows the next page, or redirects.
pub(super) async fn get(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    // A browser that only guesses what its user will open must not get a code (S8).
    if is_prefetch(&headers) {
        return answer::plain(
            &site,
            StatusCode::SERVICE_UNAVAILABLE,
            "This page is not prefetched.",
        );
    }
    let query = uri.query().unwrap_or_default();
    let answered = match Flow::load(&site, &request_id, (query, Age::Second), &headers).await {
        Ok(flow) => show_next(&flow, &method).await,
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| fault.answer_and_note(&site, &request_id, query))
}

/// Carries out one step of a page.
pub(super) async fn post(
    State(site): State<Arc<Site>>,
    (Extension(request_id), Extension(caller)): (Extension<RequestId>, Extension<ClientAddress>),
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            return fault::Fault::Body(rejection.status()).answer(&site, &request_id);
        }
    };
    let query = uri.query().unwrap_or_default();
    let answered = match Flow::load(&site, &request_id, (query, Age::Now), &headers).await {
        Ok(flow) => carry_out(&flow, caller.0, &headers, &body).await,
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| fault.answer_and_note(&site, &request_id, query))
}

/// Any other method.
pub(super) async fn method(State(site): State<Arc<Site>>) -> Response<Body> {
    let mut response =
        answer::plain(&site, StatusCode::METHOD_NOT_ALLOWED, "Open this address with GET.");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
    response
}

async fn show_next(flow: &Flow<'_>, method: &Method) -> Result<Response<Body>, fault::Fault> {
    let step = next(&flow.situation(flow.progress()));
    // RFC 9110 9.2.1: who only looks whether a link works (HEAD) must not get a code for it.
    if method == Method::HEAD && matches!(step, Step::Issue { .. }) {
        return Ok(answer::plain(flow.site, StatusCode::OK, ""));
    }
    if is_denied_on_purpose(flow, &step).await {
        let denied = Step::Refuse(AuthorizeFault::AccessDenied);
        return issue::finish(flow, denied, Some(Trial::DenyConsent)).await;
    }
    let mut response = match step {
        Step::SignIn => sign_in::page(flow, StatusCode::OK, "", None),
        Step::ChooseBusinesses { ticked } => businesses::page(flow, StatusCode::OK, &ticked, None),
        Step::AskConsent { businesses } => consent::page(flow, &businesses),
        Step::Issue { .. } | Step::Refuse(_) => return issue::finish(flow, step, None).await,
    };
    flow.browser.remember(flow.site, response.headers_mut());
    Ok(response)
}

/// Whether this request is denied because its client's owner wanted to see that, once somebody is
/// signed in (`trials.rs`).
async fn is_denied_on_purpose(flow: &Flow<'_>, step: &Step) -> bool {
    let signed_in = match step {
        Step::ChooseBusinesses { .. } | Step::AskConsent { .. } | Step::Issue { .. } => true,
        Step::SignIn | Step::Refuse(_) => false,
    };
    let site = flow.site;
    signed_in
        && site
            .trials
            .take(&site.store, &flow.client().id, Trial::DenyConsent, site.clock.now())
            .await
}

async fn carry_out(
    flow: &Flow<'_>,
    address: IpAddr,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response<Body>, fault::Fault> {
    let form = Parameters::parse(body);
    // The token is what counts; fetch metadata is what a browser cannot be talked out of.
    let same_origin =
        headers.get(SEC_FETCH_SITE).is_none_or(|site| site == "same-origin" || site == "none");
    let owned = same_origin && flow.browser.owns_form(flow.site, form.value("csrf_token"));
    if !owned && same_origin && flow.account.is_some() {
        // Another tab signed in since this page was opened: nothing is taken from the form, and the
        // customer goes on where the request stands.
        return Ok(answer::redirect_within(flow.site, &flow.here()));
    }
    if !owned {
        return Err(fault::Fault::FormExpired { retry: flow.here() });
    }
    match form.value("step") {
        Some("sign_in") => sign_in::carry_out(flow, address, &form).await,
        Some("businesses") => businesses::carry_out(flow, body),
        Some("consent") => consent::carry_out(flow, &form).await,
        _ => Err(fault::Fault::FormExpired { retry: flow.here() }),
    }
}

fn is_prefetch(headers: &HeaderMap) -> bool {
    let guesses = |value: &HeaderValue| {
        let value = value.as_bytes().to_ascii_lowercase();
        ["prefetch", "prerender", "preview"]
            .iter()
            .any(|word| value.windows(word.len()).any(|found| found == word.as_bytes()))
    };
    [SEC_PURPOSE, PURPOSE, X_PURPOSE, X_MOZ]
        .iter()
        .any(|name| headers.get_all(name).iter().any(guesses))
}

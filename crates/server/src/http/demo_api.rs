//! The API of dev: what a token opens, with the shapes of the real one.
//!
//! A token answers as seal ∩ row: its own scope, for the businesses of its grant, while that grant
//! is in force. The refusals are those of RFC 6750 3, with the body that the vendor sends.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode, Uri};
use grantor_protocol::api::is_for;
use grantor_protocol::dpop;
use grantor_protocol::jose::Algorithm;
use grantor_protocol::parameters::Parameters;
use grantor_protocol::proof_error::ProofError;
use serde_json::{Value, json};

use super::answer;
use super::bearer::{Bearer, BearerFault, KeyFault};
use super::proof;
use super::request::RequestId;
use crate::site::Site;
use crate::store::{Business, StoreError};

const NO_CUSTOMER: &str =
    "The access token is a client's own, and this API is about a customer's businesses";
const DEFAULT_PAGE_SIZE: usize = 1000;

enum Refusal {
    /// no token, or one that opens nothing here
    Bearer(BearerFault),
    /// a token without the scope
    Scope(&'static str),
    /// the store failed
    Store(StoreError),
}

/// `GET /f/data/businesses`
pub(super) async fn financial(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let call = Call { headers: &headers, path: "/f/data/businesses", scope: "financial-api" };
    match allowed(&site, &request_id, &call).await {
        Ok(businesses) => {
            let body = financial_body(&site, uri.query().unwrap_or_default(), &businesses);
            answer::json(&site, StatusCode::OK, &body)
        }
        Err(refusal) => refusal.answer(&site, &request_id),
    }
}

/// `GET /o/op/data/businesses`
pub(super) async fn orders(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response<Body> {
    let call = Call { headers: &headers, path: "/o/op/data/businesses", scope: "orders-api" };
    match allowed(&site, &request_id, &call).await {
        Ok(businesses) => {
            let list: Vec<Value> = businesses
                .iter()
                .map(|business| {
                    let locations: Vec<Value> = business
                        .locations
                        .iter()
                        .map(|location| json!({ "id": location.id, "name": location.name }))
                        .collect();
                    json!({ "name": business.name, "id": business.id, "businessLocations": locations })
                })
                .collect();
            answer::json(&site, StatusCode::OK, &Value::Array(list))
        }
        Err(refusal) => refusal.answer(&site, &request_id),
    }
}

fn financial_body(site: &Site, query: &str, businesses: &[Business]) -> Value {
    let parameters = Parameters::parse(query.as_bytes());
    let number = |name| parameters.value(name).and_then(|value| value.parse::<usize>().ok());
    let size = number("size").unwrap_or(DEFAULT_PAGE_SIZE).clamp(1, DEFAULT_PAGE_SIZE);
    let page = number("page").unwrap_or(0);
    let list: Vec<Value> = businesses
        .iter()
        .skip(page.saturating_mul(size))
        .take(size)
        .map(|business| {
            let locations: Vec<Value> = business
                .locations
                .iter()
                .map(|location| {
                    json!({
                        "blName": location.name,
                        "blID": location.id,
                        "country": location.country,
                        "timezone": location.timezone,
                    })
                })
                .collect();
            json!({
                "businessName": business.name,
                "businessId": business.id,
                "currencyCode": business.currency,
                "businessLocations": locations,
            })
        })
        .collect();
    let href = format!("{}/f/data/businesses?page={page}&size={size}", site.base_url);
    json!({ "_embedded": { "businessList": list }, "_links": { "self": { "href": href } } })
}

/// A call as it came, and what it takes.
struct Call<'a> {
    headers: &'a HeaderMap,
    path: &'static str,
    scope: &'static str,
}

/// The businesses that the token of this request opens, if it carries `scope`.
async fn allowed(
    site: &Site,
    request_id: &RequestId,
    call: &Call<'_>,
) -> Result<Vec<Business>, Refusal> {
    let bearer = Bearer::of(site, request_id, call.headers, ["GET", call.path]).await;
    let Bearer { live, grant } = bearer.map_err(Refusal::Bearer)?;
    // RFC 8707 2: a token for another API opens nothing here, whoever brings it.
    if !is_for(&live.binding.resources, &site.base_url) {
        return Err(Refusal::Bearer(BearerFault::Invalid));
    }
    if !live.scope.contains(call.scope) {
        return Err(Refusal::Scope(call.scope));
    }
    let businesses = site.store.businesses(site.environment, grant.customer_id).await;
    let covered = |business: &Business| grant.businesses.contains(&business.id);
    Ok(businesses.map_err(Refusal::Store)?.into_iter().filter(covered).collect())
}

/// Status, challenge, code and title.
fn unavailable() -> (StatusCode, String, &'static str, String) {
    let title = "Try again in a few seconds".to_owned();
    (StatusCode::SERVICE_UNAVAILABLE, String::new(), "unavailable", title)
}

/// The same for a key that was not proved (RFC 9449 7.1).
fn of_key(realm: &str, fault: KeyFault) -> (StatusCode, String, &'static str, String) {
    if fault == KeyFault::Proof(ProofError::Unavailable) {
        return unavailable();
    }
    let algorithms = dpop::ALGORITHMS.map(Algorithm::as_str).join(" ");
    let (code, words) = (fault.code(), fault.words());
    let challenge = format!(
        "{realm}, DPoP algs=\"{algorithms}\", error=\"{code}\", error_description=\"{words}\""
    );
    (StatusCode::UNAUTHORIZED, challenge, "unauthorized", words)
}

impl Refusal {
    fn answer(self, site: &Site, request_id: &RequestId) -> Response<Body> {
        let with_key = matches!(self, Refusal::Bearer(BearerFault::Key(_)));
        let realm = format!("Bearer realm=\"grantor {}\"", site.environment);
        let (status, challenge, code, title) = match self {
            // RFC 6750 3.1: who sent no token learns no error code.
            Refusal::Bearer(BearerFault::Missing) => (
                StatusCode::UNAUTHORIZED,
                realm,
                "unauthorized",
                "Full authentication is required to access this resource".to_owned(),
            ),
            Refusal::Bearer(BearerFault::TwoHeaders) => (
                StatusCode::BAD_REQUEST,
                format!("{realm}, error=\"invalid_request\""),
                "bad_request",
                "Send the Authorization header once".to_owned(),
            ),
            Refusal::Bearer(BearerFault::Invalid) => (
                StatusCode::UNAUTHORIZED,
                format!(
                    "{realm}, error=\"invalid_token\", error_description=\"The access token is \
                     expired, revoked, or of another environment\""
                ),
                "unauthorized",
                "Full authentication is required to access this resource".to_owned(),
            ),
            Refusal::Bearer(BearerFault::Key(fault)) => of_key(&realm, fault),
            Refusal::Bearer(BearerFault::NoCustomer) => (
                StatusCode::FORBIDDEN,
                format!("{realm}, error=\"insufficient_scope\""),
                "forbidden",
                NO_CUSTOMER.to_owned(),
            ),
            Refusal::Scope(scope) => (
                StatusCode::FORBIDDEN,
                format!("{realm}, error=\"insufficient_scope\", scope=\"{scope}\""),
                "forbidden",
                format!("The access token does not have the scope {scope}"),
            ),
            Refusal::Store(error) | Refusal::Bearer(BearerFault::Store(error)) => {
                tracing::error!(request.id = request_id.0, %error, "demo_api.store");
                unavailable()
            }
        };
        let body = json!({ "errors": [{ "code": code, "title": title }] });
        let mut response = answer::json(site, status, &body);
        // RFC 9728 5.1: a client that knows the API alone finds out who gives tokens for it.
        let found_at = format!("{}/.well-known/oauth-protected-resource", site.base_url);
        let whole = format!("{challenge}, resource_metadata=\"{found_at}\"");
        if let Ok(whole) = HeaderValue::from_str(&whole)
            && !challenge.is_empty()
        {
            response.headers_mut().insert(WWW_AUTHENTICATE, whole);
        }
        if with_key {
            proof::offer_nonce(site, response.headers_mut());
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

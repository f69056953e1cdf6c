//! The API of dev: what a token opens, with the shapes of the real one. It is guarded as an API
//! elsewhere is, by a layer of `grantor_guard`, whose decisions are made in this very process.
//!
//! A token answers as seal ∩ row: its own scope, for the businesses of its grant, while that grant
//! is in force. The refusals are those of the guard, with the body that the vendor sends.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode, Uri};
use axum::routing::{MethodRouter, get};
use grantor_guard::{Access, Allowed, Guard, OwnApi, Refusal, Refused, Scopes};
use grantor_protocol::parameters::Parameters;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer;
use super::api_access::{self, ApiCall, BroughtTo};
use super::proof::{self, At};
use super::request::RequestId;
use crate::site::Site;
use crate::store::Business;

const NO_CUSTOMER: &str =
    "The access token is a client's own, and this API is about a customer's businesses";
const DEFAULT_PAGE_SIZE: usize = 1000;

struct FinancialApi;

impl Scopes for FinancialApi {
    const NAMES: &'static [&'static str] = &["financial-api"];
}

struct OrdersApi;

impl Scopes for OrdersApi {
    const NAMES: &'static [&'static str] = &["orders-api"];
}

/// `GET /f/data/businesses` and `GET /o/op/data/businesses`, behind their guard.
pub(super) fn routes(site: &Arc<Site>) -> [(&'static str, MethodRouter<Arc<Site>>); 2] {
    let guard = guard(site);
    // A layer of the route, so that another method is 405 whoever asks.
    [
        ("/f/data/businesses", get(financial).route_layer(guard.layer())),
        ("/o/op/data/businesses", get(orders).route_layer(guard.layer())),
    ]
}

async fn financial(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    token: Allowed<FinancialApi>,
    uri: Uri,
) -> Result<Response<Body>, Refused> {
    let businesses = businesses(&site, &request_id, &token).await;
    let businesses = businesses.map_err(|refusal| token.refused(refusal))?;
    let body = financial_body(&site, uri.query().unwrap_or_default(), &businesses);
    Ok(answer::json(&site, StatusCode::OK, &body))
}

async fn orders(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    token: Allowed<OrdersApi>,
) -> Result<Response<Body>, Refused> {
    let businesses = businesses(&site, &request_id, &token).await;
    let businesses = businesses.map_err(|refusal| token.refused(refusal))?;
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
    Ok(answer::json(&site, StatusCode::OK, &Value::Array(list)))
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

/// The businesses that a token opens, while its customer has them.
async fn businesses(
    site: &Site,
    request_id: &RequestId,
    token: &Access,
) -> Result<Vec<Business>, Refusal> {
    let customer_id = Uuid::parse_str(token.customer()?).map_err(|_| Refusal::Invalid)?;
    let covered = |id: i64| token.check_business(&id.to_string()).is_ok();
    let places = api_access::places(site, *customer_id.as_bytes(), covered).await;
    places.map_err(|error| {
        tracing::error!(request.id = request_id.0, %error, "demo_api.store");
        Refusal::Unavailable
    })
}

fn guard(site: &Arc<Site>) -> Guard {
    let realm = format!("grantor {}", site.environment);
    let metadata = format!("{}/.well-known/oauth-protected-resource", site.base_url);
    let (checks, answers) = (Arc::clone(site), Arc::clone(site));
    let api = OwnApi { resource: &site.base_url, realm: &realm, metadata_url: &metadata };
    Guard::by(api, move |parts| {
        let site = Arc::clone(&checks);
        Box::pin(async move { opened_by(&site, parts).await })
    })
    .answering(move |refusal, response| in_the_vendors_words(&answers, refusal, &response))
}

async fn opened_by(site: &Site, parts: &Parts) -> Result<Access, Refusal> {
    // `request.rs` gives each request its id before anything else is done.
    let request_id = parts.extensions.get::<RequestId>().cloned().ok_or(Refusal::Unavailable)?;
    let call = ApiCall {
        site,
        request_id: &request_id,
        headers: &parts.headers,
        // HEAD is answered as GET, and proved as what it is.
        method: parts.method.as_str(),
        at: At::Endpoint(parts.uri.path()),
        brought_to: BroughtTo::ThisServer,
    };
    api_access::opened_by(&call).await
}

/// The guard's answer, with another body.
fn in_the_vendors_words(
    site: &Site,
    refusal: &Refusal,
    standard: &Response<Body>,
) -> Response<Body> {
    let status = standard.status();
    let (code, title) = match refusal {
        Refusal::NoToken | Refusal::Invalid => {
            ("unauthorized", "Full authentication is required to access this resource".to_owned())
        }
        Refusal::Key(fault) => ("unauthorized", fault.words()),
        Refusal::TwoHeaders => ("bad_request", refusal.words().into_owned()),
        Refusal::NoCustomer => ("forbidden", NO_CUSTOMER.to_owned()),
        Refusal::Scope { needed } => {
            ("forbidden", format!("The access token does not have the scope {needed}"))
        }
        Refusal::Business | Refusal::Location => ("forbidden", refusal.words().into_owned()),
        Refusal::Unavailable => ("unavailable", "Try again in a few seconds".to_owned()),
    };
    let body = json!({ "errors": [{ "code": code, "title": title }] });
    let mut response = answer::json(site, status, &body);
    for name in [WWW_AUTHENTICATE, RETRY_AFTER] {
        if let Some(value) = standard.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    if matches!(refusal, Refusal::Key(_)) {
        proof::offer_nonce(site, response.headers_mut());
    }
    response
}

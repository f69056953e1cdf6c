//! `/guard/check`: a proxy in front of an API asks whether a call may pass, for APIs that are not
//! written in Rust (nginx `auth_request`, Caddy and Traefik `forward_auth`, Envoy `ext_authz`).
//!
//! 1. parse what the proxy's own configuration demands: an API that the operator described here, by
//!    its identifier, and scopes, a business or a location. It stands in the address alone: a header
//!    could come from the caller;
//! 2. parse the call that the caller made, of which only a proof of a key asks;
//! 3. load and decide, as the demo API does (`api_access.rs`);
//! 4. answer: 200 with what the token opens in headers, or the refusal of RFC 6750 3.
//!
//! The proxy proves nothing of itself. Whoever holds a token learns here what the API would tell him
//! as well, and the answer is bound to one API: a token that is for others is refused without a word
//! of what it opens there.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{HeaderMap, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use grantor_guard::{Access, Realm, Refusal};
use grantor_protocol::api::Api;
use grantor_protocol::parameters::Parameters;
use grantor_protocol::scope::Scope;
use percent_encoding::percent_decode_str;
use url::Url;
use uuid::Uuid;

use super::answer;
use super::api_access::{self, ApiCall, BroughtTo};
use super::metadata::metadata_url;
use super::proof::{self, At};
use super::request::RequestId;
use crate::site::Site;

/// Of businesses, and of locations, no more are named in a header: a proxy has room for a few
/// thousand bytes of them all.
const MOST_NAMED: usize = 100;
/// What stands there instead.
const MANY: &str = "many";
const PATH: &str = "/guard/check";
const PARAMETERS: [&str; 4] = ["resource", "scope", "business", "location"];

/// Where a proxy puts the call that it asks about: nginx by its configuration, then Caddy and Traefik
/// by themselves.
static ORIGINAL: [[HeaderName; 2]; 2] = [
    [HeaderName::from_static("x-original-method"), HeaderName::from_static("x-original-uri")],
    [HeaderName::from_static("x-forwarded-method"), HeaderName::from_static("x-forwarded-uri")],
];

/// What the proxy's configuration demands.
struct Demand<'a> {
    api: &'a Api,
    scopes: Scope,
    business: Option<String>,
    location: Option<String>,
}

/// The caller's method, and path without query; empty where it is not known, which fits no proof.
#[derive(Default)]
struct Original {
    method: String,
    path: String,
}

/// Answers a call.
pub(super) async fn check(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let parsed = match parts.uri.path() == PATH {
        true => of_query(&site, &parts),
        false => of_path(&site, &parts),
    };
    let Some((demand, original)) = parsed else {
        tracing::warn!(request.id = request_id.0, "guard_check.no_such_api");
        let words = "Name an API of this environment by its resource, with what is needed of \
                     scope, business and location, each once: \
                     /guard/check?resource=https://api.example.com&scope=orders-api";
        return answer::plain(&site, StatusCode::BAD_REQUEST, words);
    };
    let uri = address(demand.api, &original);
    let call = ApiCall {
        site: &site,
        request_id: &request_id,
        headers: &parts.headers,
        method: &original.method,
        at: At::Elsewhere(&uri),
        brought_to: BroughtTo::Api(demand.api),
    };
    match decide(&call, &demand).await {
        Ok(access) => allowed(&site, &access),
        Err(refusal) => refused(&site, demand.api, &refusal),
    }
}

async fn decide(call: &ApiCall<'_>, demand: &Demand<'_>) -> Result<Access, Refusal> {
    let mut access = api_access::opened_by(call).await?;
    let needed: Vec<&str> = demand.scopes.iter().collect();
    access.check_scopes(&needed)?;
    if let Ok(customer) = access.customer() {
        let customer_id = Uuid::parse_str(customer).map_err(|_| Refusal::Invalid)?;
        let covered = |id: i64| access.check_business(&id.to_string()).is_ok();
        let places = api_access::places(call.site, *customer_id.as_bytes(), covered).await;
        let places = places.map_err(|error| {
            tracing::error!(request.id = call.request_id.0, %error, "guard_check.store");
            Refusal::Unavailable
        })?;
        let [businesses, locations] = api_access::ids(&places);
        (access.businesses, access.locations) = (Some(businesses), Some(locations));
    }
    if let Some(business) = &demand.business {
        access.check_business(business)?;
    }
    if let Some(location) = &demand.location {
        access.check_location(location)?;
    }
    Ok(access)
}

/// `/guard/check?resource=…&scope=…`, with the caller's call in headers. `None` for whatever is not
/// understood: a demand that is misspelt, empty or there twice (S5) must not let everybody in.
fn of_query<'a>(site: &'a Site, parts: &Parts) -> Option<(Demand<'a>, Original)> {
    let query = Parameters::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let is_known = |(name, value): (&str, &str)| PARAMETERS.contains(&name) && !value.is_empty();
    // `resource` alone may stand many times at other endpoints (RFC 8707 2).
    let several = query.values("resource").nth(1).is_some();
    if query.fault().is_some() || several || !query.pairs().all(is_known) {
        return None;
    }
    let value = |name| query.value(name).map(str::to_owned);
    let demand = Demand {
        api: site.settings.apis.find(query.value("resource")?)?,
        scopes: Scope::parse(query.value("scope").unwrap_or_default()).ok()?,
        business: value("business"),
        location: value("location"),
    };
    Some((demand, Original::of_headers(&parts.headers)))
}

/// `/guard/check/RESOURCE/SCOPES/…`, behind which Envoy puts the caller's path, with the caller's
/// method: there the query is the caller's, too. `-` stands for no scope.
fn of_path<'a>(site: &'a Site, parts: &Parts) -> Option<(Demand<'a>, Original)> {
    let (_, behind) = parts.uri.path().split_at_checked(PATH.len() + 1)?;
    let (resource, behind) = behind.split_once('/')?;
    let (scopes, path) = behind.split_once('/')?;
    let decoded = |text| percent_decode_str(text).decode_utf8().ok();
    // What an API resolves to another path was asked about by this one.
    if path.split(['/', '\\']).any(|part| decoded(part).is_none_or(|part| climbs(&part))) {
        return None;
    }
    let api = site.settings.apis.find(&decoded(resource)?)?;
    let scopes = match &*decoded(scopes)? {
        "" => return None,
        "-" => Scope::default(),
        named => Scope::parse(named).ok()?,
    };
    let demand = Demand { api, scopes, business: None, location: None };
    Some((demand, Original { method: parts.method.to_string(), path: format!("/{path}") }))
}

/// Whether a part of a path, decoded, leads elsewhere than down.
fn climbs(part: &str) -> bool {
    part.split(['/', '\\']).any(|step| step == "." || step == "..")
}

impl Original {
    /// Where two proxies, or a proxy and the caller, say different things, nobody knows the call: a
    /// stolen proof of one call must not pass for another.
    fn of_headers(headers: &HeaderMap) -> Original {
        let mut said = ORIGINAL.iter().filter_map(|[method, uri]| {
            let there = headers.contains_key(method) || headers.contains_key(uri);
            there.then(|| Some([only(headers, method)?, path_of(only(headers, uri)?)?]))
        });
        match (said.next(), said.next()) {
            (Some(Some([method, path])), None) => {
                Original { method: method.to_owned(), path: path.to_owned() }
            }
            (Some(Some(one)), Some(Some(other))) if one == other => {
                let [method, path] = one.map(str::to_owned);
                Original { method, path }
            }
            _ => Original::default(),
        }
    }
}

/// The value of a header that stands there once and says something.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    (values.next().is_none() && !value.is_empty()).then_some(value)
}

fn path_of(uri: &str) -> Option<&str> {
    let path = uri.split(['?', '#']).next()?;
    path.starts_with('/').then_some(path)
}

/// The address of the call as the caller knows it: host and scheme are the API's own (S25).
fn address(api: &Api, original: &Original) -> String {
    let origin = Url::parse(&api.resource).ok().map(|url| url.origin());
    match origin.filter(|origin| origin.is_tuple() && !original.path.is_empty()) {
        Some(origin) => format!("{}{}", origin.ascii_serialization(), original.path),
        None => String::new(),
    }
}

/// 200, with each header always, also where there is nothing to say: a header that is not there
/// leaves the caller's own of that name in place at some proxies.
fn allowed(site: &Site, access: &Access) -> Response<Body> {
    let mut response = answer::plain(site, StatusCode::OK, "");
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-auth-subject", access.subject.clone()),
        ("x-auth-client-id", access.client_id.clone()),
        ("x-auth-scope", access.scope.to_string()),
        ("x-auth-businesses", listed(access.businesses.as_deref())),
        ("x-auth-locations", listed(access.locations.as_deref())),
        ("x-auth-expires", access.expires_at.to_string()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

fn listed(ids: Option<&[String]>) -> String {
    match ids.unwrap_or_default() {
        few if few.len() <= MOST_NAMED => few.join(" "),
        _ => MANY.to_owned(),
    }
}

fn refused(site: &Site, api: &Api, refusal: &Refusal) -> Response<Body> {
    let metadata = metadata_url(site, api);
    let realm = Realm { name: &api.resource, metadata: Some(&metadata) };
    let mut response = refusal.answer(realm);
    if matches!(refusal, Refusal::Key(_)) {
        proof::offer_nonce(site, response.headers_mut());
    }
    response
}

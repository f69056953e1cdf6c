//! The page in the place of the guide's `mycompany.com`: where the demo client's code arrives.
//!
//! It stands on a port of its own, because it is the partner's and not ours, and shows what a
//! newcomer needs next: the code, how long it still lives, and the very next command. It shows a
//! command only for a genuine code: whatever else stands in the URL would end up in a shell.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use axum::http::{Response, StatusCode, Uri};
use axum::routing::get;
use axum::{Extension, Router, middleware};
use grantor_protocol::environment::Environment;
use grantor_protocol::parameters::Parameters;

use super::answer::{self, frame};
use super::request::{self, RequestId};
use super::{docs, home};
use crate::demo;
use crate::pages::CodePage;
use crate::site::Site;

/// Where the demo client's code goes, on the port that this page has.
pub fn redirect_uri(environment: Environment, address: SocketAddr) -> String {
    format!("http://{address}/{environment}/callback")
}

/// The page, for the environments of dev.
pub fn router(sites: Vec<Arc<Site>>) -> Router {
    let mut routes = Router::new();
    for site in sites {
        let mut own =
            Router::new().route(&format!("/{}/callback", site.environment), get(callback));
        // The stylesheet is the same for both; one of them serves it.
        if site.environment == Environment::Staging {
            own = own.route("/assets/{name}", get(docs::asset)).fallback(home::not_found);
        }
        let log = middleware::from_fn_with_state(Arc::clone(&site), request::log);
        routes = routes.merge(
            own.method_not_allowed_fallback(home::method_not_allowed).layer(log).with_state(site),
        );
    }
    routes
}

async fn callback(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    uri: Uri,
) -> Response<Body> {
    let parameters = Parameters::parse(uri.query().unwrap_or_default().as_bytes());
    let now = site.clock.now();
    let code = parameters.value("code");
    let genuine = code.and_then(|code| Some((code, site.sealer.open_code(code).ok()?)));
    let error = parameters
        .value("error")
        .map(|error| (error.to_owned(), parameters.value("error_description").map(str::to_owned)));
    let foreign = "What stands in the address is not a code of this server.";
    let error = match (&genuine, error) {
        (None, None) => Some(("no code".to_owned(), Some(foreign.to_owned()))),
        (_, error) => error,
    };
    let nonce = site.random.hex::<16>();
    let page = CodePage {
        frame: frame(&site, &request_id),
        code: genuine.as_ref().map(|(code, _)| (*code).to_owned()),
        state: parameters.value("state").map(str::to_owned),
        issuer: parameters.value("iss").map(str::to_owned),
        seconds_left: genuine.as_ref().map_or(0, |(_, seal)| seal.expires_at - now),
        command: genuine
            .as_ref()
            .and_then(|(code, _)| demo::token_command(&site, code))
            .unwrap_or_default(),
        basic_note:
            "-u encodes clientId:clientSecret in Base64 for you: steps 3 and 5 of the guide."
                .to_owned(),
        error,
        authorize_url: demo::authorize_url(&site).unwrap_or_default(),
        style_nonce: nonce.clone(),
    };
    let mut response = answer::page(&site, StatusCode::OK, &page, None);
    let policy = format!(
        "default-src 'none'; style-src 'self' 'nonce-{nonce}'; img-src 'self'; form-action 'none'; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

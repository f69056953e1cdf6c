//! `/oauth/token`: a code or a refresh token becomes an access token (RFC 6749 4.1.3, 6).
//!
//! 1. parse: the header, the query as the guide's Postman sends it, the body (`TokenRequest`);
//! 2. authenticate the client, in constant time, whether it is known or not;
//! 3. `exchange.rs` or `refresh.rs`: open the seal, load the grant, let `protocol` decide, and write
//!    once, conditionally;
//! 4. answer: seal the new tokens. Nothing of them is stored.

mod exchange;
mod issue;
mod refresh;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderValue, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{Method, Response, StatusCode};
use grantor_protocol::client::{Client, ClientAuthentication};
use grantor_protocol::client_authentication::{PresentedClient, authenticate};
use grantor_protocol::token_error::{RequestFault, TokenError};
use grantor_protocol::token_request::{TokenCall, TokenGrant, TokenRequest};
use serde_json::json;

use super::MAX_BODY_BYTES;
use super::answer::{self, ERRORS_PATH};
use super::request::RequestId;
use crate::http::ClientAddress;
use crate::metrics::GrantType;
use crate::site::Site;
use crate::store::{ClientRecord, KnownClient, StoreError};

/// A call whose client is proved, and what belongs to it.
struct Caller<'a> {
    site: &'a Site,
    request_id: &'a RequestId,
    client: &'a Client,
    address: IpAddr,
}

/// Answers a call.
pub(super) async fn token(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    request: Request,
) -> Response<Body> {
    let mut grant_type = GrantType::None;
    match answer(&site, &request_id, address, request, &mut grant_type).await {
        Ok(response) => {
            site.metrics.tokens.issued(grant_type);
            response
        }
        Err(error) => {
            site.metrics.tokens.refused(grant_type, error.wire().code);
            refuse(&site, &request_id, &error)
        }
    }
}

async fn answer(
    site: &Site,
    request_id: &RequestId,
    address: IpAddr,
    request: Request,
    grant_type: &mut GrantType,
) -> Result<Response<Body>, TokenError> {
    // 1. Parse.
    let request = parse(request).await?;
    // 2. Authenticate.
    let record = authenticated(site, request_id, &request.client).await?;
    let client = &record.client;
    if request.from_query {
        // Both the environment and the client may forbid what the guide does.
        if !site.settings.parameters_in_query || !client.settings.parameters_in_query {
            return Err(TokenError::Request(RequestFault::QueryNotAllowed));
        }
        site.usage.count_query_call(site.environment, &client.id, site.clock.now());
    }
    *grant_type = match &request.grant {
        TokenGrant::AuthorizationCode { .. } => GrantType::AuthorizationCode,
        TokenGrant::RefreshToken { .. } => GrantType::RefreshToken,
    };
    // 3. Decide and commit.
    let caller = Caller { site, request_id, client, address };
    let issued = match &request.grant {
        TokenGrant::AuthorizationCode { code, redirect_uri, code_verifier } => {
            exchange::exchange(&caller, code, redirect_uri, code_verifier.as_ref()).await?
        }
        TokenGrant::RefreshToken { refresh_token, scope } => {
            refresh::refresh(&caller, refresh_token, scope.as_deref()).await?
        }
    };
    // 4. Answer.
    let mut response = answer::json(site, StatusCode::OK, &issued);
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(response)
}

async fn parse(request: Request) -> Result<TokenRequest, TokenError> {
    if request.method() != Method::POST {
        return Err(TokenError::Request(RequestFault::Method));
    }
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES)
        .await
        .map_err(|error| TokenError::Request(body_fault(error)))?;
    let authorization: Vec<&[u8]> =
        head.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect();
    TokenRequest::parse(&TokenCall {
        query: head.uri.query().unwrap_or_default().as_bytes(),
        content_type: head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()),
        authorization: &authorization,
        body: &body,
    })
}

fn body_fault(error: axum::Error) -> RequestFault {
    if error.into_inner().is::<http_body_util::LengthLimitError>() {
        RequestFault::BodyTooLarge { limit: MAX_BODY_BYTES }
    } else {
        RequestFault::BodyIncomplete
    }
}

/// The client as it was known a moment ago has to prove itself; where it cannot, as it is now.
async fn authenticated(
    site: &Site,
    request_id: &RequestId,
    presented: &PresentedClient,
) -> Result<Arc<ClientRecord>, TokenError> {
    let (id, clock) = (presented.client_id(), &site.clock);
    let known = site.store.known_client(id, clock).await.map_err(unavailable(request_id))?;
    let is_new = known.as_ref().is_none_or(|known| known.is_new);
    let record = match proved(site, known, presented) {
        Err(_) if !is_new => {
            let now = site.store.newly_known_client(id, clock).await;
            proved(site, now.map_err(unavailable(request_id))?, presented)?
        }
        outcome => outcome?,
    };
    if let PresentedClient::Basic(basic) = presented {
        note_secret(site, &record, basic.client_secret.digest());
    }
    Ok(record)
}

fn proved(
    site: &Site,
    known: Option<KnownClient>,
    presented: &PresentedClient,
) -> Result<Arc<ClientRecord>, TokenError> {
    let record = known.map(|known| known.record).filter(|record| site.admits(&record.client));
    let client = record.as_ref().map(|record| &record.client);
    authenticate(site.environment, client, presented).map_err(TokenError::Client)?;
    record.ok_or(TokenError::Unavailable)
}

/// Notes which of the two secrets was used, so that its owner knows when the old one may go.
fn note_secret(site: &Site, record: &ClientRecord, used: grantor_protocol::client::SecretDigest) {
    let ClientAuthentication::SecretBasic { secrets } = &record.client.authentication else {
        return;
    };
    let place = secrets.iter().position(|held| held.matches(&used));
    if let Some(secret) = place.and_then(|place| record.secrets.get(place)) {
        let now = site.clock.now();
        site.usage.note_secret(site.environment, &record.client.id, (secret.slot, used), now);
    }
}

/// A fault of the store is never taken for an answer: nothing was spent, and the caller may come
/// again.
fn unavailable(request_id: &RequestId) -> impl FnOnce(StoreError) -> TokenError {
    move |error| {
        tracing::error!(request.id = request_id.0, %error, "token.store");
        TokenError::Unavailable
    }
}

/// RFC 6749 5.2.
fn refuse(site: &Site, request_id: &RequestId, error: &TokenError) -> Response<Body> {
    let wire = error.wire();
    tracing::info!(request.id = request_id.0, error = ?loggable(error), "token.refused");
    let body = json!({
        "error": wire.code,
        "error_description": wire.description,
        "error_uri": format!("{}{ERRORS_PATH}#{}", site.base_url, wire.anchor),
        "request_id": request_id.0,
    });
    let status = StatusCode::from_u16(wire.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = answer::json(site, status, &body);
    let headers = response.headers_mut();
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    match status {
        StatusCode::UNAUTHORIZED => {
            let challenge =
                format!("Basic realm=\"grantor {}\", charset=\"UTF-8\"", site.environment);
            if let Ok(challenge) = HeaderValue::from_str(&challenge) {
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        _ => {}
    }
    response
}

/// The cause without what the caller wrote: people paste secrets into the wrong parameter.
fn loggable(error: &TokenError) -> String {
    match error {
        TokenError::Scope(_) => "scope".to_owned(),
        TokenError::Request(RequestFault::Parameter(_)) => "parameter".to_owned(),
        TokenError::Request(_)
        | TokenError::Client(_)
        | TokenError::Code { .. }
        | TokenError::Refresh { .. }
        | TokenError::Unavailable => format!("{error:?}"),
    }
}

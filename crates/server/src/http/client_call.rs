//! What the endpoints for clients have in common: reading the call, proving the client, refusing.
//!
//! `/oauth/token`, `/oauth/revoke` and `/oauth/introspect` answer the same faults in the same words
//! (RFC 6749 5.2, RFC 7009 2.2.1, RFC 7662 2.3).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderValue, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{Method, Response, StatusCode};
use grantor_protocol::client::{ClientAuthentication, SecretDigest};
use grantor_protocol::client_assertion::{self, ClientAssertion, ClientAssertionFault, Expected};
use grantor_protocol::client_authentication::{ClientFault, PresentedClient, authenticate};
use grantor_protocol::client_call::ClientCall;
use grantor_protocol::jose::JwkSet;
use grantor_protocol::token_error::{RequestFault, TokenError};
use serde::Serialize;
use serde_json::json;

use super::MAX_BODY_BYTES;
use super::answer::{self, ERRORS_PATH};
use super::client_keys;
use super::request::RequestId;
use crate::site::Site;
use crate::store::{ClientRecord, KnownClient, Once, StoreError};

/// Reads the whole call, and makes of it what `read` makes.
pub(super) async fn parse<T>(
    request: Request,
    read: impl FnOnce(&ClientCall<'_>) -> Result<T, TokenError>,
) -> Result<T, TokenError> {
    if request.method() != Method::POST {
        return Err(TokenError::Request(RequestFault::Method));
    }
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES)
        .await
        .map_err(|error| TokenError::Request(body_fault(error)))?;
    let authorization: Vec<&[u8]> =
        head.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect();
    read(&ClientCall {
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

/// The client that calls, once it proved that it is the one: as it was known a moment ago, or, where
/// it cannot prove it so, as it is now.
pub(super) async fn authenticated(
    site: &Site,
    request_id: &RequestId,
    presented: &PresentedClient,
) -> Result<Arc<ClientRecord>, TokenError> {
    authenticated_at(site, request_id, presented, None).await
}

/// The same at an endpoint whose own address an assertion may name for its audience.
pub(super) async fn authenticated_at(
    site: &Site,
    request_id: &RequestId,
    presented: &PresentedClient,
    path: Option<&str>,
) -> Result<Arc<ClientRecord>, TokenError> {
    let (id, clock) = (presented.client_id(), &site.clock);
    let known = site
        .store
        .known_client(site.environment, id, clock)
        .await
        .map_err(unavailable(request_id))?;
    let is_new = known.as_ref().is_none_or(|known| known.is_new);
    let keys = client_keys::of(site, known.as_ref(), presented).await;
    let (record, assertion) = match proved(site, known, (presented, keys.as_deref()), path) {
        Err(_) if !is_new => {
            let now = site.store.newly_known_client(site.environment, id, clock).await;
            let now = now.map_err(unavailable(request_id))?;
            let keys = client_keys::of(site, now.as_ref(), presented).await;
            proved(site, now, (presented, keys.as_deref()), path)?
        }
        outcome => outcome?,
    };
    if let PresentedClient::Basic(basic) | PresentedClient::Post(basic) = presented {
        note_secret(site, &record, basic.client_secret.digest());
    }
    if let Some(assertion) = assertion {
        use_up(site, request_id, &record, &assertion).await?;
    }
    Ok(record)
}

/// An assertion proves its client once, on all processes together (RFC 7523 3, point 7).
async fn use_up(
    site: &Site,
    request_id: &RequestId,
    record: &ClientRecord,
    assertion: &ClientAssertion,
) -> Result<(), TokenError> {
    let parts = [record.client.id.as_bytes(), assertion.token_id.as_bytes()];
    let is_new = site
        .store
        .use_once(site.environment, Once::Assertion, parts, assertion.remember_until)
        .await
        .map_err(unavailable(request_id))?;
    match is_new {
        true => Ok(()),
        false => Err(TokenError::Client(ClientFault::AssertionReplayed)),
    }
}

/// Verifies an assertion by the keys of its client.
fn verify(
    site: &Site,
    record: &ClientRecord,
    (assertion, keys): (&str, Option<&JwkSet>),
    path: Option<&str>,
) -> Result<ClientAssertion, ClientFault> {
    let unverified = client_assertion::parse(assertion)
        .map_err(|fault| ClientFault::Assertion(ClientAssertionFault::Jws(fault)))?;
    let keys = keys.ok_or(ClientFault::KeysUnavailable)?;
    // The issuer, as current advice has it (draft-ietf-oauth-rfc7523bis); the token endpoint for a
    // client whose library is older; and the endpoint for pushed requests there (RFC 9126 2).
    let at = |path: &str| format!("{}{path}", site.base_url);
    let for_token = record.client.settings.assertion_for_token_endpoint;
    let audiences: Vec<String> = [Some(""), for_token.then_some("/oauth/token"), path]
        .into_iter()
        .flatten()
        .map(at)
        .collect();
    let audiences: Vec<&str> = audiences.iter().map(String::as_str).collect();
    let expected = Expected {
        client_id: &record.client.id,
        audiences: &audiences,
        now: site.clock.now(),
        max_ahead_seconds: client_assertion::MAX_AHEAD_SECONDS,
    };
    client_assertion::verify(unverified, keys.keys(), &expected).map_err(ClientFault::Assertion)
}

fn proved(
    site: &Site,
    known: Option<KnownClient>,
    (presented, keys): (&PresentedClient, Option<&JwkSet>),
    path: Option<&str>,
) -> Result<(Arc<ClientRecord>, Option<ClientAssertion>), TokenError> {
    let record = known.map(|known| known.record).filter(|record| site.admits(record));
    let client = record.as_ref().map(|record| &record.client);
    let assertion = match (presented, &record) {
        (PresentedClient::Assertion { assertion, .. }, Some(record)) => {
            verify(site, record, (assertion, keys), path).map(Some)
        }
        _ => Ok(None),
    };
    let verified = assertion.as_ref().map(|_| ()).map_err(|fault| *fault);
    authenticate(site.environment, client, presented, verified).map_err(TokenError::Client)?;
    Ok((record.ok_or(TokenError::Unavailable)?, assertion.ok().flatten()))
}

/// Notes which of the two secrets was used, so that its owner knows when the old one may go.
fn note_secret(site: &Site, record: &ClientRecord, used: SecretDigest) {
    let ClientAuthentication::Secret { secrets } = &record.client.authentication else {
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
pub(super) fn unavailable(request_id: &RequestId) -> impl FnOnce(StoreError) -> TokenError {
    move |error| {
        tracing::error!(request.id = request_id.0, %error, "token.store");
        TokenError::Unavailable
    }
}

/// JSON that no cache keeps (RFC 6749 5.1).
pub(super) fn answer(site: &Site, status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let mut response = answer::json(site, status, body);
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// RFC 6749 5.2.
pub(super) fn refuse(site: &Site, request_id: &RequestId, error: &TokenError) -> Response<Body> {
    let wire = error.wire();
    tracing::info!(request.id = request_id.0, error = ?loggable(error), "token.refused");
    let body = json!({
        "error": wire.code,
        "error_description": wire.description,
        "error_uri": format!("{}{ERRORS_PATH}#{}", site.base_url, wire.anchor),
        "request_id": request_id.0,
    });
    let status = StatusCode::from_u16(wire.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = answer(site, status, &body);
    let headers = response.headers_mut();
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
        TokenError::Scope(_) | TokenError::ClientScope(_) => "scope".to_owned(),
        TokenError::Resource(_) => "resource".to_owned(),
        TokenError::PushedPage(_) | TokenError::Pushed(_) => error.wire().anchor.to_owned(),
        TokenError::Request(RequestFault::Parameter(_)) => "parameter".to_owned(),
        TokenError::Request(_)
        | TokenError::Client(_)
        | TokenError::Code { .. }
        | TokenError::Refresh { .. }
        | TokenError::Proof(_)
        | TokenError::Device(_)
        | TokenError::DevicesNotAllowed
        | TokenError::GrantTypeNotAllowed
        | TokenError::Unavailable => format!("{error:?}"),
    }
}

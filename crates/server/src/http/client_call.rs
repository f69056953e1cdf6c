//! What the endpoints for clients have in common: reading the call, proving the client, refusing.
//!
//! `/oauth/token`, `/oauth/revoke` and `/oauth/introspect` answer the same faults in the same words
//! (RFC 6749 5.2, RFC 7009 2.2.1, RFC 7662 2.3).

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ALLOW, HeaderValue, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
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
use super::heard::Heard;
use super::request::RequestId;
use crate::site::Site;
use crate::store::{ClientRecord, KnownClient, Once, SecretRecord, StoreError};
use crate::throttle::{Credential, NotTaken, Subject};

/// Who calls, and from where.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) site: &'a Site,
    pub(super) request_id: &'a RequestId,
    pub(super) address: IpAddr,
}

/// Reads the whole call, and makes of it what `read` makes. What came is kept in `heard`, which lives
/// until the call is answered.
pub(super) async fn parse<T>(
    request: Request,
    heard: &mut Heard,
    read: impl FnOnce(&ClientCall<'_>) -> Result<T, TokenError>,
) -> Result<T, TokenError> {
    let is_post = request.method() == Method::POST;
    let (head, body) = request.into_parts();
    heard.target = head.uri;
    heard.headers = head.headers;
    if !is_post {
        return Err(TokenError::Request(RequestFault::Method));
    }
    heard.body = axum::body::to_bytes(body, MAX_BODY_BYTES)
        .await
        .map_err(|error| TokenError::Request(body_fault(error)))?;
    heard.with_call(read)
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
///
/// What is right costs nothing here, and is never refused for what was wrong before: the secret of a
/// client is not found by trying. What is wrong is counted, and answered with less work when it is
/// too much (S20).
pub(super) async fn authenticated(
    call: &Call<'_>,
    presented: &PresentedClient,
    heard: &mut Heard,
) -> Result<Arc<ClientRecord>, TokenError> {
    authenticated_at(call, presented, heard, None).await
}

/// The same at an endpoint whose own address an assertion may name for its audience.
pub(super) async fn authenticated_at(
    call: &Call<'_>,
    presented: &PresentedClient,
    heard: &mut Heard,
    path: Option<&str>,
) -> Result<Arc<ClientRecord>, TokenError> {
    let proved = prove(call.site, call.request_id, presented, path).await;
    heard.client = proved.as_ref().ok().map(Arc::clone);
    match &proved {
        Err(TokenError::Client(fault)) if is_guess(*fault) => {
            count_wrong(call, presented.client_id()).await?;
            proved
        }
        _ => proved,
    }
}

/// Whether a fault may be that of somebody who tries ids or secrets, and not only of one who sends
/// them the wrong way.
fn is_guess(fault: ClientFault) -> bool {
    match fault {
        ClientFault::Unknown { .. }
        | ClientFault::WrongSecret
        | ClientFault::Assertion(_)
        | ClientFault::AssertionReplayed => true,
        ClientFault::Basic(_)
        | ClientFault::Missing
        | ClientFault::OtherEnvironment { .. }
        | ClientFault::SecretEnded { .. }
        | ClientFault::StrayAroundSecret
        | ClientFault::SecretMissing
        | ClientFault::SecretUnexpected
        | ClientFault::SecretInBody
        | ClientFault::SecretInHeader
        | ClientFault::AssertionMissing
        | ClientFault::AssertionUnexpected
        | ClientFault::KeysUnavailable
        | ClientFault::SecretNeededHere
        | ClientFault::Disabled => false,
    }
}

async fn count_wrong(call: &Call<'_>, client_id: &str) -> Result<(), TokenError> {
    let subject = Subject::new(Credential::Client, client_id.as_bytes());
    match call.site.throttle.count(&subject, call.address).await {
        Ok(()) => Ok(()),
        Err(NotTaken::TooMany { wait_seconds }) => Err(TokenError::TooManyTries { wait_seconds }),
        // It is refused in any case.
        Err(NotTaken::Store(error)) => {
            tracing::warn!(request.id = call.request_id.0, %error, "throttle.store");
            Ok(())
        }
    }
}

async fn prove(
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
    if let PresentedClient::Basic(basic) | PresentedClient::Post(basic) = presented
        && let Some(secret) = used_secret(&record, basic.client_secret.digest())
    {
        // Only whoever has it learns that it has ended.
        let (now, (digest, held)) = (site.clock.now(), secret);
        if let Some(seconds_ago) = held.ended_for(now) {
            return Err(TokenError::Client(ClientFault::SecretEnded { seconds_ago }));
        }
        site.usage.note_secret(site.environment, &record.client.id, (held.slot, digest), now);
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

/// Which of the two secrets was used: its owner is shown when the old one may go.
fn used_secret(record: &ClientRecord, used: SecretDigest) -> Option<(SecretDigest, &SecretRecord)> {
    let ClientAuthentication::Secret { secrets } = &record.client.authentication else {
        return None;
    };
    let place = secrets.iter().position(|held| held.matches(&used))?;
    record.secrets.get(place).map(|secret| (used, secret))
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
        StatusCode::TOO_MANY_REQUESTS => {
            if let TokenError::TooManyTries { wait_seconds } = error {
                answer::retry_after(*wait_seconds, headers);
            }
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
        | TokenError::TooManyTries { .. }
        | TokenError::Unavailable => format!("{error:?}"),
    }
}

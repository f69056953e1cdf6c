//! `/oauth/introspect`: a client asks what became of a token of its own (RFC 7662).
//!
//! 1. parse: the header and the form body (`IntrospectionRequest`);
//! 2. authenticate the client, which has to be one that can: the answer is for nobody else;
//! 3. load: open the seal, and read its grant, its counters and whether it was revoked, in one
//!    statement, so that what ended a moment ago is ended here;
//! 4. decide (`introspect` in `protocol`);
//! 5. answer: what the client may know of a living token, or that it is not active, and no more.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_protocol::access_token::AccessFault;
use grantor_protocol::client::Client;
use grantor_protocol::client_authentication::ClientFault;
use grantor_protocol::token_error::TokenError;
use grantor_protocol::token_introspection::{
    ActiveToken, Introspection, IntrospectionRequest, introspect as decide,
};
use serde::Serialize;
use uuid::Uuid;

use super::access_token;
use super::client_call::{self, authenticated, refuse, unavailable};
use super::request::RequestId;
use crate::hex::hex;
use crate::seal::Kind;
use crate::site::Site;

/// What is answered (RFC 7662 2.2): the word alone, or the word and all of the rest.
#[derive(Default, Serialize)]
struct Answer {
    active: bool,
    #[serde(flatten)]
    living: Option<Living>,
}

/// What a client may know of a living token of its own. `sub` always: some libraries refuse an answer
/// without it. Neither a name nor an address: the client was not given those.
#[derive(Serialize)]
struct Living {
    client_id: String,
    sub: String,
    scope: String,
    exp: i64,
    iat: i64,
    iss: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// RFC 9449 6.2
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

#[derive(Serialize)]
struct Confirmation {
    jkt: String,
}

/// Answers a call.
pub(super) async fn introspect(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Response<Body> {
    match answer(&site, &request_id, request).await {
        Ok(body) => client_call::answer(&site, StatusCode::OK, &body),
        Err(error) => refuse(&site, &request_id, &error),
    }
}

async fn answer(
    site: &Site,
    request_id: &RequestId,
    request: Request,
) -> Result<Answer, TokenError> {
    // 1. Parse.
    let IntrospectionRequest(form) =
        client_call::parse(request, IntrospectionRequest::parse).await?;
    // 2. Authenticate. RFC 7662 2.1: without a proof whoever found a token could try it here.
    let record = authenticated(site, request_id, &form.client).await?;
    let client = &record.client;
    if client.is_public() {
        return Err(TokenError::Client(ClientFault::SecretNeededHere));
    }
    // 3. Load.
    if form.token.starts_with(Kind::ClientAccess.prefix()) {
        return of_client(site, request_id, client, &form.token).await;
    }
    let Some(opened) = access_token::open(site, &form.token).await? else {
        return Ok(inactive());
    };
    let row = site
        .store
        .introspected(site.environment, opened.grant_id, opened.token_id)
        .await
        .map_err(unavailable(request_id))?;
    // 4. Decide.
    match decide(&opened.token, row.as_ref(), client, site.clock.now()) {
        // 5. Answer.
        Introspection::Active(token) => Ok(active(site, client, &token, opened.token_id)),
        Introspection::Inactive { alarm } => {
            if alarm {
                access_token::alarm(request_id, row.as_ref());
            }
            Ok(inactive())
        }
    }
}

/// What is said of a token of a client itself: `sub` is the client (RFC 9068 2.2).
async fn of_client(
    site: &Site,
    request_id: &RequestId,
    client: &Client,
    token: &str,
) -> Result<Answer, TokenError> {
    let opened = access_token::open_client(site, token).await.map_err(unavailable(request_id))?;
    let Some(opened) = opened.filter(|opened| opened.is_of(client)) else {
        return Ok(inactive());
    };
    match opened.check(site.clock.now()) {
        Ok(live) => {
            let key = live.binding.key;
            let living = Living {
                client_id: client.id.clone(),
                sub: client.id.clone(),
                scope: live.scope.to_string(),
                exp: live.expires_at,
                iat: opened.seal.issued_at,
                iss: site.base_url.clone(),
                token_type: Some(if key.is_some() { "DPoP" } else { "bearer" }),
                jti: Some(hex(&opened.seal.token_id)),
                cnf: key.map(|key| Confirmation { jkt: URL_SAFE_NO_PAD.encode(key) }),
            };
            Ok(Answer { active: true, living: Some(living) })
        }
        Err(fault) => {
            if fault == AccessFault::AheadOfRow {
                access_token::alarm(request_id, None);
            }
            Ok(inactive())
        }
    }
}

/// RFC 7662 2.2: nothing but the word, so that nobody learns why.
fn inactive() -> Answer {
    Answer::default()
}

fn active(site: &Site, client: &Client, token: &ActiveToken, token_id: Option<[u8; 8]>) -> Answer {
    let living = Living {
        client_id: client.id.clone(),
        sub: Uuid::from_bytes(token.customer_id).to_string(),
        scope: token.scope.to_string(),
        exp: token.expires_at,
        iat: token.issued_at,
        iss: site.base_url.clone(),
        token_type: token_id.map(|_| if token.key.is_some() { "DPoP" } else { "bearer" }),
        jti: token_id.map(|id| hex(&id)),
        cnf: token.key.map(|key| Confirmation { jkt: URL_SAFE_NO_PAD.encode(key) }),
    };
    Answer { active: true, living: Some(living) }
}

//! Who calls: the token, its scope, and whom it acts for (RFC 6750).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use axum::middleware::Next;
use grantor_protocol::dpop;
use grantor_protocol::jose::Algorithm;
use grantor_protocol::proof_error::ProofError;
use serde::Serialize;
use serde_json::json;

use super::super::super::answer;
use super::super::super::bearer::{BearerFault, ClientBearer, KeyFault};
use super::super::super::proof;
use super::super::super::request::RequestId;
use super::super::fault::Fault;
use crate::programme::Actor;
use crate::site::{Portal, Site};

/// What stands before an operation.
#[derive(Clone)]
pub(in crate::http) struct Guard {
    pub(in crate::http) site: Arc<Site>,
    /// What its token has to carry.
    pub(in crate::http) scope: &'static str,
}

/// Who calls an operation.
#[derive(Clone)]
pub(in crate::http) struct Caller {
    pub(in crate::http) site: Arc<Site>,
    pub(in crate::http) actor: Actor,
}

impl Caller {
    /// What only the portal has.
    ///
    /// # Errors
    /// [`Fault::NotFound`] on a site that is none; its table leads nobody here.
    pub(super) fn portal(&self) -> Result<&Portal, Fault> {
        self.site.portal.as_ref().ok_or(Fault::NotFound)
    }

    /// What was asked for.
    pub(super) fn answer(&self, shown: &impl Serialize) -> Response<Body> {
        answer::json(&self.site, StatusCode::OK, shown)
    }

    /// What was made, and the path below `/api/v1/` at which it stands.
    pub(super) fn made(&self, path: &str, shown: &impl Serialize) -> Response<Body> {
        let mut response = answer::json(&self.site, StatusCode::CREATED, shown);
        let place = format!("{}/api/v1/{path}", self.site.base_url);
        if let Ok(place) = HeaderValue::from_str(&place) {
            response.headers_mut().insert(LOCATION, place);
        }
        response
    }

    /// Something was done, and nothing is to be shown of it.
    pub(super) fn done(&self) -> Response<Body> {
        answer::nothing(&self.site)
    }
}

/// Why nobody is let through.
enum Refusal {
    Bearer(BearerFault),
    /// a living token without the scope
    Scope(&'static str),
}

/// Lets a call with a living token of the scope through, and tells the operation who calls.
pub(in crate::http) async fn guard(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let site = Arc::clone(&guard.site);
    let (mut parts, body) = request.into_parts();
    let request_id = parts.extensions.get::<RequestId>().cloned();
    let request_id = request_id.unwrap_or_else(|| RequestId(String::new()));
    match admitted(&guard, &request_id, &parts).await {
        Ok(actor) => {
            parts.extensions.insert(Caller { site, actor });
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => refusal.answer(&site, &request_id),
    }
}

async fn admitted(
    Guard { site, scope }: &Guard,
    request_id: &RequestId,
    call: &Parts,
) -> Result<Actor, Refusal> {
    let endpoint = [call.method.as_str(), call.uri.path()];
    let bearer = ClientBearer::of(site, request_id, &call.headers, endpoint).await;
    let ClientBearer { live, client_id } = bearer.map_err(Refusal::Bearer)?;
    // The token's own statement read that the client stands as it stood; whose it is never changes.
    let known = site.store.known_client(site.environment, &client_id, &site.clock).await;
    let known = known.map_err(|error| Refusal::Bearer(BearerFault::Store(error)))?;
    let record = known.map(|known| known.record).filter(|record| site.admits(record));
    let record = record.ok_or(Refusal::Bearer(BearerFault::Invalid))?;
    match live.scope.contains(scope) {
        true => Ok(Actor::of_api_client(&record)),
        false => Err(Refusal::Scope(scope)),
    }
}

/// A refusal as it goes over the wire.
struct Wire {
    status: StatusCode,
    /// What stands behind the realm.
    challenge: String,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn answer(self, site: &Site, request_id: &RequestId) -> Response<Body> {
        let with_key = matches!(self, Refusal::Bearer(BearerFault::Key(_)));
        if let Refusal::Bearer(BearerFault::Store(error)) = &self {
            tracing::error!(request.id = request_id.0, %error, "portal.token");
        }
        let wire = self.wire();
        let body = json!({
            "error": wire.code,
            "message": wire.message,
            "request_id": request_id.0,
        });
        let mut response = answer::json(site, wire.status, &body);
        if wire.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
            return response;
        }
        // RFC 9728 5.1: a client that knows the API alone finds out who gives tokens for it.
        let challenge = format!(
            "Bearer realm=\"grantor portal\"{}, \
             resource_metadata=\"{}/.well-known/oauth-protected-resource\"",
            wire.challenge, site.base_url
        );
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if with_key {
            proof::offer_nonce(site, response.headers_mut());
        }
        response
    }

    fn wire(self) -> Wire {
        match self {
            // RFC 6750 3.1: who sent no token learns no error code.
            Refusal::Bearer(BearerFault::Missing) => Wire {
                status: StatusCode::UNAUTHORIZED,
                challenge: String::new(),
                code: "token_required",
                message: "Send the header `Authorization: Bearer TOKEN`, with a token of the \
                          portal's /oauth/token. A browser's sign-in does not count here."
                    .to_owned(),
            },
            Refusal::Bearer(BearerFault::TwoHeaders) => Wire {
                status: StatusCode::BAD_REQUEST,
                challenge: ", error=\"invalid_request\"".to_owned(),
                code: "invalid_request",
                message: "Send the Authorization header once.".to_owned(),
            },
            Refusal::Bearer(BearerFault::Invalid | BearerFault::NoCustomer) => {
                let message = "The access token is expired, revoked, or not one of the portal.";
                Wire {
                    status: StatusCode::UNAUTHORIZED,
                    challenge: format!(
                        ", error=\"invalid_token\", error_description=\"{message}\""
                    ),
                    code: "invalid_token",
                    message: message.to_owned(),
                }
            }
            Refusal::Bearer(BearerFault::Key(KeyFault::Proof(ProofError::Unavailable))) => {
                unavailable()
            }
            Refusal::Bearer(BearerFault::Key(fault)) => of_key(fault),
            Refusal::Bearer(BearerFault::Store(_)) => unavailable(),
            Refusal::Scope(scope) => Wire {
                status: StatusCode::FORBIDDEN,
                challenge: format!(", error=\"insufficient_scope\", scope=\"{scope}\""),
                code: "insufficient_scope",
                message: format!("The access token does not have the scope {scope}."),
            },
        }
    }
}

/// A key that was not proved (RFC 9449 7.1).
fn of_key(fault: KeyFault) -> Wire {
    let algorithms = dpop::ALGORITHMS.map(Algorithm::as_str).join(" ");
    let (code, words) = (fault.code(), fault.words());
    Wire {
        status: StatusCode::UNAUTHORIZED,
        challenge: format!(
            ", DPoP algs=\"{algorithms}\", error=\"{code}\", error_description=\"{words}\""
        ),
        code,
        message: format!("{words}."),
    }
}

fn unavailable() -> Wire {
    Wire {
        status: StatusCode::SERVICE_UNAVAILABLE,
        challenge: String::new(),
        code: "unavailable",
        message: "The server cannot reach what it knows. Try again in a few seconds.".to_owned(),
    }
}

//! `/oauth/par`: a client pushes its authorization request before it sends the customer (RFC 9126).
//!
//! 1. parse: the header and the form body (`PushedRequest`);
//! 2. authenticate the client, as at the token endpoint;
//! 3. prove the key that its tokens are to be bound to, where one is (RFC 9449 10.1);
//! 4. check the request, as it would be checked in the browser: what is wrong is told here, to the
//!    client, and no customer sees it;
//! 5. commit: it is stored under a random name, which is the answer.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use grantor_protocol::authorization_request::AuthorizationRequest;
use grantor_protocol::authorize_error::AuthorizeError;
use grantor_protocol::client::Client;
use grantor_protocol::logged_call::Endpoint;
use grantor_protocol::parameters::Parameters;
use grantor_protocol::proof_error::ProofError;
use grantor_protocol::pushed_request::{PushedRequest, RequestUri};
use grantor_protocol::token_error::TokenError;
use serde::Serialize;

use super::client_call::{self, Call, authenticated_at, refuse, unavailable};
use super::client_document;
use super::heard::Heard;
use super::proof;
use super::request::RequestId;
use crate::http::ClientAddress;
use crate::site::Site;
use crate::store::NewPushedRequest;

/// How long the customer's browser may take to come, in seconds.
pub(super) const TTL_SECONDS: i64 = 90;

const MAX_WAITING_OF_PUBLIC: i64 = 5_000;

/// RFC 9126 2.2.
#[derive(Serialize)]
struct Pushed {
    request_uri: String,
    /// In seconds from now.
    expires_in: i64,
}

/// Answers a call.
pub(super) async fn push(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    request: Request,
) -> Response<Body> {
    let proof = proof::Presented::read(request.headers()).map_err(TokenError::Proof);
    let with_proof = proof.as_ref().map_or(true, proof::Presented::is_there);
    let call = Call { site: &site, request_id: &request_id, address };
    let mut heard = Heard::default();
    let answered = match &proof {
        Ok(proof) => carry_out(&call, request, (proof, &mut heard)).await,
        Err(error) => Err(error.clone()),
    };
    let mut response = match &answered {
        Ok(pushed) => client_call::answer(&site, StatusCode::CREATED, pushed),
        Err(error) => refuse(&site, &request_id, error),
    };
    heard.note_answer(&site, Endpoint::PushedRequest, answered.as_ref().err(), &mut response);
    if with_proof {
        proof::offer_nonce(&site, response.headers_mut());
    }
    response
}

async fn carry_out(
    call: &Call<'_>,
    request: Request,
    (proof, heard): (&proof::Presented, &mut Heard),
) -> Result<Pushed, TokenError> {
    let Call { site, request_id, .. } = *call;
    // 1. Parse.
    let pushed = client_call::parse(request, heard, PushedRequest::parse).await?;
    // 2. Authenticate.
    client_document::bring_for_call(site, request_id, pushed.client.client_id()).await?;
    let record = authenticated_at(call, &pushed.client, heard, Some("/oauth/par")).await?;
    let client = &record.client;
    // 3. The key, where one is proved.
    let target =
        proof::Target { method: "POST", at: proof::At::Endpoint("/oauth/par"), access_token: None };
    let key = proof.prove(site, target).await.map_err(TokenError::Proof)?;
    // 4. Check.
    let checked = check(site, client, &pushed.parameters)?;
    if let (Some(named), Some(proved)) = (checked.dpop_jkt, key)
        && named != proved
    {
        return Err(TokenError::Proof(ProofError::OtherKeyThanNamed));
    }
    // 5. Commit.
    let request_uri = RequestUri::new(site.random.bytes());
    let parameters = pushed.written(&client.id, key.as_ref());
    let now = site.clock.now();
    let new = NewPushedRequest {
        environment: site.environment,
        request_uri: &request_uri,
        client_id: &client.id,
        parameters: &parameters,
        epoch: site.sealer.epoch(),
        expires_at: now + TTL_SECONDS,
        now,
        at_most: at_most_waiting(client),
    };
    match site.store.push_request(&new).await.map_err(unavailable(request_id))? {
        true => Ok(Pushed { request_uri: request_uri.to_string(), expires_in: TTL_SECONDS }),
        false => Err(TokenError::Unavailable),
    }
}

/// How many pushed requests, and how many devices, of one client may wait. Whoever knows the id of a
/// client without a secret can make them; of others only the client itself.
pub(super) fn at_most_waiting(client: &Client) -> i64 {
    if client.is_public() { MAX_WAITING_OF_PUBLIC } else { i64::MAX }
}

fn check(
    site: &Site,
    client: &Client,
    parameters: &Parameters,
) -> Result<AuthorizationRequest, TokenError> {
    AuthorizationRequest::parse(parameters, client, &site.settings.apis).map_err(
        |error| match error {
            AuthorizeError::Page(fault) => TokenError::PushedPage(fault),
            AuthorizeError::Redirect { fault, .. } => TokenError::Pushed(fault),
        },
    )
}

//! `/oauth/revoke`: a client gives a token back (RFC 7009).
//!
//! 1. parse: the header and the form body (`RevocationRequest`);
//! 2. authenticate the client; one without a secret names itself, and holds the token;
//! 3. load: open the seal, read the grant;
//! 4. decide (`check_revocation` in `protocol`): the grant ends, or one access token, or nothing;
//! 5. commit: one write, after which no token of what ended is taken anywhere. A consent stays: the
//!    client gave its tokens back, the customer took nothing back;
//! 6. answer 200, with a body of JSON, because a widely used client library reads one.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use grantor_protocol::client::Client;
use grantor_protocol::logged_call::Endpoint;
use grantor_protocol::token_error::TokenError;
use grantor_protocol::token_introspection::SealedToken;
use grantor_protocol::token_revocation::{
    NothingToEnd, Revocation, RevocationRequest, check_revocation,
};
use serde_json::json;

use super::access_token::{self, Genuine, Opened, OpenedClient};
use super::client_call::{self, Call, authenticated, refuse, unavailable};
use super::heard::Heard;
use super::request::RequestId;
use crate::http::ClientAddress;
use crate::seal::ClientAccessSeal;
use crate::site::Site;
use crate::store::client_token_owner;

/// Answers a call.
pub(super) async fn revoke(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    request: Request,
) -> Response<Body> {
    let call = Call { site: &site, request_id: &request_id, address };
    let mut heard = Heard::default();
    let answered = carry_out(&call, request, &mut heard).await;
    let mut response = match &answered {
        // RFC 7009 2.2: the same for a token that was never one.
        Ok(()) => client_call::answer(&site, StatusCode::OK, &json!({})),
        Err(error) => refuse(&site, &request_id, error),
    };
    heard.note_answer(&site, Endpoint::Revoke, answered.as_ref().err(), &mut response);
    response
}

async fn carry_out(call: &Call<'_>, request: Request, heard: &mut Heard) -> Result<(), TokenError> {
    let Call { site, request_id, .. } = *call;
    // 1. Parse.
    let RevocationRequest(form) =
        client_call::parse(request, heard, RevocationRequest::parse).await?;
    // 2. Authenticate.
    let record = authenticated(call, &form.client, heard).await?;
    let client = &record.client;
    // 3. Load.
    let opened = match access_token::open(site, &form.token).await? {
        Some(Genuine::OfGrant(opened)) => opened,
        Some(Genuine::OfClient(seal)) => {
            return revoke_of_client(site, request_id, client, seal).await;
        }
        None => {
            tracing::info!(request.id = request_id.0, client.id = client.id, "revoke.unknown");
            return Ok(());
        }
    };
    let row = site
        .store
        .introspected(site.environment, opened.grant_id, opened.token_id)
        .await
        .map_err(unavailable(request_id))?;
    // 4. Decide.
    let now = site.clock.now();
    let grant = row.as_ref().map(|row| &row.grant);
    let decided = check_revocation(&opened.token, grant, client, now);
    if let Revocation::EndGrant { alarm: true } | Revocation::EndToken { alarm: true } = decided {
        access_token::alarm(request_id, row.as_ref());
    }
    // 5. Commit.
    commit(site, request_id, &opened, decided).await?;
    note(request_id, client, decided);
    Ok(())
}

/// A token of a client itself ends alone, and by that client alone.
async fn revoke_of_client(
    site: &Site,
    request_id: &RequestId,
    client: &Client,
    seal: ClientAccessSeal,
) -> Result<(), TokenError> {
    let opened = OpenedClient::load(site, seal).await.map_err(unavailable(request_id))?;
    let now = site.clock.now();
    match opened.is_of(client) && now < opened.seal.expires_at {
        true => {
            let seal = &opened.seal;
            let owner = client_token_owner(seal.client_key);
            site.store
                .revoke_access_token(site.environment, owner, seal.token_id, seal.expires_at)
                .await
                .map_err(unavailable(request_id))?;
            tracing::info!(request.id = request_id.0, client.id = client.id, "revoke.client_token");
        }
        false => {
            tracing::info!(request.id = request_id.0, client.id = client.id, "revoke.unknown");
        }
    }
    Ok(())
}

async fn commit(
    site: &Site,
    request_id: &RequestId,
    opened: &Opened,
    decided: Revocation,
) -> Result<(), TokenError> {
    let now = site.clock.now();
    let Opened { token, grant_id, token_id } = opened;
    match (decided, token, token_id) {
        (Revocation::EndGrant { .. }, _, _) => {
            // Where somebody else was faster, it ended all the same.
            site.store
                .revoke_grant(site.environment, *grant_id, now)
                .await
                .map_err(unavailable(request_id))?;
        }
        (Revocation::EndToken { .. }, SealedToken::Access(token), Some(token_id)) => {
            site.store
                .revoke_access_token(site.environment, *grant_id, *token_id, token.expires_at)
                .await
                .map_err(unavailable(request_id))?;
        }
        // Only an access token ends alone; nothing else may be answered with 200.
        (Revocation::EndToken { .. }, _, _) => return Err(TokenError::Unavailable),
        // Perhaps by a call before this one that was answered 503: a 200 says that it lasts.
        (Revocation::Nothing(NothingToEnd::Ended), _, _) => {
            site.store.confirm().await.map_err(unavailable(request_id))?;
        }
        (Revocation::Nothing(_), _, _) => {}
    }
    Ok(())
}

fn note(request_id: &RequestId, client: &Client, decided: Revocation) {
    let (request_id, client_id) = (&request_id.0, &client.id);
    match decided {
        Revocation::EndGrant { .. } => {
            tracing::info!(
                request.id = request_id,
                client.id = client_id,
                "revoke.connection: the client ended it"
            );
        }
        Revocation::EndToken { .. } => {
            tracing::info!(request.id = request_id, client.id = client_id, "revoke.access_token");
        }
        Revocation::Nothing(why) => {
            tracing::info!(request.id = request_id, client.id = client_id, ?why, "revoke.nothing");
        }
    }
}

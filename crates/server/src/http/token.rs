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
use axum::http::{Response, StatusCode};
use grantor_protocol::client::Client;
use grantor_protocol::token_error::{RequestFault, TokenError};
use grantor_protocol::token_request::{TokenGrant, TokenRequest};

use super::client_call::{self, authenticated, refuse, unavailable};
use super::request::RequestId;
use crate::http::ClientAddress;
use crate::metrics::GrantType;
use crate::site::Site;

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
    let request = client_call::parse(request, TokenRequest::parse).await?;
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
    Ok(client_call::answer(site, StatusCode::OK, &issued))
}

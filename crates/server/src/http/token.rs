//! `/oauth/token`: a code, a refresh token or a client's own proof becomes an access token (RFC 6749
//! 4.1.3, 6, 4.4).
//!
//! 1. parse: the header, the query as the guide's Postman sends it, the body (`TokenRequest`);
//! 2. authenticate the client, in constant time, whether it is known or not;
//! 3. prove the key that the tokens are to be bound to, where one is (`proof.rs`);
//! 4. `client_credentials.rs` makes a token; `exchange.rs`, `device.rs` and `refresh.rs`: open the seal, load the
//!    grant, let `protocol` decide, and write once, conditionally;
//! 5. answer: seal the new tokens (`issue.rs`), or sign them where their API wants that, and sign the
//!    ID token (`id_token.rs`). Nothing of them is stored.

mod client_credentials;
mod device;
mod exchange;
mod id_token;
mod issue;
mod refresh;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use grantor_protocol::api::Api;
use grantor_protocol::client::Client;
use grantor_protocol::environment::Environment;
use grantor_protocol::logged_call::Endpoint;
use grantor_protocol::openid::OPENID;
use grantor_protocol::proof_error::ProofError;
use grantor_protocol::resource::Resources;
use grantor_protocol::token_error::{RequestFault, TokenError};
use grantor_protocol::token_request::{TokenGrant, TokenRequest};

use self::issue::Issued;
use super::client_call::{self, Call, authenticated, refuse, unavailable};
use super::heard::{self, Heard};
use super::proof;
use super::request::RequestId;
use crate::http::ClientAddress;
use crate::metrics::GrantType;
use crate::signer::SigningRing;
use crate::site::Site;

/// A call whose client is proved, and what belongs to it.
struct Caller<'a> {
    site: &'a Site,
    request_id: &'a RequestId,
    client: &'a Client,
    address: IpAddr,
    /// The thumbprint of the key that it proved (RFC 9449).
    key: Option<[u8; 32]>,
    /// The APIs that it names (RFC 8707 2.2).
    resources: &'a Resources,
}

impl Caller<'_> {
    /// The keys that sign, made before anything is spent where they may be needed.
    async fn signing_keys(&self) -> Result<Arc<SigningRing>, TokenError> {
        self.site.signing_keys().await.map_err(|error| {
            tracing::error!(request.id = self.request_id.0, %error, "token.signing_keys");
            TokenError::Unavailable
        })
    }

    /// Whether an answer to this client may be signed.
    fn may_be_signed(&self) -> bool {
        let is_signed = |api: &Api| api.access_tokens.algorithm().is_some();
        self.client.scopes.contains(OPENID) || self.site.settings.apis.iter().any(is_signed)
    }
}

/// Answers a call.
pub(super) async fn token(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    request: Request,
) -> Response<Body> {
    let mut grant_type = GrantType::None;
    let proof = proof::Presented::read(request.headers()).map_err(TokenError::Proof);
    let with_proof = proof.as_ref().map_or(true, proof::Presented::is_there);
    let call = Call { site: &site, request_id: &request_id, address };
    let mut heard = Heard::default();
    let answered = match proof {
        Ok(proof) => answer(&call, request, (&proof, &mut heard), &mut grant_type).await,
        Err(error) => Err(error),
    };
    let mut response = match &answered {
        Ok(issued) => {
            site.metrics.tokens.issued(grant_type);
            let response = client_call::answer(&site, StatusCode::OK, issued);
            heard::unless_lost(&site, &mut heard, response).await
        }
        Err(error) => {
            site.metrics.tokens.refused(grant_type, error.wire().code);
            refuse(&site, &request_id, error)
        }
    };
    let ended = answered.as_ref().map(|issued| issued.mark());
    heard.note(&site, Endpoint::Token, ended, &mut response);
    if with_proof {
        proof::offer_nonce(&site, response.headers_mut());
    }
    response
}

async fn answer(
    call: &Call<'_>,
    request: Request,
    (proof, heard): (&proof::Presented, &mut Heard),
    grant_type: &mut GrantType,
) -> Result<Issued, TokenError> {
    let Call { site, request_id, address } = *call;
    // 1. Parse.
    let request = client_call::parse(request, heard, TokenRequest::parse).await?;
    // 2. Authenticate.
    let record = authenticated(call, &request.client, heard).await?;
    let client = &record.client;
    if request.from_query {
        // Both the environment and the client may forbid what the guide does.
        if !site.settings.parameters_in_query || !client.settings.parameters_in_query {
            return Err(TokenError::Request(RequestFault::QueryNotAllowed));
        }
        site.usage.count_query_call(site.environment, &client.id, site.clock.now());
    }
    let for_itself = matches!(request.grant, TokenGrant::ClientCredentials { .. });
    if site.environment == Environment::Portal && !for_itself {
        return Err(TokenError::Request(RequestFault::ClientCredentialsOnly));
    }
    *grant_type = match &request.grant {
        TokenGrant::AuthorizationCode { .. } => GrantType::AuthorizationCode,
        TokenGrant::RefreshToken { .. } => GrantType::RefreshToken,
        TokenGrant::ClientCredentials { .. } => GrantType::ClientCredentials,
        TokenGrant::DeviceCode { .. } => GrantType::DeviceCode,
    };
    // 3. The key, where one is proved (RFC 9449 5).
    if client.settings.dpop_required && !proof.is_there() {
        return Err(TokenError::Proof(ProofError::Required));
    }
    let target = proof::Target {
        method: "POST",
        at: proof::At::Endpoint("/oauth/token"),
        access_token: None,
    };
    let key = proof.prove(site, target).await.map_err(TokenError::Proof)?;
    // 4. Decide and commit.
    let resources = &request.resources;
    let caller = Caller { site, request_id, client, address, key, resources };
    if caller.may_be_signed() {
        caller.signing_keys().await?;
    }
    match &request.grant {
        TokenGrant::AuthorizationCode { code, redirect_uri, code_verifier } => {
            exchange::exchange(&caller, code, redirect_uri, code_verifier.as_ref()).await
        }
        TokenGrant::RefreshToken { refresh_token, scope } => {
            refresh::refresh(&caller, refresh_token, scope.as_deref()).await
        }
        TokenGrant::DeviceCode { device_code } => device::device(&caller, device_code).await,
        TokenGrant::ClientCredentials { scope } => {
            client_credentials::client_credentials(&caller, scope.as_deref()).await
        }
    }
}

//! What a token opens at an API, decided here: for the demo API, and for whatever stands behind a proxy
//! that asks `/guard/check`.
//!
//! 1. the token is taken from the header, opened, and held against its row;
//! 2. the API that it is brought to is one that it is for (RFC 8707 2), and sees of its scopes those
//!    that it knows;
//! 3. the key that it is bound to is proved, last of all, because that uses the proof up.

use axum::http::HeaderMap;
use grantor_guard::credentials::Credentials;
use grantor_guard::{Access, KeyFault, Refusal};
use grantor_protocol::access_token::LiveAccess;
use grantor_protocol::api::{Api, is_for};
use grantor_protocol::jose::Thumbprint;
use grantor_protocol::proof_error::ProofError;
use grantor_protocol::scope::Scope;
use uuid::Uuid;

use super::access_token::Genuine;
use super::bearer::{self, Bearer, BearerFault, ClientBearer};
use super::proof::At;
use super::request::RequestId;
use crate::site::Site;
use crate::store::{Business, StoreError};

/// A call to an API.
#[derive(Clone, Copy)]
pub(super) struct ApiCall<'a> {
    pub(super) site: &'a Site,
    pub(super) request_id: &'a RequestId,
    /// With the token, and the proof of its key.
    pub(super) headers: &'a HeaderMap,
    pub(super) method: &'a str,
    pub(super) at: At<'a>,
    pub(super) brought_to: BroughtTo<'a>,
}

/// The API that a token is brought to.
#[derive(Clone, Copy)]
pub(super) enum BroughtTo<'a> {
    /// The one at the base URL of this environment.
    ThisServer,
    /// One that the operator described.
    Api(&'a Api),
}

/// What the token of a call opens. Of businesses it says those of the connection, and nothing of
/// locations: [`places`] reads both.
///
/// # Errors
/// [`Refusal`]
pub(super) async fn opened_by(call: &ApiCall<'_>) -> Result<Access, Refusal> {
    let ApiCall { site, request_id, headers, .. } = *call;
    let credentials = Credentials::read(headers)?;
    let living = living(site, request_id, &credentials).await.map_err(|fault| match fault {
        BearerFault::Store(error) => {
            tracing::error!(request.id = request_id.0, %error, "api_access.store");
            Refusal::Unavailable
        }
        BearerFault::Missing => Refusal::NoToken,
        BearerFault::TwoHeaders => Refusal::TwoHeaders,
        BearerFault::Key(fault) => Refusal::Key(fault),
        BearerFault::NoCustomer => Refusal::NoCustomer,
        BearerFault::Invalid => Refusal::Invalid,
    })?;
    let Living { live, client_id, subject, businesses } = living;
    let scope = call.seen(&live).ok_or(Refusal::Invalid)?;
    let target = (call.method, call.at);
    let proved = bearer::prove_key(site, headers, &credentials, target, live.binding.key).await;
    proved.map_err(|fault| match fault {
        KeyFault::Proof(ProofError::Unavailable) => Refusal::Unavailable,
        fault => Refusal::Key(fault),
    })?;
    Ok(Access {
        subject,
        client_id,
        scope,
        audience: call.audience(&live),
        businesses: businesses.map(|ids| ids.iter().map(ToString::to_string).collect()),
        locations: None,
        expires_at: live.expires_at,
        key: live.binding.key.map(Thumbprint::from_bytes),
    })
}

/// The businesses of a connection that its customer still has, with their locations.
///
/// # Errors
/// [`StoreError`]
pub(super) async fn places(
    site: &Site,
    customer_id: [u8; 16],
    covered: impl Fn(i64) -> bool,
) -> Result<Vec<Business>, StoreError> {
    let all = site.store.businesses(site.environment, customer_id).await?;
    Ok(all.into_iter().filter(|business| covered(business.id)).collect())
}

/// The ids of businesses and of their locations, as a token's reader is told them: as text, because
/// such a number may be larger than a JavaScript program can hold.
pub(super) fn ids(businesses: &[Business]) -> [Vec<String>; 2] {
    let locations = businesses.iter().flat_map(|business| &business.locations);
    [
        businesses.iter().map(|business| business.id.to_string()).collect(),
        locations.map(|location| location.id.to_string()).collect(),
    ]
}

/// A token that lives, with whom it belongs to.
struct Living {
    live: LiveAccess,
    client_id: String,
    subject: String,
    businesses: Option<Vec<i64>>,
}

async fn living(
    site: &Site,
    request_id: &RequestId,
    credentials: &Credentials<'_>,
) -> Result<Living, BearerFault> {
    match bearer::open(site, credentials).await? {
        None => Err(BearerFault::Invalid),
        Some(Genuine::OfGrant(opened)) => {
            let Bearer { live, grant } = Bearer::living(site, request_id, opened).await?;
            Ok(Living {
                live,
                client_id: grant.client_id,
                subject: Uuid::from_bytes(grant.customer_id).to_string(),
                businesses: Some(grant.businesses),
            })
        }
        Some(Genuine::OfClient(seal)) => {
            let ClientBearer { live, client_id } =
                ClientBearer::living(site, request_id, seal).await?;
            // RFC 9068 2.2: no customer stands behind it.
            Ok(Living { live, subject: client_id.clone(), client_id, businesses: None })
        }
    }
}

impl ApiCall<'_> {
    /// The scopes that the API sees; `None` where the token is not for it.
    fn seen(&self, live: &LiveAccess) -> Option<Scope> {
        let resources = &live.binding.resources;
        match self.brought_to {
            BroughtTo::ThisServer => {
                is_for(resources, &self.site.base_url).then(|| live.scope.clone())
            }
            BroughtTo::Api(api) => api.sees(resources, &live.scope),
        }
    }

    /// The APIs that the token names; where it names none and is for this one, this one.
    fn audience(&self, live: &LiveAccess) -> Vec<String> {
        let this = match self.brought_to {
            BroughtTo::ThisServer => &self.site.base_url,
            BroughtTo::Api(api) => &api.resource,
        };
        match live.binding.resources.is_empty() {
            true => vec![this.clone()],
            false => live.binding.resources.iter().map(str::to_owned).collect(),
        }
    }
}

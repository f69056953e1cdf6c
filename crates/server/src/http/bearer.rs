//! The token that comes with a call to an API of this server (RFC 6750 2.1, RFC 9449 7.1).
//!
//! 1. [`Credentials::read`] takes the header, as the guard of any API does;
//! 2. [`Bearer::of`] opens the token, holds it against its row, and has the key proved that it is
//!    bound to.

use axum::http::HeaderMap;
pub(super) use grantor_guard::KeyFault;
use grantor_guard::Refusal;
use grantor_guard::credentials::{Credentials, Scheme};
use grantor_protocol::access_token::{AccessFault, LiveAccess, check_access};
use grantor_protocol::grant::Grant;
use grantor_protocol::proof_error::ProofError;
use grantor_protocol::token_introspection::SealedToken;

use super::access_token::{self, Genuine, Opened, OpenedClient};
use super::proof::{self, At};
use super::request::RequestId;
use crate::seal::ClientAccessSeal;
use crate::site::Site;
use crate::store::StoreError;

/// Checks that whoever presents the token holds the key that it is bound to, if it is to one.
///
/// # Errors
/// [`KeyFault`].
pub(super) async fn prove_key(
    site: &Site,
    headers: &HeaderMap,
    credentials: &Credentials<'_>,
    (method, at): (&str, At<'_>),
    bound_to: Option<[u8; 32]>,
) -> Result<(), KeyFault> {
    let key = match (credentials.scheme, bound_to) {
        (Scheme::Bearer, None) => return Ok(()),
        (Scheme::Bearer, Some(_)) => return Err(KeyFault::BoundAsBearer),
        (Scheme::Dpop, None) => return Err(KeyFault::Unbound),
        (Scheme::Dpop, Some(key)) => key,
    };
    let target = proof::Target { method, at, access_token: Some(credentials.token) };
    let presented = proof::Presented::read(headers).map_err(KeyFault::Proof)?;
    match presented.prove(site, target).await.map_err(KeyFault::Proof)? {
        None => Err(KeyFault::Proof(ProofError::Required)),
        Some(proved) if proved == key => Ok(()),
        Some(_) => Err(KeyFault::Differs),
    }
}

/// A living access token of a customer, from whoever holds it.
pub(super) struct Bearer {
    pub(super) live: LiveAccess,
    pub(super) grant: Grant,
}

/// Why an API opens nothing.
#[derive(Debug)]
pub(super) enum BearerFault {
    /// no token at all
    Missing,
    /// two `Authorization` headers
    TwoHeaders,
    /// a token that opens nothing
    Invalid,
    /// a token that is bound to a key, which was not proved
    Key(KeyFault),
    /// a token of a client itself: there is no customer
    NoCustomer,
    /// the store failed
    Store(StoreError),
}

impl Bearer {
    /// Takes the token of a call to `endpoint`, which is its method and its path.
    ///
    /// # Errors
    /// [`BearerFault`]
    pub(super) async fn of(
        site: &Site,
        request_id: &RequestId,
        headers: &HeaderMap,
        endpoint: [&str; 2],
    ) -> Result<Bearer, BearerFault> {
        let credentials = read(headers)?;
        let opened = open(site, &credentials).await?;
        let opened = match opened {
            None => return Err(BearerFault::Invalid),
            Some(Genuine::OfGrant(opened)) => opened,
            Some(Genuine::OfClient(seal)) => {
                let opened = OpenedClient::load(site, seal).await.map_err(BearerFault::Store)?;
                let lives = opened.check(site.clock.now()).is_ok();
                return Err(if lives { BearerFault::NoCustomer } else { BearerFault::Invalid });
            }
        };
        let bearer = Bearer::living(site, request_id, opened).await?;
        let [method, path] = endpoint;
        let target = (method, At::Endpoint(path));
        prove_key(site, headers, &credentials, target, bearer.live.binding.key)
            .await
            .map_err(BearerFault::Key)?;
        Ok(bearer)
    }

    /// Holds a genuine token against its row.
    ///
    /// # Errors
    /// [`BearerFault::Invalid`], [`BearerFault::Store`]
    pub(super) async fn living(
        site: &Site,
        request_id: &RequestId,
        opened: Opened,
    ) -> Result<Bearer, BearerFault> {
        let SealedToken::Access(token) = opened.token else {
            return Err(BearerFault::Invalid);
        };
        let now = site.clock.now();
        // The store need not be asked about a token whose time is over.
        token.check_time(now).map_err(|_| BearerFault::Invalid)?;
        let row = site.store.introspected(site.environment, opened.grant_id, opened.token_id).await;
        let row = row.map_err(BearerFault::Store)?;
        let live = check_access(&token, row.as_ref(), now).map_err(|fault| {
            if fault == AccessFault::AheadOfRow {
                access_token::alarm(request_id, row.as_ref());
            }
            BearerFault::Invalid
        })?;
        let grant = row.map(|row| row.grant).ok_or(BearerFault::Invalid)?;
        Ok(Bearer { live, grant })
    }
}

/// A living access token of a client itself, from whoever holds it.
pub(super) struct ClientBearer {
    pub(super) live: LiveAccess,
    pub(super) client_id: String,
}

impl ClientBearer {
    /// Takes the token of a call to `endpoint`, which is its method and its path.
    ///
    /// # Errors
    /// [`BearerFault`]
    pub(super) async fn of(
        site: &Site,
        request_id: &RequestId,
        headers: &HeaderMap,
        endpoint: [&str; 2],
    ) -> Result<ClientBearer, BearerFault> {
        let credentials = read(headers)?;
        let opened = open(site, &credentials).await?;
        let Some(Genuine::OfClient(seal)) = opened else {
            return Err(BearerFault::Invalid);
        };
        let bearer = ClientBearer::living(site, request_id, seal).await?;
        // RFC 8707 2: a token for another API opens nothing here, whoever brings it.
        let resources = &bearer.live.binding.resources;
        if !resources.is_empty() && !resources.contains(&site.base_url) {
            return Err(BearerFault::Invalid);
        }
        let [method, path] = endpoint;
        let target = (method, At::Endpoint(path));
        prove_key(site, headers, &credentials, target, bearer.live.binding.key)
            .await
            .map_err(BearerFault::Key)?;
        Ok(bearer)
    }

    /// Holds a genuine token against its client's row.
    ///
    /// # Errors
    /// [`BearerFault::Invalid`], [`BearerFault::Store`]
    pub(super) async fn living(
        site: &Site,
        request_id: &RequestId,
        seal: ClientAccessSeal,
    ) -> Result<ClientBearer, BearerFault> {
        let opened = OpenedClient::load(site, seal).await.map_err(BearerFault::Store)?;
        let live = opened.check(site.clock.now()).map_err(|fault| {
            if fault == AccessFault::AheadOfRow {
                access_token::alarm(request_id, None);
            }
            BearerFault::Invalid
        })?;
        let client_id = opened.row.map(|row| row.client_id).ok_or(BearerFault::Invalid)?;
        Ok(ClientBearer { live, client_id })
    }
}

/// Takes the header.
fn read(headers: &HeaderMap) -> Result<Credentials<'_>, BearerFault> {
    Credentials::read(headers).map_err(|refusal| match refusal {
        Refusal::NoToken => BearerFault::Missing,
        Refusal::TwoHeaders => BearerFault::TwoHeaders,
        _ => BearerFault::Invalid,
    })
}

/// Opens the token.
///
/// # Errors
/// [`BearerFault::Store`] where nobody can say whether it is genuine.
pub(super) async fn open(
    site: &Site,
    credentials: &Credentials<'_>,
) -> Result<Option<Genuine>, BearerFault> {
    access_token::open(site, credentials.token).await.map_err(|_| {
        BearerFault::Store(StoreError::Engine("the keys could not be read".to_owned()))
    })
}

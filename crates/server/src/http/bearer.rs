//! The token that comes with a call to an API of this server (RFC 6750 2.1, RFC 9449 7.1).
//!
//! 1. [`Credentials::read`] takes the header;
//! 2. [`Bearer::of`] opens the token, holds it against its row, and has the key proved that it is
//!    bound to.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use grantor_protocol::access_token::{AccessFault, LiveAccess, check_access};
use grantor_protocol::grant::Grant;
use grantor_protocol::proof_error::ProofError;
use grantor_protocol::token_introspection::SealedToken;

use super::access_token::{self, Genuine, OpenedClient};
use super::proof;
use super::request::RequestId;
use crate::site::Site;
use crate::store::StoreError;

/// What the `Authorization` header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Credentials<'a> {
    scheme: Scheme,
    token: &'a str,
}

/// How a token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Bearer,
    Dpop,
}

/// Why a header holds no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CredentialsFault {
    /// there is none, or one of another scheme
    Missing,
    /// two headers: what one reader skips, another reader takes
    TwoHeaders,
}

/// Why a living token is not taken from whoever presents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyFault {
    /// it is bound to a key, and came as `Bearer`: whoever stole it would do that
    BoundAsBearer,
    /// it is bound to none, and came as `DPoP`
    Unbound,
    /// the proof is of another key
    Differs,
    /// the proof is refused, or missing
    Proof(ProofError),
}

impl<'a> Credentials<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`CredentialsFault`].
    fn read(headers: &'a HeaderMap) -> Result<Credentials<'a>, CredentialsFault> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or(CredentialsFault::Missing)?;
        if values.next().is_some() {
            return Err(CredentialsFault::TwoHeaders);
        }
        let (scheme, token) = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .ok_or(CredentialsFault::Missing)?;
        let scheme = if scheme.eq_ignore_ascii_case("bearer") {
            Scheme::Bearer
        } else if scheme.eq_ignore_ascii_case("dpop") {
            Scheme::Dpop
        } else {
            return Err(CredentialsFault::Missing);
        };
        Ok(Credentials { scheme, token: token.trim() })
    }

    /// Checks that whoever presents the token holds the key that it is bound to, if it is to one.
    /// `endpoint` is the method and the path of the call.
    ///
    /// # Errors
    /// [`KeyFault`].
    async fn prove_key(
        &self,
        site: &Site,
        headers: &HeaderMap,
        [method, path]: [&str; 2],
        bound_to: Option<[u8; 32]>,
    ) -> Result<(), KeyFault> {
        let key = match (self.scheme, bound_to) {
            (Scheme::Bearer, None) => return Ok(()),
            (Scheme::Bearer, Some(_)) => return Err(KeyFault::BoundAsBearer),
            (Scheme::Dpop, None) => return Err(KeyFault::Unbound),
            (Scheme::Dpop, Some(key)) => key,
        };
        let target = proof::Target { method, path, access_token: Some(self.token) };
        let presented = proof::Presented::read(headers).map_err(KeyFault::Proof)?;
        match presented.prove(site, target).await.map_err(KeyFault::Proof)? {
            None => Err(KeyFault::Proof(ProofError::Required)),
            Some(proved) if proved == key => Ok(()),
            Some(_) => Err(KeyFault::Differs),
        }
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
        let credentials = Credentials::read(headers).map_err(|fault| match fault {
            CredentialsFault::Missing => BearerFault::Missing,
            CredentialsFault::TwoHeaders => BearerFault::TwoHeaders,
        })?;
        let opened = access_token::open(site, credentials.token).await.map_err(|_| {
            BearerFault::Store(StoreError::Engine("the keys could not be read".to_owned()))
        })?;
        let opened = match opened {
            None => return Err(BearerFault::Invalid),
            Some(Genuine::OfGrant(opened)) => opened,
            Some(Genuine::OfClient(seal)) => {
                let opened = OpenedClient::load(site, seal).await.map_err(BearerFault::Store)?;
                let lives = opened.check(site.clock.now()).is_ok();
                return Err(if lives { BearerFault::NoCustomer } else { BearerFault::Invalid });
            }
        };
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
        credentials
            .prove_key(site, headers, endpoint, live.binding.key)
            .await
            .map_err(BearerFault::Key)?;
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
        let credentials = Credentials::read(headers).map_err(|fault| match fault {
            CredentialsFault::Missing => BearerFault::Missing,
            CredentialsFault::TwoHeaders => BearerFault::TwoHeaders,
        })?;
        let opened = access_token::open(site, credentials.token).await.map_err(|_| {
            BearerFault::Store(StoreError::Engine("the keys could not be read".to_owned()))
        })?;
        let Some(Genuine::OfClient(seal)) = opened else {
            return Err(BearerFault::Invalid);
        };
        let opened = OpenedClient::load(site, seal).await.map_err(BearerFault::Store)?;
        let live = opened.check(site.clock.now()).map_err(|fault| {
            if fault == AccessFault::AheadOfRow {
                access_token::alarm(request_id, None);
            }
            BearerFault::Invalid
        })?;
        let client_id = opened.row.map(|row| row.client_id).ok_or(BearerFault::Invalid)?;
        // RFC 8707 2: a token for another API opens nothing here, whoever brings it.
        let resources = &live.binding.resources;
        if !resources.is_empty() && !resources.contains(&site.base_url) {
            return Err(BearerFault::Invalid);
        }
        credentials
            .prove_key(site, headers, endpoint, live.binding.key)
            .await
            .map_err(BearerFault::Key)?;
        Ok(ClientBearer { live, client_id })
    }
}

impl KeyFault {
    /// The `error` of the challenge (RFC 9449 7.1).
    pub(super) fn code(self) -> &'static str {
        match self {
            KeyFault::BoundAsBearer | KeyFault::Unbound | KeyFault::Differs => "invalid_token",
            KeyFault::Proof(error) => error.code(),
        }
    }

    /// What is wrong and what to do, for the client's developer.
    pub(super) fn words(self) -> String {
        match self {
            KeyFault::BoundAsBearer => "The access token is bound to a key: send it as \
                                        `Authorization: DPoP`, with a proof in the DPoP header"
                .to_owned(),
            KeyFault::Unbound => {
                "The access token is bound to no key: send it as `Authorization: Bearer`".to_owned()
            }
            KeyFault::Differs => {
                "The access token is bound to another key than the proof is of".to_owned()
            }
            KeyFault::Proof(error) => error.words().trim_end_matches('.').to_owned(),
        }
    }
}

//! A genuine token and its row, for all who ask whether it lives: the APIs here, introspection and
//! revocation. What follows from the two is decided in `protocol`.

use grantor_protocol::access_token::{AccessFault, AccessToken, LiveAccess, TokenRow};
use grantor_protocol::client::Client;
use grantor_protocol::client_token::{ClientToken, ClientTokenRow, check_client_token};
use grantor_protocol::token_error::TokenError;
use grantor_protocol::token_introspection::SealedToken;

use super::request::RequestId;
use super::signed_token::{self, SignedToken};
use crate::seal::{AccessSeal, ClientAccessSeal, Kind, NotThisSeal, Sealer};
use crate::site::Site;
use crate::store::StoreError;

/// A genuine token of this environment, sealed or signed.
pub(super) enum Genuine {
    /// It belongs to a grant.
    OfGrant(Opened),
    /// It is a client's own.
    OfClient(ClientAccessSeal),
}

/// A genuine token of a grant.
pub(super) struct Opened {
    /// What it says.
    pub(super) token: SealedToken,
    /// The grant that it belongs to.
    pub(super) grant_id: [u8; 16],
    /// Its own id, where it is an access token.
    pub(super) token_id: Option<[u8; 8]>,
}

/// Opens a token of whatever kind; `None` for what is none of this environment. A hint is not needed:
/// the prefix says which kind it is.
///
/// # Errors
/// [`TokenError::Unavailable`] where its key is not known here and the keys could not be read.
pub(super) async fn open(site: &Site, text: &str) -> Result<Option<Genuine>, TokenError> {
    if signed_token::looks_signed(text) {
        return Ok(match signed_token::open(site, text).await? {
            Some(SignedToken::OfGrant(seal)) => Some(Genuine::OfGrant(of_access(&seal))),
            Some(SignedToken::OfClient(seal)) => Some(Genuine::OfClient(seal)),
            None => None,
        });
    }
    match site.open(|sealer| opened(sealer, text)).await {
        Ok(opened) => Ok(Some(opened)),
        Err(NotThisSeal::UnknownKey) => Err(TokenError::Unavailable),
        Err(NotThisSeal::Foreign | NotThisSeal::OtherKind(_)) => Ok(None),
    }
}

fn opened(sealer: &Sealer, text: &str) -> Result<Genuine, NotThisSeal> {
    if text.starts_with(Kind::ClientAccess.prefix()) {
        return sealer.open_client_access(text).map(Genuine::OfClient);
    }
    match sealer.open_access(text) {
        Ok(seal) => return Ok(Genuine::OfGrant(of_access(&seal))),
        Err(NotThisSeal::OtherKind(_)) => {}
        Err(fault) => return Err(fault),
    }
    match sealer.open_refresh(text) {
        Ok(seal) => {
            let token =
                SealedToken::Refresh { generation: seal.generation, expires_at: seal.expires_at };
            let opened = Opened { token, grant_id: seal.grant_id, token_id: None };
            return Ok(Genuine::OfGrant(opened));
        }
        Err(NotThisSeal::OtherKind(_)) => {}
        Err(fault) => return Err(fault),
    }
    let seal = sealer.open_code(text)?;
    let opened = Opened { token: SealedToken::Code, grant_id: seal.grant_id, token_id: None };
    Ok(Genuine::OfGrant(opened))
}

fn of_access(seal: &AccessSeal) -> Opened {
    let token = AccessToken {
        generation: seal.generation,
        expires_at: seal.expires_at,
        issued_at: seal.issued_at,
        scope: seal.scope.clone(),
        binding: seal.binding.clone(),
    };
    Opened {
        token: SealedToken::Access(token),
        grant_id: seal.grant_id,
        token_id: Some(seal.token_id),
    }
}

/// Tells the operator that a genuine seal is ahead of its row.
pub(super) fn alarm(request_id: &RequestId, row: Option<&TokenRow>) {
    tracing::error!(
        request.id = request_id.0,
        client.id = row.map_or("", |row| &row.grant.client_id),
        "token.ahead_of_row: the database went back in time"
    );
}

/// A genuine token of a client itself, with its row.
pub(super) struct OpenedClient {
    pub(super) seal: ClientAccessSeal,
    pub(super) row: Option<ClientTokenRow>,
}

impl OpenedClient {
    /// Reads the row of such a token.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(super) async fn load(
        site: &Site,
        seal: ClientAccessSeal,
    ) -> Result<OpenedClient, StoreError> {
        let row = site.store.client_token(site.environment, seal.client_key, seal.token_id).await?;
        Ok(OpenedClient { seal, row })
    }

    /// Whether it lives, and what it may do.
    ///
    /// # Errors
    /// [`AccessFault`]
    pub(super) fn check(&self, now: i64) -> Result<LiveAccess, AccessFault> {
        let seal = &self.seal;
        let token = ClientToken {
            counter: seal.counter,
            expires_at: seal.expires_at,
            issued_at: seal.issued_at,
            scope: seal.scope.clone(),
            binding: seal.binding.clone(),
        };
        check_client_token(&token, self.row.as_ref(), now)
    }

    /// Whether it is a token of that client.
    pub(super) fn is_of(&self, client: &Client) -> bool {
        self.row.as_ref().is_some_and(|row| row.client_id == client.id)
    }
}

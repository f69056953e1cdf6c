//! A genuine token and its row, for all who ask whether it lives: the API of dev, introspection and
//! revocation. What follows from the two is decided in `protocol`.

use grantor_protocol::access_token::{AccessFault, AccessToken, LiveAccess, TokenRow};
use grantor_protocol::client::Client;
use grantor_protocol::client_token::{ClientToken, ClientTokenRow, check_client_token};
use grantor_protocol::token_error::TokenError;
use grantor_protocol::token_introspection::SealedToken;

use super::request::RequestId;
use crate::seal::{AccessSeal, ClientAccessSeal, NotThisSeal, Sealer};
use crate::site::Site;
use crate::store::StoreError;

/// A genuine token of this environment.
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
pub(super) async fn open(site: &Site, text: &str) -> Result<Option<Opened>, TokenError> {
    match site.open(|sealer| opened(sealer, text)).await {
        Ok(opened) => Ok(Some(opened)),
        Err(NotThisSeal::UnknownKey) => Err(TokenError::Unavailable),
        Err(NotThisSeal::Foreign | NotThisSeal::OtherKind(_)) => Ok(None),
    }
}

fn opened(sealer: &Sealer, text: &str) -> Result<Opened, NotThisSeal> {
    match sealer.open_access(text) {
        Ok(seal) => {
            return Ok(Opened {
                token: SealedToken::Access(facts(&seal)),
                grant_id: seal.grant_id,
                token_id: Some(seal.token_id),
            });
        }
        Err(NotThisSeal::OtherKind(_)) => {}
        Err(fault) => return Err(fault),
    }
    match sealer.open_refresh(text) {
        Ok(seal) => {
            let token =
                SealedToken::Refresh { generation: seal.generation, expires_at: seal.expires_at };
            return Ok(Opened { token, grant_id: seal.grant_id, token_id: None });
        }
        Err(NotThisSeal::OtherKind(_)) => {}
        Err(fault) => return Err(fault),
    }
    let seal = sealer.open_code(text)?;
    Ok(Opened { token: SealedToken::Code, grant_id: seal.grant_id, token_id: None })
}

/// What the seal of an access token says, as the rules take it.
pub(super) fn facts(seal: &AccessSeal) -> AccessToken {
    AccessToken {
        generation: seal.generation,
        expires_at: seal.expires_at,
        issued_at: seal.issued_at,
        scope: seal.scope.clone(),
        binding: seal.binding.clone(),
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

/// Opens a token of a client itself, and reads its row; `None` for what is no such token.
///
/// # Errors
/// [`StoreError`]
pub(super) async fn open_client(
    site: &Site,
    text: &str,
) -> Result<Option<OpenedClient>, StoreError> {
    let seal = match site.open(|sealer| sealer.open_client_access(text)).await {
        Ok(seal) => seal,
        Err(NotThisSeal::UnknownKey) => {
            return Err(StoreError::Engine("the keys could not be read".to_owned()));
        }
        Err(NotThisSeal::Foreign | NotThisSeal::OtherKind(_)) => return Ok(None),
    };
    let row = site.store.client_token(site.environment, seal.client_key, seal.token_id).await?;
    Ok(Some(OpenedClient { seal, row }))
}

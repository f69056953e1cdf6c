//! A genuine token and its row, for all who ask whether it lives: the API of dev, introspection and
//! revocation. What follows from the two is decided in `protocol`.

use grantor_protocol::access_token::{AccessToken, TokenRow};
use grantor_protocol::token_error::TokenError;
use grantor_protocol::token_introspection::SealedToken;

use super::request::RequestId;
use crate::seal::{AccessSeal, NotThisSeal, Sealer};
use crate::site::Site;

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

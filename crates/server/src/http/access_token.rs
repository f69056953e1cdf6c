//! A genuine token and its row, for all who ask whether it lives: the API of dev, introspection and
//! revocation. What follows from the two is decided in `protocol`.

use grantor_protocol::access_token::{AccessToken, TokenRow};
use grantor_protocol::token_introspection::SealedToken;

use super::request::RequestId;
use crate::seal::{AccessSeal, NotThisSeal};
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

/// Opens a token of whatever kind. A hint is not needed: the prefix says which kind it is.
pub(super) fn open(site: &Site, text: &str) -> Option<Opened> {
    match site.sealer.open_access(text) {
        Ok(seal) => {
            return Some(Opened {
                token: SealedToken::Access(facts(&seal)),
                grant_id: seal.grant_id,
                token_id: Some(seal.token_id),
            });
        }
        Err(NotThisSeal::Foreign) => return None,
        Err(NotThisSeal::OtherKind(_)) => {}
    }
    if let Ok(seal) = site.sealer.open_refresh(text) {
        let token =
            SealedToken::Refresh { generation: seal.generation, expires_at: seal.expires_at };
        return Some(Opened { token, grant_id: seal.grant_id, token_id: None });
    }
    let seal = site.sealer.open_code(text).ok()?;
    Some(Opened { token: SealedToken::Code, grant_id: seal.grant_id, token_id: None })
}

/// What the seal of an access token says, as the rules take it.
pub(super) fn facts(seal: &AccessSeal) -> AccessToken {
    AccessToken {
        generation: seal.generation,
        expires_at: seal.expires_at,
        issued_at: seal.issued_at,
        scope: seal.scope.clone(),
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

/// A token id or a grant id, as people and programs write it down.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

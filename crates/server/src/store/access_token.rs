//! Access tokens: what the store knows of one. Nothing, while it lives; where one alone is revoked,
//! its id until it would have expired.

use std::sync::LazyLock;

use grantor_protocol::access_token::TokenRow;
use grantor_protocol::environment::Environment;

use super::engine::Statement;
use super::grant::{COLUMNS, TABLES, read_grant};
use super::{Store, StoreError};
use crate::hex::hex;

static INTROSPECTED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT EXISTS (SELECT 1 FROM revoked_tokens t WHERE t.environment = $1 \
           AND t.grant_id = $2 AND t.token_id = $3), {COLUMNS} \
         FROM {TABLES} WHERE g.environment = $1 AND g.id = $2"
    )
});

impl Store {
    /// Reads what decides over a token, in one statement: its grant, whether that is in force, and
    /// whether the access token of that id was revoked alone. What ended is so ended for the very
    /// next reader.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn introspected(
        &self,
        environment: Environment,
        grant_id: [u8; 16],
        token_id: Option<[u8; 8]>,
    ) -> Result<Option<TokenRow>, StoreError> {
        let values = vec![environment.as_str().into(), grant_id.into(), token_id.into()];
        let rows = self.engine.read(&INTROSPECTED, values).await?;
        rows.into_iter()
            .next()
            .map(|row| {
                let mut row = row.columns("grants", hex(&grant_id));
                let token_revoked = row.boolean("(revoked token)")?;
                Ok(TokenRow { grant: read_grant(grant_id, row)?, token_revoked })
            })
            .transpose()
    }

    /// Revokes one access token, and leaves its grant alone. `expires_at`, in Unix seconds, is the
    /// token's own: until then it is remembered. Revoking it once more changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn revoke_access_token(
        &self,
        environment: Environment,
        grant_id: [u8; 16],
        token_id: [u8; 8],
        expires_at: i64,
    ) -> Result<(), StoreError> {
        let statement = revoked(environment, (grant_id, token_id), expires_at);
        match self.ended(statement).await? {
            true => Ok(()),
            // It stands there already, perhaps since an answer that nobody got.
            false => self.confirm().await,
        }
    }
}

/// Remembers that a token is revoked. Where it stands there already it changes nothing.
pub(super) fn revoked(
    environment: Environment,
    (grant_id, token_id): ([u8; 16], [u8; 8]),
    expires_at: i64,
) -> Statement {
    Statement::new(
        "INSERT INTO revoked_tokens (environment, grant_id, token_id, expires_at) \
         VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        vec![environment.as_str().into(), grant_id.into(), token_id.into(), expires_at.into()],
    )
}

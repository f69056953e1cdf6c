//! Access tokens: what the store knows of one. Nothing, while it lives; where one alone is revoked,
//! its id until it would have expired.

use grantor_protocol::access_token::TokenRow;
use grantor_protocol::environment::Environment;

use super::engine::Statement;
use super::grant::read_grant;
use super::{Store, StoreError};

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
        let sql = "SELECT EXISTS (SELECT 1 FROM revoked_tokens t WHERE t.environment = $1 \
                     AND t.grant_id = $2 AND t.token_id = $3), \
                   g.client_id, g.customer_id, g.scope, g.businesses, g.redirect_uri, \
                   g.code_challenge, g.code_expires_at, g.ends_at, g.status, g.generation, \
                   g.redeemed_at, g.turned_at, g.idle_expires_at, g.repeated, g.repeats_running, \
                   g.revoked_at, \
                   (NOT c.disabled AND c.counter = g.client_counter AND u.counter = g.customer_counter \
                    AND k.counter = g.consent_counter) \
                   FROM grants g \
                   JOIN clients c ON c.environment = g.environment AND c.id = g.client_id \
                   JOIN customers u ON u.environment = g.environment AND u.id = g.customer_id \
                   JOIN consents k ON k.environment = g.environment \
                     AND k.customer_id = g.customer_id AND k.client_id = g.client_id \
                   WHERE g.environment = $1 AND g.id = $2";
        let values = vec![environment.as_str().into(), grant_id.into(), token_id.into()];
        let rows = self.engine.read(sql, values).await?;
        rows.into_iter()
            .next()
            .map(|row| {
                let key = grant_id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                let mut row = row.columns("grants", key);
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
        let statement = Statement::any(
            "INSERT INTO revoked_tokens (environment, grant_id, token_id, expires_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            vec![environment.as_str().into(), grant_id.into(), token_id.into(), expires_at.into()],
        );
        self.engine.write(vec![statement]).await.map(|_| ())
    }
}

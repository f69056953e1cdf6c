//! What decides over a token of a client itself: the client's row, and whether the token alone was
//! revoked. The token is no row.

use grantor_protocol::client_token::ClientTokenRow;
use grantor_protocol::environment::Environment;

use super::{Store, StoreError, consent};

const ROW: &str = "SELECT EXISTS (SELECT 1 FROM revoked_tokens t WHERE t.environment = $1 \
       AND t.grant_id = $3 AND t.token_id = $4), c.id, c.counter, c.disabled, c.scopes \
     FROM clients c WHERE c.environment = $1 AND c.key = $2";

/// In whose place among the revoked tokens those of a client stand: no grant has such an id, because
/// the time comes first in it.
pub fn client_token_owner(client_key: i64) -> [u8; 16] {
    let mut owner = [0; 16];
    owner[8..].copy_from_slice(&client_key.to_be_bytes());
    owner
}

impl Store {
    /// Reads it, in one statement.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn client_token(
        &self,
        environment: Environment,
        client_key: i64,
        token_id: [u8; 8],
    ) -> Result<Option<ClientTokenRow>, StoreError> {
        let values = vec![
            environment.as_str().into(),
            client_key.into(),
            client_token_owner(client_key).into(),
            token_id.into(),
        ];
        let rows = self.engine.read(ROW, values).await?;
        rows.into_iter()
            .next()
            .map(|row| {
                let mut row = row.columns("clients", "(token)");
                Ok(ClientTokenRow {
                    token_revoked: row.boolean("(revoked token)")?,
                    client_id: row.text("id")?,
                    counter: row.integer("counter")?,
                    disabled: row.boolean("disabled")?,
                    scopes: consent::scope(&mut row, "scopes")?,
                })
            })
            .transpose()
    }
}

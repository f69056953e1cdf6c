//! Clients that registered themselves, and the tokens that admit them (RFC 7591, RFC 7592).

use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;

use super::client::{NewClient, profile_values};
use super::engine::{Statement, Value};
use super::{Act, Store, StoreError};

/// No environment has more clients that registered themselves.
pub const MOST_SELF_REGISTERED: i64 = 10_000;

const SELF_REGISTERED: &str = "SELECT COUNT(*) FROM clients \
     WHERE environment = $1 AND registration IN ('itself', 'document') AND NOT disabled";

/// A token that admits clients to registration.
pub struct InitialAccessToken {
    /// Its environment.
    pub environment: Environment,
    /// Its id.
    pub id: [u8; 16],
    /// Its SHA-256.
    pub digest: [u8; 32],
    /// Whom it is for.
    pub note: String,
    /// How many may register with it.
    pub uses: i64,
    /// In Unix seconds.
    pub expires_at: i64,
}

impl Store {
    /// Adds an initial access token (RFC 7591 3), and notes whose act that was.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_initial_access_token(
        &self,
        token: &InitialAccessToken,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO initial_access_tokens (environment, id, digest, note, uses_left, \
             created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            vec![
                token.environment.as_str().into(),
                token.id.into(),
                token.digest.into(),
                token.note.as_str().into(),
                token.uses.into(),
                act.at.into(),
                token.expires_at.into(),
            ],
        );
        self.act(vec![statement], act).await
    }

    /// Whether an initial access token admits anybody just now. It may not by the next moment:
    /// what counts is [`Store::use_initial_access_token`].
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn initial_access_token_admits(
        &self,
        environment: Environment,
        digest: [u8; 32],
        now: i64,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT id FROM initial_access_tokens \
                   WHERE environment = $1 AND digest = $2 AND uses_left > 0 AND expires_at > $3";
        let values = vec![environment.as_str().into(), digest.into(), now.into()];
        Ok(!self.engine.read(sql, values).await?.is_empty())
    }

    /// Uses an initial access token once. Answers whether it still admits anybody.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn use_initial_access_token(
        &self,
        environment: Environment,
        digest: [u8; 32],
        now: i64,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE initial_access_tokens SET uses_left = uses_left - 1 \
             WHERE environment = $1 AND digest = $2 AND uses_left > 0 AND expires_at > $3",
            vec![environment.as_str().into(), digest.into(), now.into()],
        );
        Ok(self.engine.write(vec![statement]).await?.is_done())
    }

    /// How many clients of an environment registered themselves and are switched on.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn self_registered(&self, environment: Environment) -> Result<i64, StoreError> {
        let rows = self.engine.read(SELF_REGISTERED, vec![environment.as_str().into()]).await?;
        rows.into_iter()
            .next()
            .map_or(Ok(0), |row| row.columns("clients", "(counted)").integer("count"))
    }

    /// Puts other metadata in the place of what a client registered, if its registration still has
    /// the same token. Its counter rises where what it may do became less: its grants end.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn update_registered_client(&self, client: &NewClient) -> Result<bool, StoreError> {
        // What it had before may be more than it has now.
        self.note_narrowed(client.environment, &client.id).await?;
        let statement = Statement::new(
            "UPDATE clients SET name = $3, website = $4, redirect_uris = $5, \
             counter = CASE WHEN scopes = $6 THEN counter ELSE counter + 1 END, scopes = $6, \
             refresh_tokens = $7, authentication_method = $8, jwks = $9, jwks_uri = $10, \
             grant_types = $11, par_required = $12, dpop_required = $13, \
             offline_access_required = $14, id_token_algorithm = $15, \
             post_logout_redirect_uris = $16, registration = $17, metadata = $19 \
             WHERE environment = $1 AND id = $2 AND registration_token_digest = $18 \
             AND NOT disabled",
            registered_values(client),
        );
        Ok(self.write_clients(vec![statement]).await?.is_done())
    }

    /// Puts what a client's document says now in the place of what it said before, if its row is
    /// still of the document of that digest. Whether it is public may change with it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn replace_client_document(
        &self,
        client: &NewClient,
        former: [u8; 32],
    ) -> Result<bool, StoreError> {
        let mut values = registered_values(client);
        values.push(former.into());
        values.push(client.keys.is_none().into());
        let statement = Statement::new(
            "UPDATE clients SET name = $3, website = $4, redirect_uris = $5, \
             counter = CASE WHEN scopes = $6 AND public = $21 THEN counter ELSE counter + 1 END, \
             scopes = $6, public = $21, \
             refresh_tokens = $7, authentication_method = $8, jwks = $9, jwks_uri = $10, \
             grant_types = $11, par_required = $12, dpop_required = $13, \
             offline_access_required = $14, id_token_algorithm = $15, \
             post_logout_redirect_uris = $16, registration = $17, \
             registration_token_digest = $18, metadata = $19 \
             WHERE environment = $1 AND id = $2 AND registration_token_digest = $20 \
             AND NOT disabled",
            values,
        );
        Ok(self.write_clients(vec![statement]).await?.is_done())
    }
}

/// The values of what a client says of itself, in the order of both statements.
fn registered_values(client: &NewClient) -> Vec<Value> {
    let uris: Vec<&str> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
    let mut values = vec![
        client.environment.as_str().into(),
        client.id.as_str().into(),
        client.name.as_str().into(),
        client.website.as_deref().into(),
        uris.join(" ").into(),
        client.scopes.to_string().into(),
        client.settings.refresh_tokens.into(),
    ];
    values.extend(profile_values(client));
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::{empty, plan};

    #[tokio::test]
    async fn clients_that_registered_themselves_are_counted_without_a_look_at_the_others() {
        let (store, _folder) = empty().await;
        let found = plan(&store, SELF_REGISTERED, 1).await;
        assert!(found.contains("clients_of_themselves (environment=?)"), "{found}");
    }
}

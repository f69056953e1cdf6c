//! What a customer has connected, as the customer looks at it: grants that live, consents that stand,
//! and the clients of both. All are found by the customer (`0003_connections.sql`), however many others there are.
//!
//! The index of grants begins with the customer and not with the environment: SQLite knows nothing of
//! how many rows there are, and would walk a whole environment by the primary key instead.

use std::sync::LazyLock;

use grantor_protocol::environment::Environment;
use grantor_protocol::scope::Scope;

use super::client::{self, read_client};
use super::engine::Row;
use super::grant::TABLES;
use super::{ClientRecord, Store, StoreError, consent};

/// No more is read for one page. An app whose partner connects it anew each day, for other scopes
/// each time, takes up one place for each of them.
const MOST: i64 = 500;

/// The living grants of a customer to one client, with one scope, for the same businesses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivingGrants {
    /// The client.
    pub client_id: String,
    /// What they allow.
    pub scope: Scope,
    /// For which businesses.
    pub businesses: Vec<i64>,
    /// When the first of their codes was redeemed, in Unix seconds.
    pub redeemed_at: i64,
    /// When one of them was last redeemed or refreshed, in Unix seconds.
    pub turned_at: i64,
    /// When the last of them ends unless it is refreshed, in Unix seconds.
    pub idle_expires_at: i64,
    /// When the last of them ends whatever happens, in Unix seconds; `None` where one has no end.
    pub ends_at: Option<i64>,
}

/// A consent that stands: with or without a grant that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingConsent {
    /// The client.
    pub client_id: String,
    /// What was allowed.
    pub scope: Scope,
    /// For which businesses.
    pub businesses: Vec<i64>,
    /// When, in Unix seconds.
    pub given_at: i64,
}

static LIVING: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT c.id, g.scope, g.businesses, MIN(g.redeemed_at), MAX(g.turned_at), \
         MAX(g.idle_expires_at), CASE WHEN COUNT(g.ends_at) = COUNT(*) THEN MAX(g.ends_at) END \
         FROM {TABLES} WHERE g.environment = $1 AND g.customer_id = $2 AND g.generation > 0 \
         AND g.revoked_at IS NULL AND g.idle_expires_at > $3 AND NOT c.disabled \
         AND c.counter = g.client_counter AND u.counter = g.customer_counter \
         AND k.counter = g.consent_counter \
         GROUP BY c.id, g.scope, g.businesses ORDER BY MAX(g.turned_at) DESC, c.id LIMIT $4"
    )
});

/// A grant is born with a consent beside it, and none lives on without.
static CLIENTS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {} JOIN consents k ON k.environment = c.environment AND k.client_key = c.key \
         WHERE k.environment = $1 AND k.customer_id = $2 AND NOT k.revoked \
         ORDER BY k.given_at DESC, c.id LIMIT $3",
        client::COLUMNS
    )
});

impl Store {
    /// The clients that a customer allowed anything, whether or not a grant of theirs lives.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn clients_of_customer(
        &self,
        environment: Environment,
        customer_id: [u8; 16],
    ) -> Result<Vec<ClientRecord>, StoreError> {
        // As many as the other two can name.
        let values = vec![environment.as_str().into(), customer_id.into(), (MOST * 2).into()];
        self.engine.read(&CLIENTS, values).await?.into_iter().map(read_client).collect()
    }

    /// The grants of a customer that live, those last used first. A code that waits for its exchange
    /// is no connection yet.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn living_grants(
        &self,
        environment: Environment,
        customer_id: [u8; 16],
        now: i64,
    ) -> Result<Vec<LivingGrants>, StoreError> {
        let values = vec![environment.as_str().into(), customer_id.into(), now.into(), MOST.into()];
        self.engine.read(&LIVING, values).await?.into_iter().map(read_living).collect()
    }

    /// The consents of a customer that stand, the newest first: not taken back, and of this epoch.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn standing_consents(
        &self,
        environment: Environment,
        customer_id: [u8; 16],
        epoch: i64,
    ) -> Result<Vec<StandingConsent>, StoreError> {
        let sql = "SELECT c.id, k.scope, k.businesses, k.given_at FROM consents k \
                   JOIN clients c ON c.environment = k.environment AND c.key = k.client_key \
                   WHERE k.environment = $1 AND k.customer_id = $2 AND k.epoch = $3 \
                   AND NOT k.revoked ORDER BY k.given_at DESC, c.id LIMIT $4";
        let values =
            vec![environment.as_str().into(), customer_id.into(), epoch.into(), MOST.into()];
        self.engine.read(sql, values).await?.into_iter().map(read_consent).collect()
    }
}

fn read_living(row: Row) -> Result<LivingGrants, StoreError> {
    let mut row = row.columns("grants", "of a customer");
    Ok(LivingGrants {
        client_id: row.text("client_id")?,
        scope: consent::scope(&mut row, "scope")?,
        businesses: consent::businesses(&mut row)?,
        redeemed_at: row.integer("redeemed_at")?,
        turned_at: row.integer("turned_at")?,
        idle_expires_at: row.integer("idle_expires_at")?,
        ends_at: row.optional_integer("ends_at")?,
    })
}

fn read_consent(row: Row) -> Result<StandingConsent, StoreError> {
    let mut row = row.columns("consents", "of a customer");
    Ok(StandingConsent {
        client_id: row.text("client_id")?,
        scope: consent::scope(&mut row, "scope")?,
        businesses: consent::businesses(&mut row)?,
        given_at: row.integer("given_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::{empty, plan};

    #[tokio::test]
    async fn the_grants_and_sessions_of_a_customer_are_found_without_a_walk_through_all() {
        let (store, _folder) = empty().await;
        let living = plan(&store, &LIVING, 4).await;
        assert!(
            living.contains("grants_of_customer (customer_id=? AND environment=?)"),
            "{living}"
        );
        let clients = plan(&store, &CLIENTS, 3).await;
        assert!(clients.contains("SEARCH k USING"), "{clients}");
        assert!(clients.contains("(environment=? AND customer_id=?)"), "{clients}");
        assert!(clients.contains("(environment=? AND key=?)"), "{clients}");
        let sessions = "DELETE FROM sessions WHERE environment = $1 AND customer_id = $2";
        let sessions = plan(&store, sessions, 2).await;
        assert!(sessions.contains("sessions_of_customer"), "{sessions}");
    }
}

//! Endings of a whole past, each by one counter and in one write.
//!
//! A grant copied the counters of its client, customer and consent when it was born, and every
//! exchange, refresh and introspection demands in its own statement that they still stand. So what
//! ends here is ended for the very next of them, in every process, however many grants there are;
//! and whoever connects again in the same second is not cut off.
//!
//! Each takes along, in the same transaction, whom it tells or whose act it is ([`Along`]).

use grantor_protocol::environment::Environment;

use super::client_key::client_key;
use super::engine::Statement;
use super::{Along, Store, StoreError};
use crate::journal::Ending;
use crate::webhook::Notice;

/// The customer's few come first: SQLite would walk through all clients of the environment to have
/// those in order.
const ALLOWED_BY: &str = "SELECT c.id FROM consents k CROSS JOIN clients c \
     WHERE k.environment = $1 AND k.customer_id = $2 AND NOT k.revoked \
     AND c.environment = k.environment AND c.key = k.client_key ORDER BY c.id";

impl Store {
    /// Ends every grant of a client, and leaves the client itself and the consents alone. Answers
    /// whether there is such a client.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn end_grants_of_client(
        &self,
        environment: Environment,
        client_id: &str,
        along: Along<'_>,
    ) -> Result<bool, StoreError> {
        self.note(Ending::Client { environment, id: client_id.to_owned() }).await?;
        let statement = Statement::new(
            "UPDATE clients SET counter = counter + 1 WHERE environment = $1 AND id = $2",
            vec![environment.as_str().into(), client_id.into()],
        );
        self.ended_along(statement, along).await
    }

    /// Ends every grant of a customer, and the customer's sessions, which carry the same counter:
    /// so nothing connects again in silence. Answers whether there is such a customer.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn end_grants_of_customer(
        &self,
        environment: Environment,
        customer_id: [u8; 16],
        along: Along<'_>,
    ) -> Result<bool, StoreError> {
        self.note(Ending::Customer { environment, id: customer_id }).await?;
        let statement = Statement::new(
            "UPDATE customers SET counter = counter + 1 WHERE environment = $1 AND id = $2",
            vec![environment.as_str().into(), customer_id.into()],
        );
        self.ended_along(statement, along).await
    }

    /// Takes back all that a customer allowed, whichever the client: every grant ends, and each
    /// client has to ask again, and its partner is told. Sessions stay.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn end_grants_and_consents_of_customer(
        &self,
        environment: Environment,
        customer_id: [u8; 16],
        notices: &[Notice],
    ) -> Result<(), StoreError> {
        // After a restore nobody is signed in, and every consent is asked for again, so this ending
        // says enough.
        self.note(Ending::Customer { environment, id: customer_id }).await?;
        let statement = Statement::any(
            "UPDATE consents SET revoked = $3, counter = counter + 1 \
             WHERE environment = $1 AND customer_id = $2 AND NOT revoked",
            vec![environment.as_str().into(), customer_id.into(), true.into()],
        );
        self.ended_along(statement, Along::Told(notices)).await.map(|_| ())
    }

    /// Takes back what a customer allowed a client: its grants end, and it has to ask again.
    /// Answers whether there was something to take back.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn end_grants_of_customer_and_client(
        &self,
        environment: Environment,
        customer_id: [u8; 16],
        client_id: &str,
        along: Along<'_>,
    ) -> Result<bool, StoreError> {
        let client_id = client_id.to_owned();
        let key = client_key(&client_id);
        self.note(Ending::Consent { environment, customer_id, client_id }).await?;
        let statement = Statement::new(
            "UPDATE consents SET revoked = $4, counter = counter + 1 \
             WHERE environment = $1 AND customer_id = $2 AND client_key = $3 AND NOT revoked",
            vec![environment.as_str().into(), customer_id.into(), key.into(), true.into()],
        );
        self.ended_along(statement, along).await
    }

    /// The clients that a customer allows something, for whoever has to be told that it ends. One
    /// that is allowed in the same moment may be missing.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn clients_allowed_by(
        &self,
        environment: Environment,
        customer_id: [u8; 16],
    ) -> Result<Vec<String>, StoreError> {
        let values = vec![environment.as_str().into(), customer_id.into()];
        let rows = self.engine.read(ALLOWED_BY, values).await?;
        rows.into_iter().map(|row| row.columns("clients", "(allowed)").text("id")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::{empty, plan};

    #[tokio::test]
    async fn the_clients_of_a_customer_are_found_without_a_walk_through_all() {
        let (store, _folder) = empty().await;
        let found = plan(&store, ALLOWED_BY, 2).await;
        for expected in ["(environment=? AND customer_id=?)", "(environment=? AND key=?)"] {
            assert!(found.contains(expected), "{found}");
        }
    }
}

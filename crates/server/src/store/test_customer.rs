//! Test customers: the customers on staging that a partner made for itself.
//!
//! There is no environment in these methods, and none in the table: a test customer of production
//! cannot be written down. Each change and its entry in the audit log are one transaction, and each
//! names the partner whose customer it has to be.

use grantor_protocol::environment::Environment;

use super::customer::{insert_business, insert_customer};
use super::engine::Statement;
use super::{Act, Business, NewCustomer, Store, StoreError};
use crate::journal::Ending;

fn staging() -> &'static str {
    Environment::Staging.as_str()
}

/// A partner's few come first, and then their accounts: SQLite keeps the order of a cross join, and
/// would otherwise walk through the customers of the environment.
const OF_PARTNER: &str = "SELECT u.id, u.email, u.name, t.made_by, t.created_at \
     FROM test_customers t CROSS JOIN customers u \
     WHERE t.partner_id = $1 AND u.environment = $2 AND u.id = t.customer_id \
     ORDER BY t.created_at, u.id";

/// A test customer.
#[derive(Clone, Debug)]
pub struct TestCustomer {
    /// The customer's id.
    pub id: [u8; 16],
    /// The address that signs in.
    pub email: String,
    /// The made-up name.
    pub name: String,
    /// Who of the partner made it.
    pub made_by: String,
    /// In Unix seconds.
    pub created_at: i64,
}

impl Store {
    /// Makes a test customer with its businesses; the customer's environment is not looked at.
    /// Answers whether the partner has at most `most` with this one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn make_test_customer(
        &self,
        (partner_id, most): ([u8; 16], i64),
        customer: &NewCustomer<'_>,
        businesses: &[Business],
        act: &Act,
    ) -> Result<bool, StoreError> {
        let customer = NewCustomer { environment: Environment::Staging, demo: false, ..*customer };
        let mut transaction = vec![
            insert_customer(&customer, act.at),
            Statement::new(
                "INSERT INTO test_customers (partner_id, customer_id, made_by, created_at) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                vec![
                    partner_id.into(),
                    customer.id.into(),
                    act.actor.as_str().into(),
                    act.at.into(),
                ],
            ),
            // Of two at one moment the audit log's number refuses one, which then counts again.
            Statement::new(
                "UPDATE test_customers SET created_at = $3 \
                 WHERE partner_id = $1 AND customer_id = $2 \
                 AND (SELECT COUNT(*) FROM test_customers o WHERE o.partner_id = $1) <= $4",
                vec![partner_id.into(), customer.id.into(), act.at.into(), most.into()],
            ),
        ];
        for business in businesses {
            transaction.extend(insert_business(Environment::Staging, customer.id, business));
        }
        self.act(transaction, act).await
    }

    /// The test customers of a partner, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn test_customers(
        &self,
        partner_id: [u8; 16],
    ) -> Result<Vec<TestCustomer>, StoreError> {
        let rows = self.engine.read(OF_PARTNER, vec![partner_id.into(), staging().into()]).await?;
        let read = |row: super::engine::Row| {
            let mut row = row.columns("test_customers", "(of a partner)");
            Ok(TestCustomer {
                id: row.array("id")?,
                email: row.text("email")?,
                name: row.text("name")?,
                made_by: row.text("made_by")?,
                created_at: row.integer("created_at")?,
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Sets a test customer's password anew, which ends its sessions and connections. Answers
    /// whether it is one of that partner.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn set_test_customer_password(
        &self,
        (partner_id, customer_id): ([u8; 16], [u8; 16]),
        password_hash: &str,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let environment = Environment::Staging;
        self.note(Ending::PasswordChanged { environment, id: customer_id }).await?;
        let statement = Statement::new(
            "UPDATE customers SET password_hash = $4, counter = counter + 1 \
             WHERE environment = $1 AND id = $2 AND EXISTS (SELECT 1 FROM test_customers t \
             WHERE t.partner_id = $3 AND t.customer_id = customers.id)",
            vec![staging().into(), customer_id.into(), partner_id.into(), password_hash.into()],
        );
        self.act(vec![statement], act).await
    }

    /// Removes a test customer with its businesses. Whatever it allowed ends with it: a grant
    /// demands the counter of a customer who is there. Answers whether it was one of that partner.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_test_customer(
        &self,
        (partner_id, customer_id): ([u8; 16], [u8; 16]),
        act: &Act,
    ) -> Result<bool, StoreError> {
        let environment = Environment::Staging;
        // A backup may still know of it: nobody signs in with it after a restore either.
        self.note(Ending::CustomerDisabled { environment, id: customer_id }).await?;
        let of_customer = |sql| Statement::any(sql, vec![staging().into(), customer_id.into()]);
        let transaction = vec![
            // First, because it says whose it is.
            Statement::new(
                "DELETE FROM test_customers WHERE partner_id = $1 AND customer_id = $2",
                vec![partner_id.into(), customer_id.into()],
            ),
            Statement::new(
                "DELETE FROM customers WHERE environment = $1 AND id = $2",
                vec![staging().into(), customer_id.into()],
            ),
            of_customer("DELETE FROM sessions WHERE environment = $1 AND customer_id = $2"),
            of_customer("DELETE FROM consents WHERE environment = $1 AND customer_id = $2"),
            // A business that somebody else belongs to as well stays.
            of_customer(
                "DELETE FROM locations WHERE environment = $1 AND business_id IN \
                 (SELECT m.business_id FROM memberships m WHERE m.environment = $1 \
                  AND m.customer_id = $2) AND NOT EXISTS (SELECT 1 FROM memberships o \
                  WHERE o.environment = $1 AND o.business_id = locations.business_id \
                  AND o.customer_id <> $2)",
            ),
            of_customer(
                "DELETE FROM businesses WHERE environment = $1 AND id IN \
                 (SELECT m.business_id FROM memberships m WHERE m.environment = $1 \
                  AND m.customer_id = $2) AND NOT EXISTS (SELECT 1 FROM memberships o \
                  WHERE o.environment = $1 AND o.business_id = businesses.id \
                  AND o.customer_id <> $2)",
            ),
            of_customer("DELETE FROM memberships WHERE environment = $1 AND customer_id = $2"),
        ];
        self.act(transaction, act).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::{empty, plan};

    #[tokio::test]
    async fn test_customers_are_found_without_a_walk_through_all_customers() {
        let (store, _folder) = empty().await;
        let found = plan(&store, OF_PARTNER, 2).await;
        assert!(found.contains("t USING") && found.contains("(partner_id=?)"), "{found}");
        assert!(found.contains("u USING") && found.contains("(environment=? AND id=?)"), "{found}");
    }
}

//! Customers, their businesses and those businesses' locations.

use grantor_protocol::environment::Environment;
use grantor_protocol::openid::CustomerClaims;

use super::engine::{Row, Statement};
use super::{Act, Along, NewSession, Store, StoreError, outbox};
use crate::journal::Ending;
use crate::mail::Mail;

/// The customer's few come first: ordered by what they belong to, and not by the businesses, because
/// SQLite would walk through all businesses of the environment to have those in order.
const BUSINESSES_OF: &str = "SELECT b.id, b.name, b.currency, l.id, l.name, l.country, l.timezone \
     FROM memberships m \
     CROSS JOIN businesses b \
     LEFT JOIN locations l ON l.environment = m.environment AND l.business_id = m.business_id \
     WHERE m.environment = $1 AND m.customer_id = $2 \
     AND b.environment = m.environment AND b.id = m.business_id ORDER BY m.business_id, l.id";

/// A customer.
#[derive(Clone, Debug)]
pub struct Customer {
    /// The id.
    pub id: [u8; 16],
    /// In lower case.
    pub email: String,
    /// The name.
    pub name: String,
    /// Whether nobody can sign in with it.
    pub disabled: bool,
    /// In Unix seconds.
    pub created_at: i64,
}

/// A customer to be.
pub struct NewCustomer<'a> {
    /// The environment.
    pub environment: Environment,
    /// The id.
    pub id: [u8; 16],
    /// In lower case.
    pub email: &'a str,
    /// The name.
    pub name: &'a str,
    /// In PHC form.
    pub password_hash: &'a str,
    /// Whether it is the one of dev.
    pub demo: bool,
}

/// A password that a customer sets in the place of the former one, and the session that goes on.
pub struct NewPassword<'a> {
    /// In PHC form.
    pub password_hash: &'a str,
    /// The session that goes on, under a new id. It says of which customer, and what the former
    /// password was checked against: it must still stand.
    pub session: &'a NewSession,
}

/// What a sign-in is checked against.
pub struct Credentials {
    /// Whose.
    pub customer_id: [u8; 16],
    /// In PHC form.
    pub password_hash: String,
    /// The customer's counter, which the session copies.
    pub counter: i64,
}

/// A business, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Business {
    /// Its id, which may exceed 2^53.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// ISO 4217.
    pub currency: String,
    /// Where it is.
    pub locations: Vec<Location>,
}

/// One place of a business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// ISO 3166.
    pub country: String,
    /// In the IANA data base.
    pub timezone: String,
}

impl Store {
    /// Adds a customer. Answers whether the address was free.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_customer(
        &self,
        customer: &NewCustomer<'_>,
        now: i64,
    ) -> Result<bool, StoreError> {
        Ok(self.engine.write(vec![insert_customer(customer, now)]).await?.is_done())
    }

    /// The same as somebody's act, which is noted with it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_customer_noting(
        &self,
        customer: &NewCustomer<'_>,
        act: &Act,
    ) -> Result<bool, StoreError> {
        self.act(vec![insert_customer(customer, act.at)], act).await
    }

    /// Sets a customer's password and ends the sessions and grants of the one before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn set_customer_password(
        &self,
        environment: Environment,
        email: &str,
        password_hash: &str,
        along: Along<'_>,
    ) -> Result<bool, StoreError> {
        if let Some(Customer { id, .. }) = self.customer(environment, email).await? {
            self.note(Ending::PasswordChanged { environment, id }).await?;
        }
        let statement = Statement::new(
            "UPDATE customers SET password_hash = $3, counter = counter + 1 \
             WHERE environment = $1 AND email = $2",
            vec![environment.as_str().into(), email.into(), password_hash.into()],
        );
        self.write_along(vec![statement], along).await
    }

    /// A customer changes the password: every session ends but the one that goes on, and connections
    /// stay. Answers whether the customer was still as at the check of the former password.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn change_password(&self, new: &NewPassword<'_>) -> Result<bool, StoreError> {
        let session = new.session;
        let (environment, id) = (session.environment, session.customer_id);
        self.note(Ending::OwnPasswordChanged { environment, id }).await?;
        let (counter, former) = (session.customer_counter, session.password_hash.as_str());
        let [password, sessions] =
            take_place((environment, id), (counter, former), new.password_hash);
        Ok(self.engine.write(vec![password, sessions, session.insert()]).await?.is_done())
    }

    /// Sets a password in the place of one that was forgotten: every session ends, connections stay,
    /// and `told` is sent. Answers whether `former` still stood.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn reset_password(
        &self,
        environment: Environment,
        former: &Credentials,
        password_hash: &str,
        told: &Mail,
    ) -> Result<bool, StoreError> {
        let id = former.customer_id;
        self.note(Ending::OwnPasswordChanged { environment, id }).await?;
        let stood = (former.counter, former.password_hash.as_str());
        let [password, sessions] = take_place((environment, id), stood, password_hash);
        let transaction = vec![password, sessions, outbox::post(told)];
        Ok(self.engine.write(transaction).await?.is_done())
    }

    /// Switches a customer off, which ends the customer's sessions and connections, or on again,
    /// which brings none back. Answers whether the customer was in the other state before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn set_customer_disabled(
        &self,
        environment: Environment,
        email: &str,
        disabled: bool,
        along: Along<'_>,
    ) -> Result<bool, StoreError> {
        if disabled && let Some(Customer { id, .. }) = self.customer(environment, email).await? {
            self.note(Ending::CustomerDisabled { environment, id }).await?;
        }
        let statement = Statement::new(
            "UPDATE customers SET disabled = $3, counter = counter + 1 \
             WHERE environment = $1 AND email = $2 AND disabled <> $3",
            vec![environment.as_str().into(), email.into(), disabled.into()],
        );
        self.write_along(vec![statement], along).await
    }

    /// What a sign-in with that address is checked against; nothing for a customer who is switched
    /// off.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn credentials(
        &self,
        environment: Environment,
        email: &str,
    ) -> Result<Option<Credentials>, StoreError> {
        let sql = "SELECT id, password_hash, counter FROM customers \
                   WHERE environment = $1 AND email = $2 AND NOT disabled";
        let rows = self.engine.read(sql, vec![environment.as_str().into(), email.into()]).await?;
        rows.into_iter().next().map(read_credentials).transpose()
    }

    /// The same of the customer with that id.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn credentials_of(
        &self,
        environment: Environment,
        id: [u8; 16],
    ) -> Result<Option<Credentials>, StoreError> {
        let sql = "SELECT id, password_hash, counter FROM customers \
                   WHERE environment = $1 AND id = $2 AND NOT disabled";
        let rows = self.engine.read(sql, vec![environment.as_str().into(), id.into()]).await?;
        rows.into_iter().next().map(read_credentials).transpose()
    }

    /// The customer of that address.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn customer(
        &self,
        environment: Environment,
        email: &str,
    ) -> Result<Option<Customer>, StoreError> {
        let sql = "SELECT id, email, name, disabled, created_at FROM customers \
                   WHERE environment = $1 AND email = $2";
        let rows = self.engine.read(sql, vec![environment.as_str().into(), email.into()]).await?;
        rows.into_iter().next().map(read_customer).transpose()
    }

    /// What may be said of a customer to an app; nothing of one who is gone.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn customer_claims(
        &self,
        environment: Environment,
        id: [u8; 16],
    ) -> Result<CustomerClaims, StoreError> {
        let sql = "SELECT name, email FROM customers WHERE environment = $1 AND id = $2";
        let rows = self.engine.read(sql, vec![environment.as_str().into(), id.into()]).await?;
        let Some(row) = rows.into_iter().next() else {
            return Ok(CustomerClaims::default());
        };
        let mut row = row.columns("customers", "(id)");
        Ok(CustomerClaims { name: Some(row.text("name")?), email: Some(row.text("email")?) })
    }

    /// The customers of an environment behind the one of that id, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn customers(
        &self,
        environment: Environment,
        after: [u8; 16],
        limit: i64,
    ) -> Result<Vec<Customer>, StoreError> {
        let sql = "SELECT id, email, name, disabled, created_at FROM customers \
                   WHERE environment = $1 AND id > $2 ORDER BY id LIMIT $3";
        let values = vec![environment.as_str().into(), after.into(), limit.into()];
        self.engine.read(sql, values).await?.into_iter().map(read_customer).collect()
    }

    /// Adds a business of a customer, with its locations. Answers whether its id was free.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_business(
        &self,
        environment: Environment,
        customer_id: [u8; 16],
        business: &Business,
    ) -> Result<bool, StoreError> {
        let transaction = insert_business(environment, customer_id, business);
        Ok(self.engine.write(transaction).await?.is_done())
    }

    /// The same as somebody's act, which is noted with it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_business_noting(
        &self,
        environment: Environment,
        customer_id: [u8; 16],
        business: &Business,
        act: &Act,
    ) -> Result<bool, StoreError> {
        self.act(insert_business(environment, customer_id, business), act).await
    }

    /// The businesses that a customer belongs to, with their locations.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn businesses(
        &self,
        environment: Environment,
        customer_id: [u8; 16],
    ) -> Result<Vec<Business>, StoreError> {
        let values = vec![environment.as_str().into(), customer_id.into()];
        let mut businesses: Vec<Business> = Vec::new();
        for row in self.engine.read(BUSINESSES_OF, values).await? {
            let mut row = row.columns("businesses", "of a customer");
            let (id, name) = (row.integer("id")?, row.text("name")?);
            let currency = row.text("currency")?;
            if businesses.last().is_none_or(|last| last.id != id) {
                businesses.push(Business { id, name, currency, locations: Vec::new() });
            }
            let Some(location_id) = row.optional_integer("location id")? else {
                continue;
            };
            let location = Location {
                id: location_id,
                name: row.text("location name")?,
                country: row.text("country")?,
                timezone: row.text("timezone")?,
            };
            if let Some(business) = businesses.last_mut() {
                business.locations.push(location);
            }
        }
        Ok(businesses)
    }
}

/// A new password in the place of the one that stood, and the end of all sessions.
fn take_place(
    (environment, id): (Environment, [u8; 16]),
    (counter, former): (i64, &str),
    password_hash: &str,
) -> [Statement; 2] {
    let environment = environment.as_str();
    [
        // First, because it holds the row: no session of the former password begins behind it.
        Statement::new(
            "UPDATE customers SET password_hash = $5 WHERE environment = $1 AND id = $2 \
             AND counter = $3 AND password_hash = $4 AND NOT disabled",
            vec![
                environment.into(),
                id.into(),
                counter.into(),
                former.into(),
                password_hash.into(),
            ],
        ),
        Statement::any(
            "DELETE FROM sessions WHERE environment = $1 AND customer_id = $2",
            vec![environment.into(), id.into()],
        ),
    ]
}

pub(super) fn insert_customer(customer: &NewCustomer<'_>, now: i64) -> Statement {
    Statement::new(
        "INSERT INTO customers (environment, id, email, name, password_hash, demo, disabled, \
         counter, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8) ON CONFLICT DO NOTHING",
        vec![
            customer.environment.as_str().into(),
            customer.id.into(),
            customer.email.into(),
            customer.name.into(),
            customer.password_hash.into(),
            customer.demo.into(),
            false.into(),
            now.into(),
        ],
    )
}

pub(super) fn insert_business(
    environment: Environment,
    customer_id: [u8; 16],
    business: &Business,
) -> Vec<Statement> {
    let environment = environment.as_str();
    let mut transaction = vec![
        Statement::new(
            "INSERT INTO businesses (environment, id, name, currency) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
            vec![
                environment.into(),
                business.id.into(),
                business.name.as_str().into(),
                business.currency.as_str().into(),
            ],
        ),
        Statement::new(
            "INSERT INTO memberships (environment, customer_id, business_id) \
             VALUES ($1, $2, $3)",
            vec![environment.into(), customer_id.into(), business.id.into()],
        ),
    ];
    transaction.extend(business.locations.iter().map(|location| {
        Statement::new(
            "INSERT INTO locations (environment, id, business_id, name, country, timezone) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            vec![
                environment.into(),
                location.id.into(),
                business.id.into(),
                location.name.as_str().into(),
                location.country.as_str().into(),
                location.timezone.as_str().into(),
            ],
        )
    }));
    transaction
}

fn read_credentials(row: Row) -> Result<Credentials, StoreError> {
    let mut row = row.columns("customers", "(being read)");
    Ok(Credentials {
        customer_id: row.array("id")?,
        password_hash: row.text("password_hash")?,
        counter: row.integer("counter")?,
    })
}

fn read_customer(row: Row) -> Result<Customer, StoreError> {
    let mut row = row.columns("customers", "(being read)");
    Ok(Customer {
        id: row.array("id")?,
        email: row.text("email")?,
        name: row.text("name")?,
        disabled: row.boolean("disabled")?,
        created_at: row.integer("created_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::{empty, plan};

    #[tokio::test]
    async fn a_customers_businesses_are_found_without_a_walk_through_all() {
        let (store, _folder) = empty().await;
        let found = plan(&store, BUSINESSES_OF, 2).await;
        for expected in [
            "SEARCH m USING COVERING INDEX sqlite_autoindex_memberships_1 (environment=? AND customer_id=?)",
            "SEARCH b USING INDEX sqlite_autoindex_businesses_1 (environment=? AND id=?)",
            "SEARCH l USING INDEX sqlite_autoindex_locations_1 (environment=? AND business_id=?)",
        ] {
            assert!(found.contains(expected), "{found}");
        }
    }
}

//! Browser sessions of customers. The store holds a digest of the id alone, so that whoever reads
//! the database can sign in as nobody.

use grantor_protocol::environment::Environment;

use super::engine::Statement;
use super::{Store, StoreError};

/// A session to be.
pub struct NewSession {
    /// Its environment.
    pub environment: Environment,
    /// The SHA-256 of its id.
    pub id_digest: [u8; 32],
    /// Who signed in.
    pub customer_id: [u8; 16],
    /// The customer's counter when the password was checked: it must still stand.
    pub customer_counter: i64,
    /// What the password was checked against: it must still stand.
    pub password_hash: String,
    /// The epoch.
    pub epoch: i64,
    /// In Unix seconds.
    pub signed_in_at: i64,
    /// In Unix seconds.
    pub expires_at: i64,
}

/// A session that stands.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who is signed in.
    pub customer_id: [u8; 16],
    /// The customer's address.
    pub email: String,
    /// The customer's counter, which a new grant copies.
    pub customer_counter: i64,
    /// In Unix seconds.
    pub signed_in_at: i64,
    /// When the second factor was shown, in Unix seconds.
    pub factor_at: Option<i64>,
}

impl Store {
    /// Begins a session, if the customer's counter and password are still those under which the
    /// password was checked; ends the browser's former one. Answers whether it began.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn begin_session(
        &self,
        session: &NewSession,
        former: Option<[u8; 32]>,
    ) -> Result<bool, StoreError> {
        let mut transaction = vec![stands(session), session.insert()];
        if let Some(former) = former {
            transaction.push(Statement::any(
                "DELETE FROM sessions WHERE environment = $1 AND id_digest = $2",
                vec![session.environment.as_str().into(), former.into()],
            ));
        }
        Ok(self.engine.write(transaction).await?.is_done())
    }

    /// Ends the session of a browser. Answers whether there was one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn end_session(
        &self,
        environment: Environment,
        id_digest: [u8; 32],
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "DELETE FROM sessions WHERE environment = $1 AND id_digest = $2",
            vec![environment.as_str().into(), id_digest.into()],
        );
        Ok(self.engine.write(vec![statement]).await?.is_done())
    }

    /// The session of that id, if it stands: not expired, of this epoch, and its customer's counter
    /// not raised since.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn session(
        &self,
        environment: Environment,
        id_digest: [u8; 32],
        epoch: i64,
        now: i64,
    ) -> Result<Option<Session>, StoreError> {
        let sql = "SELECT s.customer_id, u.email, s.customer_counter, s.signed_in_at, \
                   s.factor_at FROM sessions s JOIN customers u ON u.environment = s.environment AND u.id = s.customer_id \
                   WHERE s.environment = $1 AND s.id_digest = $2 AND s.epoch = $3 AND s.expires_at > $4 \
                   AND u.counter = s.customer_counter";
        let values = vec![environment.as_str().into(), id_digest.into(), epoch.into(), now.into()];
        let rows = self.engine.read(sql, values).await?;
        rows.into_iter()
            .next()
            .map(|row| {
                let mut row = row.columns("sessions", "(secret)");
                Ok(Session {
                    customer_id: row.array("customer_id")?,
                    email: row.text("email")?,
                    customer_counter: row.integer("customer_counter")?,
                    signed_in_at: row.integer("signed_in_at")?,
                    factor_at: row.optional_integer("factor_at")?,
                })
            })
            .transpose()
    }
}

/// Demands that the customer is as at the check of the password. It writes the counter that stands
/// there, and so holds the row until the commit: a change of the password comes before this session,
/// which is then refused, or after it, and then ends it.
fn stands(session: &NewSession) -> Statement {
    Statement::new(
        "UPDATE customers SET counter = counter \
         WHERE environment = $1 AND id = $2 AND counter = $3 AND password_hash = $4",
        vec![
            session.environment.as_str().into(),
            session.customer_id.into(),
            session.customer_counter.into(),
            session.password_hash.as_str().into(),
        ],
    )
}

impl NewSession {
    pub(super) fn insert(&self) -> Statement {
        Statement::new(
            "INSERT INTO sessions (environment, id_digest, customer_id, customer_counter, epoch, \
             signed_in_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            vec![
                self.environment.as_str().into(),
                self.id_digest.into(),
                self.customer_id.into(),
                self.customer_counter.into(),
                self.epoch.into(),
                self.signed_in_at.into(),
                self.expires_at.into(),
            ],
        )
    }
}

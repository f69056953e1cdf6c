//! What calls of a client have shown: when each fact was first and last seen, and how often.

use grantor_protocol::environment::Environment;
use grantor_protocol::integration_report::{Fact, Facts, Seen};

use super::client_key::client_key;
use super::engine::Statement;
use super::{Store, StoreError};

const ADD: &str = "INSERT INTO client_facts (environment, client_key, fact, first_at, last_at, \
     times) SELECT c.environment, c.key, $3, $4, $5, $6 FROM clients c \
     WHERE c.environment = $1 AND c.id = $2 \
     ON CONFLICT (environment, client_key, fact) DO UPDATE SET \
     first_at = CASE WHEN excluded.first_at < client_facts.first_at \
       THEN excluded.first_at ELSE client_facts.first_at END, \
     last_at = CASE WHEN excluded.last_at > client_facts.last_at \
       THEN excluded.last_at ELSE client_facts.last_at END, \
     times = client_facts.times + excluded.times";

impl Store {
    /// All that is known of a client.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn client_facts(
        &self,
        environment: Environment,
        client_id: &str,
    ) -> Result<Facts, StoreError> {
        let sql = "SELECT fact, first_at, last_at, times FROM client_facts \
                   WHERE environment = $1 AND client_key = $2";
        let values = vec![environment.as_str().into(), client_key(client_id).into()];
        let mut facts = Facts::default();
        for row in self.engine.read(sql, values).await? {
            let mut row = row.columns("client_facts", client_id);
            let fact = Fact::parse(&row.text("fact")?);
            let seen = Seen {
                first_at: row.integer("first_at")?,
                last_at: row.integer("last_at")?,
                count: row.integer("times")?,
            };
            // A newer program may have stored others.
            if let Some(fact) = fact {
                facts.add(fact, seen);
            }
        }
        Ok(facts)
    }
}

/// Adds what was seen to what is known.
pub(super) fn statement(
    environment: Environment,
    client_id: &str,
    fact: Fact,
    seen: Seen,
) -> Statement {
    let values = vec![
        environment.as_str().into(),
        client_id.into(),
        fact.as_str().into(),
        seen.first_at.into(),
        seen.last_at.into(),
        seen.count.into(),
    ];
    Statement::any(ADD, values)
}

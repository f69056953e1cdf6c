//! Logos of apps, in a table of their own: of a client's row, which each call reads, only the digest
//! is part.

use grantor_protocol::environment::Environment;

use super::engine::{Statement, Value};
use super::{Act, ClientRecord, Store, StoreError};
use crate::logo::{Logo, LogoDigest};

impl Store {
    /// Gives a client a logo, or takes it away. Answers whether the client still has the one that was
    /// read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn change_logo(
        &self,
        record: &ClientRecord,
        logo: Option<&Logo>,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let client = &record.client;
        let of_client = || -> Vec<Value> {
            vec![client.environment.as_str().into(), client.id.as_str().into()]
        };
        let mut named = of_client();
        named.push(logo.map(|logo| logo.digest().0).into());
        named.push(record.listing.logo.map(|digest| digest.0).into());
        named.push(record.partner_id.into());
        let naming = Statement::new(
            "UPDATE clients SET logo = $3 WHERE environment = $1 AND id = $2 AND partner_id = $5 \
             AND (logo = $4 OR (logo IS NULL AND $4 IS NULL))",
            named,
        );
        let picture = match logo {
            Some(logo) => {
                let mut values = of_client();
                values.push(logo.png().into());
                Statement::new(
                    "INSERT INTO logos (environment, client_id, png) VALUES ($1, $2, $3) \
                     ON CONFLICT (environment, client_id) DO UPDATE SET png = excluded.png",
                    values,
                )
            }
            None => Statement::any(
                "DELETE FROM logos WHERE environment = $1 AND client_id = $2",
                of_client(),
            ),
        };
        self.act(vec![naming, picture], act).await
    }

    /// The PNG of a client's logo, if it is the one of that digest.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn logo(
        &self,
        environment: Environment,
        client_id: &str,
        digest: LogoDigest,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT l.png FROM logos l \
                   JOIN clients c ON c.environment = l.environment AND c.id = l.client_id \
                   WHERE l.environment = $1 AND l.client_id = $2 AND c.logo = $3";
        let values = vec![environment.as_str().into(), client_id.into(), digest.0.into()];
        let row = self.engine.read(sql, values).await?.into_iter().next();
        row.map(|row| row.columns("logos", client_id).bytes("png")).transpose()
    }
}

/// What gives a new production client the logo of its staging client.
pub(super) fn inherited(production_id: &str, staging_id: &str) -> [Statement; 2] {
    let values = || -> Vec<Value> {
        vec![
            Environment::Production.as_str().into(),
            production_id.into(),
            Environment::Staging.as_str().into(),
            staging_id.into(),
        ]
    };
    [
        Statement::any(
            "INSERT INTO logos (environment, client_id, png) \
             SELECT $1, $2, png FROM logos WHERE environment = $3 AND client_id = $4",
            values(),
        ),
        Statement::new(
            "UPDATE clients SET logo = (SELECT s.logo FROM clients s \
             WHERE s.environment = $3 AND s.id = $4) WHERE environment = $1 AND id = $2",
            values(),
        ),
    ]
}

//! Consent: what a customer allowed a client. Its row outlives the grants that it led to.

use grantor_protocol::authorization_step::Consent;
use grantor_protocol::environment::Environment;
use grantor_protocol::resource::Resources;
use grantor_protocol::scope::Scope;

use super::client_key::client_key;
use super::engine::{Columns, Statement};
use super::{Store, StoreError};

/// What was allowed just now.
pub struct NewConsent {
    /// What was allowed.
    pub scope: Scope,
    /// What was asked for.
    pub asked_scope: Scope,
}

impl Store {
    /// What the customer allowed this client, if it stands: not taken back, and of this epoch.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn consent(
        &self,
        environment: Environment,
        customer_id: [u8; 16],
        client_id: &str,
        epoch: i64,
    ) -> Result<Option<Consent>, StoreError> {
        let sql = "SELECT scope, asked_scope, businesses, redirect_uri, counter, resources FROM consents \
                   WHERE environment = $1 AND customer_id = $2 AND client_key = $3 AND epoch = $4 \
                   AND revoked = $5";
        let values = vec![
            environment.as_str().into(),
            customer_id.into(),
            client_key(client_id).into(),
            epoch.into(),
            false.into(),
        ];
        let rows = self.engine.read(sql, values).await?;
        rows.into_iter()
            .next()
            .map(|row| {
                let mut row = row.columns("consents", client_id);
                Ok(Consent {
                    scope: scope(&mut row, "scope")?,
                    asked_scope: scope(&mut row, "asked_scope")?,
                    businesses: businesses(&mut row)?,
                    redirect_uri: row.text("redirect_uri")?,
                    counter: row.integer("counter")?,
                    resources: resources(&mut row)?,
                })
            })
            .transpose()
    }
}

/// The newest consent takes the place of the one before, whole: were scopes of the one joined with
/// businesses of the other, the customer would have allowed what no page ever showed. The counter
/// stays, so that a new grant ends no earlier one.
pub(super) fn give(
    grant: &super::NewGrant,
    consent: &NewConsent,
    epoch: i64,
    now: i64,
) -> Statement {
    Statement::new(
        "INSERT INTO consents (environment, customer_id, client_key, scope, asked_scope, businesses, \
         redirect_uri, revoked, counter, epoch, given_at, resources) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $11) \
         ON CONFLICT (environment, customer_id, client_key) DO UPDATE SET \
         scope = excluded.scope, asked_scope = excluded.asked_scope, \
         businesses = excluded.businesses, redirect_uri = excluded.redirect_uri, \
         revoked = excluded.revoked, epoch = excluded.epoch, given_at = excluded.given_at, \
         resources = excluded.resources",
        vec![
            grant.environment.as_str().into(),
            grant.customer_id.into(),
            client_key(&grant.client_id).into(),
            consent.scope.to_string().into(),
            consent.asked_scope.to_string().into(),
            join(&grant.businesses).into(),
            grant.redirect_uri.as_str().into(),
            false.into(),
            epoch.into(),
            now.into(),
            written(&grant.binding.resources).into(),
        ],
    )
}

pub(super) fn scope(row: &mut Columns, column: &'static str) -> Result<Scope, StoreError> {
    let text = row.text(column)?;
    Scope::parse(&text).map_err(|_| row.corrupt(column))
}

/// Resources as they stand in a column: none where none is named.
pub(super) fn written(resources: &Resources) -> Option<String> {
    (!resources.is_empty()).then(|| resources.to_string())
}

pub(super) fn resources(row: &mut Columns) -> Result<Resources, StoreError> {
    match row.optional_text("resources")? {
        None => Ok(Resources::default()),
        Some(text) => Resources::parse(text.split(' ')).map_err(|_| row.corrupt("resources")),
    }
}

/// Business ids as they stand in a column: decimal, separated by blanks.
pub(super) fn join(businesses: &[i64]) -> String {
    let texts: Vec<String> = businesses.iter().map(i64::to_string).collect();
    texts.join(" ")
}

pub(super) fn businesses(row: &mut Columns) -> Result<Vec<i64>, StoreError> {
    let text = row.text("businesses")?;
    text.split(' ')
        .filter(|id| !id.is_empty())
        .map(|id| id.parse().map_err(|_| row.corrupt("businesses")))
        .collect()
}

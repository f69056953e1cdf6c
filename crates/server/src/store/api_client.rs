//! API clients of the portal. They are clients as others are, of the portal's own issuer; those of
//! this company stand under a partner that nobody sees.

use super::audit::Act;
use super::client::insert_client;
use super::engine::Statement;
use super::{ClientRecord, NewClient, Store, StoreError};
use crate::journal::Ending;

/// This company, in the place of a partner: no time-ordered id is as high.
pub const COMPANY_ID: [u8; 16] = *b"\xffgrantor-company";

impl Store {
    /// Makes one, and this company's own row where it is the first. Answers whether its partner
    /// exists and has fewer than `most`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn make_api_client(
        &self,
        client: &NewClient,
        most: i64,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let mut transaction = Vec::new();
        if client.partner_id == COMPANY_ID {
            transaction.push(Statement::any(
                "INSERT INTO partners (id, name, contact, verified, created_at) \
                 VALUES ($1, $2, NULL, $3, $4) ON CONFLICT DO NOTHING",
                vec![COMPANY_ID.into(), "This company".into(), true.into(), act.at.into()],
            ));
        }
        transaction.push(insert_client(client, act.at));
        transaction.push(Statement::new(
            "UPDATE clients SET counter = counter WHERE environment = $1 AND id = $2 \
             AND (SELECT COUNT(*) FROM clients o WHERE o.partner_id = clients.partner_id \
                  AND o.environment = $1) <= $3",
            vec![client.environment.as_str().into(), client.id.as_str().into(), most.into()],
        ));
        self.act(transaction, act).await
    }

    /// Removes one. A restore that knows it no more as removed switches it off.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_api_client(
        &self,
        record: &ClientRecord,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let client = &record.client;
        let environment = client.environment;
        self.note(Ending::ClientDisabled { environment, id: client.id.clone() }).await?;
        let statement = Statement::new(
            "DELETE FROM clients WHERE environment = $1 AND id = $2 AND partner_id = $3",
            vec![environment.as_str().into(), client.id.as_str().into(), record.partner_id.into()],
        );
        self.act(vec![statement], act).await
    }
}

//! Messages to the endpoints of partners, as their owners look at them: what was posted, what came of
//! it, and sending it once more.

use super::engine::{Row, Statement};
use super::webhook_endpoint::EndpointOfPartner;
use super::{Act, Store, StoreError};
use crate::webhook::EventType;

/// A message to an endpoint, as its owner looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The id: `webhook-id` is made of it.
    pub id: [u8; 16],
    /// What it tells; `None` for a type that this version does not know.
    pub event: Option<EventType>,
    /// What is posted.
    pub body: String,
    /// In Unix seconds.
    pub created_at: i64,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next, in Unix seconds; `None` once it was delivered or given up.
    pub next_try_at: Option<i64>,
    /// When it was delivered, in Unix seconds.
    pub delivered_at: Option<i64>,
    /// When it was given up, in Unix seconds.
    pub gave_up_at: Option<i64>,
    /// The status of the last answer.
    pub status: Option<i64>,
    /// What was wrong the last time, in words.
    pub fault: Option<String>,
}

impl Store {
    /// The messages to an endpoint of a partner, the newest first, behind an id where one is given.
    /// Empty where the endpoint is not that partner's.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn deliveries(
        &self,
        endpoint: &EndpointOfPartner,
        before: Option<[u8; 16]>,
        most: i64,
    ) -> Result<Vec<Delivery>, StoreError> {
        let sql = "SELECT id, subject, body, created_at, attempts, next_try_at, delivered_at, \
                   gave_up_at, status, fault FROM outbox WHERE lane = $1 AND id < $4 \
                   AND EXISTS (SELECT 1 FROM webhook_endpoints \
                     WHERE environment = $2 AND id = $1 AND partner_id = $3) \
                   ORDER BY id DESC LIMIT $5";
        let mut values = endpoint.values();
        values.extend([before.unwrap_or([u8::MAX; 16]).into(), most.into()]);
        self.engine.read(sql, values).await?.into_iter().map(read_delivery).collect()
    }

    /// One message to an endpoint of a partner.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn delivery(
        &self,
        endpoint: &EndpointOfPartner,
        id: [u8; 16],
    ) -> Result<Option<Delivery>, StoreError> {
        let sql = "SELECT id, subject, body, created_at, attempts, next_try_at, delivered_at, \
                   gave_up_at, status, fault FROM outbox WHERE lane = $1 AND id = $4 \
                   AND EXISTS (SELECT 1 FROM webhook_endpoints \
                     WHERE environment = $2 AND id = $1 AND partner_id = $3)";
        let mut values = endpoint.values();
        values.push(id.into());
        let row = self.engine.read(sql, values).await?.into_iter().next();
        row.map(read_delivery).transpose()
    }

    /// Sends a message once more that was delivered or given up, with the same id. Answers whether
    /// it is there, ended, and its endpoint one of that partner that is switched on.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn redeliver(
        &self,
        endpoint: &EndpointOfPartner,
        id: [u8; 16],
        act: &Act,
    ) -> Result<bool, StoreError> {
        let mut values = endpoint.values();
        values.extend([id.into(), act.at.into()]);
        let statement = Statement::new(
            "UPDATE outbox SET next_try_at = $5, attempts = 0, delivered_at = NULL, \
             gave_up_at = NULL, lease = NULL \
             WHERE lane = $1 AND id = $4 AND next_try_at IS NULL \
             AND EXISTS (SELECT 1 FROM webhook_endpoints \
               WHERE environment = $2 AND id = $1 AND partner_id = $3 AND enabled)",
            values,
        );
        self.act(vec![statement], act).await
    }
}

fn read_delivery(row: Row) -> Result<Delivery, StoreError> {
    let mut row = row.columns("outbox", "(delivery)");
    Ok(Delivery {
        id: row.array("id")?,
        event: EventType::parse(&row.text("subject")?),
        body: row.text("body")?,
        created_at: row.integer("created_at")?,
        attempts: row.integer("attempts")?,
        next_try_at: row.optional_integer("next_try_at")?,
        delivered_at: row.optional_integer("delivered_at")?,
        gave_up_at: row.optional_integer("gave_up_at")?,
        status: row.optional_integer("status")?,
        fault: row.optional_text("fault")?,
    })
}

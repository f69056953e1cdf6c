//! What was sent to a webhook, and sending it again.

use serde::Serialize;
use uuid::Uuid;

use super::super::output::{Output, aligned, table, time};
use super::super::parts::PART;
use super::super::{Failure, desk};
use super::Of;
use crate::http::show;
use crate::programme::webhook;
use crate::store::Delivery;
use crate::webhook::EventType;

/// No list is longer.
const MAX_LIST: i64 = 10_000;

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"deliveries\":[{\"id\",\"webhook_id\",\"event\",\"body\",\"state\",\"created_at\",\"attempts\",\"next_try_at\",\"delivered_at\",\"gave_up_at\",\"status\",\"fault\"}]}, each as the portal's API answers; state is waiting, delivered or gave_up"
)]
pub(super) struct Deliveries {
    /// The webhook's id, as `webhook list` shows it
    #[arg(value_name = "WEBHOOK_ID")]
    id: String,
    /// So many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=MAX_LIST))]
    limit: i64,
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(after_help = "With --json: the delivery as `webhook deliveries` shows it, waiting")]
pub(super) struct Redeliver {
    /// The webhook's id, as `webhook list` shows it
    #[arg(value_name = "WEBHOOK_ID")]
    id: String,
    /// The delivery's id, as `webhook deliveries` shows it
    #[arg(value_name = "DELIVERY_ID")]
    delivery: String,
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct DeliveryList {
    deliveries: Vec<show::Delivery>,
}

impl Deliveries {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let held = self.of.open().await?;
        let endpoint = held.find(&self.id).await?;
        let mut sent: Vec<Delivery> = Vec::new();
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        while sent.len() < wanted {
            let left = i64::try_from(wanted - sent.len()).unwrap_or(i64::MAX);
            let before = sent.last().map(|last| last.id);
            let part =
                webhook::deliveries(&held.desk.site, &endpoint, before, left.min(PART)).await?;
            if part.is_empty() {
                break;
            }
            sent.extend(part);
        }
        if sent.is_empty() {
            self.output.say("Nothing was sent there yet.");
        } else if sent.len() == wanted {
            self.output.say("There may be more: --limit shows them.");
        }
        let list = DeliveryList { deliveries: sent.iter().map(show::Delivery::from).collect() };
        self.output.data(&list, |_| {
            table(
                &["DELIVERY ID", "EVENT", "MADE", "STATE", "TRIES", "ANSWER"],
                sent.iter().map(row).collect(),
            )
        })
    }
}

impl Redeliver {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let held = self.of.open().await?;
        let endpoint = held.find(&self.id).await?;
        let site = &held.desk.site;
        let hint = "`grantor webhook deliveries` shows them";
        let what = format!("delivery {} of this webhook", self.delivery);
        let found = webhook::delivery(site, &endpoint, desk::id(&self.delivery)?).await;
        let sent = found.map_err(desk::not_found(&what, hint))?;
        webhook::redeliver(site, &held.actor, &endpoint, sent.id).await?;
        let sent = webhook::delivery(site, &endpoint, sent.id).await?;
        self.output.data(&show::Delivery::from(&sent), |_| {
            aligned(&[
                ("delivery_id", Uuid::from_bytes(sent.id).to_string()),
                ("state", state(&sent).to_owned()),
            ])
        })?;
        self.output.say("A running server sends it.");
        Ok(())
    }
}

fn row(delivery: &Delivery) -> Vec<String> {
    vec![
        Uuid::from_bytes(delivery.id).to_string(),
        delivery.event.map_or("unknown", EventType::name).to_owned(),
        time(delivery.created_at),
        state(delivery).to_owned(),
        delivery.attempts.to_string(),
        match (delivery.status, &delivery.fault) {
            (_, Some(fault)) => fault.clone(),
            (Some(status), None) => format!("HTTP {status}"),
            (None, None) => String::new(),
        },
    ]
}

fn state(delivery: &Delivery) -> &'static str {
    match (delivery.delivered_at, delivery.gave_up_at) {
        (Some(_), _) => "delivered",
        (None, Some(_)) => "gave up",
        (None, None) => "waiting",
    }
}

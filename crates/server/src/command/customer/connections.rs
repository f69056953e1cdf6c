//! Ending the connections of a customer.

use grantor_protocol::environment::Environment;
use serde::Serialize;
use uuid::Uuid;

use super::super::output::Output;
use super::super::place::{In, Opened, Place};
use super::super::{Failure, client};
use super::{COMMAND, find, noted};
use crate::store::{Act, Along};
use crate::webhook::{self, EndedBy, Event, Notice};

#[derive(clap::Args)]
#[command(after_help = "With --json: {\"environment\",\"email\",\"client_id\",\"changed\"}")]
pub(super) struct EndConnections {
    #[command(flatten)]
    environment: In,
    /// The address to sign in with
    #[arg(long)]
    email: String,
    /// Only those to this client, which then has to ask the customer again
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

/// What became of an ending.
#[derive(Serialize)]
struct Ended {
    environment: &'static str,
    email: String,
    /// `null` for all clients.
    client_id: Option<String>,
    /// Whether there was something to end; of all clients it is not asked.
    changed: bool,
}

/// What each client is told that a customer allows something, where all of it ends.
pub(super) async fn notices(
    opened: &Opened,
    environment: Environment,
    customer_id: [u8; 16],
) -> Result<Vec<Notice>, Failure> {
    let clients = opened.store.clients_allowed_by(environment, customer_id).await?;
    let notice = |id: &String| opened.notice(environment, id, ended_by_company(customer_id));
    Ok(clients.iter().map(notice).collect())
}

fn ended_by_company(customer_id: [u8; 16]) -> Event {
    let ended = webhook::Ended::OfCustomer { customer_id };
    Event::GrantRevoked { ended, by: EndedBy::Company }
}

impl EndConnections {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let environment = self.environment.environment;
        let opened = self.place.open().await?;
        let store = &opened.store;
        let customer = find(store, environment, &self.email, "--email").await?;
        let record = match &self.client {
            Some(id) => Some(client::find_in(&opened, environment, id).await?),
            None => None,
        };
        let name = "customer.connections_ended";
        let changed = match &record {
            Some(record) => {
                let id = &record.client.id;
                // The partner reads it, and knows the customer by the id alone.
                let customer_id = Uuid::from_bytes(customer.id);
                let detail = format!("of customer {customer_id}");
                let mut act = opened.act_about((COMMAND, name), record, detail);
                act.notices.push(opened.notice(environment, id, ended_by_company(customer.id)));
                let along = Along::Act(&act);
                store.end_grants_of_customer_and_client(environment, customer.id, id, along).await?
            }
            None => {
                let notices = notices(&opened, environment, customer.id).await?;
                let detail = noted(customer.id, environment);
                let act = Act { notices, ..opened.act(COMMAND, name, detail) };
                let along = Along::Act(&act);
                store.end_grants_of_customer(environment, customer.id, along).await?
            }
        };
        let client_id = record.map(|record| record.client.id);
        let environment = environment.as_str();
        let ended = Ended { environment, email: customer.email, client_id, changed };
        self.output.data(&ended, |ended| match (&ended.client_id, ended.changed) {
            (None, _) => format!("all connections and sessions of {} ended", ended.email),
            (Some(id), true) => format!("the connections of {} to {id} ended", ended.email),
            (Some(id), false) => format!("{} allows {id} nothing already", ended.email),
        })?;
        self.output.say(match self.client {
            Some(_) => "The consent is taken back: the customer is asked before this client connects again.",
            None => "The customer can sign in, and connect again. Consents stay.",
        });
        Ok(())
    }
}

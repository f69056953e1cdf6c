//! Ending the connections of a customer.

use serde::Serialize;

use super::super::output::Output;
use super::super::place::{In, Place};
use super::super::{Failure, client};
use super::find;
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

impl EndConnections {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let environment = self.environment.environment;
        let opened = self.place.open().await?;
        let store = &opened.store;
        let customer = find(store, environment, &self.email, "--email").await?;
        let client_id = match &self.client {
            Some(id) => Some(client::find_in(&opened, environment, id).await?),
            None => None,
        };
        let ended = webhook::Ended::OfCustomer { customer_id: customer.id };
        let event = Event::GrantRevoked { ended, by: EndedBy::Company };
        let notice = |id: &String| opened.notice(environment, id, event.clone());
        let changed = match &client_id {
            Some(id) => {
                let notices = [notice(id)];
                store
                    .end_grants_of_customer_and_client_telling(
                        environment,
                        customer.id,
                        id,
                        &notices,
                    )
                    .await?
            }
            None => {
                let clients = store.clients_allowed_by(environment, customer.id).await?;
                let notices: Vec<Notice> = clients.iter().map(notice).collect();
                store.end_grants_of_customer_telling(environment, customer.id, &notices).await?
            }
        };
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

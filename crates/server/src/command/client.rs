//! `grantor client`: API clients, for an operator without a web page.
//!
//! `create.rs` makes one, `secret.rs` adds and removes secrets, `data.rs` is how a client looks.
//! A secret is shown once, when it is made; what is stored is its digest.

mod admit;
mod change;
mod create;
mod data;
mod proof;
mod secret;

use clap::Subcommand;
use grantor_protocol::environment::Environment;
use serde::Serialize;

use super::Failure;
use super::output::{Output, table, time_or_never};
use super::parts::{self, PART};
use super::place::{Opened, Place, environment_parser};
use crate::store::{Along, ClientRecord};
use crate::webhook::{Ended, EndedBy, Event};
use data::ClientData;

/// Who does it, as the audit log shows it.
const COMMAND: &str = "grantor client";

/// The arguments of `grantor client`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create a client; its secret is shown this once
    Create(Box<create::Create>),
    /// Change what a partner says of its client
    Change(change::Change),
    /// Make a token with which clients register themselves
    Admit(admit::Admit),
    /// List the clients
    List(List),
    /// Show one client
    #[command(
        after_help = "With --json: {\"environment\",\"client_id\",\"name\",\"partner\":{\"id\",\"name\",\"verified\"},\"website\",\"redirect_uris\",\"scopes\",\"optional_scopes\",\"public\",\"authentication\",\"assertion_audience_token_endpoint\",\"grant_types\",\"dpop_required\",\"approved\",\"disabled\",\"demo\",\"secrets\":[{\"slot\",\"hint\",\"created_at\",\"used_at\"}],\"refresh_tokens\",\"parameters_in_query\",\"pkce_required\",\"refresh_window_seconds\",\"query_calls\",\"query_called_at\",\"created_at\"}, with times in Unix seconds"
    )]
    Show(One),
    /// Switch a client off: all its connections end at once
    #[command(after_help = "With --json: {\"environment\",\"client_id\",\"disabled\",\"changed\"}")]
    Disable(One),
    /// Switch a client on again; its customers have to connect again
    #[command(after_help = "With --json: {\"environment\",\"client_id\",\"disabled\",\"changed\"}")]
    Enable(One),
    /// End all connections of a client, which stays switched on
    #[command(after_help = "With --json: {\"environment\",\"client_id\"}")]
    EndConnections(One),
    /// Make a second secret beside the first; it is shown this once
    #[command(
        after_help = "With --json: {\"environment\",\"client_id\",\"client_secret\",\"slot\"}"
    )]
    AddSecret(One),
    /// Remove one of two secrets; it stops working at once
    RemoveSecret(secret::Remove),
}

#[derive(clap::Args)]
#[command(after_help = "With --json: {\"clients\":[...]}, each as `client show` answers")]
struct List {
    /// Only the clients of this environment
    #[arg(long, value_parser = environment_parser())]
    environment: Option<Environment>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
struct One {
    /// The client's id
    #[arg(value_name = "CLIENT_ID")]
    client_id: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct ClientList {
    clients: Vec<ClientData>,
}

/// What became of a switch.
#[derive(Serialize)]
struct Switched {
    environment: &'static str,
    client_id: String,
    disabled: bool,
    /// Whether it was in the other state before.
    changed: bool,
}

/// Whose connections ended.
#[derive(Serialize)]
struct EndedConnections {
    environment: &'static str,
    client_id: String,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.action {
        Action::Create(create) => create.run().await,
        Action::Change(change) => change.run().await,
        Action::Admit(admit) => admit.run().await,
        Action::List(list) => list.run().await,
        Action::Show(one) => show(one).await,
        Action::Disable(one) => switch(one, true).await,
        Action::Enable(one) => switch(one, false).await,
        Action::EndConnections(one) => end_connections(one).await,
        Action::AddSecret(one) => secret::add(one).await,
        Action::RemoveSecret(remove) => remove.run().await,
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        let mut clients = Vec::new();
        for environment in Environment::ALL {
            if self.environment.is_none_or(|wanted| wanted == environment) {
                clients.extend(oldest_first(&opened, environment).await?);
            }
        }
        if clients.is_empty() {
            self.output.say("There is no client yet: grantor client create --help");
        }
        self.output.data(&ClientList { clients }, |list| {
            let rows = list.clients.iter().map(|client| {
                vec![
                    client.environment.to_owned(),
                    client.client_id.clone(),
                    client.name.clone(),
                    client.partner.name.clone(),
                    client.state().to_owned(),
                    time_or_never(client.last_used_at()),
                ]
            });
            table(
                &["ENVIRONMENT", "CLIENT ID", "NAME", "PARTNER", "STATE", "SECRET USED"],
                rows.collect(),
            )
        })
    }
}

/// The clients of an environment, the oldest first.
async fn oldest_first(
    opened: &Opened,
    environment: Environment,
) -> Result<Vec<ClientData>, Failure> {
    let mut records = parts::all(async |last: Option<&ClientRecord>| {
        let after = last.map_or("", |last| last.client.id.as_str());
        opened.store.apps(environment, after, PART).await
    })
    .await?;
    records.sort_by(|one, other| {
        (one.created_at, &one.client.id).cmp(&(other.created_at, &other.client.id))
    });
    Ok(records.iter().map(ClientData::from).collect())
}

async fn show(one: One) -> Result<(), Failure> {
    let opened = one.place.open().await?;
    let record = find(&opened, &one.client_id).await?;
    one.output.data(&ClientData::from(&record), ClientData::lines)
}

async fn switch(one: One, disabled: bool) -> Result<(), Failure> {
    let opened = one.place.open().await?;
    let record = find(&opened, &one.client_id).await?;
    let client = &record.client;
    let (name, event) = match disabled {
        true => ("client.suspended", Event::ClientSuspended),
        false => ("client.resumed", Event::ClientResumed),
    };
    let mut act = opened.act_about((COMMAND, name), &record, String::new());
    act.notices.push(opened.notice(client.environment, &client.id, event));
    let changed = opened.store.switch_app(&record, disabled, &act).await?;
    let switched = Switched {
        environment: client.environment.as_str(),
        client_id: client.id.clone(),
        disabled,
        changed,
    };
    one.output.data(&switched, |switched| {
        let state = if switched.disabled { "disabled" } else { "enabled" };
        let already = if switched.changed { "" } else { " already" };
        format!("{} is {state}{already}", switched.client_id)
    })?;
    if changed && disabled {
        one.output.say("All its connections ended; they stay ended when it is enabled again.");
    }
    Ok(())
}

async fn end_connections(one: One) -> Result<(), Failure> {
    let opened = one.place.open().await?;
    let record = find(&opened, &one.client_id).await?;
    let event = Event::GrantRevoked { ended: Ended::All, by: EndedBy::Company };
    let name = "client.connections_ended";
    let mut act = opened.act_about((COMMAND, name), &record, String::new());
    let client = record.client;
    act.notices.push(opened.notice(client.environment, &client.id, event));
    let along = Along::Act(&act);
    opened.store.end_grants_of_client(client.environment, &client.id, along).await?;
    let ended = EndedConnections { environment: client.environment.as_str(), client_id: client.id };
    one.output.data(&ended, |ended| format!("all connections of {} ended", ended.client_id))?;
    one.output.say("Consents stay, and its customers can connect again at once.");
    Ok(())
}

/// The client of that id, in whichever environment it stands.
pub(super) async fn find(opened: &Opened, client_id: &str) -> Result<ClientRecord, Failure> {
    opened.store.client(client_id).await?.ok_or_else(|| {
        Failure::mendable(format!("there is no client {client_id:?}"))
            .hint("`grantor client list` shows all; --config or --data says in which store")
    })
}

/// The client of that id, which has to stand in that environment.
pub(super) async fn find_in(
    opened: &Opened,
    environment: Environment,
    client_id: &str,
) -> Result<ClientRecord, Failure> {
    let record = find(opened, client_id).await?;
    let client = &record.client;
    if client.environment != environment {
        let words = format!("the client {client_id:?} belongs to {}", client.environment);
        return Err(Failure::mendable(words).hint(format!("--environment {}", client.environment)));
    }
    Ok(record)
}

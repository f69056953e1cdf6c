//! `grantor grant`: the connections that customers allowed, and the end of one of them.

use clap::Subcommand;
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::{Grant, GrantStatus};
use serde::Serialize;
use uuid::Uuid;

use super::output::{Output, table, time};
use super::place::{In, Opened, Place};
use super::{Failure, client, customer};
use crate::store::{Act, Connection, WhichConnections};
use crate::webhook::{Ended, EndedBy, Event};

/// No list is longer.
const MAX_LIST: i64 = 10_000;

/// The arguments of `grantor grant`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List connections, the newest first
    List(List),
    /// End one connection: its tokens stop working at once
    Revoke(Revoke),
}

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"grants\":[{\"environment\",\"id\",\"client_id\",\"customer\",\"state\",\"scopes\",\"businesses\",\"generation\",\"connected_at\",\"refreshed_at\",\"expires_at\",\"ended_at\"}]}, with times in Unix seconds; state is pending, active, expired or ended"
)]
struct List {
    #[command(flatten)]
    environment: In,
    /// Only those of this client
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    /// Only those of this customer
    #[arg(long, value_name = "EMAIL")]
    customer: Option<String>,
    /// So many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=MAX_LIST))]
    limit: i64,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(after_help = "With --json: {\"environment\",\"id\",\"changed\"}")]
struct Revoke {
    #[command(flatten)]
    environment: In,
    /// The connection's id, as `grant list` shows it
    #[arg(value_name = "GRANT_ID")]
    id: Uuid,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

/// A connection, as `--json` shows it.
#[derive(Serialize)]
struct GrantData {
    environment: &'static str,
    id: String,
    client_id: String,
    /// The address.
    customer: String,
    state: &'static str,
    scopes: Vec<String>,
    businesses: Vec<i64>,
    /// `null` before the exchange, and after the end.
    generation: Option<i64>,
    /// When the code was exchanged, in Unix seconds.
    connected_at: Option<i64>,
    /// When it was refreshed, or connected, in Unix seconds.
    refreshed_at: Option<i64>,
    /// When it ends unless it is used, in Unix seconds.
    expires_at: Option<i64>,
    /// When it was ended alone, in Unix seconds: not where a whole past ended.
    ended_at: Option<i64>,
}

#[derive(Serialize)]
struct GrantList {
    grants: Vec<GrantData>,
}

/// What became of an ending.
#[derive(Serialize)]
struct Revoked {
    environment: &'static str,
    id: String,
    /// Whether it was not ended before.
    changed: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.action {
        Action::List(list) => list.run().await,
        Action::Revoke(revoke) => revoke.run().await,
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let environment = self.environment.environment;
        let opened = self.place.open().await?;
        let client_id = match &self.client {
            Some(id) => Some(client::find_in(&opened, environment, id).await?.client.id),
            None => None,
        };
        let email = match &self.customer {
            Some(email) => {
                Some(customer::find(&opened.store, environment, email, "--customer").await?.email)
            }
            None => None,
        };
        let Opened { store, clock, .. } = opened;
        let (client_id, email) = (client_id.as_deref(), email.as_deref());
        let which = WhichConnections { environment, client_id, email, limit: self.limit };
        let now = clock.now();
        let connections = store.connections(&which).await?;
        let grants: Vec<GrantData> = connections
            .into_iter()
            .map(|connection| GrantData::of(environment, connection, now))
            .collect();
        if grants.is_empty() {
            self.output.say("There is no connection.");
        } else if i64::try_from(grants.len()) == Ok(self.limit) {
            self.output.say("There may be more: --limit, --client and --customer choose others.");
        }
        self.output.data(&GrantList { grants }, |list| {
            let rows = list.grants.iter().map(GrantData::row);
            table(
                &["GRANT ID", "CUSTOMER", "CLIENT ID", "STATE", "SCOPES", "REFRESHED", "EXPIRES"],
                rows.collect(),
            )
        })
    }
}

impl Revoke {
    async fn run(self) -> Result<(), Failure> {
        let environment = self.environment.environment;
        let opened = self.place.open().await?;
        let (store, id) = (&opened.store, self.id.into_bytes());
        let Some(grant) = store.grant(environment, id).await? else {
            return Err(Failure::mendable(format!(
                "there is no connection {} in {environment}",
                self.id
            ))
            .hint(format!("`grantor grant list --environment {environment}` shows them")));
        };
        let ended = Ended::One { grant_id: id, customer_id: Some(grant.customer_id) };
        let event = Event::GrantRevoked { ended, by: EndedBy::Company };
        let detail = format!("{} of customer {}", self.id, Uuid::from_bytes(grant.customer_id));
        let partner_id = store.client_seen_from(environment, &grant.client_id).await?;
        let partner_id = partner_id.map(|record| record.partner_id);
        let mut act = opened.act("grantor grant", "grant.revoked", detail);
        act.notices.push(opened.notice(environment, &grant.client_id, event));
        let act = Act { partner_id, client_id: Some(grant.client_id), ..act };
        let changed = store.revoke_grant_noting(environment, id, &act).await?;
        let revoked =
            Revoked { environment: environment.as_str(), id: self.id.to_string(), changed };
        self.output.data(&revoked, |revoked| {
            let already = if revoked.changed { "" } else { " already" };
            format!("{} is ended{already}", revoked.id)
        })?;
        self.output.say(
            "The consent stays, so the customer can connect again without being asked. \
             `grantor customer end-connections --client` takes it back.",
        );
        Ok(())
    }
}

impl GrantData {
    fn of(environment: Environment, connection: Connection, now: i64) -> GrantData {
        let Connection { grant, email } = connection;
        let (active, ended_at) = match grant.status {
            GrantStatus::Active(active) => (Some(active), None),
            GrantStatus::Pending => (None, None),
            GrantStatus::Revoked { at } => (None, Some(at)),
        };
        GrantData {
            environment: environment.as_str(),
            id: Uuid::from_bytes(grant.id).to_string(),
            state: state(&grant, now),
            expires_at: expires_at(&grant),
            scopes: grant.scope.iter().map(str::to_owned).collect(),
            client_id: grant.client_id,
            customer: email,
            businesses: grant.businesses,
            generation: active.map(|active| active.generation),
            connected_at: active.map(|active| active.redeemed_at),
            refreshed_at: active.map(|active| active.turned_at),
            ended_at,
        }
    }

    fn row(&self) -> Vec<String> {
        let moment = |at: Option<i64>| at.map_or_else(|| "-".to_owned(), time);
        vec![
            self.id.clone(),
            self.customer.clone(),
            self.client_id.clone(),
            self.state.to_owned(),
            self.scopes.join(" "),
            moment(self.refreshed_at),
            moment(self.expires_at),
        ]
    }
}

/// Where a connection stands, in a word.
fn state(grant: &Grant, now: i64) -> &'static str {
    let expired = expires_at(grant).is_some_and(|end| now >= end);
    match grant.status {
        GrantStatus::Revoked { .. } => "ended",
        _ if !grant.in_force => "ended",
        GrantStatus::Pending | GrantStatus::Active(_) if expired => "expired",
        GrantStatus::Pending => "pending",
        GrantStatus::Active(_) => "active",
    }
}

fn expires_at(grant: &Grant) -> Option<i64> {
    let own = match grant.status {
        GrantStatus::Pending => grant.code_expires_at,
        GrantStatus::Active(active) => active.idle_expires_at,
        GrantStatus::Revoked { .. } => return None,
    };
    Some(grant.ends_at.map_or(own, |end| end.min(own)))
}

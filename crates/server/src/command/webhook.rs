//! `grantor webhook`: where the programs of a partner are told what happens to its clients, set up by
//! an operator for that partner.

mod deliveries;

use clap::Subcommand;
use grantor_protocol::environment::Environment;
use serde::Serialize;
use uuid::Uuid;

use self::deliveries::{Deliveries, Redeliver};
use super::Failure;
use super::desk::{self, Desk};
use super::output::{Output, aligned, table, time, time_or_never};
use super::place::{In, Place};
use crate::http::show;
use crate::programme::Actor;
use crate::programme::webhook::{self, WebhookForm};
use crate::store::WebhookEndpoint;
use crate::webhook::EventType;

/// Who does it, as the audit log shows it.
const COMMAND: &str = "grantor webhook";
const HINT: &str = "`grantor webhook list --partner PARTNER --environment ENVIRONMENT` shows all";

/// The arguments of `grantor webhook`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List a partner's webhooks
    #[command(after_help = "With --json: {\"webhooks\":[...]}, each as `webhook show` answers")]
    List(List),
    /// Show one webhook
    #[command(
        after_help = "With --json: {\"id\",\"environment\",\"url\",\"events\",\"client_id\",\"enabled\",\"secrets\",\"created_at\",\"tried_at\",\"status\",\"fault\",\"failures\"}, as the portal's API answers"
    )]
    Show(One),
    /// Add a webhook; its secret is shown this once
    Add(Add),
    /// Change where a webhook is, what it hears of, or whether anything is sent there
    Change(Change),
    /// Remove a webhook, with all that waits for it
    #[command(after_help = "With --json: {\"id\",\"removed\":true}")]
    Remove(One),
    /// Send a test to this webhook
    #[command(after_help = "With --json: {\"id\",\"sent\":true}")]
    Test(One),
    /// Make a second secret beside the first; it is shown this once
    #[command(after_help = "With --json: {\"webhook\":{..},\"secret\"}")]
    AddSecret(One),
    /// Remove one of two secrets
    RemoveSecret(RemoveSecret),
    /// List what was sent to a webhook, the newest first
    Deliveries(Deliveries),
    /// Send something again, with the same id and body
    Redeliver(Redeliver),
}

/// Whose webhooks are meant.
#[derive(clap::Args)]
struct Of {
    /// The partner, by id or name
    #[arg(long)]
    partner: String,
    #[command(flatten)]
    environment: In,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
struct One {
    /// The webhook's id, as `webhook list` shows it
    #[arg(value_name = "WEBHOOK_ID")]
    id: String,
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(after_help = "With --json: {\"webhook\":{..},\"secret\"}")]
struct Add {
    /// An https address that the open internet reaches
    #[arg(long)]
    url: String,
    /// What it hears of, such as grant.revoked; may be repeated
    #[arg(long = "event", value_name = "EVENT", required = true)]
    events: Vec<String>,
    /// Of this client alone [default: of all that the partner has there]
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(after_help = "With --json: as `webhook show` answers. What is left out stays as it is.")]
struct Change {
    /// The webhook's id, as `webhook list` shows it
    #[arg(value_name = "WEBHOOK_ID")]
    id: String,
    /// Another address
    #[arg(long)]
    url: Option<String>,
    /// All that it hears of from now on; may be repeated
    #[arg(long = "event", value_name = "EVENT")]
    events: Vec<String>,
    /// Of this client alone; an empty text stands for all
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    /// Whether anything is sent there; what waits for one that is switched off is given up
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(after_help = "With --json: as `webhook show` answers")]
struct RemoveSecret {
    /// The webhook's id, as `webhook list` shows it
    #[arg(value_name = "WEBHOOK_ID")]
    id: String,
    /// Which of the two
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2))]
    slot: u8,
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct WebhookList {
    webhooks: Vec<show::Webhook>,
}

#[derive(Serialize)]
struct Removed {
    id: String,
    removed: bool,
}

#[derive(Serialize)]
struct Tested {
    id: String,
    sent: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.action {
        Action::List(list) => list.run().await,
        Action::Show(one) => one.show().await,
        Action::Add(add) => add.run().await,
        Action::Change(change) => change.run().await,
        Action::Remove(one) => one.remove().await,
        Action::Test(one) => one.test().await,
        Action::AddSecret(one) => one.add_secret().await,
        Action::RemoveSecret(remove) => remove.run().await,
        Action::Deliveries(deliveries) => deliveries.run().await,
        Action::Redeliver(redeliver) => redeliver.run().await,
    }
}

/// The webhooks of a partner in an environment.
struct Held {
    desk: Desk,
    actor: Actor,
    environment: Environment,
}

impl Of {
    async fn open(&self) -> Result<Held, Failure> {
        let desk = Desk::open(&self.place, COMMAND).await?;
        let actor = desk.behalf(&self.partner).await?;
        Ok(Held { desk, actor, environment: self.environment.environment })
    }
}

impl Held {
    async fn find(&self, id: &str) -> Result<WebhookEndpoint, Failure> {
        let what = format!("webhook {id} of this partner in {}", self.environment);
        let found =
            webhook::find(&self.desk.site, &self.actor, self.environment, desk::id(id)?).await;
        found.map_err(desk::not_found(&what, HINT))
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let held = self.of.open().await?;
        let found = webhook::list(&held.desk.site, &held.actor, held.environment).await?;
        if found.is_empty() {
            self.output.say("There is no webhook yet: grantor webhook add --help");
        }
        let list = WebhookList { webhooks: found.iter().map(show::Webhook::from).collect() };
        self.output.data(&list, |_| {
            let rows = found.iter().map(|endpoint| {
                vec![
                    Uuid::from_bytes(endpoint.of.id).to_string(),
                    endpoint.settings.url.clone(),
                    if endpoint.settings.enabled { "on" } else { "off" }.to_owned(),
                    time_or_never(endpoint.tried_at),
                    answered(endpoint),
                ]
            });
            table(&["WEBHOOK ID", "URL", "STATE", "TRIED", "ANSWER"], rows.collect())
        })
    }
}

impl One {
    async fn show(self) -> Result<(), Failure> {
        let held = self.of.open().await?;
        shown(&held.find(&self.id).await?, self.output)
    }

    async fn remove(self) -> Result<(), Failure> {
        let held = self.of.open().await?;
        let endpoint = held.find(&self.id).await?;
        webhook::remove(&held.desk.site, &held.actor, &endpoint).await?;
        let id = Uuid::from_bytes(endpoint.of.id).to_string();
        let removed = Removed { id, removed: true };
        self.output.data(&removed, |removed| {
            format!("{} is removed, with all that waited for it", removed.id)
        })
    }

    async fn test(self) -> Result<(), Failure> {
        let held = self.of.open().await?;
        let endpoint = held.find(&self.id).await?;
        webhook::ping(&held.desk.site, &held.actor, &endpoint).await?;
        let id = Uuid::from_bytes(endpoint.of.id).to_string();
        self.output.data(&Tested { id, sent: true }, |tested| {
            format!("a test for {} is on its way", tested.id)
        })?;
        self.output
            .say("A running server sends it: `grantor webhook deliveries` tells how it goes.");
        Ok(())
    }

    async fn add_secret(self) -> Result<(), Failure> {
        let held = self.of.open().await?;
        let endpoint = held.find(&self.id).await?;
        let secret = webhook::add_secret(&held.desk.site, &held.actor, &endpoint).await?;
        let endpoint = held.find(&self.id).await?;
        with_secret(&endpoint, &secret.to_text(), self.output)
    }
}

impl Add {
    async fn run(self) -> Result<(), Failure> {
        let held = self.of.open().await?;
        let form = WebhookForm {
            url: self.url,
            events: self.events,
            client_id: self.client.unwrap_or_default(),
            enabled: true,
        };
        let added = webhook::add(&held.desk.site, &held.actor, held.environment, &form).await;
        let (of, secret) = added.map_err(with_events)?;
        let endpoint = held.find(&Uuid::from_bytes(of.id).to_string()).await?;
        with_secret(&endpoint, &secret.to_text(), self.output)
    }
}

impl Change {
    async fn run(self) -> Result<(), Failure> {
        let held = self.of.open().await?;
        let endpoint = held.find(&self.id).await?;
        let stands = &endpoint.settings;
        let form = WebhookForm {
            url: self.url.unwrap_or_else(|| stands.url.clone()),
            events: match self.events.is_empty() {
                true => stands.events.iter().map(|event| event.name().to_owned()).collect(),
                false => self.events,
            },
            client_id: self.client.or_else(|| stands.client_id.clone()).unwrap_or_default(),
            enabled: self.enabled.unwrap_or(stands.enabled),
        };
        // What somebody else changes in this very moment is not overwritten.
        let seen = stands.version();
        let change = (seen.as_str(), &form);
        let changed = webhook::change(&held.desk.site, &held.actor, &endpoint, change).await;
        changed.map_err(with_events)?;
        shown(&held.find(&self.id).await?, self.output)
    }
}

impl RemoveSecret {
    async fn run(self) -> Result<(), Failure> {
        let held = self.of.open().await?;
        let endpoint = held.find(&self.id).await?;
        let held_there = endpoint.secrets.get(usize::from(self.slot) - 1);
        if held_there.is_none_or(Option::is_none) {
            return Err(Failure::mendable(format!(
                "the webhook has no secret in slot {}",
                self.slot
            ))
            .hint("`grantor webhook show` says where there are any"));
        }
        webhook::remove_secret(&held.desk.site, &held.actor, &endpoint, self.slot).await?;
        shown(&held.find(&self.id).await?, self.output)
    }
}

fn shown(endpoint: &WebhookEndpoint, output: Output) -> Result<(), Failure> {
    output.data(&show::Webhook::from(endpoint), |_| aligned(&lines(endpoint)))
}

fn with_secret(endpoint: &WebhookEndpoint, secret: &str, output: Output) -> Result<(), Failure> {
    output.data(&show::WebhookWithSecret::of(endpoint, secret), |_| {
        let mut lines = lines(endpoint);
        lines.push(("secret", secret.to_owned()));
        aligned(&lines)
    })?;
    output.say("The secret is shown this once: give it to the partner now.");
    Ok(())
}

fn lines(endpoint: &WebhookEndpoint) -> Vec<(&'static str, String)> {
    let settings = &endpoint.settings;
    let mut lines = vec![
        ("webhook_id", Uuid::from_bytes(endpoint.of.id).to_string()),
        ("environment", endpoint.of.environment.as_str().to_owned()),
        ("url", settings.url.clone()),
    ];
    lines.extend(settings.events.iter().map(|event| ("event", event.name().to_owned())));
    lines.push(("client", settings.client_id.clone().unwrap_or_else(|| "all".to_owned())));
    lines.push(("state", if settings.enabled { "on" } else { "off" }.to_owned()));
    lines.extend((1..).zip(&endpoint.secrets).filter_map(|(slot, hint): (i64, _)| {
        hint.as_ref().map(|hint| ("secret", format!("slot {slot}, ends in {hint}")))
    }));
    lines.push(("created", time(endpoint.created_at)));
    lines.push(("tried", time_or_never(endpoint.tried_at)));
    lines.push(("answer", answered(endpoint)));
    lines.push(("failures", endpoint.failures.to_string()));
    lines
}

/// How the last try went, in words.
fn answered(endpoint: &WebhookEndpoint) -> String {
    match (endpoint.status, &endpoint.fault) {
        (_, Some(fault)) => fault.clone(),
        (Some(status), None) => format!("HTTP {status}"),
        (None, None) => String::new(),
    }
}

/// A refusal that is about the events, with their names.
fn with_events(refused: crate::programme::Refused) -> Failure {
    let names: Vec<&str> = EventType::ALL.into_iter().map(EventType::name).collect();
    Failure::from(refused).hint(format!("the events are {}", names.join(", ")))
}

//! `grantor trial`: hard cases that happen to a client of staging on purpose, as its partner presses
//! their buttons in the portal.

use clap::Subcommand;
use grantor_protocol::trial::Trial;
use uuid::Uuid;

use super::Failure;
use super::desk::Desk;
use super::output::{Output, table, time, time_or_never};
use super::place::Place;
use crate::http::show;
use crate::programme::{Actor, Refused, log};
use crate::store::{ClientRecord, TrialRecord};

/// Who does it, as the audit log shows it.
const COMMAND: &str = "grantor trial";

/// The arguments of `grantor trial`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the hard cases of a client that were made to happen, or wait for their call
    #[command(
        after_help = "With --json: {\"items\":[{\"trial\",\"armed_at\",\"expires_at\",\"happened_at\"}]}, as the portal's API answers"
    )]
    List(One),
    /// Make one happen, now or with the next call that it is about
    #[command(after_help = "With --json: as `trial list` answers")]
    Begin(Begin),
}

#[derive(clap::Args)]
struct One {
    /// The client's id; it is one of staging
    #[arg(value_name = "CLIENT_ID")]
    client_id: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
struct Begin {
    #[command(flatten)]
    one: One,
    /// lose_response, deny_consent, expire_token or end_grant
    #[arg(value_name = "TRIAL", value_parser = trial)]
    trial: Trial,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.action {
        Action::List(one) => {
            let (desk, record, actor) = one.open().await?;
            shown(&desk, &record, &actor, one.output).await
        }
        Action::Begin(Begin { one, trial }) => {
            let (desk, record, actor) = one.open().await?;
            log::begin(&desk.site, &actor, &record, trial).await.map_err(on_staging)?;
            shown(&desk, &record, &actor, one.output).await
        }
    }
}

impl One {
    async fn open(&self) -> Result<(Desk, ClientRecord, Actor), Failure> {
        let desk = Desk::open(&self.place, COMMAND).await?;
        let record = desk.client(&self.client_id).await?;
        let partner = Uuid::from_bytes(record.partner_id).to_string();
        let actor = desk.behalf(&partner).await?;
        Ok((desk, record, actor))
    }
}

async fn shown(
    desk: &Desk,
    record: &ClientRecord,
    actor: &Actor,
    output: Output,
) -> Result<(), Failure> {
    let found = log::trials(&desk.site, actor, record).await.map_err(on_staging)?;
    if found.is_empty() {
        output.say("None was made to happen yet: grantor trial begin --help");
    }
    output.data(&show::Trials::from(found.as_slice()), |_| {
        let rows = found.iter().map(|record: &TrialRecord| {
            vec![
                record.trial.as_str().to_owned(),
                time(record.armed_at),
                time_or_never(record.taken_at),
                time(record.expires_at),
            ]
        });
        table(&["TRIAL", "BEGUN", "HAPPENED", "WAITS UNTIL"], rows.collect())
    })
}

fn on_staging(refused: Refused) -> Failure {
    match refused {
        Refused::NotFound => Failure::mendable("hard cases happen to clients of staging alone"),
        refused => refused.into(),
    }
}

fn trial(text: &str) -> Result<Trial, String> {
    let names = || Trial::ALL.map(Trial::as_str).join(", ");
    Trial::parse(text).ok_or_else(|| format!("the hard cases are {}", names()))
}

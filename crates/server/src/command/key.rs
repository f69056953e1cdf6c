//! `grantor key`: the keys that codes and tokens are sealed with, and the master key above them.
//!
//! Here sealing keys are listed, rotated and revoked; `rekey.rs` changes the master key. Running
//! servers follow within a second. No command shows a secret.

mod rekey;

use clap::Subcommand;
use grantor_protocol::environment::Environment;
use serde::Serialize;

use super::output::{Output, table, time};
use super::place::{In, Opened, Place, environment_parser};
use super::{Failure, prompt};
use crate::keys::rotation::{self, KeyRecord, KeyState};
use crate::master_key::MasterKey;

/// The arguments of `grantor key`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the sealing keys, without their secrets
    List(List),
    /// Make a new sealing key; the one before goes on verifying, and no token ends
    Rotate(Rotate),
    /// Remove a sealing key that leaked: everything that it sealed ends
    Revoke(Revoke),
    /// Change the master key: everything is encrypted under a new one
    Rekey(rekey::Arguments),
}

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"keys\":[{\"environment\",\"id\",\"state\",\"created_at\",\"seals_from\",\"verifies_until\"}]}, with times in Unix seconds; state is next, sealing, verifying or ended"
)]
struct List {
    /// Only the keys of this environment
    #[arg(long, value_parser = environment_parser())]
    environment: Option<Environment>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"rotated\":[{\"environment\",\"id\",\"seals_from\",\"removed\":[]}]}; removed are the ids of keys of which everything had ended"
)]
struct Rotate {
    /// staging or production
    #[arg(long, value_parser = environment_parser(), required_unless_present = "all")]
    environment: Option<Environment>,
    /// Both environments
    #[arg(long, conflicts_with = "environment")]
    all: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"environment\",\"id\",\"replaced_by\"}; replaced_by is the id of the key that was made in its place, or null"
)]
struct Revoke {
    /// The key's id, as `grantor key list` shows it
    #[arg(value_name = "ID", value_parser = key_id)]
    id: u32,
    #[command(flatten)]
    environment: In,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct KeyList {
    keys: Vec<KeyData>,
}

/// A sealing key, as `--json` shows it.
#[derive(Serialize)]
struct KeyData {
    environment: &'static str,
    id: String,
    state: &'static str,
    created_at: i64,
    seals_from: i64,
    verifies_until: Option<i64>,
}

#[derive(Serialize)]
struct RotatedList {
    rotated: Vec<RotatedData>,
}

#[derive(Serialize)]
struct RotatedData {
    environment: &'static str,
    id: String,
    seals_from: i64,
    removed: Vec<String>,
}

#[derive(Serialize)]
struct RevokedData {
    environment: &'static str,
    id: String,
    replaced_by: Option<String>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.action {
        Action::List(list) => list.run().await,
        Action::Rotate(rotate) => rotate.run().await,
        Action::Revoke(revoke) => revoke.run().await,
        Action::Rekey(arguments) => arguments.run().await,
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let Opened { store, clock, .. } = self.place.open().await?;
        let mut keys = Vec::new();
        for environment in Environment::ALL {
            if self.environment.is_none_or(|wanted| wanted == environment) {
                let found = rotation::list(&store, environment, clock.now()).await?;
                keys.extend(found.iter().map(KeyData::from));
            }
        }
        if keys.is_empty() {
            self.output.say("There is no key yet; `grantor serve` makes the first ones.");
        }
        self.output.data(&KeyList { keys }, |list| {
            let rows = list.keys.iter().map(|key| {
                vec![
                    key.environment.to_owned(),
                    key.id.clone(),
                    time(key.created_at),
                    time(key.seals_from),
                    key.words(),
                ]
            });
            table(&["ENVIRONMENT", "ID", "CREATED", "SEALS FROM", "STATE"], rows.collect())
        })
    }
}

impl Rotate {
    async fn run(self) -> Result<(), Failure> {
        let master_key = MasterKey::read(&self.place.master_key_file()?)?;
        let Opened { store, clock, random } = self.place.open().await?;
        let mut rotated = Vec::new();
        for environment in Environment::ALL {
            if self.environment.is_none_or(|wanted| wanted == environment) {
                let done =
                    rotation::rotate(&store, &master_key, environment, &clock, &random).await?;
                rotated.push(RotatedData {
                    environment: environment.as_str(),
                    id: shown(done.key.id),
                    seals_from: done.key.seals_from,
                    removed: done.removed.into_iter().map(shown).collect(),
                });
            }
        }
        self.output.data(&RotatedList { rotated }, |list| {
            let rows = list.rotated.iter().map(|key| {
                vec![
                    key.environment.to_owned(),
                    key.id.clone(),
                    time(key.seals_from),
                    key.removed.join(" "),
                ]
            });
            table(&["ENVIRONMENT", "NEW KEY", "SEALS FROM", "REMOVED"], rows.collect())
        })?;
        self.output.say("No token ended: the keys before go on verifying what they sealed.");
        Ok(())
    }
}

impl Revoke {
    async fn run(self) -> Result<(), Failure> {
        let environment = self.environment.environment;
        let master_key = MasterKey::read(&self.place.master_key_file()?)?;
        let Opened { store, clock, random } = self.place.open().await?;
        let id = shown(self.id);
        prompt::confirm(
            &format!(
                "Every code, access token and refresh token of {environment} that the key {id} sealed ends, and those customers have to connect again. Revoke it?"
            ),
            self.yes,
        )?;
        let key = (environment, self.id);
        let replaced_by = rotation::revoke(&store, &master_key, key, &clock, &random).await?;
        let revoked = RevokedData {
            environment: environment.as_str(),
            id,
            replaced_by: replaced_by.map(|key| shown(key.id)),
        };
        self.output.data(&revoked, |revoked| match &revoked.replaced_by {
            Some(new) => format!("{} is revoked; {new} seals in its place", revoked.id),
            None => format!("{} is revoked", revoked.id),
        })?;
        self.output.say("Running servers refuse what it sealed within one second.");
        Ok(())
    }
}

impl From<&KeyRecord> for KeyData {
    fn from(key: &KeyRecord) -> KeyData {
        let (state, verifies_until) = match key.state {
            KeyState::Next => ("next", None),
            KeyState::Sealing => ("sealing", None),
            KeyState::Verifying { until } => ("verifying", Some(until)),
            KeyState::Ended => ("ended", None),
        };
        KeyData {
            environment: key.environment.as_str(),
            id: shown(key.id),
            state,
            created_at: key.created_at,
            seals_from: key.seals_from,
            verifies_until,
        }
    }
}

impl KeyData {
    fn words(&self) -> String {
        match self.verifies_until {
            Some(until) => format!("verifies until {}", time(until)),
            None => self.state.to_owned(),
        }
    }
}

/// A key's id, as people read it.
fn shown(id: u32) -> String {
    format!("{id:08x}")
}

fn key_id(text: &str) -> Result<u32, String> {
    let hex = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| u32::from_str_radix(text, 16).ok())
        .flatten()
        .ok_or_else(|| "an id has eight hexadecimal digits".to_owned())
}

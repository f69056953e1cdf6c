//! `grantor key`: the keys that codes and tokens are sealed or signed with, and the master key above
//! them.
//!
//! Here keys are listed, rotated and revoked, those that sign with `signing.rs`; `rekey.rs` changes
//! the master key. Running servers follow within a second. No command shows a secret.

mod rekey;
mod signing;

use self::signing::SigningKeyData;

use clap::Subcommand;
use grantor_protocol::environment::Environment;
use grantor_protocol::jose::Thumbprint;
use serde::Serialize;

use super::output::{Output, table, time};
use super::place::{Opened, Place, issuer_parser};
use super::{Failure, prompt};
use crate::keys::rotation::{self, KeyRecord, KeyState};
use crate::master_key::MasterKey;

/// Who does it, as the audit log shows it.
const COMMAND: &str = "grantor key";

/// The arguments of `grantor key`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the keys, without their secrets
    List(List),
    /// Make a new sealing key, or new signing keys; those before go on verifying, and no token ends
    Rotate(Rotate),
    /// Remove a key that leaked: everything that it sealed or signed ends
    Revoke(Revoke),
    /// Change the master key: everything is encrypted under a new one
    Rekey(rekey::Arguments),
}

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"keys\":[{\"environment\",\"id\",\"state\",\"created_at\",\"seals_from\",\"verifies_until\"}],\"signing_keys\":[{\"environment\",\"id\",\"algorithm\",\"state\",\"created_at\",\"signs_from\",\"published_until\"}]}, with times in Unix seconds; state is next, sealing or signing, verifying or published, or ended"
)]
struct List {
    /// Only the keys of this environment
    #[arg(long, value_parser = issuer_parser())]
    environment: Option<Environment>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"rotated\":[{\"environment\",\"id\",\"seals_from\",\"removed\":[]}]}; removed are the ids of keys of which everything had ended. With --signing: {\"signing_keys\":[..]}, as `grantor key list` shows them"
)]
struct Rotate {
    /// staging or production
    #[arg(long, value_parser = issuer_parser(), required_unless_present = "all")]
    environment: Option<Environment>,
    /// Both environments, and the portal
    #[arg(long, conflicts_with = "environment")]
    all: bool,
    /// The signing keys, one of each algorithm, and not the sealing key
    #[arg(long)]
    signing: bool,
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
    // That of a signing key is drawn in Base64url, and may begin with a hyphen.
    #[arg(value_name = "ID", value_parser = key_id, allow_hyphen_values = true)]
    id: KeyId,
    /// The environment, or the portal
    #[arg(long, value_parser = issuer_parser())]
    environment: Environment,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

/// Which key is meant: its form says of which kind it is.
#[derive(Clone)]
enum KeyId {
    Sealing(u32),
    Signing(String),
}

#[derive(Serialize)]
struct KeyList {
    keys: Vec<KeyData>,
    signing_keys: Vec<SigningKeyData>,
}

#[derive(Serialize)]
struct RotatedSigning {
    signing_keys: Vec<SigningKeyData>,
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
        let opened = self.place.open().await?;
        let (mut keys, mut signing_keys) = (Vec::new(), Vec::new());
        for environment in Environment::ISSUERS {
            if self.environment.is_none_or(|wanted| wanted == environment) {
                let now = opened.clock.now();
                let found = rotation::list(&opened.store, environment, now).await?;
                keys.extend(found.iter().map(KeyData::from));
                signing_keys.extend(signing::list(&opened, environment).await?);
            }
        }
        if keys.is_empty() {
            self.output.say("There is no key yet; `grantor serve` makes the first ones.");
        }
        self.output.data(&KeyList { keys, signing_keys }, |list| {
            let sealing = list.keys.iter().map(|key| {
                vec![
                    key.environment.to_owned(),
                    key.id.clone(),
                    "seals".to_owned(),
                    time(key.created_at),
                    time(key.seals_from),
                    key.words(),
                ]
            });
            let rows = sealing.chain(list.signing_keys.iter().map(SigningKeyData::row));
            table(&["ENVIRONMENT", "ID", "USE", "CREATED", "FROM", "STATE"], rows.collect())
        })
    }
}

impl Rotate {
    async fn run(self) -> Result<(), Failure> {
        let master_key = MasterKey::read(&self.place.master_key_file()?)?;
        let opened = self.place.open().await?;
        if self.signing {
            return self.rotate_signing(&opened, &master_key).await;
        }
        let Opened { store, clock, random } = &opened;
        let mut rotated = Vec::new();
        for environment in Environment::ISSUERS {
            if self.environment.is_none_or(|wanted| wanted == environment) {
                let act = opened.act(COMMAND, "key.rotated", format!("sealing, {environment}"));
                let with = (clock, random);
                let done =
                    rotation::rotate(store, &master_key, environment, with, Some(&act)).await?;
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

    async fn rotate_signing(self, opened: &Opened, master_key: &MasterKey) -> Result<(), Failure> {
        let mut signing_keys = Vec::new();
        for environment in Environment::ISSUERS {
            if self.environment.is_none_or(|wanted| wanted == environment) {
                signing_keys.extend(signing::rotate(opened, master_key, environment).await?);
            }
        }
        self.output.data(&RotatedSigning { signing_keys }, |list| {
            let rows = list.signing_keys.iter().map(SigningKeyData::row);
            table(&["ENVIRONMENT", "ID", "USE", "CREATED", "FROM", "STATE"], rows.collect())
        })?;
        self.output.say("No token ended: the keys before stay published for what they signed.");
        Ok(())
    }
}

impl Revoke {
    async fn run(self) -> Result<(), Failure> {
        let environment = self.environment;
        let master_key = MasterKey::read(&self.place.master_key_file()?)?;
        let opened = self.place.open().await?;
        let id = match &self.id {
            KeyId::Sealing(id) => shown(*id),
            KeyId::Signing(id) => id.clone(),
        };
        let ends = match &self.id {
            KeyId::Sealing(_) => format!(
                "Every code, access token and refresh token of {environment} that the key {id} sealed ends, and those customers have to connect again."
            ),
            KeyId::Signing(_) => format!(
                "Every token of {environment} that the key {id} signed is refused by whoever reads the key set again."
            ),
        };
        prompt::confirm(&format!("{ends} Revoke it?"), self.yes)?;
        let replaced_by = match &self.id {
            KeyId::Sealing(id) => {
                let Opened { store, clock, random } = &opened;
                let key = (environment, *id);
                let detail = format!("{}, {environment}", shown(*id));
                let act = opened.act(COMMAND, "key.revoked", detail);
                let with = (clock, random);
                let made = rotation::revoke(store, &master_key, key, with, Some(&act)).await?;
                made.map(|key| shown(key.id))
            }
            KeyId::Signing(id) => signing::revoke(&opened, &master_key, (environment, id)).await?,
        };
        let revoked = RevokedData { environment: environment.as_str(), id, replaced_by };
        self.output.data(&revoked, |revoked| match &revoked.replaced_by {
            Some(new) => format!("{} is revoked; {new} takes its place", revoked.id),
            None => format!("{} is revoked", revoked.id),
        })?;
        self.output.say(match self.id {
            KeyId::Sealing(_) => "Running servers refuse what it sealed within one second.",
            KeyId::Signing(_) => {
                "It is published no more. A verifier may hold the set for another five minutes."
            }
        });
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

fn key_id(text: &str) -> Result<KeyId, String> {
    let is_hex = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && let Ok(id) = u32::from_str_radix(text, 16) {
        return Ok(KeyId::Sealing(id));
    }
    match Thumbprint::parse(text) {
        Some(_) => Ok(KeyId::Signing(text.to_owned())),
        None => Err("an id has eight hexadecimal digits, or 43 characters of a signing key".into()),
    }
}

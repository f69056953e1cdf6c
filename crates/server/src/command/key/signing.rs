//! Signing keys at the command line: what is listed, rotated and revoked of them.

use grantor_protocol::environment::Environment;
use serde::Serialize;

use super::COMMAND;
use crate::command::Failure;
use crate::command::output::time;
use crate::command::place::Opened;
use crate::keys::signing::{self, SigningRecord, SigningState};
use crate::master_key::MasterKey;

/// A signing key, as `--json` shows it.
#[derive(Serialize)]
pub(super) struct SigningKeyData {
    environment: &'static str,
    id: String,
    algorithm: &'static str,
    state: &'static str,
    created_at: i64,
    signs_from: i64,
    published_until: Option<i64>,
}

/// All signing keys of an environment.
pub(super) async fn list(
    opened: &Opened,
    environment: Environment,
) -> Result<Vec<SigningKeyData>, Failure> {
    let found = signing::list(&opened.store, environment, opened.clock.now()).await?;
    Ok(found.iter().map(SigningKeyData::from).collect())
}

/// Makes a new signing key of each algorithm.
pub(super) async fn rotate(
    opened: &Opened,
    master_key: &MasterKey,
    environment: Environment,
) -> Result<Vec<SigningKeyData>, Failure> {
    let Opened { store, clock, random } = opened;
    let act = opened.act(COMMAND, "key.rotated", format!("signing, {environment}"));
    let with = (clock, random);
    let made = signing::rotate(store, master_key, environment, with, Some(&act)).await?;
    Ok(made.iter().map(SigningKeyData::from).collect())
}

/// Removes a signing key. Answers the id of the one that was made in its place.
pub(super) async fn revoke(
    opened: &Opened,
    master_key: &MasterKey,
    key: (Environment, &str),
) -> Result<Option<String>, Failure> {
    let Opened { store, clock, random } = opened;
    let act = opened.act(COMMAND, "key.revoked", format!("{}, {}", key.1, key.0));
    let made = signing::revoke(store, master_key, key, (clock, random), Some(&act)).await?;
    Ok(made.map(|made| made.id))
}

impl From<&SigningRecord> for SigningKeyData {
    fn from(key: &SigningRecord) -> SigningKeyData {
        let (state, published_until) = match key.state {
            SigningState::Next => ("next", None),
            SigningState::Signing => ("signing", None),
            SigningState::Published { until } => ("published", Some(until)),
            SigningState::Ended => ("ended", None),
        };
        SigningKeyData {
            environment: key.environment.as_str(),
            id: key.id.clone(),
            algorithm: key.algorithm.as_str(),
            state,
            created_at: key.created_at,
            signs_from: key.signs_from,
            published_until,
        }
    }
}

impl SigningKeyData {
    /// Its line in a table: environment, id, use, made, from when on, state.
    pub(super) fn row(&self) -> Vec<String> {
        let state = match self.published_until {
            Some(until) => format!("published until {}", time(until)),
            None => self.state.to_owned(),
        };
        vec![
            self.environment.to_owned(),
            self.id.clone(),
            self.algorithm.to_owned(),
            time(self.created_at),
            time(self.signs_from),
            state,
        ]
    }
}

//! What a restore did, and what is left for a person to do.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::super::Failure;
use super::super::output::{Output, aligned, time, time_or_never};
use super::gap::Journaled;
use super::{Arguments, shown};
use crate::journal::Ending;
use crate::store::backup::{Header, Restored};

/// A restore that is done.
pub(super) struct Report {
    pub(super) header: Header,
    pub(super) database: String,
    pub(super) kept: Option<PathBuf>,
    pub(super) epoch: i64,
    pub(super) journaled: Journaled,
    pub(super) done: Restored,
}

#[derive(Serialize)]
struct Data<'a> {
    backup: &'a str,
    /// In Unix seconds.
    created_at: i64,
    database: &'a str,
    kept: Option<&'a PathBuf>,
    epoch: i64,
    journal: JournalData<'a>,
    done: Restored,
    secrets_changed: &'a BTreeSet<String>,
    passwords_changed: &'a BTreeSet<String>,
    clients_narrowed: &'a BTreeSet<String>,
    factors_ended: &'a BTreeSet<String>,
}

#[derive(Serialize)]
struct JournalData<'a> {
    whole: bool,
    /// In Unix seconds.
    until: Option<i64>,
    why_not: Option<&'a str>,
}

impl Report {
    /// Writes it.
    pub(super) fn tell(&self, output: Output, asked: &Arguments) -> Result<(), Failure> {
        let (mut secrets, mut passwords) = (BTreeSet::new(), BTreeSet::new());
        let (mut narrowed, mut factors) = (BTreeSet::new(), BTreeSet::new());
        for ending in &self.journaled.endings {
            match ending {
                Ending::SecretChanged { client_id, .. } => {
                    secrets.insert(client_id.clone());
                }
                Ending::PasswordChanged { id, .. } | Ending::OwnPasswordChanged { id, .. } => {
                    passwords.insert(uuid::Uuid::from_bytes(*id).to_string());
                }
                Ending::ClientNarrowed { client_id, .. } => {
                    narrowed.insert(client_id.clone());
                }
                Ending::FactorEnded { id } => {
                    factors.insert(uuid::Uuid::from_bytes(*id).to_string());
                }
                _ => {}
            }
        }
        let data = Data {
            backup: &self.header.id,
            created_at: self.header.created_at,
            database: &self.database,
            kept: self.kept.as_ref(),
            epoch: self.epoch,
            journal: JournalData {
                whole: self.journaled.why_not.is_none(),
                until: self.journaled.until,
                why_not: self.journaled.why_not.as_deref(),
            },
            done: self.done,
            secrets_changed: &secrets,
            passwords_changed: &passwords,
            clients_narrowed: &narrowed,
            factors_ended: &factors,
        };
        output.data(&data, |_| self.lines())?;
        output.say(
            "Codes, access tokens and sessions from before are over; customers sign in and are \
             asked for consent again. Connections go on with their refresh tokens, but for those \
             that were refreshed since the backup: their apps have to connect again.",
        );
        let (void_secrets, void_passwords) = (asked.void_secrets, asked.void_passwords);
        output.say(&left_to_do("client secrets", "--void-secrets", void_secrets, &secrets));
        output.say(&left_to_do("passwords", "--void-passwords", void_passwords, &passwords));
        if !narrowed.is_empty() && !asked.disable_narrowed {
            output.say(&format!(
                "Redirect URIs or scopes that were taken from these clients since are there again; \
                 --disable-narrowed switches the clients off: {}",
                listed(&narrowed)
            ));
        }
        if !factors.is_empty() {
            output.say(&format!(
                "These people lost their second factor since, so it and their password are void: \
                 they ask for a new password at the portal's /forgotten: {}",
                listed(&factors)
            ));
        }
        Ok(())
    }

    fn lines(&self) -> String {
        let done = &self.done;
        let mut lines = vec![
            ("backup", format!("{} of {}", self.header.id, time(self.header.created_at))),
            ("database", self.database.clone()),
        ];
        lines.extend(self.kept.as_ref().map(|kept| ("kept", shown(kept))));
        lines.push(("epoch", self.epoch.to_string()));
        lines.push(("journal_until", time_or_never(self.journaled.until)));
        lines.extend(self.journaled.why_not.clone().map(|why| ("journal_gap", why)));
        let numbers = [
            ("ended again", done.connections_ended_again, "connections"),
            ("ended again", done.consents_ended_again, "consents with their connections"),
            ("ended again", done.clients_ended_again, "times all connections of a client"),
            ("ended again", done.customers_ended_again, "times all connections of a customer"),
            ("ended", done.public_clients_ended, "public clients' connections"),
            ("ended", done.all_clients_ended, "clients' connections"),
            ("voided", done.secrets_voided, "clients' secrets"),
            ("voided", done.passwords_voided, "passwords"),
            ("voided", done.factors_ended_again, "second factors, with their passwords"),
            ("voided", done.recovery_codes_voided, "people's recovery codes"),
            ("switched off", done.webhooks_switched_off, "webhooks"),
            ("switched off", done.narrowed_clients_disabled, "clients that were narrowed"),
        ];
        lines.extend(
            numbers
                .iter()
                .filter(|(_, number, _)| *number > 0)
                .map(|(name, number, what)| (*name, format!("{number} {what}"))),
        );
        aligned(&lines)
    }
}

fn left_to_do(what: &str, flag: &str, voided: bool, changed: &BTreeSet<String>) -> String {
    if voided {
        return match what {
            "passwords" => "Voided passwords: `grantor customer set-password` sets new ones.",
            _ => "Voided client secrets: `grantor client add-secret` makes new ones.",
        }
        .to_owned();
    }
    let mut words = format!(
        "The {what} that were changed since the backup are the old ones; {flag} voids them."
    );
    if !changed.is_empty() {
        words.push_str(&format!(" Changed, as far as is known: {}", listed(changed)));
    }
    words
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

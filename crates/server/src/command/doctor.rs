//! `grantor doctor`: looks at an installation, and says plainly what is well and what is not. It
//! changes nothing but the one row that proves that the database takes writes.
//!
//! Each check is a line: `ok`, `note` for what somebody should know, or `fault` with what to do. A
//! check that stands on one that failed is left out.

use std::path::Path;

use serde::Serialize;

use super::Failure;
use super::output::{Output, aligned, print};
use super::place::ConfigFile;
use crate::clock::Clock;
use crate::config::Config;
use crate::journal::{self, JournalFault};
use crate::keys::{Keys, KeysError};
use crate::master_key::MasterKey;
use crate::store::{Store, schema_version};

/// Clocks may be that far apart, in seconds.
const CLOCKS_APART_SECONDS: i64 = 2;
/// Mail and webhooks that wait longer than that are no tail of a busy hour, in seconds.
const BACKLOG_SECONDS: i64 = 3600;

/// The arguments of `grantor doctor`.
#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"well\",\"checks\":[{\"check\",\"state\",\"words\",\"hint\"}]}, each state ok, note or fault.\n\
                  Exit codes: 0 where nothing is at fault, 1 otherwise."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    output: Output,
}

/// What was found.
#[derive(Default, Serialize)]
struct Report {
    /// Whether nothing is at fault.
    well: bool,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    check: &'static str,
    state: State,
    words: String,
    hint: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Note,
    Fault,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut report = Report::default();
    report.look(&arguments.config.path).await;
    let faults = report.checks.iter().filter(|check| check.state == State::Fault).count();
    report.well = faults == 0;
    match arguments.output.json {
        true => arguments.output.data(&report, |_| String::new())?,
        false => print(&report.lines())?,
    }
    match faults {
        0 => Ok(()),
        1 => Err(Failure::mendable("one check found a fault")),
        faults => Err(Failure::mendable(format!("{faults} checks found a fault"))),
    }
}

impl Report {
    async fn look(&mut self, path: &Path) {
        let config = match Config::read(path) {
            Ok(config) => config,
            Err(error) => {
                let hint = error.faults.first().and_then(|fault| fault.hint.clone());
                return self.fault("configuration", error.to_string(), hint);
            }
        };
        self.ok("configuration", format!("{} can be used", path.display()));
        self.addresses(&config);
        self.mail(&config);
        self.journal(&config);
        let master_key = MasterKey::read(&config.master_key_file);
        match &master_key {
            Ok(key) => self.ok("master key", format!("{} can be read", key.id())),
            Err(error) => self.fault("master key", error.to_string(), None),
        }
        let Some(store) = self.database(&config).await else { return };
        if let Ok(master_key) = master_key {
            self.keys(&store, &master_key).await;
        }
        let now = Clock::system().now();
        self.clock(&store, now).await;
        self.writable(&store, now).await;
        self.audit(&store).await;
        self.outbox(&store, now).await;
    }

    fn addresses(&mut self, config: &Config) {
        let plain = config.issuers().filter(|issuer| issuer.base_url.starts_with("http://"));
        let plain: Vec<&str> = plain.map(|issuer| issuer.base_url.as_str()).collect();
        // Elsewhere than on this machine a configuration with http is refused as a whole.
        match plain.is_empty() {
            true => self.ok("base URLs", "all are https".to_owned()),
            false => self.note(
                "base URLs",
                &format!("{} is plain http, for a try on this machine alone", plain.join(", ")),
                Some("partners need https in base_url, with a certificate or a proxy that has one"),
            ),
        }
    }

    fn mail(&mut self, config: &Config) {
        let hint = "add [mail] to the configuration";
        match (&config.mail, &config.portal) {
            (Some(_), _) => self.ok("mail", "[mail] names who carries it".to_owned()),
            (None, Some(_)) => self.fault(
                "mail",
                "there is a portal, and nobody carries its mail: nobody can sign up".to_owned(),
                Some(hint.to_owned()),
            ),
            (None, None) => {
                let words = "nobody carries it: a customer's forgotten password is yours to set";
                self.note("mail", words, Some(hint));
            }
        }
    }

    fn journal(&mut self, config: &Config) {
        let path = config.journal_file.display();
        match journal::read(&config.journal_file).fault {
            None => self.ok("journal", format!("{path} is whole")),
            Some(JournalFault::Missing) => {
                self.note("journal", "there is none yet", Some("a server makes it at its start"));
            }
            Some(fault) => self.fault(
                "journal",
                format!("{path}: {fault}"),
                Some(
                    "take a backup now: a restore of an older one could not tell what ended"
                        .to_owned(),
                ),
            ),
        }
    }

    /// The database is opened only where its schema is the one of this program: a look must not
    /// bring it up to date.
    async fn database(&mut self, config: &Config) -> Option<Store> {
        let address = match config.database() {
            Ok(address) => address,
            Err(error) => {
                self.fault("database", error.to_string(), None);
                return None;
            }
        };
        if address.file().is_some_and(|file| !file.exists()) {
            self.note("database", "there is none yet", Some("`grantor serve` makes it"));
            return None;
        }
        let found = match schema_version(&address).await {
            Ok(found) => found,
            Err(error) => {
                let hint = "look at `store` in the configuration, and whether the database runs";
                self.fault("database", error.to_string(), Some(hint.to_owned()));
                return None;
            }
        };
        if found.version < found.known {
            let words = format!(
                "it has schema version {}, and this program {}",
                found.version, found.known
            );
            self.note("schema", &words, Some("`grantor serve` brings it up to date at its start"));
            return None;
        }
        match Store::open(&address, &Clock::system()).await {
            Ok(store) => {
                self.ok("database", format!("{address} answers"));
                self.ok("schema", format!("version {}", found.version));
                Some(store)
            }
            Err(error) => {
                self.fault("database", error.to_string(), None);
                None
            }
        }
    }

    async fn keys(&mut self, store: &Store, master_key: &MasterKey) {
        match Keys::check(store, master_key).await {
            Ok(()) => self.ok("keys", "every key of every issuer opens".to_owned()),
            Err(KeysError::NotInstalled) => {
                self.note("keys", "the database has none yet", Some("`grantor serve` makes them"));
            }
            Err(error) => {
                let hint =
                    "the master key and the database have to be a pair: put the right one back";
                self.fault("keys", error.to_string(), Some(hint.to_owned()));
            }
        }
    }

    async fn clock(&mut self, store: &Store, now: i64) {
        match store.newest_time().await {
            Ok(newest) if newest > now + CLOCKS_APART_SECONDS => self.fault(
                "clock",
                format!("this machine is {} seconds behind what was written last", newest - now),
                Some("set the clock, here or where the other server runs".to_owned()),
            ),
            Ok(_) => self.ok("clock", "nothing in the database is of the future".to_owned()),
            Err(error) => self.fault("clock", error.to_string(), None),
        }
    }

    async fn writable(&mut self, store: &Store, now: i64) {
        match store.installation().await {
            Ok(None) => {}
            _ => match store.prove_write(now).await {
                Ok(()) => self.ok("writing", "the database takes writes".to_owned()),
                Err(error) => {
                    let hint = "look at its disk, and whether it is a replica";
                    self.fault("writing", error.to_string(), Some(hint.to_owned()));
                }
            },
        }
    }

    async fn audit(&mut self, store: &Store) {
        match store.audit_fault().await {
            Ok((None, looked_at)) => {
                self.ok("audit log", format!("{looked_at} entries, each follows the one before"));
            }
            Ok((Some(number), good)) => self.fault(
                "audit log",
                format!(
                    "entry {number} is not what was written, or one before it is missing; the first \
                     {good} are good"
                ),
                Some("somebody changed the database by hand: compare it with a backup".to_owned()),
            ),
            Err(error) => self.fault("audit log", error.to_string(), None),
        }
    }

    async fn outbox(&mut self, store: &Store, now: i64) {
        match store.outbox_backlog().await {
            Ok((waiting, Some(oldest))) if oldest < now - BACKLOG_SECONDS => self.fault(
                "outbox",
                format!("{waiting} messages wait, the oldest for {} minutes", (now - oldest) / 60),
                Some("the server's log says `outbox` and what was wrong with each try".to_owned()),
            ),
            Ok((waiting, _)) => self.ok("outbox", format!("{waiting} messages wait")),
            Err(error) => self.fault("outbox", error.to_string(), None),
        }
    }

    fn ok(&mut self, check: &'static str, words: String) {
        self.checks.push(Check { check, state: State::Ok, words, hint: None });
    }

    fn note(&mut self, check: &'static str, words: &str, hint: Option<&str>) {
        let (words, hint) = (words.to_owned(), hint.map(str::to_owned));
        self.checks.push(Check { check, state: State::Note, words, hint });
    }

    fn fault(&mut self, check: &'static str, words: String, hint: Option<String>) {
        self.checks.push(Check { check, state: State::Fault, words, hint });
    }

    fn lines(&self) -> String {
        let mut lines = Vec::new();
        for check in &self.checks {
            let state = match check.state {
                State::Ok => "ok   ",
                State::Note => "note ",
                State::Fault => "fault",
            };
            // One text may have lines of its own, such as each fault of a configuration.
            for (at, words) in check.words.lines().enumerate() {
                let name =
                    if at == 0 { format!("{state}  {}", check.check) } else { String::new() };
                lines.push((name, words.to_owned()));
            }
            lines.extend(check.hint.iter().map(|hint| (String::new(), format!("hint: {hint}"))));
        }
        let pairs: Vec<(&str, String)> =
            lines.iter().map(|(name, words)| (name.as_str(), words.clone())).collect();
        aligned(&pairs)
    }
}

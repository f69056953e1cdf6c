//! Which store a command is about: the one of a configuration, or the one of `grantor dev`.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use grantor_protocol::environment::Environment;

use super::{Failure, dev};
use crate::clock::Clock;
use crate::config::Config;
use crate::journal::Journal;
use crate::random::Random;
use crate::store::{Act, Address, ClientRecord, Store};
use crate::webhook::{Event, Notice};

/// The database of a folder of `grantor dev`.
const DEV_DATABASE: &str = "grantor.db";
/// The master key of a folder of `grantor dev`.
const DEV_MASTER_KEY: &str = "master.key";

/// Where the data is.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Place {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// A data folder of `grantor dev`, in the place of any configuration
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
}

/// Which configuration.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct ConfigFile {
    /// The configuration
    #[arg(
        long = "config",
        value_name = "FILE",
        env = "GRANTOR_CONFIG",
        default_value = "grantor.toml"
    )]
    pub(super) path: PathBuf,
}

/// A store that is open, with the time and the randomness for what is done in it.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) random: Random,
}

/// The environment that a command is about.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct In {
    /// staging or production
    #[arg(long, value_parser = environment_parser())]
    pub(super) environment: Environment,
}

impl Opened {
    /// What the partner of a client is told, now.
    pub(super) fn notice(&self, environment: Environment, client_id: &str, event: Event) -> Notice {
        Notice::new((&self.clock, &self.random), environment, client_id, event)
    }

    /// The entry of the audit log for what an operator does now by a command, as `grantor partner`.
    /// Whom it concerns is the caller's to say: they see it in the portal. The detail holds no secret.
    pub(super) fn act(&self, command: &str, name: &'static str, detail: String) -> Act {
        Act {
            at: self.clock.now(),
            actor: format!("{command} (operator)"),
            actor_id: None,
            act: name,
            partner_id: None,
            client_id: None,
            detail,
            mails: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// The same about a client, for its partner too.
    pub(super) fn act_about(
        &self,
        (command, name): (&str, &'static str),
        record: &ClientRecord,
        detail: String,
    ) -> Act {
        Act {
            partner_id: Some(record.partner_id),
            client_id: Some(record.client.id.clone()),
            ..self.act(command, name, detail)
        }
    }
}

impl Place {
    /// Opens the store. A configuration's own database is made where there is none yet; a folder
    /// of dev has to have one.
    pub(super) async fn open(&self) -> Result<Opened, Failure> {
        let database = match &self.data {
            Some(folder) => {
                let database = folder.join(DEV_DATABASE);
                if !database.exists() {
                    return Err(Failure::mendable(format!("there is no {}", database.display()))
                        .hint("`grantor dev --data DIR` makes it; for a configured server use --config"));
                }
                Address::Sqlite(database)
            }
            None => return open_configured(&Config::read(&self.config.path)?).await,
        };
        let clock = Clock::system();
        let store = open_store(&database, &clock).await?;
        Ok(Opened { store, clock, random: Random::system() })
    }

    /// Where the portal of this store is, or was the last time that dev served it; `None` where there
    /// is none, or dev did not say.
    pub(super) fn portal_url(&self) -> Result<Option<String>, Failure> {
        match &self.data {
            Some(folder) => Ok(dev::portal_url(folder)),
            None => {
                let portal = Config::read(&self.config.path)?.portal;
                Ok(portal.map(|portal| portal.issuer.base_url))
            }
        }
    }

    /// Where the master key of this store stands.
    pub(super) fn master_key_file(&self) -> Result<PathBuf, Failure> {
        match &self.data {
            Some(folder) => Ok(folder.join(DEV_MASTER_KEY)),
            None => Ok(Config::read(&self.config.path)?.master_key_file),
        }
    }
}

/// Opens the store of a configuration with its journal. The journal comes first: a restore holds it
/// while it changes the database for another, and whoever had opened the old one would go on in it.
pub(super) async fn open_configured(config: &Config) -> Result<Opened, Failure> {
    let (clock, random) = (Clock::system(), Random::system());
    let journal = Journal::open(&config.journal_file, &clock, &random)?;
    let store = open_store(&config.database()?, &clock).await?.with_journal(journal);
    Ok(Opened { store, clock, random })
}

/// Opens a database, and makes a new file so that only its owner can read it: it holds addresses
/// and password hashes. SQLite gives the files beside it the same mode.
async fn open_store(address: &Address, clock: &Clock) -> Result<Store, Failure> {
    if let Some(file) = address.file() {
        make(file)?;
    }
    Ok(Store::open(address, clock).await?)
}

fn make(database: &Path) -> Result<(), Failure> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(database);
    match made {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(Failure::mendable(format!(
                "the database {} cannot be made",
                database.display()
            ))
            .because(&error));
        }
    }
    Ok(())
}

/// Takes the name of an environment.
pub(super) fn environment_parser() -> impl clap::builder::TypedValueParser<Value = Environment> {
    one_of(Environment::ALL)
}

/// Takes the name of an environment, or the portal: whatever has keys.
pub(super) fn issuer_parser() -> impl clap::builder::TypedValueParser<Value = Environment> {
    one_of(Environment::ISSUERS)
}

fn one_of<const N: usize>(
    environments: [Environment; N],
) -> impl clap::builder::TypedValueParser<Value = Environment> {
    use clap::builder::TypedValueParser as _;
    clap::builder::PossibleValuesParser::new(environments.map(Environment::as_str))
        .try_map(|name| Environment::parse(&name).ok_or("no environment of this name"))
}

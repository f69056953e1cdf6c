//! `grantor serve`: the server that a configuration describes.
//!
//! 1. the configuration and the master key are read; without the right key nothing starts (D8);
//! 2. the store is opened, and refused where anything in it is dev's (S26);
//! 3. each environment becomes a site, each address a listener, and all of them are bound;
//! 4. one line `ready` for each environment, and requests are served until SIGTERM.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;

use super::Failure;
use super::output::Output;
use super::place::{self, ConfigFile};
use crate::clock::Clock;
use crate::config::{Config, EnvironmentConfig};
use crate::keys::Keys;
use crate::listener::{self, Bound, Listener, Socket};
use crate::log;
use crate::master_key::MasterKey;
use crate::metrics::{Exposition, SiteMetrics};
use crate::password::Passwords;
use crate::random::Random;
use crate::site::Site;
use crate::store::{Address, Store};
use crate::usage::Usage;

/// The arguments of `grantor serve`.
#[derive(clap::Args)]
#[command(
    after_help = "With --json: one line once it is ready, {\"environments\":[{\"name\",\"base_url\",\"listen\"}]}"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    output: Output,
}

/// What `--json` prints once the server is ready.
#[derive(Serialize)]
struct Ready {
    environments: Vec<ReadyEnvironment>,
}

#[derive(Serialize)]
struct ReadyEnvironment {
    name: &'static str,
    base_url: String,
    listen: SocketAddr,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let config = Config::read(&arguments.config.path)?;
    let _log = log::start(config.log_format)?;
    // Before anything is opened: a signal from here on ends what was begun, and not the process.
    let asked_to_stop = listener::asked_to_stop()?;
    let clock = Clock::system();
    let random = Random::system();
    let database = config.database()?;
    let master_key = master_key(&config, &database, &clock).await?;
    let store = place::open_store(&database, &clock).await?;
    let keys = Keys::open(&store, &master_key, &clock, &random).await?;
    refuse_demo(&store, &database).await?;

    let passwords = Passwords::start(password_threads(), random.clone())?;
    let make_site = |environment: &EnvironmentConfig| {
        Arc::new(Site {
            environment: environment.environment,
            base_url: environment.base_url.clone(),
            settings: environment.settings.clone(),
            store: store.clone(),
            sealer: keys.sealer(environment.environment),
            other_sealer: keys.sealer(environment.environment.other()),
            keys: keys.clone(),
            passwords: passwords.clone(),
            usage: Usage::default(),
            metrics: SiteMetrics::default(),
            clock: clock.clone(),
            random: random.clone(),
            dev: None,
        })
    };
    let mut sites = Vec::new();
    let mut bound = bind(&config, |environment| {
        let site = make_site(environment);
        sites.push(Arc::clone(&site));
        site
    })?;
    if let Some(address) = config.metrics_listen {
        let exposition = Exposition { sites, store, passwords, started_at: clock.now() };
        bound.push(Bound::page(Socket::bind(address)?, exposition.router()));
    }
    announce(&config, arguments.output)?;
    listener::serve(bound, asked_to_stop).await?;
    Ok(())
}

/// One listener for each address.
fn bind(
    config: &Config,
    mut make_site: impl FnMut(&EnvironmentConfig) -> Arc<Site>,
) -> Result<Vec<Bound>, Failure> {
    let mut listeners: BTreeMap<SocketAddr, Listener> = BTreeMap::new();
    for environment in &config.environments {
        let listener = listeners.entry(environment.listen).or_insert_with(|| Listener {
            address: environment.listen,
            tls: environment.tls.clone(),
            trusted_proxies: environment.trusted_proxies.clone(),
            sites: Vec::new(),
        });
        listener.sites.push(make_site(environment));
    }
    listeners.into_values().map(|listener| Ok(listener.bind()?)).collect()
}

fn announce(config: &Config, output: Output) -> Result<(), Failure> {
    let mut ready = Ready { environments: Vec::new() };
    for environment in &config.environments {
        tracing::info!(
            environment = environment.environment.as_str(),
            base_url = environment.base_url,
            listen = %environment.listen,
            "ready"
        );
        ready.environments.push(ReadyEnvironment {
            name: environment.environment.as_str(),
            base_url: environment.base_url.clone(),
            listen: environment.listen,
        });
    }
    if let Some(address) = config.metrics_listen {
        tracing::info!(listen = %address, "metrics");
    }
    if output.json { output.data(&ready, |_| String::new()) } else { Ok(()) }
}

/// Reads the master key. Where it cannot be used, the database that exists says which it has to be.
async fn master_key(
    config: &Config,
    database: &Address,
    clock: &Clock,
) -> Result<MasterKey, Failure> {
    let error = match MasterKey::read(&config.master_key_file) {
        Ok(key) => return Ok(key),
        Err(error) => error,
    };
    let failure = Failure::from(error);
    if database.file().is_some_and(|file| !file.exists()) {
        return Err(failure);
    }
    let store = place::open_store(database, clock).await?;
    Err(match store.installation().await? {
        Some(installation) => failure.hint(format!(
            "the database {} belongs to the master key {}",
            database, installation.master_key_id
        )),
        None => failure,
    })
}

/// S26: the demo's words are known to everybody.
async fn refuse_demo(store: &Store, database: &Address) -> Result<(), Failure> {
    let found = store.demo_records().await?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::mendable(format!(
        "the database {} holds demo data, whose secrets everybody knows: {}",
        database,
        found.join(", ")
    ))
    .hint("`grantor dev` serves this database; for real use begin with `grantor init` in a new folder"))
}

/// Hashing takes a core each time: never all of them.
fn password_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, 4))
}

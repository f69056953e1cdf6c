//! `grantor serve`: the server that a configuration describes.
//!
//! 1. the configuration and the master key are read; without the right key nothing starts (D8);
//! 2. the journal of endings is opened, and then the store, which is refused where it was lost (D5)
//!    or anything in it is dev's (S26);
//! 3. each environment becomes a site, each address a listener, and all of them are bound;
//! 4. one line `ready` for each environment, and requests are served until SIGTERM.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Failure;
use super::output::Output;
use super::place::{self, ConfigFile, Opened};
use super::sites::Ground;
use crate::clock::Clock;
use crate::config::Config;
use crate::exposition::Exposition;
use crate::journal::{self, Mark};
use crate::keys::Keys;
use crate::listener::{self, Bound, Listener, Socket};
use crate::log;
use crate::mail::{Mailer, Smtp};
use crate::master_key::MasterKey;
use crate::outbound::{Outbound, Reach};
use crate::outbox::{Delivering, Outbox};
use crate::password::Passwords;
use crate::random::Random;
use crate::site::Site;
use crate::store::{Address, Store};

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
    let master_key = master_key(&config, &database).await?;
    let Opened { store, .. } = place::open_configured(&config).await?;
    refuse_lost(&store, &config).await?;
    let keys = Keys::open(&store, &master_key, &clock, &random).await?;
    refuse_demo(&store, &database).await?;

    let outbox = outbox(&config, (&store, &keys), &clock, &random)?;
    let passwords = Passwords::start(password_threads(), random.clone())?;
    let ground = Ground {
        store: store.clone(),
        keys,
        passwords: passwords.clone(),
        clock: clock.clone(),
        random,
        reach: Reach::Public,
    };
    let sites = ground.configured(&config);
    let mut bound = bind(&config, &sites)?;
    if let Some(address) = config.metrics_listen {
        let (store, started_at) = (store.clone(), clock.now());
        let exposition = Exposition { sites, store, passwords, started_at };
        bound.push(Bound::page(Socket::bind(address)?, exposition.router()));
    }
    mark(&store, Mark::Opened).await;
    let (asked_to_stop, delivering) = outbox.beside(asked_to_stop);
    announce(&config, arguments.output)?;
    let alive = tokio::spawn(say_alive(store.clone()));
    let served = listener::serve(bound, asked_to_stop).await;
    alive.abort();
    // What was under way had the same time as the requests.
    let _ = delivering.await;
    mark(&store, Mark::Closed).await;
    Ok(served?)
}

/// What delivers mail and webhooks beside the server.
fn outbox(
    config: &Config,
    (store, keys): (&Store, &Keys),
    clock: &Clock,
    random: &Random,
) -> Result<Outbox, Failure> {
    Ok(Outbox::new(Delivering {
        store: store.clone(),
        keys: keys.clone(),
        outbound: Outbound::new(Reach::Public, clock.clone()),
        mailer: mailer(config)?,
        clock: clock.clone(),
        random: random.clone(),
    }))
}

/// What carries mail out, where the configuration names it.
fn mailer(config: &Config) -> Result<Option<Mailer>, Failure> {
    let mailer = config.mail.as_ref().map(Smtp::new).transpose()?.map(Mailer::Smtp);
    if mailer.is_none() && config.portal.is_some() {
        tracing::warn!("mail: the portal's mail waits until [mail] names who carries it");
    }
    Ok(mailer)
}

/// The journal says until when it is whole: a restore shows it.
async fn say_alive(store: Store) {
    let mut every = tokio::time::interval(Duration::from_secs(journal::ALIVE_SECONDS));
    loop {
        every.tick().await;
        mark(&store, Mark::Alive).await;
    }
}

async fn mark(store: &Store, mark: Mark) {
    if let Some(journal) = store.journal()
        && let Err(error) = journal.mark(mark).await
    {
        tracing::error!(%error, "journal.mark");
    }
}

/// One listener for each address. The sites are those of the configuration, in its order.
fn bind(config: &Config, sites: &[Arc<Site>]) -> Result<Vec<Bound>, Failure> {
    let mut listeners: BTreeMap<SocketAddr, Listener> = BTreeMap::new();
    for (environment, site) in config.issuers().zip(sites) {
        let listener = listeners.entry(environment.listen).or_insert_with(|| Listener {
            address: environment.listen,
            tls: environment.tls.clone(),
            trusted_proxies: environment.trusted_proxies.clone(),
            sites: Vec::new(),
        });
        listener.sites.push(Arc::clone(site));
    }
    listeners.into_values().map(|listener| Ok(listener.bind()?)).collect()
}

fn announce(config: &Config, output: Output) -> Result<(), Failure> {
    let mut ready = Ready { environments: Vec::new() };
    for environment in config.issuers() {
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
async fn master_key(config: &Config, database: &Address) -> Result<MasterKey, Failure> {
    let error = match MasterKey::read(&config.master_key_file) {
        Ok(key) => return Ok(key),
        Err(error) => error,
    };
    let failure = Failure::from(error);
    if database.file().is_some_and(|file| !file.exists()) {
        return Err(failure);
    }
    let Opened { store, .. } = place::open_configured(config).await?;
    Err(match store.installation().await? {
        Some(installation) => failure.hint(format!(
            "the database {} belongs to the master key {}",
            database, installation.master_key_id
        )),
        None => failure,
    })
}

/// A server that was here before left its mark in the journal. Where the database is new then, the
/// one that was served is somewhere else, or lost: nobody wants to go on without it unawares.
async fn refuse_lost(store: &Store, config: &Config) -> Result<(), Failure> {
    if store.installation().await?.is_some()
        || !journal::read(&config.journal_file).says(&Mark::Opened)
    {
        return Ok(());
    }
    Err(Failure::mendable(format!(
        "the database {} is empty, and the journal {} tells of one that was served",
        config.store,
        config.journal_file.display()
    ))
    .hint("run `grantor restore`, or look at `store` in the configuration")
    .hint("to begin with an empty database, move the journal away"))
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

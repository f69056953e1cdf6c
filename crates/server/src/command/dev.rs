//! `grantor dev`: both environments on loopback with demo data, in one command.
//!
//! 1. open the data folder, or lay it;
//! 2. take the ports, so that the base URLs are known, and say so in the folder's mark;
//! 3. lay the demo data where it is missing, and tell the demo clients the port of their page;
//! 4. print what a newcomer needs next, and serve.
//!
//! Tokens are bound to the environment's name and not to its URL, so a restart on other ports keeps
//! them. Nothing but loopback is listened to: the demo's secrets are known to everybody.

mod mark;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use grantor_protocol::environment::Environment;
use serde_json::json;

use super::Failure;
use super::output::print;
use super::sites::Ground;
use crate::clock::Clock;
use crate::http::callback;
use crate::keys::Keys;
use crate::listener::{Listener, Socket, asked_to_stop, serve};
use crate::logo::Logos;
use crate::mail::Mailer;
use crate::master_key::MasterKey;
use crate::outbound::{Outbound, Reach};
use crate::outbox::{Delivering, Outbox};
use crate::password::Passwords;
use crate::programme::scope;
use crate::random::Random;
use crate::site::{Dev, Portal, Registration, Settings, SignUp, Site};
use crate::store::{Address, Store};
use crate::throttle::Limits;
use crate::{demo, log};

/// What a data folder holds, and all that `--reset` removes.
const FILES: [&str; 4] = ["grantor.db", "grantor.db-wal", "grantor.db-shm", "master.key"];

/// Everybody is on this machine, so an address says nothing: what belongs to one has a hundred times
/// the usual room.
const LIMITS: Limits = Limits {
    failures_per_address: 100 * Limits::USUAL.failures_per_address,
    registrations_per_address: 100 * Limits::USUAL.registrations_per_address,
    mails_per_name: 100 * Limits::USUAL.mails_per_name,
    ..Limits::USUAL
};

/// The port of staging, where no other is named.
const USUAL_PORT: u16 = 8300;
/// How far from it the portal's port is.
const PORTAL_OFFSET: u16 = 3;

/// The arguments of `grantor dev`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The port of staging; production, the demo client's page and the portal take the next three. 0
    /// takes free ones.
    #[arg(long, value_name = "N", default_value_t = USUAL_PORT)]
    port: u16,
    /// The loopback address to listen on: 127.0.0.1 or ::1.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    address: IpAddr,
    /// Where the data is kept.
    #[arg(long, value_name = "DIR", default_value = "grantor-data")]
    data: PathBuf,
    /// Start over: remove the data that is there.
    #[arg(long)]
    reset: bool,
    /// Print one line of JSON on standard output once it is ready.
    #[arg(long)]
    json: bool,
}

/// Runs until it is told to stop.
///
/// # Errors
/// [`Failure`]: an address that is not loopback, a port that is taken, a data folder that cannot be
/// used.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let _log = log::start(log::Format::Text)?;
    // The two literals that a redirect URI may name (RFC 8252 7.3).
    if ![IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)]
        .contains(&arguments.address)
    {
        return Err(Failure::mendable(format!(
            "{} is neither 127.0.0.1 nor ::1, and the demo's secrets are known to everybody",
            arguments.address
        ))
        .hint(
            "for other addresses make a data folder with `grantor init` and use `grantor serve`",
        ));
    }
    let Opened { ground, claim } = Opened::open(&arguments.data, arguments.reset).await?;
    let stop = asked_to_stop()?;
    let mut sockets = Vec::new();
    for offset in 0..Environment::ALL.len() {
        sockets.push(Socket::bind(arguments.socket(offset)?)?);
    }
    let page = Socket::bind(arguments.socket(Environment::ALL.len())?)?;
    let portal = Socket::bind(arguments.socket(Environment::ALL.len() + 1)?)?;
    let portal_url = format!("http://{}", portal.address());
    let mut served = vec![(Environment::Portal, portal.address())];
    let mut sites = Vec::new();
    let mut listeners = Vec::new();
    for (socket, environment) in sockets.into_iter().zip(Environment::ALL) {
        let redirect_uri = callback::redirect_uri(environment, page.address());
        let dev = Dev { redirect_uri: redirect_uri.clone() };
        let place = (environment, socket.address());
        served.push(place);
        let site = Arc::new(site(&ground, place, (dev, None), &portal_url));
        demo::lay(&site, &redirect_uri).await?;
        listeners.push(plain(&site).on(socket)?);
        sites.push(site);
    }
    let programme =
        Portal { environments: sites.clone(), sign_up: SignUp::Open, logos: Logos::default() };
    let place = (Environment::Portal, portal.address());
    let dev = Dev { redirect_uri: String::new() };
    let portal_site = Arc::new(site(&ground, place, (dev, Some(programme)), &portal_url));
    demo::lay_portal(&portal_site).await?;
    demo::lay_api_clients(&portal_site).await?;
    listeners.push(plain(&portal_site).on(portal)?);
    mark::note_served(&claim, &served)?;
    let outbox = outbox(&ground);
    let page = page.into_tokio()?;
    let pages = axum::serve(page, callback::router(sites.clone()));
    announce(&sites, &portal_url, &arguments)?;
    let (stop, _delivering) = outbox.beside(stop);
    tokio::select! {
        served = serve(listeners, stop) => Ok(served?),
        ended = pages.into_future() => Ok(ended?),
    }
}

impl Arguments {
    fn socket(&self, offset: usize) -> Result<SocketAddr, Failure> {
        let port = match self.port {
            0 => 0,
            first => u16::try_from(usize::from(first) + offset).map_err(|_| {
                Failure::mendable(format!("there are not four ports from {first} on"))
                    .hint("choose a port up to 65532, or 0 for free ones")
            })?,
        };
        Ok(SocketAddr::new(self.address, port))
    }
}

/// A data folder that is open.
struct Opened {
    ground: Ground,
    /// Held for as long as this process lives.
    claim: fs::File,
}

impl Opened {
    async fn open(folder: &Path, reset: bool) -> Result<Opened, Failure> {
        let (clock, random) = (Clock::system(), Random::system());
        let refused = |error: &std::io::Error| {
            Failure::mendable(format!("the data folder {} cannot be used", folder.display()))
                .because(error)
                .hint("choose another with --data DIR")
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| refused(&error))?;
        let claim = mark::claim(folder)?;
        if reset {
            for file in FILES {
                match fs::remove_file(folder.join(file)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(refused(&error));
                    }
                    _ => {}
                }
            }
        }
        let (database, key) = (folder.join("grantor.db"), folder.join("master.key"));
        // The key comes first: a database without its key could never be opened again.
        if !key.exists() && !database.exists() {
            MasterKey::generate(&random).write(&key)?;
        }
        let master_key = MasterKey::read(&key).map_err(start_over)?;
        let store = Store::open(&Address::Sqlite(database), &clock).await?;
        let keys = Keys::open(&store, &master_key, &clock, &random).await.map_err(start_over)?;
        let passwords = Passwords::start(2, random.clone())?;
        let reach = Reach::ThisMachine;
        let ground = Ground { store, keys, passwords, clock, random, reach };
        Ok(Opened { ground, claim })
    }
}

/// Mail stays where it is, to be read on a page; webhooks reach this machine.
fn outbox(ground: &Ground) -> Outbox {
    Outbox::new(Delivering {
        store: ground.store.clone(),
        keys: ground.keys.clone(),
        outbound: Outbound::new(Reach::ThisMachine, ground.clock.clone()),
        mailer: Some(Mailer::Mailbox),
        clock: ground.clock.clone(),
        random: ground.random.clone(),
    })
}

/// The site of an environment on this machine.
fn site(
    ground: &Ground,
    (environment, address): (Environment, SocketAddr),
    (dev, portal): (Dev, Option<Portal>),
    portal_url: &str,
) -> Site {
    let base_url = format!("http://{address}");
    let settings = match environment {
        Environment::Staging | Environment::Production => Settings {
            registration: Registration::Open,
            registration_scopes: demo::client_scopes(),
            apis: demo::apis(&base_url),
            client_id_metadata_documents: true,
            throttling: LIMITS,
            mail: true,
            ..Settings::default()
        },
        Environment::Portal => Settings {
            parameters_in_query: false,
            throttling: LIMITS,
            apis: scope::apis(&base_url),
            mail: true,
            ..Settings::default()
        },
    };
    let site = ground.site((environment, &base_url), settings, Some(portal_url));
    Site { dev: Some(dev), portal, ..site }
}

/// The portal of a data folder, for commands: as it is served, or was the last time, or else as it would
/// be from the usual ports.
pub(super) fn portal(ground: &Ground, folder: &Path) -> Arc<Site> {
    let address = |offset: u16, environment| {
        let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, USUAL_PORT + offset));
        mark::served(folder, environment).unwrap_or(usual)
    };
    let place = (Environment::Portal, address(PORTAL_OFFSET, Environment::Portal));
    let portal_url = format!("http://{}", place.1);
    let no_page = || Dev { redirect_uri: String::new() };
    let environments = (0..).zip(Environment::ALL).map(|(offset, environment)| {
        let place = (environment, address(offset, environment));
        Arc::new(site(ground, place, (no_page(), None), &portal_url))
    });
    let environments = environments.collect();
    let programme = Portal { environments, sign_up: SignUp::Open, logos: Logos::default() };
    Arc::new(site(ground, place, (no_page(), Some(programme)), &portal_url))
}

/// Where the portal of a data folder is served, or was the last time; `None` where that is not known.
pub(super) fn portal_url(folder: &Path) -> Option<String> {
    mark::served(folder, Environment::Portal).map(|address| format!("http://{address}"))
}

/// A listener on this machine alone.
fn plain(site: &Arc<Site>) -> Listener {
    Listener {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        tls: None,
        trusted_proxies: Vec::new(),
        sites: vec![Arc::clone(site)],
    }
}

fn start_over(error: impl Into<Failure>) -> Failure {
    error.into().hint("the demo data can be made anew: grantor dev --reset")
}

/// Data goes to standard output and words to standard error; without `--json` the words are what
/// was asked for. Whoever reads no further, as `head` does, ends no server.
fn announce(sites: &[Arc<Site>], portal_url: &str, arguments: &Arguments) -> Result<(), Failure> {
    if arguments.json {
        let environments: Vec<_> = sites.iter().map(|site| environment_json(site)).collect();
        let ready = json!({
            "environments": environments,
            "portal_url": portal_url,
            "api_clients": api_clients_json(),
        });
        return print(&ready.to_string());
    }
    let environments: Vec<_> = sites.iter().map(|site| environment_words(site)).collect();
    print(&format!(
        "Grantor is ready. Both environments are for development on this machine alone.\n{}\n\
         portal  {portal_url}\n\
         \x20 developer      {developer}  {password}\n\
         \x20 manager        {manager}  {password}\n\n\
         The data is in {}. Ctrl-C stops; --reset starts over.",
        environments.concat(),
        arguments.data.display(),
        developer = demo::DEVELOPER_EMAIL,
        manager = demo::MANAGER_EMAIL,
        password = demo::PASSWORD,
    ))
}

/// What scripts call the portal's API with.
fn api_clients_json() -> serde_json::Value {
    json!([
        {
            "acts_as": "owner",
            "client_id": demo::client_id(Environment::Portal),
            "client_secret": demo::client_secret(Environment::Portal),
        },
        {
            "acts_as": "manager",
            "client_id": demo::COMPANY_CLIENT_ID,
            "client_secret": demo::COMPANY_CLIENT_SECRET,
        },
    ])
}

fn environment_json(site: &Site) -> serde_json::Value {
    json!({
        "name": site.environment.as_str(),
        "base_url": site.base_url,
        "client_id": demo::client_id(site.environment),
        "client_secret": demo::client_secret(site.environment),
        "redirect_uri": site.dev.as_ref().map(|dev| &dev.redirect_uri),
        "scopes": demo::SCOPES.split(' ').collect::<Vec<_>>(),
        "customer": { "email": demo::CUSTOMER_EMAIL, "password": demo::PASSWORD },
    })
}

fn environment_words(site: &Site) -> String {
    let redirect_uri = site.dev.as_ref().map(|dev| dev.redirect_uri.as_str());
    let command = demo::token_command(site, "CODE").unwrap_or_default();
    let command: Vec<String> = command.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "\n{environment}  {base_url}\n\
        \x20 client id      {client_id}\n\
        \x20 client secret  {client_secret}\n\
        \x20 redirect URI   {redirect_uri}\n\
        \x20 customer       {email}  {password}\n\n\
        \x20 1. Open this, sign in and allow:\n\n\
        \x20 {authorize_url}\n\n\
        \x20 2. The page that follows shows the code and this command, filled in:\n\n\
        {command}\n\
        \x20 3. Call the API with the access token that it answers:\n\n\
        \x20 curl -sS -H 'Authorization: Bearer ACCESS_TOKEN' '{base_url}/f/data/businesses'\n",
        environment = site.environment,
        base_url = site.base_url,
        client_id = demo::client_id(site.environment),
        client_secret = demo::client_secret(site.environment),
        redirect_uri = redirect_uri.unwrap_or_default(),
        email = demo::CUSTOMER_EMAIL,
        password = demo::PASSWORD,
        authorize_url = demo::authorize_url(site).unwrap_or_default(),
        command = command.concat(),
    )
}

//! A real environment to send requests to: its routes, with a database of its own, the demo data, and
//! a browser in which the demo customer is signed in.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use grantor::clock::Clock;
use grantor::demo;
use grantor::http::router;
use grantor::keys::Keys;
use grantor::master_key::MasterKey;
use grantor::metrics::SiteMetrics;
use grantor::outbound::{Outbound, Reach};
use grantor::password::Passwords;
use grantor::random::Random;
use grantor::request_log::RequestLog;
use grantor::site::{Dev, Settings, Site};
use grantor::store::{Address, NewSession, Store};
use grantor::throttle::{Limits, Throttle};
use grantor::trials::Trials;
use grantor::usage::Usage;
use grantor_protocol::environment::Environment;
use tokio::runtime::Runtime;

/// Its base URL; nothing listens there.
pub const BASE_URL: &str = "http://127.0.0.1:8300";
/// Where the codes of the demo client go.
pub const REDIRECT_URI: &str = "http://127.0.0.1:9/staging/callback";
/// What the cookie of the signed-in browser holds.
pub const SESSION: &str = "the-session-of-the-demo-customer-1234567890";
/// The clock stands still.
const NOW: i64 = 1_800_000_000;

type Failure = Box<dyn std::error::Error>;

/// An environment at work.
pub struct Target {
    pub runtime: Runtime,
    pub router: Router,
}

impl Target {
    /// Begins in a new folder, which is left to whoever removes `TMPDIR`.
    pub fn start() -> Result<Target, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let folder = tempfile::tempdir()?.keep();
        let site = Arc::new(runtime.block_on(site(&folder))?);
        runtime.block_on(sign_in(&site))?;
        let router = router(site);
        Ok(Target { runtime, router })
    }
}

async fn site(folder: &std::path::Path) -> Result<Site, Failure> {
    let (clock, random) = (Clock::manual(NOW), Random::system());
    let environment = Environment::Staging;
    let store = Store::open(&Address::Sqlite(folder.join("grantor.db")), &clock).await?;
    let keys = Keys::open(&store, &MasterKey::generate(&random), &clock, &random).await?;
    Ok(Site {
        environment,
        throttle: Throttle::new(
            store.clone(),
            environment,
            keys.sealer(environment),
            clock.clone(),
            Limits::default(),
        ),
        base_url: BASE_URL.to_owned(),
        settings: Settings { apis: demo::apis(BASE_URL), ..Settings::default() },
        store,
        sealer: keys.sealer(environment),
        other_sealer: keys.sealer(environment.other()),
        signer: keys.signer(environment),
        keys,
        passwords: Passwords::start(1, random.clone())?,
        usage: Usage::default(),
        metrics: SiteMetrics::default(),
        outbound: Outbound::new(Reach::Public, clock.clone()),
        clock,
        random,
        dev: Some(Dev { redirect_uri: REDIRECT_URI.to_owned() }),
        request_log: RequestLog::default(),
        trials: Trials::of(environment),
        portal: None,
        portal_url: None,
    })
}

async fn sign_in(site: &Site) -> Result<(), Failure> {
    demo::lay(site, REDIRECT_URI).await?;
    let customer = site.store.credentials(site.environment, demo::CUSTOMER_EMAIL).await?;
    let customer = customer.ok_or("no demo customer")?;
    let session = NewSession {
        environment: site.environment,
        id_digest: digest(&SHA256, SESSION.as_bytes()).as_ref().try_into()?,
        customer_id: customer.customer_id,
        customer_counter: customer.counter,
        epoch: site.sealer.epoch(),
        signed_in_at: NOW,
        expires_at: NOW + 3600,
        password_hash: customer.password_hash,
    };
    site.store.begin_session(&session, None).await?;
    Ok(())
}

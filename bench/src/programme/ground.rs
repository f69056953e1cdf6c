//! What the programme stands on: the server's own store, opened beside it with the keys of the data
//! folder, and the table of its routes.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use grantor::clock::Clock;
use grantor::http::{Route, portal_routes};
use grantor::keys::Keys;
use grantor::logo::Logos;
use grantor::master_key::MasterKey;
use grantor::metrics::SiteMetrics;
use grantor::outbound::{Outbound, Reach};
use grantor::password::{Password, Passwords};
use grantor::random::Random;
use grantor::request_log::RequestLog;
use grantor::site::{Portal, Settings, SignUp, Site};
use grantor::store::{Act, Address, Store};
use grantor::throttle::{Limits, Throttle};
use grantor::trials::Trials;
use grantor::usage::Usage;
use grantor_protocol::environment::Environment;

use crate::database::Database;
use crate::failure::Failure;
use crate::server::{Installation, PASSWORD};

/// The store, the keys, and what draws and tells the time.
pub(super) struct Ground {
    pub(super) store: Store,
    pub(super) keys: Keys,
    pub(super) clock: Clock,
    pub(super) random: Random,
    /// Of the one password that everybody has.
    pub(super) password_hash: String,
    passwords: Passwords,
}

impl Ground {
    /// Opens it.
    pub(super) async fn open(
        installation: &Installation,
        database: &Database,
    ) -> Result<Ground, Failure> {
        let (clock, random) = (Clock::system(), Random::system());
        let address = Address::parse(&database.url(), Path::new("")).map_err(said)?;
        let master_key = MasterKey::read(&installation.master_key()).map_err(said)?;
        let store = Store::open(&address, &clock).await?;
        let keys = Keys::open(&store, &master_key, &clock, &random).await.map_err(said)?;
        let passwords = Passwords::start(1, random.clone());
        let passwords = passwords.map_err(Failure::io("no thread for passwords"))?;
        let password_hash = passwords.hash(Password::new(PASSWORD.to_owned())).await;
        let password_hash = password_hash.map_err(said)?;
        Ok(Ground { store, keys, clock, random, password_hash, passwords })
    }

    /// A new id, ordered by time.
    pub(super) fn id(&self) -> [u8; 16] {
        self.random.id(&self.clock)
    }

    /// Something that somebody does now, as the audit log notes it.
    pub(super) fn act(&self, actor: &str, act: &'static str, detail: impl Into<String>) -> Act {
        Act {
            at: self.clock.now(),
            actor: actor.to_owned(),
            actor_id: None,
            act,
            partner_id: None,
            client_id: None,
            detail: detail.into(),
            mails: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Every route of the portal, as its own table lists them.
    pub(super) fn routes(&self) -> Vec<Route> {
        portal_routes(&self.portal())
    }

    /// The portal, as far as its table asks for it.
    fn portal(&self) -> Arc<Site> {
        let environment = Environment::Portal;
        let (store, keys, clock) = (&self.store, &self.keys, &self.clock);
        let sealer = keys.sealer(environment);
        Arc::new(Site {
            environment,
            base_url: "http://127.0.0.1".to_owned(),
            settings: Settings::default(),
            store: store.clone(),
            sealer: Arc::clone(&sealer),
            other_sealer: Arc::clone(&sealer),
            signer: keys.signer(environment),
            keys: keys.clone(),
            throttle: Throttle::new(
                store.clone(),
                environment,
                sealer,
                clock.clone(),
                Limits::default(),
            ),
            passwords: self.passwords.clone(),
            usage: Usage::default(),
            request_log: RequestLog::default(),
            trials: Trials::of(environment),
            metrics: SiteMetrics::default(),
            outbound: Outbound::new(Reach::Public, clock.clone()),
            clock: clock.clone(),
            random: self.random.clone(),
            dev: None,
            portal: Some(Portal {
                environments: Vec::new(),
                sign_up: SignUp::Open,
                logos: Logos::default(),
            }),
            portal_url: None,
        })
    }
}

/// For `map_err`: in the words of the error.
pub(super) fn said(error: impl Error) -> Failure {
    Failure::said(error.to_string())
}

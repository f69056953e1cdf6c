//! The sites of an installation, as they are served, and as a command acts for them.

use std::sync::Arc;

use grantor_protocol::environment::Environment;

use crate::clock::Clock;
use crate::config::{Config, EnvironmentConfig, PortalConfig};
use crate::keys::Keys;
use crate::logo::Logos;
use crate::metrics::SiteMetrics;
use crate::outbound::{Outbound, Reach};
use crate::password::Passwords;
use crate::random::Random;
use crate::request_log::RequestLog;
use crate::site::{Portal, Settings, Site};
use crate::store::Store;
use crate::throttle::Throttle;
use crate::trials::Trials;
use crate::usage::Usage;

/// What all sites of an installation share.
pub(super) struct Ground {
    pub(super) store: Store,
    pub(super) keys: Keys,
    pub(super) passwords: Passwords,
    pub(super) clock: Clock,
    pub(super) random: Random,
    /// What its servers may call.
    pub(super) reach: Reach,
}

impl Ground {
    /// The site of an environment with that base URL, which is neither dev's nor the portal.
    pub(super) fn site(
        &self,
        (environment, base_url): (Environment, &str),
        settings: Settings,
        portal_url: Option<&str>,
    ) -> Site {
        let throttle = Throttle::new(
            self.store.clone(),
            environment,
            self.keys.sealer(environment),
            self.clock.clone(),
            settings.throttling,
        );
        Site {
            environment,
            base_url: base_url.to_owned(),
            settings,
            store: self.store.clone(),
            sealer: self.keys.sealer(environment),
            other_sealer: self.keys.sealer(environment.other()),
            signer: self.keys.signer(environment),
            keys: self.keys.clone(),
            throttle,
            passwords: self.passwords.clone(),
            usage: Usage::default(),
            request_log: RequestLog::default(),
            trials: Trials::of(environment),
            metrics: SiteMetrics::default(),
            outbound: Outbound::new(self.reach, self.clock.clone()),
            clock: self.clock.clone(),
            random: self.random.clone(),
            dev: None,
            portal: None,
            portal_url: portal_url.map(str::to_owned),
        }
    }

    /// The sites of a configuration, in the order of its issuers: the portal is the last.
    pub(super) fn configured(&self, config: &Config) -> Vec<Arc<Site>> {
        let portal_url = config.portal.as_ref().map(|portal| portal.issuer.base_url.as_str());
        let site = |issuer: &EnvironmentConfig| {
            let place = (issuer.environment, issuer.base_url.as_str());
            self.site(place, issuer.settings.clone(), portal_url)
        };
        let mut sites: Vec<Arc<Site>> =
            config.environments.iter().map(|environment| Arc::new(site(environment))).collect();
        if let Some(PortalConfig { issuer, sign_up, .. }) = &config.portal {
            let environments = sites.clone();
            let portal = Portal { environments, sign_up: *sign_up, logos: Logos::default() };
            sites.push(Arc::new(Site { portal: Some(portal), ..site(issuer) }));
        }
        sites
    }
}

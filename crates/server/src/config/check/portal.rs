//! The portal of partners and their managers: `[portal]`.

use grantor_protocol::environment::Environment;
use toml::Spanned;

use super::{Check, Place, Placed};
use crate::config::file::PortalSection;
use crate::programme::scope;
use crate::site::{Settings, SignUp};

impl Check<'_> {
    pub(super) fn portal(&mut self, section: PortalSection) -> Option<(Placed, SignUp)> {
        let sign_up = self.sign_up(section.sign_up.as_ref());
        let usual = Settings::default();
        let settings = Settings {
            session_ttl_seconds: self
                .seconds(section.session_ttl_seconds.as_ref(), 60..=90 * 24 * 3600)
                .unwrap_or(usual.session_ttl_seconds),
            throttling: self.throttling(&section.throttling),
            // What was never offered here need not be taken: parameters stand in the body.
            parameters_in_query: false,
            ..usual
        };
        let place = Place {
            base_url: section.base_url,
            listen: section.listen,
            tls: section.tls,
            trusted_proxies: section.trusted_proxies,
        };
        let mut placed = self.placed(Environment::Portal, &place, settings)?;
        placed.config.settings.apis = scope::apis(&placed.config.base_url);
        Some((placed, sign_up?))
    }

    fn sign_up(&mut self, named: Option<&Spanned<String>>) -> Option<SignUp> {
        match named.map(|named| (named.get_ref().as_str(), named.span())) {
            None => Some(SignUp::default()),
            Some(("open", _)) => Some(SignUp::Open),
            Some(("invited", _)) => Some(SignUp::Invited),
            Some((_, at)) => {
                self.fault(at, "sign_up is neither \"open\" nor \"invited\"", None);
                None
            }
        }
    }
}

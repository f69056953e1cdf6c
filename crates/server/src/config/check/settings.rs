//! What the operator chose for an environment.

use std::ops::RangeInclusive;

use grantor_protocol::authorize_error::scope_words;
use grantor_protocol::scope::Scope;
use toml::Spanned;

use super::Check;
use crate::config::file::{Section, Throttling};
use crate::site::{Registration, Settings};
use crate::throttle::Limits;

const DAY: i64 = 24 * 3600;

impl Check<'_> {
    pub(super) fn settings(&mut self, section: &Section) -> Settings {
        let usual = Settings::default();
        let settings = Settings {
            code_ttl_seconds: self
                .seconds(section.code_ttl_seconds.as_ref(), 1..=600)
                .unwrap_or(usual.code_ttl_seconds),
            access_token_ttl_seconds: self
                .seconds(section.access_token_ttl_seconds.as_ref(), 1..=DAY)
                .unwrap_or(usual.access_token_ttl_seconds),
            refresh_token_idle_seconds: self
                .seconds(section.refresh_token_idle_seconds.as_ref(), 1..=366 * DAY)
                .unwrap_or(usual.refresh_token_idle_seconds),
            grant_ttl_seconds: self
                .seconds(section.grant_ttl_seconds.as_ref(), 1..=3660 * DAY)
                .or(usual.grant_ttl_seconds),
            client_secret_ttl_seconds: self
                .seconds(section.client_secret_ttl_seconds.as_ref(), DAY..=3660 * DAY)
                .or(usual.client_secret_ttl_seconds),
            refresh_window_seconds: self
                .seconds(section.refresh_window_seconds.as_ref(), 0..=600)
                .unwrap_or(usual.refresh_window_seconds),
            session_ttl_seconds: self
                .seconds(section.session_ttl_seconds.as_ref(), 1..=31 * DAY)
                .unwrap_or(usual.session_ttl_seconds),
            parameters_in_query: section.parameters_in_query.unwrap_or(usual.parameters_in_query),
            registration: self.registration(section).unwrap_or_default(),
            registration_scopes: self.registration_scopes(section).unwrap_or_default(),
            client_id_metadata_documents: section
                .client_id_metadata_documents
                .unwrap_or(usual.client_id_metadata_documents),
            unused_client_ttl_seconds: self
                .seconds(section.unused_client_ttl_seconds.as_ref(), 3600..=366 * DAY)
                .unwrap_or(usual.unused_client_ttl_seconds),
            request_log_ttl_seconds: self
                .seconds(section.request_log_ttl_seconds.as_ref(), DAY..=366 * DAY)
                .unwrap_or(usual.request_log_ttl_seconds),
            apis: self.apis(&section.api),
            // One section is for all of them.
            mail: usual.mail,
            throttling: self.throttling(&section.throttling),
            dpop_nonce_required: section.dpop_nonce_required.unwrap_or(usual.dpop_nonce_required),
        };
        let named = section
            .refresh_token_idle_seconds
            .as_ref()
            .or(section.access_token_ttl_seconds.as_ref());
        if let Some(named) = named
            && settings.refresh_token_idle_seconds < settings.access_token_ttl_seconds
        {
            self.fault(
                named.span(),
                "a refresh token would end before the access token that it is to replace",
                format!(
                    "refresh_token_idle_seconds is {}, access_token_ttl_seconds is {}",
                    settings.refresh_token_idle_seconds, settings.access_token_ttl_seconds
                ),
            );
        }
        settings
    }

    pub(super) fn throttling(&mut self, section: &Throttling) -> Limits {
        let usual = Limits::default();
        let mut tries = |value: &Option<Spanned<i64>>, usual| {
            self.number(value.as_ref(), (2..=1_000_000, "tries")).unwrap_or(usual)
        };
        Limits {
            failures_per_name_and_address: tries(
                &section.failures_per_name_and_address,
                usual.failures_per_name_and_address,
            ),
            failures_per_address: tries(&section.failures_per_address, usual.failures_per_address),
            failures_per_name: tries(&section.failures_per_name, usual.failures_per_name),
            registrations_per_address: tries(
                &section.registrations_per_address,
                usual.registrations_per_address,
            ),
            mails_per_name: tries(&section.mails_per_name, usual.mails_per_name),
            window_seconds: self
                .seconds(section.window_seconds.as_ref(), 60..=DAY)
                .unwrap_or(usual.window_seconds),
        }
    }

    fn registration(&mut self, section: &Section) -> Option<Registration> {
        let named = section.registration.as_ref()?;
        match named.get_ref().as_str() {
            "closed" => Some(Registration::Closed),
            "token" => Some(Registration::Token),
            "open" => Some(Registration::Open),
            other => {
                let words = format!("{other:?} is no way to register");
                self.fault(named.span(), words, "\"closed\", \"token\" or \"open\"");
                None
            }
        }
    }

    fn registration_scopes(&mut self, section: &Section) -> Option<Scope> {
        self.scope(section.registration_scopes.as_ref()?)
    }

    pub(super) fn scope(&mut self, named: &Spanned<String>) -> Option<Scope> {
        match Scope::parse(named.get_ref()) {
            Ok(scope) => Some(scope),
            Err(fault) => {
                self.fault(named.span(), scope_words(&fault), "for example \"financial-api\"");
                None
            }
        }
    }

    pub(super) fn seconds(
        &mut self,
        value: Option<&Spanned<i64>>,
        allowed: RangeInclusive<i64>,
    ) -> Option<i64> {
        self.number(value, (allowed, "seconds"))
    }

    fn number(
        &mut self,
        value: Option<&Spanned<i64>>,
        (allowed, of): (RangeInclusive<i64>, &str),
    ) -> Option<i64> {
        let value = value?;
        if !allowed.contains(value.get_ref()) {
            self.fault(
                value.span(),
                format!("{} {of} is out of range", value.get_ref()),
                format!("from {} to {} {of}", allowed.start(), allowed.end()),
            );
            return None;
        }
        Some(*value.get_ref())
    }
}

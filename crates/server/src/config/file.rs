//! `grantor.toml` as it is written. Every value knows where it stands.

use serde::Deserialize;
use toml::Spanned;

use crate::log::Format;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) store: Spanned<String>,
    pub(super) store_password_file: Option<Spanned<String>>,
    pub(super) store_ca_file: Option<Spanned<String>>,
    pub(super) master_key_file: Spanned<String>,
    pub(super) journal_file: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) log: Log,
    pub(super) metrics: Option<Metrics>,
    pub(super) mail: Option<MailSection>,
    #[serde(default)]
    pub(super) environment: Environments,
    pub(super) portal: Option<PortalSection>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    #[serde(default)]
    pub(super) format: Format,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metrics {
    pub(super) listen: Spanned<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Environments {
    pub(super) staging: Option<Spanned<Section>>,
    pub(super) production: Option<Spanned<Section>>,
}

/// One environment. The settings are named as in `site::Settings`; they are listed and not
/// flattened, because serde knows no unknown keys beside what is flattened.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    pub(super) base_url: Spanned<String>,
    pub(super) listen: Spanned<String>,
    pub(super) tls: Option<Spanned<Tls>>,
    #[serde(default)]
    pub(super) trusted_proxies: Vec<Spanned<String>>,
    pub(super) code_ttl_seconds: Option<Spanned<i64>>,
    pub(super) access_token_ttl_seconds: Option<Spanned<i64>>,
    pub(super) refresh_token_idle_seconds: Option<Spanned<i64>>,
    pub(super) grant_ttl_seconds: Option<Spanned<i64>>,
    pub(super) client_secret_ttl_seconds: Option<Spanned<i64>>,
    pub(super) refresh_window_seconds: Option<Spanned<i64>>,
    pub(super) session_ttl_seconds: Option<Spanned<i64>>,
    pub(super) parameters_in_query: Option<bool>,
    pub(super) dpop_nonce_required: Option<bool>,
    pub(super) registration: Option<Spanned<String>>,
    pub(super) registration_scopes: Option<Spanned<String>>,
    pub(super) client_id_metadata_documents: Option<bool>,
    pub(super) request_log_ttl_seconds: Option<Spanned<i64>>,
    pub(super) unused_client_ttl_seconds: Option<Spanned<i64>>,
    #[serde(default)]
    pub(super) throttling: Throttling,
    #[serde(default)]
    pub(super) api: Vec<ApiSection>,
}

/// The portal of partners and their managers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PortalSection {
    pub(super) base_url: Spanned<String>,
    pub(super) listen: Spanned<String>,
    pub(super) tls: Option<Spanned<Tls>>,
    #[serde(default)]
    pub(super) trusted_proxies: Vec<Spanned<String>>,
    pub(super) session_ttl_seconds: Option<Spanned<i64>>,
    pub(super) sign_up: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) throttling: Throttling,
}

/// How often something may be tried, named as in `throttle::Limits`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Throttling {
    pub(super) window_seconds: Option<Spanned<i64>>,
    pub(super) failures_per_name_and_address: Option<Spanned<i64>>,
    pub(super) failures_per_address: Option<Spanned<i64>>,
    pub(super) failures_per_name: Option<Spanned<i64>>,
    pub(super) registrations_per_address: Option<Spanned<i64>>,
    pub(super) mails_per_name: Option<Spanned<i64>>,
}

/// An API that tokens may be for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiSection {
    pub(super) resource: Spanned<String>,
    pub(super) name: Option<String>,
    pub(super) scopes: Spanned<String>,
    pub(super) access_tokens: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) introspection_clients: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificate: Spanned<String>,
    pub(super) key: Spanned<String>,
}

/// How mail leaves.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MailSection {
    pub(super) host: Spanned<String>,
    pub(super) port: Option<Spanned<i64>>,
    pub(super) tls: Option<Spanned<String>>,
    pub(super) ca_file: Option<Spanned<String>>,
    pub(super) user: Option<Spanned<String>>,
    pub(super) password_file: Option<Spanned<String>>,
    pub(super) from: Spanned<String>,
}

//! How a client looks, for people and as JSON.

use grantor_protocol::client::{Client, ClientAuthentication, ClientSettings, SecretMethods};
use grantor_protocol::scope::Scope;
use serde::Serialize;
use uuid::Uuid;

use super::super::output::{aligned, time, time_or_never};
use crate::store::ClientRecord;

/// A client, as `--json` shows it. Times are in Unix seconds.
#[derive(Serialize)]
pub(super) struct ClientData {
    pub(super) environment: &'static str,
    pub(super) client_id: String,
    pub(super) name: String,
    pub(super) partner: PartnerOfClient,
    website: Option<String>,
    redirect_uris: Vec<String>,
    scopes: Vec<String>,
    optional_scopes: Vec<String>,
    public: bool,
    authentication: &'static str,
    assertion_audience_token_endpoint: bool,
    grant_types: Vec<&'static str>,
    dpop_required: bool,
    approved: bool,
    disabled: bool,
    demo: bool,
    secrets: Vec<SecretData>,
    refresh_tokens: bool,
    parameters_in_query: bool,
    pkce_required: bool,
    refresh_window_seconds: Option<i64>,
    query_calls: i64,
    query_called_at: Option<i64>,
    created_at: i64,
}

#[derive(Serialize)]
pub(super) struct PartnerOfClient {
    id: String,
    pub(super) name: String,
    verified: bool,
}

/// A secret, without itself.
#[derive(Serialize)]
struct SecretData {
    /// 1 or 2.
    slot: i64,
    /// Its last four characters.
    hint: String,
    created_at: i64,
    used_at: Option<i64>,
}

impl From<&ClientRecord> for ClientData {
    fn from(record: &ClientRecord) -> ClientData {
        let client = &record.client;
        let settings = client.settings;
        ClientData {
            environment: client.environment.as_str(),
            client_id: client.id.clone(),
            name: client.name.clone(),
            partner: PartnerOfClient {
                id: Uuid::from_bytes(record.partner_id).to_string(),
                name: client.partner.name.clone(),
                verified: client.partner.verified,
            },
            website: client.website.clone(),
            redirect_uris: client.redirect_uris.iter().map(ToString::to_string).collect(),
            scopes: each(&client.scopes),
            optional_scopes: each(&client.optional_scopes),
            public: client.is_public(),
            authentication: authentication(client),
            assertion_audience_token_endpoint: settings.assertion_for_token_endpoint,
            grant_types: grant_types(&settings),
            dpop_required: settings.dpop_required,
            approved: client.approved,
            disabled: client.disabled,
            demo: client.demo,
            secrets: record
                .secrets
                .iter()
                .map(|secret| SecretData {
                    slot: secret.slot,
                    hint: secret.hint.clone(),
                    created_at: secret.created_at,
                    used_at: secret.used_at,
                })
                .collect(),
            refresh_tokens: settings.refresh_tokens,
            parameters_in_query: settings.parameters_in_query,
            pkce_required: client.pkce_required(),
            refresh_window_seconds: settings.refresh_window_seconds,
            query_calls: record.query_calls,
            query_called_at: record.query_called_at,
            created_at: record.created_at,
        }
    }
}

impl ClientData {
    pub(super) fn state(&self) -> &'static str {
        match (self.disabled, self.approved) {
            (true, _) => "disabled",
            (false, true) => "approved",
            (false, false) => "unapproved",
        }
    }

    pub(super) fn last_used_at(&self) -> Option<i64> {
        self.secrets.iter().filter_map(|secret| secret.used_at).max()
    }

    /// One line for each thing.
    pub(super) fn lines(&self) -> String {
        let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
        let verified = if self.partner.verified { " (verified)" } else { "" };
        let mut lines = vec![
            ("client_id", self.client_id.clone()),
            ("environment", self.environment.to_owned()),
            ("name", self.name.clone()),
            ("partner", format!("{}{verified}", self.partner.name)),
            ("state", self.state().to_owned()),
            ("authentication", self.authentication.to_owned()),
            ("grant_types", self.grant_types.join(" ")),
        ];
        if self.assertion_audience_token_endpoint {
            lines.push(("assertion_audience", "the issuer, and the token endpoint".to_owned()));
        }
        lines.extend(self.website.iter().map(|website| ("website", website.clone())));
        lines.extend(self.redirect_uris.iter().map(|uri| ("redirect_uri", uri.clone())));
        lines.push(("scopes", self.scopes.join(" ")));
        if !self.optional_scopes.is_empty() {
            lines.push(("optional_scopes", self.optional_scopes.join(" ")));
        }
        lines.extend(self.secrets.iter().map(|secret| {
            let words = format!(
                "{}: ends in {}, made {}, last used {}",
                secret.slot,
                secret.hint,
                time(secret.created_at),
                time_or_never(secret.used_at)
            );
            ("secret", words)
        }));
        lines.push(("pkce_required", yes(self.pkce_required)));
        lines.push(("dpop_required", yes(self.dpop_required)));
        lines.push(("refresh_tokens", yes(self.refresh_tokens)));
        let window = self
            .refresh_window_seconds
            .map_or("default".to_owned(), |seconds| format!("{seconds} s"));
        lines.push(("refresh_window", window));
        lines.push(("parameters_in_query", yes(self.parameters_in_query)));
        let calls = match self.query_called_at {
            Some(at) => format!("{}, the last {}", self.query_calls, time(at)),
            None => self.query_calls.to_string(),
        };
        lines.push(("query_calls", calls));
        lines.push(("created", time(self.created_at)));
        aligned(&lines)
    }
}

/// How it proves itself, by the name of RFC 7591 2 where there is one.
fn authentication(client: &Client) -> &'static str {
    match (&client.authentication, client.settings.secret_methods) {
        (ClientAuthentication::Secret { .. }, SecretMethods::Basic) => "client_secret_basic",
        (ClientAuthentication::Secret { .. }, SecretMethods::Post) => "client_secret_post",
        (ClientAuthentication::Secret { .. }, SecretMethods::Any) => "client_secret",
        (ClientAuthentication::PrivateKeyJwt { .. }, _) => "private_key_jwt",
        (ClientAuthentication::None, _) => "none",
    }
}

fn grant_types(settings: &ClientSettings) -> Vec<&'static str> {
    [
        (settings.authorization_code, "authorization_code"),
        (settings.refresh_tokens, "refresh_token"),
        (settings.client_credentials, "client_credentials"),
    ]
    .into_iter()
    .filter_map(|(may, name)| may.then_some(name))
    .collect()
}

fn each(scopes: &Scope) -> Vec<String> {
    scopes.iter().map(str::to_owned).collect()
}

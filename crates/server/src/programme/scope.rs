//! The scopes of the portal's own API: what each is for, and who may have it.

use grantor_protocol::api::{AccessTokenFormat, Api, Apis};
use grantor_protocol::scope::Scope;

/// One scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgrammeScope {
    /// As a token names it.
    pub name: &'static str,
    /// What it is for.
    pub sentence: &'static str,
    /// Whether an API client of a partner may have it.
    pub for_partners: bool,
    /// Whether an API client of this company may have it.
    pub for_company: bool,
}

/// See apps, partners and requests.
pub const READ: &str = "programme:read";
/// Make and change apps.
pub const APPS_WRITE: &str = "apps:write";
/// Suspend and resume apps.
pub const APPS_SUSPEND: &str = "apps:suspend";
/// Add and remove secrets.
pub const SECRETS_WRITE: &str = "secrets:write";
/// Read the audit log.
pub const AUDIT_READ: &str = "audit:read";

const fn of_all(name: &'static str, sentence: &'static str) -> ProgrammeScope {
    ProgrammeScope { name, sentence, for_partners: true, for_company: true }
}

const fn of_partners(name: &'static str, sentence: &'static str) -> ProgrammeScope {
    ProgrammeScope { name, sentence, for_partners: true, for_company: false }
}

const fn of_company(name: &'static str, sentence: &'static str) -> ProgrammeScope {
    ProgrammeScope { name, sentence, for_partners: false, for_company: true }
}

/// What a token of the portal may do with its API.
pub const SCOPES: [ProgrammeScope; 8] = [
    of_all(READ, "See apps, partners and requests."),
    of_all(APPS_WRITE, "Make and change apps."),
    of_company(APPS_SUSPEND, "Suspend apps, which ends their connections, and resume them."),
    of_all(SECRETS_WRITE, "Add and remove the secrets of apps."),
    of_partners("requests:write", "Ask for production, scopes and hosts."),
    of_company("requests:decide", "Decide about requests."),
    of_partners("webhooks:write", "Make, change and remove webhooks."),
    of_all(AUDIT_READ, "Read the audit log."),
];

/// The one API that the portal gives tokens for: its own.
pub fn apis(base_url: &str) -> Apis {
    let names: Vec<&str> = SCOPES.iter().map(|scope| scope.name).collect();
    Apis::new(vec![Api {
        resource: base_url.to_owned(),
        name: "The API of the partner programme".to_owned(),
        scopes: Scope::parse(&names.join(" ")).unwrap_or_default(),
        access_tokens: AccessTokenFormat::Sealed,
        introspection_clients: Vec::new(),
    }])
}

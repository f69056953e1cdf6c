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

/// See apps, partners, requests, webhooks and test customers.
pub const READ: &str = "programme:read";
/// Make and change apps.
pub const APPS_WRITE: &str = "apps:write";
/// Suspend and resume apps.
pub const APPS_SUSPEND: &str = "apps:suspend";
/// Add and remove secrets.
pub const SECRETS_WRITE: &str = "secrets:write";
/// Ask, answer and take back.
pub const REQUESTS_WRITE: &str = "requests:write";
/// Decide about requests.
pub const REQUESTS_DECIDE: &str = "requests:decide";
/// Verify, suspend and resume partners.
pub const PARTNERS_DECIDE: &str = "partners:decide";
/// Make, change and remove webhooks, and send again.
pub const WEBHOOKS_WRITE: &str = "webhooks:write";
/// Read the request log and the integration report.
pub const LOG_READ: &str = "log:read";
/// Begin trials.
pub const TRIALS_WRITE: &str = "trials:write";
/// Make and remove test customers, and draw their passwords.
pub const TEST_CUSTOMERS_WRITE: &str = "test-customers:write";
/// See people and invitations.
pub const TEAM_READ: &str = "team:read";
/// Invite people, change their roles, remove them.
pub const TEAM_WRITE: &str = "team:write";
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
///
/// What decides is the company's, and what belongs to an integration its partner's. People who decide
/// are appointed by people: `team:write` is for partners alone.
pub const SCOPES: [ProgrammeScope; 14] = [
    of_all(READ, "See apps, partners, requests, webhooks and test customers."),
    of_all(APPS_WRITE, "Make and change apps."),
    of_company(APPS_SUSPEND, "Suspend apps, which ends their connections, and resume them."),
    of_all(SECRETS_WRITE, "Add and remove the secrets of apps."),
    of_partners(REQUESTS_WRITE, "Ask for production, scopes and hosts."),
    of_company(REQUESTS_DECIDE, "Decide about requests."),
    of_company(
        PARTNERS_DECIDE,
        "Verify partners, suspend them with all their connections, and resume them.",
    ),
    of_partners(WEBHOOKS_WRITE, "Make, change and remove webhooks, and send again."),
    of_all(LOG_READ, "Read the log of an app's calls, and its integration report."),
    of_partners(TRIALS_WRITE, "Make hard cases happen to apps on staging."),
    of_partners(TEST_CUSTOMERS_WRITE, "Make and remove test customers, and draw their passwords."),
    of_all(TEAM_READ, "See who belongs to the team, and who is invited."),
    of_partners(TEAM_WRITE, "Invite people, owners too, change what they are, and remove them."),
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

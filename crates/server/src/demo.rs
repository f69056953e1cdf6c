//! The demo data of `grantor dev`: fixed words that nobody can take for secrets, and that nothing
//! but dev accepts (S26).

use grantor_protocol::api::{AccessTokenFormat, Api, Apis};
use grantor_protocol::client::{ClientSecret, ClientSettings, SecretDigest};
use grantor_protocol::environment::Environment;
use grantor_protocol::openid;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::password::{Password, PasswordError};
use crate::programme::api_client::{MOST_API_CLIENTS, new_client};
use crate::programme::scope::ProgrammeScope;
use crate::programme::{self, Actor};
use crate::site::Site;
use crate::store::{
    Act, Business, COMPANY_ID, Location, NewClient, NewCustomer, NewPerson, Partner, Role,
    StoreError,
};

/// The password of the demo's customer and partner manager.
pub const PASSWORD: &str = crate::password::KNOWN_PASSWORD;
/// What stays as it is in the value of a parameter (RFC 3986 2.3).
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the demo client may ask for.
pub const SCOPES: &str = "financial-api orders-api";
/// The address of the demo's customer.
pub const CUSTOMER_EMAIL: &str = "customer@demo.example";
/// The address of the demo's developer, an owner of the demo partner.
pub const DEVELOPER_EMAIL: &str = "developer@demo.example";
/// The address of the demo's partner manager.
pub const MANAGER_EMAIL: &str = "manager@demo.example";
/// Beside its own page, the demo client may send the code to a tool on a loopback port (S1).
const LOOPBACK_REDIRECT_URI: &str = "http://127.0.0.1/callback";
const PARTNER_ID: [u8; 16] = *b"demo partner id.";
const CUSTOMER_ID: [u8; 16] = *b"demo customer id";
const DEVELOPER_ID: [u8; 16] = *b"demo developerid";
const MANAGER_ID: [u8; 16] = *b"demo manager id.";

/// Why the demo data could not be laid.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// The same, as a set.
pub fn scopes() -> Scope {
    scope(SCOPES)
}

/// What the demo client may ask for besides: who the customer is (OpenID Connect). Nobody gets it
/// who does not ask for it, so the guide's own link asks for what it always asked for.
pub fn client_scopes() -> Scope {
    scopes().union(&scope(&openid::SCOPES.join(" ")))
}

/// The API of dev, which stands beside its issuer: a token for the one opens `/oauth/userinfo` too.
pub fn apis(base_url: &str) -> Apis {
    Apis::new(vec![Api {
        resource: base_url.to_owned(),
        name: "The API of grantor dev".to_owned(),
        scopes: client_scopes(),
        access_tokens: AccessTokenFormat::Sealed,
        introspection_clients: Vec::new(),
    }])
}

/// The demo client's id.
pub fn client_id(environment: Environment) -> &'static str {
    match environment {
        Environment::Staging => "devp-staging-demo-partner-00000000000000000000000000000000",
        Environment::Production => "devp-production-demo-partner-00000000000000000000000000000000",
        Environment::Portal => "devp-portal-demo-partner-00000000000000000000000000000000",
    }
}

/// The demo client's secret.
pub fn client_secret(environment: Environment) -> &'static str {
    match environment {
        Environment::Staging => "demo-secret-for-dev-only-staging",
        Environment::Production => "demo-secret-for-dev-only-production",
        Environment::Portal => "demo-secret-for-dev-only-portal",
    }
}

/// Lays the demo data of one environment where it is missing. Nothing is hashed where it is there,
/// so that a second start is quick.
///
/// # Errors
/// [`DemoError`]
pub async fn lay(site: &Site, redirect_uri: &str) -> Result<(), DemoError> {
    let id = client_id(site.environment);
    let uris = redirect_uris(redirect_uri);
    if site.store.set_demo_redirect_uris(site.environment, id, &uris).await? {
        return Ok(());
    }
    let now = site.clock.now();
    let hash = site.passwords.hash(Password::new(PASSWORD.to_owned())).await?;
    site.store.add_partner(&partner(now)).await?;
    lay_customer(site, &hash, now).await?;
    // The client comes last: where it is, all the rest is, wherever a start was killed.
    site.store.add_client(&client(site.environment, uris), now).await?;
    Ok(())
}

/// Lays the people of the portal where they are missing.
///
/// # Errors
/// [`DemoError`]
pub async fn lay_portal(site: &Site) -> Result<(), DemoError> {
    if site.store.person(MANAGER_ID).await?.is_some() {
        return Ok(());
    }
    let now = site.clock.now();
    let hash = site.passwords.hash(Password::new(PASSWORD.to_owned())).await?;
    site.store.add_partner(&partner(now)).await?;
    let owner = Role::Owner { partner_id: PARTNER_ID };
    for (id, email, name, role) in [
        (DEVELOPER_ID, DEVELOPER_EMAIL, "Devon Developer", owner),
        (MANAGER_ID, MANAGER_EMAIL, "Morgan Manager", Role::Manager),
    ] {
        let act = Act {
            at: now,
            actor: "grantor dev".to_owned(),
            actor_id: None,
            act: "person.joined",
            partner_id: role.partner_id(),
            client_id: None,
            detail: format!("{email} as {}", role.as_str()),
            mails: Vec::new(),
            notices: Vec::new(),
        };
        let person = NewPerson { id, email, name, password_hash: &hash, role, demo: true };
        site.store.add_person(&person, None, None, &act).await?;
    }
    Ok(())
}

/// The demo's API client of the portal that acts for this company.
pub const COMPANY_CLIENT_ID: &str = "devp-portal-demo-company-00000000000000000000000000000000";
/// Its secret.
pub const COMPANY_CLIENT_SECRET: &str = "demo-secret-for-dev-only-company";

/// Lays the API clients of the portal where they are missing: the demo partner's, and one of this
/// company.
///
/// # Errors
/// [`StoreError`]
pub async fn lay_api_clients(site: &Site) -> Result<(), StoreError> {
    let id = client_id(Environment::Portal);
    let of_partner = (id, client_secret(Environment::Portal), PARTNER_ID);
    let of_company = (COMPANY_CLIENT_ID, COMPANY_CLIENT_SECRET, COMPANY_ID);
    for (id, secret, partner_id) in [of_partner, of_company] {
        if site.store.client(id).await?.is_some() {
            continue;
        }
        let may = |scope: &&ProgrammeScope| match partner_id {
            COMPANY_ID => scope.for_company,
            _ => scope.for_partners,
        };
        let scopes: Vec<&str> =
            programme::scope::SCOPES.iter().filter(may).map(|scope| scope.name).collect();
        let secret = ClientSecret::new(secret.to_owned());
        let named = (id.to_owned(), "Demo script".to_owned());
        let mut client = new_client(named, partner_id, scope(&scopes.join(" ")), &secret);
        client.demo = true;
        let dev =
            Actor { name: "grantor dev".to_owned(), id: None, role: Role::Manager, behalf: None };
        let mut act = dev.act(site, "api_client.created", client.name.clone());
        act.partner_id = Some(partner_id);
        act.client_id = Some(client.id.clone());
        site.store.make_api_client(&client, MOST_API_CLIENTS, &act).await?;
    }
    Ok(())
}

fn partner(now: i64) -> Partner {
    Partner {
        id: PARTNER_ID,
        name: "Demo Partner Ltd".to_owned(),
        contact: Some("partner@demo.example".to_owned()),
        verified: true,
        created_at: now,
        suspended: false,
    }
}

async fn lay_customer(site: &Site, password_hash: &str, now: i64) -> Result<(), StoreError> {
    let customer = NewCustomer {
        environment: site.environment,
        id: CUSTOMER_ID,
        email: CUSTOMER_EMAIL,
        name: "Casey Customer",
        password_hash,
        demo: true,
    };
    site.store.add_customer(&customer, now).await?;
    for business in businesses() {
        site.store.add_business(site.environment, CUSTOMER_ID, &business).await?;
    }
    Ok(())
}

fn client(environment: Environment, redirect_uris: Vec<RedirectUri>) -> NewClient {
    let secret = client_secret(environment);
    NewClient {
        environment,
        id: client_id(environment).to_owned(),
        partner_id: PARTNER_ID,
        name: "Table Planner".to_owned(),
        website: Some("https://demo.example".to_owned()),
        redirect_uris,
        scopes: client_scopes(),
        optional_scopes: scope("orders-api"),
        secret: Some(stored(&ClientSecret::new(secret.to_owned()))),
        approved: true,
        demo: true,
        settings: ClientSettings {
            refresh_tokens: true,
            parameters_in_query: true,
            pkce_required: false,
            refresh_window_seconds: None,
            // A newcomer may try every grant with it.
            client_credentials: true,
            device_code: true,
            ..ClientSettings::default()
        },
        keys: None,
        post_logout_redirect_uris: Vec::new(),
        registration: crate::store::Registration::default(),
    }
}

fn stored(secret: &ClientSecret) -> (SecretDigest, String) {
    (secret.digest(), secret.hint())
}

fn redirect_uris(own: &str) -> Vec<RedirectUri> {
    [own, LOOPBACK_REDIRECT_URI]
        .into_iter()
        .filter_map(|uri| RedirectUri::register(uri).ok())
        .collect()
}

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap_or_default()
}

fn businesses() -> Vec<Business> {
    let location = |id, name: &str, country: &str, timezone: &str| Location {
        id,
        name: name.to_owned(),
        country: country.to_owned(),
        timezone: timezone.to_owned(),
    };
    vec![
        Business {
            id: 9_765_040_300_495_493,
            name: "Bistro Aurora".to_owned(),
            currency: "EUR".to_owned(),
            locations: vec![
                location(9_765_040_300_495_501, "Aurora Ghent", "BE", "Europe/Brussels"),
                location(9_765_040_300_495_502, "Aurora Lyon", "FR", "Europe/Paris"),
            ],
        },
        Business {
            id: 9_765_040_300_495_494,
            name: "Harbour Grill".to_owned(),
            currency: "GBP".to_owned(),
            locations: vec![location(
                9_765_040_300_495_503,
                "Harbour Leith",
                "GB",
                "Europe/London",
            )],
        },
    ]
}

/// The first step of the guide for the demo client, to be opened in a browser; in dev alone.
pub fn authorize_url(site: &Site) -> Option<String> {
    let redirect_uri = &site.dev.as_ref()?.redirect_uri;
    Some(format!(
        "{}/oauth/authorize?client_id={}&response_type=code&redirect_uri={}",
        site.base_url,
        client_id(site.environment),
        utf8_percent_encode(redirect_uri, IN_QUERY)
    ))
}

/// The sixth step of the guide for the demo client, as a command: Basic, and the parameters in the
/// query of a POST with an empty body. `code` must be one of ours, or a word to be replaced: it
/// stands inside quotes of the shell.
pub fn token_command(site: &Site, code: &str) -> Option<String> {
    let redirect_uri = &site.dev.as_ref()?.redirect_uri;
    let (id, secret) = (client_id(site.environment), client_secret(site.environment));
    Some(format!(
        "curl -sS -X POST -u '{id}:{secret}' \\\n  '{}/oauth/token?code={code}&grant_type=authorization_code&client-id={id}&redirect_uri={}'",
        site.base_url,
        utf8_percent_encode(redirect_uri, IN_QUERY)
    ))
}

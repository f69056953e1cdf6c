//! A site: one environment as it is served, with all that its answers depend on.

use std::sync::Arc;

use grantor_protocol::api::Apis;
use grantor_protocol::environment::Environment;
use grantor_protocol::scope::Scope;

use crate::clock::Clock;
use crate::keys::{Keys, KeysError};
use crate::logo::Logos;
use crate::metrics::SiteMetrics;
use crate::outbound::Outbound;
use crate::password::Passwords;
use crate::random::Random;
use crate::request_log::RequestLog;
use crate::seal::{NotThisSeal, Sealer};
use crate::signer::{Signer, SigningRing};
use crate::store::{ClientRecord, RegisteredBy, Store};
use crate::throttle::{Limits, Throttle};
use crate::trials::Trials;
use crate::usage::Usage;
use crate::webhook::{Event, Notice};

/// One environment as it is served. Time and randomness come from here and from nowhere else.
pub struct Site {
    /// Which one.
    pub environment: Environment,
    /// Its issuer: scheme, host and port, without a slash at the end. Every link is built from it.
    pub base_url: String,
    /// What the operator chose.
    pub settings: Settings,
    /// What is known.
    pub store: Store,
    /// Its seals.
    pub sealer: Arc<Sealer>,
    /// The seals of the other environment of this store, to tell a caller that it mixed them up.
    pub other_sealer: Arc<Sealer>,
    /// What signs here.
    pub signer: Arc<Signer>,
    /// The keys of both, which may change while it is served.
    pub keys: Keys,
    /// How often something may be tried.
    pub throttle: Throttle,
    /// Where passwords are checked.
    pub passwords: Passwords,
    /// What is counted of clients, outside the hot path.
    pub usage: Usage,
    /// The calls of each client, on their way into its log.
    pub request_log: RequestLog,
    /// What partners make happen on purpose, on staging.
    pub trials: Trials,
    /// What is counted of its requests, for whoever watches over it.
    pub metrics: SiteMetrics,
    /// What fetches documents that clients name by an address.
    pub outbound: Outbound,
    /// The time.
    pub clock: Clock,
    /// The randomness.
    pub random: Random,
    /// What only `grantor dev` has.
    pub dev: Option<Dev>,
    /// What only the portal has.
    pub portal: Option<Portal>,
    /// The portal's own base URL, where there is one: what partners are pointed to.
    pub portal_url: Option<String>,
}

/// What the operator chose for an environment. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a code lives.
    pub code_ttl_seconds: i64,
    /// How long an access token lives.
    pub access_token_ttl_seconds: i64,
    /// How long a refresh token lives unused.
    pub refresh_token_idle_seconds: i64,
    /// How long a connection lives whatever happens; `None` for as long as it is used.
    pub grant_ttl_seconds: Option<i64>,
    /// How long a client secret works that the portal makes; `None` for as long as it stands.
    pub client_secret_ttl_seconds: Option<i64>,
    /// How long a refresh may be repeated.
    pub refresh_window_seconds: i64,
    /// How long a customer stays signed in.
    pub session_ttl_seconds: i64,
    /// Whether the token endpoint takes parameters from the query, as the guide does.
    pub parameters_in_query: bool,
    /// Whether a proof of possession has to carry a nonce of this server (RFC 9449 8).
    pub dpop_nonce_required: bool,
    /// Who may register a client (RFC 7591).
    pub registration: Registration,
    /// What a client that registers itself may ask for.
    pub registration_scopes: Scope,
    /// The APIs that tokens may be for.
    pub apis: Apis,
    /// Whether a client may be known by the address of its own description.
    pub client_id_metadata_documents: bool,
    /// How long a client that registered itself, or describes itself, is kept with no customer.
    pub unused_client_ttl_seconds: i64,
    /// How often something may be tried.
    pub throttling: Limits,
    /// How long a call stays in the log of its client.
    pub request_log_ttl_seconds: i64,
    /// Whether somebody carries mail: what needs it is offered only then.
    pub mail: bool,
}

/// Who may register a client (RFC 7591 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Registration {
    /// the company alone
    #[default]
    Closed,
    /// whoever holds an initial access token
    Token,
    /// everybody
    Open,
}

/// What only the portal has.
#[derive(Clone)]
pub struct Portal {
    /// The environments whose clients it is about, in the order of [`Environment::ALL`].
    pub environments: Vec<Arc<Site>>,
    /// Who may sign up.
    pub sign_up: SignUp,
    /// Where the logos of apps are drawn.
    pub logos: Logos,
}

/// Who may sign up in the portal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignUp {
    /// everybody with an e-mail address
    #[default]
    Open,
    /// those alone whom a manager or a colleague invites
    Invited,
}

/// What only `grantor dev` has.
#[derive(Clone, Debug)]
pub struct Dev {
    /// The demo client's redirect URI, with the port of this time.
    pub redirect_uri: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            code_ttl_seconds: 60,
            access_token_ttl_seconds: 3600,
            refresh_token_idle_seconds: 14 * 24 * 3600,
            grant_ttl_seconds: None,
            client_secret_ttl_seconds: None,
            refresh_window_seconds: 60,
            session_ttl_seconds: 12 * 3600,
            parameters_in_query: true,
            dpop_nonce_required: false,
            registration: Registration::default(),
            registration_scopes: Scope::default(),
            apis: Apis::default(),
            client_id_metadata_documents: false,
            unused_client_ttl_seconds: 30 * 24 * 3600,
            throttling: Limits::default(),
            request_log_ttl_seconds: 30 * 24 * 3600,
            mail: false,
        }
    }
}

impl Portal {
    /// The site of an environment, where it is served here.
    pub fn site(&self, environment: Environment) -> Option<&Arc<Site>> {
        self.environments.iter().find(|site| site.environment == environment)
    }
}

impl Site {
    /// Whether a client that the store knows is one here. The demo's secrets are known to everybody,
    /// so outside dev its clients are strangers, however they came into the store (S26); and where
    /// clients are not known by their own descriptions, those that were are strangers again.
    pub fn admits(&self, record: &ClientRecord) -> bool {
        let is_of_document = record.registration.by == RegisteredBy::Document;
        (self.dev.is_some() || !record.client.demo)
            && (self.settings.client_id_metadata_documents || !is_of_document)
    }

    /// Opens a code or a token as `open` says. Where it names a key that is not here, the keys are
    /// read again and it is tried once more.
    ///
    /// # Errors
    /// [`NotThisSeal`]; [`NotThisSeal::UnknownKey`] alone says that the keys could not be read, and
    /// so that nobody knows.
    pub async fn open<T>(
        &self,
        open: impl Fn(&Sealer) -> Result<T, NotThisSeal>,
    ) -> Result<T, NotThisSeal> {
        match open(&self.sealer) {
            Err(NotThisSeal::UnknownKey) if self.keys.reload_for_unknown().await => {
                open(&self.sealer).map_err(|fault| match fault {
                    NotThisSeal::UnknownKey => NotThisSeal::Foreign,
                    fault => fault,
                })
            }
            opened => opened,
        }
    }

    /// The keys that sign here. Where there are none yet, they are made.
    ///
    /// # Errors
    /// [`KeysError`]
    pub async fn signing_keys(&self) -> Result<Arc<SigningRing>, KeysError> {
        let ring = self.signer.ring();
        if ring.is_complete() {
            return Ok(ring);
        }
        self.keys.make_signing_keys(self.environment).await?;
        Ok(self.signer.ring())
    }

    /// What the partner of a client is told, now.
    pub fn notice(&self, client_id: &str, event: Event) -> Notice {
        Notice::new((&self.clock, &self.random), self.environment, client_id, event)
    }

    /// Whether browsers reach it over TLS: then cookies are `Secure` and carry `__Host-`.
    pub fn is_https(&self) -> bool {
        self.base_url.starts_with("https://")
    }
}

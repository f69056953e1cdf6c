//! The store: what the server knows, and the only place where it changes.
//!
//! A method is one fact and one transaction, named for what it means. Every change of state is one
//! conditional write whose `WHERE` holds the state that is expected; nothing is read, checked and
//! then written, because between a read and a write somebody else writes. The row count is the
//! answer.
//!
//! 1. [`Store::open`] opens the engine and brings the schema up to date (`migration.rs`);
//! 2. each file below holds the facts of one noun: `grant.rs`, `client.rs`, `consent.rs`, …;
//! 3. `engine/` knows which database there is, and nobody else does.

mod access_token;
mod api_client;
mod app;
mod audit;
pub mod backup;
mod client;
mod client_fact;
mod client_key;
mod client_token;
mod connected;
mod connection;
mod consent;
mod customer;
mod delivery;
mod device;
mod encrypted;
mod ending;
mod engine;
mod expired;
mod factor;
#[cfg(feature = "floor")]
mod floor;
mod grant;
mod installation;
mod invitation;
mod journal;
mod known_clients;
mod logo;
mod metrics;
mod migration;
mod once;
mod outbox;
mod partner;
mod person;
#[cfg(test)]
mod plan;
mod pushed_request;
mod registration;
mod request;
mod request_log;
mod sealing_keys;
mod secret_end;
mod session;
mod signing_keys;
mod test_customer;
mod throttling;
mod trial;
mod version;
mod webhook_endpoint;

pub use api_client::COMPANY_ID;
pub use app::{AppChange, ChangedApp};
pub use audit::{Act, Along, AuditEntry, AuditOf};
pub use client::{
    ClientRecord, ClientUse, Listing, NewClient, RegisteredBy, Registration, SecretRecord,
    SecretUse,
};
pub use client_key::client_key;
pub use client_token::client_token_owner;
pub use connected::{LivingGrants, StandingConsent};
pub use connection::{Connection, WhichConnections};
pub use consent::NewConsent;
pub use customer::{Business, Credentials, Customer, Location, NewCustomer, NewPassword};
pub use delivery::Delivery;
pub use device::{NewDevice, WaitingDevice};
pub use encrypted::{
    EncryptedCount, EncryptedValue, KEY_CHECK_CONTEXT, Rekey, count_encrypted, factor_context,
    sealing_key_context, signing_key_context, webhook_secret_context,
};
pub use engine::{Address, AddressError, Database};
#[cfg(test)]
pub(crate) use engine::{Simulated, Weather};
pub use expired::{Expiring, Removed, Step};
pub use factor::{Confirmed, Factor, Spent, SteppedUp};
#[cfg(feature = "floor")]
pub use floor::Floor;
pub use grant::{NewGrant, Presented, Turn, Turned};
pub use installation::Installation;
pub use invitation::Invitation;
pub use known_clients::KnownClient;
pub use metrics::StoreMetrics;
pub use migration::{SchemaVersion, schema_version};
pub use once::Once;
pub use outbox::{Attempt, AttemptOutcome, Content, Lane, Lease, MAIL_LANE, Waiting};
pub use partner::Partner;
pub use person::{NewPerson, Person, Role};
pub use pushed_request::NewPushedRequest;
pub use registration::{InitialAccessToken, MOST_SELF_REGISTERED};
pub use request::{Approval, Asked, ProgrammeRequest, RequestKind, RequestState, RequestsOf};
pub use request_log::{
    CallCursor, LoggedCall, LoggedCause, LoggedToken, NewLoggedCall, Trimmed, WhichClients,
};
pub use sealing_keys::{KeyChange, StoredSealingKey};
pub use secret_end::{EndingSecret, TOLD_BEFORE_SECONDS};
pub use session::{NewSession, Session};
pub use signing_keys::{SigningKeyChange, StoredSigningKey};
pub use test_customer::TestCustomer;
pub use throttling::{Narrowed, Settled, Tallied, Tally};
pub use trial::{ArmedTrial, TrialRecord};
pub use webhook_endpoint::{
    EndpointOfPartner, EndpointSettings, EndpointTarget, KeysAsRead, MOST_ENDPOINTS, NewSecret,
    WebhookEndpoint,
};

use std::path::PathBuf;
use std::sync::Arc;

use engine::Engine;
use known_clients::KnownClients;
use metrics::Counted;

use crate::clock::Clock;
use crate::journal::Journal;

/// The store. Cloned freely: all clones are one.
#[derive(Clone)]
pub struct Store {
    engine: Counted,
    journal: Option<Journal>,
    known_clients: KnownClients,
}

/// Why the store did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Too much waits already. Nothing was done.
    #[error("the store has too much waiting")]
    Busy,
    /// The engine failed. Nothing was done.
    #[error("the store failed: {0}")]
    Engine(String),
    /// The database cannot be reached. Nothing was done.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The connection was lost while the engine committed. Perhaps it was done.
    #[error("whether the store did it is not known: {0}")]
    Unknown(String),
    /// A row holds what this program did not write.
    #[error("the row {row} of table {table} holds a {column} that cannot be read")]
    Corrupt {
        /// the table
        table: &'static str,
        /// the column
        column: &'static str,
        /// the row's key, as far as it may be shown
        row: String,
    },
    /// The file was written by a newer program.
    #[error(
        "the database has schema version {found}, and this program knows {known}: it was opened by a newer version"
    )]
    Newer {
        /// the version that was found
        found: i64,
        /// the newest that this program knows
        known: i64,
    },
    /// The tables are those of a version that was never released.
    #[error(
        "the database was made by a version of grantor before its first release, which this one cannot read; begin with a new one"
    )]
    Unreleased,
    /// A restore of this database was killed before its end.
    #[error("a restore of the database {database} was cut short, or is under way")]
    Unfinished {
        /// which
        database: String,
        /// what it left: without that, the database is as it was before
        remove: Option<PathBuf>,
    },
}

impl Store {
    /// Opens the database, making an SQLite file where there is none, and brings its schema up to
    /// date. Many processes may do this at once.
    ///
    /// # Errors
    /// [`StoreError::Engine`] where the database cannot be used, [`StoreError::Unreachable`] where
    /// it is not there, [`StoreError::Newer`] where a newer program wrote it,
    /// [`StoreError::Unfinished`] where a restore was cut short.
    pub async fn open(address: &Address, clock: &Clock) -> Result<Store, StoreError> {
        backup::refuse_unfinished_file(address)?;
        let metrics = Arc::<StoreMetrics>::default();
        let engine = Engine::open(address, &metrics).await?;
        backup::refuse_unfinished(address, &engine).await?;
        migration::migrate(&engine, clock).await?;
        let engine = Counted::new(engine, metrics);
        Ok(Store { engine, journal: None, known_clients: KnownClients::default() })
    }

    /// Opens the database of the simulation.
    #[cfg(test)]
    pub(crate) async fn simulated(database: Simulated, clock: &Clock) -> Result<Store, StoreError> {
        let engine = Engine::Simulated(database);
        migration::migrate(&engine, clock).await?;
        let engine = Counted::new(engine, Arc::default());
        Ok(Store { engine, journal: None, known_clients: KnownClients::default() })
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`StoreError`] where it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.engine.read("SELECT version FROM schema_migrations", vec![]).await.map(|_| ())
    }
}

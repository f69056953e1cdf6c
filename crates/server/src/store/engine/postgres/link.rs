//! A connection that comes back: whoever needs it gets the one that is there, or a new one.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::values::parameters;
use super::{StoreError, Value, described};
use crate::store::engine::address::{CONNECT_TIMEOUT, Database};

/// A peer that is gone without a word is noticed after about this.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// What each new connection begins with. A commit that ends something must have reached whatever the
/// database calls durable, a synchronous replica included: a weaker setting is raised, a stronger
/// one left (D3). And nothing cancels a commit that waits for its replica.
const SETTINGS: &str = "SET statement_timeout = 0; \
    SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')";

/// How to connect.
pub(super) struct Connector {
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
}

/// One connection, which may be lost and come back.
pub(super) struct Link {
    connector: Arc<Connector>,
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
}

/// A connection that was made, with what was prepared on it.
pub(super) struct Session {
    client: Client,
    prepared: Mutex<HashMap<String, tokio_postgres::Statement>>,
}

impl Connector {
    pub(super) fn new(database: &Database) -> Result<Connector, StoreError> {
        let mut config = database.config.clone();
        config.keepalives_idle(KEEPALIVE).tcp_user_timeout(KEEPALIVE);
        let mut roots = RootCertStore::empty();
        if config.get_ssl_mode() != SslMode::Disable {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if let Some(path) = &database.authorities {
                let fault = |why: String| {
                    StoreError::Engine(format!("the certificates in {}: {why}", path.display()))
                };
                let pem = fs::read(path).map_err(|error| fault(error.to_string()))?;
                for certificate in CertificateDer::pem_slice_iter(&pem) {
                    let certificate = certificate.map_err(|error| fault(error.to_string()))?;
                    roots.add(certificate).map_err(|error| fault(error.to_string()))?;
                }
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| StoreError::Engine(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Connector { config: *config, tls: MakeRustlsConnect::new(tls) })
    }

    pub(super) async fn connect(&self) -> Result<Session, StoreError> {
        let connecting = async {
            let (client, connection) = self.config.connect(self.tls.clone()).await?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::warn!(error = described(&error), "store.connection: lost");
                }
            });
            client.batch_execute(SETTINGS).await?;
            Ok::<_, Error>(client)
        };
        // Of several hosts each gets the time-out; all together get two.
        match tokio::time::timeout(CONNECT_TIMEOUT * 2, connecting).await {
            Ok(Ok(client)) => Ok(Session { client, prepared: Mutex::default() }),
            Ok(Err(error)) => Err(StoreError::Unreachable(described(&error))),
            Err(_) => Err(StoreError::Unreachable("it does not answer".into())),
        }
    }
}

impl Link {
    pub(super) fn new(connector: Arc<Connector>) -> Link {
        Link { connector, session: tokio::sync::Mutex::default() }
    }

    /// The connection, made where there is none.
    pub(super) async fn session(&self) -> Result<Arc<Session>, StoreError> {
        let mut held = self.session.lock().await;
        if let Some(session) = held.as_ref().filter(|session| !session.client.is_closed()) {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.connector.connect().await?);
        *held = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Never uses this connection again. Whoever holds it may end what it began.
    pub(super) async fn forget(&self, session: &Arc<Session>) {
        let mut held = self.session.lock().await;
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, session)) {
            *held = None;
        }
    }

    /// Forgets a connection that ended with the error.
    pub(super) async fn give_up(&self, session: &Arc<Session>) {
        if session.client.is_closed() {
            self.forget(session).await;
        }
    }
}

impl Session {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn into_client(self) -> Client {
        self.client
    }

    pub(super) async fn command(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    pub(super) async fn select(
        &self,
        sql: &str,
        values: &[Value],
    ) -> Result<Vec<tokio_postgres::Row>, Error> {
        let statement = self.prepare(sql).await?;
        self.client.query(&statement, &parameters(values)).await
    }

    pub(super) async fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, Error> {
        let statement = self.prepare(sql).await?;
        self.client.execute(&statement, &parameters(values)).await
    }

    pub(super) async fn prepare(&self, sql: &str) -> Result<tokio_postgres::Statement, Error> {
        if let Some(statement) = self.prepared().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.prepared().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn prepared(&self) -> std::sync::MutexGuard<'_, HashMap<String, tokio_postgres::Statement>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What every measurement stands on: a fresh installation that is served, with a customer who is
//! signed in, and the bare server beside it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use grantor_test_cluster::Cluster;

use crate::browser::{self, Session};
use crate::database::{Database, Engine};
use crate::failure::Failure;
use crate::floor::FloorServer;
use crate::load::{Line, Requests, drive};
use crate::measure::Subject;
use crate::postgres;
use crate::server::{self, Installation, SIGNED_API, Server};
use crate::workload::{Codes, RING, Ring, Tokens, Wire, Workload};

/// The most connections of any cell.
pub(crate) const MOST_CONNECTIONS: usize = 64;

/// A served installation. Fields are dropped in order: servers before databases before folders.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) floor: FloorServer,
    pub(crate) database: Database,
    pub(crate) floor_database: Database,
    pub(crate) installation: Installation,
    pub(crate) session: Session,
    _cluster: Option<Cluster>,
    pub(crate) folder: tempfile::TempDir,
}

impl Stage {
    /// Builds, installs, starts and signs in. `place` is the folder on whose disk all of it lies.
    pub(crate) async fn set(engine: Engine, place: Option<&Path>) -> Result<Stage, Failure> {
        let program = server::build()?;
        let place = place.map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = tempfile::Builder::new().prefix("grantor-bench-").tempdir_in(place);
        let folder = folder.map_err(Failure::io("no folder for the data"))?;
        let cluster = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(postgres::start()?),
        };
        let database = Database::make(folder.path(), cluster.as_ref(), "grantor").await?;
        let floor_database = Database::make(folder.path(), cluster.as_ref(), "floor").await?;
        let installation = Installation::make(&program, folder.path(), &database)?;
        let server = installation.serve(&database)?;
        let session = browser::sign_in(server.address, &installation).await?;
        let floor = FloorServer::start(&floor_database, MOST_CONNECTIONS * RING, folder.path())?;
        Ok(Stage {
            server,
            floor,
            database,
            floor_database,
            installation,
            session,
            _cluster: cluster,
            folder,
        })
    }

    /// Whose books a workload is about.
    pub(crate) fn subject(&self, workload: Workload) -> Subject<'_> {
        if workload.is_floor() {
            return Subject {
                process: self.floor.process.id(),
                address: self.floor.address,
                log: None,
                database: &self.floor_database,
            };
        }
        Subject {
            process: self.server.process.id(),
            address: self.server.address,
            log: Some(&self.server.log),
            database: &self.database,
        }
    }

    /// How requests to the server look.
    pub(crate) fn wire(&self) -> Wire {
        self.wire_to(self.server.address)
    }

    /// How requests to another server of the same installation look.
    pub(crate) fn wire_to(&self, address: SocketAddr) -> Wire {
        Wire::server(address, &self.installation, Some(self.session.clone()))
    }

    /// Authorizes that often, as fast as the server goes, and gives the codes.
    pub(crate) async fn codes(&self, count: usize) -> Result<Vec<String>, Failure> {
        let codes = Codes::default();
        let wire = self.wire();
        let each = count.div_ceil(MOST_CONNECTIONS);
        let ask = |_| wire.authorize(&codes, each);
        self.exhaust((0..MOST_CONNECTIONS).map(ask).collect()).await?;
        let mut codes = codes.take();
        codes.truncate(count);
        Ok(codes)
    }

    /// More codes than can be spent in that time; where they are all spent, the window ends sooner.
    async fn codes_for(
        &self,
        window: Duration,
        connections: usize,
    ) -> Result<Vec<String>, Failure> {
        let per_second = if connections == 1 { 3_000.0 } else { 16_000.0 };
        let count = (per_second * window.as_secs_f64()) as usize;
        self.codes(count.max(connections)).await
    }

    /// Makes that many grants that are active, and gives their refresh and access tokens.
    pub(crate) async fn tokens(&self, count: usize) -> Result<Vec<(String, String)>, Failure> {
        self.tokens_for(count, None).await
    }

    /// The same, with access tokens for an API.
    async fn tokens_for(
        &self,
        count: usize,
        resource: Option<&str>,
    ) -> Result<Vec<(String, String)>, Failure> {
        let codes = self.codes(count).await?;
        let tokens = Tokens::default();
        let wire = self.wire();
        let each = codes.len().div_ceil(MOST_CONNECTIONS).max(1);
        let ask = |codes| wire.exchange_for(codes, resource, Some(&tokens));
        self.exhaust(codes.chunks(each).map(ask).collect()).await?;
        Ok(tokens.take())
    }

    /// Asks the server all that there is to ask.
    pub(crate) async fn exhaust(&self, requests: Vec<Box<dyn Requests>>) -> Result<(), Failure> {
        let mut lines = Vec::with_capacity(requests.len());
        for requests in requests {
            lines.push(Line::open(self.server.address, requests).await?);
        }
        drive(lines, None).await.map(drop)
    }

    /// What `connections` connections ask for. What has to be there beforehand is made here.
    pub(crate) async fn requests(
        &self,
        workload: Workload,
        connections: usize,
        window: Duration,
    ) -> Result<Vec<Box<dyn Requests>>, Failure> {
        let wire = self.wire();
        let bare = Wire::floor(self.floor.address);
        let all = 0..connections;
        Ok(match workload {
            Workload::Discovery => all.map(|_| wire.discovery()).collect(),
            Workload::Authorize => {
                let codes = Codes::default();
                all.map(|_| wire.authorize(&Rc::clone(&codes), usize::MAX)).collect()
            }
            Workload::Jwks => all.map(|_| wire.jwks()).collect(),
            Workload::ClientCredentials => all.map(|_| wire.client_credentials(None)).collect(),
            Workload::ClientCredentialsSigned => {
                all.map(|_| wire.client_credentials(Some(SIGNED_API))).collect()
            }
            Workload::HugeScope => all.map(|_| wire.huge_scope()).collect(),
            Workload::HugeUnread => all.map(|_| wire.huge_unread()).collect(),
            Workload::Exchange => {
                let codes = self.codes_for(window, connections).await?;
                let chunks = codes.chunks(codes.len().div_ceil(connections));
                chunks.map(|codes| wire.exchange(codes, None)).collect()
            }
            Workload::ExchangeDpop => {
                let codes = self.codes_for(window, connections).await?;
                let chunks = codes.chunks(codes.len().div_ceil(connections));
                chunks.map(|codes| wire.exchange_with_proof(codes)).collect::<Result<_, _>>()?
            }
            Workload::Refresh => {
                let tokens = self.tokens(connections * RING).await?;
                rings(&tokens, RING).iter().map(|ring| wire.refresh(ring, usize::MAX)).collect()
            }
            Workload::Introspection | Workload::IntrospectionSigned => {
                let is_signed = workload == Workload::IntrospectionSigned;
                let resource = is_signed.then_some(SIGNED_API);
                let tokens = self.tokens_for(connections * RING, resource).await?;
                let ring = |chunk: &[(String, String)]| {
                    let access: Vec<_> = chunk.iter().map(|(_, access)| access.clone()).collect();
                    wire.introspection(&access)
                };
                tokens.chunks(RING).map(ring).collect()
            }
            Workload::FloorGet => all
                .map(|_| {
                    let request = vec![bare.get("/get")];
                    Box::new(crate::workload::Cycle::new(request, 200, None)) as Box<dyn Requests>
                })
                .collect(),
            Workload::FloorWrite => all.map(|at| bare.rows("/write", at)).collect(),
            Workload::FloorRead => all.map(|at| bare.rows("/read", at)).collect(),
        })
    }
}

/// The refresh tokens, in rings of that size.
pub(crate) fn rings(tokens: &[(String, String)], size: usize) -> Vec<Ring> {
    let refresh = |chunk: &[(String, String)]| {
        let newest: Vec<String> = chunk.iter().map(|(refresh, _)| refresh.clone()).collect();
        Rc::new(RefCell::new(newest))
    };
    tokens.chunks(size.max(1)).map(refresh).collect()
}

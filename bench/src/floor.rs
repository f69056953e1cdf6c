//! The bare server: the least that this HTTP stack and this engine can do.
//!
//! The same runtime, the same listener and the same router as the server's, and behind them:
//!
//! - `GET /get` answers;
//! - `POST /write` parses the form, makes one HMAC and one durable commit;
//! - `POST /read` parses the form, makes one HMAC and as many indexed reads as introspection does.
//!
//! It is a process of its own, so that the kernel keeps its books apart: this program starts itself
//! again as `bench floor`, and reads the address from its first line.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum_server::accept::NoDelayAcceptor;
use grantor::store::{Address, Floor, StoreError};
use grantor_protocol::parameters::Parameters;

use crate::database::Database;
use crate::failure::Failure;
use crate::process::Running;

/// The arguments of `bench floor`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database, as a configuration names it
    #[arg(long)]
    store: String,
    /// How many rows its table has
    #[arg(long)]
    rows: u32,
}

/// A bare server that runs.
pub(crate) struct FloorServer {
    /// Its process.
    pub(crate) process: Running,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

#[derive(Clone)]
struct Bare {
    floor: Floor,
    key: hmac::Key,
}

impl FloorServer {
    /// Starts it, and waits until it is ready.
    pub(crate) fn start(
        database: &Database,
        rows: usize,
        folder: &Path,
    ) -> Result<FloorServer, Failure> {
        let own = std::env::current_exe().map_err(Failure::io("where this program is"))?;
        let log = folder.join("floor.log");
        let mut command = Command::new(own);
        command.args(["floor", "--rows", &rows.to_string(), "--store", &database.url()]);
        let mut process = Running::start(&mut command, &log)?;
        let address = process.line()?.parse().map_err(|_| {
            let words = std::fs::read_to_string(&log).unwrap_or_default();
            Failure::said(format!("the bare server did not start:\n{words}"))
        })?;
        Ok(FloorServer { process, address })
    }
}

/// Serves until it is killed.
pub(crate) fn serve(arguments: &Arguments) -> Result<(), Failure> {
    // As in the `main` of the server.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Failure::io("no thread can be started"))?.block_on(run(arguments))
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let floor = open(&arguments.store, arguments.rows).await?;
    let bare =
        Bare { floor, key: hmac::Key::new(HMAC_SHA256, b"the floor's key, of 32 bytes ...") };
    let router = Router::new()
        .route("/get", get(answer))
        .route("/write", post(write))
        .route("/read", post(read))
        .with_state(bare);
    let failed = || Failure::io("the bare server cannot listen");
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed())?;
    let address = socket.local_addr().map_err(failed())?;
    let mut out = std::io::stdout();
    writeln!(out, "{address}").and_then(|()| out.flush()).map_err(failed())?;
    axum_server::from_tcp(socket)
        .map_err(failed())?
        .acceptor(NoDelayAcceptor::new())
        .serve(router.into_make_service())
        .await
        .map_err(failed())
}

/// The engine that the server itself would take.
async fn open(store: &str, rows: u32) -> Result<Floor, Failure> {
    let address = Address::parse(store, Path::new(""))
        .map_err(|error| Failure::said(format!("{store} is no database: {error}")))?;
    Ok(Floor::open(&address, rows).await?)
}

async fn answer() -> &'static str {
    "ok"
}

async fn write(State(bare): State<Bare>, body: Bytes) -> impl IntoResponse {
    let row = bare.parse(&body);
    json(bare.floor.turn(row).await)
}

async fn read(State(bare): State<Bare>, body: Bytes) -> impl IntoResponse {
    let row = bare.parse(&body);
    json(bare.floor.read(row).await.map(|found| found.is_some()))
}

impl Bare {
    /// One form, one HMAC. The row is 0 where the form names none, and the MAC is looked at so that
    /// nobody may leave it out.
    fn parse(&self, body: &[u8]) -> u32 {
        let form = Parameters::parse(body);
        let token = form.value("refresh_token").unwrap_or_default();
        let mac = hmac::sign(&self.key, token.as_bytes());
        if mac.as_ref().is_empty() { 0 } else { token.parse().unwrap_or(0) }
    }
}

fn json(found: Result<bool, StoreError>) -> impl IntoResponse {
    let status = match found {
        Ok(true) => StatusCode::OK,
        Ok(false) => StatusCode::NOT_FOUND,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, [(CONTENT_TYPE, "application/json")], "{\"done\":true}")
}

//! The portal at scale: how long each page takes in a programme of a hundred thousand clients.
//!
//! 1. `programme/ground.rs` opens the server's own store beside it;
//! 2. `programme/fill.rs` makes the programme through that store, so that each row is as the server
//!    writes it, and the chain of the audit log is whole;
//! 3. `programme/visitor.rs` signs people in by the forms of the pages, and programs by their token;
//! 4. `programme/tour.rs` says what is asked at each route of the portal's own table; a route that it
//!    does not know ends the run, so no new page is forgotten;
//! 5. `programme/watch.rs` asks and measures, `programme/table.rs` writes what came of it;
//! 6. `grantor doctor` looks at all of it at the end.

mod fill;
mod ground;
mod table;
mod tour;
mod visitor;
mod watch;

use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use crate::database::{Database, Engine};
use crate::failure::Failure;
use crate::load::now;
use crate::postgres;
use crate::report::{print, say};
use crate::server::{self, Installation};
use fill::Size;
use ground::Ground;
use watch::{Download, Row};

/// The arguments of `bench programme`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many clients; everything else grows with them
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1000..))]
    clients: u32,
    /// Which database
    #[arg(long, value_enum, default_value = "sqlite")]
    engine: Engine,
    /// Where to write the rows as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to write the table as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// On whose disk the data lies [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// What a run came to.
#[derive(Serialize)]
struct Programme {
    engine: &'static str,
    cores: usize,
    /// Rows of each table that the pages read.
    rows_of: Vec<(&'static str, i64)>,
    database_mib: f64,
    /// The slowest first.
    pages: Vec<Row>,
    downloads: Vec<Download>,
    doctor: serde_json::Value,
}

/// What the pages read.
const TABLES: [&str; 15] = [
    "partners",
    "people",
    "invitations",
    "clients",
    "requests",
    "request_log",
    "client_facts",
    "audit",
    "webhook_endpoints",
    "outbox",
    "test_customers",
    "customers",
    "consents",
    "grants",
    "sessions",
];

/// Measures.
pub(crate) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let program = server::build()?;
    let place = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new().prefix("grantor-bench-").tempdir_in(place);
    let folder = folder.map_err(Failure::io("no folder for the data"))?;
    let cluster = match arguments.engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(postgres::start()?),
    };
    let database = Database::make(folder.path(), cluster.as_ref(), "grantor").await?;
    let installation = Installation::with_portal(&program, folder.path(), &database)?;
    // Once, so that it has its keys and its journal.
    installation.serve(&database)?.process.stop()?;

    let begin = now();
    let ground = Ground::open(&installation, &database).await?;
    let filled = fill::fill(&ground, Size::of(arguments.clients), &database).await?;
    let mut rows_of = Vec::new();
    for table in TABLES {
        rows_of.push((table, database.number(&format!("SELECT COUNT(*) FROM {table}")).await?));
    }
    // What autovacuum does within minutes.
    if arguments.engine == Engine::Postgres {
        database.execute("ANALYZE").await?;
    }
    let database_mib = database.bytes().await? / 1024.0 / 1024.0;
    let took = begin.elapsed().as_secs();
    say(&format!("the programme is made, in {took} s; the database has {database_mib:.0} MiB"));

    let server = installation.serve(&database)?;
    let (pages, downloads) = watch::watch(&server, &ground, &filled).await?;
    server.process.stop()?;
    let doctor = installation.doctor()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let engine = arguments.engine.name();
    let programme = Programme { engine, cores, rows_of, database_mib, pages, downloads, doctor };
    let written = table::markdown(&programme);
    print(&written);
    if let Some(path) = &arguments.markdown {
        write(path, &written)?;
    }
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&programme);
        let json = json.map_err(|error| Failure::said(error.to_string()))?;
        write(path, &(json + "\n"))?;
    }
    Ok(())
}

fn write(path: &PathBuf, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(Failure::io(format!("{} was not written", path.display())))
}

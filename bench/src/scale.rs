//! Two server processes on one PostgreSQL, beside one alone.
//!
//! Both share the cores with the database and with the client, so the table also says how busy
//! those were: where the machine is what limits, no second process can help.

use std::path::PathBuf;
use std::time::Duration;

use crate::database::Engine;
use crate::failure::Failure;
use crate::load::{Line, drive};
use crate::process;
use crate::report::{Target, say};
use crate::server::Server;
use crate::stage::{MOST_CONNECTIONS, Stage, rings};
use crate::workload::RING;

const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_secs(3);

/// The arguments of `bench scale`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// On whose disk the data lies [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Measures refreshes at 64 connections, all to one server and then half of them to each of two.
pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Target>, Failure> {
    let stage = Stage::set(Engine::Postgres, arguments.folder.as_deref()).await?;
    let second = stage.installation.serve(&stage.database)?;
    let one = refreshes(&stage, &[&stage.server]).await?;
    let two = refreshes(&stage, &[&stage.server, &second]).await?;
    Ok(vec![Target::at_least("refresh: two server processes over one", 1.6, two / one)])
}

async fn refreshes(stage: &Stage, servers: &[&Server]) -> Result<f64, Failure> {
    let tokens = stage.tokens(MOST_CONNECTIONS * RING).await?;
    let mut lines = Vec::new();
    for (at, ring) in rings(&tokens, RING).iter().enumerate() {
        if let Some(server) = servers.get(at % servers.len().max(1)) {
            let requests = stage.wire_to(server.address).refresh(ring, usize::MAX);
            lines.push(Line::open(server.address, requests).await?);
        }
    }
    let (lines, _) = drive(lines, Some(WARM_UP)).await?;
    let books = |id| process::used(id).map(|used| used.cpu_ns);
    let processes = || -> Result<u64, Failure> {
        servers.iter().map(|server| books(server.process.id())).sum()
    };
    let (before, own, counted) =
        (processes()?, books(std::process::id())?, stage.database.counted().await?);
    let (_, samples) = drive(lines, Some(MEASURED)).await?;
    let database = stage.database.counted().await?.since(counted).cpu_ns.unwrap_or(0);
    let cores = |nanoseconds: u64| nanoseconds as f64 / 1e9 / samples.elapsed.as_secs_f64();
    say(&format!(
        "{} server(s): {:.0} refreshes/s, p99 {:.1} ms; cores busy: servers {:.2}, database {:.2}, \
         client {:.2}",
        servers.len(),
        samples.per_second(),
        samples.percentile_ms(99),
        cores(processes()? - before),
        cores(database),
        cores(books(std::process::id())? - own)
    ));
    Ok(samples.per_second())
}

//! An idle server: how much memory it holds, and how soon after its start it answers, beside the
//! bare server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::Connection;
use crate::database::Engine;
use crate::failure::Failure;
use crate::floor::FloorServer;
use crate::load::now;
use crate::process;
use crate::report::Target;
use crate::stage::Stage;

/// How often each is started; the middle one counts.
const STARTS: usize = 9;
/// When a server that was just started is idle.
const SETTLED: Duration = Duration::from_secs(2);

/// The arguments of `bench idle`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// On whose disk the data lies [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Measures.
pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Target>, Failure> {
    let Stage { server, floor, database, floor_database, installation, folder, .. } =
        Stage::set(Engine::Sqlite, arguments.folder.as_deref()).await?;
    server.process.stop()?;
    drop(floor);

    let (mut real, mut bare) = (Vec::new(), Vec::new());
    let mut resident = 0.0;
    for at in 0..STARTS {
        // In turn, so that both meet the same machine.
        let begin = now();
        let server = installation.serve(&database)?;
        first_answer(server.address, "/healthz").await?;
        real.push(begin.elapsed().as_secs_f64() * 1e3);
        if at + 1 == STARTS {
            tokio::time::sleep(SETTLED).await;
            resident = process::memory(server.process.id())?.resident_kib as f64 / 1024.0;
        }
        server.process.stop()?;
        let begin = now();
        // Its rows lie there already; to lay them again would make it slower than it is.
        let floor = FloorServer::start(&floor_database, 0, folder.path())?;
        first_answer(floor.address, "/get").await?;
        bare.push(begin.elapsed().as_secs_f64() * 1e3);
        drop(floor);
    }
    let (real, bare) = (middle(real), middle(bare));
    let name =
        format!("first answer after {real:.1} ms, the bare server's after {bare:.1} ms: ratio");
    Ok(vec![
        Target::at_most("idle memory, MiB", 20.0, resident),
        Target::at_most(name, 1.5, real / bare),
    ])
}

async fn first_answer(address: SocketAddr, path: &str) -> Result<(), Failure> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut connection = Connection::open(address).await?;
    match connection.call(request.as_bytes()).await?.status {
        200 => Ok(()),
        other => Err(Failure::said(format!("{path} was answered {other}"))),
    }
}

fn middle(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

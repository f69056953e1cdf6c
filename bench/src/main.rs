//! Measures the release server over loopback, beside a bare server on the same stack.
//!
//! 1. `stage.rs` has the server built, installs and starts it, signs a customer in, and starts the
//!    bare server (`floor.rs`);
//! 2. `run.rs` goes through all workloads and numbers of connections; `measure.rs` measures one
//!    cell of that table, with `load.rs` and `client.rs`;
//! 3. `report.rs` holds the rows against their floors and the targets, and writes them;
//! 4. the other commands measure one thing each: `size.rs`, `grow.rs`, `idle.rs`, `scale.rs`,
//!    `guard.rs`, the guard of an API, `token.rs`, a worker that asks for its token, and
//!    `programme.rs`, the pages of the portal.

mod browser;
mod client;
mod database;
mod failure;
mod floor;
mod grow;
mod guard;
mod idle;
mod load;
mod measure;
mod postgres;
mod process;
mod programme;
mod report;
mod run;
mod scale;
mod server;
mod size;
mod stage;
mod token;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::task::LocalSet;

use crate::database::Engine;
use crate::failure::Failure;
use crate::report::{Report, Target, print, say};
use crate::run::Scope;
use crate::stage::Stage;

/// Measures the release server over loopback, beside a bare server on the same stack.
#[derive(Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Program {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    table: TableArguments,
}

#[derive(clap::Args)]
struct TableArguments {
    /// Fewer cells and shorter ones: a minute or two
    #[arg(long)]
    quick: bool,
    /// Which database
    #[arg(long, value_enum, default_value = "sqlite")]
    engine: Chosen,
    /// Measure this workload and its floor alone
    #[arg(long, value_name = "WORKLOAD")]
    only: Option<String>,
    /// Measure with this many connections alone
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    connections: Option<u16>,
    /// How long a cell is measured
    #[arg(long)]
    seconds: Option<f64>,
    /// Where to write the rows as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to draw the chart
    #[arg(long, value_name = "FILE.svg")]
    chart: Option<PathBuf>,
    /// Where to write the table as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// On whose disk the data lies [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// How many bytes of database a grant costs, from birth on
    Size(size::Arguments),
    /// How refresh and introspection fare with many grants in the table
    Grow(grow::Arguments),
    /// An idle server's memory, and how soon it answers
    Idle(idle::Arguments),
    /// Two server processes on one PostgreSQL, and one
    Scale(scale::Arguments),
    /// What the guard of an API adds to a call, in this very process
    Guard(guard::Arguments),
    /// How long `grantor token` takes, the whole process
    Token(token::Arguments),
    /// How long each page of the portal takes, with a hundred thousand clients
    Programme(programme::Arguments),
    /// The bare server, as this program starts it itself
    #[command(hide = true)]
    Floor(floor::Arguments),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Chosen {
    Sqlite,
    Postgres,
    All,
}

fn main() -> ExitCode {
    match run(Program::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn run(program: Program) -> Result<(), Failure> {
    // The bare server has a runtime of its own, as the server has.
    if let Some(Command::Floor(arguments)) = &program.command {
        return floor::serve(arguments);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::io("no runtime can be started"))?;
    LocalSet::new().block_on(&runtime, async {
        match program.command {
            None => table(&program.table).await,
            Some(Command::Size(arguments)) => tell(&size::run(&arguments).await?),
            Some(Command::Grow(arguments)) => tell(&grow::run(&arguments).await?),
            Some(Command::Idle(arguments)) => tell(&idle::run(&arguments).await?),
            Some(Command::Scale(arguments)) => tell(&scale::run(&arguments).await?),
            Some(Command::Guard(arguments)) => tell(&guard::run(&arguments).await?),
            Some(Command::Token(arguments)) => tell(&token::run(&arguments).await?),
            Some(Command::Programme(arguments)) => programme::run(&arguments).await,
            Some(Command::Floor(_)) => Ok(()),
        }
    })
}

async fn table(arguments: &TableArguments) -> Result<(), Failure> {
    let engines = match arguments.engine {
        Chosen::Sqlite => vec![Engine::Sqlite],
        Chosen::Postgres => vec![Engine::Postgres],
        Chosen::All => vec![Engine::Sqlite, Engine::Postgres],
    };
    let scope = Scope {
        quick: arguments.quick,
        only: arguments.only.as_deref(),
        connections: arguments.connections.map(usize::from),
        seconds: arguments.seconds,
    };
    let mut report = Report::new(arguments.quick);
    for engine in engines {
        let stage = Stage::set(engine, arguments.folder.as_deref()).await?;
        report.add(run::run(&stage, engine, scope).await?);
    }
    print(&report.table());
    report.write(
        arguments.json.as_deref(),
        arguments.chart.as_deref(),
        arguments.markdown.as_deref(),
    )
}

/// Prints what one of the other commands measured.
fn tell(targets: &[Target]) -> Result<(), Failure> {
    let mut report = Report::new(false);
    report.targets = targets.to_vec();
    print(report.table().lines().skip(2).collect::<Vec<_>>().join("\n").as_str());
    Ok(())
}

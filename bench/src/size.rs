//! What a grant costs: bytes of database, indexes included, from birth to its twentieth refresh.
//!
//! The grants go through the server. After each step of their lives the database is put in order and
//! measured whole.

use std::path::PathBuf;

use crate::database::Engine;
use crate::failure::Failure;
use crate::report::{Target, say};
use crate::stage::{MOST_CONNECTIONS, Stage, rings};
use crate::workload::{Ring, Tokens};

/// How often each grant is refreshed at the end.
const REFRESHES: usize = 20;
/// What a grant may cost, in bytes.
const MOST_BYTES: f64 = 400.0;

/// The arguments of `bench size`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many grants
    #[arg(long, default_value_t = 5000)]
    grants: usize,
    /// Which database
    #[arg(long, value_enum, default_value = "sqlite")]
    engine: Engine,
    /// On whose disk the data lies [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Measures.
pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Target>, Failure> {
    let stage = Stage::set(arguments.engine, arguments.folder.as_deref()).await?;
    let before = stage.database.bytes().await?;
    let mut targets = Vec::new();
    let mut note = async |name: &str| {
        let each = (stage.database.bytes().await? - before) / arguments.grants as f64;
        let engine = arguments.engine.name();
        say(&format!("{engine}: {name}: {each:.0} bytes a grant"));
        let name = format!("bytes a grant on {engine}, {name}");
        targets.push(Target::at_most(name, MOST_BYTES, each));
        Ok::<(), Failure>(())
    };

    let codes = stage.codes(arguments.grants).await?;
    note("pending").await?;
    let wire = stage.wire();
    let chunk = codes.len().div_ceil(MOST_CONNECTIONS).max(1);
    let tokens = Tokens::default();
    let ask = |codes| wire.exchange(codes, Some(&tokens));
    stage.exhaust(codes.chunks(chunk).map(ask).collect()).await?;
    note("exchanged").await?;
    let rings = rings(&tokens.take(), chunk);
    let refresh = |times: usize| {
        let ring = |ring: &Ring| wire.refresh(ring, ring.borrow().len() * times);
        rings.iter().map(ring).collect()
    };
    stage.exhaust(refresh(1)).await?;
    note("refreshed once").await?;
    stage.exhaust(refresh(REFRESHES - 1)).await?;
    note("refreshed 20 times").await?;
    Ok(targets)
}

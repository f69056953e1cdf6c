//! What a grant costs: bytes of database, indexes included, from birth to its twentieth refresh.
//!
//! The grants go through the server. After each step of their lives the log is written into the
//! database, and the pages of the file are counted.

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
    /// On whose disk the data lies [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Measures.
pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Target>, Failure> {
    let stage = Stage::set(Engine::Sqlite, arguments.folder.as_deref()).await?;
    let path = stage.database.path()?;
    let before = bytes(path)?;
    let mut targets = Vec::new();
    let mut note = |name: &str| {
        let each = (bytes(path)? - before) / arguments.grants as f64;
        say(&format!("{name}: {each:.0} bytes a grant"));
        targets.push(Target::at_most(format!("bytes a grant, {name}"), MOST_BYTES, each));
        Ok::<(), Failure>(())
    };

    let codes = stage.codes(arguments.grants).await?;
    note("pending")?;
    let wire = stage.wire();
    let chunk = codes.len().div_ceil(MOST_CONNECTIONS).max(1);
    let tokens = Tokens::default();
    let ask = |codes| wire.exchange(codes, Some(&tokens));
    stage.exhaust(codes.chunks(chunk).map(ask).collect()).await?;
    note("exchanged")?;
    let rings = rings(&tokens.take(), chunk);
    let refresh = |times: usize| {
        let ring = |ring: &Ring| wire.refresh(ring, ring.borrow().len() * times);
        rings.iter().map(ring).collect()
    };
    stage.exhaust(refresh(1)).await?;
    note("refreshed once")?;
    stage.exhaust(refresh(REFRESHES - 1)).await?;
    note("refreshed 20 times")?;
    Ok(targets)
}

/// The size of the database once its log is written into it.
fn bytes(path: &std::path::Path) -> Result<f64, Failure> {
    let connection = rusqlite::Connection::open(path)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
    Ok((pages * number("PRAGMA page_size")?) as f64)
}

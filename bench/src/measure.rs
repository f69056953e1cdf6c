//! One cell of the table: a workload, a number of connections, a window of time.
//!
//! 1. the connections are made, and warm up;
//! 2. the books of the server's process and of its database are read;
//! 3. the load runs for the window;
//! 4. the books are read again, and the difference is divided by the requests.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::database::Database;
use crate::failure::Failure;
use crate::load::{Line, Requests, drive};
use crate::process;

/// How long a cell warms up and is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// Whose books are read.
pub(crate) struct Subject<'a> {
    /// The server's process.
    pub(crate) process: u32,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its log, which is written to the same disk.
    pub(crate) log: Option<&'a Path>,
    /// What it keeps its data in.
    pub(crate) database: &'a Database,
}

/// What was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Cell {
    pub(crate) requests: usize,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Microseconds of the server's process for a request.
    pub(crate) server_cpu_us: f64,
    /// Microseconds of the database's own processes for a request.
    pub(crate) database_cpu_us: Option<f64>,
    pub(crate) commits_per_second: Option<f64>,
    pub(crate) requests_per_commit: Option<f64>,
    /// Bytes that reach the storage for a request, without the server's log.
    pub(crate) written_bytes: f64,
    /// Bytes of the server's log for a request.
    pub(crate) log_bytes: f64,
    /// In MiB, at the end of the window.
    pub(crate) resident_mib: f64,
    /// In MiB, since the server began.
    pub(crate) peak_mib: f64,
}

/// Measures one cell.
pub(crate) async fn measure(
    subject: &Subject<'_>,
    requests: Vec<Box<dyn Requests>>,
    window: Window,
) -> Result<Cell, Failure> {
    let mut lines = Vec::with_capacity(requests.len());
    for requests in requests {
        lines.push(Line::open(subject.address, requests).await?);
    }
    let (lines, _) = drive(lines, Some(window.warm_up)).await?;
    let log_size = || subject.log.and_then(|log| Some(log.metadata().ok()?.len())).unwrap_or(0);
    let counted = subject.database.counted().await?;
    let logged = log_size();
    let used = process::used(subject.process)?;
    let (_, samples) = drive(lines, Some(window.measured)).await?;
    let used_now = process::used(subject.process)?;
    let logged = log_size() - logged;
    let counted = subject.database.counted().await?.since(counted);
    let memory = process::memory(subject.process)?;

    let each = |total: u64| total as f64 / samples.count().max(1) as f64;
    let seconds = samples.elapsed.as_secs_f64();
    let written = match counted.log_bytes {
        Some(bytes) => bytes,
        None => (used_now.written - used.written).saturating_sub(logged),
    };
    Ok(Cell {
        requests: samples.count(),
        requests_per_second: samples.per_second(),
        p50_ms: samples.percentile_ms(50),
        p99_ms: samples.percentile_ms(99),
        server_cpu_us: each(used_now.cpu_ns.saturating_sub(used.cpu_ns)) / 1e3,
        database_cpu_us: counted.cpu_ns.map(|nanoseconds| each(nanoseconds) / 1e3),
        commits_per_second: counted.commits.map(|commits| commits as f64 / seconds),
        requests_per_commit: counted
            .commits
            .filter(|commits| *commits > 0)
            .map(|commits| samples.count() as f64 / commits as f64),
        written_bytes: each(written),
        log_bytes: each(logged),
        resident_mib: memory.resident_kib as f64 / 1024.0,
        peak_mib: memory.peak_kib as f64 / 1024.0,
    })
}

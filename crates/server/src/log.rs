//! The log: lines on standard error, as text or as JSON.
//!
//! The variable `GRANTOR_LOG` chooses what is written, in the form of `tracing-subscriber`'s
//! `EnvFilter`: `warn`, or `info,grantor::store=debug`. Other libraries never write more than
//! `info`, whatever it says: below that some of them write headers, and headers hold secrets.
//!
//! `lines.rs` gathers lines, so that not each of them is a system call.

mod lines;

use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use lines::{Lines, Writers};

/// The variable that chooses what is written.
pub const FILTER_VARIABLE: &str = "GRANTOR_LOG";

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Why the log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The variable holds no filter.
    #[error("{FILTER_VARIABLE} cannot be read: {0}")]
    Filter(String),
    /// There is one already.
    #[error("the log was started twice")]
    Twice,
    /// The system gives no thread to write it.
    #[error("no thread can be started")]
    Thread(#[source] std::io::Error),
}

/// The log of this process. When it is dropped, all that was logged is written.
#[must_use = "what is logged last is written when it is dropped"]
pub struct Log(Arc<Lines>);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.write_out();
    }
}

/// Starts the log of this process.
///
/// # Errors
/// [`LogError`]
pub fn start(format: Format) -> Result<Log, LogError> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .with_env_var(FILTER_VARIABLE)
        .from_env()
        .map_err(|error| LogError::Filter(error.to_string()))?;
    let filter =
        filter.and(filter_fn(|line| is_ours(line.target()) || *line.level() <= LevelFilter::INFO));
    let gathered = Lines::to(std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(Writers(Arc::clone(&gathered)));
    let lines = match format {
        Format::Text => lines.with_ansi(is_coloured()).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|_| LogError::Twice)?;
    gathered.write_by_themselves().map_err(LogError::Thread)?;
    Ok(Log(gathered))
}

fn is_ours(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or_default();
    matches!(root, "grantor" | "grantor_protocol")
}

fn is_coloured() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

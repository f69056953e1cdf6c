//! `grantor token`: a valid access token, refreshed only where it must be.
//!
//! The usual call finds a valid token on the disk and starts nothing: no threads, no runtime.

use grantor_client::connection::Connection;
use grantor_client::http::Http;

use super::Failure;
use super::kept::{Form, Kept, name_or_latest, print_token, small_runtime};

/// The arguments of `grantor token`.
#[derive(clap::Args)]
#[command(
    after_help = "With --output json: {\"access_token\",\"token_type\",\"expires_in\",\"expires_at\",\"scope\",\"connection\"}"
)]
pub(super) struct Arguments {
    /// The connection; without it the latest one
    name: Option<String>,
    /// How the token is written
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Token)]
    output: Form,
    /// Renew a token that ends within so many seconds; without it within a minute, or within half of its
    /// life where that is shorter
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..=86_400))]
    valid_for: Option<i64>,
    #[command(flatten)]
    kept: Kept,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let connections = arguments.kept.open()?;
    let name = name_or_latest(&connections, arguments.name.as_deref())?;
    let print = |connection: &Connection| {
        print_token(connection, arguments.output, connections.clock().now())
    };
    if let Some(connection) = connections.valid_now(&name, arguments.valid_for)? {
        return print(&connection);
    }
    let http = Http::new();
    small_runtime()?.block_on(async {
        let valid = connections.valid(&http, &name, arguments.valid_for).await;
        let printed = valid.map_err(Failure::from).and_then(|connection| print(&connection));
        // The token may be there before its successor is.
        connections.leave().await;
        printed
    })
}

//! `grantor dev` (being written).

use super::Failure;

/// The arguments of `grantor dev`.
#[derive(clap::Args)]
pub struct Arguments {}

/// Runs it.
///
/// # Errors
/// [`Failure`]
pub async fn run(_arguments: Arguments) -> Result<(), Failure> {
    Err(Failure::unexplained("grantor dev is being written"))
}

//! The `grantor` program: what is typed becomes a command, what fails becomes words and a number.

use std::process::ExitCode;

use grantor::command;
use mimalloc::MiMalloc;

/// A request allocates some hundred times, on whichever thread has time for it: a fifth of the
/// server's time went into the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    command::main()
}

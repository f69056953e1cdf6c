//! Runs a command with a PostgreSQL server of its own, named in `GRANTOR_TEST_POSTGRES`:
//!
//! ```sh
//! cargo run -q -p grantor-test-cluster -- cargo nextest run
//! ```
//!
//! 1. where the variable names a server already, that one is used;
//! 2. else a cluster is started, and ends with the command, or with this program if it is killed;
//! 3. the command's status is this program's.

use std::io::Write as _;
use std::process::{Command, ExitCode};

use grantor_test_cluster::{Cluster, SHARED};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        return fail("usage: grantor-test-cluster COMMAND [ARGUMENT]...");
    };
    let mut command = Command::new(&program);
    command.args(arguments);
    let cluster = match std::env::var_os(SHARED) {
        Some(_) => None,
        None => match Cluster::start() {
            Ok(cluster) => Some(cluster),
            Err(fault) => return fail(&fault.to_string()),
        },
    };
    if let Some(cluster) = &cluster {
        command.env(SHARED, cluster.url("postgres"));
    }
    match command.status() {
        // A command that a signal ended has no code; shells write 128 and more for that.
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(128)).unwrap_or(1)),
        Err(error) => fail(&format!("{} cannot be started: {error}", program.to_string_lossy())),
    }
}

fn fail(words: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{words}");
    ExitCode::from(2)
}

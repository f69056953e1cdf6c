//! The `grantor` program: what is typed becomes a command, what fails becomes words and a number.

use std::process::ExitCode;

use grantor::command;

fn main() -> ExitCode {
    command::main()
}

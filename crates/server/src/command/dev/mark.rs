//! The file that marks a data folder as dev's own.
//!
//! 1. [`claim`] lays it, and holds it for as long as this process lives;
//! 2. [`note_served`] writes into it where the sites are served this time;
//! 3. [`served`] reads that for commands about the folder, whose mails hold links.

use std::fs;
use std::io::{Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use grantor_protocol::environment::Environment;

use super::FILES;
use crate::command::Failure;

/// Its name in the folder.
const MARK: &str = "grantor-dev.txt";
/// What it says to whoever finds it.
const WORDS: &str = "This folder holds the demo data of `grantor dev`.\n";

/// Takes the folder for this process: one that dev marked as its own, or one without any data yet.
/// The data of a real server must never meet the demo's secrets, nor `--reset`; nor must the data
/// of another `grantor dev` that runs.
pub(super) fn claim(folder: &Path) -> Result<fs::File, Failure> {
    let refused = |words: &str| {
        Failure::mendable(format!("the data folder {} {words}", folder.display()))
            .hint("choose another with --data DIR")
    };
    let mark = folder.join(MARK);
    let is_taken = FILES.iter().chain(&["grantor.toml"]).any(|file| folder.join(file).exists());
    if is_taken && !mark.exists() {
        return Err(refused("was not made by `grantor dev`, and its data is not touched"));
    }
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(false).open(&mark)?;
    if file.try_lock().is_err() {
        return Err(refused("is in use by another `grantor dev`"));
    }
    if file.metadata()?.len() == 0 {
        file.write_all(WORDS.as_bytes())?;
    }
    Ok(file)
}

/// Writes where the sites are served from now on. It is never empty meanwhile: a command may read it.
pub(super) fn note_served(
    mut mark: &fs::File,
    served: &[(Environment, SocketAddr)],
) -> Result<(), Failure> {
    let lines = served.iter().map(|(environment, address)| format!("{environment} {address}\n"));
    let text = format!("{WORDS}{}", lines.collect::<String>());
    mark.rewind()?;
    mark.write_all(text.as_bytes())?;
    mark.set_len(text.len() as u64)?;
    Ok(())
}

/// Where the site of an environment is served from a folder, or was the last time; `None` where that
/// is not known.
pub(super) fn served(folder: &Path, environment: Environment) -> Option<SocketAddr> {
    let mark = fs::read_to_string(folder.join(MARK)).ok()?;
    let address = |line: &str| line.strip_prefix(environment.as_str())?.trim().parse().ok();
    mark.lines().find_map(address)
}

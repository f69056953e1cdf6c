//! PostgreSQL's programs, and who may run them.
//!
//! 1. `GRANTOR_TEST_POSTGRES_BIN`; 2. Debian's folders, the newest version first; 3. `PATH`.
//!
//! The server refuses to run as root. Where the tests are root, it runs as `postgres`, or `nobody`.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Fault;

/// The programs of one version.
#[derive(Clone)]
pub(crate) struct Programs {
    folder: PathBuf,
    version: String,
    account: Option<Account>,
}

/// An account that is not root's.
#[derive(Clone)]
struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Programs {
    pub(crate) fn find() -> Result<Programs, Fault> {
        let folder = match std::env::var_os("GRANTOR_TEST_POSTGRES_BIN") {
            Some(named) => Some(PathBuf::from(named)).filter(|folder| is_complete(folder)),
            None => debian().into_iter().chain(on_path()).find(|folder| is_complete(folder)),
        };
        let mut programs = Programs {
            folder: folder.ok_or(Fault::Missing)?,
            version: String::new(),
            account: None,
        };
        if rustix::process::geteuid().is_root() {
            programs.account = Some(account().ok_or(Fault::NoAccount)?);
        }
        programs.version = programs.run("postgres", &["--version"], Path::new("/"))?;
        Ok(programs)
    }

    /// A name for what these programs make for this account.
    pub(crate) fn name(&self) -> String {
        let version = self.version.split_whitespace().nth(2).unwrap_or("unknown");
        let account = self.account.as_ref().map_or_else(
            || rustix::process::geteuid().as_raw().to_string(),
            |account| account.name.clone(),
        );
        format!("postgres-{version}-{account}")
    }

    /// Where a program is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A command under the account that may run it, in this folder, without standard input.
    pub(crate) fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null()).env("LC_ALL", "C");
        if let Some(account) = &self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    /// Runs a program to its end, and gives what it printed.
    pub(crate) fn run(
        &self,
        name: &str,
        arguments: &[&str],
        folder: &Path,
    ) -> Result<String, Fault> {
        output(self.command(&self.path(name), folder).args(arguments))
    }

    /// Makes this folder the account's, and nobody else's.
    pub(crate) fn give(&self, folder: &Path) -> Result<(), Fault> {
        let Some(account) = &self.account else {
            return Ok(());
        };
        std::os::unix::fs::chown(folder, Some(account.uid), Some(account.gid))
            .map_err(Fault::Folder)
    }
}

/// Runs a command to its end, and gives what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String, Fault> {
    let program = PathBuf::from(command.get_program());
    let output =
        command.output().map_err(|source| Fault::Program { program: program.clone(), source })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Fault::Failed { program, words });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "postgres", "pg_basebackup"].iter().all(|name| folder.join(name).is_file())
}

/// Debian keeps each version apart, and off `PATH`.
fn debian() -> Vec<PathBuf> {
    let Ok(folders) = std::fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut versions: Vec<(u32, PathBuf)> = folders
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_unstable_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

fn on_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map_or_else(Vec::new, |path| std::env::split_paths(&path).collect())
}

/// `postgres` where Debian's package made it, `nobody` elsewhere.
fn account() -> Option<Account> {
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].into_iter().find_map(|name| {
        accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next()? != name {
                return None;
            }
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            Some(Account { name: name.to_owned(), uid, gid })
        })
    })
}

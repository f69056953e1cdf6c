//! Why a command did not do what was asked, in words, hints and an exit code.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use super::output::told;
use crate::config::ConfigError;
use crate::demo::DemoError;
use crate::journal::JournalError;
use crate::keys::KeysError;
use crate::listener::ListenError;
use crate::log::LogError;
use crate::mail::MailerError;
use crate::master_key::MasterKeyError;
use crate::password::PasswordError;
use crate::store::StoreError;
use crate::store::backup::BackupError;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    mendable: bool,
    faults: Vec<Fault>,
}

#[derive(Debug)]
struct Fault {
    words: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    /// Something that the user can mend: exit code 1.
    pub fn mendable(words: impl Into<String>) -> Failure {
        Failure { mendable: true, faults: vec![Fault::new(words.into())] }
    }

    /// Something that we can't explain: exit code 2.
    pub fn unexplained(words: impl Into<String>) -> Failure {
        Failure { mendable: false, faults: vec![Fault::new(words.into())] }
    }

    /// Adds an error, and what it came from, as causes.
    #[must_use]
    pub fn because(mut self, error: &dyn Error) -> Failure {
        if let Some(fault) = self.faults.last_mut() {
            let mut cause = Some(error);
            while let Some(error) = cause {
                fault.causes.push(error.to_string());
                cause = error.source();
            }
        }
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, words: impl Into<String>) -> Failure {
        if let Some(fault) = self.faults.last_mut() {
            fault.hints.push(words.into());
        }
        self
    }

    /// Several that the user can mend, told together.
    pub(super) fn all(failures: Vec<Failure>) -> Failure {
        Failure {
            mendable: failures.iter().all(|failure| failure.mendable),
            faults: failures.into_iter().flat_map(|failure| failure.faults).collect(),
        }
    }

    /// Writes it to standard error, and answers with the exit code.
    pub fn report(&self) -> ExitCode {
        // Where nobody listens on standard error, the exit code is all that is left to say.
        let _ = anstream::stderr().write_all(self.to_string().as_bytes());
        ExitCode::from(if self.mendable { 1 } else { 2 })
    }
}

impl Fault {
    fn new(words: String) -> Fault {
        Fault { words, causes: Vec::new(), hints: Vec::new() }
    }
}

/// Each word passes [`told`], because a server, a file or a database may have written it.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for fault in &self.faults {
            writeln!(f, "error: {}", told(&fault.words))?;
            for cause in &fault.causes {
                writeln!(f, "  cause: {}", told(cause))?;
            }
            for hint in &fault.hints {
                writeln!(f, "hint: {}", told(hint))?;
            }
        }
        if !self.mendable {
            writeln!(
                f,
                "hint: what you typed does not explain this; if it stays, report it with the lines above"
            )?;
        }
        Ok(())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        let words = error.to_string();
        match error {
            StoreError::Busy => Failure::mendable(words).hint("try again in a moment"),
            StoreError::Newer { .. } => Failure::mendable(words)
                .hint("run the newer version of grantor, or put back a copy"),
            StoreError::Unreachable(_) => Failure::mendable(words)
                .hint("look at `store` in the configuration, and whether the database runs"),
            StoreError::Unknown(_) => {
                Failure::mendable(words).hint("look whether it was done before you do it again")
            }
            StoreError::Unreleased => {
                Failure::mendable(words).hint("`grantor dev --reset` begins a new one for dev")
            }
            StoreError::Unfinished { remove, .. } => {
                let failure = Failure::mendable(words)
                    .hint("wait for it, or run `grantor restore` again, which begins anew");
                match remove {
                    Some(left) => failure.hint(format!(
                        "to go on with the database as it was before, if there was one, remove {}",
                        left.display()
                    )),
                    None => failure,
                }
            }
            StoreError::Engine(_) | StoreError::Corrupt { .. } => Failure::unexplained(words),
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Failure {
        let words = error.to_string();
        match error {
            JournalError::Held { .. } => {
                Failure::mendable(words).hint("try again when the restore is done")
            }
            JournalError::Io { .. } => Failure::mendable(words)
                .hint("nothing ends without its line there; journal_file says where it is"),
            JournalError::Busy => Failure::mendable(words).hint("try again in a moment"),
            JournalError::Stopped => Failure::unexplained(words),
        }
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Failure {
        let hint = match &error {
            BackupError::Store(store) => return store.clone().into(),
            BackupError::Engine { .. } => return Failure::unexplained(error.to_string()),
            BackupError::Io { .. } => return Failure::mendable(error.to_string()),
            BackupError::Exists { .. } => "nothing is ever written over; name another file",
            BackupError::NeverServed { .. } => {
                "`store` in the configuration says which database is meant"
            }
            BackupError::NoBackup { .. } => "`grantor backup` makes one",
            BackupError::Damaged { .. } => {
                "nothing was changed; fetch the file again, or take another backup"
            }
            BackupError::OtherFormat { .. } => {
                "nothing was changed; restore it with the version of grantor that made it"
            }
            BackupError::OtherEngine { .. } => {
                "nothing was changed; a backup goes back to an engine of its own kind: name such a \
                 database in `store`"
            }
            BackupError::Newer { .. } => "run the newer version of grantor",
            BackupError::Upgrading => {
                "try again in a moment; if that goes on, start the newer version, which ends it"
            }
            BackupError::InUse { .. } => {
                "nothing was changed; stop the server and whatever else has it open"
            }
            BackupError::NotReplaced { .. } => {
                "nothing was changed; with --replace it is kept under another name and replaced"
            }
            BackupError::NotEmpty { .. } => {
                "nothing was changed; make a new database, and name it in `store`: the one that is \
                 there is never written over"
            }
            BackupError::Unknown { .. } => {
                "start the server: it starts if it was, and otherwise says that the restore has to \
                 be run again"
            }
        };
        Failure::mendable(error.to_string()).hint(hint)
    }
}

impl From<MasterKeyError> for Failure {
    fn from(error: MasterKeyError) -> Failure {
        let failure = Failure::mendable(error.to_string());
        match error {
            MasterKeyError::Missing { .. } => failure.hint(
                "put the key file back from its copy; for a new data folder, `grantor init` makes one",
            ),
            MasterKeyError::Malformed { .. } | MasterKeyError::Wrong { .. } => {
                failure.hint("put the key file back from its copy")
            }
            MasterKeyError::Readable { .. } => {
                failure.hint("whoever can read it can make tokens: if others had access, it is no secret any more")
            }
            MasterKeyError::Io { .. } => failure,
        }
    }
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Failure {
        match error {
            KeysError::MasterKey(error) => error.into(),
            KeysError::Store(error) => error.into(),
            error @ (KeysError::OtherMasterKey { .. }
            | KeysError::OlderEpoch { .. }
            | KeysError::NoSealingKey { .. }) => Failure::mendable(error.to_string()),
            error @ KeysError::Signing(_) => Failure::unexplained(error.to_string()),
            error @ KeysError::PublicHalf { .. } => Failure::mendable(error.to_string())
                .hint("`grantor key revoke` takes its id; somebody changed the database by hand"),
            error @ (KeysError::UnknownSealingKey { .. }
            | KeysError::UnknownSigningKey { .. }) => Failure::mendable(error.to_string())
                .hint("`grantor key list` shows all; --config or --data says in which store"),
            error @ KeysError::NotInstalled => Failure::mendable(error.to_string())
                .hint("they are made when `grantor serve` starts for the first time"),
            error @ KeysError::PreparedBefore { .. } => Failure::mendable(error.to_string()).hint(
                "remove the file that ends in .new, beside the master key, and run the command again",
            ),
            error @ KeysError::Contended => {
                Failure::mendable(error.to_string()).hint("try again in a moment")
            }
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        let failures = error.faults.into_iter().map(|fault| {
            let failure = Failure::mendable(fault.to_string());
            match fault.hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        });
        Failure::all(failures.collect())
    }
}

impl From<ListenError> for Failure {
    fn from(error: ListenError) -> Failure {
        match &error {
            ListenError::Bind { address, source } => {
                let failure = Failure::mendable(error.to_string()).because(source);
                match source.kind() {
                    std::io::ErrorKind::AddrInUse => failure.hint(format!(
                        "another process listens on port {}; end it, or choose another port",
                        address.port()
                    )),
                    std::io::ErrorKind::PermissionDenied => failure.hint(
                        "ports below 1024 need the capability CAP_NET_BIND_SERVICE, or a proxy in front",
                    ),
                    std::io::ErrorKind::AddrNotAvailable => {
                        failure.hint("this machine has no such address")
                    }
                    _ => failure,
                }
            }
            ListenError::Certificate { .. } => Failure::mendable(error.to_string())
                .hint("both files are PEM; the first holds the whole chain, this server's own certificate first"),
            ListenError::Stopped(source) => Failure::unexplained(error.to_string()).because(source),
        }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Failure {
        match error {
            LogError::Filter(_) => Failure::mendable(error.to_string())
                .hint("for example GRANTOR_LOG=warn, or GRANTOR_LOG=info,grantor::store=debug"),
            LogError::Twice => Failure::unexplained(error.to_string()),
            LogError::Thread(ref source) => Failure::unexplained(error.to_string()).because(source),
        }
    }
}

impl From<PasswordError> for Failure {
    fn from(error: PasswordError) -> Failure {
        match error {
            PasswordError::Length => Failure::mendable(error.to_string()),
            PasswordError::Busy | PasswordError::Corrupt => Failure::unexplained(error.to_string()),
        }
    }
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Failure {
        match error {
            DemoError::Store(error) => error.into(),
            DemoError::Password(error) => error.into(),
        }
    }
}

impl From<MailerError> for Failure {
    fn from(error: MailerError) -> Failure {
        Failure::mendable("mail cannot leave as [mail] says").because(&error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::unexplained("the system refused").because(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_wrote_moves_no_cursor_turns_no_text_and_begins_no_line_of_ours() {
        let stranger = "a\u{1b}[2J\u{9b}2J\u{202e}b\rc\nhint: run this";
        let failure = Failure::mendable(stranger)
            .because(&std::io::Error::other(stranger))
            .hint(stranger)
            .to_string();
        assert!(!failure.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r']), "{failure:?}");
        let hints = failure.lines().filter(|line| line.starts_with("hint:")).count();
        assert_eq!((hints, failure.lines().count()), (1, 6), "{failure:?}");
    }
}

//! What the commands for partners share: where connections are kept, and how a token is written.

use std::io::Write as _;
use std::path::PathBuf;

use grantor_client::broker::TokenAnswer;
use grantor_client::clock::Clock;
use grantor_client::connection::Connection;
use grantor_client::connections::{Connections, KeepingError};
use grantor_client::mistake::{Called, Mistake};
use grantor_client::random::Random;
use grantor_client::renewal::RenewalError;
use grantor_client::token::TokenError;
use zeroize::Zeroizing;

use super::Failure;
use super::output::json;

/// Where connections are kept.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Kept {
    /// The folder of connections; without it grantor/connections in the folder that XDG_DATA_HOME
    /// names, or in ~/.local/share
    #[arg(long = "connections", value_name = "DIR", env = "GRANTOR_CONNECTIONS")]
    folder: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "DIR", env = "XDG_DATA_HOME")]
    data_home: Option<PathBuf>,
    /// Where the folder is new: keep its key in a file, also where there is a keyring
    #[arg(long)]
    key_file: bool,
    #[arg(long, hide = true, value_name = "ADDRESS", env = "DBUS_SESSION_BUS_ADDRESS")]
    session_bus: Option<String>,
}

/// How a token is written to standard output.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// one line of JSON
    Json,
    /// lines for a shell or an env file: GRANTOR_ACCESS_TOKEN=…
    Env,
    /// the header: Authorization: Bearer …
    Header,
    /// the token alone
    Token,
}

impl Kept {
    /// Opens the folder, and makes it where there is none.
    pub(super) fn open(&self) -> Result<Connections, Failure> {
        let folder = self.folder()?;
        // A folder whose key is in a keyring has it there whatever is said now.
        let wants_file = self.key_file && !folder.join("key").exists();
        let session_bus = self.session_bus.as_deref().filter(|address| !address.is_empty());
        let keyring = session_bus.filter(|_| !wants_file);
        Ok(Connections::open_with(&folder, keyring, &Clock::system(), &Random::system())?)
    }

    fn folder(&self) -> Result<PathBuf, Failure> {
        if let Some(folder) = &self.folder {
            return Ok(folder.clone());
        }
        // The XDG base directory specification: a relative one is to be ignored.
        let data_home = self.data_home.clone().filter(|folder| folder.is_absolute());
        let data_home = data_home.or_else(|| Some(std::env::home_dir()?.join(".local/share")));
        let data_home = data_home.ok_or_else(|| {
            Failure::mendable("it is not known where your data is kept")
                .hint("name a folder with --connections DIR")
        })?;
        Ok(data_home.join("grantor/connections"))
    }
}

/// The name that was typed, or that of the latest connection.
pub(super) fn name_or_latest(
    connections: &Connections,
    name: Option<&str>,
) -> Result<String, Failure> {
    if let Some(name) = name {
        return Ok(name.to_owned());
    }
    match connections.latest()? {
        Some(latest) => Ok(latest.name),
        None => Err(Failure::mendable("nothing is connected")
            .hint("`grantor connect` connects; --connections DIR names another folder")),
    }
}

/// Writes the token of a connection.
pub(super) fn print_token(connection: &Connection, form: Form, now: i64) -> Result<(), Failure> {
    let answer = TokenAnswer::of(connection, now);
    let text = match form {
        Form::Json => json(&answer)?,
        Form::Env => Zeroizing::new(format!(
            "GRANTOR_ACCESS_TOKEN={}\nGRANTOR_TOKEN_EXPIRES_AT={}\nGRANTOR_CONNECTION={}",
            quoted(answer.access_token),
            answer.expires_at,
            quoted(answer.connection)
        )),
        Form::Header => Zeroizing::new(format!("Authorization: Bearer {}", answer.access_token)),
        Form::Token => Zeroizing::new(answer.access_token.to_owned()),
    };
    write(&[text.as_bytes(), b"\n"])
}

/// Writes bytes to standard output as they are.
pub(super) fn write(parts: &[&[u8]]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let written = parts.iter().try_for_each(|part| stdout.write_all(part));
    match written.and_then(|()| stdout.flush()) {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            Err(Failure::mendable("nothing can be written to standard output").because(&error))
        }
        Ok(()) => Ok(()),
    }
}

/// A runtime of one thread: enough for a call or two.
pub(super) fn small_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Failure::unexplained("no call can be made").because(&error))
}

/// A refusal of what was called, with the mistake that it shows.
pub(super) fn token_failure(what: &str, error: &TokenError, called: Called) -> Failure {
    let mistake = Mistake::of_token(error, called);
    let mut failure = mistaken(what, mistake).because(error);
    if let TokenError::Refused(refusal) = error {
        if let Some(uri) = &refusal.uri {
            failure = failure.hint(format!("the server explains it at {uri}"));
        }
        if let Some(id) = &refusal.request_id {
            failure = failure.hint(format!("who runs the server finds the call by its id, {id}"));
        }
    }
    failure
}

/// A failure with what is known of its cause.
pub(super) fn mistaken(what: &str, mistake: Option<Mistake>) -> Failure {
    match mistake {
        Some(mistake) => {
            Failure::mendable(format!("{what}: {}", mistake.words())).hint(mistake.what_to_do())
        }
        None => Failure::mendable(what),
    }
}

/// A value for a shell or an env file: as it is, where no shell changes it.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+/=@:".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

impl From<KeepingError> for Failure {
    fn from(error: KeepingError) -> Failure {
        let failure = Failure::mendable(error.to_string());
        match error {
            KeepingError::Io { .. } | KeepingError::OtherOwner { .. } => {
                failure.hint("--connections DIR names another folder")
            }
            KeepingError::Open { .. } => failure.hint(
                "whoever could read it may have the tokens: if others had access, run grantor \
                 logout and connect again",
            ),
            KeepingError::Keyring { .. } => failure
                .hint("run it inside your session, where DBUS_SESSION_BUS_ADDRESS is set and the keyring is open")
                .hint("for cron and servers connect in a new folder with --key-file"),
            KeepingError::NoKey { .. } | KeepingError::NotDecrypted { .. } => {
                failure.hint("put the file back from its copy, or remove it and connect again")
            }
            KeepingError::Locked { .. } => {
                failure.hint("a `grantor` that hangs may be ended; the connection survives it")
            }
        }
    }
}

impl From<RenewalError> for Failure {
    fn from(error: RenewalError) -> Failure {
        let words = error.to_string();
        match error {
            RenewalError::NoConnection { .. } => {
                Failure::mendable(words).hint("`grantor connections list` shows what there is")
            }
            RenewalError::Ended { .. } => {
                Failure::mendable(words).hint("the customer has to connect again: grantor connect")
            }
            RenewalError::NotReplaceable { .. } => Failure::mendable(words)
                .hint("the customer has to connect again: grantor connect")
                .hint("`grantor connections show` says for which server the token is"),
            RenewalError::NotNow { name, error, lost } => {
                let what = format!("the connection {name} could not be renewed");
                match lost {
                    // Also where the call that was seen to fail came after it.
                    true => Failure::mendable(what)
                        .because(&error)
                        .hint(Mistake::AnswerLost(Called::Refresh).what_to_do()),
                    false => token_failure(&what, &error, Called::Refresh),
                }
            }
            RenewalError::Keeping(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_for_a_shell_is_the_value_whatever_it_holds() {
        assert_eq!(quoted("gr_access_AcRJ-_.~"), "gr_access_AcRJ-_.~");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $HOME"), "'it'\\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}

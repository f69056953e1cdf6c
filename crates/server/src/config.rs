//! `grantor.toml`, the configuration of `grantor serve`.
//!
//! 1. `file.rs` is the file as it is written: every key, and where it stands;
//! 2. `check.rs` makes typed values of it, and a [`ConfigFault`] of whatever cannot be one, with its
//!    line and, where there is one, a hint;
//! 3. the result is a [`Config`], which nothing below doubts any more.

mod check;
mod file;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use grantor_protocol::environment::Environment;
use zeroize::Zeroizing;

use crate::listener::TlsFiles;
use crate::log::Format;
use crate::mail::MailConfig;
use crate::site::{Settings, SignUp};
use crate::store::Address;

/// A configuration that was read and checked. Its paths can be used as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The database, as the file names it; [`Config::database`] knows its password too.
    pub store: Address,
    /// The file that holds the database's password, where it does not stand in the address.
    pub store_password_file: Option<PathBuf>,
    /// The journal of endings.
    pub journal_file: PathBuf,
    /// The file of the master key.
    pub master_key_file: PathBuf,
    /// How the log looks.
    pub log_format: Format,
    /// Where the metrics are served; `None` for nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// At least one, in the order of [`Environment::ALL`].
    pub environments: Vec<EnvironmentConfig>,
    /// How mail leaves. Without it the portal's waits, and nobody is offered any.
    pub mail: Option<MailConfig>,
    /// The portal, where there is one.
    pub portal: Option<PortalConfig>,
}

/// The portal of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalConfig {
    /// Where it is, as an issuer of its own.
    pub issuer: EnvironmentConfig,
    /// Who may sign up.
    pub sign_up: SignUp,
}

/// One environment of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentConfig {
    /// Which one.
    pub environment: Environment,
    /// Its issuer: scheme, host and port, without a slash at the end.
    pub base_url: String,
    /// Where it listens. Environments with the same address share the listener.
    pub listen: SocketAddr,
    /// Its certificate; `None` for plain http.
    pub tls: Option<TlsFiles>,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// What the operator chose; the rest are defaults.
    pub settings: Settings,
}

/// Why a configuration cannot be used: everything that is wrong with it, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one.
    pub faults: Vec<ConfigFault>,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// The file, as it was named.
    pub file: PathBuf,
    /// The line, counted from 1; `None` where the file could not be read.
    pub line: Option<usize>,
    /// What is wrong.
    pub words: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Config {
    /// Reads the file. What it names is relative to its own folder.
    ///
    /// # Errors
    /// [`ConfigError`] with all that is wrong, each with its line.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let fault = ConfigFault {
                file: path.to_owned(),
                line: None,
                words: format!("the configuration cannot be read: {error}"),
                hint: missing.then(|| {
                    "`grantor init` makes one; --config, or GRANTOR_CONFIG, says where it is"
                        .to_owned()
                }),
            };
            ConfigError { faults: vec![fault] }
        })?;
        Config::parse(&text, path)
    }

    /// Reads the text of a file that stands at `path`.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        check::Check::new(text, path).run()
    }

    /// The database, with the password of its file.
    ///
    /// # Errors
    /// [`ConfigError`] where that file cannot be read.
    pub fn database(&self) -> Result<Address, ConfigError> {
        let Some(path) = &self.store_password_file else {
            return Ok(self.store.clone());
        };
        match std::fs::read_to_string(path).map(Zeroizing::new) {
            Ok(password) => Ok(self.store.clone().with_password(password.trim_end())),
            Err(error) => {
                let words = format!("the database's password cannot be read: {error}");
                let fault = ConfigFault { file: path.clone(), line: None, words, hint: None };
                Err(ConfigError { faults: vec![fault] })
            }
        }
    }

    /// All that issue tokens: the environments, and then the portal.
    pub fn issuers(&self) -> impl Iterator<Item = &EnvironmentConfig> {
        self.environments.iter().chain(self.portal.as_ref().map(|portal| &portal.issuer))
    }

    /// One of its environments.
    pub fn environment(&self, environment: Environment) -> Option<&EnvironmentConfig> {
        self.environments.iter().find(|found| found.environment == environment)
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.words),
            None => write!(f, "{}: {}", self.file.display(), self.words),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.faults.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests;

//! Which database: `sqlite:PATH` or `postgres://…`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// How long a connection may take to come about.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the data is. It does not print a password.
#[derive(Clone)]
pub enum Address {
    /// an SQLite file
    Sqlite(PathBuf),
    /// a PostgreSQL database
    Postgres(Box<Database>),
}

/// A PostgreSQL database, and how it is reached.
#[derive(Clone)]
pub struct Database {
    pub(super) config: Box<tokio_postgres::Config>,
    /// Whose certificates are believed beside the system's, as PEM.
    pub(super) authorities: Option<PathBuf>,
}

/// Why a text is no address of a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It does not begin with a known scheme.
    #[error("it does not say which database")]
    Unknown,
    /// `sqlite:` without a file.
    #[error("it names no file")]
    NoFile,
    /// What follows `postgres://` cannot be read.
    #[error("it is no PostgreSQL address: {0}")]
    Malformed(String),
    /// Others on the way would read every row, the password included.
    #[error("it reaches {host} over the network without TLS")]
    Plain {
        /// which host
        host: String,
    },
}

impl Address {
    /// Reads `sqlite:PATH`, relative to `folder`, or `postgres://…`, with one host or several: of
    /// several, the one that takes writes is used. A host that is not this machine is reached over
    /// TLS alone, and its certificate is checked.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str, folder: &Path) -> Result<Address, AddressError> {
        let (scheme, rest) = text.split_once(':').unwrap_or(("", ""));
        match scheme {
            "sqlite"
                if rest.is_empty() || rest.starts_with([':', '?']) || rest.starts_with("//") =>
            {
                Err(AddressError::NoFile)
            }
            "sqlite" => Ok(Address::Sqlite(folder.join(rest))),
            "postgres" | "postgresql" => {
                Database::parse(text).map(|database| Address::Postgres(Box::new(database)))
            }
            _ => Err(AddressError::Unknown),
        }
    }

    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Address::Sqlite(path) => Some(path),
            Address::Postgres(_) => None,
        }
    }

    /// Whose certificates are believed beside the system's: a PEM file. It says nothing to a file.
    #[must_use]
    pub fn with_authorities(mut self, pem: Option<PathBuf>) -> Address {
        if let Address::Postgres(database) = &mut self {
            database.authorities = pem;
        }
        self
    }

    /// The password, where it does not stand in the address.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Address {
        if let Address::Postgres(database) = &mut self {
            database.config.password(password);
        }
        self
    }
}

impl Database {
    fn parse(text: &str) -> Result<Database, AddressError> {
        let mut config: tokio_postgres::Config = text.parse().map_err(|error| {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            AddressError::Malformed(why.unwrap_or_else(|| "it cannot be read".to_owned()))
        })?;
        if config.get_hosts().is_empty() {
            return Err(AddressError::Malformed("it names no host".to_owned()));
        }
        if config.get_dbname().is_none() {
            return Err(AddressError::Malformed("it names no database".to_owned()));
        }
        config.application_name("grantor");
        config.connect_timeout(CONNECT_TIMEOUT);
        // After a failover the former primary may still answer, and takes no writes.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        // `hostaddr` says where the host really is, whatever its name.
        let addresses = config.get_hostaddrs().iter();
        let abroad = config
            .get_hosts()
            .iter()
            .find_map(far_host)
            .or(addresses.filter(|at| !at.is_loopback()).map(ToString::to_string).next());
        match (config.get_ssl_mode(), abroad) {
            (SslMode::Disable, Some(host)) => return Err(AddressError::Plain { host }),
            // `prefer` would let whoever stands between take TLS away.
            (SslMode::Prefer, Some(_)) => {
                config.ssl_mode(SslMode::Require);
            }
            (SslMode::Prefer, None) => {
                config.ssl_mode(SslMode::Disable);
            }
            _ => {}
        }
        Ok(Database { config: Box::new(config), authorities: None })
    }
}

/// The host, if it is reached over a network.
fn far_host(host: &Host) -> Option<String> {
    match host {
        Host::Unix(_) => None,
        Host::Tcp(name) => {
            let bare = name.trim_start_matches('[').trim_end_matches(']');
            let here = name == "localhost"
                || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
            (!here).then(|| name.clone())
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Sqlite(path) => write!(f, "{}", path.display()),
            Address::Postgres(database) => {
                let hosts: Vec<String> = database
                    .config
                    .get_hosts()
                    .iter()
                    .map(|host| match host {
                        Host::Tcp(name) => name.clone(),
                        Host::Unix(path) => path.display().to_string(),
                    })
                    .collect();
                let name = database.config.get_dbname().unwrap_or_default();
                write!(f, "postgres://{}/{name}", hosts.join(","))
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Sqlite(one), Address::Sqlite(other)) => one == other,
            (Address::Postgres(one), Address::Postgres(other)) => {
                one.config == other.config && one.authorities == other.authorities
            }
            _ => false,
        }
    }
}

impl Eq for Address {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, AddressError> {
        Address::parse(text, Path::new("/data"))
    }

    #[test]
    fn an_address_shows_host_and_database_and_never_its_password() {
        let address = parse("postgres://grantor:s3cret-word@db.example:5433/tokens").unwrap();
        assert_eq!(address.to_string(), "postgres://db.example/tokens");
        assert!(!format!("{address:?}").contains("s3cret"));
        assert_eq!(parse("sqlite:grantor.db").unwrap().file(), Some(Path::new("/data/grantor.db")));
    }

    #[test]
    fn a_host_that_is_not_this_machine_is_reached_over_tls_alone() {
        let mode = |text| match parse(text).unwrap() {
            Address::Postgres(database) => database.config.get_ssl_mode(),
            Address::Sqlite(_) => unreachable!(),
        };
        assert_eq!(mode("postgres://u@db.example/d"), SslMode::Require);
        assert_eq!(mode("postgres://u@10.0.0.7/d"), SslMode::Require);
        assert_eq!(mode("postgres://u@127.0.0.1/d"), SslMode::Disable);
        assert_eq!(mode("postgres://u@localhost/d?sslmode=require"), SslMode::Require);
        assert_eq!(mode("postgres://u@localhost/d?hostaddr=10.0.0.7"), SslMode::Require);
        assert_eq!(mode("postgres://u@localhost/d?hostaddr=127.0.0.1"), SslMode::Disable);
        assert_eq!(
            parse("postgres://u@127.0.0.1,db.example/d?sslmode=disable"),
            Err(AddressError::Plain { host: "db.example".to_owned() })
        );
    }

    #[test]
    fn what_is_no_address_says_what_is_wrong_with_it() {
        assert_eq!(parse("mysql://x"), Err(AddressError::Unknown));
        assert_eq!(parse("sqlite:"), Err(AddressError::NoFile));
        assert_eq!(parse("sqlite::memory:"), Err(AddressError::NoFile));
        for text in ["postgres://", "postgres:///d", "postgres://u@h", "postgres://u@h:x/d"] {
            assert!(matches!(parse(text), Err(AddressError::Malformed(_))), "{text}");
        }
    }
}

//! Makes a [`Config`] of the file, and words of what cannot be one. `settings.rs` reads what the
//! operator chose for an environment, `api.rs` its APIs, `portal.rs` the portal.

mod api;
mod mail;
mod portal;
mod settings;

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};

use grantor_protocol::environment::Environment;
use toml::Spanned;
use url::{Host, Url};

use super::file::{File, Section, Tls};
use super::{Config, ConfigError, ConfigFault, EnvironmentConfig, PortalConfig};
use crate::listener::TlsFiles;
use crate::site::Settings;
use crate::store::{Address, AddressError};

/// The journal of endings, where the file names no other: beside the SQLite file, or else beside the
/// master key.
const JOURNAL: &str = "endings.journal";

/// The check of one file, with what was found wrong so far.
pub(super) struct Check<'a> {
    text: &'a str,
    path: &'a Path,
    folder: PathBuf,
    faults: Vec<ConfigFault>,
}

/// What to do about a fault, where there is something to say.
struct Hint(Option<String>);

/// Where something is served, as the file says it.
struct Place {
    base_url: Spanned<String>,
    listen: Spanned<String>,
    tls: Option<Spanned<Tls>>,
    trusted_proxies: Vec<Spanned<String>>,
}

/// An environment that was read, and where its values stand, for the rules between two of them.
struct Placed {
    config: EnvironmentConfig,
    base_url_at: Range<usize>,
    listen_at: Range<usize>,
}

impl<'a> Check<'a> {
    pub(super) fn new(text: &'a str, path: &'a Path) -> Check<'a> {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Check { text, path, folder, faults: Vec::new() }
    }

    pub(super) fn run(mut self) -> Result<Config, ConfigError> {
        let file: File = match toml::from_str(self.text) {
            Ok(file) => file,
            Err(error) => {
                self.malformed(&error);
                return Err(ConfigError { faults: self.faults });
            }
        };
        let store = self.store(&file);
        let store_password_file = match &file.store_password_file {
            Some(named) => self.file(named).map(Some),
            None => Some(None),
        };
        let master_key_file = self.file(&file.master_key_file);
        let journal_file = file.journal_file.as_ref().map(|text| self.file(text));
        let sections = [
            (Environment::Staging, file.environment.staging),
            (Environment::Production, file.environment.production),
        ];
        if sections.iter().all(|(_, section)| section.is_none()) {
            self.fault(
                0..0,
                "there is no environment",
                "add [environment.staging] or [environment.production], with base_url and listen",
            );
        }
        let mut placed: Vec<Placed> = Vec::new();
        for (environment, section) in sections {
            if let Some(section) = section {
                placed.extend(self.environment(environment, section.into_inner()));
            }
        }
        let portal = file.portal.and_then(|section| self.portal(section));
        let (portal, sign_up) = portal.unzip();
        placed.extend(portal);
        // One that is there and cannot be read is told by itself.
        let mail = file.mail.as_ref().and_then(|section| self.mail(section));
        for each in &mut placed {
            each.config.settings.mail = mail.is_some();
        }
        for (at, one) in placed.iter().enumerate() {
            for other in placed.get(at + 1..).unwrap_or_default() {
                self.side_by_side(one, other);
            }
        }
        let metrics_listen =
            file.metrics.and_then(|metrics| self.metrics(&metrics.listen, &placed));
        self.faults.sort_by_key(|fault| fault.line);
        match (store, store_password_file, master_key_file) {
            (Some(store), Some(store_password_file), Some(master_key_file))
                if self.faults.is_empty() =>
            {
                let mut issuers: Vec<_> = placed.into_iter().map(|placed| placed.config).collect();
                let portal = sign_up.and_then(|sign_up| {
                    issuers.pop().map(|issuer| PortalConfig { issuer, sign_up })
                });
                let beside = store.file().unwrap_or(&master_key_file).with_file_name(JOURNAL);
                Ok(Config {
                    journal_file: journal_file.flatten().unwrap_or(beside),
                    store,
                    store_password_file,
                    master_key_file,
                    log_format: file.log.format,
                    metrics_listen,
                    environments: issuers,
                    mail,
                    portal,
                })
            }
            _ => Err(ConfigError { faults: self.faults }),
        }
    }

    fn environment(&mut self, environment: Environment, section: Section) -> Option<Placed> {
        let settings = self.settings(&section);
        let place = Place {
            base_url: section.base_url,
            listen: section.listen,
            tls: section.tls,
            trusted_proxies: section.trusted_proxies,
        };
        self.placed(environment, &place, settings)
    }

    /// What stands at a base URL and listens at an address.
    fn placed(
        &mut self,
        environment: Environment,
        place: &Place,
        settings: Settings,
    ) -> Option<Placed> {
        let base_url = self.base_url(&place.base_url);
        let listen = self.listen(&place.listen);
        let mut trusted_proxies = Vec::new();
        for text in &place.trusted_proxies {
            trusted_proxies.extend(self.proxy(text));
        }
        let tls = match &place.tls {
            Some(tls) => {
                let tls = tls.get_ref();
                let (certificate, key) = (self.file(&tls.certificate), self.file(&tls.key));
                Some(TlsFiles { certificate: certificate?, key: key? })
            }
            None => None,
        };
        let (base_url, listen) = (base_url?, listen?);
        let tls_at = place.tls.as_ref().map(Spanned::span);
        if let Some(tls_at) = tls_at.filter(|_| base_url.scheme() == "http") {
            self.fault(
                tls_at,
                "there is a certificate, but base_url begins with http://",
                "write https:// in base_url, or leave tls out",
            );
        }
        if tls.is_none() && !listen.ip().is_loopback() {
            self.plain_in_the_open(&base_url, place, !trusted_proxies.is_empty());
        }
        Some(Placed {
            config: EnvironmentConfig {
                environment,
                base_url: base_url.origin().ascii_serialization(),
                listen,
                tls,
                trusted_proxies,
                settings,
            },
            base_url_at: place.base_url.span(),
            listen_at: place.listen.span(),
        })
    }

    /// Passwords and secrets do not go over the open network in clear.
    fn plain_in_the_open(&mut self, base_url: &Url, place: &Place, behind_proxy: bool) {
        if base_url.scheme() == "http" {
            self.fault(
                place.listen.span(),
                "http is for this machine alone, and this address can be reached from others",
                "listen on 127.0.0.1 or [::1], or use https in base_url",
            );
        } else if !behind_proxy {
            self.fault(
                place.listen.span(),
                "this address can be reached from other machines, without TLS",
                "add tls = { certificate = \"...\", key = \"...\" }, or name the proxy before it in \
                 trusted_proxies, or listen on 127.0.0.1",
            );
        }
    }

    /// What two environments must not have in common, and what they must where they share a
    /// listener.
    fn side_by_side(&mut self, one: &Placed, other: &Placed) {
        let (left, right) = (&one.config, &other.config);
        // The one that stands further down is the one to name.
        let later = if one.base_url_at.start > other.base_url_at.start { one } else { other };
        if left.base_url == right.base_url {
            self.fault(
                later.base_url_at.clone(),
                format!("{} and {} have this base_url", left.environment, right.environment),
                "each is known by its base URL: give each its own host or port",
            );
            return;
        }
        if left.listen != right.listen {
            return;
        }
        if left.tls != right.tls || left.trusted_proxies != right.trusted_proxies {
            self.fault(
                later.listen_at.clone(),
                format!(
                    "{} and {} listen on {}, but their tls or trusted_proxies differ",
                    left.environment, right.environment, left.listen
                ),
                "what shares an address shares its certificate and its proxies: write the same in \
                 both, or give each its own address",
            );
        }
    }

    fn base_url(&mut self, text: &Spanned<String>) -> Option<Url> {
        let at = text.span();
        let Ok(url) = Url::parse(text.get_ref()) else {
            self.fault(at, "base_url is not a URL", "for example https://api.example.com");
            return None;
        };
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            self.fault(at, "base_url is not an https URL", "for example https://api.example.com");
            return None;
        }
        if !bare {
            self.fault(
                at,
                "base_url has more than a scheme, a host and a port",
                format!("write {}", url.origin().ascii_serialization()),
            );
            return None;
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            self.fault(
                at,
                "base_url is http, which is for this machine alone",
                "write https://, with tls or behind a proxy that has it",
            );
            return None;
        }
        Some(url)
    }

    fn listen(&mut self, text: &Spanned<String>) -> Option<SocketAddr> {
        match text.get_ref().parse::<SocketAddr>() {
            Ok(address) if address.port() > 0 => Some(address),
            Ok(_) => {
                self.fault(text.span(), "port 0 is another port at each start", "name a port");
                None
            }
            Err(_) => {
                self.fault(
                    text.span(),
                    "listen is not an address with a port",
                    "for example 127.0.0.1:8300, 0.0.0.0:443 or [::]:443; a host name is not taken",
                );
                None
            }
        }
    }

    /// The metrics have no authentication, so they never share an address with what partners reach.
    fn metrics(&mut self, text: &Spanned<String>, placed: &[Placed]) -> Option<SocketAddr> {
        let address = self.listen(text)?;
        if placed.iter().any(|placed| placed.config.listen == address) {
            self.fault(
                text.span(),
                "an environment listens on this address",
                "give the metrics an address of their own, for example 127.0.0.1:9464",
            );
            return None;
        }
        Some(address)
    }

    fn proxy(&mut self, text: &Spanned<String>) -> Option<IpAddr> {
        match text.get_ref().parse::<IpAddr>() {
            Ok(address) => Some(address.to_canonical()),
            Err(_) => {
                self.fault(
                    text.span(),
                    "this proxy is not an IP address",
                    "for example 10.0.0.7; name each address, without a port or a range",
                );
                None
            }
        }
    }

    fn store(&mut self, file: &File) -> Option<Address> {
        let text = &file.store;
        let address = match Address::parse(text.get_ref(), &self.folder) {
            Ok(address) => address,
            Err(error) => {
                let (words, hint) = match &error {
                    AddressError::Unknown => (
                        "store does not say which database".to_owned(),
                        "for example sqlite:grantor.db, relative to the folder of this file, or \
                         postgres://grantor@db.example/grantor",
                    ),
                    AddressError::NoFile => (
                        "store names no file".to_owned(),
                        "for example sqlite:grantor.db, or sqlite:/var/lib/grantor/grantor.db",
                    ),
                    AddressError::Malformed(why) => (
                        format!("store is no PostgreSQL address: {why}"),
                        "for example postgres://grantor@db.example/grantor",
                    ),
                    AddressError::Plain { host } => (
                        format!("store reaches {host} over the network without TLS"),
                        "leave sslmode=disable out",
                    ),
                };
                self.fault(text.span(), words, hint);
                return None;
            }
        };
        if let (Some(_), Some(only)) =
            (address.file(), file.store_password_file.as_ref().or(file.store_ca_file.as_ref()))
        {
            self.fault(only.span(), "this is for PostgreSQL, and store is a file", None);
        }
        let authorities = match &file.store_ca_file {
            Some(named) => Some(self.file(named)?),
            None => None,
        };
        Some(address.with_authorities(authorities))
    }

    fn file(&mut self, text: &Spanned<String>) -> Option<PathBuf> {
        if text.get_ref().trim().is_empty() {
            self.fault(text.span(), "this names no file", None);
            return None;
        }
        Some(self.folder.join(text.get_ref()))
    }

    /// What is no TOML, or has a key that is unknown, missing, or of another type.
    fn malformed(&mut self, error: &toml::de::Error) {
        let words = error
            .message()
            .replace("unknown field", "unknown key")
            .replace("missing field", "missing key");
        let hint = if words.contains("expected i64") {
            Some("a time is a whole number of seconds, without quotes: 3600")
        } else if words.starts_with("missing key") {
            Some("`grantor init` in an empty folder shows a whole configuration")
        } else {
            None
        };
        self.fault(error.span().unwrap_or(0..0), words, hint);
    }

    fn fault(&mut self, at: Range<usize>, words: impl Into<String>, hint: impl Into<Hint>) {
        let before = self.text.get(..at.start).unwrap_or_default();
        self.faults.push(ConfigFault {
            file: self.path.to_owned(),
            line: Some(before.matches('\n').count() + 1),
            words: words.into(),
            hint: hint.into().0,
        });
    }
}

impl From<&str> for Hint {
    fn from(words: &str) -> Hint {
        Hint(Some(words.to_owned()))
    }
}

impl From<String> for Hint {
    fn from(words: String) -> Hint {
        Hint(Some(words))
    }
}

impl From<Option<&str>> for Hint {
    fn from(words: Option<&str>) -> Hint {
        Hint(words.map(str::to_owned))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

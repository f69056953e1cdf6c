//! How a guard is to be made that trusts a server elsewhere: what it is for, and whom it asks.

use std::net::IpAddr;

use axum::http::header::HeaderValue;
use std::sync::Arc;
use url::{Host, Url};

use crate::clock::Clock;
use crate::fetch::Http;
use crate::guard::{Guard, Inner, Remote, Source, quotable};
use crate::introspection::{self, Endpoint, Introspection, Room};
use crate::keys::PublishedKeys;
use crate::proof::UsedProofs;
use crate::signed::SignedTokens;

/// How many decisions of each kind are kept, unless the API chooses another number.
pub const MOST_KEPT: usize = 10_000;

/// What a guard is to be. Begin with [`Guard::of`].
#[must_use]
pub struct Plan {
    resource: String,
    issuer: String,
    keys_url: Option<String>,
    asker: Option<Asker>,
    introspection_url: String,
    metadata_url: String,
    public_url: Option<String>,
    realm: Option<String>,
    room: Room,
    clock: Clock,
}

/// The client with which the API asks; `None` where id or secret cannot stand in a header.
struct Asker(Option<HeaderValue>);

/// Why no guard can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanFault {
    /// neither [`Plan::offline`] nor [`Plan::asking`] was called
    NoSource,
    /// an address that is neither https nor http on this machine
    Address(String),
    /// the API's identifier is no address, and no [`Plan::public_url`] was named
    NoPublicUrl,
    /// the id or the secret of the client cannot stand in a header
    Client,
    /// the system has no certificates that it trusts
    Certificates(String),
}

impl Guard {
    /// Begins the plan of a guard for the API `resource`, which trusts the Grantor server at
    /// `issuer`: its base URL, without a slash at the end.
    pub fn of(resource: &str, issuer: &str) -> Plan {
        let (_, beside) = resource.split_once("://").unwrap_or(("", resource));
        let beside = beside.trim_end_matches('/');
        Plan {
            resource: resource.to_owned(),
            issuer: issuer.to_owned(),
            keys_url: None,
            asker: None,
            introspection_url: format!("{issuer}/oauth/introspect"),
            metadata_url: format!("{issuer}/.well-known/oauth-protected-resource/{beside}"),
            public_url: None,
            realm: None,
            room: Room { kept_seconds: introspection::KEPT_SECONDS, most_kept: MOST_KEPT },
            clock: Clock::system(),
        }
    }
}

impl Plan {
    /// Checks `at+jwt` of the issuer offline, by the keys that it publishes.
    pub fn offline(self) -> Plan {
        let keys_url = format!("{}/oauth/jwks", self.issuer);
        Plan { keys_url: Some(keys_url), ..self }
    }

    /// The same, with the keys at another address than Grantor's.
    pub fn offline_with_keys_at(self, url: &str) -> Plan {
        Plan { keys_url: Some(url.to_owned()), ..self }
    }

    /// Asks the server about every other token, as this client.
    pub fn asking(self, client_id: &str, client_secret: &str) -> Plan {
        Plan { asker: Some(Asker(introspection::basic(client_id, client_secret))), ..self }
    }

    /// Where it asks, if not where Grantor answers. The server has to say `aud` of each living token:
    /// one that says it of none cannot be asked by an API (RFC 7662 2.2).
    pub fn introspection_at(self, url: &str) -> Plan {
        Plan { introspection_url: url.to_owned(), ..self }
    }

    /// Where the metadata of the API is (RFC 9728), if the API has its own.
    pub fn metadata_at(self, url: &str) -> Plan {
        Plan { metadata_url: url.to_owned(), ..self }
    }

    /// What stands before the path of each request as the caller knows it: scheme, host, and a path
    /// that a proxy or a nested router takes away. Unless it is named, scheme and host of the API's
    /// identifier. A request's own headers never say.
    pub fn public_url(self, url: &str) -> Plan {
        Plan { public_url: Some(url.trim_end_matches('/').to_owned()), ..self }
    }

    /// The name of the API in challenges; unless it is named, its identifier.
    pub fn realm(self, realm: &str) -> Plan {
        Plan { realm: Some(realm.to_owned()), ..self }
    }

    /// For how long an answer of the server is kept, in seconds, up to
    /// [`introspection::MOST_KEPT_SECONDS`]: for as long a token may open after it was revoked. 0
    /// asks each time.
    pub fn kept_seconds(self, seconds: u8) -> Plan {
        let kept_seconds = i64::from(seconds).min(introspection::MOST_KEPT_SECONDS);
        Plan { room: Room { kept_seconds, ..self.room }, ..self }
    }

    /// How many decisions of each kind are kept.
    pub fn most_kept(self, most_kept: usize) -> Plan {
        Plan { room: Room { most_kept, ..self.room }, ..self }
    }

    /// Another clock than the system's, for tests.
    pub fn clock(self, clock: Clock) -> Plan {
        Plan { clock, ..self }
    }

    /// Makes the guard. Nothing is fetched before the first call.
    ///
    /// # Errors
    /// [`PlanFault`]
    pub fn build(self) -> Result<Guard, PlanFault> {
        if self.keys_url.is_none() && self.asker.is_none() {
            return Err(PlanFault::NoSource);
        }
        let public_url = match &self.public_url {
            Some(url) => url.clone(),
            None => origin(&self.resource).ok_or(PlanFault::NoPublicUrl)?,
        };
        let http = Http::new().map_err(|error| PlanFault::Certificates(error.to_string()))?;
        let signed = match self.keys_url {
            None => None,
            Some(url) => {
                let keys = PublishedKeys::at(safe(url)?, http.clone(), self.clock.clone());
                Some(SignedTokens::of(self.issuer.clone(), keys, self.room.most_kept))
            }
        };
        let introspection = match self.asker {
            None => None,
            Some(Asker(authorization)) => {
                let authorization = authorization.ok_or(PlanFault::Client)?;
                let url = safe(self.introspection_url)?;
                let endpoint = Endpoint { url, authorization, issuer: self.issuer };
                Some(Introspection::at(endpoint, http, self.clock.clone(), self.room))
            }
        };
        let used_proofs = UsedProofs::default();
        let remote = Remote { signed, introspection, used_proofs, public_url, clock: self.clock };
        Ok(Guard(Arc::new(Inner {
            realm: quotable(self.realm.as_deref().unwrap_or(&self.resource)),
            resource: self.resource,
            metadata_url: quotable(&self.metadata_url),
            own_answer: None,
            source: Arc::new(Source::Remote(Box::new(remote))),
        })))
    }
}

/// Whoever stands between here and plain http chooses the keys that are trusted, and reads the
/// secret of the client.
fn safe(url: String) -> Result<String, PlanFault> {
    let is_safe = Url::parse(&url).is_ok_and(|url| match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Domain(name))) => name == "localhost",
        ("http", Some(Host::Ipv4(address))) => IpAddr::from(address).is_loopback(),
        ("http", Some(Host::Ipv6(address))) => IpAddr::from(address).is_loopback(),
        _ => false,
    });
    match is_safe {
        true => Ok(url),
        false => Err(PlanFault::Address(url)),
    }
}

fn origin(resource: &str) -> Option<String> {
    let url = Url::parse(resource).ok()?;
    let origin = url.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

impl std::fmt::Display for PlanFault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PlanFault::NoSource => formatter
                .write_str("the guard has nothing to decide by: call offline(), asking(), or both"),
            PlanFault::Address(url) => {
                write!(formatter, "{url} is neither https nor http on this machine")
            }
            PlanFault::NoPublicUrl => formatter.write_str(
                "the API's identifier is no address: name the one that callers use, with \
                 public_url()",
            ),
            PlanFault::Client => {
                formatter.write_str("the client's id or secret cannot stand in a header")
            }
            PlanFault::Certificates(error) => {
                write!(formatter, "no certificates that this system trusts: {error}")
            }
        }
    }
}

impl std::error::Error for PlanFault {}

//! The two environments, and the portal beside them. Nothing of one is valid in another.

use std::fmt;

/// `staging` or `production`: each has its own base URL, clients, customers, keys and tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Environment {
    /// Where partners build and test.
    Staging,
    /// Where customers live.
    Production,
    /// No environment of customers: the issuer in which developers, managers and operators sign in,
    /// and whose tokens open the API of the partner programme.
    Portal,
}

/// The proof that something is of staging, which no other environment gives: what makes hard cases
/// happen on purpose takes it, so that it cannot be asked for elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staging(());

impl Staging {
    /// The environment that it is the proof of.
    pub fn environment(self) -> Environment {
        Environment::Staging
    }
}

impl Environment {
    /// The proof that this is staging, where it is.
    pub fn staging(self) -> Option<Staging> {
        (self == Environment::Staging).then_some(Staging(()))
    }

    /// Both environments, in the order in which people meet them; not the portal.
    pub const ALL: [Environment; 2] = [Environment::Staging, Environment::Production];

    /// All that issue tokens, each with keys, sessions and clients of its own.
    pub const ISSUERS: [Environment; 3] =
        [Environment::Staging, Environment::Production, Environment::Portal];

    /// The name as it stands in configuration, keys, cookies and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Environment::Staging => "staging",
            Environment::Production => "production",
            Environment::Portal => "portal",
        }
    }

    /// The one of that exact name, if there is one; the portal too.
    pub fn parse(name: &str) -> Option<Environment> {
        Environment::ISSUERS.into_iter().find(|environment| environment.as_str() == name)
    }

    /// The one that this one is mixed up with. Who comes to the portal with something else comes with
    /// what is for trying out.
    pub fn other(self) -> Environment {
        match self {
            Environment::Staging => Environment::Production,
            Environment::Production | Environment::Portal => Environment::Staging,
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

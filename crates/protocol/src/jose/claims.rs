//! The claims of a token whose signature was verified (RFC 7519 4): text is text, and a time is a
//! whole number of seconds.

use std::borrow::Cow;

use super::json::{self, JsonFault, Members, Value};

/// The last second of the year 9999; nothing that is meant lies behind it.
const LAST_SECOND: i64 = 253_402_300_799;

/// What a token says, borrowed from its payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims<'a>(Members<'a>);

/// Why the claims cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimsFault {
    /// the payload is not a JSON object
    NotAnObject,
    /// a claim stands twice
    Repeated,
    /// a claim is missing
    Missing {
        /// its name
        claim: &'static str,
    },
    /// a claim is not text
    NotText {
        /// its name
        claim: &'static str,
    },
    /// a claim is not a whole number of seconds since 1970, up to the year 9999
    NotSeconds {
        /// its name
        claim: &'static str,
    },
}

impl<'a> Claims<'a> {
    /// Reads the payload of a token.
    ///
    /// # Errors
    /// [`ClaimsFault::NotAnObject`], [`ClaimsFault::Repeated`] (RFC 7519 4).
    pub fn parse(payload: &'a [u8]) -> Result<Claims<'a>, ClaimsFault> {
        match json::parse_object(payload) {
            Ok(members) => Ok(Claims(members)),
            Err(JsonFault::Repeated) => Err(ClaimsFault::Repeated),
            Err(JsonFault::NotJson | JsonFault::NotObject) => Err(ClaimsFault::NotAnObject),
        }
    }

    /// A claim as it stands.
    pub fn value(&self, claim: &str) -> Option<&Value<'a>> {
        self.0.get(claim)
    }

    /// A claim that has to be text.
    ///
    /// # Errors
    /// [`ClaimsFault::Missing`], [`ClaimsFault::NotText`].
    pub fn text(&self, claim: &'static str) -> Result<&str, ClaimsFault> {
        self.optional_text(claim)?.ok_or(ClaimsFault::Missing { claim })
    }

    /// A claim that is text where it stands.
    ///
    /// # Errors
    /// [`ClaimsFault::NotText`].
    pub fn optional_text(&self, claim: &'static str) -> Result<Option<&str>, ClaimsFault> {
        match self.0.get(claim) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ClaimsFault::NotText { claim }),
        }
    }

    /// A claim that has to be a time, in Unix seconds. RFC 7519 2 would allow a fraction; a reader
    /// that rounds differs from one that does not.
    ///
    /// # Errors
    /// [`ClaimsFault::Missing`], [`ClaimsFault::NotSeconds`].
    pub fn seconds(&self, claim: &'static str) -> Result<i64, ClaimsFault> {
        self.optional_seconds(claim)?.ok_or(ClaimsFault::Missing { claim })
    }

    /// A claim that is a time, in Unix seconds, where it stands.
    ///
    /// # Errors
    /// [`ClaimsFault::NotSeconds`].
    pub fn optional_seconds(&self, claim: &'static str) -> Result<Option<i64>, ClaimsFault> {
        let Some(value) = self.0.get(claim) else { return Ok(None) };
        match value.as_i64() {
            Some(seconds @ 0..=LAST_SECOND) => Ok(Some(seconds)),
            _ => Err(ClaimsFault::NotSeconds { claim }),
        }
    }
}

impl ClaimsFault {
    /// What is wrong, for whoever made the token.
    pub fn words(self) -> Cow<'static, str> {
        match self {
            ClaimsFault::NotAnObject => "Its payload is not a JSON object.".into(),
            ClaimsFault::Repeated => "It has a claim twice.".into(),
            ClaimsFault::Missing { claim } => format!("It has no claim {claim}.").into(),
            ClaimsFault::NotText { claim } => format!("Its claim {claim} is not text.").into(),
            ClaimsFault::NotSeconds { claim } => {
                format!("Its claim {claim} is not a whole number of seconds since 1970.").into()
            }
        }
    }
}

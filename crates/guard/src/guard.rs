//! The check of one call, from whichever source its decision comes.
//!
//! 1. the token is taken from the header;
//! 2. its source decides: a cached decision, a signature, an answer of the server, or a function of
//!    this program;
//! 3. time and audience;
//! 4. the proof of its key, last, because that uses the proof up.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use axum::http::request::Parts;
use grantor_protocol::api::is_same;

use crate::access::Access;
#[cfg(feature = "remote")]
use crate::cache;
#[cfg(feature = "remote")]
use crate::clock::Clock;
#[cfg(feature = "remote")]
use crate::credentials::Credentials;
#[cfg(feature = "remote")]
use crate::introspection::Introspection;
#[cfg(feature = "remote")]
use crate::proof::{Target, UsedProofs};
use crate::refusal::{Realm, Refusal};
#[cfg(feature = "remote")]
use crate::signed::SignedTokens;

/// A function of this program that decides on a whole call: the token, its time, and the key that it
/// is bound to. The audience and the scopes are the guard's to check.
pub type OwnCheck = dyn for<'a> Fn(&'a Parts) -> Decided<'a> + Send + Sync;
/// What it gives back.
pub type Decided<'a> = Pin<Box<dyn Future<Output = Result<Access, Refusal>> + Send + 'a>>;
/// How an API says a refusal in its own words: it is given the finished answer.
pub type OwnAnswer = dyn Fn(&Refusal, Response<Body>) -> Response<Body> + Send + Sync;

/// Guards one API. Cloned freely; clones share what they know.
#[derive(Clone)]
pub struct Guard(pub(crate) Arc<Inner>);

#[derive(Clone)]
pub(crate) struct Inner {
    pub(crate) resource: String,
    pub(crate) realm: String,
    pub(crate) metadata_url: String,
    pub(crate) own_answer: Option<Arc<OwnAnswer>>,
    pub(crate) source: Arc<Source>,
}

/// What an API is called that is guarded by a function of its own program. A quotation mark or a
/// control character in what stands in challenges is left out.
#[derive(Clone, Copy, Debug)]
pub struct OwnApi<'a> {
    /// Its identifier (RFC 8707).
    pub resource: &'a str,
    /// Its name in challenges.
    pub realm: &'a str,
    /// Where its metadata is (RFC 9728).
    pub metadata_url: &'a str,
}

/// Where decisions come from.
pub(crate) enum Source {
    Own(Box<OwnCheck>),
    #[cfg(feature = "remote")]
    Remote(Box<Remote>),
}

/// What asks another program, or trusts its signature.
#[cfg(feature = "remote")]
pub(crate) struct Remote {
    pub(crate) signed: Option<SignedTokens>,
    pub(crate) introspection: Option<Introspection>,
    pub(crate) used_proofs: UsedProofs,
    /// What stands before the path of a request, as the caller knows it.
    pub(crate) public_url: String,
    pub(crate) clock: Clock,
}

impl Guard {
    /// Guards an API by a function of its own program.
    pub fn by(
        api: OwnApi<'_>,
        check: impl for<'a> Fn(&'a Parts) -> Decided<'a> + Send + Sync + 'static,
    ) -> Guard {
        Guard(Arc::new(Inner {
            resource: api.resource.to_owned(),
            realm: quotable(api.realm),
            metadata_url: quotable(api.metadata_url),
            own_answer: None,
            source: Arc::new(Source::Own(Box::new(check))),
        }))
    }

    /// The same guard, which lets the API say a refusal in its own words.
    #[must_use]
    pub fn answering(
        &self,
        answer: impl Fn(&Refusal, Response<Body>) -> Response<Body> + Send + Sync + 'static,
    ) -> Guard {
        Guard(Arc::new(Inner { own_answer: Some(Arc::new(answer)), ..(*self.0).clone() }))
    }

    /// Checks the token of a call.
    ///
    /// # Errors
    /// [`Refusal`]
    pub async fn check(&self, parts: &Parts) -> Result<Arc<Access>, Refusal> {
        match &*self.0.source {
            Source::Own(check) => {
                let access = Arc::new(check(parts).await?);
                self.check_audience(&access)?;
                Ok(access)
            }
            #[cfg(feature = "remote")]
            Source::Remote(remote) => {
                let credentials = Credentials::read(&parts.headers)?;
                let access = remote.decide(credentials.token).await?;
                self.check_audience(&access)?;
                remote.check_call(parts, &credentials, &access)?;
                Ok(access)
            }
        }
    }

    /// The answer to a call that is refused.
    pub fn refuse(&self, refusal: &Refusal) -> Response<Body> {
        let Inner { realm, metadata_url, own_answer, .. } = &*self.0;
        let response = refusal.answer(Realm { name: realm, metadata: Some(metadata_url) });
        match own_answer {
            Some(own) => own(refusal, response),
            None => response,
        }
    }

    /// RFC 9068 4, RFC 8707 2: a token for another API opens nothing here, whoever brings it. Nor
    /// does one that is said to be for none: a server that gives tokens for many APIs, and says so of
    /// none of them, would let each of those APIs call this one with what it was brought.
    fn check_audience(&self, access: &Access) -> Result<(), Refusal> {
        match access.audience.iter().any(|named| is_same(named, &self.0.resource)) {
            true => Ok(()),
            false => Err(Refusal::Invalid),
        }
    }
}

#[cfg(feature = "remote")]
impl Remote {
    async fn decide(&self, token: &str) -> Result<Arc<Access>, Refusal> {
        let (key, now) = (cache::key(token), self.clock.now());
        // What begins like this may be the Base64 of a JSON object; no sealed token does.
        let signed = self.signed.as_ref().filter(|_| token.starts_with("ey"));
        if let Some(signed) = signed {
            if let Some(access) = signed.kept(&key, now) {
                return Ok(access);
            }
            if let Some(read) = signed.read(token, now) {
                return signed.verify(read, key, now).await;
            }
        }
        match &self.introspection {
            // A sealed token, or one that another issuer signed.
            Some(introspection) => introspection.ask(token, key).await,
            None => Err(Refusal::Invalid),
        }
    }

    /// What is asked of each call anew, also where the decision was cached.
    fn check_call(
        &self,
        parts: &Parts,
        credentials: &Credentials<'_>,
        access: &Access,
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        if now >= access.expires_at {
            return Err(Refusal::Invalid);
        }
        // Only a proof is held against the address of the call.
        let uri = match access.key {
            None => String::new(),
            Some(_) => format!("{}{}", self.public_url, parts.uri.path()),
        };
        let method = parts.method.as_str();
        let target = Target { headers: &parts.headers, method, uri: &uri, now };
        self.used_proofs.check(credentials, access, &target).map_err(Refusal::Key)
    }
}

/// As it may stand between quotation marks in a header.
pub(crate) fn quotable(text: &str) -> String {
    text.chars().filter(|each| matches!(each, ' '..='~') && !matches!(each, '"' | '\\')).collect()
}

impl fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guard").field("resource", &self.0.resource).finish_non_exhaustive()
    }
}

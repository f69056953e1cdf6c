//! What a token opens: the decision that a handler works with.

use grantor_protocol::jose::Thumbprint;
use grantor_protocol::scope::Scope;

use crate::refusal::Refusal;

/// What a living token opens at this API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The customer who allowed it, as an id that stays the same; for a token of a client itself
    /// the client's id (RFC 9068 2.2).
    pub subject: String,
    /// The client that it was given to.
    pub client_id: String,
    /// What it may do.
    pub scope: Scope,
    /// For which APIs it is. Where this API is none of them, it opens nothing here.
    pub audience: Vec<String>,
    /// For which businesses, where the token says.
    pub businesses: Option<Vec<String>>,
    /// For which locations of those, where the token says.
    pub locations: Option<Vec<String>>,
    /// When it ends, in Unix seconds.
    pub expires_at: i64,
    /// The key that whoever brings it has to prove (RFC 9449 6).
    pub key: Option<Thumbprint>,
}

impl Access {
    /// The customer.
    ///
    /// # Errors
    /// [`Refusal::NoCustomer`] for a token of a client itself.
    pub fn customer(&self) -> Result<&str, Refusal> {
        // RFC 9068 2.2: where no customer stands behind it, `sub` is the client.
        match self.subject == self.client_id {
            true => Err(Refusal::NoCustomer),
            false => Ok(&self.subject),
        }
    }

    /// Whether it may do all of these.
    ///
    /// # Errors
    /// [`Refusal::Scope`] with all that is needed.
    pub fn check_scopes(&self, needed: &[&str]) -> Result<(), Refusal> {
        match needed.iter().all(|scope| self.scope.contains(scope)) {
            true => Ok(()),
            false => Err(Refusal::Scope { needed: needed.join(" ") }),
        }
    }

    /// Whether it is for this business. A token that says nothing of businesses is for none.
    ///
    /// # Errors
    /// [`Refusal::Business`]
    pub fn check_business(&self, id: &str) -> Result<(), Refusal> {
        match self.businesses.as_ref().is_some_and(|listed| listed.iter().any(|each| each == id)) {
            true => Ok(()),
            false => Err(Refusal::Business),
        }
    }

    /// Whether it is for this location. A token that says nothing of locations is for none.
    ///
    /// # Errors
    /// [`Refusal::Location`]
    pub fn check_location(&self, id: &str) -> Result<(), Refusal> {
        match self.locations.as_ref().is_some_and(|listed| listed.iter().any(|each| each == id)) {
            true => Ok(()),
            false => Err(Refusal::Location),
        }
    }
}

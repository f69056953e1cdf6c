//! The axum extractor: what a handler needs, said in its signature.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use crate::access::Access;
use crate::guard::Guard;
use crate::layer::Checked;
use crate::refusal::Refusal;

/// The scopes that a handler needs, as a type: an API writes one for each combination that it knows.
///
/// ```
/// use grantor_guard::Scopes;
///
/// /// May read the businesses and their takings.
/// struct FinancialApi;
///
/// impl Scopes for FinancialApi {
///     const NAMES: &'static [&'static str] = &["financial-api"];
/// }
/// ```
pub trait Scopes {
    /// Each of them, and all are needed.
    const NAMES: &'static [&'static str];
}

/// For a handler that needs a token, and no scope in particular.
#[derive(Clone, Copy, Debug)]
pub enum AnyScope {}

impl Scopes for AnyScope {
    const NAMES: &'static [&'static str] = &[];
}

/// A token that has the scopes `S`. It is an [`Access`], and whoever holds one has been let in.
pub struct Allowed<S> {
    access: Arc<Access>,
    guard: Guard,
    scopes: PhantomData<fn() -> S>,
}

/// A refusal in the words of the API's guard. A handler returns it as its error.
#[derive(Debug)]
pub struct Refused {
    refusal: Refusal,
    /// `None` where no guard stands before the handler.
    guard: Option<Guard>,
}

impl<S> Allowed<S> {
    /// Goes on where the token is for this business.
    ///
    /// # Errors
    /// [`Refusal::Business`], as it is answered.
    pub fn for_business(&self, id: &str) -> Result<(), Refused> {
        self.access.check_business(id).map_err(|refusal| self.refused(refusal))
    }

    /// Goes on where the token is for this location.
    ///
    /// # Errors
    /// [`Refusal::Location`], as it is answered.
    pub fn for_location(&self, id: &str) -> Result<(), Refused> {
        self.access.check_location(id).map_err(|refusal| self.refused(refusal))
    }

    /// The customer who allowed it.
    ///
    /// # Errors
    /// [`Refusal::NoCustomer`] for a token of a client itself, as it is answered.
    pub fn customer(&self) -> Result<&str, Refused> {
        self.access.customer().map_err(|refusal| self.refused(refusal))
    }

    /// Any other refusal, for a reason that the API found.
    pub fn refused(&self, refusal: Refusal) -> Refused {
        Refused { refusal, guard: Some(self.guard.clone()) }
    }
}

impl<S> Deref for Allowed<S> {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl<S: Scopes, State: Sync> FromRequestParts<State> for Allowed<S> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Allowed<S>, Refused> {
        let Some(Checked { access, guard }) = parts.extensions.get::<Checked>().cloned() else {
            return Err(Refused { refusal: Refusal::Unavailable, guard: None });
        };
        match access.check_scopes(S::NAMES) {
            Ok(()) => Ok(Allowed { access, guard, scopes: PhantomData }),
            Err(refusal) => Err(Refused { refusal, guard: Some(guard) }),
        }
    }
}

impl Refused {
    /// Why.
    pub fn refusal(&self) -> &Refusal {
        &self.refusal
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self.guard {
            Some(guard) => guard.refuse(&self.refusal),
            None => {
                tracing::error!(
                    "guard.missing: a handler takes Allowed, and no guard is its layer"
                );
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

impl<S> fmt::Debug for Allowed<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Allowed").field(&self.access).finish()
    }
}

//! The tower layer: nothing below it is reached without a token that lives and is for this API.
//!
//! It checks the token once and puts the decision beside the request, where [`crate::Allowed`] finds
//! it. A handler that asks for no scope is guarded all the same.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{Request, Response};
use axum::response::IntoResponse;
use tower::{Layer, Service};

use crate::access::Access;
use crate::allowed::Scopes;
use crate::guard::Guard;

/// What the layer found out, beside the request.
#[derive(Clone)]
pub(crate) struct Checked {
    pub(crate) access: Arc<Access>,
    pub(crate) guard: Guard,
}

/// Makes services guarded.
#[derive(Clone, Debug)]
pub struct GuardLayer {
    guard: Guard,
    scopes: &'static [&'static str],
}

/// A service that is reached with a token alone.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
    scopes: &'static [&'static str],
}

impl Guard {
    /// A layer that asks for a token, whatever its scopes.
    pub fn layer(&self) -> GuardLayer {
        GuardLayer { guard: self.clone(), scopes: &[] }
    }

    /// A layer that asks for a token with these scopes.
    pub fn layer_for<S: Scopes>(&self) -> GuardLayer {
        GuardLayer { guard: self.clone(), scopes: S::NAMES }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: self.guard.clone(), scopes: self.scopes }
    }
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled ready is the one to call.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let (guard, scopes) = (self.guard.clone(), self.scopes);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let checked = guard.check(&parts).await;
            let checked = checked.and_then(|access| {
                access.check_scopes(scopes)?;
                Ok(access)
            });
            let access = match checked {
                Ok(access) => access,
                Err(refusal) => return Ok(guard.refuse(&refusal)),
            };
            parts.extensions.insert(Checked { access, guard });
            let answered = inner.call(Request::from_parts(parts, body)).await;
            answered.map(IntoResponse::into_response)
        })
    }
}

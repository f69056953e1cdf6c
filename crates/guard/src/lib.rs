//! The API's side of Grantor: checks the access token of each call, and says no as the RFCs do.
//!
//! ```no_run
//! use axum::Router;
//! use axum::extract::Path;
//! use axum::routing::get;
//! use grantor_guard::{Allowed, Guard, Refused, Scopes};
//!
//! struct FinancialApi;
//!
//! impl Scopes for FinancialApi {
//!     const NAMES: &'static [&'static str] = &["financial-api"];
//! }
//!
//! async fn takings(
//!     token: Allowed<FinancialApi>,
//!     Path(business): Path<String>,
//! ) -> Result<String, Refused> {
//!     token.for_business(&business)?;
//!     Ok(format!("The takings of {business}, for {}", token.client_id))
//! }
//!
//! fn routes(client_secret: &str) -> Result<Router, grantor_guard::PlanFault> {
//!     let guard = Guard::of("https://finance.example.com", "https://oauth.example.com")
//!         .offline()
//!         .asking("finance-backend", client_secret)
//!         .build()?;
//!     Ok(Router::new().route("/takings/{business}", get(takings)).layer(guard.layer()))
//! }
//! ```
//!
//! The way of a call:
//!
//! 1. [`credentials`] takes the token from its header;
//! 2. [`guard`] has it decided: `at+jwt` offline ([`signed`], [`keys`]), everything else by asking
//!    ([`introspection`]), or by a function of the program itself ([`Guard::by`]);
//! 3. the decision is an [`Access`], read of what was said ([`claims`]) and kept for a moment ([`cache`]);
//! 4. [`proof`] has the key proved that the token is bound to;
//! 5. [`layer`] puts the decision beside the request, and [`Allowed`] hands it to the handler;
//! 6. [`refusal`] is everything else.
//!
//! No identity is taken from anything but the token, and no decision outlives the bounds that
//! [`introspection`], [`signed`] and [`keys`] state.

#![cfg_attr(
    not(test),
    expect(rustdoc::private_intra_doc_links, reason = "the list is for whoever reads the source")
)]

mod access;
mod allowed;
#[cfg(feature = "remote")]
mod cache;
#[cfg(feature = "remote")]
mod claims;
#[cfg(feature = "remote")]
mod clock;
pub mod credentials;
#[cfg(feature = "remote")]
mod fetch;
mod guard;
#[cfg(feature = "remote")]
pub mod introspection;
#[cfg(feature = "remote")]
pub mod keys;
mod layer;
#[cfg(feature = "remote")]
mod plan;
#[cfg(feature = "remote")]
mod proof;
pub mod refusal;
#[cfg(feature = "remote")]
pub mod signed;

pub use access::Access;
pub use allowed::{Allowed, AnyScope, Refused, Scopes};
#[cfg(feature = "remote")]
pub use clock::Clock;
pub use guard::{Decided, Guard, OwnAnswer, OwnApi, OwnCheck};
pub use layer::{GuardLayer, Guarded};
#[cfg(feature = "remote")]
pub use plan::{MOST_KEPT, Plan, PlanFault};
pub use refusal::{KeyFault, Realm, Refusal};

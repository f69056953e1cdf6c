//! Signed tokens: keys (RFC 7517), signatures (RFC 7515) and claims (RFC 7519), as narrow as OAuth
//! needs them. Every key here is a public or a private one: a shared secret is never a key, and an
//! unsigned token is never a token (RFC 8725 3.1, 3.2).
//!
//! 1. [`jwk`] reads a public key once, and checks that it is one;
//! 2. [`jws`] reads a compact token under what its caller demands of algorithm, type and size;
//! 3. its signature is held against the keys that the caller trusts, and only then
//! 4. [`claims`] reads what it says;
//! 5. [`signing`] writes a token.

pub mod algorithm;
pub mod claims;
pub(crate) mod json;
pub mod jwk;
pub mod jws;
mod key_fault;
mod roca;
pub mod signing;

pub use algorithm::Algorithm;
pub use claims::{Claims, ClaimsFault};
pub use json::{Members, Value};
pub use jwk::{Jwk, JwkSet, Thumbprint};
pub use jws::{Demand, Header, JwsFault, Part, TypeDemand, UnverifiedJws, VerifiedJws};
pub use key_fault::KeyFault;
pub use signing::{SigningFault, SigningKey, generate};

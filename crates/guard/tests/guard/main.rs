//! A guard over real HTTP: an API behind it, and an issuer whose answers the test chooses. What the
//! real server says to it is tested in crates/server.

#![expect(clippy::unwrap_used, reason = "clippy takes only what stands in #[test] for a test")]

mod introspected;
mod issuer;
mod log;
mod planned;
mod proof;
mod refusals;
mod signed;

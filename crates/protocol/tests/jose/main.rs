//! Signed tokens, tried against published vectors, against a peer, and against what an attacker
//! would send.

#![expect(clippy::unwrap_used, reason = "clippy takes only what stands in #[test] for a test")]

mod attacks;
mod client_assertion;
mod dpop;
mod fixtures;
mod keys;
mod peers;
mod rfc;
mod words;
mod wycheproof;

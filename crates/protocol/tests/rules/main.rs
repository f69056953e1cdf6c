//! The rules that need more room than the end of their own file, tried from outside.

#![expect(clippy::unwrap_used, reason = "clippy takes only what stands in #[test] for a test")]

mod authorization_step;
mod call_done_right;
mod client_metadata;
mod ending;
mod fixtures;
mod grant;
mod grant_model;
mod integration_report;
mod token_request;

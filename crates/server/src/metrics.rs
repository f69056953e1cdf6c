//! What this process counts of itself, for Prometheus.
//!
//! 1. `requests.rs` and `tokens.rs` hold the numbers of one environment; a request changes them by
//!    atomic additions, and looks up no label by its text;
//! 2. the store and the passwords count themselves, where it happens;
//! 3. [`crate::exposition`] writes all of it as text when it is asked for.
//!
//! No label holds what a stranger chose, nor a client's id: the number of series is bounded by the
//! program and not by who calls it.

mod requests;
mod tokens;

pub use requests::Requests;
pub use tokens::{GrantType, TokenEvent, Tokens};

/// What is counted of one environment.
#[derive(Debug, Default)]
pub struct SiteMetrics {
    /// Its requests.
    pub requests: Requests,
    /// What became of calls to its token endpoint.
    pub tokens: Tokens,
}

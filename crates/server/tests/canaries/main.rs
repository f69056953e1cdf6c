//! Secrets, planted everywhere and searched for. In a program of its own: what one test logs must
//! be heard by that test, and `tracing` remembers for a whole process who listens.

#![expect(dead_code, reason = "the harness is that of tests/server, used in part")]
#![expect(clippy::unwrap_used, reason = "clippy takes only what stands in #[test] for a test")]
#![expect(clippy::expect_used, reason = "clippy takes only what stands in #[test] for a test")]

#[path = "../server/calls.rs"]
mod calls;
mod canaries;
#[path = "../server/harness.rs"]
mod harness;
#[path = "../server/program.rs"]
mod program;

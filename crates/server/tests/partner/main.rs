//! The partner's side, as it is typed and as other programs use it: the real program and the library
//! against a real server.
//!
//! 1. `party.rs` is a partner: a server, a client, a folder of connections, and the program run for them;
//! 2. `wire.rs` stands between the two, counts what passes, and loses answers;
//! 3. `connect.rs` is the flow, `mistakes.rs` what goes wrong in it;
//! 4. `renewal.rs` is what many processes and lost answers do to a refresh token;
//! 5. `keyring.rs` is where the key is kept;
//! 6. `broker.rs` and `docs.rs` are the broker, and the commands that the docs show;
//! 7. `secrets.rs` listens to all of them for what must not be heard.

#![expect(clippy::unwrap_used, reason = "clippy takes only what stands in #[test] for a test")]
#![expect(clippy::expect_used, reason = "clippy takes only what stands in #[test] for a test")]

mod broker;
mod connect;
mod docs;
#[expect(dead_code, reason = "the harness is that of tests/server, used in part")]
#[path = "../server/harness.rs"]
mod harness;
mod keyring;
mod mistakes;
mod party;
mod renewal;
mod secrets;
mod wire;

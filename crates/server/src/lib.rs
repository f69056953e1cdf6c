//! Grantor: the OAuth 2.0 server that a company runs to open its API to partners.
//!
//! [`http`] answers requests, [`store`] keeps what is known, and the rules between them stand in
//! `grantor-protocol`. [`listener`] takes connections, and `command` is the `grantor` program. Who
//! may know whom: `http → store → protocol` and `http → protocol`; nothing below knows `http`.

pub mod catalogue;
#[cfg(test)]
#[path = "../tests/crash/chance.rs"]
mod chance;
pub mod cleanup;
pub mod clock;
pub mod command;
pub mod config;
pub mod count;
pub mod demo;
pub mod exposition;
pub mod hex;
pub mod http;
pub mod journal;
pub mod keys;
pub mod link;
pub mod listener;
pub mod log;
pub mod logo;
pub mod mail;
pub mod master_key;
pub mod metrics;
pub mod outbound;
pub mod outbox;
mod pages;
pub mod password;
pub mod postman;
pub mod programme;
pub mod random;
pub mod request_log;
pub mod seal;
pub mod second_factor;
pub mod secret_end;
pub mod signer;
#[cfg(test)]
mod simulation;
pub mod site;
pub mod snippet;
pub mod store;
pub mod throttle;
pub mod trials;
pub mod unseen;
pub mod usage;
pub mod webhook;

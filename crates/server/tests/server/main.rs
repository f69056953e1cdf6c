//! The server over real HTTP, in one binary: one file for each part of the checklist.

#![expect(clippy::unwrap_used, reason = "clippy takes only what stands in #[test] for a test")]
#![expect(clippy::expect_used, reason = "clippy takes only what stands in #[test] for a test")]

/// The same tests on each engine, each with a server of its own.
macro_rules! on_both_engines {
    ($($name:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::harness::Server::start().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::harness::Server::start_on_postgres().await).await;
            })*
        }
    };
}

/// The same tests on each engine, each with the real program on a data folder of its own.
macro_rules! installed_on_both_engines {
    ($($name:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::installation::Installation::new().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::installation::Installation::on_postgres().await).await;
            })*
        }
    };
}

mod access;
mod access_things;
mod any_algorithm;
mod at_once;
mod authorize;
mod backup;
mod calls;
mod cleanup;
mod client_assertion;
mod client_authentication;
mod client_credentials;
mod client_document;
mod code;
mod connections;
mod consent;
mod demo_api;
mod device;
mod docs;
mod dpop;
mod ending;
mod faults_of_others;
mod forgotten;
mod guard;
mod guard_check;
mod guide;
mod harness;
#[expect(dead_code, reason = "the house is that of tests/command, used in part")]
#[path = "../command/house.rs"]
mod house;
mod installation;
mod introspection;
mod keys;
mod lasting;
mod logo;
mod metadata;
mod metrics;
mod openid;
mod outbox;
mod outbox_mail;
mod outbox_peers;
mod pages;
mod par;
mod password;
mod people;
mod pictures;
mod portal_account;
mod portal_activity;
mod portal_api;
mod portal_api_calls;
mod portal_api_log;
mod portal_api_requests;
mod portal_api_team;
mod portal_api_webhooks;
mod portal_apps;
mod portal_desk;
mod portal_edits;
mod portal_factor;
mod portal_faults;
mod portal_log;
mod portal_logo;
mod portal_partners;
mod portal_parts;
mod portal_playground;
mod portal_requests;
mod portal_test_customers;
mod portal_tokens;
mod postgres_faults;
mod postgres_lost_answers;
mod postgres_tls;
mod processes;
mod program;
mod protect_rust;
mod query;
mod readiness;
mod refresh;
mod registration;
mod rekey;
mod request_log;
mod resource;
mod restore;
mod restore_account;
mod restore_killed;
mod restore_logo;
mod revocation;
mod secret_end;
mod secrets;
mod sign_in;
mod signing_keys;
mod slow_bodies;
mod store;
mod store_faults;
mod throttling;
mod token;
mod trials;
mod two_servers;
mod unused_clients;
mod usage;

//! What can go wrong with a cluster, in words for whoever runs the tests.

use std::path::PathBuf;

/// Why a cluster does not do what a test wants.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// PostgreSQL is not on this machine.
    #[error(
        "PostgreSQL's programs are not here; install the package postgresql, or set \
         GRANTOR_TEST_POSTGRES_BIN to the folder of initdb and postgres"
    )]
    Missing,
    /// PostgreSQL refuses to run as root, and there is nobody else.
    #[error("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")]
    NoAccount,
    /// The temporary folder cannot be made or handed over.
    #[error("the cluster's folder cannot be made")]
    Folder(#[source] std::io::Error),
    /// A program cannot be started.
    #[error("{program} cannot be started")]
    Program {
        /// which
        program: PathBuf,
        /// why
        source: std::io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {words}")]
    Failed {
        /// which
        program: PathBuf,
        /// what it said
        words: String,
    },
    /// All ports that were tried are taken.
    #[error("there is no free port")]
    NoPort,
    /// The server ended while it was waited for.
    #[error("the server ended: {log}")]
    Ended {
        /// what it logged
        log: String,
    },
    /// The server takes too long.
    #[error("the server took longer than {seconds} s to {what}: {log}")]
    Late {
        /// what it should have done
        what: &'static str,
        /// how long it was waited for
        seconds: u64,
        /// what it logged
        log: String,
    },
    /// The server was stopped before.
    #[error("the server is not running")]
    NotRunning,
    /// A statement failed.
    #[error("the server did not do it: {sql}")]
    Sql {
        /// which
        sql: String,
        /// why
        source: tokio_postgres::Error,
    },
}

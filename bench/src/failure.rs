//! Why a run ended: one sentence that says what happened, and what to do where that is known.

/// Why a run ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// In words.
    #[error("{0}")]
    Said(String),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// what was tried
        what: String,
        /// what the system said
        source: std::io::Error,
    },
    /// A database that was opened beside the server failed.
    #[error("the database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The same, on PostgreSQL.
    #[error("the database: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    /// The cluster of the run failed.
    #[error("the cluster: {0}")]
    Cluster(#[from] grantor_test_cluster::Fault),
    /// The server's own store failed.
    #[error(transparent)]
    Store(#[from] grantor::store::StoreError),
}

impl Failure {
    /// In words.
    pub(crate) fn said(words: impl Into<String>) -> Failure {
        Failure::Said(words.into())
    }

    /// For `map_err`: the system refused `what`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Failure {
        let what = what.into();
        move |source| Failure::Io { what, source }
    }
}

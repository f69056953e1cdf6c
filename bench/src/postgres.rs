//! PostgreSQL for one run: a cluster of `grantor-test-cluster`, durable as a real one, with a memory
//! that fits a benchmark.

use grantor_test_cluster::Cluster;
use tokio_postgres::{Client, NoTls};

use crate::failure::Failure;

/// Starts a cluster, and waits until it is ready.
pub(crate) fn start() -> Result<Cluster, Failure> {
    Ok(Cluster::start_with(&[("shared_buffers", "256MB"), ("max_wal_size", "4GB")])?)
}

/// Connects, and lets the connection run beside.
pub(crate) async fn connect(url: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with the client; what went wrong the client is told.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_measured_is_a_cluster_that_waits_for_the_disk() {
        let cluster = start().unwrap();
        let url = cluster.create_database("one").unwrap();
        let client = connect(&url).await.unwrap();
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let row = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
            assert_eq!(row.get::<_, &str>(0), "on", "{setting}");
        }
    }
}

//! Clusters, as tests use them: each claim on a real server.

#![expect(clippy::unwrap_used, reason = "clippy takes only what stands in #[test] for a test")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use grantor_test_cluster::{Cluster, Replication};

/// A database with one table, and a row in it.
fn with_a_row(cluster: &Cluster) {
    cluster.create_database("ledger").unwrap();
    cluster.execute("ledger", "CREATE TABLE lines (id BIGINT PRIMARY KEY)").unwrap();
    cluster.execute("ledger", "INSERT INTO lines VALUES (1)").unwrap();
}

fn lines(cluster: &Cluster) -> Vec<String> {
    let rows = cluster.execute("ledger", "SELECT id FROM lines ORDER BY id").unwrap();
    rows.into_iter().flatten().collect()
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn postgres_starts_durable_answers_and_leaves_nothing_behind() {
    let cluster = Cluster::start().unwrap();
    let client = connect(&cluster.url("postgres")).await;
    for (setting, value) in
        [("fsync", "on"), ("synchronous_commit", "on"), ("server_encoding", "UTF8")]
    {
        let row = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), value, "{setting}");
    }
    let row = client.query_one("SHOW data_directory", &[]).await.unwrap();
    let data = row.get::<_, String>(0);
    assert!(Path::new(&data).exists());
    drop(cluster);
    assert!(client.query_one("SELECT 1", &[]).await.is_err(), "it still answers");
    assert!(!Path::new(&data).exists(), "{data} is still there");
}

#[test]
fn d1_postgres_killed_keeps_what_was_committed_and_starts_again_on_the_same_port() {
    let mut cluster = Cluster::start().unwrap();
    with_a_row(&cluster);
    let url = cluster.url("ledger");
    for round in 2..5 {
        cluster.kill();
        assert!(cluster.execute("ledger", "SELECT 1").is_err(), "it still answers");
        cluster.start_again().unwrap();
        assert!(cluster.log().contains("automatic recovery in progress"), "{}", cluster.log());
        cluster.execute("ledger", &format!("INSERT INTO lines VALUES ({round})")).unwrap();
    }
    assert_eq!(lines(&cluster), ["1", "2", "3", "4"]);
    assert_eq!(cluster.url("ledger"), url);
    cluster.stop_fast().unwrap();
    assert!(cluster.stop_fast().is_err(), "it was stopped twice");
    cluster.start_again().unwrap();
    assert_eq!(lines(&cluster), ["1", "2", "3", "4"]);
}

#[test]
fn d3_postgres_has_a_synchronous_replica_that_holds_every_commit_and_takes_over() {
    let mut primary = Cluster::start().unwrap();
    with_a_row(&primary);
    let replica = primary.replica(Replication::Synchronous).unwrap();
    for id in 2..50 {
        primary.execute("ledger", &format!("INSERT INTO lines VALUES ({id})")).unwrap();
    }
    assert!(replica.execute("ledger", "INSERT INTO lines VALUES (0)").is_err(), "a replica wrote");
    primary.kill();
    replica.promote().unwrap();
    assert_eq!(lines(&replica).len(), 49);
    // It does not wait for a replica that it never had.
    replica.execute("ledger", "INSERT INTO lines VALUES (50)").unwrap();
    let second = replica.replica(Replication::Asynchronous).unwrap();
    drop(second);
    replica.execute("ledger", "INSERT INTO lines VALUES (51)").unwrap();
    assert_eq!(lines(&replica).len(), 51);
}

#[test]
fn postgres_gives_each_test_an_empty_database_of_its_own() {
    let (one, other) = (Cluster::shared_database().unwrap(), Cluster::shared_database().unwrap());
    one.execute("CREATE TABLE lines (id BIGINT)").unwrap();
    assert!(other.execute("SELECT * FROM lines").is_err(), "it is the same database");
    let count = format!("SELECT 1 FROM pg_database WHERE datname = '{}'", one.name());
    assert_eq!(other.execute(&count).unwrap().len(), 1);
    drop(one);
    assert_eq!(other.execute(&count).unwrap().len(), 0, "it was left behind");
}

/// The program of this package starts a server for a command; killed, it takes the server along.
#[test]
fn postgres_dies_with_the_process_that_started_it() {
    let program = env!("CARGO_BIN_EXE_grantor-test-cluster");
    let output = Command::new(program)
        .args(["sh", "-c", "echo $GRANTOR_TEST_POSTGRES; exit 7"])
        .env_remove("GRANTOR_TEST_POSTGRES")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(output.stdout.starts_with(b"postgres://postgres@127.0.0.1:"), "{output:?}");

    let mut running = Command::new(program)
        .args(["sh", "-c", "echo $GRANTOR_TEST_POSTGRES; read wait"])
        .env_remove("GRANTOR_TEST_POSTGRES")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(running.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let address = url.trim().split(['@', '/']).nth(3).unwrap().to_owned();
    assert!(std::net::TcpStream::connect(&address).is_ok(), "{address}");
    running.kill().unwrap();
    running.wait().unwrap();
    let gone = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        std::net::TcpStream::connect(&address).is_err()
    });
    assert!(gone, "a server without a test listens on {address}");
}

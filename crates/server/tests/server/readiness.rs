//! `/readyz`: ready is who can write, and asking costs next to nothing.

use std::time::Duration;

use crate::harness::Server;

async fn status(server: &Server) -> u16 {
    server.browser().get(&server.url("/readyz")).await.status.as_u16()
}

fn written_at(server: &Server) -> Option<i64> {
    let sql = "SELECT written_at FROM installation";
    server.database().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn ready_means_that_the_store_took_a_write_within_five_seconds() {
    let server = Server::start().await;
    assert_eq!(written_at(&server), None, "nobody asked yet, so nothing is written");
    assert_eq!(status(&server).await, 200);
    let first = written_at(&server);
    assert_eq!(first, Some(server.clock.now()));
    server.clock.advance(4);
    assert_eq!(status(&server).await, 200);
    assert_eq!(written_at(&server), first, "many probes are one write");

    // What a full disk or a file that turned read-only does: reads go on, and writes do not.
    server.execute(
        "CREATE TRIGGER full BEFORE UPDATE ON installation BEGIN SELECT RAISE(ABORT, 'full'); END",
    );
    assert_eq!(status(&server).await, 200, "the last write still counts");
    server.clock.advance(1);
    assert_eq!(status(&server).await, 503);
    server.execute("DROP TRIGGER full");
    assert_eq!(status(&server).await, 503, "one refusal counts for a second");
    server.clock.advance(1);
    assert_eq!(status(&server).await, 200);
    // A clock that went back keeps nobody ready for long.
    server.clock.advance(-1000);
    assert_eq!(status(&server).await, 200);
    assert_eq!(written_at(&server), Some(server.clock.now()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_hangs_is_not_ready_though_reads_go_on() {
    let server = Server::start().await;
    let lock = server.database();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let asked = server.clock.stopwatch();
    let probes = futures_of(&server, 8).await;
    assert_eq!(probes, [503; 8]);
    // All of them waited for one and the same write.
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    let home = server.browser().get(&server.url("/")).await;
    assert_eq!(home.status, 200);
}

async fn futures_of(server: &Server, count: usize) -> Vec<u16> {
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..count {
        let url = server.url("/readyz");
        asked.spawn(async move { reqwest::get(url).await.unwrap().status().as_u16() });
    }
    asked.join_all().await
}

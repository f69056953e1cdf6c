//! The real server under load, killed at random moments, against a ledger that its client keeps.
//!
//! 1. `ledger.rs` knows what was answered, and what then must not be answered any more;
//! 2. `load.rs` is what partners do, and how they go on after a crash;
//! 3. `rounds.rs` kills, restarts and compares;
//! 4. here stand the tests;
//! 5. `rolling.rs` kills nobody: it replaces servers one after the other, as an upgrade does.

#![expect(clippy::unwrap_used, reason = "clippy takes only what stands in #[test] for a test")]
#![expect(clippy::expect_used, reason = "clippy takes only what stands in #[test] for a test")]
#![expect(clippy::print_stdout, reason = "the seed and the counts are for whoever reads the run")]

mod chance;
#[expect(dead_code, reason = "the harness is that of tests/server, used in part")]
#[path = "../server/harness.rs"]
mod harness;
#[expect(dead_code, reason = "the house is that of tests/command, used in part")]
#[path = "../command/house.rs"]
mod house;
mod ledger;
mod load;
mod partner;
mod rolling;
mod rounds;
mod server;

use std::collections::BTreeMap;

use ledger::Violation;
use rounds::{
    Failover, Rounds, USUAL_DATABASE_KILLS, USUAL_FAILOVERS, USUAL_KILLS, Victim, kills_and_seed,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d1_d2_d11_killed_at_any_moment_under_load_nothing_is_taken_twice_and_nothing_is_forgotten()
{
    let (kills, seed) = kills_and_seed(USUAL_KILLS);
    let mut rounds = Rounds::begin(Victim::Server, seed).await;
    rounds.run(kills).await;
    let counts = rounds.counts();
    println!("{counts:#?}");
    let unanswered: u64 = counts
        .iter()
        .filter(|(what, _)| what.ends_with("unanswered") && !what.starts_with("settled"))
        .map(|(_, count)| count)
        .sum();
    assert!(unanswered > kills, "the kills met no work: {counts:?}");
    rounds.stop().await;
    let database = rusqlite::Connection::open(rounds.installed.house.path("grantor.db")).unwrap();
    let sound = database.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(sound.unwrap(), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d1_d2_d11_postgres_killed_under_load_the_server_answers_503_and_recovers_by_itself() {
    let (kills, seed) = kills_and_seed(USUAL_DATABASE_KILLS);
    let cluster = grantor_test_cluster::Cluster::start().unwrap();
    let mut rounds = Rounds::begin(Victim::Database(Box::new(cluster)), seed).await;
    rounds.run(kills).await;
    println!("{:#?}", rounds.counts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d3_postgres_replica_promoted_under_load_forgets_no_end_and_takes_no_code_twice() {
    let (kills, seed) = kills_and_seed(USUAL_FAILOVERS);
    let mut failovers = BTreeMap::new();
    for failover in 0..kills {
        let both = tokio::task::block_in_place(Failover::start);
        let mut rounds = Rounds::begin(Victim::Primary(Box::new(both)), seed + failover).await;
        rounds.run(1).await;
        for (what, count) in rounds.counts() {
            *failovers.entry(what).or_insert(0) += count;
        }
    }
    println!("{failovers:#?}");
}

/// The test of the test: a store that forgets is found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d2_a_database_that_went_back_in_time_is_noticed_by_the_ledger() {
    let (_, seed) = kills_and_seed(USUAL_KILLS);
    let mut rounds = Rounds::begin(Victim::Server, seed).await;
    rounds.load_and_kill().await;
    let files = ["grantor.db", "grantor.db-wal"].map(|name| rounds.installed.house.path(name));
    let before = files.each_ref().map(std::fs::read);
    let mut touched = Vec::new();
    // A kill may come before anything was answered.
    while rounds.alive(&touched) == 0 {
        rounds.recover().await;
        touched.extend(rounds.load_and_kill().await.into_iter().flatten());
    }
    for (file, content) in files.iter().zip(before) {
        match content {
            Ok(content) => std::fs::write(file, content).unwrap(),
            Err(_) => drop(std::fs::remove_file(file)),
        }
    }
    let _ = std::fs::remove_file(rounds.installed.house.path("grantor.db-shm"));
    rounds.recover().await;
    rounds.settle(vec![touched]).await;
    let violations = rounds.violations();
    let gone = |violation: &Violation| matches!(violation, Violation::TokenForgotten { .. });
    assert!(violations.iter().any(gone), "{violations:?}; {:?}", rounds.counts());
}

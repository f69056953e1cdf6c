//! D5: a restore that is killed at any moment leaves what a server refuses, or all of it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use grantor::random::Random;

use crate::installation::{App, Installation};

const KILLS: u32 = 20;
/// So many rows that a restore takes longer in the tables than before them.
const ROWS: i64 = 30_000;

installed_on_both_engines! {
    d5_a_restore_that_is_killed_leaves_what_a_server_refuses_or_the_whole_store,
}

async fn d5_a_restore_that_is_killed_leaves_what_a_server_refuses_or_the_whole_store(
    mut house: Installation,
) {
    let app = house.app(&[]).await;
    let ended = app.connect("robin@example.com").await;
    fill(&house);
    let taken = house.json(&["backup", "b1"]).await;
    assert!(taken["tables"]["grants"].as_i64().unwrap() > ROWS, "{taken}");
    let first = ended.text("refresh_token").to_owned();
    assert_eq!(app.refresh(&first).await.status, 200);
    assert_eq!(app.refresh(&first).await.status, 400);
    house.stop().await;

    #[expect(clippy::disallowed_methods, reason = "measures a process and no rule")]
    let begun = Instant::now();
    house.restore(&[]).await;
    let takes = u64::try_from(begun.elapsed().as_micros()).unwrap();
    lose_database(&mut house, true);
    let (mut refused, mut whole, mut done) = (0, 0, 0);
    for kill in 0..KILLS {
        let mut command = house.command(&["restore", "b1", "--replace"]);
        let mut restore = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Every part of the time gets its kill, at a random moment.
        let part = takes / u64::from(KILLS);
        let within = u64::from(u32::from_be_bytes(Random::system().bytes())) % part;
        tokio::time::sleep(Duration::from_micros(u64::from(kill) * part + within)).await;
        done += u32::from(restore.try_wait().unwrap().is_some_and(|status| status.success()));
        restore.kill().await.unwrap();
        match house.try_serve().await {
            Err(said) => {
                assert!(said.contains("run `grantor restore`"), "{said}");
                refused += 1;
            }
            Ok(()) => {
                assert_whole(&house, &taken, &app, &first).await;
                house.stop().await;
                whole += 1;
                lose_database(&mut house, whole % 2 == 0);
            }
        }
    }
    #[expect(clippy::print_stdout, reason = "which kills there were is by chance")]
    let () = println!(
        "{KILLS} kills: {refused} refused, {whole} whole, of which {done} were done before"
    );
    assert!(refused > 0, "no kill came before the end");
    // What was killed so often can be restored all the same.
    house.json(&["restore", "b1", "--replace"]).await;
    house.serve().await;
    assert_whole(&house, &taken, &app, &first).await;
}

/// Nothing is there any more; or, where it is a file, the one from before if it is not lost.
fn lose_database(house: &mut Installation, file_too: bool) {
    house.make_room();
    if house.database().is_none() && file_too {
        std::fs::remove_file(house.path("grantor.db")).unwrap();
    }
}

/// All rows are there, the epoch rose, and what had ended is ended.
async fn assert_whole(house: &Installation, taken: &serde_json::Value, app: &App, ended: &str) {
    for (table, rows) in taken["tables"].as_object().unwrap() {
        // No restore brings sessions back; facts are what the server itself writes while it serves.
        if table != "sessions" && table != "client_facts" {
            let found = house.values(&format!("SELECT COUNT(*) FROM {table}"));
            let came = found[0] - rows.as_i64().unwrap();
            match table.as_str() {
                // A restore gives each issuer a fresh key.
                "sealing_keys" => assert_eq!(came, 3),
                // It notes itself at its very end, unless it is killed right before.
                "audit" => assert!(came == 0 || came == 1, "{came}"),
                _ => assert_eq!(came, 0, "{table}"),
            }
        }
    }
    assert!(house.values("SELECT epoch FROM installation")[0] > 1);
    app.refresh(ended).await.assert_error(400, "invalid_grant", "ended");
}

fn fill(house: &Installation) {
    let id = if house.database().is_some() { "sha256(text(i)::bytea)" } else { "randomblob(16)" };
    house.execute(&format!(
        "INSERT INTO grants (environment, id, client_key, client_counter, customer_counter, \
         consent_counter, code_expires_at, generation, repeats_running, repeated, customer_id, \
         redirect_uri_digest, scope, businesses) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) \
         SELECT environment, {id}, client_key, client_counter, customer_counter, \
         consent_counter, code_expires_at, generation, repeats_running, repeated, customer_id, \
         redirect_uri_digest, scope, businesses FROM grants, n"
    ));
}

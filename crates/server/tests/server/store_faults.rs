//! The store when things go wrong: groups with a bad member, full queues, rows that nobody of ours
//! wrote, files of other versions.

use std::time::Duration;

use grantor::clock::Clock;
use grantor::store::{Address, Store, StoreError, Turn};
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::GrantStatus;

use crate::calls::{Call, assert_unspent, exchange_form, issue, new_grant, row};
use crate::harness::{START, Server};
use crate::store::race;

const HERE: Environment = Environment::Staging;

fn turn(id: [u8; 16], from: &str) -> Turn<'_> {
    let (attempt, idle_expires_at) = ([7; 16], START + 1000);
    Turn {
        environment: HERE,
        id,
        attempt,
        idle_expires_at,
        from,
        key: None,
        binds_refresh: false,
        now: START,
    }
}

/// Holds the write lock of the file until it is dropped, so that the writer gathers a group.
fn hold_the_lock(server: &Server) -> rusqlite::Connection {
    let connection = server.database();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d1_members_of_one_group_share_a_commit_and_no_outcome() {
    let server = Server::start().await;
    let client = server.client().await;
    let store = &server.staging.store;
    let mut ids = Vec::new();
    for _ in 0..60 {
        ids.push(issue(&server.staging, &client).await.grant_id);
    }
    server.execute(
        "CREATE TRIGGER boom BEFORE INSERT ON grants WHEN NEW.code_expires_at = 1 \
         BEGIN SELECT RAISE(ABORT, 'boom'); END",
    );
    let lock = hold_the_lock(&server);
    // Of each three members one is carried out, one is refused by its condition, and one fails.
    let outcomes = tokio::spawn(race(180, {
        let (store, ids) = (store.clone(), ids.clone());
        let mut failing = Vec::new();
        for _ in &ids {
            let mut grant = new_grant(&server.staging, &client).await;
            grant.code_expires_at = 1;
            failing.push(std::sync::Arc::new(grant));
        }
        move |at| {
            let (store, id, failing) =
                (store.clone(), ids[at / 3], std::sync::Arc::clone(&failing[at / 3]));
            async move {
                match at % 3 {
                    0 => (0, store.redeem_code(&turn(id, "::1")).await),
                    1 => (1, store.turn_generation(&turn(id, "::1"), 7).await),
                    _ => (2, store.allow(&failing, None, 1, START).await),
                }
            }
        }
    }));
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(lock);
    for (kind, outcome) in outcomes.await.unwrap() {
        match (kind, outcome) {
            (0, Ok(true)) | (1, Ok(false)) | (2, Err(StoreError::Engine(_))) => {}
            (kind, outcome) => panic!("{kind} {outcome:?}"),
        }
    }
    for id in ids {
        assert!(matches!(row(&server, id).await.status, GrantStatus::Active(_)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d1_where_the_engine_throws_a_whole_group_away_none_of_it_happened_and_all_are_told() {
    let server = Server::start().await;
    let client = server.client().await;
    let store = &server.staging.store;
    // What a full disk or a read error does: the engine ends the transaction on its own.
    server.execute(
        "CREATE TRIGGER boom BEFORE UPDATE ON grants WHEN NEW.turned_from = 'boom' \
         BEGIN SELECT RAISE(ROLLBACK, 'boom'); END",
    );
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(issue(&server.staging, &client).await.grant_id);
    }
    let lock = hold_the_lock(&server);
    let outcomes = tokio::spawn(race(30, {
        let (store, ids) = (store.clone(), ids.clone());
        move |at| {
            let (store, id) = (store.clone(), ids[at]);
            let from = if at == 15 { "boom" } else { "::1" };
            async move { (at, store.redeem_code(&turn(id, from)).await) }
        }
    }));
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(lock);
    for (at, outcome) in outcomes.await.unwrap() {
        let is_active = matches!(row(&server, ids[at]).await.status, GrantStatus::Active(_));
        match outcome {
            Ok(done) => assert!(done && is_active, "told done: {at}"),
            Err(error) => assert!(!is_active, "told {error}, and it happened: {at}"),
        }
    }
    // The writer goes on.
    server.execute("DROP TRIGGER boom");
    assert!(
        store.redeem_code(&turn(issue(&server.staging, &client).await.grant_id, "")).await.unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s17_a_full_queue_is_503_with_retry_after_and_spends_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let lock = hold_the_lock(&server);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..6000 {
        let store = server.staging.store.clone();
        waiting.spawn(async move { store.revoke_grant(HERE, [9; 16], START).await });
    }
    // Some wait in the writer's hand, 4096 in the queue, and the rest is turned away.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let form = exchange_form(&client, &issued);
    let answer = Call::to(&server.staging).basic(&client).form(&form).send().await;
    answer.assert_error(503, "temporarily_unavailable", "cannot answer just now");
    assert_eq!(answer.headers["retry-after"], "2");
    drop(lock);
    let (mut busy, mut done) = (0, 0);
    for outcome in waiting.join_all().await {
        match outcome {
            Ok(false) => done += 1,
            Err(StoreError::Busy) => busy += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(busy > 0 && done >= 4096, "{busy} {done}");
    assert_unspent(&server, &client, &issued).await;
}

#[tokio::test]
async fn s17_a_store_whose_tables_are_gone_is_503_and_never_500_or_a_false_answer() {
    let server = Server::start().await;
    let client = server.client().await;
    let living = crate::calls::tokens(&server, &client).await;
    server.execute("ALTER TABLE grants RENAME TO elsewhere");
    let answer = server.refresh(&client, living.text("refresh_token")).await;
    answer.assert_error(503, "temporarily_unavailable", "cannot answer just now");
    assert_eq!(answer.headers["retry-after"], "2");
    let api = server.api("/f/data/businesses", living.text("access_token")).await;
    assert_eq!((api.status, &api.headers["retry-after"]), (503, &"2".parse().unwrap()));
    assert!(api.headers.get("www-authenticate").is_none());
    server.execute("ALTER TABLE elsewhere RENAME TO grants");
    assert_eq!(server.refresh(&client, living.text("refresh_token")).await.status, 200);
}

#[tokio::test]
async fn s17_a_row_that_nobody_of_ours_wrote_names_its_column_and_is_503() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = format!("id = '{}'", client.id);
    for (table, column, value, whose) in [
        ("grants", "scope", "'a,b'", "1 = 1"),
        ("grants", "businesses", "'1 x'", "1 = 1"),
        ("grants", "businesses", "'99999999999999999999'", "1 = 1"),
        ("grants", "redirect_uri_digest", "x'ff'", "1 = 1"),
        ("grants", "code_challenge", "x'00'", "1 = 1"),
        ("grants", "code_expires_at", "'soon'", "1 = 1"),
        ("grants", "generation", "-1", "1 = 1"),
        ("grants", "generation", "2.5", "1 = 1"),
        ("grants", "repeated", "2", "1 = 1"),
        ("grants", "generation", "'x'", "1 = 1"),
        ("clients", "redirect_uris", "'nonsense'", id.as_str()),
        ("clients", "scopes", "'a,b'", &id),
        ("clients", "public", "7", &id),
        ("clients", "counter", "'x'", &id),
        ("clients", "secret_1_digest", "x'00'", &id),
        ("clients", "name", "x'ff'", &id),
    ] {
        let issued = issue(&server.staging, &client).await;
        let kept = format!("SELECT {column} FROM {table} WHERE {whose}");
        let connection = server.database();
        let before: rusqlite::types::Value =
            connection.query_row(&kept, [], |row| row.get(0)).unwrap();
        server.execute(&format!("UPDATE {table} SET {column} = {value} WHERE {whose}"));
        server.forget_known_clients().await;

        let store = &server.staging.store;
        let fault = match table {
            "grants" => store.grant(HERE, issued.grant_id).await.err(),
            _ => store.client(&client.id).await.err(),
        };
        let Some(StoreError::Corrupt { table: named, column: which, row: key }) = fault else {
            panic!("{table}.{column} = {value}: {fault:?}");
        };
        assert_eq!((named, which), (table, column));
        let hex: String = issued.grant_id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(key == hex || key == client.id, "{key}");
        // Which of two texts is later, and whether a first turn was repeated, is no reason not to
        // turn; whoever reads the row hears of it.
        if !matches!(column, "code_expires_at" | "repeated") {
            let answer = server.exchange(&client, &issued.code).await;
            answer.assert_error(503, "temporarily_unavailable", "cannot answer just now");
        }

        if table == "clients" {
            let page = server.browser().get(&server.authorize_url(&client, "")).await;
            page.assert_page(503, "");
        }

        let restore = format!("UPDATE {table} SET {column} = ?1 WHERE {whose}");
        connection.execute(&restore, [before]).unwrap();
        server.forget_known_clients().await;
        // What the write gives back was written: the code is spent, and nobody has tokens of it.
        if !matches!(column, "scope" | "businesses") {
            assert_unspent(&server, &client, &issued).await;
        }
        connection.execute("DELETE FROM grants", []).unwrap();
    }
    let living = crate::calls::tokens(&server, &client).await;
    for column in ["redeemed_at", "turned_at", "idle_expires_at"] {
        server.execute(&format!("UPDATE grants SET {column} = NULL"));
        let answer = server.refresh(&client, living.text("refresh_token")).await;
        answer.assert_error(503, "temporarily_unavailable", "cannot answer just now");
        assert_eq!(
            server.api("/o/op/data/businesses", living.text("access_token")).await.status,
            503
        );
        server.execute(&format!("UPDATE grants SET {column} = {START}"));
    }
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused_with_both_versions_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grantor.db");
    drop(Store::open(&Address::Sqlite(path.clone()), &Clock::manual(START)).await.unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute(
            "INSERT INTO schema_migrations (version, name, applied_at) VALUES (99, 'x', 0)",
            [],
        )
        .unwrap();
    match Store::open(&Address::Sqlite(path.clone()), &Clock::manual(START)).await.err() {
        Some(StoreError::Newer { found: 99, known }) => assert!(known < 99),
        other => panic!("{other:?}"),
    }
    let tables: i64 = connection
        .query_row("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'", [], |row| row.get(0))
        .unwrap();
    assert!(tables > 5);
}

#[tokio::test]
async fn s28_nobody_but_its_owner_may_read_the_database_its_log_or_its_index() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start().await;
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(server.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
        seen.push(entry.file_name().into_string().unwrap());
    }
    seen.sort();
    assert_eq!(seen, ["grantor.db", "grantor.db-shm", "grantor.db-wal"]);
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grantor.db");
    let text =
        "this is a letter, and no database at all; it is long enough to have a header".repeat(20);
    std::fs::write(&path, &text).unwrap();
    assert!(matches!(
        Store::open(&Address::Sqlite(path.clone()), &Clock::manual(START)).await.err(),
        Some(StoreError::Engine(_))
    ));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let nowhere = folder.path().join("no/such/folder/grantor.db");
    assert!(Store::open(&Address::Sqlite(nowhere.clone()), &Clock::manual(START)).await.is_err());
}

#[test]
fn d6_many_processes_may_open_a_new_file_at_once() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grantor.db");
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..6)
                .map(|_| {
                    scope.spawn(|| {
                        let runtime = tokio::runtime::Builder::new_current_thread()
                            .enable_all()
                            .build()
                            .unwrap();
                        runtime
                            .block_on(Store::open(
                                &Address::Sqlite(path.clone()),
                                &Clock::manual(START),
                            ))
                            .map(|_| ())
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(opened.iter().all(Result::is_ok), "{opened:?}");
    }
}

#[tokio::test]
async fn d1_a_caller_that_goes_away_cancels_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = issue(&server.staging, &client).await.grant_id;
    let lock = hold_the_lock(&server);
    let store = server.staging.store.clone();
    let task = tokio::spawn(async move { store.redeem_code(&turn(id, "::1")).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    task.abort();
    drop(lock);
    for _ in 0..50 {
        if matches!(row(&server, id).await.status, GrantStatus::Active(_)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the write was lost");
}

#[tokio::test]
async fn s19_nobody_has_no_password_and_checking_it_is_work_all_the_same() {
    let server = Server::start().await;
    let passwords = &server.staging.passwords;
    let check = async |text: &str, stored: Option<String>| {
        passwords.verify(grantor::password::Password::new(text.to_owned()), stored).await
    };
    let hash = passwords
        .hash(grantor::password::Password::new("correct horse battery".into()))
        .await
        .unwrap();
    assert_eq!(check("correct horse battery", Some(hash.clone())).await, Ok(true));
    assert_eq!(check("correct horse batterz", Some(hash.clone())).await, Ok(false));
    assert_eq!(check("correct horse battery", None).await, Ok(false));
    assert_eq!(check(&"x".repeat(5000), Some(hash)).await, Ok(false));
    let corrupt = check("correct horse battery", Some("no hash".into())).await;
    assert_eq!(corrupt, Err(grantor::password::PasswordError::Corrupt));
}

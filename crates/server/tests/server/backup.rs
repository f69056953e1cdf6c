//! Backups and journals as files: what is damaged is noticed, wherever it is.

#![expect(unreachable_pub, reason = "seen by the other files of this binary alone")]

use std::fs;
use std::path::Path;

use grantor::clock::Clock;
use grantor::journal::{Ending, Entry, Journal, Mark, read};
use grantor::random::Random;
use grantor::store::Address;
use grantor::store::backup::{BackupError, Header, check, prepare, take};
use grantor_protocol::environment::Environment;
use grantor_test_cluster::{Cluster, Database};

use crate::harness::{START, Server};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

on_both_engines! {
    d5_a_backup_with_one_byte_changed_or_cut_anywhere_is_refused_and_leaves_nothing_behind,
    d5_a_database_of_a_newer_schema_is_neither_backed_up_nor_restored,
}

/// Where a backup may go: a missing file, or an empty database.
struct Room {
    address: Address,
    database: Option<Database>,
}

impl Room {
    /// Of the same engine as the server's.
    fn beside(server: &Server, folder: &Path) -> Room {
        match server.address() {
            Address::Sqlite(_) => {
                Room { address: Address::Sqlite(folder.join("target.db")), database: None }
            }
            Address::Postgres(_) => {
                let database = Cluster::shared_database().unwrap();
                let address = Address::parse(&database.url(), folder).unwrap();
                Room { address, database: Some(database) }
            }
        }
    }

    /// What stands in it.
    fn tables(&self) -> Vec<Option<String>> {
        let sql = "SELECT relname::text FROM pg_class \
                   WHERE relnamespace = 'public'::regnamespace ORDER BY 1";
        self.database.as_ref().map_or(vec![], |database| database.execute(sql).unwrap())
    }

    async fn prepare(&self, file: &Path) -> Result<Header, BackupError> {
        Ok(prepare(file, &self.address, false).await?.0)
    }
}

async fn d5_a_backup_with_one_byte_changed_or_cut_anywhere_is_refused_and_leaves_nothing_behind(
    server: Server,
) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    let room = Room::beside(&server, folder.path());
    let taken = take(&server.address(), &file, "b1".to_owned(), START).await.unwrap();
    assert_eq!(names(folder.path()), ["b"]);
    let again = take(&server.address(), &file, "b2".to_owned(), START).await;
    assert!(matches!(again, Err(BackupError::Exists { .. })), "{again:?}");
    assert_eq!(room.prepare(&file).await.unwrap(), taken);
    assert_eq!(taken.tables["clients"], 2);
    assert_eq!(names(folder.path()), ["b"]);

    let whole = fs::read(&file).unwrap();
    let damaged = folder.path().join("damaged");
    // Every byte of the header, and so many of the rest that every page or table has some.
    let (every, behind) = (0..1300, (1300..whole.len()).step_by(whole.len() / 1000 + 1));
    for at in every.chain(behind).filter(|at| *at < whole.len()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        fs::write(&damaged, bytes).unwrap();
        // The header is enough for most of them, and a connection each time would take long.
        let refused = if at % 50 == 0 || room.database.is_none() {
            room.prepare(&damaged).await
        } else {
            check(&damaged)
        };
        assert!(matches!(refused, Err(BackupError::Damaged { .. })), "byte {at}: {refused:?}");
    }
    for length in [0, 1, 5, 16, 17, 300, 1000, whole.len() / 2, whole.len() - 1] {
        fs::write(&damaged, &whole[..length]).unwrap();
        let refused = room.prepare(&damaged).await;
        assert!(matches!(refused, Err(BackupError::Damaged { .. })), "at {length}: {refused:?}");
    }
    fs::write(&damaged, [whole.as_slice(), b"x"].concat()).unwrap();
    assert!(matches!(room.prepare(&damaged).await, Err(BackupError::Damaged { .. })));
    fs::write(&damaged, [b"grantor backup 2\n", &whole[17..]].concat()).unwrap();
    let refused = room.prepare(&damaged).await;
    assert!(matches!(refused, Err(BackupError::OtherFormat { found: 2, .. })), "{refused:?}");
    fs::write(&damaged, "SQLite format 3\0 and more of it").unwrap();
    assert!(matches!(room.prepare(&damaged).await, Err(BackupError::NoBackup { .. })));
    assert_eq!(names(folder.path()), ["b", "damaged"]);
    assert_eq!(room.tables(), []);
}

/// Changes a backup as somebody would who can write right sums.
pub fn change_header(file: &Path, from: &str, to: &str) {
    let whole = fs::read(file).unwrap();
    let mut lines = whole.splitn(4, |byte| *byte == b'\n');
    let (name, header) = (lines.next().unwrap(), lines.next().unwrap());
    let (_, body) = (lines.next(), lines.next().unwrap());
    let header = String::from_utf8(header.to_vec()).unwrap();
    assert!(header.contains(from), "{header}");
    let header = header.replace(from, to);
    let head = [name, b"\n", header.as_bytes(), b"\n"].concat();
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &head);
    let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(file, [&head[..], sum.as_bytes(), b"\n", body].concat()).unwrap();
}

async fn d5_a_database_of_a_newer_schema_is_neither_backed_up_nor_restored(server: Server) {
    let sql = "INSERT INTO schema_migrations (version, name, applied_at) VALUES (99, 'later', 0)";
    server.execute(sql);
    let file = server.folder.path().join("b");
    let refused = take(&server.address(), &file, "b1".to_owned(), START).await.map(|_| ());
    let newer = |refused| matches!(refused, Err(BackupError::Newer { found: 99, .. }));
    assert!(newer(refused));
    assert!(!file.exists());

    server.execute("DELETE FROM schema_migrations WHERE version = 99");
    take(&server.address(), &file, "b1".to_owned(), START).await.unwrap();
    let version = server.number("SELECT MAX(version) FROM schema_migrations");
    let header = format!("\"schema_version\":{version},");
    change_header(&file, &header, "\"schema_version\":99,");
    let room = Room::beside(&server, server.folder.path());
    assert!(newer(room.prepare(&file).await.map(|_| ())));
}

#[tokio::test]
async fn d5_a_backup_of_one_engine_is_refused_by_the_other_postgres_and_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let servers = [Server::start().await, Server::start_on_postgres().await];
    for (one, other) in [(0, 1), (1, 0)] {
        let file = folder.path().join(one.to_string());
        take(&servers[one].address(), &file, "b1".to_owned(), START).await.unwrap();
        let room = Room::beside(&servers[other], folder.path());
        let refused = room.prepare(&file).await;
        assert!(matches!(refused, Err(BackupError::OtherEngine { .. })), "{refused:?}");
    }
}

fn grant(number: u8) -> Ending {
    Ending::Grant { environment: Environment::Staging, id: [number; 16] }
}

fn endings(path: &Path) -> Vec<Ending> {
    let endings = read(path).notes.into_iter().filter_map(|note| match note.entry {
        Entry::Ending(ending) => Some(ending),
        Entry::Mark(_) => None,
    });
    endings.collect()
}

fn open(path: &Path) -> Journal {
    Journal::open(path, &Clock::manual(START), &Random::system()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d5_the_journal_keeps_every_ending_of_many_writers_and_a_new_file_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endings.journal");
    let journals = [open(&path), open(&path), open(&path)];
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..150 {
        let journal = journals[usize::from(number) % 3].clone();
        tasks.spawn(async move { journal.note(grant(number)).await.unwrap() });
    }
    tasks.join_all().await;
    assert_eq!(read(&path).fault, None);
    let mut found = endings(&path);
    found.sort_by_key(|ending| format!("{ending:?}"));
    found.dedup();
    assert_eq!(found.len(), 150);

    // Nobody restores while somebody writes.
    assert!(grantor::journal::claim(&path).unwrap().is_none());
    fs::rename(&path, folder.path().join("old")).unwrap();
    journals[0].note(grant(200)).await.unwrap();
    assert_eq!((read(&path).fault, endings(&path)), (None, vec![grant(200)]));
    // The two together are a whole journal again.
    let joined = [fs::read(folder.path().join("old")).unwrap(), fs::read(&path).unwrap()].concat();
    fs::write(folder.path().join("joined"), joined).unwrap();
    let joined = folder.path().join("joined");
    assert_eq!((read(&joined).fault, endings(&joined).len()), (None, 151));
}

#[tokio::test]
async fn d5_a_journal_with_one_byte_changed_is_noticed_and_a_torn_line_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endings.journal");
    let journal = open(&path);
    journal.mark(Mark::Backup { id: "b1".to_owned() }).await.unwrap();
    journal.note(grant(1)).await.unwrap();
    journal
        .note(Ending::ClientDisabled { environment: Environment::Production, id: "a".to_owned() })
        .await
        .unwrap();
    journal.note(grant(2)).await.unwrap();
    let whole = fs::read(&path).unwrap();
    let right = endings(&path);
    assert_eq!((right.len(), read(&path).fault), (3, None));
    let copy = folder.path().join("copy");
    for at in 0..whole.len() {
        for change in [0x01, 0x20, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            fs::write(&copy, bytes).unwrap();
            let found = read(&copy);
            assert!(found.fault.is_some() || endings(&copy) == right, "byte {at}: {found:?}");
        }
    }
    // A process that went away in the middle of a line; others write on.
    let tail = whole.len() - 40;
    fs::write(&copy, &whole[..tail]).unwrap();
    let (before, after) = (endings(&copy), open(&copy));
    assert_eq!((before.len(), read(&copy).fault), (2, None));
    after.note(grant(3)).await.unwrap();
    assert_eq!((endings(&copy).len(), read(&copy).fault), (3, None));
    // Were it the same writer that went on, a line of it would be missing.
    let gap = [&whole[..whole.len() / 2], b"\n", &whole[tail - 200..]].concat();
    fs::write(&copy, gap).unwrap();
    assert!(read(&copy).fault.is_some());
}

#[tokio::test]
async fn d5_nothing_ends_where_the_journal_cannot_be_written() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endings.journal");
    let store = server.staging.store.clone().with_journal(open(&path));
    let client = server.demo_client().id;
    // No new file can come to this name either.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(store.set_client_disabled(Environment::Staging, &client, true).await.is_err());
    assert!(!store.client(&client).await.unwrap().unwrap().client.disabled);
    fs::remove_dir(&path).unwrap();
    assert!(store.set_client_disabled(Environment::Staging, &client, true).await.unwrap());
    let ending = Ending::ClientDisabled { environment: Environment::Staging, id: client };
    assert_eq!(endings(&path), [ending]);
}

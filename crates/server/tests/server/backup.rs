//! Backups and journals as files: what is damaged is noticed, wherever it is.

use std::fs;
use std::path::Path;

use grantor::clock::Clock;
use grantor::journal::{Ending, Entry, Journal, Mark, read};
use grantor::random::Random;
use grantor::store::backup::{BackupError, extract, take};
use grantor_protocol::environment::Environment;

use crate::harness::{START, Server};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn d5_a_backup_with_one_byte_changed_or_cut_anywhere_is_refused_and_leaves_nothing_behind() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (file, target) = (folder.path().join("b"), folder.path().join("target.db"));
    let database = server.folder.path().join("grantor.db");
    let taken = take(&database, &file, "b1".to_owned(), START).unwrap();
    assert_eq!(names(folder.path()), ["b"]);
    let again = take(&database, &file, "b2".to_owned(), START);
    assert!(matches!(again, Err(BackupError::Exists { .. })), "{again:?}");
    let (header, body) = extract(&file, &target).unwrap();
    assert_eq!(header, taken);
    assert_eq!(header.tables["clients"], 2);
    drop(body);
    assert_eq!(names(folder.path()), ["b"]);

    let whole = fs::read(&file).unwrap();
    let damaged = folder.path().join("damaged");
    // Every byte of the header, and every 97th of the rest.
    for at in (0..1200).chain((1200..whole.len()).step_by(97)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        fs::write(&damaged, bytes).unwrap();
        let refused = extract(&damaged, &target);
        assert!(matches!(refused, Err(BackupError::Damaged { .. })), "byte {at}: {refused:?}");
    }
    for length in [0, 5, 17, 300, 1000, whole.len() / 2, whole.len() - 1] {
        fs::write(&damaged, &whole[..length]).unwrap();
        assert!(extract(&damaged, &target).is_err(), "cut at {length}");
    }
    fs::write(&damaged, [whole.as_slice(), b"x"].concat()).unwrap();
    assert!(extract(&damaged, &target).is_err());
    fs::copy(&database, &damaged).unwrap();
    assert!(matches!(extract(&damaged, &target), Err(BackupError::NoBackup { .. })));
    assert_eq!(names(folder.path()), ["b", "damaged"]);
}

#[tokio::test]
async fn d5_a_backup_of_a_newer_schema_is_refused_and_holds_no_master_key() {
    let server = Server::start().await;
    server.execute(
        "INSERT INTO schema_migrations (version, name, applied_at) VALUES (99, 'later', 0)",
    );
    let file = server.folder.path().join("b");
    take(&server.folder.path().join("grantor.db"), &file, "b1".to_owned(), START).unwrap();
    let refused = extract(&file, &server.folder.path().join("target.db"));
    assert!(matches!(refused, Err(BackupError::Newer { found: 99, .. })), "{refused:?}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
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

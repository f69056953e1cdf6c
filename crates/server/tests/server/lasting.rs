//! What lasts: a server that is killed while it starts or idles, and keys that are not what they were.
//! What a kill under load leaves is held against a ledger in tests/crash.

use std::path::Path;
use std::time::Duration;

use grantor::clock::Clock;
use grantor::keys::{Keys, KeysError};
use grantor::master_key::{MasterKey, MasterKeyError};
use grantor::random::Random;
use grantor::store::{Address, Store};
use grantor_protocol::environment::Environment;

use crate::harness::START;
use crate::program::{Dev, log_file, run, spawn_dev};

fn random_millis(from: u64, span: u64) -> Duration {
    Duration::from_millis(from + u64::from_be_bytes(Random::system().bytes()) % span)
}

#[tokio::test]
async fn d1_killed_while_it_starts_for_the_first_time_it_starts_the_next_time() {
    for _ in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        for _ in 0..3 {
            let mut child = spawn_dev(&data, &[]);
            tokio::time::sleep(random_millis(1, 120)).await;
            child.kill().await.unwrap();
        }
        let dev = Dev::start(&data, &[]).await;
        let (partner, url) = (dev.partner(), dev.authorize_url(""));
        let browser = partner.browser(&url).await;
        let code = partner.code(&browser, &url).await.unwrap();
        let answer = partner.exchange(&code).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(partner.api(answer.text("access_token")).await, 200);
    }
}

#[tokio::test]
async fn d2_an_end_that_was_acknowledged_survives_kill_9_and_so_do_tokens_on_other_ports() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let dev = Dev::start(&data, &[]).await;
    let (partner, url) = (dev.partner(), dev.authorize_url(""));
    let browser = partner.browser(&url).await;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let code = partner.code(&browser, &url).await.unwrap();
        tokens.push((partner.exchange(&code).await.unwrap(), code));
    }
    let replay = partner.exchange(&tokens[0].1).await.unwrap();
    replay.assert_error(400, "invalid_grant", "The code was used");
    dev.kill().await;
    let dev = Dev::start(&data, &[]).await;
    println!("ready on existing data after {} ms", dev.took.as_millis());
    assert_ne!(dev.staging("base_url"), partner.base_url);
    let partner = partner.moved_to(&dev);
    assert_eq!(partner.api(tokens[0].0.text("access_token")).await, 401);
    let ended = partner.refresh(tokens[0].0.text("refresh_token")).await.unwrap();
    ended.assert_error(400, "invalid_grant", "The connection was ended");
    assert_eq!(partner.api(tokens[1].0.text("access_token")).await, 200);
    dev.kill().await;

    let dev = Dev::start(&data, &["--reset"]).await;
    let partner = partner.moved_to(&dev);
    assert_eq!(partner.api(tokens[1].0.text("access_token")).await, 401, "--reset kept something");
    let refresh = partner.refresh(tokens[1].0.text("refresh_token")).await.unwrap();
    refresh.assert_error(400, "invalid_grant", "This is not a refresh token of this server");
    partner.browser(&dev.authorize_url("")).await;
}

struct Installed {
    folder: tempfile::TempDir,
    store: Store,
    key: MasterKey,
}

impl Installed {
    async fn new() -> Installed {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(START);
        let store =
            Store::open(&Address::Sqlite(folder.path().join("grantor.db")), &clock).await.unwrap();
        let key = MasterKey::generate(&Random::system());
        let installed = Installed { folder, store, key };
        assert!(installed.open(&installed.key).await.is_none());
        installed
    }

    async fn open(&self, key: &MasterKey) -> Option<KeysError> {
        Keys::open(&self.store, key, &Clock::manual(START), &Random::system()).await.err()
    }

    fn execute(&self, sql: &str) {
        let path = self.folder.path().join("grantor.db");
        assert!(rusqlite::Connection::open(path).unwrap().execute(sql, []).unwrap() > 0);
    }
}

#[tokio::test]
async fn d8_a_wrong_master_key_refuses_and_both_key_ids_are_named() {
    let installed = Installed::new().await;
    let other = MasterKey::generate(&Random::system());
    let error = installed.open(&other).await.unwrap();
    assert!(matches!(error, KeysError::OtherMasterKey { .. }));
    let words = error.to_string();
    assert!(words.contains(installed.key.id()) && words.contains(other.id()), "{words}");
    // A database that only says it belongs to the key.
    installed.execute(&format!("UPDATE installation SET master_key_id = '{}'", other.id()));
    let error = installed.open(&other).await.unwrap();
    assert!(matches!(error, KeysError::MasterKey(MasterKeyError::Wrong { .. })));
    assert!(error.to_string().contains(other.id()), "{error}");
}

#[tokio::test]
async fn d8_a_missing_or_tampered_sealing_key_refuses_and_names_the_key_id() {
    let installed = Installed::new().await;
    let [here, there] = [Environment::Staging, Environment::Production];
    let key = installed.store.sealing_keys(here).await.unwrap().remove(0);
    let other = installed.store.sealing_keys(there).await.unwrap().remove(0);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let put = |bytes: &[u8]| {
        let bytes = hex(bytes);
        installed.execute(&format!(
            "UPDATE sealing_keys SET encrypted = x'{bytes}' WHERE environment = 'staging'"
        ));
    };
    let mut changed = key.encrypted.clone();
    *changed.last_mut().unwrap() ^= 1;
    // Changed in one bit, cut, empty, or the other environment's.
    for bytes in [changed.as_slice(), &key.encrypted[..20], &[], &other.encrypted] {
        put(bytes);
        let error = installed.open(&installed.key).await.unwrap().to_string();
        let named = format!("the sealing key {:08x} of staging", key.id);
        assert!(error.contains(installed.key.id()) && error.contains(&named), "{error}");
    }
    put(&key.encrypted);
    assert!(installed.open(&installed.key).await.is_none());
    installed.execute("UPDATE sealing_keys SET id = id + 1 WHERE environment = 'staging'");
    assert!(installed.open(&installed.key).await.is_some(), "a key under another id");
    installed.execute("DELETE FROM sealing_keys WHERE environment = 'staging'");
    let error = installed.open(&installed.key).await.unwrap().to_string();
    assert!(error.contains(installed.key.id()) && error.contains("staging"), "{error}");
}

#[tokio::test]
async fn d5_a_database_of_an_older_epoch_refuses_and_one_of_a_newer_epoch_does_not() {
    let installed = Installed::new().await;
    let path = installed.folder.path().join("master.key");
    installed.key.write(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("epoch = 1", "epoch = 2")).unwrap();
    let raised = MasterKey::read(&path).unwrap();
    let error = installed.open(&raised).await.unwrap();
    assert!(matches!(error, KeysError::OlderEpoch { database: 1, key: 2, .. }));
    assert!(error.to_string().contains(installed.key.id()), "{error}");
    installed.execute("UPDATE installation SET epoch = 2");
    assert!(installed.open(&raised).await.is_none());
    assert!(installed.open(&installed.key).await.is_none());
}

#[tokio::test]
async fn d8_a_master_key_file_that_is_damaged_or_open_to_others_is_refused_and_never_quoted() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    assert!(matches!(MasterKey::read(&path).err(), Some(MasterKeyError::Missing { .. })));
    MasterKey::generate(&Random::system()).write(&path).unwrap();
    assert!(MasterKey::generate(&Random::system()).write(&path).is_err(), "it was overwritten");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a key was left behind");
    // A file that somebody laid where the key is written first does not get it.
    let laid_at = folder.path().join(format!("second.key.{}.tmp", std::process::id()));
    let (elsewhere, laid) = (folder.path().join("theirs"), laid_at);
    std::fs::write(&elsewhere, "").unwrap();
    std::os::unix::fs::symlink(&elsewhere, &laid).unwrap();
    MasterKey::generate(&Random::system()).write(&folder.path().join("second.key")).unwrap();
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "");
    let text = std::fs::read_to_string(&path).unwrap();
    let key = text.split('"').nth(3).unwrap();
    let mode =
        |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    for open in [0o640, 0o604, 0o644, 0o660] {
        mode(open);
        let error = MasterKey::read(&path).err();
        assert!(matches!(error, Some(MasterKeyError::Readable { .. })), "{open:o}");
    }
    mode(0o600);
    let other = MasterKey::generate(&Random::system());
    for damaged in [
        String::new(),
        text.replace("key = ", "keys = "),
        text.replace(key, &key[..20]),
        text.replace("id = \"mk-", "id = \"mk-0"),
        text.replace(text.split('"').nth(1).unwrap(), other.id()),
        format!("{text}\nmore = 1"),
        text.replace("epoch = 1", "epoch = \"one\""),
    ] {
        std::fs::write(&path, &damaged).unwrap();
        let error = MasterKey::read(&path).err().expect(&damaged);
        assert!(matches!(error, MasterKeyError::Malformed { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains(&key[..12]), "the key is quoted: {error}");
    }
    std::fs::write(&path, text).unwrap();
    assert!(MasterKey::read(&path).is_ok());
}

/// A configuration over a data folder of dev.
fn write_config(data: &Path) -> String {
    let config = data.join("grantor.toml");
    let text = "store = \"sqlite:grantor.db\"\nmaster_key_file = \"master.key\"\n\
                [environment.staging]\nbase_url = \"http://localhost:8399\"\n\
                listen = \"127.0.0.1:8399\"\n";
    std::fs::write(&config, text).unwrap();
    config.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn s26_d8_the_program_refuses_the_demo_outside_dev_and_a_wrong_key_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    Dev::start(&data, &[]).await.kill().await;
    let config = write_config(&data);
    let refused = run(&["serve", "--config", &config]).await;
    let words = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(words.contains("demo") && words.contains("customer@demo.example"), "{words}");
    assert!(!words.contains(crate::program::PASSWORD), "{words}");

    let key_file = data.join("master.key");
    let former = MasterKey::read(&key_file).unwrap();
    let other = MasterKey::generate(&Random::system());
    std::fs::remove_file(&key_file).unwrap();
    for start in [vec!["dev", "--port", "0", "--data"], vec!["serve", "--config"]] {
        let last = if start[0] == "dev" { data.to_str().unwrap() } else { &config };
        let arguments = [&start[..], &[last]].concat();
        let missing = run(&arguments).await;
        let words = String::from_utf8_lossy(&missing.stderr);
        assert_eq!(missing.status.code(), Some(1), "{words}");
        assert!(words.contains("master key"), "{words}");
        other.write(&key_file).unwrap();
        let wrong = run(&arguments).await;
        let words = String::from_utf8_lossy(&wrong.stderr);
        assert_eq!(wrong.status.code(), Some(1), "{words}");
        assert!(words.contains(former.id()) && words.contains(other.id()), "{words}");
        std::fs::remove_file(&key_file).unwrap();
    }
    let log = std::fs::read_to_string(log_file(&data)).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn a_second_dev_leaves_the_data_of_a_running_one_alone_even_with_reset() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let running = Dev::start(&data, &[]).await;
    for more in [&[][..], &["--reset"]] {
        let second = [&["dev", "--port", "0", "--data", data.to_str().unwrap()], more].concat();
        let output = run(&second).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(words.contains("is in use by another `grantor dev`"), "{words}");
        assert!(data.join("grantor.db").exists() && data.join("master.key").exists());
    }
    drop(running);
}

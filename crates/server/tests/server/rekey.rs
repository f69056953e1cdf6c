//! D9: the master key changes, and no step of it leaves an installation that cannot be used.

use std::fs;
use std::path::PathBuf;

use grantor::clock::Clock;
use grantor::keys::rekey::{prepare_only, rekey};
use grantor::keys::rotation::rotate;
use grantor::keys::{Keys, KeysError};
use grantor::master_key::{MasterKey, next_file};
use grantor::random::Random;
use grantor::seal::{CodeSeal, Sealer};
use grantor::store::{EncryptedCount, Store};
use grantor_protocol::environment::Environment;

use crate::harness::{START, Server};

const STAGING: Environment = Environment::Staging;

/// An installation with its key file, and a server on it that read the key before.
struct House {
    server: Server,
    file: PathBuf,
    store: Store,
    clock: Clock,
    random: Random,
}

impl House {
    fn of(server: Server) -> House {
        let file = server.folder.path().join("master.key");
        server.master_key.write(&file).unwrap();
        let (store, clock) = (server.staging.store.clone(), server.clock.clone());
        House { server, file, store, clock, random: Random::system() }
    }

    fn key(&self) -> MasterKey {
        MasterKey::read(&self.file).unwrap()
    }

    /// What a server does when it starts.
    async fn start(&self) -> Result<Keys, KeysError> {
        let store = Store::open(&self.server.address(), &self.clock).await?;
        Keys::open(&store, &self.key(), &self.clock, &self.random).await
    }

    async fn rekey(&self) -> Result<grantor::keys::rekey::Rekeyed, KeysError> {
        rekey(&self.store, &self.file, &self.random, None).await
    }

    /// The names of all files that hold a key, or a part of one.
    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.file.parent().unwrap()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("master")).collect();
        names.sort();
        names
    }

    /// How many encrypted values a key opens, and how many it does not.
    async fn opened_by(&self, key: &MasterKey) -> [usize; 2] {
        let values = self.store.encrypted_values().await.unwrap();
        let opens = values
            .iter()
            .filter(|value| key.decrypt(&value.context, &value.encrypted).is_ok())
            .count();
        [opens, values.len() - opens]
    }
}

fn code(sealer: &Sealer) -> String {
    sealer.code(&CodeSeal { grant_id: [1; 16], expires_at: START + 60 }, START)
}

async fn d9_a_rekey_puts_every_encrypted_value_under_the_new_key_and_counts_them(server: Server) {
    let house = House::of(server);
    let running = house.start().await.unwrap();
    let former = house.key();
    let sealed = code(&running.sealer(STAGING));
    let rotated = rotate(&house.store, &former, STAGING, (&house.clock, &house.random), None).await;
    let new_key = rotated.unwrap().key;
    running.make_signing_keys(STAGING).await.unwrap();
    assert_eq!(house.opened_by(&former).await, [8, 0]);

    let done = house.rekey().await.unwrap();
    let count = |column, values| EncryptedCount { column, values };
    assert_eq!(
        done.counts,
        [
            count("installation.key_check", 1),
            count("sealing_keys.encrypted", 4),
            count("signing_keys.encrypted", 3),
            count("webhook_endpoints.secret_1", 0),
            count("webhook_endpoints.secret_2", 0),
            count("people.totp", 0),
            count("people.totp_next", 0),
        ]
    );
    let new = house.key();
    assert_eq!(new.id(), done.master_key_id);
    assert_ne!(new.id(), former.id());
    assert_eq!(house.opened_by(&new).await, [8, 0]);
    assert_eq!(house.opened_by(&former).await, [0, 8]);
    assert!(!done.finished);
    assert_eq!(house.files(), ["master.key".to_owned(), format!("master.key.{}", former.id())]);
    assert_eq!(MasterKey::read(&done.former_file.unwrap()).unwrap().id(), former.id());

    // Servers go on, those that run and those that start, and follow what changes next.
    assert!(running.reload().await.unwrap());
    assert!(running.sealer(STAGING).ring().key_ids().contains(&new_key.id));
    for keys in [running, house.start().await.unwrap()] {
        assert!(keys.sealer(STAGING).open_code(&sealed).is_ok());
    }
    assert!(house.rekey().await.unwrap().master_key_id != new.id());
    assert!(house.start().await.unwrap().sealer(STAGING).open_code(&sealed).is_ok());
}

async fn d9_killed_before_the_database_changed_the_next_rekey_goes_on_with_the_key_that_was_laid(
    server: Server,
) {
    let house = House::of(server);
    let former = house.key();
    // A part of a key, from a process that was killed while it wrote.
    let part = house.file.with_extension("key.new.1.tmp");
    fs::write(&part, "id = \"mk-").unwrap();
    let laid = prepare_only(&house.store, &house.file, &house.random).await.unwrap();
    assert_eq!(MasterKey::read(&next_file(&house.file)).unwrap().id(), laid);
    assert_eq!(house.opened_by(&former).await, [4, 0]);
    house.start().await.unwrap();
    let again = prepare_only(&house.store, &house.file, &house.random).await.unwrap();
    assert_eq!(again, laid, "what was brought to other machines is worth nothing now");

    let done = house.rekey().await.unwrap();
    assert_eq!((done.master_key_id.as_str(), done.finished), (laid.as_str(), false));
    assert_eq!(house.key().id(), laid);
    house.start().await.unwrap();
}

async fn d9_killed_after_the_database_changed_everything_works_and_the_next_rekey_finishes_it(
    server: Server,
) {
    let house = House::of(server);
    for (before, former_is_linked) in [false, true].into_iter().enumerate() {
        let running = house.start().await.unwrap();
        let former = house.key();
        let done = house.rekey().await.unwrap();
        // The files as they were before the last step.
        let kept = done.former_file.unwrap();
        fs::rename(&house.file, next_file(&house.file)).unwrap();
        fs::hard_link(&kept, &house.file).unwrap();
        if !former_is_linked {
            fs::remove_file(&kept).unwrap();
        }
        assert_eq!(house.key().id(), former.id());

        assert!(running.reload().await.unwrap(), "a running server does not find the key");
        let started = house.start().await.unwrap();
        let new =
            rotate(&house.store, &house.key(), STAGING, (&house.clock, &house.random), None).await;
        let new = new.unwrap().key;
        for keys in [&running, &started] {
            assert!(keys.reload().await.unwrap());
            assert!(keys.sealer(STAGING).ring().key_ids().contains(&new.id));
        }
        let prepared = prepare_only(&house.store, &house.file, &house.random).await;
        assert!(matches!(prepared, Err(KeysError::OtherMasterKey { .. })));

        let finished = house.rekey().await.unwrap();
        assert!(finished.finished);
        assert_eq!(finished.master_key_id, done.master_key_id);
        assert_eq!(finished.counts[1].values, 4 + before);
        assert_eq!(house.key().id(), done.master_key_id);
        assert_eq!(MasterKey::read(&kept).unwrap().id(), former.id());
        assert_eq!(house.files().len(), 2 + before);
        house.start().await.unwrap();
    }
}

async fn d8_d9_under_a_key_of_another_installation_a_rekey_refuses_and_changes_nothing(
    server: Server,
) {
    let house = House::of(server);
    let former = house.key();
    let other = MasterKey::generate(&house.random);
    fs::remove_file(&house.file).unwrap();
    other.write(&house.file).unwrap();
    for laid in [false, true] {
        if laid {
            MasterKey::generate(&house.random).write(&next_file(&house.file)).unwrap();
        }
        let files = house.files();
        let words = house.rekey().await.unwrap_err().to_string();
        assert!(words.contains(former.id()) && words.contains(other.id()), "{words}");
        assert_eq!(house.files(), files);
        assert_eq!(house.opened_by(&former).await, [4, 0]);
    }
}

async fn d9_a_server_whose_machine_has_not_got_the_new_key_keeps_its_keys_until_it_has(
    server: Server,
) {
    let house = House::of(server);
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("master.key");
    fs::copy(&house.file, &copy).unwrap();
    let former = MasterKey::read(&copy).unwrap();
    let away = Keys::open(&house.store, &former, &house.clock, &house.random).await.unwrap();
    let sealed = code(&away.sealer(STAGING));
    let done = house.rekey().await.unwrap();
    let words = away.reload().await.unwrap_err().to_string();
    assert!(words.contains(&done.master_key_id) && words.contains(former.id()), "{words}");
    assert!(away.sealer(STAGING).open_code(&sealed).is_ok());
    // Either way of bringing it does.
    fs::copy(&house.file, next_file(&copy)).unwrap();
    assert!(away.reload().await.unwrap());
    assert!(away.sealer(STAGING).open_code(&sealed).is_ok());
    fs::rename(next_file(&copy), &copy).unwrap();
    let again = house.rekey().await.unwrap();
    fs::copy(&house.file, &copy).unwrap();
    assert!(away.reload().await.unwrap());
    assert_eq!(MasterKey::read(&copy).unwrap().id(), again.master_key_id);
}

async fn d9_many_rekeys_and_rotations_at_the_same_time_leave_one_key_that_opens_everything(
    server: Server,
) {
    let house = std::sync::Arc::new(House::of(server));
    for _ in 0..8 {
        let mut tasks = tokio::task::JoinSet::new();
        for at in 0..8 {
            let house = std::sync::Arc::clone(&house);
            tasks.spawn(async move {
                let fault = if at % 2 == 0 {
                    house.rekey().await.err()
                } else {
                    let (store, clock) = (&house.store, &house.clock);
                    rotate(store, &house.key(), STAGING, (clock, &house.random), None).await.err()
                };
                let expected = |fault: &KeysError| {
                    matches!(
                        fault,
                        KeysError::Contended
                            | KeysError::MasterKey(_)
                            | KeysError::OtherMasterKey { .. }
                    )
                };
                assert!(fault.as_ref().is_none_or(expected), "{fault:?}");
            });
        }
        tasks.join_all().await;
        house.start().await.unwrap();
        house.rekey().await.unwrap();
        let [_, unopened] = house.opened_by(&house.key()).await;
        assert_eq!(unopened, 0);
    }
}

async fn d9_a_key_that_was_prepared_before_a_restore_is_not_taken_on(server: Server) {
    let house = House::of(server);
    prepare_only(&house.store, &house.file, &house.random).await.unwrap();
    let text = fs::read_to_string(&house.file).unwrap();
    fs::write(&house.file, text.replace("epoch = 1", "epoch = 2")).unwrap();
    assert_eq!(house.server.execute("UPDATE installation SET epoch = 2"), 1);
    let refused = house.rekey().await;
    assert!(matches!(refused, Err(KeysError::PreparedBefore { epoch: 1, .. })), "{refused:?}");
    assert_eq!(house.opened_by(&house.key()).await, [4, 0]);
    fs::remove_file(next_file(&house.file)).unwrap();
    house.rekey().await.unwrap();
    assert_eq!(house.key().epoch(), 2);
}

on_both_engines! {
    d9_killed_after_the_database_changed_everything_works_and_the_next_rekey_finishes_it,
    d9_a_rekey_puts_every_encrypted_value_under_the_new_key_and_counts_them,
    d9_killed_before_the_database_changed_the_next_rekey_goes_on_with_the_key_that_was_laid,
    d8_d9_under_a_key_of_another_installation_a_rekey_refuses_and_changes_nothing,
    d9_a_server_whose_machine_has_not_got_the_new_key_keeps_its_keys_until_it_has,
    d9_many_rekeys_and_rotations_at_the_same_time_leave_one_key_that_opens_everything,
    d9_a_key_that_was_prepared_before_a_restore_is_not_taken_on,
}

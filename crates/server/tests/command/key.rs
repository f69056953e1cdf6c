use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::house::{House, free_address, text};

/// A house on this store whose server was started once, so that there are keys.
pub(crate) fn installed(store: &str) -> House {
    let house = House::new();
    let address = free_address();
    house.write(
        "grantor.toml",
        &format!(
            "store = \"{store}\"\nmaster_key_file = \"master.key\"\n\
             [environment.staging]\nbase_url = \"http://localhost:{}\"\nlisten = \"{address}\"\n",
            address.port()
        ),
    );
    let mut child = house.start(&["serve", "--json"]);
    let mut ready = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.contains("staging"), "{ready}");
    child.kill().unwrap();
    child.wait().unwrap();
    house
}

fn keys(house: &House) -> Vec<Value> {
    house.json(&["key", "list"])["keys"].as_array().unwrap().clone()
}

#[test]
fn without_keys_a_list_is_empty_and_the_rest_says_when_they_are_made() {
    let house = House::new();
    assert_eq!(house.json(&["key", "list"])["keys"], serde_json::json!([]));
    let words = "the database has no keys yet";
    let refused = house.run(&["key", "rotate", "--all"]).refused(words);
    assert!(refused.stderr.contains("grantor serve"), "{refused:?}");
    house.run(&["key", "rekey"]).refused(words);
    assert!(!house.path("master.key.new").exists());
}

fn s27_keys_are_listed_and_rotated_in_one_environment_or_both(store: &str) {
    let house = installed(store);
    let before = keys(&house);
    assert_eq!(before.len(), 3);
    assert!(before.iter().all(|key| key["state"] == "sealing"), "{before:?}");
    let staging = text(&before[0], "id");

    let rotated = house.json(&["key", "rotate", "--environment", "staging"]);
    let new = &rotated["rotated"][0];
    assert_eq!((&new["environment"], &new["removed"]), (&"staging".into(), &serde_json::json!([])));
    let listed = keys(&house);
    assert_eq!(listed.len(), 4);
    let next = listed.iter().find(|key| key["id"] == new["id"]).unwrap();
    assert_eq!(next["state"], "next");
    assert_eq!(next["seals_from"], new["seals_from"]);
    assert_eq!(listed.iter().find(|key| key["id"] == staging).unwrap()["state"], "sealing");

    let both = house.json(&["key", "rotate", "--all"]);
    assert_eq!(both["rotated"].as_array().unwrap().len(), 3);
    let shown = house.run(&["key", "list", "--environment", "production"]).done();
    assert_eq!(shown.stdout.lines().count(), 3, "{shown:?}");
    for arguments in
        [&["key", "rotate"][..], &["key", "rotate", "--all", "--environment", "staging"]]
    {
        assert_eq!(house.run(arguments).code, 1);
    }
    assert_eq!(keys(&house).len(), 7);
}

fn a_key_is_revoked_only_by_its_id_its_environment_and_a_yes(store: &str) {
    let house = installed(store);
    let before = keys(&house);
    let id = text(&before[0], "id");
    let revoke = ["key", "revoke", id, "--environment", "staging"];
    let refused = house.run(&revoke).refused("have to connect again");
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    let wrong = ["key", "revoke", id, "--environment", "production", "--yes"];
    house.run(&wrong).refused(&format!("there is no sealing key {id} in production"));
    let wrong = ["key", "revoke", "xyz", "--environment", "staging", "--yes"];
    house.run(&wrong).refused("eight hexadecimal digits");
    assert_eq!(keys(&house), before);

    let revoked = house.json(&[&revoke[..], &["--yes"]].concat());
    let left = keys(&house);
    assert_eq!(left.len(), 3);
    let new = left.iter().find(|key| key["environment"] == "staging").unwrap();
    assert_eq!((&new["id"], &new["state"]), (&revoked["replaced_by"], &"sealing".into()));
    assert!(left.contains(&before[1]), "{left:?}");
}

fn d9_a_rekey_prints_its_counts_and_a_prepared_key_is_the_one_that_it_takes(store: &str) {
    let house = installed(store);
    let former = std::fs::read_to_string(house.path("master.key")).unwrap();
    let prepared = house.json(&["key", "rekey", "--prepare"]);
    assert_eq!(crate::house::mode(&house.path("master.key.new")), 0o600);
    assert_eq!(std::fs::read_to_string(house.path("master.key")).unwrap(), former);

    let done = house.json(&["key", "rekey"]);
    assert_eq!(done["master_key_id"], prepared["prepared_id"]);
    assert_eq!(
        done["columns"],
        serde_json::json!([
            {"column": "installation.key_check", "values": 1},
            {"column": "sealing_keys.encrypted", "values": 3},
            {"column": "signing_keys.encrypted", "values": 0},
            {"column": "webhook_endpoints.secret_1", "values": 0},
            {"column": "webhook_endpoints.secret_2", "values": 0},
            {"column": "people.totp", "values": 0},
            {"column": "people.totp_next", "values": 0},
        ])
    );
    assert_eq!(std::fs::read_to_string(house.path(text(&done, "former_file"))).unwrap(), former);
    assert_eq!(crate::house::mode(&house.path("master.key")), 0o600);
    assert!(!house.path("master.key.new").exists());

    let again = house.run(&["key", "rekey"]).done();
    assert!(again.stdout.contains("installation.key_check      1"), "{again:?}");
    assert!(again.stdout.contains("sealing_keys.encrypted      3"), "{again:?}");
    let secret = former.split('"').nth(3).unwrap();
    assert!(!again.stdout.contains(secret) && !again.stderr.contains(secret));
}

fn d8_d9_with_another_master_key_nothing_is_changed_and_both_ids_are_named(store: &str) {
    let house = installed(store);
    let other = House::new();
    std::fs::copy(other.path("master.key"), house.path("master.key")).unwrap();
    let id = |house: &House| {
        let text = std::fs::read_to_string(house.path("master.key")).unwrap();
        text.split('"').nth(1).unwrap().to_owned()
    };
    let before = keys(&house);
    let first = text(&before[0], "id");
    for arguments in [
        &["key", "rekey"][..],
        &["key", "rekey", "--prepare"],
        &["key", "rotate", "--all"],
        &["key", "revoke", first, "--environment", "staging", "--yes"],
    ] {
        let refused = house.run(arguments).refused("the database belongs to the master key mk-");
        assert!(refused.stderr.contains(&id(&other)), "{refused:?}");
    }
    assert_eq!(keys(&house), before);
    assert!(!house.path("master.key.new").exists());
}

/// The same tests on each engine.
macro_rules! on_both_stores {
    ($($name:ident,)*) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                super::$name("sqlite:grantor.db");
            })*
        }
        mod postgres {
            $(#[test]
            fn $name() {
                let database = grantor_test_cluster::Cluster::shared_database().unwrap();
                super::$name(&database.url());
            })*
        }
    };
}

on_both_stores! {
    s27_keys_are_listed_and_rotated_in_one_environment_or_both,
    a_key_is_revoked_only_by_its_id_its_environment_and_a_yes,
    d9_a_rekey_prints_its_counts_and_a_prepared_key_is_the_one_that_it_takes,
    d8_d9_with_another_master_key_nothing_is_changed_and_both_ids_are_named,
}

use std::os::unix::fs::PermissionsExt as _;

use crate::house::{House, mode, text};

#[test]
fn init_makes_a_folder_a_key_and_a_configuration_that_only_their_owner_may_read() {
    let house = House::empty();
    let made = house.json(&["init", "data"]);
    assert_eq!(text(&made, "data"), "data");
    assert_eq!(text(&made, "config"), "data/grantor.toml");
    assert_eq!(text(&made, "master_key_file"), "data/master.key");
    assert!(text(&made, "master_key_id").starts_with("mk-"));
    assert_eq!(mode(&house.path("data")), 0o700);
    assert_eq!(mode(&house.path("data/master.key")), 0o600);
    assert_eq!(mode(&house.path("data/grantor.toml")), 0o600);

    house.run(&["client", "list", "--config", "data/grantor.toml"]).done();
    assert_eq!(mode(&house.path("data/grantor.db")), 0o600);
}

#[test]
fn init_overwrites_nothing() {
    for name in ["grantor.toml", "master.key", "grantor.db"] {
        let house = House::empty();
        house.write(name, "mine");
        house.run(&["init"]).refused(&format!("there is a ./{name} already"));
        assert_eq!(std::fs::read_to_string(house.path(name)).unwrap(), "mine");
        assert_eq!(house.folder().read_dir().unwrap().count(), 1);
    }
}

#[test]
fn the_key_is_never_printed() {
    let house = House::empty();
    let answer = house.run(&["init", "--json"]).done();
    let file = std::fs::read_to_string(house.path("master.key")).unwrap();
    let key = file.lines().find_map(|line| line.strip_prefix("key = ")).unwrap().trim_matches('"');
    assert!(key.len() > 40 && !answer.stdout.contains(key) && !answer.stderr.contains(key));
}

#[test]
fn a_wrong_call_exits_with_1_and_help_with_0() {
    let house = House::empty();
    for arguments in
        [&["nosuch"][..], &[], &["client"], &["client", "create"], &["init", "--nosuch"]]
    {
        assert_eq!(house.run(arguments).code, 1, "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["client", "create", "--help"]] {
        let answer = house.run(arguments).done();
        assert!(!answer.stdout.is_empty() && answer.stderr.is_empty());
    }
}

#[test]
fn what_cannot_be_explained_exits_with_2() {
    let house = House::new();
    house.write("grantor.db", "this is no database, and nobody knows how it came here");
    let answer = house.run(&["client", "list"]);
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.stderr.starts_with("error: the store failed"), "{answer:?}");
    assert_eq!(answer.stdout, "");
}

#[test]
fn a_configuration_is_found_by_option_by_variable_or_in_this_folder() {
    let house = House::empty();
    house.run(&["partner", "list"]).refused("grantor.toml: the configuration cannot be read");
    house.run(&["init", "data"]).done();
    house.run(&["partner", "list", "--config", "data/grantor.toml"]).done();
    house.run(&["partner", "list", "--data", "data"]).done();
    house
        .run(&["partner", "list", "--data", "elsewhere"])
        .refused("there is no elsewhere/grantor.db");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_grantor"))
        .args(["partner", "list", "--json"])
        .current_dir(house.folder())
        .env("GRANTOR_CONFIG", "data/grantor.toml")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(status.stdout).unwrap(), "{\"partners\":[]}\n");
}

#[test]
fn init_says_so_where_others_can_enter_the_folder() {
    let house = House::empty();
    std::fs::set_permissions(house.folder(), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(house.run(&["init"]).done().stderr.contains("warning: others can enter ."));
}

#[test]
fn s26_dev_touches_no_folder_that_it_did_not_make() {
    let house = House::new();
    house.run(&["partner", "create", "--name", "Acme"]).done();
    let key = std::fs::read(house.path("master.key")).unwrap();
    for more in [&[][..], &["--reset"]] {
        let dev = [&["dev", "--port", "0", "--data", "."], more].concat();
        house.run(&dev).refused("was not made by `grantor dev`");
        assert_eq!(std::fs::read(house.path("master.key")).unwrap(), key);
        let partners = house.json(&["partner", "list"]);
        assert_eq!(partners["partners"].as_array().unwrap().len(), 1, "{more:?}");
    }
}

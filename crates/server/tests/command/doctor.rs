use serde_json::Value;

use crate::house::{House, text};

const SERVED: &str = "[environment.staging]\nbase_url = \"https://oauth.example\"\n\
    listen = \"127.0.0.1:8790\"\ntrusted_proxies = [\"127.0.0.1\"]\n";

/// A configuration whose addresses are https, as behind a proxy, and a database with keys.
fn house() -> House {
    let house = House::new();
    house.write(
        "grantor.toml",
        &format!("store = \"sqlite:grantor.db\"\nmaster_key_file = \"master.key\"\n{SERVED}"),
    );
    let make = ["manager", "create", "--email", "m@example.com", "--name", "M"];
    house.run_with(&make, "correct horse battery").done();
    house.run(&["key", "list"]).done();
    house
}

/// The state of a check, with its words.
fn state(report: &Value, check: &str) -> (String, String) {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|found| text(found, "check") == check);
    let found = found.unwrap_or_else(|| panic!("no check {check} in {report}"));
    (text(found, "state").to_owned(), text(found, "words").to_owned())
}

fn faults(house: &House) -> (i32, Value) {
    let answer = house.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(report["well"], answer.code == 0);
    (answer.code, report)
}

#[test]
fn an_installation_that_is_well_has_no_fault() {
    let house = house();
    let answer = house.run(&["doctor"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    for line in ["ok     configuration", "ok     schema", "ok     audit log", "ok     base URLs"] {
        assert!(answer.stdout.contains(line), "{line}: {answer:?}");
    }
    assert!(!answer.stdout.contains("fault"));
}

#[test]
fn each_fault_is_named_with_what_to_do() {
    let house = house();
    let database = rusqlite::Connection::open(house.path("grantor.db")).unwrap();
    database.execute("UPDATE audit SET detail = 'nothing' WHERE number = 1", []).unwrap();
    let (code, report) = faults(&house);
    assert_eq!(code, 1);
    let (found, words) = state(&report, "audit log");
    assert_eq!(found, "fault");
    assert!(words.contains("entry 1 is not what was written"), "{words}");

    database.execute("UPDATE audit SET at = 9999999999", []).unwrap();
    assert_eq!(state(&faults(&house).1, "clock").0, "fault");

    let other = house.path("other.key");
    let elsewhere = House::new();
    std::fs::copy(elsewhere.path("master.key"), &other).unwrap();
    std::fs::copy(&other, house.path("master.key")).unwrap();
    let found = state(&faults(&house).1, "keys");
    assert!(found.0 == "fault" || found.0 == "note", "{found:?}");

    house.write("grantor.toml", "nonsense = 1\n");
    let (code, report) = faults(&house);
    assert_eq!((code, state(&report, "configuration").0.as_str()), (1, "fault"));
    std::fs::remove_file(house.path("grantor.toml")).unwrap();
    let answer = house.run(&["doctor"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stdout.contains("grantor init"), "{answer:?}");
}

#[test]
fn a_portal_without_mail_is_a_fault_and_plain_http_is_told() {
    let house = house();
    let portal = "[portal]\nbase_url = \"http://127.0.0.1:8791\"\nlisten = \"127.0.0.1:8791\"\n";
    let config = std::fs::read_to_string(house.path("grantor.toml")).unwrap();
    house.write("grantor.toml", &format!("{config}{portal}"));
    let (code, report) = faults(&house);
    assert_eq!(code, 1);
    assert_eq!(state(&report, "mail").0, "fault");
    let (found, words) = state(&report, "base URLs");
    assert!(found == "note" && words.contains("http://127.0.0.1:8791 is plain http"), "{words}");
}

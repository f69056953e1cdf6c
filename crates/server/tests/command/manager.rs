use serde_json::Value;

use crate::house::{House, text};

const CREATE: [&str; 6] =
    ["manager", "create", "--email", " Morgan@Example.com", "--name", "Morgan"];

fn create(house: &House, more: &[&str]) -> Value {
    house.run_with(&[&CREATE[..], more, &["--json"]].concat(), "correct horse battery\n").json()
}

#[test]
fn the_first_manager_is_made_with_a_password_from_standard_input() {
    let house = House::new();
    let made = create(&house, &[]);
    assert_eq!(text(&made, "email"), "morgan@example.com");
    assert_eq!((text(&made, "role"), &made["second_factor"]), ("manager", &false.into()));
    let told = house.run_with(&CREATE, "correct horse battery");
    told.refused("morgan@example.com has an account in the portal already");
    let short = ["manager", "create", "--email", "a@b.example", "--name", "A"];
    house.run_with(&short, "short").refused("at least 12 characters");
    house.run_with(&short, "demo-password-for-dev-only").refused("which everybody knows");
    let listed = house.json(&["manager", "list"]);
    assert_eq!(listed["managers"].as_array().unwrap().len(), 1);
}

#[test]
fn it_says_where_the_portal_is_and_what_the_first_sign_in_asks_for() {
    let house = House::new();
    let config = std::fs::read_to_string(house.path("grantor.toml")).unwrap();
    house.write(
        "grantor.toml",
        &format!(
            "{config}\n[portal]\nbase_url = \"http://127.0.0.1:8702\"\nlisten = \"127.0.0.1:8702\"\n"
        ),
    );
    let made = house.run_with(&CREATE, "correct horse battery").done();
    assert!(made.stdout.contains("http://127.0.0.1:8702"), "{made:?}");
    assert!(made.stderr.contains("sets up a second factor"), "{made:?}");
}

#[test]
fn the_last_one_stays_and_what_is_done_stands_in_the_audit_log() {
    let house = House::new();
    create(&house, &[]);
    house
        .run(&["manager", "remove", "--email", "morgan@example.com"])
        .refused("is the last of the managers and operators");
    house
        .run(&["manager", "reset-factor", "--email", "morgan@example.com"])
        .refused("has no second factor");
    house.run(&["manager", "remove", "--email", "nobody@example.com"]).refused("there is no");
    let more = ["manager", "create", "--email", "o@example.com", "--name", "O", "--operator"];
    house.run_with(&more, "correct horse battery").done();
    let removed = house.json(&["manager", "remove", "--email", "Morgan@example.com"]);
    assert_eq!(removed["removed"], true);
    let left = house.json(&["manager", "list"]);
    assert_eq!(text(&left["managers"][0], "role"), "operator");

    let database = rusqlite::Connection::open(house.path("grantor.db")).unwrap();
    let mut acts = database.prepare("SELECT act, actor FROM audit ORDER BY number").unwrap();
    let acts = acts.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let acts: Vec<(String, String)> = acts.map(Result::unwrap).collect();
    let by = "grantor manager (operator)".to_owned();
    let expected = ["person.joined", "person.joined", "person.removed"];
    assert_eq!(acts, expected.map(|act| (act.to_owned(), by.clone())));
}

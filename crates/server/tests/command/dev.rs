//! Commands about a data folder of `grantor dev`.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::house::{House, text};

/// Runs `grantor dev` on free ports until it is ready. Answers what it said.
fn served_once(house: &House) -> Value {
    let mut dev = house.start(&["dev", "--port", "0", "--data", "data", "--json"]);
    let mut ready = String::new();
    BufReader::new(dev.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
    dev.kill().unwrap();
    dev.wait().unwrap();
    serde_json::from_str(&ready).unwrap()
}

/// Invites somebody of the only partner. Answers the mail.
fn invitation(house: &House, email: &str) -> String {
    let listed = house.json(&["partner", "list", "--data", "data"]);
    let partner = text(&listed["partners"][0], "id");
    let invite = ["partner", "team", "invite", partner, "--email", email, "--role", "developer"];
    house.json(&[&invite[..], &["--data", "data"]].concat());
    let database = rusqlite::Connection::open(house.path("data/grantor.db")).unwrap();
    let sql = "SELECT body FROM outbox WHERE recipient LIKE ?1";
    database.query_row(sql, [format!("%{email}%")], |row| row.get(0)).unwrap()
}

#[test]
fn s25_a_mail_of_a_command_leads_to_where_dev_serves_the_portal_and_not_to_its_usual_port() {
    let house = House::empty();
    let mut former = String::new();
    for email in ["sam@demo.example", "kim@demo.example"] {
        let ready = served_once(&house);
        let portal = text(&ready, "portal_url").to_owned();
        assert_ne!(portal, former);
        let mail = invitation(&house, email);
        assert!(mail.contains(&format!("{portal}/")), "{mail} does not lead to {portal}");
        assert!(!mail.contains(":8303"), "{mail}");
        let managers = house.json(&["manager", "list", "--data", "data"]);
        assert_eq!(text(&managers["managers"][0], "portal_url"), portal);
        former = portal;
    }
    let mark = std::fs::read_to_string(house.path("data/grantor-dev.txt")).unwrap();
    let names: Vec<&str> = mark.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["portal", "staging", "production"], "{mark}");
}

#[test]
fn a_folder_that_does_not_say_where_it_was_served_is_taken_for_one_on_the_usual_ports() {
    let house = House::empty();
    served_once(&house);
    let words = "This folder holds the demo data of `grantor dev`.\n";
    house.write("data/grantor-dev.txt", words);
    let mail = invitation(&house, "sam@demo.example");
    assert!(mail.contains("http://127.0.0.1:8303/"), "{mail}");
    let managers = house.json(&["manager", "list", "--data", "data"]);
    assert_eq!(managers["managers"][0]["portal_url"], Value::Null);
}

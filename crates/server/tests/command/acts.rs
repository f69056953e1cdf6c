//! What an operator does by a command stands in the audit log, and what is refused does not.

use serde_json::Value;

use crate::connections::Connected;
use crate::house::{CREATE_CLIENT, House, text};
use crate::key;

/// An entry: what, who, about which client, and more of it.
type Entry = (String, String, Option<String>, String);

/// All entries of a house's log, in their order.
fn entries(house: &House) -> Vec<Entry> {
    let database = rusqlite::Connection::open(house.path("grantor.db")).unwrap();
    let sql = "SELECT act, actor, client_id, detail FROM audit ORDER BY number";
    let mut found = database.prepare(sql).unwrap();
    let rows = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// The entries that came since there were `before`, as acts with who did them.
fn acts(entries: &[Entry]) -> Vec<(&str, &str)> {
    entries.iter().map(|(act, actor, ..)| (act.as_str(), actor.as_str())).collect()
}

/// Whose partner an entry concerns, as the portal's people of that partner see it.
fn concerning(house: &House, partner_id: &str) -> i64 {
    let database = rusqlite::Connection::open(house.path("grantor.db")).unwrap();
    let id = uuid::Uuid::parse_str(partner_id).unwrap().into_bytes();
    let sql = "SELECT COUNT(*) FROM audit WHERE partner_id = ?1";
    database.query_row(sql, [id.to_vec()], |row| row.get(0)).unwrap()
}

#[test]
fn u3_what_a_command_does_to_a_client_stands_in_its_activity_without_its_secrets() {
    let house = House::new();
    let client = house.client();
    let id = text(&client, "client_id");
    let added = house.json(&["client", "add-secret", id]);
    house.json(&["client", "remove-secret", id, "--slot", "1"]);
    house.json(&["client", "disable", id]);
    house.json(&["client", "enable", id]);
    house.json(&["client", "end-connections", id]);
    let note = ["--note", "the workshop", "--uses", "3"];
    let admitted =
        house.json(&[&["client", "admit", "--environment", "staging"][..], &note].concat());
    let entries = entries(&house);
    let by = "grantor client (operator)";
    let expected = [
        ("partner.created", "grantor partner (operator)"),
        ("client.created", by),
        ("secret.added", by),
        ("secret.removed", by),
        ("client.suspended", by),
        ("client.resumed", by),
        ("client.connections_ended", by),
        ("registration.admitted", by),
    ];
    assert_eq!(acts(&entries), expected);
    let about: Vec<Option<&str>> = entries.iter().map(|entry| entry.2.as_deref()).collect();
    assert_eq!(about[0], None);
    assert!(about[1..7].iter().all(|client| *client == Some(id)), "{entries:?}");
    assert!(
        entries[1].3.contains("Table Planner; financial-api orders-api; https://mycompany.com")
    );
    assert_eq!(entries[7].3, "3 on staging, for: the workshop");
    let partner = house.json(&["client", "show", id]);
    assert_eq!(concerning(&house, text(&partner["partner"], "id")), 7);
    let secret = text(&added, "client_secret");
    assert_eq!(entries[2].3, format!("ends in {}", &secret[secret.len() - 4..]));
    let secrets = [text(&client, "client_secret"), secret, text(&admitted, "initial_access_token")];
    for secret in secrets {
        assert!(entries.iter().all(|entry| !entry.3.contains(secret)), "{entries:?}");
    }
    assert!(house.run(&["doctor"]).stdout.contains("8 entries, each follows the one before"));
}

#[test]
fn what_is_noted_of_a_new_client_is_bounded_however_many_addresses_it_has() {
    let house = House::new();
    house.client();
    let path = "long/".repeat(60);
    let uris: Vec<String> =
        (0..49).map(|at| format!("https://mycompany.com/{path}{at:02}")).collect();
    let options = uris.iter().flat_map(|uri| ["--redirect-uri", uri]);
    let create: Vec<&str> = CREATE_CLIENT.into_iter().chain(options).collect();
    let made = house.json(&create);
    assert_eq!(made["redirect_uris"].as_array().unwrap().len(), 50);
    let entries = entries(&house);
    let detail = &entries.last().unwrap().3;
    assert!(detail.len() < 2200, "{} bytes", detail.len());
    let held = uris.iter().filter(|uri| detail.contains(uri.as_str())).count();
    assert!(held > 1 && detail.ends_with(&format!(" and {} more", 49 - held)), "{detail}");
}

#[test]
fn what_is_refused_about_a_client_notes_nothing() {
    let house = House::new();
    let client = house.client();
    let id = text(&client, "client_id");
    let only = "this is the client's only secret";
    house.run(&["client", "remove-secret", id, "--slot", "1"]).refused(only);
    house.run(&["client", "remove-secret", id, "--slot", "2"]).refused("no secret in slot 2");
    assert_eq!(house.json(&["client", "enable", id])["changed"], false);
    house.run(&["client", "disable", "nobody"]).refused("there is no client");
    assert_eq!(entries(&house).len(), 2);
    house.json(&["client", "add-secret", id]);
    house.run(&["client", "add-secret", id]).refused("there is never a third");
    house.json(&["client", "disable", id]);
    assert_eq!(house.json(&["client", "disable", id])["changed"], false);
    assert_eq!(entries(&house).len(), 4);
}

/// A command about Ada.
fn customer(words: &str) -> Vec<&str> {
    vec!["customer", words, "--environment", "staging", "--email", "ada@example.com"]
}

#[test]
fn what_a_command_does_to_a_customer_stands_in_the_audit_log() {
    let connected = Connected::new();
    let (house, client_id) = (&connected.house, connected.client_id.as_str());
    let business = ["--name", "Trattoria", "--currency", "EUR", "--id", "7"];
    let add_business = [&customer("add-business")[..], &business].concat();
    house.json(&add_business);
    house.run(&add_business).refused("there is a business 7 in staging already");
    let password = "another battery staple";
    house.run_with(&customer("set-password"), password).done();
    let grant = connected.connect(true).to_string();
    let revoke = ["grant", "revoke", "--environment", "staging", &grant];
    assert_eq!(house.json(&revoke)["changed"], true);
    assert_eq!(house.json(&revoke)["changed"], false);
    let both = [&customer("end-connections")[..], &["--client", client_id]].concat();
    assert_eq!(house.json(&both)["changed"], true);
    assert_eq!(house.json(&both)["changed"], false);
    house.json(&customer("end-connections"));
    house.json(&customer("disable"));
    assert_eq!(house.json(&customer("disable"))["changed"], false);
    house.json(&customer("enable"));
    let again = [&customer("create")[..], &["--name", "Ada"]].concat();
    house.run_with(&again, password).refused("there is a customer ada@example.com");

    let entries = entries(house);
    let by = "grantor customer (operator)";
    let expected = [
        ("customer.created", by),
        ("customer.business_added", by),
        ("customer.password_set", by),
        ("grant.revoked", "grantor grant (operator)"),
        ("customer.connections_ended", by),
        ("customer.connections_ended", by),
        ("customer.disabled", by),
        ("customer.enabled", by),
    ];
    // The first two made the partner and its client.
    assert_eq!(acts(&entries[2..]), expected);
    let of_client: Vec<&Entry> = entries[2..].iter().filter(|entry| entry.2.is_some()).collect();
    assert_eq!(
        acts(&of_client.iter().map(|&entry| entry.clone()).collect::<Vec<_>>()),
        expected[3..5]
    );
    for entry in &of_client {
        // A partner knows a customer by the id alone.
        assert!(entry.2.as_deref() == Some(client_id) && !entry.3.contains("ada@"), "{entry:?}");
    }
    assert!(of_client[0].3.starts_with(&grant), "{of_client:?}");
    // Nor does the log, which is for ever, hold anybody's address.
    let shown = house.json(&customer("show"));
    let named = format!("customer {}", text(&shown, "id"));
    for entry in entries[2..].iter().filter(|entry| entry.0 != "grant.revoked") {
        assert!(entry.3.contains(&named), "{entry:?} does not name {named}");
    }
    assert_eq!(entries[2].3, format!("{named} on staging"));
    assert_eq!(entries[3].3, format!("Trattoria (7) of {named} on staging"));
    assert!(entries.iter().all(|entry| !entry.3.contains('@')), "{entries:?}");
    assert!(entries.iter().all(|entry| !entry.3.contains(password)), "{entries:?}");
    let partner = house.json(&["client", "show", client_id]);
    assert_eq!(concerning(house, text(&partner["partner"], "id")), 4);
}

#[test]
fn what_a_command_does_to_the_keys_stands_in_the_audit_log() {
    let house = key::installed("sqlite:grantor.db");
    let rotated = house.json(&["key", "rotate", "--environment", "staging"]);
    let id = text(&rotated["rotated"][0], "id");
    let revoke =
        |id: &str| house.run(&["key", "revoke", id, "--environment", "staging", "--yes", "--json"]);
    let replaced = revoke(id).json();
    assert_eq!(replaced["replaced_by"], Value::Null);
    revoke(id).refused("there is no sealing key");
    let sealing = house.json(&["key", "list", "--environment", "staging"]);
    let sealing = text(&sealing["keys"][0], "id");
    let replacing = revoke(sealing).json();
    let signing = house.json(&["key", "rotate", "--environment", "staging", "--signing"]);
    let made: Vec<&str> =
        signing["signing_keys"].as_array().unwrap().iter().map(|key| text(key, "id")).collect();
    let replaced = revoke(made[0]).json();
    revoke(made[0]).refused("there is no signing key");
    // One in sixty-four begins like an option.
    revoke("-3NzLBhcCAvTyvhiLPHkHwr7ZZoBsSsRgXRwLSOSvoQ").refused("there is no signing key");
    // To lay the next master key changes nothing in the database.
    let prepared = house.json(&["key", "rekey", "--prepare"]);
    let changed = house.json(&["key", "rekey"]);
    assert_eq!(changed["master_key_id"], prepared["prepared_id"]);
    let entries = entries(&house);
    let by = "grantor key (operator)";
    let replaced_by = |answer: &Value| text(answer, "replaced_by").to_owned();
    let expected = [
        ("key.rotated", format!("sealing, staging; {id}")),
        ("key.revoked", format!("{id}, staging")),
        ("key.revoked", format!("{sealing}, staging; replaced by {}", replaced_by(&replacing))),
        ("key.rotated", format!("signing, staging; {}", made.join(" "))),
        ("key.revoked", format!("{}, staging; replaced by {}", made[0], replaced_by(&replaced))),
        ("key.master_changed", text(&changed, "master_key_id").to_owned()),
    ];
    assert_eq!(acts(&entries), expected.each_ref().map(|(name, _)| (*name, by)));
    let details: Vec<&str> = entries.iter().map(|entry| entry.3.as_str()).collect();
    assert_eq!(details, expected.each_ref().map(|(_, detail)| detail.as_str()));
}

#[test]
fn d5_a_restore_stands_in_the_audit_log_of_what_it_brought_back() {
    let house = key::installed("sqlite:grantor.db");
    house.json(&["partner", "create", "--name", "Planner Ltd"]);
    let backup = house.json(&["backup", "b1"]);
    house.json(&["partner", "disable", "Planner Ltd"]);
    house.run(&["restore", "b1"]).refused("--replace");
    assert_eq!(entries(&house).len(), 2);
    house.json(&["restore", "b1", "--replace"]);
    let entries = entries(&house);
    let expected = [
        ("partner.created", "grantor partner (operator)"),
        ("database.restored", "grantor restore (operator)"),
    ];
    assert_eq!(acts(&entries), expected);
    assert_eq!(entries[1].3, format!("the backup {}; epoch 2", text(&backup, "id")));
}

#[test]
fn what_a_command_says_of_a_partner_stands_in_its_activity_once() {
    let house = House::new();
    let made = house.json(&["partner", "create", "--name", "Planner Ltd"]);
    for (command, verified) in [("verify", true), ("unverify", false)] {
        for _ in 0..2 {
            let shown = house.json(&["partner", command, "Planner Ltd"]);
            assert_eq!(shown["verified"], verified, "{command}");
        }
    }
    house.run(&["partner", "verify", "nobody"]).refused("there is no partner \"nobody\"");
    for command in ["disable", "disable", "enable", "enable"] {
        house.json(&["partner", command, "Planner Ltd"]);
    }
    let entries = entries(&house);
    let names: Vec<&str> = entries.iter().map(|entry| entry.0.as_str()).collect();
    let expected = [
        "partner.created",
        "partner.verified",
        "partner.unverified",
        "partner.suspended",
        "partner.resumed",
    ];
    assert_eq!(names, expected);
    assert_eq!(concerning(&house, text(&made, "id")), 5);
}

#[test]
fn d5_what_only_a_log_without_its_database_holds_does_not_come_into_a_restored_one() {
    let house = key::installed("sqlite:grantor.db");
    house.json(&["partner", "create", "--name", "Planner Ltd"]);
    house.json(&["backup", "b1"]);
    // Whoever closes a database last takes its log away, unless killed: so somebody else is there.
    let open = rusqlite::Connection::open(house.path("grantor.db")).unwrap();
    let _: i64 = open.query_row("SELECT COUNT(*) FROM audit", [], |row| row.get(0)).unwrap();
    house.json(&["partner", "create", "--name", "Later Ltd"]);
    let log = std::fs::read(house.path("grantor.db-wal")).unwrap();
    assert!(log.windows(5).any(|found| found == b"Later"));
    drop(open);
    std::fs::remove_file(house.path("grantor.db")).unwrap();
    std::fs::write(house.path("grantor.db-wal"), log).unwrap();
    house.json(&["restore", "b1"]);
    let listed = house.json(&["partner", "list"]);
    let names: Vec<&str> =
        listed["partners"].as_array().unwrap().iter().map(|one| text(one, "name")).collect();
    assert_eq!(names, ["Planner Ltd"]);
    assert_eq!(entries(&house).len(), 2);
    assert!(house.run(&["doctor"]).stdout.contains("2 entries, each follows the one before"));
}

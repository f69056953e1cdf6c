//! `grantor activity` on a server without a portal, and about what belongs to the portal itself. It
//! reads rows alone.

use grantor::clock::Clock;
use grantor::programme::api_client::new_client;
use grantor::random::Random;
use grantor::store::{Act, Address, COMPANY_ID, Store};
use grantor_protocol::client::ClientSecret;
use grantor_protocol::scope::Scope;
use serde_json::Value;
use uuid::Uuid;

use crate::house::{House, text};

/// The acts that a filter finds, the newest first.
fn acts(house: &House, filter: &[&str]) -> Vec<String> {
    let shown = house.json(&[&["activity"][..], filter].concat());
    let entries = shown["entries"].as_array().unwrap();
    entries.iter().map(|entry| text(entry, "act").to_owned()).collect()
}

#[test]
fn u3_what_commands_did_is_read_without_a_portal_and_without_the_master_key() {
    let house = House::new();
    assert!(house.run(&["activity"]).done().stderr.contains("Nothing was done yet"));
    let client = house.client();
    let id = text(&client, "client_id");
    house.json(&["client", "disable", id]);
    std::fs::rename(house.path("master.key"), house.path("away.key")).unwrap();
    house.run(&["client", "change", id, "--name", "Tables"]).refused("there is no portal");
    let all = ["client.suspended", "client.created", "partner.created"];
    assert_eq!(acts(&house, &[]), all);
    assert_eq!(acts(&house, &["--client", id]), all[..2]);
    assert_eq!(acts(&house, &["--partner", "planner ltd"]), all);
    house.run(&["activity", "--client", "nobody"]).refused("there is no client \"nobody\"");
    house.run(&["activity", "--partner", "nobody"]).refused("there is no partner \"nobody\"");
    let exported = house.run(&["activity", "--export", "--client", id]).done().stdout;
    let lines: Vec<Value> =
        exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(text(&lines[0], "act"), "client.created");
}

/// Makes an API client of this company, and removes it, as the portal does.
async fn make_and_remove(store: &Store, id: &str) {
    let secret = ClientSecret::new(Random::system().secret());
    let scopes = Scope::parse("audit").unwrap();
    let name = "The reader of the log".to_owned();
    let client = new_client((id.to_owned(), name), COMPANY_ID, scopes, &secret);
    let act = |name| Act {
        at: Clock::system().now(),
        actor: "mel@company.example (manager)".to_owned(),
        actor_id: None,
        act: name,
        partner_id: Some(COMPANY_ID),
        client_id: Some(id.to_owned()),
        detail: String::new(),
        mails: Vec::new(),
        notices: Vec::new(),
    };
    assert!(store.make_api_client(&client, 20, &act("api_client.created")).await.unwrap());
    let record = store.client(id).await.unwrap().unwrap();
    assert!(store.remove_api_client(&record, &act("api_client.removed")).await.unwrap());
}

#[test]
fn u3_what_was_done_to_an_api_client_is_read_by_its_id_and_by_its_partners() {
    let house = House::new();
    house.json(&["partner", "create", "--name", "Planner Ltd"]);
    let id = "devp-portal-the-reader-0f8d3c1b5e7a49d28c6b1f0e9d7a3c52";
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let address = Address::Sqlite(house.path("grantor.db"));
        let store = Store::open(&address, &Clock::system()).await.unwrap();
        make_and_remove(&store, id).await;
    });
    let both = ["api_client.removed", "api_client.created"];
    assert_eq!(acts(&house, &["--client", id]), both);
    let company = Uuid::from_bytes(COMPANY_ID).to_string();
    assert_eq!(acts(&house, &["--partner", &company]), both);
    assert_eq!(acts(&house, &["--partner", "planner ltd"]), ["partner.created"]);
}

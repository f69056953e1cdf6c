//! D5: what had been taken away since a backup does not work again after a restore.

use grantor::clock::Clock;
use grantor::journal::{Ending, Journal};
use grantor::random::Random;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{House, free_address, text};

const MANAGER: &str = "mel@company.example";
const OTHER: &str = "ola@company.example";
const URI: &str = "https://mycompany.com/redirection/ikentoo";
const FACTORS: &str = "UPDATE people SET totp = x'00', totp_confirmed_at = 1, \
     recovery_codes = 'one two'";

/// A house with a portal, two managers with a factor each, a client with two redirect URIs, and a
/// webhook.
struct Programme {
    house: House,
    client_id: String,
    webhook_id: String,
}

impl Programme {
    fn new() -> Programme {
        let house = House::new();
        let names = ["environment.staging", "environment.production", "portal"];
        let sites = names.map(|name| {
            let address = free_address();
            let base_url = format!("http://localhost:{}", address.port());
            format!("[{name}]\nbase_url = \"{base_url}\"\nlisten = \"{address}\"\n")
        });
        let head = "store = \"sqlite:grantor.db\"\nmaster_key_file = \"master.key\"\n".to_owned();
        house.write("grantor.toml", &(head + &sites.concat()));
        let client = house.client();
        let client_id = text(&client, "client_id").to_owned();
        let other = format!("{URI}/other");
        let wide =
            ["client", "change", &client_id, "--redirect-uri", URI, "--redirect-uri", &other];
        house.json(&wide);
        let url = "https://hooks.example.com/grantor";
        let add = ["webhook", "add", "--partner", "planner ltd", "--environment", "staging"];
        let added = house.json(&[&add[..], &["--url", url, "--event", "ping"]].concat());
        let webhook_id = text(&added["webhook"], "id").to_owned();
        for email in [MANAGER, OTHER] {
            let create = ["manager", "create", "--email", email, "--name", "Mel"];
            house.run_with(&create, "a password of the tests\na password of the tests\n").done();
        }
        let programme = Programme { house, client_id, webhook_id };
        programme.database().execute(FACTORS, []).unwrap();
        programme
    }

    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.house.path("grantor.db")).unwrap()
    }

    /// The first column of the only row.
    fn value<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        self.database().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn person(&self, email: &str) -> [u8; 16] {
        self.value(&format!("SELECT id FROM customers WHERE email = '{email}'"))
    }

    /// Takes something away of each kind.
    fn take_away(&self) {
        let (house, client_id) = (&self.house, self.client_id.as_str());
        house.json(&["client", "change", client_id, "--redirect-uri", URI]);
        house.json(&["manager", "reset-factor", "--email", MANAGER]);
        let of = ["--partner", "planner ltd", "--environment", "staging"];
        let change = ["webhook", "change", &self.webhook_id, "--url", "https://new.example/hooks"];
        house.json(&[&change[..], &of].concat());
        // As the portal does at a sign-in with one.
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let path = house.path("endings.journal");
            let journal = Journal::open(&path, &Clock::system(), &Random::system()).unwrap();
            journal.note(Ending::RecoveryCodeUsed { id: self.person(OTHER) }).await.unwrap();
        });
    }

    fn counter(&self) -> i64 {
        self.value(&format!("SELECT counter FROM clients WHERE id = '{}'", self.client_id))
    }
}

#[test]
fn d5_factors_recovery_codes_webhooks_and_addresses_that_were_taken_away_do_not_come_back() {
    let programme = Programme::new();
    let house = &programme.house;
    house.json(&["backup", "b1"]);
    let hash = |email: &str| -> String {
        programme.value(&format!("SELECT password_hash FROM customers WHERE email = '{email}'"))
    };
    let (lost, kept) = (hash(MANAGER), hash(OTHER));
    let counter = programme.counter();
    programme.take_away();
    let restored = house.json(&["restore", "b1", "--replace"]);
    let done = &restored["done"];
    let numbers = ["factors_ended_again", "recovery_codes_voided", "webhooks_switched_off"];
    assert_eq!(numbers.map(|name| &done[name]), [1, 1, 1], "{restored}");
    assert_eq!(done["narrowed_clients_disabled"], 0);
    assert_eq!(restored["clients_narrowed"], json!([programme.client_id]));
    let person = Uuid::from_bytes(programme.person(MANAGER)).to_string();
    assert_eq!(restored["factors_ended"], json!([person]));
    // The lost factor is gone, and so is the password that would enrol another.
    let factors: i64 =
        programme.value("SELECT COUNT(*) FROM people WHERE totp_confirmed_at IS NOT NULL");
    assert_eq!(factors, 1);
    assert_ne!(hash(MANAGER), lost);
    // Whose code was used keeps factor and password, without the codes.
    assert_eq!(hash(OTHER), kept);
    let codes: i64 = programme.value("SELECT COUNT(*) FROM people WHERE recovery_codes <> ''");
    assert_eq!(codes, 0);
    let of = ["--partner", "planner ltd", "--environment", "staging"];
    let webhook = house.json(&[&["webhook", "show", &programme.webhook_id][..], &of].concat());
    assert_eq!(webhook["enabled"], json!(false), "{webhook}");
    assert!(programme.counter() > counter);
    let client = house.json(&["client", "show", &programme.client_id]);
    let uris: Vec<&Value> = client["redirect_uris"].as_array().unwrap().iter().collect();
    assert_eq!((uris.len(), &client["disabled"]), (2, &json!(false)), "{client}");
}

#[test]
fn d5_clients_that_were_narrowed_since_are_switched_off_where_that_is_asked_for() {
    let programme = Programme::new();
    let house = &programme.house;
    house.json(&["backup", "b1"]);
    programme.take_away();
    let told = house.run(&["restore", "b1", "--replace", "--disable-narrowed"]).done();
    assert!(told.stdout.contains("1 clients that were narrowed"), "{told:?}");
    let client = house.json(&["client", "show", &programme.client_id]);
    assert_eq!(client["disabled"], json!(true), "{client}");
}

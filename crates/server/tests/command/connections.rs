//! `grantor grant`, and the endings of `grantor client` and `grantor customer`. The connections are
//! made by the store, as pressing Allow makes them.

use grantor::clock::Clock;
use grantor::random::Random;
use grantor::store::{Address, NewConsent, NewGrant, Store, Turn};
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::{Grant, GrantStatus};
use grantor_protocol::scope::Scope;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{House, text};

const HERE: Environment = Environment::Staging;
const EMAIL: &str = "ada@example.com";
const OF_ADA: [&str; 4] = ["--environment", "staging", "--email", EMAIL];

/// A house with a client, a customer, and a store that stands open beside the program.
pub(crate) struct Connected {
    pub(crate) house: House,
    store: Store,
    pub(crate) client_id: String,
    runtime: tokio::runtime::Runtime,
}

impl Connected {
    pub(crate) fn new() -> Connected {
        let house = House::new();
        let client_id = text(&house.client(), "client_id").to_owned();
        let create = [&["customer", "create"][..], &OF_ADA, &["--name", "Ada"]].concat();
        house.run_with(&create, "correct horse battery").done();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let address = Address::Sqlite(house.path("grantor.db"));
        let clock = Clock::system();
        let store = runtime.block_on(Store::open(&address, &clock)).unwrap();
        Connected { house, store, client_id, runtime }
    }

    /// A grant of Ada, active or waiting for its code.
    pub(crate) fn connect(&self, is_active: bool) -> Uuid {
        let (clock, random) = (Clock::system(), Random::system());
        let now = clock.now();
        self.runtime.block_on(async {
            let customer = self.store.credentials(HERE, EMAIL).await.unwrap().unwrap();
            let scope = Scope::parse("financial-api orders-api").unwrap();
            let grant = NewGrant {
                environment: HERE,
                id: random.id(&clock),
                client_id: self.client_id.clone(),
                customer_id: customer.customer_id,
                customer_counter: customer.counter,
                consent_counter: None,
                scope: scope.clone(),
                businesses: vec![7],
                redirect_uri: "https://mycompany.com/redirection/ikentoo".to_owned(),
                code_challenge: None,
                binding: grantor_protocol::grant::Binding::default(),
                openid: None,
                code_expires_at: now + 60,
                ends_at: None,
            };
            let consent = NewConsent { scope: scope.clone(), asked_scope: scope };
            assert!(self.store.allow(&grant, Some(&consent), 1, now).await.unwrap());
            let (environment, id, idle_expires_at) = (HERE, grant.id, now + 1000);
            let turn = Turn {
                environment,
                id,
                attempt: [1; 16],
                idle_expires_at,
                from: "::1",
                key: None,
                binds_refresh: false,
                now,
            };
            assert!(!is_active || self.store.redeem_code(&turn).await.unwrap());
            Uuid::from_bytes(id)
        })
    }

    fn row(&self, id: Uuid) -> Grant {
        self.runtime.block_on(self.store.grant(HERE, id.into_bytes())).unwrap().unwrap()
    }

    fn list(&self, more: &[&str]) -> Vec<Value> {
        let arguments = [&["grant", "list", "--environment", "staging"][..], more].concat();
        self.house.json(&arguments)["grants"].as_array().unwrap().clone()
    }
}

#[test]
fn connections_are_listed_newest_first_with_where_they_stand() {
    let connected = Connected::new();
    assert!(connected.list(&[]).is_empty());
    let (active, pending) = (connected.connect(true), connected.connect(false));
    let listed = connected.list(&[]);
    let ids: Vec<&str> = listed.iter().map(|one| text(one, "id")).collect();
    let (first, second) = (pending.to_string(), active.to_string());
    // Ids of one millisecond have no order among themselves.
    assert!(ids == [&first, &second] || ids == [&second, &first], "{ids:?}");
    let of = |id: Uuid| listed.iter().find(|one| text(one, "id") == id.to_string()).unwrap();
    let shown = of(active);
    for (key, value) in [
        ("environment", json!("staging")),
        ("client_id", json!(connected.client_id)),
        ("customer", json!(EMAIL)),
        ("state", json!("active")),
        ("scopes", json!(["financial-api", "orders-api"])),
        ("businesses", json!([7])),
        ("generation", json!(1)),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    assert_eq!((text(of(pending), "state"), &of(pending)["generation"]), ("pending", &json!(null)));

    assert_eq!(connected.list(&["--limit", "1"]).len(), 1);
    assert_eq!(connected.list(&["--client", &connected.client_id]).len(), 2);
    assert_eq!(connected.list(&["--customer", "ADA@example.com"]).len(), 2);
    let house = &connected.house;
    let people = house.run(&["grant", "list", "--environment", "staging"]).done();
    assert!(people.stdout.starts_with("GRANT ID"), "{people:?}");
    assert!(people.stdout.contains(EMAIL) && people.stderr.is_empty(), "{people:?}");
    let cut = house.run(&["grant", "list", "--environment", "staging", "--limit", "1"]).done();
    assert!(cut.stderr.contains("There may be more"), "{cut:?}");
    let elsewhere = house.run(&["grant", "list", "--environment", "production"]).done();
    assert!(elsewhere.stderr.contains("There is no connection."), "{elsewhere:?}");
    let list = |more: &[&str]| {
        house.run(&[&["grant", "list", "--environment", "production"][..], more].concat())
    };
    list(&["--client", "nobody"]).refused("there is no client \"nobody\"");
    list(&["--client", &connected.client_id]).refused("belongs to staging");
    list(&["--customer", EMAIL]).refused("there is no customer ada@example.com in production");
    list(&["--customer", "ada"]).refused("--customer: \"ada\" is not an e-mail address");
    list(&["--limit", "0"]).refused("0 is not in 1..=10000");
}

#[test]
fn s17_one_connection_is_ended_and_the_others_stay() {
    let connected = Connected::new();
    let (ended, kept) = (connected.connect(true), connected.connect(true));
    let before = connected.row(kept);
    let id = ended.to_string();
    let house = &connected.house;
    let revoke = ["grant", "revoke", "--environment", "staging", &id];
    house
        .run(&["grant", "revoke", "--environment", "production", &id])
        .refused(&format!("there is no connection {id} in production"));
    house
        .run(&["grant", "revoke", "--environment", "staging", "nonsense"])
        .refused("invalid value 'nonsense'");
    assert!(matches!(connected.row(ended).status, GrantStatus::Active(_)));
    for changed in [true, false] {
        let expected = json!({ "environment": "staging", "id": id, "changed": changed });
        assert_eq!(house.json(&revoke), expected);
        assert!(matches!(connected.row(ended).status, GrantStatus::Revoked { .. }));
    }
    let people = house.run(&revoke).done();
    assert_eq!(people.stdout, format!("{id} is ended already\n"));
    assert!(people.stderr.contains("The consent stays"), "{people:?}");
    assert_eq!(connected.row(kept), before);
    let states: Vec<Value> = connected.list(&[]).iter().map(|one| one["state"].clone()).collect();
    let at = connected.list(&[]).iter().find_map(|one| one["ended_at"].as_i64()).unwrap();
    assert!((Clock::system().now() - at).abs() < 100, "{at}");
    assert!(states.contains(&json!("ended")) && states.contains(&json!("active")), "{states:?}");
}

#[test]
fn s17_all_connections_of_a_client_or_a_customer_are_ended_and_new_ones_live() {
    let connected = Connected::new();
    let (house, client_id) = (&connected.house, connected.client_id.as_str());
    let of_client = ["client", "end-connections", client_id];
    let of_customer = [&["customer", "end-connections"][..], &OF_ADA].concat();
    let of_both = [&of_customer[..], &["--client", client_id]].concat();
    for (command, expected) in [
        (&of_client[..], json!({ "environment": "staging", "client_id": client_id })),
        (
            &of_customer,
            json!({ "environment": "staging", "email": EMAIL, "client_id": null, "changed": true }),
        ),
        (
            &of_both,
            json!({ "environment": "staging", "email": EMAIL, "client_id": client_id, "changed": true }),
        ),
    ] {
        let (active, pending) = (connected.connect(true), connected.connect(false));
        assert_eq!(house.json(command), expected);
        for id in [active, pending] {
            assert!(!connected.row(id).in_force, "{command:?}");
        }
        assert!(connected.list(&[]).iter().all(|one| one["state"] == "ended"));
        let again = connected.connect(true);
        assert!(connected.row(again).in_force, "{command:?}");
        connected.runtime.block_on(async {
            connected.store.revoke_grant(HERE, again.into_bytes(), 1).await.unwrap();
        });
    }
    connected.connect(true);
    assert_eq!(house.json(&of_both)["changed"], true);
    assert_eq!(house.json(&of_both)["changed"], false);
    let people = house.run(&of_both).done();
    assert_eq!(people.stdout, format!("{EMAIL} allows {client_id} nothing already\n"));
    let people = house.run(&of_client).done();
    assert_eq!(people.stdout, format!("all connections of {client_id} ended\n"));
    assert!(people.stderr.contains("can connect again"), "{people:?}");
    assert_eq!(house.json(&["client", "show", client_id])["disabled"], false);
    house.run(&["client", "end-connections", "nobody"]).refused("there is no client \"nobody\"");
    let mut nobody = of_customer.clone();
    nobody[5] = "nobody@example.com";
    house.run(&nobody).refused("there is no customer nobody@example.com in staging");
}

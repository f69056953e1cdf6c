//! The partner programme at the command line: what the portal's pages and its API do, by the same
//! operations. What partners do beforehand is done by the programme's own functions or in the store.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Child;
use std::time::Duration;

use grantor::clock::Clock;
use grantor::random::Random;
use grantor::store::{
    Act, Address, Asked, NewPerson, ProgrammeRequest, RequestKind, RequestState, Role, Store,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{Answer, CREATE_CLIENT, House, free_address, text};

/// A house with both environments and a portal, a partner with a client on staging, and a store that
/// stands open beside the program.
struct Programme {
    house: House,
    store: Store,
    client_id: String,
    partner_id: Uuid,
    staging: SocketAddr,
    runtime: tokio::runtime::Runtime,
}

impl Programme {
    fn new() -> Programme {
        let house = House::new();
        let addresses = [free_address(), free_address(), free_address()];
        let names = ["environment.staging", "environment.production", "portal"];
        let sites = names.iter().zip(addresses).map(|(name, address)| {
            format!(
                "[{name}]\nbase_url = \"http://localhost:{0}\"\nlisten = \"{address}\"\n",
                address.port()
            )
        });
        let head = "store = \"sqlite:grantor.db\"\nmaster_key_file = \"master.key\"\n".to_owned();
        house.write("grantor.toml", &(head + &sites.collect::<String>()));
        let client = house.client();
        let client_id = text(&client, "client_id").to_owned();
        let shown = house.json(&["client", "show", &client_id]);
        let partner_id = Uuid::parse_str(text(&shown["partner"], "id")).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let address = Address::Sqlite(house.path("grantor.db"));
        let store = runtime.block_on(Store::open(&address, &Clock::system())).unwrap();
        Programme { house, store, client_id, partner_id, staging: addresses[0], runtime }
    }

    fn act(&self, name: &'static str) -> Act {
        Act {
            at: Clock::system().now(),
            actor: "dana@planner.example (owner)".to_owned(),
            actor_id: None,
            act: name,
            partner_id: Some(self.partner_id.into_bytes()),
            client_id: Some(self.client_id.clone()),
            detail: String::new(),
            mails: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// A request for production, as the partner's page makes one.
    fn ask(&self) -> String {
        let (clock, random) = (Clock::system(), Random::system());
        let request = ProgrammeRequest {
            id: random.id(&clock),
            partner_id: self.partner_id.into_bytes(),
            partner: "Planner Ltd".to_owned(),
            kind: RequestKind::Production,
            client_id: self.client_id.clone(),
            logo: None,
            asked: Asked {
                name: "Table Planner".to_owned(),
                website: None,
                support_contact: None,
                redirect_uris: vec!["https://planner.example/callback".to_owned()],
                scopes: vec![("orders-api".to_owned(), "Guests order.".to_owned())],
                contact: "help@planner.example".to_owned(),
                message: "Guests see the menu.".to_owned(),
                ..Asked::default()
            },
            state: RequestState::Waiting,
            version: 1,
            asked_by: "dana@planner.example".to_owned(),
            asked_at: clock.now(),
            decided_by: None,
            decided_at: None,
            note: None,
            made_client_id: None,
        };
        let act = self.act("request.made");
        assert!(self.runtime.block_on(self.store.add_request(&request, &act)).unwrap());
        Uuid::from_bytes(request.id).to_string()
    }

    fn person(&self, email: &str, role: Role) {
        let (clock, random) = (Clock::system(), Random::system());
        let id = random.id(&clock);
        let person = NewPerson { id, email, name: "Pat", password_hash: "none", role, demo: false };
        let act = self.act("person.joined");
        let added = self.store.add_person(&person, None, None, &act);
        assert!(self.runtime.block_on(added).unwrap());
    }

    /// How many rows a question of the database finds.
    fn count(&self, sql: &str) -> i64 {
        let database = rusqlite::Connection::open(self.house.path("grantor.db")).unwrap();
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The acts of the log, with who did them, the newest first.
    fn acts(&self) -> Vec<(String, String)> {
        let shown = self.house.json(&["activity"]);
        let entries = shown["entries"].as_array().unwrap();
        let pair = |entry: &Value| (text(entry, "act").to_owned(), text(entry, "actor").to_owned());
        entries.iter().map(pair).collect()
    }
}

#[test]
fn u3_an_operator_lists_reads_and_decides_requests_as_a_manager_does() {
    let programme = Programme::new();
    let house = &programme.house;
    let nothing = house.run(&["request", "list"]).done();
    assert!(
        nothing.stdout.trim().is_empty() && nothing.stderr.contains("no request"),
        "{nothing:?}"
    );
    let id = programme.ask();
    let listed = house.json(&["request", "list"]);
    assert_eq!(listed["requests"].as_array().unwrap().len(), 1);
    assert_eq!(listed["requests"][0]["state"], "waiting");
    assert_eq!(house.json(&["request", "list", "--partner", "planner ltd"]), listed);
    let people = house.run(&["request", "list"]).done();
    assert!(people.stdout.starts_with("REQUEST ID") && people.stdout.contains(&id), "{people:?}");
    let shown = house.run(&["request", "show", &id]).done().stdout;
    for words in [
        "new   https://planner.example\n",
        "new   orders-api",
        "orders-api: Guests order.",
        "help@planner.example",
        "Guests see the menu.",
        "has shown on staging:",
    ] {
        assert!(shown.contains(words), "{shown} does not say {words}");
    }
    let one = house.json(&["request", "show", &id]);
    assert_eq!(
        one["difference"]["hosts"][0],
        json!({ "value": "https://planner.example", "change": "added" })
    );
    assert_eq!(one["report"]["client_id"], programme.client_id.as_str());

    // A decision needs a note, and one about what was read.
    house.run(&["request", "approve", &id]).refused("--note");
    house.run(&["request", "approve", &id, "--note", "  "]).refused("note: ");
    let before = programme.acts();
    let stale = ["request", "approve", &id, "--note", "Good.", "--seen", "7"];
    house.run(&stale).refused("was changed meanwhile");
    house.run(&["request", "show", "nonsense"]).refused("is no id");
    let unknown = Uuid::from_u128(7).to_string();
    house.run(&["request", "decline", &unknown, "--note", "No."]).refused("there is no request");
    assert_eq!(programme.acts(), before);
    assert_eq!(programme.count("SELECT COUNT(*) FROM outbox WHERE recipient IS NOT NULL"), 0);

    let asked = house.json(&["request", "ask", &id, "--note", "For whom?"]);
    assert_eq!((text(&asked, "state"), text(&asked, "note")), ("asked_back", "For whom?"));
    house.run(&["request", "approve", &id, "--note", "Good."]).refused("was changed meanwhile");
    let decided = house.run(&["request", "list", "--state", "asked_back"]).done();
    assert!(decided.stdout.contains(&id), "{decided:?}");
    house.run(&["request", "list", "--state", "done"]).refused("waiting, asked_back");
}

#[test]
fn u3_an_approval_by_a_command_makes_the_production_app_tells_the_partner_and_is_noted() {
    let programme = Programme::new();
    let house = &programme.house;
    let id = programme.ask();
    let approved = house.json(&["request", "approve", &id, "--note", "Good.", "--seen", "1"]);
    let made = text(&approved, "made_client_id");
    assert!(made.starts_with("devp-production-table-planner-"), "{approved}");
    assert_eq!(text(&approved, "decided_by"), "grantor request");
    let client = house.json(&["client", "show", made]);
    assert_eq!(client["environment"], "production");
    assert_eq!(client["redirect_uris"], json!(["https://planner.example/callback"]));
    assert_eq!(client["scopes"], json!(["orders-api"]));
    // The secret of a new one is made by its partner, who alone sees it.
    assert_eq!(client["secrets"], json!([]));
    assert_eq!(
        programme.acts()[0],
        ("request.approved".into(), "grantor request (operator)".into())
    );
    // Whoever asked, and the contact.
    assert_eq!(programme.count("SELECT COUNT(*) FROM outbox WHERE recipient IS NOT NULL"), 2);
    house.run(&["request", "decline", &id, "--note", "No."]).refused("was changed meanwhile");
    let shown = house.run(&["request", "show", &id]).done().stdout;
    assert!(shown.contains(made) && shown.contains("by grantor request"), "{shown}");
}

#[test]
fn without_a_portal_the_programmes_commands_say_what_is_missing() {
    let house = House::new();
    for command in [&["request", "list"][..], &["report", "x"], &["log", "x"]] {
        let refused = house.run(command).refused("there is no portal in the configuration");
        assert!(refused.stderr.contains("hint: add [portal]"), "{refused:?}");
    }
}

#[test]
fn u3_activity_is_listed_filtered_and_exported_as_lines_that_hold_together() {
    let programme = Programme::new();
    let house = &programme.house;
    let id = programme.client_id.as_str();
    for _ in 0..3 {
        house.json(&["client", "disable", id]);
        house.json(&["client", "enable", id]);
    }
    let names: Vec<String> = programme.acts().into_iter().map(|(act, _)| act).collect();
    assert_eq!(names[..2], ["client.resumed", "client.suspended"]);
    assert_eq!(names[6..], ["client.created", "partner.created"]);
    let of_client = house.json(&["activity", "--client", id]);
    assert_eq!(of_client["entries"].as_array().unwrap().len(), 7);
    let of_partner = house.json(&["activity", "--partner", "Planner Ltd"]);
    assert_eq!(of_partner["entries"].as_array().unwrap().len(), 8);
    let cut = house.run(&["activity", "--limit", "2"]).done();
    assert!(cut.stdout.starts_with("NUMBER") && cut.stdout.lines().count() == 3, "{cut:?}");
    assert!(cut.stderr.contains("There may be more"), "{cut:?}");
    house.run(&["activity", "--client", "nobody"]).refused("there is no client \"nobody\"");
    house.run(&["activity", "--partner", "nobody"]).refused("there is no partner \"nobody\"");
    house.run(&["activity", "--after", "3"]).refused("--export");

    let export = |more: &[&str]| -> Vec<Value> {
        let answer = house.run(&[&["activity", "--export"][..], more].concat()).done();
        assert_eq!(answer.stderr, "");
        answer.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = export(&[]);
    assert_eq!(all.len(), 8);
    for (before, entry) in all.iter().zip(&all[1..]) {
        assert_eq!(entry["previous"], before["hash"]);
    }
    assert_eq!(export(&["--after", "3"]), all[3..]);
    assert_eq!(export(&["--client", id]), all[1..]);
}

/// A server that is ready. It is ended with the test.
struct Serving(Child);

impl Serving {
    fn start(programme: &Programme) -> Serving {
        let mut child = programme.house.start(&["serve", "--json"]);
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains("portal"), "{ready} {:?}", child.try_wait());
        Serving(child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_call_of_a_client_is_found_in_its_log_with_why_it_failed_and_how_it_is_right() {
    let programme = Programme::new();
    let (house, id) = (&programme.house, programme.client_id.as_str());
    let other = text(&house.json(&CREATE_CLIENT), "client_id").to_owned();
    let _serving = Serving::start(&programme);
    let empty = house.run(&["log", id]).done();
    assert!(empty.stderr.contains("There is no call"), "{empty:?}");
    let path = format!(
        "/oauth/authorize?response_type=code&client_id={id}&redirect_uri=https%3A%2F%2Felsewhere.example"
    );
    let mut stream = TcpStream::connect(programme.staging).unwrap();
    let host = format!("localhost:{}", programme.staging.port());
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // Calls are written once a second.
    let mut looks = 0;
    let calls = loop {
        let calls = house.json(&["log", id])["calls"].as_array().unwrap().clone();
        if !calls.is_empty() {
            break calls;
        }
        looks += 1;
        assert!(looks < 100, "the call is not in the log");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(calls.len(), 1, "{calls:?}");
    let call = &calls[0];
    assert_eq!((text(call, "endpoint"), text(call, "outcome")), ("/oauth/authorize", "page"));
    assert!(call["proved"] == false && text(call, "client_id") == id, "{call}");
    let request_id = text(call, "request_id");
    assert!(answer.contains(request_id), "{answer}");
    let people = house.run(&["log", id]).done().stdout;
    assert!(people.starts_with("CALLED") && people.contains(request_id), "{people}");
    for found in [
        house.json(&["log", "--request-id", request_id]),
        house.json(&["log", id, "--request-id", &request_id.to_uppercase()]),
    ] {
        assert_eq!(found["calls"][0]["call"], *call);
        assert!(
            text(&found["calls"][0], "done_right").contains("https://mycompany.com"),
            "{found}"
        );
    }
    let lines = house.run(&["log", "--request-id", request_id]).done().stdout;
    assert!(lines.contains("redirect_uri (in the URL): https://elsewhere.example"), "{lines}");
    assert!(lines.contains("anybody may have sent it"), "{lines}");
    let elsewhere = ["log", &other, "--request-id", request_id];
    house.run(&elsewhere).refused("is in the log");
    house.run(&["log", "--request-id", "0123"]).refused("no call of \"0123\" is in the log");
    house.run(&["log"]).refused("CLIENT_ID");
    house.run(&["log", "nobody"]).refused("there is no client \"nobody\"");

    let report = house.json(&["report", id]);
    assert_eq!(text(&report, "client_id"), id);
    let states: BTreeSet<&str> =
        report["lines"].as_array().unwrap().iter().map(|line| text(line, "state")).collect();
    assert!(states.contains("open") && states.contains("red"), "{report}");
    let people = house.run(&["report", id]).done().stdout;
    assert!(
        people.starts_with("STATE") && people.contains("broken, perhaps by others"),
        "{people}"
    );
    house.run(&["report", "nobody"]).refused("there is no client \"nobody\"");
}

#[test]
fn an_operator_sets_up_a_webhook_for_a_partner_and_the_log_says_whose_it_is() {
    let programme = Programme::new();
    let house = &programme.house;
    let of = ["--partner", "Planner Ltd", "--environment", "staging"];
    let webhook = |words: &[&str]| -> Answer {
        house.run(&[&["webhook"][..], words, &of, &["--json"]].concat())
    };
    let people = |words: &[&str]| house.run(&[&["webhook"][..], words, &of].concat()).done();
    assert!(people(&["list"]).stderr.contains("There is no webhook yet"));
    let url = "https://hooks.planner.example/grantor";
    let before = programme.acts();
    let add = |url: &'static str, event: &'static str| ["add", "--url", url, "--event", event];
    webhook(&add("http://10.0.0.1/x", "ping")).refused("url: ");
    webhook(&add(url, "nonsense")).refused("the events are grant.revoked");
    let foreign = [&add(url, "ping")[..], &["--client", "nobody"]].concat();
    webhook(&foreign).refused("client_id: ");
    assert_eq!(programme.acts(), before);
    let added = webhook(&add(url, "ping")).json();
    let (secret, id) = (text(&added, "secret"), text(&added["webhook"], "id").to_owned());
    assert!(secret.starts_with("whsec_"), "{added}");
    let id = id.as_str();
    assert_eq!(webhook(&["list"]).json()["webhooks"][0], added["webhook"]);
    assert_eq!(webhook(&["show", id]).json(), added["webhook"]);
    assert!(people(&["show", id]).stdout.contains(url));

    assert_eq!(webhook(&["test", id]).json(), json!({ "id": id, "sent": true }));
    let sent = webhook(&["deliveries", id]).json();
    assert_eq!(
        (text(&sent["deliveries"][0], "event"), text(&sent["deliveries"][0], "state")),
        ("ping", "waiting")
    );
    assert!(people(&["deliveries", id]).stdout.starts_with("DELIVERY ID"));
    let delivery = text(&sent["deliveries"][0], "id");
    webhook(&["redeliver", id, delivery]).refused("under way already");
    let unknown = Uuid::from_u128(7).to_string();
    webhook(&["redeliver", id, &unknown]).refused("there is no delivery");

    let changed = webhook(&["change", id, "--event", "grant.revoked", "--enabled", "false"]).json();
    assert_eq!(changed["events"], json!(["grant.revoked"]));
    assert_eq!((&changed["enabled"], text(&changed, "url")), (&json!(false), url));
    webhook(&["test", id]).refused("does not want tests");
    webhook(&["remove-secret", id, "--slot", "1"]).refused("The only secret stays");
    webhook(&["remove-secret", id, "--slot", "2"]).refused("has no secret in slot 2");
    let second = webhook(&["add-secret", id]).json();
    let held = second["webhook"]["secrets"].as_array().unwrap();
    assert_eq!(held.iter().map(|secret| &secret["slot"]).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(webhook(&["remove-secret", id, "--slot", "1"]).json()["secrets"], json!([held[1]]));
    // Of another partner it is not there.
    house.json(&["partner", "create", "--name", "Another Ltd"]);
    let foreign = ["webhook", "show", id, "--partner", "Another Ltd", "--environment", "staging"];
    house.run(&foreign).refused("there is no webhook");
    assert_eq!(webhook(&["remove", id]).json(), json!({ "id": id, "removed": true }));
    webhook(&["remove", id]).refused("there is no webhook");

    let of_partner = house.json(&["activity", "--partner", "Planner Ltd"]);
    let entries = of_partner["entries"].as_array().unwrap();
    let by: Vec<&Value> =
        entries.iter().filter(|entry| text(entry, "act").starts_with("webhook.")).collect();
    let names: Vec<&str> = by.iter().rev().map(|entry| text(entry, "act")).collect();
    let expected = [
        "webhook.added",
        "webhook.tried",
        "webhook.changed",
        "webhook.secret_added",
        "webhook.secret_removed",
        "webhook.removed",
    ];
    assert_eq!(names, expected);
    assert!(by.iter().all(|entry| text(entry, "actor") == "grantor webhook (operator)"), "{by:?}");
    assert!(!of_partner.to_string().contains(secret), "{of_partner}");
}

#[test]
fn an_operator_helps_the_team_of_a_partner_which_is_never_without_an_owner() {
    let programme = Programme::new();
    let house = &programme.house;
    let team = |words: &[&str]| house.run(&[&["partner", "team"][..], words, &["--json"]].concat());
    let partner = "Planner Ltd";
    let email = |email: &'static str| ["--email", email];
    let with = |action: &'static str, more: &[&'static str]| {
        team(&[&[action, partner][..], more].concat())
    };
    assert!(house.run(&["partner", "team", "list", partner]).done().stderr.contains("Nobody"));
    let partner_id = programme.partner_id.into_bytes();
    programme.person("dana@planner.example", Role::Owner { partner_id });
    programme.person("robin@planner.example", Role::Developer { partner_id });
    programme.person("morgan@company.example", Role::Manager);
    let dana = email("dana@planner.example");
    let robin = email("robin@planner.example");
    with("remove", &dana).refused("The last owner stays");
    with("set-role", &[&dana[..], &["--role", "developer"]].concat()).refused("last owner stays");
    with("remove", &email("morgan@company.example")).refused("does not belong to this partner");
    with("set-role", &[&robin[..], &["--role", "manager"]].concat()).refused("possible values");
    let raised = with("set-role", &[&robin[..], &["--role", "owner"]].concat()).json();
    assert_eq!((text(&raised, "email"), text(&raised, "role")), ("robin@planner.example", "owner"));
    assert_eq!(
        with("remove", &dana).json(),
        json!({ "email": "dana@planner.example", "removed": true })
    );

    let sam = email("sam@planner.example");
    let invited = with("invite", &[&sam[..], &["--role", "developer"]].concat()).json();
    assert_eq!(
        (text(&invited, "role"), text(&invited, "invited_by")),
        ("developer", "grantor partner team")
    );
    assert_eq!(programme.count("SELECT COUNT(*) FROM outbox WHERE recipient IS NOT NULL"), 1);
    with("invite", &[&sam[..], &["--role", "owner"]].concat()).refused("invited already");
    let listed = with("list", &[]).json();
    assert_eq!(listed["people"].as_array().unwrap().len(), 1);
    assert_eq!(listed["invitations"][0], invited);
    let people = house.run(&["partner", "team", "list", partner]).done().stdout;
    assert!(
        people.contains("robin@planner.example") && people.contains("invited as developer"),
        "{people}"
    );
    assert_eq!(with("withdraw", &sam).json()["removed"], true);
    with("withdraw", &sam).refused("is not invited there");

    let of_partner = house.json(&["activity", "--partner", partner]);
    let entries = of_partner["entries"].as_array().unwrap();
    let by =
        entries.iter().filter(|entry| text(entry, "actor") == "grantor partner team (operator)");
    let names: Vec<&str> = by.map(|entry| text(entry, "act")).collect();
    assert_eq!(names, ["invitation.withdrawn", "person.invited", "person.removed", "person.role"]);
}

#[test]
fn an_operator_makes_hard_cases_happen_on_staging_and_nowhere_else() {
    let programme = Programme::new();
    let (house, id) = (&programme.house, programme.client_id.as_str());
    assert!(house.run(&["trial", "list", id]).done().stderr.contains("None was made"));
    let begun = house.json(&["trial", "begin", id, "deny_consent"]);
    assert_eq!(
        (text(&begun["items"][0], "trial"), &begun["items"][0]["happened_at"]),
        ("deny_consent", &json!(null))
    );
    assert_eq!(house.json(&["trial", "list", id]), begun);
    let people = house.run(&["trial", "list", id]).done().stdout;
    assert!(people.starts_with("TRIAL") && people.contains("never"), "{people}");
    house.run(&["trial", "begin", id, "end_grant"]).refused("no connection that still lives");
    house.run(&["trial", "begin", id, "nonsense"]).refused("lose_response, deny_consent");
    let mut production = CREATE_CLIENT;
    production[3] = "production";
    let production = text(&house.json(&production), "client_id").to_owned();
    for words in
        [&["trial", "begin", &production, "deny_consent"][..], &["trial", "list", &production]]
    {
        house.run(words).refused("of staging alone");
    }
    let newest = house.json(&["activity", "--client", id, "--limit", "1"])["entries"][0].clone();
    assert_eq!(text(&newest, "act"), "trial.begun");
    assert_eq!(text(&newest, "actor"), "grantor trial (operator)");
    assert_eq!(text(&newest, "detail"), "deny_consent");
    assert_eq!(
        house.json(&["activity", "--client", &production])["entries"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn u2_an_operator_changes_what_a_partner_says_of_its_client_and_asks_for_more_on_production() {
    let programme = Programme::new();
    let (house, id) = (&programme.house, programme.client_id.as_str());
    let uri = "https://planner.example/callback";
    let change = ["client", "change", id, "--name", "Tables", "--redirect-uri", uri];
    let changed = house.json(&change);
    assert_eq!(text(&changed, "name"), "Tables");
    assert_eq!(changed["redirect_uris"], json!([uri]));
    assert_eq!(changed["scopes"], json!(["financial-api", "orders-api"]));
    // Nothing new is no act.
    assert_eq!(house.json(&change), changed);
    let http = ["client", "change", id, "--redirect-uri", "http://planner.example/"];
    house.run(&http).refused("redirect_uris: ");
    house.run(&["client", "change", id, "--scope", "nonsense api"]).refused("scopes: ");
    house.run(&["client", "change", "nobody"]).refused("there is no client \"nobody\"");
    let acts = house.json(&["activity", "--client", id]);
    assert_eq!(acts["entries"].as_array().unwrap().len(), 2);
    let newest = &acts["entries"][0];
    assert_eq!(text(newest, "act"), "client.changed");
    assert_eq!(text(newest, "actor"), "grantor client (operator)");
    assert!(text(newest, "detail").contains("name: Table Planner → Tables"), "{newest}");

    let mut production = CREATE_CLIENT;
    production[3] = "production";
    let production = text(&house.json(&production), "client_id").to_owned();
    let elsewhere = ["client", "change", &production, "--redirect-uri", uri];
    house.run(&elsewhere).refused("decides about a new host");
    let less = house.json(&["client", "change", &production, "--scope", "orders-api"]);
    assert_eq!(less["scopes"], json!(["orders-api"]));
    let more = ["client", "change", &production, "--scope", "orders-api", "--scope", "items"];
    house.run(&more).refused("decides about more scopes");
    assert_eq!(house.json(&["client", "show", &production]), less);
}

#[test]
fn an_operator_makes_test_customers_for_a_partner_and_no_password_is_noted() {
    let programme = Programme::new();
    let house = &programme.house;
    let of = ["--partner", "Planner Ltd"];
    let test_customer =
        |words: &[&str]| house.run(&[&["test-customer"][..], words, &of, &["--json"]].concat());
    let none = house.run(&[&["test-customer", "list"][..], &of].concat()).done();
    assert!(none.stderr.contains("There is no test customer yet"), "{none:?}");
    let made = test_customer(&["make"]).json();
    let shown = &made["test_customer"];
    let (id, email) = (text(shown, "id"), text(shown, "email"));
    assert!(email.ends_with("@planner-ltd.test"), "{made}");
    assert_eq!(test_customer(&["list"]).json()["test_customers"], json!([shown]));
    let people = house.run(&[&["test-customer", "list"][..], &of].concat()).done().stdout;
    assert!(people.starts_with("ID") && people.contains(email), "{people}");
    let staging = ["customer", "show", "--environment", "staging", "--email", email];
    assert_eq!(house.json(&staging)["businesses"].as_array().unwrap().len(), 2);
    let drawn = test_customer(&["password", id]).json();
    assert_ne!(drawn["password"], made["password"]);
    house.json(&["partner", "create", "--name", "Another Ltd"]);
    let foreign = ["test-customer", "remove", id, "--partner", "Another Ltd"];
    house.run(&foreign).refused("there is no test customer");
    assert_eq!(test_customer(&["remove", id]).json(), json!({ "id": id, "removed": true }));
    test_customer(&["password", id]).refused("there is no test customer");
    let log = house.json(&["activity", "--partner", "Planner Ltd"]);
    let entries = log["entries"].as_array().unwrap();
    let by = entries.iter().filter(|entry| text(entry, "actor").starts_with("grantor test-"));
    let names: Vec<&str> = by.map(|entry| text(entry, "act")).collect();
    let expected = ["test_customer.removed", "test_customer.password_drawn", "test_customer.made"];
    assert_eq!(names, expected);
    for password in [text(&made, "password"), text(&drawn, "password")] {
        assert!(!log.to_string().contains(password), "{log}");
    }
}

/// A guide that names an option that is none would send its reader away.
#[test]
fn each_command_of_the_guide_is_taken_as_it_stands() {
    let programme = Programme::new();
    let house = &programme.house;
    house.json(&["partner", "create", "--name", "My Company Ltd"]);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/guides/portal-commands.md")).unwrap();
    let example = "devp-staging-table-planner-0f8d3c1b5e7a49d28c6b1f0e9d7a3c52";
    let page = page.replace("\\\n", "").replace(example, &programme.client_id);
    let commands: Vec<&str> = page.lines().filter(|line| line.starts_with("grantor ")).collect();
    assert!(commands.len() > 15, "{commands:?}");
    for command in commands {
        let answer = house.shell(command);
        assert!(!answer.stderr.contains("Usage:"), "{command}: {answer:?}");
        // Its ids are examples, and there is no such thing here.
        assert!(answer.code < 2, "{command}: {answer:?}");
    }
}

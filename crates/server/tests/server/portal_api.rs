//! The JSON API of the portal: what its operations do, on either engine.

use grantor::store::{COMPANY_ID, Role};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Server, TestClient};
use crate::people::{PARTNER_ID, tampered};

fn new_app(name: &str) -> Value {
    json!({
        "name": name,
        "redirect_uris": ["https://planner.example/callback"],
        "scopes": ["orders-api", "financial-api"],
    })
}

async fn u1_an_app_is_made_read_changed_and_suspended_and_each_act_is_in_the_audit_log(
    server: Server,
) {
    let token = server.api_token(PARTNER_ID).await;
    let company = server.api_token(COMPANY_ID).await;
    let made = server.call(&token, "POST", "/api/v1/apps", Some(&new_app("Planner"))).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["app"]["id"].as_str().unwrap().to_owned();
    let place = format!("/api/v1/apps/{id}");
    assert_eq!(made.headers["location"], format!("{}{place}", server.portal.base_url));
    assert_eq!(made.body["app"]["state"], "works");
    assert_eq!(made.body["app"]["partner_id"], json!(Uuid::from_bytes(PARTNER_ID).to_string()));
    assert!(!server.database_holds(made.text("client_secret")), "only its digest is kept");

    // It works the moment it is made: the token endpoint knows its secret.
    let app = TestClient {
        id: id.clone(),
        secret: made.text("client_secret").to_owned(),
        redirect_uri: "https://planner.example/callback".to_owned(),
    };
    let code = server.code(&app, "").await;
    let tokens = server.exchange(&app, &code).await;
    assert_eq!(tokens.status, 200, "{tokens:?}");

    let version = made.body["app"]["version"].clone();
    let change = json!({
        "version": version, "name": "Planner Plus", "website": "https://planner.example",
    });
    let changed = server.call(&token, "PATCH", &place, Some(&change)).await;
    assert_eq!((changed.status, changed.text("name")), (200, "Planner Plus"), "{changed:?}");
    assert_eq!(changed.body["redirect_uris"], json!(["https://planner.example/callback"]));
    assert_eq!(server.call(&token, "GET", &place, None).await.body, changed.body);
    let clear = json!({ "version": changed.body["version"], "website": "" });
    let cleared = server.call(&token, "PATCH", &place, Some(&clear)).await;
    assert_eq!(cleared.body["website"], Value::Null);

    // Two secrets, never a third, never none.
    let secrets = format!("{place}/secrets");
    let second = server.call(&token, "POST", &secrets, None).await;
    assert_eq!(second.body["app"]["secrets"].as_array().unwrap().len(), 2, "{second:?}");
    let third = server.call(&token, "POST", &secrets, None).await;
    assert_eq!((third.status, third.text("error")), (409, "conflict"));
    let removed = server.call(&token, "DELETE", &format!("{secrets}/1"), None).await;
    assert_eq!(removed.body["secrets"][0]["slot"], 2, "{removed:?}");
    let last = server.call(&token, "DELETE", &format!("{secrets}/2"), None).await;
    assert_eq!((last.status, last.text("error")), (409, "conflict"));
    assert_eq!(server.call(&token, "DELETE", &format!("{secrets}/3"), None).await.status, 404);

    // The company suspends it: its connection ends at once.
    let suspended = server.call(&company, "POST", &format!("{place}/suspend"), None).await;
    assert_eq!(suspended.text("state"), "suspended", "{suspended:?}");
    let api = server.api("/f/data/businesses", tokens.text("access_token")).await;
    assert_eq!(api.status, 401, "{api:?}");
    let again = server.call(&company, "POST", &format!("{place}/suspend"), None).await;
    assert_eq!(again.status, 409, "{again:?}");
    let resumed = server.call(&company, "POST", &format!("{place}/resume"), None).await;
    assert_eq!(resumed.text("state"), "works", "{resumed:?}");

    let log = server.call(&token, "GET", &format!("/api/v1/audit?client_id={id}"), None).await;
    let items = log.body["items"].as_array().unwrap();
    let acts: Vec<&str> = items.iter().map(|entry| entry["act"].as_str().unwrap()).collect();
    let expected = [
        "client.resumed",
        "client.suspended",
        "secret.removed",
        "secret.added",
        "client.changed",
        "client.changed",
        "client.created",
    ];
    assert_eq!(acts, expected);
    let actor = items[6]["actor"].as_str().unwrap();
    assert!(actor.starts_with("API client devp-portal-test-") && actor.ends_with("(owner)"));
    assert_eq!(server.portal.store.audit_fault().await.unwrap().0, None);
}

async fn s24_nothing_that_is_not_the_callers_to_set_can_be_set(server: Server) {
    let token = server.api_token(PARTNER_ID).await;
    let app = server.app(PARTNER_ID, 1).await;
    let place = format!("/api/v1/apps/{app}");
    let before = server.call(&token, "GET", &place, None).await.body;
    let clients = server.count("clients");
    for (field, value) in [
        ("id", json!("devp-staging-mine")),
        ("partner_id", json!(Uuid::from_bytes([7; 16]).to_string())),
        ("partner", json!("somebody")),
        ("approved", json!(true)),
        ("environment", json!("production")),
        ("counter", json!(0)),
        ("disabled", json!(false)),
        ("state", json!("works")),
        ("secrets", json!([])),
        ("client_secret", json!("mine")),
        ("sibling", json!("x")),
        ("demo", json!(true)),
        ("optional_scopes", json!(["orders-api"])),
    ] {
        let mut new = new_app("Mass");
        new[field] = value.clone();
        let made = server.call(&token, "POST", "/api/v1/apps", Some(&new)).await;
        assert_eq!((made.status, made.text("error")), (400, "json"), "{field}: {made:?}");
        assert!(made.text("message").contains(field), "{made:?}");
        let change = json!({ "version": before["version"], field: value });
        let changed = server.call(&token, "PATCH", &place, Some(&change)).await;
        assert_eq!((changed.status, changed.text("error")), (400, "json"), "{field}");
    }
    let kind = json!({ "version": before["version"], "kind": "public" });
    let kind = server.call(&token, "PATCH", &place, Some(&kind)).await;
    assert_eq!(kind.status, 400, "what it is made as it stays");
    assert_eq!(server.count("clients"), clients);
    assert_eq!(server.call(&token, "GET", &place, None).await.body, before);
}

async fn a_list_comes_in_parts_and_a_cursor_is_good_for_its_own_list_and_caller_alone(
    server: Server,
) {
    let another = server.another_partner().await;
    let (token, other) = (server.api_token(PARTNER_ID).await, server.api_token(another).await);
    let company = server.api_token(COMPANY_ID).await;
    for _ in 0..3 {
        server.app(another, 1).await;
        server.app(PARTNER_ID, 1).await;
    }
    let list = "/api/v1/apps?environment=staging&limit=2";
    let (mut seen, mut next) = (Vec::new(), list.to_owned());
    loop {
        let part = server.call(&other, "GET", &next, None).await;
        assert_eq!(part.status, 200, "{part:?}");
        let items = part.body["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        for item in items {
            assert_eq!(item["partner_id"], json!(Uuid::from_bytes(another).to_string()));
            seen.push(item["id"].as_str().unwrap().to_owned());
        }
        match part.body["next_cursor"].as_str() {
            Some(cursor) => next = format!("{list}&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen.is_sorted());

    let first = server.call(&token, "GET", list, None).await;
    let cursor = first.text("next_cursor").to_owned();
    let changed = tampered(&cursor);
    let with = |path: &str, cursor: &str| format!("{path}cursor={cursor}");
    for (by, path) in [
        (&token, with("/api/v1/apps?environment=staging&", &changed)),
        (&token, with("/api/v1/apps?environment=staging&", "gr_cursor_x")),
        (&token, with("/api/v1/apps?environment=staging&", &seen[0])),
        // Another list, another environment, another caller.
        (&token, with("/api/v1/audit?", &cursor)),
        (&token, with("/api/v1/apps?environment=production&", &cursor)),
        (&other, with("/api/v1/apps?environment=staging&", &cursor)),
        (&company, with("/api/v1/apps?environment=staging&", &cursor)),
    ] {
        let refused = server.call(by, "GET", &path, None).await;
        assert_eq!((refused.status, refused.text("error")), (400, "cursor"), "{path}: {refused:?}");
    }
    let everybody = server.call(&company, "GET", "/api/v1/apps?environment=staging", None).await;
    assert_eq!(everybody.body["items"].as_array().unwrap().len(), 7, "with the demo's");
}

async fn the_audit_log_is_exported_as_lines_that_hold_together_and_a_partner_sees_its_own(
    server: Server,
) {
    let another = server.another_partner().await;
    let (token, other) = (server.api_token(PARTNER_ID).await, server.api_token(another).await);
    let company = server.api_token(COMPANY_ID).await;
    for name in ["One", "Two"] {
        server.call(&token, "POST", "/api/v1/apps", Some(&new_app(name))).await;
        server.call(&other, "POST", "/api/v1/apps", Some(&new_app(name))).await;
    }
    let export = async |token: &str, query: &str| {
        let path = format!("/api/v1/audit/export{query}");
        let answer = server.call(token, "GET", &path, None).await;
        assert_eq!(answer.headers["content-type"], "application/jsonl");
        // One line alone reads as JSON, several as text.
        let text = match answer.body {
            Value::String(text) => text,
            one => one.to_string(),
        };
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let all = export(&company, "").await;
    assert!(all.len() >= 7, "{all:?}");
    for (before, entry) in all.iter().zip(&all[1..]) {
        assert_eq!(entry["previous"], before["hash"]);
    }
    let own = export(&other, "").await;
    let of_other = json!(Uuid::from_bytes(another).to_string());
    assert!(own.iter().all(|entry| entry["partner_id"] == of_other), "{own:?}");
    assert_eq!(own.len(), 2);
    let after = own[0]["number"].as_str().unwrap();
    assert_eq!(export(&other, &format!("?after={after}")).await, own[1..]);
    // The page exports the same lines.
    let owner = Role::Owner { partner_id: another };
    let browser = server.signed_in("owner@another.example", owner).await;
    let page = browser.get(&format!("{}/activity.jsonl", server.portal.base_url)).await;
    assert_eq!(page.header("content-type"), "application/jsonl");
    assert_eq!(page.header("content-disposition"), "attachment; filename=\"activity.jsonl\"");
    let lines = page.text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert_eq!(lines.collect::<Vec<_>>(), export(&other, "").await);
    // Of an app of another partner nothing is said.
    let foreign = own[0]["client_id"].as_str().unwrap();
    let path = format!("/api/v1/audit?client_id={foreign}");
    assert_eq!(server.call(&token, "GET", &path, None).await.status, 404);
}

impl Server {
    /// Whether a text stands anywhere among the clients and in the audit log.
    fn database_holds(&self, text: &str) -> bool {
        let columns = ["clients WHERE secret_1_hint", "audit WHERE detail"];
        let is_in =
            |place: &&str| self.number(&format!("SELECT COUNT(*) FROM {place} LIKE '%{text}%'"));
        columns.iter().any(|place| is_in(place) > 0)
    }
}

on_both_engines! {
    u1_an_app_is_made_read_changed_and_suspended_and_each_act_is_in_the_audit_log,
    s24_nothing_that_is_not_the_callers_to_set_can_be_set,
    a_list_comes_in_parts_and_a_cursor_is_good_for_its_own_list_and_caller_alone,
    the_audit_log_is_exported_as_lines_that_hold_together_and_a_partner_sees_its_own,
}

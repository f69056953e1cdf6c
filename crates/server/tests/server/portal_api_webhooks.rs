//! Webhooks and their deliveries by the portal's API.

use grantor::store::COMPANY_ID;
use grantor::webhook::EventType;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Server};
use crate::people::{PARTNER_ID, tampered};

const WEBHOOKS: &str = "/api/v1/webhooks?environment=staging";
const URL: &str = "https://hooks.planner.example/grantor";

fn new_webhook() -> Value {
    json!({ "environment": "staging", "url": URL, "events": ["ping", "grant.revoked"] })
}

/// Adds one, and answers with its path, its secret and itself.
async fn added(server: &Server, token: &str) -> (String, String, Answer) {
    let made = server.call(token, "POST", "/api/v1/webhooks", Some(&new_webhook())).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["webhook"]["id"].as_str().unwrap();
    let place = format!("/api/v1/webhooks/staging/{id}");
    assert_eq!(made.headers["location"], format!("{}{place}", server.portal.base_url));
    (place, made.text("secret").to_owned(), made)
}

/// What the log says, the oldest first.
async fn acts(server: &Server, token: &str) -> Vec<String> {
    let log = server.call(token, "GET", "/api/v1/audit", None).await;
    let items = log.body["items"].as_array().unwrap();
    items.iter().rev().map(|entry| entry["act"].as_str().unwrap().to_owned()).collect()
}

async fn a_webhook_is_added_changed_and_removed_and_its_secrets_are_shown_once(server: Server) {
    let another = server.another_partner().await;
    let token = server.api_token(another).await;
    let (place, secret, made) = added(&server, &token).await;
    assert!(secret.starts_with("whsec_"), "{made:?}");
    let webhook = &made.body["webhook"];
    let hint = |secret: &str| secret[secret.len() - 5..].to_owned();
    let held = json!([{ "slot": 1, "hint": hint(&secret) }]);
    assert_eq!((&webhook["enabled"], &webhook["secrets"]), (&json!(true), &held));
    let read = server.call(&token, "GET", &place, None).await;
    assert_eq!(&read.body, webhook);
    let listed = server.call(&token, "GET", WEBHOOKS, None).await;
    assert_eq!(listed.body["items"], json!([webhook]));
    let elsewhere = "/api/v1/webhooks?environment=production";
    assert_eq!(server.call(&token, "GET", elsewhere, None).await.body["items"], json!([]));

    let change = json!({ "version": webhook["version"], "enabled": false, "events": ["ping"] });
    let changed = server.call(&token, "PATCH", &place, Some(&change)).await;
    // Whoever read it before that is told so.
    let late = server.call(&token, "PATCH", &place, Some(&change)).await;
    assert_eq!((late.status, late.text("error")), (409, "conflict"));
    assert_eq!((&changed.body["enabled"], changed.text("url")), (&json!(false), URL));
    assert_eq!(changed.body["events"], json!(["ping"]));

    let secrets = format!("{place}/secrets");
    let second = server.call(&token, "POST", &secrets, None).await;
    let other = json!({ "slot": 2, "hint": hint(second.text("secret")) });
    let both = json!([held[0], other]);
    assert_eq!((second.status, &second.body["webhook"]["secrets"]), (201, &both));
    assert_ne!(second.text("secret"), secret);
    let third = server.call(&token, "POST", &secrets, None).await;
    assert_eq!((third.status, third.text("error")), (409, "conflict"));
    let removed = server.call(&token, "DELETE", &format!("{secrets}/1"), None).await;
    assert_eq!(removed.body["secrets"], json!([other]), "{removed:?}");
    let last = server.call(&token, "DELETE", &format!("{secrets}/2"), None).await;
    assert_eq!((last.status, last.text("error")), (409, "conflict"));
    for slot in ["0", "1", "3", "255", "-1", "x"] {
        let gone = server.call(&token, "DELETE", &format!("{secrets}/{slot}"), None).await;
        assert_eq!(gone.status, 404, "{slot}");
    }
    // No answer but the one that makes it holds a secret.
    for answer in [&read, &listed, &changed, &removed] {
        assert!(!answer.body.to_string().contains("whsec_"), "{answer:?}");
    }
    let gone = server.call(&token, "DELETE", &place, None).await;
    assert_eq!((gone.status, gone.headers.get("content-type")), (204, None));
    assert_eq!(server.call(&token, "GET", &place, None).await.status, 404);
    assert_eq!(server.call(&token, "DELETE", &place, None).await.status, 404);
    let expected = [
        "webhook.added",
        "webhook.changed",
        "webhook.secret_added",
        "webhook.secret_removed",
        "webhook.removed",
    ];
    assert_eq!(acts(&server, &token).await, expected);
}

async fn what_was_sent_is_listed_shown_and_sent_again(server: Server) {
    let token = server.api_token(PARTNER_ID).await;
    let (place, _, _) = added(&server, &token).await;
    let deliveries = format!("{place}/deliveries");
    for _ in 0..3 {
        let ping = server.call(&token, "POST", &format!("{place}/ping"), None).await;
        assert_eq!(ping.status, 204, "{ping:?}");
    }
    let first = server.call(&token, "GET", &format!("{deliveries}?limit=2"), None).await;
    let items = first.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{first:?}");
    assert!(items[0]["id"].as_str() > items[1]["id"].as_str(), "the newest first");
    let cursor = first.text("next_cursor");
    let next = format!("{deliveries}?cursor={cursor}");
    let rest = server.call(&token, "GET", &next, None).await;
    assert_eq!(rest.body["items"].as_array().unwrap().len(), 1, "{rest:?}");

    let one = format!("{deliveries}/{}", items[0]["id"].as_str().unwrap());
    let shown = server.call(&token, "GET", &one, None).await;
    assert_eq!(shown.body, items[0]);
    assert_eq!((shown.text("state"), shown.text("event")), ("waiting", "ping"));
    let posted: Value = serde_json::from_str(shown.text("body")).unwrap();
    assert_eq!(posted["type"], "ping");
    // What is under way is not sent twice; what was given up is, with the same id.
    let again = format!("{one}/again");
    let under_way = server.call(&token, "POST", &again, None).await;
    assert_eq!((under_way.status, under_way.text("error")), (409, "conflict"));
    server.execute("UPDATE outbox SET next_try_at = NULL, gave_up_at = 1, attempts = 9");
    assert_eq!(server.call(&token, "GET", &one, None).await.text("state"), "gave_up");
    let sent = server.call(&token, "POST", &again, None).await;
    assert_eq!((sent.text("state"), &sent.body["attempts"]), ("waiting", &json!(0)), "{sent:?}");
    assert_eq!(sent.text("webhook_id"), shown.text("webhook_id"));
    let noted = acts(&server, &token).await;
    assert!(noted.contains(&"webhook.tried".to_owned()), "{noted:?}");
    assert_eq!(noted.iter().filter(|act| *act == "webhook.redelivered").count(), 1, "{noted:?}");

    // A cursor is good for its own list alone. A test went to the one that it was asked of, though
    // another wants tests, too.
    let (other, _, _) = added(&server, &token).await;
    let ping = server.call(&token, "POST", &format!("{place}/ping"), None).await;
    assert_eq!(ping.status, 204, "{ping:?}");
    let none = server.call(&token, "GET", &format!("{other}/deliveries"), None).await;
    assert_eq!(none.body["items"], json!([]));
    for path in [
        format!("{other}/deliveries?cursor={cursor}"),
        format!("{deliveries}?cursor={}", tampered(cursor)),
        format!("{WEBHOOKS}&cursor={cursor}"),
    ] {
        let refused = server.call(&token, "GET", &path, None).await;
        assert_eq!((refused.status, refused.text("error")), (400, "cursor"), "{path}");
    }
    for missing in ["x".to_owned(), Uuid::nil().to_string()] {
        let path = format!("{deliveries}/{missing}");
        assert_eq!(server.call(&token, "GET", &path, None).await.status, 404);
        assert_eq!(server.call(&token, "POST", &format!("{path}/again"), None).await.status, 404);
    }
    let path = format!("{other}/deliveries/{}", items[0]["id"].as_str().unwrap());
    assert_eq!(server.call(&token, "GET", &path, None).await.status, 404, "of another webhook");
}

async fn s24_a_webhook_is_its_partners_alone_and_of_one_environment(server: Server) {
    let another = server.another_partner().await;
    let (token, other) = (server.api_token(PARTNER_ID).await, server.api_token(another).await);
    let company = server.api_token(COMPANY_ID).await;
    let (place, _, _) = added(&server, &token).await;
    let ping = format!("{place}/ping");
    assert_eq!(server.call(&token, "POST", &ping, None).await.status, 204);
    let sent = server.call(&token, "GET", &format!("{place}/deliveries"), None).await;
    let delivery = format!("{place}/deliveries/{}", sent.body["items"][0]["id"].as_str().unwrap());
    let before = server.call(&token, "GET", &place, None).await.body;
    let entries = server.count("audit");
    let off = json!({ "version": before["version"], "enabled": false });
    for (method, path, body) in [
        ("GET", place.clone(), None),
        ("PATCH", place.clone(), Some(&off)),
        ("DELETE", place.clone(), None),
        ("POST", format!("{place}/secrets"), None),
        ("DELETE", format!("{place}/secrets/1"), None),
        ("POST", ping, None),
        ("GET", format!("{place}/deliveries"), None),
        ("GET", delivery.clone(), None),
        ("POST", format!("{delivery}/again"), None),
    ] {
        let refused = server.call(&other, method, &path, body).await;
        assert_eq!((refused.status, refused.text("error")), (404, "not_found"), "{method} {path}");
        // Nor is it there in the other environment.
        let elsewhere = path.replace("/staging/", "/production/");
        assert_eq!(server.call(&token, method, &elsewhere, body).await.status, 404, "{elsewhere}");
        let nowhere = path.replace("/staging/", "/portal/");
        assert_eq!(server.call(&token, method, &nowhere, body).await.status, 404, "{nowhere}");
    }
    assert_eq!(server.call(&company, "GET", WEBHOOKS, None).await.status, 403);
    assert_eq!(server.call(&token, "GET", &place, None).await.body, before);
    assert_eq!(server.count("audit"), entries);
}

async fn s24_a_webhook_takes_what_is_the_callers_to_set_and_says_what_is_wrong(server: Server) {
    let another = server.another_partner().await;
    let (token, other) = (server.api_token(PARTNER_ID).await, server.api_token(another).await);
    let app = server.app(PARTNER_ID, 1).await;
    let (place, _, made) = added(&server, &token).await;
    let version = &made.body["webhook"]["version"];
    let entries = server.count("audit");
    for (field, value) in [
        ("id", json!(Uuid::nil().to_string())),
        ("partner_id", json!(Uuid::nil().to_string())),
        ("secret", json!("whsec_chosen")),
        ("secrets", json!([])),
        ("failures", json!(0)),
        ("fault", Value::Null),
    ] {
        let mut new = new_webhook();
        new[field] = value.clone();
        for (method, path, body) in [
            ("POST", "/api/v1/webhooks", &new),
            ("PATCH", &place, &json!({ "version": version, field: value })),
        ] {
            let refused = server.call(&token, method, path, Some(body)).await;
            assert_eq!((refused.status, refused.text("error")), (400, "json"), "{method} {field}");
        }
    }
    let change = json!({ "version": version, "environment": "production" });
    assert_eq!(server.call(&token, "PATCH", &place, Some(&change)).await.status, 400);
    // What cannot be taken is said by its field.
    for (field, value) in [
        ("url", json!("ftp://hooks.example")),
        ("url", json!("https://user:word@hooks.example")),
        ("events", json!([])),
        ("events", json!(["ping", "everything"])),
        ("client_id", json!("devp-staging-nobodys")),
    ] {
        let mut new = new_webhook();
        new[field] = value.clone();
        for (method, path, body) in [
            ("POST", "/api/v1/webhooks", &new),
            ("PATCH", &place, &json!({ "version": version, field: value })),
        ] {
            let refused = server.call(&token, method, path, Some(body)).await;
            assert_eq!((refused.status, refused.text("error")), (422, "fields"), "{field} {value}");
            assert_eq!(refused.body["fields"][0]["field"], field);
        }
    }
    // An app of another partner is none.
    let mut foreign = new_webhook();
    foreign["client_id"] = json!(app);
    let refused = server.call(&other, "POST", "/api/v1/webhooks", Some(&foreign)).await;
    assert_eq!((refused.status, refused.text("error")), (422, "fields"));
    assert_eq!(server.call(&token, "GET", &place, None).await.body, made.body["webhook"]);
    assert_eq!(server.count("audit"), entries);
}

async fn every_event_that_there_is_can_be_asked_for(server: Server) {
    let token = server.api_token(PARTNER_ID).await;
    let names: Vec<&str> = EventType::ALL.into_iter().map(EventType::name).collect();
    let mut new = new_webhook();
    new["events"] = json!(names);
    let made = server.call(&token, "POST", "/api/v1/webhooks", Some(&new)).await;
    assert_eq!(made.body["webhook"]["events"], json!(names), "{made:?}");
}

on_both_engines! {
    a_webhook_is_added_changed_and_removed_and_its_secrets_are_shown_once,
    what_was_sent_is_listed_shown_and_sent_again,
    s24_a_webhook_is_its_partners_alone_and_of_one_environment,
    s24_a_webhook_takes_what_is_the_callers_to_set_and_says_what_is_wrong,
    every_event_that_there_is_can_be_asked_for,
}

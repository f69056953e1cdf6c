//! Requests and decisions by the portal's API, and what it says of partners.

use grantor::store::COMPANY_ID;
use grantor_protocol::environment::Environment;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Server};
use crate::people::{PARTNER_ID, tampered};
use crate::portal_desk::{acts, record};

/// What asks for production.
fn new_request(message: &str) -> Value {
    json!({
        "reasons": { "orders-api": "Guests order at their table." },
        "contact": "help@planner.example",
        "message": message,
    })
}

async fn ask(server: &Server, token: &str, app: &str) -> Answer {
    let path = format!("/api/v1/apps/{app}/requests");
    let asked = server.call(token, "POST", &path, Some(&new_request("It books."))).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    asked
}

fn items(answer: &Answer) -> &[Value] {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["items"].as_array().unwrap()
}

async fn u3_a_program_asks_and_answers_and_the_companys_decides_with_a_note(server: Server) {
    let (token, company) = (server.api_token(PARTNER_ID).await, server.api_token(COMPANY_ID).await);
    let app = server.app(PARTNER_ID, 1).await;
    let asked = ask(&server, &token, &app).await;
    let place = format!("/api/v1/requests/{}", asked.text("id"));
    assert_eq!(asked.headers["location"], format!("{}{place}", server.portal.base_url));
    assert_eq!((asked.text("kind"), asked.text("state")), ("production", "waiting"));
    // What was left out is as the app has it.
    let stands = record(&server, &app).await.client;
    assert_eq!(asked.body["asked"]["name"], json!(stands.name));
    assert_eq!(asked.body["asked"]["redirect_uris"][0], stands.redirect_uris[0].to_string());
    let twice = format!("/api/v1/apps/{app}/requests");
    let twice = server.call(&token, "POST", &twice, Some(&new_request("Again."))).await;
    assert_eq!((twice.status, twice.text("error")), (409, "conflict"));

    let queue = server.call(&company, "GET", "/api/v1/requests", None).await;
    assert!(items(&queue).iter().any(|item| item["id"] == asked.body["id"]), "{queue:?}");
    let shown = server.call(&company, "GET", &place, None).await;
    let changes = &shown.body["difference"];
    assert_eq!(changes["hosts"][0]["change"], "added", "{shown:?}");
    let scopes: Vec<_> =
        changes["scopes"].as_array().unwrap().iter().map(|item| &item["value"]).collect();
    assert_eq!(scopes, ["financial-api", "orders-api"]);
    assert_eq!(shown.body["report"]["client_id"], json!(app));
    assert_eq!(shown.body["report"]["lines"].as_array().unwrap().len(), 10);

    let decide = async |version: i64, decision: &str, note: &str| {
        let body = json!({ "version": version, "decision": decision, "note": note });
        server.call(&company, "POST", &format!("{place}/decision"), Some(&body)).await
    };
    let silent = decide(1, "decline", " ").await;
    assert_eq!((silent.status, silent.text("error")), (422, "fields"));
    assert_eq!(silent.body["fields"][0]["field"], "note");
    let back = decide(1, "ask_back", "For whom is it?").await;
    assert_eq!((back.text("state"), back.text("note")), ("asked_back", "For whom is it?"));
    // Nobody decides about what was changed since, and nobody answers it twice.
    assert_eq!(decide(2, "approve", "Fine.").await.status, 409);
    let answer = async |version: i64| {
        let body = json!({ "version": version, "message": "For guests." });
        server.call(&token, "POST", &format!("{place}/answer"), Some(&body)).await
    };
    assert_eq!(answer(1).await.status, 409);
    let answered = answer(2).await;
    assert_eq!(answered.text("state"), "waiting", "{answered:?}");
    assert_eq!(answered.body["asked"]["message"], "For guests.");
    assert_eq!(answered.body["asked"]["scopes"], asked.body["asked"]["scopes"]);
    assert_eq!(decide(2, "approve", "Fine.").await.status, 409);
    let approved = decide(3, "approve", "Welcome.").await;
    assert_eq!(approved.text("state"), "approved", "{approved:?}");
    let made = approved.text("made_client_id");
    let production = server.call(&token, "GET", &format!("/api/v1/apps/{made}"), None).await;
    assert_eq!((production.text("environment"), production.text("sibling")), ("production", &*app));
    assert!(production.body["secrets"].as_array().unwrap().is_empty());
    let expected = ["request.made", "request.asked_back", "request.answered", "request.approved"];
    assert_eq!(acts(&server, &app).await, expected);
    // Its secret is the partner's alone.
    let secrets = format!("/api/v1/apps/{made}/secrets");
    assert_eq!(server.call(&company, "POST", &secrets, None).await.status, 403);
    assert_eq!(server.call(&token, "POST", &secrets, None).await.status, 201);
}

async fn u2_more_of_an_app_on_production_is_asked_for_and_its_name_is_not(server: Server) {
    let (token, company) = (server.api_token(PARTNER_ID).await, server.api_token(COMPANY_ID).await);
    let live =
        server.client_with(Environment::Production, |client| client.partner_id = PARTNER_ID).await;
    let path = format!("/api/v1/apps/{}/requests", live.id);
    let requests = server.count("requests");
    for field in ["name", "website", "support_contact"] {
        let mut new = new_request("Another name.");
        new[field] = json!("https://elsewhere.example");
        let refused = server.call(&token, "POST", &path, Some(&new)).await;
        assert_eq!((refused.status, refused.text("error")), (422, "fields"), "{refused:?}");
        assert_eq!(refused.body["fields"][0]["field"], field);
    }
    assert_eq!(server.count("requests"), requests);
    let new_uri = "https://new.example/callback";
    let mut new = new_request("Another host.");
    new["redirect_uris"] = json!([live.redirect_uri, new_uri]);
    let asked = server.call(&token, "POST", &path, Some(&new)).await;
    assert_eq!((asked.status, asked.text("kind")), (201, "change"), "{asked:?}");
    let place = format!("/api/v1/requests/{}", asked.text("id"));
    let shown = server.call(&company, "GET", &place, None).await;
    let uris = shown.body["difference"]["redirect_uris"].as_array().unwrap();
    let change =
        |uri: &str| uris.iter().find(|item| item["value"] == uri).unwrap()["change"].clone();
    assert_eq!((change(&live.redirect_uri), change(new_uri)), (json!("stays"), json!("added")));

    // It is renamed while it waits, mended after that, and approved: the name stays.
    let app = server.call(&token, "GET", &format!("/api/v1/apps/{}", live.id), None).await;
    let rename = json!({ "version": app.body["version"], "name": "Renamed" });
    let path = format!("/api/v1/apps/{}", live.id);
    assert_eq!(server.call(&token, "PATCH", &path, Some(&rename)).await.status, 200);
    let mend = json!({ "version": 1, "message": "Another host, for guests." });
    let mended = server.call(&token, "POST", &format!("{place}/answer"), Some(&mend)).await;
    assert_eq!(mended.status, 200, "{mended:?}");
    let approve = json!({ "version": 2, "decision": "approve", "note": "Fine." });
    let approved =
        server.call(&company, "POST", &format!("{place}/decision"), Some(&approve)).await;
    assert_eq!(approved.status, 200, "{approved:?}");
    let now = record(&server, &live.id).await.client;
    assert_eq!((now.name.as_str(), now.redirect_uris.len()), ("Renamed", 2));
}

async fn a_request_is_taken_back_in_the_version_that_was_read(server: Server) {
    let token = server.api_token(PARTNER_ID).await;
    let app = server.app(PARTNER_ID, 1).await;
    let asked = ask(&server, &token, &app).await;
    let path = format!("/api/v1/requests/{}/withdraw", asked.text("id"));
    let stale = server.call(&token, "POST", &path, Some(&json!({ "version": 7 }))).await;
    assert_eq!((stale.status, stale.text("error")), (409, "conflict"));
    let gone = server.call(&token, "POST", &path, Some(&json!({ "version": 1 }))).await;
    assert_eq!(gone.text("state"), "withdrawn", "{gone:?}");
    let again = server.call(&token, "POST", &path, Some(&json!({ "version": 2 }))).await;
    assert_eq!(again.status, 409, "{again:?}");
    assert_eq!(acts(&server, &app).await, ["request.made", "request.withdrawn"]);
}

async fn s24_a_request_takes_what_is_the_callers_to_set_and_nothing_else(server: Server) {
    let (token, company) = (server.api_token(PARTNER_ID).await, server.api_token(COMPANY_ID).await);
    let app = server.app(PARTNER_ID, 1).await;
    let ask_at = format!("/api/v1/apps/{app}/requests");
    let place = format!("/api/v1/requests/{}", ask(&server, &token, &app).await.text("id"));
    let before = server.call(&token, "GET", &place, None).await.body;
    let entries = server.count("audit");
    for (field, value) in [
        ("state", json!("approved")),
        ("partner_id", json!(Uuid::nil().to_string())),
        ("client_id", json!("another")),
        ("kind", json!("change")),
        ("asked_by", json!("somebody")),
        ("decided_by", json!("somebody")),
        ("made_client_id", json!("another")),
        ("public", json!(true)),
    ] {
        let with = |mut body: Value| {
            body[field] = value.clone();
            body
        };
        for (by, path, body) in [
            (&token, ask_at.clone(), with(new_request("Mass."))),
            (&token, format!("{place}/answer"), with(json!({ "version": 1 }))),
            (&token, format!("{place}/withdraw"), with(json!({ "version": 1 }))),
            (
                &company,
                format!("{place}/decision"),
                with(json!({ "version": 1, "decision": "approve", "note": "Fine." })),
            ),
        ] {
            let refused = server.call(by, "POST", &path, Some(&body)).await;
            assert_eq!((refused.status, refused.text("error")), (400, "json"), "{path} {field}");
            assert!(refused.text("message").contains(field), "{refused:?}");
        }
    }
    for wrong in [json!("perhaps"), json!("Approve"), json!(1), Value::Null] {
        let body = json!({ "version": 1, "decision": wrong, "note": "Fine." });
        let path = format!("{place}/decision");
        assert_eq!(server.call(&company, "POST", &path, Some(&body)).await.status, 400, "{wrong}");
    }
    assert_eq!(server.call(&token, "GET", &place, None).await.body, before);
    assert_eq!(server.count("audit"), entries);
}

async fn s24_what_another_partner_asks_does_not_exist_and_a_list_is_its_callers_own(
    server: Server,
) {
    let another = server.another_partner().await;
    let (token, other) = (server.api_token(PARTNER_ID).await, server.api_token(another).await);
    let company = server.api_token(COMPANY_ID).await;
    let mut asked = Vec::new();
    for _ in 0..3 {
        server.clock.advance(1);
        let app = server.app(PARTNER_ID, 1).await;
        asked.push(ask(&server, &token, &app).await.text("id").to_owned());
        let foreign = format!("/api/v1/apps/{app}/requests");
        let refused = server.call(&other, "POST", &foreign, Some(&new_request("Mine."))).await;
        assert_eq!(refused.status, 404, "{refused:?}");
    }
    let place = format!("/api/v1/requests/{}", asked[0]);
    let entries = server.count("audit");
    for (method, path, body) in [
        ("GET", place.clone(), None),
        ("POST", format!("{place}/answer"), Some(json!({ "version": 1 }))),
        ("POST", format!("{place}/withdraw"), Some(json!({ "version": 1 }))),
        ("GET", "/api/v1/requests/x".to_owned(), None),
    ] {
        let refused = server.call(&other, method, &path, body.as_ref()).await;
        assert_eq!((refused.status, refused.text("error")), (404, "not_found"), "{method} {path}");
    }
    assert_eq!(server.count("audit"), entries);
    assert!(items(&server.call(&other, "GET", "/api/v1/requests", None).await).is_empty());

    // The newest first, in parts; the company's queue the oldest first.
    let first = server.call(&token, "GET", "/api/v1/requests?limit=2", None).await;
    let ids = |answer: &Answer| -> Vec<String> {
        items(answer).iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&first), [asked[2].clone(), asked[1].clone()]);
    let cursor = first.text("next_cursor");
    let next = format!("/api/v1/requests?limit=2&cursor={cursor}");
    let rest = server.call(&token, "GET", &next, None).await;
    assert_eq!((ids(&rest), &rest.body["next_cursor"]), (vec![asked[0].clone()], &Value::Null));
    let queue = server.call(&company, "GET", "/api/v1/requests?limit=1", None).await;
    assert_eq!(ids(&queue), [asked[0].clone()]);
    for (by, path) in [
        (&other, next.clone()),
        (&company, next.clone()),
        (&token, format!("/api/v1/requests?state=waiting&cursor={cursor}")),
        (&token, format!("/api/v1/requests?cursor={}", tampered(cursor))),
        (&token, format!("/api/v1/requests?cursor={}", asked[0])),
        (&token, format!("/api/v1/invitations?cursor={cursor}")),
    ] {
        let refused = server.call(by, "GET", &path, None).await;
        assert_eq!((refused.status, refused.text("error")), (400, "cursor"), "{path}: {refused:?}");
    }
    // By state.
    let body = json!({ "version": 1 });
    let withdrawn = format!("/api/v1/requests/{}/withdraw", asked[1]);
    assert_eq!(server.call(&token, "POST", &withdrawn, Some(&body)).await.status, 200);
    for (by, query, expected) in [
        (&token, "?state=withdrawn", vec![&asked[1]]),
        (&token, "?state=waiting", vec![&asked[2], &asked[0]]),
        (&company, "?state=withdrawn", vec![&asked[1]]),
        (&company, "", vec![&asked[0], &asked[2]]),
    ] {
        let part = server.call(by, "GET", &format!("/api/v1/requests{query}"), None).await;
        assert_eq!(ids(&part).iter().collect::<Vec<_>>(), expected, "{query}");
    }
    for query in ["?state=perhaps", "?state=", "?state=waiting&state=waiting", "?kind=change"] {
        let refused = server.call(&token, "GET", &format!("/api/v1/requests{query}"), None).await;
        assert_eq!((refused.status, refused.text("error")), (400, "parameter"), "{query}");
    }
}

async fn s17_a_partner_is_verified_and_suspended_by_the_companys_program(server: Server) {
    let another = server.another_partner().await;
    let (token, company) = (server.api_token(another).await, server.api_token(COMPANY_ID).await);
    let place = format!("/api/v1/partners/{}", Uuid::from_bytes(another));
    for (act, member, value) in [
        ("verify", "verified", true),
        ("unverify", "verified", false),
        ("suspend", "suspended", true),
        ("resume", "suspended", false),
    ] {
        let done = server.call(&company, "POST", &format!("{place}/{act}"), None).await;
        assert_eq!((done.status, &done.body[member]), (200, &json!(value)), "{act}: {done:?}");
        let twice = server.call(&company, "POST", &format!("{place}/{act}"), None).await;
        assert_eq!((twice.status, twice.text("error")), (409, "conflict"), "{act}");
        // Whoever was suspended has no token any more.
        let by_itself = server.call(&token, "POST", &format!("{place}/{act}"), None).await;
        let ended = matches!(act, "suspend" | "resume");
        assert_eq!(by_itself.status, if ended { 401 } else { 403 }, "{act}: {by_itself:?}");
    }
    let company_itself = format!("/api/v1/partners/{}", Uuid::from_bytes(COMPANY_ID));
    let refused = server.call(&company, "POST", &format!("{company_itself}/suspend"), None).await;
    assert_eq!(refused.status, 404, "{refused:?}");
}

on_both_engines! {
    u3_a_program_asks_and_answers_and_the_companys_decides_with_a_note,
    u2_more_of_an_app_on_production_is_asked_for_and_its_name_is_not,
    a_request_is_taken_back_in_the_version_that_was_read,
    s24_a_request_takes_what_is_the_callers_to_set_and_nothing_else,
    s24_what_another_partner_asks_does_not_exist_and_a_list_is_its_callers_own,
    s17_a_partner_is_verified_and_suspended_by_the_companys_program,
}

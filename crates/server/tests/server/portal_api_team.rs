//! People, invitations and test customers by the portal's API.

use grantor::store::{COMPANY_ID, NewPerson, Role};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Server};
use crate::people::{PARTNER_ID, somebody, tampered};

fn items(answer: &Answer) -> &[Value] {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["items"].as_array().unwrap()
}

/// Somebody of that role.
async fn person(server: &Server, email: &str, role: Role) -> String {
    let site = &server.portal;
    let id = site.random.id(&server.clock);
    let name = "Robin Rest";
    let person = NewPerson { id, email, name, password_hash: "x", role, demo: false };
    let act = somebody(Role::Operator).act(site, "person.joined", email);
    assert!(site.store.add_person(&person, None, None, &act).await.unwrap());
    Uuid::from_bytes(id).to_string()
}

async fn a_program_invites_and_withdraws_changes_roles_and_removes(server: Server) {
    let another = server.another_partner().await;
    let token = server.api_token(another).await;
    let new = json!({ "email": " Colleague@Planner.example", "role": "developer" });
    let invited = server.call(&token, "POST", "/api/v1/invitations", Some(&new)).await;
    assert_eq!((invited.status, invited.text("email")), (201, "colleague@planner.example"));
    assert!(invited.text("invited_by").starts_with("API client devp-portal-test-"), "{invited:?}");
    let twice = server.call(&token, "POST", "/api/v1/invitations", Some(&new)).await;
    assert_eq!((twice.status, twice.text("error")), (409, "conflict"));
    let nobody = json!({ "email": "nobody", "role": "owner" });
    let nobody = server.call(&token, "POST", "/api/v1/invitations", Some(&nobody)).await;
    assert_eq!((nobody.status, nobody.text("error")), (422, "fields"));
    // The link goes by mail, and nobody else is shown it.
    let mails = server.portal.store.newest_mails(None, 10).await.unwrap();
    assert!(mails[0].text.contains("/invitation/gr_link_"), "{}", mails[0].text);
    assert!(!invited.body.to_string().contains("gr_link"), "{invited:?}");
    let listed = server.call(&token, "GET", "/api/v1/invitations", None).await;
    assert_eq!(listed.body["items"], json!([invited.body]));
    let place = format!("/api/v1/invitations/{}", invited.text("id"));
    assert_eq!(server.call(&token, "DELETE", &place, None).await.status, 204);
    assert_eq!(server.call(&token, "DELETE", &place, None).await.status, 404);

    let owner = person(&server, "one@planner.example", Role::Owner { partner_id: another }).await;
    server.clock.advance(1);
    let developer =
        person(&server, "two@planner.example", Role::Developer { partner_id: another }).await;
    let place = |id: &str| format!("/api/v1/people/{id}");
    let is = async |id: &str, role: &str| {
        server.call(&token, "PATCH", &place(id), Some(&json!({ "role": role }))).await
    };
    // A partner is never without an owner.
    let last = is(&owner, "developer").await;
    assert_eq!((last.status, last.text("error")), (409, "conflict"));
    assert_eq!(server.call(&token, "DELETE", &place(&owner), None).await.status, 409);
    assert_eq!(is(&developer, "owner").await.text("role"), "owner");
    let entries = server.count("audit");
    assert_eq!(is(&developer, "owner").await.status, 200, "whoever is one already stays one");
    assert_eq!(server.count("audit"), entries);
    assert_eq!(is(&owner, "developer").await.text("role"), "developer");
    let people = server.call(&token, "GET", "/api/v1/people", None).await;
    let roles: Vec<_> = items(&people).iter().map(|person| &person["role"]).collect();
    assert_eq!(roles, ["developer", "owner"]);
    assert_eq!(server.call(&token, "DELETE", &place(&owner), None).await.status, 204);
    assert_eq!(server.call(&token, "DELETE", &place(&owner), None).await.status, 404);
    let log = server.call(&token, "GET", "/api/v1/audit", None).await;
    let acts: Vec<_> = items(&log).iter().rev().map(|entry| entry["act"].clone()).collect();
    let expected =
        ["person.invited", "invitation.withdrawn", "person.role", "person.role", "person.removed"];
    let acts: Vec<_> = acts.iter().filter(|act| *act != "person.joined").collect();
    assert_eq!(acts, expected);
}

async fn s24_a_team_is_its_own_alone_and_a_program_appoints_nobody_who_decides(server: Server) {
    let another = server.another_partner().await;
    let (token, other) = (server.api_token(PARTNER_ID).await, server.api_token(another).await);
    let company = server.api_token(COMPANY_ID).await;
    let role = Role::Developer { partner_id: PARTNER_ID };
    let id = person(&server, "two@planner.example", role).await;
    let manager = person(&server, "manager@company.example", Role::Manager).await;
    let new = json!({ "email": "three@planner.example", "role": "developer" });
    let invited = server.call(&token, "POST", "/api/v1/invitations", Some(&new)).await;
    let invitation = format!("/api/v1/invitations/{}", invited.text("id"));
    let entries = server.count("audit");
    let owner = json!({ "role": "owner" });
    for (by, method, path, body, status) in [
        (&other, "PATCH", format!("/api/v1/people/{id}"), Some(&owner), 404),
        (&other, "DELETE", format!("/api/v1/people/{id}"), None, 404),
        (&other, "DELETE", invitation.clone(), None, 404),
        (&token, "PATCH", format!("/api/v1/people/{manager}"), Some(&owner), 404),
        (&token, "DELETE", format!("/api/v1/people/{manager}"), None, 404),
        (&company, "PATCH", format!("/api/v1/people/{id}"), Some(&owner), 403),
        (&company, "DELETE", format!("/api/v1/people/{manager}"), None, 403),
        (&company, "POST", "/api/v1/invitations".to_owned(), Some(&new), 403),
        (&token, "DELETE", "/api/v1/people/x".to_owned(), None, 404),
    ] {
        let refused = server.call(by, method, &path, body).await;
        assert_eq!(refused.status, status, "{method} {path}: {refused:?}");
    }
    for (field, value) in [
        ("partner_id", json!(Uuid::nil().to_string())),
        ("staff", json!("manager")),
        ("password", json!("chosen")),
        ("id", json!(Uuid::nil().to_string())),
        ("email", json!("mine@planner.example")),
    ] {
        let change = json!({ "role": "owner", field: value });
        let path = format!("/api/v1/people/{id}");
        let refused = server.call(&token, "PATCH", &path, Some(&change)).await;
        assert_eq!((refused.status, refused.text("error")), (400, "json"), "{field}");
        if field != "email" {
            let new = json!({ "email": "x@y.example", "role": "developer", field: value });
            let refused = server.call(&token, "POST", "/api/v1/invitations", Some(&new)).await;
            assert_eq!((refused.status, refused.text("error")), (400, "json"), "{field}");
        }
    }
    for role in ["manager", "operator", "Owner", ""] {
        let new = json!({ "email": "x@y.example", "role": role });
        let refused = server.call(&token, "POST", "/api/v1/invitations", Some(&new)).await;
        assert_eq!(refused.status, 400, "{role}");
        let path = format!("/api/v1/people/{id}");
        let refused = server.call(&token, "PATCH", &path, Some(&json!({ "role": role }))).await;
        assert_eq!(refused.status, 400, "{role}");
    }
    assert_eq!(server.count("audit"), entries);
    assert!(items(&server.call(&other, "GET", "/api/v1/people", None).await).is_empty());
    assert!(items(&server.call(&other, "GET", "/api/v1/invitations", None).await).is_empty());
    let staff = server.call(&company, "GET", "/api/v1/people", None).await;
    assert!(items(&staff).iter().all(|person| person["role"] != "developer"), "{staff:?}");
    assert!(items(&staff).iter().any(|person| person["id"] == json!(manager)));
}

async fn a_short_list_comes_in_parts_too(server: Server) {
    let another = server.another_partner().await;
    let (token, other) = (server.api_token(another).await, server.api_token(PARTNER_ID).await);
    for nth in 0..5 {
        server.clock.advance(1);
        let role = Role::Developer { partner_id: another };
        person(&server, &format!("p{nth}@planner.example"), role).await;
    }
    let (mut seen, mut next) = (Vec::new(), "/api/v1/people?limit=2".to_owned());
    let mut cursors = Vec::new();
    loop {
        let part = server.call(&token, "GET", &next, None).await;
        assert!(items(&part).len() <= 2);
        seen.extend(items(&part).iter().map(|person| person["email"].clone()));
        let Some(cursor) = part.body["next_cursor"].as_str() else { break };
        next = format!("/api/v1/people?limit=2&cursor={cursor}");
        cursors.push(cursor.to_owned());
    }
    let expected: Vec<_> = (0..5).map(|nth| json!(format!("p{nth}@planner.example"))).collect();
    assert_eq!(seen, expected);
    let cursor = &cursors[0];
    for (by, path) in [
        (&other, format!("/api/v1/people?cursor={cursor}")),
        (&token, format!("/api/v1/invitations?cursor={cursor}")),
        (&token, format!("/api/v1/test-customers?cursor={cursor}")),
        (&token, format!("/api/v1/people?cursor={}", tampered(cursor))),
    ] {
        let refused = server.call(by, "GET", &path, None).await;
        assert_eq!((refused.status, refused.text("error")), (400, "cursor"), "{path}");
    }
    for query in ["?limit=0", "?limit=101", "?partner_id=x", "?limit=1&limit=1"] {
        let path = format!("/api/v1/people{query}");
        let refused = server.call(&token, "GET", &path, None).await;
        assert_eq!((refused.status, refused.text("error")), (400, "parameter"), "{query}");
    }
}

async fn u1_a_test_customer_is_made_and_signs_in_with_the_password_that_is_shown_once(
    server: Server,
) {
    let (token, company) = (server.api_token(PARTNER_ID).await, server.api_token(COMPANY_ID).await);
    let other = server.api_token(server.another_partner().await).await;
    let path = "/api/v1/test-customers";
    let made = server.call(&token, "POST", path, None).await;
    assert_eq!(made.status, 201, "{made:?}");
    let customer = &made.body["test_customer"];
    assert_eq!(customer["businesses"].as_array().unwrap().len(), 2);
    let id = customer["businesses"][0]["id"].as_str().unwrap();
    assert!(id.parse::<i64>().unwrap() > 1 << 53, "as text, because no double holds it: {id}");
    let listed = server.call(&token, "GET", path, None).await;
    assert_eq!(listed.body["items"], json!([customer]));
    assert!(listed.body["items"][0].get("password").is_none());
    let signs_in = async |password: &str| {
        let browser = server.browser();
        let page = browser.get(&server.authorize_url(&server.client().await, "")).await;
        let email = customer["email"].as_str().unwrap();
        let fields = [("email", email), ("password", password)];
        browser.submit(&page, &fields).await.status == 303
    };
    assert!(signs_in(made.text("password")).await);

    let place = format!("{path}/{}", customer["id"].as_str().unwrap());
    for (by, status) in [(&other, 404), (&company, 403)] {
        for (method, path) in [("POST", format!("{place}/password")), ("DELETE", place.clone())] {
            assert_eq!(server.call(by, method, &path, None).await.status, status, "{method}");
        }
    }
    assert_eq!(server.call(&company, "GET", path, None).await.status, 403);
    let drawn = server.call(&token, "POST", &format!("{place}/password"), None).await;
    assert_eq!(&drawn.body["test_customer"], customer, "{drawn:?}");
    assert!(!signs_in(made.text("password")).await);
    assert!(signs_in(drawn.text("password")).await);
    assert_eq!(server.call(&token, "DELETE", &place, None).await.status, 204);
    assert!(!signs_in(drawn.text("password")).await);
    assert_eq!(server.call(&token, "DELETE", &place, None).await.status, 404);
    assert!(items(&server.call(&token, "GET", path, None).await).is_empty());
}

on_both_engines! {
    a_program_invites_and_withdraws_changes_roles_and_removes,
    s24_a_team_is_its_own_alone_and_a_program_appoints_nobody_who_decides,
    a_short_list_comes_in_parts_too,
    u1_a_test_customer_is_made_and_signs_in_with_the_password_that_is_shown_once,
}

//! Requests in the portal: asking, answering, taking back, deciding.

use grantor::store::AuditOf;
use grantor_protocol::environment::Environment;
use serde_json::json;

use crate::harness::{Page, Server, TestClient};
use crate::portal_desk::{
    APP_URI, Desk, acts, app_form, authenticates, change_form, demo_partner, record, request_form,
    secret, standing,
};

const PRODUCTION: Environment = Environment::Production;

async fn u3_a_request_is_asked_once_answered_taken_back_and_asked_again(server: Server) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let app = owner.make_app("Asked").await;
    let ask = format!("/apps/{}/request", app.id);
    let first = owner.ask(&app.id).await;
    let before = standing(&server);
    let twice = owner.post(&ask, &request_form("Again.")).await;
    twice.assert_page(409, "A request about this app is open already.");
    assert_eq!(standing(&server), before);

    assert_eq!(manager.decide(&first, "1", "ask_back").await.status, 303);
    owner.get(&format!("{first}/answer")).await.assert_page(200, "As we spoke.");
    // What was asked back waits for the partner, and is not decided meanwhile.
    manager.decide(&first, "2", "approve").await.assert_page(409, "was changed meanwhile");
    let answered = |version, message| {
        let (owner, path) = (&owner, format!("{first}/answer"));
        let form = [&request_form(message)[..], &[("version", version)]].concat();
        async move { owner.post(&path, &form).await }
    };
    // Of two who answer at one time the second is told.
    answered("1", "Too early.").await.assert_page(409, "was changed meanwhile");
    let answer = answered("2", "For guests.").await;
    assert_eq!((answer.status.as_u16(), answer.location()), (303, first.clone()));
    manager.get(&first).await.assert_page(200, "For guests.");

    let stale = owner.post(&format!("{first}/withdraw"), &[("version", "1")]).await;
    stale.assert_page(409, "was changed meanwhile");
    let gone = owner.post(&format!("{first}/withdraw"), &[("version", "3")]).await;
    assert_eq!(gone.status, 303, "{}", gone.text);
    owner.get(&first).await.assert_page(200, "Withdrawn");
    for version in ["3", "4"] {
        manager.decide(&first, version, "approve").await.assert_page(409, "changed meanwhile");
        let again = owner.post(&format!("{first}/withdraw"), &[("version", version)]).await;
        again.assert_page(409, "changed meanwhile");
    }
    let answer = answered("4", "Late.").await;
    answer.assert_page(409, "changed meanwhile");
    assert_ne!(owner.ask(&app.id).await, first);
    let expected = [
        "client.created",
        "request.made",
        "request.asked_back",
        "request.answered",
        "request.withdrawn",
        "request.made",
    ];
    assert_eq!(acts(&server, &app.id).await, expected);
    assert_eq!(record(&server, &app.id).await.listing.sibling, None);
}

async fn u3_a_request_says_why_and_whom_to_write_to_and_what_is_wrong_stands_by_its_field(
    server: Server,
) {
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Reasons").await;
    let ask = format!("/apps/{}/request", app.id);
    let before = standing(&server);
    let long = "a".repeat(2001);
    for (field, value, words) in [
        ("reason_orders-api", "", "The reason for orders-api is missing."),
        ("reason_orders-api", long.as_str(), "at most 2000 characters"),
        ("message", "", "What the app does is missing."),
        ("message", long.as_str(), "at most 2000 characters"),
        ("contact", "nobody", "an e-mail address at which somebody answers"),
        ("name", "<b>\u{202E}", "direction characters"),
        ("redirect_uris", "javascript:alert(1)", "javascript:alert(1)"),
        ("scopes", "nonsense", "There is no nonsense here"),
    ] {
        let mut form = request_form("It books.");
        form.retain(|(name, _)| *name != field);
        form.push((field, value));
        let page = owner.post(&ask, &form).await;
        page.assert_page(422, words);
        assert!(!page.text.contains("<b>"), "{field}");
    }
    assert_eq!(standing(&server), before);

    let message = "<img src=x onerror=alert(1)> & more";
    let page = owner.post(&ask, &request_form(message)).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let manager = Desk::manager(&server).await;
    let shown = manager.get(&page.location()).await;
    for words in [
        message,
        "Guests order at their table.",
        "It can change something.",
        "help@demo.example",
        APP_URI,
        "Asked just now",
    ] {
        shown.assert_page(200, words);
    }
    assert!(!shown.text.contains("<img src=x"));
    let queue = manager.get("/requests").await;
    for words in ["Production for Asked", "https://app.example", "Demo Partner Ltd"] {
        queue.assert_page(200, words);
    }
}

async fn u3_no_decision_is_without_a_note_and_declining_changes_nothing(server: Server) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let app = owner.make_app("Declined").await;
    let request = owner.ask(&app.id).await;
    let before = standing(&server);
    for decision in ["approve", "decline", "ask_back"] {
        for note in ["", "  \n ", &"a".repeat(2001)] {
            let fields = [("version", "1"), ("decision", decision), ("note", note)];
            let page = manager.post(&format!("{request}/decision"), &fields).await;
            page.assert_page(422, "The note");
            assert!(page.text.contains("id=\"note-fault\""), "{}", page.text);
        }
    }
    for (version, decision) in [("1", "perhaps"), ("1", ""), ("", "approve"), ("one", "approve")] {
        manager.decide(&request, version, decision).await.assert_page(403, "too old");
    }
    assert_eq!(standing(&server), before);

    let seen = record(&server, &app.id).await;
    let clients = server.count("clients");
    assert_eq!(manager.decide(&request, "1", "decline").await.status, 303);
    let page = owner.get(&request).await;
    page.assert_page(200, "Declined");
    page.assert_page(200, "As we spoke.");
    let now = record(&server, &app.id).await;
    assert_eq!(now.client.redirect_uris, seen.client.redirect_uris);
    assert_eq!((&now.client.scopes, now.listing.sibling), (&seen.client.scopes, None));
    assert_eq!(server.count("clients"), clients);
    let mails = server.portal.store.newest_mails(None, 10).await.unwrap();
    let to: Vec<_> = mails.iter().map(|mail| mail.to.as_str()).collect();
    assert!(to.contains(&"developer@demo.example") && to.contains(&"help@demo.example"), "{to:?}");
    assert!(mails.iter().all(|mail| mail.text.contains("As we spoke.")));
    assert_eq!(
        acts(&server, &app.id).await,
        ["client.created", "request.made", "request.declined"]
    );
}

async fn u3_of_two_managers_at_once_one_decides(server: Server) {
    let owner = Desk::owner(&server).await;
    let desks = [Desk::manager(&server).await, Desk::manager(&server).await];
    for round in 0..4 {
        let app = owner.make_app(&format!("Round {round}")).await;
        let request = owner.ask(&app.id).await;
        let clients = server.count("clients");
        let (one, other) = tokio::join!(
            desks[0].decide(&request, "1", "approve"),
            desks[1].decide(&request, "1", "decline")
        );
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 409], "{}\n{}", one.text, other.text);
        let approved = one.status == 303;
        let made = server.count("clients") - clients;
        assert_eq!(made, i64::from(approved));
        assert_eq!(record(&server, &app.id).await.listing.sibling.is_some(), approved);
        let decided = if approved { "request.approved" } else { "request.declined" };
        assert_eq!(acts(&server, &app.id).await, ["client.created", "request.made", decided]);
    }
    // The same with one decision twice: no second client.
    let app = owner.make_app("Twice").await;
    let request = owner.ask(&app.id).await;
    let clients = server.count("clients");
    let (one, other) = tokio::join!(
        desks[0].decide(&request, "1", "approve"),
        desks[1].decide(&request, "1", "approve")
    );
    assert_ne!(one.status == 303, other.status == 303, "{}\n{}", one.text, other.text);
    assert_eq!(server.count("clients"), clients + 1);
}

async fn u3_a_stale_page_decides_nothing(server: Server) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let app = owner.make_app("Stale").await;
    let request = owner.ask(&app.id).await;
    // The manager's page is open while the partner asks for more.
    let mut wider = request_form("It books, and knows who asks.");
    wider.extend([("scopes", "openid"), ("reason_openid", "Prices."), ("version", "1")]);
    assert_eq!(owner.post(&format!("{request}/answer"), &wider).await.status, 303);
    let before = standing(&server);
    for decision in ["approve", "decline", "ask_back"] {
        manager.decide(&request, "1", decision).await.assert_page(409, "was changed meanwhile");
    }
    assert_eq!(standing(&server), before);
    assert_eq!(version(&manager.get(&request).await), "2");
    assert_eq!(manager.decide(&request, "2", "approve").await.status, 303);
}

async fn u1_u5_approval_makes_one_production_client_whose_secret_its_partner_makes(server: Server) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let staging = owner.make_app("Both").await;
    let request = owner.ask(&staging.id).await;
    let clients = server.count("clients");
    let approved = manager.decide(&request, "1", "approve").await;
    assert_eq!(approved.status, 303, "{}", approved.text);
    assert_eq!(server.count("clients"), clients + 1);

    let id = record(&server, &staging.id).await.listing.sibling.unwrap();
    let made = record(&server, &id).await;
    assert_eq!(made.client.environment, PRODUCTION);
    assert_eq!(made.listing.sibling.as_deref(), Some(staging.id.as_str()));
    assert_eq!((made.client.name.as_str(), made.client.approved), ("Asked", true));
    assert!(made.secrets.is_empty() && !made.client.is_public());
    // Without a secret nobody is the client.
    for secret in ["", &staging.secret, "chosen"] {
        assert!(!authenticates(&server, PRODUCTION, (&id, secret)).await, "{secret:?}");
    }
    let page = owner.get(&format!("/apps/{id}")).await;
    page.assert_page(200, "There is none yet.");
    page.assert_page(200, &staging.id);
    owner.get(&format!("/apps/{}", staging.id)).await.assert_page(200, &id);
    // Who approves it does not get to hold what opens it.
    manager.get(&format!("/apps/{id}")).await.assert_page(200, "Its partner makes it.");
    let refused = manager.post(&format!("/apps/{id}/secrets"), &[]).await;
    refused.assert_page(403, "That is not yours to do");
    assert!(record(&server, &id).await.secrets.is_empty());
    let secret = secret(&owner.post(&format!("/apps/{id}/secrets"), &[]).await);
    assert!(authenticates(&server, PRODUCTION, (&id, &secret)).await);

    let code = server.code(&staging, "").await;
    assert_eq!(server.exchange(&staging, &code).await.status, 200);
    // There is never a second one.
    let again = owner.post(&format!("/apps/{}/request", staging.id), &request_form("More.")).await;
    again.assert_page(409, "This app is on production already.");
    assert_eq!(server.count("clients"), clients + 1);
    manager.decide(&request, "2", "approve").await.assert_page(409, "was changed meanwhile");
    assert_eq!(server.count("clients"), clients + 1);
}

async fn u2_old_scopes_work_until_more_are_decided(server: Server) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let app = production_app(&server, &owner, &manager).await;
    let held = record(&server, &app.id).await.client.scopes;
    let mut form = change_form("Prices too.");
    form.extend([("scopes", "openid"), ("reason_openid", "Prices.")]);
    let works = async || authenticates(&server, PRODUCTION, (&app.id, &app.secret)).await;
    let ask = format!("/apps/{}/request", app.id);
    for decision in ["decline", "approve"] {
        let asked = owner.post(&ask, &form).await;
        assert_eq!(asked.status, 303, "{}", asked.text);
        let page = manager.get(&asked.location()).await;
        page.assert_page(200, "Why: Prices.");
        assert_eq!(record(&server, &app.id).await.client.scopes, held);
        assert!(works().await);
        let counter = counter(&server, &app);
        assert_eq!(manager.decide(&asked.location(), "1", decision).await.status, 303);
        let now = record(&server, &app.id).await.client.scopes;
        assert_eq!(now.contains("openid"), decision == "approve");
        assert!(held.iter().all(|scope| now.contains(scope)));
        // Who may do more than before keeps its connections.
        assert_eq!(self::counter(&server, &app), counter);
        assert!(works().await);
    }
    let found = acts(&server, &app.id).await;
    let expected =
        ["secret.added", "request.made", "request.declined", "request.made", "request.approved"];
    assert!(found.ends_with(&expected.map(str::to_owned)), "{found:?}");
}

async fn u2_a_new_host_works_when_it_was_approved_and_not_before(server: Server) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let app = production_app(&server, &owner, &manager).await;
    let new = "https://new.example/cb";
    let both = format!("{APP_URI}\n{new}");
    let mut form = change_form("Another host.");
    form.retain(|(name, _)| *name != "redirect_uris");
    form.push(("redirect_uris", &both));
    let asked = owner.post(&format!("/apps/{}/request", app.id), &form).await;
    assert_eq!(asked.status, 303, "{}", asked.text);
    let allowed = async || {
        let held = record(&server, &app.id).await.client.redirect_uris;
        held.iter().any(|uri| uri.as_str() == new)
    };
    assert!(!allowed().await);
    // The client changed since the manager looked: what was seen there is not written over.
    let mut edit = app_form("Asked");
    edit.retain(|(name, _)| *name != "redirect_uris");
    edit.push(("redirect_uris", "https://app.example/renamed"));
    assert_eq!(owner.edit(&app.id, &edit).await.status, 303);
    assert!(!allowed().await);
    assert_eq!(manager.decide(&asked.location(), "1", "approve").await.status, 303);
    assert!(allowed().await);
}

async fn u2_what_needs_no_decision_is_no_part_of_a_request_and_no_decision_takes_it_back(
    server: Server,
) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let app = production_app(&server, &owner, &manager).await;
    let ask = format!("/apps/{}/request", app.id);
    let page = owner.get(&ask).await;
    page.assert_page(200, "need no decision");
    for field in ["name", "website", "support_contact"] {
        assert!(!page.text.contains(&format!("name=\"{field}\"")), "{field}: {}", page.text);
    }
    // Whoever sends one nevertheless is told where it changes, and nothing is asked.
    let before = standing(&server);
    for (field, value) in [
        ("name", "Renamed by request"),
        ("website", "https://elsewhere.example"),
        ("support_contact", "elsewhere@app.example"),
    ] {
        let mut form = change_form("Another name.");
        form.push((field, value));
        owner.post(&ask, &form).await.assert_page(422, "changes at once, without a request");
    }
    assert_eq!(standing(&server), before);

    let mut form = change_form("Prices too.");
    form.extend([("scopes", "openid"), ("reason_openid", "Prices.")]);
    let asked = owner.post(&ask, &form).await;
    assert_eq!(asked.status, 303, "{}", asked.text);
    // While it waits, the texts of the living app change at once.
    let mut edit = app_form("Renamed");
    edit.extend([("website", "https://app.example"), ("support_contact", "help@app.example")]);
    let edited = owner.edit(&app.id, &edit).await;
    assert_eq!(edited.status, 303, "{}", edited.text);
    let assert_texts = async || {
        let now = record(&server, &app.id).await;
        assert_eq!(now.client.name, "Renamed");
        assert_eq!(now.client.website.as_deref(), Some("https://app.example"));
        assert_eq!(now.listing.support_contact.as_deref(), Some("help@app.example"));
    };
    assert_texts().await;
    assert_eq!(acts(&server, &app.id).await.last().unwrap(), "client.changed");
    // The manager sees them as they stand, and a decision leaves them so.
    let shown = manager.get(&asked.location()).await;
    shown.assert_page(200, "help@app.example");
    assert_eq!(manager.decide(&asked.location(), "1", "approve").await.status, 303);
    assert!(record(&server, &app.id).await.client.scopes.contains("openid"));
    assert_texts().await;
}

async fn u2_an_approval_keeps_what_the_partner_changed_at_once_since_it_asked(server: Server) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let app = production_app(&server, &owner, &manager).await;
    let uris = async || {
        let held = record(&server, &app.id).await.client.redirect_uris;
        held.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let with_uris = |mut form: Vec<(&'static str, String)>, uris: &[&str]| {
        form.retain(|(name, _)| *name != "redirect_uris");
        form.push(("redirect_uris", uris.join("\n")));
        form
    };
    let edit = async |uris: &[&str]| {
        let form = app_form("Asked").into_iter().map(|(name, value)| (name, value.to_owned()));
        let form = with_uris(form.collect(), uris);
        let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (*n, v.as_str())).collect();
        assert_eq!(owner.edit(&app.id, &form).await.status, 303);
    };
    let (old, gone) = ("https://app.example/old", "https://app.example/gone");
    edit(&[APP_URI, old, gone]).await;
    // The request takes one away and adds a host.
    let new = "https://new.example/cb";
    let form = change_form("A new host.").into_iter().map(|(name, value)| (name, value.to_owned()));
    let form = with_uris(form.collect(), &[APP_URI, gone, new]);
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let asked = owner.post(&format!("/apps/{}/request", app.id), &form).await;
    assert_eq!(asked.status, 303, "{}", asked.text);
    // Meanwhile the partner adds one on a host that it has, and removes one.
    let since = "https://app.example/since";
    edit(&[APP_URI, old, since]).await;
    let shown = manager.get(&asked.location()).await;
    shown.assert_page(200, since);
    assert!(!shown.text.contains(gone), "{}", shown.text);
    // Asked back, the partner says more, and its form begins with what would come of it now.
    assert_eq!(manager.decide(&asked.location(), "1", "ask_back").await.status, 303);
    let answer = format!("{}/answer", asked.location());
    let form = owner.get(&answer).await;
    assert!(form.text.contains(since) && !form.text.contains(gone), "{}", form.text);
    let token = server.api_token(demo_partner(&server).await.id).await;
    let place = format!("/api/v1{answer}");
    let words = json!({ "version": 2, "message": "For guests." });
    let answered = server.call(&token, "POST", &place, Some(&words)).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(manager.decide(&asked.location(), "3", "approve").await.status, 303);
    assert_eq!(uris().await, [APP_URI, since, new]);
}

async fn u2_no_approval_leaves_an_app_without_a_redirect_uri(server: Server) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let app = production_app(&server, &owner, &manager).await;
    let token = server.api_token(demo_partner(&server).await.id).await;
    let place = format!("/api/v1/apps/{}", app.id);
    let change = async |uris: &[&str]| {
        let version = server.call(&token, "GET", &place, None).await.body["version"].clone();
        let change = json!({ "version": version, "redirect_uris": uris });
        assert_eq!(server.call(&token, "PATCH", &place, Some(&change)).await.status, 200);
    };
    let other = "https://app.example/other";
    change(&[APP_URI, other]).await;
    let mut form = change_form("Fewer.");
    form.extend([("scopes", "openid"), ("reason_openid", "Who it is.")]);
    let asked = owner.post(&format!("/apps/{}/request", app.id), &form).await;
    assert_eq!(asked.status, 303, "{}", asked.text);
    // It asked for the first alone, and now takes the first away.
    change(&[other]).await;
    let decided = manager.decide(&asked.location(), "1", "approve").await;
    decided.assert_page(409, "would have no redirect URI");
    let held = record(&server, &app.id).await.client.redirect_uris;
    assert_eq!(held.iter().map(ToString::to_string).collect::<Vec<_>>(), [other]);
}

async fn an_entry_of_the_log_names_what_changed_and_is_bounded(server: Server) {
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Many").await;
    let long = "x".repeat(400);
    let mut uris = vec![APP_URI.to_owned()];
    uris.extend((0..40).map(|at| format!("https://app.example/{at}/{long}")));
    let token = server.api_token(demo_partner(&server).await.id).await;
    let place = format!("/api/v1/apps/{}", app.id);
    let version = server.call(&token, "GET", &place, None).await.body["version"].clone();
    let change = json!({ "version": version, "redirect_uris": uris });
    let changed = server.call(&token, "PATCH", &place, Some(&change)).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let of = AuditOf::Client(app.id.clone());
    let newest = server.portal.store.audit(&of, None, 1).await.unwrap().remove(0);
    let words = newest.detail;
    assert!(words.starts_with("redirect URIs added: https://app.example/0/"), "{words}");
    assert!(words.ends_with(" and 36 more"), "{words}");
    assert!(!words.contains(APP_URI) && words.len() < 3000, "{words}");
}

/// An app that was approved, with a secret.
async fn production_app(server: &Server, owner: &Desk, manager: &Desk) -> TestClient {
    let staging = owner.make_app("Live").await;
    let request = owner.ask(&staging.id).await;
    assert_eq!(manager.decide(&request, "1", "approve").await.status, 303);
    let id = record(server, &staging.id).await.listing.sibling.unwrap();
    let secret = secret(&owner.post(&format!("/apps/{id}/secrets"), &[]).await);
    TestClient { id, secret, redirect_uri: APP_URI.to_owned() }
}

fn counter(server: &Server, app: &TestClient) -> i64 {
    server.number(&format!("SELECT counter FROM clients WHERE id = '{}'", app.id))
}

/// The version that a page of a request shows.
fn version(page: &Page) -> String {
    page.hidden("version")
}

on_both_engines! {
    u3_a_request_is_asked_once_answered_taken_back_and_asked_again,
    u3_a_request_says_why_and_whom_to_write_to_and_what_is_wrong_stands_by_its_field,
    u3_no_decision_is_without_a_note_and_declining_changes_nothing,
    u3_of_two_managers_at_once_one_decides,
    u3_a_stale_page_decides_nothing,
    u1_u5_approval_makes_one_production_client_whose_secret_its_partner_makes,
    u2_old_scopes_work_until_more_are_decided,
    u2_a_new_host_works_when_it_was_approved_and_not_before,
    u2_what_needs_no_decision_is_no_part_of_a_request_and_no_decision_takes_it_back,
    u2_an_approval_keeps_what_the_partner_changed_at_once_since_it_asked,
    u2_no_approval_leaves_an_app_without_a_redirect_uri,
    an_entry_of_the_log_names_what_changed_and_is_bounded,
}

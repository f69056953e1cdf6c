//! Two people who edit one app at one time: who is second is told, and overwrites nothing unseen.

use grantor::programme::Refused;
use grantor::programme::app::{self, AppForm};
use grantor::store::{ChangedApp, ClientRecord, Role};
use grantor_protocol::environment::Environment;
use serde_json::json;

use crate::harness::Server;
use crate::people::{PARTNER_ID, somebody};
use crate::portal_desk::{Desk, acts, app_form, record, standing};

/// What one of the two changes, and how that reads.
const CHANGES: [(&str, &str); 5] = [
    ("name", "Named by the first"),
    ("website", "https://first.example"),
    ("support_contact", "help@first.example"),
    ("redirect_uris", "https://first.example/callback"),
    ("scopes", "financial-api"),
];

async fn the_second_of_two_editors_overwrites_nothing_unseen_and_sees_what_the_first_wrote(
    server: Server,
) {
    let first = Desk::owner(&server).await;
    let second = Desk::developer(&server).await;
    for (field, value) in CHANGES {
        let app = first.make_app("Shared").await;
        let edit = format!("/apps/{}/edit", app.id);
        let seen = second.get(&edit).await.hidden("version");
        // The first changes one field alone while the second has the form open.
        let mut form = app_form("Shared");
        form.retain(|(name, _)| *name != field);
        form.push((field, value));
        let changed = first.edit(&app.id, &form).await;
        assert_eq!(changed.status, 303, "{field}: {}", changed.text);
        let stands = ChangedApp::of(&record(&server, &app.id).await);
        let before = standing(&server);

        let mut own = app_form("Named by the second");
        own.push(("version", &seen));
        let lost = second.post(&edit, &own).await;
        lost.assert_page(409, "Somebody else changed this app while you did.");
        lost.assert_page(409, "Nothing of yours was saved.");
        // What stands there, beside the own text, which is not lost.
        lost.assert_page(409, value);
        lost.assert_page(409, "value=\"Named by the second\"");
        assert_eq!(ChangedApp::of(&record(&server, &app.id).await), stands, "{field}");
        assert_eq!(standing(&server), before);

        // Who saw it may put the own text in its place.
        let now = lost.hidden("version");
        own.retain(|(name, _)| *name != "version");
        own.push(("version", &now));
        assert_eq!(second.post(&edit, &own).await.status, 303);
        assert_eq!(record(&server, &app.id).await.client.name, "Named by the second");
        let expected = ["client.created", "client.changed", "client.changed"];
        assert_eq!(acts(&server, &app.id).await, expected);
    }
}

async fn a_mistake_does_not_make_a_stale_form_a_fresh_one(server: Server) {
    let first = Desk::owner(&server).await;
    let second = Desk::developer(&server).await;
    let app = first.make_app("Shared").await;
    let edit = format!("/apps/{}/edit", app.id);
    let seen = second.get(&edit).await.hidden("version");
    let nameless = [("name", ""), ("version", seen.as_str())];
    let mended = second.post(&edit, &nameless).await;
    assert_eq!((mended.status.as_u16(), mended.hidden("version")), (422, seen.clone()));
    assert_eq!(first.edit(&app.id, &app_form("Named by the first")).await.status, 303);
    let before = standing(&server);
    let late = [&app_form("Named by the second")[..], &[("version", seen.as_str())]].concat();
    second.post(&edit, &late).await.assert_page(409, "Named by the first");
    // Without a version, or with a made-up one, nothing is changed either.
    second.post(&edit, &app_form("No version")).await.assert_page(403, "too old");
    let made_up = [&app_form("Made up")[..], &[("version", "0")]].concat();
    second.post(&edit, &made_up).await.assert_page(409, "Somebody else changed this app");
    assert_eq!(standing(&server), before);
}

async fn of_many_editors_at_once_one_writes_and_each_other_is_told(server: Server) {
    let by = somebody(Role::Owner { partner_id: PARTNER_ID });
    for round in 0..4 {
        let id = server.app(PARTNER_ID, 1).await;
        let seen = record(&server, &id).await;
        let all = (0..8).map(|nth| change(&server, &seen, format!("Round {round}, {nth}")));
        let answers = futures_util::future::join_all(all).await;
        let done: Vec<_> = answers.iter().filter(|answer| answer.is_ok()).collect();
        assert_eq!(done.len(), 1, "{answers:?}");
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            let Refused::Conflict(words) = refused else { panic!("{refused:?}") };
            assert!(words.contains("Somebody else changed this app since you read it"), "{words}");
        }
        assert_eq!(acts(&server, &id).await, ["client.changed"]);
    }
    // The write itself demands all that was seen: a record that is old by any field changes nothing.
    for (field, value) in CHANGES {
        let id = server.app(PARTNER_ID, 1).await;
        let seen = record(&server, &id).await;
        let mut form = AppForm::of(&seen);
        match field {
            "name" => form.name = value.to_owned(),
            "website" => form.website = value.to_owned(),
            "support_contact" => form.support_contact = value.to_owned(),
            "redirect_uris" => form.redirect_uris = vec![value.to_owned()],
            _ => form.scopes = vec![value.to_owned()],
        }
        let (site, version) = (&server.staging, app::version(&seen));
        app::change(&server.portal, site, &by, &seen, (&version, &form)).await.unwrap();
        let late = change(&server, &seen, "Late".to_owned()).await;
        assert!(matches!(late, Err(Refused::Conflict(_))), "{field}: {late:?}");
        assert_ne!(record(&server, &id).await.client.name, "Late");
    }
}

/// Changes the name of an app by what was seen of it.
async fn change(server: &Server, seen: &ClientRecord, name: String) -> Result<(), Refused> {
    let by = somebody(Role::Owner { partner_id: PARTNER_ID });
    let form = AppForm { name, ..AppForm::of(seen) };
    let version = app::version(seen);
    app::change(&server.portal, &server.staging, &by, seen, (&version, &form)).await
}

async fn a_program_that_read_an_older_version_is_told_so(server: Server) {
    let token = server.api_token(PARTNER_ID).await;
    let app = server.app(PARTNER_ID, 1).await;
    let place = format!("/api/v1/apps/{app}");
    let read = server.call(&token, "GET", &place, None).await;
    let version = read.text("version").to_owned();
    let of = |version: &str, name: &str| json!({ "version": version, "name": name });
    let first = server.call(&token, "PATCH", &place, Some(&of(&version, "First"))).await;
    assert_eq!((first.status, first.text("name")), (200, "First"), "{first:?}");
    assert_ne!(first.text("version"), version);
    let entries = server.count("audit");
    let second = server.call(&token, "PATCH", &place, Some(&of(&version, "Second"))).await;
    assert_eq!((second.status, second.text("error")), (409, "conflict"), "{second:?}");
    let words = second.text("message");
    assert!(words.contains("Somebody else changed this app since you read it"), "{words}");
    let unnamed = server.call(&token, "PATCH", &place, Some(&json!({ "name": "Third" }))).await;
    assert_eq!((unnamed.status, unnamed.text("error")), (400, "json"), "{unnamed:?}");
    assert!(unnamed.text("message").contains("version"), "{unnamed:?}");
    let now = server.call(&token, "GET", &place, None).await;
    assert_eq!((now.text("name"), server.count("audit")), ("First", entries));
    // Who comes back to what it was is at that version again: what stands there is what counts.
    let back = of(now.text("version"), read.text("name"));
    let back = server.call(&token, "PATCH", &place, Some(&back)).await;
    assert_eq!(back.text("version"), version, "{back:?}");
}

async fn u2_texts_of_an_app_on_production_change_by_the_api_at_once_too(server: Server) {
    let token = server.api_token(PARTNER_ID).await;
    let live =
        server.client_with(Environment::Production, |client| client.partner_id = PARTNER_ID).await;
    let place = format!("/api/v1/apps/{}", live.id);
    let read = server.call(&token, "GET", &place, None).await;
    let change = json!({
        "version": read.body["version"],
        "name": "Renamed",
        "website": "https://app.example",
        "support_contact": "help@app.example",
    });
    let changed = server.call(&token, "PATCH", &place, Some(&change)).await;
    assert_eq!((changed.status, changed.text("name")), (200, "Renamed"), "{changed:?}");
    let known = server.production.store.client(&live.id).await.unwrap().unwrap();
    assert_eq!(known.client.website.as_deref(), Some("https://app.example"));
    assert_eq!(known.listing.support_contact.as_deref(), Some("help@app.example"));
    assert_eq!(acts(&server, &live.id).await, ["client.changed"]);
    // What has to be decided about is not changed beside it.
    let version = changed.body["version"].clone();
    let wide =
        json!({ "version": version, "name": "Wider", "scopes": ["financial-api", "openid"] });
    let refused = server.call(&token, "PATCH", &place, Some(&wide)).await;
    assert_eq!((refused.status, refused.text("error")), (422, "fields"), "{refused:?}");
    assert_eq!(record(&server, &live.id).await.client.name, "Renamed");
}

on_both_engines! {
    the_second_of_two_editors_overwrites_nothing_unseen_and_sees_what_the_first_wrote,
    a_mistake_does_not_make_a_stale_form_a_fresh_one,
    of_many_editors_at_once_one_writes_and_each_other_is_told,
    a_program_that_read_an_older_version_is_told_so,
    u2_texts_of_an_app_on_production_change_by_the_api_at_once_too,
}

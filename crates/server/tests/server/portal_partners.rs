//! What a manager does with a whole partner, and with what is the company's own.

use grantor::site::Settings;
use grantor::throttle::Limits;

use crate::harness::Server;
use crate::portal_desk::{Desk, app_form, demo_partner};

on_both_engines! {
    u1_each_app_of_a_suspended_partner_tells_its_webhook_and_so_it_does_when_it_is_back,
}

async fn u1_each_app_of_a_suspended_partner_tells_its_webhook_and_so_it_does_when_it_is_back(
    server: Server,
) {
    let owner = Desk::owner(&server).await;
    owner.make_app("A second one").await;
    let url = "https://hooks.example.com/grantor";
    let mut form = vec![("environment", "staging"), ("url", url), ("enabled", "on")];
    form.extend([("events", "client.suspended"), ("events", "client.resumed")]);
    owner.post("/webhooks/new", &form).await.assert_page(200, url);
    let partner = uuid::Uuid::from_bytes(demo_partner(&server).await.id);
    let manager = Desk::manager(&server).await;
    let told = |event: &str| {
        let like = format!("'%\"type\":\"{event}\"%'");
        server.number(&format!("SELECT COUNT(*) FROM outbox WHERE body LIKE {like}"))
    };
    let apps = server
        .number("SELECT COUNT(*) FROM clients WHERE environment = 'staging' AND NOT disabled");
    assert!(apps >= 2);
    assert_eq!(manager.post(&format!("/partners/{partner}/suspend"), &[]).await.status, 303);
    assert_eq!((told("client.suspended"), told("client.resumed")), (apps, 0));
    // Whoever is suspended is told so, and not that there are too many.
    let form = [("name", "Script"), ("scopes", "programme:read")];
    owner.post("/account/api-clients", &form).await.assert_page(409, "is suspended");
    assert_eq!(manager.post(&format!("/partners/{partner}/resume"), &[]).await.status, 303);
    assert_eq!((told("client.suspended"), told("client.resumed")), (apps, apps));
}

/// Each change leaves an entry in a log that nobody shortens: a loop of one partner ends, and no other
/// partner waits for it.
#[tokio::test]
async fn s20_a_partner_changes_so_much_in_a_window_and_no_other_is_held_up() {
    let limits = Limits { failures_per_address: 2, ..Limits::USUAL };
    let settings = Settings { throttling: limits, ..Settings::default() };
    let server = Server::start_with(settings, true).await;
    let owner = Desk::owner(&server).await;
    let stranger = Desk::stranger(&server).await;
    let (app, other) = (owner.make_app("Changing").await, stranger.make_app("Other").await);
    let rename = async |desk: &Desk, id: &str, at: usize| {
        let name = format!("Changed {at}");
        desk.edit(id, &app_form(&name)).await
    };
    for at in 0..10 {
        assert_eq!(rename(&owner, &app.id, at).await.status, 303);
    }
    let entries = server.count("audit");
    let refused = rename(&owner, &app.id, 10).await;
    refused.assert_page(429, "can be tried again in 900 seconds");
    assert_eq!(refused.headers.get("retry-after").unwrap(), "900");
    assert_eq!(server.count("audit"), entries);
    assert_eq!(rename(&stranger, &other.id, 0).await.status, 303);
    // What ends a leak waits for nothing.
    let removed = owner.post(&format!("/apps/{}/logo/remove", app.id), &[]).await;
    assert_eq!(removed.status, 303, "{}", removed.text);
    let team = owner.post("/team/invitations", &[("email", "new@demo.example")]).await;
    assert_eq!(team.status, 429, "{}", team.text);
    server.clock.advance(901);
    assert_eq!(rename(&owner, &app.id, 11).await.status, 303);
}

/// A manager holds what opens the company's own API client, and of no partner's.
#[tokio::test]
async fn u5_a_manager_changes_the_secrets_of_the_companys_own_api_client() {
    let server = Server::start().await;
    let manager = Desk::manager(&server).await;
    let form = [("name", "Script"), ("scopes", "programme:read")];
    let made = manager.post("/account/api-clients", &form).await;
    made.assert_page(200, "Script");
    let at = made.text.find("/account/api-clients/").expect("a form of its own");
    let path = made.text[at..].split("/secrets").next().unwrap().to_owned();
    let second = manager.post(&format!("{path}/secrets"), &[]).await;
    assert_eq!(second.status, 200, "{}", second.text);
    let gone = manager.post(&format!("{path}/secrets/1/remove"), &[]).await;
    assert!(gone.status.is_success() || gone.status.is_redirection(), "{}", gone.text);
}

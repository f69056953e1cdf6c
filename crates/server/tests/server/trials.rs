//! Hard cases on purpose, on staging and nowhere else.

use grantor::programme::{Actor, Refused, log};
use grantor::store::{Act, EndpointOfPartner, EndpointSettings, Role, TrialRecord};
use grantor::trials::Trials;
use grantor::webhook::{EventType, WebhookSecret};
use grantor_protocol::environment::{Environment, Staging};
use grantor_protocol::integration_report::Fact;
use grantor_protocol::trial::{ARMED_SECONDS, Trial};
use serde_json::json;

use crate::calls::{act_of_test, assert_opens, introspect, tokens};
use crate::harness::{Answer, Server, TestClient, basic, form_body};

const HERE: Environment = Environment::Staging;

fn staging() -> Staging {
    HERE.staging().unwrap()
}

/// Begins one as an owner of the client's partner does.
async fn begin(server: &Server, client: &TestClient, trial: Trial) -> Result<(), Refused> {
    let portal = &server.portal;
    let record = portal.store.client(&client.id).await.unwrap().unwrap();
    let role = Role::Owner { partner_id: record.partner_id };
    let actor = Actor { name: "owner@example.com".to_owned(), id: None, role, behalf: None };
    let begun = log::begin(portal, &actor, &record, trial).await;
    server.staging.trials.look(&server.staging.store, server.clock.now()).await;
    begun
}

/// A webhook of the client's partner, for what ends.
async fn webhook(server: &Server, client: &TestClient) {
    let portal = &server.portal;
    let record = portal.store.client(&client.id).await.unwrap().unwrap();
    let of = EndpointOfPartner {
        environment: HERE,
        id: portal.random.id(&server.clock),
        partner_id: record.partner_id,
    };
    let settings = EndpointSettings {
        client_id: None,
        url: "https://hooks.example/grantor".to_owned(),
        events: vec![EventType::GrantRevoked],
        enabled: true,
    };
    let (secret, act) = (WebhookSecret::generate(&portal.random), act_of_test("webhook.added"));
    assert!(portal.keys.add_webhook_endpoint(&of, &settings, (&secret, &act)).await.unwrap());
}

/// There is nothing that it could happen to.
fn assert_nothing_there(begun: Result<(), Refused>) {
    assert!(matches!(begun, Err(Refused::Conflict(_))), "{begun:?}");
}

/// Refreshes, and answers what came, if anything did.
async fn refresh(server: &Server, client: &TestClient, token: &str) -> Option<Answer> {
    let request = reqwest::Client::new()
        .post(server.url("/oauth/token"))
        .header("Authorization", basic(&client.id, &client.secret))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form_body(&[("grant_type", "refresh_token"), ("refresh_token", token)]));
    let response = request.send().await.ok()?;
    let bytes = response.bytes().await.ok()?;
    Some(Answer {
        status: 200,
        headers: reqwest::header::HeaderMap::new(),
        body: serde_json::from_slice(&bytes).unwrap(),
    })
}

async fn s15_d1_a_lost_answer_was_committed_and_the_same_refresh_brings_it_again(server: Server) {
    let (client, other) = (server.client().await, server.client().await);
    let (first, theirs) = (tokens(&server, &client).await, tokens(&server, &other).await);
    begin(&server, &client, Trial::LoseResponse).await.unwrap();
    let armed = server.staging.store.trials(staging(), &client.id).await.unwrap();
    assert_eq!(armed[0].expires_at, server.clock.now() + ARMED_SECONDS);
    // Another client's answer comes.
    assert!(refresh(&server, &other, theirs.text("refresh_token")).await.is_some());
    let generation = |server: &Server| server.number("SELECT MAX(generation) FROM grants");
    assert!(refresh(&server, &client, first.text("refresh_token")).await.is_none());
    assert_eq!(generation(&server), 2);
    // Once, and the repeat brings the successor that was lost.
    let again = refresh(&server, &client, first.text("refresh_token")).await.unwrap();
    assert_opens(&server, again.text("access_token"), true).await;
    let next = refresh(&server, &client, again.text("refresh_token")).await.unwrap();
    assert_opens(&server, next.text("access_token"), true).await;
    let site = &server.staging;
    site.request_log.flush(HERE, &site.store).await;
    let calls = site.store.logged_calls(HERE, &client.id, None, 9).await.unwrap();
    assert!(calls.iter().any(|call| call.trial == Some(Trial::LoseResponse)), "{calls:?}");
}

async fn a_consent_that_is_to_be_denied_is_denied_once_somebody_is_signed_in(server: Server) {
    let client = server.client().await;
    begin(&server, &client, Trial::DenyConsent).await.unwrap();
    let browser = server.browser();
    let page = browser.get(&server.authorize_url(&client, "&state=s1")).await;
    // Nobody is signed in yet: nothing is taken.
    assert_eq!(page.step().as_deref(), Some("sign_in"));
    let denied = browser.sign_in(&page).await;
    denied.assert_refused(&client.redirect_uri, "access_denied", "chose not to allow");
    assert_eq!(server.rows()[..2], [0, 0]);
    // Once: the next one asks.
    let page = browser.get(&server.authorize_url(&client, "&state=s2")).await;
    assert_ne!(page.status.as_u16(), 303, "{}", page.location());
    let records = server.staging.store.trials(staging(), &client.id).await.unwrap();
    let taken_at = Some(server.clock.now());
    assert!(
        matches!(records[..], [TrialRecord { trial: Trial::DenyConsent, taken_at: taken, .. }]
        if taken == taken_at),
        "{records:?}"
    );
}

async fn the_newest_access_token_expires_alone_and_the_newest_connection_ends(server: Server) {
    let client = server.client().await;
    let told = "SELECT COUNT(*) FROM outbox WHERE body LIKE '%\"ended_by\":\"trial\"%'";
    webhook(&server, &client).await;
    assert_nothing_there(begin(&server, &client, Trial::ExpireToken).await);
    assert_nothing_there(begin(&server, &client, Trial::EndGrant).await);
    let first = tokens(&server, &client).await;
    server.clock.advance(1);
    let second = server.refresh(&client, first.text("refresh_token")).await;
    let site = &server.staging;
    site.request_log.flush(HERE, &site.store).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    begin(&server, &client, Trial::ExpireToken).await.unwrap();
    // Once more is no less expired.
    begin(&server, &client, Trial::ExpireToken).await.unwrap();
    assert_opens(&server, first.text("access_token"), true).await;
    assert_opens(&server, second.text("access_token"), false).await;
    let third = server.refresh(&client, second.text("refresh_token")).await;
    assert_opens(&server, third.text("access_token"), true).await;
    assert_eq!(server.number(told), 0);
    begin(&server, &client, Trial::EndGrant).await.unwrap();
    // Its partner's program is told, as of a revocation by the customer.
    assert_eq!(server.number(told), 1);
    let said = introspect(&server, &client, third.text("access_token")).await;
    assert_eq!(said.body, json!({ "active": false }));
    let ended = server.refresh(&client, third.text("refresh_token")).await;
    ended.assert_error(400, "invalid_grant", "The connection was ended");
    let facts = site.store.client_facts(HERE, &client.id).await.unwrap();
    assert!(facts.seen(Fact::TokenExpired).is_some() && facts.seen(Fact::GrantEnded).is_some());
    // Nobody ends what is another client's.
    let (other, now) = (server.client().await, server.clock.now());
    tokens(&server, &other).await;
    let which = grantor::store::WhichConnections {
        environment: HERE,
        client_id: Some(&other.id),
        email: None,
        limit: 1,
    };
    let grant = site.store.connections(&which).await.unwrap().remove(0).grant.id;
    let act = Act { at: now, ..act_of_test("trial.begun") };
    let ended = site.store.end_grant_on_purpose(staging(), &client.id, grant, &act).await;
    assert!(!ended.unwrap());
}

async fn a_trial_waits_ten_minutes_and_is_of_a_client_of_staging(server: Server) {
    let client = server.client().await;
    let store = &server.staging.store;
    begin(&server, &client, Trial::LoseResponse).await.unwrap();
    server.clock.advance(ARMED_SECONDS);
    let now = server.clock.now();
    assert!(!server.staging.trials.take(store, &client.id, Trial::LoseResponse, now).await);
    // What is of production has no proof of staging, and its process arms nothing.
    let production = server.client_with(Environment::Production, |_| ()).await;
    let begun = begin(&server, &production, Trial::LoseResponse).await;
    assert!(matches!(begun, Err(Refused::NotFound)), "{begun:?}");
    assert!(Environment::Production.staging().is_none());
    begin(&server, &client, Trial::LoseResponse).await.unwrap();
    let trials = Trials::of(Environment::Production);
    trials.look(store, now).await;
    assert!(!trials.take(store, &client.id, Trial::LoseResponse, now).await);
}

async fn two_processes_take_a_trial_once(server: Server) {
    let other = server.start_another().await;
    let client = server.client().await;
    let now = server.clock.now();
    for _ in 0..5 {
        begin(&server, &client, Trial::DenyConsent).await.unwrap();
        other.staging.trials.look(&other.staging.store, now).await;
        let take = async |server: &Server| {
            let site = &server.staging;
            site.trials.take(&site.store, &client.id, Trial::DenyConsent, now).await
        };
        let (one, two) = tokio::join!(take(&server), take(&other));
        assert!(one != two, "{one} {two}");
    }
}

on_both_engines! {
    s15_d1_a_lost_answer_was_committed_and_the_same_refresh_brings_it_again,
    a_consent_that_is_to_be_denied_is_denied_once_somebody_is_signed_in,
    the_newest_access_token_expires_alone_and_the_newest_connection_ends,
    a_trial_waits_ten_minutes_and_is_of_a_client_of_staging,
    two_processes_take_a_trial_once,
}

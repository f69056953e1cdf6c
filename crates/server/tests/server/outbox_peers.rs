//! What others verify: the specification's own library, and the receivers of the docs as they stand
//! there.

use std::process::Stdio;

use grantor::clock::Clock;
use grantor::outbound::{Outbound, Post, Reach};
use grantor::outbox::{Delivering, Outbox};
use grantor::random::Random;
use grantor::store::{EndpointOfPartner, EndpointSettings};
use grantor::webhook::{Event, EventType, Notice, WebhookSecret, message_name, sign};
use grantor_protocol::environment::Environment;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::calls::act_of_test;
use crate::harness::Server;

const DOCS: &str = include_str!("../../../../docs/reference/webhooks.md");

#[test]
fn the_specifications_own_library_takes_what_is_signed_here_and_nothing_else() {
    let secrets = [(); 2].map(|()| WebhookSecret::generate(&Random::system()));
    let peers =
        secrets.clone().map(|secret| standardwebhooks::Webhook::new(&secret.to_text()).unwrap());
    let stranger = WebhookSecret::generate(&Random::system()).to_text();
    let stranger = standardwebhooks::Webhook::new(&stranger).unwrap();
    let body = r#"{"type":"ping","timestamp":"2027-01-15T08:00:00Z","data":{"note":"Grüße"}}"#;
    let now = Clock::system().now();
    let headers = |at: i64| {
        let signed = sign(&secrets, &message_name([7; 16]), body, at);
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("webhook-id", signed.id.parse().unwrap());
        headers.insert("webhook-timestamp", signed.timestamp.parse().unwrap());
        headers.insert("webhook-signature", signed.signature.parse().unwrap());
        headers
    };
    for peer in &peers {
        peer.verify(body.as_bytes(), &headers(now)).unwrap();
        assert!(peer.verify(b"{}", &headers(now)).is_err());
        assert!(peer.verify(body.as_bytes(), &headers(now - 3600)).is_err());
        let mut other = headers(now);
        other.insert("webhook-id", "msg_other".parse().unwrap());
        assert!(peer.verify(body.as_bytes(), &other).is_err());
    }
    assert!(stranger.verify(body.as_bytes(), &headers(now)).is_err());
}

/// The code of the docs in that language.
fn code(language: &str) -> &'static str {
    let begin = format!("```{language}\n");
    DOCS.split_once(&begin).unwrap().1.split_once("\n```").unwrap().0
}

/// Starts a receiver, and waits until it listens.
async fn listening(command: &mut Command, port: u16, secret: &WebhookSecret) -> Child {
    let mut child = command
        .env("PORT", port.to_string())
        .env("WEBHOOK_SECRET", secret.to_text().as_str())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(child.try_wait().unwrap().is_none(), "the receiver ended");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    child
}

/// Runs a receiver of the docs, delivers a real message to it, and then calls that are none.
async fn receive(program: &str, language: &str, file: &str) {
    let server = Server::start().await;
    let path = server.folder.path().join(file);
    std::fs::write(&path, code(language)).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/");
    let secret = WebhookSecret::generate(&Random::system());
    let mut child = listening(Command::new(program).arg(&path), port, &secret).await;

    // Receivers compare times with their own clock.
    let (clock, random) = (Clock::system(), Random::system());
    let (store, keys) = (&server.staging.store, &server.staging.keys);
    let client = server.client().await;
    let partner_id = store.partners().await.unwrap()[0].id;
    let id = random.id(&clock);
    let endpoint = EndpointOfPartner { environment: Environment::Staging, id, partner_id };
    let events = EventType::ALL.to_vec();
    let settings = EndpointSettings { client_id: None, url: url.clone(), events, enabled: true };
    let act = act_of_test("webhook.added");
    assert!(keys.add_webhook_endpoint(&endpoint, &settings, (&secret, &act)).await.unwrap());
    let notice = |event| Notice::new((&clock, &random), Environment::Staging, &client.id, event);
    let declined = notice(Event::ClientDeclined { note: Some("Grüße, \u{202e}\n".to_owned()) });
    store.tell_event(&declined).await.unwrap();
    let outbound = Outbound::new(Reach::ThisMachine, clock.clone());
    let mut outbox = Outbox::new(Delivering {
        store: store.clone(),
        keys: keys.clone(),
        outbound: outbound.clone(),
        mailer: None,
        clock: clock.clone(),
        random: random.clone(),
    });
    assert_eq!(outbox.take().await.unwrap(), 1);
    outbox.settle().await;
    let delivery = store.deliveries(&endpoint, None, 1).await.unwrap().remove(0);
    assert_eq!((delivery.status, delivery.fault), (Some(204), None), "{program}");

    let call = async |secrets: &[WebhookSecret], at: i64, body: &str| {
        let signed = sign(secrets, &message_name(declined.id), &declined.body(), at);
        let headers = [
            ("webhook-id", signed.id.as_str()),
            ("webhook-timestamp", signed.timestamp.as_str()),
            ("webhook-signature", signed.signature.as_str()),
        ];
        outbound.post(&Post { address: &url, headers: &headers, body }).await.unwrap()
    };
    let body = declined.body();
    let stranger = WebhookSecret::generate(&random);
    let now = clock.now();
    let own = std::slice::from_ref(&secret);
    assert_eq!(call(own, now, &body).await, 204, "a double is answered well");
    assert_eq!(call(&[stranger.clone(), secret.clone()], now, &body).await, 204);
    assert_eq!(call(&[stranger], now, &body).await, 401);
    assert_eq!(call(own, now, &body.replace("declined", "approved")).await, 401);
    assert_eq!(call(own, now - 3600, &body).await, 401);
    let bare = Post { address: &url, headers: &[], body: &body };
    assert_eq!(outbound.post(&bare).await.unwrap(), 401);
    // What was told, was told once.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "client.declined");
    child.kill().await.unwrap();
    assert_eq!(lines.next_line().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receiver_of_the_docs_in_node_takes_what_is_ours_and_nothing_else() {
    receive("node", "js", "receiver.mjs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receiver_of_the_docs_in_python_takes_what_is_ours_and_nothing_else() {
    receive("python3", "python", "receiver.py").await;
}

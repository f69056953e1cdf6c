//! The outbox and its webhooks: a real receiver over real HTTP, on both engines.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use grantor::mail::Mailer;
use grantor::outbound::{Outbound, OutboundFault, Post, Reach};
use grantor::outbox::{Delivering, LEASE_SECONDS, Outbox, WAITS_SECONDS};
use grantor::random::Random;
use grantor::store::{Act, Along, Delivery, EndpointOfPartner, EndpointSettings, WebhookEndpoint};
use grantor::webhook::{Ended, EndedBy, Event, EventType, Notice, WebhookSecret, sign};
use grantor_protocol::environment::Environment;
use serde_json::Value;

use crate::calls::{act_of_test, connect, database_bytes, holds, row};
use crate::harness::{START, Server, TestClient};

const STAGING: Environment = Environment::Staging;

/// One call as it came.
#[derive(Clone, Debug)]
struct Received {
    id: String,
    timestamp: String,
    signature: String,
    body: String,
}

/// What a receiver answers with.
#[derive(Clone, Copy)]
enum Answering {
    Status(u16),
    /// To that path of its own.
    Redirect(u16),
    /// After so long.
    Late(Duration),
}

/// A partner's server: it keeps what comes, and answers as it is told.
#[derive(Clone)]
struct Receiver(Arc<Inside>);

struct Inside {
    url: String,
    received: Mutex<Vec<Received>>,
    answering: Mutex<Answering>,
    /// How many calls are under way now, and were at most.
    at_once: Mutex<(usize, usize)>,
}

impl Receiver {
    async fn start() -> Receiver {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Receiver(Arc::new(Inside {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            received: Mutex::default(),
            answering: Mutex::new(Answering::Status(204)),
            at_once: Mutex::default(),
        }));
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn answers(&self, answering: Answering) {
        *self.0.answering.lock().unwrap() = answering;
    }

    fn received(&self) -> Vec<Received> {
        self.0.received.lock().unwrap().clone()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name| headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(text("content-type"), "application/json");
    receiver.0.received.lock().unwrap().push(Received {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    {
        let mut at_once = receiver.0.at_once.lock().unwrap();
        at_once.0 += 1;
        at_once.1 = at_once.1.max(at_once.0);
    }
    let answering = *receiver.0.answering.lock().unwrap();
    let response = match answering {
        Answering::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answering::Redirect(status) => {
            (StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")]).into_response()
        }
        Answering::Late(duration) => {
            tokio::time::sleep(duration).await;
            StatusCode::OK.into_response()
        }
    };
    receiver.0.at_once.lock().unwrap().0 -= 1;
    response
}

/// What delivers for a server, as `grantor dev` does.
fn outbox(server: &Server) -> Outbox {
    Outbox::new(Delivering {
        store: server.staging.store.clone(),
        keys: server.staging.keys.clone(),
        outbound: Outbound::new(Reach::ThisMachine, server.clock.clone()),
        mailer: Some(Mailer::Mailbox),
        clock: server.clock.clone(),
        random: Random::system(),
    })
}

/// Takes what is due, and waits until it was dealt with.
async fn deliver(outbox: &mut Outbox) -> usize {
    let mut all = 0;
    loop {
        let taken = outbox.take().await.unwrap();
        outbox.settle().await;
        all += taken;
        if taken == 0 {
            return all;
        }
    }
}

/// An endpoint that wants everything of all clients, and its secret.
async fn endpoint(server: &Server, url: &str) -> (EndpointOfPartner, WebhookSecret) {
    let settings = EndpointSettings {
        client_id: None,
        url: url.to_owned(),
        events: EventType::ALL.to_vec(),
        enabled: true,
    };
    endpoint_with(server, &settings).await
}

async fn endpoint_with(
    server: &Server,
    settings: &EndpointSettings,
) -> (EndpointOfPartner, WebhookSecret) {
    let site = &server.staging;
    let partner_id = site.store.partners().await.unwrap()[0].id;
    let id = site.random.id(&site.clock);
    let endpoint = EndpointOfPartner { environment: STAGING, id, partner_id };
    let secret = WebhookSecret::generate(&Random::system());
    assert!(
        site.keys
            .add_webhook_endpoint(&endpoint, settings, (&secret, &act_of_test("webhook.added")))
            .await
            .unwrap()
    );
    (endpoint, secret)
}

async fn tell(server: &Server, client: &TestClient, event: Event) -> [u8; 16] {
    let notice = server.staging.notice(&client.id, event);
    server.staging.store.tell_event(&notice).await.unwrap();
    notice.id
}

async fn listed(server: &Server, endpoint: &EndpointOfPartner) -> WebhookEndpoint {
    let all = server.staging.store.webhook_endpoints(STAGING, endpoint.partner_id).await.unwrap();
    all.into_iter().find(|each| each.of == *endpoint).unwrap()
}

async fn deliveries(server: &Server, endpoint: &EndpointOfPartner) -> Vec<Delivery> {
    server.staging.store.deliveries(endpoint, None, 100).await.unwrap()
}

fn data(received: &Received) -> Value {
    serde_json::from_str(&received.body).unwrap()
}

async fn a_reuse_is_told_once_signed_and_in_the_transaction_that_ends_the_connection(
    server: Server,
) {
    let receiver = Receiver::start().await;
    let (_, secret) = endpoint(&server, &receiver.0.url).await;
    let client = server.client().await;
    let (first, grant_id) = connect(&server, &client).await;
    let second = server.refresh(&client, first.text("refresh_token")).await;
    server.refresh(&client, second.text("refresh_token")).await;
    // A refresh that goes well, and one that is repeated inside the window, tell nothing.
    assert_eq!(server.count("outbox"), 0);
    for _ in 0..3 {
        let answer = server.refresh(&client, first.text("refresh_token")).await;
        assert_eq!(answer.status, 400);
    }
    assert_eq!(server.count("outbox"), 1, "of three, one ended it");
    assert_eq!(deliver(&mut outbox(&server)).await, 1);
    let received = receiver.received();
    let [call] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!(call.timestamp, START.to_string());
    assert_eq!(call.signature, sign(&[secret], &call.id, &call.body, START).signature);
    let body = data(call);
    assert_eq!(body["type"], "grant.reuse_detected");
    assert_eq!(body["data"]["client_id"], client.id.as_str());
    assert_eq!(body["data"]["reused"], "refresh_token");
    let grant = row(&server, grant_id).await;
    let uuid = |id: [u8; 16]| uuid::Uuid::from_bytes(id).to_string();
    assert_eq!(body["data"]["sub"], uuid(grant.customer_id));
    assert_eq!(body["data"]["grant_id"], uuid(grant_id));
    assert_eq!(deliver(&mut outbox(&server)).await, 0, "what was delivered stays delivered");
}

async fn an_ending_is_told_to_each_endpoint_that_wants_it_and_to_no_other(server: Server) {
    let receiver = Receiver::start().await;
    let (client, other) = (server.client().await, server.client().await);
    let store = &server.staging.store;
    let url = |path: &str| format!("{}/{path}", receiver.0.url);
    let settings = |client_id: Option<&TestClient>, events: &[EventType], path: &str| {
        let client_id = client_id.map(|client| client.id.clone());
        EndpointSettings { client_id, url: url(path), events: events.to_vec(), enabled: true }
    };
    let wants = [EventType::GrantRevoked];
    let (all, _) = endpoint_with(&server, &settings(None, &wants, "all")).await;
    let (one, _) = endpoint_with(&server, &settings(Some(&client), &wants, "one")).await;
    let (ping, _) = endpoint_with(&server, &settings(None, &[EventType::Ping], "ping")).await;
    let off = EndpointSettings { enabled: false, ..settings(None, &wants, "off") };
    let (off, _) = endpoint_with(&server, &off).await;
    let site = &server.staging;
    let notice = |client: &TestClient| {
        let event = Event::GrantRevoked { ended: Ended::All, by: EndedBy::Company };
        site.notice(&client.id, event)
    };
    for told in [&client, &other] {
        let notices = [notice(told)];
        let along = Along::Told(&notices);
        assert!(store.end_grants_of_client(STAGING, &told.id, along).await.unwrap());
    }
    // What does not happen is not told.
    let nobody =
        TestClient { id: "nobody".into(), secret: String::new(), redirect_uri: String::new() };
    let refused = [notice(&nobody)];
    let along = Along::Told(&refused);
    assert!(!store.end_grants_of_client(STAGING, "nobody", along).await.unwrap());
    let record = store.client(&client.id).await.unwrap().unwrap();
    let refused = Act { notices: vec![notice(&client)], ..act() };
    assert!(!store.switch_app(&record, false, &refused).await.unwrap());
    for (endpoint, calls) in [(all, 2), (one, 1), (ping, 0), (off, 0)] {
        assert_eq!(deliveries(&server, &endpoint).await.len(), calls);
    }
    assert_eq!(deliver(&mut outbox(&server)).await, 3);
    let received = receiver.received();
    let first: Vec<_> = received
        .iter()
        .filter(|call| data(call)["data"]["client_id"] == client.id.as_str())
        .collect();
    assert_eq!(first.len(), 2);
    assert_eq!(first[0].id, first[1].id, "one event has one id, to whomever it is told");
    assert_ne!(first[0].signature, first[1].signature, "each endpoint has a secret of its own");
}

async fn a_receiver_that_fails_is_tried_again_later_each_time_with_the_same_id(server: Server) {
    let receiver = Receiver::start().await;
    let (endpoint, _) = endpoint(&server, &receiver.0.url).await;
    let client = server.client().await;
    let mut outbox = outbox(&server);
    receiver.answers(Answering::Status(500));
    tell(&server, &client, Event::Ping).await;
    for wait in [5, 30, 300] {
        assert_eq!(deliver(&mut outbox).await, 1);
        let [delivery] = &deliveries(&server, &endpoint).await[..] else { panic!() };
        assert_eq!(delivery.status, Some(500));
        let next = delivery.next_try_at.unwrap() - server.clock.now();
        assert!((wait..=wait + wait / 5).contains(&next), "{next}");
        server.clock.advance(wait - 1);
        assert_eq!(deliver(&mut outbox).await, 0, "not before its time");
        server.clock.advance(1 + wait / 5);
    }
    assert_eq!(listed(&server, &endpoint).await.failures, 3);
    receiver.answers(Answering::Status(200));
    assert_eq!(deliver(&mut outbox).await, 1);
    let [delivery] = &deliveries(&server, &endpoint).await[..] else { panic!() };
    assert_eq!((delivery.attempts, delivery.status, &delivery.fault), (4, Some(200), &None));
    assert_eq!((delivery.next_try_at, delivery.gave_up_at), (None, None));
    assert_eq!(delivery.delivered_at, Some(server.clock.now()));
    let shown = listed(&server, &endpoint).await;
    assert_eq!((shown.failures, shown.status, shown.fault), (0, Some(200), None));
    let received = receiver.received();
    assert_eq!(received.len(), 4);
    assert!(received.iter().all(|call| call.id == received[0].id && call.body == received[0].body));
    assert_ne!(received[0].signature, received[3].signature, "each try has its own time");
}

async fn a_receiver_that_never_takes_it_is_given_up_and_asked_again_by_its_owner(server: Server) {
    let receiver = Receiver::start().await;
    let (endpoint, _) = endpoint(&server, &receiver.0.url).await;
    let client = server.client().await;
    let mut outbox = outbox(&server);
    receiver.answers(Answering::Status(503));
    let id = tell(&server, &client, Event::Ping).await;
    for wait in WAITS_SECONDS.into_iter().chain([0]) {
        assert_eq!(deliver(&mut outbox).await, 1);
        server.clock.advance(wait + wait / 5);
    }
    server.clock.advance(30 * 24 * 3600);
    assert_eq!(deliver(&mut outbox).await, 0);
    let [delivery] = &deliveries(&server, &endpoint).await[..] else { panic!() };
    let tries = i64::try_from(WAITS_SECONDS.len()).unwrap() + 1;
    assert_eq!((delivery.attempts, delivery.next_try_at), (tries, None));
    assert!(delivery.gave_up_at.is_some());
    // Its owner sends it once more, and nobody else does.
    let store = &server.staging.store;
    let again = Act { at: server.clock.now(), ..act_of_test("webhook.redelivered") };
    let stranger = EndpointOfPartner { partner_id: [7; 16], ..endpoint };
    assert!(!store.redeliver(&stranger, id, &again).await.unwrap());
    assert!(!store.redeliver(&endpoint, [7; 16], &again).await.unwrap());
    receiver.answers(Answering::Status(200));
    assert!(store.redeliver(&endpoint, id, &again).await.unwrap());
    assert!(!store.redeliver(&endpoint, id, &again).await.unwrap(), "it waits already");
    assert_eq!(deliver(&mut outbox).await, 1);
    let received = receiver.received();
    assert_eq!(received[0].id, received.last().unwrap().id);
    assert!(deliveries(&server, &endpoint).await[0].delivered_at.is_some());
    // What is old goes.
    assert!(!store.remove_old_messages(START, 500).await.unwrap());
    assert_eq!(server.count("outbox"), 1);
    store.remove_old_messages(START + 1, 500).await.unwrap();
    assert_eq!(server.count("outbox"), 0);
}

async fn gone_switches_the_endpoint_off_and_nothing_of_it_waits_any_more(server: Server) {
    let receiver = Receiver::start().await;
    let (endpoint, _) = endpoint(&server, &receiver.0.url).await;
    let client = server.client().await;
    let mut outbox = outbox(&server);
    receiver.answers(Answering::Status(500));
    tell(&server, &client, Event::Ping).await;
    deliver(&mut outbox).await;
    receiver.answers(Answering::Status(410));
    tell(&server, &client, Event::Ping).await;
    deliver(&mut outbox).await;
    let shown = listed(&server, &endpoint).await;
    assert!(!shown.settings.enabled);
    assert_eq!(
        (shown.status, shown.fault.as_ref().unwrap().contains("410 Gone")),
        (Some(410), true)
    );
    assert!(deliveries(&server, &endpoint).await.iter().all(|each| each.gave_up_at.is_some()));
    // It hears of nothing new, and what was given up is not sent again while it is off.
    let id = tell(&server, &client, Event::Ping).await;
    assert_eq!(deliveries(&server, &endpoint).await.len(), 2);
    let store = &server.staging.store;
    let again = Act { at: server.clock.now(), ..act_of_test("webhook.redelivered") };
    assert!(!store.redeliver(&endpoint, id, &again).await.unwrap());
    let settings = EndpointSettings { enabled: true, ..shown.settings.clone() };
    let change = (&shown, &settings);
    assert!(store.change_webhook_endpoint(&endpoint, change, &act()).await.unwrap());
    receiver.answers(Answering::Status(200));
    tell(&server, &client, Event::Ping).await;
    assert_eq!(deliver(&mut outbox).await, 1);
}

async fn an_endpoint_is_its_partners_alone_and_ends_with_its_messages(server: Server) {
    let (endpoint, _) = endpoint(&server, "https://hooks.partner.example/grantor").await;
    let client = server.client().await;
    tell(&server, &client, Event::Ping).await;
    let store = &server.staging.store;
    let stranger = EndpointOfPartner { partner_id: [7; 16], ..endpoint };
    let seen = listed(&server, &endpoint).await;
    let settings = EndpointSettings { enabled: false, ..seen.settings.clone() };
    let change = (&seen, &settings);
    assert!(!store.change_webhook_endpoint(&stranger, change, &act()).await.unwrap());
    assert!(!store.remove_webhook_endpoint(&stranger, &act()).await.unwrap());
    assert!(!store.remove_webhook_secret(&stranger, 1, &act()).await.unwrap());
    assert!(store.deliveries(&stranger, None, 10).await.unwrap().is_empty());
    assert!(store.webhook_endpoints(STAGING, [7; 16]).await.unwrap().is_empty());
    let keys = &server.staging.keys;
    let secret = WebhookSecret::generate(&Random::system());
    assert_eq!(
        keys.add_webhook_secret(&stranger, (&secret, &act_of_test("webhook.added"))).await.unwrap(),
        None
    );
    assert!(
        !keys
            .add_webhook_endpoint(&stranger, &settings, (&secret, &act_of_test("webhook.added")))
            .await
            .unwrap()
    );
    // A client of nobody's is not taken either.
    let strange = EndpointSettings { client_id: Some("nobody".into()), ..settings.clone() };
    assert!(!store.change_webhook_endpoint(&endpoint, (&seen, &strange), &act()).await.unwrap());
    // Nor what was changed since it was read.
    let other = WebhookEndpoint { settings: strange, ..seen.clone() };
    let late = (&other, &settings);
    assert!(!store.change_webhook_endpoint(&endpoint, late, &act()).await.unwrap());
    // What a later version wanted to hear of is no obstacle for this one.
    server.execute("UPDATE webhook_endpoints SET events = events || ' grant.renamed'");
    let seen = listed(&server, &endpoint).await;
    let change = (&seen, &settings);
    assert!(listed(&server, &endpoint).await.settings.enabled);
    assert_eq!(deliveries(&server, &endpoint).await[0].gave_up_at, None);
    // Switched off, nothing of it waits.
    assert!(store.change_webhook_endpoint(&endpoint, change, &act()).await.unwrap());
    assert_eq!(deliveries(&server, &endpoint).await[0].gave_up_at, Some(START));
    assert!(store.remove_webhook_endpoint(&endpoint, &act()).await.unwrap());
    assert_eq!((server.count("outbox"), server.count("webhook_endpoints")), (0, 0));
}

async fn u5_two_secrets_sign_while_one_is_changed_and_the_last_one_stays(server: Server) {
    let receiver = Receiver::start().await;
    let (endpoint, first) = endpoint(&server, &receiver.0.url).await;
    let client = server.client().await;
    let (store, keys) = (&server.staging.store, &server.staging.keys);
    let mut outbox = outbox(&server);
    assert!(
        !store.remove_webhook_secret(&endpoint, 1, &act()).await.unwrap(),
        "the last one stays"
    );
    let second = WebhookSecret::generate(&Random::system());
    assert_eq!(
        keys.add_webhook_secret(&endpoint, (&second, &act_of_test("webhook.added"))).await.unwrap(),
        Some(2)
    );
    assert_eq!(
        keys.add_webhook_secret(&endpoint, (&second, &act_of_test("webhook.added"))).await.unwrap(),
        None,
        "never a third"
    );
    tell(&server, &client, Event::Ping).await;
    deliver(&mut outbox).await;
    let both = [first, second.clone()];
    let call = &receiver.received()[0];
    assert_eq!(call.signature, sign(&both, &call.id, &call.body, START).signature);
    assert!(store.remove_webhook_secret(&endpoint, 1, &act()).await.unwrap());
    assert!(
        !store.remove_webhook_secret(&endpoint, 2, &act()).await.unwrap(),
        "the last one stays"
    );
    tell(&server, &client, Event::Ping).await;
    deliver(&mut outbox).await;
    let call = &receiver.received()[1];
    assert_eq!(call.signature, sign(&[second], &call.id, &call.body, START).signature);
}

async fn d9_a_rekey_takes_the_secrets_with_it_and_a_running_outbox_signs_on(server: Server) {
    let receiver = Receiver::start().await;
    let (endpoint, first) = endpoint(&server, &receiver.0.url).await;
    let client = server.client().await;
    let second = WebhookSecret::generate(&Random::system());
    server
        .staging
        .keys
        .add_webhook_secret(&endpoint, (&second, &act_of_test("webhook.added")))
        .await
        .unwrap();
    let file = server.folder.path().join("master.key");
    server.master_key.write(&file).unwrap();
    let store = server.another_store().await;
    let rekeyed =
        grantor::keys::rekey::rekey(&store, &file, &Random::system(), None).await.unwrap();
    for column in ["webhook_endpoints.secret_1", "webhook_endpoints.secret_2"] {
        let count = rekeyed.counts.iter().find(|count| count.column == column).unwrap();
        assert_eq!(count.values, 1, "{column}");
    }
    tell(&server, &client, Event::Ping).await;
    // The process read its key before; it finds the new one beside it, as a server does.
    let key = grantor::master_key::MasterKey::read(&file).unwrap();
    let random = Random::system();
    let keys = grantor::keys::Keys::open(&store, &key, &server.clock, &random).await.unwrap();
    let mut outbox = Outbox::new(Delivering {
        store: server.staging.store.clone(),
        keys,
        outbound: Outbound::new(Reach::ThisMachine, server.clock.clone()),
        mailer: None,
        clock: server.clock.clone(),
        random: Random::system(),
    });
    assert_eq!(deliver(&mut outbox).await, 1);
    let call = &receiver.received()[0];
    assert_eq!(call.signature, sign(&[first, second], &call.id, &call.body, START).signature);
}

async fn many_processes_send_each_message_once(server: Server) {
    const MESSAGES: usize = 60;
    let receiver = Receiver::start().await;
    endpoint(&server, &receiver.0.url).await;
    let client = server.client().await;
    for _ in 0..MESSAGES {
        tell(&server, &client, Event::Ping).await;
    }
    receiver.answers(Answering::Late(Duration::from_millis(5)));
    let mut processes = Vec::new();
    for _ in 0..3 {
        let mut outbox = Outbox::new(Delivering {
            store: server.another_store().await,
            keys: server.staging.keys.clone(),
            outbound: Outbound::new(Reach::ThisMachine, server.clock.clone()),
            mailer: None,
            clock: server.clock.clone(),
            random: Random::system(),
        });
        processes.push(tokio::spawn(async move { deliver(&mut outbox).await }));
    }
    let mut sent = 0;
    for process in processes {
        sent += process.await.unwrap();
    }
    assert_eq!(sent, MESSAGES);
    let mut ids: Vec<String> = receiver.received().into_iter().map(|call| call.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), receiver.received().len()), (MESSAGES, MESSAGES));
    let most = receiver.0.at_once.lock().unwrap().1;
    assert!(most <= 12, "{most} at once, and each of three processes may have four");
}

async fn a_process_that_dies_while_it_sends_leaves_a_lease_that_ends(server: Server) {
    let receiver = Receiver::start().await;
    let (endpoint, _) = endpoint(&server, &receiver.0.url).await;
    let client = server.client().await;
    tell(&server, &client, Event::Ping).await;
    receiver.answers(Answering::Late(Duration::from_secs(60)));
    let mut dying = outbox(&server);
    assert_eq!(dying.take().await.unwrap(), 1);
    // It has sent, and is gone before it wrote.
    while receiver.received().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(dying);
    receiver.answers(Answering::Status(200));
    let mut other = outbox(&server);
    assert_eq!(deliver(&mut other).await, 0, "somebody has the lease");
    server.clock.advance(LEASE_SECONDS);
    assert_eq!(deliver(&mut other).await, 1);
    let received = receiver.received();
    assert_eq!(received.len(), 2, "at least once");
    assert_eq!(received[0].id, received[1].id, "and by its id the receiver drops the double");
    assert_eq!(deliveries(&server, &endpoint).await[0].attempts, 2);
}

async fn a_dead_receiver_with_a_backlog_holds_up_nobody(server: Server) {
    let (dead, living) = (Receiver::start().await, Receiver::start().await);
    endpoint(&server, &dead.0.url).await;
    let client = server.client().await;
    dead.answers(Answering::Late(Duration::from_secs(600)));
    for _ in 0..50 {
        tell(&server, &client, Event::Ping).await;
    }
    let mut outbox = outbox(&server);
    outbox.take().await.unwrap();
    outbox.take().await.unwrap();
    endpoint(&server, &living.0.url).await;
    tell(&server, &client, Event::Ping).await;
    outbox.take().await.unwrap();
    let arrived = async {
        while living.received().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), arrived).await.unwrap();
    let under_way = dead.received().len();
    assert!(under_way <= 4, "{under_way} calls to one dead receiver at once");
}

async fn s28_a_webhook_secret_stands_nowhere_in_clear(server: Server) {
    use base64::Engine as _;
    let receiver = Receiver::start().await;
    let (endpoint, first) = endpoint(&server, &receiver.0.url).await;
    let second = WebhookSecret::generate(&Random::system());
    server
        .staging
        .keys
        .add_webhook_secret(&endpoint, (&second, &act_of_test("webhook.added")))
        .await
        .unwrap();
    tell(&server, &server.client().await, Event::Ping).await;
    deliver(&mut outbox(&server)).await;
    let dump = match server.address() {
        grantor::store::Address::Sqlite(_) => database_bytes(server.folder.path()),
        grantor::store::Address::Postgres(_) => {
            let sql = "SELECT length(secret_1) FROM webhook_endpoints";
            assert!(server.number(sql) > 32, "it is encrypted");
            return;
        }
    };
    for secret in [&first, &second] {
        assert!(!holds(&dump, secret.as_bytes()));
        let text = base64::engine::general_purpose::STANDARD.encode(secret.as_bytes());
        assert!(!holds(&dump, text.as_bytes()));
    }
}

on_both_engines! {
    a_reuse_is_told_once_signed_and_in_the_transaction_that_ends_the_connection,
    an_ending_is_told_to_each_endpoint_that_wants_it_and_to_no_other,
    a_receiver_that_fails_is_tried_again_later_each_time_with_the_same_id,
    a_receiver_that_never_takes_it_is_given_up_and_asked_again_by_its_owner,
    gone_switches_the_endpoint_off_and_nothing_of_it_waits_any_more,
    an_endpoint_is_its_partners_alone_and_ends_with_its_messages,
    u5_two_secrets_sign_while_one_is_changed_and_the_last_one_stays,
    d9_a_rekey_takes_the_secrets_with_it_and_a_running_outbox_signs_on,
    many_processes_send_each_message_once,
    a_process_that_dies_while_it_sends_leaves_a_lease_that_ends,
    a_dead_receiver_with_a_backlog_holds_up_nobody,
    s28_a_webhook_secret_stands_nowhere_in_clear,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s23_a_redirect_is_a_failure_and_not_followed() {
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    let (endpoint, _) = endpoint(&server, &receiver.0.url).await;
    let client = server.client().await;
    let mut outbox = outbox(&server);
    for status in [301, 302, 303, 307, 308] {
        receiver.answers(Answering::Redirect(status));
        let id = tell(&server, &client, Event::Ping).await;
        assert_eq!(deliver(&mut outbox).await, 1);
        let all = deliveries(&server, &endpoint).await;
        let newest = all.into_iter().find(|delivery| delivery.id == id).unwrap();
        assert_eq!(newest.status, Some(i64::from(status)));
        assert!(newest.fault.unwrap().contains("Redirects are not followed"), "{status}");
    }
    assert_eq!(receiver.received().len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s23_outside_dev_nothing_on_this_machine_or_inside_is_called() {
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    let outbound = Outbound::new(Reach::Public, server.clock.clone());
    let inside = receiver.0.url.replace("http://", "https://");
    for (address, fault) in [
        (receiver.0.url.as_str(), OutboundFault::Address),
        (&inside, OutboundFault::Address),
        ("https://127.0.0.1/", OutboundFault::NotPublic),
        ("https://10.0.0.1/", OutboundFault::NotPublic),
        ("https://169.254.169.254/latest/", OutboundFault::NotPublic),
        ("https://[::1]/", OutboundFault::NotPublic),
    ] {
        let post = Post { address, headers: &[], body: "{}" };
        assert_eq!(outbound.post(&post).await, Err(fault), "{address}");
    }
    let (endpoint, _) = endpoint(&server, "https://127.0.0.1/").await;
    tell(&server, &server.client().await, Event::Ping).await;
    let mut public = Outbox::new(Delivering {
        store: server.staging.store.clone(),
        keys: server.staging.keys.clone(),
        outbound,
        mailer: None,
        clock: server.clock.clone(),
        random: Random::system(),
    });
    assert_eq!(deliver(&mut public).await, 1);
    let fault = deliveries(&server, &endpoint).await.remove(0).fault.unwrap();
    assert_eq!(fault, "Its host cannot be reached over the open internet.");
    assert!(receiver.received().is_empty());
}

#[tokio::test(start_paused = true)]
async fn s23_a_receiver_that_never_answers_is_left_after_fifteen_seconds() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let outbound = Outbound::new(Reach::ThisMachine, grantor::clock::Clock::manual(START));
    let post = Post { address: &address, headers: &[], body: "{}" };
    assert_eq!(outbound.post(&post).await, Err(OutboundFault::TooSlow));
}

/// What an operator types, on the data that a server serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_ending_by_an_operator_is_told() {
    let server = Server::start().await;
    let (endpoint, _) = endpoint(&server, "https://hooks.partner.example/grantor").await;
    let demo = server.demo_client();
    let browser = server.browser();
    let code =
        crate::harness::query(&browser.allow(&server.authorize_url(&demo, "")).await, "code");
    let tokens = server.exchange(&demo, &code.unwrap()).await;
    assert_eq!(tokens.status, 200);
    let which = grantor::store::WhichConnections {
        environment: STAGING,
        client_id: None,
        email: None,
        limit: 1,
    };
    let grant = server.staging.store.connections(&which).await.unwrap().remove(0).grant;
    let grant_id = uuid::Uuid::from_bytes(grant.id).to_string();
    let partner_id = uuid::Uuid::from_bytes(endpoint.partner_id).to_string();
    let customer = ["--environment", "staging", "--email", grantor::demo::CUSTOMER_EMAIL];
    let data = ["--data", server.folder.path().to_str().unwrap()];
    let mut told = Vec::new();
    for (command, arguments, wanted) in [
        (["grant", "revoke"], &["--environment", "staging", &grant_id][..], "connection"),
        (["client", "end-connections"], &[demo.id.as_str()], "client"),
        (["customer", "end-connections"], &customer, "customer"),
        (["customer", "disable"], &customer, "customer"),
        (["client", "disable"], &[&demo.id], "client.suspended"),
        (["client", "enable"], &[&demo.id], "client.resumed"),
        (["partner", "disable"], &[&partner_id], "client.suspended"),
    ] {
        let arguments = [&command[..], arguments, &data].concat();
        let output = crate::program::run(&arguments).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let all = deliveries(&server, &endpoint).await;
        let new = all.into_iter().find(|delivery| !told.contains(&delivery.id));
        let new = new.unwrap_or_else(|| panic!("{arguments:?} told nothing"));
        told.push(new.id);
        let body: Value = serde_json::from_str(&new.body).unwrap();
        let said = body["data"]["ended"].as_str().or(body["type"].as_str()).unwrap();
        assert_eq!((said, &body["data"]["client_id"]), (wanted, &Value::from(demo.id.as_str())));
    }
}

/// Of a notice that is never told, nothing is kept: whoever has no endpoint pays one look.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_that_nobody_wants_leaves_no_row() {
    let server = Server::start().await;
    let client = server.client().await;
    let notice: Notice = server.staging.notice(&client.id, Event::ClientSuspended);
    let store = &server.staging.store;
    let record = store.client(&client.id).await.unwrap().unwrap();
    let told = Act { notices: vec![notice], ..act() };
    assert!(store.switch_app(&record, true, &told).await.unwrap());
    assert_eq!(server.count("outbox"), 0);
}

fn act() -> Act {
    Act {
        at: START,
        actor: "a test".to_owned(),
        actor_id: None,
        act: "webhook.changed",
        partner_id: None,
        client_id: None,
        detail: String::new(),
        mails: Vec::new(),
        notices: Vec::new(),
    }
}

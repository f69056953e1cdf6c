//! Endpoints of webhooks, and what was delivered to them. Nothing waits at the end: the server that
//! is measured sends nothing.

use grantor::random::Random;
use grantor::store::{
    Attempt, AttemptOutcome, EndpointOfPartner, EndpointSettings, Lease, MOST_ENDPOINTS, Store,
};
use grantor::webhook::{Event, EventType, Notice, WebhookSecret};
use grantor_protocol::environment::Environment;

use super::super::ground::{Ground, said};
use super::super::visitor::OWNER;
use super::{Apps, LARGEST, at_once, done};
use crate::failure::Failure;

/// How many deliveries the first endpoint of the largest partner had.
const DELIVERIES: usize = 5_000;
/// How many are read at once.
const READ: i64 = 500;
const STAGING: Environment = Environment::Staging;

/// Each partner has one endpoint; the largest has as many as it may. Gives the one with many
/// deliveries.
pub(super) async fn webhooks(
    ground: &Ground,
    partners: &[[u8; 16]],
    apps: &Apps,
) -> Result<[u8; 16], Failure> {
    let mut lanes = Vec::with_capacity(partners.len());
    for (number, partner_id) in partners.iter().enumerate() {
        lanes.push(add(ground, (STAGING, *partner_id), number, None).await?);
    }
    let most = usize::try_from(MOST_ENDPOINTS).unwrap_or_default();
    let of_production = (0..most).map(|at| (Environment::Production, at, None));
    // They want to hear of other apps than the one whose deliveries there are.
    let of_staging = (1..most).map(|at| (STAGING, at, Some(apps.staging[at].clone())));
    for (environment, at, client_id) in of_production.chain(of_staging) {
        add(ground, (environment, partners[LARGEST]), at, client_id).await?;
    }
    let many = DELIVERIES.min(apps.staging.len());
    let told = apps.first.iter().chain(std::iter::repeat_n(&apps.staging[LARGEST], many));
    at_once(told.map(|client_id| {
        let from = (&ground.clock, &ground.random);
        let notice = Notice::new(from, STAGING, client_id, Event::ClientResumed);
        let store = ground.store.clone();
        async move { Ok(store.tell_event(&notice).await?) }
    }))
    .await?;
    let now = ground.clock.now();
    let deliveries =
        lanes.iter().map(|lane| deliver(ground.store.clone(), ground.random.clone(), (*lane, now)));
    at_once(deliveries).await?;
    Ok(lanes[LARGEST])
}

async fn add(
    ground: &Ground,
    (environment, partner_id): (Environment, [u8; 16]),
    number: usize,
    client_id: Option<String>,
) -> Result<[u8; 16], Failure> {
    let of = EndpointOfPartner { environment, id: ground.id(), partner_id };
    let settings = EndpointSettings {
        client_id,
        url: format!("https://hooks-{number}.apps.example/grantor"),
        events: EventType::ALL.to_vec(),
        enabled: true,
    };
    let secret = WebhookSecret::generate(&ground.random);
    let mut act = ground.act(OWNER, "webhook.added", settings.url.clone());
    act.partner_id = Some(partner_id);
    let added = ground.keys.add_webhook_endpoint(&of, &settings, (&secret, &act)).await;
    done(added.map_err(said)?, "a webhook")?;
    Ok(of.id)
}

/// Everything that waits in a lane was delivered.
async fn deliver(
    store: Store,
    random: Random,
    (lane, now): ([u8; 16], i64),
) -> Result<(), Failure> {
    loop {
        let due = store.due_messages(lane, now, READ).await?;
        if due.is_empty() {
            return Ok(());
        }
        for message in due {
            let lease = Lease { id: random.bytes(), until: now + 60 };
            done(store.lease_message(&message, lease).await?, "a lease")?;
            let outcome = AttemptOutcome::Delivered { forget: false };
            let attempt = Attempt { at: now, status: Some(200), outcome };
            done(store.note_attempt(&message, lease, &attempt).await?, "a delivery")?;
        }
    }
}

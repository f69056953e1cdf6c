//! Delivers what waits in the outbox: mail, and webhooks to partners.
//!
//! 1. Once a second, and whenever a message was dealt with, [`Outbox::take`] looks for lanes in which
//!    something is due, leases what it has room for, and sends each message beside the others;
//! 2. a lane has few messages under way, one alone while its last try failed, and failing lanes
//!    together leave most of the room to the others: a receiver that is dead or slow holds up nobody
//!    else;
//! 3. what was not taken is tried again, later each time and never in step ([`WAITS_SECONDS`]), and
//!    in the end given up;
//! 4. any number of processes do this at once. A message is sent by whoever has its lease.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Clock;
use crate::count::Count;
use crate::keys::Keys;
use crate::mail::{Mail, Mailer};
use crate::outbound::{Outbound, Post};
use crate::random::Random;
use crate::store::{
    Attempt, AttemptOutcome, Content, Lane, Lease, MAIL_LANE, Store, StoreError, Waiting,
};
use crate::webhook;

/// How long to wait after each try that failed, in seconds; after the last, the message is given up.
pub const WAITS_SECONDS: [i64; 10] =
    [5, 30, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600];
/// A wait is longer by up to one part in so many, so that what failed together does not come again
/// together.
const JITTER_PART: i64 = 5;
/// How long a message may be under way before another process takes it, in seconds: longer than any
/// delivery takes.
pub const LEASE_SECONDS: i64 = 60;
/// For how long a message is kept after it was written, in seconds.
pub const KEPT_SECONDS: i64 = 30 * 24 * 3600;
/// How many messages are under way at once in this process.
const MOST_AT_ONCE: usize = 64;
/// How many of them in lanes whose last try failed.
const MOST_FAILING: usize = 16;
/// How many in one lane.
const MOST_OF_LANE: usize = 4;
/// How many lanes are looked at in one step.
const MOST_LANES: i64 = 200;
/// How often to look.
const TICK: Duration = Duration::from_secs(1);
/// After how many ticks what waits is counted, and what is old removed.
const TICKS_OF_ROUND: u32 = 60;
/// How many old messages one step removes.
const REMOVED_AT_ONCE: i64 = 500;
/// How long the messages under way have after the signal to stop. What takes longer comes again.
const DRAIN: Duration = Duration::from_secs(8);

/// What became of deliveries, from the start of this process.
#[derive(Debug, Default)]
pub struct OutboxMetrics {
    /// Mail.
    pub mail: LaneMetrics,
    /// Webhooks.
    pub webhooks: LaneMetrics,
    /// Messages that wait, as this process counted them last.
    pub waiting: Count,
}

/// What became of the deliveries of a kind.
#[derive(Debug, Default)]
pub struct LaneMetrics {
    /// Messages that were taken.
    pub delivered: Count,
    /// Tries that failed.
    pub failed: Count,
    /// Messages that were given up.
    pub gave_up: Count,
}

/// What delivers. It has no state that another process would need.
pub struct Outbox {
    inner: Arc<Inner>,
    under_way: JoinSet<Lane>,
    lanes: HashMap<[u8; 16], usize>,
    failing: usize,
}

/// What a delivery takes.
pub struct Delivering {
    /// Where messages wait.
    pub store: Store,
    /// What opens the endpoints' secrets.
    pub keys: Keys,
    /// What carries webhooks out.
    pub outbound: Outbound,
    /// What carries mail out; without one, mail waits.
    pub mailer: Option<Mailer>,
    /// The time.
    pub clock: Clock,
    /// The randomness.
    pub random: Random,
}

struct Inner(Delivering);

impl Outbox {
    /// Nothing is under way yet.
    pub fn new(delivering: Delivering) -> Outbox {
        Outbox {
            inner: Arc::new(Inner(delivering)),
            under_way: JoinSet::new(),
            lanes: HashMap::new(),
            failing: 0,
        }
    }

    /// Delivers beside a server that stops at the same signal. The first future is for the server:
    /// it is done when `stop` is. The second ends when nothing is under way any more.
    pub fn beside(
        self,
        stop: impl Future<Output = ()> + Send,
    ) -> (impl Future<Output = ()> + Send, JoinHandle<()>) {
        let (tell, mut told) = tokio::sync::watch::channel(());
        let delivering = tokio::spawn(self.work(async move {
            // A server that ended without the signal drops its half: that is told too.
            let _ = told.changed().await;
        }));
        let stop = async move {
            stop.await;
            tell.send_replace(());
        };
        (stop, delivering)
    }

    /// Delivers until `stop` is done; then takes nothing more, and gives what is under way 8 s.
    pub async fn work(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ticks = 0_u32;
        let mut told = false;
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = tick.tick() => {
                    if ticks.is_multiple_of(TICKS_OF_ROUND) {
                        self.inner.round().await;
                    }
                    ticks = ticks.wrapping_add(1);
                }
                Some(ended) = self.under_way.join_next() => self.ended(ended),
            }
            let taken = self.take().await;
            // What cannot be read is told once, and changes nothing.
            if let Err(error) = &taken
                && !told
            {
                tracing::warn!(%error, "outbox.store");
            }
            told = taken.is_err();
        }
        if tokio::time::timeout(DRAIN, self.settle()).await.is_err() {
            tracing::warn!(messages = self.under_way.len(), "outbox.stopped: they are sent again");
        }
    }

    /// Takes what is due and what there is room for, and begins to send it. Answers how many.
    ///
    /// # Errors
    /// [`StoreError`]: what was leased until then is under way.
    pub async fn take(&mut self) -> Result<usize, StoreError> {
        let inner = Arc::clone(&self.inner);
        let Delivering { store, clock, .. } = &inner.0;
        let mut taken = 0;
        for lane in store.due_lanes(clock.now(), MOST_LANES).await? {
            if lane.id == MAIL_LANE && inner.0.mailer.is_none() {
                continue;
            }
            let room = self.room(lane);
            if room == 0 {
                continue;
            }
            let most = i64::try_from(room).unwrap_or(i64::MAX);
            for message in store.due_messages(lane.id, clock.now(), most).await? {
                let id = inner.0.random.bytes();
                let lease = Lease { id, until: clock.now() + LEASE_SECONDS };
                if store.lease_message(&message, lease).await? {
                    self.begin(lane, message, lease);
                    taken += 1;
                }
            }
        }
        Ok(taken)
    }

    /// Waits until nothing is under way.
    pub async fn settle(&mut self) {
        while let Some(ended) = self.under_way.join_next().await {
            self.ended(ended);
        }
    }

    /// For how many messages of a lane there is room.
    fn room(&self, lane: Lane) -> usize {
        let of_lane = if lane.failing { 1 } else { MOST_OF_LANE };
        let here = of_lane.saturating_sub(self.lanes.get(&lane.id).copied().unwrap_or_default());
        let all = MOST_AT_ONCE.saturating_sub(self.under_way.len());
        let failing = MOST_FAILING.saturating_sub(self.failing);
        if lane.failing { here.min(all).min(failing) } else { here.min(all) }
    }

    fn begin(&mut self, lane: Lane, message: Waiting, lease: Lease) {
        *self.lanes.entry(lane.id).or_default() += 1;
        self.failing += usize::from(lane.failing);
        let inner = Arc::clone(&self.inner);
        self.under_way.spawn(async move {
            inner.deliver(message, lease).await;
            lane
        });
    }

    fn ended(&mut self, ended: Result<Lane, tokio::task::JoinError>) {
        // Whatever panicked has its place still counted; where nothing is under way, none is.
        if let Ok(lane) = ended {
            self.failing = self.failing.saturating_sub(usize::from(lane.failing));
            if let Some(here) = self.lanes.get_mut(&lane.id) {
                *here -= 1;
                if *here == 0 {
                    self.lanes.remove(&lane.id);
                }
            }
        }
        if self.under_way.is_empty() {
            self.lanes.clear();
            self.failing = 0;
        }
    }
}

/// A try that did not go well.
struct Fault {
    status: Option<u16>,
    words: &'static str,
    next: Next,
}

/// What comes of a try that did not go well.
enum Next {
    /// It is tried again, as often as there are waits.
    Again,
    /// To try again is of no use.
    Never,
    /// The endpoint wants nothing any more.
    Gone,
}

impl Inner {
    async fn deliver(&self, message: Waiting, lease: Lease) {
        let store = &self.0.store;
        let tried = match &message.content {
            Content::Mail(mail) => self.send_mail(mail).await,
            Content::Webhook { .. } => self.call(&message).await,
        };
        let attempt = self.attempt(&message, tried);
        self.count(&message, &attempt);
        // Where this fails the lease ends by itself, and the message comes once more.
        match store.note_attempt(&message, lease, &attempt).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!("outbox.lease_lost: another process sends it too"),
            Err(error) => tracing::warn!(%error, "outbox.store"),
        }
    }

    async fn send_mail(&self, mail: &Mail) -> Result<Option<u16>, Fault> {
        match &self.0.mailer {
            Some(Mailer::Mailbox) => Ok(None),
            Some(Mailer::Smtp(smtp)) => smtp.send(mail).await.map(|()| None).map_err(|fault| {
                let next = if fault.is_final() { Next::Never } else { Next::Again };
                Fault { status: fault.reply(), words: fault.words(), next }
            }),
            None => {
                Err(Fault { status: None, words: "There is no mail server.", next: Next::Again })
            }
        }
    }

    async fn call(&self, message: &Waiting) -> Result<Option<u16>, Fault> {
        let Delivering { store, keys, outbound, clock, .. } = &self.0;
        let Content::Webhook { environment, body } = &message.content else {
            return Ok(None);
        };
        let here = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, "outbox.endpoint");
            Fault {
                status: None,
                words: "This server could not read the endpoint.",
                next: Next::Again,
            }
        };
        let target = store.webhook_target(*environment, message.lane).await;
        let target = target.map_err(|error| here(&error))?.filter(|target| target.enabled);
        let Some(target) = target else {
            let words = "The endpoint is gone or switched off.";
            return Err(Fault { status: None, words, next: Next::Never });
        };
        let secrets = keys.webhook_secrets(&target).await.map_err(|error| here(&error))?;
        let name = webhook::message_name(message.id);
        let signed = webhook::sign(&secrets, &name, body, clock.now());
        let headers = [
            ("webhook-id", signed.id.as_str()),
            ("webhook-timestamp", signed.timestamp.as_str()),
            ("webhook-signature", signed.signature.as_str()),
        ];
        match outbound.post(&Post { address: &target.url, headers: &headers, body }).await {
            Ok(status @ 200..=299) => Ok(Some(status)),
            Ok(410) => {
                let words = "It answered 410 Gone, so the endpoint was switched off.";
                Err(Fault { status: Some(410), words, next: Next::Gone })
            }
            Ok(status @ 300..=399) => {
                let words = "It answered with a redirect. Redirects are not followed.";
                Err(Fault { status: Some(status), words, next: Next::Again })
            }
            Ok(status) => {
                let words = "It answered, and not with a status from 200 to 299.";
                Err(Fault { status: Some(status), words, next: Next::Again })
            }
            Err(fault) => Err(Fault { status: None, words: fault.words(), next: Next::Again }),
        }
    }

    /// What is written of a try.
    fn attempt(&self, message: &Waiting, tried: Result<Option<u16>, Fault>) -> Attempt {
        let at = self.0.clock.now();
        // What a mail says may sign somebody in; a mailbox page and a partner want to read on.
        let is_mail = matches!(message.content, Content::Mail(_));
        let forget = is_mail && !matches!(self.0.mailer, Some(Mailer::Mailbox));
        let (status, outcome) = match tried {
            Ok(status) => (status, AttemptOutcome::Delivered { forget }),
            Err(Fault { status, words: fault, next }) => {
                let wait = usize::try_from(message.attempts).ok();
                let wait = wait.and_then(|tries| WAITS_SECONDS.get(tries).copied());
                let outcome = match (next, wait) {
                    (Next::Gone, _) => AttemptOutcome::EndpointGone { fault },
                    (Next::Again, Some(seconds)) => {
                        let next_try_at = at + seconds + self.jitter(seconds);
                        AttemptOutcome::Later { next_try_at, fault }
                    }
                    (Next::Again, None) | (Next::Never, _) => {
                        AttemptOutcome::GaveUp { fault, forget }
                    }
                };
                (status, outcome)
            }
        };
        Attempt { at, status, outcome }
    }

    /// From nought to a fifth of a wait.
    fn jitter(&self, seconds: i64) -> i64 {
        let drawn = i64::from(u32::from_be_bytes(self.0.random.bytes()));
        drawn % (seconds / JITTER_PART + 1)
    }

    fn count(&self, message: &Waiting, attempt: &Attempt) {
        let metrics = &self.0.store.metrics().outbox;
        let (kind, metrics) = match message.content {
            Content::Mail(_) => ("mail", &metrics.mail),
            Content::Webhook { .. } => ("webhook", &metrics.webhooks),
        };
        let name = webhook::message_name(message.id);
        let (name, attempts, status) = (name.as_str(), message.attempts + 1, attempt.status);
        match attempt.outcome {
            AttemptOutcome::Delivered { .. } => {
                metrics.delivered.add(1);
                tracing::info!(kind, message.id = name, attempts, status, "outbox.delivered");
            }
            AttemptOutcome::Later { fault, .. } => {
                metrics.failed.add(1);
                tracing::info!(kind, message.id = name, attempts, status, fault, "outbox.failed");
            }
            AttemptOutcome::GaveUp { fault, .. } | AttemptOutcome::EndpointGone { fault } => {
                metrics.failed.add(1);
                metrics.gave_up.add(1);
                tracing::warn!(kind, message.id = name, attempts, status, fault, "outbox.gave_up");
            }
        }
    }

    /// Counts what waits, and removes what is old.
    async fn round(&self) {
        let Delivering { store, clock, .. } = &self.0;
        match store.waiting_messages().await {
            Ok(waiting) => store.metrics().outbox.waiting.set(waiting),
            Err(error) => tracing::debug!(%error, "outbox.waiting"),
        }
        let before = clock.now() - KEPT_SECONDS;
        if let Err(error) = store.remove_old_messages(before, REMOVED_AT_ONCE).await {
            tracing::warn!(%error, "outbox.cleanup");
        }
    }
}

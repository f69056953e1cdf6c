//! The calls of each client, on their way into its log, outside the hot path.
//!
//! 1. [`RequestLog::admit`] says whether one more call of a client may be kept, before anything is
//!    made of it: so many a flush for each client, and so many in all. Where it may not, a number
//!    goes up and that is all that it costs;
//! 2. [`RequestLog::push`] puts the call beside the others, in memory;
//! 3. a task writes them once a second ([`RequestLog::flush`]), with the facts that they show and
//!    how many were not kept.
//!
//! Nothing waits for it, and it may lose: a process that is killed loses at most that second.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grantor_protocol::environment::Environment;
use grantor_protocol::integration_report::{Fact, Facts, Seen};

use crate::store::{NewLoggedCall, Store};

/// So many calls wait at most.
const WAITING: usize = 1_000;
/// So many of them at most may be calls that anybody may have sent.
const WAITING_UNPROVED: usize = 300;
/// So many clients are told apart between two flushes.
const CLIENTS: usize = 4_096;
/// So many of them may be ids that somebody made up.
const CLIENTS_CLAIMED: usize = 2_048;
/// No more calls share one transaction, so that none holds up the others for long.
const CALLS_IN_ONE_WRITE: usize = 100;

/// What a call weighs: how many of its kind are kept of a client between two flushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// it got what it asked for
    Success,
    /// it was refused
    Failure,
    /// it was refused, and anybody may have sent it in the client's name
    Unproved,
}

/// The calls that wait. Cloned freely: all clones are one.
#[derive(Clone, Default)]
pub struct RequestLog {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    calls: Vec<NewLoggedCall>,
    admitted: usize,
    admitted_unproved: usize,
    clients: HashMap<String, Kept>,
    /// Calls that were not kept of clients that were not told apart.
    of_nobody: u64,
}

/// What was kept of one client since the last flush.
#[derive(Clone, Copy, Default)]
struct Kept {
    by_weight: [u32; 3],
    /// When one was not kept, the last time, and how many.
    dropped: Option<Seen>,
}

impl Weight {
    /// So many are kept of a client between two flushes.
    pub fn most(self) -> u32 {
        match self {
            Weight::Success => 5,
            Weight::Failure => 20,
            Weight::Unproved => 10,
        }
    }
}

impl RequestLog {
    /// Whether one more call of that client is kept; where not, it is counted. `now` is in Unix
    /// seconds.
    pub fn admit(&self, client_id: &str, weight: Weight, now: i64) -> bool {
        let mut waiting = self.lock();
        let waiting = &mut *waiting;
        let full = waiting.admitted >= WAITING
            || weight == Weight::Unproved && waiting.admitted_unproved >= WAITING_UNPROVED;
        let most = if weight == Weight::Unproved { CLIENTS_CLAIMED } else { CLIENTS };
        let has_room = waiting.clients.len() < most;
        let kept = match waiting.clients.get_mut(client_id) {
            Some(kept) => kept,
            None if has_room => waiting.clients.entry(client_id.to_owned()).or_default(),
            None => {
                waiting.of_nobody += 1;
                return false;
            }
        };
        let count = &mut kept.by_weight[weight as usize];
        if full || *count >= weight.most() {
            let once = Seen::once(now);
            kept.dropped = Some(kept.dropped.map_or(once, |dropped| dropped.and(once)));
            return false;
        }
        *count += 1;
        waiting.admitted += 1;
        waiting.admitted_unproved += usize::from(weight == Weight::Unproved);
        true
    }

    /// Takes a call that was admitted.
    pub fn push(&self, call: NewLoggedCall) {
        self.lock().calls.push(call);
    }

    /// Writes what waits. What cannot be written is lost, and counted.
    pub async fn flush(&self, environment: Environment, store: &Store) {
        let waiting = std::mem::take(&mut *self.lock());
        if waiting.of_nobody > 0 {
            tracing::warn!(calls = waiting.of_nobody, "request_log: of too many clients");
        }
        let dropped = waiting.clients.into_iter().filter_map(|(client_id, kept)| {
            kept.dropped.map(|dropped| (client_id, Fact::NotKept, dropped))
        });
        let mut lost: Vec<(String, Fact, Seen)> = dropped.collect();
        lost.sort_by(|one, other| one.0.cmp(&other.0));
        for calls in waiting.calls.chunks(CALLS_IN_ONE_WRITE) {
            let facts = facts_of(calls);
            if let Err(error) = store.log_calls(environment, calls, &facts).await {
                tracing::warn!(%error, calls = calls.len(), "request_log.flush");
                lost.extend(calls.iter().map(|new| {
                    let at = new.call.called_at_millis / 1000;
                    (new.client_id.clone(), Fact::NotKept, Seen::once(at))
                }));
            }
        }
        for some in lost.chunks(CALLS_IN_ONE_WRITE) {
            if let Err(error) = store.log_calls(environment, &[], some).await {
                tracing::warn!(%error, "request_log.flush");
                self.put_back(some);
            }
        }
    }

    /// What was not kept is counted with the next flush.
    fn put_back(&self, lost: &[(String, Fact, Seen)]) {
        let mut waiting = self.lock();
        for (client_id, _, seen) in lost {
            if waiting.clients.len() >= CLIENTS {
                return;
            }
            let kept = waiting.clients.entry(client_id.clone()).or_default();
            kept.dropped = Some(kept.dropped.map_or(*seen, |dropped| dropped.and(*seen)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What some calls show, by client and fact, always in the same order.
fn facts_of(calls: &[NewLoggedCall]) -> Vec<(String, Fact, Seen)> {
    let mut by_client: BTreeMap<&str, Facts> = BTreeMap::new();
    for new in calls {
        for fact in &new.facts {
            let facts = by_client.entry(&new.client_id).or_default();
            facts.add(*fact, Seen::once(new.call.called_at_millis / 1000));
        }
    }
    let one = |(client_id, facts): (&str, Facts)| {
        let named = move |(fact, seen)| (client_id.to_owned(), fact, seen);
        facts.into_sorted().into_iter().map(named).collect::<Vec<_>>()
    };
    by_client.into_iter().flat_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn strangers_take_their_share_of_memory_and_no_more() {
        let log = RequestLog::default();
        let made_up = (0..10_000)
            .filter(|at| log.admit(&format!("nobody-{at}"), Weight::Unproved, NOW))
            .count();
        assert_eq!(made_up, WAITING_UNPROVED);
        let real = (0..10_000)
            .filter(|at| log.admit(&format!("client-{at}"), Weight::Success, NOW))
            .count();
        assert_eq!(real, WAITING - WAITING_UNPROVED);
        let waiting = log.lock();
        assert_eq!(waiting.clients.len(), CLIENTS);
        assert!(waiting.of_nobody > 0);
    }

    #[test]
    fn what_a_client_sends_beyond_its_share_is_a_number() {
        let log = RequestLog::default();
        for weight in [Weight::Success, Weight::Failure, Weight::Unproved] {
            let kept = (0..100).filter(|_| log.admit("app", weight, NOW)).count();
            assert_eq!(kept, usize::try_from(weight.most()).unwrap());
        }
        let dropped = log.lock().clients["app"].dropped.unwrap();
        assert_eq!(dropped.count, 300 - 35);
    }
}

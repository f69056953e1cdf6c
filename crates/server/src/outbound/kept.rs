//! What came of fetching, and how often a host was asked.
//!
//! 1. a document is good for as long as it says;
//! 2. a fault that comes later takes nothing away: what came before stays good for its time, and for
//!    [`STALE_SECONDS`] more where its host is only away. Anybody can make this server ask again, by
//!    a key that nobody published, and so nobody may make it forget;
//! 3. an address is asked for once in [`FRESH_SECONDS`] at most, whatever came of it;
//! 4. where there is no room the oldest goes, and what is a fault goes first: never all at once.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use axum::body::Bytes;
use tokio::sync::Mutex;

use super::OutboundFault;

/// For how long a document is kept, in seconds, where it says nothing; at least; at most.
pub(super) const KEPT_SECONDS: i64 = 3600;
pub(super) const KEPT_AT_LEAST_SECONDS: i64 = 300;
pub(super) const KEPT_AT_MOST_SECONDS: i64 = 24 * 3600;
/// For how much longer, in seconds, where its host is away.
pub(super) const STALE_SECONDS: i64 = 3600;
/// How old a document may be that has to be new, in seconds; and for how long it is kept that
/// nothing came.
pub(super) const FRESH_SECONDS: i64 = 60;
/// No more documents are kept, nor hosts counted.
pub(super) const MOST_KEPT: usize = 1000;

/// What is kept of the addresses that one side chose.
#[derive(Default)]
pub(super) struct Kept {
    documents: HashMap<String, Document>,
    /// How often a host was asked in which minute.
    hosts: HashMap<String, (i64, u32)>,
    /// Who is being asked just now.
    turns: HashMap<String, Weak<Mutex<()>>>,
}

/// What came of an address.
struct Document {
    found: Result<Found, OutboundFault>,
    /// What came of a later try, where it was a fault.
    later: Option<OutboundFault>,
    tried_at: i64,
}

/// What came, once.
struct Found {
    body: Bytes,
    good_until: i64,
    /// Until then it serves where its host is away.
    stale_until: i64,
}

impl Kept {
    /// What to answer without asking anybody; `None` where it is time to ask.
    pub(super) fn good(&self, address: &str, now: i64) -> Option<Result<Bytes, OutboundFault>> {
        let document = self.documents.get(address)?;
        match &document.found {
            Ok(found) if now < found.good_until => Some(Ok(found.body.clone())),
            _ => self.fresh(address, now),
        }
    }

    /// The same for whoever misses something in what is kept.
    pub(super) fn fresh(&self, address: &str, now: i64) -> Option<Result<Bytes, OutboundFault>> {
        let document = self.documents.get(address)?;
        (now < document.tried_at + FRESH_SECONDS).then(|| document.answer(now))
    }

    /// What there is where nobody could be asked.
    pub(super) fn without_asking(&self, address: &str, now: i64) -> Result<Bytes, OutboundFault> {
        let found = self.documents.get(address).and_then(|document| document.found.as_ref().ok());
        match found {
            Some(found) if now < found.stale_until => Ok(found.body.clone()),
            _ => Err(OutboundFault::Busy),
        }
    }

    /// Keeps what came: a body, good for so many seconds, or a fault. Gives what to answer.
    pub(super) fn keep(
        &mut self,
        address: &str,
        came: Result<(Bytes, i64), OutboundFault>,
        now: i64,
    ) -> Result<Bytes, OutboundFault> {
        let fault = match came {
            Ok((body, seconds)) => {
                let good_until = now + seconds;
                let stale_until = good_until + STALE_SECONDS;
                let found = Found { body: body.clone(), good_until, stale_until };
                self.put(address, Document { found: Ok(found), later: None, tried_at: now });
                return Ok(body);
            }
            Err(fault) => fault,
        };
        match self.documents.get_mut(address) {
            Some(Document { found: Ok(found), later, tried_at }) => {
                (*later, *tried_at) = (Some(fault), now);
                if !fault.passes() {
                    found.stale_until = found.good_until;
                }
            }
            _ => self.put(address, Document { found: Err(fault), later: None, tried_at: now }),
        }
        self.documents.get(address).map_or(Err(fault), |document| document.answer(now))
    }

    fn put(&mut self, address: &str, document: Document) {
        if !self.documents.contains_key(address) && self.documents.len() >= MOST_KEPT {
            let oldest = self
                .documents
                .iter()
                .min_by_key(|(_, kept)| (kept.found.is_ok(), kept.tried_at))
                .map(|(address, _)| address.clone());
            oldest.and_then(|address| self.documents.remove(&address));
        }
        self.documents.insert(address.to_owned(), document);
    }

    /// Counts that a host is asked, and says whether it may be: so often in a minute at most. Who
    /// wants more has to name as many other hosts as are counted.
    pub(super) fn count(&mut self, host: &str, most: u32, now: i64) -> bool {
        let minute = now / 60;
        if !self.hosts.contains_key(host) && self.hosts.len() >= MOST_KEPT {
            let oldest = self.hosts.iter().min_by_key(|(_, asked)| **asked);
            let oldest = oldest.map(|(host, _)| host.clone());
            oldest.and_then(|host| self.hosts.remove(&host));
        }
        let (of, count) = self.hosts.entry(host.to_owned()).or_insert((minute, 0));
        if *of != minute {
            (*of, *count) = (minute, 0);
        }
        *count = count.saturating_add(1);
        *count <= most
    }

    /// One asks for an address at a time: whoever comes meanwhile waits for what comes.
    pub(super) fn turn(&mut self, address: &str) -> Arc<Mutex<()>> {
        if let Some(turn) = self.turns.get(address).and_then(Weak::upgrade) {
            return turn;
        }
        self.turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        self.turns.insert(address.to_owned(), Arc::downgrade(&turn));
        turn
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.documents.len(), self.hosts.len())
    }
}

impl Document {
    fn answer(&self, now: i64) -> Result<Bytes, OutboundFault> {
        match (&self.found, self.later) {
            (Err(fault), _) => Err(*fault),
            (Ok(found), Some(fault)) if now >= found.stale_until => Err(fault),
            (Ok(found), _) => Ok(found.body.clone()),
        }
    }
}

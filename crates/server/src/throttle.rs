//! Throttling: how often somebody may try what others could guess (S20).
//!
//! 1. [`Throttle::take`] takes a try before it is known whether it is right: one write that counts
//!    it in all of its tallies, or is refused where one has no room. Of fifty tries at once no more
//!    are taken than there is room for, on all processes together;
//! 2. whoever took it says what became of it: [`Throttle::right`], or [`Throttle::give_back`] where
//!    nothing was tried. A try that is dropped was wrong;
//! 3. what cannot be guessed, because it was drawn (a client's secret), is tried first, and costs
//!    nothing where it is right: [`Throttle::count`] counts it where it was not.
//!
//! `subject.rs` says what is tried and from where, `known_browser.rs` which browser has been in an
//! account before: strangers do not stand in its way. Nobody is ever refused for what was tried
//! from other addresses; `docs/concepts/throttling.md` says why each limit is as it is.
//!
//! What has no room is known for a second, so that whoever goes on trying costs no write each time.

mod known_browser;
mod subject;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use known_browser::KNOWN_SECONDS;
pub use known_browser::KnownBrowser;
pub use subject::{Credential, Network, Subject};

use grantor_protocol::environment::Environment;

use crate::clock::{Clock, Stopwatch};
use crate::count::Count;
use crate::seal::{Kind, Sealer};
use crate::store::{Narrowed, Settled, Store, StoreError, Tallied, Tally};

/// How long it is known that a tally has no room.
const FULL_FOR: Duration = Duration::from_secs(1);
/// No more full tallies are known at once.
const MOST_FULL: usize = 4096;
/// How often a try is taken that was refused, and has room when it is looked at.
const RACES: usize = 3;
/// The first wait of somebody who keeps guessing, in seconds. It doubles.
const FIRST_WAIT_SECONDS: i64 = 5;
/// How many changes a partner may make for each wrong try that one address may.
const CHANGES: i64 = 5;
/// What is left to each address once a name is under attack from many.
const NARROWED: i64 = 2;

/// How often something may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a window is.
    pub window_seconds: i64,
    /// Of one name, from one address or one known browser.
    pub failures_per_name_and_address: i64,
    /// From one address, of any name.
    pub failures_per_address: i64,
    /// Of one name, from all addresses: beyond it each address has two tries.
    pub failures_per_name: i64,
    /// Clients that register themselves, from one address.
    pub registrations_per_address: i64,
    /// Mails to one mailbox, whoever asks for them. Nobody is locked out by that: each that came
    /// holds a link that works.
    pub mails_per_name: i64,
}

/// Counts tries in one realm. It knows no site: whoever takes credentials has one.
pub struct Throttle {
    store: Store,
    realm: Environment,
    /// Names the tallies, so that nobody who reads them learns what was typed.
    sealer: Arc<Sealer>,
    clock: Clock,
    limits: Limits,
    full: Mutex<HashMap<[u8; 32], Full>>,
    refused: [Count; Credential::ALL.len()],
}

/// Who tries.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Where from.
    pub address: IpAddr,
    /// What its browser shows of whose accounts it has been in.
    pub browser: Option<&'a KnownBrowser>,
}

/// A try that was taken. Dropped, it was wrong.
#[must_use]
#[derive(Debug)]
pub struct Taken {
    right: Vec<Settled>,
    nothing: Vec<Settled>,
}

/// Why a try was not taken.
#[derive(Debug)]
pub enum NotTaken {
    /// there is no room
    TooMany {
        /// until there is
        wait_seconds: i64,
    },
    /// the store failed: nobody knows
    Store(StoreError),
}

/// A tally that had no room a moment ago.
struct Full {
    since: Stopwatch,
    /// In Unix seconds.
    until: i64,
}

/// A tally that a try counts in, and what a right one does to it.
struct Counted {
    tally: Tally,
    right: Settled,
}

impl Limits {
    /// Where nobody says otherwise.
    pub const USUAL: Limits = Limits {
        window_seconds: 900,
        failures_per_name_and_address: 10,
        failures_per_address: 100,
        failures_per_name: 50,
        registrations_per_address: 20,
        mails_per_name: 5,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::USUAL
    }
}

impl From<StoreError> for NotTaken {
    fn from(error: StoreError) -> NotTaken {
        NotTaken::Store(error)
    }
}

impl Throttle {
    /// Counts in the tallies of a realm.
    pub fn new(
        store: Store,
        realm: Environment,
        sealer: Arc<Sealer>,
        clock: Clock,
        limits: Limits,
    ) -> Throttle {
        let (full, refused) = (Mutex::default(), Default::default());
        Throttle { store, realm, sealer, clock, limits, full, refused }
    }

    /// Takes a try, before anything is tried.
    ///
    /// # Errors
    /// [`NotTaken`]; then nothing must be tried.
    pub async fn take(&self, subject: &Subject<'_>, caller: Caller<'_>) -> Result<Taken, NotTaken> {
        let now = self.clock.now();
        let counted = self.counted(subject, caller);
        let tallies: Vec<Tally> = counted.iter().map(|counted| counted.tally).collect();
        if let Some(until) = self.known_full(&tallies, now) {
            return Err(self.refuse(subject, until - now));
        }
        for _ in 0..RACES {
            if self.store.take_try(self.realm, &tallies, now).await? {
                let right = counted.iter().map(|counted| counted.right).collect();
                let nothing = tallies.iter().map(|tally| Settled::GivenBack(tally.id)).collect();
                return Ok(Taken { right, nothing });
            }
            if let Some(until) = self.full_until(&tallies, now).await? {
                return Err(self.refuse(subject, until - now));
            }
        }
        Err(self.refuse(subject, 1))
    }

    /// What was tried is right: nothing that was tried in vain of this name from here counts any
    /// more.
    pub async fn right(&self, taken: Taken) {
        self.forget(&taken.right);
        self.settle(&taken.right).await;
    }

    /// Nothing was tried after all.
    pub async fn give_back(&self, taken: Taken) {
        self.settle(&taken.nothing).await;
    }

    /// Counts what was wrong and cannot be guessed, a secret that was drawn; or what counts in any case.
    ///
    /// # Errors
    /// [`NotTaken`] where it is one too many. What is right is taken all the same: nobody can lock
    /// out whoever has a secret, and a secret of 256 bits is not found by trying.
    pub async fn count(&self, subject: &Subject<'_>, address: IpAddr) -> Result<(), NotTaken> {
        self.take(subject, Caller { address, browser: None }).await.map(drop)
    }

    /// The same of what is counted by its name alone, wherever it comes from.
    ///
    /// # Errors
    /// [`NotTaken`]
    pub async fn count_named(&self, subject: &Subject<'_>) -> Result<(), NotTaken> {
        self.count(subject, Ipv4Addr::UNSPECIFIED.into()).await
    }

    /// Which credentials were not taken for a while, and how often.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let names = Credential::ALL.into_iter().map(Credential::as_str);
        names.zip(self.refused.iter().map(Count::read))
    }

    fn refuse(&self, subject: &Subject<'_>, wait_seconds: i64) -> NotTaken {
        self.refused[subject.credential as usize].add(1);
        NotTaken::TooMany { wait_seconds: wait_seconds.max(1) }
    }

    /// Where a try is counted, always in this order: of two tries that share some of it, one waits
    /// for the other at the first.
    fn counted(&self, subject: &Subject<'_>, caller: Caller<'_>) -> Vec<Counted> {
        let limits = &self.limits;
        let network = Network::of(caller.address);
        let name = self.id(subject, b"name", &[subject.name]);
        let pair = self.id(subject, b"name and network", &[subject.name, network.bytes()]);
        let origin = self.id(subject, b"network", &[network.bytes()]);
        let by_pair = self.tally(pair, limits.failures_per_name_and_address);
        let by_origin = self.tally(origin, limits.failures_per_address);
        match subject.credential {
            Credential::Password => {
                if let Some(browser) = caller.browser.filter(|browser| browser.knows(subject)) {
                    let own = self.id(subject, b"browser", &[subject.name, browser.id()]);
                    let own = self.tally(own, limits.failures_per_name_and_address);
                    return vec![Counted::emptied(own.with_waits())];
                }
                let above = limits.failures_per_name;
                let narrowed = Some(Narrowed { by: name, above, most: NARROWED });
                vec![
                    Counted::given_back(self.tally(name, i64::MAX)),
                    Counted::emptied(Tally { narrowed, ..by_pair.with_waits() }),
                    Counted::given_back(by_origin),
                ]
            }
            // Whoever types it is signed in, and has one name wherever that is. One that is right
            // gives nothing else back: everybody has a right one of a device of his own.
            Credential::UserCode => {
                let by_name = self.tally(name, limits.failures_per_name_and_address);
                vec![Counted::given_back(by_name), Counted::given_back(by_origin)]
            }
            Credential::Client | Credential::RegistrationToken => {
                vec![Counted::given_back(by_pair), Counted::given_back(by_origin)]
            }
            Credential::InitialAccessToken => vec![Counted::given_back(by_origin)],
            Credential::Registration => {
                let by_origin = self.tally(origin, limits.registrations_per_address);
                vec![Counted::given_back(by_origin)]
            }
            Credential::Mail => {
                let by_name = self.tally(name, limits.mails_per_name);
                vec![Counted::given_back(by_name), Counted::given_back(by_origin)]
            }
            Credential::Invitation => {
                vec![Counted::given_back(self.tally(name, limits.mails_per_name))]
            }
            Credential::DrawnPassword | Credential::WebhookCall => {
                vec![Counted::given_back(self.tally(name, limits.failures_per_address))]
            }
            // What a script of a partner does in a quarter of an hour has room; a loop has not.
            Credential::Change => {
                let most = limits.failures_per_address.saturating_mul(CHANGES);
                vec![Counted::given_back(self.tally(name, most))]
            }
        }
    }

    fn tally(&self, id: [u8; 32], most: i64) -> Tally {
        let window_seconds = self.limits.window_seconds;
        Tally { id, most, unhurried: most, wait_seconds: 0, window_seconds, narrowed: None }
    }

    fn id(&self, subject: &Subject<'_>, of: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let realm = self.realm.as_str().as_bytes();
        let credential = subject.credential.as_str().as_bytes();
        let all = [realm, credential, of].into_iter().chain(parts.iter().copied());
        let payload = subject::digest(all);
        let sealed = self.sealer.seal(Kind::Tally, &payload, self.clock.now());
        subject::digest([sealed.as_bytes()])
    }

    async fn settle(&self, settled: &[Settled]) {
        // What is not settled counts as wrong until its window ends.
        if let Err(error) = self.store.settle_try(self.realm, settled).await {
            tracing::warn!(%error, "throttle.settle");
        }
    }

    /// Until when one of them has no room, as it was a moment ago.
    fn known_full(&self, tallies: &[Tally], now: i64) -> Option<i64> {
        let full = self.full();
        let known = tallies.iter().filter_map(|tally| full.get(&tally.id));
        // A clock that was put right makes nothing of what was known before (D10).
        let open = now + 1..=now + 2 * self.limits.window_seconds;
        known
            .filter(|full| open.contains(&full.until))
            .filter(|full| full.since.elapsed() < FULL_FOR)
            .map(|full| full.until)
            .max()
    }

    /// The same as it is now.
    async fn full_until(&self, tallies: &[Tally], now: i64) -> Result<Option<i64>, StoreError> {
        let since = self.clock.stopwatch();
        let ids: Vec<[u8; 32]> = tallies.iter().map(|tally| tally.id).collect();
        let stored = self.store.tallies(self.realm, &ids).await?;
        let mut latest = None;
        for tally in tallies {
            if let Some(until) = full_until(tally, &stored, now) {
                self.remember(tally.id, Full { since, until });
                latest = latest.max(Some(until));
            }
        }
        Ok(latest)
    }

    fn remember(&self, id: [u8; 32], of: Full) {
        let mut full = self.full();
        if full.len() >= MOST_FULL {
            full.retain(|_, full| full.since.elapsed() < FULL_FOR);
        }
        // Whoever fills the memory has the store asked, as the first time.
        if full.len() < MOST_FULL {
            full.insert(id, of);
        }
    }

    fn forget(&self, settled: &[Settled]) {
        let mut full = self.full();
        for settled in settled {
            full.remove(&settled.id());
        }
    }

    fn full(&self) -> MutexGuard<'_, HashMap<[u8; 32], Full>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until when a tally has no room; the same rule as the store's, which decides.
fn full_until(tally: &Tally, stored: &[Tallied], now: i64) -> Option<i64> {
    let open = now + 1..=now + 2 * tally.window_seconds;
    let find = |id| stored.iter().find(|of| of.id == id && open.contains(&of.expires_at));
    let own = find(tally.id)?;
    let most = match tally.narrowed {
        Some(Narrowed { by, above, most }) if find(by).is_some_and(|by| by.tries > above) => most,
        _ => tally.most,
    };
    let until = match own.wait_seconds {
        _ if own.tries >= most => own.expires_at,
        0 => now,
        wait => own.tried_at + wait,
    };
    (until > now).then_some(until)
}

impl Tally {
    /// Behind half of the tries each next one waits twice as long.
    fn with_waits(self) -> Tally {
        Tally { unhurried: self.most / 2, wait_seconds: FIRST_WAIT_SECONDS, ..self }
    }
}

impl Counted {
    fn emptied(tally: Tally) -> Counted {
        Counted { tally, right: Settled::Emptied(tally.id) }
    }

    fn given_back(tally: Tally) -> Counted {
        Counted { tally, right: Settled::GivenBack(tally.id) }
    }
}

impl Settled {
    fn id(&self) -> [u8; 32] {
        match self {
            Settled::Emptied(id) | Settled::GivenBack(id) => *id,
        }
    }
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").field("realm", &self.realm).finish_non_exhaustive()
    }
}

//! The crash test: load, a kill at a random moment, a restart, and the ledger held against what is
//! there now; again and again.
//!
//! `GRANTOR_CRASH_KILLS` says how often, `GRANTOR_CRASH_SEED` which moments. The seed repeats the
//! moments and what the workers choose; what the machine does meanwhile nobody can repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grantor::clock::Clock;
use grantor_test_cluster::{Cluster, Replication};
use tokio::task::JoinSet;

use crate::chance::Chance;
use crate::ledger::{Ledger, Standing, Violation};
use crate::load::{Books, Worker};
use crate::partner::Partner;
use crate::server::{Installed, Server};

/// Enough to show a fault that is there always, in the time of an everyday run.
pub(crate) const USUAL_KILLS: u64 = 25;
/// A database takes seconds to come back.
pub(crate) const USUAL_DATABASE_KILLS: u64 = 8;
/// And each failover needs two of its own.
pub(crate) const USUAL_FAILOVERS: u64 = 2;
const WORKERS: usize = 12;
/// A kill comes within this time after the load began again, in microseconds.
const SPAN: u64 = 150_000;
/// A primary dies once, so it has to have done something before.
const SPAN_OF_A_PRIMARY: u64 = 1_500_000;
/// How many connections of all rounds are looked at once more at the end.
const AUDITED: usize = 600;
/// How long a server may take to notice that its database is back.
const RECOVERY: Duration = Duration::from_secs(15);

/// Who is killed.
pub(crate) enum Victim {
    /// `grantor serve`.
    Server,
    /// Its PostgreSQL. The server answers 503 meanwhile, and goes on by itself.
    Database(Box<Cluster>),
    /// Its PostgreSQL, for good: the replica takes its place, once.
    Primary(Box<Failover>),
}

/// A primary, and the replica that every commit waits for.
pub(crate) struct Failover {
    primary: Cluster,
    replica: Cluster,
    over: bool,
}

impl Failover {
    /// Starts both. The primary's own setting would not wait for the replica: who commits has to
    /// ask for it.
    pub(crate) fn start() -> Failover {
        let primary = Cluster::start_with(&[("synchronous_commit", "local")]).unwrap();
        let replica = primary.replica(Replication::Synchronous).unwrap();
        Failover { primary, replica, over: false }
    }

    /// The address of an empty database, wherever the primary is.
    fn store(&self) -> String {
        let one = self.primary.create_database("grantor").unwrap();
        let port = |cluster: &Cluster| format!("127.0.0.1:{}", cluster.port());
        let here = port(&self.primary);
        one.replacen(&here, &format!("{here},{}", port(&self.replica)), 1)
    }

    fn promote(&mut self) {
        if !self.over {
            self.replica.promote().unwrap();
            self.over = true;
        }
    }
}

/// One crash test.
pub(crate) struct Rounds {
    victim: Victim,
    pub(crate) installed: Installed,
    server: Option<Server>,
    partner: Arc<Partner>,
    books: Books,
    workers: Vec<Worker>,
    chance: Chance,
}

impl Rounds {
    /// Lays everything out and signs the customer in.
    pub(crate) async fn begin(victim: Victim, seed: u64) -> Rounds {
        let store = match &victim {
            Victim::Server => "sqlite:grantor.db".to_owned(),
            Victim::Database(cluster) => cluster.create_database("grantor").unwrap(),
            Victim::Primary(failover) => failover.store(),
        };
        let installed = tokio::task::block_in_place(|| Installed::new(&store));
        let server = installed.start().await;
        let partner = Arc::new(Partner::connect(&installed).await);
        let (books, mut chance) = (Books::default(), Chance::new(seed));
        let worker = |chance: Chance| Worker {
            partner: Arc::clone(&partner),
            books: books.clone(),
            chance,
            codes: Vec::new(),
            enough: Arc::default(),
        };
        let workers = (0..WORKERS).map(|_| worker(chance.split())).collect();
        Rounds { victim, installed, server: Some(server), partner, books, workers, chance }
    }

    /// Kills that often, and asserts that nothing was forgotten and nothing taken twice.
    pub(crate) async fn run(&mut self, kills: u64) {
        let mut all = Vec::new();
        for kill in 1..=kills {
            let touched = self.load_and_kill().await;
            self.recover().await;
            self.settle(touched.clone()).await;
            all.extend(touched.into_iter().flatten());
            self.assert_sound(&format!("after kill {kill}"));
        }
        // What ended long ago stays ended, and what lives goes on living.
        all.sort();
        all.dedup();
        let step = all.len().div_ceil(AUDITED).max(1);
        let audited: Vec<String> = all.into_iter().step_by(step).collect();
        self.books.add("audited at the end", audited.len() as u64);
        let share = audited.len().div_ceil(WORKERS).max(1);
        self.settle(audited.chunks(share).map(<[String]>::to_vec).collect()).await;
        self.assert_sound("at the end");
    }

    /// How often what happened.
    pub(crate) fn counts(&self) -> std::collections::BTreeMap<&'static str, u64> {
        self.books.counts()
    }

    /// The ledger, for a test of the test.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.books.ledger().violations().to_vec()
    }

    /// Lets all workers loose, and kills in the midst of it. Answers with what each of them touched.
    pub(crate) async fn load_and_kill(&mut self) -> Vec<Vec<String>> {
        let mut working = JoinSet::new();
        let enough = Arc::new(AtomicBool::new(false));
        for worker in &mut self.workers {
            let worker = Worker {
                partner: Arc::clone(&self.partner),
                books: self.books.clone(),
                chance: worker.chance.clone(),
                codes: std::mem::take(&mut worker.codes),
                enough: Arc::clone(&enough),
            };
            working.spawn(worker.work());
        }
        let span = match self.victim {
            Victim::Server | Victim::Database(_) => SPAN,
            Victim::Primary(_) => SPAN_OF_A_PRIMARY,
        };
        tokio::time::sleep(Duration::from_micros(self.chance.below(span))).await;
        match &mut self.victim {
            Victim::Server => self.server.take().unwrap().kill().await,
            Victim::Database(cluster) => tokio::task::block_in_place(|| {
                cluster.kill();
                // Back before the server gives up: what it did not know, it now settles.
                if self.chance.below(2) == 0 {
                    self.books.count("databases back at once");
                    cluster.start_again().unwrap();
                    std::thread::sleep(Duration::from_millis(200));
                    enough.store(true, Ordering::Relaxed);
                }
            }),
            Victim::Primary(failover) => tokio::task::block_in_place(|| {
                failover.primary.kill();
                if self.chance.below(2) == 0 {
                    self.books.count("replicas promoted at once");
                    failover.promote();
                    std::thread::sleep(Duration::from_millis(200));
                    enough.store(true, Ordering::Relaxed);
                }
            }),
        }
        self.books.count("kills");
        for worker in &mut self.workers {
            worker.chance = self.chance.split();
        }
        let away = Clock::system().stopwatch();
        let touched = working.join_all().await;
        self.note_time("milliseconds until all workers noticed, in all", away.elapsed());
        touched
    }

    /// Brings the victim back, and clients that know no dead connection.
    pub(crate) async fn recover(&mut self) {
        match self.victim {
            Victim::Server => self.restart_the_server().await,
            Victim::Database(_) | Victim::Primary(_) => self.restart_the_database().await,
        }
        self.partner = Arc::new(self.partner.afresh());
    }

    /// One in eight is killed again while it recovers.
    async fn restart_the_server(&mut self) {
        if self.chance.below(8) == 0 {
            let after = Duration::from_micros(self.chance.below(80_000));
            self.installed.start_and_kill(after).await;
            self.books.count("kills while starting");
        }
        let server = self.installed.start().await;
        self.note_time("milliseconds to start again, in all", server.took);
        self.server = Some(server);
        self.books.ledger().restarted();
    }

    /// The server lived on: it answered everybody, with 503, and goes on by itself.
    async fn restart_the_database(&mut self) {
        let lost = self.partner.lost();
        assert_eq!(lost, 0, "requests without an answer: {}", self.installed.log());
        let back = Clock::system().stopwatch();
        let still_away = match &self.victim {
            Victim::Server => false,
            Victim::Database(cluster) => cluster.process().is_none(),
            Victim::Primary(failover) => !failover.over,
        };
        if still_away {
            assert_eq!(self.partner.readiness().await, Some(503), "{}", self.installed.log());
            tokio::task::block_in_place(|| match &mut self.victim {
                Victim::Server => {}
                Victim::Database(cluster) => cluster.start_again().unwrap(),
                Victim::Primary(failover) => failover.promote(),
            });
        }
        let ready = async {
            while self.partner.readiness().await != Some(200) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let recovered = tokio::time::timeout(RECOVERY, ready).await;
        assert!(recovered.is_ok(), "it does not recover: {}", self.installed.log());
        self.note_time("milliseconds until database and server were back, in all", back.elapsed());
    }

    fn note_time(&self, what: &'static str, time: Duration) {
        self.books.add(what, u64::try_from(time.as_millis()).unwrap());
    }

    /// The workers share out what was touched, go on with it, and each begins something new. No
    /// connection has two of them: they would take each other for a thief.
    pub(crate) async fn settle(&mut self, touched: Vec<Vec<String>>) {
        let mut settling = JoinSet::new();
        for (mut worker, codes) in std::mem::take(&mut self.workers)
            .into_iter()
            .zip(touched.into_iter().chain(std::iter::repeat(Vec::new())))
        {
            worker.partner = Arc::clone(&self.partner);
            worker.codes = codes;
            settling.spawn(async move {
                for code in &worker.codes {
                    worker.settle(code).await;
                }
                worker.authorize_again().await;
                worker.keep_some();
                worker
            });
        }
        self.workers = settling.join_all().await;
    }

    fn assert_sound(&self, when: &str) {
        let ledger: &Ledger = &self.books.ledger();
        let violations = ledger.violations();
        let (counts, log) = (self.books.counts(), self.installed.log());
        let last: Vec<&str> = log.lines().rev().take(20).collect();
        assert_eq!(violations, [], "{when}; {counts:?}; the log, last line first: {last:#?}");
    }

    /// Ends the server, so that a test can look at its files.
    pub(crate) async fn stop(&mut self) {
        self.server.take().unwrap().kill().await;
    }

    /// How many connections live, as far as the ledger knows.
    pub(crate) fn alive(&self, codes: &[String]) -> usize {
        let ledger = self.books.ledger();
        codes.iter().filter(|code| matches!(ledger.standing(code), Standing::Alive(_))).count()
    }
}

/// How often to kill, and from which seed; both can be named, and both are printed.
pub(crate) fn kills_and_seed(usual: u64) -> (u64, u64) {
    use std::hash::{BuildHasher as _, RandomState};
    let number = |name: &str| {
        let text = std::env::var_os(name)?.into_string().unwrap();
        Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
    };
    let kills = number("GRANTOR_CRASH_KILLS").unwrap_or(usual);
    let seed = number("GRANTOR_CRASH_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
    println!("GRANTOR_CRASH_KILLS={kills} GRANTOR_CRASH_SEED={seed}");
    (kills, seed)
}

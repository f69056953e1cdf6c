//! What partners do all day, noted in the ledger, and what they do once the server is back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::chance::Chance;
use crate::ledger::{Fate, Ledger, Standing};
use crate::partner::Partner;

/// How many living connections a worker takes along into the next round.
const KEPT: usize = 6;

/// The ledger and the counts, shared by all workers.
#[derive(Clone, Default)]
pub(crate) struct Books {
    ledger: Arc<Mutex<Ledger>>,
    counts: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

impl Books {
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub(crate) fn count(&self, what: &'static str) {
        self.add(what, 1);
    }

    pub(crate) fn add(&self, what: &'static str, count: u64) {
        *self.counts.lock().unwrap().entry(what).or_insert(0) += count;
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap().clone()
    }

    /// What was answered; an answer that nobody knows is a violation, and tells nothing else.
    fn known<T>(&self, answer: Result<T, String>, otherwise: T) -> T {
        answer.unwrap_or_else(|words| {
            self.ledger().strange(words);
            otherwise
        })
    }
}

/// One who connects, refreshes and ends connections until the server is away.
pub(crate) struct Worker {
    pub(crate) partner: Arc<Partner>,
    pub(crate) books: Books,
    pub(crate) chance: Chance,
    /// The codes of its connections, dead ones included. The last were touched last.
    pub(crate) codes: Vec<String>,
    /// Set where a round is over although the server was never away.
    pub(crate) enough: Arc<AtomicBool>,
}

/// The server did not answer, or said that it cannot just now.
struct Away;

impl Worker {
    /// Works until the server is away or it is enough, and answers with the connections that it touched.
    pub(crate) async fn work(mut self) -> Vec<String> {
        while !self.enough.load(Ordering::Relaxed) && self.one_thing().await.is_ok() {}
        self.codes
    }

    async fn one_thing(&mut self) -> Result<(), Away> {
        let alive: Vec<String> = {
            let ledger = self.books.ledger();
            let alive = |code: &&String| matches!(ledger.standing(code), Standing::Alive(_));
            self.codes.iter().filter(alive).cloned().collect()
        };
        if alive.len() < 2 {
            return self.begin().await;
        }
        let code = &alive[usize::try_from(self.chance.below(alive.len() as u64)).unwrap()];
        match self.chance.below(12) {
            0..=3 => self.begin().await,
            4..=6 => self.refresh(code, 0).await,
            7..=8 => self.refresh_at_once(code).await,
            // The answer was "lost": the same request once more, and then on.
            9..=10 => {
                self.refresh(code, 0).await?;
                self.refresh(code, 1).await?;
                self.refresh(code, 0).await
            }
            _ => self.end(code).await,
        }
    }

    /// Authorizes and exchanges; one in eight sends the code twice at once.
    async fn begin(&mut self) -> Result<(), Away> {
        let code = self.books.known(self.partner.code().await, None).ok_or(Away)?;
        self.books.ledger().code(&code);
        self.books.count("codes");
        self.codes.push(code.clone());
        if self.chance.below(8) == 0 {
            let (first, second) = tokio::join!(self.exchange(&code), self.exchange(&code));
            return first.and(second);
        }
        self.exchange(&code).await
    }

    async fn exchange(&self, code: &str) -> Result<(), Away> {
        let sent = self.books.ledger().exchange_sent(code);
        let fate = self.books.known(self.partner.exchange(code).await, Fate::Lost);
        self.books.ledger().exchange_answered(code, sent, &fate);
        self.note("exchanges", &fate)
    }

    /// Refreshes with the last token, or with one `back` generations before it.
    async fn refresh(&self, code: &str, back: usize) -> Result<(), Away> {
        let Some(token) = self.books.ledger().older(code, back) else {
            return Ok(());
        };
        self.refresh_with(&token).await
    }

    async fn refresh_with(&self, token: &str) -> Result<(), Away> {
        let sent = self.books.ledger().refresh_sent(token);
        let fate = self.books.known(self.partner.refresh(token).await, Fate::Lost);
        self.books.ledger().refresh_answered(token, sent, &fate);
        self.note("refreshes", &fate)
    }

    /// Four workers of one partner that know nothing of each other.
    async fn refresh_at_once(&self, code: &str) -> Result<(), Away> {
        let Some(token) = self.books.ledger().older(code, 0) else {
            return Ok(());
        };
        let refresh = || self.refresh_with(&token);
        let all = tokio::join!(refresh(), refresh(), refresh(), refresh());
        all.0.and(all.1).and(all.2).and(all.3)
    }

    /// Ends a connection: by revocation, by its code once more, or by a generation long past.
    async fn end(&mut self, code: &str) -> Result<(), Away> {
        match self.chance.below(3) {
            0 => self.exchange(code).await,
            1 if self.books.ledger().older(code, 2).is_some() => self.refresh(code, 2).await,
            _ if self.partner.can_revoke() => {
                // Any of its tokens ends it, an old one too.
                let back = usize::try_from(self.chance.below(2)).unwrap();
                let token = self.books.ledger().older(code, back);
                let token = token.or_else(|| self.books.ledger().older(code, 0));
                self.revoke(&token.unwrap_or_default()).await
            }
            _ => self.exchange(code).await,
        }
    }

    async fn revoke(&self, token: &str) -> Result<(), Away> {
        self.books.ledger().end_sent(token);
        if !self.books.known(self.partner.revoke(token).await, false) {
            self.books.count("revocations unanswered");
            return Err(Away);
        }
        self.books.ledger().end_acknowledged(token);
        self.books.count("revocations acknowledged");
        Ok(())
    }

    /// Goes on with one connection after the server came back: tries again what was not answered,
    /// and finds everything else as it was told.
    pub(crate) async fn settle(&self, code: &str) {
        let standing = self.books.ledger().standing(code);
        let answered = match &standing {
            Standing::Fresh | Standing::Unanswered => self.exchange(code).await,
            Standing::Refused => Ok(()),
            Standing::Alive(tokens) | Standing::Ended(tokens) => {
                self.introspect(tokens).await;
                self.refresh_with(&tokens.refresh).await
            }
            Standing::Unsure(tokens) if self.partner.can_revoke() => {
                match self.revoke(&tokens.refresh).await {
                    Ok(()) => self.refresh_with(&tokens.refresh).await,
                    away => away,
                }
            }
            Standing::Unsure(tokens) => self.refresh_with(&tokens.refresh).await,
        };
        self.books.count(match standing {
            Standing::Fresh => "settled: codes not presented",
            Standing::Unanswered => "settled: exchanges unanswered",
            Standing::Refused => "settled: codes refused",
            Standing::Alive(_) => "settled: alive",
            Standing::Unsure(_) => "settled: end unanswered",
            Standing::Ended(_) => "settled: ended",
        });
        // Killed between commit and answer: the proof that kills land there.
        let now = self.books.ledger().standing(code);
        if standing == Standing::Unanswered && now == Standing::Refused {
            self.books.count("settled: exchanges unanswered that were carried out");
        }
        if answered.is_err() {
            self.books.ledger().strange(format!("no answer after the restart, for {standing:?}"));
        }
    }

    async fn introspect(&self, tokens: &crate::ledger::Tokens) {
        let sent = self.books.ledger().introspection_sent();
        let answer = self.partner.is_active(&tokens.access).await;
        if let Some(active) = self.books.known(answer, None) {
            self.books.ledger().introspected(&tokens.refresh, sent, active);
        }
    }

    /// Whoever lost everything authorizes again, and gets tokens.
    pub(crate) async fn authorize_again(&mut self) {
        let begun = self.begin().await;
        if begun.is_err() {
            self.books.ledger().strange("nobody can authorize after the restart".to_owned());
        }
    }

    /// Forgets the connections that ended, and the oldest of the others.
    pub(crate) fn keep_some(&mut self) {
        let ledger = self.books.ledger();
        self.codes.retain(|code| matches!(ledger.standing(code), Standing::Alive(_)));
        let over = self.codes.len().saturating_sub(KEPT);
        drop(self.codes.drain(..over));
    }

    fn note(&self, what: &'static str, fate: &Fate) -> Result<(), Away> {
        let (granted, refused, unanswered) = match what {
            "exchanges" => ("exchanges granted", "exchanges refused", "exchanges unanswered"),
            _ => ("refreshes granted", "refreshes refused", "refreshes unanswered"),
        };
        match fate {
            Fate::Granted(_) => self.books.count(granted),
            Fate::Refused(_) => self.books.count(refused),
            Fate::Unavailable | Fate::Lost => {
                self.books.count(unanswered);
                return Err(Away);
            }
        }
        Ok(())
    }
}

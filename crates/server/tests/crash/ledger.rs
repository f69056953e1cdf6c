//! What a client was told, held against what it is told later. No IO: it is given each request as
//! it is sent and each answer as it arrives, and names whatever cannot both be true.
//!
//! 1. a **code** becomes a **family** with its first tokens, or is refused;
//! 2. each refresh makes the next **generation** of the family;
//! 3. whoever ends a family (by revocation, by a code that comes again, by an old generation) may
//!    find it ended from the moment of asking, and must find it ended from the answer on.
//!
//! Requests overlap, so an answer proves something only about requests that were *sent* after it
//! arrived: a clock of its own counts both. An answer that never came proves nothing at all.

use std::collections::HashMap;

/// The tokens of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// What became of a request to the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// 200.
    Granted(Tokens),
    /// `invalid_grant`, with its description.
    Refused(String),
    /// 503: it was carried out or it was not, and nobody is at it any more.
    Unavailable,
    /// No whole answer came.
    Lost,
}

/// When a request was sent, by the ledger's own clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent(u64);

/// What cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Two exchanges of one code were granted.
    CodeAcceptedTwice { code: usize },
    /// A code was granted after it had been refused as used.
    EndedCodeAccepted { code: usize },
    /// A code was refused, and no other exchange can have used it.
    CodeRefused { code: usize, words: String },
    /// Two refreshes of one generation gave different successors.
    TwoSuccessors { code: usize, generation: usize },
    /// A generation was taken although its successor had been used.
    OldGenerationAccepted { code: usize, generation: usize },
    /// A family that was ended, and said to be, lives.
    EndForgotten { code: usize },
    /// A family that nobody ended does not live: a token that was acknowledged is gone.
    TokenForgotten { code: usize, generation: usize, words: String },
    /// An answer that no part of the protocol knows.
    Strange { words: String },
}

/// Where a connection stands, as far as the client can know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The code was never presented: it has to work.
    Fresh,
    /// The code was presented, and no answer came: the client tries, or authorizes again.
    Unanswered,
    /// The code was refused: the client authorizes again.
    Refused,
    /// It has to work with its last tokens.
    Alive(Tokens),
    /// Its end was asked for and never acknowledged.
    Unsure(Tokens),
    /// It must never work again.
    Ended(Tokens),
}

#[derive(Default)]
pub(crate) struct Ledger {
    now: u64,
    codes: Vec<Code>,
    by_code: HashMap<String, usize>,
    /// Which family and which generation of it, from 0, a refresh token is.
    by_token: HashMap<String, (usize, usize)>,
    violations: Vec<Violation>,
}

/// A code and the family that came from it.
#[derive(Default)]
struct Code {
    /// How many exchanges were sent, and how many of them were refused.
    presented: u32,
    refused: u32,
    /// Exchanges on their way, which may still be carried out.
    under_way: u32,
    generations: Vec<Generation>,
    end_asked: bool,
    ended_at: Option<u64>,
}

struct Generation {
    tokens: Tokens,
    /// When it was first presented, and when its successor first arrived.
    presented_at: Option<u64>,
    used_at: Option<u64>,
}

impl Ledger {
    /// A code arrived.
    pub(crate) fn code(&mut self, code: &str) {
        self.by_code.insert(code.to_owned(), self.codes.len());
        self.codes.push(Code::default());
    }

    pub(crate) fn exchange_sent(&mut self, code: &str) -> Sent {
        let (sent, code) = (self.tick(), self.at(code));
        let code = &mut self.codes[code];
        // A code that comes again ends what came from it, or may.
        code.end_asked |= !code.generations.is_empty();
        code.presented += 1;
        code.under_way += 1;
        sent
    }

    pub(crate) fn exchange_answered(&mut self, code: &str, sent: Sent, fate: &Fate) {
        let (now, number) = (self.tick().0, self.at(code));
        let code = &mut self.codes[number];
        if *fate != Fate::Lost {
            code.under_way = code.under_way.saturating_sub(1);
        }
        match fate {
            Fate::Granted(tokens) if code.generations.is_empty() => {
                if code.ended_at.is_some_and(|ended| ended < sent.0) {
                    self.violations.push(Violation::EndedCodeAccepted { code: number });
                }
                code.end_asked |= code.under_way > 0;
                self.born(number, tokens);
            }
            Fate::Granted(_) => self.violations.push(Violation::CodeAcceptedTwice { code: number }),
            Fate::Refused(words) => {
                code.refused += 1;
                code.ended_at.get_or_insert(now);
                if code.refused == code.presented {
                    let words = words.clone();
                    self.violations.push(Violation::CodeRefused { code: number, words });
                }
            }
            Fate::Unavailable | Fate::Lost => (),
        }
    }

    pub(crate) fn refresh_sent(&mut self, token: &str) -> Sent {
        let sent = self.tick();
        let (code, generation) = self.by_token[token];
        let code = &mut self.codes[code];
        // Two generations behind is reuse, which ends the family.
        code.end_asked |= generation + 2 < code.generations.len()
            || code.generations.get(generation + 1).is_some_and(|next| next.presented_at.is_some());
        code.generations[generation].presented_at.get_or_insert(sent.0);
        sent
    }

    pub(crate) fn refresh_answered(&mut self, token: &str, sent: Sent, fate: &Fate) {
        let now = self.tick().0;
        let (number, generation) = self.by_token[token];
        let code = &mut self.codes[number];
        match fate {
            Fate::Granted(tokens) => {
                code.generations[generation].used_at.get_or_insert(now);
                if code.ended_at.is_some_and(|ended| ended < sent.0) {
                    self.violations.push(Violation::EndForgotten { code: number });
                }
                match code.generations.get(generation + 1) {
                    Some(next) if next.tokens.refresh != tokens.refresh => {
                        self.violations.push(Violation::TwoSuccessors { code: number, generation });
                    }
                    Some(next) if next.used_at.is_some_and(|used| used < sent.0) => {
                        let old = Violation::OldGenerationAccepted { code: number, generation };
                        self.violations.push(old);
                    }
                    Some(_) => code.generations[generation + 1].tokens = tokens.clone(),
                    None => self.born(number, tokens),
                }
            }
            Fate::Refused(words) => {
                let next = code.generations.get(generation + 1);
                let may_be_old = next.is_some_and(|next| next.presented_at.is_some());
                if !code.end_asked && !may_be_old && code.ended_at.is_none() {
                    let words = words.clone();
                    let gone = Violation::TokenForgotten { code: number, generation, words };
                    self.violations.push(gone);
                }
                code.ended_at.get_or_insert(now);
            }
            Fate::Unavailable | Fate::Lost => (),
        }
    }

    /// The family of this refresh token is to be revoked.
    pub(crate) fn end_sent(&mut self, token: &str) {
        let (code, _) = self.by_token[token];
        self.codes[code].end_asked = true;
    }

    /// The revocation was answered 200.
    pub(crate) fn end_acknowledged(&mut self, token: &str) {
        let now = self.tick().0;
        let (code, _) = self.by_token[token];
        self.codes[code].ended_at.get_or_insert(now);
    }

    /// Whoever introspects a family's last access token asks now.
    pub(crate) fn introspection_sent(&mut self) -> Sent {
        self.tick()
    }

    pub(crate) fn introspected(&mut self, token: &str, sent: Sent, active: bool) {
        let (number, generation) = self.by_token[token];
        let code = &self.codes[number];
        if active && code.ended_at.is_some_and(|ended| ended < sent.0) {
            self.violations.push(Violation::EndForgotten { code: number });
        }
        if !active && !code.end_asked && code.ended_at.is_none() {
            let words = "its access token is not active".to_owned();
            self.violations.push(Violation::TokenForgotten { code: number, generation, words });
        }
    }

    /// Whoever had not answered is dead: what it did not do by now it will not do.
    pub(crate) fn restarted(&mut self) {
        for code in &mut self.codes {
            code.under_way = 0;
        }
    }

    /// Something else was answered than the protocol knows.
    pub(crate) fn strange(&mut self, words: String) {
        self.violations.push(Violation::Strange { words });
    }

    pub(crate) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    pub(crate) fn standing(&self, code: &str) -> Standing {
        let code = &self.codes[self.at(code)];
        let tokens = code.generations.last().map(|last| last.tokens.clone());
        match tokens {
            None if code.presented == 0 => Standing::Fresh,
            None if code.ended_at.is_some() => Standing::Refused,
            None => Standing::Unanswered,
            Some(tokens) if code.ended_at.is_some() => Standing::Ended(tokens),
            Some(tokens) if code.end_asked => Standing::Unsure(tokens),
            Some(tokens) => Standing::Alive(tokens),
        }
    }

    /// The refresh token `back` generations before the last, where there are as many.
    pub(crate) fn older(&self, code: &str, back: usize) -> Option<String> {
        let generations = &self.codes[self.at(code)].generations;
        let at = generations.len().checked_sub(back + 1)?;
        Some(generations[at].tokens.refresh.clone())
    }

    fn born(&mut self, number: usize, tokens: &Tokens) {
        let generation = self.codes[number].generations.len();
        if self.by_token.insert(tokens.refresh.clone(), (number, generation)).is_some() {
            self.strange("one refresh token was given out as two".to_owned());
        }
        let tokens = tokens.clone();
        let born = Generation { tokens, presented_at: None, used_at: None };
        self.codes[number].generations.push(born);
    }

    fn at(&self, code: &str) -> usize {
        self.by_code[code]
    }

    fn tick(&mut self) -> Sent {
        self.now += 1;
        Sent(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(name: &str) -> Fate {
        Fate::Granted(Tokens { access: format!("access {name}"), refresh: name.to_owned() })
    }

    fn refused() -> Fate {
        Fate::Refused("no".to_owned())
    }

    /// A ledger with one family: the code `c`, and the generations `g0` to the one named.
    fn family(last: usize) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.code("c");
        exchange(&mut ledger, &tokens("g0"));
        for generation in 0..last {
            let next = tokens(&format!("g{}", generation + 1));
            refresh(&mut ledger, &format!("g{generation}"), &next);
        }
        assert_eq!(ledger.violations(), []);
        ledger
    }

    fn exchange(ledger: &mut Ledger, fate: &Fate) {
        let sent = ledger.exchange_sent("c");
        ledger.exchange_answered("c", sent, fate);
    }

    fn refresh(ledger: &mut Ledger, token: &str, fate: &Fate) {
        let sent = ledger.refresh_sent(token);
        ledger.refresh_answered(token, sent, fate);
    }

    fn introspect(ledger: &mut Ledger, token: &str, active: bool) {
        let sent = ledger.introspection_sent();
        ledger.introspected(token, sent, active);
    }

    #[test]
    fn d1_a_code_that_is_accepted_twice_is_named_also_when_the_tokens_are_the_same() {
        for again in ["other", "g0"] {
            let mut ledger = family(0);
            exchange(&mut ledger, &tokens(again));
            assert_eq!(ledger.violations(), [Violation::CodeAcceptedTwice { code: 0 }]);
        }
    }

    #[test]
    fn d1_a_code_that_is_accepted_after_it_was_refused_is_named() {
        let mut ledger = Ledger::default();
        ledger.code("c");
        exchange(&mut ledger, &Fate::Lost);
        ledger.restarted();
        exchange(&mut ledger, &refused());
        assert_eq!((ledger.violations(), ledger.standing("c")), (&[][..], Standing::Refused));
        exchange(&mut ledger, &tokens("g0"));
        assert_eq!(ledger.violations(), [Violation::EndedCodeAccepted { code: 0 }]);
    }

    #[test]
    fn d1_a_code_that_nobody_used_and_that_is_refused_is_named() {
        let mut ledger = Ledger::default();
        ledger.code("c");
        exchange(&mut ledger, &refused());
        let words = "no".to_owned();
        assert_eq!(ledger.violations(), [Violation::CodeRefused { code: 0, words }]);
    }

    #[test]
    fn d1_an_exchange_whose_answer_was_lost_may_have_been_carried_out_or_not() {
        for (fate, standing) in [
            (refused(), Standing::Refused),
            (
                tokens("g0"),
                Standing::Alive(Tokens { access: "access g0".into(), refresh: "g0".into() }),
            ),
        ] {
            let mut ledger = Ledger::default();
            ledger.code("c");
            assert_eq!(ledger.standing("c"), Standing::Fresh);
            exchange(&mut ledger, &Fate::Lost);
            assert_eq!(ledger.standing("c"), Standing::Unanswered);
            ledger.restarted();
            exchange(&mut ledger, &fate);
            assert_eq!((ledger.violations(), ledger.standing("c")), (&[][..], standing));
        }
    }

    #[test]
    fn d1_of_two_exchanges_at_once_one_may_win_and_the_other_end_what_it_won() {
        let mut ledger = Ledger::default();
        ledger.code("c");
        let (first, second) = (ledger.exchange_sent("c"), ledger.exchange_sent("c"));
        // The loser's answer arrives first.
        ledger.exchange_answered("c", second, &refused());
        ledger.exchange_answered("c", first, &tokens("g0"));
        assert!(matches!(ledger.standing("c"), Standing::Ended(_)));
        refresh(&mut ledger, "g0", &refused());
        assert_eq!(ledger.violations(), []);
        refresh(&mut ledger, "g0", &tokens("g1"));
        assert_eq!(ledger.violations(), [Violation::EndForgotten { code: 0 }]);
    }

    #[test]
    fn d11_a_refresh_that_is_repeated_gives_one_successor_and_another_is_named() {
        let mut ledger = family(1);
        refresh(&mut ledger, "g0", &Fate::Lost);
        refresh(&mut ledger, "g0", &tokens("g1"));
        assert_eq!(ledger.violations(), []);
        refresh(&mut ledger, "g0", &tokens("another"));
        assert_eq!(ledger.violations(), [Violation::TwoSuccessors { code: 0, generation: 0 }]);
    }

    #[test]
    fn d11_a_generation_whose_successor_was_used_and_that_is_taken_is_named() {
        let mut ledger = family(2);
        refresh(&mut ledger, "g0", &tokens("g1"));
        let old = Violation::OldGenerationAccepted { code: 0, generation: 0 };
        assert_eq!(ledger.violations(), [old]);
    }

    #[test]
    fn d2_an_acknowledged_refresh_that_is_gone_is_named_and_one_that_was_lost_can_be_retried() {
        let mut ledger = family(1);
        refresh(&mut ledger, "g1", &Fate::Unavailable);
        refresh(&mut ledger, "g1", &tokens("g2"));
        assert_eq!(ledger.violations(), []);
        refresh(&mut ledger, "g2", &refused());
        let words = "no".to_owned();
        let gone = Violation::TokenForgotten { code: 0, generation: 2, words };
        assert_eq!(ledger.violations(), [gone]);
    }

    #[test]
    fn d2_an_acknowledged_end_that_is_forgotten_is_named_for_both_tokens() {
        for acknowledge in [
            |ledger: &mut Ledger| ledger.end_acknowledged("g2"),
            |ledger: &mut Ledger| refresh(ledger, "g0", &refused()),
            |ledger: &mut Ledger| exchange(ledger, &refused()),
        ] {
            let mut ledger = family(2);
            ledger.end_sent("g2");
            assert!(matches!(ledger.standing("c"), Standing::Unsure(_)));
            introspect(&mut ledger, "g2", true);
            acknowledge(&mut ledger);
            introspect(&mut ledger, "g2", false);
            refresh(&mut ledger, "g2", &refused());
            assert_eq!(ledger.violations(), []);
            introspect(&mut ledger, "g2", true);
            refresh(&mut ledger, "g2", &tokens("g3"));
            let forgotten = Violation::EndForgotten { code: 0 };
            assert_eq!(ledger.violations(), [forgotten.clone(), forgotten]);
        }
    }

    #[test]
    fn d2_an_answer_that_was_on_its_way_when_the_end_came_is_no_violation() {
        let mut ledger = family(0);
        let sent = ledger.refresh_sent("g0");
        ledger.end_sent("g0");
        ledger.end_acknowledged("g0");
        ledger.refresh_answered("g0", sent, &tokens("g1"));
        assert_eq!(ledger.violations(), []);
        refresh(&mut ledger, "g1", &refused());
        assert_eq!(ledger.violations(), []);
    }

    #[test]
    fn d2_an_access_token_that_nobody_ended_and_that_is_not_active_is_named() {
        let mut ledger = family(0);
        introspect(&mut ledger, "g0", true);
        assert_eq!(ledger.violations(), []);
        introspect(&mut ledger, "g0", false);
        assert!(matches!(ledger.violations(), [Violation::TokenForgotten { code: 0, .. }]));
    }
}

//! Each line of the integration report, from the calls that make it so.

use grantor_protocol::cause::{
    ACCESS_DENIED, CODE_EXPIRED, CODE_REDIRECT_URI, CODE_USED, CONNECTION_ENDED, PARAMETER_MISSING,
    REDIRECT_URI_DIFFERS, REFRESH_EXPIRED, REFRESH_REUSED, SECRET_IN_URL,
};
use grantor_protocol::integration_report::{
    Fact, Facts, Line, LineState, Seen, Shown, Subject, facts_of, integration_report,
};
use grantor_protocol::logged_call::{Endpoint, Outcome};
use grantor_protocol::trial::Trial;
use proptest::prelude::*;

const T: i64 = 1_800_000_000;
const DAY: i64 = 24 * 3600;

/// Calls of one client, each at its time.
#[derive(Default)]
struct Calls(Facts);

impl Calls {
    fn show(mut self, at: i64, shown: &Shown<'_>) -> Calls {
        for fact in facts_of(shown) {
            self.0.add(fact, Seen::once(T + at));
        }
        self
    }

    fn code(self, at: i64, state: bool, challenge: bool) -> Calls {
        let shown = Shown { with: Some((state, challenge)), ..link(Outcome::Code, None) };
        self.show(at, &shown)
    }

    fn link(self, at: i64, cause: &str) -> Calls {
        self.show(at, &link(Outcome::Redirected, Some(cause)))
    }

    fn tokens(self, at: i64, generation: i64) -> Calls {
        let shown = Shown { generation: Some(generation), ..token(Outcome::Issued, None) };
        self.show(at, &shown)
    }

    fn refused(self, at: i64, cause: &str) -> Calls {
        self.show(at, &token(Outcome::Refused, Some(cause)))
    }

    fn unproved(self, at: i64, cause: &str) -> Calls {
        self.show(at, &Shown { proved: false, ..token(Outcome::Refused, Some(cause)) })
    }

    fn fact(mut self, at: i64, fact: Fact) -> Calls {
        self.0.add(fact, Seen::once(T + at));
        self
    }

    fn line(&self, subject: Subject, now: i64) -> Line {
        let report = integration_report(&self.0, T + now);
        report.into_iter().find(|line| line.subject == subject).unwrap()
    }

    #[track_caller]
    fn assert(&self, subject: Subject, state: LineState) {
        assert_eq!(self.line(subject, 10 * DAY).state, state, "{:?}", self.0);
    }
}

fn link<'a>(outcome: Outcome, cause: Option<&'a str>) -> Shown<'a> {
    Shown {
        endpoint: Endpoint::Authorize,
        outcome,
        cause,
        proved: false,
        in_url: true,
        with: None,
        generation: None,
        trial: None,
    }
}

fn token<'a>(outcome: Outcome, cause: Option<&'a str>) -> Shown<'a> {
    let endpoint = Endpoint::Token;
    Shown { endpoint, proved: true, in_url: false, ..link(outcome, cause) }
}

fn green(at: i64) -> LineState {
    LineState::Green { at: T + at }
}

fn red(at: i64, proved: bool) -> LineState {
    LineState::Red { at: T + at, proved }
}

#[test]
fn whoever_showed_nothing_has_open_lines_that_say_how() {
    for line in integration_report(&Facts::default(), T) {
        assert_eq!((line.state, line.violated_at), (LineState::Open, None), "{line:?}");
        assert!(!line.subject.how().is_empty() && !line.subject.title().is_empty());
    }
}

#[test]
fn state_and_pkce_count_as_the_newest_code_had_them() {
    for (subject, good, bad) in [
        (Subject::State, (true, false), (false, true)),
        (Subject::Pkce, (false, true), (true, false)),
    ] {
        let calls = Calls::default().code(1, good.0, good.1);
        calls.assert(subject, green(1));
        let calls = calls.code(5, bad.0, bad.1);
        calls.assert(subject, red(5, true));
        let calls = calls.code(9, good.0, good.1);
        calls.assert(subject, green(9));
        assert_eq!(calls.line(subject, 9).violated_at, Some(T + 5));
    }
}

#[test]
fn a_redirect_uri_that_differs_is_red_and_says_whether_anybody_may_have_sent_it() {
    let calls = Calls::default().code(1, true, true).link(2, REDIRECT_URI_DIFFERS);
    calls.assert(Subject::RedirectUri, red(2, false));
    let calls = calls.refused(3, CODE_REDIRECT_URI);
    calls.assert(Subject::RedirectUri, red(3, true));
    calls.code(4, true, true).assert(Subject::RedirectUri, green(4));
    // What nobody proved says nothing of the client's own exchange.
    let calls = Calls::default().code(1, true, true).unproved(2, CODE_REDIRECT_URI);
    calls.assert(Subject::RedirectUri, green(1));
}

#[test]
fn a_denial_is_handled_by_who_comes_back_or_waits_and_not_by_who_exchanges_nothing() {
    let denied = || Calls::default().link(10, ACCESS_DENIED);
    assert_eq!(denied().line(Subject::Denial, 20).state, LineState::Open);
    denied().code(30, true, true).assert(Subject::Denial, green(30));
    denied().assert(Subject::Denial, green(10));
    let wrong = denied().refused(12, PARAMETER_MISSING);
    wrong.assert(Subject::Denial, red(12, false));
    // Mended, and shown again.
    let mended = Calls::default().link(10, ACCESS_DENIED).refused(12, PARAMETER_MISSING);
    mended.link(5000, ACCESS_DENIED).assert(Subject::Denial, green(5000));
}

#[test]
fn a_code_that_comes_too_late_is_red_until_one_comes_in_time() {
    let late = Calls::default().refused(5, CODE_EXPIRED);
    late.assert(Subject::CodeLife, red(5, true));
    late.tokens(6, 1).assert(Subject::CodeLife, green(6));
    Calls::default().unproved(5, CODE_EXPIRED).assert(Subject::CodeLife, LineState::Open);
}

#[test]
fn parameters_in_the_url_are_red_and_a_secret_there_whoever_sent_it() {
    let in_url = Shown { in_url: true, generation: Some(1), ..token(Outcome::Issued, None) };
    let calls = Calls::default().show(1, &in_url);
    calls.assert(Subject::ParametersInBody, red(1, true));
    let calls = calls.tokens(2, 1);
    calls.assert(Subject::ParametersInBody, green(2));
    calls.unproved(3, SECRET_IN_URL).assert(Subject::ParametersInBody, red(3, false));
}

#[test]
fn the_newest_token_is_kept_by_who_refreshes_twice_running() {
    let once = Calls::default().tokens(1, 1).tokens(2, 2);
    once.assert(Subject::NewestToken, LineState::Open);
    let twice = once.tokens(3, 3);
    twice.assert(Subject::NewestToken, green(3));
    let repeated = twice.fact(4, Fact::RefreshRepeated);
    repeated.assert(Subject::NewestToken, LineState::Open);
    let again = repeated.tokens(5, 5);
    again.assert(Subject::NewestToken, green(5));
    let reused = again.refused(6, REFRESH_REUSED);
    reused.assert(Subject::NewestToken, red(6, true));
    // Who lost an answer on purpose has to repeat.
    let lost = Calls::default().tokens(3, 3).fact(4, Fact::AnswerLost);
    lost.fact(5, Fact::RefreshRepeated).assert(Subject::NewestToken, green(3));
}

#[test]
fn a_reuse_is_red_until_a_day_of_refreshing_without() {
    let calls = Calls::default().tokens(1, 2);
    calls.assert(Subject::NoReuse, green(1));
    for (cause, at) in [(REFRESH_REUSED, 10), (CODE_USED, 10)] {
        let calls = Calls::default().tokens(1, 2).refused(at, cause).tokens(at + 5, 2);
        calls.assert(Subject::NoReuse, red(at, true));
        let calls = calls.tokens(at + DAY, 3);
        calls.assert(Subject::NoReuse, green(at + DAY));
        assert_eq!(calls.line(Subject::NoReuse, 2 * DAY).violated_at, Some(T + at));
    }
    // A stranger with a token of somebody's is not the client.
    let calls = Calls::default().tokens(1, 2).unproved(2, REFRESH_REUSED);
    calls.assert(Subject::NoReuse, green(1));
}

#[test]
fn recovery_is_what_comes_after_the_expiry_or_the_end() {
    let expired = Calls::default().tokens(1, 2).fact(5, Fact::TokenExpired);
    expired.assert(Subject::Expiry, LineState::Open);
    expired.tokens(6, 3).assert(Subject::Expiry, green(6));
    let late = Calls::default().tokens(1, 1).refused(5, REFRESH_EXPIRED);
    late.assert(Subject::Expiry, LineState::Open);
    late.tokens(7, 1).assert(Subject::Expiry, green(7));
    let ended = Calls::default().tokens(1, 1).refused(5, CONNECTION_ENDED);
    ended.assert(Subject::Revocation, LineState::Open);
    let connected = ended.tokens(8, 1);
    connected.assert(Subject::Revocation, green(8));
    // What was shown stays, when another connection ends.
    connected.refused(20, CONNECTION_ENDED).assert(Subject::Revocation, green(8));
}

#[test]
fn a_trial_leaves_its_own_fact_and_every_fact_is_read_by_its_name() {
    for (fact, name) in Fact::ALL {
        assert_eq!((Fact::parse(name), fact.as_str()), (Some(fact), name));
    }
    let lost = Shown { trial: Some(Trial::LoseResponse), ..token(Outcome::Issued, None) };
    assert!(facts_of(&lost).contains(&Fact::AnswerLost));
}

proptest! {
    #[test]
    fn no_line_is_dated_later_than_what_it_is_from_and_the_order_of_calls_is_nothing(
        mut seen in proptest::collection::vec((0_usize..Fact::ALL.len(), 0_i64..100_000), 0..40),
        now in 0_i64..200_000,
    ) {
        let facts = |seen: &[(usize, i64)]| {
            let mut facts = Facts::default();
            for (at, second) in seen {
                facts.add(Fact::ALL[*at].0, Seen::once(T + second));
            }
            facts
        };
        let report = integration_report(&facts(&seen), T + now);
        let last = seen.iter().map(|(_, second)| T + second).max().unwrap_or(0);
        for line in &report {
            match line.state {
                LineState::Green { at } | LineState::Red { at, .. } => prop_assert!(at <= last),
                LineState::Open => {}
            }
        }
        seen.reverse();
        prop_assert_eq!(report, integration_report(&facts(&seen), T + now));
    }
}

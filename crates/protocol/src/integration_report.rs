//! What an integration has shown so far, line by line: for its developer, and for the manager who
//! decides whether it may go to production.
//!
//! 1. [`facts_of`] says which facts a call shows; of each fact the store keeps when it was first and
//!    last seen, and how often;
//! 2. [`integration_report`] makes lines of them. The newest counts: whoever mended a mistake and
//!    showed it is green, and the line still says when the mistake was last seen.
//!
//! What a call shows that nobody proved to be the client's is said to be just that.

use crate::cause::{
    ACCESS_DENIED, CODE_EXPIRED, CODE_REDIRECT_URI, CODE_UNREADABLE, CODE_USED, CONNECTION_ENDED,
    PARAMETER_MISSING, REDIRECT_URI_DIFFERS, REFRESH_EXPIRED, REFRESH_REUSED, SECRET_IN_URL,
};
use crate::logged_call::{Endpoint, Outcome};
use crate::trial::Trial;

/// A call to `/oauth/token` with no usable code this soon after a denial took the denial for a code,
/// in seconds.
const DENIAL_SECONDS: i64 = 120;
/// A repeat this soon after an answer was lost on purpose is the right thing to do, in seconds.
const LOST_SECONDS: i64 = 600;
/// Who reused a token has to refresh for so long without, in seconds.
const QUIET_SECONDS: i64 = 24 * 3600;

/// Something that calls of a client have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// a code left for a request with `state`
    WithState,
    /// a code left for a request without
    WithoutState,
    /// a code left for a request with a challenge
    WithChallenge,
    /// a code left for a request without
    WithoutChallenge,
    /// the client itself sent another redirect URI than it should have
    RedirectUriDiffered,
    /// somebody opened a link with a redirect URI that is not registered
    LinkDiffered,
    /// an authorization request was denied
    Denied,
    /// an authorization request ended in any way
    Asked,
    /// the client asked for tokens with nothing that could be a code
    CodeMissing,
    /// a code became tokens
    Exchanged,
    /// a code came too late
    CodeLate,
    /// a code came twice
    CodeReused,
    /// a call to `/oauth/token` whose parameters stood in the body alone
    InBody,
    /// one that had some in the URL
    InUrl,
    /// a secret of the client stood in a URL; whoever sent it
    SecretInUrl,
    /// a refresh
    Refreshed,
    /// a refresh of what a refresh gave
    RefreshedAgain,
    /// the same refresh came again inside its window
    RefreshRepeated,
    /// an old refresh token came
    RefreshReused,
    /// a refresh token came too late
    RefreshLate,
    /// a token came of a connection that was ended
    ConnectionEnded,
    /// an answer was lost on purpose
    AnswerLost,
    /// an access token was made to count as expired
    TokenExpired,
    /// a connection was ended on purpose
    GrantEnded,
    /// calls that were not kept, because there were too many
    NotKept,
}

/// When a fact was seen, in Unix seconds, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The first time.
    pub first_at: i64,
    /// The last time.
    pub last_at: i64,
    /// How often.
    pub count: i64,
}

/// All that is known of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(Vec<(Fact, Seen)>);

/// A call, as far as it can show anything.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Where it went.
    pub endpoint: Endpoint,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was refused, by the cause's name.
    pub cause: Option<&'a str>,
    /// Whether the client proved that it was its own.
    pub proved: bool,
    /// Whether a parameter stood in the URL.
    pub in_url: bool,
    /// Of a code that left: whether its request had a state, and whether it had a challenge.
    pub with: Option<(bool, bool)>,
    /// Of tokens that left: the generation of their grant.
    pub generation: Option<i64>,
    /// What was made to happen on purpose.
    pub trial: Option<Trial>,
}

/// A line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub subject: Subject,
    /// How it stands.
    pub state: LineState,
    /// When the opposite was last seen, in Unix seconds, whatever the state.
    pub violated_at: Option<i64>,
}

/// How a line stands. Times are in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineState {
    /// It was shown.
    Green {
        /// when, the last time
        at: i64,
    },
    /// It was not shown yet; [`Subject::how`] says how to.
    Open,
    /// The opposite was shown.
    Red {
        /// when, the last time
        at: i64,
        /// whether the call was proved to be the client's; otherwise anybody may have sent it
        proved: bool,
    },
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// uses `state`
    State,
    /// uses PKCE
    Pkce,
    /// sends its redirect URI as it is registered
    RedirectUri,
    /// handles a denial
    Denial,
    /// exchanges a code within its life
    CodeLife,
    /// keeps parameters out of the URL
    ParametersInBody,
    /// refreshes, and keeps the newest token
    NewestToken,
    /// recovers from an expired token or connection
    Expiry,
    /// recovers from a revoked connection
    Revocation,
    /// never reused a code or a token
    NoReuse,
}

impl Fact {
    /// All of them, with the names by which they are stored.
    pub const ALL: [(Fact, &str); 25] = [
        (Fact::WithState, "with_state"),
        (Fact::WithoutState, "without_state"),
        (Fact::WithChallenge, "with_challenge"),
        (Fact::WithoutChallenge, "without_challenge"),
        (Fact::RedirectUriDiffered, "redirect_uri_differed"),
        (Fact::LinkDiffered, "link_differed"),
        (Fact::Denied, "denied"),
        (Fact::Asked, "asked"),
        (Fact::CodeMissing, "code_missing"),
        (Fact::Exchanged, "exchanged"),
        (Fact::CodeLate, "code_late"),
        (Fact::CodeReused, "code_reused"),
        (Fact::InBody, "in_body"),
        (Fact::InUrl, "in_url"),
        (Fact::SecretInUrl, "secret_in_url"),
        (Fact::Refreshed, "refreshed"),
        (Fact::RefreshedAgain, "refreshed_again"),
        (Fact::RefreshRepeated, "refresh_repeated"),
        (Fact::RefreshReused, "refresh_reused"),
        (Fact::RefreshLate, "refresh_late"),
        (Fact::ConnectionEnded, "connection_ended"),
        (Fact::AnswerLost, "answer_lost"),
        (Fact::TokenExpired, "token_expired"),
        (Fact::GrantEnded, "grant_ended"),
        (Fact::NotKept, "not_kept"),
    ];

    /// The name by which it is stored.
    pub fn as_str(self) -> &'static str {
        Fact::ALL.iter().find(|(fact, _)| *fact == self).map_or("", |(_, name)| name)
    }

    /// The fact of that name. A newer program may have stored others.
    pub fn parse(name: &str) -> Option<Fact> {
        Fact::ALL.iter().find(|(_, known)| *known == name).map(|(fact, _)| *fact)
    }
}

impl Seen {
    /// Once.
    pub fn once(at: i64) -> Seen {
        Seen { first_at: at, last_at: at, count: 1 }
    }

    /// Both together.
    pub fn and(self, other: Seen) -> Seen {
        Seen {
            first_at: self.first_at.min(other.first_at),
            last_at: self.last_at.max(other.last_at),
            count: self.count + other.count,
        }
    }
}

impl Facts {
    /// Adds what was seen of a fact.
    pub fn add(&mut self, fact: Fact, seen: Seen) {
        match self.0.iter_mut().find(|(held, _)| *held == fact) {
            Some((_, held)) => *held = held.and(seen),
            None => self.0.push((fact, seen)),
        }
    }

    /// What was seen of a fact.
    pub fn seen(&self, fact: Fact) -> Option<Seen> {
        self.0.iter().find(|(held, _)| *held == fact).map(|(_, seen)| *seen)
    }

    /// All of them, in an order that is always the same.
    pub fn into_sorted(mut self) -> Vec<(Fact, Seen)> {
        self.0.sort_by_key(|(fact, _)| *fact);
        self.0
    }

    fn last(&self, fact: Fact) -> Option<i64> {
        self.seen(fact).map(|seen| seen.last_at)
    }

    fn first(&self, fact: Fact) -> Option<i64> {
        self.seen(fact).map(|seen| seen.first_at)
    }
}

/// Which facts a call shows.
pub fn facts_of(shown: &Shown<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some((state, challenge)) = shown.with {
        facts.push(if state { Fact::WithState } else { Fact::WithoutState });
        facts.push(if challenge { Fact::WithChallenge } else { Fact::WithoutChallenge });
    }
    if shown.endpoint == Endpoint::Authorize {
        facts.push(Fact::Asked);
    }
    facts.extend(shown.cause.and_then(|cause| fact_of_cause(cause, shown)));
    if shown.endpoint == Endpoint::Token && shown.proved {
        facts.push(if shown.in_url { Fact::InUrl } else { Fact::InBody });
    }
    match (shown.outcome, shown.generation) {
        (Outcome::Issued, Some(1)) => facts.push(Fact::Exchanged),
        (Outcome::Issued, Some(2)) => facts.push(Fact::Refreshed),
        (Outcome::Issued, Some(_)) => facts.extend([Fact::Refreshed, Fact::RefreshedAgain]),
        (Outcome::Repeated, _) => facts.push(Fact::RefreshRepeated),
        _ => {}
    }
    facts.extend(shown.trial.and_then(Trial::fact));
    facts
}

/// Of a cause that names what the client did, and not what somebody says in its name.
fn fact_of_cause(cause: &str, shown: &Shown<'_>) -> Option<Fact> {
    let of_client = |fact| shown.proved.then_some(fact);
    match cause {
        ACCESS_DENIED => Some(Fact::Denied),
        REDIRECT_URI_DIFFERS if !shown.proved => Some(Fact::LinkDiffered),
        REDIRECT_URI_DIFFERS | CODE_REDIRECT_URI => of_client(Fact::RedirectUriDiffered),
        SECRET_IN_URL => Some(Fact::SecretInUrl),
        PARAMETER_MISSING | CODE_UNREADABLE if shown.endpoint == Endpoint::Token => {
            Some(Fact::CodeMissing)
        }
        CODE_EXPIRED => of_client(Fact::CodeLate),
        CODE_USED => of_client(Fact::CodeReused),
        REFRESH_REUSED => of_client(Fact::RefreshReused),
        REFRESH_EXPIRED => of_client(Fact::RefreshLate),
        CONNECTION_ENDED => of_client(Fact::ConnectionEnded),
        _ => None,
    }
}

impl Subject {
    /// All of them, in the order in which an integration meets them.
    pub const ALL: [Subject; 10] = [
        Subject::State,
        Subject::Pkce,
        Subject::RedirectUri,
        Subject::Denial,
        Subject::CodeLife,
        Subject::ParametersInBody,
        Subject::NewestToken,
        Subject::NoReuse,
        Subject::Expiry,
        Subject::Revocation,
    ];

    /// What it is, in words.
    pub fn title(self) -> &'static str {
        match self {
            Subject::State => "Uses state",
            Subject::Pkce => "Uses PKCE",
            Subject::RedirectUri => "Sends its redirect URI as it is registered",
            Subject::Denial => "Handles a denial",
            Subject::CodeLife => "Exchanges a code within its life",
            Subject::ParametersInBody => "Keeps parameters out of the URL",
            Subject::NewestToken => "Refreshes, and keeps the newest token",
            Subject::NoReuse => "Never used a code or token twice",
            Subject::Expiry => "Recovers when a token or connection has expired",
            Subject::Revocation => "Recovers when a connection was ended",
        }
    }

    /// How to show it.
    pub fn how(self) -> &'static str {
        match self {
            Subject::State => {
                "Send a state with the authorization request, and let a test customer allow it."
            }
            Subject::Pkce => {
                "Send code_challenge and code_challenge_method=S256 with the authorization \
                 request, and let a test customer allow it."
            }
            Subject::RedirectUri => {
                "Let a test customer allow a request whose redirect_uri is a registered one, byte \
                 for byte."
            }
            Subject::Denial => {
                "Choose \"Deny the next consent\" or press Deny, let your app say what happened, and \
                 connect again."
            }
            Subject::CodeLife => "Exchange a code as soon as it comes.",
            Subject::ParametersInBody => {
                "Send the parameters of /oauth/token in the body of the POST, and none in the URL."
            }
            Subject::NewestToken => {
                "Refresh twice, each time with the refresh token that the last answer held."
            }
            Subject::NoReuse => "Refresh a connection, and use no code and no refresh token twice.",
            Subject::Expiry => {
                "Choose \"Expire the newest token\", call the API, and refresh when it answers 401."
            }
            Subject::Revocation => {
                "Choose \"End the newest connection\", let your app refresh, and connect again when \
                 it is told invalid_grant."
            }
        }
    }
}

/// All lines. `now` is in Unix seconds.
pub fn integration_report(facts: &Facts, now: i64) -> Vec<Line> {
    let line = |subject| match subject {
        Subject::State => newest(facts, subject, Fact::WithState, &[Fact::WithoutState]),
        Subject::Pkce => newest(facts, subject, Fact::WithChallenge, &[Fact::WithoutChallenge]),
        Subject::RedirectUri => redirect_uri(facts),
        Subject::Denial => denial(facts, now),
        Subject::CodeLife => newest(facts, subject, Fact::Exchanged, &[Fact::CodeLate]),
        Subject::ParametersInBody => in_body(facts),
        Subject::NewestToken => newest_token(facts),
        Subject::NoReuse => no_reuse(facts),
        Subject::Expiry => expiry(facts),
        Subject::Revocation => revocation(facts),
    };
    Subject::ALL.into_iter().map(line).collect()
}

/// Green where the last of it was good, red where it was bad, open where there was none.
fn newest(facts: &Facts, subject: Subject, good: Fact, bad: &[Fact]) -> Line {
    let violated_at = bad.iter().filter_map(|bad| facts.last(*bad)).max();
    settled(subject, facts.last(good), violated_at, true)
}

fn settled(subject: Subject, good: Option<i64>, bad: Option<i64>, proved: bool) -> Line {
    let state = match (good, bad) {
        (good, Some(at)) if good.is_none_or(|good| good <= at) => LineState::Red { at, proved },
        (Some(at), _) => LineState::Green { at },
        (None, _) => LineState::Open,
    };
    Line { subject, state, violated_at: bad }
}

fn redirect_uri(facts: &Facts) -> Line {
    let (client, link) = (facts.last(Fact::RedirectUriDiffered), facts.last(Fact::LinkDiffered));
    let good = facts.last(Fact::WithState).max(facts.last(Fact::WithoutState));
    settled(Subject::RedirectUri, good, client.max(link), client >= link)
}

fn in_body(facts: &Facts) -> Line {
    let (client, anybody) = (facts.last(Fact::InUrl), facts.last(Fact::SecretInUrl));
    let good = facts.last(Fact::InBody);
    settled(Subject::ParametersInBody, good, client.max(anybody), client >= anybody)
}

/// Who took the denial for a code is seen at `/oauth/token`; who did not comes back with another
/// request, or does nothing.
fn denial(facts: &Facts, now: i64) -> Line {
    let subject = Subject::Denial;
    let Some(denied) = facts.seen(Fact::Denied) else {
        return Line { subject, state: LineState::Open, violated_at: None };
    };
    let soon = |at: &i64| (denied.last_at..=denied.last_at + DENIAL_SECONDS).contains(at);
    let violated_at = facts.last(Fact::CodeMissing).filter(soon);
    let came_back = facts.last(Fact::Asked).filter(|at| *at > denied.last_at);
    let waited = now > denied.last_at + DENIAL_SECONDS;
    let state = match (violated_at, came_back) {
        (Some(at), _) => LineState::Red { at, proved: false },
        (None, Some(at)) => LineState::Green { at },
        (None, None) if waited => LineState::Green { at: denied.last_at },
        // Another denial before it came back: what was shown before still stands.
        (None, None) if denied.first_at + DENIAL_SECONDS < denied.last_at => {
            LineState::Green { at: denied.first_at }
        }
        (None, None) => LineState::Open,
    };
    Line { subject, state, violated_at }
}

fn newest_token(facts: &Facts) -> Line {
    let subject = Subject::NewestToken;
    let reused = facts.last(Fact::RefreshReused);
    let lost = facts.last(Fact::AnswerLost);
    // Whose answer was lost has to repeat.
    let excused = |at: i64| lost.is_some_and(|lost| (lost..=lost + LOST_SECONDS).contains(&at));
    let repeated = facts.last(Fact::RefreshRepeated).filter(|at| !excused(*at));
    let again = facts.last(Fact::RefreshedAgain);
    let line = settled(subject, again, reused, true);
    match (line.state, repeated) {
        // Nothing was broken; but which token it keeps is not shown any more.
        (LineState::Green { at }, Some(repeated)) if repeated >= at => {
            Line { state: LineState::Open, violated_at: reused.max(Some(repeated)), ..line }
        }
        _ => line,
    }
}

fn no_reuse(facts: &Facts) -> Line {
    let bad = facts.last(Fact::RefreshReused).max(facts.last(Fact::CodeReused));
    let good = facts.last(Fact::Refreshed);
    let quiet = good.filter(|at| bad.is_none_or(|bad| *at >= bad + QUIET_SECONDS));
    settled(Subject::NoReuse, quiet.or(good.filter(|_| bad.is_none())), bad, true)
}

/// A refresh after an access token expired on purpose, or a new connection after a refresh token did.
fn expiry(facts: &Facts) -> Line {
    let after = |happened: Option<i64>, then: Fact| {
        let happened = happened?;
        facts.last(then).filter(|at| *at >= happened)
    };
    let refreshed = after(facts.first(Fact::TokenExpired), Fact::Refreshed);
    let connected = after(facts.first(Fact::RefreshLate), Fact::Exchanged);
    settled(Subject::Expiry, refreshed.max(connected), None, true)
}

/// A new connection after the client was told that one had ended.
fn revocation(facts: &Facts) -> Line {
    let told = facts.first(Fact::ConnectionEnded);
    let connected = told.and_then(|told| facts.last(Fact::Exchanged).filter(|at| *at >= told));
    settled(Subject::Revocation, connected, None, true)
}

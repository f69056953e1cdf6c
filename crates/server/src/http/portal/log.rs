//! What an app did: its calls, one of them, the search for one, and the integration report with the
//! hard cases.

use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::{Response, StatusCode};
use grantor_protocol::cause::{CODE_REDIRECT_URI, REDIRECT_URI_DIFFERS};
use grantor_protocol::environment::Environment;
use grantor_protocol::integration_report::{Line, LineState, Seen};
use grantor_protocol::logged_call::{Outcome, SentParameter};
use grantor_protocol::parameters::Parameters;
use grantor_protocol::trial::Trial;

use super::super::answer::ERRORS_PATH;
use super::apps::{instant, moment};
use super::fault::Fault;
use super::part::{PAGE, cut};
use super::visit::{Posted, SignedIn};
use crate::pages::portal::{
    CallCause, CallLine, CallPage, LogPage, LoggedApp, ParameterLine, ReportLine, ReportPage,
    SearchPage, Standing, TrialLine,
};
use crate::programme::log::{self, Report};
use crate::programme::{Actor, Refused, app};
use crate::store::{CallCursor, ClientRecord, LoggedCall, TrialRecord};

/// No request id that is shown again is longer, in characters.
const MAX_SHOWN_ID_CHARACTERS: usize = 80;
const DAY_SECONDS: i64 = 86_400;

/// The newest calls of an app.
pub(super) async fn list(
    by: SignedIn,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let (site, actor) = (&by.visit.site, Actor::from(&by.person));
    let record = app::find(site, &actor, &id).await?;
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let before = parameters.value("before").and_then(CallCursor::parse);
    let newest = log::newest(site, &actor, &record, before.as_ref(), PAGE + 1).await?;
    let (mut calls, not_kept) = newest;
    let next = cut(&mut calls, PAGE);
    let next = next.map(|last| format!("/apps/{id}/log?before={}", last.cursor()));
    let own = record.client.environment;
    let page = LogPage {
        shell: by.visit.shell("apps"),
        app: about(&record),
        next,
        calls: calls.iter().map(|call| line(call, own)).collect(),
        not_kept: not_kept.map(not_kept_words),
        kept_for: kept_for(&by, own)?,
    };
    Ok(by.visit.page(StatusCode::OK, &page))
}

/// One call.
pub(super) async fn call(
    by: SignedIn,
    Path((id, request_id)): Path<(String, String)>,
) -> Result<Response<Body>, Fault> {
    let (site, actor) = (&by.visit.site, Actor::from(&by.person));
    let record = app::find(site, &actor, &id).await?;
    let call = log::call(site, &actor, &record, &request_id).await?;
    let own = record.client.environment;
    let parameter = |sent: &SentParameter| ParameterLine {
        name: sent.name.clone(),
        in_url: sent.in_url,
        value: sent.value.clone(),
    };
    let page = CallPage {
        shell: by.visit.shell("apps"),
        app: about(&record),
        call: line(&call, own),
        facts: facts(&call),
        cause: call.cause.as_ref().map(|cause| CallCause {
            name: cause.name.clone(),
            words: cause.words.clone(),
            docs_url: format!("{ERRORS_PATH}#{}", cause.anchor),
        }),
        parameters: call.parameters.named.iter().map(parameter).collect(),
        others: call.parameters.others,
        registered: registered(&record, &call),
        curl: log::done_right(site, &record, &call),
    };
    Ok(by.visit.page(StatusCode::OK, &page))
}

/// What to compare a redirect URI with that was refused (U6); nothing for any other call.
fn registered(record: &ClientRecord, call: &LoggedCall) -> Vec<String> {
    let cause = call.cause.as_ref().map(|cause| cause.name.as_str()).unwrap_or_default();
    match [REDIRECT_URI_DIFFERS, CODE_REDIRECT_URI].contains(&cause) {
        true => record.client.redirect_uris.iter().map(ToString::to_string).collect(),
        false => Vec::new(),
    }
}

/// Finds a call by its request id; where there is one, its page follows.
pub(super) async fn search(
    by: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let request_id = parameters.value("request_id").unwrap_or_default();
    let actor = Actor::from(&by.person);
    let found = log::find(&by.visit.site, &actor, request_id).await?;
    if let [(client_id, call)] = found.as_slice() {
        return Ok(by.visit.go(&format!("/apps/{client_id}/log/{}", call.request_id)));
    }
    let page = SearchPage {
        shell: by.visit.shell("apps"),
        request_id: request_id.chars().take(MAX_SHOWN_ID_CHARACTERS).collect(),
        found: found.into_iter().map(|(id, call)| (id, line(&call, call.called_in))).collect(),
        kept_for: kept_for(&by, Environment::Staging)?,
        staff: by.person.role.is_staff(),
    };
    Ok(by.visit.page(StatusCode::OK, &page))
}

/// The integration report, and the hard cases.
pub(super) async fn report(by: SignedIn, Path(id): Path<String>) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.visit.site, &Actor::from(&by.person), &id).await?;
    reported(&by, &record, None).await
}

/// Makes a hard case happen.
pub(super) async fn begin(Path(id): Path<String>, posted: Posted) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let (site, actor) = (&by.visit.site, Actor::from(&by.person));
    let record = app::find(site, &actor, &id).await?;
    let trial = form.value("trial").and_then(Trial::parse).ok_or(Fault::FormExpired)?;
    match log::begin(site, &actor, &record, trial).await {
        Ok(()) => Ok(by.visit.go(&format!("/apps/{id}/report#trials"))),
        Err(Refused::Conflict(words)) => reported(&by, &record, Some(words)).await,
        Err(refused) => Err(refused.into()),
    }
}

async fn reported(
    by: &SignedIn,
    record: &ClientRecord,
    fault: Option<String>,
) -> Result<Response<Body>, Fault> {
    let (site, actor) = (&by.visit.site, Actor::from(&by.person));
    let report = log::report(site, &actor, record).await?;
    let is_staging = record.client.environment == Environment::Staging;
    let trials = match is_staging {
        true => trial_lines(&log::trials(site, &actor, record).await?, site.clock.now()),
        false => Vec::new(),
    };
    let status = if fault.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let page = ReportPage {
        shell: by.visit.shell("apps"),
        app: about(record),
        lines: report_lines(&report),
        not_kept: report.not_kept.map(not_kept_words),
        sibling: record.listing.sibling.clone(),
        trials,
        begins: !by.person.role.is_staff(),
        fault,
    };
    Ok(by.visit.page(status, &page))
}

/// The lines of a report, as people read them.
pub(super) fn report_lines(report: &Report) -> Vec<ReportLine> {
    report.lines.iter().map(report_line).collect()
}

fn report_line(line: &Line) -> ReportLine {
    let how = line.subject.how().to_owned();
    let earlier = line.violated_at.map(|at| format!("The opposite was last seen {}.", moment(at)));
    let (standing, at, notes, by_anybody) = match line.state {
        LineState::Green { at } => {
            (ReportLine::SHOWN, Some(at), earlier.into_iter().collect(), false)
        }
        LineState::Open => {
            (ReportLine::OPEN, None, earlier.into_iter().chain(Some(how)).collect(), false)
        }
        LineState::Red { at, proved } => (ReportLine::BROKEN, Some(at), vec![how], !proved),
    };
    ReportLine { title: line.subject.title(), standing, when: at.map(moment), notes, by_anybody }
}

fn trial_lines(records: &[TrialRecord], now: i64) -> Vec<TrialLine> {
    let line = |trial: Trial| {
        let (title, words) = trial_words(trial);
        let record = records.iter().find(|record| record.trial == trial);
        TrialLine {
            name: trial.as_str(),
            title,
            waits: matches!(trial, Trial::LoseResponse | Trial::DenyConsent),
            words,
            standing: record.map(|record| trial_standing(record, now)),
        }
    };
    Trial::ALL.into_iter().map(line).collect()
}

fn trial_standing(record: &TrialRecord, now: i64) -> (Standing, String) {
    match record.taken_at {
        Some(at) => (Standing { words: "Happened", class: "state-good" }, moment(at)),
        None if now < record.expires_at => (
            Standing { words: "Armed", class: "state-waiting" },
            format!("until {}", moment(record.expires_at)),
        ),
        None => (
            Standing { words: "Not used", class: "" },
            format!("No call came until {}", moment(record.expires_at)),
        ),
    }
}

/// What a hard case is called, and what happens.
fn trial_words(trial: Trial) -> (&'static str, &'static str) {
    match trial {
        Trial::LoseResponse => (
            "Lose the next response",
            "The next tokens are made, and then the connection breaks off without them. It waits \
             for its call for ten minutes.",
        ),
        Trial::DenyConsent => (
            "Deny the next consent",
            "The next authorization request is answered access_denied, once somebody is signed \
             in. It waits for its call for ten minutes.",
        ),
        Trial::ExpireToken => (
            "Expire the newest token",
            "The newest access token counts as expired at once. An API that verifies signed \
             tokens by itself does not see it.",
        ),
        Trial::EndGrant => (
            "End the newest connection",
            "The newest connection ends at once, as if its customer had ended it.",
        ),
    }
}

pub(super) fn about(record: &ClientRecord) -> LoggedApp {
    LoggedApp {
        id: record.client.id.clone(),
        name: record.client.name.clone(),
        environment: in_words(record.client.environment),
    }
}

fn in_words(environment: Environment) -> &'static str {
    match environment {
        Environment::Staging => "Staging",
        Environment::Production => "Production",
        Environment::Portal => "Portal",
    }
}

/// A call in a list; `own` is the environment of its client.
fn line(call: &LoggedCall, own: Environment) -> CallLine {
    CallLine {
        request_id: call.request_id.clone(),
        when: instant(call.called_at_millis),
        endpoint: call.endpoint.path(),
        grant_type: call.grant_type.clone(),
        outcome: outcome(call.outcome),
        why: call.cause.as_ref().map(|cause| cause.words.clone()),
        elsewhere: (call.called_in != own).then(|| in_words(call.called_in)),
        by_anybody: !call.proved,
        trial: call.trial.map(|trial| trial_words(trial).0),
    }
}

fn outcome(outcome: Outcome) -> Standing {
    let words = match outcome {
        Outcome::Issued => "Tokens issued",
        Outcome::Repeated => "Same tokens again",
        Outcome::Code => "Code sent",
        Outcome::Answered => "Answered",
        Outcome::Page => "Stopped on a page",
        Outcome::Redirected => "Error sent back",
        Outcome::Refused => "Refused",
    };
    let class = if outcome.is_success() { "state-good" } else { "state-bad" };
    Standing { words, class }
}

fn facts(call: &LoggedCall) -> Vec<(&'static str, String)> {
    let tenths = call.microseconds.max(0) / 100;
    let mut facts = vec![
        ("Time", instant(call.called_at_millis)),
        ("Called", in_words(call.called_in).to_owned()),
        ("HTTP status", call.status.to_string()),
        ("Took", format!("{}.{} ms", tenths / 10, tenths % 10)),
    ];
    facts.extend(call.network.clone().map(|network| ("From", network)));
    facts
}

fn not_kept_words(seen: Seen) -> String {
    let (calls, were) = match seen.count {
        1 => ("call", "was"),
        _ => ("calls", "were"),
    };
    let last = moment(seen.last_at);
    format!("{} more {calls} {were} not kept under load, the last on {last}.", seen.count)
}

/// For how long a call is kept there.
fn kept_for(by: &SignedIn, environment: Environment) -> Result<String, Fault> {
    let site = by.visit.portal()?.site(environment).ok_or(Fault::NotFound)?;
    let seconds = site.settings.request_log_ttl_seconds;
    Ok(match seconds / DAY_SECONDS {
        0 => format!("{} hours", (seconds / 3600).max(1)),
        1 => "a day".to_owned(),
        days => format!("{days} days"),
    })
}

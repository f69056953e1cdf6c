//! Calls of an app, what they have shown, and trials.

use grantor_protocol::integration_report::{LineState, Seen, Subject};
use serde::Serialize;
use utoipa::ToSchema;

use super::{millis, time};
use crate::http::answer::ERRORS_PATH;
use crate::programme::log::Report;
use crate::site::Site;
use crate::store::{LoggedCall, TrialRecord};

/// A call that an app sent to staging or production, or that somebody sent in its name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Call {
    /// The id that its answer carried.
    #[schema(example = "0f8d3c1b5e7a49d2")]
    request_id: String,
    client_id: String,
    #[schema(format = DateTime)]
    called_at: String,
    /// The environment that was called, which need not be the app's own.
    called_in: &'static str,
    #[schema(example = "/oauth/token")]
    endpoint: &'static str,
    grant_type: Option<String>,
    /// `issued`, `repeated`, `code`, `answered`, `page`, `redirected` or `refused`.
    #[schema(example = "refused")]
    outcome: &'static str,
    /// Of HTTP.
    status: i64,
    /// Which check failed.
    cause: Option<CallCause>,
    /// Whether the app proved that it was its own. Otherwise anybody may have sent it.
    proved: bool,
    /// What was sent, in its order.
    parameters: Vec<SentParameter>,
    /// How many more there were, of names that are not known.
    other_parameters: usize,
    /// The network that it came from, and not the whole address.
    network: Option<String>,
    /// How long it took.
    microseconds: i64,
    /// What was made to happen on purpose.
    trial: Option<&'static str>,
}

/// Why a call was refused.
#[derive(Serialize, ToSchema)]
struct CallCause {
    /// A name that does not change.
    #[schema(example = "code_expired")]
    name: String,
    /// In plain words.
    words: String,
    /// Where the docs say more.
    docs_url: String,
}

/// One parameter.
#[derive(Serialize, ToSchema)]
struct SentParameter {
    name: String,
    /// Whether it stood in the URL, and not in the body.
    in_url: bool,
    /// Where that is no secret.
    value: Option<String>,
}

/// A call with the same one done right.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneCall {
    call: Call,
    /// A command of curl, with names in the place of secrets.
    done_right: String,
}

/// A part of the log of calls.
#[derive(Serialize, ToSchema)]
pub(crate) struct Calls {
    pub(crate) items: Vec<Call>,
    /// What was left out under load.
    pub(crate) not_kept: Option<NotKept>,
    /// The parameter `cursor` of the next part; none where this is the last.
    pub(crate) next_cursor: Option<String>,
}

/// Calls that were not kept, because there were too many at once.
#[derive(Serialize, ToSchema)]
pub(crate) struct NotKept {
    count: i64,
    #[schema(format = DateTime)]
    last_at: String,
}

/// What an app has shown so far, line by line.
#[derive(Serialize, ToSchema)]
#[schema(as = Report)]
pub(crate) struct ReportShown {
    client_id: String,
    lines: Vec<ReportLine>,
    not_kept: Option<NotKept>,
}

/// One line.
#[derive(Serialize, ToSchema)]
struct ReportLine {
    subject: ReportSubject,
    /// In words.
    title: &'static str,
    state: ReportState,
    /// When it was shown, or its opposite.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// When the opposite was last seen, whatever the state.
    #[schema(format = DateTime)]
    violated_at: Option<String>,
    /// Of a red line, whether the app proved that the call was its own. Otherwise anybody may have
    /// sent it.
    proved: Option<bool>,
    /// How to show it.
    how: &'static str,
}

/// What a line is about.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ReportSubject {
    State,
    Pkce,
    RedirectUri,
    Denial,
    CodeLife,
    ParametersInBody,
    NewestToken,
    NoReuse,
    Expiry,
    Revocation,
}

/// How a line stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ReportState {
    /// It was shown.
    Green,
    /// It was not shown yet.
    Open,
    /// The opposite was shown.
    Red,
}

/// The hard cases of an app on staging.
#[derive(Serialize, ToSchema)]
pub(crate) struct Trials {
    items: Vec<Trial>,
}

/// One that was begun.
#[derive(Serialize, ToSchema)]
struct Trial {
    #[schema(example = "deny_consent")]
    trial: &'static str,
    #[schema(format = DateTime)]
    armed_at: String,
    /// Until when it waits for its call.
    #[schema(format = DateTime)]
    expires_at: String,
    /// When it happened.
    #[schema(format = DateTime)]
    happened_at: Option<String>,
}

impl Call {
    pub(crate) fn of(site: &Site, client_id: &str, call: &LoggedCall) -> Call {
        let parameter = |sent: &grantor_protocol::logged_call::SentParameter| SentParameter {
            name: sent.name.clone(),
            in_url: sent.in_url,
            value: sent.value.clone(),
        };
        Call {
            request_id: call.request_id.clone(),
            client_id: client_id.to_owned(),
            called_at: millis(call.called_at_millis),
            called_in: call.called_in.as_str(),
            endpoint: call.endpoint.path(),
            grant_type: call.grant_type.clone(),
            outcome: call.outcome.as_str(),
            status: call.status,
            cause: call.cause.as_ref().map(|cause| CallCause {
                name: cause.name.clone(),
                words: cause.words.clone(),
                docs_url: format!("{}{ERRORS_PATH}#{}", site.base_url, cause.anchor),
            }),
            proved: call.proved,
            parameters: call.parameters.named.iter().map(parameter).collect(),
            other_parameters: call.parameters.others,
            network: call.network.clone(),
            microseconds: call.microseconds,
            trial: call.trial.map(grantor_protocol::trial::Trial::as_str),
        }
    }
}

impl OneCall {
    pub(crate) fn of(call: Call, done_right: String) -> OneCall {
        OneCall { call, done_right }
    }
}

impl From<Seen> for NotKept {
    fn from(seen: Seen) -> NotKept {
        NotKept { count: seen.count, last_at: time(seen.last_at) }
    }
}

impl ReportShown {
    pub(crate) fn of(client_id: &str, report: &Report) -> ReportShown {
        let line = |line: &grantor_protocol::integration_report::Line| {
            let (state, at, proved) = match line.state {
                LineState::Green { at } => (ReportState::Green, Some(at), None),
                LineState::Open => (ReportState::Open, None, None),
                LineState::Red { at, proved } => (ReportState::Red, Some(at), Some(proved)),
            };
            ReportLine {
                subject: subject(line.subject),
                title: line.subject.title(),
                state,
                at: at.map(time),
                violated_at: line.violated_at.map(time),
                proved,
                how: line.subject.how(),
            }
        };
        ReportShown {
            client_id: client_id.to_owned(),
            lines: report.lines.iter().map(line).collect(),
            not_kept: report.not_kept.map(NotKept::from),
        }
    }
}

fn subject(subject: Subject) -> ReportSubject {
    match subject {
        Subject::State => ReportSubject::State,
        Subject::Pkce => ReportSubject::Pkce,
        Subject::RedirectUri => ReportSubject::RedirectUri,
        Subject::Denial => ReportSubject::Denial,
        Subject::CodeLife => ReportSubject::CodeLife,
        Subject::ParametersInBody => ReportSubject::ParametersInBody,
        Subject::NewestToken => ReportSubject::NewestToken,
        Subject::NoReuse => ReportSubject::NoReuse,
        Subject::Expiry => ReportSubject::Expiry,
        Subject::Revocation => ReportSubject::Revocation,
    }
}

impl From<&[TrialRecord]> for Trials {
    fn from(records: &[TrialRecord]) -> Trials {
        let trial = |record: &TrialRecord| Trial {
            trial: record.trial.as_str(),
            armed_at: time(record.armed_at),
            expires_at: time(record.expires_at),
            happened_at: record.taken_at.map(time),
        };
        Trials { items: records.iter().map(trial).collect() }
    }
}

//! What an app did: its calls, one of them, the search for one, and the integration report.

use askama::Template;

use super::{Shell, Standing};
use crate::pages::filters;

/// The newest calls of an app.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/log.html")]
pub(crate) struct LogPage {
    pub(crate) shell: Shell,
    pub(crate) app: LoggedApp,
    pub(crate) calls: Vec<CallLine>,
    /// What was not kept, in a sentence.
    pub(crate) not_kept: Option<String>,
    /// For how long a call is kept, in words.
    pub(crate) kept_for: String,
    /// The address of the next part.
    pub(crate) next: Option<String>,
}

/// The app that a page is about.
#[derive(Debug, Clone)]
pub(crate) struct LoggedApp {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) environment: &'static str,
}

/// One call in a list.
#[derive(Debug, Clone)]
pub(crate) struct CallLine {
    pub(crate) request_id: String,
    pub(crate) when: String,
    pub(crate) endpoint: &'static str,
    pub(crate) grant_type: Option<String>,
    pub(crate) outcome: Standing,
    /// Which check failed, in words.
    pub(crate) why: Option<String>,
    /// The environment that was called, where that is not the app's own.
    pub(crate) elsewhere: Option<&'static str>,
    /// Whether anybody may have sent it.
    pub(crate) by_anybody: bool,
    /// What was made to happen on purpose.
    pub(crate) trial: Option<&'static str>,
}

/// One call in full.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/call.html")]
pub(crate) struct CallPage {
    pub(crate) shell: Shell,
    pub(crate) app: LoggedApp,
    pub(crate) call: CallLine,
    /// The HTTP status, the duration and the like.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// Why it was refused.
    pub(crate) cause: Option<CallCause>,
    pub(crate) parameters: Vec<ParameterLine>,
    /// How many parameters had names that are not known.
    pub(crate) others: usize,
    /// What is registered, where a redirect URI was none of it.
    pub(crate) registered: Vec<String>,
    /// The same call as it should be, for a shell.
    pub(crate) curl: String,
}

/// Why a call was refused.
#[derive(Debug, Clone)]
pub(crate) struct CallCause {
    pub(crate) name: String,
    pub(crate) words: String,
    pub(crate) docs_url: String,
}

/// One parameter that was sent.
#[derive(Debug, Clone)]
pub(crate) struct ParameterLine {
    pub(crate) name: String,
    pub(crate) in_url: bool,
    /// None where the value is not kept.
    pub(crate) value: Option<String>,
}

/// Looks for a call by its request id. Asks with `request_id`.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/search.html")]
pub(crate) struct SearchPage {
    pub(crate) shell: Shell,
    /// What was looked for.
    pub(crate) request_id: String,
    /// What was found, each with its client's id; it is never one alone.
    pub(crate) found: Vec<(String, CallLine)>,
    pub(crate) kept_for: String,
    /// Whether the reader sees the calls of all partners.
    pub(crate) staff: bool,
}

/// What an app has shown so far. Posts `trial`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/report.html")]
pub(crate) struct ReportPage {
    pub(crate) shell: Shell,
    pub(crate) app: LoggedApp,
    pub(crate) lines: Vec<ReportLine>,
    pub(crate) not_kept: Option<String>,
    /// The same app on the other environment.
    pub(crate) sibling: Option<String>,
    /// The hard cases; none where this is not staging.
    pub(crate) trials: Vec<TrialLine>,
    /// Whether the reader may make them happen.
    pub(crate) begins: bool,
    /// Why the last one did not happen.
    pub(crate) fault: Option<String>,
}

/// One line of the report.
#[derive(Debug, Clone)]
pub(crate) struct ReportLine {
    pub(crate) title: &'static str,
    pub(crate) standing: Standing,
    /// When that was seen.
    pub(crate) when: Option<String>,
    /// More about it, each in a sentence.
    pub(crate) notes: Vec<String>,
    /// Whether it is to be mended for a call that anybody may have sent.
    pub(crate) by_anybody: bool,
}

/// A hard case.
#[derive(Debug, Clone)]
pub(crate) struct TrialLine {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// Whether it waits for a call.
    pub(crate) waits: bool,
    /// What happens.
    pub(crate) words: &'static str,
    /// How it stands, and since or until when.
    pub(crate) standing: Option<(Standing, String)>,
}

/// How many lines of a report are green.
pub(crate) fn shown_of(lines: &[ReportLine]) -> String {
    let green = lines.iter().filter(|line| line.standing == ReportLine::SHOWN).count();
    format!("{green} of {}", lines.len())
}

impl ReportLine {
    pub(crate) const SHOWN: Standing = Standing { words: "Shown", class: "state-good" };
    pub(crate) const BROKEN: Standing = Standing { words: "To mend", class: "state-bad" };
    pub(crate) const OPEN: Standing = Standing { words: "Open", class: "" };
}

//! Requests: the queue, one of them with its difference, and the form that asks.

use askama::Template;

use super::{Form, ReportLine, ScopeChoice, Shell, Standing};
use crate::pages::filters;

/// The queue of a manager, or all requests of a partner.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/requests.html")]
pub(crate) struct RequestsPage {
    pub(crate) shell: Shell,
    pub(crate) staff: bool,
    /// The states that a manager may look at, the one that is shown first among them.
    pub(crate) views: Vec<View>,
    pub(crate) requests: Vec<RequestLine>,
    /// The address of the next part.
    pub(crate) next: Option<String>,
}

/// A part of the queue.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) path: String,
    pub(crate) words: &'static str,
    pub(crate) current: bool,
}

/// One request in a list.
#[derive(Debug, Clone)]
pub(crate) struct RequestLine {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) partner: String,
    pub(crate) state: Standing,
    /// How long it has waited, in words.
    pub(crate) age: String,
    /// Where codes would go.
    pub(crate) hosts: String,
    /// The app's name, and where its logo is.
    pub(crate) name: String,
    pub(crate) logo: Option<String>,
}

/// One request. A manager's form posts `decision`, `note`, `version`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/request.html")]
pub(crate) struct RequestPage {
    pub(crate) shell: Shell,
    pub(crate) id: String,
    pub(crate) version: i64,
    pub(crate) title: String,
    /// The app's name, and where its logo is.
    pub(crate) name: String,
    pub(crate) logo: Option<String>,
    pub(crate) partner: String,
    pub(crate) verified: bool,
    pub(crate) client_id: String,
    pub(crate) standing: Standing,
    pub(crate) asked_by: String,
    pub(crate) asked_when: String,
    pub(crate) contact: String,
    pub(crate) message: String,
    pub(crate) facts: Vec<(&'static str, String)>,
    /// What is, and what is to be.
    pub(crate) changes: [(&'static str, Vec<DiffLine>); 3],
    pub(crate) note: Option<String>,
    pub(crate) decided: Option<String>,
    pub(crate) made_client_id: Option<String>,
    /// What the staging client has shown, and its id; `None` where there is none.
    pub(crate) report: Option<(String, Vec<ReportLine>)>,
    /// Whether the reader decides.
    pub(crate) decides: bool,
    /// Whether the reader may answer or withdraw.
    pub(crate) answers: bool,
    pub(crate) form: Form,
    /// What the log says of it, the newest first.
    pub(crate) steps: Vec<String>,
}

/// One line of a difference.
#[derive(Debug, Clone)]
pub(crate) struct DiffLine {
    pub(crate) text: String,
    /// A second line: a sentence, or the reason that was given.
    pub(crate) notes: Vec<String>,
    pub(crate) change: DiffChange,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiffChange {
    Added,
    Removed,
    Stays,
}

impl DiffChange {
    fn class(self) -> &'static str {
        match self {
            DiffChange::Added => "diff-added",
            DiffChange::Removed => "diff-removed",
            DiffChange::Stays => "",
        }
    }

    fn words(self) -> &'static str {
        match self {
            DiffChange::Added => "New:",
            DiffChange::Removed => "Removed:",
            DiffChange::Stays => "As now:",
        }
    }
}

/// The form that asks. Posts what the form of an app posts, `reason_SCOPE` for each scope, `contact`,
/// `message`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/request_form.html")]
pub(crate) struct RequestFormPage {
    pub(crate) shell: Shell,
    pub(crate) form: Form,
    pub(crate) action: String,
    pub(crate) back: String,
    pub(crate) title: String,
    /// What a manager asked back.
    pub(crate) note: Option<String>,
    /// Whether an open request is answered; then `version` is posted too.
    pub(crate) is_request: bool,
    /// Where name, web site and contact change without a request; none where they are asked for.
    pub(crate) texts_at: Option<String>,
    pub(crate) scopes: Vec<ScopeChoice>,
}

impl RequestFormPage {
    fn reason_of(scope: &str) -> String {
        format!("reason_{scope}")
    }
}

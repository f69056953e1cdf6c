//! API clients: one page for all of them.

use askama::Template;

use super::{Form, SecretLine, Shell};
use crate::pages::filters;

/// The API clients of a partner or of this company. Posts `name`, `scopes` (repeated), `csrf_token`.
#[derive(Clone, Template)]
#[template(path = "portal/api_clients.html")]
pub(crate) struct ApiClientsPage {
    pub(crate) shell: Shell,
    pub(crate) form: Form,
    /// A secret that was just made: this page alone shows it.
    pub(crate) new: Option<NewApiSecret>,
    pub(crate) clients: Vec<ApiClientLine>,
    pub(crate) scopes: Vec<ApiScopeChoice>,
    pub(crate) staff: bool,
    pub(crate) issuer: String,
}

/// A secret, shown this once. It does not print.
#[derive(Clone)]
pub(crate) struct NewApiSecret {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct ApiClientLine {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) scopes: String,
    pub(crate) works: bool,
    pub(crate) secrets: Vec<SecretLine>,
}

/// A scope that may be ticked.
#[derive(Debug, Clone)]
pub(crate) struct ApiScopeChoice {
    pub(crate) name: &'static str,
    pub(crate) sentence: &'static str,
    pub(crate) ticked: bool,
}

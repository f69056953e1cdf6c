//! The second factor.

use askama::Template;

use super::{Form, Shell};
use crate::pages::filters;

/// How the second factor of an account stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FactorState {
    /// It is asked for at each sign-in.
    On {
        /// the day
        since: String,
        /// recovery codes that are left
        left: usize,
    },
    /// There is none.
    Off,
    /// There is none, and dev asks for none.
    Exempt,
}

/// Asks for a code after the password. Posts `code`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/code.html")]
pub(crate) struct CodePage {
    pub(crate) shell: Shell,
    pub(crate) form: Form,
    pub(crate) form_action: String,
}

/// Shows a key and asks for its first code, or begins. Posts `code`, `csrf_token`.
#[derive(Template)]
#[template(path = "portal/factor.html")]
pub(crate) struct FactorPage {
    pub(crate) shell: Shell,
    pub(crate) form: Form,
    /// Whether the reader may do nothing else.
    pub(crate) led_here: bool,
    pub(crate) email: String,
    /// The key, in letters.
    pub(crate) letters: Option<String>,
}

/// Shows recovery codes, this one time.
#[derive(Template)]
#[template(path = "portal/recovery.html")]
pub(crate) struct RecoveryPage {
    pub(crate) shell: Shell,
    pub(crate) codes: Vec<String>,
}

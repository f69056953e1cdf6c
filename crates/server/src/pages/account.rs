//! The customer's own pages: what is connected, and the password.

use askama::Template;

use super::{App, Frame, filters};
use crate::password::MIN_PASSWORD_CHARACTERS;

/// What is connected. Each app has a form that posts `step=disconnect`, `client_id`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "connections.html")]
pub(crate) struct ConnectionsPage {
    pub(crate) frame: Frame,
    pub(crate) account_email: String,
    pub(crate) csrf_token: String,
    /// What was done right before.
    pub(crate) done: Option<String>,
    /// How many apps there are, on all pages.
    pub(crate) count: usize,
    /// Those of this page.
    pub(crate) apps: Vec<ConnectedApp>,
    /// The address of the next part.
    pub(crate) next: Option<String>,
    /// What disconnecting ends and within what time, in plain sentences.
    pub(crate) what_ends: String,
    /// How long an app goes on between two renewals, as in "1 hour".
    pub(crate) renewed_every: String,
}

/// One app that is connected, by one grant or several, or that may connect again without asking.
#[derive(Debug, Clone)]
pub(crate) struct ConnectedApp {
    pub(crate) client_id: String,
    pub(crate) app: App,
    /// Whether somebody at the company reviewed this app.
    pub(crate) approved: bool,
    /// What is known of it, label and value.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// What it may do, a sentence for each.
    pub(crate) sentences: Vec<String>,
    pub(crate) businesses: Vec<String>,
    /// Whether it is connected now.
    pub(crate) connected: bool,
}

impl ConnectionsPage {
    /// Which of the pages of the account this is.
    fn place(&self) -> &'static str {
        "connections"
    }
}

/// Asks whether to disconnect all. Posts `step=disconnect_all`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "disconnect_all.html")]
pub(crate) struct DisconnectAllPage {
    pub(crate) frame: Frame,
    pub(crate) csrf_token: String,
    pub(crate) names: Vec<String>,
    pub(crate) what_ends: String,
}

/// Asks for a new password. Posts `step=password`, `current_password`, `new_password`,
/// `new_password_again`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "password.html")]
pub(crate) struct PasswordPage {
    pub(crate) frame: Frame,
    pub(crate) account_email: String,
    pub(crate) csrf_token: String,
    /// What was done right before.
    pub(crate) done: Option<String>,
    pub(crate) fault: Option<PasswordFault>,
}

/// What was wrong, and in which field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PasswordFault {
    pub(crate) field: PasswordField,
    pub(crate) words: &'static str,
}

/// A field of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordField {
    Current,
    New,
    Again,
}

/// Asks for the address of an account whose password was forgotten. Posts `email`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "forgotten.html")]
pub(crate) struct ForgottenPage {
    pub(crate) frame: Frame,
    pub(crate) csrf_token: String,
    pub(crate) email: String,
    pub(crate) fault: Option<&'static str>,
}

/// Asks for a password in the place of one that was forgotten. Posts `new_password`,
/// `new_password_again`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "reset.html")]
pub(crate) struct ResetPage {
    pub(crate) frame: Frame,
    pub(crate) account_email: String,
    /// Where the form goes.
    pub(crate) action: String,
    pub(crate) csrf_token: String,
    pub(crate) fault: Option<PasswordFault>,
}

/// Says what was done, or what comes.
#[derive(Debug, Clone, Template)]
#[template(path = "told.html")]
pub(crate) struct ToldPage {
    pub(crate) frame: Frame,
    pub(crate) title: &'static str,
    pub(crate) words: &'static str,
    /// Where to go from here: address and label.
    pub(crate) way: Option<(String, &'static str)>,
}

impl ResetPage {
    const MIN_CHARACTERS: usize = MIN_PASSWORD_CHARACTERS;

    fn words(&self) -> Option<&'static str> {
        self.fault.map(|fault| fault.words)
    }

    fn at_new(&self) -> bool {
        self.fault.is_some_and(|fault| fault.field == PasswordField::New)
    }

    fn at_again(&self) -> bool {
        self.fault.is_some_and(|fault| fault.field == PasswordField::Again)
    }
}

impl PasswordPage {
    const MIN_CHARACTERS: usize = MIN_PASSWORD_CHARACTERS;

    fn place(&self) -> &'static str {
        "password"
    }

    fn words(&self) -> Option<&'static str> {
        self.fault.map(|fault| fault.words)
    }

    fn is_at(&self, field: PasswordField) -> bool {
        self.fault.is_some_and(|fault| fault.field == field)
    }

    fn at_current(&self) -> bool {
        self.is_at(PasswordField::Current)
    }

    fn at_new(&self) -> bool {
        self.is_at(PasswordField::New)
    }

    fn at_again(&self) -> bool {
        self.is_at(PasswordField::Again)
    }
}

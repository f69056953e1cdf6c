//! Accounts: signing up, passwords, one's own account, the team.

use askama::Template;

use super::factor::FactorState;
use super::{Form, LoggedApp, Shell};
use crate::pages::filters;

/// Asks for an address, and for nothing else. Posts `email`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/address.html")]
pub(crate) struct AddressPage {
    pub(crate) shell: Shell,
    pub(crate) form: Form,
    pub(crate) title: &'static str,
    pub(crate) lead: &'static str,
    pub(crate) action: &'static str,
    pub(crate) button: &'static str,
}

/// Says that a mail is on its way, or something else that was done.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/told.html")]
pub(crate) struct ToldPage {
    pub(crate) shell: Shell,
    pub(crate) title: &'static str,
    pub(crate) words: String,
    /// Where to go on: address and words.
    pub(crate) ways: Vec<(String, &'static str)>,
}

/// Makes an account. Posts `name`, `organisation`, `password`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/join.html")]
pub(crate) struct JoinPage {
    pub(crate) shell: Shell,
    pub(crate) form: Form,
    pub(crate) action: String,
    pub(crate) email: String,
    /// What somebody was invited as; none where a new organisation comes.
    pub(crate) invited: Option<String>,
}

/// Sets a password. Posts `password`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/reset.html")]
pub(crate) struct ResetPage {
    pub(crate) shell: Shell,
    pub(crate) form: Form,
    pub(crate) action: String,
    pub(crate) email: String,
}

/// One's own account. Posts `former`, `password` or `code`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/account.html")]
pub(crate) struct AccountPage {
    pub(crate) shell: Shell,
    pub(crate) password_form: Form,
    pub(crate) factor_form: Form,
    pub(crate) factor: FactorState,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) role: &'static str,
    pub(crate) partner: Option<String>,
}

impl AccountPage {
    fn is_on(&self) -> bool {
        matches!(self.factor, FactorState::On { .. })
    }
}

/// Who belongs to a partner, or to the staff. Posts `email`, `role`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/team.html")]
pub(crate) struct TeamPage {
    pub(crate) shell: Shell,
    pub(crate) form: Form,
    pub(crate) staff: bool,
    /// Whether the reader may invite and remove.
    pub(crate) decides: bool,
    pub(crate) people: Vec<PersonLine>,
    /// The address of the next people.
    pub(crate) more_people: Option<String>,
    pub(crate) invitations: Vec<InvitationLine>,
    /// The address of the next invitations.
    pub(crate) more_invitations: Option<String>,
}

/// One person.
#[derive(Debug, Clone)]
pub(crate) struct PersonLine {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) role: &'static str,
    pub(crate) since: String,
    /// Whether it is the reader.
    pub(crate) own: bool,
}

/// One invitation.
#[derive(Debug, Clone)]
pub(crate) struct InvitationLine {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) role: &'static str,
    pub(crate) until: String,
}

/// The mailbox of dev: what would have left by mail.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/mailbox.html")]
pub(crate) struct MailboxPage {
    pub(crate) shell: Shell,
    pub(crate) mails: Vec<MailLine>,
    /// The address of the next part.
    pub(crate) next: Option<String>,
}

/// One mail.
#[derive(Debug, Clone)]
pub(crate) struct MailLine {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) when: String,
    pub(crate) lines: Vec<Piece>,
}

/// A piece of a mail's text: a link of this site, or words.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) link: bool,
}

/// What was done, the newest first: all of it that concerns the reader, or what concerns an app.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/activity.html")]
pub(crate) struct ActivityPage {
    pub(crate) shell: Shell,
    /// The app alone that it is about.
    pub(crate) of: Option<ActivityOf>,
    pub(crate) entries: Vec<ActivityLine>,
    /// The address of the next part.
    pub(crate) next: Option<String>,
}

/// The app whose activity is shown.
#[derive(Debug, Clone)]
pub(crate) struct ActivityOf {
    pub(crate) app: LoggedApp,
    /// Its other half, which has an activity of its own.
    pub(crate) sibling: Option<String>,
}

/// One entry.
#[derive(Debug, Clone)]
pub(crate) struct ActivityLine {
    pub(crate) number: i64,
    pub(crate) when: String,
    pub(crate) actor: String,
    pub(crate) act: String,
    pub(crate) client_id: Option<String>,
    pub(crate) detail: String,
}

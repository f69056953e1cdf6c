//! Apps: the list, one of them, and the forms that make and change them.

use askama::Template;

use super::{Form, Shell};
use crate::pages::filters;

/// All apps of a partner, or of everybody.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/apps.html")]
pub(crate) struct AppsPage {
    pub(crate) shell: Shell,
    pub(crate) lists: [AppList; 2],
}

/// The apps of one environment, or a part of them.
#[derive(Debug, Clone)]
pub(crate) struct AppList {
    pub(crate) environment: &'static str,
    /// The environment's name as a title.
    pub(crate) words: &'static str,
    /// What stands in the place of no app.
    pub(crate) empty: &'static str,
    pub(crate) apps: Vec<AppLine>,
    /// The address of the next part.
    pub(crate) next: Option<String>,
}

/// One app in a list.
#[derive(Debug, Clone)]
pub(crate) struct AppLine {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Whose; for staff alone.
    pub(crate) partner: Option<String>,
    pub(crate) state: AppState,
    /// Where its logo is.
    pub(crate) logo: Option<String>,
}

/// How an app stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppState {
    Works,
    Off,
}

impl AppState {
    pub(super) fn words(self) -> &'static str {
        match self {
            AppState::Works => "Works",
            AppState::Off => "Switched off",
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            AppState::Works => "state-good",
            AppState::Off => "state-bad",
        }
    }
}

/// One app, as its partner and staff see it.
#[derive(Clone, Template)]
#[template(path = "portal/app.html")]
pub(crate) struct AppPage {
    pub(crate) shell: Shell,
    pub(crate) app: AppFacts,
    pub(crate) secrets: Vec<SecretLine>,
    /// The form that uploads a logo. Posts `logo`, `csrf_token`, as multipart.
    pub(crate) form: Form,
    /// What was just done, in a sentence.
    pub(crate) done: Option<String>,
    /// A secret that was just made: this page alone shows it.
    pub(crate) new_secret: Option<String>,
}

/// What is known of an app.
#[derive(Debug, Clone)]
pub(crate) struct AppFacts {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) partner: String,
    pub(crate) environment: &'static str,
    pub(crate) issuer: String,
    pub(crate) state: AppState,
    pub(crate) approved: bool,
    pub(crate) public: bool,
    pub(crate) website: Option<String>,
    pub(crate) support_contact: Option<String>,
    pub(crate) redirect_uris: Vec<String>,
    /// Each with its sentence.
    pub(crate) scopes: Vec<(String, String)>,
    /// The other half: on production, or on staging.
    pub(crate) sibling: Option<String>,
    pub(crate) made: String,
    /// The first step of the guide, to be opened in a browser.
    pub(crate) authorize_url: Option<String>,
    /// Whether its own partner reads it, who alone makes its secrets.
    pub(crate) by_partner: bool,
    /// Where its logo is.
    pub(crate) logo: Option<String>,
    /// Whether it may have one.
    pub(crate) may_have_logo: bool,
}

impl AppFacts {
    fn is_staging(&self) -> bool {
        self.environment == "staging"
    }
}

/// A secret, without itself.
#[derive(Debug, Clone)]
pub(crate) struct SecretLine {
    pub(crate) slot: i64,
    pub(crate) hint: String,
    pub(crate) made: String,
    pub(crate) used: Option<String>,
    /// When it ends, where it does by itself.
    pub(crate) ends: Option<String>,
    /// Whether that is past.
    pub(crate) ended: bool,
}

/// The form that makes an app, or changes one. Posts `name`, `website`, `support_contact`,
/// `redirect_uris` (one on a line), `scopes` (repeated), `kind`, `csrf_token`; where one is changed,
/// `version`, which names what the reader saw.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/app_form.html")]
pub(crate) struct AppFormPage {
    pub(crate) shell: Shell,
    pub(crate) form: Form,
    pub(crate) action: String,
    pub(crate) back: String,
    /// The app that is changed; none where one is made.
    pub(crate) changes: Option<String>,
    pub(crate) is_production: bool,
    /// Where somebody else was faster: what stands there now and is not what was sent.
    pub(crate) meanwhile: Option<Vec<(&'static str, String)>>,
    pub(crate) scopes: Vec<ScopeChoice>,
}

/// A scope that may be ticked.
#[derive(Debug, Clone)]
pub(crate) struct ScopeChoice {
    pub(crate) name: String,
    pub(crate) sentence: String,
    pub(crate) ticked: bool,
    pub(crate) writes: bool,
}

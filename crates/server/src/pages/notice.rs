//! Pages that tell and do not ask: what went wrong, and what this server is.

use askama::Template;

use super::{Frame, filters};

/// A value longer than this many bytes scrolls in a frame of its own.
const LONG_VALUE_BYTES: usize = 600;

/// Every error that is shown on a page instead of being sent to the app.
#[derive(Debug, Clone, Template)]
#[template(path = "message.html")]
pub(crate) struct MessagePage {
    pub(crate) frame: Frame,
    /// The cause in a few words, without a full stop.
    pub(crate) title: String,
    /// What happened, in plain sentences.
    pub(crate) what_happened: String,
    /// What the reader can do now, in plain sentences.
    pub(crate) what_to_do: String,
    /// Label and value. A value may be thousands of characters of hostile text.
    pub(crate) facts: Vec<(String, String)>,
    /// In dev only, the redirect URIs that are registered.
    pub(crate) registered: Vec<String>,
    pub(crate) docs_url: Option<String>,
    pub(crate) portal_url: Option<String>,
    pub(crate) retry_url: Option<String>,
}

/// What was done, where nothing went wrong.
#[derive(Debug, Clone, Template)]
#[template(path = "notice.html")]
pub(crate) struct NoticePage {
    pub(crate) frame: Frame,
    /// In a few words, without a full stop.
    pub(crate) title: &'static str,
    /// In plain sentences.
    pub(crate) what_happened: String,
    /// What the reader can do now, in plain sentences.
    pub(crate) what_to_do: &'static str,
    /// The host to go on to, and the address there.
    pub(crate) link: Option<(String, String)>,
}

impl MessagePage {
    fn is_long(value: &str) -> bool {
        value.len() > LONG_VALUE_BYTES
    }

    /// Whether a value is to be compared letter by letter: an identifier or a URL, not a sentence.
    fn is_exact(value: &str) -> bool {
        value.contains("://") || !value.contains(' ')
    }

    fn has_links(&self) -> bool {
        self.docs_url.is_some() || self.portal_url.is_some() || self.retry_url.is_some()
    }
}

/// What somebody sees who opens the base URL.
#[derive(Debug, Clone, Template)]
#[template(path = "home.html")]
pub(crate) struct HomePage {
    pub(crate) frame: Frame,
    pub(crate) issuer: String,
    /// In dev, a complete authorize URL of the demo client.
    pub(crate) authorize_url: Option<String>,
    pub(crate) docs_url: String,
}

//! The demo partner's page: what stands at its redirect URI in dev.
//!
//! A partner would exchange the code at once and show nothing of it. This page shows it, how long
//! it still lives, and the command that comes next. The countdown is CSS alone: its start value
//! stands in a `<style nonce>`, the stylesheet does the rest, and a browser that can't count shows
//! the plain sentence.

use askama::Template;

use super::{Frame, filters};

/// What arrived at the demo client's redirect URI.
#[derive(Debug, Clone, Template)]
#[template(path = "code.html")]
pub(crate) struct CodePage {
    pub(crate) frame: Frame,
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) issuer: Option<String>,
    /// How long the code still lives; zero or less when it has expired.
    pub(crate) seconds_left: i64,
    /// The command that exchanges the code, over several lines.
    pub(crate) command: String,
    /// How the Basic header of the command was made.
    pub(crate) basic_note: String,
    /// The error's code and description, when the customer denied or the request failed.
    pub(crate) error: Option<(String, Option<String>)>,
    /// Where a new code comes from.
    pub(crate) authorize_url: String,
    /// The nonce that the Content-Security-Policy of this answer names for `style-src`.
    pub(crate) style_nonce: String,
}

impl CodePage {
    /// The code, as long as it can still be exchanged.
    fn live_code(&self) -> Option<&str> {
        self.code.as_deref().filter(|_| self.error.is_none() && self.seconds_left > 0)
    }

    fn heading(&self) -> &'static str {
        match (&self.error, &self.code) {
            (Some((code, _)), _) if code == "access_denied" => "The connection was denied",
            (Some(_), _) => "The connection did not come about",
            (None, Some(_)) if self.seconds_left > 0 => "Your code has arrived",
            (None, Some(_)) => "This code has expired",
            (None, None) => "No code has arrived",
        }
    }
}

//! What a partner takes along of an app.

use askama::Template;

use super::Shell;
use crate::pages::filters;

/// Files to download, and programs to copy.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/exports.html")]
pub(crate) struct ExportsPage {
    pub(crate) shell: Shell,
    pub(crate) app_id: String,
    pub(crate) app_name: String,
    /// Each file with its name, and what it is.
    pub(crate) files: Vec<(String, String)>,
    /// The redirect URI that the programs name.
    pub(crate) chosen: String,
    pub(crate) redirect_uris: Vec<String>,
    /// None for a public app, which has no secret to prove.
    pub(crate) snippets: Vec<SnippetLine>,
}

/// The same calls in one language.
#[derive(Debug, Clone)]
pub(crate) struct SnippetLine {
    pub(crate) name: &'static str,
    pub(crate) exchange: String,
    pub(crate) refresh: String,
}

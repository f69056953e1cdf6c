//! A page of the documentation, around HTML that was rendered from our own Markdown.

use askama::Template;

use super::{Frame, filters};

/// One page of the docs.
#[derive(Debug, Clone, Template)]
#[template(path = "docs.html")]
pub(crate) struct DocsPage {
    pub(crate) frame: Frame,
    pub(crate) title: String,
    pub(crate) nav: Vec<DocsLink>,
    /// Safe HTML, rendered from Markdown of this repository. Never a stranger's text.
    pub(crate) html: String,
}

/// One line of the list of pages.
#[derive(Debug, Clone)]
pub(crate) struct DocsLink {
    pub(crate) href: String,
    pub(crate) title: String,
    pub(crate) current: bool,
}

impl DocsPage {
    /// A page has one `h1`: the Markdown's own where it brings one, the title otherwise.
    fn brings_heading(&self) -> bool {
        self.html.contains("<h1")
    }

    /// The HTML with its tables and code blocks made scrollable by keyboard.
    ///
    /// Text in the HTML is escaped, so these tags can only be elements.
    fn body(&self) -> String {
        self.html
            .replace(
                "<table>",
                "<div class=\"scroll\" role=\"group\" aria-label=\"Table\" tabindex=\"0\"><table>",
            )
            .replace("</table>", "</table></div>")
            .replace("<pre>", "<pre tabindex=\"0\">")
    }
}

//! The playground.

use askama::Template;

use super::Shell;
use crate::pages::filters;

/// The first step of the guide.
#[derive(Clone, Template)]
#[template(path = "portal/playground.html")]
pub(crate) struct PlaygroundPage {
    pub(crate) shell: Shell,
    pub(crate) app_id: String,
    pub(crate) app_name: String,
    /// What the customer opens; none where the callback is not registered yet.
    pub(crate) url: Option<String>,
    /// Each parameter, and what it is for.
    pub(crate) parameters: Vec<(&'static str, String, &'static str)>,
    pub(crate) redirect_uri: String,
    pub(crate) pkce: bool,
    /// Whether the client must use PKCE.
    pub(crate) pkce_always: bool,
    pub(crate) scope: String,
    /// Whether the client is switched off.
    pub(crate) off: bool,
}

/// What a step did, and what can follow.
#[derive(Clone, Template)]
#[template(path = "portal/playground_step.html")]
pub(crate) struct PlaygroundStepPage {
    pub(crate) shell: Shell,
    pub(crate) app_id: String,
    pub(crate) app_name: String,
    pub(crate) public: bool,
    /// Whether there is an API here that the token opens.
    pub(crate) api: bool,
    /// Whether the token may say who the customer is.
    pub(crate) userinfo: bool,
    pub(crate) token_url: String,
    pub(crate) redirect_uri: String,
    pub(crate) title: &'static str,
    pub(crate) words: String,
    pub(crate) checks: Vec<Check>,
    pub(crate) raw: RawCall,
    pub(crate) held: Held,
}

/// Something that a partner has to look at.
#[derive(Clone)]
pub(crate) struct Check {
    pub(crate) good: bool,
    pub(crate) words: String,
}

/// A request and its response, as they were.
#[derive(Clone)]
pub(crate) struct RawCall {
    pub(crate) title: String,
    pub(crate) request: RawPart,
    pub(crate) response: Option<RawPart>,
}

/// One of the two.
#[derive(Clone)]
pub(crate) struct RawPart {
    /// The request line, or the status line.
    pub(crate) line: String,
    pub(crate) headers: Vec<RawHeader>,
    pub(crate) body: String,
}

/// A header, and what there is to say about it.
#[derive(Clone)]
pub(crate) struct RawHeader {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) note: Option<String>,
}

/// What the page holds, and nothing else does. It does not print.
#[derive(Clone, Default)]
pub(crate) struct Held {
    pub(crate) code: String,
    pub(crate) state: String,
    pub(crate) secret: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) former_refresh_token: String,
    pub(crate) scope: String,
}

/// A hidden field.
type Hidden<'a> = (&'static str, &'a str);

impl Held {
    /// What goes with every next step.
    fn hidden(&self) -> Vec<Hidden<'_>> {
        let fields = [
            ("code", self.code.as_str()),
            ("state", &self.state),
            ("access_token", &self.access_token),
            ("refresh_token", &self.refresh_token),
            ("former_refresh_token", &self.former_refresh_token),
            ("scope", &self.scope),
        ];
        fields.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }
}

impl RawPart {
    fn notes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .filter_map(|header| Some((header.name.as_str(), header.note.as_deref()?)))
    }
}

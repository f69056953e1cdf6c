//! The pages that people see: what the browser flow asks, what went wrong, the demo and the docs.
//!
//! 1. An endpoint fills one of the structs below; each is one whole page and renders itself
//!    through its askama template in `templates/`, where every value is escaped.
//! 2. Text from strangers (names, redirect URIs, descriptions) passes the filter `visible`, so that
//!    direction overrides and control characters are seen and not obeyed.
//! 3. `asset` serves the stylesheet and the icon under names that carry their own hash, so that
//!    browsers may keep them for ever.
//!
//! The pages use no JavaScript and nothing inline, except the one `<style nonce>` of [`CodePage`].

mod account;
mod asset;
mod demo;
mod docs;
#[expect(unreachable_pub, reason = "askama::filter_fn writes the `pub` itself")]
mod filters;
mod flow;
mod notice;
pub(crate) mod portal;
#[cfg(test)]
mod tests;

use grantor_protocol::client::Client;

pub(crate) use account::{
    ConnectedApp, ConnectionsPage, DisconnectAllPage, ForgottenPage, PasswordFault, PasswordField,
    PasswordPage, ResetPage, ToldPage,
};
pub(crate) use asset::{asset, favicon_url, stylesheet_url};
pub(crate) use demo::CodePage;
pub(crate) use docs::{DocsLink, DocsPage};
pub(crate) use flow::{
    BusinessChoice, BusinessesPage, ConsentPage, DemoLogin, DeviceCodePage, DevicePage,
    FormPostPage, ScopeLine, SignInPage, SignOutPage,
};
pub(crate) use notice::{HomePage, MessagePage, NoticePage};

/// What every page says, whatever it is about.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// `"staging"` or `"production"`.
    pub(crate) environment: &'static str,
    /// Whether this is a development server, which says so on every page.
    pub(crate) dev: bool,
    /// The language of the page, as a BCP 47 tag.
    pub(crate) lang: &'static str,
    /// The path of the stylesheet, from [`stylesheet_url`].
    pub(crate) stylesheet: String,
    /// The id under which the log knows this request.
    pub(crate) request_id: String,
}

impl Frame {
    fn is_staging(&self) -> bool {
        self.environment == "staging"
    }

    /// The environment's name as it begins a sentence.
    fn environment_name(&self) -> &'static str {
        match self.environment {
            "staging" => "Staging",
            "production" => "Production",
            "portal" => "Partner portal",
            other => other,
        }
    }
}

/// The app that asks, as a customer may know it.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// The name that its partner gave it.
    pub(crate) name: String,
    /// Who makes it.
    pub(crate) organisation: String,
    /// Whether somebody checked that the organisation is who it says.
    pub(crate) verified: bool,
    /// The app's own site; linked only where it is https.
    pub(crate) website: Option<String>,
    /// Where its logo is.
    pub(crate) logo: Option<String>,
}

impl App {
    /// As its partner describes it.
    pub(crate) fn of(client: &Client, logo: Option<String>) -> App {
        App {
            name: client.name.clone(),
            organisation: client.partner.name.clone(),
            verified: client.partner.verified,
            website: client.website.clone(),
            logo,
        }
    }

    /// The website, if it is one that a page may link to.
    ///
    /// Registration refuses other schemes; a row that slipped past it must still not become a
    /// `javascript:` link.
    fn website_link(&self) -> Option<&str> {
        self.website.as_deref().filter(|website| website.starts_with("https://"))
    }

    /// The website without its scheme, as a person would say it.
    fn website_name(&self) -> &str {
        let website = self.website.as_deref().unwrap_or_default();
        let bare = website.strip_prefix("https://").unwrap_or(website);
        bare.strip_suffix('/').unwrap_or(bare)
    }
}

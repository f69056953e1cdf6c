//! The steps of the browser flow: sign in, choose businesses, consent.
//!
//! Each is one form that posts to where it came from, with a hidden `step` that says which it is.

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{App, Frame, filters};

/// How many of a business's locations are named before the rest are counted.
const LOCATIONS_NAMED: usize = 5;

/// Asks for email and password. Posts `step=sign_in`, `email`, `password`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "sign_in.html")]
pub(crate) struct SignInPage {
    pub(crate) frame: Frame,
    /// The app that sent the customer here; none when somebody signs in for themselves.
    pub(crate) app: Option<App>,
    pub(crate) form_action: String,
    pub(crate) csrf_token: String,
    /// What was typed before, or the request's `login_hint`.
    pub(crate) email: String,
    /// What went wrong with the last try, as one sentence.
    pub(crate) fault: Option<String>,
    /// Whether a forgotten password can be set anew here.
    pub(crate) forgotten: bool,
    /// In dev, the sign-in that works.
    pub(crate) demo: Option<DemoLogin>,
}

/// A sign-in that the page tells everybody, for dev only.
#[derive(Debug, Clone)]
pub(crate) struct DemoLogin {
    pub(crate) email: String,
    pub(crate) password: String,
}

/// Brings an answer to the app in a form, by itself or by its button.
#[derive(Debug, Clone, Template)]
#[template(path = "form_post.html")]
pub(crate) struct FormPostPage {
    pub(crate) frame: Frame,
    /// A proved redirect URI.
    pub(crate) action: String,
    pub(crate) parameters: Vec<(String, String)>,
}

impl FormPostPage {
    /// The one script of all pages: it does nothing but press the button.
    const SCRIPT: &str = "document.forms[0].submit()";

    /// What the content security policy names to let that script run, and no other.
    pub(crate) fn script_source() -> String {
        let digest = digest(&SHA256, FormPostPage::SCRIPT.as_bytes());
        format!("sha256-{}", STANDARD.encode(digest))
    }
}

/// Asks whether to sign out. Posts `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "sign_out.html")]
pub(crate) struct SignOutPage {
    pub(crate) frame: Frame,
    /// The app that asks for it, where one says who it is.
    pub(crate) app_name: Option<String>,
    pub(crate) account_email: String,
    pub(crate) form_action: String,
    pub(crate) csrf_token: String,
}

/// Asks which businesses to connect. Posts `step=businesses`, `business` (repeated), `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "businesses.html")]
pub(crate) struct BusinessesPage {
    pub(crate) frame: Frame,
    pub(crate) app: App,
    pub(crate) account_email: String,
    pub(crate) form_action: String,
    pub(crate) csrf_token: String,
    pub(crate) businesses: Vec<BusinessChoice>,
    /// What went wrong with the last try, as one sentence.
    pub(crate) fault: Option<String>,
    pub(crate) switch_account_url: String,
}

/// One business that the customer may tick.
#[derive(Debug, Clone)]
pub(crate) struct BusinessChoice {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) locations: Vec<String>,
    pub(crate) ticked: bool,
}

impl BusinessChoice {
    fn locations_named(&self) -> &[String] {
        let named = self.locations.len().min(LOCATIONS_NAMED);
        &self.locations[..named]
    }

    fn locations_more(&self) -> usize {
        self.locations.len().saturating_sub(LOCATIONS_NAMED)
    }
}

/// Asks for the decision. Posts `step=consent`, `decision` (`allow` or `deny`), `scope` (repeated,
/// the optional ones that stayed ticked), `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "consent.html")]
pub(crate) struct ConsentPage {
    pub(crate) frame: Frame,
    pub(crate) app: App,
    pub(crate) account_email: String,
    pub(crate) businesses: Vec<String>,
    pub(crate) scopes: Vec<ScopeLine>,
    /// The APIs that it is for, where the app names some.
    pub(crate) apis: Vec<String>,
    /// How long the connection lasts, as a plain sentence.
    pub(crate) lasts: String,
    /// The host that the code goes to.
    pub(crate) destination_host: String,
    pub(crate) form_action: String,
    pub(crate) csrf_token: String,
    pub(crate) switch_account_url: String,
    /// Whether somebody at the company reviewed this app.
    pub(crate) approved: bool,
}

impl ConsentPage {
    fn has_optional_scopes(&self) -> bool {
        self.scopes.iter().any(|scope| !scope.required)
    }
}

/// Asks for the code that a device shows. Posts `step=code`, `user_code`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "device_code.html")]
pub(crate) struct DeviceCodePage {
    pub(crate) frame: Frame,
    pub(crate) account_email: String,
    pub(crate) form_action: String,
    pub(crate) csrf_token: String,
    /// What was typed before, or stands in the address.
    pub(crate) user_code: String,
    /// What went wrong with the last try, as one sentence.
    pub(crate) fault: Option<String>,
}

/// Asks whether to allow a device. Posts `step=decide`, `seen`, `decision`, `business` and `scope`
/// (repeated), `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "device.html")]
pub(crate) struct DevicePage {
    pub(crate) frame: Frame,
    pub(crate) app: App,
    /// Whether somebody at the company reviewed this app.
    pub(crate) approved: bool,
    pub(crate) account_email: String,
    /// As the device shows it.
    pub(crate) user_code: String,
    /// The network that the device asked from.
    pub(crate) asked_from: String,
    /// When, in words.
    pub(crate) asked_when: String,
    pub(crate) businesses: Vec<BusinessChoice>,
    pub(crate) scopes: Vec<ScopeLine>,
    /// The APIs that it is for, where the app names some.
    pub(crate) apis: Vec<String>,
    /// How long the connection lasts, as a plain sentence.
    pub(crate) lasts: String,
    pub(crate) form_action: String,
    pub(crate) csrf_token: String,
    /// What this page shows, sealed.
    pub(crate) seen: String,
    /// What went wrong with the last try, as one sentence.
    pub(crate) fault: Option<String>,
}

/// One scope, said plainly.
#[derive(Debug, Clone)]
pub(crate) struct ScopeLine {
    /// As the API names it: `financial-api`.
    pub(crate) name: String,
    /// As a customer understands it.
    pub(crate) sentence: String,
    pub(crate) required: bool,
}

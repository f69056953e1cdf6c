//! The browser: its cookie, who is signed in, and the token that its forms carry.
//!
//! One cookie for each environment, because browsers do not tell ports apart in cookies. It holds a
//! random id; the store knows its digest once somebody signed in. A browser that nobody signed in
//! with has an id too, so that the sign-in form itself cannot be forged. A second cookie outlives the
//! session: it says whose accounts the browser has been in (`throttle/known_browser.rs`). The form token is sealed
//! over the id and belongs to the session: a second tab does not break the first (S9).

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderMap;
use axum::http::header::{HeaderValue, SET_COOKIE};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};

use crate::seal::Kind;
use crate::site::Site;
use crate::store::{Session, StoreError};
use crate::throttle::{KNOWN_SECONDS, KnownBrowser, Subject};

/// A browser, as its cookie shows it.
#[derive(Clone)]
pub(super) struct Browser {
    id: String,
    is_new: bool,
    /// What it shows of whose accounts it has been in.
    shown: Option<String>,
    /// What it is to show from now on.
    to_show: Option<String>,
}

impl Browser {
    /// Reads the cookie, or begins a new id.
    pub(super) fn of(site: &Site, headers: &HeaderMap) -> Browser {
        let jar = CookieJar::from_headers(headers);
        let held = |name: String| jar.get(&name).map(|cookie| cookie.value().to_owned());
        let shown = held(known_cookie_name(site));
        match held(cookie_name(site)).filter(|id| id.len() == 43) {
            Some(id) => Browser { id, is_new: false, shown, to_show: None },
            None => Browser { shown, ..Browser::new(site) },
        }
    }

    /// A browser with a new id: at sign-in, so that an id that somebody planted is worth nothing
    /// (S18).
    pub(super) fn new(site: &Site) -> Browser {
        Browser { id: site.random.secret(), is_new: true, shown: None, to_show: None }
    }

    /// A new one in the place of `former`, in which somebody has just signed in to an account.
    pub(super) fn signed_in(site: &Site, former: &Browser, subject: &Subject<'_>) -> Browser {
        let known = KnownBrowser::signed_in(former.known(site), subject, &site.random);
        let to_show = Some(known.seal(&site.sealer, site.clock.now()));
        Browser { to_show, ..Browser::new(site) }
    }

    /// Whose accounts it has been in.
    pub(super) fn known(&self, site: &Site) -> Option<KnownBrowser> {
        KnownBrowser::open(&site.sealer, self.shown.as_deref()?, site.clock.now())
    }

    /// Whether the request brought no id.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// What the store knows of it.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, self.id.as_bytes()).as_ref());
        bytes
    }

    /// Who is signed in.
    pub(super) async fn session(&self, site: &Site) -> Result<Option<Session>, StoreError> {
        if self.is_new {
            return Ok(None);
        }
        let now = site.clock.now();
        site.store.session(site.environment, self.digest(), site.sealer.epoch(), now).await
    }

    /// The token for its forms.
    pub(super) fn form_token(&self, site: &Site) -> String {
        site.sealer.seal(Kind::Csrf, &self.digest(), site.clock.now())
    }

    /// Whether a form came from a page that this very browser got from us.
    pub(super) fn owns_form(&self, site: &Site, token: Option<&str>) -> bool {
        let token = token.unwrap_or_default();
        !self.is_new && site.sealer.open(Kind::Csrf, token).is_ok_and(|held| held == self.digest())
    }

    /// Hands the id to the browser, where it does not hold it yet.
    pub(super) fn remember(&self, site: &Site, headers: &mut HeaderMap) {
        if !self.is_new {
            return;
        }
        let session = cookie(site, cookie_name(site), &self.id).to_string();
        let known = self.to_show.as_ref().map(|known| {
            let cookie = cookie(site, known_cookie_name(site), known);
            format!("{cookie}; Max-Age={KNOWN_SECONDS}")
        });
        for cookie in [Some(session), known].into_iter().flatten() {
            if let Ok(value) = HeaderValue::from_str(&cookie) {
                headers.append(SET_COOKIE, value);
            }
        }
    }
}

fn cookie<'a>(site: &Site, name: String, value: &'a str) -> Cookie<'a> {
    Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .secure(site.is_https())
        // Lax: a customer arrives from the partner's site and is still signed in.
        .same_site(SameSite::Lax)
        .build()
}

/// `__Host-` wherever there is TLS: no other host and no plain page can then plant one.
fn cookie_name(site: &Site) -> String {
    let prefix = if site.is_https() { "__Host-" } else { "" };
    format!("{prefix}grantor-{}", site.environment)
}

fn known_cookie_name(site: &Site) -> String {
    format!("{}-known", cookie_name(site))
}

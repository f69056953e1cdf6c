//! The browser: its cookie, who is signed in, and the token that its forms carry.
//!
//! One cookie for each environment, because browsers do not tell ports apart in cookies. It holds a
//! random id; the store knows its digest once somebody signed in. A browser that nobody signed in
//! with has an id too, so that the sign-in form itself cannot be forged. The form token is sealed
//! over the id and belongs to the session: a second tab does not break the first (S9).

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderMap;
use axum::http::header::{HeaderValue, SET_COOKIE};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};

use crate::seal::Kind;
use crate::site::Site;
use crate::store::{Session, StoreError};

/// A browser, as its cookie shows it.
#[derive(Clone)]
pub(super) struct Browser {
    id: String,
    is_new: bool,
}

impl Browser {
    /// Reads the cookie, or begins a new id.
    pub(super) fn of(site: &Site, headers: &HeaderMap) -> Browser {
        let held = CookieJar::from_headers(headers)
            .get(&cookie_name(site))
            .map(|cookie| cookie.value().to_owned())
            .filter(|id| id.len() == 43);
        match held {
            Some(id) => Browser { id, is_new: false },
            None => Browser::new(site),
        }
    }

    /// A browser with a new id: at sign-in, so that an id that somebody planted is worth nothing
    /// (S18).
    pub(super) fn new(site: &Site) -> Browser {
        Browser { id: site.random.secret(), is_new: true }
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
        let cookie = Cookie::build((cookie_name(site), self.id.clone()))
            .path("/")
            .http_only(true)
            .secure(site.is_https())
            // Lax: a customer arrives from the partner's site and is still signed in.
            .same_site(SameSite::Lax)
            .build();
        if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
            headers.append(SET_COOKIE, value);
        }
    }
}

/// `__Host-` wherever there is TLS: no other host and no plain page can then plant one.
fn cookie_name(site: &Site) -> String {
    let prefix = if site.is_https() { "__Host-" } else { "" };
    format!("{prefix}grantor-{}", site.environment)
}

//! Who is who among the browsers, and what each is connected to. In memory: a real app keeps tokens
//! in its database, encrypted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};

use grantor_client::authorization::AuthorizationRequest;
use grantor_client::random::Random;
use grantor_client::token::Tokens;

const COOKIE: &str = "partner_session";

/// All browsers.
pub(crate) struct Sessions {
    known: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Session>>>>,
    secure: bool,
    random: Random,
}

/// One browser. Whoever works with its tokens holds it locked, so that they are refreshed once.
#[derive(Default)]
pub(crate) struct Session {
    pub(crate) attempt: Option<AuthorizationRequest>,
    pub(crate) tokens: Option<Tokens>,
    /// Shown once.
    pub(crate) note: Option<&'static str>,
}

impl Sessions {
    /// `secure` where the app is reached by https.
    pub(crate) fn new(secure: bool, random: Random) -> Sessions {
        Sessions { known: Mutex::default(), secure, random }
    }

    /// The session of a browser, or a new one, with the cookies to answer with.
    pub(crate) fn of(&self, cookies: CookieJar) -> (Arc<tokio::sync::Mutex<Session>>, CookieJar) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = cookies.get(COOKIE).and_then(|cookie| known.get(cookie.value())) {
            return (Arc::clone(session), cookies);
        }
        let (id, session) = (self.random.secret().to_string(), Arc::default());
        known.insert(id.clone(), Arc::clone(&session));
        let cookie = Cookie::build((COOKIE, id))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            // Lax, and not Strict: the browser comes back from the server with it.
            .same_site(SameSite::Lax);
        (session, cookies.add(cookie))
    }
}

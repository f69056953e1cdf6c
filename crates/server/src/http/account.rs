//! The customer's own pages, `/connections` and `/account/…`: what they have in common.
//!
//! 1. load who is signed in in this browser;
//! 2. whoever is not signs in first, on the same address, and comes back to it;
//! 3. a form is taken only from a page that this browser got from us, and from no other site;
//! 4. what was done is answered by 303, and told by the page that comes then: sealed in its address,
//!    so that no link from elsewhere makes this server say what is not true.

pub(super) mod forgotten;
pub(super) mod password;

use std::net::IpAddr;

use axum::body::Body;
use axum::http::header::{HeaderMap, HeaderName};
use axum::http::{Response, StatusCode, Uri};
use grantor_protocol::authorize_error::PageWords;
use grantor_protocol::parameters::Parameters;

use super::answer::{self, fault_page, frame};
use super::request::RequestId;
use super::session::Browser;
use super::sign_in::{SignInFault, WRONG, sign_in};
use crate::demo;
use crate::pages::{DemoLogin, SignInPage};
use crate::seal::{Kind, Reader};
use crate::site::Site;
use crate::store::{Session, StoreError};
use crate::throttle::NotTaken;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// How long a page says what was done, in seconds.
const TOLD_SECONDS: i64 = 600;

/// A request for a page of the account, with all that is known about it.
pub(super) struct Visit<'a> {
    pub(super) site: &'a Site,
    pub(super) request_id: &'a RequestId,
    pub(super) address: IpAddr,
    pub(super) browser: Browser,
    pub(super) session: Option<Session>,
    /// The page's own address.
    here: &'static str,
    /// What was done right before.
    pub(super) done: Option<Done>,
}

/// What was done right before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// an app was disconnected
    Disconnected {
        /// which
        client_id: String,
    },
    /// all apps were
    DisconnectedAll,
    /// the password was changed
    PasswordChanged,
}

/// Why a page of the account is not shown, or its form not taken.
pub(super) enum Fault {
    /// the form is not one that this browser got from us
    FormExpired,
    /// too many passwords were tried in vain
    TooManyTries {
        /// until the next one is taken
        wait_seconds: i64,
        /// where to try again
        retry: String,
    },
    /// too many at once
    Busy,
    /// the store failed
    Store(StoreError),
}

impl From<NotTaken> for Fault {
    fn from(not_taken: NotTaken) -> Fault {
        match not_taken {
            NotTaken::TooMany { wait_seconds } => {
                Fault::TooManyTries { wait_seconds, retry: "/account/password".to_owned() }
            }
            NotTaken::Store(error) => Fault::Store(error),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

impl<'a> Visit<'a> {
    pub(super) async fn load(
        site: &'a Site,
        (request_id, address): (&'a RequestId, IpAddr),
        here: &'static str,
        (uri, headers): (&Uri, &HeaderMap),
    ) -> Result<Visit<'a>, Fault> {
        let parameters = Parameters::parse(uri.query().unwrap_or_default().as_bytes());
        let browser = Browser::of(site, headers);
        let session = browser.session(site).await?;
        let done = parameters.value("done").and_then(|sealed| Done::open(site, &browser, sealed));
        Ok(Visit { site, request_id, address, browser, session, here, done })
    }

    /// What stands before every page of the account.
    pub(super) fn sign_in_page(&self) -> Response<Body> {
        self.sign_in_again(StatusCode::OK, "", None)
    }

    fn sign_in_again(
        &self,
        status: StatusCode,
        email: &str,
        fault: Option<&str>,
    ) -> Response<Body> {
        let page = SignInPage {
            frame: frame(self.site, self.request_id),
            app: None,
            form_action: self.here.to_owned(),
            csrf_token: self.browser.form_token(self.site),
            email: email.to_owned(),
            fault: fault.map(str::to_owned),
            forgotten: self.site.settings.mail,
            demo: self.site.dev.as_ref().map(|_| DemoLogin {
                email: demo::CUSTOMER_EMAIL.to_owned(),
                password: demo::PASSWORD.to_owned(),
            }),
        };
        let mut response = answer::page(self.site, status, &page, None);
        self.browser.remember(self.site, response.headers_mut());
        response
    }

    /// Takes a form: only one that this browser got from us. The token is what counts; fetch metadata
    /// is what a browser cannot be talked out of.
    ///
    /// # Errors
    /// [`Fault::FormExpired`]
    pub(super) fn form(&self, headers: &HeaderMap, body: &[u8]) -> Result<Parameters, Fault> {
        let form = Parameters::parse(body);
        let same_origin =
            headers.get(SEC_FETCH_SITE).is_none_or(|site| site == "same-origin" || site == "none");
        match same_origin && self.browser.owns_form(self.site, form.value("csrf_token")) {
            true => Ok(form),
            false => Err(Fault::FormExpired),
        }
    }

    /// Signs in, and comes back here.
    pub(super) async fn sign_in(&self, form: &Parameters) -> Result<Response<Body>, Fault> {
        let from = (&self.browser, self.address);
        let browser = match sign_in(self.site, self.request_id, from, form).await {
            Ok(browser) => browser,
            Err(SignInFault::Wrong) => {
                let typed = form.value("email").unwrap_or_default();
                return Ok(self.sign_in_again(StatusCode::UNAUTHORIZED, typed, Some(WRONG)));
            }
            Err(SignInFault::TooMany { wait_seconds }) => {
                return Err(Fault::TooManyTries { wait_seconds, retry: self.here.to_owned() });
            }
            Err(SignInFault::Busy) => return Err(Fault::Busy),
            Err(SignInFault::Changed) => return Err(Fault::FormExpired),
            Err(SignInFault::Store(error)) => return Err(Fault::Store(error)),
        };
        let mut response = self.back();
        browser.remember(self.site, response.headers_mut());
        Ok(response)
    }

    /// Leads to this page anew.
    pub(super) fn back(&self) -> Response<Body> {
        answer::redirect_within(self.site, self.here)
    }

    /// Leads to this page, which says to `browser` what was done.
    pub(super) fn back_with(&self, done: &Done, browser: &Browser) -> Response<Body> {
        let sealed = done.seal(self.site, browser);
        answer::redirect_within(self.site, &format!("{}?done={sealed}", self.here))
    }
}

impl Done {
    fn seal(&self, site: &Site, browser: &Browser) -> String {
        let now = site.clock.now();
        let mut payload = Vec::with_capacity(120);
        payload.extend_from_slice(&browser.digest());
        payload.extend_from_slice(&(now + TOLD_SECONDS).to_be_bytes());
        payload.extend_from_slice(&[match self {
            Done::Disconnected { .. } => 1,
            Done::DisconnectedAll => 2,
            Done::PasswordChanged => 3,
        }]);
        if let Done::Disconnected { client_id } = self {
            payload.extend_from_slice(client_id.as_bytes());
        }
        site.sealer.seal(Kind::Notice, &payload, now)
    }

    /// What is foreign, old or of another browser says nothing.
    fn open(site: &Site, browser: &Browser, sealed: &str) -> Option<Done> {
        let payload = site.sealer.open(Kind::Notice, sealed).ok()?;
        let mut read = Reader(&payload);
        let (of, until, [what]) = (read.array::<32>()?, read.integer()?, read.array::<1>()?);
        if of != browser.digest() || site.clock.now() >= until {
            return None;
        }
        match what {
            1 => {
                let client_id = String::from_utf8(read.0.to_vec()).ok()?;
                Some(Done::Disconnected { client_id })
            }
            2 => Some(Done::DisconnectedAll),
            3 => Some(Done::PasswordChanged),
            _ => None,
        }
    }
}

impl Fault {
    /// The page that says it.
    pub(super) fn answer(self, site: &Site, request_id: &RequestId) -> Response<Body> {
        let (status, anchor, title, what_happened, what_to_do) = match self {
            Fault::FormExpired => (
                StatusCode::BAD_REQUEST,
                "form-expired",
                "This page was open for too long",
                "We could not take what you entered: the page was open for too long, you signed in \
                 anew meanwhile, or your browser keeps no cookies.",
                "Nothing was changed. Open the page again and try once more.",
            ),
            Fault::TooManyTries { wait_seconds, retry } => {
                return answer::too_many_tries(site, request_id, wait_seconds, retry);
            }
            Fault::Busy => busy(),
            Fault::Store(error) => {
                tracing::error!(request.id = request_id.0, %error, "account.store");
                busy()
            }
        };
        let words = PageWords {
            anchor,
            title,
            what_happened: what_happened.to_owned(),
            what_to_do: what_to_do.to_owned(),
        };
        fault_page(site, request_id, status, words, vec![])
    }
}

fn busy() -> (StatusCode, &'static str, &'static str, &'static str, &'static str) {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "Very busy just now",
        "We could not answer in time, and cannot say whether it was done.",
        "Please open the page again in a few seconds, and look.",
    )
}

//! The sign-in step: e-mail address and password.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;

use super::fault::Fault;
use super::flow::Flow;
use super::progress::{self, SealedProgress};
use crate::demo;
use crate::http::answer::{self, frame};
use crate::http::session::Browser;
use crate::pages::{DemoLogin, SignInPage};
use crate::password::{Password, PasswordError};
use crate::store::NewSession;

/// No address is longer, in bytes (RFC 5321 4.5.3.1).
const MAX_EMAIL_BYTES: usize = 254;
/// One text for an unknown address and a wrong password (S19).
const WRONG: &str = "The e-mail address or the password is not right. Please try again.";

/// The page.
pub(super) fn page(
    flow: &Flow<'_>,
    status: StatusCode,
    email: &str,
    fault: Option<&str>,
) -> Response<Body> {
    let email = match email {
        "" => flow.request.login_hint.as_deref().unwrap_or_default(),
        email => email,
    };
    let page = SignInPage {
        frame: frame(flow.site, flow.request_id),
        app: Some(flow.app()),
        form_action: flow.here(),
        csrf_token: flow.browser.form_token(flow.site),
        email: email.to_owned(),
        fault: fault.map(str::to_owned),
        demo: flow.site.dev.as_ref().map(|_| DemoLogin {
            email: demo::CUSTOMER_EMAIL.to_owned(),
            password: demo::PASSWORD.to_owned(),
        }),
    };
    answer::page(flow.site, status, &page, Some(&flow.request.redirect_uri))
}

/// Checks the password and begins a session with a new id.
pub(super) async fn carry_out(flow: &Flow<'_>, form: &Parameters) -> Result<Response<Body>, Fault> {
    let site = flow.site;
    let typed = form.value("email").unwrap_or_default();
    let email = canonical(typed);
    let password = Password::new(form.value("password").unwrap_or_default().to_owned());
    // The demo's words are known to everybody: outside dev they open nothing, whatever is stored.
    let known_word = site.dev.is_none() && password.is(demo::PASSWORD);
    let stored = match email.len() <= MAX_EMAIL_BYTES && !known_word {
        true => site.store.credentials(site.environment, &email).await?,
        false => None,
    };
    let hash = stored.as_ref().map(|stored| stored.password_hash.clone());
    let right = match site.passwords.verify(password, hash).await {
        Ok(right) => right,
        Err(PasswordError::Busy) => return Err(Fault::Busy { retry: flow.here() }),
        Err(error @ (PasswordError::Corrupt | PasswordError::Length)) => {
            tracing::error!(request.id = flow.request_id.0, %error, "sign_in.hash");
            false
        }
    };
    let Some(stored) = stored.filter(|_| right) else {
        tracing::info!(request.id = flow.request_id.0, "sign_in.refused");
        let mut response = page(flow, StatusCode::UNAUTHORIZED, typed, Some(WRONG));
        flow.browser.remember(site, response.headers_mut());
        return Ok(response);
    };
    let now = site.clock.now();
    let browser = Browser::new(site);
    let session = NewSession {
        environment: site.environment,
        id_digest: browser.digest(),
        customer_id: stored.customer_id,
        customer_counter: stored.counter,
        epoch: site.sealer.epoch(),
        signed_in_at: now,
        expires_at: now + site.settings.session_ttl_seconds,
    };
    // The password was changed between the check and this write: it has to be entered again.
    if !site.store.begin_session(&session, Some(flow.browser.digest())).await? {
        return Err(Fault::FormExpired { retry: flow.here() });
    }
    let done = SealedProgress { signed_in: true, ..SealedProgress::default() };
    let mut response = answer::redirect_within(site, &progress::url(flow, &browser, &done));
    browser.remember(site, response.headers_mut());
    Ok(response)
}

/// One person has one address, however it is typed.
pub(crate) fn canonical(email: &str) -> String {
    email.trim().to_lowercase()
}

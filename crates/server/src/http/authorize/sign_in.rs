//! The sign-in step: e-mail address and password.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;

use super::fault::Fault;
use super::flow::Flow;
use super::progress::{self, SealedProgress};
use crate::demo;
use crate::http::answer::{self, frame};
use crate::http::sign_in::{SignInFault, WRONG, sign_in};
use crate::pages::{DemoLogin, SignInPage};

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
        forgotten: flow.site.settings.mail,
        demo: flow.site.dev.as_ref().map(|_| DemoLogin {
            email: demo::CUSTOMER_EMAIL.to_owned(),
            password: demo::PASSWORD.to_owned(),
        }),
    };
    answer::page(flow.site, status, &page, Some(&flow.request.redirect_uri))
}

/// Checks the password and begins a session with a new id.
pub(super) async fn carry_out(
    flow: &Flow<'_>,
    address: IpAddr,
    form: &Parameters,
) -> Result<Response<Body>, Fault> {
    let site = flow.site;
    let from = (&flow.browser, address);
    let browser = match sign_in(site, flow.request_id, from, form).await {
        Ok(browser) => browser,
        Err(SignInFault::Wrong) => {
            let typed = form.value("email").unwrap_or_default();
            let mut response = page(flow, StatusCode::UNAUTHORIZED, typed, Some(WRONG));
            flow.browser.remember(site, response.headers_mut());
            return Ok(response);
        }
        Err(SignInFault::TooMany { wait_seconds }) => {
            return Err(Fault::TooManyTries { wait_seconds, retry: flow.here() });
        }
        Err(SignInFault::Busy) => return Err(Fault::Busy { retry: flow.here() }),
        // It has to be entered again.
        Err(SignInFault::Changed) => return Err(Fault::FormExpired { retry: flow.here() }),
        Err(SignInFault::Store(error)) => return Err(Fault::Store(error)),
    };
    let done = SealedProgress { signed_in: true, ..SealedProgress::default() };
    let mut response = answer::redirect_within(site, &progress::url(flow, &browser, &done));
    browser.remember(site, response.headers_mut());
    Ok(response)
}

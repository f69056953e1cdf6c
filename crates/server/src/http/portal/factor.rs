//! The second factor: setting it up, showing it at sign-in, taking it away.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, RawQuery};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;

use super::super::answer;
use super::super::session::Browser;
use super::account;
use super::fault::Fault;
use super::sign_in::{address_of, next};
use super::visit::{Posted, SignedIn, Visit};
use crate::pages::portal::{CodePage, FactorPage, Form, RecoveryPage};
use crate::programme::factor::{self, Missing};
use crate::programme::{FieldFault, Refused};
use crate::second_factor::{FactorSecret, RecoveryCode};
use crate::site::Site;
use crate::store::{Person, SteppedUp};

/// Where the code is asked for.
pub(super) const CODE_PATH: &str = "/sign-in/code";
/// Where a factor is set up.
pub(super) const PATH: &str = "/account/factor";

/// Somebody who may set up a factor: who is signed in, or would be, but for it.
pub(super) struct Enrolling {
    visit: Visit,
    person: Person,
    /// Whether it has to be, before anything else.
    led_here: bool,
}

impl FromRequestParts<Arc<Site>> for Enrolling {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Enrolling, Fault> {
        let visit = Visit::from_request_parts(parts, site).await?;
        if let Some(person) = visit.person.clone() {
            return Ok(Enrolling { visit, person, led_here: false });
        }
        match visit.waiting.clone() {
            Some((person, Missing::Enrolment)) => Ok(Enrolling { visit, person, led_here: true }),
            _ => Err(Fault::SignIn { next: "/".to_owned() }),
        }
    }
}

/// Asks for a code, after the password.
pub(super) async fn ask(visit: Visit, RawQuery(query): RawQuery) -> Result<Response<Body>, Fault> {
    let next = next(query.as_deref());
    match visit.waiting {
        Some((_, Missing::Code)) => Ok(code_page(&visit, &next, StatusCode::OK, Form::default())),
        _ => Ok(visit.go(&address_of("/sign-in", &next))),
    }
}

/// Takes it.
pub(super) async fn pass(
    visit: Visit,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Response<Body>, Fault> {
    let next = next(query.as_deref());
    let form = visit.form(&body)?;
    let Some((person, Missing::Code)) = visit.waiting.clone() else {
        return Ok(visit.go(&address_of("/sign-in", &next)));
    };
    let (browser, session) = step_up(&visit);
    let code = form.value("code").unwrap_or_default();
    match factor::pass(&visit.site, &person, &session, code).await {
        Ok(()) => Ok(under(&visit, &browser, visit.go(&next))),
        Err(Refused::Fields(faults)) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(code_page(&visit, &next, status, untyped(faults)))
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Shows the key that is to be put into an app, or how to begin.
pub(super) async fn show(by: Enrolling) -> Result<Response<Body>, Fault> {
    let waiting = factor::waiting(&by.visit.site, &by.person).await?;
    Ok(factor_page(&by, StatusCode::OK, waiting.as_ref(), Form::default()))
}

/// The same key as a picture.
pub(super) async fn picture(by: Enrolling) -> Result<Response<Body>, Fault> {
    let waiting = factor::waiting(&by.visit.site, &by.person).await?;
    let picture = waiting.and_then(|secret| secret.picture(&by.person.email));
    let picture = picture.ok_or(Fault::NotFound)?;
    Ok(answer::respond(&by.visit.site, StatusCode::OK, "image/svg+xml", picture))
}

/// Draws a new key.
pub(super) async fn begin(by: Enrolling, body: Bytes) -> Result<Response<Body>, Fault> {
    let form = by.visit.form(&body)?;
    let site = &by.visit.site;
    if by.led_here {
        // The password was given just now.
        factor::begin_first(site, &by.person).await?;
        return Ok(by.visit.go(PATH));
    }
    match factor::begin(site, &by.person, proof(&form)).await {
        Ok(()) => Ok(by.visit.go(PATH)),
        Err(Refused::Fields(faults)) => {
            let by = SignedIn { visit: by.visit, person: by.person };
            account::own(&by, StatusCode::UNPROCESSABLE_ENTITY, ("factor", untyped(faults))).await
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Takes the first code of the key, and shows the recovery codes, this one time.
pub(super) async fn confirm(by: Enrolling, body: Bytes) -> Result<Response<Body>, Fault> {
    let form = by.visit.form(&body)?;
    let (browser, session) = step_up(&by.visit);
    let code = form.value("code").unwrap_or_default();
    match factor::confirm(&by.visit.site, &by.person, &session, code).await {
        Ok(codes) => Ok(recovery_page(by, browser, &codes)),
        Err(Refused::Fields(faults)) => {
            let waiting = factor::waiting(&by.visit.site, &by.person).await?;
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(factor_page(&by, status, waiting.as_ref(), untyped(faults)))
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Takes a developer's factor away.
pub(super) async fn remove(posted: Posted) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let (browser, session) = step_up(&by.visit);
    match factor::remove(&by.visit.site, &by.person, &session, proof(&form)).await {
        Ok(()) => Ok(under(&by.visit, &browser, by.visit.go("/account"))),
        Err(Refused::Fields(faults)) => {
            account::own(&by, StatusCode::UNPROCESSABLE_ENTITY, ("factor", untyped(faults))).await
        }
        Err(refused) => Err(refused.into()),
    }
}

/// S18: the session goes on under a new id.
fn step_up(visit: &Visit) -> (Browser, SteppedUp) {
    let browser = Browser::new(&visit.site);
    let session = SteppedUp { former: visit.browser.digest(), id_digest: browser.digest() };
    (browser, session)
}

fn under(visit: &Visit, browser: &Browser, mut response: Response<Body>) -> Response<Body> {
    browser.remember(&visit.site, response.headers_mut());
    response
}

fn proof(form: &Parameters) -> (String, &str) {
    let password = form.value("former").unwrap_or_default().to_owned();
    (password, form.value("code").unwrap_or_default())
}

/// What was typed is not shown again: it is all secrets.
fn untyped(faults: Vec<FieldFault>) -> Form {
    Form::again(&Parameters::default(), faults)
}

fn code_page(visit: &Visit, next: &str, status: StatusCode, form: Form) -> Response<Body> {
    let form_action = address_of(CODE_PATH, next);
    visit.page(status, &CodePage { shell: visit.shell(""), form, form_action })
}

fn factor_page(
    by: &Enrolling,
    status: StatusCode,
    waiting: Option<&FactorSecret>,
    form: Form,
) -> Response<Body> {
    let page = FactorPage {
        shell: by.visit.shell("account"),
        form,
        led_here: by.led_here,
        email: by.person.email.clone(),
        letters: waiting.map(FactorSecret::letters),
    };
    by.visit.page(status, &page)
}

fn recovery_page(by: Enrolling, browser: Browser, codes: &[RecoveryCode]) -> Response<Body> {
    let mut visit = by.visit;
    (visit.browser, visit.person, visit.waiting) = (browser, Some(by.person), None);
    let page = RecoveryPage {
        shell: visit.shell("account"),
        codes: codes.iter().map(|code| code.reveal().to_owned()).collect(),
    };
    visit.page(StatusCode::OK, &page)
}

//! `/account/password`: a customer changes the password.
//!
//! 1. sign in, and show the form: the password of now, and the new one twice, because one that was
//!    mistyped would lock its owner out;
//! 2. look at what costs nothing: the rules for a new password are those of `grantor customer create`;
//! 3. check the password of now, and hash the new one, each in the bounded queue (S21);
//! 4. one write: the new hash in the place of the one that was checked, every session of the customer
//!    ended, and this browser's begun anew under another id (S18). Connections stay.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::HeaderMap;
use axum::http::{Response, StatusCode, Uri};
use grantor_protocol::parameters::Parameters;

use super::{Done, Fault, Visit};
use crate::http::ClientAddress;
use crate::http::answer::{self, frame};
use crate::http::request::RequestId;
use crate::http::session::Browser;
use crate::pages::{PasswordFault, PasswordField, PasswordPage};
use crate::password::{Password, PasswordError, Unfit, unfit};
use crate::site::Site;
use crate::store::{Credentials, NewPassword, NewSession, Session};
use crate::throttle::{Caller, Credential, Subject};

const HERE: &str = "/account/password";
const DONE: &str = "Your password is changed. Everywhere else you are signed out. Apps that you \
                    connected stay connected.";

const WRONG: PasswordFault = PasswordFault {
    field: PasswordField::Current,
    words: "This is not your password. Nothing was changed.",
};
const SHORT: PasswordFault = PasswordFault {
    field: PasswordField::New,
    words: "The new password is too short. Use 12 characters or more.",
};
const LONG: PasswordFault = PasswordFault {
    field: PasswordField::New,
    words: "The new password is too long. It has 1024 bytes at most.",
};
const KNOWN: PasswordFault = PasswordFault {
    field: PasswordField::New,
    words: "Everybody knows this password from the documentation. Choose another.",
};
const SAME: PasswordFault = PasswordFault {
    field: PasswordField::New,
    words: "This is the password that you have. Choose another.",
};
const DIFFERENT: PasswordFault = PasswordFault {
    field: PasswordField::Again,
    words: "The two new passwords are not the same. Please type both again.",
};

/// Shows the form.
pub(in crate::http) async fn get(
    State(site): State<Arc<Site>>,
    (Extension(request_id), Extension(ClientAddress(address))): (
        Extension<RequestId>,
        Extension<ClientAddress>,
    ),
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let answered = match Visit::load(&site, (&request_id, address), HERE, (&uri, &headers)).await {
        Ok(visit) => Ok(match &visit.session {
            Some(session) => page(&visit, session, StatusCode::OK, None),
            None => visit.sign_in_page(),
        }),
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| fault.answer(&site, &request_id))
}

/// Takes the form.
pub(in crate::http) async fn post(
    State(site): State<Arc<Site>>,
    (Extension(request_id), Extension(ClientAddress(address))): (
        Extension<RequestId>,
        Extension<ClientAddress>,
    ),
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let answered = match Visit::load(&site, (&request_id, address), HERE, (&uri, &headers)).await {
        Ok(visit) => carry_out(&visit, &headers, &body).await,
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| fault.answer(&site, &request_id))
}

fn page(
    visit: &Visit<'_>,
    session: &Session,
    status: StatusCode,
    fault: Option<PasswordFault>,
) -> Response<Body> {
    let told = matches!(visit.done, Some(Done::PasswordChanged)) && fault.is_none();
    let page = PasswordPage {
        frame: frame(visit.site, visit.request_id),
        account_email: session.email.clone(),
        csrf_token: visit.browser.form_token(visit.site),
        done: told.then(|| DONE.to_owned()),
        fault,
    };
    answer::page(visit.site, status, &page, None)
}

async fn carry_out(
    visit: &Visit<'_>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response<Body>, Fault> {
    let form = visit.form(headers, body)?;
    match (form.value("step"), &visit.session) {
        (Some("sign_in"), _) => visit.sign_in(&form).await,
        (Some("password"), Some(session)) => change(visit, session, &form).await,
        _ => Ok(visit.back()),
    }
}

async fn change(
    visit: &Visit<'_>,
    session: &Session,
    form: &Parameters,
) -> Result<Response<Body>, Fault> {
    let site = visit.site;
    let refused = |fault| Ok(page(visit, session, StatusCode::UNPROCESSABLE_ENTITY, Some(fault)));
    if let Some(fault) = fault_of_new(form) {
        return refused(fault);
    }
    let stored = site.store.credentials(site.environment, &session.email).await?;
    let Some(stored) = stored.filter(|stored| stored.customer_id == session.customer_id) else {
        return Err(Fault::FormExpired);
    };
    let (current, new) = (password(form, "current_password"), password(form, "new_password"));
    // As at sign-in: whoever sits at an open browser may not guess for ever (S20).
    let subject = Subject::new(Credential::Password, session.email.as_bytes());
    let known = visit.browser.known(site);
    let caller = Caller { address: visit.address, browser: known.as_ref() };
    let taken = site.throttle.take(&subject, caller).await?;
    match site.passwords.verify(current, Some(stored.password_hash.clone())).await {
        Ok(true) => site.throttle.right(taken).await,
        Ok(false) => {
            tracing::info!(request.id = visit.request_id.0, "password.refused");
            return refused(WRONG);
        }
        // Nothing was tried.
        Err(error) => {
            site.throttle.give_back(taken).await;
            return Err(not_hashed(error, visit));
        }
    }
    let password_hash = match hash(visit, new).await? {
        Ok(hash) => hash,
        Err(fault) => return refused(fault),
    };
    let browser = Browser::new(site);
    let session = goes_on(site, &browser, stored);
    let new = NewPassword { password_hash: &password_hash, session: &session };
    if !site.store.change_password(&new).await? {
        // Another change, or the end of the customer, was faster.
        return Err(Fault::FormExpired);
    }
    tracing::info!(request.id = visit.request_id.0, "password.changed");
    let mut response = visit.back_with(&Done::PasswordChanged, &browser);
    browser.remember(site, response.headers_mut());
    Ok(response)
}

/// The hash of a new password, or what is wrong with it.
///
/// # Errors
/// [`Fault::Busy`]
pub(super) async fn hash(
    visit: &Visit<'_>,
    new: Password,
) -> Result<Result<String, PasswordFault>, Fault> {
    match visit.site.passwords.hash(new).await {
        Ok(hash) => Ok(Ok(hash)),
        Err(PasswordError::Length) => Ok(Err(SHORT)),
        Err(error) => Err(not_hashed(error, visit)),
    }
}

/// What of a new password costs no hash to see.
pub(super) fn fault_of_new(form: &Parameters) -> Option<PasswordFault> {
    let value = |name| form.value(name).unwrap_or_default();
    let new = value("new_password");
    if let Some(unfit) = unfit(new) {
        return Some(match unfit {
            Unfit::Short => SHORT,
            Unfit::Long => LONG,
            Unfit::Known => KNOWN,
        });
    }
    if new == value("current_password") {
        return Some(SAME);
    }
    (new != value("new_password_again")).then_some(DIFFERENT)
}

pub(super) fn password(form: &Parameters, name: &str) -> Password {
    Password::new(form.value(name).unwrap_or_default().to_owned())
}

fn not_hashed(error: PasswordError, visit: &Visit<'_>) -> Fault {
    if error != PasswordError::Busy {
        tracing::error!(request.id = visit.request_id.0, %error, "password.hash");
    }
    Fault::Busy
}

/// This browser's session, under a new id. The password was entered just now.
fn goes_on(site: &Site, browser: &Browser, stored: Credentials) -> NewSession {
    let now = site.clock.now();
    NewSession {
        environment: site.environment,
        id_digest: browser.digest(),
        customer_id: stored.customer_id,
        customer_counter: stored.counter,
        password_hash: stored.password_hash,
        epoch: site.sealer.epoch(),
        signed_in_at: now,
        expires_at: now + site.settings.session_ttl_seconds,
    }
}

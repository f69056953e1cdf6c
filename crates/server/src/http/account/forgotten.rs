//! `/account/forgotten` and `/account/reset/…`: a customer who forgot the password sets another.
//!
//! 1. An address is asked for, and a mail is written to it in any case: nobody learns here who has an
//!    account. Each one counts (S20);
//! 2. the link in the mail shows a form. To look at it changes nothing, because programs that read
//!    mail open links too;
//! 3. one write: the new hash in the place of the one that stood when the mail was written, which is
//!    why a link works once; every session ended; and a mail that tells it. Connections stay.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::HeaderMap;
use axum::http::{Response, StatusCode, Uri};
use grantor_protocol::parameters::Parameters;

use super::password::{fault_of_new, hash, password};
use super::{Fault, Visit};
use crate::http::ClientAddress;
use crate::http::answer::{self, frame};
use crate::http::request::RequestId;
use crate::http::sign_in::canonical;
use crate::link::{Former, Link};
use crate::mail::{Mail, MailAddress};
use crate::pages::{ForgottenPage, PasswordFault, ResetPage, ToldPage};
use crate::site::Site;
use crate::store::Credentials;
use crate::throttle::{self, Credential, NotTaken};

const HERE: &str = "/account/forgotten";
const NO_ADDRESS: &str = "Write the e-mail address of your account.";

/// What every one of these handlers takes.
type Asked = (Extension<RequestId>, Extension<ClientAddress>);

/// Whose password a link sets anew.
struct Forgetful {
    stored: Credentials,
    email: MailAddress,
    /// The link's own path.
    action: String,
}

/// Asks for an address.
pub(in crate::http) async fn get(
    State(site): State<Arc<Site>>,
    (Extension(request_id), Extension(ClientAddress(address))): Asked,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let visit = Visit::load(&site, (&request_id, address), HERE, (&uri, &headers)).await;
    visit
        .map(|visit| page(&visit, StatusCode::OK, "", None))
        .unwrap_or_else(|fault| fault.answer(&site, &request_id))
}

/// Writes a mail to it.
pub(in crate::http) async fn post(
    State(site): State<Arc<Site>>,
    (Extension(request_id), Extension(ClientAddress(address))): Asked,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let answered = match Visit::load(&site, (&request_id, address), HERE, (&uri, &headers)).await {
        Ok(visit) => write_to(&visit, &headers, &body).await,
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| fault.answer(&site, &request_id))
}

/// Shows the form behind the link of a mail.
pub(in crate::http) async fn link(
    State(site): State<Arc<Site>>,
    (Extension(request_id), Extension(ClientAddress(address))): Asked,
    Path(link): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let answered = match Visit::load(&site, (&request_id, address), HERE, (&uri, &headers)).await {
        Ok(visit) => forgetful(&visit, &link).await.map(|found| match found {
            Some(forgetful) => reset_page(&visit, &forgetful, StatusCode::OK, None),
            None => stale(&visit),
        }),
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| fault.answer(&site, &request_id))
}

/// Takes it.
pub(in crate::http) async fn reset(
    State(site): State<Arc<Site>>,
    (Extension(request_id), Extension(ClientAddress(address))): Asked,
    (Path(link), uri): (Path<String>, Uri),
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let answered = match Visit::load(&site, (&request_id, address), HERE, (&uri, &headers)).await {
        Ok(visit) => match visit.form(&headers, &body) {
            Ok(form) => set(&visit, &link, &form).await,
            Err(fault) => Err(fault),
        },
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| fault.answer(&site, &request_id))
}

fn page(
    visit: &Visit<'_>,
    status: StatusCode,
    email: &str,
    fault: Option<&'static str>,
) -> Response<Body> {
    let page = ForgottenPage {
        frame: frame(visit.site, visit.request_id),
        csrf_token: visit.browser.form_token(visit.site),
        email: email.to_owned(),
        fault,
    };
    let mut response = answer::page(visit.site, status, &page, None);
    visit.browser.remember(visit.site, response.headers_mut());
    response
}

async fn write_to(
    visit: &Visit<'_>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response<Body>, Fault> {
    let form = visit.form(headers, body)?;
    let (site, typed) = (visit.site, form.value("email").unwrap_or_default());
    let Some(to) = MailAddress::parse(&canonical(typed)) else {
        return Ok(page(visit, StatusCode::UNPROCESSABLE_ENTITY, typed, Some(NO_ADDRESS)));
    };
    let subject = throttle::Subject::new(Credential::Mail, to.as_str().as_bytes());
    match site.throttle.count(&subject, visit.address).await {
        Ok(()) => {}
        Err(NotTaken::TooMany { wait_seconds }) => {
            return Err(Fault::TooManyTries { wait_seconds, retry: HERE.to_owned() });
        }
        Err(NotTaken::Store(error)) => return Err(error.into()),
    }
    let stored = site.store.credentials(site.environment, to.as_str()).await?;
    let text = match stored {
        Some(stored) => {
            let former = Former::of(&stored.password_hash);
            let link = Link::CustomerReset { customer_id: stored.customer_id, former };
            format!(
                "Follow this link to set a new password for your account at {}; it works for one \
                 hour, and once:\n\n{}\n\nApps that you connected stay connected. If it was not \
                 you who asked, you need not do anything: your password stays.\n",
                site.base_url,
                link.address(site)
            )
        }
        None => format!(
            "Somebody asked for a new password at {} with this address, and it has no account \
             there.\n\nIf it was not you, you need not do anything.\n",
            site.base_url
        ),
    };
    let mail = Mail::new((&site.clock, &site.random), to, "A new password for your account", text)
        .ok_or(Fault::Busy)?;
    site.store.post_mail(&mail).await?;
    tracing::info!(request.id = visit.request_id.0, "password.forgotten");
    Ok(told(
        visit,
        (StatusCode::OK, "Look into your mailbox"),
        "If the address is right, a mail is on its way, with a link that sets a new password. \
         Where it does not come within a few minutes, look among the unwanted mail.",
        visit
            .site
            .dev
            .as_ref()
            .and(visit.site.portal_url.as_ref())
            .map(|portal| (format!("{portal}/mailbox"), "Open the mailbox of dev")),
    ))
}

async fn set(visit: &Visit<'_>, link: &str, form: &Parameters) -> Result<Response<Body>, Fault> {
    let site = visit.site;
    let Some(forgetful) = forgetful(visit, link).await? else {
        return Ok(stale(visit));
    };
    let refused =
        |fault| Ok(reset_page(visit, &forgetful, StatusCode::UNPROCESSABLE_ENTITY, Some(fault)));
    if let Some(fault) = fault_of_new(form) {
        return refused(fault);
    }
    let new = match hash(visit, password(form, "new_password")).await? {
        Ok(new) => new,
        Err(fault) => return refused(fault),
    };
    let words = "The password of your account was set anew, and you were signed out everywhere. \
                 Apps that you connected stay connected.\n\nIf it was not you, set another at once: ";
    let text = format!("{words}{}{HERE}\n", site.base_url);
    let to = forgetful.email.clone();
    let mail = Mail::new((&site.clock, &site.random), to, "Your password was changed", text)
        .ok_or(Fault::Busy)?;
    let stood = site.store.reset_password(site.environment, &forgetful.stored, &new, &mail).await?;
    if !stood {
        return Ok(stale(visit));
    }
    tracing::info!(request.id = visit.request_id.0, "password.reset");
    Ok(told(
        visit,
        (StatusCode::OK, "Your password is changed"),
        "You are signed out everywhere. Apps that you connected stay connected. If you came from \
         an app, go back to it and sign in with the new password.",
        Some(("/connections".to_owned(), "Sign in")),
    ))
}

/// Whose link it is, while the password stands that it takes the place of.
async fn forgetful(visit: &Visit<'_>, link: &str) -> Result<Option<Forgetful>, Fault> {
    let site = visit.site;
    let Some(Link::CustomerReset { customer_id, former }) = Link::open(site, link).await else {
        return Ok(None);
    };
    let stored = site.store.credentials_of(site.environment, customer_id).await?;
    let Some(stored) = stored.filter(|stored| Former::of(&stored.password_hash) == former) else {
        return Ok(None);
    };
    let claims = site.store.customer_claims(site.environment, customer_id).await?;
    let email = claims.email.as_deref().and_then(MailAddress::parse);
    let action = format!("/account/reset/{link}");
    Ok(email.map(|email| Forgetful { stored, email, action }))
}

fn reset_page(
    visit: &Visit<'_>,
    forgetful: &Forgetful,
    status: StatusCode,
    fault: Option<PasswordFault>,
) -> Response<Body> {
    let page = ResetPage {
        frame: frame(visit.site, visit.request_id),
        account_email: forgetful.email.as_str().to_owned(),
        action: forgetful.action.clone(),
        csrf_token: visit.browser.form_token(visit.site),
        fault,
    };
    let mut response = answer::page(visit.site, status, &page, None);
    visit.browser.remember(visit.site, response.headers_mut());
    response
}

fn stale(visit: &Visit<'_>) -> Response<Body> {
    told(
        visit,
        (StatusCode::NOT_FOUND, "This link does not work any more"),
        "A link for a new password works for one hour, and once. Your password was not changed now.",
        Some((HERE.to_owned(), "Ask for another")),
    )
}

fn told(
    visit: &Visit<'_>,
    (status, title): (StatusCode, &'static str),
    words: &'static str,
    way: Option<(String, &'static str)>,
) -> Response<Body> {
    let page = ToldPage { frame: frame(visit.site, visit.request_id), title, words, way };
    answer::page(visit.site, status, &page, None)
}

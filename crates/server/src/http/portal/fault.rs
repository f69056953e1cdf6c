//! What goes wrong in the portal, in words: a page for people, JSON below `/api/`.
//!
//! A handler answers with a [`Fault`]; it knows nothing of pages. [`show`] stands before all of them
//! and makes of it what the caller can read.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::header::{ALLOW, HeaderValue, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;
use grantor_protocol::authorize_error::PageWords;
use serde_json::json;

use super::super::answer;
use super::super::request::RequestId;
use super::api::CallFault;
use super::visit::Visit;
use crate::pages::portal::FaultPage;
use crate::programme::{FieldFault, Refused};
use crate::site::Site;
use crate::store::StoreError;

/// Where the docs tell of faults of the portal.
const ANCHOR: &str = "portal";

/// Why a request is not answered.
#[derive(Clone, Debug)]
pub(in crate::http) enum Fault {
    /// Nobody is signed in; then the page that was wanted follows.
    SignIn {
        /// a path of ours
        next: String,
    },
    /// The form is not one that this browser got from us, or it is too old.
    FormExpired,
    /// The body cannot be read.
    Body(StatusCode),
    /// There is no such thing, or it is not the reader's to know.
    NotFound,
    /// The address takes another method, which the `Allow` of the answer names.
    Method,
    /// It is not for this reader to do.
    NotAllowed,
    /// Somebody else was faster, or it cannot be done as things stand.
    Conflict(String),
    /// What was sent cannot be taken. A page shows its form again instead.
    Fields(Vec<FieldFault>),
    /// A call to the API is none that it takes.
    Call(CallFault),
    /// It was tried too often.
    TooMany {
        /// until it may be tried again
        wait_seconds: i64,
    },
    /// Too much at once.
    Busy,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Fault {
        match refused {
            Refused::NotFound => Fault::NotFound,
            Refused::NotAllowed => Fault::NotAllowed,
            Refused::Conflict(words) => Fault::Conflict(words),
            Refused::Fields(faults) => Fault::Fields(faults),
            Refused::TooMany { wait_seconds } => Fault::TooMany { wait_seconds },
            Refused::Busy => Fault::Busy,
            Refused::Store(error) => Fault::Store(error),
        }
    }
}

impl IntoResponse for Fault {
    /// A bare answer that carries the fault to [`show`].
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self);
        response
    }
}

impl Fault {
    fn status(&self) -> StatusCode {
        match self {
            Fault::SignIn { .. } => StatusCode::UNAUTHORIZED,
            Fault::FormExpired | Fault::NotAllowed => StatusCode::FORBIDDEN,
            Fault::Body(status) => *status,
            Fault::NotFound => StatusCode::NOT_FOUND,
            Fault::Method => StatusCode::METHOD_NOT_ALLOWED,
            Fault::Conflict(_) => StatusCode::CONFLICT,
            Fault::Fields(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Fault::Call(fault) => fault.status(),
            Fault::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Fault::Busy | Fault::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Fault::SignIn { .. } => "sign_in_required",
            Fault::FormExpired => "form_expired",
            Fault::Body(_) => "body",
            Fault::NotFound => "not_found",
            Fault::Method => "method",
            Fault::NotAllowed => "not_allowed",
            Fault::Conflict(_) => "conflict",
            Fault::Fields(_) => "fields",
            Fault::Call(fault) => fault.code(),
            Fault::TooMany { .. } => "too_many",
            Fault::Busy => "busy",
            Fault::Store(_) => "unavailable",
        }
    }

    /// Title, what happened, what to do.
    fn words(&self) -> (&'static str, String, &'static str) {
        match self {
            Fault::SignIn { .. } => (
                "Please sign in",
                "This page is for people who are signed in.".into(),
                "Sign in, and come again.",
            ),
            Fault::FormExpired => (
                "This form is too old",
                "The form was sent from a page that was opened too long ago, or in another \
                 browser. Nothing was changed."
                    .into(),
                "Go back, load the page anew, and send the form again.",
            ),
            Fault::Body(StatusCode::PAYLOAD_TOO_LARGE) => (
                "That is too large",
                "What was sent is larger than this page takes. Nothing was changed.".into(),
                "Send less, or a smaller file.",
            ),
            Fault::Body(_) => (
                "That could not be read",
                "What was sent ended too early, or is not a form. Nothing was changed.".into(),
                "Send the form again.",
            ),
            Fault::NotFound => (
                "There is no such page",
                "Nothing stands at this address, or it is not yours to see.".into(),
                "Look at the address, or begin at the portal's first page.",
            ),
            Fault::Method => (
                "This address takes another method",
                "The address is right, but not for this HTTP method. Nothing was changed.".into(),
                "Begin at the page that the address belongs to.",
            ),
            Fault::NotAllowed => (
                "That is not yours to do",
                "Your account may not do this. Nothing was changed.".into(),
                "Ask an owner of your organisation, or your partner manager.",
            ),
            Fault::Conflict(words) => (
                "That did not happen",
                words.clone(),
                "Load the page anew, and look at what is there now.",
            ),
            Fault::Fields(faults) => (
                "Something has to be mended",
                faults.iter().map(|fault| fault.words.as_str()).collect::<Vec<_>>().join(" "),
                "Go back, mend it, and send the form again.",
            ),
            Fault::Call(fault) => {
                ("That is no call of this API", fault.words(), "Nothing was changed.")
            }
            Fault::TooMany { wait_seconds } => (
                "That was too often",
                format!("Nothing was changed. It can be tried again in {wait_seconds} seconds."),
                "Wait that long, and send it again.",
            ),
            Fault::Busy => (
                "Too much at once",
                "The server has too much to do at this moment. Nothing was changed.".into(),
                "Try again in a few seconds.",
            ),
            Fault::Store(_) => (
                "Not available at the moment",
                "The server cannot reach what it knows. Whether your last step was kept is \
                 not certain."
                    .into(),
                "Try again in a few seconds.",
            ),
        }
    }
}

/// Makes of a fault what the caller can read.
pub(super) async fn show(
    State(site): State<Arc<Site>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let for_programs = request.uri().path().starts_with("/api/");
    let request_id = request.extensions().get::<RequestId>().cloned();
    let (mut asked, body) = request.into_parts();
    let request = Request::from_parts(asked.clone(), body);
    let response = next.run(request).await;
    let (Some(fault), Some(request_id)) =
        (response.extensions().get::<Fault>().cloned(), request_id)
    else {
        return response;
    };
    let allow = response.headers().get(ALLOW).cloned();
    if let Fault::Store(error) = &fault {
        tracing::error!(request.id = request_id.0, %error, "portal.store");
    }
    let mut answered = match for_programs {
        true => as_json(&site, &request_id, &fault),
        false => as_page(&site, &mut asked, &request_id, &fault).await,
    };
    if let Some(allow) = allow {
        answered.headers_mut().insert(ALLOW, allow);
    }
    match fault {
        Fault::TooMany { wait_seconds } => {
            answered.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait_seconds));
        }
        Fault::Busy | Fault::Store(_) => {
            answered.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        _ => {}
    }
    answered
}

fn as_json(site: &Site, request_id: &RequestId, fault: &Fault) -> Response<Body> {
    let (_, what_happened, what_to_do) = fault.words();
    let mut body = json!({
        "error": fault.code(),
        "message": format!("{what_happened} {what_to_do}"),
        "request_id": request_id.0,
    });
    if let Fault::Fields(faults) = fault {
        body["fields"] = faults
            .iter()
            .map(|fault| json!({ "field": fault.field, "message": fault.words }))
            .collect();
    }
    answer::json(site, fault.status(), &body)
}

/// A page in the frame of who is signed in, where that can be told: the store itself may be what
/// went wrong.
async fn as_page(
    site: &Arc<Site>,
    asked: &mut Parts,
    request_id: &RequestId,
    fault: &Fault,
) -> Response<Body> {
    if let Fault::SignIn { next } = fault {
        return answer::redirect_within(site, &super::sign_in::address(next));
    }
    let (title, what_happened, what_to_do) = fault.words();
    match Visit::from_request_parts(asked, site).await {
        Ok(visit) => {
            let shell = visit.shell("");
            let docs_url = format!("{}#{ANCHOR}", answer::ERRORS_PATH);
            let page = FaultPage { shell, title, what_happened, what_to_do, docs_url };
            answer::page(site, fault.status(), &page, None)
        }
        Err(_) => {
            let what_to_do = what_to_do.to_owned();
            let words = PageWords { title, what_happened, what_to_do, anchor: ANCHOR };
            answer::fault_page(site, request_id, fault.status(), words, Vec::new())
        }
    }
}

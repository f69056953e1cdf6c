//! What comes with a call: the query, the body, the ids in the path. Whatever is not known is
//! refused, so that a name that was mistyped is no value that was left out, and nothing that is not
//! the caller's to set can be set (S24).

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use grantor_protocol::environment::Environment;
use grantor_protocol::parameters::Parameters;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::super::fault::Fault;
use crate::logo::MAX_UPLOAD_BYTES;

/// How many entries a part of a list has, unless the caller says.
const USUAL_LIMIT: i64 = 50;
/// No part of a list has more.
pub(super) const MOST: i64 = 100;

/// Why a call is none that the API takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum CallFault {
    /// the body is of another kind than JSON
    ContentType,
    /// the body is too large, or did not come whole
    Body(StatusCode),
    /// a picture is larger than any that is drawn
    LargePicture,
    /// the body is no JSON, or not of this shape: where, and why
    Json(String),
    /// a parameter of the query is not known, stands twice, is missing, or has no such value
    Parameter(String),
    /// a cursor that was not given for this list
    Cursor,
    /// another method
    Method,
}

impl CallFault {
    pub(in crate::http) fn status(&self) -> StatusCode {
        match self {
            CallFault::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            CallFault::Body(status) => *status,
            CallFault::LargePicture => StatusCode::PAYLOAD_TOO_LARGE,
            CallFault::Json(_) | CallFault::Parameter(_) | CallFault::Cursor => {
                StatusCode::BAD_REQUEST
            }
            CallFault::Method => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    pub(in crate::http) fn code(&self) -> &'static str {
        match self {
            CallFault::ContentType => "content_type",
            CallFault::Body(StatusCode::PAYLOAD_TOO_LARGE) | CallFault::LargePicture => "too_large",
            CallFault::Body(_) => "body",
            CallFault::Json(_) => "json",
            CallFault::Parameter(_) => "parameter",
            CallFault::Cursor => "cursor",
            CallFault::Method => "method",
        }
    }

    pub(in crate::http) fn words(&self) -> String {
        match self {
            CallFault::ContentType => {
                "Send the body as JSON, with the header `Content-Type: application/json`.".into()
            }
            CallFault::Body(StatusCode::PAYLOAD_TOO_LARGE) => {
                "The body is larger than 64 KiB, and that is the most.".into()
            }
            CallFault::Body(_) => "The body did not come whole.".into(),
            CallFault::LargePicture => {
                format!(
                    "The picture is larger than {} KiB, and that is the most.",
                    MAX_UPLOAD_BYTES / 1024
                )
            }
            CallFault::Json(why) => format!("The body cannot be taken: {why}."),
            CallFault::Parameter(words) => words.clone(),
            CallFault::Cursor => {
                "The cursor was not given for this list. Take `next_cursor` of an \
                                  answer as it stands, and leave all other parameters as they were."
                    .into()
            }
            CallFault::Method => "This address takes another method: the Allow header of this \
                                  answer names those that it takes."
                .into(),
        }
    }
}

/// The body, as JSON.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Json<T>, Fault> {
        if !is_json(request.headers()) {
            return Err(Fault::Call(CallFault::ContentType));
        }
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|fault| Fault::Call(CallFault::Body(fault.status())))?;
        let read = serde_json::from_slice(&body);
        read.map(Json).map_err(|why| Fault::Call(CallFault::Json(why.to_string())))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = named.unwrap_or_default().split(';').next().unwrap_or_default();
    media.trim().eq_ignore_ascii_case("application/json")
}

/// The names in the path. One that cannot be read is one of nothing.
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named<T>, Fault> {
        let named = Path::from_request_parts(parts, state).await;
        named.map(|Path(names)| Named(names)).map_err(|_| Fault::NotFound)
    }
}

/// The query of a call.
pub(super) struct Query(Parameters);

impl Query {
    /// Reads it; `known` are the names that it may hold.
    ///
    /// # Errors
    /// [`CallFault::Parameter`]
    pub(super) fn of(query: Option<&str>, known: &[&str]) -> Result<Query, Fault> {
        let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
        let list = || known.join(", ");
        if parameters.fault().is_some() {
            let words = format!("The query cannot be read. It takes {}, each once.", list());
            return Err(parameter(words));
        }
        let names: BTreeSet<&str> = parameters.names().collect();
        match names.iter().find(|name| !known.contains(*name)) {
            None => Ok(Query(parameters)),
            Some(_) if known.is_empty() => {
                Err(parameter("This address takes no parameters in the query.".to_owned()))
            }
            Some(_) => Err(parameter(format!("The query takes {}, and nothing else.", list()))),
        }
    }

    /// A parameter that stands there and is not empty.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.value(name)
    }

    /// A parameter that stands there, empty or not.
    pub(super) fn sent(&self, name: &str) -> Option<&str> {
        self.0.contains(name).then(|| self.value(name).unwrap_or_default())
    }

    /// Of which environment; there is no other way to say both.
    ///
    /// # Errors
    /// [`CallFault::Parameter`]
    pub(super) fn environment(&self) -> Result<Environment, Fault> {
        let named = self.value("environment").and_then(environment);
        named.ok_or_else(|| {
            let words = "Say of which environment: environment=staging or environment=production.";
            parameter(words.to_owned())
        })
    }

    /// How many entries are wanted.
    ///
    /// # Errors
    /// [`CallFault::Parameter`]
    pub(super) fn limit(&self) -> Result<i64, Fault> {
        if !self.0.contains("limit") {
            return Ok(USUAL_LIMIT);
        }
        let limit = self.value("limit").and_then(|limit| limit.parse().ok());
        let limit = limit.filter(|limit| (1..=MOST).contains(limit));
        limit.ok_or_else(|| parameter(format!("limit is a number from 1 to {MOST}.")))
    }
}

/// The environment of that name, where apps are.
pub(super) fn environment(name: &str) -> Option<Environment> {
    Environment::parse(name).filter(|named| Environment::ALL.contains(named))
}

/// An id, as it stands in a path.
///
/// # Errors
/// [`Fault::NotFound`]: what is no id is one of nothing.
pub(super) fn id_of(text: &str) -> Result<[u8; 16], Fault> {
    Uuid::parse_str(text).map(Uuid::into_bytes).map_err(|_| Fault::NotFound)
}

/// A fault of a parameter, in a sentence.
pub(super) fn parameter(words: String) -> Fault {
    Fault::Call(CallFault::Parameter(words))
}

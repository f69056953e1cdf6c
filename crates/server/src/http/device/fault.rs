//! What ends a visit of the page for devices before its time.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use grantor_protocol::authorize_error::PageWords;

use crate::http::answer::{self, fault_page};
use crate::http::request::RequestId;
use crate::keys::KeysError;
use crate::site::Site;
use crate::store::StoreError;

/// What ends a visit.
pub(super) enum Fault {
    FormExpired,
    /// too many passwords or codes were tried in vain
    TooManyTries {
        wait_seconds: i64,
        retry: String,
    },
    Busy,
    /// it was decided, or its time is over
    Gone,
    Keys(KeysError),
    Store(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

impl Fault {
    /// The answer.
    pub(super) fn answer(self, site: &Site, request_id: &RequestId) -> Response<Body> {
        let (status, anchor, title, what_happened, what_to_do) = match self {
            Fault::TooManyTries { wait_seconds, retry } => {
                return answer::too_many_tries(site, request_id, wait_seconds, retry);
            }
            Fault::FormExpired => (
                StatusCode::BAD_REQUEST,
                "form-expired",
                "This page was open for too long",
                "We could not take what you entered: the page was open for too long, or your browser \
             keeps no cookies.",
                "Nothing was connected. Open this address again and enter the code.",
            ),
            Fault::Gone => (
                StatusCode::BAD_REQUEST,
                "device",
                "This code is not waiting any more",
                "The device was allowed or refused already, or took its code back, or too much time \
             has passed.",
                "Nothing was connected just now. Let the device show a new code.",
            ),
            Fault::Busy => busy(),
            Fault::Keys(error) => {
                tracing::error!(request.id = request_id.0, %error, "device.keys");
                busy()
            }
            Fault::Store(error) => {
                tracing::error!(request.id = request_id.0, %error, "device.store");
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
        "We could not answer in time. Nothing was connected.",
        "Please try again in a few seconds.",
    )
}

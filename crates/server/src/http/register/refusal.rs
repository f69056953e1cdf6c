//! Why a registration is refused, and the answer.

use axum::body::Body;
use axum::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};
use grantor_protocol::authorize_error::TOO_MANY_TRIES;
use grantor_protocol::client_metadata::{MAX_DOCUMENT_BYTES, MetadataFault};
use serde_json::json;

use crate::http::answer::{self, ERRORS_PATH};
use crate::http::request::RequestId;
use crate::site::Site;
use crate::store::StoreError;
use crate::throttle::NotTaken;

/// Why a call is refused.
pub(in crate::http) enum NoClient {
    /// nobody registers here, or there is no such registration
    Closed,
    /// the token is missing or wrong (RFC 6750 3.1)
    Token,
    /// another media type than JSON
    ContentType,
    /// the body did not come
    Body,
    /// the metadata cannot be taken
    Metadata(MetadataFault),
    /// as many have registered as may
    Full,
    /// too many registrations, or too many wrong tokens, came from this address
    TooMany {
        /// until the next one is looked at
        wait_seconds: i64,
    },
    /// the store failed
    Store(StoreError),
}

impl From<MetadataFault> for NoClient {
    fn from(fault: MetadataFault) -> NoClient {
        NoClient::Metadata(fault)
    }
}

impl From<StoreError> for NoClient {
    fn from(error: StoreError) -> NoClient {
        NoClient::Store(error)
    }
}

impl From<NotTaken> for NoClient {
    fn from(not_taken: NotTaken) -> NoClient {
        match not_taken {
            NotTaken::TooMany { wait_seconds } => NoClient::TooMany { wait_seconds },
            NotTaken::Store(error) => NoClient::Store(error),
        }
    }
}

impl NoClient {
    /// The answer.
    pub(super) fn answer(self, site: &Site, request_id: &RequestId) -> Response<Body> {
        let (status, code, words) = self.words();
        let mut anchor = "registration";
        match &self {
            NoClient::Store(error) => {
                tracing::error!(request.id = request_id.0, %error, "register.store");
            }
            NoClient::TooMany { wait_seconds } => {
                anchor = TOO_MANY_TRIES;
                tracing::info!(request.id = request_id.0, wait_seconds, "register.throttled");
            }
            _ => {}
        }
        let body = json!({
            "error": code,
            "error_description": words,
            "error_uri": format!("{}{ERRORS_PATH}#{anchor}", site.base_url),
            "request_id": request_id.0,
        });
        let mut response = answer::json(site, status, &body);
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            StatusCode::TOO_MANY_REQUESTS => {
                if let NoClient::TooMany { wait_seconds } = self {
                    answer::retry_after(wait_seconds, headers);
                }
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
            }
            _ => {}
        }
        response
    }

    fn words(&self) -> (StatusCode, &'static str, String) {
        let invalid = "invalid_client_metadata";
        match self {
            NoClient::Closed => (
                StatusCode::FORBIDDEN,
                "access_denied",
                "Clients do not register themselves here. Ask your partner manager for one.".into(),
            ),
            NoClient::Token => (
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "Send the token for this registration as Authorization: Bearer.".to_owned(),
            ),
            NoClient::ContentType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                invalid,
                "Send the metadata with Content-Type: application/json.".into(),
            ),
            NoClient::Body => (
                StatusCode::BAD_REQUEST,
                invalid,
                format!(
                    "The body did not arrive whole, or is larger than {MAX_DOCUMENT_BYTES} bytes."
                ),
            ),
            NoClient::Metadata(fault) => (StatusCode::BAD_REQUEST, fault.code(), fault.words()),
            NoClient::TooMany { wait_seconds } => (
                StatusCode::TOO_MANY_REQUESTS,
                "temporarily_unavailable",
                format!(
                    "Too many registrations or wrong tokens came from this address. Try again in \
                     {wait_seconds} seconds."
                ),
            ),
            NoClient::Full | NoClient::Store(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "The server cannot answer just now. Send the same request again later.".into(),
            ),
        }
    }
}

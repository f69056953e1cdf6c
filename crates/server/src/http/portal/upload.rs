//! A form with a file (RFC 7578), of somebody who is signed in and from a page of ours.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts as _, Multipart, Request};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};

use super::fault::Fault;
use super::visit::SignedIn;
use crate::logo::MAX_UPLOAD_BYTES;
use crate::programme::logo::FIELD;
use crate::site::Site;

/// What a form has beside its file, in bytes. It leaves room for a file that is somewhat too large, so
/// that its page can say so beside the field.
const ROOM_BYTES: usize = 64 * 1024;
/// No whole form is larger, in bytes.
const MAX_FORM_BYTES: usize = MAX_UPLOAD_BYTES + ROOM_BYTES;

/// A file that somebody uploaded. What its part says of its name and its type is not read.
pub(in crate::http) struct Uploaded {
    pub(in crate::http) by: SignedIn,
    /// Empty where none was chosen.
    pub(in crate::http) file: Bytes,
}

impl FromRequest<Arc<Site>> for Uploaded {
    type Rejection = Fault;

    /// Who it is comes first, then how large it is, and only then what it is.
    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Uploaded, Fault> {
        let (mut parts, body) = request.into_parts();
        let by = SignedIn::from_request_parts(&mut parts, site).await?;
        by.visit.refuse_elsewhere()?;
        if announced(&parts.headers).is_some_and(|bytes| bytes > MAX_FORM_BYTES) {
            return Err(Fault::Body(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let mut request = Request::from_parts(parts, body);
        DefaultBodyLimit::max(MAX_FORM_BYTES).apply(&mut request);
        let form = Multipart::from_request(request, site).await;
        let mut form = form.map_err(|_| Fault::Body(StatusCode::BAD_REQUEST))?;
        let (mut token, mut file) = (None, None);
        while let Some(part) = form.next_field().await.map_err(unread)? {
            let held = match part.name() {
                Some("csrf_token") => &mut token,
                Some(FIELD) => &mut file,
                _ => continue,
            };
            // Of two nobody could say which one counts.
            if held.replace(part.bytes().await.map_err(unread)?).is_some() {
                return Err(Fault::Body(StatusCode::BAD_REQUEST));
            }
        }
        let token = token.as_deref().and_then(|token| str::from_utf8(token).ok());
        by.visit.owns(token)?;
        Ok(Uploaded { by, file: file.unwrap_or_default() })
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn unread(error: MultipartError) -> Fault {
    Fault::Body(error.status())
}

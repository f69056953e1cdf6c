//! The logo of an app.

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Extension, FromRequest, Request};
use axum::http::{Response, StatusCode};

use super::super::fault::Fault;
use super::apps::shown;
use super::call::{CallFault, Named};
use super::guard::Caller;
use super::show::App;
use crate::logo::MAX_UPLOAD_BYTES;
use crate::programme::{app, logo};

/// A picture as it was sent. What the call says of its type is not read: the picture itself says it.
pub(super) struct Picture(Bytes);

impl<S: Send + Sync> FromRequest<S> for Picture {
    type Rejection = Fault;

    async fn from_request(mut request: Request, state: &S) -> Result<Picture, Fault> {
        // One byte more, so that a picture that is somewhat too large is told so by its field.
        DefaultBodyLimit::max(MAX_UPLOAD_BYTES + 1).apply(&mut request);
        let body = Bytes::from_request(request, state).await;
        body.map(Picture).map_err(|fault| match fault.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Fault::Call(CallFault::LargePicture),
            status => Fault::Call(CallFault::Body(status)),
        })
    }
}

/// Give an app a logo
///
/// A PNG, JPEG or WebP of 256 KiB at most. It is drawn anew, takes effect at once, and stands on the
/// consent page from then on.
#[utoipa::path(
    put,
    path = "/api/v1/apps/{id}/logo",
    operation_id = "changeLogo",
    tag = "apps",
    params(("id" = String, Path, description = "The `client_id`.")),
    request_body(
        content((Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp")),
    ),
    responses(
        (status = 200, description = "The app with it.", body = App),
    ),
)]
pub(super) async fn change(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
    Picture(picture): Picture,
) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.site, &by.actor, &id).await?;
    logo::change(&by.site, by.portal()?, &by.actor, &record, picture).await?;
    shown(&by, &id).await
}

/// Take an app's logo away
#[utoipa::path(
    delete,
    path = "/api/v1/apps/{id}/logo",
    operation_id = "removeLogo",
    tag = "apps",
    params(("id" = String, Path, description = "The `client_id`.")),
    responses((status = 200, description = "The app without one.", body = App)),
)]
pub(super) async fn remove(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.site, &by.actor, &id).await?;
    logo::remove(&by.site, &by.actor, &record).await?;
    shown(&by, &id).await
}

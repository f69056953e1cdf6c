//! The logo of an app: shown to who may see the app, uploaded, removed.

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::http::{Response, StatusCode};

use super::super::logo as picture;
use super::apps::{self, Said};
use super::fault::Fault;
use super::upload::Uploaded;
use super::visit::{Posted, SignedIn};
use crate::hex::hex;
use crate::logo::LogoDigest;
use crate::pages::portal::Form;
use crate::programme::{Actor, Refused, app, logo};

/// Where the portal serves the logo of an app.
pub(super) fn path(app_id: &str, logo: Option<LogoDigest>) -> Option<String> {
    logo.map(|digest| format!("/apps/{app_id}/logo/{}", hex(&digest.0)))
}

/// Shows it.
pub(super) async fn show(
    by: SignedIn,
    Path((id, digest)): Path<(String, String)>,
) -> Result<Response<Body>, Fault> {
    let site = &by.visit.site;
    let record = app::find(site, &Actor::from(&by.person), &id).await?;
    let digest = picture::parse(&digest).ok_or(Fault::NotFound)?;
    let found = site.store.logo(record.client.environment, &id, digest).await?;
    let mut response = picture::picture(site, found.ok_or(Fault::NotFound)?);
    // Here it is shown to who is signed in, so no cache keeps it for others.
    let own = HeaderValue::from_static("private, max-age=31536000, immutable");
    response.headers_mut().insert(CACHE_CONTROL, own);
    Ok(response)
}

/// Takes an upload.
pub(super) async fn change(
    Path(id): Path<String>,
    uploaded: Uploaded,
) -> Result<Response<Body>, Fault> {
    let Uploaded { by, file } = uploaded;
    let (site, actor) = (&by.visit.site, Actor::from(&by.person));
    let record = app::find(site, &actor, &id).await?;
    match logo::change(site, by.visit.portal()?, &actor, &record, file).await {
        Ok(()) => Ok(by.visit.go(&format!("/apps/{id}#logo"))),
        Err(Refused::Fields(faults)) => {
            let said = Said { form: Form::faulty(faults), ..Said::default() };
            apps::shown(&by, &record, StatusCode::UNPROCESSABLE_ENTITY, said)
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Takes it away.
pub(super) async fn remove(
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let (site, actor) = (&by.visit.site, Actor::from(&by.person));
    let record = app::find(site, &actor, &id).await?;
    logo::remove(site, &actor, &record).await?;
    Ok(by.visit.go(&format!("/apps/{id}#logo")))
}

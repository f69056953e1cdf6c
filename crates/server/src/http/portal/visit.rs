//! Who visits the portal: the browser, the person who is signed in, and the forms that come from
//! pages of ours.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::HeaderName;
use axum::http::request::Parts;
use axum::http::{Method, Response, StatusCode};
use grantor_protocol::parameters::Parameters;

use super::super::answer::{self, frame};
use super::super::request::RequestId;
use super::super::session::Browser;
use super::fault::Fault;
use crate::http::ClientAddress;
use crate::pages::portal::{Reader, Shell};
use crate::programme::factor::{self, Missing};
use crate::site::{Portal, Site};
use crate::store::Person;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A request of a browser.
#[derive(Clone)]
pub(in crate::http) struct Visit {
    pub(in crate::http) site: Arc<Site>,
    pub(in crate::http) request_id: RequestId,
    pub(in crate::http) browser: Browser,
    /// Where the request comes from.
    pub(in crate::http) address: IpAddr,
    /// Who is signed in, with all that it takes: who did not show a second factor is nobody.
    pub(in crate::http) person: Option<Person>,
    /// Who gave the password, and what is missing.
    pub(in crate::http) waiting: Option<(Person, Missing)>,
    /// The path and query that were asked for.
    pub(in crate::http) here: String,
    from_elsewhere: bool,
}

/// A request of a browser in which somebody is signed in.
#[derive(Clone)]
pub(in crate::http) struct SignedIn {
    pub(in crate::http) visit: Visit,
    pub(in crate::http) person: Person,
}

/// A form of somebody who is signed in, sent from a page of ours.
pub(in crate::http) struct Posted {
    pub(in crate::http) by: SignedIn,
    pub(in crate::http) form: Parameters,
}

impl Visit {
    /// What only the portal has.
    ///
    /// # Errors
    /// [`Fault::NotFound`] on a site that is none; its table leads nobody here.
    pub(in crate::http) fn portal(&self) -> Result<&Portal, Fault> {
        self.site.portal.as_ref().ok_or(Fault::NotFound)
    }

    /// What each page has around it. `place` is the entry of the menu that it belongs to.
    pub(in crate::http) fn shell(&self, place: &'static str) -> Shell {
        Shell {
            frame: frame(&self.site, &self.request_id),
            reader: self
                .person
                .as_ref()
                .map(|person| Reader { name: person.name.clone(), staff: person.role.is_staff() }),
            csrf_token: self.browser.form_token(&self.site),
            place,
        }
    }

    /// A page for this browser.
    pub(in crate::http) fn page(
        &self,
        status: StatusCode,
        page: &impl askama::Template,
    ) -> Response<Body> {
        let mut response = answer::page(&self.site, status, page, None);
        self.browser.remember(&self.site, response.headers_mut());
        response
    }

    /// Goes to a page of the portal.
    pub(in crate::http) fn go(&self, path: &str) -> Response<Body> {
        answer::redirect_within(&self.site, path)
    }

    /// Takes a form, if this very browser got it from us.
    pub(in crate::http) fn form(&self, body: &[u8]) -> Result<Parameters, Fault> {
        let form = Parameters::parse(body);
        self.refuse_elsewhere()?;
        self.owns(form.value("csrf_token"))?;
        Ok(form)
    }

    /// Refuses what the browser says comes from a page of somebody else.
    pub(in crate::http) fn refuse_elsewhere(&self) -> Result<(), Fault> {
        if self.from_elsewhere { Err(Fault::FormExpired) } else { Ok(()) }
    }

    /// Refuses a form that this very browser did not get from us.
    pub(in crate::http) fn owns(&self, token: Option<&str>) -> Result<(), Fault> {
        match self.browser.owns_form(&self.site, token) {
            true => Ok(()),
            false => Err(Fault::FormExpired),
        }
    }
}

impl FromRequestParts<Arc<Site>> for Visit {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Visit, Fault> {
        let request_id = parts.extensions.get::<RequestId>().cloned();
        let request_id = request_id.ok_or(Fault::NotFound)?;
        let address = parts.extensions.get::<ClientAddress>().ok_or(Fault::NotFound)?.0;
        let browser = Browser::of(site, &parts.headers);
        let (mut person, mut waiting) = (None, None);
        if let Some(session) = browser.session(site).await? {
            let found = site.store.person(session.customer_id).await?;
            if let Some(found) = found.filter(|person| !person.disabled) {
                match factor::missing(site, &found, session.factor_at) {
                    None => person = Some(found),
                    Some(missing) => waiting = Some((found, missing)),
                }
            }
        }
        let from = parts.headers.get(SEC_FETCH_SITE);
        Ok(Visit {
            site: Arc::clone(site),
            request_id,
            browser,
            address,
            person,
            waiting,
            here: parts.uri.path_and_query().map_or("/", |here| here.as_str()).to_owned(),
            from_elsewhere: from.is_some_and(|site| site != "same-origin" && site != "none"),
        })
    }
}

impl FromRequestParts<Arc<Site>> for SignedIn {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<SignedIn, Fault> {
        let visit = Visit::from_request_parts(parts, site).await?;
        match visit.person.clone() {
            Some(person) => Ok(SignedIn { visit, person }),
            // Back to a page, and never to the form that was sent.
            None => Err(Fault::SignIn {
                next: match parts.method {
                    Method::GET => visit.here,
                    _ => "/".to_owned(),
                },
            }),
        }
    }
}

impl FromRequest<Arc<Site>> for Posted {
    type Rejection = Fault;

    /// Who it is comes first: nobody's body is read.
    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Posted, Fault> {
        let (mut parts, body) = request.into_parts();
        let by = SignedIn::from_request_parts(&mut parts, site).await?;
        let body = Bytes::from_request(Request::from_parts(parts, body), site).await;
        let body = body.map_err(|rejection| Fault::Body(rejection.status()))?;
        let form = by.visit.form(&body)?;
        Ok(Posted { by, form })
    }
}

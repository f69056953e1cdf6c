//! `/oauth/logout`: a customer signs out, because an app asks for it (OpenID Connect RP-Initiated
//! Logout 1.0).
//!
//! 1. parse: from the query, or from the form of a POST;
//! 2. prove: the client, by the ID token that it sends back or by its id, and of the addresses that
//!    it registered the one to go to;
//! 3. decide: with an ID token of the customer who is signed in the session ends at once; otherwise
//!    any site could sign people out, and the customer is asked;
//! 4. commit: the browser's session is deleted. Connections stay: signing out takes nothing back;
//! 5. answer: to that address. A client that nobody approved could make of this an open redirector,
//!    so without a sign-out just now the customer goes there by a link that names the host (S3).
//!
//! A form that another site posts brings no cookie (`SameSite=Lax`), so it cannot be told from one
//! of a browser where nobody is signed in. It is sent to the same request by GET, where the cookie
//! comes; and only where a session ended the browser gets a new one.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::HeaderMap;
use axum::http::{Method, Response, StatusCode, Uri};
use grantor_protocol::authorize_error::PageWords;
use grantor_protocol::client::Client;
use grantor_protocol::openid::{Hint, read_hint};
use grantor_protocol::parameters::Parameters;
use grantor_protocol::redirect_uri::{ProvedRedirectUri, RedirectUri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;
use uuid::Uuid;

use super::answer::{self, fault_page, frame};
use super::request::RequestId;
use super::session::Browser;
use crate::keys::KeysError;
use crate::pages::{NoticePage, SignOutPage};
use crate::site::Site;
use crate::store::{Session, StoreError};

/// A request with all that is known about it.
struct SigningOut<'a> {
    site: &'a Site,
    request_id: &'a RequestId,
    browser: Browser,
    session: Option<Session>,
    hint: Option<Hint>,
    client: Option<Client>,
    /// Where the customer goes then.
    target: Option<Target>,
    /// The query that leads here again.
    query: String,
}

/// An address that the client registered.
struct Target {
    registered: ProvedRedirectUri,
    /// The same, with `state`.
    uri: String,
}

enum Fault {
    /// the address to go to is not one of the client's, or nobody knows of which client
    TargetUnknown,
    /// the form is not one that this browser got from us
    FormExpired,
    Keys(KeysError),
    Store(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

/// Answers a call.
pub(super) async fn logout(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    (method, uri): (Method, Uri),
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let query = uri.query().unwrap_or_default().to_owned();
    let form = Parameters::parse(&body);
    let is_ours = method == Method::POST && form.contains("csrf_token");
    // A client may post its request; the form of our own page has it in its address.
    let request = match method == Method::POST && !is_ours {
        true => String::from_utf8_lossy(&body).into_owned(),
        false => query,
    };
    let answered = match SigningOut::load(&site, &request_id, request, &headers).await {
        Ok(signing_out) if is_ours => signing_out.pressed(&form).await,
        Ok(signing_out) if method == Method::POST && signing_out.browser.is_new() => {
            Ok(answer::redirect_within(&site, &signing_out.here()))
        }
        Ok(signing_out) => signing_out.asked().await,
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| refuse(&site, &request_id, fault))
}

impl<'a> SigningOut<'a> {
    async fn load(
        site: &'a Site,
        request_id: &'a RequestId,
        query: String,
        headers: &HeaderMap,
    ) -> Result<SigningOut<'a>, Fault> {
        let parameters = Parameters::parse(query.as_bytes());
        let browser = Browser::of(site, headers);
        let session = browser.session(site).await?;
        let hint = match parameters.value("id_token_hint") {
            None => None,
            Some(token) => {
                let ring = site.signing_keys().await.map_err(Fault::Keys)?;
                read_hint(token, &site.base_url, ring.public())
            }
        };
        // A hint for one client with the id of another is for neither.
        let named = match (&hint, parameters.value("client_id")) {
            (Some(hint), Some(named)) if hint.client_id != named => None,
            (Some(hint), _) => Some(hint.client_id.clone()),
            (None, named) => named.map(str::to_owned),
        };
        let client = match named {
            None => None,
            Some(id) => site
                .store
                .client_seen_from(site.environment, &id)
                .await?
                .filter(|record| {
                    record.client.environment == site.environment
                        && !record.client.disabled
                        && site.admits(record)
                })
                .map(|record| record.client),
        };
        let target = match parameters.value("post_logout_redirect_uri") {
            None => None,
            Some(uri) => Some(target(client.as_ref(), uri, parameters.value("state"))?),
        };
        Ok(SigningOut { site, request_id, browser, session, hint, client, target, query })
    }

    /// The same request by GET, written anew: a form may hold what no address does.
    fn here(&self) -> String {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("/oauth/logout?{query}")
    }

    /// A client asks.
    async fn asked(self) -> Result<Response<Body>, Fault> {
        let Some(session) = &self.session else {
            return Ok(self.nobody_is_signed_in());
        };
        let subject = Uuid::from_bytes(session.customer_id).to_string();
        if self.hint.as_ref().is_some_and(|hint| hint.subject == subject) {
            return self.sign_out().await;
        }
        let page = SignOutPage {
            frame: frame(self.site, self.request_id),
            app_name: self.client.as_ref().map(|client| client.name.clone()),
            account_email: session.email.clone(),
            form_action: self.here(),
            csrf_token: self.browser.form_token(self.site),
        };
        let leads_to = self.target.as_ref().map(|target| &target.registered);
        Ok(answer::page(self.site, StatusCode::OK, &page, leads_to))
    }

    /// The customer pressed the button.
    async fn pressed(self, form: &Parameters) -> Result<Response<Body>, Fault> {
        if !self.browser.owns_form(self.site, form.value("csrf_token")) {
            return Err(Fault::FormExpired);
        }
        self.sign_out().await
    }

    /// The browser gets a new id, so that nothing that was kept of the old one is worth anything.
    async fn sign_out(self) -> Result<Response<Body>, Fault> {
        self.site.store.end_session(self.site.environment, self.browser.digest()).await?;
        let mut response = match &self.target {
            Some(target) => answer::redirect_to_registered(self.site, &target.uri),
            None => self.signed_out_page(None),
        };
        Browser::new(self.site).remember(self.site, response.headers_mut());
        Ok(response)
    }

    /// Nothing ends here, and nothing is taken from the browser. Whoever registers a client could
    /// send people anywhere by our name: not even an ID token helps, it may be of his own account.
    fn nobody_is_signed_in(self) -> Response<Body> {
        let approved = self.client.as_ref().is_some_and(|client| client.approved);
        match &self.target {
            Some(target) if approved => answer::redirect_to_registered(self.site, &target.uri),
            target => self.signed_out_page(target.as_ref()),
        }
    }

    fn signed_out_page(&self, on: Option<&Target>) -> Response<Body> {
        let page = NoticePage {
            frame: frame(self.site, self.request_id),
            title: "You are signed out",
            what_happened: "Nobody is signed in in this browser.".to_owned(),
            what_to_do: match on {
                None => "You can close this page. Apps that you connected stay connected.",
                Some(_) => {
                    "You can close this page, or go on. Nobody has reviewed the app that asks for \
                     it: go on only if you know where that leads."
                }
            },
            link: on.map(|target| (target.registered.destination(), target.uri.clone())),
        };
        answer::page(self.site, StatusCode::OK, &page, None)
    }
}

/// 2: only an address that the client registered, byte for byte.
fn target(client: Option<&Client>, uri: &str, state: Option<&str>) -> Result<Target, Fault> {
    let registered = client.map(|client| client.post_logout_redirect_uris.as_slice());
    let registered = registered.unwrap_or_default().iter().find(|known| *known == uri);
    let registered = registered
        .and_then(|known| RedirectUri::register(known).ok())
        .and_then(|known| RedirectUri::prove(&[known], uri))
        .ok_or(Fault::TargetUnknown)?;
    let uri = match state {
        None => uri.to_owned(),
        Some(state) => {
            let joint = if uri.contains('?') { '&' } else { '?' };
            format!("{uri}{joint}state={}", utf8_percent_encode(state, NON_ALPHANUMERIC))
        }
    };
    Ok(Target { registered, uri })
}

fn refuse(site: &Site, request_id: &RequestId, fault: Fault) -> Response<Body> {
    let (status, words) = match fault {
        Fault::TargetUnknown => (
            StatusCode::BAD_REQUEST,
            PageWords {
                anchor: "post-logout-redirect-uri",
                title: "We stopped before leaving this page",
                what_happened: "The address to go to after signing out is not registered for this \
                                app, or the link does not say for which app it is."
                    .into(),
                what_to_do: "You are still signed in. If it is your app: register the \
                             post_logout_redirect_uri, and send id_token_hint or client_id."
                    .into(),
            },
        ),
        Fault::FormExpired => (
            StatusCode::BAD_REQUEST,
            PageWords {
                anchor: "form-expired",
                title: "This page was open for too long",
                what_happened: "We could not take what you pressed: the page was open for too \
                                long, or your browser keeps no cookies."
                    .into(),
                what_to_do: "You are still signed in. Please go back and try once more.".into(),
            },
        ),
        Fault::Keys(error) => {
            tracing::error!(request.id = request_id.0, %error, "logout.keys");
            (StatusCode::SERVICE_UNAVAILABLE, busy())
        }
        Fault::Store(error) => {
            tracing::error!(request.id = request_id.0, %error, "logout.store");
            (StatusCode::SERVICE_UNAVAILABLE, busy())
        }
    };
    fault_page(site, request_id, status, words, vec![])
}

fn busy() -> PageWords {
    PageWords {
        anchor: "unavailable",
        title: "Very busy just now",
        what_happened: "We could not answer in time, and you are still signed in.".into(),
        what_to_do: "Please try again in a few seconds.".into(),
    }
}

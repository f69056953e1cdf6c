//! `/device`: where a customer allows a device that has no browser (RFC 8628 3.3).
//!
//! 1. sign in, so that a code can be tried by nobody else, and by nobody often;
//! 2. type the code that the device shows, or confirm the one in the address: it is never taken
//!    without a press of a button (RFC 8628 5.4);
//! 3. see which app asks, since when and from where, with a word of warning: whoever sends somebody
//!    a code of his own device wants to be connected to that person's account;
//! 4. Allow or Deny: one write, together with the grant.
//!
//! What the page showed travels in its form, sealed, and bound to this browser's session: a page
//! that is opened in another browser decides nothing there.

mod fault;

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{HeaderMap, HeaderName};
use axum::http::{Response, StatusCode, Uri};
use grantor_protocol::client::Client;
use grantor_protocol::device::{GRANT_TYPE, UserCode, openid_request};
use grantor_protocol::grant::Binding;
use grantor_protocol::parameters::Parameters;
use grantor_protocol::scope::Scope;
use url::form_urlencoded;

use self::fault::Fault;
use super::answer::{self, frame};
use super::authorize::consent_words::{lasts, sentence};
use super::logo;
use super::request::RequestId;
use super::session::Browser;
use super::sign_in::{SignInFault, WRONG, sign_in};
use crate::demo;
use crate::http::ClientAddress;
use crate::pages::{
    App, BusinessChoice, DemoLogin, DeviceCodePage, DevicePage, NoticePage, ScopeLine, SignInPage,
};
use crate::seal::{Kind, Reader};
use crate::site::Site;
use crate::store::{
    Business, ClientRecord, NewConsent, NewGrant, Session, StoreError, WaitingDevice,
};
use crate::throttle::{Caller, Credential, NotTaken, Subject};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// How long the page may be open, in seconds: longer than a device waits, so that who comes too late
/// is told so.
const OPEN_SECONDS: i64 = 1200;
const UNKNOWN: &str = "That is not a code that a device shows now. Compare it letter by letter, or \
                       let the device show a new one.";

/// A request with all that is known about it.
struct Visit<'a> {
    site: &'a Site,
    request_id: &'a RequestId,
    browser: Browser,
    session: Option<Session>,
    /// As it stands in the address; it may be any text.
    user_code: String,
}

/// Shows the form for the code, or for signing in.
pub(super) async fn get(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let answered = match Visit::load(&site, &request_id, &uri, &headers).await {
        Ok(visit) => Ok(visit.show(StatusCode::OK, None)),
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| fault.answer(&site, &request_id))
}

/// Carries out one step of a page.
pub(super) async fn post(
    State(site): State<Arc<Site>>,
    (Extension(request_id), Extension(caller)): (Extension<RequestId>, Extension<ClientAddress>),
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let answered = match Visit::load(&site, &request_id, &uri, &headers).await {
        Ok(visit) => visit.carry_out(caller.0, &headers, &body).await,
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| fault.answer(&site, &request_id))
}

impl<'a> Visit<'a> {
    async fn load(
        site: &'a Site,
        request_id: &'a RequestId,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Visit<'a>, Fault> {
        let parameters = Parameters::parse(uri.query().unwrap_or_default().as_bytes());
        let browser = Browser::of(site, headers);
        let session = browser.session(site).await?;
        let user_code = parameters.value("user_code").unwrap_or_default().to_owned();
        Ok(Visit { site, request_id, browser, session, user_code })
    }

    /// This page's own address. A code that no device shows is not repeated in it.
    fn here(&self) -> String {
        match UserCode::parse(&self.user_code) {
            Some(code) => format!("/device?user_code={code}"),
            None => "/device".to_owned(),
        }
    }

    fn show(&self, status: StatusCode, fault: Option<&str>) -> Response<Body> {
        let Some(session) = &self.session else {
            return self.sign_in_page(StatusCode::OK, "", None);
        };
        let page = DeviceCodePage {
            frame: frame(self.site, self.request_id),
            account_email: session.email.clone(),
            form_action: "/device".to_owned(),
            csrf_token: self.browser.form_token(self.site),
            user_code: UserCode::parse(&self.user_code)
                .map_or_else(|| self.user_code.clone(), |code| code.to_string()),
            fault: fault.map(str::to_owned),
        };
        answer::page(self.site, status, &page, None)
    }

    fn sign_in_page(&self, status: StatusCode, email: &str, fault: Option<&str>) -> Response<Body> {
        let page = SignInPage {
            frame: frame(self.site, self.request_id),
            app: None,
            form_action: self.here(),
            csrf_token: self.browser.form_token(self.site),
            email: email.to_owned(),
            fault: fault.map(str::to_owned),
            forgotten: self.site.settings.mail,
            demo: self.site.dev.as_ref().map(|_| DemoLogin {
                email: demo::CUSTOMER_EMAIL.to_owned(),
                password: demo::PASSWORD.to_owned(),
            }),
        };
        let mut response = answer::page(self.site, status, &page, None);
        self.browser.remember(self.site, response.headers_mut());
        response
    }

    async fn carry_out(
        self,
        address: IpAddr,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response<Body>, Fault> {
        let form = Parameters::parse(body);
        let same_origin =
            headers.get(SEC_FETCH_SITE).is_none_or(|site| site == "same-origin" || site == "none");
        if !same_origin || !self.browser.owns_form(self.site, form.value("csrf_token")) {
            return Err(Fault::FormExpired);
        }
        match (form.value("step"), &self.session) {
            (Some("sign_in"), _) => self.sign_in(address, &form).await,
            (Some("code"), Some(session)) => self.typed(session, address, &form).await,
            (Some("decide"), Some(session)) => self.decided(session, &form, body).await,
            _ => Ok(answer::redirect_within(self.site, &self.here())),
        }
    }

    async fn sign_in(&self, address: IpAddr, form: &Parameters) -> Result<Response<Body>, Fault> {
        let from = (&self.browser, address);
        let browser = match sign_in(self.site, self.request_id, from, form).await {
            Ok(browser) => browser,
            Err(SignInFault::Wrong) => {
                let typed = form.value("email").unwrap_or_default();
                return Ok(self.sign_in_page(StatusCode::UNAUTHORIZED, typed, Some(WRONG)));
            }
            Err(SignInFault::TooMany { wait_seconds }) => {
                return Err(Fault::TooManyTries { wait_seconds, retry: self.here() });
            }
            Err(SignInFault::Busy) => return Err(Fault::Busy),
            Err(SignInFault::Changed) => return Err(Fault::FormExpired),
            Err(SignInFault::Store(error)) => return Err(Fault::Store(error)),
        };
        let mut response = answer::redirect_within(self.site, &self.here());
        browser.remember(self.site, response.headers_mut());
        Ok(response)
    }

    /// The customer typed a code, or confirmed the one of the address.
    async fn typed(
        &self,
        session: &Session,
        address: IpAddr,
        form: &Parameters,
    ) -> Result<Response<Body>, Fault> {
        let (site, now) = (self.site, self.site.clock.now());
        let text = form.value("user_code").unwrap_or_default();
        let typed = Visit {
            site,
            request_id: self.request_id,
            browser: self.browser.clone(),
            session: Some(session.clone()),
            user_code: text.to_owned(),
        };
        let subject = Subject::new(Credential::UserCode, &session.customer_id);
        let caller = Caller { address, browser: None };
        let taken = site.throttle.take(&subject, caller).await.map_err(|not| self.too_many(not))?;
        let (environment, epoch) = (site.environment, site.sealer.epoch());
        let found = match UserCode::parse(text) {
            Some(code) => site.store.waiting_device(environment, &code, epoch, now).await?,
            None => None,
        };
        let (Some(device), Some(code)) = (found, UserCode::parse(text)) else {
            tracing::info!(request.id = self.request_id.0, "device.code_unknown");
            return Ok(typed.show(StatusCode::UNPROCESSABLE_ENTITY, Some(UNKNOWN)));
        };
        site.throttle.right(taken).await;
        self.device_page(session, &device, (&code, None)).await
    }

    fn too_many(&self, not_taken: NotTaken) -> Fault {
        match not_taken {
            NotTaken::TooMany { wait_seconds } => {
                tracing::info!(request.id = self.request_id.0, wait_seconds, "device.throttled");
                Fault::TooManyTries { wait_seconds, retry: self.here() }
            }
            NotTaken::Store(error) => Fault::Store(error),
        }
    }

    /// Which app asks, and for what.
    async fn device_page(
        &self,
        session: &Session,
        device: &WaitingDevice,
        (code, fault): (&UserCode, Option<&str>),
    ) -> Result<Response<Body>, Fault> {
        let site = self.site;
        let Some(record) = load_client(site, &device.authorization.client_id).await? else {
            return Err(Fault::Gone);
        };
        let client = record.client;
        let asked = &device.authorization;
        let businesses = site.store.businesses(site.environment, session.customer_id).await?;
        let optional = optional_scopes(&asked.scope, &client);
        let minutes = (site.clock.now() - asked.created_at) / 60;
        let page = DevicePage {
            frame: frame(site, self.request_id),
            app: App::of(&client, logo::path(&client, record.listing.logo)),
            approved: client.approved,
            account_email: session.email.clone(),
            user_code: code.to_string(),
            asked_from: asked.requested_from.clone(),
            asked_when: match minutes {
                ..1 => "less than a minute ago".to_owned(),
                1 => "a minute ago".to_owned(),
                minutes => format!("{minutes} minutes ago"),
            },
            businesses: businesses.iter().map(choice).collect(),
            scopes: asked
                .scope
                .iter()
                .map(|scope| ScopeLine {
                    name: scope.to_owned(),
                    sentence: sentence(scope),
                    required: !optional.contains(scope),
                })
                .collect(),
            apis: site.settings.apis.names(&asked.resources),
            lasts: lasts(site, &client),
            form_action: format!("/device?user_code={code}"),
            csrf_token: self.browser.form_token(site),
            seen: self.seal(code, device, &client),
            fault: fault.map(str::to_owned),
        };
        let status =
            if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        Ok(answer::page(site, status, &page, None))
    }

    /// The customer pressed Allow or Deny.
    async fn decided(
        &self,
        session: &Session,
        form: &Parameters,
        body: &[u8],
    ) -> Result<Response<Body>, Fault> {
        let (site, now) = (self.site, self.site.clock.now());
        let (environment, epoch) = (site.environment, site.sealer.epoch());
        // Allow counts for what this browser saw (S9). Before that is known no code is looked up: the
        // answer would tell which codes wait, as often as somebody asks (S20).
        let code = UserCode::parse(&self.user_code);
        let seen = form.value("seen").unwrap_or_default();
        let opened = code.and_then(|code| self.open(seen, &code).map(|shown| (code, shown)));
        let Some((code, was_shown)) = opened else {
            return Ok(answer::redirect_within(site, "/device"));
        };
        let device = site.store.waiting_device(environment, &code, epoch, now).await?;
        let device = device.ok_or(Fault::Gone)?;
        let client =
            load_client(site, &device.authorization.client_id).await?.ok_or(Fault::Gone)?.client;
        if was_shown != shown(&device, &client) {
            return Ok(answer::redirect_within(site, &self.here()));
        }
        match form.value("decision") {
            Some("deny") => match site.store.deny_device(environment, device.id, epoch, now).await?
            {
                true => Ok(self.notice("Nothing was connected", DENIED)),
                false => Err(Fault::Gone),
            },
            Some("allow") => {
                let held = site.store.businesses(environment, session.customer_id).await?;
                let ticked: Vec<i64> = form_urlencoded::parse(body)
                    .filter(|(name, _)| name == "business")
                    .filter_map(|(_, id)| id.parse().ok())
                    .collect();
                let chosen: Vec<i64> =
                    held.iter().map(|held| held.id).filter(|id| ticked.contains(id)).collect();
                if chosen.is_empty() && !held.is_empty() {
                    let fault = Some("Choose at least one business to go on.");
                    return self.device_page(session, &device, (&code, fault)).await;
                }
                self.allow(session, (&device, &client), form, chosen).await
            }
            _ => Ok(answer::redirect_within(site, &self.here())),
        }
    }

    async fn allow(
        &self,
        session: &Session,
        (device, client): (&WaitingDevice, &Client),
        form: &Parameters,
        businesses: Vec<i64>,
    ) -> Result<Response<Body>, Fault> {
        let (site, now) = (self.site, self.site.clock.now());
        let asked = &device.authorization;
        let optional = optional_scopes(&asked.scope, client);
        let ticked: Vec<&str> = form.values("scope").collect();
        let left_out: Vec<&str> = optional.iter().filter(|scope| !ticked.contains(scope)).collect();
        let left_out = Scope::parse(&left_out.join(" ")).unwrap_or_default();
        let scope = asked.scope.without(&left_out);
        let openid = openid_request(&scope, session.signed_in_at);
        if openid.is_some() {
            site.signing_keys().await.map_err(Fault::Keys)?;
        }
        let given = NewConsent { scope: scope.clone(), asked_scope: asked.scope.clone() };
        let grant = NewGrant {
            environment: site.environment,
            id: site.random.id(&site.clock),
            client_id: client.id.clone(),
            customer_id: session.customer_id,
            customer_counter: session.customer_counter,
            consent_counter: None,
            scope,
            businesses,
            // No code is ever made for it, and no redirect URI reads like this.
            redirect_uri: GRANT_TYPE.to_owned(),
            code_challenge: None,
            binding: Binding { resources: asked.resources.clone(), key: None },
            openid,
            code_expires_at: asked.expires_at,
            ends_at: site.settings.grant_ttl_seconds.map(|ttl| now + ttl),
        };
        let epoch = site.sealer.epoch();
        match site.store.allow_device(device.id, &grant, &given, [epoch, now]).await? {
            true => Ok(self.notice("Your device is connected", ALLOWED)),
            false => Err(Fault::Gone),
        }
    }

    fn notice(&self, title: &'static str, what_happened: &str) -> Response<Body> {
        let page = NoticePage {
            frame: frame(self.site, self.request_id),
            title,
            what_happened: what_happened.to_owned(),
            what_to_do: "You can close this page, and go on at the device.",
            link: None,
        };
        answer::page(self.site, StatusCode::OK, &page, None)
    }

    /// What the page shows, bound to this browser, its session and the code of its address.
    fn seal(&self, code: &UserCode, device: &WaitingDevice, client: &Client) -> String {
        let now = self.site.clock.now();
        let mut payload = Vec::with_capacity(104);
        payload.extend_from_slice(&self.browser.digest());
        payload.extend_from_slice(&sha256(code.canonical().as_bytes()));
        payload.extend_from_slice(&shown(device, client));
        payload.extend_from_slice(&(now + OPEN_SECONDS).to_be_bytes());
        self.site.sealer.seal(Kind::Device, &payload, now)
    }

    /// What the page of that code showed this browser, while it may be open.
    fn open(&self, seen: &str, code: &UserCode) -> Option<[u8; 32]> {
        let payload = self.site.sealer.open(Kind::Device, seen).ok()?;
        let mut read = Reader(&payload);
        let (browser, of_code) = (read.array::<32>()?, read.array::<32>()?);
        let (shown, until) = (read.array::<32>()?, read.integer()?);
        let is_its_own =
            browser == self.browser.digest() && of_code == sha256(code.canonical().as_bytes());
        (is_its_own && self.site.clock.now() < until).then_some(shown)
    }
}

const ALLOWED: &str = "You allowed the app on your device. It is connected in a few seconds.";
const DENIED: &str = "You refused the app. It learns nothing of your account.";

/// What the page asks for, as a digest.
fn shown(device: &WaitingDevice, client: &Client) -> [u8; 32] {
    let asked = &device.authorization;
    let text = format!(
        "{:?}\n{}\n{}\n{}\n{}",
        device.id, client.id, asked.scope, asked.resources, client.optional_scopes
    );
    sha256(text.as_bytes())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digested = [0; 32];
    digested.copy_from_slice(digest(&SHA256, bytes).as_ref());
    digested
}

/// As on the consent page: where every scope is optional, none is.
fn optional_scopes(asked: &Scope, client: &Client) -> Scope {
    let optional = asked.intersection(&client.optional_scopes);
    if optional == *asked { Scope::default() } else { optional }
}

fn choice(business: &Business) -> BusinessChoice {
    BusinessChoice {
        id: business.id,
        name: business.name.clone(),
        locations: business.locations.iter().map(|location| location.name.clone()).collect(),
        ticked: true,
    }
}

async fn load_client(site: &Site, id: &str) -> Result<Option<ClientRecord>, StoreError> {
    let found = site.store.client_seen_from(site.environment, id).await?;
    Ok(found.filter(|record| {
        let client = &record.client;
        client.environment == site.environment && !client.disabled && site.admits(record)
    }))
}

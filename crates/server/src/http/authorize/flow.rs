//! One authorization request with all that is known about it.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderMap;
use grantor_protocol::authorization_request::{AuthorizationRequest, ResponseMode, client_id};
use grantor_protocol::authorization_step::{Consent, Progress, SignedIn, Situation};
use grantor_protocol::authorize_error::{AuthorizeError, AuthorizeFault, PageFault};
use grantor_protocol::client::Client;
use grantor_protocol::openid::{SubjectHint, read_hint};
use grantor_protocol::parameters::Parameters;
use grantor_protocol::pushed_request::RequestUri;
use grantor_protocol::redirect_uri::ProvedRedirectUri;
use percent_encoding::{CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::fault::Fault;
use super::progress::{self, SealedProgress};
use crate::http::client_document;
use crate::http::logo;
use crate::http::request::RequestId;
use crate::http::session::Browser;
use crate::pages::App;
use crate::site::Site;
use crate::store::{Business, ClientRecord, KnownClient, Session};

/// The `prompt` of a customer who wants to use another account.
const ASK_AGAIN: &str = "login consent";

/// One authorization request with all that is known about it.
pub(super) struct Flow<'a> {
    pub(super) site: &'a Site,
    pub(super) request_id: &'a RequestId,
    /// The query as the partner sent it, without what we put beside it.
    query: String,
    /// What the client pushed, where it did (RFC 9126).
    pushed: Option<RequestUri>,
    pub(super) request: AuthorizationRequest,
    /// The client, as it was at most a second ago.
    record: Arc<ClientRecord>,
    pub(super) browser: Browser,
    pub(super) account: Option<Account>,
    progress: SealedProgress,
}

/// How old what is known of the client may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// A second, where nothing is taken from a form.
    Second,
    /// Nothing: what a person allows counts for what is registered now.
    Now,
}

/// Who is signed in, and what that means for this client.
pub(super) struct Account {
    pub(super) session: Session,
    /// Who it is, as an ID token says it.
    subject: String,
    /// How long ago the password was entered, in seconds.
    signed_in_seconds_ago: i64,
    pub(super) businesses: Vec<Business>,
    business_ids: Vec<i64>,
    consent: Option<Consent>,
}

impl<'a> Flow<'a> {
    /// Parses, loads and proves.
    pub(super) async fn load(
        site: &'a Site,
        request_id: &'a RequestId,
        (query, age): (&str, Age),
        headers: &HeaderMap,
    ) -> Result<Flow<'a>, Fault> {
        let (query, sealed) = progress::split(query);
        // A query may hold raw UTF-8 (RFC 3987), a Location may not: from here on it is encoded.
        let query = utf8_percent_encode(&query, CONTROLS).to_string();
        let parameters = Parameters::parse(query.as_bytes());
        let browser = Browser::of(site, headers);
        let mut known = load_client(site, &parameters, age).await?;
        let session = browser.session(site).await?;
        let pushed = pushed(&parameters);
        let sent = Sent { parameters: &parameters, pushed: pushed.as_ref(), session: &session };
        let mut read = sent.read(site, &known.record.client).await;
        if read.is_err() && !known.is_new {
            known = load_client_anew(site, &known.record.client.id).await?;
            read = sent.read(site, &known.record.client).await;
        }
        let request = read?;
        let account = match session {
            Some(session) => Some(Account::load(site, &known.record.client, session).await?),
            None => None,
        };
        let mut flow = Flow {
            site,
            request_id,
            query,
            pushed,
            request,
            record: known.record,
            browser,
            account,
            progress: SealedProgress::default(),
        };
        flow.progress = progress::open(&flow, &sealed);
        Ok(flow)
    }

    /// Whose app this is.
    pub(super) fn client(&self) -> &Client {
        &self.record.client
    }

    /// Where the answer goes, and how.
    pub(super) fn answer_to(&self) -> (&ProvedRedirectUri, ResponseMode) {
        (&self.request.redirect_uri, self.request.response_mode)
    }

    /// Uses a pushed request up, right before its one answer leaves.
    pub(super) async fn use_up(&self) -> Result<(), Fault> {
        let Some(request_uri) = &self.pushed else {
            return Ok(());
        };
        match self.site.store.use_pushed_request(self.site.environment, request_uri).await? {
            true => Ok(()),
            false => Err(Fault::page(PageFault::RequestUriUnknown, self.site, self.client())),
        }
    }

    /// What is known, for the question what comes next.
    pub(super) fn situation<'s>(&'s self, progress: Progress<'s>) -> Situation<'s> {
        Situation {
            request: &self.request,
            client: self.client(),
            customer: self.account.as_ref().map(|account| SignedIn {
                subject: &account.subject,
                signed_in_seconds_ago: account.signed_in_seconds_ago,
                businesses: &account.business_ids,
                consent: account.consent.as_ref(),
            }),
            progress,
        }
    }

    /// How far the customer came.
    pub(super) fn progress(&self) -> Progress<'_> {
        self.progress.as_progress()
    }

    /// How far the customer came, to be sealed again with more.
    pub(super) fn sealed_progress(&self) -> &SealedProgress {
        &self.progress
    }

    /// The address of the account, as pages show it.
    pub(super) fn email(&self) -> String {
        self.account.as_ref().map(|account| account.session.email.clone()).unwrap_or_default()
    }

    /// The query as the partner sent it.
    pub(super) fn query(&self) -> &str {
        &self.query
    }

    /// Whether the client itself pushed the request and proved that it did.
    pub(super) fn is_pushed(&self) -> bool {
        self.pushed.is_some() && !self.client().is_public()
    }

    /// This request's own path and query, without progress.
    pub(super) fn here(&self) -> String {
        format!("/oauth/authorize?{}", self.query)
    }

    /// A digest of the request, to bind progress to it.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, self.query.as_bytes()).as_ref());
        bytes
    }

    /// The counter of the consent that is used without asking.
    pub(super) fn consent_counter(&self) -> Option<i64> {
        self.account.as_ref()?.consent.as_ref().map(|consent| consent.counter)
    }

    /// The app, as pages show it.
    pub(super) fn app(&self) -> App {
        App::of(self.client(), logo::path(self.client(), self.record.listing.logo))
    }

    /// This request with another account: asks for the password, and for consent, again.
    pub(super) fn switch_account(&self) -> String {
        let is_prompt = |pair: &&str| pair.split('=').next() == Some("prompt");
        let kept: Vec<&str> = self.query.split('&').filter(|pair| !is_prompt(pair)).collect();
        let again = utf8_percent_encode(ASK_AGAIN, NON_ALPHANUMERIC);
        format!("/oauth/authorize?{}&prompt={again}", kept.join("&"))
    }
}

impl Account {
    async fn load(site: &Site, client: &Client, session: Session) -> Result<Account, Fault> {
        let (environment, customer) = (site.environment, session.customer_id);
        let businesses = site.store.businesses(environment, customer).await?;
        let epoch = site.sealer.epoch();
        let consent = site.store.consent(environment, customer, &client.id, epoch).await?;
        let business_ids = businesses.iter().map(|business| business.id).collect();
        let subject = Uuid::from_bytes(customer).to_string();
        let signed_in_seconds_ago = site.clock.now() - session.signed_in_at;
        Ok(Account { session, subject, signed_in_seconds_ago, businesses, business_ids, consent })
    }
}

/// The name of a pushed request, where the query has one. A `request_uri` of another kind is refused
/// with the rest.
fn pushed(parameters: &Parameters) -> Option<RequestUri> {
    parameters.value("request_uri").and_then(RequestUri::parse)
}

/// Loads what the client pushed. Of the query nothing else counts (RFC 9126 4): whoever changes the
/// link changes nothing.
async fn load_pushed(
    site: &Site,
    request_uri: &RequestUri,
    client: &Client,
) -> Result<Parameters, Fault> {
    let (environment, now) = (site.environment, site.clock.now());
    let epoch = site.sealer.epoch();
    let named = (request_uri, client.id.as_str());
    match site.store.pushed_request(environment, named, epoch, now).await? {
        Some(query) => {
            let until = now + progress::TTL_SECONDS;
            site.store.open_pushed_request(environment, request_uri, until).await?;
            Ok(Parameters::parse(query.as_bytes()))
        }
        None => Err(Fault::page(PageFault::RequestUriUnknown, site, client)),
    }
}

/// Reads the ID token that the client sent back, if it did (OpenID Connect Core 3.1.2.1).
async fn with_hint(
    site: &Site,
    request: AuthorizationRequest,
) -> Result<AuthorizationRequest, Fault> {
    let Some(token) = &request.id_token_hint else {
        return Ok(request);
    };
    let ring = site.signing_keys().await.map_err(Fault::Keys)?;
    let subject = match read_hint(token, &site.base_url, ring.public()) {
        Some(hint) if hint.client_id == request.client_id => SubjectHint::Is(hint.subject),
        Some(_) | None => SubjectHint::Unreadable,
    };
    Ok(AuthorizationRequest { subject: Some(subject), ..request })
}

/// What came with the request, and who is signed in.
struct Sent<'a> {
    parameters: &'a Parameters,
    pushed: Option<&'a RequestUri>,
    session: &'a Option<Session>,
}

impl Sent<'_> {
    /// Reads the request, as `client` may make it.
    async fn read(&self, site: &Site, client: &Client) -> Result<AuthorizationRequest, Fault> {
        let (loaded, asks_again) = match self.pushed {
            Some(request_uri) => {
                let asks_again = self.parameters.value("prompt") == Some(ASK_AGAIN);
                (Some(load_pushed(site, request_uri, client).await?), asks_again)
            }
            None => (None, false),
        };
        let parameters = loaded.as_ref().unwrap_or(self.parameters);
        match AuthorizationRequest::parse(parameters, client, &site.settings.apis) {
            Ok(request) if client.settings.par_required && self.pushed.is_none() => {
                let AuthorizationRequest { redirect_uri, state, response_mode: mode, .. } = request;
                let fault = AuthorizeFault::PushRequired;
                Err(self.to_client(client, Fault::Redirect { redirect_uri, state, mode, fault }))
            }
            Ok(mut request) => {
                // The one thing that a page of ours adds: it asks the customer for more, never less.
                request.prompt.login |= asks_again;
                request.prompt.consent |= asks_again;
                with_hint(site, request).await
            }
            Err(AuthorizeError::Page(fault)) => Err(Fault::page(fault, site, client)),
            Err(AuthorizeError::Redirect { redirect_uri, state, mode, fault }) => {
                Err(self.to_client(client, Fault::Redirect { redirect_uri, state, mode, fault }))
            }
        }
    }

    /// An error that redirects at once makes an open redirector of a client that nobody approved
    /// (RFC 9700 4.11.2): there it waits for a sign-in.
    fn to_client(&self, client: &Client, fault: Fault) -> Fault {
        match fault {
            Fault::Redirect { fault, .. } if !client.approved && self.session.is_none() => {
                Fault::Unapproved(fault)
            }
            fault => fault,
        }
    }
}

/// The client that is named, as it was at most a second ago. Whoever is refused by that is to be
/// looked at again ([`load_client_anew`]).
async fn load_client(site: &Site, parameters: &Parameters, age: Age) -> Result<KnownClient, Fault> {
    let id =
        client_id(parameters).map_err(|fault| Fault::Page { fault, registered: Vec::new() })?;
    if client_document::names_document(site, id)
        && let Err(fault) = client_document::bring(site, id).await
    {
        let fault = fault.for_page()?;
        return Err(Fault::Page { fault, registered: Vec::new() });
    }
    if age == Age::Now {
        return load_client_anew(site, id).await;
    }
    let known = site.store.known_client(site.environment, id, &site.clock).await?;
    match known.filter(|known| is_of_here(site, &known.record)) {
        Some(known) => Ok(known),
        None => load_client_anew(site, id).await,
    }
}

/// The same, as it is now.
async fn load_client_anew(site: &Site, id: &str) -> Result<KnownClient, Fault> {
    let known = site.store.newly_known_client(site.environment, id, &site.clock).await?;
    known.filter(|known| is_of_here(site, &known.record)).ok_or_else(|| Fault::Page {
        fault: PageFault::ClientUnknown { sent: id.to_owned() },
        registered: Vec::new(),
    })
}

/// A client of the other environment is a stranger here: it has proved nothing (U4).
fn is_of_here(site: &Site, record: &ClientRecord) -> bool {
    record.client.environment == site.environment && site.admits(record)
}

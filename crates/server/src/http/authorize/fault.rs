//! What ends an authorization request before its time: a page, or a redirect to a proved URI.

use axum::body::Body;
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use grantor_protocol::authorization_request::ResponseMode;
use grantor_protocol::authorize_error::{AuthorizeFault, PageFault, PageWords};
use grantor_protocol::client::Client;
use grantor_protocol::logged_call::Outcome;
use grantor_protocol::redirect_uri::{ProvedRedirectUri, RedirectUri};

use crate::http::answer::{self, ERRORS_PATH, fault_page, frame};
use crate::http::heard::{Ended, note_claimed_authorize};
use crate::http::request::RequestId;
use crate::keys::KeysError;
use crate::pages::MessagePage;
use crate::site::Site;
use crate::store::StoreError;

/// What ends an authorization request before its time.
pub(super) enum Fault {
    /// Shown to the person; nothing is proved.
    Page {
        fault: PageFault,
        /// the client's redirect URIs, for the developer in dev and for nobody else
        registered: Vec<String>,
    },
    /// Told to the client.
    Redirect {
        redirect_uri: ProvedRedirectUri,
        state: Option<String>,
        mode: ResponseMode,
        fault: AuthorizeFault,
    },
    /// What would be told to the client, were it approved or somebody signed in.
    Unapproved(AuthorizeFault),
    /// The form is not one that this browser got from us, or its session has ended since.
    FormExpired { retry: String },
    /// The body is larger than any form of ours, or broke off.
    Body(StatusCode),
    /// Too many passwords were tried in vain.
    TooManyTries { wait_seconds: i64, retry: String },
    /// Too many at once. Nothing was done.
    Busy { retry: String },
    /// The keys that sign cannot be read or made.
    Keys(KeysError),
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

impl Fault {
    /// A page about a client. In dev its redirect URIs are shown too.
    pub(super) fn page(fault: PageFault, site: &Site, client: &Client) -> Fault {
        let registered = match site.dev {
            Some(_) => client.redirect_uris.iter().map(RedirectUri::to_string).collect(),
            None => Vec::new(),
        };
        Fault::Page { fault, registered }
    }

    /// The answer, and a line in the log of the client whose link it was.
    pub(super) fn answer_and_note(
        self,
        site: &Site,
        request_id: &RequestId,
        query: &str,
    ) -> Response<Body> {
        let ended = match &self {
            Fault::Page { fault, .. } => Some(Ended::refused(Outcome::Page, fault.cause())),
            Fault::Redirect { fault, .. } => {
                Some(Ended::refused(Outcome::Redirected, fault.cause()))
            }
            Fault::Unapproved(fault) => Some(Ended::refused(Outcome::Page, fault.cause())),
            // They are about the customer, or about this server.
            Fault::FormExpired { .. }
            | Fault::Body(_)
            | Fault::TooManyTries { .. }
            | Fault::Busy { .. }
            | Fault::Keys(_)
            | Fault::Store(_) => None,
        };
        let mut response = self.answer(site, request_id);
        if let Some(ended) = ended {
            note_claimed_authorize(site, query, ended, &mut response);
        }
        response
    }

    /// The answer.
    pub(super) fn answer(self, site: &Site, request_id: &RequestId) -> Response<Body> {
        match self {
            Fault::Page { fault, registered } => refused(site, request_id, &fault, registered),
            Fault::Redirect { redirect_uri, state, mode, fault } => {
                let to = (&redirect_uri, mode);
                error_to_client(site, request_id, to, state.as_deref(), &fault)
            }
            Fault::Unapproved(fault) => {
                let wire = fault.wire();
                let words = PageWords {
                    anchor: wire.anchor,
                    title: "This link does not work",
                    what_happened: wire.description,
                    what_to_do: "Nothing was shared. Go back to the app that sent you here.".into(),
                };
                fault_page(site, request_id, StatusCode::BAD_REQUEST, words, vec![])
            }
            Fault::FormExpired { retry } => {
                let words = PageWords {
                    anchor: "form-expired",
                    title: "This page was open for too long",
                    what_happened: "We could not take what you entered: the page was open for too \
                                    long, or your browser keeps no cookies."
                        .into(),
                    what_to_do: "Nothing was shared. Please try once more.".into(),
                };
                with_retry(site, request_id, StatusCode::BAD_REQUEST, words, retry)
            }
            Fault::Body(status) => {
                let words = PageWords {
                    anchor: "body-too-large",
                    title: "This form is too large",
                    what_happened: "We could not take what was sent: it is larger than any form \
                                    of ours, or it broke off on its way."
                        .into(),
                    what_to_do: "Nothing was shared. Go back and try again.".into(),
                };
                fault_page(site, request_id, status, words, vec![])
            }
            Fault::TooManyTries { wait_seconds, retry } => {
                answer::too_many_tries(site, request_id, wait_seconds, retry)
            }
            Fault::Busy { retry } => busy(site, request_id, retry),
            Fault::Keys(error) => {
                tracing::error!(request.id = request_id.0, %error, "authorize.keys");
                busy(site, request_id, String::new())
            }
            Fault::Store(error) => {
                tracing::error!(request.id = request_id.0, %error, "authorize.store");
                busy(site, request_id, String::new())
            }
        }
    }
}

/// An error response (RFC 6749 4.1.2.1, with `iss` of RFC 9207).
pub(super) fn error_to_client(
    site: &Site,
    request_id: &RequestId,
    to: (&ProvedRedirectUri, ResponseMode),
    state: Option<&str>,
    fault: &AuthorizeFault,
) -> Response<Body> {
    let wire = fault.wire();
    let docs = format!("{}{ERRORS_PATH}#{}", site.base_url, wire.anchor);
    let mut parameters = vec![
        ("error", wire.code),
        ("error_description", wire.description.as_str()),
        ("error_uri", docs.as_str()),
    ];
    parameters.extend(state.map(|state| ("state", state)));
    parameters.push(("iss", &site.base_url));
    answer::to_client(site, request_id, to, &parameters)
}

fn refused(
    site: &Site,
    request_id: &RequestId,
    fault: &PageFault,
    registered: Vec<String>,
) -> Response<Body> {
    let words = fault.words();
    let facts = match fault {
        PageFault::RedirectUriDiffers { sent, .. } => {
            vec![("redirect_uri that was sent".to_owned(), sent.clone())]
        }
        PageFault::ClientUnknown { sent } => vec![
            ("client_id that was sent".to_owned(), sent.clone()),
            ("This environment".to_owned(), site.environment.to_string()),
        ],
        PageFault::ClientIdMissing
        | PageFault::RequestUriUnknown
        | PageFault::TooManyTries { .. }
        | PageFault::ClientDocument { .. }
        | PageFault::ClientDisabled
        | PageFault::RedirectUriMissing
        | PageFault::Parameter(_) => Vec::new(),
    };
    // U6: what is registered stands in the portal alone, and only for whom the client belongs to.
    let portal_url = match fault {
        PageFault::RedirectUriDiffers { .. } => site.portal_url.as_ref(),
        _ => None,
    };
    let page = MessagePage {
        frame: frame(site, request_id),
        title: words.title.to_owned(),
        what_happened: words.what_happened,
        what_to_do: words.what_to_do,
        facts,
        registered,
        docs_url: Some(format!("{ERRORS_PATH}#{}", words.anchor)),
        portal_url: portal_url.map(|url| format!("{url}/log?request_id={}", request_id.0)),
        retry_url: None,
    };
    answer::page(site, StatusCode::BAD_REQUEST, &page, None)
}

fn busy(site: &Site, request_id: &RequestId, retry: String) -> Response<Body> {
    let words = PageWords {
        anchor: "unavailable",
        title: "Very busy just now",
        what_happened: "We could not answer in time. Nothing was lost, and nothing was shared."
            .into(),
        what_to_do: "Please try again in a few seconds.".into(),
    };
    let mut response = with_retry(site, request_id, StatusCode::SERVICE_UNAVAILABLE, words, retry);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("3"));
    response
}

fn with_retry(
    site: &Site,
    request_id: &RequestId,
    status: StatusCode,
    words: PageWords,
    retry: String,
) -> Response<Body> {
    let page = MessagePage {
        frame: frame(site, request_id),
        title: words.title.to_owned(),
        what_happened: words.what_happened,
        what_to_do: words.what_to_do,
        facts: Vec::new(),
        registered: Vec::new(),
        docs_url: Some(format!("{ERRORS_PATH}#{}", words.anchor)),
        portal_url: None,
        retry_url: Some(retry).filter(|retry| !retry.is_empty()),
    };
    answer::page(site, status, &page, None)
}

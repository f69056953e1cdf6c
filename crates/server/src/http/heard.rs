//! What was heard of a call, until it is answered: for the log of its client.
//!
//! 1. [`Heard`] keeps a client's call as it came; nothing of it is copied;
//! 2. at the end the endpoint says what became of it. [`crate::request_log::RequestLog::admit`] says
//!    whether it is kept: mostly not, where there is much to do, and then nothing is made of it;
//! 3. what may be kept travels in the answer to `request.rs`, which knows the id, the address and
//!    the time that it took ([`Admitted::answered`]).

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::http::{Response, Uri};
use bytes::Bytes;
use futures_util::stream;
use grantor_protocol::cause::Cause;
use grantor_protocol::client_call::ClientCall;
use grantor_protocol::integration_report::{Shown, facts_of};
use grantor_protocol::logged_call::{Endpoint, Outcome, SentParameters, claimed_client_id};
use grantor_protocol::token_error::TokenError;
use grantor_protocol::trial::Trial;

use super::request::RequestId;
use crate::clock::Clock;
use crate::request_log::Weight;
use crate::site::Site;
use crate::store::{ClientRecord, LoggedCall, LoggedCause, LoggedToken, NewLoggedCall};

/// What words become that repeat a secret which was sent.
const WORDS_WITHHELD: &str = "The words repeat what was sent, and that holds a secret: they were \
                              shown to the caller, and are not kept.";

/// A call as it came.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) target: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The client, once it is authenticated.
    pub(super) client: Option<Arc<ClientRecord>>,
    /// What was made to happen on purpose.
    trial: Option<Trial>,
}

/// What the log keeps of tokens that left.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) token: LoggedToken,
    /// The generation of their grant, where they are of one.
    pub(super) generation: Option<i64>,
    /// Whether they left before.
    pub(super) is_repeat: bool,
}

/// How a call ended.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) cause: Option<Cause>,
    pub(super) mark: Option<Mark>,
    /// Of a code: whether its request had a state, and whether it had a challenge.
    pub(super) with: Option<(bool, bool)>,
    /// Whether the client proved that the call was its own.
    pub(super) proved: bool,
    pub(super) trial: Option<Trial>,
}

/// A call that is to be kept, in its answer.
#[derive(Clone)]
pub(super) struct Admitted(Box<NewLoggedCall>);

impl Heard {
    /// The call, for whoever reads it.
    pub(super) fn with_call<T>(&self, read: impl FnOnce(&ClientCall<'_>) -> T) -> T {
        let authorization: Vec<&[u8]> =
            self.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect();
        read(&ClientCall {
            query: self.target.query().unwrap_or_default().as_bytes(),
            content_type: self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()),
            authorization: &authorization,
            body: &self.body,
        })
    }

    /// Notes what became of a call that gives no tokens.
    pub(super) fn note_answer(
        &self,
        site: &Site,
        endpoint: Endpoint,
        refused: Option<&TokenError>,
        response: &mut Response<Body>,
    ) {
        let confidential = self.client.as_ref().is_some_and(|record| !record.client.is_public());
        let ended = match refused {
            None => Ended { proved: confidential, ..Ended::of(Outcome::Answered) },
            Some(error) => self.refused(error),
        };
        self.keep(site, endpoint, ended, response);
    }

    /// Notes what became of a call for tokens.
    pub(super) fn note(
        &self,
        site: &Site,
        endpoint: Endpoint,
        ended: Result<Mark, &TokenError>,
        response: &mut Response<Body>,
    ) {
        let ended = match ended {
            Ok(mark) => {
                let outcome = if mark.is_repeat { Outcome::Repeated } else { Outcome::Issued };
                // Who got tokens had proved enough for them.
                Ended { mark: Some(mark), proved: true, ..Ended::of(outcome) }
            }
            Err(error) => self.refused(error),
        };
        self.keep(site, endpoint, Ended { trial: self.trial, ..ended }, response);
    }

    fn refused(&self, error: &TokenError) -> Ended {
        let is_public = self.client.as_ref().is_none_or(|record| record.client.is_public());
        let told = match error {
            TokenError::Code { proved, .. } | TokenError::Refresh { proved, .. } => *proved,
            _ => false,
        };
        let ended = Ended::refused(Outcome::Refused, error.cause());
        Ended { proved: told || !is_public, ..ended }
    }

    fn keep(&self, site: &Site, endpoint: Endpoint, ended: Ended, response: &mut Response<Body>) {
        let now = site.clock.now();
        let claimed = match &self.client {
            Some(_) => None,
            None => self.with_call(claimed_client_id),
        };
        let known = self.client.as_ref().map(|record| record.client.id.as_str());
        let Some(client_id) = known.or(claimed.as_deref()) else {
            return;
        };
        if site.request_log.admit(client_id, ended.weight(), now) {
            let admitted = self.with_call(|call| ended.admitted(site, endpoint, call, client_id));
            response.extensions_mut().insert(admitted);
        }
    }
}

/// The answer; or, where the client's owner wanted to see that, a connection that breaks off without
/// it, after everything was committed.
pub(super) async fn unless_lost(
    site: &Site,
    heard: &mut Heard,
    response: Response<Body>,
) -> Response<Body> {
    let Some(record) = &heard.client else {
        return response;
    };
    let (store, now) = (&site.store, site.clock.now());
    if !site.trials.take(store, &record.client.id, Trial::LoseResponse, now).await {
        return response;
    }
    heard.trial = Some(Trial::LoseResponse);
    let (mut head, _) = response.into_parts();
    // The server gives up the connection where a body fails.
    head.headers.remove(axum::http::header::CONTENT_LENGTH);
    let lost = stream::once(async { Err::<Bytes, _>(io::Error::other("lost on purpose")) });
    Response::from_parts(head, Body::from_stream(lost))
}

/// Notes what became of an authorization request of a client that is known.
pub(super) fn note_authorize(
    site: &Site,
    (client_id, query): (&str, &str),
    ended: Ended,
    response: &mut Response<Body>,
) {
    if site.request_log.admit(client_id, ended.weight(), site.clock.now()) {
        let admitted = ended.admitted(site, Endpoint::Authorize, &link(query), client_id);
        response.extensions_mut().insert(admitted);
    }
}

/// Notes what became of an authorization request of whichever client it names.
pub(super) fn note_claimed_authorize(
    site: &Site,
    query: &str,
    ended: Ended,
    response: &mut Response<Body>,
) {
    if let Some(client_id) = claimed_client_id(&link(query)) {
        note_authorize(site, (&client_id, query), ended, response);
    }
}

/// A link that a browser opened.
fn link(query: &str) -> ClientCall<'_> {
    ClientCall { query: query.as_bytes(), content_type: None, authorization: &[], body: b"" }
}

impl Ended {
    pub(super) fn of(outcome: Outcome) -> Ended {
        Ended { outcome, cause: None, mark: None, with: None, proved: false, trial: None }
    }

    pub(super) fn refused(outcome: Outcome, cause: Cause) -> Ended {
        Ended { cause: Some(cause), ..Ended::of(outcome) }
    }

    fn weight(&self) -> Weight {
        match (self.cause.is_some(), self.proved) {
            (false, _) => Weight::Success,
            (true, true) => Weight::Failure,
            (true, false) => Weight::Unproved,
        }
    }

    fn admitted(
        self,
        site: &Site,
        endpoint: Endpoint,
        call: &ClientCall<'_>,
        client_id: &str,
    ) -> Admitted {
        let parameters = SentParameters::of(call, client_id);
        let facts = facts_of(&Shown {
            endpoint,
            outcome: self.outcome,
            cause: self.cause.as_ref().map(|cause| cause.name),
            proved: self.proved,
            in_url: parameters.named.iter().any(|sent| sent.in_url),
            with: self.with,
            generation: self.mark.and_then(|mark| mark.generation),
            trial: self.trial,
        });
        let cause = self.cause.map(|cause| LoggedCause {
            name: cause.name.to_owned(),
            anchor: cause.anchor.to_owned(),
            words: match parameters.holds_secret {
                true => WORDS_WITHHELD.to_owned(),
                false => cause.words,
            },
        });
        let call = LoggedCall {
            called_at_millis: 0,
            request_id: String::new(),
            called_in: site.environment,
            endpoint,
            grant_type: parameters.value("grant_type").map(str::to_owned),
            outcome: self.outcome,
            status: 0,
            cause,
            proved: self.proved,
            parameters,
            network: None,
            microseconds: 0,
            trial: self.trial,
        };
        let token = self.mark.map(|mark| mark.token);
        Admitted(Box::new(NewLoggedCall { client_id: client_id.to_owned(), call, token, facts }))
    }
}

impl Admitted {
    /// The call with what its answer carries.
    pub(super) fn answered(
        self,
        request_id: &RequestId,
        address: Option<IpAddr>,
        (status, took): (u16, Duration),
        clock: &Clock,
    ) -> NewLoggedCall {
        let NewLoggedCall { client_id, call, token, facts } = *self.0;
        let call = LoggedCall {
            called_at_millis: clock.now_millis(),
            request_id: request_id.0.clone(),
            status: i64::from(status),
            network: address.map(network),
            microseconds: i64::try_from(took.as_micros()).unwrap_or(i64::MAX),
            ..call
        };
        NewLoggedCall { client_id, call, token, facts }
    }
}

/// The network of an address, and not the address: enough to know one's own machines by.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

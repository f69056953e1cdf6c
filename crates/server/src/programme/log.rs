//! What an app did: its calls, its integration report, and hard cases on purpose.
//!
//! 1. [`newest`] and [`call`] read the log of one client; [`find`] finds a call by the request id
//!    that its answer carried, among the clients that are the actor's to see;
//! 2. [`report`] says what the calls have shown so far; [`shown_on_staging`] is the one that a
//!    decision is made with, whatever client the request is about;
//! 3. [`begin`] makes a hard case happen, on staging and for the client's own partner alone.

use grantor_protocol::call_done_right::{Logged, call_done_right};
use grantor_protocol::environment::{Environment, Staging};
use grantor_protocol::integration_report::{Fact, Line, Seen, integration_report};
use grantor_protocol::trial::Trial;

use super::{Actor, Refused, app};
use crate::site::Site;
use crate::store::{
    CallCursor, ClientRecord, LoggedCall, ProgrammeRequest, TrialRecord, WhichClients,
};
use crate::webhook::{Ended, EndedBy, Event};

/// No request id is longer, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 64;

/// What the calls of a client have shown.
#[derive(Clone, Debug)]
pub struct Report {
    /// Line by line.
    pub lines: Vec<Line>,
    /// The calls that were not kept, because there were too many at once.
    pub not_kept: Option<Seen>,
}

/// The calls of a client before a place, the newest first, and what was not kept of them.
///
/// # Errors
/// [`Refused`]
pub async fn newest(
    portal: &Site,
    actor: &Actor,
    record: &ClientRecord,
    before: Option<&CallCursor>,
    limit: i64,
) -> Result<(Vec<LoggedCall>, Option<Seen>), Refused> {
    actor.of_partner(record.partner_id)?;
    let (environment, id) = (record.client.environment, record.client.id.as_str());
    let calls = portal.store.logged_calls(environment, id, before, limit).await?;
    let facts = portal.store.client_facts(environment, id).await?;
    Ok((calls, facts.seen(Fact::NotKept)))
}

/// One call of a client.
///
/// # Errors
/// [`Refused::NotFound`] also where it is another client's.
pub async fn call(
    portal: &Site,
    actor: &Actor,
    record: &ClientRecord,
    request_id: &str,
) -> Result<LoggedCall, Refused> {
    actor.of_partner(record.partner_id)?;
    let found = of_request_id(portal, record.client.environment, request_id, actor).await?;
    let own = found.into_iter().find(|(client_id, _)| *client_id == record.client.id);
    own.map(|(_, call)| call).ok_or(Refused::NotFound)
}

/// The calls of that request id, on both environments, with the ids of their clients. There is one,
/// unless an id was drawn twice.
///
/// # Errors
/// [`Refused`]
pub async fn find(
    portal: &Site,
    actor: &Actor,
    request_id: &str,
) -> Result<Vec<(String, LoggedCall)>, Refused> {
    let mut found = Vec::new();
    for environment in Environment::ALL {
        found.extend(of_request_id(portal, environment, request_id, actor).await?);
    }
    Ok(found)
}

/// A request id as somebody pasted it: with blanks around it, or in capitals.
async fn of_request_id(
    portal: &Site,
    environment: Environment,
    pasted: &str,
    actor: &Actor,
) -> Result<Vec<(String, LoggedCall)>, Refused> {
    let request_id = pasted.trim().to_ascii_lowercase();
    if request_id.is_empty() || request_id.len() > MAX_REQUEST_ID_BYTES {
        return Ok(Vec::new());
    }
    let of = actor.partner_id().map_or(WhichClients::All, WhichClients::OfPartner);
    Ok(portal.store.logged_call(environment, &request_id, of).await?)
}

/// The same call as it would have been right, as a command.
pub fn done_right(portal: &Site, record: &ClientRecord, call: &LoggedCall) -> String {
    let own = portal.portal.as_ref().and_then(|portal| portal.site(record.client.environment));
    let base_url = own.map_or("", |site| site.base_url.as_str());
    let logged = Logged {
        endpoint: call.endpoint,
        cause: call.cause.as_ref().map(|cause| cause.name.as_str()),
        parameters: &call.parameters,
    };
    call_done_right(&logged, &record.client, base_url)
}

/// What the calls of a client have shown so far.
///
/// # Errors
/// [`Refused`]
pub async fn report(
    portal: &Site,
    actor: &Actor,
    record: &ClientRecord,
) -> Result<Report, Refused> {
    actor.of_partner(record.partner_id)?;
    let client = &record.client;
    let facts = portal.store.client_facts(client.environment, &client.id).await?;
    Ok(Report {
        lines: integration_report(&facts, portal.clock.now()),
        not_kept: facts.seen(Fact::NotKept),
    })
}

/// The report that a request is decided with: that of the staging client. Answers with its id, too;
/// `None` where there is no such client.
///
/// # Errors
/// [`Refused`]
pub async fn shown_on_staging(
    portal: &Site,
    actor: &Actor,
    request: &ProgrammeRequest,
    record: &ClientRecord,
) -> Result<Option<(String, Report)>, Refused> {
    actor.of_partner(request.partner_id)?;
    if record.client.environment == Environment::Staging {
        let report = report(portal, actor, record).await?;
        return Ok(Some((record.client.id.clone(), report)));
    }
    let Some(sibling) = &record.listing.sibling else {
        return Ok(None);
    };
    match app::find(portal, actor, sibling).await {
        Ok(staging) => {
            let report = report(portal, actor, &staging).await?;
            Ok(Some((staging.client.id, report)))
        }
        Err(Refused::NotFound) => Ok(None),
        Err(refused) => Err(refused),
    }
}

/// The hard cases of a client that were made to happen, or wait for their call.
///
/// # Errors
/// [`Refused::NotFound`] for a client that is not of staging.
pub async fn trials(
    portal: &Site,
    actor: &Actor,
    record: &ClientRecord,
) -> Result<Vec<TrialRecord>, Refused> {
    let staging = on_staging(actor, record)?;
    Ok(portal.store.trials(staging, &record.client.id).await?)
}

/// Makes a hard case happen, now or with the next call that it is about. Only the client's own
/// partner does: who decides about an app does not break it.
///
/// # Errors
/// [`Refused`]: also where there is nothing that it could happen to.
pub async fn begin(
    portal: &Site,
    actor: &Actor,
    record: &ClientRecord,
    trial: Trial,
) -> Result<(), Refused> {
    let staging = on_staging(actor, record)?;
    actor.partner_id().ok_or(Refused::NotAllowed)?;
    actor.takes_turn(portal).await?;
    let (store, client_id) = (&portal.store, record.client.id.as_str());
    let mut act = app::about(portal, actor, record, "trial.begun", trial.as_str().to_owned());
    let done = match trial {
        Trial::LoseResponse | Trial::DenyConsent => {
            return match store.arm_trial(staging, client_id, trial, &act).await? {
                true => Ok(()),
                false => Err(Refused::NotFound),
            };
        }
        Trial::ExpireToken => store.expire_newest_token(staging, client_id, &act).await?,
        Trial::EndGrant => match store.newest_living_grant(staging, client_id, act.at).await? {
            Some(grant) => {
                let customer_id = Some(grant.customer_id);
                let ended = Ended::One { grant_id: grant.id, customer_id };
                // As a customer's own revocation would be told: that is what is tried here.
                let event = Event::GrantRevoked { ended, by: EndedBy::Trial };
                act.notices.push(app::notice(portal, record, event));
                store.end_grant_on_purpose(staging, client_id, grant.id, &act).await?
            }
            None => false,
        },
    };
    match done {
        true => Ok(()),
        false => Err(Refused::Conflict(nothing_there(trial).to_owned())),
    }
}

fn nothing_there(trial: Trial) -> &'static str {
    match trial {
        Trial::ExpireToken => {
            "The log knows no access token of this app that still lives. Let the app get one, wait \
             a second, and press the button again."
        }
        Trial::EndGrant | Trial::LoseResponse | Trial::DenyConsent => {
            "This app has no connection that still lives. Connect a test customer, and press the \
             button again."
        }
    }
}

fn on_staging(actor: &Actor, record: &ClientRecord) -> Result<Staging, Refused> {
    actor.of_partner(record.partner_id)?;
    record.client.environment.staging().ok_or(Refused::NotFound)
}

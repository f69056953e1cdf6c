//! What a partner asks for and a manager decides: a production client, more scopes, new hosts.
//!
//! 1. [`ask`] or [`answer`]: the partner says what it wants, why for each scope that changes
//!    something, and whom to write to. Nothing changes yet: what a live client may do stays (U2).
//!    What needs no decision is no part of a request: on production it changes at once (`app.rs`);
//! 2. [`decide`]: a manager approves, declines or asks back, always with a note (U3);
//! 3. an approval makes or widens the client in the same transaction. The secret of a new one is
//!    made by the partner, who alone sees it.

mod difference;
mod form;

use grantor_protocol::client::ClientSettings;
use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;

pub use difference::{Change, Difference, Item, difference};
pub use form::{MAX_TEXT_CHARACTERS, RequestForm, text_fault};

use self::form::checked;
use super::{Actor, FieldFault, Refused, account, app};
use crate::mail::{Mail, MailAddress};
use crate::site::{Portal, Site};
use crate::store::{
    Approval, Asked, ClientRecord, NewClient, ProgrammeRequest, Registration, RequestKind,
    RequestState, RequestsOf,
};
use crate::webhook::{Event, Notice};

/// A manager's step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// do it
    Approve,
    /// do not
    Decline,
    /// the partner has to say more first
    AskBack,
}

impl Decision {
    /// The decision of that name.
    pub fn parse(name: &str) -> Option<Decision> {
        match name {
            "approve" => Some(Decision::Approve),
            "decline" => Some(Decision::Decline),
            "ask_back" => Some(Decision::AskBack),
            _ => None,
        }
    }

    fn state(self) -> RequestState {
        match self {
            Decision::Approve => RequestState::Approved,
            Decision::Decline => RequestState::Declined,
            Decision::AskBack => RequestState::AskedBack,
        }
    }

    fn act(self) -> &'static str {
        match self {
            Decision::Approve => "request.approved",
            Decision::Decline => "request.declined",
            Decision::AskBack => "request.asked_back",
        }
    }
}

/// What a request about that client is: of a staging client, for production; of a production client,
/// for a change.
pub fn kind_for(record: &ClientRecord) -> RequestKind {
    match record.client.environment {
        Environment::Production => RequestKind::Change,
        Environment::Staging | Environment::Portal => RequestKind::Production,
    }
}

/// Asks. Answers with the request's id.
///
/// # Errors
/// [`Refused`]
pub async fn ask(
    site: &Site,
    portal: &Portal,
    actor: &Actor,
    record: &ClientRecord,
    form: &RequestForm,
) -> Result<[u8; 16], Refused> {
    actor.holder(record.partner_id)?;
    let kind = kind_for(record);
    if kind == RequestKind::Production && record.listing.sibling.is_some() {
        return Err(Refused::Conflict("This app is on production already.".to_owned()));
    }
    let asked = checked(portal, record, form)?;
    actor.takes_turn(site).await?;
    let request = ProgrammeRequest {
        id: site.random.id(&site.clock),
        partner_id: record.partner_id,
        partner: record.client.partner.name.clone(),
        kind,
        client_id: record.client.id.clone(),
        logo: record.listing.logo,
        asked,
        state: RequestState::Waiting,
        version: 1,
        asked_by: actor.name.clone(),
        asked_at: site.clock.now(),
        decided_by: None,
        decided_at: None,
        note: None,
        made_client_id: None,
    };
    let act = about(site, actor, &request, "request.made", request.asked.message.clone());
    match site.store.add_request(&request, &act).await? {
        true => Ok(request.id),
        false => Err(Refused::Conflict(
            "A request about this app is open already. Answer that one, or take it back.".into(),
        )),
    }
}

/// Says what was asked back, or mends an open request.
///
/// # Errors
/// [`Refused`]
pub async fn answer(
    site: &Site,
    portal: &Portal,
    actor: &Actor,
    request: &ProgrammeRequest,
    form: &RequestForm,
) -> Result<(), Refused> {
    actor.holder(request.partner_id)?;
    let record = app::find(site, actor, &request.client_id).await?;
    let asked = checked(portal, &record, form)?;
    actor.takes_turn(site).await?;
    let act = about(site, actor, request, "request.answered", asked.message.clone());
    stood(site.store.answer_request(request, &asked, &act).await?)
}

/// Takes a request back.
///
/// # Errors
/// [`Refused`]
pub async fn withdraw(
    site: &Site,
    actor: &Actor,
    request: &ProgrammeRequest,
) -> Result<(), Refused> {
    actor.holder(request.partner_id)?;
    let act = about(site, actor, request, "request.withdrawn", String::new());
    stood(site.store.withdraw_request(request, &act).await?)
}

/// Decides.
///
/// # Errors
/// [`Refused`]
pub async fn decide(
    site: &Site,
    portal: &Portal,
    actor: &Actor,
    (request, decision): (&ProgrammeRequest, Decision),
    note: &str,
) -> Result<(), Refused> {
    actor.staff()?;
    let note = note.trim();
    if let Some(words) = text_fault(note, "The note", true) {
        return Err(Refused::Fields(vec![FieldFault { field: "note", words }]));
    }
    let record = app::find(site, actor, &request.client_id).await?;
    let mut act = about(site, actor, request, decision.act(), note.to_owned());
    act.mails = letters(site, request, decision, note)?;
    act.notices.extend(notice(site, &record, decision, note));
    let by = (actor.name.as_str(), note);
    let state = decision.state();
    let done = match (decision, request.kind) {
        (Decision::Approve, RequestKind::Production) => {
            let client = production_client(site, portal, request, &record)?;
            let contact = request.asked.support_contact.as_deref();
            let public = record.client.is_public();
            let approval = Approval::Make { client: &client, support_contact: contact, public };
            site.store.decide_request(request, (state, Some(&approval)), by, &act).await?
        }
        (Decision::Approve, RequestKind::Change) => {
            let (uris, scopes) = outcome(request, &record);
            if uris.len() > app::MOST_REDIRECT_URIS {
                return Err(Refused::Conflict(format!(
                    "With what the partner added meanwhile, the app would have more than {} \
                     redirect URIs. Ask the partner back.",
                    app::MOST_REDIRECT_URIS
                )));
            }
            if uris.is_empty() || scopes.is_empty() {
                return Err(Refused::Conflict(
                    "With what the partner took away meanwhile, the app would have no redirect URI \
                     or no scope. Ask the partner back."
                        .to_owned(),
                ));
            }
            let uris: Vec<&str> = uris.iter().map(RedirectUri::as_str).collect();
            let approval = Approval::Widen {
                record: &record,
                redirect_uris: uris.join(" "),
                scopes: scopes.to_string(),
            };
            site.store.decide_request(request, (state, Some(&approval)), by, &act).await?
        }
        (Decision::Decline | Decision::AskBack, _) => {
            site.store.decide_request(request, (state, None), by, &act).await?
        }
    };
    stood(done)
}

/// A request of the actor's partner, or any for staff.
///
/// # Errors
/// [`Refused::NotFound`] also where it is another partner's.
pub async fn find(site: &Site, actor: &Actor, id: [u8; 16]) -> Result<ProgrammeRequest, Refused> {
    let request = site.store.request(id).await?.ok_or(Refused::NotFound)?;
    actor.of_partner(request.partner_id)?;
    Ok(request)
}

/// Requests behind that one: a partner's own, the newest first; for staff those in one state, the
/// oldest first, which are those that wait for a decision unless another state is named.
///
/// # Errors
/// [`Refused`]
pub async fn list(
    site: &Site,
    actor: &Actor,
    state: Option<RequestState>,
    (after, limit): (Option<[u8; 16]>, i64),
) -> Result<Vec<ProgrammeRequest>, Refused> {
    let of = match actor.partner_id() {
        Some(partner_id) => RequestsOf::Partner(partner_id, state),
        None => RequestsOf::Everybody(state.unwrap_or(RequestState::Waiting)),
    };
    Ok(site.store.requests(of, after, limit).await?)
}

/// What the partner reads: whoever asked, and the contact.
fn letters(
    site: &Site,
    request: &ProgrammeRequest,
    decision: Decision,
    note: &str,
) -> Result<Vec<Mail>, Refused> {
    let (subject, what) = match decision {
        Decision::Approve => ("Your request was approved", "approved what you asked for"),
        Decision::Decline => ("Your request was declined", "declined what you asked for"),
        Decision::AskBack => ("A question about your request", "asks you something about it"),
    };
    let next = match (decision, request.kind) {
        (Decision::Approve, RequestKind::Production) => {
            "The production app is there. Make its secret yourself, on its page."
        }
        (Decision::Approve, RequestKind::Change) => "It works now.",
        (Decision::Decline, _) => "Nothing was changed. You can mend it and ask again.",
        (Decision::AskBack, _) => "Nothing was changed so far. Answer on the page of the request.",
    };
    let page = format!("{}/requests/{}", site.base_url, uuid::Uuid::from_bytes(request.id));
    let text = format!(
        "Your partner manager {what}: {}.\n\n{note}\n\n{next}\n\n{page}\n",
        request.asked.name
    );
    let mut to = vec![request.asked_by.as_str()];
    if request.asked.contact.to_lowercase() != request.asked_by {
        to.push(&request.asked.contact);
    }
    // Whoever asked by a program has no address: then the contact alone is told.
    let to = to.into_iter().filter_map(|to| MailAddress::parse(&to.to_lowercase()));
    to.map(|to| account::mail(site, to, subject, text.clone())).collect()
}

/// What the partner's own programs are told.
fn notice(site: &Site, record: &ClientRecord, decision: Decision, note: &str) -> Option<Notice> {
    let note = Some(note.to_owned());
    let event = match decision {
        Decision::Approve => Event::ClientApproved { note },
        Decision::Decline => Event::ClientDeclined { note },
        Decision::AskBack => return None,
    };
    Some(app::notice(site, record, event))
}

fn stood(done: bool) -> Result<(), Refused> {
    match done {
        true => Ok(()),
        false => Err(Refused::Conflict(
            "This request, or the app, was changed meanwhile. Nothing was done.".to_owned(),
        )),
    }
}

/// The client that an approval makes. What was asked was checked when it was asked, and is read
/// again as it stands.
fn production_client(
    site: &Site,
    portal: &Portal,
    request: &ProgrammeRequest,
    staging: &ClientRecord,
) -> Result<NewClient, Refused> {
    let production = portal.site(Environment::Production).ok_or(Refused::NotFound)?;
    let (redirect_uris, scopes) = widened(&request.asked);
    let public = staging.client.is_public();
    Ok(NewClient {
        environment: production.environment,
        id: app::client_id(production.environment, &request.asked.name, &site.random),
        partner_id: request.partner_id,
        name: request.asked.name.clone(),
        website: request.asked.website.clone(),
        redirect_uris,
        scopes,
        optional_scopes: Scope::default(),
        secret: None,
        approved: true,
        demo: false,
        settings: ClientSettings { pkce_required: public, ..staging.client.settings },
        keys: None,
        post_logout_redirect_uris: Vec::new(),
        registration: Registration::default(),
    })
}

/// The redirect URIs and scopes that are asked for.
pub fn widened(asked: &Asked) -> (Vec<RedirectUri>, Scope) {
    let uris = asked.redirect_uris.iter().filter_map(|uri| RedirectUri::register(uri).ok());
    let scopes: Vec<&str> = asked.scopes.iter().map(|(scope, _)| scope.as_str()).collect();
    (uris.collect(), Scope::parse(&scopes.join(" ")).unwrap_or_default())
}

/// What the client has once the request is approved: what it has now, with what was added and
/// without what was taken away when it was asked. So what the partner changed at once since then
/// stays, and an address that it removed does not come back.
pub fn outcome(request: &ProgrammeRequest, record: &ClientRecord) -> (Vec<RedirectUri>, Scope) {
    let (wanted, scopes) = widened(&request.asked);
    if request.kind == RequestKind::Production {
        return (wanted, scopes);
    }
    let seen = |uri: &RedirectUri| {
        request.asked.seen_redirect_uris.iter().any(|seen| seen == uri.as_str())
    };
    let mut uris = record.client.redirect_uris.clone();
    uris.retain(|uri| wanted.contains(uri) || !seen(uri));
    let added: Vec<RedirectUri> =
        wanted.into_iter().filter(|uri| !seen(uri) && !uris.contains(uri)).collect();
    uris.extend(added);
    let held = Scope::parse(&request.asked.seen_scopes).unwrap_or_default();
    let taken = held.without(&scopes);
    (uris, record.client.scopes.without(&taken).union(&scopes.without(&held)))
}

fn about(
    site: &Site,
    actor: &Actor,
    request: &ProgrammeRequest,
    name: &'static str,
    detail: String,
) -> crate::store::Act {
    let mut act = actor.act(site, name, detail);
    act.partner_id = Some(request.partner_id);
    act.client_id = Some(request.client_id.clone());
    act
}

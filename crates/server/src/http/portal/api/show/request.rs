//! Requests.

use serde::Serialize;
use utoipa::ToSchema;

use super::{ReportShown, id, time};
use crate::programme::request::{self, Change};
use crate::store::{self, ProgrammeRequest};

/// What a partner asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct Request {
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    kind: RequestKind,
    state: RequestState,
    /// Raised at each step. Whoever takes one says which version was seen.
    #[schema(minimum = 1)]
    version: i64,
    partner_id: String,
    /// The partner's name.
    partner: String,
    /// About which app: the one on staging, or the one on production that is to change.
    client_id: String,
    asked: AskedFor,
    /// Who asked, in words.
    asked_by: String,
    #[schema(format = DateTime)]
    asked_at: String,
    /// Who took the company's last step, in words.
    decided_by: Option<String>,
    #[schema(format = DateTime)]
    decided_at: Option<String>,
    /// What was written with that step.
    note: Option<String>,
    /// The app that came of it.
    made_client_id: Option<String>,
}

/// For what.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RequestKind {
    /// An app on production.
    Production,
    /// More scopes, or redirect URIs on new hosts, of an app on production.
    Change,
}

/// How a request stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RequestState {
    /// The company decides.
    Waiting,
    /// The partner answers first.
    AskedBack,
    Approved,
    Declined,
    /// Taken back by the partner.
    Withdrawn,
}

/// What the app is to be. Of a change, `name`, `website` and `support_contact` are those of the
/// moment at which it was asked: they change without a request.
#[derive(Serialize, ToSchema)]
struct AskedFor {
    name: String,
    website: Option<String>,
    support_contact: Option<String>,
    redirect_uris: Vec<String>,
    scopes: Vec<AskedScope>,
    /// Whom the company writes to.
    contact: String,
    /// What the app does, or what changed.
    message: String,
}

/// A scope, and why.
#[derive(Serialize, ToSchema)]
struct AskedScope {
    scope: String,
    /// In the partner's words; may be empty where the scope changes nothing.
    reason: String,
}

/// A request with all that a decision is made with.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneRequest {
    request: Request,
    difference: Difference,
    /// What the app on staging has shown so far.
    report: Option<ReportShown>,
}

/// What is, and what is to be; of a request that is over, what was asked for.
#[derive(Serialize, ToSchema)]
struct Difference {
    /// The hosts that codes go to.
    hosts: Vec<DifferenceItem>,
    redirect_uris: Vec<DifferenceItem>,
    scopes: Vec<DifferenceItem>,
}

/// One of them.
#[derive(Serialize, ToSchema)]
struct DifferenceItem {
    value: String,
    change: DifferenceChange,
}

/// What becomes of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DifferenceChange {
    Added,
    Removed,
    Stays,
}

/// A part of a list of requests.
#[derive(Serialize, ToSchema)]
pub(crate) struct Requests {
    pub(crate) items: Vec<Request>,
    /// The parameter `cursor` of the next part; none where this is the last.
    pub(crate) next_cursor: Option<String>,
}

impl OneRequest {
    pub(crate) fn of(
        request: &ProgrammeRequest,
        difference: &request::Difference,
        report: Option<ReportShown>,
    ) -> OneRequest {
        let items = |items: &[request::Item]| items.iter().map(DifferenceItem::from).collect();
        let difference = Difference {
            hosts: items(&difference.hosts),
            redirect_uris: items(&difference.redirect_uris),
            scopes: items(&difference.scopes),
        };
        OneRequest { request: request.into(), difference, report }
    }
}

impl From<&request::Item> for DifferenceItem {
    fn from(item: &request::Item) -> DifferenceItem {
        let change = match item.change {
            Change::Added => DifferenceChange::Added,
            Change::Removed => DifferenceChange::Removed,
            Change::Stays => DifferenceChange::Stays,
        };
        DifferenceItem { value: item.text.clone(), change }
    }
}

impl From<&ProgrammeRequest> for Request {
    fn from(request: &ProgrammeRequest) -> Request {
        let asked = &request.asked;
        let scope = |(scope, reason): &(String, String)| AskedScope {
            scope: scope.clone(),
            reason: reason.clone(),
        };
        Request {
            id: id(request.id),
            kind: match request.kind {
                store::RequestKind::Production => RequestKind::Production,
                store::RequestKind::Change => RequestKind::Change,
            },
            state: match request.state {
                store::RequestState::Waiting => RequestState::Waiting,
                store::RequestState::AskedBack => RequestState::AskedBack,
                store::RequestState::Approved => RequestState::Approved,
                store::RequestState::Declined => RequestState::Declined,
                store::RequestState::Withdrawn => RequestState::Withdrawn,
            },
            version: request.version,
            partner_id: id(request.partner_id),
            partner: request.partner.clone(),
            client_id: request.client_id.clone(),
            asked: AskedFor {
                name: asked.name.clone(),
                website: asked.website.clone(),
                support_contact: asked.support_contact.clone(),
                redirect_uris: asked.redirect_uris.clone(),
                scopes: asked.scopes.iter().map(scope).collect(),
                contact: asked.contact.clone(),
                message: asked.message.clone(),
            },
            asked_by: request.asked_by.clone(),
            asked_at: time(request.asked_at),
            decided_by: request.decided_by.clone(),
            decided_at: request.decided_at.map(time),
            note: request.note.clone(),
            made_client_id: request.made_client_id.clone(),
        }
    }
}

//! `grantor request`: what partners ask for, and an operator's decisions, as a manager makes them in
//! the portal.

use clap::Subcommand;
use serde::Serialize;
use uuid::Uuid;

use super::desk::{self, Desk};
use super::output::{Output, aligned, table, time};
use super::parts::{self, PART};
use super::place::Place;
use super::{Failure, report};
use crate::http::show;
use crate::programme::log::{self, Report};
use crate::programme::request::{self, Change, Decision, Difference};
use crate::programme::{Actor, app};
use crate::store::{ProgrammeRequest, RequestState};

/// Who does it, as the audit log shows it.
const COMMAND: &str = "grantor request";
const HINT: &str = "`grantor request list` shows those that wait; --state shows others";

/// The arguments of `grantor request`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List requests: those that wait, the oldest first
    List(List),
    /// Show one request, with what it would change and what the app has shown on staging
    #[command(
        after_help = "With --json: {\"request\":{..},\"difference\":{\"hosts\":[{\"value\",\"change\"}],\"redirect_uris\":[..],\"scopes\":[..]},\"report\":{..}}, as the portal's API answers GET /api/v1/requests/{id}"
    )]
    Show(One),
    /// Approve one: the production app is made, or widened, at once
    Approve(Decide),
    /// Decline one: nothing changes
    Decline(Decide),
    /// Ask the partner something about one first
    Ask(Decide),
}

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"requests\":[{\"id\",\"kind\",\"state\",\"version\",\"partner_id\",\"partner\",\"client_id\",\"asked\":{..},\"asked_by\",\"asked_at\",\"decided_by\",\"decided_at\",\"note\",\"made_client_id\"}]}, as the portal's API answers, with times as in 2026-11-27T12:00:00Z"
)]
struct List {
    /// Those in this state: waiting, asked_back, approved, declined or withdrawn
    #[arg(long, value_name = "STATE", value_parser = state, default_value = "waiting")]
    state: RequestState,
    /// Only those of this partner, by id or name
    #[arg(long)]
    partner: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
struct One {
    /// The request's id, as `request list` shows it
    #[arg(value_name = "REQUEST_ID")]
    id: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(after_help = "With --json: the request as `request list` shows it, as it stands now")]
struct Decide {
    /// The request's id, as `request list` shows it
    #[arg(value_name = "REQUEST_ID")]
    id: String,
    /// What the partner reads, in a mail and in the portal
    #[arg(long)]
    note: String,
    /// Only if the request still is what was read: its version, as `request show` shows it
    #[arg(long, value_name = "VERSION")]
    seen: Option<i64>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct RequestList {
    requests: Vec<show::Request>,
}

/// A request with all that a decision is made with.
struct Shown {
    request: ProgrammeRequest,
    difference: Difference,
    report: Option<(String, Report)>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.action {
        Action::List(list) => list.run().await,
        Action::Show(one) => one.show().await,
        Action::Approve(decide) => decide.run(Decision::Approve).await,
        Action::Decline(decide) => decide.run(Decision::Decline).await,
        Action::Ask(decide) => decide.run(Decision::AskBack).await,
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let desk = Desk::open(&self.place, COMMAND).await?;
        let actor = match &self.partner {
            Some(partner) => desk.behalf(partner).await?,
            None => desk.actor(),
        };
        let found = parts::all(async |last: Option<&ProgrammeRequest>| {
            let part = (last.map(|last| last.id), PART);
            request::list(&desk.site, &actor, Some(self.state), part).await
        })
        .await?;
        if found.is_empty() {
            self.output.say(&format!("There is no request that is {}.", words(self.state)));
        }
        let list = RequestList { requests: found.iter().map(show::Request::from).collect() };
        self.output.data(&list, |_| {
            let rows = found.iter().map(|request| {
                vec![
                    Uuid::from_bytes(request.id).to_string(),
                    request.asked.name.clone(),
                    request.partner.clone(),
                    request.kind.as_str().to_owned(),
                    request.client_id.clone(),
                    time(request.asked_at),
                ]
            });
            table(&["REQUEST ID", "APP", "PARTNER", "FOR", "CLIENT ID", "ASKED"], rows.collect())
        })
    }
}

impl One {
    async fn show(self) -> Result<(), Failure> {
        let desk = Desk::open(&self.place, COMMAND).await?;
        let actor = desk.actor();
        let request = find(&desk, &actor, &self.id).await?;
        let record = app::find(&desk.site, &actor, &request.client_id).await?;
        let report = log::shown_on_staging(&desk.site, &actor, &request, &record).await?;
        let difference = request::difference(&request, &record);
        let shown = report.as_ref().map(|(id, report)| show::ReportShown::of(id, report));
        let data = show::OneRequest::of(&request, &difference, shown);
        let shown = Shown { request, difference, report };
        self.output.data(&data, |_| shown.lines())
    }
}

impl Decide {
    async fn run(self, decision: Decision) -> Result<(), Failure> {
        let desk = Desk::open(&self.place, COMMAND).await?;
        let actor = desk.actor();
        let found = find(&desk, &actor, &self.id).await?;
        let version = self.seen.unwrap_or(found.version);
        let seen = ProgrammeRequest { version, ..found };
        request::decide(&desk.site, desk.portal()?, &actor, (&seen, decision), &self.note).await?;
        let now = request::find(&desk.site, &actor, seen.id).await?;
        self.output.data(&show::Request::from(&now), |_| {
            let mut lines = vec![
                ("request_id", Uuid::from_bytes(now.id).to_string()),
                ("state", words(now.state).to_owned()),
            ];
            lines.extend(now.made_client_id.iter().map(|id| ("client_id", id.clone())));
            aligned(&lines)
        })?;
        self.output.say(match decision {
            Decision::Approve => {
                "The partner is told by mail. The secret of a new app is made by the partner alone."
            }
            Decision::Decline => "The partner is told by mail, and can mend it and ask again.",
            Decision::AskBack => "The partner is asked by mail, and answers in the portal.",
        });
        Ok(())
    }
}

async fn find(desk: &Desk, actor: &Actor, id: &str) -> Result<ProgrammeRequest, Failure> {
    let found = request::find(&desk.site, actor, desk::id(id)?).await;
    found.map_err(desk::not_found(&format!("request {id}"), HINT))
}

impl Shown {
    fn lines(&self) -> String {
        let Shown { request, difference, .. } = self;
        let asked = &request.asked;
        let mut lines = vec![
            ("request_id", Uuid::from_bytes(request.id).to_string()),
            ("state", words(request.state).to_owned()),
            ("version", request.version.to_string()),
            ("for", request.kind.as_str().to_owned()),
            ("app", asked.name.clone()),
            ("partner", request.partner.clone()),
            ("client_id", request.client_id.clone()),
            ("asked", format!("{} by {}", time(request.asked_at), request.asked_by)),
            ("contact", asked.contact.clone()),
            ("message", asked.message.clone()),
        ];
        let changes = |name, items: &[request::Item]| {
            let line = |item: &request::Item| format!("{} {}", change(item.change), item.text);
            items.iter().map(|item| (name, line(item))).collect::<Vec<_>>()
        };
        lines.extend(changes("host", &difference.hosts));
        lines.extend(changes("redirect_uri", &difference.redirect_uris));
        lines.extend(changes("scope", &difference.scopes));
        let reasons = asked.scopes.iter().filter(|(_, reason)| !reason.is_empty());
        lines.extend(reasons.map(|(scope, reason)| ("reason", format!("{scope}: {reason}"))));
        if let (Some(by), Some(at)) = (&request.decided_by, request.decided_at) {
            lines.push(("decided", format!("{} by {by}", time(at))));
        }
        lines.extend(request.note.iter().map(|note| ("note", note.clone())));
        lines.extend(request.made_client_id.iter().map(|id| ("made_client_id", id.clone())));
        let mut text = aligned(&lines);
        if let Some((client_id, report)) = &self.report {
            text += &format!("\nWhat {client_id} has shown on staging:\n{}", report::lines(report));
        }
        text
    }
}

/// What becomes of something, in a word of one width.
fn change(change: Change) -> &'static str {
    match change {
        Change::Added => "new  ",
        Change::Removed => "gone ",
        Change::Stays => "stays",
    }
}

fn words(state: RequestState) -> &'static str {
    match state {
        RequestState::Waiting => "waiting",
        RequestState::AskedBack => "asked back",
        RequestState::Approved => "approved",
        RequestState::Declined => "declined",
        RequestState::Withdrawn => "withdrawn",
    }
}

fn state(text: &str) -> Result<RequestState, String> {
    RequestState::parse(text)
        .ok_or_else(|| "waiting, asked_back, approved, declined or withdrawn".to_owned())
}

//! `grantor log`: the calls of one client as its partner sees them, and the one of a request id.

use serde::Serialize;

use super::Failure;
use super::desk::Desk;
use super::output::{Output, aligned, table};
use super::place::Place;
use crate::http::show;
use crate::programme::log;
use crate::store::{ClientRecord, LoggedCall};

/// No list is longer.
const MAX_LIST: i64 = 10_000;

/// The arguments of `grantor log`.
#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"calls\":[{\"request_id\",\"client_id\",\"called_at\",\"called_in\",\"endpoint\",\"grant_type\",\"outcome\",\"status\",\"cause\",\"proved\",\"parameters\",\"other_parameters\",\"network\",\"microseconds\",\"trial\"}],\"not_kept\"}, each as the portal's API answers; with --request-id: {\"calls\":[{\"call\":{..},\"done_right\"}]}"
)]
pub(super) struct Arguments {
    /// The client's id; with --request-id it may be left out
    #[arg(value_name = "CLIENT_ID", required_unless_present = "request_id")]
    client_id: Option<String>,
    /// The call of this request id alone, and how it would have been right
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// So many at most, the newest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=MAX_LIST))]
    limit: i64,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct CallList {
    calls: Vec<show::Call>,
    not_kept: Option<show::NotKept>,
}

#[derive(Serialize)]
struct FoundCalls {
    calls: Vec<show::OneCall>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let desk = Desk::open(&arguments.place, "grantor log").await?;
    let record = match &arguments.client_id {
        Some(id) => Some(desk.client(id).await?),
        None => None,
    };
    match (&arguments.request_id, &record) {
        (Some(request_id), _) => arguments.find(&desk, request_id, record.as_ref()).await,
        (None, Some(record)) => arguments.list(&desk, record).await,
        (None, None) => Err(Failure::mendable("name a client, or a request id")),
    }
}

impl Arguments {
    async fn list(&self, desk: &Desk, record: &ClientRecord) -> Result<(), Failure> {
        let (mut calls, mut not_kept): (Vec<LoggedCall>, _) = (Vec::new(), None);
        let (actor, wanted) = (desk.actor(), usize::try_from(self.limit).unwrap_or(usize::MAX));
        // In parts: no statement is as long as the log.
        while calls.len() < wanted {
            let left = i64::try_from(wanted - calls.len()).unwrap_or(i64::MAX);
            let before = calls.last().map(LoggedCall::cursor);
            let limit = left.min(super::parts::PART);
            let (part, seen) =
                log::newest(&desk.site, &actor, record, before.as_ref(), limit).await?;
            not_kept = seen;
            if part.is_empty() {
                break;
            }
            calls.extend(part);
        }
        if calls.is_empty() {
            self.output.say("There is no call in the log of this client.");
        } else if calls.len() == wanted {
            self.output.say("There may be more: --limit shows them.");
        }
        let id = &record.client.id;
        let shown = calls.iter().map(|call| show::Call::of(&desk.site, id, call));
        let list = CallList { calls: shown.collect(), not_kept: not_kept.map(show::NotKept::from) };
        self.output.data(&list, |_| {
            table(
                &["CALLED", "REQUEST ID", "ENDPOINT", "OUTCOME", "STATUS", "WHY", "PROVED"],
                calls.iter().map(row).collect(),
            )
        })
    }

    async fn find(
        &self,
        desk: &Desk,
        request_id: &str,
        of: Option<&ClientRecord>,
    ) -> Result<(), Failure> {
        let mut found = log::find(&desk.site, &desk.actor(), request_id).await?;
        found.retain(|(client_id, _)| of.is_none_or(|record| record.client.id == *client_id));
        if found.is_empty() {
            return Err(Failure::mendable(format!("no call of {request_id:?} is in the log"))
                .hint("a call is there a second after its answer, until the log forgets it"));
        }
        let mut calls = Vec::new();
        for (client_id, call) in &found {
            let record = desk.client(client_id).await?;
            let done_right = log::done_right(&desk.site, &record, call);
            calls.push((client_id, call, done_right));
        }
        let shown = calls.iter().map(|(client_id, call, done_right)| {
            let call = show::Call::of(&desk.site, client_id, call);
            show::OneCall::of(call, done_right.clone())
        });
        let shown = FoundCalls { calls: shown.collect() };
        self.output.data(&shown, |_| {
            let each = calls.iter().map(|(client_id, call, done_right)| {
                format!("{}\n{done_right}\n", lines(client_id, call))
            });
            each.collect::<Vec<_>>().join("\n")
        })
    }
}

fn row(call: &LoggedCall) -> Vec<String> {
    vec![
        moment(call),
        call.request_id.clone(),
        call.endpoint.path().to_owned(),
        call.outcome.as_str().to_owned(),
        call.status.to_string(),
        call.cause.as_ref().map(|cause| cause.words.clone()).unwrap_or_default(),
        if call.proved { "yes" } else { "no" }.to_owned(),
    ]
}

fn lines(client_id: &str, call: &LoggedCall) -> String {
    let mut lines = vec![
        ("request_id", call.request_id.clone()),
        ("client_id", client_id.to_owned()),
        ("called", format!("{} in {}", moment(call), call.called_in)),
        ("endpoint", call.endpoint.path().to_owned()),
        ("outcome", format!("{}, HTTP {}", call.outcome.as_str(), call.status)),
    ];
    lines.extend(call.cause.iter().map(|cause| ("why", cause.words.clone())));
    let proved = if call.proved { "yes" } else { "no: anybody may have sent it" };
    lines.push(("proved", proved.to_owned()));
    lines.extend(call.parameters.named.iter().map(|sent| {
        let place = if sent.in_url { " (in the URL)" } else { "" };
        let value = sent.value.as_deref().unwrap_or("(not kept)");
        ("parameter", format!("{}{place}: {value}", sent.name))
    }));
    lines.extend(call.network.iter().map(|network| ("network", network.clone())));
    aligned(&lines)
}

fn moment(call: &LoggedCall) -> String {
    super::output::time(call.called_at_millis.div_euclid(1000))
}

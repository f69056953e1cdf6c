//! `grantor activity`: what people and commands did, from the audit log.

use std::io::Write as _;

use serde::Serialize;

use super::desk::{self, Desk};
use super::output::{Output, table, time};
use super::parts::PART;
use super::place::Place;
use super::{Failure, partner};
use crate::http::show;
use crate::programme::listing;
use crate::store::{AuditEntry, AuditOf};

/// No list is longer; an export is.
const MAX_LIST: i64 = 10_000;

/// The arguments of `grantor activity`.
#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"entries\":[{\"number\",\"at\",\"actor\",\"actor_id\",\"act\",\"partner_id\",\"client_id\",\"detail\",\"previous\",\"hash\"}]}, each as the portal's API answers; with --export: one entry a line, the oldest first"
)]
pub(super) struct Arguments {
    /// Only what concerns this client
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    /// Only what concerns this partner, by id or name
    #[arg(long, conflicts_with = "client")]
    partner: Option<String>,
    /// So many at most, the newest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=MAX_LIST))]
    limit: i64,
    /// Write all of it as JSON lines, the oldest first
    #[arg(long, conflicts_with = "limit")]
    export: bool,
    /// Export only what came behind the entry of this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0, requires = "export", value_parser = clap::value_parser!(i64).range(0..))]
    after: i64,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct EntryList {
    entries: Vec<show::Entry>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let desk = Desk::open(&arguments.place, "grantor activity").await?;
    let of = match (&arguments.client, &arguments.partner) {
        (Some(id), _) => AuditOf::Client(desk.client(id).await?.client.id),
        (None, Some(wanted)) => AuditOf::Partner(partner::find(&desk.opened, wanted).await?.id),
        (None, None) => AuditOf::Everybody,
    };
    match arguments.export {
        true => export(&desk, &of, arguments.after).await,
        false => arguments.list(&desk, &of).await,
    }
}

impl Arguments {
    async fn list(&self, desk: &Desk, of: &AuditOf) -> Result<(), Failure> {
        let mut entries: Vec<AuditEntry> = Vec::new();
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        while entries.len() < wanted {
            let left = i64::try_from(wanted - entries.len()).unwrap_or(i64::MAX);
            let before = entries.last().map(|last| last.number);
            let part = listing::audit(&desk.site, of, (before, left.min(PART))).await?;
            if part.is_empty() {
                break;
            }
            entries.extend(part);
        }
        if entries.is_empty() {
            self.output.say("Nothing was done yet.");
        } else if entries.len() == wanted {
            self.output.say("There may be more: --limit shows them, --export writes all.");
        }
        let list = EntryList { entries: entries.iter().map(show::Entry::from).collect() };
        self.output.data(&list, |_| {
            let rows = entries.iter().map(|entry| {
                vec![
                    entry.number.to_string(),
                    time(entry.at),
                    entry.act.clone(),
                    entry.actor.clone(),
                    entry.client_id.clone().unwrap_or_default(),
                    entry.detail.clone(),
                ]
            });
            table(&["NUMBER", "WHEN", "ACT", "BY", "CLIENT ID", "DETAIL"], rows.collect())
        })
    }
}

/// Writes while it reads, so that a long log is never held as a whole.
async fn export(desk: &Desk, of: &AuditOf, mut after: i64) -> Result<(), Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    loop {
        let entries = desk.opened.store.audit_behind(of, after, PART).await?;
        let Some(last) = entries.last() else { break };
        after = last.number;
        for entry in &entries {
            let line = serde_json::to_string(&show::Entry::from(entry))
                .map_err(|error| Failure::unexplained("an entry is no JSON").because(&error))?;
            if let Some(end) = desk::written(writeln!(out, "{line}")) {
                return end;
            }
        }
    }
    desk::written(out.flush()).unwrap_or(Ok(()))
}

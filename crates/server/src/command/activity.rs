//! `grantor activity`: what people and commands did, from the audit log. It only reads rows, so it needs
//! neither a portal nor the master key: commands note what they do without them, too.

use std::io::Write as _;

use serde::Serialize;
use uuid::Uuid;

use super::desk;
use super::output::{Output, json, table, time};
use super::parts::PART;
use super::place::{Opened, Place};
use super::{Failure, partner};
use crate::http::show;
use crate::store::{AuditEntry, AuditOf, COMPANY_ID};

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
    let opened = arguments.place.open().await?;
    let of = match (&arguments.client, &arguments.partner) {
        (Some(id), _) => of_client(&opened, id).await?,
        (None, Some(wanted)) => of_partner(&opened, wanted).await?,
        (None, None) => AuditOf::Everybody,
    };
    match arguments.export {
        true => export(&opened, &of, arguments.after).await,
        false => arguments.list(&opened, &of).await,
    }
}

/// A client of either environment or of the portal, or one that is there no more and left entries.
async fn of_client(opened: &Opened, id: &str) -> Result<AuditOf, Failure> {
    let of = AuditOf::Client(id.to_owned());
    let is_known = opened.store.client(id).await?.is_some()
        || !opened.store.audit(&of, None, 1).await?.is_empty();
    if !is_known {
        return Err(Failure::mendable(format!("there is no client {id:?}"))
            .hint("`grantor client list` shows all but those of the portal"));
    }
    Ok(of)
}

/// A partner, or by its id the company itself, which has API clients too.
async fn of_partner(opened: &Opened, wanted: &str) -> Result<AuditOf, Failure> {
    if Uuid::parse_str(wanted).is_ok_and(|id| id.into_bytes() == COMPANY_ID) {
        return Ok(AuditOf::Partner(COMPANY_ID));
    }
    Ok(AuditOf::Partner(partner::find(opened, wanted).await?.id))
}

impl Arguments {
    async fn list(&self, opened: &Opened, of: &AuditOf) -> Result<(), Failure> {
        let mut entries: Vec<AuditEntry> = Vec::new();
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        while entries.len() < wanted {
            let left = i64::try_from(wanted - entries.len()).unwrap_or(i64::MAX);
            let before = entries.last().map(|last| last.number);
            let part = opened.store.audit(of, before, left.min(PART)).await?;
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
async fn export(opened: &Opened, of: &AuditOf, mut after: i64) -> Result<(), Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    loop {
        let entries = opened.store.audit_behind(of, after, PART).await?;
        let Some(last) = entries.last() else { break };
        after = last.number;
        for entry in &entries {
            let line = json(&show::Entry::from(entry))?;
            if let Some(end) = desk::written(writeln!(out, "{}", *line)) {
                return end;
            }
        }
    }
    desk::written(out.flush()).unwrap_or(Ok(()))
}

//! `grantor report`: what the calls of a client have shown so far, as its partner sees it.

use grantor_protocol::integration_report::LineState;

use super::Failure;
use super::desk::Desk;
use super::output::{Output, table, time};
use super::place::Place;
use crate::http::show;
use crate::programme::log::{self, Report};

/// The arguments of `grantor report`.
#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"client_id\",\"lines\":[{\"subject\",\"title\",\"state\",\"at\",\"violated_at\",\"proved\",\"how\"}],\"not_kept\"}, as the portal's API answers GET /api/v1/apps/{id}/report; state is green, open or red"
)]
pub(super) struct Arguments {
    /// The client's id
    #[arg(value_name = "CLIENT_ID")]
    client_id: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let desk = Desk::open(&arguments.place, "grantor report").await?;
    let record = desk.client(&arguments.client_id).await?;
    let report = log::report(&desk.site, &desk.actor(), &record).await?;
    let shown = show::ReportShown::of(&record.client.id, &report);
    arguments.output.data(&shown, |_| lines(&report))?;
    if let Some(seen) = report.not_kept {
        arguments.output.say(&format!("{} calls were not kept under load.", seen.count));
    }
    Ok(())
}

/// One line for each.
pub(super) fn lines(report: &Report) -> String {
    let rows = report.lines.iter().map(|line| {
        let (state, at) = match line.state {
            LineState::Green { at } => ("shown", Some(at)),
            LineState::Open => ("open", None),
            LineState::Red { at, proved: true } => ("broken", Some(at)),
            LineState::Red { at, proved: false } => ("broken, perhaps by others", Some(at)),
        };
        let at = at.map_or_else(|| "-".to_owned(), time);
        vec![state.to_owned(), line.subject.title().to_owned(), at]
    });
    table(&["STATE", "WHAT", "WHEN"], rows.collect())
}

//! What came of a run, for people: a page of each route and visitor, the slowest first.

use std::fmt::Write as _;

use super::Programme;
use super::watch::Row;

/// What a page may take, in milliseconds.
const MOST_MS: f64 = 100.0;

/// All of it as Markdown.
pub(super) fn markdown(programme: &Programme) -> String {
    let mut text = String::new();
    // Writing into a text cannot fail.
    let _ = rows(programme, &mut text);
    text
}

fn rows(programme: &Programme, text: &mut String) -> std::fmt::Result {
    let counted = programme.rows_of.iter().map(|(table, rows)| format!("{table} {rows}"));
    let counted = counted.collect::<Vec<_>>().join(", ");
    writeln!(text, "Rows: {counted}; {:.0} MiB.\n", programme.database_mib)?;
    writeln!(text, "| engine | route | who | part | p50 ms | max ms | KiB |")?;
    writeln!(text, "| --- | --- | --- | ---: | ---: | ---: | ---: |")?;
    for row in slowest(&programme.pages) {
        let part = match row.parts {
            1 => "-".to_owned(),
            parts => format!("{} of {parts}", row.part),
        };
        writeln!(
            text,
            "| {} | `{}`{} | {} | {part} | {:.1} | {:.1} | {:.0} |",
            programme.engine,
            row.route,
            asked(row),
            row.who,
            row.p50_ms,
            row.max_ms,
            row.bytes as f64 / 1024.0,
        )?;
    }
    writeln!(text, "\n| engine | download | who | first byte ms | whole ms | MiB |")?;
    writeln!(text, "| --- | --- | --- | ---: | ---: | ---: |")?;
    for row in &programme.downloads {
        writeln!(
            text,
            "| {} | `{}` | {} | {:.1} | {:.0} | {:.1} |",
            programme.engine, row.route, row.who, row.first_byte_ms, row.whole_ms, row.mib,
        )?;
    }
    let slow = programme.pages.iter().filter(|row| row.max_ms > MOST_MS).count();
    let all = programme.pages.len();
    writeln!(text, "\n{slow} of {all} pages took longer than {MOST_MS} ms, even once.")?;
    let checks = programme.doctor["checks"].as_array().into_iter().flatten();
    for check in checks.filter(|check| check["state"] != "note") {
        let part = |name: &str| check[name].as_str().unwrap_or_default();
        // The folder of a run says nothing.
        if ["keys", "audit log", "outbox"].contains(&part("check")) {
            writeln!(text, "doctor: {}, {}: {}", part("state"), part("check"), part("words"))?;
        }
    }
    Ok(())
}

/// Of each route the slowest row: which parts and visitors there were stands in the JSON.
fn slowest(pages: &[Row]) -> Vec<&Row> {
    let mut shown: Vec<&Row> = Vec::new();
    for row in pages {
        if !shown.iter().any(|other| other.route == row.route) {
            shown.push(row);
        }
    }
    shown
}

/// What was asked for in the query, where it says more than the part.
fn asked(row: &Row) -> String {
    let query = row.target.split_once('?').map_or("", |(_, query)| query);
    let says_more = ["q=", "request_id=", "state="].iter().any(|name| query.starts_with(name));
    let first = query.split('&').next().unwrap_or_default();
    if says_more { format!(" `?{first}`") } else { String::new() }
}

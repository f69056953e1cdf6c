//! The table, as aligned text and as Markdown.

use super::{Report, Row};

const HEAD: [&str; 13] = [
    "engine",
    "workload",
    "conn",
    "req/s",
    "p50 ms",
    "p99 ms",
    "cpu us",
    "x floor",
    "db us",
    "commits/s",
    "req/commit",
    "bytes",
    "MiB",
];

/// As aligned text, with the targets below.
pub(super) fn table(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report.rows.iter().map(cells).collect();
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(String::len);
        cells.chain([HEAD[at].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            if at < 2 { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        });
        padded.collect::<Vec<_>>().join("  ")
    };
    let mut lines = vec![line(&HEAD.map(str::to_owned))];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.push(String::new());
    lines.extend(report.targets.iter().map(|target| {
        let verdict = if target.holds { "holds " } else { "MISSED" };
        format!("{verdict}  {}: {:.2} (target {})", target.name, target.measured, target.target)
    }));
    lines.join("\n")
}

/// As Markdown.
pub(super) fn markdown(report: &Report) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&HEAD.map(str::to_owned));
    text.push_str("| --- | --- |");
    text.push_str(&" ---: |".repeat(HEAD.len() - 2));
    text.push('\n');
    for row in &report.rows {
        text.push_str(&line(&cells(row)));
    }
    text.push_str("\n| target | wanted | measured | |\n| --- | ---: | ---: | --- |\n");
    for target in &report.targets {
        let verdict = if target.holds { "holds" } else { "**missed**" };
        text.push_str(&format!(
            "| {} | {} | {:.2} | {verdict} |\n",
            target.name, target.target, target.measured
        ));
    }
    text
}

fn cells(row: &Row) -> Vec<String> {
    let maybe = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let cell = &row.cell;
    vec![
        row.engine.to_owned(),
        row.workload.to_owned(),
        row.connections.to_string(),
        format!("{:.0}", cell.requests_per_second),
        format!("{:.2}", cell.p50_ms),
        format!("{:.2}", cell.p99_ms),
        format!("{:.1}", cell.server_cpu_us),
        maybe(row.ratio_to_floor, 2),
        maybe(cell.database_cpu_us, 1),
        maybe(cell.commits_per_second, 0),
        maybe(cell.requests_per_commit, 1),
        format!("{:.0}", cell.written_bytes),
        format!("{:.0}", cell.resident_mib),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn every_line_has_every_column() {
        let report = report();
        let text = table(&report);
        let lines: Vec<&str> = text.lines().take(5).collect();
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{text}");
        assert!(text.contains("MISSED  refresh on sqlite"), "{text}");
        for line in markdown(&report).lines().take(6) {
            assert_eq!(line.matches('|').count(), HEAD.len() + 1, "{line}");
        }
    }
}

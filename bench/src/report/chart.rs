//! The chart: processor time for a request, with the floor's beside it, at the highest load.
//!
//! An SVG of text and rectangles. Its colours follow the reader's preference for light or dark, and
//! every bar has its number, so that colour carries no meaning alone.

use std::fmt::Write as _;

use super::{Report, Row};
use crate::workload::Workload;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 150.0;
const BAR: f64 = 16.0;
const GROUP: f64 = 54.0;
const TOP: f64 = 84.0;

const STYLE: &str = "text { font: 14px system-ui, sans-serif; fill: #1c1c1c } \
    .title { font-size: 17px; font-weight: 600 } .quiet { fill: #5a5a5a; font-size: 12px } \
    .ground { fill: #ffffff } .server { fill: #2457a6 } .floor { fill: #a9a9a9 } \
    @media (prefers-color-scheme: dark) { text { fill: #ececec } .quiet { fill: #b0b0b0 } \
    .ground { fill: #16181c } .server { fill: #7aa7f0 } .floor { fill: #6f747c } }";

/// Draws the rows with the most connections.
pub(super) fn chart(report: &Report) -> String {
    let most = report.rows.iter().map(|row| row.connections).max().unwrap_or_default();
    let shown: Vec<&Row> =
        report.rows.iter().filter(|row| row.connections == most && !is_floor(row)).collect();
    let longest = shown
        .iter()
        .flat_map(|row| [row.cell.server_cpu_us, row.floor_cpu_us.unwrap_or(0.0)])
        .fold(1.0, f64::max);
    let height = TOP + GROUP * shown.len() as f64 + 20.0;
    let title = format!("Server CPU for a request, {most} connections");
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n\
         <style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"title\" x=\"20\" y=\"32\">{title}</text>\n\
         <text class=\"quiet\" x=\"20\" y=\"54\">Microseconds; below each bar the floor: a bare \
         server that does as much to the database. {} cores.</text>\n",
        report.cores
    );
    for (at, row) in shown.into_iter().enumerate() {
        group(&mut svg, row, TOP + GROUP * at as f64, longest);
    }
    svg.push_str("</svg>\n");
    svg
}

fn group(svg: &mut String, row: &Row, top: f64, longest: f64) {
    let name = escape(&format!("{}, {}", row.workload, row.engine));
    let ratio =
        row.ratio_to_floor.map_or_else(String::new, |ratio| format!(" = {ratio:.2} × floor"));
    let scale = (WIDTH - LEFT - RIGHT) / longest;
    let mut bar = |class: &str, at: f64, value: f64, more: &str| {
        let (length, base) = (value * scale, at + BAR - 3.0);
        // Where the bar ends far right, its words stand inside the margin that is left for them.
        let label = LEFT + length + 6.0;
        // Writing to a String does not fail.
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{at:.1}\" width=\"{length:.1}\" \
             height=\"{BAR}\"/>\n<text class=\"quiet\" x=\"{label:.1}\" y=\"{base:.1}\">\
             {value:.1}{}</text>",
            escape(more)
        );
    };
    bar("server", top, row.cell.server_cpu_us, &ratio);
    if let Some(floor) = row.floor_cpu_us {
        bar("floor", top + BAR + 3.0, floor, "");
    }
    let base = top + BAR + 6.0;
    let _ = writeln!(svg, "<text x=\"20\" y=\"{base:.1}\">{name}</text>");
}

fn is_floor(row: &Row) -> bool {
    [Workload::FloorGet, Workload::FloorWrite, Workload::FloorRead]
        .iter()
        .any(|floor| floor.name() == row.workload)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn what_stands_in_a_chart_is_escaped() {
        assert_eq!(escape("a<b & \"c\">"), "a&lt;b &amp; &quot;c&quot;&gt;");
        let mut report = report();
        report.rows[3].workload = "<b>&";
        let svg = chart(&report);
        assert!(svg.contains("&lt;b&gt;&amp;, sqlite"), "{svg}");
        assert!(!svg.contains("<b>"), "{svg}");
    }

    #[test]
    fn a_bar_is_as_long_as_its_number_and_stays_inside() {
        let svg = chart(&report());
        assert!(svg.contains("width=\"380.0\""), "the longest: {svg}");
        assert!(svg.contains("width=\"190.0\""), "its floor, half as long: {svg}");
        assert!(svg.contains("40.0 = 2.00 × floor"), "{svg}");
    }
}

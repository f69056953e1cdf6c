//! What is told of a run: rows, and whether the targets hold.
//!
//! `table.rs` writes it for people, `chart.rs` draws it, and the JSON is the [`Report`] itself.

mod chart;
mod table;

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::database::Engine;
use crate::failure::Failure;
use crate::measure::Cell;
use crate::workload::Workload;

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether the windows were short.
    pub(crate) quick: bool,
    /// How many cores there were, for servers, database and client together.
    pub(crate) cores: usize,
    /// What the server logged: an operator's default.
    pub(crate) log_level: &'static str,
    pub(crate) rows: Vec<Row>,
    pub(crate) targets: Vec<Target>,
}

/// One cell of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) workload: &'static str,
    pub(crate) engine: &'static str,
    pub(crate) connections: usize,
    #[serde(flatten)]
    pub(crate) cell: Cell,
    /// The floor's processor time for a request, at as many connections, in microseconds.
    pub(crate) floor_cpu_us: Option<f64>,
    /// The server's processor time over the floor's. A floor is 1.
    pub(crate) ratio_to_floor: Option<f64>,
    #[serde(skip)]
    kind: Workload,
}

/// What was to be reached, and what was.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) measured: f64,
    pub(crate) holds: bool,
}

/// Says something to whoever watches.
pub(crate) fn say(words: &str) {
    anstream::eprintln!("{words}");
}

/// Prints what was asked for.
pub(crate) fn print(text: &str) {
    anstream::println!("{text}");
}

impl Row {
    /// Before it is compared.
    pub(crate) fn new(kind: Workload, engine: Engine, connections: usize, cell: Cell) -> Row {
        let (workload, engine) = (kind.name(), engine.name());
        Row { workload, engine, connections, cell, floor_cpu_us: None, ratio_to_floor: None, kind }
    }

    /// One line while the run goes on.
    pub(crate) fn progress(&self) -> String {
        format!(
            "{} {} x{}: {:.0}/s, {:.1} us",
            self.engine,
            self.workload,
            self.connections,
            self.cell.requests_per_second,
            self.cell.server_cpu_us
        )
    }
}

impl Target {
    /// At most this much.
    pub(crate) fn at_most(name: impl Into<String>, most: f64, measured: f64) -> Target {
        let (name, target) = (name.into(), format!("<= {most}"));
        Target { name, target, measured, holds: measured <= most }
    }

    /// At least this much.
    pub(crate) fn at_least(name: impl Into<String>, least: f64, measured: f64) -> Target {
        let (name, target) = (name.into(), format!(">= {least}"));
        Target { name, target, measured, holds: measured >= least }
    }
}

impl Report {
    /// An empty one.
    pub(crate) fn new(quick: bool) -> Report {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Report { quick, cores, log_level: "info", rows: Vec::new(), targets: Vec::new() }
    }

    /// Takes over what another engine's run measured.
    pub(crate) fn add(&mut self, other: Report) {
        self.rows.extend(other.rows);
        self.targets.extend(other.targets);
    }

    /// Holds each row against its floor, and all of them against the targets.
    pub(crate) fn compare(&mut self) {
        let floors = self.rows.clone();
        for row in &mut self.rows {
            let floor = floors.iter().find(|floor| {
                (floor.engine, floor.connections) == (row.engine, row.connections)
                    && floor.kind == row.kind.floor()
            });
            row.floor_cpu_us = floor.map(|floor| floor.cell.server_cpu_us);
            row.ratio_to_floor =
                row.floor_cpu_us.filter(|cpu| *cpu > 0.0).map(|cpu| row.cell.server_cpu_us / cpu);
        }
        self.targets = self.rows.iter().filter_map(ratio_target).collect();
        let group_commit: Vec<Target> =
            self.rows.iter().flat_map(|row| self.grouping(row)).collect();
        self.targets.extend(group_commit);
    }

    /// What group commit has to give at 64 connections on SQLite.
    fn grouping(&self, row: &Row) -> Vec<Target> {
        let spends = matches!(row.kind, Workload::Exchange | Workload::Refresh);
        if !spends || row.connections != 64 || row.engine != Engine::Sqlite.name() {
            return Vec::new();
        }
        let one = |other: &&Row| other.kind == row.kind && other.connections == 1;
        let one = self.rows.iter().filter(|other| other.engine == row.engine).find(one);
        let name = row.workload;
        let times = one.map(|one| {
            let times = row.cell.requests_per_second / one.cell.requests_per_second;
            Target::at_least(format!("{name}: throughput at 64 over 1 connection"), 4.0, times)
        });
        let grouped = row.cell.requests_per_commit.map(|requests| {
            Target::at_least(format!("{name}: requests a commit at 64 connections"), 16.0, requests)
        });
        times.into_iter().chain(grouped).collect()
    }

    /// As text for people.
    pub(crate) fn table(&self) -> String {
        table::table(self)
    }

    /// Writes the files that were asked for.
    pub(crate) fn write(
        &self,
        json: Option<&Path>,
        chart: Option<&Path>,
        markdown: Option<&Path>,
    ) -> Result<(), Failure> {
        let write = |path: Option<&Path>, text: &dyn Fn() -> String| match path {
            Some(path) => fs::write(path, text())
                .map_err(Failure::io(format!("{} was not written", path.display()))),
            None => Ok(()),
        };
        write(json, &|| {
            let text = serde_json::to_string_pretty(self).unwrap_or_default();
            format!("{text}\n")
        })?;
        write(chart, &|| chart::chart(self))?;
        write(markdown, &|| table::markdown(self))
    }
}

/// The ratio that the three endpoints of the hot path have to keep. It is told at the highest load:
/// that is where processor time is what limits.
fn ratio_target(row: &Row) -> Option<Target> {
    let hot = matches!(row.kind, Workload::Exchange | Workload::Refresh | Workload::Introspection);
    if !hot || row.connections != 64 {
        return None;
    }
    let name = format!("{} on {}: processor time over the floor's", row.workload, row.engine);
    Some(Target::at_most(name, 1.5, row.ratio_to_floor?))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(kind: Workload, connections: usize, cpu: f64, per_second: f64) -> Row {
        let cell = Cell {
            server_cpu_us: cpu,
            requests_per_second: per_second,
            requests_per_commit: Some(20.0),
            ..Cell::default()
        };
        Row::new(kind, Engine::Sqlite, connections, cell)
    }

    pub(crate) fn report() -> Report {
        let mut report = Report::new(true);
        report.rows = vec![
            row(Workload::FloorWrite, 1, 100.0, 1000.0),
            row(Workload::Refresh, 1, 130.0, 900.0),
            row(Workload::FloorWrite, 64, 20.0, 20_000.0),
            row(Workload::Refresh, 64, 40.0, 9000.0),
        ];
        report.compare();
        report
    }

    #[test]
    fn a_row_is_held_against_the_floor_at_as_many_connections() {
        let report = report();
        assert_eq!(report.rows[1].ratio_to_floor, Some(1.3));
        assert_eq!(report.rows[3].ratio_to_floor, Some(2.0));
        assert_eq!(report.rows[2].ratio_to_floor, Some(1.0));
        let held: Vec<(f64, bool)> =
            report.targets.iter().map(|target| (target.measured, target.holds)).collect();
        assert_eq!(held, [(2.0, false), (10.0, true), (20.0, true)]);
    }

    #[test]
    fn the_json_has_the_names_that_scripts_read() {
        let json = serde_json::to_value(report()).unwrap();
        let row = json["rows"][1].as_object().unwrap();
        for name in [
            "workload",
            "engine",
            "connections",
            "requests_per_second",
            "p50_ms",
            "p99_ms",
            "server_cpu_us",
            "ratio_to_floor",
        ] {
            assert!(row.contains_key(name), "{name}");
        }
        assert_eq!(row["workload"], "refresh");
    }
}

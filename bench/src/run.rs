//! The table: every workload at every number of connections, each beside its floor.

use std::time::Duration;

use crate::database::Engine;
use crate::failure::Failure;
use crate::measure::{Window, measure};
use crate::report::{Report, Row, say};
use crate::stage::Stage;
use crate::workload::Workload;

/// A floor stands before those that are held against it, so that both see the same machine.
const ORDER: [Workload; 15] = [
    Workload::FloorGet,
    Workload::Discovery,
    Workload::Jwks,
    Workload::ClientCredentials,
    Workload::ClientCredentialsSigned,
    Workload::HugeUnread,
    Workload::HugeScope,
    Workload::FloorWrite,
    Workload::Refresh,
    Workload::Exchange,
    Workload::ExchangeDpop,
    Workload::Authorize,
    Workload::FloorRead,
    Workload::Introspection,
    Workload::IntrospectionSigned,
];

/// The arguments of a run, as far as they choose what is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// Fewer cells, and shorter ones.
    pub(crate) quick: bool,
    /// Only this workload and its floor.
    pub(crate) only: Option<&'a str>,
    /// Only this many connections.
    pub(crate) connections: Option<usize>,
    /// How long a cell is measured, in seconds.
    pub(crate) seconds: Option<f64>,
}

impl Scope<'_> {
    fn window(&self) -> Window {
        let (warm_up, measured) = if self.quick { (300, 1000) } else { (500, 3000) };
        let chosen = self.seconds.map(Duration::from_secs_f64);
        Window {
            warm_up: Duration::from_millis(warm_up),
            measured: chosen.unwrap_or(Duration::from_millis(measured)),
        }
    }

    fn connections(&self) -> Vec<usize> {
        match self.connections {
            Some(chosen) => vec![chosen],
            None if self.quick => vec![1, 64],
            None => vec![1, 16, 64],
        }
    }

    fn has(&self, workload: Workload) -> bool {
        let chosen = |name: &str| {
            ORDER
                .into_iter()
                .any(|one| one.name() == name && (one == workload || one.floor() == workload))
        };
        self.only.is_none_or(chosen)
    }
}

/// Measures one engine.
pub(crate) async fn run(
    stage: &Stage,
    engine: Engine,
    scope: Scope<'_>,
) -> Result<Report, Failure> {
    let window = scope.window();
    let mut report = Report::new(scope.quick);
    for connections in scope.connections() {
        for workload in ORDER {
            if !scope.has(workload) {
                continue;
            }
            let span = window.warm_up + window.measured;
            let requests = stage.requests(workload, connections, span).await?;
            let cell = measure(&stage.subject(workload), requests, window).await?;
            let row = Row::new(workload, engine, connections, cell);
            say(&row.progress());
            report.rows.push(row);
        }
    }
    report.compare();
    Ok(report)
}

//! Asks at every route, and measures.

use std::time::Duration;

use serde::Serialize;

use super::fill::Filled;
use super::ground::Ground;
use super::tour::{self, How, Look, Who};
use super::visitor::{DEVELOPER, MANAGER, OPERATOR, OWNER, Visitor};
use crate::failure::Failure;
use crate::report::say;
use crate::server::Server;

/// How often each page is asked for, after once that does not count.
const TIMES: usize = 20;
/// No list has more parts.
const MOST_PARTS: usize = 5_000;

/// One page, by one visitor.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// As the table of the portal names it.
    pub(super) route: String,
    pub(super) who: &'static str,
    pub(super) target: String,
    /// Which part of a list, of how many; 1 of 1 for a page that is none.
    pub(super) part: usize,
    pub(super) parts: usize,
    pub(super) status: u16,
    pub(super) p50_ms: f64,
    pub(super) max_ms: f64,
    pub(super) bytes: usize,
}

/// An answer that is as long as the log, by one visitor.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Download {
    pub(super) route: String,
    pub(super) who: &'static str,
    pub(super) first_byte_ms: f64,
    pub(super) whole_ms: f64,
    pub(super) mib: f64,
}

/// All visitors, each with a connection.
struct Visitors(Vec<(Who, Visitor)>);

/// Measures everything, and gives the slowest pages first.
pub(super) async fn watch(
    server: &Server,
    ground: &Ground,
    at: &Filled,
) -> Result<(Vec<Row>, Vec<Download>), Failure> {
    let mut looks = Vec::new();
    for route in ground.routes().iter().filter(|route| route.method == "GET") {
        let known = tour::looks(route, at);
        let known = known.ok_or_else(|| {
            let words = "is a route of the portal that bench/src/programme/tour.rs does not know";
            Failure::said(format!("{} {words}", route.path))
        })?;
        looks.extend(known.into_iter().map(|look| (route.path.clone(), look)));
    }
    looks.extend(tour::of_customer().into_iter().map(|look| (path_of(&look.target), look)));
    say(&format!("{} things to look at …", looks.len()));
    let mut visitors = Visitors::arrive(server, at).await?;
    let (mut rows, mut downloads, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for (route, look) in looks {
        let visitor = visitors.of(look.who)?;
        visitor.connect().await?;
        let (_, status, _) = match look.how {
            How::Download => (Duration::ZERO, look.status, 0),
            _ => visitor.timed(&look.target).await?,
        };
        if status != look.status {
            wrong.push(format!("{} answered {status} to the {}", look.target, look.who.name()));
            continue;
        }
        if look.how == How::Download {
            downloads.push(download(visitor, route, &look).await?);
            continue;
        }
        let targets = targets(visitor, &look).await?;
        let parts = targets.len();
        // The first part, the one in the middle, and the last.
        let mut places = vec![0, parts / 2, parts - 1];
        places.dedup();
        for place in places {
            let (target, part) = (&targets[place], place + 1);
            rows.push(Row { part, parts, ..measure(visitor, &route, (&look, target)).await? });
        }
    }
    // What fails must not be taken for quick; all that does is told at once.
    if !wrong.is_empty() {
        return Err(Failure::said(wrong.join("\n")));
    }
    rows.sort_by(|one, other| other.p50_ms.total_cmp(&one.p50_ms));
    Ok((rows, downloads))
}

impl Visitors {
    async fn arrive(server: &Server, at: &Filled) -> Result<Visitors, Failure> {
        let portal = server.portal;
        let mut visitors = Vec::new();
        for who in Who::ALL {
            let visitor = match who {
                Who::Nobody => Visitor::nobody(portal).await?,
                Who::Developer => Visitor::person(portal, DEVELOPER).await?,
                Who::Owner => Visitor::person(portal, OWNER).await?,
                Who::Manager => Visitor::person(portal, MANAGER).await?,
                Who::Operator => Visitor::person(portal, OPERATOR).await?,
                Who::Company => Visitor::program(portal, &at.programs[0]).await?,
                Who::Partner => Visitor::program(portal, &at.programs[1]).await?,
                Who::Customer => Visitor::customer(server.address).await?,
            };
            visitors.push((who, visitor));
        }
        Ok(Visitors(visitors))
    }

    fn of(&mut self, who: Who) -> Result<&mut Visitor, Failure> {
        let found = self.0.iter_mut().find(|(of, _)| *of == who);
        found.map(|(_, visitor)| visitor).ok_or_else(|| Failure::said("nobody looks"))
    }
}

/// The address of each part, from the first to the last.
async fn targets(visitor: &mut Visitor, look: &Look) -> Result<Vec<String>, Failure> {
    let mut targets = vec![look.target.clone()];
    while let (Some(target), true) = (targets.last().cloned(), targets.len() < MOST_PARTS) {
        let next = match &look.how {
            How::Page | How::Download => None,
            How::Parts(more) => visitor.get(&target).await?.more(more),
            How::Cursors => {
                let answer = visitor.get(&target).await?;
                let cursor = answer.member("next_cursor");
                cursor.map(|cursor| format!("{}&cursor={cursor}", look.target))
            }
        };
        match next {
            Some(next) => targets.push(next),
            None => return Ok(targets),
        }
    }
    Err(Failure::said(format!("{} has no last part", look.target)))
}

async fn measure(
    visitor: &mut Visitor,
    route: &str,
    (look, target): (&Look, &str),
) -> Result<Row, Failure> {
    let (mut took, mut bytes) = (Vec::with_capacity(TIMES), 0);
    for time in 0..=TIMES {
        let (elapsed, status, length) = visitor.timed(target).await?;
        if status != look.status {
            let who = look.who.name();
            return Err(Failure::said(format!("{target} answered {status} to the {who}")));
        }
        if time > 0 {
            took.push(elapsed);
            bytes = length;
        }
    }
    took.sort();
    Ok(Row {
        route: route.to_owned(),
        who: look.who.name(),
        target: target.to_owned(),
        part: 1,
        parts: 1,
        status: look.status,
        p50_ms: millis(took[TIMES / 2]),
        max_ms: millis(took[TIMES - 1]),
        bytes,
    })
}

async fn download(visitor: &Visitor, route: String, look: &Look) -> Result<Download, Failure> {
    let done = visitor.download(&look.target).await?;
    Ok(Download {
        route,
        who: look.who.name(),
        first_byte_ms: millis(done.first_byte),
        whole_ms: millis(done.whole),
        mib: done.bytes as f64 / 1024.0 / 1024.0,
    })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn path_of(target: &str) -> String {
    target.split('?').next().unwrap_or_default().to_owned()
}

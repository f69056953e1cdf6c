//! Load: N connections, each with one request under way at a time.
//!
//! 1. a [`Line`] is a connection and what it asks for ([`Requests`]);
//! 2. [`drive`] lets all lines ask until the time is over, or until nothing is left to ask;
//! 3. every single latency is kept, so that the percentiles of [`Samples`] are exact.
//!
//! All of it runs on one thread: what the client does not take of the machine is left to the
//! server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::client::{Connection, Response};
use crate::failure::Failure;

/// What one connection asks for, one after the other.
pub(crate) trait Requests {
    /// Writes the next request to `out`, which is empty. `false` where nothing is left to ask.
    fn next(&mut self, out: &mut Vec<u8>) -> bool;

    /// Takes the response. An error ends the run: what fails must not be measured.
    fn took(&mut self, response: &Response<'_>) -> Result<(), Failure>;
}

/// A connection and what it asks for.
pub(crate) struct Line {
    connection: Connection,
    requests: Box<dyn Requests>,
    latencies: Vec<u32>,
}

/// What was measured, from the first request to the last response.
pub(crate) struct Samples {
    /// In nanoseconds, sorted.
    latencies: Vec<u32>,
    /// How long it took altogether.
    pub(crate) elapsed: Duration,
}

impl Line {
    /// Connects.
    pub(crate) async fn open(
        address: SocketAddr,
        requests: Box<dyn Requests>,
    ) -> Result<Line, Failure> {
        let connection = Connection::open(address).await?;
        Ok(Line { connection, requests, latencies: Vec::new() })
    }

    async fn ask(mut self, until: Option<Instant>) -> Result<Line, Failure> {
        let mut request = Vec::with_capacity(2048);
        let mut sent = now();
        while until.is_none_or(|until| sent < until) {
            request.clear();
            if !self.requests.next(&mut request) {
                break;
            }
            let response = self.connection.call(&request).await?;
            let received = now();
            let nanoseconds = received.duration_since(sent).as_nanos();
            self.requests.took(&response)?;
            self.latencies.push(u32::try_from(nanoseconds).unwrap_or(u32::MAX));
            sent = received;
        }
        Ok(self)
    }
}

/// Lets all lines ask for that long; `None` for as long as they have something to ask.
pub(crate) async fn drive(
    lines: Vec<Line>,
    window: Option<Duration>,
) -> Result<(Vec<Line>, Samples), Failure> {
    let begin = now();
    let mut asking = JoinSet::new();
    for line in lines {
        asking.spawn_local(line.ask(window.map(|window| begin + window)));
    }
    let mut lines = Vec::new();
    let mut latencies = Vec::new();
    while let Some(done) = asking.join_next().await {
        let mut line =
            done.map_err(|error| Failure::said(format!("a connection's task ended: {error}")))??;
        latencies.append(&mut line.latencies);
        lines.push(line);
    }
    let elapsed = now().duration_since(begin);
    latencies.sort_unstable();
    Ok((lines, Samples { latencies, elapsed }))
}

/// The time of the measurement.
#[expect(clippy::disallowed_methods, reason = "to measure time is what this program is for")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

impl Samples {
    /// How many requests were answered.
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    /// How many in a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.count() as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The smallest latency that `percent` of all requests do not exceed, in milliseconds.
    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        let rank = (self.latencies.len() * percent).div_ceil(100).max(1);
        self.latencies.get(rank - 1).map_or(0.0, |nanoseconds| f64::from(*nanoseconds) / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(milliseconds: impl IntoIterator<Item = u32>) -> Samples {
        let latencies = milliseconds.into_iter().map(|each| each * 1_000_000).collect();
        Samples { latencies, elapsed: Duration::from_secs(2) }
    }

    #[test]
    fn a_percentile_is_a_latency_that_was_measured() {
        let hundred = samples(1..=100);
        assert_eq!(hundred.percentile_ms(50), 50.0);
        assert_eq!(hundred.percentile_ms(99), 99.0);
        assert_eq!(hundred.per_second(), 50.0);
        assert_eq!(samples([7]).percentile_ms(99), 7.0);
        assert_eq!(samples([1, 2, 3]).percentile_ms(50), 2.0);
        assert_eq!(samples([]).percentile_ms(50), 0.0);
    }
}

//! Requests of one environment, by route and status, and how long they took.

use std::sync::OnceLock;
use std::time::Duration;

use crate::count::Count;

/// No more routes are told apart. There are far fewer.
const ROUTES: usize = 64;
/// The statuses of HTTP: from 100 to 599.
const STATUSES: usize = 500;
const FIRST_STATUS: u16 = 100;
/// The upper ends of the buckets, in microseconds; one more bucket holds what took longer.
const BOUNDS: [u64; 13] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// Requests of one environment.
///
/// A route takes its place when it is first asked for. There are few of them, so comparing their
/// names one by one is faster than any hash, and no lock is needed.
pub struct Requests {
    routes: [OnceLock<Box<Route>>; ROUTES],
}

/// The requests of one route.
pub(crate) struct Route {
    pub(crate) name: String,
    statuses: [Count; STATUSES],
    buckets: [Count; BOUNDS.len() + 1],
    microseconds: Count,
}

impl Requests {
    /// Counts a request that was answered.
    pub fn count(&self, route: &str, status: u16, took: Duration) {
        let Some(route) = self.route(route) else {
            return;
        };
        let at = usize::from(status.saturating_sub(FIRST_STATUS)).min(STATUSES - 1);
        route.statuses[at].add(1);
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        route.buckets[BOUNDS.partition_point(|bound| *bound < microseconds)].add(1);
        route.microseconds.add(microseconds);
    }

    /// The routes that were asked for.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().map_while(|place| place.get()).map(|route| &**route)
    }

    /// `None` where there are more routes than places, which the tests rule out.
    fn route(&self, name: &str) -> Option<&Route> {
        for place in &self.routes {
            let route = place.get_or_init(|| Box::new(Route::new(name)));
            // Whoever came first to an empty place may have come for another route.
            if route.name == name {
                return Some(route);
            }
        }
        None
    }
}

impl Route {
    fn new(name: &str) -> Route {
        Route {
            name: name.to_owned(),
            statuses: [const { Count::new() }; STATUSES],
            buckets: [const { Count::new() }; BOUNDS.len() + 1],
            microseconds: Count::new(),
        }
    }

    /// The statuses that were answered, and how often.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = (u16, u64)> {
        let counted = (FIRST_STATUS..).zip(&self.statuses);
        counted.map(|(status, count)| (status, count.read())).filter(|(_, count)| *count > 0)
    }

    /// The upper end of each bucket in seconds, with what fell into it alone.
    pub(crate) fn buckets(&self) -> Vec<(f64, u64)> {
        let ends = BOUNDS.iter().map(|bound| Duration::from_micros(*bound).as_secs_f64());
        ends.chain([f64::INFINITY]).zip(self.buckets.iter().map(Count::read)).collect()
    }

    /// How long all of them took together, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        Duration::from_micros(self.microseconds.read()).as_secs_f64()
    }
}

impl Default for Requests {
    fn default() -> Requests {
        Requests { routes: [const { OnceLock::new() }; ROUTES] }
    }
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.routes().map(|route| &route.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_its_own_numbers_and_a_bucket_holds_its_upper_end() {
        let requests = Requests::default();
        for (route, status, microseconds) in
            [("/a", 200, 0), ("/b", 404, 500), ("/a", 200, 501), ("/a", 503, 20_000_000)]
        {
            requests.count(route, status, Duration::from_micros(microseconds));
        }
        let [a, b] = requests.routes().collect::<Vec<_>>()[..] else { panic!("{requests:?}") };
        assert_eq!((a.name.as_str(), b.name.as_str()), ("/a", "/b"));
        assert_eq!(a.statuses().collect::<Vec<_>>(), [(200, 2), (503, 1)]);
        assert_eq!(b.statuses().collect::<Vec<_>>(), [(404, 1)]);
        let filled = |route: &Route| {
            route.buckets().into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>()
        };
        assert_eq!(filled(a), [(0.0005, 1), (0.001, 1), (f64::INFINITY, 1)]);
        assert_eq!(filled(b), [(0.0005, 1)]);
        assert!((a.seconds() - 20.000_501).abs() < 1e-9);
    }

    #[test]
    fn threads_that_meet_a_new_route_at_once_share_one_place_and_lose_nothing() {
        let requests = Requests::default();
        std::thread::scope(|scope| {
            for at in 0..8 {
                let requests = &requests;
                scope.spawn(move || {
                    for round in 0..1000 {
                        let route = format!("/{}", (at + round) % 5);
                        requests.count(&route, 200, Duration::ZERO);
                    }
                });
            }
        });
        let sums: Vec<u64> =
            requests.routes().map(|route| route.statuses().map(|(_, count)| count).sum()).collect();
        assert_eq!(sums, [1600; 5]);
    }
}

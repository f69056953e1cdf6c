//! Who takes the next step: a task that can go on, the database, or the time. Chance decides.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::chance::Chance;
use crate::clock::Clock;
use crate::store::Simulated;

/// A life that takes more steps is stuck.
const STEPS: u64 = 200_000;
/// How many steps the runtime lets pass before it looks at its timers.
const AT_ONCE: u64 = 64;

pub(super) struct Scheduler<'a> {
    tasks: Vec<Task<'a>>,
    chance: Chance,
    database: Simulated,
    clocks: [Clock; 2],
    /// How much the clocks are behind the latest time that they showed, in seconds.
    behind: i64,
    steps: u64,
}

struct Task<'a> {
    future: Pin<Box<dyn Future<Output = ()> + 'a>>,
    signal: Arc<Signal>,
    done: bool,
}

/// Whether a task can go on. Who sets it wakes the scheduler too.
struct Signal {
    ready: AtomicBool,
    scheduler: Mutex<Option<Waker>>,
}

impl Wake for Signal {
    fn wake(self: Arc<Signal>) {
        self.ready.store(true, Ordering::SeqCst);
        if let Some(scheduler) = &*self.scheduler.lock().unwrap() {
            scheduler.wake_by_ref();
        }
    }
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(chance: Chance, database: Simulated, clocks: [Clock; 2]) -> Scheduler<'a> {
        Scheduler { tasks: Vec::new(), chance, database, clocks, behind: 0, steps: 0 }
    }

    pub(super) fn add(&mut self, future: impl Future<Output = ()> + 'a) {
        let signal = Signal { ready: AtomicBool::new(true), scheduler: Mutex::new(None) };
        // The runtime's own idea of fairness would make a task wait for nothing.
        let future = Box::pin(tokio::task::unconstrained(future));
        self.tasks.push(Task { future, signal: Arc::new(signal), done: false });
    }

    /// Runs all tasks to their end and the database until nothing waits. Answers how many steps
    /// it took.
    pub(super) async fn run(mut self) -> u64 {
        std::future::poll_fn(|context| {
            for _ in 0..AT_ONCE {
                let ready: Vec<usize> =
                    (0..self.tasks.len()).filter(|at| self.ready(*at)).collect();
                let waiting = self.database.waiting();
                if ready.is_empty() && waiting == 0 {
                    if self.tasks.iter().all(|task| task.done) {
                        return Poll::Ready(());
                    }
                    for task in &self.tasks {
                        *task.signal.scheduler.lock().unwrap() = Some(context.waker().clone());
                    }
                    // Everybody sleeps, so the runtime moves its time.
                    return Poll::Pending;
                }
                self.step(&ready, waiting);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.steps
    }

    fn ready(&self, at: usize) -> bool {
        let task = &self.tasks[at];
        !task.done && task.signal.ready.load(Ordering::SeqCst)
    }

    fn step(&mut self, ready: &[usize], waiting: usize) {
        self.steps += 1;
        assert!(self.steps < STEPS, "stuck: {} tasks can go on, {waiting} wait", ready.len());
        if self.chance.below(40) == 0 {
            self.move_clocks();
        }
        let database = usize::from(waiting > 0);
        let chosen = self.chance.below((ready.len() + database) as u64);
        match ready.get(usize::try_from(chosen).unwrap()) {
            Some(at) => self.go_on(*at),
            None => self.database.step(),
        }
    }

    fn go_on(&mut self, at: usize) {
        let task = &mut self.tasks[at];
        task.signal.ready.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&task.signal));
        task.done = task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
    }

    /// Mostly on, at times back by a second: never so far that a code or the idle time ends, or that
    /// two processes are further apart than they may be.
    fn move_clocks(&mut self) {
        let seconds = i64::try_from(self.chance.below(4)).unwrap() - 1;
        if self.behind - seconds <= 1 {
            self.behind = (self.behind - seconds).max(0);
            for clock in &self.clocks {
                clock.advance(seconds);
            }
        }
    }
}

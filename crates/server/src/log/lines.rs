//! Lines on their way to standard error.
//!
//! 1. a line is put behind those that wait, which costs a lock and a copy; a system call for each
//!    would cost each request 1 to 3 µs, and all threads would stand in line for it;
//! 2. a thread writes what waits, at most [`PAUSE`] later;
//! 3. a warning or an error is written before its caller goes on, with all that came before it, so
//!    that it survives whatever comes next. So is what waits when too much does.
//!
//! A process that is killed loses the lines of its last moment, and of them no warning. One that
//! ends by itself loses none ([`Lines::write_out`]).

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits at most.
const PAUSE: Duration = Duration::from_millis(50);
/// No more bytes wait: whoever logs beyond it writes, and so goes no faster than who reads.
const MOST_WAITING: usize = 256 * 1024;

/// Lines on their way.
pub(super) struct Lines {
    waiting: Mutex<Vec<u8>>,
    arrived: Condvar,
    /// Held from the moment when lines are taken until they are written: no line overtakes.
    sink: Mutex<Box<dyn Write + Send>>,
}

/// Makes the writer of each line.
pub(super) struct Writers(pub(super) Arc<Lines>);

/// The writer of one line.
pub(super) struct Line<'a> {
    lines: &'a Lines,
    urgent: bool,
}

impl Lines {
    pub(super) fn to(sink: impl Write + Send + 'static) -> Arc<Lines> {
        Arc::new(Lines {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            sink: Mutex::new(Box::new(sink)),
        })
    }

    /// Starts the thread that writes.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn write_by_themselves(self: &Arc<Lines>) -> std::io::Result<()> {
        let lines = Arc::clone(self);
        let work = move || {
            loop {
                let waiting = lines.waiting();
                drop(lines.arrived.wait_while(waiting, |waiting| waiting.is_empty()));
                // More come while it waits, and share the one system call.
                std::thread::sleep(PAUSE);
                lines.write_out();
            }
        };
        std::thread::Builder::new().name("log".into()).spawn(work).map(|_| ())
    }

    /// Writes all that waits.
    pub(super) fn write_out(&self) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut *self.waiting());
        // Where nobody reads the log, there is nobody to tell.
        let _ = sink.write_all(&lines).and_then(|()| sink.flush());
    }

    fn put(&self, line: &[u8], urgent: bool) {
        let mut waiting = self.waiting();
        let is_first = waiting.is_empty();
        waiting.extend_from_slice(line);
        let is_full = waiting.len() > MOST_WAITING;
        drop(waiting);
        if urgent || is_full {
            self.write_out();
        } else if is_first {
            self.arrived.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<u8>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for Writers {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: &self.0, urgent: true }
    }

    fn make_writer_for(&'a self, line: &Metadata<'_>) -> Line<'a> {
        Line { lines: &self.0, urgent: *line.level() <= Level::WARN }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.lines.put(line, self.urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, and in how many calls.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<(String, usize)>>);

    impl Paper {
        fn read(&self) -> (String, usize) {
            self.0.lock().unwrap().clone()
        }
    }

    impl Write for Paper {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            let mut paper = self.0.lock().unwrap();
            paper.0.push_str(std::str::from_utf8(line).unwrap());
            paper.1 += 1;
            Ok(line.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_warning_is_written_at_once_behind_all_that_came_before_it() {
        let paper = Paper::default();
        let lines = Lines::to(paper.clone());
        lines.put(b"one\n", false);
        lines.put(b"two\n", false);
        assert_eq!(paper.read(), (String::new(), 0));
        lines.put(b"warning\n", true);
        assert_eq!(paper.read(), ("one\ntwo\nwarning\n".to_owned(), 1));
        lines.put(b"last\n", false);
        lines.write_out();
        assert_eq!(paper.read().0, "one\ntwo\nwarning\nlast\n");
    }

    #[test]
    fn what_waits_is_bounded() {
        let paper = Paper::default();
        let lines = Lines::to(paper.clone());
        let line = [b'x'; 1024];
        for _ in 0..300 {
            lines.put(&line, false);
        }
        assert!(lines.waiting().len() <= MOST_WAITING);
        let (written, calls) = paper.read();
        assert_eq!((written.len() + lines.waiting().len(), calls), (300 * 1024, 1));
    }

    #[test]
    fn many_threads_lose_no_line_and_tear_none_and_the_thread_writes_by_itself() {
        let paper = Paper::default();
        let lines = Lines::to(paper.clone());
        lines.write_by_themselves().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let lines = &lines;
                scope.spawn(move || {
                    for at in 0..1000 {
                        lines.put(format!("{thread} {at}\n").as_bytes(), at % 100 == 0);
                    }
                });
            }
        });
        for _ in 0..100 {
            if paper.read().0.lines().count() == 4000 {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        let (written, calls) = paper.read();
        let mut next = [0; 4];
        for line in written.lines() {
            let (thread, at) = line.split_once(' ').unwrap();
            let thread: usize = thread.parse().unwrap();
            assert_eq!(at.parse::<usize>().unwrap(), next[thread], "{line}");
            next[thread] += 1;
        }
        assert_eq!(next, [1000; 4]);
        assert!(calls < 1000, "{calls} calls");
    }
}

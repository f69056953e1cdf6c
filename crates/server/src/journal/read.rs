//! Reads a journal for a restore.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use super::line::{self, Line, LineFault};
use super::{Entry, Mark};

/// A journal that was read to its end.
#[derive(Debug, Default)]
pub struct Reading {
    /// What could be read, in the order of the file, but for [`Mark::Alive`].
    pub notes: Vec<Noted>,
    /// The time of the last line that could be read, in Unix seconds.
    pub until: Option<i64>,
    /// Why it cannot be relied on to hold everything.
    pub fault: Option<JournalFault>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// In Unix seconds.
    pub at: i64,
    /// What it says.
    pub entry: Entry,
}

/// Why a journal cannot be relied on to hold everything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalFault {
    /// There is no file.
    #[error("there is none")]
    Missing,
    /// The system did not let it be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A line was changed.
    #[error("its line {line} was changed since it was written")]
    Changed {
        /// counted from 1
        line: usize,
    },
    /// A line says what this program does not know.
    #[error("its line {line} was written by a newer version of grantor")]
    Unknown {
        /// counted from 1
        line: usize,
    },
    /// A writer's lines are not all there.
    #[error("lines are missing before its line {line}")]
    Gap {
        /// counted from 1
        line: usize,
    },
}

impl Reading {
    /// Whether such a mark stands in it.
    pub fn says(&self, mark: &Mark) -> bool {
        self.notes.iter().any(|note| matches!(&note.entry, Entry::Mark(found) if found == mark))
    }
}

/// Reads a journal. A line that a crash tore is passed over: its ending never was committed. What
/// was changed, or is missing between two lines of one writer, is a fault; the rest is read all the
/// same.
pub fn read(path: &Path) -> Reading {
    let mut reading = Reading::default();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let unreadable = JournalFault::Unreadable(error.to_string());
            reading.fault = Some(if missing { JournalFault::Missing } else { unreadable });
            return reading;
        }
    };
    let mut writers = HashMap::new();
    for (number, line) in (1..).zip(BufReader::new(file).split(b'\n')) {
        let fault = match line {
            Ok(line) if line.is_empty() => continue,
            Ok(line) => match line::read(&line) {
                Ok(line) => take(&mut reading, &mut writers, line, number),
                Err(LineFault::Torn) => continue,
                Err(LineFault::Changed) => Some(JournalFault::Changed { line: number }),
                Err(LineFault::Unknown) => Some(JournalFault::Unknown { line: number }),
            },
            Err(error) => {
                reading.fault = Some(JournalFault::Unreadable(error.to_string()));
                break;
            }
        };
        reading.fault = reading.fault.or(fault);
    }
    reading
}

fn take(
    reading: &mut Reading,
    writers: &mut HashMap<String, u64>,
    line: Line,
    number: usize,
) -> Option<JournalFault> {
    reading.until = Some(line.at);
    let expected = writers.insert(line.writer, line.n + 1).unwrap_or(0);
    if line.entry != Entry::Mark(Mark::Alive) {
        reading.notes.push(Noted { at: line.at, entry: line.entry });
    }
    (line.n != expected).then_some(JournalFault::Gap { line: number })
}

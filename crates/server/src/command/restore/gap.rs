//! What the journal knows of the time since a backup, and what to do where that is not everything.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::super::Failure;
use super::super::output::time;
use super::super::prompt;
use super::Arguments;
use crate::journal::{ALIVE_SECONDS, Ending, Entry, JournalFault, Mark, Reading};
use crate::store::backup::Header;

/// An ending is noted before it is committed. One that was on its way while the backup was begun
/// may stand above the backup's mark and be missing in the backup all the same; no write is on its
/// way longer than this, in seconds.
const ON_ITS_WAY_SECONDS: i64 = 60;

/// A server that serves writes a line more often than this, in seconds. A database that was written
/// later than that after the journal's last line had endings that stand somewhere else.
const SILENT_SECONDS: i64 = 3 * ALIVE_SECONDS.cast_signed();

/// What the journal knows.
pub(super) struct Journaled {
    /// What ended since the backup, as far as it says.
    pub(super) endings: Vec<Ending>,
    /// The time of its last line, in Unix seconds.
    pub(super) until: Option<i64>,
    /// Why it may not hold everything.
    pub(super) why_not: Option<String>,
    /// The highest epoch that a restore began.
    pub(super) epoch: i64,
}

/// What to do about endings that are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// There are none.
    NotNeeded,
    /// Whatever may have ended ends.
    EndAllConnections,
    /// What is not known lives again.
    AcceptGap,
}

impl Journaled {
    /// What a journal knows of the time since that backup.
    pub(super) fn since(
        reading: &Reading,
        backup: &Header,
        written_until: Option<i64>,
    ) -> Journaled {
        let mut below_mark = false;
        let (mut endings, mut epoch) = (Vec::new(), 0);
        for note in &reading.notes {
            match &note.entry {
                Entry::Mark(Mark::Backup { id }) => below_mark |= *id == backup.id,
                Entry::Mark(Mark::Restored { epoch: begun, .. }) => epoch = epoch.max(*begun),
                Entry::Mark(Mark::Opened | Mark::Alive | Mark::Closed) => {}
                Entry::Ending(ending) => {
                    // A connection that ended never begins again, so each counts whenever it was.
                    let counts = below_mark
                        || matches!(ending, Ending::Grant { .. })
                        || note.at >= backup.created_at - ON_ITS_WAY_SECONDS;
                    endings.extend(counts.then(|| ending.clone()));
                }
            }
        }
        let why_not = match &reading.fault {
            Some(fault) => Some(fault.to_string()),
            None if !below_mark => Some("it does not know of this backup".to_owned()),
            None => written_until
                .filter(|written| reading.until.unwrap_or(0) + SILENT_SECONDS < *written)
                .map(|written| {
                    format!("it ends before the database was last written, {}", time(written))
                }),
        };
        let until = reading.until.filter(|_| reading.fault != Some(JournalFault::Missing));
        Journaled { endings, until, why_not, epoch }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Choice::NotNeeded => "go on",
            Choice::EndAllConnections => {
                "end all connections: every customer has to connect every app again"
            }
            Choice::AcceptGap => "accept the gap: what was ended meanwhile may live again",
        })
    }
}

/// When a database was last written, in Unix seconds, as far as its files tell.
pub(super) fn written_until(database: &Path) -> Option<i64> {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    [database.as_os_str(), &log]
        .into_iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|found| found.mtime())
        .max()
}

/// Asks, where the journal does not hold everything; otherwise nobody is asked.
pub(super) fn choose(
    journaled: &Journaled,
    path: &Path,
    arguments: &Arguments,
) -> Result<Choice, Failure> {
    if arguments.end_all_connections {
        return Ok(Choice::EndAllConnections);
    }
    let Some(why_not) = &journaled.why_not else {
        return Ok(Choice::NotNeeded);
    };
    if arguments.accept_gap {
        return Ok(Choice::AcceptGap);
    }
    let words = format!(
        "the journal of endings {} does not hold all that ended since the backup: {why_not}",
        path.display()
    );
    let question = format!("{words}. What is to be done?");
    let options = vec![Choice::EndAllConnections, Choice::AcceptGap];
    if let Some(chosen) = prompt::choice(&question, options)? {
        return Ok(chosen);
    }
    let mut failure = Failure::mendable(words)
        .hint("nothing was changed; choose what is to happen to what it does not name:")
        .hint(format!("--end-all-connections  {}", Choice::EndAllConnections))
        .hint(format!("--accept-gap  {}", Choice::AcceptGap));
    if let Some(until) = journaled.until {
        failure = failure.hint(format!("its last line is of {}", time(until)));
    }
    Err(failure.hint("--journal FILE reads another one, such as a copy"))
}

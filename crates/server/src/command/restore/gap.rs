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
/// way longer than this, in seconds: one whose fate is unknown is sent again thirty times, and each
/// time it may take ten seconds to hear nothing, and six to connect.
const ON_ITS_WAY_SECONDS: i64 = 15 * 60;

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

/// What else tells of the time since a backup.
pub(super) struct Evidence {
    /// When the database was last written, where that can be seen, in Unix seconds.
    pub(super) written_until: Option<i64>,
    /// When the journal's file was last written, where that says something, in Unix seconds.
    pub(super) journal_written: Option<i64>,
    /// The epoch beside the master key: so many restores the journal has to know.
    pub(super) key_epoch: i64,
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
    pub(super) fn since(reading: &Reading, backup: &Header, evidence: &Evidence) -> Journaled {
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
            None => evidence.older(reading.until.unwrap_or(0), backup.epoch.max(epoch)),
        };
        let until = reading.until.filter(|_| reading.fault != Some(JournalFault::Missing));
        Journaled { endings, until, why_not, epoch }
    }
}

impl Evidence {
    /// Why a journal that is sound in itself may be an older copy. Where nothing tells, none is
    /// found: who puts back a copy with its time beside a database that is lost is believed.
    fn older(&self, until: i64, epoch: i64) -> Option<String> {
        if epoch < self.key_epoch {
            return Some(format!(
                "it does not know of the restore that began epoch {}, and so is an older copy",
                self.key_epoch
            ));
        }
        let late = |written: &i64| until + SILENT_SECONDS < *written;
        if let Some(written) = self.written_until.filter(late) {
            let written = time(written);
            return Some(format!("it ends before the database was last written, {written}"));
        }
        self.journal_written.filter(late).map(|written| {
            format!("its file was written after its last line, {}, as a copy is", time(written))
        })
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

/// When an SQLite database was last written, in Unix seconds, as far as its files tell.
pub(super) fn database_written_until(database: &Path) -> Option<i64> {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    [database, Path::new(&log)].into_iter().filter_map(written).max()
}

/// When a file was last written, in Unix seconds.
pub(super) fn written(file: &Path) -> Option<i64> {
    Some(std::fs::metadata(file).ok()?.mtime())
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

#[cfg(test)]
mod tests {
    use grantor_protocol::environment::Environment;

    use super::*;
    use crate::journal::Noted;
    use crate::store::backup::Kind;

    #[test]
    fn d5_an_ending_counts_that_may_have_been_on_its_way_while_the_backup_was_begun() {
        let backup = Header {
            id: "b".to_owned(),
            engine: Kind::Postgres,
            created_at: 10_000,
            schema_version: 1,
            epoch: 1,
            master_key_id: "k".to_owned(),
            tables: std::collections::BTreeMap::new(),
            body_bytes: 0,
            body_sha256: String::new(),
        };
        // Thirty tries of sixteen seconds, before the database answered that it was done.
        for (seconds_before, counts) in [(30 * 16, true), (ON_ITS_WAY_SECONDS + 1, false)] {
            let ending = Ending::Client { environment: Environment::Staging, id: "c".to_owned() };
            let ended = Entry::Ending(ending);
            let begun = Entry::Mark(Mark::Backup { id: "b".to_owned() });
            let notes = vec![
                Noted { at: backup.created_at - seconds_before, entry: ended },
                Noted { at: backup.created_at, entry: begun },
            ];
            let reading = Reading { notes, until: Some(backup.created_at), fault: None };
            let evidence = Evidence { written_until: None, journal_written: None, key_epoch: 1 };
            let journaled = Journaled::since(&reading, &backup, &evidence);
            assert_eq!(!journaled.endings.is_empty(), counts, "{seconds_before}");
        }
    }
}

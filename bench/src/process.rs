//! What a process used, from the kernel's own books below `/proc`.
//!
//! Processor time is summed over the threads in nanoseconds (`schedstat`): the older figure in
//! `stat` counts whole hundredths of a second.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::failure::Failure;

/// A child that does not outlive this program.
pub(crate) struct Running {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
}

/// What a process used since it began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Processor time of all threads, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// What it caused to be written to storage, in bytes; the log is part of it.
    pub(crate) written: u64,
}

/// How much memory a process holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Now, in KiB.
    pub(crate) resident_kib: u64,
    /// At most since it began, in KiB.
    pub(crate) peak_kib: u64,
}

impl Running {
    /// Starts it, with its words going to the file and its data read by [`Running::line`].
    pub(crate) fn start(command: &mut Command, words: &Path) -> Result<Running, Failure> {
        let fault = || Failure::io(format!("{} was not started", command.get_program().display()));
        let (file_fault, start_fault) = (fault(), fault());
        let words =
            fs::File::options().create(true).append(true).open(words).map_err(file_fault)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(words)
            .spawn()
            .map_err(start_fault)?;
        let lines = child.stdout.take().map(BufReader::new);
        Ok(Running { child, lines })
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its next line; empty where it ended.
    pub(crate) fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if let Some(lines) = &mut self.lines {
            lines.read_line(&mut line).map_err(Failure::io("a child said nothing"))?;
        }
        Ok(line.trim_end().to_owned())
    }

    /// Asks it to end, and waits until it did.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        let id = self.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        asked.map_err(Failure::io("the server was not asked to stop"))?;
        self.child.wait().map_err(Failure::io("the server did not stop"))?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process used until now.
pub(crate) fn used(id: u32) -> Result<Used, Failure> {
    let folder = format!("/proc/{id}");
    let fault = || Failure::io(format!("{folder} cannot be read"));
    let mut cpu_ns = 0;
    for thread in fs::read_dir(format!("{folder}/task")).map_err(fault())? {
        // A thread that ended in between has no file any more.
        let Ok(text) = fs::read_to_string(thread.map_err(fault())?.path().join("schedstat")) else {
            continue;
        };
        cpu_ns += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
    }
    let io = fs::read_to_string(format!("{folder}/io")).unwrap_or_default();
    Ok(Used { cpu_ns, written: number(&io, "write_bytes:").unwrap_or(0) })
}

/// How much memory a process holds.
pub(crate) fn memory(id: u32) -> Result<Memory, Failure> {
    let path = format!("/proc/{id}/status");
    let text = fs::read_to_string(&path).map_err(Failure::io(format!("{path} cannot be read")))?;
    Ok(Memory {
        resident_kib: number(&text, "VmRSS:").unwrap_or(0),
        peak_kib: number(&text, "VmHWM:").unwrap_or(0),
    })
}

/// Processor time of all children of a process, in nanoseconds: PostgreSQL has one a connection.
pub(crate) fn cpu_of_children(parent: u32) -> Result<u64, Failure> {
    let mut cpu_ns = 0;
    for entry in fs::read_dir("/proc").map_err(Failure::io("/proc cannot be read"))? {
        let Ok(entry) = entry else { continue };
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        if number(&status, "PPid:") == Some(u64::from(parent)) {
            cpu_ns += used(id).map_or(0, |used| used.cpu_ns);
        }
    }
    Ok(cpu_ns)
}

fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_whole_name() {
        let text =
            "VmPeak:\t  99 kB\nVmRSS:\t  1234 kB\ncancelled_write_bytes: 7\nwrite_bytes: 5\n";
        assert_eq!(number(text, "VmRSS:"), Some(1234));
        assert_eq!(number(text, "write_bytes:"), Some(5));
        assert_eq!(number(text, "VmHWM:"), None);
    }

    #[test]
    fn this_very_process_uses_processor_time_and_memory() {
        let before = used(std::process::id()).unwrap().cpu_ns;
        let begin = crate::load::now();
        while begin.elapsed().as_millis() < 50 {}
        assert!(used(std::process::id()).unwrap().cpu_ns > before);
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.resident_kib > 0 && memory.peak_kib >= memory.resident_kib);
    }
}

//! The server's processes: started so that they die with the test, and ended in three ways.
//!
//! A test may be killed at any moment, and its server must not live on. `setpriv --pdeathsig` asks
//! Linux for a signal when the parent ends; the "parent" is the very thread that started it, so
//! each server has a thread that does nothing but stay. Where there is no `setpriv`, only the end
//! of the [`Postmaster`] ends the server.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::Fault;
use crate::programs::Programs;

/// How long the end of a cluster is waited for before it is killed.
const QUICK: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(5);

/// A running server. Dropped, it ends at once, and leaves nothing in shared memory.
pub(crate) struct Postmaster {
    child: Child,
    log: std::path::PathBuf,
    /// The thread that is the server's parent stays until this is dropped.
    _parent: Sender<()>,
}

impl Postmaster {
    /// Starts the server on this data, and does not wait for it.
    pub(crate) fn start(
        programs: &Programs,
        data: &Path,
        arguments: &[String],
        log: &Path,
    ) -> Result<Postmaster, Fault> {
        let folder = data.parent().unwrap_or(data);
        let server = programs.path("postgres");
        let mut command = match setpriv() {
            Some(setpriv) => {
                let mut command = programs.command(&setpriv, folder);
                // SIGQUIT: end at once, but take the shared memory along.
                command.arg("--pdeathsig=QUIT").arg(&server);
                command
            }
            None => programs.command(&server, folder),
        };
        let output =
            OpenOptions::new().create(true).append(true).open(log).map_err(Fault::Folder)?;
        command
            .arg("-D")
            .arg(data)
            .args(arguments)
            // A signal to the test's group is the test's own.
            .process_group(0)
            .stdout(output.try_clone().map_err(Fault::Folder)?)
            .stderr(output);
        let (parent, child) = spawn(command)?;
        Ok(Postmaster { child, log: log.to_owned(), _parent: parent })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server says in its own file that it takes connections.
    pub(crate) fn wait_until_ready(
        &mut self,
        data: &Path,
        patience: Duration,
    ) -> Result<(), Fault> {
        let file = data.join("postmaster.pid");
        // The file of a server that was killed is still there: its first line tells whose it is.
        let (own, log) = (self.child.id().to_string(), self.log.clone());
        let ready = || {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            lines.first() == Some(&own.as_str())
                && matches!(lines.get(7), Some(&("ready" | "standby")))
        };
        for _ in 0..looks(patience) {
            if ready() {
                return Ok(());
            }
            if !matches!(self.child.try_wait(), Ok(None)) {
                return Err(Fault::Ended { log: read_log(&log) });
            }
            std::thread::sleep(LOOK);
        }
        Err(Fault::Late { what: "be ready", seconds: patience.as_secs(), log: read_log(&log) })
    }

    /// SIGKILL for the first process and all below it, at one moment.
    pub(crate) fn kill(mut self) {
        self.kill_all();
    }

    /// SIGINT: connections are cut, everything is written.
    pub(crate) fn stop_fast(mut self, patience: Duration) -> Result<(), Fault> {
        self.signal(Signal::INT);
        if self.ends_within(patience) {
            return Ok(());
        }
        let log = read_log(&self.log);
        Err(Fault::Late { what: "end", seconds: patience.as_secs(), log })
    }

    fn kill_all(&mut self) {
        // Stopped first, it makes no more children while they are looked for.
        self.signal(Signal::STOP);
        let children = children(self.child.id());
        self.signal(Signal::KILL);
        for child in &children {
            signal(*child, Signal::KILL);
        }
        let _ = self.child.wait();
        for _ in 0..looks(QUICK) {
            if children
                .iter()
                .all(|child| state_and_parent(*child).is_none_or(|(state, _)| state == 'Z'))
            {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn ends_within(&mut self, patience: Duration) -> bool {
        (0..looks(patience)).any(|_| {
            let ended = !matches!(self.child.try_wait(), Ok(None));
            if !ended {
                std::thread::sleep(LOOK);
            }
            ended
        })
    }

    fn signal(&mut self, name: Signal) {
        // A process that was waited for has no id any more; another may have got it.
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.child.id(), name);
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.signal(Signal::QUIT);
        if !self.ends_within(QUICK) {
            self.kill_all();
        }
    }
}

/// The end of a log, where the reason stands.
pub(crate) fn read_log(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// Starts it from a thread that stays until the sender is dropped.
fn spawn(mut command: Command) -> Result<(Sender<()>, Child), Fault> {
    let program = std::path::PathBuf::from(command.get_program());
    let failed = |source| Fault::Program { program: program.clone(), source };
    let (parent, stay) = channel::<()>();
    let (hand_over, started) = channel();
    std::thread::Builder::new()
        .name("parent of postgres".to_owned())
        .spawn(move || {
            let _ = hand_over.send(command.spawn());
            let _ = stay.recv();
        })
        .map_err(failed)?;
    let child =
        started.recv().map_err(std::io::Error::other).and_then(|child| child).map_err(failed)?;
    Ok((parent, child))
}

fn setpriv() -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("setpriv")).find(|file| file.is_file())
}

fn signal(process: u32, name: Signal) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        // It may have ended by itself, which is what was wanted.
        let _ = kill_process(pid, name);
    }
}

fn looks(patience: Duration) -> u128 {
    patience.as_millis() / LOOK.as_millis()
}

fn children(of: u32) -> Vec<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|process| state_and_parent(*process).is_some_and(|(_, parent)| parent == of))
        .collect()
}

/// The state of a process (`Z` has ended) and the id of its parent.
fn state_and_parent(process: u32) -> Option<(char, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before it stands in brackets and may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

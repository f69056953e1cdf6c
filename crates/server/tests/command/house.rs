//! A data folder of its own for each test, and the program run in it.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A folder that `grantor init` made, with a database that goes with it.
pub(crate) struct House {
    folder: tempfile::TempDir,
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl House {
    pub(crate) fn new() -> House {
        let house = House::empty();
        house.run(&["init"]).done();
        house
    }

    pub(crate) fn empty() -> House {
        use std::os::unix::fs::PermissionsExt as _;
        let owner_alone = std::fs::Permissions::from_mode(0o700);
        House { folder: tempfile::Builder::new().permissions(owner_alone).tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        self.run_with(arguments, "")
    }

    /// Runs a command with that on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Answer {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // A command that fails early does not read it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Answer::from(child.wait_with_output().unwrap())
    }

    /// Runs a line of a shell in which the program is `grantor`.
    pub(crate) fn shell(&self, line: &str) -> Answer {
        let program = Path::new(env!("CARGO_BIN_EXE_grantor"));
        let folder = program.parent().unwrap().display();
        let line = format!("PATH={folder}:$PATH; {line}");
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", &line]).current_dir(self.folder()).stdin(Stdio::null());
        Answer::from(shell.env_remove("GRANTOR_CONFIG").output().unwrap())
    }

    /// Starts a command that goes on.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.start_with(arguments, &[])
    }

    /// Starts a command that goes on, with these variables.
    pub(crate) fn start_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Child {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied()).stdin(Stdio::null()).spawn().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grantor"));
        command
            .args(arguments)
            .current_dir(self.folder())
            .env_remove("GRANTOR_CONFIG")
            .env_remove("GRANTOR_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command that answers in JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).json()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A client in staging of a partner of its own, with one secret.
    pub(crate) fn client(&self) -> Value {
        self.json(&["partner", "create", "--name", "Planner Ltd"]);
        self.json(&CREATE_CLIENT)
    }
}

/// A client of the partner Planner Ltd in staging.
pub(crate) const CREATE_CLIENT: [&str; 14] = [
    "client",
    "create",
    "--environment",
    "staging",
    "--partner",
    "planner ltd",
    "--name",
    "Table Planner",
    "--redirect-uri",
    "https://mycompany.com/redirection/ikentoo",
    "--scope",
    "financial-api",
    "--scope",
    "orders-api",
];

impl From<Output> for Answer {
    fn from(output: Output) -> Answer {
        Answer {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Answer {
    /// Asserts that it did what was asked.
    pub(crate) fn done(self) -> Answer {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Asserts that it refused, in these words, and wrote no data.
    pub(crate) fn refused(self, words: &str) -> Answer {
        assert_eq!(self.code, 1, "{self:?}");
        assert!(self.stderr.contains(words), "{self:?} does not say {words}");
        assert_eq!(self.stdout, "");
        self
    }

    /// Asserts that it is one line of JSON, with nothing beside it.
    pub(crate) fn json(self) -> Value {
        let answer = self.done();
        assert_eq!(answer.stdout.lines().count(), 1, "{answer:?}");
        assert_eq!(answer.stderr, "");
        serde_json::from_str(&answer.stdout).unwrap()
    }
}

/// An address that is free just now.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The permission bits of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A text of the JSON.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{value} has no text {key}"))
}

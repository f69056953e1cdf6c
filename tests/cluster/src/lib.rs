//! PostgreSQL servers that live as long as a test: started on a spare port over a temporary folder,
//! killed, started again, copied to a replica, promoted, and gone at the end. For tests and
//! benchmarks alone; no product code knows it.
//!
//! 1. `programs.rs` finds PostgreSQL's programs and the account that may run them;
//! 2. `template.rs` initialises a data folder once, and copies it for each cluster;
//! 3. `postmaster.rs` runs the server, so that it dies with its test whatever happens to that;
//! 4. [`Cluster`] is one server with its data; `replica.rs` makes a second one of it;
//! 5. [`Database`] is a fresh database on a cluster that many tests share.
//!
//! Every call blocks. In an asynchronous test that costs a thread some hundred milliseconds, and
//! saves the test from having two ways to end a process.

mod database;
mod fault;
mod postmaster;
mod programs;
mod replica;
mod sql;
mod template;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use database::{Database, SHARED};
pub use fault::Fault;
use postmaster::Postmaster;
use programs::Programs;
pub use replica::Replication;

/// The superuser of every cluster. It needs no password: only this machine can connect.
pub const SUPERUSER: &str = "postgres";

/// How long a server may take to be ready or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every cluster is started with. The memory is small; durability is as in earnest.
const SETTINGS: [(&str, &str); 8] = [
    ("listen_addresses", "127.0.0.1"),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("max_connections", "200"),
    ("shared_buffers", "32MB"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

/// One PostgreSQL server with its own data. Dropped, it is stopped and removed.
pub struct Cluster {
    programs: Programs,
    port: u16,
    settings: Vec<(String, String)>,
    // Before the folder: fields are dropped in this order.
    postmaster: Option<Postmaster>,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts one with a small memory, and waits until it is ready.
    ///
    /// # Errors
    /// [`Fault`]: PostgreSQL is not on this machine, or does not start.
    pub fn start() -> Result<Cluster, Fault> {
        Cluster::start_with(&[])
    }

    /// Starts one with these settings besides, which win over the usual ones.
    ///
    /// # Errors
    /// [`Fault`]: PostgreSQL is not on this machine, or does not start.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Cluster, Fault> {
        let mut cluster = Cluster::folder(Programs::find()?, settings)?;
        template::lay(&cluster.programs, &cluster.data())?;
        cluster.start_on_a_free_port()?;
        Ok(cluster)
    }

    /// A folder for a cluster, with no data in it yet.
    fn folder(programs: Programs, settings: &[(&str, &str)]) -> Result<Cluster, Fault> {
        template::sweep();
        let prefix = template::folder_prefix(std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir().map_err(Fault::Folder)?;
        programs.give(folder.path())?;
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings = SETTINGS.iter().chain(settings).map(own).collect();
        Ok(Cluster { programs, port: 0, settings, postmaster: None, folder })
    }

    /// Somebody else may take the port between our look and the server's.
    fn start_on_a_free_port(&mut self) -> Result<(), Fault> {
        let mut tries = 0;
        loop {
            self.port = free_port()?;
            tries += 1;
            match self.start_again() {
                Err(Fault::Ended { log })
                    if tries < 5 && log.contains("Address already in use") => {}
                result => return result,
            }
        }
    }

    /// Starts the server again after [`Cluster::kill`] or [`Cluster::stop_fast`], on the same port
    /// and the same data, and waits until it is ready.
    ///
    /// # Errors
    /// [`Fault`]: it does not start.
    pub fn start_again(&mut self) -> Result<(), Fault> {
        let mut arguments = vec![
            format!("--port={}", self.port),
            format!("--unix_socket_directories={}", self.folder.path().display()),
        ];
        arguments.extend(self.settings.iter().map(|(name, value)| format!("--{name}={value}")));
        let log = self.folder.path().join("log");
        self.postmaster = None;
        self.postmaster = Some(Postmaster::start(&self.programs, &self.data(), &arguments, &log)?);
        self.wait_until_ready()
    }

    /// Waits until the server takes connections.
    ///
    /// # Errors
    /// [`Fault`]: it ended, or is not ready in time.
    pub fn wait_until_ready(&mut self) -> Result<(), Fault> {
        let data = self.data();
        self.postmaster.as_mut().ok_or(Fault::NotRunning)?.wait_until_ready(&data, PATIENCE)
    }

    /// Kills the server and all its processes at once (SIGKILL), as a crash of the machine's
    /// processes would: nothing is written any more, and the next start recovers.
    pub fn kill(&mut self) {
        if let Some(postmaster) = self.postmaster.take() {
            postmaster.kill();
        }
    }

    /// Ends the server in order: connections are cut, and everything is written.
    ///
    /// # Errors
    /// [`Fault`]: it does not end in time. It is killed then.
    pub fn stop_fast(&mut self) -> Result<(), Fault> {
        self.postmaster.take().ok_or(Fault::NotRunning)?.stop_fast(PATIENCE)
    }

    /// The URL of a database, for the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/{database}", self.port)
    }

    /// The port on 127.0.0.1. It stays the same for the cluster's life.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of the server's first process, while there is one: for who measures it.
    pub fn process(&self) -> Option<u32> {
        self.postmaster.as_ref().map(Postmaster::id)
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        postmaster::read_log(&self.folder.path().join("log"))
    }

    /// Makes an empty database, and gives its URL. The name is letters, digits and `_`.
    ///
    /// # Errors
    /// [`Fault`]: there is one of that name, or the server does not answer.
    pub fn create_database(&self, name: &str) -> Result<String, Fault> {
        self.execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"))?;
        Ok(self.url(name))
    }

    /// Runs a statement on a database, and gives the first column of its rows as text.
    ///
    /// # Errors
    /// [`Fault`]: the server refuses it, or does not answer.
    pub fn execute(&self, database: &str, sql: &str) -> Result<Vec<Option<String>>, Fault> {
        sql::execute(&self.url(database), sql)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A port on 127.0.0.1 that nobody has just now. It lies below the ports that the system gives to
/// outgoing connections: one of those could take the port of a server that was just killed, and
/// a client that knocks at an ephemeral port without a server may even meet itself.
///
/// # Errors
/// [`Fault`]: there is none.
pub fn free_port() -> Result<u16, Fault> {
    (0..200)
        .map(|_| 12_000 + u16::try_from(random() % 20_000).unwrap_or_default())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or(Fault::NoPort)
}

/// A random number, from the keys that the standard library draws for its hash tables.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}

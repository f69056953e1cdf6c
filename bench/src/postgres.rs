//! A PostgreSQL cluster of one run: made, started and stopped here, durable as a real one.
//!
//! The server's own programs come from the system's package. They refuse to run as root, so they
//! run as the user `postgres`, else `nobody`, where this program is root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use crate::failure::Failure;
use crate::process::Running;

/// Where the system's packages lay the programs, one folder a version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// How often to ask whether it is up, and how long to wait in between.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// A cluster that runs.
pub(crate) struct Cluster {
    server: Running,
    port: u16,
    /// Removed at the end, after the server stopped: fields are dropped in this order.
    _folder: tempfile::TempDir,
}

impl Cluster {
    /// Makes a cluster and starts it on a free port of the loopback address.
    pub(crate) async fn start() -> Result<Cluster, Failure> {
        let programs = programs()?;
        let folder = tempfile::tempdir().map_err(Failure::io("no folder for PostgreSQL"))?;
        let owner = owner(folder.path())?;
        give(folder.path(), owner)?;
        let data = folder.path().join("data");
        let mut initdb = Command::new(programs.join("initdb"));
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]);
        initdb.arg("--pgdata").arg(&data).current_dir(folder.path()).stdout(Stdio::null());
        let made = as_owner(&mut initdb, owner).status();
        if !made.map_err(Failure::io("initdb was not started"))?.success() {
            return Err(Failure::said("initdb could not make a cluster"));
        }
        let port = crate::server::free_port()?;
        let mut postgres = Command::new(programs.join("postgres"));
        postgres.arg("-D").arg(&data).current_dir(folder.path());
        for setting in [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", folder.path().display()),
            "fsync=on".to_owned(),
            "synchronous_commit=on".to_owned(),
            "shared_buffers=256MB".to_owned(),
        ] {
            postgres.arg("-c").arg(setting);
        }
        let words = folder.path().join("postgres.log");
        let server = Running::start(as_owner(&mut postgres, owner), &words)?;
        let cluster = Cluster { server, port, _folder: folder };
        cluster.wait(&words).await?;
        Ok(cluster)
    }

    /// The id of its first process; all others are its children.
    pub(crate) fn process(&self) -> u32 {
        self.server.id()
    }

    /// Makes an empty database, and says how to reach it.
    pub(crate) async fn make_database(&self, name: &str) -> Result<String, Failure> {
        let client = connect(&self.url("postgres")).await?;
        client.batch_execute(&format!("CREATE DATABASE \"{name}\"")).await?;
        Ok(self.url(name))
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    async fn wait(&self, words: &Path) -> Result<(), Failure> {
        for _ in 0..TRIES {
            if connect(&self.url("postgres")).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        let log = fs::read_to_string(words).unwrap_or_default();
        Err(Failure::said(format!("PostgreSQL did not start:\n{log}")))
    }
}

/// Connects, and lets the connection run beside.
pub(crate) async fn connect(url: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with the client; what went wrong the client is told.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

fn programs() -> Result<PathBuf, Failure> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .ok_or_else(|| Failure::said(format!("there is no PostgreSQL below {VERSIONS}")))?;
    Ok(Path::new(VERSIONS).join(newest.to_string()).join("bin"))
}

/// Which user and group own the cluster, where this program may not.
fn owner(folder: &Path) -> Result<Option<(u32, u32)>, Failure> {
    let own = fs::metadata(folder).map_err(Failure::io("the folder for PostgreSQL"))?.uid();
    if own != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(Failure::io("/etc/passwd"))?;
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let found = ids("postgres").or_else(|| ids("nobody"));
    found.map(Some).ok_or_else(|| Failure::said("PostgreSQL refuses to run as root"))
}

fn give(folder: &Path, owner: Option<(u32, u32)>) -> Result<(), Failure> {
    let Some((user, group)) = owner else { return Ok(()) };
    std::os::unix::fs::chown(folder, Some(user), Some(group))
        .and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(0o700)))
        .map_err(Failure::io("the folder for PostgreSQL"))
}

fn as_owner(command: &mut Command, owner: Option<(u32, u32)>) -> &mut Command {
    match owner {
        Some((user, group)) => command.uid(user).gid(group),
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cluster_stands_up_and_makes_databases_that_keep_what_they_commit() {
        let cluster = Cluster::start().await.unwrap();
        let url = cluster.make_database("one").await.unwrap();
        let client = connect(&url).await.unwrap();
        client.batch_execute("CREATE TABLE t (a BIGINT); INSERT INTO t VALUES (7)").await.unwrap();
        let row = connect(&url).await.unwrap().query_one("SELECT a FROM t", &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 7);
        let fsync = client.query_one("SHOW fsync", &[]).await.unwrap();
        assert_eq!(fsync.get::<_, &str>(0), "on");
    }
}

//! A second server that follows the first, for what has to survive the loss of one.

use crate::{Cluster, Fault, PATIENCE};

/// The setting of a primary that makes its commits wait for its replicas.
const WAIT_FOR: &str = "synchronous_standby_names";

/// Whether the primary waits for its replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// A commit is answered once the replica has it on disk too. Without a replica, commits wait.
    Synchronous,
    /// A commit is answered at once; what the replica has not got yet is lost with the primary.
    Asynchronous,
}

impl Cluster {
    /// Starts a streaming replica of this cluster, and waits until it follows. A synchronous one
    /// is waited for by every commit from then on.
    ///
    /// # Errors
    /// [`Fault`]: the copy fails, or the replica does not start or does not follow.
    pub fn replica(&self, replication: Replication) -> Result<Cluster, Fault> {
        let settings: Vec<(&str, &str)> =
            self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut replica = Cluster::folder(self.programs.clone(), &settings)?;
        let data = format!("--pgdata={}", replica.data().display());
        let source = format!("--dbname={}", self.url("postgres"));
        // Streamed, so that nothing has to be archived; a checkpoint at once, and not in minutes.
        let arguments = [
            &*data,
            &*source,
            "--write-recovery-conf",
            "--wal-method=stream",
            "--checkpoint=fast",
            "--no-sync",
        ];
        self.programs.run("pg_basebackup", &arguments, replica.path())?;
        replica.forget_whom_the_primary_waits_for()?;
        replica.start_on_a_free_port()?;
        self.wait_for(
            "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'",
            "be followed",
        )?;
        if replication == Replication::Synchronous {
            self.execute("postgres", &format!("ALTER SYSTEM SET {WAIT_FOR} = '*'"))?;
            self.execute("postgres", "SELECT pg_reload_conf()")?;
            self.wait_for(
                "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'",
                "wait for its replica",
            )?;
        }
        Ok(replica)
    }

    /// Makes a replica a primary. Whoever was the primary has to be dead: nothing here fences it.
    ///
    /// # Errors
    /// [`Fault`]: it is none, or does not become one in time.
    pub fn promote(&self) -> Result<(), Fault> {
        self.execute("postgres", &format!("SELECT pg_promote(true, {})", PATIENCE.as_secs()))?;
        self.wait_for("SELECT 1 WHERE NOT pg_is_in_recovery()", "be a primary")
    }

    /// Promoted, a copy of that setting would make it wait for a replica that it does not have.
    fn forget_whom_the_primary_waits_for(&self) -> Result<(), Fault> {
        let path = self.data().join("postgresql.auto.conf");
        let text = std::fs::read_to_string(&path).map_err(Fault::Folder)?;
        let kept = text.lines().filter(|line| !line.starts_with(WAIT_FOR));
        let text = kept.map(|line| format!("{line}\n")).collect::<String>();
        // Written over, the file keeps its owner.
        std::fs::write(&path, text).map_err(Fault::Folder)
    }

    fn wait_for(&self, sql: &str, what: &'static str) -> Result<(), Fault> {
        for _ in 0..PATIENCE.as_millis() / 20 {
            if !self.execute("postgres", sql)?.is_empty() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Err(Fault::Late { what, seconds: PATIENCE.as_secs(), log: self.log() })
    }
}

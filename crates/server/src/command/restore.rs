//! `grantor restore`: a backup becomes the database again.
//!
//! 1. the master key is read, the journal claimed so that no server runs here, the backup checked as
//!    a whole, and the place for it: an SQLite file, or an empty PostgreSQL database;
//! 2. `restore/gap.rs` reads the journal; where it does not hold all that ended since, a person has
//!    to choose;
//! 3. in the copy its epoch rises, what ended ends again, secrets and passwords are voided where
//!    somebody asked for it;
//! 4. the copy takes the place of an SQLite file, which is kept, and then the master key's file gets
//!    the new epoch; into PostgreSQL everything goes in one transaction, and its commit is last. A
//!    crash in between leaves what a server starts with, or refuses to: run the command again then.

mod gap;
mod report;

use std::fs::File;
use std::path::{Path, PathBuf};

use self::gap::{Choice, Evidence, Journaled};
use self::report::Report;
use super::Failure;
use super::output::{Output, say};
use super::place::{self, ConfigFile};
use crate::clock::Clock;
use crate::config::Config;
use crate::journal;
use crate::keys::{self, KeysError};
use crate::master_key::MasterKey;
use crate::password::{Password, Passwords};
use crate::random::Random;
use crate::store::Address;
use crate::store::backup::{
    self, BackupError, Body, EmptyDatabase, Header, Prepared, Restored, Restoring, Voided,
};

/// The arguments of `grantor restore`.
#[derive(clap::Args)]
#[command(
    after_help = "Codes, access tokens and sessions from before end, and customers are asked for consent again.\n\
                  With --json: {\"backup\",\"created_at\",\"database\",\"kept\",\"epoch\",\"journal\":{\"whole\",\"until\",\"why_not\"},\"done\":{...},\"secrets_changed\":[...],\"passwords_changed\":[...],\"clients_narrowed\":[...],\"factors_ended\":[...]}"
)]
pub(super) struct Arguments {
    /// A file that `grantor backup` made
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
    /// Replace the SQLite file that is there; it is kept under another name
    #[arg(long)]
    replace: bool,
    /// Read what ended since from this journal, in the place of the configuration's
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Where the journal does not hold all that ended since: end all connections
    #[arg(long, conflicts_with = "accept_gap")]
    end_all_connections: bool,
    /// Where the journal does not hold all that ended since: let live again what it does not name
    #[arg(long)]
    accept_gap: bool,
    /// Void the client secrets that were changed since; all, where the journal does not say which
    #[arg(long)]
    void_secrets: bool,
    /// Void the passwords that were changed since; all, where the journal does not say which
    #[arg(long)]
    void_passwords: bool,
    /// Switch off the clients from which redirect URIs or scopes were taken since
    #[arg(long)]
    disable_narrowed: bool,
    #[command(flatten)]
    output: Output,
}

/// What is known before anything is changed.
struct Plan<'a> {
    file: &'a Path,
    config: &'a Config,
    database: Address,
    master_key: MasterKey,
    claim: Option<File>,
    header: Header,
    restoring: Restoring<'a>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let config = Config::read(&arguments.config.path)?;
    let database = config.database()?;
    let (clock, random) = (Clock::system(), Random::system());
    let master_key = MasterKey::read(&config.master_key_file)?;
    // Read before it is claimed, which makes it where there is none.
    let named = arguments.journal.as_ref().unwrap_or(&config.journal_file);
    let reading = journal::read(named);
    if arguments.journal.is_some()
        && let Some(fault @ journal::JournalFault::Missing) = &reading.fault
    {
        return Err(Failure::mendable(format!("the journal {}: {fault}", named.display())));
    }
    // Before anything is opened, which would change it.
    let evidence = Evidence {
        written_until: database.file().and_then(gap::database_written_until),
        // Who names a file of his own knows what it is.
        journal_written: arguments.journal.is_none().then(|| gap::written(named)).flatten(),
        key_epoch: master_key.epoch(),
    };
    let claim = claim(&config)?;
    let (header, prepared) = backup::prepare(&arguments.file, &database, arguments.replace).await?;
    belongs(&header, &master_key)?;

    let journaled = Journaled::since(&reading, &header, &evidence);
    let choice = gap::choose(&journaled, named, &arguments)?;
    // A restore that was cut short may have left it above the key's.
    let left = database.file().and_then(backup::epoch_of).unwrap_or_default();
    let epoch = 1 + header.epoch.max(master_key.epoch()).max(journaled.epoch).max(left);
    let unusable_hash = unusable_hash(&random).await?;
    let fresh_keys = keys::fresh(&master_key, &random, clock.now());
    let restoring = Restoring {
        epoch,
        fresh_keys: &fresh_keys,
        endings: &journaled.endings,
        end_all_connections: choice == Choice::EndAllConnections,
        void_secrets: voided(arguments.void_secrets, &journaled),
        void_passwords: voided(arguments.void_passwords, &journaled),
        disable_narrowed: arguments.disable_narrowed,
        unusable_hash: &unusable_hash,
        now: clock.now(),
    };
    let file = &arguments.file;
    let plan = Plan { file, config: &config, database, master_key, claim, header, restoring };
    let database = plan.database.to_string();
    let header = plan.header.clone();
    let (done, kept) = match prepared {
        Prepared::File(body) => plan.replace_file(&body, &random)?,
        Prepared::Empty(empty) => (plan.fill(empty, &random).await?, None),
    };
    note(&config, &header, epoch).await;
    let report = Report { header, database, kept, epoch, journaled, done };
    report.tell(arguments.output, &arguments)
}

/// Notes the restore in the audit log of the database that is there now. It is whole without, and
/// its journal tells of it: a fault is said, and is none of the restore.
async fn note(config: &Config, header: &Header, epoch: i64) {
    let detail = format!("the backup {}; epoch {epoch}", header.id);
    let noted = async {
        let opened = place::open_configured(config).await?;
        let act = opened.act("grantor restore", "database.restored", detail);
        Ok::<_, Failure>(opened.store.note_act(&act).await?)
    };
    if let Err(failure) = noted.await {
        say(&format!("The restore was not noted in the audit log.\n{failure}"));
    }
}

impl Plan<'_> {
    /// The database first, then the key: in between a server starts with what it finds.
    fn replace_file(
        mut self,
        body: &Body,
        random: &Random,
    ) -> Result<(Restored, Option<PathBuf>), Failure> {
        let Address::Sqlite(database) = &self.database.clone() else {
            return Err(Failure::unexplained("a body without a place for it"));
        };
        let (now, epoch) = (self.restoring.now, self.restoring.epoch);
        let done = body.apply(&self.restoring)?;
        let raised = self.master_key.raise_epoch(&self.config.master_key_file, epoch)?;
        self.claimed()?;
        backup::refuse_in_use(database)?;
        self.mark(random)?;
        let kept = backup::put_in_place(body, database, now)?;
        raised.put_in_place().map_err(|error| key_left(error.into(), epoch))?;
        Ok((done, kept))
    }

    /// The key first, then the commit: until then no server starts on the database.
    async fn fill(mut self, empty: EmptyDatabase, random: &Random) -> Result<Restored, Failure> {
        let epoch = self.restoring.epoch;
        let raised = self.master_key.raise_epoch(&self.config.master_key_file, epoch)?;
        let loaded = empty.load(self.file, &self.header, &self.restoring).await?;
        let ready = self.mark(random).and_then(|()| Ok(raised.put_in_place()?));
        if let Err(failure) = ready {
            loaded.undo().await;
            return Err(failure);
        }
        Ok(loaded.commit().await?)
    }

    /// Says in the journal that the epoch begins.
    fn mark(&mut self, random: &Random) -> Result<(), Failure> {
        let (backup, epoch) = (self.header.id.clone(), self.restoring.epoch);
        let now = self.restoring.now;
        Ok(journal::mark_restored(self.claimed()?, &backup, epoch, now, random)?)
    }

    fn claimed(&mut self) -> Result<&mut File, Failure> {
        match &mut self.claim {
            Some(claimed) => Ok(claimed),
            none => Ok(none.insert(claim_new(self.config)?)),
        }
    }
}

/// The claim of a journal that is there. Where there is none, no server of this version runs.
fn claim(config: &Config) -> Result<Option<File>, Failure> {
    if !config.journal_file.exists() {
        return Ok(None);
    }
    claim_new(config).map(Some)
}

fn claim_new(config: &Config) -> Result<File, Failure> {
    let path = &config.journal_file;
    let claimed = journal::claim(path).map_err(|error| {
        Failure::mendable(format!("the journal {} cannot be used", path.display())).because(&error)
    })?;
    claimed.ok_or_else(|| BackupError::InUse { database: config.store.to_string() }.into())
}

/// D8: another key could open nothing in it. The id is made of the key.
fn belongs(header: &Header, master_key: &MasterKey) -> Result<(), Failure> {
    let (wanted, found) = (header.master_key_id.clone(), master_key.id().to_owned());
    if wanted == found {
        return Ok(());
    }
    let hint = format!(
        "nothing was changed; the backup belongs to {wanted}: put a copy of that key in the place \
         of master_key_file"
    );
    Err(Failure::from(KeysError::OtherMasterKey { wanted, found }).hint(hint))
}

fn voided(asked: bool, journaled: &Journaled) -> Voided {
    match (asked, journaled.why_not.is_none()) {
        (false, _) => Voided::Nobody,
        (true, true) => Voided::Changed,
        (true, false) => Voided::Everybody,
    }
}

/// The hash of a password that nobody knows: a sign-in with it fails as with any wrong one.
async fn unusable_hash(random: &Random) -> Result<String, Failure> {
    let passwords = Passwords::start(1, random.clone())?;
    Ok(passwords.hash(Password::new(random.secret())).await?)
}

fn key_left(failure: Failure, epoch: i64) -> Failure {
    failure
        .hint("the database was restored, and the server starts with it")
        .hint(format!("the key's file still has the epoch before: write epoch = {epoch} into it"))
}

/// A path, for a sentence.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

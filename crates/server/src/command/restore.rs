//! `grantor restore`: a backup becomes the database again.
//!
//! 1. the master key is read, the journal claimed so that no server runs, the backup checked as a
//!    whole and copied beside the database;
//! 2. `restore/gap.rs` reads the journal; where it does not hold all that ended since, a person has
//!    to choose;
//! 3. the copy is changed: its epoch rises, what ended ends again, secrets and passwords are voided
//!    where somebody asked for it;
//! 4. the copy takes the place of the database, which is kept, and then the master key's file gets
//!    the new epoch. In this order a crash in between leaves what a server starts with; run the
//!    command again then.

mod gap;
mod report;

use std::fs::File;
use std::path::{Path, PathBuf};

use self::gap::{Choice, Journaled};
use self::report::Report;
use super::Failure;
use super::output::Output;
use super::place::ConfigFile;
use crate::clock::Clock;
use crate::config::Config;
use crate::journal;
use crate::keys;
use crate::master_key::MasterKey;
use crate::password::{Password, Passwords};
use crate::random::Random;
use crate::store::backup::{self, BackupError, Body, Restoring, Voided};

/// The arguments of `grantor restore`.
#[derive(clap::Args)]
#[command(
    after_help = "Codes, access tokens and sessions from before end, and customers are asked for consent again.\n\
                  With --json: {\"backup\",\"created_at\",\"database\",\"kept\",\"epoch\",\"journal\":{\"whole\",\"until\",\"why_not\"},\"done\":{...},\"secrets_changed\":[...],\"passwords_changed\":[...]}"
)]
pub(super) struct Arguments {
    /// A file that `grantor backup` made
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
    /// Replace the database that is there; it is kept under another name
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
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let config = Config::read(&arguments.config.path)?;
    let (clock, random) = (Clock::system(), Random::system());
    let database = config.store.file().map(PathBuf::from).ok_or_else(|| Failure::mendable("not yet"))?;
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
    let written_until = gap::written_until(&database);
    let mut claim = claim(&config)?;
    backup::refuse_to_lose(&database, arguments.replace)?;
    let (header, body) = backup::extract(&arguments.file, &database)?;
    belongs(&body, &master_key)?;

    let journaled = Journaled::since(&reading, &header, written_until);
    let choice = gap::choose(&journaled, named, &arguments)?;
    let epoch = 1 + [
        header.epoch,
        master_key.epoch(),
        journaled.epoch,
        // A restore that was cut short may have left it above the key's.
        backup::epoch_of(&database).unwrap_or_default(),
    ]
    .into_iter()
    .max()
    .unwrap_or_default();
    let now = clock.now();
    let done = Restoring {
        epoch,
        endings: &journaled.endings,
        end_all_connections: choice == Choice::EndAllConnections,
        void_secrets: voided(arguments.void_secrets, &journaled),
        void_passwords: voided(arguments.void_passwords, &journaled),
        unusable_hash: &unusable_hash(&random).await?,
        now,
    }
    .apply(&body)?;

    let raised = master_key.raise_epoch(&config.master_key_file, epoch)?;
    let claimed = match &mut claim {
        Some(claimed) => claimed,
        none => none.insert(claim_new(&config)?),
    };
    backup::refuse_in_use(&database)?;
    journal::mark_restored(claimed, &header.id, epoch, now, &random)?;
    let kept = backup::put_in_place(&body, &database, now)?;
    raised.put_in_place().map_err(|error| key_left(error.into(), epoch))?;

    let report = Report { header, database, kept, epoch, journaled, done };
    report.tell(arguments.output, arguments.void_secrets, arguments.void_passwords)
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
    claimed.ok_or_else(|| BackupError::InUse { path: config.store.file().map(PathBuf::from).unwrap_or_default() }.into())
}

/// D8: another key could open nothing in it.
fn belongs(body: &Body, master_key: &MasterKey) -> Result<(), Failure> {
    let installation = body.installation()?;
    let Some(installation) = installation else {
        return Err(Failure::unexplained("the backup names no master key"));
    };
    keys::belongs(&installation, master_key).map_err(|error| {
        let failure = Failure::from(error);
        failure.hint(format!(
            "nothing was changed; the backup belongs to {}: put a copy of that key in the place of \
             master_key_file",
            installation.master_key_id
        ))
    })
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

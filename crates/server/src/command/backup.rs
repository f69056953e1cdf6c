//! `grantor backup`: the database in one file, taken while the server runs.
//!
//! 1. the journal of endings gets a mark, before anything is copied: whatever the copy may lack is
//!    noted below it;
//! 2. the tables are copied as they stand at one moment, and the file comes to its name whole.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::Failure;
use super::output::{Output, aligned, say, time};
use super::place::ConfigFile;
use crate::clock::Clock;
use crate::config::Config;
use crate::journal::{Journal, Mark};
use crate::random::Random;
use crate::store::backup::{self, Header};

/// How often a long copy says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// The arguments of `grantor backup`.
#[derive(clap::Args)]
#[command(after_help = "The master key is not in a backup: keep a copy of it apart.\n\
                  With --json: {\"file\",\"id\",\"engine\",\"created_at\",\"schema_version\",\"epoch\",\"master_key_id\",\"tables\",\"body_bytes\",\"body_sha256\"}, with the number of rows of each table")]
pub(super) struct Arguments {
    /// The new file; one that exists is never written over
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Taken {
    file: PathBuf,
    #[serde(flatten)]
    header: Header,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { file, config, output } = arguments;
    if file.as_os_str() == "-" {
        return Err(Failure::mendable("a backup is not written to standard output")
            .hint("name a file: it is checked, and comes to its name only once it is whole"));
    }
    let config = Config::read(&config.path)?;
    let database = config.database()?;
    if let Some(missing) = database.file().filter(|file| !file.exists()) {
        return Err(Failure::mendable(format!("there is no database {}", missing.display()))
            .hint("`store` in the configuration says which database is meant"));
    }
    let (clock, random) = (Clock::system(), Random::system());
    let journal = Journal::open(&config.journal_file, &clock, &random)?;
    let (id, now) = (random.hex::<16>(), clock.now());
    journal.mark(Mark::Backup { id: id.clone() }).await?;
    let header = tokio::select! {
        taken = backup::take(&database, &file, id, now) => taken?,
        never = say_how_far(backup::unfinished(&file)) => match never {},
    };
    let taken = Taken { file, header };
    output.data(&taken, Taken::lines)?;
    output.say(&format!(
        "The master key is not in it. Without a copy of {} it cannot be restored: keep one, apart \
         from the backups.",
        taken.header.master_key_id
    ));
    Ok(())
}

impl Taken {
    fn lines(&self) -> String {
        let header = &self.header;
        let rows = |table: &str| header.tables.get(table).copied().unwrap_or_default();
        aligned(&[
            ("file", self.file.display().to_string()),
            ("id", header.id.clone()),
            ("created_at", time(header.created_at)),
            ("master_key_id", header.master_key_id.clone()),
            ("epoch", header.epoch.to_string()),
            ("bytes", header.body_bytes.to_string()),
            (
                "rows",
                format!(
                    "{} clients, {} customers, {} consents, {} grants",
                    rows("clients"),
                    rows("customers"),
                    rows("consents"),
                    rows("grants")
                ),
            ),
        ])
    }
}

/// Standard error is for words, so a script that reads JSON is not disturbed.
async fn say_how_far(body: PathBuf) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(PROGRESS).await;
        if let Ok(found) = body.metadata() {
            say(&format!("{} MB so far", found.len() / 1_000_000));
        }
    }
}

//! `grantor key rekey`: another master key.

use std::path::PathBuf;

use serde::Serialize;

use super::super::Failure;
use super::super::output::{Output, aligned};
use super::super::place::{Opened, Place};
use super::COMMAND;
use crate::keys::rekey::{Rekeyed, prepare_only, rekey};
use crate::master_key::next_file;

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"master_key_id\",\"former_file\",\"finished\",\"columns\":[{\"column\",\"values\"}]}; finished says that a rekey that was begun earlier was finished. With --prepare: {\"prepared_id\",\"prepared_file\"}"
)]
pub(super) struct Arguments {
    /// Only lay the new key beside the master key, to bring it to other machines first
    #[arg(long)]
    prepare: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct PreparedData {
    prepared_id: String,
    prepared_file: PathBuf,
}

#[derive(Serialize)]
struct RekeyedData {
    master_key_id: String,
    former_file: Option<PathBuf>,
    finished: bool,
    columns: Vec<ColumnData>,
}

#[derive(Serialize)]
struct ColumnData {
    column: &'static str,
    values: usize,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let file = self.place.master_key_file()?;
        let opened = self.place.open().await?;
        let Opened { store, random, .. } = &opened;
        if self.prepare {
            let prepared = PreparedData {
                prepared_id: prepare_only(store, &file, random).await?,
                prepared_file: next_file(&file),
            };
            self.output.data(&prepared, |prepared| {
                aligned(&[
                    ("prepared_id", prepared.prepared_id.clone()),
                    ("prepared_file", prepared.prepared_file.display().to_string()),
                ])
            })?;
            self.output.say(
                "Nothing is encrypted under it yet. Bring the file to every machine that has the \
                 master key, then run: grantor key rekey",
            );
            return Ok(());
        }
        let act = opened.act(COMMAND, "key.master_changed", String::new());
        let done = RekeyedData::from(rekey(store, &file, random, Some(&act)).await?);
        self.output.data(&done, RekeyedData::lines)?;
        if done.finished {
            self.output.say("A rekey that was begun earlier is finished. No other key was made.");
        }
        if let Some(former) = &done.former_file {
            self.output.say(&format!(
                "Keep a copy of {}. Backups from before need {}; remove it when they are gone.",
                file.display(),
                former.display()
            ));
        }
        Ok(())
    }
}

impl From<Rekeyed> for RekeyedData {
    fn from(done: Rekeyed) -> RekeyedData {
        let columns = done.counts.into_iter();
        RekeyedData {
            master_key_id: done.master_key_id,
            former_file: done.former_file,
            finished: done.finished,
            columns: columns
                .map(|count| ColumnData { column: count.column, values: count.values })
                .collect(),
        }
    }
}

impl RekeyedData {
    fn lines(&self) -> String {
        let mut lines = vec![("master_key_id", self.master_key_id.clone())];
        lines.extend(self.columns.iter().map(|count| (count.column, count.values.to_string())));
        aligned(&lines)
    }
}

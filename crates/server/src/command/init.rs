//! `grantor init`: a data folder with a master key and a commented configuration that loads as it
//! is. Nothing that exists is ever overwritten.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Failure;
use super::output::{Output, aligned, say};
use crate::master_key::MasterKey;
use crate::random::Random;

const CONFIG: &str = "grantor.toml";
const MASTER_KEY: &str = "master.key";
const DATABASE: &str = "grantor.db";
/// The configuration that a new folder gets.
pub(super) const TEMPLATE: &str = include_str!("init/grantor.toml");

/// The arguments of `grantor init`.
#[derive(clap::Args)]
#[command(after_help = "With --json: {\"data\",\"config\",\"master_key_file\",\"master_key_id\"}")]
pub(super) struct Arguments {
    /// The folder; it is made where there is none
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// What was made.
#[derive(Serialize)]
struct Made {
    data: PathBuf,
    config: PathBuf,
    master_key_file: PathBuf,
    master_key_id: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folder = &arguments.folder;
    for name in [CONFIG, MASTER_KEY, DATABASE] {
        let path = folder.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(Failure::mendable(format!("there is a {} already", path.display()))
                .hint("nothing was changed; name another folder: grantor init DIR"));
        }
    }
    make_folder(folder)?;
    let master_key = MasterKey::generate(&Random::system());
    let made = Made {
        data: folder.clone(),
        config: folder.join(CONFIG),
        master_key_file: folder.join(MASTER_KEY),
        master_key_id: master_key.id().to_owned(),
    };
    master_key.write(&made.master_key_file)?;
    write_config(&made.config)?;
    arguments.output.data(&made, |made| {
        aligned(&[
            ("config", made.config.display().to_string()),
            ("master_key_file", made.master_key_file.display().to_string()),
            ("master_key_id", made.master_key_id.clone()),
        ])
    })?;
    arguments.output.say(&format!(
        "Keep a copy of the master key, apart from backups of the database: without it the \
         database cannot be used.\nNext: set the base URLs in the configuration, then run\n  \
         grantor serve --config {}",
        made.config.display()
    ));
    Ok(())
}

/// Makes the folder so that only its owner may enter it. A folder that exists keeps its mode.
fn make_folder(folder: &Path) -> Result<(), Failure> {
    let fault = |error: std::io::Error| {
        Failure::mendable(format!("the folder {} cannot be made", folder.display())).because(&error)
    };
    match folder.metadata() {
        Ok(found) if !found.is_dir() => {
            Err(Failure::mendable(format!("{} is no folder", folder.display())))
        }
        Ok(found) => {
            if found.permissions().mode() & 0o077 != 0 {
                say(&format!(
                    "warning: others can enter {}; to keep them out run: chmod 700 {}",
                    folder.display(),
                    folder.display()
                ));
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault)
        }
        Err(error) => Err(fault(error)),
    }
}

fn write_config(path: &Path) -> Result<(), Failure> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(TEMPLATE.as_bytes()))
        .map_err(|error| {
            Failure::mendable(format!("{} cannot be written", path.display())).because(&error)
        })
}

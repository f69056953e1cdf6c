//! A data folder, initialised once and copied for each cluster: `initdb` takes a second, a copy a
//! tenth of it.
//!
//! The first to need the template makes it aside and renames it, whole. Of several who do so at
//! once the first rename stands, and the others throw theirs away.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::{Programs, output};
use crate::{Fault, SUPERUSER, random};

/// What the folders of clusters are called, before the id of the process that made them.
const PREFIX: &str = "grantor-test-cluster-";

/// Lays a fresh data folder at `data`, which does not exist yet.
pub(crate) fn lay(programs: &Programs, data: &Path) -> Result<(), Fault> {
    let template = target_folder().map(|target| target.join("tmp").join(programs.name()));
    if let Some(template) = template.as_deref().filter(|template| template.exists()) {
        return copy(template, data);
    }
    initialise(programs, data)?;
    // A cache that cannot be kept is none; the data is here all the same.
    if let Some(template) = template {
        let _ = keep(data, &template);
    }
    Ok(())
}

/// The name of a cluster's folder begins so.
pub(crate) fn folder_prefix(process: u32) -> String {
    format!("{PREFIX}{process}-")
}

/// Removes the folders of processes that were killed before they could do it.
pub(crate) fn sweep() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        let gone = |owner: &str| {
            owner.bytes().all(|byte| byte.is_ascii_digit())
                && Path::new("/proc/self").exists()
                && !Path::new("/proc").join(owner).exists()
        };
        if owner.is_some_and(gone) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn initialise(programs: &Programs, data: &Path) -> Result<(), Fault> {
    let at = format!("--pgdata={}", data.display());
    let superuser = format!("--username={SUPERUSER}");
    let arguments = [
        at.as_str(),
        superuser.as_str(),
        "--auth=trust",
        "--encoding=UTF8",
        "--no-locale",
        "--no-sync",
        "--no-instructions",
    ];
    programs.run("initdb", &arguments, data.parent().unwrap_or(data)).map(drop)
}

fn keep(data: &Path, template: &Path) -> Result<(), Fault> {
    let aside = template.with_file_name(format!("unfinished-{:016x}", random()));
    if let Some(parent) = template.parent() {
        std::fs::create_dir_all(parent).map_err(Fault::Folder)?;
    }
    let kept =
        copy(data, &aside).and_then(|()| std::fs::rename(&aside, template).map_err(Fault::Folder));
    if kept.is_err() {
        let _ = std::fs::remove_dir_all(&aside);
    }
    kept
}

/// A copy with owners and modes, which PostgreSQL demands.
fn copy(from: &Path, to: &Path) -> Result<(), Fault> {
    output(Command::new("cp").arg("-a").arg(from).arg(to)).map(drop)
}

/// Cargo's target folder, wherever it was put: this very program lies in it.
fn target_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists()).map(Path::to_path_buf)
}

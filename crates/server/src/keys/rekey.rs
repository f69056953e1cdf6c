//! A new master key in the place of the old one.
//!
//! 1. the new key is laid beside the old one, as `<file>.new`, and synced;
//! 2. one transaction, which demands that the keys are still what was read, puts every encrypted
//!    value under the new key and names it in the database;
//! 3. the new key takes the file's place; the old one stays beside it under its own id, because
//!    backups from before need it.
//!
//! Killed before 2, the old key is in force, and the next rekey goes on with the key that was laid.
//! Killed after 2, the new key is in force: servers and commands find it beside the old one, and
//! the next rekey does step 3. Two at the same time go on with the same key, so neither can remove
//! what the other made the database depend on.

use std::path::{Path, PathBuf};

use super::{KeysError, Loaded, TRIES, in_force, new_version};
use crate::master_key::{MasterKey, MasterKeyError, next_file, put_next_in_place, remove_next};
use crate::random::Random;
use crate::store::{Act, EncryptedCount, Rekey, Store, count_encrypted};

/// What a rekey did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rekeyed {
    /// The id of the master key that is in force now.
    pub master_key_id: String,
    /// How many values of each encrypted column are under it.
    pub counts: Vec<EncryptedCount>,
    /// Where the former key stays; `None` where somebody else put it there.
    pub former_file: Option<PathBuf>,
    /// Whether a rekey that was begun earlier was finished, and no other key was made.
    pub finished: bool,
}

/// Changes the master key that stands in `file`, or finishes what was begun. The act that it is is
/// noted with the change of the database, and names the new key.
///
/// # Errors
/// [`KeysError`]
pub async fn rekey(
    store: &Store,
    file: &Path,
    random: &Random,
    act: Option<&Act>,
) -> Result<Rekeyed, KeysError> {
    for _ in 0..TRIES {
        let standing = MasterKey::read(file)?;
        let current = in_force(store, &standing).await?;
        let former_id = standing.id();
        let (next, finished) = if current.master_key.id() == former_id {
            (prepare(&standing, file, random)?, false)
        } else {
            (current.master_key.clone(), true)
        };
        let changed = finished || change_over(store, &current, &next, (random, act)).await?;
        if changed {
            let counts = verify(store, &next).await?;
            let former_file = put_next_in_place(file, next.id())?;
            let master_key_id = next.id().to_owned();
            return Ok(Rekeyed { master_key_id, counts, former_file, finished });
        }
    }
    Err(KeysError::Contended)
}

/// Lays the next master key beside the one in `file`, without changing over to it: so that it can
/// be brought to other machines first. Answers with its id; one that was laid before is kept.
///
/// # Errors
/// [`KeysError`]
pub async fn prepare_only(
    store: &Store,
    file: &Path,
    random: &Random,
) -> Result<String, KeysError> {
    let standing = MasterKey::read(file)?;
    let current = in_force(store, &standing).await?;
    if current.master_key.id() != standing.id() {
        return Err(KeysError::OtherMasterKey {
            wanted: current.installation.master_key_id,
            found: standing.id().to_owned(),
        });
    }
    Ok(prepare(&standing, file, random)?.id().to_owned())
}

/// The next key: the one that was laid, or a new one.
fn prepare(standing: &MasterKey, file: &Path, random: &Random) -> Result<MasterKey, KeysError> {
    let path = next_file(file);
    loop {
        match MasterKey::read(&path) {
            // The key that is in force already, left behind.
            Ok(laid) if laid.id() == standing.id() => remove_next(file)?,
            Ok(laid) if laid.epoch() == standing.epoch() => return Ok(laid),
            Ok(laid) => {
                return Err(KeysError::PreparedBefore {
                    prepared: laid.id().to_owned(),
                    epoch: laid.epoch(),
                    standing: standing.id().to_owned(),
                });
            }
            Err(MasterKeyError::Missing { .. }) => {
                match MasterKey::generate_in(standing.epoch(), random).write(&path) {
                    // Whoever was faster laid the one to go on with.
                    Err(MasterKeyError::Io { source, .. })
                        if source.kind() == std::io::ErrorKind::AlreadyExists => {}
                    written => written?,
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Puts every encrypted value under the next key. Answers whether the keys were still what was
/// read.
async fn change_over(
    store: &Store,
    current: &Loaded,
    next: &MasterKey,
    (random, act): (&Random, Option<&Act>),
) -> Result<bool, KeysError> {
    let mut values = store.encrypted_values().await?;
    for value in &mut values {
        let plain = current.master_key.decrypt(&value.context, &value.encrypted)?;
        value.encrypted = next.encrypt(&value.context, &plain, random);
    }
    let act = act.map(|act| act.with(next.id()));
    let rekey = Rekey {
        former_id: current.master_key.id(),
        keys_version: current.installation.keys_version,
        master_key_id: next.id(),
        new_keys_version: new_version(random),
        act: act.as_ref(),
    };
    Ok(store.rekey(&rekey, &values).await?)
}

/// Opens every encrypted value with the key that is in force now, and counts them.
async fn verify(store: &Store, key: &MasterKey) -> Result<Vec<EncryptedCount>, KeysError> {
    let values = store.encrypted_values().await?;
    for value in &values {
        key.decrypt(&value.context, &value.encrypted)?;
    }
    Ok(count_encrypted(&values))
}

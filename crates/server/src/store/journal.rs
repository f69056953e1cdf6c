//! What ends is noted in the journal beside the database before it is committed, so that no restored
//! backup brings it back.

use super::{Store, StoreError};
use crate::journal::{Ending, Journal, JournalError};

impl Store {
    /// This store, with a journal of its endings. Without one nothing is noted: a backup of it
    /// cannot be restored without ending all connections or accepting what lives again.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal) -> Store {
        self.journal = Some(journal);
        self
    }

    /// The journal, where there is one.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Notes an ending; returns once it is on the disk. To be called before the write that ends.
    pub(super) async fn note(&self, ending: Ending) -> Result<(), StoreError> {
        match &self.journal {
            Some(journal) => Ok(journal.note(ending).await?),
            None => Ok(()),
        }
    }
}

impl From<JournalError> for StoreError {
    fn from(error: JournalError) -> StoreError {
        match error {
            JournalError::Busy => StoreError::Busy,
            error @ (JournalError::Held { .. }
            | JournalError::Io { .. }
            | JournalError::Stopped) => StoreError::Engine(error.to_string()),
        }
    }
}

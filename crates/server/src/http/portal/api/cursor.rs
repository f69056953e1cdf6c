//! Where the next part of a list begins. A cursor is a seal over the list, whose it is, and the last
//! entry that was shown: one that somebody changed, or brings from another list, is none. Whatever it
//! held, the entries behind it are asked for anew with the caller's own rights.

use super::super::fault::Fault;
use super::call::{CallFault, Query};
use super::guard::Caller;
use crate::seal::{Kind, NotThisSeal};

/// One list, as this caller sees it.
pub(super) struct List<'a> {
    pub(super) by: &'a Caller,
    /// Which one, with all that was asked of it.
    pub(super) name: String,
}

impl List<'_> {
    /// The entry behind which the part begins; `None` for the first part.
    ///
    /// # Errors
    /// [`CallFault::Cursor`]
    pub(super) async fn after(&self, query: &Query) -> Result<Option<Vec<u8>>, Fault> {
        let Some(cursor) = query.value("cursor") else {
            return Ok(None);
        };
        let site = &self.by.site;
        let opened = site.open(|sealer| sealer.open(Kind::Cursor, cursor)).await;
        let opened = opened.map_err(|fault| match fault {
            NotThisSeal::UnknownKey => Fault::Busy,
            NotThisSeal::Foreign | NotThisSeal::OtherKind(_) => Fault::Call(CallFault::Cursor),
        })?;
        let after = opened.strip_prefix(self.mark().as_slice());
        after.map(|after| Some(after.to_vec())).ok_or(Fault::Call(CallFault::Cursor))
    }

    /// The cursor for what comes behind that entry.
    pub(super) fn cursor(&self, last: &[u8]) -> String {
        let site = &self.by.site;
        let mut payload = self.mark();
        payload.extend_from_slice(last);
        site.sealer.seal(Kind::Cursor, &payload, site.clock.now())
    }

    /// Takes the one entry too many from a part that was asked for with one more, and gives the last
    /// one that is shown then.
    pub(super) fn cut<'e, T>(&self, entries: &'e mut Vec<T>, limit: i64) -> Option<&'e T> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if entries.len() <= limit {
            return None;
        }
        entries.truncate(limit);
        entries.last()
    }

    /// The same of a list that is short and was read as a whole: what stands behind `after` in the
    /// order of its ids, and the cursor behind that.
    pub(super) fn part<T>(
        &self,
        mut all: Vec<T>,
        (after, limit): (Option<[u8; 16]>, i64),
        id: impl Fn(&T) -> [u8; 16],
    ) -> (Vec<T>, Option<String>) {
        all.sort_by_key(|entry| id(entry));
        all.retain(|entry| after.is_none_or(|after| id(entry) > after));
        let next = self.cut(&mut all, limit).map(|last| self.cursor(&id(last)));
        (all, next)
    }

    /// The id behind which the part begins.
    ///
    /// # Errors
    /// [`CallFault::Cursor`]
    pub(super) async fn after_id(&self, query: &Query) -> Result<Option<[u8; 16]>, Fault> {
        let after = self.after(query).await?;
        after.map(|after| after.try_into().map_err(|_| Fault::Call(CallFault::Cursor))).transpose()
    }

    fn mark(&self) -> Vec<u8> {
        let whose = self.by.actor.partner_id().unwrap_or_default();
        let mut mark = whose.to_vec();
        mark.extend_from_slice(self.name.as_bytes());
        mark.push(0);
        mark
    }
}

//! How far a customer came in one authorization request, as it is sealed into the URL.

use super::{Kind, NotThisSeal, Reader, Sealer};

/// How far a customer came. That something was allowed it never says: Allow is answered by the code
/// itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressSeal {
    /// the digest of the browser that came so far
    pub browser: [u8; 32],
    /// the digest of the request in which it did
    pub request: [u8; 32],
    /// in Unix seconds
    pub expires_at: i64,
    /// whether the password was entered for this request
    pub signed_in: bool,
    /// which businesses were chosen
    pub businesses: Option<Vec<i64>>,
    /// a digest of what the consent page showed
    pub shown: Option<[u8; 32]>,
}

impl Sealer {
    /// Writes progress.
    pub fn progress(&self, progress: &ProgressSeal, now: i64) -> String {
        let mut payload = Vec::with_capacity(107);
        payload.extend_from_slice(&progress.browser);
        payload.extend_from_slice(&progress.request);
        payload.extend_from_slice(&progress.expires_at.to_be_bytes());
        payload.push(u8::from(progress.signed_in));
        payload.push(u8::from(progress.businesses.is_some()));
        payload.push(u8::from(progress.shown.is_some()));
        payload.extend_from_slice(&progress.shown.unwrap_or_default());
        for id in progress.businesses.iter().flatten() {
            payload.extend_from_slice(&id.to_be_bytes());
        }
        self.seal(Kind::Progress, &payload, now)
    }

    /// Opens progress. Whose it is, and whether it still lives, is for the caller to see.
    ///
    /// # Errors
    /// [`NotThisSeal`].
    pub fn open_progress(&self, text: &str) -> Result<ProgressSeal, NotThisSeal> {
        let payload = self.open(Kind::Progress, text)?;
        read(&payload).ok_or(NotThisSeal::Foreign)
    }
}

fn read(payload: &[u8]) -> Option<ProgressSeal> {
    let mut read = Reader(payload);
    let (browser, request) = (read.array()?, read.array()?);
    let expires_at = read.integer()?;
    let [signed_in, chosen, was_shown] = read.array()?;
    let shown = read.array()?;
    let mut businesses = Vec::new();
    while !read.is_at_end() {
        businesses.push(read.integer()?);
    }
    Some(ProgressSeal {
        browser,
        request,
        expires_at,
        signed_in: signed_in == 1,
        businesses: (chosen == 1).then_some(businesses),
        shown: (was_shown == 1).then_some(shown),
    })
}

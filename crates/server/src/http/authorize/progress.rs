//! How far a customer came in one request: sealed, in the URL beside it.
//!
//! It is bound to the browser's session and to the request, and lives ten minutes. It says that the
//! password was entered for this request, which businesses were chosen, and what the consent page
//! showed; that something was allowed it never says: Allow is answered by the code itself.

use grantor_protocol::authorization_step::Progress;

use super::flow::Flow;
use crate::http::session::Browser;
use crate::seal::ProgressSeal;

/// The parameter's name.
const NAME: &str = "progress";
pub(super) const TTL_SECONDS: i64 = 600;
/// More businesses than this are not carried through a URL.
pub(super) const MAX_BUSINESSES: usize = 200;

/// How far a customer came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SealedProgress {
    pub(super) signed_in: bool,
    pub(super) businesses: Option<Vec<i64>>,
    /// A digest of what the consent page showed.
    pub(super) shown: Option<[u8; 32]>,
}

impl SealedProgress {
    pub(super) fn as_progress(&self) -> Progress<'_> {
        Progress {
            signed_in: self.signed_in,
            businesses: self.businesses.as_deref(),
            decision: None,
        }
    }
}

/// Parts a query into what the partner sent and the progress that we put beside it.
pub(super) fn split(query: &str) -> (String, String) {
    let ours = |pair: &&str| pair.split('=').next() == Some(NAME);
    let sealed = query.split('&').find(ours).and_then(|pair| pair.split_once('='));
    let rest: Vec<&str> = query.split('&').filter(|pair| !ours(pair)).collect();
    (rest.join("&"), sealed.map(|(_, value)| value.to_owned()).unwrap_or_default())
}

/// The URL of this request with progress beside it, for `browser`, which is a new one right after
/// sign-in.
pub(super) fn url(flow: &Flow<'_>, browser: &Browser, progress: &SealedProgress) -> String {
    let now = flow.site.clock.now();
    let seal = ProgressSeal {
        browser: browser.digest(),
        request: flow.digest(),
        expires_at: now + TTL_SECONDS,
        signed_in: progress.signed_in,
        businesses: progress.businesses.clone(),
        shown: progress.shown,
    };
    let sealed = flow.site.sealer.progress(&seal, now);
    format!("{}&{NAME}={sealed}", flow.here())
}

/// The URL of the next page, with nothing more done than before.
pub(super) fn still_here(flow: &Flow<'_>) -> String {
    url(flow, &flow.browser, flow.sealed_progress())
}

/// Opens it. What is foreign, old, of another browser or of another request is no progress.
pub(super) fn open(flow: &Flow<'_>, sealed: &str) -> SealedProgress {
    let now = flow.site.clock.now();
    let read = || {
        let seal = flow.site.sealer.open_progress(sealed).ok()?;
        let lives = now < seal.expires_at && seal.expires_at <= now + TTL_SECONDS;
        let ours = seal.browser == flow.browser.digest() && seal.request == flow.digest() && lives;
        ours.then_some(SealedProgress {
            signed_in: seal.signed_in,
            businesses: seal.businesses,
            shown: seal.shown,
        })
    };
    read().unwrap_or_default()
}

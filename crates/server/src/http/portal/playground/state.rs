//! What a request of the playground is bound to: its `state`, and its PKCE verifier.
//!
//! Both are seals, so nothing is kept of them. The state travels through the browser and says which
//! browser began, for which app, and when. The verifier never leaves the portal before the exchange:
//! it is computed from the state's own number when it is needed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_protocol::pkce::CodeVerifier;

use crate::seal::{Kind, Reader};
use crate::site::Site;

/// How long somebody may take between the first step and the callback, in seconds.
const MOST_SECONDS: i64 = 30 * 60;

/// A request that the playground began.
pub(super) struct Begun {
    at: i64,
    number: [u8; 16],
    browser: [u8; 32],
    /// Whether it uses PKCE.
    pub(super) pkce: bool,
    /// For which client.
    pub(super) client_id: String,
}

/// Why a callback is none that this browser began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateFault {
    Missing,
    Foreign,
    OtherBrowser,
    TooOld,
}

impl Begun {
    pub(super) fn now(site: &Site, browser: [u8; 32], pkce: bool, client_id: &str) -> Begun {
        Begun {
            at: site.clock.now(),
            number: site.random.bytes(),
            browser,
            pkce,
            client_id: client_id.to_owned(),
        }
    }

    /// The value of `state`.
    pub(super) fn state(&self, site: &Site) -> String {
        let mut payload = self.at.to_be_bytes().to_vec();
        payload.extend_from_slice(&self.number);
        payload.extend_from_slice(&self.browser);
        payload.push(u8::from(self.pkce));
        payload.extend_from_slice(self.client_id.as_bytes());
        site.sealer.seal(Kind::Playground, &payload, self.at)
    }

    /// Reads a `state` that came back to `browser` (RFC 6749 10.12).
    pub(super) async fn of(
        site: &Site,
        browser: [u8; 32],
        state: Option<&str>,
    ) -> Result<Begun, StateFault> {
        let state = state.ok_or(StateFault::Missing)?;
        let payload = site.open(|sealer| sealer.open(Kind::Playground, state)).await;
        let payload = payload.map_err(|_| StateFault::Foreign)?;
        let begun = read(&payload).ok_or(StateFault::Foreign)?;
        if begun.browser != browser {
            return Err(StateFault::OtherBrowser);
        }
        match site.clock.now() <= begun.at + MOST_SECONDS {
            true => Ok(begun),
            false => Err(StateFault::TooOld),
        }
    }

    /// The verifier, where the request uses PKCE (RFC 7636 4.1): the MAC in it cannot be guessed.
    pub(super) fn verifier(&self, site: &Site) -> Option<String> {
        self.pkce.then(|| site.sealer.seal(Kind::Verifier, &self.number, self.at))
    }

    /// The challenge of the verifier (RFC 7636 4.2).
    pub(super) fn challenge(&self, site: &Site) -> Option<String> {
        let verifier = CodeVerifier::parse(&self.verifier(site)?).ok()?;
        Some(URL_SAFE_NO_PAD.encode(verifier.challenge().as_bytes()))
    }
}

impl StateFault {
    /// What happened, for the page.
    pub(super) fn words(self) -> &'static str {
        match self {
            StateFault::Missing => "It carries no state, so nobody knows who began it.",
            StateFault::Foreign => "Its state is none that this playground made.",
            StateFault::OtherBrowser => {
                "Its state was made for another browser, or before you signed in anew: somebody \
                 may have sent you their own callback."
            }
            StateFault::TooOld => "Its state was made more than half an hour ago.",
        }
    }
}

fn read(payload: &[u8]) -> Option<Begun> {
    let mut read = Reader(payload);
    let (at, number, browser) = (read.integer()?, read.array()?, read.array()?);
    let [pkce] = read.array()?;
    let client_id = String::from_utf8(read.rest().to_vec()).ok()?;
    Some(Begun { at, number, browser, pkce: pkce == 1, client_id })
}

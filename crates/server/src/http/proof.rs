//! Proof of possession at an endpoint (RFC 9449): which key whoever calls has proved.
//!
//! 1. [`Presented::read`] takes the one `DPoP` header, or none;
//! 2. [`Presented::prove`] has `protocol` verify it for this very request, and then uses up its
//!    `jti`, which every process sees;
//! 3. a server nonce, where the operator demands one, is a seal of the time: nothing is kept.
//!
//! The URI of the request is the configured one (S25), whatever its headers say.

use axum::http::HeaderMap;
use axum::http::header::{HeaderName, HeaderValue};
use grantor_protocol::dpop::{self, Proof, ProofFault};
use grantor_protocol::proof_error::ProofError;

use crate::seal::Kind;
use crate::site::Site;
use crate::store::Once;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// How long a nonce is good, in seconds.
const NONCE_SECONDS: i64 = 300;
/// How far ahead the clock of the process may be that made it, in seconds.
const NEWEST: i64 = -dpop::CLOCK_SKEW_SECONDS;

/// The proof that came with a request, not looked at yet.
pub(super) struct Presented(Option<String>);

/// What a proof is held against.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) method: &'a str,
    pub(super) at: At<'a>,
    /// The access token that came with it, at an API.
    pub(super) access_token: Option<&'a str>,
}

/// Where a call goes.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    /// To the endpoint with this path below the base URL.
    Endpoint(&'a str),
    /// To this URI of an API elsewhere.
    Elsewhere(&'a str),
}

impl Presented {
    /// Takes the header.
    ///
    /// # Errors
    /// [`ProofError::TwoHeaders`] (RFC 9449 4.3, point 1), [`ProofError::NotText`].
    pub(super) fn read(headers: &HeaderMap) -> Result<Presented, ProofError> {
        let mut values = headers.get_all(DPOP).iter();
        let Some(value) = values.next() else {
            return Ok(Presented(None));
        };
        if values.next().is_some() {
            return Err(ProofError::TwoHeaders);
        }
        let text = value.to_str().map_err(|_| ProofError::NotText)?;
        Ok(Presented(Some(text.to_owned())))
    }

    /// Whether there is one.
    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Verifies it and uses it up. `None` where none came.
    ///
    /// # Errors
    /// [`ProofError`]; [`ProofError::Unavailable`] where the store cannot say whether it is new.
    pub(super) async fn prove(
        &self,
        site: &Site,
        target: Target<'_>,
    ) -> Result<Option<[u8; 32]>, ProofError> {
        let Some(text) = &self.0 else {
            return Ok(None);
        };
        let now = site.clock.now();
        let uri = match target.at {
            At::Endpoint(path) => format!("{}{path}", site.base_url),
            At::Elsewhere(uri) => uri.to_owned(),
        };
        let Target { method, access_token, .. } = target;
        let request = dpop::Request { method, uri: &uri, access_token, nonces: None, now };
        let proof = dpop::verify(text, &request).map_err(ProofError::Fault)?;
        check_nonce(site, &proof, now)?;
        let key = *proof.thumbprint.as_bytes();
        // Last of all: a proof that fails a check is not used up.
        let parts = [key.as_slice(), proof.token_id.as_bytes()];
        let until = proof.remember_until();
        match site.store.use_once(site.environment, Once::Proof, parts, until).await {
            Ok(true) => Ok(Some(key)),
            Ok(false) => Err(ProofError::Replayed),
            Err(error) => {
                tracing::error!(%error, "proof.store");
                Err(ProofError::Unavailable)
            }
        }
    }
}

/// RFC 9449 8: a nonce is one of ours, and not too old.
fn check_nonce(site: &Site, proof: &Proof, now: i64) -> Result<(), ProofError> {
    if !site.settings.dpop_nonce_required {
        return Ok(());
    }
    let nonce = proof.nonce.as_deref().ok_or(ProofError::Fault(ProofFault::NonceMissing))?;
    let made_at = site
        .sealer
        .open(Kind::DpopNonce, nonce)
        .ok()
        .and_then(|payload| payload.try_into().ok())
        .map(i64::from_be_bytes);
    match made_at.map(|at| now - at) {
        Some(NEWEST..=NONCE_SECONDS) => Ok(()),
        Some(_) | None => Err(ProofError::Fault(ProofFault::NonceDiffers)),
    }
}

/// Hands out a nonce for the next proof, where one is demanded.
pub(super) fn offer_nonce(site: &Site, headers: &mut HeaderMap) {
    if !site.settings.dpop_nonce_required {
        return;
    }
    let now = site.clock.now();
    let nonce = site.sealer.seal(Kind::DpopNonce, &now.to_be_bytes(), now);
    if let Ok(nonce) = HeaderValue::from_str(&nonce) {
        headers.insert(DPOP_NONCE, nonce);
    }
}

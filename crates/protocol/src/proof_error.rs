//! What can be wrong with a call that proves a key, or should (RFC 9449 5, 7.1), and the words for
//! it.

use crate::dpop::ProofFault;

/// Why a proof is refused, or its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofError {
    /// two `DPoP` headers
    TwoHeaders,
    /// a `DPoP` header that is no text
    NotText,
    /// it does not hold for this request
    Fault(ProofFault),
    /// it was used before
    Replayed,
    /// `dpop_jkt` names another key (RFC 9449 10.1)
    OtherKeyThanNamed,
    /// this client has to send one with each request for a token
    Required,
    /// whether it was used before cannot be said just now
    Unavailable,
}

impl ProofError {
    /// The `error` (RFC 9449 5 and 8), but for what is the server's own fault.
    pub fn code(&self) -> &'static str {
        match self {
            ProofError::Fault(ProofFault::NonceMissing | ProofFault::NonceDiffers) => {
                "use_dpop_nonce"
            }
            ProofError::Unavailable => "temporarily_unavailable",
            ProofError::TwoHeaders
            | ProofError::NotText
            | ProofError::Fault(_)
            | ProofError::Replayed
            | ProofError::OtherKeyThanNamed
            | ProofError::Required => "invalid_dpop_proof",
        }
    }

    /// What is wrong and what to do, for the client's developer.
    pub fn words(&self) -> String {
        match self {
            ProofError::TwoHeaders => "Send the DPoP header once.".to_owned(),
            ProofError::NotText => "The DPoP header is no text.".to_owned(),
            ProofError::Fault(fault) => fault.words().into_owned(),
            ProofError::Replayed => {
                "This DPoP proof was used before. Make a new one for each request.".to_owned()
            }
            ProofError::OtherKeyThanNamed => {
                "The DPoP proof is of another key than dpop_jkt names.".to_owned()
            }
            ProofError::Required => "This client's tokens are bound to a key: send a DPoP header \
                                     with a proof."
                .to_owned(),
            ProofError::Unavailable => "The server cannot answer just now. Send the same request \
                                        again in a few seconds, with a new proof."
                .to_owned(),
        }
    }
}

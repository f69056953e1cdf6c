//! What ends when a client gives a token back at `/oauth/revoke` (RFC 7009).
//!
//! 1. [`RevocationRequest::parse`] reads the call;
//! 2. [`check_revocation`] decides from what the seal says, the grant's row and who asks.
//!
//! Whatever is not the client's own living token changes nothing and is answered all the same
//! (RFC 7009 2.2): the client wanted it gone, and it is.

use crate::client::Client;
use crate::client_call::{ClientCall, TokenForm};
use crate::grant::{Grant, GrantStatus};
use crate::token_error::TokenError;
use crate::token_introspection::SealedToken;

/// A call whose parts are within their rules.
pub struct RevocationRequest(pub TokenForm);

/// What a revocation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The grant ends, with every token that came from it.
    EndGrant {
        /// whether the row went back in time, which is for the operator to know at once
        alarm: bool,
    },
    /// This access token alone ends.
    EndToken {
        /// whether the row went back in time, which is for the operator to know at once
        alarm: bool,
    },
    /// Nothing changes.
    Nothing(NothingToEnd),
}

/// Why a revocation changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NothingToEnd {
    /// the grant is not, or no more, in the store
    Unknown,
    /// the token was issued to another client
    OtherClient,
    /// the token's time is over
    Expired,
    /// the grant ended before
    Ended,
}

impl RevocationRequest {
    /// Reads a call.
    ///
    /// # Errors
    /// [`TokenError::Request`] for what is malformed, [`TokenError::Client`] for a header that is.
    pub fn parse(call: &ClientCall<'_>) -> Result<RevocationRequest, TokenError> {
        TokenForm::parse(call).map(RevocationRequest)
    }
}

/// Decides what a genuine token ends, presented by a client that proved itself if it can.
///
/// `code_expires_at` of the row and the seal's own expiry bound a code and an access token. A
/// refresh token has no such bound: of whatever generation, it names the connection that its client
/// wants to end (RFC 7009 2.1), and a client that lost the newest must be able to end it too.
pub fn check_revocation(
    token: &SealedToken,
    grant: Option<&Grant>,
    client: &Client,
    now: i64,
) -> Revocation {
    let Some(grant) = grant else {
        return Revocation::Nothing(NothingToEnd::Unknown);
    };
    // RFC 7009 2.1 lets a server refuse the token of another client. An error would tell whoever
    // found a token that it lives and is somebody else's; so it is answered like an unknown one.
    if grant.client_id != client.id {
        return Revocation::Nothing(NothingToEnd::OtherClient);
    }
    let generation = match grant.status {
        GrantStatus::Pending => 0,
        GrantStatus::Active(active) => active.generation,
        GrantStatus::Revoked { .. } => return Revocation::Nothing(NothingToEnd::Ended),
    };
    match token {
        // A code passes through browsers and their histories; an old one must not end a living
        // connection.
        SealedToken::Code if now >= grant.code_expires_at => {
            Revocation::Nothing(NothingToEnd::Expired)
        }
        SealedToken::Code => Revocation::EndGrant { alarm: false },
        // A seal ahead of its row is no theft: its own client asks for the end, and gets it.
        SealedToken::Refresh { generation: sealed, .. } => {
            Revocation::EndGrant { alarm: *sealed > generation }
        }
        SealedToken::Access(token) if now >= token.expires_at => {
            Revocation::Nothing(NothingToEnd::Expired)
        }
        SealedToken::Access(token) => Revocation::EndToken { alarm: token.generation > generation },
    }
}

//! The words for a code, a refresh token or a scope that is refused.

use super::TokenWire;
use crate::authorize_error::quoted;
use crate::device::DeviceFault;
use crate::environment::Environment;
use crate::grant::{CodeFault, RefreshFault};
use crate::scope::ScopeFault;

pub(super) fn grant_wire(anchor: &'static str, description: &str) -> TokenWire {
    TokenWire { status: 400, code: "invalid_grant", anchor, description: description.to_owned() }
}

pub(super) fn code_wire(fault: CodeFault) -> TokenWire {
    match fault {
        CodeFault::Unreadable => grant_wire(
            "code",
            "This is not a code of this server. Copy the whole value of code from the redirect, \
             and decode it once if it was percent-encoded.",
        ),
        CodeFault::OtherEnvironment { here, issued_in } => {
            other_environment("code", "code", here, issued_in)
        }
        CodeFault::OtherKind => grant_wire(
            "code",
            "This is a token and no code. Send the value of code from the redirect.",
        ),
        CodeFault::Unknown => {
            grant_wire("code", "This code is no longer known. Ask for a new one.")
        }
        CodeFault::OtherClient => {
            grant_wire("code-other-client", "This code was issued to another client.")
        }
        CodeFault::RedirectUriDiffers => grant_wire(
            "code-redirect-uri",
            "The redirect_uri differs from the one that the code was sent to. Send the same one, \
             byte for byte.",
        ),
        CodeFault::VerifierMissing => grant_wire(
            "pkce",
            "This code was asked for with a code_challenge: send its code_verifier in the body.",
        ),
        CodeFault::VerifierUnexpected => grant_wire(
            "pkce",
            "A code_verifier was sent, but the code was asked for without a code_challenge.",
        ),
        CodeFault::VerifierWrong => {
            grant_wire("pkce", "The code_verifier does not match the code_challenge.")
        }
        CodeFault::ProofMissing => grant_wire(
            "dpop",
            "This code is bound to a key: send a DPoP header with a proof of that key.",
        ),
        CodeFault::KeyDiffers => {
            grant_wire("dpop", "This code is bound to another key than the DPoP proof is of.")
        }
        CodeFault::Expired { seconds_ago } => grant_wire(
            "code-expired",
            &format!("The code expired {} ago. Ask for a new one.", seconds(seconds_ago)),
        ),
        CodeFault::Used { seconds_ago } => grant_wire(
            "code-used",
            &format!(
                "The code was used {} ago. A code works once. Ask for a new one.",
                seconds(seconds_ago)
            ),
        ),
        CodeFault::Ended => grant_wire(
            "connection-ended",
            "The connection was ended. The customer has to connect again.",
        ),
    }
}

pub(super) fn refresh_wire(fault: RefreshFault) -> TokenWire {
    match fault {
        RefreshFault::Unreadable => {
            grant_wire("refresh-token", "This is not a refresh token of this server.")
        }
        RefreshFault::OtherEnvironment { here, issued_in } => {
            other_environment("refresh token", "refresh-token", here, issued_in)
        }
        RefreshFault::OtherKind => {
            grant_wire("refresh-token", "This is a code or an access token, and no refresh token.")
        }
        RefreshFault::Unknown => grant_wire(
            "connection-ended",
            "This connection is no longer known. The customer has to connect again.",
        ),
        RefreshFault::OtherClient => grant_wire(
            "refresh-token-other-client",
            "This refresh token was issued to another client.",
        ),
        RefreshFault::Expired { seconds_ago } => grant_wire(
            "refresh-token-expired",
            &format!(
                "The refresh token expired {} ago, because it was not used for too long or the \
                 connection reached its end. The customer has to connect again.",
                seconds(seconds_ago)
            ),
        ),
        RefreshFault::Reused { seconds_ago } => grant_wire(
            "refresh-token-reused",
            &format!(
                "This refresh token was used before{}, and a newer one replaced it. Somebody else \
                 may hold it, so the connection was ended: the customer has to connect again. Keep \
                 the newest refresh token, and let one process refresh.",
                match seconds_ago {
                    Some(age) => format!(", {} ago", seconds(age)),
                    None => String::new(),
                }
            ),
        ),
        RefreshFault::ClockWentBack => grant_wire(
            "refresh-token",
            "The refresh token was used a moment ago. Use the newest one. Nothing was ended: if the \
             answer that held it was lost, try again in a few seconds.",
        ),
        RefreshFault::AheadOfRow => grant_wire(
            "connection-ended",
            "The server does not know this refresh token any more. The customer has to connect \
             again.",
        ),
        RefreshFault::ProofMissing => grant_wire(
            "dpop",
            "This refresh token is bound to a key: send a DPoP header with a proof of that key.",
        ),
        RefreshFault::KeyDiffers => grant_wire(
            "dpop",
            "This refresh token is bound to another key than the DPoP proof is of.",
        ),
        RefreshFault::Ended => grant_wire(
            "connection-ended",
            "The connection was ended. The customer has to connect again.",
        ),
    }
}

fn other_environment(
    what: &str,
    anchor: &'static str,
    here: Environment,
    from: Environment,
) -> TokenWire {
    grant_wire(
        anchor,
        &format!("This {what} was issued in {from}, and this is {here}. Use it in {from}."),
    )
}

pub(super) fn granted_scope_words(fault: &ScopeFault) -> String {
    match fault {
        ScopeFault::NotAllowed { scope, meant } => {
            let meant = match meant {
                Some(meant) => format!(" Did you mean {}?", quoted(meant)),
                None => String::new(),
            };
            format!("The scope {} is not part of what the customer allowed.{meant}", quoted(scope))
        }
        ScopeFault::Commas | ScopeFault::BadCharacter | ScopeFault::TooMany => {
            crate::authorize_error::scope_words(fault)
        }
    }
}

pub(super) fn seconds(count: i64) -> String {
    match count {
        1 => "1 second".to_owned(),
        count => format!("{count} seconds"),
    }
}

/// Why a device gets no tokens (RFC 8628 3.5).
pub(super) fn device_wire(fault: DeviceFault) -> TokenWire {
    let wire =
        |code, description: String| TokenWire { status: 400, code, anchor: "device", description };
    match fault {
        DeviceFault::Pending => wire(
            "authorization_pending",
            "The user has not decided yet. Ask again after the interval.".into(),
        ),
        DeviceFault::SlowDown { interval_seconds } => wire(
            "slow_down",
            format!("Too often. From now on wait {interval_seconds} seconds between two calls."),
        ),
        DeviceFault::Denied => {
            wire("access_denied", "The user chose not to allow the device.".into())
        }
        DeviceFault::Expired => wire(
            "expired_token",
            "Nobody allowed the device in time. Begin again, with a new code.".into(),
        ),
        DeviceFault::Unknown => wire(
            "invalid_grant",
            "The device_code is none of this environment, or its time was over long ago.".into(),
        ),
        DeviceFault::OtherClient => {
            wire("invalid_grant", "The device_code was issued to another client.".into())
        }
        DeviceFault::Used => {
            wire("invalid_grant", "The tokens of this device_code were given already.".into())
        }
        DeviceFault::Ended => {
            wire("invalid_grant", "The connection was ended before it began.".into())
        }
    }
}

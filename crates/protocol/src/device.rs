//! A device without a browser (RFC 8628): it shows a code, and its user types it somewhere else.
//!
//! 1. [`DeviceRequest::parse`] reads the call with which a device begins;
//! 2. [`UserCode`] is what it shows;
//! 3. [`check_device`] decides what a device that asks again is told.

use std::fmt;

use crate::client::Client;
use crate::client_authentication::PresentedClient;
use crate::client_call::{ClientCall, presented_client, read_form, secret_in};
use crate::grant::OpenIdRequest;
use crate::parameters::Parameters;
use crate::resource::Resources;
use crate::scope::Scope;
use crate::token_error::{RequestFault, TokenError};

/// The grant type at the token endpoint (RFC 8628 3.4).
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// What a device code begins with.
pub const CODE_PREFIX: &str = "gr_device_";
/// How often a device may ask at first, in seconds (RFC 8628 3.5).
pub const INTERVAL_SECONDS: i64 = 5;
/// By how much the interval grows for a device that asks too often, in seconds (RFC 8628 3.5).
pub const SLOWER_BY_SECONDS: i64 = 5;

/// The letters of a user code: no vowels, so that they spell nothing, and none that two people read
/// as different ones (RFC 8628 6.1). Eight of twenty are 34 bits.
const LETTERS: [u8; 20] = *b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;

/// A call to `/oauth/device_authorization` whose parts are within their rules.
pub struct DeviceRequest {
    /// Who says to call.
    pub client: PresentedClient,
    /// What is asked for.
    pub scope: Option<String>,
    /// The APIs that the tokens are to be for, as they were named.
    pub resources: Resources,
}

/// The code that the device shows and its user types.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserCode([u8; LENGTH]);

/// What the store says of a device that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAuthorization {
    /// The client of the device.
    pub client_id: String,
    /// What it asked for.
    pub scope: Scope,
    /// For which APIs.
    pub resources: Resources,
    /// From where it asked, as coarsely as its user needs it.
    pub requested_from: String,
    /// How long it has to wait between two calls, in seconds.
    pub interval_seconds: i64,
    /// When it asked last, in Unix seconds.
    pub polled_at: Option<i64>,
    /// What its user decided.
    pub decision: Option<DeviceDecision>,
    /// When it began, in Unix seconds.
    pub created_at: i64,
    /// When its codes end, in Unix seconds.
    pub expires_at: i64,
}

/// What a device's user decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceDecision {
    /// Allow, with this grant.
    Allowed {
        /// its id
        grant_id: [u8; 16],
    },
    /// Deny.
    Denied,
}

/// Why a device gets no tokens (RFC 8628 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFault {
    /// no device code of ours, or none of this environment
    Unknown,
    /// it was issued to another client
    OtherClient,
    /// nobody has decided yet
    Pending,
    /// nobody has decided yet, and the device asks too often
    SlowDown {
        /// how long it has to wait from now on, in seconds
        interval_seconds: i64,
    },
    /// its user chose Deny
    Denied,
    /// nobody decided in time
    Expired,
    /// its tokens were given already
    Used,
    /// the connection was ended before it began
    Ended,
}

/// What of OpenID Connect there is to say for a device: it sends no `nonce`.
pub fn openid_request(scope: &Scope, signed_in_at: i64) -> Option<OpenIdRequest> {
    scope
        .contains(crate::openid::OPENID)
        .then(|| OpenIdRequest { signed_in_at, ..OpenIdRequest::default() })
}

impl DeviceRequest {
    /// Reads a call. Nothing is taken from the query.
    ///
    /// # Errors
    /// [`TokenError::Request`] for what is malformed, [`TokenError::Client`] for a header that is,
    /// [`TokenError::Resource`] for a resource that is no URI.
    pub fn parse(call: &ClientCall<'_>) -> Result<DeviceRequest, TokenError> {
        let query = Parameters::parse(call.query);
        if let Some(name) = secret_in(&query) {
            return Err(TokenError::Request(RequestFault::SecretInUrl { name }));
        }
        if !query.is_empty() {
            return Err(TokenError::Request(RequestFault::QueryNotAllowed));
        }
        let body = read_form(call).map_err(TokenError::Request)?;
        if let Some(fault) = body.fault() {
            return Err(TokenError::Request(RequestFault::Parameter(fault.clone())));
        }
        let ids: Vec<&str> = body.value("client_id").into_iter().collect();
        Ok(DeviceRequest {
            client: presented_client(call, &body, &ids)?,
            scope: body.value("scope").map(str::to_owned),
            resources: Resources::parse(body.values("resource")).map_err(TokenError::Resource)?,
        })
    }
}

impl UserCode {
    /// Of random bytes: of 2^64 values none is favoured by more than one in 10^8.
    pub fn new(random: [u8; 8]) -> UserCode {
        let mut rest = u64::from_be_bytes(random);
        UserCode([(); LENGTH].map(|()| {
            let at = rest % LETTERS.len() as u64;
            rest /= LETTERS.len() as u64;
            LETTERS[usize::try_from(at).unwrap_or_default()]
        }))
    }

    /// Reads what a person typed: without regard to case, blanks and dashes. `None` for what no
    /// device shows.
    pub fn parse(text: &str) -> Option<UserCode> {
        if text.len() > 64 {
            return None;
        }
        let is_separator =
            |c: &char| c.is_whitespace() || matches!(c, '-' | '\u{2013}' | '\u{2014}');
        let letters: Vec<u8> = text
            .chars()
            .filter(|c| !is_separator(c))
            .map(|c| u8::try_from(c.to_ascii_uppercase()).ok().filter(|c| LETTERS.contains(c)))
            .collect::<Option<_>>()?;
        letters.try_into().ok().map(UserCode)
    }

    /// As it is stored, and read from there.
    pub fn canonical(&self) -> String {
        self.0.iter().map(|letter| char::from(*letter)).collect()
    }
}

/// As a device shows it: `BCDF-GHJK`.
impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = self.canonical();
        let (left, right) = letters.split_at(LENGTH / 2);
        write!(f, "{left}-{right}")
    }
}

/// It opens something for a while, so it does not print.
impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(..)")
    }
}

/// Decides what a device is told that asks for its tokens: the grant to redeem, or why not.
///
/// # Errors
/// [`DeviceFault`]
pub fn check_device(
    found: Option<&DeviceAuthorization>,
    client: &Client,
    now: i64,
) -> Result<[u8; 16], DeviceFault> {
    let found = found.ok_or(DeviceFault::Unknown)?;
    if found.client_id != client.id {
        return Err(DeviceFault::OtherClient);
    }
    match found.decision {
        Some(DeviceDecision::Denied) => return Err(DeviceFault::Denied),
        _ if now >= found.expires_at => return Err(DeviceFault::Expired),
        Some(DeviceDecision::Allowed { grant_id }) => return Ok(grant_id),
        None => {}
    }
    match found.polled_at.map(|at| now - at) {
        // A clock that went back is no reason to slow anybody down.
        Some(since @ 0..) if since < found.interval_seconds => Err(DeviceFault::SlowDown {
            interval_seconds: found.interval_seconds + SLOWER_BY_SECONDS,
        }),
        Some(_) | None => Err(DeviceFault::Pending),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::fixtures::client;
    use proptest::prelude::*;

    const NOW: i64 = 1_800_000_000;

    fn waiting() -> DeviceAuthorization {
        DeviceAuthorization {
            client_id: client().id,
            scope: Scope::default(),
            resources: Resources::default(),
            requested_from: "192.0.2.x".into(),
            interval_seconds: 5,
            polled_at: None,
            decision: None,
            created_at: NOW - 100,
            expires_at: NOW + 500,
        }
    }

    #[test]
    fn a_user_code_is_read_however_it_is_typed() {
        let code = UserCode::parse("BCDF-GHJK").unwrap();
        for typed in ["bcdfghjk", " BCDF GHJK ", "bcdf\u{2013}ghjk", "b-c-d-f-g-h-j-k"] {
            assert!(UserCode::parse(typed) == Some(code), "{typed}");
        }
        for wrong in
            ["", "BCDF-GHJ", "BCDF-GHJKL", "ABCD-FGHJ", "BCDF-GHJ1", "BCDF_GHJK", "ÉCDFGHJK"]
        {
            assert!(UserCode::parse(wrong).is_none(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_user_code_is_read_as_it_is_shown(random: [u8; 8]) {
            let code = UserCode::new(random);
            prop_assert!(UserCode::parse(&code.to_string()) == Some(code));
            prop_assert!(UserCode::parse(&code.canonical()) == Some(code));
        }

        #[test]
        fn nothing_that_is_typed_does_harm(text in "\\PC{0,80}") {
            if let Some(code) = UserCode::parse(&text) {
                prop_assert_eq!(code.to_string().len(), 9);
            }
        }
    }

    #[test]
    fn a_device_is_told_to_wait_to_slow_down_or_why_not() {
        let ask = |row: &DeviceAuthorization, now| check_device(Some(row), &client(), now);
        let row = waiting();
        assert_eq!(check_device(None, &client(), NOW), Err(DeviceFault::Unknown));
        let foreign = DeviceAuthorization { client_id: "another".into(), ..waiting() };
        assert_eq!(ask(&foreign, NOW), Err(DeviceFault::OtherClient));
        assert_eq!(ask(&row, NOW), Err(DeviceFault::Pending));
        assert_eq!(ask(&row, NOW + 500), Err(DeviceFault::Expired));
        let polled = |ago| DeviceAuthorization { polled_at: Some(NOW - ago), ..waiting() };
        assert_eq!(ask(&polled(5), NOW), Err(DeviceFault::Pending));
        assert_eq!(ask(&polled(4), NOW), Err(DeviceFault::SlowDown { interval_seconds: 10 }));
        assert_eq!(ask(&polled(-3), NOW), Err(DeviceFault::Pending));
        let decided = |decision| DeviceAuthorization { decision: Some(decision), ..polled(1) };
        let allowed = decided(DeviceDecision::Allowed { grant_id: [1; 16] });
        assert_eq!(ask(&allowed, NOW), Ok([1; 16]));
        assert_eq!(ask(&allowed, NOW + 500), Err(DeviceFault::Expired));
        assert_eq!(ask(&decided(DeviceDecision::Denied), NOW), Err(DeviceFault::Denied));
    }
}

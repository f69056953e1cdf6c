//! The token that comes with a call: in the `Authorization` header (RFC 6750 2.1, RFC 9449 7.1), and
//! nowhere else. A token in a URL ends in logs (RFC 9700 4.3.2), one in a body is the body's.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::refusal::Refusal;

/// No token is longer, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// What the `Authorization` header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// How the token is presented.
    pub scheme: Scheme,
    /// The token.
    pub token: &'a str,
}

/// How a token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// by whoever holds it
    Bearer,
    /// with a proof of its key
    Dpop,
}

impl<'a> Credentials<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Refusal::NoToken`], also for another scheme; [`Refusal::TwoHeaders`]; [`Refusal::Invalid`]
    /// for a token that is longer than [`MAX_TOKEN_BYTES`].
    pub fn read(headers: &'a HeaderMap) -> Result<Credentials<'a>, Refusal> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or(Refusal::NoToken)?;
        if values.next().is_some() {
            return Err(Refusal::TwoHeaders);
        }
        let text = value.to_str().map_err(|_| Refusal::NoToken)?;
        let (scheme, token) = text.split_once(' ').ok_or(Refusal::NoToken)?;
        // RFC 9110 11.1: a scheme is compared without regard to case.
        let scheme = if scheme.eq_ignore_ascii_case("bearer") {
            Scheme::Bearer
        } else if scheme.eq_ignore_ascii_case("dpop") {
            Scheme::Dpop
        } else {
            return Err(Refusal::NoToken);
        };
        let token = token.trim();
        if token.is_empty() {
            return Err(Refusal::NoToken);
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::Invalid);
        }
        Ok(Credentials { scheme, token })
    }
}

//! The token that comes with a call to an API (RFC 6750 2.1, RFC 9449 7.1), and the key that it is
//! bound to.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use grantor_protocol::proof_error::ProofError;

use super::proof;
use crate::site::Site;

/// What the `Authorization` header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Credentials<'a> {
    pub(super) scheme: Scheme,
    pub(super) token: &'a str,
}

/// How a token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Bearer,
    Dpop,
}

/// Why a header holds no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CredentialsFault {
    /// there is none, or one of another scheme
    Missing,
    /// two headers: what one reader skips, another reader takes
    TwoHeaders,
}

/// Why a living token is not taken from whoever presents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyFault {
    /// it is bound to a key, and came as `Bearer`: whoever stole it would do that
    BoundAsBearer,
    /// it is bound to none, and came as `DPoP`
    Unbound,
    /// the proof is of another key
    Differs,
    /// the proof is refused, or missing
    Proof(ProofError),
}

impl<'a> Credentials<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`CredentialsFault`].
    pub(super) fn read(headers: &'a HeaderMap) -> Result<Credentials<'a>, CredentialsFault> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or(CredentialsFault::Missing)?;
        if values.next().is_some() {
            return Err(CredentialsFault::TwoHeaders);
        }
        let (scheme, token) = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .ok_or(CredentialsFault::Missing)?;
        let scheme = if scheme.eq_ignore_ascii_case("bearer") {
            Scheme::Bearer
        } else if scheme.eq_ignore_ascii_case("dpop") {
            Scheme::Dpop
        } else {
            return Err(CredentialsFault::Missing);
        };
        Ok(Credentials { scheme, token: token.trim() })
    }

    /// Checks that whoever presents the token holds the key that it is bound to, if it is to one.
    /// `endpoint` is the method and the path of the call.
    ///
    /// # Errors
    /// [`KeyFault`].
    pub(super) async fn prove_key(
        &self,
        site: &Site,
        headers: &HeaderMap,
        [method, path]: [&str; 2],
        bound_to: Option<[u8; 32]>,
    ) -> Result<(), KeyFault> {
        let key = match (self.scheme, bound_to) {
            (Scheme::Bearer, None) => return Ok(()),
            (Scheme::Bearer, Some(_)) => return Err(KeyFault::BoundAsBearer),
            (Scheme::Dpop, None) => return Err(KeyFault::Unbound),
            (Scheme::Dpop, Some(key)) => key,
        };
        let target = proof::Target { method, path, access_token: Some(self.token) };
        let presented = proof::Presented::read(headers).map_err(KeyFault::Proof)?;
        match presented.prove(site, target).await.map_err(KeyFault::Proof)? {
            None => Err(KeyFault::Proof(ProofError::Required)),
            Some(proved) if proved == key => Ok(()),
            Some(_) => Err(KeyFault::Differs),
        }
    }
}

impl KeyFault {
    /// The `error` of the challenge (RFC 9449 7.1).
    pub(super) fn code(self) -> &'static str {
        match self {
            KeyFault::BoundAsBearer | KeyFault::Unbound | KeyFault::Differs => "invalid_token",
            KeyFault::Proof(error) => error.code(),
        }
    }

    /// What is wrong and what to do, for the client's developer.
    pub(super) fn words(self) -> String {
        match self {
            KeyFault::BoundAsBearer => "The access token is bound to a key: send it as \
                                        `Authorization: DPoP`, with a proof in the DPoP header"
                .to_owned(),
            KeyFault::Unbound => {
                "The access token is bound to no key: send it as `Authorization: Bearer`".to_owned()
            }
            KeyFault::Differs => {
                "The access token is bound to another key than the proof is of".to_owned()
            }
            KeyFault::Proof(error) => error.words().trim_end_matches('.').to_owned(),
        }
    }
}

//! The call to `/oauth/token` (RFC 6749 4.1.3 and 6), as a standard client sends it and as the
//! guide's Postman does.
//!
//! The guide puts `code`, `grant_type`, `redirect_uri` and `client-id` in the query of a POST with
//! an empty body. So the query is read too, but only for those: a secret, a refresh token or a
//! verifier in a URL ends in every log on its way and is refused, with the reason.

use crate::client_authentication::PresentedClient;
use crate::client_call::{ClientCall, presented_client, read_form, secret_in};
use crate::device;
use crate::parameters::Parameters;
use crate::pkce::CodeVerifier;
use crate::resource::Resources;
use crate::token_error::{RequestFault, TokenError};

/// What may stand in the query.
const QUERY_PARAMETERS: [&str; 5] =
    ["grant_type", "code", "redirect_uri", "client_id", "client-id"];

/// A token request whose parts are within their rules.
pub struct TokenRequest {
    /// Who says to call.
    pub client: PresentedClient,
    /// What is asked for.
    pub grant: TokenGrant,
    /// The APIs that the token is to be for (RFC 8707 2.2), as they were named.
    pub resources: Resources,
    /// Whether a parameter was taken from the query, which a client may be forbidden.
    pub from_query: bool,
}

/// What is asked for.
pub enum TokenGrant {
    /// `grant_type=authorization_code`
    AuthorizationCode {
        /// the code as it was presented
        code: String,
        /// the redirect URI that the code went to
        redirect_uri: String,
        /// the answer to the challenge
        code_verifier: Option<CodeVerifier>,
    },
    /// `grant_type=refresh_token`
    RefreshToken {
        /// the token as it was presented
        refresh_token: String,
        /// a part of what was granted, where less is enough
        scope: Option<String>,
    },
    /// `grant_type=urn:ietf:params:oauth:grant-type:device_code`
    DeviceCode {
        /// the code as it was presented
        device_code: String,
    },
    /// `grant_type=client_credentials`
    ClientCredentials {
        /// a part of what the client may ask for, where less is enough
        scope: Option<String>,
    },
}

impl TokenRequest {
    /// Reads a call.
    ///
    /// # Errors
    /// [`TokenError::Request`] for what is malformed, [`TokenError::Client`] for a header that is.
    pub fn parse(call: &ClientCall<'_>) -> Result<TokenRequest, TokenError> {
        let (query, body) = read_both(call).map_err(TokenError::Request)?;
        let both = Both { query: &query, body: &body };
        both.agree().map_err(TokenError::Request)?;
        let client = presented_client(call, &body, &both.client_ids())?;
        let grant = both.grant().map_err(TokenError::Request)?;
        let resources = Resources::parse(body.values("resource")).map_err(TokenError::Resource)?;
        let from_query = QUERY_PARAMETERS.iter().any(|name| query.contains(name));
        Ok(TokenRequest { client, grant, resources, from_query })
    }
}

fn read_both(call: &ClientCall<'_>) -> Result<(Parameters, Parameters), RequestFault> {
    let body = read_form(call)?;
    let query = Parameters::parse(call.query);
    if let Some(name) = secret_in(&query) {
        return Err(RequestFault::SecretInUrl { name });
    }
    match query.fault().or(body.fault()) {
        Some(fault) => Err(RequestFault::Parameter(fault.clone())),
        None => Ok((query, body)),
    }
}

struct Both<'a> {
    query: &'a Parameters,
    body: &'a Parameters,
}

impl<'a> Both<'a> {
    /// In both places with the same value is fine; with two values nobody can say which is meant.
    fn agree(&self) -> Result<(), RequestFault> {
        for name in QUERY_PARAMETERS {
            if let (Some(one), Some(other)) = (self.query.value(name), self.body.value(name))
                && one != other
            {
                return Err(RequestFault::Contradiction { name });
            }
        }
        Ok(())
    }

    fn value(&self, name: &'static str) -> Result<&'a str, RequestFault> {
        self.body
            .value(name)
            .or_else(|| self.query.value(name))
            .ok_or(RequestFault::Missing { name })
    }

    /// The id under each of its names. `client-id` is how the guide writes it. The second of the
    /// list is the first that differs from the first, if one does.
    fn client_ids(&self) -> Vec<&'a str> {
        let mut ids: Vec<&str> = ["client_id", "client-id"]
            .into_iter()
            .flat_map(|name| [self.body.value(name), self.query.value(name)])
            .flatten()
            .collect();
        ids.dedup();
        ids
    }

    fn grant(&self) -> Result<TokenGrant, RequestFault> {
        match self.value("grant_type")? {
            "authorization_code" => Ok(TokenGrant::AuthorizationCode {
                code: self.value("code")?.to_owned(),
                redirect_uri: self.value("redirect_uri")?.to_owned(),
                code_verifier: self
                    .body
                    .value("code_verifier")
                    .map(CodeVerifier::parse)
                    .transpose()
                    .map_err(RequestFault::Pkce)?,
            }),
            "refresh_token" => Ok(TokenGrant::RefreshToken {
                refresh_token: self
                    .body
                    .value("refresh_token")
                    .ok_or(RequestFault::Missing { name: "refresh_token" })?
                    .to_owned(),
                scope: self.body.value("scope").map(str::to_owned),
            }),
            "client_credentials" => Ok(TokenGrant::ClientCredentials {
                scope: self.body.value("scope").map(str::to_owned),
            }),
            device::GRANT_TYPE => Ok(TokenGrant::DeviceCode {
                device_code: self
                    .body
                    .value("device_code")
                    .ok_or(RequestFault::Missing { name: "device_code" })?
                    .to_owned(),
            }),
            _ => Err(RequestFault::GrantTypeUnsupported),
        }
    }
}

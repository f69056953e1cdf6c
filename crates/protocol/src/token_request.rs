//! The call to `/oauth/token` (RFC 6749 4.1.3 and 6), as a standard client sends it and as the
//! guide's Postman does.
//!
//! The guide puts `code`, `grant_type`, `redirect_uri` and `client-id` in the query of a POST with
//! an empty body. So the query is read too, but only for those: a secret, a refresh token or a
//! verifier in a URL ends in every log on its way and is refused, with the reason.

use crate::client_authentication::{BasicCredentials, ClientFault, PresentedClient};
use crate::parameters::Parameters;
use crate::pkce::CodeVerifier;
use crate::token_error::{RequestFault, TokenError};

/// What may stand in the query.
const QUERY_PARAMETERS: [&str; 5] =
    ["grant_type", "code", "redirect_uri", "client_id", "client-id"];
/// What may never stand there, with a hyphen for the underscore neither, since the guide writes
/// `client-id`.
const NEVER_IN_QUERY: [&str; 6] = [
    "client_secret",
    "refresh_token",
    "code_verifier",
    "password",
    "client_assertion",
    "assertion",
];

/// The parts of an HTTP request that matter here.
pub struct TokenCall<'a> {
    /// The query, without its question mark.
    pub query: &'a [u8],
    /// The `Content-Type`.
    pub content_type: Option<&'a str>,
    /// The `Authorization` headers.
    pub authorization: &'a [&'a [u8]],
    /// The body.
    pub body: &'a [u8],
}

/// A token request whose parts are within their rules.
pub struct TokenRequest {
    /// Who says to call.
    pub client: PresentedClient,
    /// What is asked for.
    pub grant: TokenGrant,
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
}

impl TokenRequest {
    /// Reads a call.
    ///
    /// # Errors
    /// [`TokenError::Request`] for what is malformed, [`TokenError::Client`] for a header that is.
    pub fn parse(call: &TokenCall<'_>) -> Result<TokenRequest, TokenError> {
        let (query, body) = read_both(call).map_err(TokenError::Request)?;
        let both = Both { query: &query, body: &body };
        both.agree().map_err(TokenError::Request)?;
        let client = presented_client(call, &both)?;
        let grant = both.grant().map_err(TokenError::Request)?;
        let from_query = QUERY_PARAMETERS.iter().any(|name| query.contains(name));
        Ok(TokenRequest { client, grant, from_query })
    }
}

fn read_both(call: &TokenCall<'_>) -> Result<(Parameters, Parameters), RequestFault> {
    check_content_type(call)?;
    let query = Parameters::parse(call.query);
    let in_query = |name: &&str| query.contains(name) || query.contains(&name.replace('_', "-"));
    if let Some(name) = NEVER_IN_QUERY.into_iter().find(in_query) {
        return Err(RequestFault::SecretInUrl { name });
    }
    let body = Parameters::parse(call.body);
    match query.fault().or(body.fault()) {
        Some(fault) => Err(RequestFault::Parameter(fault.clone())),
        None => Ok((query, body)),
    }
}

fn check_content_type(call: &TokenCall<'_>) -> Result<(), RequestFault> {
    if call.body.is_empty() {
        return Ok(());
    }
    let essence = call
        .content_type
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase());
    match essence.as_deref() {
        Some("application/x-www-form-urlencoded") => Ok(()),
        Some("application/json") => Err(RequestFault::JsonBody),
        _ if call.body.trim_ascii_start().starts_with(b"{") => Err(RequestFault::JsonBody),
        _ => Err(RequestFault::ContentType),
    }
}

/// RFC 6749 2.3: one way of authentication per request.
fn presented_client(call: &TokenCall<'_>, both: &Both<'_>) -> Result<PresentedClient, TokenError> {
    let ids = both.client_ids();
    if let [one, other, ..] = ids.as_slice()
        && one != other
    {
        return Err(TokenError::Request(RequestFault::Contradiction { name: "client_id" }));
    }
    // RFC 6749 3.2: sent without a value is not sent. Some libraries write `client_secret=` for a
    // client that has none.
    let in_body =
        ["client_secret", "client-secret"].into_iter().any(|name| both.body.value(name).is_some());
    match (call.authorization, ids.first()) {
        ([_, _, ..], _) => Err(TokenError::Request(RequestFault::TwoWaysOfAuthentication)),
        ([_], _) if in_body => Err(TokenError::Request(RequestFault::TwoWaysOfAuthentication)),
        ([header], id) => {
            let basic = BasicCredentials::parse(header)
                .map_err(|fault| TokenError::Client(ClientFault::Basic(fault)))?;
            match id {
                Some(id) if *id != basic.client_id => {
                    Err(TokenError::Request(RequestFault::ContradictsBasic))
                }
                _ => Ok(PresentedClient::Basic(basic)),
            }
        }
        ([], _) if in_body => Err(TokenError::Client(ClientFault::SecretInBody)),
        ([], Some(id)) => Ok(PresentedClient::Public { client_id: (*id).to_owned() }),
        ([], None) => Err(TokenError::Client(ClientFault::Missing)),
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
            _ => Err(RequestFault::GrantTypeUnsupported),
        }
    }
}

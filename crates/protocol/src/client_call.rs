//! What the calls of a client have in common: `/oauth/token`, `/oauth/revoke`, `/oauth/introspect`.
//!
//! 1. [`ClientCall`] is the call as it came;
//! 2. `read_form` reads its body, which is a form;
//! 3. `presented_client` reads who says to call, in one way alone;
//! 4. [`TokenForm`] is all that a call about one token says (RFC 7009 2.1, RFC 7662 2.1).

use crate::client::ClientSecret;
use crate::client_assertion::{self, ClientAssertionFault};
use crate::client_authentication::{BasicCredentials, ClientFault, PresentedClient};
use crate::parameters::Parameters;
use crate::token_error::{RequestFault, TokenError};

/// What may never stand in the query, with a hyphen for the underscore neither, since the guide
/// writes `client-id`.
pub(crate) const NEVER_IN_QUERY: [&str; 6] = [
    "client_secret",
    "refresh_token",
    "code_verifier",
    "password",
    "client_assertion",
    "assertion",
];
/// The tokens that a call is about: in a URL they are as lost as a secret.
const TOKENS: [&str; 2] = ["token", "access_token"];
/// What a call about a token takes from its body, and from nowhere else.
const BODY_ALONE: [&str; 3] = ["token_type_hint", "client_id", "client-id"];

/// RFC 7523 2.2
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The parts of an HTTP request that matter here.
pub struct ClientCall<'a> {
    /// The query, without its question mark.
    pub query: &'a [u8],
    /// The `Content-Type`.
    pub content_type: Option<&'a str>,
    /// The `Authorization` headers.
    pub authorization: &'a [&'a [u8]],
    /// The body.
    pub body: &'a [u8],
}

/// A call about one token, whose parts are within their rules.
///
/// A `token_type_hint` is read and not kept: a token of this server says of itself what it is, and
/// RFC 7009 2.1 has a server look further where the hint does not help.
pub struct TokenForm {
    /// Who says to call.
    pub client: PresentedClient,
    /// The token as it was presented.
    pub token: String,
}

impl TokenForm {
    /// Reads a call.
    ///
    /// # Errors
    /// [`TokenError::Request`] for what is malformed, [`TokenError::Client`] for a header that is.
    pub(crate) fn parse(call: &ClientCall<'_>) -> Result<TokenForm, TokenError> {
        let query = Parameters::parse(call.query);
        check_query(&query).map_err(TokenError::Request)?;
        let body = read_form(call).map_err(TokenError::Request)?;
        if let Some(fault) = query.fault().or(body.fault()) {
            return Err(TokenError::Request(RequestFault::Parameter(fault.clone())));
        }
        let ids: Vec<&str> =
            ["client_id", "client-id"].into_iter().filter_map(|name| body.value(name)).collect();
        let client = presented_client(call, &body, &ids)?;
        let token = body.value("token").ok_or(RequestFault::Missing { name: "token" });
        Ok(TokenForm { client, token: token.map_err(TokenError::Request)?.to_owned() })
    }
}

/// The guide puts parameters in the query of `/oauth/token` alone.
fn check_query(query: &Parameters) -> Result<(), RequestFault> {
    if let Some(name) = secret_in(query).or_else(|| found(query, &TOKENS)) {
        return Err(RequestFault::SecretInUrl { name });
    }
    match found(query, &BODY_ALONE) {
        Some(_) => Err(RequestFault::QueryNotAllowed),
        None => Ok(()),
    }
}

/// The secret that stands in a query, if one does.
pub(crate) fn secret_in(query: &Parameters) -> Option<&'static str> {
    found(query, &NEVER_IN_QUERY)
}

fn found(query: &Parameters, names: &[&'static str]) -> Option<&'static str> {
    if query.is_empty() {
        return None;
    }
    let stands = |name: &&str| query.contains(name) || query.contains(&name.replace('_', "-"));
    names.iter().copied().find(stands)
}

/// Reads the body, which may be empty.
pub(crate) fn read_form(call: &ClientCall<'_>) -> Result<Parameters, RequestFault> {
    check_content_type(call)?;
    Ok(Parameters::parse(call.body))
}

fn check_content_type(call: &ClientCall<'_>) -> Result<(), RequestFault> {
    if call.body.is_empty() {
        return Ok(());
    }
    let essence = call.content_type.and_then(|value| value.split(';').next()).map(str::trim);
    let is = |wanted: &str| essence.is_some_and(|essence| essence.eq_ignore_ascii_case(wanted));
    if is("application/x-www-form-urlencoded") {
        Ok(())
    } else if is("application/json") || call.body.trim_ascii_start().starts_with(b"{") {
        Err(RequestFault::JsonBody)
    } else {
        Err(RequestFault::ContentType)
    }
}

/// RFC 6749 2.3: one way of authentication per request. `ids` are the ids under each name and in
/// each place where one may stand.
pub(crate) fn presented_client(
    call: &ClientCall<'_>,
    body: &Parameters,
    ids: &[&str],
) -> Result<PresentedClient, TokenError> {
    if ids.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(TokenError::Request(RequestFault::Contradiction { name: "client_id" }));
    }
    // RFC 6749 3.2: sent without a value is not sent. Some libraries write `client_secret=` for a
    // client that has none.
    let secret = body.value("client_secret");
    let misspelt = body.value("client-secret").is_some();
    let assertion = assertion(body)?;
    let ways = call.authorization.len()
        + usize::from(secret.is_some() || misspelt)
        + usize::from(assertion.is_some());
    if ways > 1 {
        return Err(TokenError::Request(RequestFault::TwoWaysOfAuthentication));
    }
    let id = ids.first().copied();
    let contradicts = |found: &str| id.is_some_and(|id| id != found);
    match (call.authorization, secret, assertion, id) {
        ([header, ..], ..) => {
            let basic = BasicCredentials::parse(header)
                .map_err(|fault| TokenError::Client(ClientFault::Basic(fault)))?;
            match contradicts(&basic.client_id) {
                true => Err(TokenError::Request(RequestFault::ContradictsBasic)),
                false => Ok(PresentedClient::Basic(basic)),
            }
        }
        ([], ..) if misspelt => Err(TokenError::Client(ClientFault::SecretInBody)),
        ([], Some(secret), _, Some(id)) => Ok(PresentedClient::Post(BasicCredentials {
            client_id: id.to_owned(),
            client_secret: ClientSecret::new(secret.to_owned()),
        })),
        // Nobody knows whose it is, or how that client may send it: the header is the usual way.
        ([], Some(_), _, None) => Err(TokenError::Client(ClientFault::SecretInBody)),
        ([], None, Some((client_id, _)), _) if contradicts(&client_id) => {
            Err(TokenError::Request(RequestFault::Contradiction { name: "client_id" }))
        }
        ([], None, Some((client_id, assertion)), _) => {
            Ok(PresentedClient::Assertion { client_id, assertion })
        }
        ([], None, None, Some(id)) => Ok(PresentedClient::Public { client_id: id.to_owned() }),
        ([], None, None, None) => Err(TokenError::Client(ClientFault::Missing)),
    }
}

/// RFC 7521 4.2: the assertion, and the client that it names.
fn assertion(body: &Parameters) -> Result<Option<(String, String)>, TokenError> {
    match (body.value("client_assertion_type"), body.value("client_assertion")) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(TokenError::Request(RequestFault::Missing { name: "client_assertion_type" }))
        }
        (Some(_), None) => {
            Err(TokenError::Request(RequestFault::Missing { name: "client_assertion" }))
        }
        (Some(ASSERTION_TYPE), Some(text)) => {
            let refused = |fault| {
                TokenError::Client(ClientFault::Assertion(ClientAssertionFault::Jws(fault)))
            };
            let unverified = client_assertion::parse(text).map_err(refused)?;
            let id = client_assertion::claimed_client_id(&unverified)
                .ok_or(TokenError::Client(ClientFault::Missing))?;
            Ok(Some((id, text.to_owned())))
        }
        (Some(_), Some(_)) => Err(TokenError::Request(RequestFault::AssertionTypeUnsupported)),
    }
}

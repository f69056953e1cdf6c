//! What a server says of itself (RFC 8414, OpenID Connect Discovery 1.0).

use serde::Deserialize;

use super::{ExchangeIn, SecretIn, Server};
use crate::http::{Answer, Call, Http, HttpError, is_allowed};

/// Why a server could not be found out about.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The URL is neither https nor loopback.
    #[error("{url} is neither https nor on this machine")]
    NotHttps {
        /// what was asked for, or what the document named
        url: String,
    },
    /// It cannot be asked.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Neither place has a document.
    #[error("{url} does not describe an authorization server (it answered {status})")]
    NoMetadata {
        /// the server
        url: String,
        /// of the last answer
        status: u16,
    },
    /// What came is no such document.
    #[error("what {url} says of itself cannot be read: {why}")]
    Malformed {
        /// the server
        url: String,
        /// what is wrong
        why: String,
    },
    /// RFC 8414 3.3: the document is of another server.
    #[error("{asked} says that it is {named}")]
    OtherIssuer {
        /// who was asked
        asked: String,
        /// who answered
        named: String,
    },
}

/// RFC 8414 2, as far as the code flow needs it.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

pub(super) async fn discover(http: &Http, url: &str) -> Result<Server, DiscoveryError> {
    let asked = url.trim_end_matches('/');
    require_allowed(asked)?;
    let mut last = None;
    for place in places(asked)? {
        let answer = Call::get(&place).send(http).await?;
        if answer.status == 200 {
            return read(asked, &answer);
        }
        last = Some(answer.status);
    }
    Err(DiscoveryError::NoMetadata { url: asked.to_owned(), status: last.unwrap_or_default() })
}

/// Where the document may stand: OAuth puts the well-known part before the path (RFC 8414 3.1), OpenID
/// Connect behind it.
fn places(issuer: &str) -> Result<[String; 3], DiscoveryError> {
    let parsed = url::Url::parse(issuer).map_err(|error| DiscoveryError::Malformed {
        url: issuer.to_owned(),
        why: error.to_string(),
    })?;
    let origin = parsed.origin().ascii_serialization();
    let path = parsed.path().trim_end_matches('/');
    Ok([
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}{path}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ])
}

fn read(asked: &str, answer: &Answer) -> Result<Server, DiscoveryError> {
    let malformed =
        |why: &str| DiscoveryError::Malformed { url: asked.to_owned(), why: why.into() };
    let metadata: Metadata =
        serde_json::from_slice(&answer.body).map_err(|error| malformed(&error.to_string()))?;
    // RFC 8414 3.3: otherwise one server could have the codes of another sent to it.
    if metadata.issuer.trim_end_matches('/') != asked {
        let (asked, named) = (asked.to_owned(), metadata.issuer);
        return Err(DiscoveryError::OtherIssuer { asked, named });
    }
    let authorization_endpoint =
        metadata.authorization_endpoint.ok_or_else(|| malformed("no authorization_endpoint"))?;
    let token_endpoint = metadata.token_endpoint.ok_or_else(|| malformed("no token_endpoint"))?;
    let endpoints = [&authorization_endpoint, &token_endpoint];
    for url in endpoints.into_iter().chain(&metadata.revocation_endpoint) {
        require_allowed(url)?;
    }
    Ok(Server {
        api_url: asked.to_owned(),
        authorization_endpoint,
        token_endpoint,
        revocation_endpoint: metadata.revocation_endpoint,
        pkce: metadata.code_challenge_methods_supported.iter().any(|method| method == "S256"),
        names_itself: metadata.authorization_response_iss_parameter_supported,
        secret_in: secret_in(metadata.token_endpoint_auth_methods_supported.as_deref()),
        exchange_in: ExchangeIn::Body,
        issuer: metadata.issuer,
    })
}

/// RFC 8414 2: where nothing is said, it is the header.
fn secret_in(methods: Option<&[String]>) -> SecretIn {
    let knows = |name: &str| methods.is_some_and(|all| all.iter().any(|method| method == name));
    if !knows("client_secret_basic") && knows("client_secret_post") {
        return SecretIn::Body;
    }
    SecretIn::Header
}

fn require_allowed(url: &str) -> Result<(), DiscoveryError> {
    if is_allowed(url) { Ok(()) } else { Err(DiscoveryError::NotHttps { url: url.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(asked: &str, document: &str) -> Result<Server, DiscoveryError> {
        read(asked, &Answer { status: 200, headers: Vec::new(), body: document.to_owned().into() })
    }

    #[test]
    fn the_places_stand_before_and_behind_a_path() {
        assert_eq!(
            places("https://auth.example.com/realms/one").unwrap(),
            [
                "https://auth.example.com/.well-known/oauth-authorization-server/realms/one",
                "https://auth.example.com/realms/one/.well-known/openid-configuration",
                "https://auth.example.com/.well-known/openid-configuration/realms/one",
            ]
        );
    }

    #[test]
    fn a_document_of_another_server_and_an_endpoint_without_tls_are_refused() {
        let document = r#"{"issuer":"https://evil.example","authorization_endpoint":"https://a.example/a","token_endpoint":"https://a.example/t"}"#;
        let error = read_of("https://a.example", document).unwrap_err();
        assert!(matches!(error, DiscoveryError::OtherIssuer { .. }), "{error}");
        let document = document
            .replace("https://evil.example", "https://a.example")
            .replace("https://a.example/t", "http://a.example/t");
        let error = read_of("https://a.example", &document).unwrap_err();
        assert_eq!(error.to_string(), "http://a.example/t is neither https nor on this machine");
    }

    #[test]
    fn what_is_not_said_is_not_taken_for_granted() {
        let document = r#"{"issuer":"https://a.example/","authorization_endpoint":"https://a.example/a","token_endpoint":"https://a.example/t"}"#;
        let server = read_of("https://a.example", document).unwrap();
        assert_eq!((server.pkce, server.names_itself), (false, false));
        assert_eq!((server.secret_in, server.revocation_endpoint), (SecretIn::Header, None));
        assert_eq!(server.issuer, "https://a.example/");
        let post = document
            .replace("{", r#"{"token_endpoint_auth_methods_supported":["client_secret_post"],"#);
        assert_eq!(read_of("https://a.example", &post).unwrap().secret_in, SecretIn::Body);
    }
}

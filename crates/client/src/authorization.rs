//! The authorization request and its answer (RFC 6749 4.1.1, 4.1.2).
//!
//! 1. [`AuthorizationRequest::new`] draws a state and, where the server knows PKCE, a verifier;
//! 2. the customer's browser is sent to [`AuthorizationRequest::url`];
//! 3. what comes back is read by [`AuthorizationRequest::answered`], which compares `state` and `iss`
//!    before it believes anything else of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_protocol::parameters::{ParameterFault, Parameters, form_encoded};
use grantor_protocol::pkce::CodeVerifier;
use serde::{Deserialize, Serialize};

use crate::error_response::ErrorResponse;
use crate::random::Random;
use crate::secret::Secret;
use crate::server::Server;

/// A request that waits for its answer. It can be kept between two requests of a web app
/// (`Serialize`), in the session of the very browser that was sent away and nowhere else: that is
/// what makes `state` worth something.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    url: Secret,
    state: Secret,
    code_verifier: Option<Secret>,
    redirect_uri: String,
    issuer: String,
    names_itself: bool,
}

/// A code, with what its exchange has to repeat and to prove (RFC 6749 4.1.3, RFC 7636 4.5).
#[derive(Clone, Debug)]
pub struct AuthorizationCode {
    pub(crate) code: Secret,
    pub(crate) code_verifier: Option<Secret>,
    pub(crate) redirect_uri: String,
}

/// Why an answer brings no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// A parameter stands twice, or cannot be read.
    #[error("the answer's parameters cannot be read ({0:?})")]
    Parameters(ParameterFault),
    /// It belongs to another request: an older tab, or somebody else's.
    #[error("the answer belongs to another request: its state is not the one that was sent")]
    StateDiffers,
    /// It came from another server (RFC 9207 2.4).
    #[error("the answer comes from {came}, and {asked} was asked")]
    IssuerDiffers {
        /// who was asked
        asked: String,
        /// who answered
        came: String,
    },
    /// This server always names itself, and this answer names nobody (RFC 9207 2.4).
    #[error("the answer does not say which server it comes from")]
    IssuerMissing,
    /// The customer, or the server, said no.
    #[error("{0}")]
    Refused(ErrorResponse),
    /// Neither a code nor an error.
    #[error("there is no code in it")]
    CodeMissing,
}

impl AuthorizationRequest {
    /// A request for that redirect URI, byte for byte as it was registered. Without a scope the
    /// server takes those of the client.
    pub fn new(
        server: &Server,
        client_id: &str,
        redirect_uri: &str,
        scope: Option<&str>,
        random: &Random,
    ) -> AuthorizationRequest {
        let state = Secret::new(random.secret().to_string());
        let code_verifier = server.pkce.then(|| Secret::new(random.secret().to_string()));
        let mut query = vec![
            ("response_type", "code".to_owned()),
            ("client_id", client_id.to_owned()),
            ("redirect_uri", redirect_uri.to_owned()),
            ("state", state.expose().to_owned()),
        ];
        if let Some(scope) = scope {
            query.push(("scope", scope.to_owned()));
        }
        if let Some(challenge) = code_verifier.as_ref().and_then(challenge) {
            query.push(("code_challenge", challenge));
            query.push(("code_challenge_method", "S256".to_owned()));
        }
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", form_encoded(value))).collect();
        let endpoint = &server.authorization_endpoint;
        // RFC 6749 3.1: the endpoint may have a query of its own.
        let mark = if endpoint.contains('?') { '&' } else { '?' };
        AuthorizationRequest {
            url: Secret::new(format!("{endpoint}{mark}{}", query.join("&"))),
            state,
            code_verifier,
            redirect_uri: redirect_uri.to_owned(),
            issuer: server.issuer.clone(),
            names_itself: server.names_itself,
        }
    }

    /// Where the customer's browser goes.
    pub fn url(&self) -> &str {
        self.url.expose()
    }

    /// The redirect URI of this request.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Reads where the browser was sent: a whole URL, or what stands behind its question mark.
    ///
    /// # Errors
    /// [`AuthorizationError`]. Nothing but `StateDiffers` and the issuer's are known of an answer that
    /// is not this request's own, because a stranger may have written it.
    pub fn answered(&self, redirected: &str) -> Result<AuthorizationCode, AuthorizationError> {
        let query = redirected.split_once('?').map_or(redirected, |(_, query)| query);
        let query = query.split_once('#').map_or(query, |(query, _)| query);
        let parameters = Parameters::parse(query.as_bytes());
        if let Some(fault) = parameters.fault() {
            return Err(AuthorizationError::Parameters(fault.clone()));
        }
        // RFC 6749 10.12: somebody else's answer would connect somebody else's account.
        let state = parameters.value("state").unwrap_or_default();
        if Secret::new(state.to_owned()) != self.state {
            return Err(AuthorizationError::StateDiffers);
        }
        self.check_issuer(parameters.value("iss"))?;
        if let Some(error) = parameters.value("error") {
            return Err(AuthorizationError::Refused(ErrorResponse::redirected(
                error,
                parameters.value("error_description"),
                parameters.value("error_uri"),
            )));
        }
        let code = parameters.value("code").ok_or(AuthorizationError::CodeMissing)?;
        Ok(self.code(code))
    }

    /// Takes what a person copied: the whole address, or the code alone. A code alone has no state;
    /// that whoever pasted it is who was asked, stands in its place.
    ///
    /// # Errors
    /// [`AuthorizationError`]
    pub fn pasted(&self, text: &str) -> Result<AuthorizationCode, AuthorizationError> {
        let text = text.trim();
        if text.contains("code=") || text.contains("error=") || text.contains("://") {
            return self.answered(text);
        }
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err(AuthorizationError::CodeMissing);
        }
        // Copied out of an address it may still be percent-encoded.
        let decoded = Parameters::parse(format!("code={text}").as_bytes());
        let code = decoded.value("code").ok_or(AuthorizationError::CodeMissing)?;
        Ok(self.code(code))
    }

    // RFC 9207 2.4: without it, a code of one server may be carried to another.
    fn check_issuer(&self, came: Option<&str>) -> Result<(), AuthorizationError> {
        match came {
            Some(came) if came == self.issuer => Ok(()),
            Some(came) => Err(AuthorizationError::IssuerDiffers {
                asked: self.issuer.clone(),
                came: came.to_owned(),
            }),
            None if self.names_itself => Err(AuthorizationError::IssuerMissing),
            None => Ok(()),
        }
    }

    fn code(&self, code: &str) -> AuthorizationCode {
        AuthorizationCode {
            code: Secret::new(code.to_owned()),
            code_verifier: self.code_verifier.clone(),
            redirect_uri: self.redirect_uri.clone(),
        }
    }
}

impl AuthorizationCode {
    /// The code itself.
    pub fn expose(&self) -> &str {
        self.code.expose()
    }
}

/// RFC 7636 4.2. What was drawn here is always a verifier.
fn challenge(verifier: &Secret) -> Option<String> {
    let verifier = CodeVerifier::parse(verifier.expose()).ok()?;
    Some(URL_SAFE_NO_PAD.encode(verifier.challenge().as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::server::Preset;

    const ISSUER: &str = "https://as.example.com";

    fn request(names_itself: bool) -> AuthorizationRequest {
        let server = Server {
            issuer: ISSUER.to_owned(),
            pkce: true,
            names_itself,
            ..Preset::KSeriesStaging.server()
        };
        let redirect_uri = "https://mycompany.com/redirection/ikentoo";
        AuthorizationRequest::new(&server, "devp", redirect_uri, None, &Random::fixed(7))
    }

    fn state() -> String {
        Random::fixed(7).secret().to_string()
    }

    #[test]
    fn s4_an_answer_of_another_request_or_another_server_brings_no_code() {
        let (request, state) = (request(true), state());
        let iss = "iss=https%3A%2F%2Fas.example.com";
        assert_eq!(
            request.answered(&format!("https://x/?code=c&state={state}&{iss}")).unwrap().expose(),
            "c"
        );
        for (answer, expected) in [
            (format!("code=c&{iss}"), AuthorizationError::StateDiffers),
            (format!("code=c&{iss}&state={}x", &state[1..]), AuthorizationError::StateDiffers),
            // A stranger's error is not believed either.
            (format!("error=access_denied&{iss}"), AuthorizationError::StateDiffers),
            (format!("code=c&state={state}"), AuthorizationError::IssuerMissing),
            (
                format!("code=c&state={state}&iss=https%3A%2F%2Fevil.example"),
                AuthorizationError::IssuerDiffers {
                    asked: ISSUER.into(),
                    came: "https://evil.example".into(),
                },
            ),
            (format!("state={state}&{iss}"), AuthorizationError::CodeMissing),
        ] {
            let error = request.answered(&answer).map(|_| ()).unwrap_err();
            assert_eq!(error, expected, "{answer}");
        }
        let twice = format!("code=c&code=d&state={state}&{iss}");
        assert!(matches!(request.answered(&twice), Err(AuthorizationError::Parameters(_))));
    }

    #[test]
    fn a_server_that_does_not_promise_to_name_itself_need_not_but_must_not_lie() {
        let (request, state) = (request(false), state());
        assert!(request.answered(&format!("code=c&state={state}")).is_ok());
        let lie = format!("code=c&state={state}&iss=https%3A%2F%2Fevil.example");
        assert!(matches!(request.answered(&lie), Err(AuthorizationError::IssuerDiffers { .. })));
    }

    #[test]
    fn what_is_pasted_is_a_whole_address_or_a_code() {
        let (request, state) = (request(false), state());
        let whole =
            format!("  https://mycompany.com/redirection/ikentoo?code=a%2Bb&state={state}\n");
        assert_eq!(request.pasted(&whole).unwrap().expose(), "a+b");
        assert_eq!(request.pasted("VlWFo0").unwrap().expose(), "VlWFo0");
        assert_eq!(request.pasted("a%2Bb").unwrap().expose(), "a+b");
        for nothing in ["", "two words", "https://mycompany.com/"] {
            assert!(request.pasted(nothing).is_err(), "{nothing}");
        }
        // An address with a wrong state is no code either.
        let other = "https://mycompany.com/?code=c&state=other";
        assert!(matches!(request.pasted(other), Err(AuthorizationError::StateDiffers)));
    }

    #[test]
    fn a_request_survives_being_kept_and_prints_nothing_secret() {
        let request = request(true);
        let kept = serde_json::to_string(&request).unwrap();
        let read: AuthorizationRequest = serde_json::from_str(&kept).unwrap();
        assert_eq!(read.url(), request.url());
        assert!(!format!("{read:?}").contains(&state()));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_a_panic_and_gives_no_code_without_the_state(text in "\\PC{0,200}") {
            prop_assume!(!text.contains(&state()));
            prop_assert!(request(false).answered(&text).is_err());
        }
    }
}

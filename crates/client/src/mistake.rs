//! The well-known mistakes, in words: what it was, and what to do about it.
//!
//! Servers word their refusals each in its own way. What is looked for is the `error` first, then the
//! section that Grantor's `error_uri` names, then words that other servers are known to use.

use crate::authorization::AuthorizationError;
use crate::error_response::ErrorResponse;
use crate::http::HttpError;
use crate::token::TokenError;

/// A mistake that many make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A client, a customer or an address of the other environment.
    OtherEnvironment,
    /// The redirect URI is not the registered one, or not the same in both steps.
    RedirectUri,
    /// A scope is misspelled, or joined by commas, or not the client's.
    Scope,
    /// The code came too late, or twice.
    Code,
    /// The secret is wrong, or something strayed into it.
    Secret,
    /// The secret was sent where this server does not take it.
    SecretPlace,
    /// The client may not do this.
    Client,
    /// The refresh token was used before, or nobody used it for too long.
    RefreshToken,
    /// The customer pressed Deny.
    Denied,
    /// An older tab, or somebody else's answer.
    State,
    /// An answer of another server.
    Issuer,
    /// The answer was lost: what was called may have been done.
    AnswerLost(Called),
    /// The server cannot be reached.
    Unreachable,
    /// What answered is no OAuth server.
    NotOAuth,
    /// The server cannot answer just now.
    NotNow(Called),
}

/// What was called: what to do where no answer came depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// What the server says of itself. Nobody has been asked for anything yet.
    Discovery,
    /// The authorization endpoint, by the customer's browser.
    Authorization,
    /// The token endpoint, with a code: it works once.
    Exchange,
    /// The token endpoint, with the refresh token of a connection.
    Refresh,
    /// The revocation endpoint, with the token of a connection.
    Revocation,
    /// The API.
    Api,
}

impl Mistake {
    /// Which one a refusal of the token endpoint, or of the revocation endpoint, shows.
    pub fn of_token(error: &TokenError, called: Called) -> Option<Mistake> {
        match error {
            // It may have turned the token.
            _ if called == Called::Refresh && error.is_unclear() => {
                Some(Mistake::AnswerLost(called))
            }
            _ if error.is_put_off() => Some(Mistake::NotNow(called)),
            TokenError::Http(error) => Some(Mistake::of_http(error, called)),
            TokenError::Unavailable { .. } if called == Called::Exchange => {
                Some(Mistake::AnswerLost(called))
            }
            TokenError::Unavailable { .. } => Some(Mistake::NotNow(called)),
            // Older servers refuse a client in words of their own.
            TokenError::NotOAuth { status: 401, .. } => Some(Mistake::Secret),
            TokenError::NotOAuth { .. } => Some(Mistake::NotOAuth),
            TokenError::Refused(refusal) => of_refusal(refusal, called),
        }
    }

    /// Which one an answer of the authorization endpoint shows.
    pub fn of_authorization(error: &AuthorizationError) -> Option<Mistake> {
        match error {
            AuthorizationError::StateDiffers => Some(Mistake::State),
            AuthorizationError::IssuerDiffers { .. } | AuthorizationError::IssuerMissing => {
                Some(Mistake::Issuer)
            }
            AuthorizationError::Refused(refusal) => of_refusal(refusal, Called::Authorization),
            AuthorizationError::Parameters(_) | AuthorizationError::CodeMissing => None,
        }
    }

    /// Which one a call without an answer shows.
    pub fn of_http(error: &HttpError, called: Called) -> Mistake {
        match error {
            HttpError::NotSent { .. } => Mistake::Unreachable,
            HttpError::Lost { .. } => Mistake::AnswerLost(called),
            HttpError::NotAllowed { .. } => Mistake::NotOAuth,
        }
    }

    /// The one that a scope shows before anything is sent.
    pub fn of_scope(scope: &str) -> Option<Mistake> {
        let wrong =
            scope.contains([',', ';']) || scope.split(' ').any(|one| one == "offline-access");
        wrong.then_some(Mistake::Scope)
    }

    /// The one that a secret shows before anything is sent: blanks, line ends or quotes around it.
    pub fn of_secret(secret: &str) -> Option<Mistake> {
        let stray = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
        (secret.trim_matches(stray) != secret).then_some(Mistake::Secret)
    }

    /// The one that an id shows before anything is sent: the environment stands in it
    /// (`devp-staging-…`), and `here` is the name of the one that is called.
    pub fn of_client_id(client_id: &str, here: &str) -> Option<Mistake> {
        let environment = client_id.strip_prefix("devp-")?.split('-').next()?;
        // As the two are called in ids of clients.
        let is_staging = match environment {
            "staging" | "trial" | "demo" => true,
            "production" | "prod" => false,
            _ => return None,
        };
        (is_staging != (here == "staging")).then_some(Mistake::OtherEnvironment)
    }

    /// What it was.
    pub fn words(self) -> &'static str {
        match self {
            Mistake::OtherEnvironment => "staging and production are mixed up",
            Mistake::RedirectUri => "the redirect URI is not the registered one, byte for byte",
            Mistake::Scope => "a scope is misspelled, or not one of this client's",
            Mistake::Code => "the code came too late, or was used before",
            Mistake::Secret => "the client secret is wrong",
            Mistake::SecretPlace => "the client secret was sent where this server does not take it",
            Mistake::Client => "this client may not do this here",
            Mistake::RefreshToken => "the refresh token was used before, or ended",
            Mistake::Denied => "the customer did not allow it",
            Mistake::State => "the answer belongs to another request",
            Mistake::Issuer => "the answer comes from another server than the one that was asked",
            Mistake::AnswerLost(_) => "the answer was lost on its way",
            Mistake::Unreachable => "the server cannot be reached",
            Mistake::NotOAuth => "what answered is no OAuth server",
            Mistake::NotNow(_) => "the server cannot answer just now",
        }
    }

    /// What to do about it.
    pub fn what_to_do(self) -> &'static str {
        match self {
            Mistake::OtherEnvironment => {
                "a client, its secret and its customers work in one environment alone: look at the \
                 client id, which often names its environment, and at --preset or --server"
            }
            Mistake::RedirectUri => {
                "give --redirect-uri exactly as it was registered: scheme, port, slash at the end \
                 and encoding count, and it has to be the same in both steps"
            }
            Mistake::Scope => {
                "scopes are separated by blanks and not by commas; most have a hyphen \
                 (financial-api), offline_access has an underscore; ask for those of your client \
                 alone, or leave --scope out"
            }
            Mistake::Code => {
                "run the same command again: a code is good once and for a minute at most, so paste \
                 it at once and in one place"
            }
            Mistake::Secret => {
                "copy the secret again, without quotes, blanks or a line end around it; `echo` \
                 without -n adds one, printf %s does not; a secret of the other environment does not \
                 work either"
            }
            Mistake::SecretPlace => {
                "name the server with --server, so that it is asked where it takes the secret"
            }
            Mistake::Client => {
                "ask your partner manager whether this client is active here, and what it may do"
            }
            Mistake::RefreshToken => {
                "connect again with grantor connect; where several programs share a connection, let \
                 all of them take tokens from grantor token or grantor broker, so that the refresh \
                 token is used once and the new one is kept"
            }
            Mistake::Denied => "run the same command again, and let the customer press Allow",
            Mistake::State => {
                "run the same command again, and use the page that it opens and no older one"
            }
            Mistake::Issuer => {
                "do not use this answer: look whether --server names the server that was meant"
            }
            Mistake::AnswerLost(called) => called.after_a_lost_answer(),
            Mistake::Unreachable => {
                "look at the address, the network and the clock of this machine"
            }
            Mistake::NotOAuth => {
                "look at the address: it has to be the base URL of the server, by https, without \
                 /oauth/token behind it"
            }
            Mistake::NotNow(called) => called.in_a_moment(),
        }
    }
}

impl Called {
    fn after_a_lost_answer(self) -> &'static str {
        match self {
            Called::Discovery => "run the same command once more",
            Called::Authorization | Called::Exchange => {
                "a code works once, so authorize again: run the same command once more"
            }
            Called::Refresh => {
                "try again within a minute: a server that repeats a lost answer, as Grantor does, \
                 then gives the same tokens"
            }
            // RFC 7009 2.2
            Called::Revocation => {
                "run the same command once more: to end a token twice is to end it once"
            }
            Called::Api => "look whether the API has done it before you call it again",
        }
    }

    fn in_a_moment(self) -> &'static str {
        match self {
            Called::Discovery | Called::Api => "run the same command again in a moment",
            Called::Authorization | Called::Exchange => {
                "authorize again in a moment: run the same command once more"
            }
            Called::Refresh | Called::Revocation => {
                "try again in a moment; the connection stays as it is"
            }
        }
    }
}

fn of_refusal(refusal: &ErrorResponse, called: Called) -> Option<Mistake> {
    let anchor =
        refusal.uri.as_deref().and_then(|uri| uri.split_once('#')).map(|(_, anchor)| anchor);
    let said = refusal.description.as_deref().unwrap_or_default().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    match anchor {
        Some("client-environment") => return Some(Mistake::OtherEnvironment),
        Some("code-redirect-uri" | "redirect-uri-differs") => return Some(Mistake::RedirectUri),
        Some("method" | "json-body" | "content-type") => return None,
        _ => {}
    }
    match refusal.error.as_str() {
        "invalid_scope" => Some(Mistake::Scope),
        "access_denied" => Some(Mistake::Denied),
        "invalid_client" if says(&["belongs to", "not known", "unknown"]) => {
            Some(Mistake::OtherEnvironment)
        }
        "invalid_client"
            if says(&["in the body", "in the header", "authentication method", "auth method"]) =>
        {
            Some(Mistake::SecretPlace)
        }
        "invalid_client" => Some(Mistake::Secret),
        "invalid_grant" if says(&["redirect"]) => Some(Mistake::RedirectUri),
        "invalid_grant" if called == Called::Refresh => Some(Mistake::RefreshToken),
        // Of no token that is given back is it said what became of it (RFC 7009 2.2).
        "invalid_grant" if called == Called::Revocation => None,
        "invalid_grant" => Some(Mistake::Code),
        "invalid_request" if says(&["redirect"]) => Some(Mistake::RedirectUri),
        "unauthorized_client" => Some(Mistake::Client),
        "server_error" | "temporarily_unavailable" => Some(Mistake::NotNow(called)),
        _ if refusal.status == Some(401) => Some(Mistake::Secret),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(error: &str, description: &str) -> TokenError {
        TokenError::Refused(Box::new(ErrorResponse {
            status: Some(400),
            error: error.into(),
            description: Some(description.into()),
            uri: None,
            request_id: None,
        }))
    }

    #[test]
    fn refusals_of_other_servers_are_known_by_their_words() {
        for (error, said, called, expected) in [
            ("invalid_grant", "Code not valid", Called::Exchange, Mistake::Code),
            ("invalid_grant", "Incorrect redirect_uri", Called::Exchange, Mistake::RedirectUri),
            ("invalid_grant", "Token is not active", Called::Refresh, Mistake::RefreshToken),
            (
                "invalid_client",
                "Invalid client or Invalid client credentials",
                Called::Exchange,
                Mistake::Secret,
            ),
            ("unauthorized_client", "", Called::Exchange, Mistake::Client),
        ] {
            let found = Mistake::of_token(&refusal(error, said), called);
            assert_eq!(found, Some(expected), "{error} {said}");
        }
        assert_eq!(Mistake::of_token(&refusal("slow_down", ""), Called::Exchange), None);
        let given_back = refusal("invalid_grant", "Token is not active");
        assert_eq!(Mistake::of_token(&given_back, Called::Revocation), None);
        let older = TokenError::NotOAuth { status: 401, why: String::new() };
        assert_eq!(Mistake::of_token(&older, Called::Exchange), Some(Mistake::Secret));
        let busy = TokenError::NotOAuth { status: 429, why: String::new() };
        let busy = Mistake::of_token(&busy, Called::Refresh);
        assert_eq!(busy, Some(Mistake::NotNow(Called::Refresh)));
    }

    #[test]
    fn what_to_do_without_an_answer_depends_on_what_was_called() {
        let lost = TokenError::Http(HttpError::Lost { host: String::new(), why: String::new() });
        let busy = refusal("temporarily_unavailable", "");
        let later = TokenError::NotOAuth { status: 429, why: String::new() };
        let gone = TokenError::Unavailable { status: 503 };
        for called in [
            Called::Discovery,
            Called::Authorization,
            Called::Exchange,
            Called::Refresh,
            Called::Revocation,
            Called::Api,
        ] {
            let brings_a_code = matches!(called, Called::Authorization | Called::Exchange);
            let has_a_connection = matches!(called, Called::Refresh | Called::Revocation);
            for error in [&lost, &busy, &later, &gone] {
                let advice = Mistake::of_token(error, called).unwrap().what_to_do();
                assert_eq!(advice.contains("authorize again"), brings_a_code, "{advice}");
                let is_unsure = *error == lost || (called == Called::Refresh && *error == gone);
                let stays = advice.contains("the connection stays as it is");
                assert_eq!(stays, has_a_connection && !is_unsure, "{called:?}: {advice}");
            }
        }
    }

    #[test]
    fn what_is_wrong_before_anything_is_sent_is_known_before() {
        for scope in ["a,b", "offline-access", "a offline-access"] {
            assert_eq!(Mistake::of_scope(scope), Some(Mistake::Scope), "{scope}");
        }
        assert_eq!(Mistake::of_scope("financial-api offline_access"), None);
        for secret in ["\"s\"", " s", "s\n", "'s'"] {
            assert_eq!(Mistake::of_secret(secret), Some(Mistake::Secret), "{secret:?}");
        }
        assert_eq!(Mistake::of_secret("s e c"), None);
        let other = Some(Mistake::OtherEnvironment);
        assert_eq!(Mistake::of_client_id("devp-staging-x-1", "production"), other);
        assert_eq!(Mistake::of_client_id("devp-prod-x-1", "staging"), other);
        assert_eq!(Mistake::of_client_id("devp-staging-x-1", "staging"), None);
        assert_eq!(Mistake::of_client_id("my-client", "staging"), None);
    }
}

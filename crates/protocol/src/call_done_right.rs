//! A call as it should have been, as a command for `curl`.
//!
//! It is made from what the client registered and from no more of the call than where it went and
//! what it was for: what a stranger wrote into it is compared with what is registered, and never
//! copied. Secrets, codes and tokens are variables of the shell for the reader to set. Every other
//! word is quoted, so that the shell takes it as it stands, whatever it holds.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cause::REDIRECT_URI_DIFFERS;
use crate::client::{Client, ClientAuthentication};
use crate::device;
use crate::logged_call::{Endpoint, SentParameters};
use crate::redirect_uri::RedirectUri;

/// A call that was logged.
#[derive(Clone, Copy, Debug)]
pub struct Logged<'a> {
    /// Where it went.
    pub endpoint: Endpoint,
    /// Why it was refused, by the cause's name, if it was.
    pub cause: Option<&'a str>,
    /// What it sent.
    pub parameters: &'a SentParameters,
}

/// The command. `base_url` is the issuer of the client's own environment.
pub fn call_done_right(call: &Logged<'_>, client: &Client, base_url: &str) -> String {
    let mut curl = Curl::to(&format!("{base_url}{}", call.endpoint.path()));
    match call.endpoint {
        Endpoint::Authorize => {
            curl.words.push("--get".to_owned());
            curl.data("client_id", &client.id);
            authorization_request(&mut curl, call, client);
        }
        Endpoint::PushedRequest => {
            authenticate(&mut curl, client);
            authorization_request(&mut curl, call, client);
        }
        Endpoint::Token => {
            authenticate(&mut curl, client);
            token_request(&mut curl, call, client);
        }
        Endpoint::Revoke | Endpoint::Introspect => {
            authenticate(&mut curl, client);
            curl.variable("token", "TOKEN");
        }
        Endpoint::DeviceAuthorization => {
            authenticate(&mut curl, client);
            scope(&mut curl, call, client);
        }
    }
    curl.words.join(" \\\n  ")
}

/// RFC 6749 4.1.1, RFC 7636 4.3.
fn authorization_request(curl: &mut Curl, call: &Logged<'_>, client: &Client) {
    curl.data("response_type", "code");
    redirect_uri(curl, call, client);
    scope(curl, call, client);
    // RFC 9700 2.1: whatever else protects it, state costs nothing.
    curl.variable("state", "STATE");
    curl.variable("code_challenge", "CODE_CHALLENGE");
    curl.data("code_challenge_method", "S256");
}

fn token_request(curl: &mut Curl, call: &Logged<'_>, client: &Client) {
    let sent = call.parameters;
    let grant_type = sent.value("grant_type").unwrap_or_default();
    if client.settings.dpop_required {
        curl.header_variable("DPoP: ", "DPOP_PROOF");
    }
    if grant_type == "refresh_token" || sent.contains("refresh_token") {
        curl.data("grant_type", "refresh_token");
        curl.variable("refresh_token", "REFRESH_TOKEN");
    } else if grant_type == device::GRANT_TYPE || sent.contains("device_code") {
        curl.data("grant_type", device::GRANT_TYPE);
        curl.variable("device_code", "DEVICE_CODE");
    } else if grant_type == "client_credentials" {
        curl.data("grant_type", "client_credentials");
        scope(curl, call, client);
    } else {
        curl.data("grant_type", "authorization_code");
        curl.variable("code", "CODE");
        redirect_uri(curl, call, client);
        if client.pkce_required() || sent.contains("code_verifier") {
            curl.variable("code_verifier", "CODE_VERIFIER");
        }
    }
}

/// The registered one that was sent, or the first.
fn redirect_uri(curl: &mut Curl, call: &Logged<'_>, client: &Client) {
    let sent = call.parameters.value("redirect_uri");
    let sent = sent.filter(|_| call.cause != Some(REDIRECT_URI_DIFFERS));
    let registered = || client.redirect_uris.iter().map(RedirectUri::as_str);
    if let Some(uri) = registered().find(|uri| Some(*uri) == sent).or(registered().next()) {
        curl.data("redirect_uri", uri);
    }
}

/// Of the scopes that were sent, those that the client may ask for; all of those where it is none.
fn scope(curl: &mut Curl, call: &Logged<'_>, client: &Client) {
    let sent = call.parameters.value("scope").unwrap_or_default();
    let asked: Vec<&str> =
        client.scopes.iter().filter(|scope| sent.split(' ').any(|sent| sent == *scope)).collect();
    let scope = if asked.is_empty() { client.scopes.to_string() } else { asked.join(" ") };
    if !scope.is_empty() {
        curl.data("scope", &scope);
    }
}

/// RFC 6749 2.3.
fn authenticate(curl: &mut Curl, client: &Client) {
    match &client.authentication {
        ClientAuthentication::Secret { .. } if client.settings.secret_methods.basic() => {
            // RFC 6749 2.3.1: encoded before it is joined by a colon.
            let id = utf8_percent_encode(&client.id, ID_IN_BASIC).to_string();
            curl.words.push(format!("--user {}\"$CLIENT_SECRET\"", quoted(&format!("{id}:"))));
        }
        ClientAuthentication::Secret { .. } => {
            curl.data("client_id", &client.id);
            curl.variable("client_secret", "CLIENT_SECRET");
        }
        ClientAuthentication::PrivateKeyJwt { .. } => {
            curl.data("client_id", &client.id);
            curl.data(
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            );
            curl.variable("client_assertion", "CLIENT_ASSERTION");
        }
        ClientAuthentication::None => curl.data("client_id", &client.id),
    }
}

const ID_IN_BASIC: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// A command that grows by a word and its value.
struct Curl {
    words: Vec<String>,
}

impl Curl {
    fn to(url: &str) -> Curl {
        Curl { words: vec![format!("curl {}", quoted(url))] }
    }

    fn data(&mut self, name: &str, value: &str) {
        self.words.push(format!("--data-urlencode {}", quoted(&format!("{name}={value}"))));
    }

    /// A value that the reader has in a variable.
    fn variable(&mut self, name: &str, variable: &str) {
        self.words.push(format!("--data-urlencode \"{name}=${variable}\""));
    }

    fn header_variable(&mut self, before: &str, variable: &str) {
        self.words.push(format!("--header \"{before}${variable}\""));
    }
}

/// One word of the shell, which looks into nothing between single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::fixtures::{REDIRECT_URI, client, public_client};
    use crate::client::{ClientSettings, SecretMethods};
    use crate::logged_call::SentParameter;

    const BASE_URL: &str = "https://auth.example";

    fn sent(pairs: &[(&str, Option<&str>)]) -> SentParameters {
        let one = |(name, value): &(&str, Option<&str>)| SentParameter {
            name: (*name).to_owned(),
            in_url: false,
            value: value.map(str::to_owned),
        };
        SentParameters { named: pairs.iter().map(one).collect(), ..SentParameters::default() }
    }

    fn right(endpoint: Endpoint, client: &Client, pairs: &[(&str, Option<&str>)]) -> String {
        let call = Logged { endpoint, cause: None, parameters: &sent(pairs) };
        call_done_right(&call, client, BASE_URL)
    }

    #[test]
    fn an_exchange_has_its_client_in_the_header_and_the_rest_in_the_body() {
        let pairs = [
            ("grant_type", Some("authorization_code")),
            ("redirect_uri", Some("https://mycompany.com/other")),
            ("code_verifier", None),
        ];
        assert_eq!(
            right(Endpoint::Token, &client(), &pairs),
            format!(
                "curl 'https://auth.example/oauth/token' \\\n  \
                 --user 'devp-staging-mycompany:'\"$CLIENT_SECRET\" \\\n  \
                 --data-urlencode 'grant_type=authorization_code' \\\n  \
                 --data-urlencode \"code=$CODE\" \\\n  \
                 --data-urlencode 'redirect_uri={REDIRECT_URI}' \\\n  \
                 --data-urlencode \"code_verifier=$CODE_VERIFIER\""
            )
        );
    }

    #[test]
    fn a_refresh_asks_for_what_it_is_and_a_public_client_names_itself() {
        let command = right(Endpoint::Token, &public_client(), &[("refresh_token", None)]);
        assert!(command.contains("'client_id=devp-staging-mycompany'"), "{command}");
        assert!(command.contains("\"refresh_token=$REFRESH_TOKEN\""), "{command}");
        assert!(!command.contains("CLIENT_SECRET"), "{command}");
        let settings =
            ClientSettings { secret_methods: SecretMethods::Post, ..ClientSettings::default() };
        let posting = Client { settings, ..client() };
        let command = right(Endpoint::Revoke, &posting, &[]);
        assert!(command.contains("\"client_secret=$CLIENT_SECRET\""), "{command}");
    }

    #[test]
    fn of_what_a_stranger_sent_only_what_is_registered_comes_back() {
        let pairs = [
            ("scope", Some("orders-api $(reboot)")),
            ("redirect_uri", Some("https://evil.example/'; reboot #")),
        ];
        let command = right(Endpoint::Authorize, &client(), &pairs);
        assert!(command.contains("'scope=orders-api'"), "{command}");
        assert!(command.contains(REDIRECT_URI) && !command.contains("reboot"), "{command}");
    }
}

//! `--explain`: the guide's seven steps as they happen, with the raw requests and without secrets.

use grantor_client::authorization::{AuthorizationCode, AuthorizationRequest};
use grantor_client::client::Client;
use grantor_client::http::{Answer, Call};
use grantor_client::secret::masked;
use grantor_client::server::{ExchangeIn, SecretIn, Server};

use crate::command::output::say;

/// Whether the steps are shown.
#[derive(Clone, Copy)]
pub(super) struct Explain(pub(super) bool);

impl Explain {
    pub(super) fn authorize(self, server: &Server, request: &AuthorizationRequest) {
        let proofs = match server.pkce {
            true => {
                "state shows that the answer is ours, code_challenge that the exchange is ours (PKCE)"
            }
            false => "state shows that the answer is ours; this server is not known to take PKCE",
        };
        self.step(1, "Send the customer to the authorize URL", &[request.url(), proofs]);
    }

    pub(super) fn code(self, code: &AuthorizationCode, server: &Server) {
        let code = format!("code={}", masked(code.expose()));
        let compared = match server.names_itself {
            true => "state and iss are the ones that were expected, or the code was pasted alone",
            false => "state is the one that was sent, or the code was pasted alone",
        };
        self.step(
            2,
            "The customer allowed it, and the redirect brought a code",
            &[&code, compared],
        );
    }

    pub(super) fn exchange(self, server: &Server, client: &Client, call: &Call) {
        let header = call.header_value("authorization").and_then(|value| value.split_once(' '));
        let encoded = match (client.secret(), header) {
            (None, _) => "this client has no secret: there is nothing to encode".to_owned(),
            (Some(_), None) => {
                "this server takes the secret in the body: nothing is encoded".to_owned()
            }
            (Some(_), Some((_, base64))) => {
                let pair = format!("{}:{}", client.id(), masked("secret"));
                let pair = pair.replace("***(6 characters)", "CLIENT_SECRET");
                format!("{pair}  ->  {}", masked(base64))
            }
        };
        self.step(3, "Encode the id and the secret in Base64", &[&encoded]);
        self.step(
            4,
            "Choose POST and the token URL",
            &[&format!("POST {}", server.token_endpoint)],
        );
        let header = match header {
            Some((scheme, base64)) => format!("Authorization: {scheme} {}", masked(base64)),
            None => "no Authorization header".to_owned(),
        };
        self.step(5, "Add the header", &[&header]);
        let place = match server.exchange_in {
            ExchangeIn::Query => "in the query, as this server wants them",
            ExchangeIn::Body => "in a form body, so that no log of URLs keeps them",
        };
        let secret = match server.secret_in {
            SecretIn::Body => "client_id and client_secret stand beside them",
            SecretIn::Header | SecretIn::PlainHeader => "the header says who it is",
        };
        self.step(6, "Add the parameters", &[place, secret]);
        self.step(7, "Send it", &[&call.shown()]);
    }

    pub(super) fn answer(self, answer: &Answer) {
        if self.0 {
            say(&indented(&answer.shown()));
        }
    }

    fn step(self, number: u8, title: &str, lines: &[&str]) {
        if self.0 {
            say(&format!("{number}. {title}"));
            for line in lines {
                say(&indented(line));
            }
        }
    }
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("   {line}")).collect();
    lines.join("\n")
}

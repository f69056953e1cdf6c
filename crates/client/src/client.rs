//! The API client that a partner registered, and how it proves itself (RFC 6749 2.3).

pub use grantor_protocol::client::ClientSecret;
use grantor_protocol::client_authentication::BasicCredentials;

use crate::http::Call;
use crate::server::{SecretIn, Server};

/// A client: its id, and its secret where it has one.
pub struct Client {
    id: String,
    secret: Option<ClientSecret>,
}

impl Client {
    /// A client with a secret: an app on a server of yours.
    pub fn confidential(id: impl Into<String>, secret: ClientSecret) -> Client {
        Client { id: id.into(), secret: Some(secret) }
    }

    /// A client without one: a program on somebody's own machine.
    pub fn public(id: impl Into<String>) -> Client {
        Client { id: id.into(), secret: None }
    }

    /// The `client_id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret, where it has one.
    pub fn secret(&self) -> Option<&ClientSecret> {
        self.secret.as_ref()
    }

    /// Puts its proof on a call, where the server takes it.
    pub(crate) fn prove(&self, server: &Server, call: &mut Call) {
        match (&self.secret, server.secret_in) {
            (Some(secret), SecretIn::Header) => {
                let value = BasicCredentials::encoded_header(&self.id, secret);
                call.header("authorization", &value);
            }
            (Some(secret), SecretIn::PlainHeader) => {
                call.header("authorization", &BasicCredentials::header(&self.id, secret));
            }
            (Some(secret), SecretIn::Body) => {
                call.field("client_id", &self.id);
                call.field("client_secret", secret.expose());
            }
            // RFC 6749 3.2.1
            (None, _) => call.field("client_id", &self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Preset;

    fn proof(secret_in: SecretIn) -> Call {
        let server = Server { secret_in, ..Preset::KSeriesStaging.server() };
        let client = Client::confidential("one two", ClientSecret::new("a:b%c".to_owned()));
        let mut call = Call::post("https://api.example.com/oauth/token");
        client.prove(&server, &mut call);
        call
    }

    #[test]
    fn the_header_is_read_back_by_the_server_whatever_the_secret_holds() {
        let call = proof(SecretIn::Header);
        let value = call.header_value("authorization").unwrap();
        let read = BasicCredentials::parse(value.as_bytes()).unwrap_or_else(|_| panic!("{value}"));
        assert_eq!((read.client_id.as_str(), read.client_secret.expose()), ("one two", "a:b%c"));
    }

    #[test]
    fn s14_a_secret_stands_in_one_place() {
        let call = proof(SecretIn::Body);
        assert!(call.header_value("authorization").is_none());
        assert_eq!(call.body_text(), "client_id=one+two&client_secret=a%3Ab%25c");
        assert_eq!(proof(SecretIn::Header).body_text(), "");
    }
}

//! What is asked of the servers: one variant of [`Workload`] for each row of the table.
//!
//! Every request is made before it is measured, as far as it can be: a code stands once in a
//! request, and the next refresh token comes with the response to the one before.

mod cycle;
mod proof;
mod tokens;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::browser::{Session, encode};
use crate::failure::Failure;
use crate::load::Requests;
use crate::server::{Installation, REDIRECT_URI};

use proof::Prover;

pub(crate) use cycle::{Authorize, Cycle};
pub(crate) use tokens::{Exchange, Refresh, Ring, Tokens};

/// How many rows the floor's table has for each connection, and how many grants a ring.
pub(crate) const RING: usize = 32;

/// How many characters a hostile parameter has.
const HUGE: usize = 50_000;
/// How many parameters share them where each is short enough to be taken.
const UNREAD: usize = 20;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// The metadata of the server (RFC 8414).
    Discovery,
    /// The key set.
    Jwks,
    /// A client gets a sealed token of its own: nothing is written.
    ClientCredentials,
    /// The same, signed with ES256 for an API that wants that.
    ClientCredentialsSigned,
    /// A client asks for a scope of [`HUGE`] characters and is refused.
    HugeScope,
    /// The same with as much in a parameter that nobody reads: what it costs to carry it.
    HugeUnread,
    /// A code becomes tokens that are bound to a key: its proof is used up by a write of its own.
    ExchangeDpop,
    /// A signed access token is looked at.
    IntrospectionSigned,
    /// A code by silent consent: one insert.
    Authorize,
    /// A code becomes tokens: one conditional write.
    Exchange,
    /// A generation is turned: one conditional write.
    Refresh,
    /// An access token is looked at: no write.
    Introspection,
    /// The bare server's GET.
    FloorGet,
    /// The bare server's HMAC and conditional write.
    FloorWrite,
    /// The bare server's HMAC and indexed read.
    FloorRead,
}

/// What the requests to one address have in common.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    host: String,
    authorization: String,
    session: Option<Session>,
}

impl Workload {
    /// Its name in the results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Workload::Discovery => "discovery",
            Workload::Jwks => "jwks",
            Workload::ClientCredentials => "client_credentials",
            Workload::ClientCredentialsSigned => "client_credentials_at_jwt",
            Workload::HugeScope => "huge_scope",
            Workload::HugeUnread => "huge_unread",
            Workload::ExchangeDpop => "exchange_dpop",
            Workload::IntrospectionSigned => "introspection_at_jwt",
            Workload::Authorize => "authorize",
            Workload::Exchange => "exchange",
            Workload::Refresh => "refresh",
            Workload::Introspection => "introspection",
            Workload::FloorGet => "floor_get",
            Workload::FloorWrite => "floor_write",
            Workload::FloorRead => "floor_read",
        }
    }

    /// What it is held against: the bare server doing as much to the database.
    pub(crate) fn floor(self) -> Workload {
        match self {
            // What a client gets of its own is looked up nowhere and written nowhere.
            Workload::Discovery
            | Workload::Jwks
            | Workload::ClientCredentials
            | Workload::ClientCredentialsSigned
            | Workload::HugeScope
            | Workload::HugeUnread
            | Workload::FloorGet => Workload::FloorGet,
            Workload::Authorize
            | Workload::Exchange
            | Workload::ExchangeDpop
            | Workload::Refresh
            | Workload::FloorWrite => Workload::FloorWrite,
            Workload::Introspection | Workload::IntrospectionSigned | Workload::FloorRead => {
                Workload::FloorRead
            }
        }
    }

    /// Whether the bare server answers it.
    pub(crate) fn is_floor(self) -> bool {
        self.floor() == self
    }
}

impl Wire {
    /// To the server.
    pub(crate) fn server(
        address: SocketAddr,
        installation: &Installation,
        session: Option<Session>,
    ) -> Wire {
        let pair = format!("{}:{}", installation.client_id, installation.client_secret);
        let authorization = format!("Basic {}", STANDARD.encode(pair));
        Wire { host: address.to_string(), authorization, session }
    }

    /// To the bare server.
    pub(crate) fn floor(address: SocketAddr) -> Wire {
        Wire { host: address.to_string(), authorization: "Basic Zmxvb3I=".into(), session: None }
    }

    /// A GET.
    pub(crate) fn get(&self, target: &str) -> Vec<u8> {
        format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host).into_bytes()
    }

    /// A form, posted by a client that proves itself.
    pub(crate) fn post(&self, out: &mut Vec<u8>, path: &str, form: &[&str]) {
        self.post_with(out, path, "", form);
    }

    /// The same with more headers, each with its end of line.
    fn post_with(&self, out: &mut Vec<u8>, path: &str, headers: &str, form: &[&str]) {
        let length: usize = form.iter().map(|part| part.len()).sum();
        for part in ["POST ", path, " HTTP/1.1\r\nHost: ", &self.host, "\r\nAuthorization: "] {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(self.authorization.as_bytes());
        out.extend_from_slice(
            b"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ",
        );
        out.extend_from_slice(length.to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(headers.as_bytes());
        out.extend_from_slice(b"\r\n");
        for part in form {
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// The metadata.
    pub(crate) fn discovery(&self) -> Box<dyn Requests> {
        let request = self.get("/.well-known/oauth-authorization-server");
        Box::new(Cycle::new(vec![request], 200, Some("token_endpoint")))
    }

    /// The key set.
    pub(crate) fn jwks(&self) -> Box<dyn Requests> {
        Box::new(Cycle::new(vec![self.get("/oauth/jwks")], 200, Some("\"keys\"")))
    }

    /// Tokens of the client itself, for an API or for whichever knows the scopes.
    pub(crate) fn client_credentials(&self, resource: Option<&str>) -> Box<dyn Requests> {
        let named =
            resource.map_or_else(String::new, |named| format!("&resource={}", encode(named)));
        let mut request = Vec::new();
        self.post(&mut request, "/oauth/token", &["grant_type=client_credentials", &named]);
        Box::new(Cycle::new(vec![request], 200, Some("access_token")))
    }

    /// A client's own tokens, refused for a scope of [`HUGE`] characters.
    pub(crate) fn huge_scope(&self) -> Box<dyn Requests> {
        self.client_credentials_with(&format!("&scope={}", "a+".repeat(HUGE / 2)), 400)
    }

    /// A client's own tokens, with as many characters in parameters that nobody reads.
    pub(crate) fn huge_unread(&self) -> Box<dyn Requests> {
        let unread = |at| format!("&unread_{at}={}", "a+".repeat(HUGE / UNREAD / 2));
        self.client_credentials_with(&(0..UNREAD).map(unread).collect::<String>(), 200)
    }

    fn client_credentials_with(&self, more: &str, status: u16) -> Box<dyn Requests> {
        let mut request = Vec::new();
        self.post(&mut request, "/oauth/token", &["grant_type=client_credentials", more]);
        Box::new(Cycle::new(vec![request], status, None))
    }

    /// The exchange of these codes, each with a proof of one key.
    pub(crate) fn exchange_with_proof(
        &self,
        codes: &[String],
    ) -> Result<Box<dyn Requests>, Failure> {
        let redirect_uri = encode(REDIRECT_URI);
        let mut prover = Prover::new(&self.host)?;
        let mut requests = Vec::with_capacity(codes.len());
        for code in codes {
            let header = format!("DPoP: {}\r\n", prover.proof()?);
            let form =
                ["grant_type=authorization_code&code=", code, "&redirect_uri=", &redirect_uri];
            let mut out = Vec::new();
            self.post_with(&mut out, "/oauth/token", &header, &form);
            requests.push(out);
        }
        Ok(Box::new(Exchange::new(requests, None)))
    }

    /// The authorization request of a customer who is signed in and has consented.
    pub(crate) fn authorize(&self, codes: &Codes, most: usize) -> Box<dyn Requests> {
        let empty = Session { cookie: String::new(), target: "/".to_owned() };
        let session = self.session.as_ref().unwrap_or(&empty);
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n",
            session.target, self.host, session.cookie
        );
        Box::new(Authorize::new(request.into_bytes(), Rc::clone(codes), most))
    }

    /// The exchange of these codes.
    pub(crate) fn exchange(&self, codes: &[String], tokens: Option<&Tokens>) -> Box<dyn Requests> {
        self.exchange_for(codes, None, tokens)
    }

    /// The same for tokens of an API.
    pub(crate) fn exchange_for(
        &self,
        codes: &[String],
        resource: Option<&str>,
        tokens: Option<&Tokens>,
    ) -> Box<dyn Requests> {
        let named =
            resource.map_or_else(String::new, |named| format!("&resource={}", encode(named)));
        let redirect_uri = encode(REDIRECT_URI) + &named;
        let request = |code: &String| {
            let mut out = Vec::new();
            let form =
                ["grant_type=authorization_code&code=", code, "&redirect_uri=", &redirect_uri];
            self.post(&mut out, "/oauth/token", &form);
            out
        };
        Box::new(Exchange::new(codes.iter().map(request).collect(), tokens.cloned()))
    }

    /// Refreshes of a ring of grants, each with its newest token.
    pub(crate) fn refresh(&self, ring: &Ring, most: usize) -> Box<dyn Requests> {
        Box::new(Refresh::new(self.clone(), Rc::clone(ring), most))
    }

    /// Introspection of these access tokens.
    pub(crate) fn introspection(&self, tokens: &[String]) -> Box<dyn Requests> {
        let request = |token: &String| {
            let mut out = Vec::new();
            self.post(&mut out, "/oauth/introspect", &["token=", token]);
            out
        };
        let requests = tokens.iter().map(request).collect();
        Box::new(Cycle::new(requests, 200, Some("\"active\":true")))
    }

    /// What the bare server is asked on `path`, about the rows of the connection `at`.
    pub(crate) fn rows(&self, path: &str, at: usize) -> Box<dyn Requests> {
        let request = |row: usize| {
            let mut out = Vec::new();
            // As long as a refresh token and its form.
            let token = format!("{:0>110}", at * RING + row);
            self.post(&mut out, path, &["grant_type=refresh_token&refresh_token=", &token]);
            out
        };
        Box::new(Cycle::new((0..RING).map(request).collect(), 200, None))
    }
}

/// Codes that were given, to be exchanged later.
pub(crate) type Codes = Rc<RefCell<Vec<String>>>;

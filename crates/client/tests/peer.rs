//! The same flow with the well-kept crate `oauth2`: what goes over the wire is the same, and so is what
//! is read of it.

#![expect(clippy::unwrap_used, reason = "clippy takes only what stands in #[test] for a test")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use grantor_client::authorization::AuthorizationRequest;
use grantor_client::client::Client;
use grantor_client::exchange::exchange;
use grantor_client::http::Http;
use grantor_client::random::Random;
use grantor_client::refresh::refresh;
use grantor_client::server::{ExchangeIn, Preset, SecretIn, Server};
use grantor_client::token::{TokenError, Tokens};
use grantor_protocol::client::ClientSecret;
use grantor_protocol::parameters::Parameters;
use oauth2::basic::BasicClient;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RefreshToken, RequestTokenError, Scope, TokenResponse as _, TokenUrl,
};

const AUTHORIZE: &str = "https://as.example.com/authorize";
const TOKEN: &str = "https://as.example.com/token";
const REDIRECT_URI: &str = "https://mycompany.com/redirection/ikentoo?x=a b";
/// With what form-encoding changes.
const ID: &str = "client one";
const SECRET: &str = "p+q:r/s%t ü";
const ANSWER: &str = r#"{"access_token":"a-1","token_type":"bearer","expires_in":3599,"refresh_token":"r-2","scope":"financial-api"}"#;
const REFUSAL: &str = r#"{"error":"invalid_grant","error_description":"Code not valid"}"#;

/// What went over the wire: method and address, the header, the form.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    line: String,
    authorization: String,
    form: BTreeMap<String, String>,
}

/// A server that notes what comes and answers as it is told.
#[derive(Clone)]
struct Wire {
    status: u16,
    body: &'static str,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Wire {
    fn new(status: u16, body: &'static str) -> Wire {
        Wire { status, body, sent: Arc::default() }
    }

    fn answer<B: AsRef<[u8]>>(&self, request: &http::Request<B>) -> http::Response<&'static str> {
        let header = |name: &str| {
            let value = request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            value.unwrap_or_default()
        };
        assert_eq!(header("content-type"), "application/x-www-form-urlencoded");
        let parameters = Parameters::parse(request.body().as_ref());
        assert_eq!(parameters.fault(), None);
        let form = parameters.pairs().map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.sent.lock().unwrap().push(Sent {
            line: format!("{} {}", request.method(), request.uri()),
            authorization: header("authorization"),
            form: form.collect(),
        });
        let response = http::Response::builder().status(self.status);
        response.header("content-type", "application/json").body(self.body).unwrap()
    }

    fn ours(&self) -> Http {
        let wire = self.clone();
        Http::given(move |request: http::Request<Bytes>| {
            let answer = wire.answer(&request).map(Bytes::from);
            async move { Ok(answer) }
        })
    }

    fn theirs(
        &self,
    ) -> impl Fn(
        oauth2::HttpRequest,
    ) -> std::future::Ready<Result<oauth2::HttpResponse, std::io::Error>>
    + use<> {
        let wire = self.clone();
        move |request| {
            let answer = wire.answer(&request).map(|body| body.as_bytes().to_vec());
            std::future::ready(Ok(answer))
        }
    }

    /// The two that were sent, ours first.
    fn both(&self) -> (Sent, Sent) {
        let mut sent = self.sent.lock().unwrap();
        assert_eq!(sent.len(), 2);
        let theirs = sent.pop().unwrap();
        (sent.pop().unwrap(), theirs)
    }
}

fn server() -> Server {
    Server {
        authorization_endpoint: AUTHORIZE.to_owned(),
        token_endpoint: TOKEN.to_owned(),
        pkce: true,
        secret_in: SecretIn::Header,
        exchange_in: ExchangeIn::Body,
        ..Preset::KSeriesStaging.server()
    }
}

fn client() -> Client {
    Client::confidential(ID, ClientSecret::new(SECRET.to_owned()))
}

type Theirs = BasicClient<
    oauth2::EndpointSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointSet,
>;

fn theirs() -> Theirs {
    BasicClient::new(ClientId::new(ID.to_owned()))
        .set_client_secret(oauth2::ClientSecret::new(SECRET.to_owned()))
        .set_auth_uri(AuthUrl::new(AUTHORIZE.to_owned()).unwrap())
        .set_token_uri(TokenUrl::new(TOKEN.to_owned()).unwrap())
        .set_redirect_uri(RedirectUrl::new(REDIRECT_URI.to_owned()).unwrap())
}

fn request() -> AuthorizationRequest {
    let scope = Some("financial-api orders-api");
    AuthorizationRequest::new(&server(), ID, REDIRECT_URI, scope, &Random::fixed(9))
}

/// What the fixed randomness draws, each time.
fn drawn() -> String {
    Random::fixed(9).secret().to_string()
}

fn verifier() -> PkceCodeVerifier {
    PkceCodeVerifier::new(drawn())
}

fn query(url: &str) -> BTreeMap<String, String> {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

#[test]
fn s6_the_authorize_url_says_the_same() {
    let (theirs, _) = theirs()
        .authorize_url(|| CsrfToken::new(drawn()))
        .add_scope(Scope::new("financial-api".to_owned()))
        .add_scope(Scope::new("orders-api".to_owned()))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier()))
        .url();
    assert_eq!(query(request().url()), query(theirs.as_str()));
}

async fn ours_exchanged(wire: &Wire) -> Result<Tokens, TokenError> {
    let state = drawn();
    let code = request().answered(&format!("?code=c%2B1&state={state}")).unwrap();
    exchange(&wire.ours(), &server(), &client(), &code, 100).await
}

#[tokio::test]
async fn an_exchange_and_its_answer_are_the_same() {
    let wire = Wire::new(200, ANSWER);
    let ours = ours_exchanged(&wire).await.unwrap();
    let theirs = theirs()
        .exchange_code(AuthorizationCode::new("c+1".to_owned()))
        .set_pkce_verifier(verifier())
        .request_async(&wire.theirs())
        .await
        .unwrap();
    let (our_call, their_call) = wire.both();
    assert_eq!(our_call, their_call);
    assert_eq!(our_call.form["code"], "c+1");
    assert_eq!(ours.access_token.expose(), theirs.access_token().secret());
    assert_eq!(ours.refresh_token.unwrap().expose(), theirs.refresh_token().unwrap().secret());
    assert_eq!(
        ours.expires_at - 100,
        i64::try_from(theirs.expires_in().unwrap().as_secs()).unwrap()
    );
    assert_eq!(ours.scope.as_deref(), Some("financial-api"));
}

#[tokio::test]
async fn a_refresh_is_the_same_and_a_refusal_is_read_the_same() {
    let wire = Wire::new(200, ANSWER);
    let token = grantor_client::secret::Secret::new("r-1".to_owned());
    refresh(&wire.ours(), &server(), &client(), &token, 0).await.unwrap();
    let theirs_token = RefreshToken::new("r-1".to_owned());
    theirs().exchange_refresh_token(&theirs_token).request_async(&wire.theirs()).await.unwrap();
    let (our_call, their_call) = wire.both();
    assert_eq!(our_call, their_call);

    let wire = Wire::new(400, REFUSAL);
    let Err(TokenError::Refused(ours)) = ours_exchanged(&wire).await else {
        panic!("not refused");
    };
    let refused = theirs()
        .exchange_code(AuthorizationCode::new("c+1".to_owned()))
        .set_pkce_verifier(verifier())
        .request_async(&wire.theirs())
        .await;
    let Err(RequestTokenError::ServerResponse(theirs)) = refused else {
        panic!("not refused");
    };
    assert_eq!(ours.error, theirs.error().to_string());
    assert_eq!(ours.description.as_ref(), theirs.error_description());
}

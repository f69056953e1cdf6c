//! The calls to the server and to the API, and the life of the tokens, by `grantor-client`.
//!
//! 1. [`Grantor::begin`] makes the authorize URL, with a state and a PKCE challenge;
//! 2. [`Grantor::exchange`] makes tokens of the code;
//! 3. [`Grantor::businesses`] calls the API, and refreshes first where the access token is over, or
//!    once where the API says that it is.

use grantor_client::authorization::{AuthorizationCode, AuthorizationError, AuthorizationRequest};
use grantor_client::client::{Client, ClientSecret};
use grantor_client::clock::Clock;
use grantor_client::http::{Answer, Call, Http, HttpError};
use grantor_client::random::Random;
use grantor_client::refresh::refresh;
use grantor_client::server::{DiscoveryError, Server};
use grantor_client::token::{TokenError, Tokens};
use serde::Deserialize;

use crate::Settings;

/// The server, for one client.
pub(crate) struct Grantor {
    settings: Settings,
    server: Server,
    client: Client,
    http: Http,
    clock: Clock,
    random: Random,
}

/// A business of the customer.
#[derive(Deserialize)]
pub(crate) struct Business {
    #[serde(rename = "businessName")]
    pub(crate) name: String,
    #[serde(rename = "businessLocations")]
    pub(crate) locations: Vec<Location>,
}

/// A location of a business.
#[derive(Deserialize)]
pub(crate) struct Location {
    #[serde(rename = "blName")]
    pub(crate) name: String,
}

/// Why there are no businesses to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// the connection is over: only the customer can make a new one
    #[error("the connection has ended")]
    ConnectionEnded,
    /// the server gave no code
    #[error("the server gave no code: {0}")]
    NoCode(AuthorizationError),
    /// the server gave no tokens, in its own words: keep them, they say what to mend
    #[error("the server gave no tokens: {0}")]
    NoTokens(TokenError),
    /// the API gave nothing
    #[error("the API answered {0}")]
    Api(u16),
    /// the API cannot be reached
    #[error("the API cannot be reached: {0}")]
    Unreachable(#[from] HttpError),
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "_embedded")]
    embedded: Embedded,
}

#[derive(Deserialize)]
struct Embedded {
    #[serde(rename = "businessList")]
    businesses: Vec<Business>,
}

impl Grantor {
    /// Asks the server what it is.
    pub(crate) async fn find(
        settings: Settings,
        secret: ClientSecret,
        random: Random,
    ) -> Result<Grantor, DiscoveryError> {
        let http = Http::new();
        let server = Server::discover(&http, &settings.base_url).await?;
        let client = Client::confidential(&settings.client_id, secret);
        Ok(Grantor { settings, server, client, http, clock: Clock::system(), random })
    }

    /// Where the browser goes, and what has to be known when it comes back.
    pub(crate) fn begin(&self) -> AuthorizationRequest {
        let redirect_uri = self.settings.redirect_uri.as_str();
        AuthorizationRequest::new(&self.server, self.client.id(), redirect_uri, None, &self.random)
    }

    /// Steps 3 to 7 of the guide.
    pub(crate) async fn exchange(&self, code: &AuthorizationCode) -> Result<Tokens, Fault> {
        let (now, client) = (self.clock.now(), &self.client);
        let exchanged =
            grantor_client::exchange::exchange(&self.http, &self.server, client, code, now).await;
        exchanged.map_err(Fault::NoTokens)
    }

    /// The businesses that the customer connected. The caller holds the tokens alone, so that two
    /// requests of one customer refresh once.
    pub(crate) async fn businesses(&self, tokens: &mut Tokens) -> Result<Vec<Business>, Fault> {
        if self.clock.now() + self.settings.refresh_early_seconds >= tokens.expires_at {
            self.refresh(tokens).await?;
        }
        let mut answer = self.call_api(tokens).await?;
        if answer.status == 401 {
            self.refresh(tokens).await?;
            answer = self.call_api(tokens).await?;
        }
        match serde_json::from_slice::<Listed>(&answer.body) {
            Ok(listed) if answer.status == 200 => Ok(listed.embedded.businesses),
            _ => Err(Fault::Api(answer.status)),
        }
    }

    async fn call_api(&self, tokens: &Tokens) -> Result<Answer, Fault> {
        let mut call = Call::get(&format!("{}/f/data/businesses", self.server.api_url));
        call.parameter("page", "0");
        call.parameter("size", "1000");
        call.header("authorization", &format!("Bearer {}", tokens.access_token.expose()));
        Ok(call.send(&self.http).await?)
    }

    async fn refresh(&self, tokens: &mut Tokens) -> Result<(), Fault> {
        let Some(presented) = &tokens.refresh_token else { return Err(Fault::ConnectionEnded) };
        let now = self.clock.now();
        match refresh(&self.http, &self.server, &self.client, presented, now).await {
            // The new refresh token takes the place of the old one, which is spent. Were this answer
            // lost, the same refresh again gives the same tokens, for a moment.
            Ok(newer) => *tokens = newer,
            Err(TokenError::Refused(refusal)) if refusal.error == "invalid_grant" => {
                return Err(Fault::ConnectionEnded);
            }
            Err(error) => return Err(Fault::NoTokens(error)),
        }
        Ok(())
    }
}

//! The calls to the server and to the API, and the life of the tokens.
//!
//! 1. [`Grantor::begin`] makes the authorize URL, with a state and a PKCE challenge;
//! 2. [`Grantor::exchange`] makes tokens of the code;
//! 3. [`Grantor::businesses`] calls the API, and refreshes first where the access token is over, or
//!    once where the API says that it is.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use tokio::time::Instant;
use url::form_urlencoded::Serializer;

use crate::Settings;
use crate::http::{Http, HttpFault};

/// The server, for one client.
pub(crate) struct Grantor {
    settings: Settings,
    http: Http,
}

/// One way to the server and back, of one browser.
pub(crate) struct Attempt {
    pub(crate) state: String,
    verifier: String,
}

/// What a connection is worth: keep these on the server, and keep the newest.
pub(crate) struct Tokens {
    access: String,
    refresh: String,
    over_at: Instant,
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
    /// the server refused, in its own words
    #[error("the server refused: {error}: {words}")]
    Refused {
        /// the code of RFC 6749
        error: String,
        /// what is wrong: keep it, it says what to mend
        words: String,
    },
    /// no answer, or one that cannot be read
    #[error("the server cannot be reached: {0}")]
    Unreachable(#[from] HttpFault),
}

/// RFC 6749 5.1
#[derive(Deserialize)]
struct Issued {
    access_token: String,
    refresh_token: String,
    expires_in: u64,
}

/// RFC 6749 5.2
#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
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
    pub(crate) fn new(settings: Settings) -> std::io::Result<Grantor> {
        Ok(Grantor { settings, http: Http::new()? })
    }

    /// What `iss` has to be (RFC 9207).
    pub(crate) fn issuer(&self) -> &str {
        &self.settings.base_url
    }

    /// Where the browser goes, and what has to be known when it comes back.
    pub(crate) fn begin(&self) -> (String, Attempt) {
        let attempt = Attempt { state: random(), verifier: random() };
        // RFC 7636 4.2: a code that is stolen on its way is worth nothing without the verifier.
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, attempt.verifier.as_bytes()));
        let query = Serializer::new(String::new())
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", self.settings.redirect_uri.as_str())
            .append_pair("state", &attempt.state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        (format!("{}/oauth/authorize?{query}", self.settings.base_url), attempt)
    }

    /// Steps 3 to 7 of the guide.
    pub(crate) async fn exchange(&self, code: &str, attempt: Attempt) -> Result<Tokens, Fault> {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            // The very same as before: the code is bound to it.
            ("redirect_uri", self.settings.redirect_uri.as_str()),
            ("code_verifier", &attempt.verifier),
        ])
        .await
    }

    /// The businesses that the customer connected. The caller holds the tokens alone, so that two
    /// requests of one customer refresh once.
    pub(crate) async fn businesses(&self, tokens: &mut Tokens) -> Result<Vec<Business>, Fault> {
        let early = Duration::from_secs(self.settings.refresh_early_seconds);
        if Instant::now() + early >= tokens.over_at {
            self.refresh(tokens).await?;
        }
        let url = format!("{}/f/data/businesses?page=0&size=1000", self.settings.base_url);
        let mut answer = self.http.get(&url, &bearer(tokens)).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            self.refresh(tokens).await?;
            answer = self.http.get(&url, &bearer(tokens)).await?;
        }
        match answer.status {
            StatusCode::OK => Ok(answer.json::<Listed>()?.embedded.businesses),
            status => Err(Fault::refused("the API", &status.to_string())),
        }
    }

    async fn refresh(&self, tokens: &mut Tokens) -> Result<(), Fault> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())];
        match self.token(&form).await {
            // The new refresh token takes the place of the old one, which is spent. Were this answer
            // lost, the same refresh again gives the same tokens, for a moment.
            Ok(newer) => *tokens = newer,
            Err(Fault::Refused { error, .. }) if error == "invalid_grant" => {
                return Err(Fault::ConnectionEnded);
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    async fn token(&self, form: &[(&str, &str)]) -> Result<Tokens, Fault> {
        let Settings { base_url, client_id, client_secret, .. } = &self.settings;
        let basic = format!("Basic {}", STANDARD.encode(format!("{client_id}:{client_secret}")));
        let body = Serializer::new(String::new()).extend_pairs(form).finish();
        let asked_at = Instant::now();
        let answer = self.http.post(&format!("{base_url}/oauth/token"), &basic, body).await?;
        if answer.status == StatusCode::OK {
            let issued: Issued = answer.json()?;
            return Ok(Tokens {
                access: issued.access_token,
                refresh: issued.refresh_token,
                over_at: asked_at + Duration::from_secs(issued.expires_in),
            });
        }
        let Refused { error, error_description: words } = answer.json()?;
        Err(Fault::Refused { error, words })
    }
}

impl Fault {
    pub(crate) fn refused(error: &str, words: &str) -> Fault {
        Fault::Refused { error: error.to_owned(), words: words.to_owned() }
    }
}

fn bearer(tokens: &Tokens) -> String {
    format!("Bearer {}", tokens.access)
}

/// 256 bits that nobody can guess.
#[expect(clippy::disallowed_methods, reason = "this app has no test that would repeat them")]
pub(crate) fn random() -> String {
    let mut bytes = [0; 32];
    // Without randomness there is no state that protects anybody.
    assert!(aws_lc_rs::rand::fill(&mut bytes).is_ok(), "the system has no randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}

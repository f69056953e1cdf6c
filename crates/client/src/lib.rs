//! The partner's side of OAuth 2.0: from a client id to tokens that stay valid.
//!
//! 1. [`server::Server`] is found by [`discovery`](server::Server::discover) or a
//!    [`Preset`](server::Preset);
//! 2. [`authorization::AuthorizationRequest`] makes the address for the customer's browser, and reads
//!    what comes back; [`loopback`] catches it on this machine;
//! 3. [`exchange`] turns the code into [`token::Tokens`];
//! 4. [`connections`] keeps them, encrypted, for all processes of one user;
//! 5. [`renewal`] gives a valid access token, and refreshes once however many ask;
//! 6. [`revocation`] gives a token back, [`broker`] hands tokens to programs in other languages, and
//!    [`mistake`] says in words what went wrong.
//!
//! Nothing here is global: the HTTP client, the clock and the randomness are handed in. Whatever waits is
//! async, on tokio. A secret is a type that does not print.
//!
//! # The code flow
//!
//! ```
//! use grantor_client::authorization::AuthorizationRequest;
//! use grantor_client::random::Random;
//! use grantor_client::server::Preset;
//!
//! let server = Preset::KSeriesStaging.server();
//! let redirect_uri = "https://mycompany.com/redirection/ikentoo";
//! let request =
//!     AuthorizationRequest::new(&server, "devp-staging-me", redirect_uri, None, &Random::system());
//! assert!(request.url().starts_with("https://api.trial.lsk.lightspeed.app/oauth/authorize?"));
//!
//! // The customer comes back to your redirect URI. What has another state is refused.
//! assert!(request.answered("?code=VlWFo0&state=of-somebody-else").is_err());
//! ```
//!
//! With a server that describes itself, from the first step to the tokens on the disk:
//!
//! ```no_run
//! # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
//! use grantor_client::authorization::AuthorizationRequest;
//! use grantor_client::client::Client;
//! use grantor_client::clock::Clock;
//! use grantor_client::connection::Connection;
//! use grantor_client::connections::Connections;
//! use grantor_client::exchange::exchange;
//! use grantor_client::http::Http;
//! use grantor_client::loopback::Loopback;
//! use grantor_client::random::Random;
//! use grantor_client::server::Server;
//! # let secret = grantor_protocol::client::ClientSecret::new(String::new());
//!
//! let (http, clock, random) = (Http::new(), Clock::system(), Random::system());
//! let server = Server::discover(&http, "https://api.example.com").await?;
//! let client = Client::confidential("my-client", secret);
//!
//! let loopback = Loopback::bind("http://127.0.0.1/callback").await?;
//! let redirect_uri = loopback.redirect_uri();
//! let request = AuthorizationRequest::new(&server, client.id(), redirect_uri, None, &random);
//! println!("open {}", request.url());
//! let code = loopback.wait(&request).await?;
//! let tokens = exchange(&http, &server, &client, &code, clock.now()).await?;
//!
//! let connections = Connections::open("connections".as_ref(), &clock, &random)?;
//! let connection = Connection::new("mine".to_owned(), server, &client, tokens, clock.now());
//! connections.keep(&connection, &connections.lock("mine").await?)?;
//!
//! // From now on, in this process and in any other:
//! let connection = connections.valid(&http, "mine", None).await?;
//! println!("Authorization: Bearer {}", connection.tokens.access_token.expose());
//!
//! // Before the process ends: a refresh may be under way still.
//! connections.leave().await;
//! # Ok(()) }
//! ```

pub mod authorization;
pub mod broker;
pub mod client;
pub mod clock;
pub mod connection;
pub mod connections;
pub mod error_response;
pub mod exchange;
pub mod http;
pub mod loopback;
pub mod mistake;
pub mod random;
pub mod refresh;
pub mod renewal;
pub mod revocation;
pub mod secret;
pub mod server;
pub mod token;

//! What mycompany.com does: a small web app of a partner, to copy from.
//!
//! The client secret stands in the variable `GRANTOR_CLIENT_SECRET`, and never among the arguments, which
//! every program of the machine can read.
//!
//! 1. `/` shows a Connect button, or the businesses that the customer connected;
//! 2. Connect sends the browser to the server, with a state and a PKCE challenge (`grantor.rs`);
//! 3. the redirect handler compares state and issuer, and exchanges the code;
//! 4. the tokens stay here, in the session (`session.rs`): the browser never sees one;
//! 5. who disconnected the app in the meantime is asked to connect again.
//!
//! ```sh
//! GRANTOR_CLIENT_SECRET=… cargo run -p partner-app -- --base-url http://127.0.0.1:8300 \
//!   --client-id CLIENT_ID --redirect-uri http://127.0.0.1:8400/staging/callback
//! ```

mod grantor;
mod page;
mod session;

use std::io::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::cookie::CookieJar;
use clap::Parser;
use grantor_client::authorization::AuthorizationError;
use grantor_client::client::ClientSecret;
use grantor_client::random::Random;
use url::Url;

use crate::grantor::{Fault, Grantor};
use crate::session::{Session, Sessions};

/// Where the client secret stands.
const SECRET: &str = "GRANTOR_CLIENT_SECRET";

/// A small web app of a partner.
#[derive(Parser)]
pub(crate) struct Settings {
    /// The base URL of the environment, without a slash at the end
    #[arg(long, env = "GRANTOR_BASE_URL")]
    pub(crate) base_url: String,
    /// The client id, which is of that environment alone
    #[arg(long, env = "GRANTOR_CLIENT_ID")]
    pub(crate) client_id: String,
    /// Where the code is sent, as it is registered; this app answers there
    #[arg(long, env = "GRANTOR_REDIRECT_URI")]
    pub(crate) redirect_uri: Url,
    /// How long before it ends an access token is refreshed, in seconds
    #[arg(long, default_value_t = 30)]
    pub(crate) refresh_early_seconds: i64,
    /// Where this app listens
    #[arg(long, default_value = "127.0.0.1:8400")]
    listen: String,
}

struct App {
    grantor: Grantor,
    sessions: Sessions,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings::parse();
    let (listen, callback) = (settings.listen.clone(), settings.redirect_uri.path().to_owned());
    #[expect(clippy::disallowed_methods, reason = "a secret must not be an argument")]
    let secret = std::env::var(SECRET).map_err(|_| format!("{SECRET} is not set"))?;
    let random = Random::system();
    let sessions = Sessions::new(settings.redirect_uri.scheme() == "https", random.clone());
    let grantor = Grantor::find(settings, ClientSecret::new(secret), random).await?;
    let app = Arc::new(App { grantor, sessions });
    let routes = Router::new()
        .route("/", get(home))
        .route("/connect", post(connect))
        .route(&callback, get(redirected))
        .with_state(app);
    let listener = tokio::net::TcpListener::bind(&listen).await?;
    writeln!(std::io::stdout(), "ready at http://{}", listener.local_addr()?)?;
    axum::serve(listener, routes).await?;
    Ok(())
}

async fn home(State(app): State<Arc<App>>, cookies: CookieJar) -> Response {
    let (session, cookies) = app.sessions.of(cookies);
    let page = to_the_end(async move {
        let mut session = session.lock_owned().await;
        if session.tokens.is_some() {
            shown(&app, &mut session).await
        } else {
            page::connect(session.note.take())
        }
    });
    (cookies, page.await.map(Html)).into_response()
}

/// Goes on where the browser goes away: tokens that came and were dropped are the end of a connection.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, StatusCode> {
    tokio::spawn(work).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// The businesses. Whoever waits for this session meanwhile finds its tokens refreshed.
async fn shown(app: &App, session: &mut Session) -> String {
    let Some(tokens) = &mut session.tokens else { return page::connect(None) };
    match app.grantor.businesses(tokens).await {
        Ok(businesses) => page::businesses(&businesses),
        Err(Fault::ConnectionEnded) => {
            // The customer disconnected the app, or has been away for longer than a refresh token
            // lives. Trying again would not help: only the customer can.
            session.tokens = None;
            page::reconnect()
        }
        Err(fault) => page::failed(&fault),
    }
}

/// Step 1 of the guide. A POST, so that no link of somebody else begins it.
async fn connect(State(app): State<Arc<App>>, cookies: CookieJar) -> Response {
    let (session, cookies) = app.sessions.of(cookies);
    let attempt = app.grantor.begin();
    let redirect = Redirect::to(attempt.url());
    session.lock().await.attempt = Some(attempt);
    (cookies, redirect).into_response()
}

/// Step 2 of the guide: the redirect handler.
async fn redirected(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    cookies: CookieJar,
) -> Response {
    let (session, cookies) = app.sessions.of(cookies);
    let page = to_the_end(async move {
        let mut session = session.lock_owned().await;
        answered(&app, &mut session, &query.unwrap_or_default()).await
    });
    match page.await {
        // The code goes out of the address bar, and out of the browser's history.
        Ok(None) => (cookies, Redirect::to("/")).into_response(),
        Ok(Some(page)) => (cookies, Html(page)).into_response(),
        Err(status) => status.into_response(),
    }
}

/// What came with the browser; `None` where the first page says the rest.
async fn answered(app: &App, session: &mut Session, query: &str) -> Option<String> {
    let answered = session.attempt.as_ref().map(|attempt| attempt.answered(query));
    let code = match answered {
        // Somebody may try to connect this browser to an account of their own. What waits goes on.
        None | Some(Err(AuthorizationError::StateDiffers | AuthorizationError::Parameters(_))) => {
            session.note =
                Some("That answer belongs to no request of this browser. Connect again.");
            return None;
        }
        Some(answered) => answered,
    };
    // The same answer counts once: the Back button sends it again.
    session.attempt = None;
    let exchanged = match code {
        Ok(code) => app.grantor.exchange(&code).await,
        // RFC 9207: from the server that was asked, and from no other.
        Err(AuthorizationError::IssuerDiffers { .. } | AuthorizationError::IssuerMissing) => {
            session.note = Some("Another server answered than the one that was asked.");
            return None;
        }
        Err(AuthorizationError::Refused(refusal)) if refusal.error == "access_denied" => {
            session.note = Some("You did not connect the app. You can do so at any time.");
            return None;
        }
        Err(error) => Err(Fault::NoCode(error)),
    };
    match exchanged {
        Ok(tokens) => {
            session.tokens = Some(tokens);
            None
        }
        Err(fault) => Some(page::failed(&fault)),
    }
}

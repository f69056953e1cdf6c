//! What mycompany.com does: a small web app of a partner, to copy from.
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
mod http;
mod page;
mod session;

use std::io::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::cookie::CookieJar;
use clap::Parser;
use serde::Deserialize;
use url::Url;

use crate::grantor::{Fault, Grantor};
use crate::session::{Session, Sessions};

/// A small web app of a partner.
#[derive(Parser)]
pub(crate) struct Settings {
    /// The base URL of the environment, without a slash at the end
    #[arg(long, env = "GRANTOR_BASE_URL")]
    pub(crate) base_url: String,
    /// The client id, which is of that environment alone
    #[arg(long, env = "GRANTOR_CLIENT_ID")]
    pub(crate) client_id: String,
    /// The client secret; better in the environment than on the command line, which others can see
    #[arg(long, env = "GRANTOR_CLIENT_SECRET", hide_env_values = true)]
    pub(crate) client_secret: String,
    /// Where the code is sent, as it is registered; this app answers there
    #[arg(long, env = "GRANTOR_REDIRECT_URI")]
    pub(crate) redirect_uri: Url,
    /// How long before it ends an access token is refreshed, in seconds
    #[arg(long, default_value_t = 30)]
    pub(crate) refresh_early_seconds: u64,
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
    let sessions = Sessions::new(settings.redirect_uri.scheme() == "https");
    let app = Arc::new(App { grantor: Grantor::new(settings)?, sessions });
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
    let mut session = session.lock().await;
    let page = if session.tokens.is_some() {
        shown(&app, &mut session).await
    } else {
        page::connect(session.note.take())
    };
    (cookies, Html(page)).into_response()
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
    let (url, attempt) = app.grantor.begin();
    session.lock().await.attempt = Some(attempt);
    (cookies, Redirect::to(url.as_str())).into_response()
}

/// What the server sends with the browser.
#[derive(Deserialize)]
struct Answer {
    code: Option<String>,
    error: Option<String>,
    state: Option<String>,
    iss: Option<String>,
}

/// Step 2 of the guide: the redirect handler.
async fn redirected(
    State(app): State<Arc<App>>,
    Query(answer): Query<Answer>,
    cookies: CookieJar,
) -> Response {
    let (session, cookies) = app.sessions.of(cookies);
    let mut session = session.lock().await;
    // Taken, so that the same answer counts once: the Back button sends it again.
    let attempt = session.attempt.take();
    let ours = |attempt: &grantor::Attempt| answer.state.as_deref() == Some(&attempt.state);
    let Some(attempt) = attempt.filter(ours) else {
        // Somebody may try to connect this browser to an account of their own.
        session.note = Some("That answer belongs to no request of this browser. Connect again.");
        return (cookies, Redirect::to("/")).into_response();
    };
    // RFC 9207: from the server that was asked, and from no other.
    if answer.iss.as_deref() != Some(app.grantor.issuer()) {
        session.note = Some("Another server answered than the one that was asked.");
        return (cookies, Redirect::to("/")).into_response();
    }
    let exchanged = match (&answer.code, answer.error.as_deref()) {
        (Some(code), None) => app.grantor.exchange(code, attempt).await,
        (_, Some("access_denied")) => {
            session.note = Some("You did not connect the app. You can do so at any time.");
            return (cookies, Redirect::to("/")).into_response();
        }
        (_, error) => Err(Fault::refused(error.unwrap_or("no code"), "Connect again.")),
    };
    match exchanged {
        Ok(tokens) => {
            session.tokens = Some(tokens);
            // The code goes out of the address bar, and out of the browser's history.
            (cookies, Redirect::to("/")).into_response()
        }
        Err(fault) => (cookies, Html(page::failed(&fault))).into_response(),
    }
}

//! The few calls that a guard makes: for a key set, and to ask what a token opens. No redirect is
//! followed, and nothing is waited for long.

use std::fmt;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use axum::http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs::default_provider;

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// No answer is longer, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Connections that are kept and used again.
#[derive(Clone)]
pub(crate) struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// Why no answer came that can be read.
#[derive(Debug)]
pub(crate) enum FetchFault {
    /// it took too long
    TimedOut,
    /// no connection, or one that broke
    Failed(String),
    /// longer than is read
    TooLong,
    /// another status than 200
    Status(StatusCode),
}

impl Http {
    /// With the certificates that the system trusts.
    ///
    /// # Errors
    /// Where there are none.
    pub(crate) fn new() -> std::io::Result<Http> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(default_provider())?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Http(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Gets a document.
    ///
    /// # Errors
    /// [`FetchFault`]
    pub(crate) async fn get(&self, url: &str) -> Result<Bytes, FetchFault> {
        let request = Request::get(url).header(ACCEPT, "application/json").body(Full::default());
        self.send(request).await
    }

    /// Posts a form, with this `Authorization`.
    ///
    /// # Errors
    /// [`FetchFault`]
    pub(crate) async fn post(
        &self,
        url: &str,
        authorization: &HeaderValue,
        form: String,
    ) -> Result<Bytes, FetchFault> {
        let request = Request::post(url)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(AUTHORIZATION, authorization)
            .body(Full::from(form));
        self.send(request).await
    }

    async fn send(
        &self,
        request: Result<Request<Full<Bytes>>, axum::http::Error>,
    ) -> Result<Bytes, FetchFault> {
        let failed = |error: String| FetchFault::Failed(error);
        let request = request.map_err(|error| failed(error.to_string()))?;
        let answered = async {
            let sent = self.0.request(request).await;
            let response = sent.map_err(|error| failed(causes(&error)))?;
            if response.status() != StatusCode::OK {
                return Err(FetchFault::Status(response.status()));
            }
            let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
            body.map(|body| body.to_bytes()).map_err(|_| FetchFault::TooLong)
        };
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(answer) => answer,
            Err(_) => Err(FetchFault::TimedOut),
        }
    }
}

/// An error with what is behind it: the outermost says only that connecting failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl fmt::Display for FetchFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchFault::TimedOut => write!(formatter, "no answer in {} s", PATIENCE.as_secs()),
            FetchFault::Failed(error) => formatter.write_str(error),
            FetchFault::TooLong => write!(formatter, "more than {MAX_BODY_BYTES} bytes"),
            FetchFault::Status(status) => write!(formatter, "status {status}"),
        }
    }
}

//! Calls over http and https, with the certificates that the system trusts.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs::default_provider;
use serde::de::DeserializeOwned;

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// No answer is longer, in bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Connections that are kept and used again.
pub(crate) struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    body: Bytes,
}

/// Why nothing came back that can be read. A call of unknown fate is not made again here: who
/// repeats a refresh has to use the same token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpFault {
    #[error("it took too long")]
    TimedOut,
    #[error("{0}")]
    Failed(String),
    #[error("the answer of status {0} cannot be read")]
    Unreadable(StatusCode),
}

impl Http {
    pub(crate) fn new() -> std::io::Result<Http> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(default_provider())?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Http(Client::builder(TokioExecutor::new()).build(connector)))
    }

    pub(crate) async fn get(&self, url: &str, authorization: &str) -> Result<Answer, HttpFault> {
        let request = Request::get(url).header(AUTHORIZATION, authorization);
        self.send(request.body(Full::default())).await
    }

    pub(crate) async fn post(
        &self,
        url: &str,
        authorization: &str,
        form: String,
    ) -> Result<Answer, HttpFault> {
        let request = Request::post(url)
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Full::from(form))).await
    }

    async fn send(
        &self,
        request: Result<Request<Full<Bytes>>, axum::http::Error>,
    ) -> Result<Answer, HttpFault> {
        let request = request.map_err(|error| HttpFault::Failed(error.to_string()))?;
        let answered = async {
            let response = self.0.request(request).await;
            let response = response.map_err(|error| HttpFault::Failed(error.to_string()))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
            let body = body.map_err(|_| HttpFault::Unreadable(status))?.to_bytes();
            Ok(Answer { status, body })
        };
        tokio::time::timeout(PATIENCE, answered).await.map_err(|_| HttpFault::TimedOut)?
    }
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, HttpFault> {
        serde_json::from_slice(&self.body).map_err(|_| HttpFault::Unreadable(self.status))
    }
}

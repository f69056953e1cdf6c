//! The library's own way to send a call.

use std::error::Error as _;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::{HttpError, MAX_ANSWER_BYTES, MaxAnswerBytes};

/// How long a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a call may take, connection and answer together.
const CALL_LIMIT: Duration = Duration::from_secs(30);

type Plain = Client<HttpConnector, Full<Bytes>>;
type Tls = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Both are made when they are first needed: the roots of the system take a while to read.
#[derive(Default)]
pub(super) struct Own {
    plain: OnceLock<Plain>,
    tls: OnceLock<Result<Tls, String>>,
}

impl Own {
    pub(super) async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let host = request.uri().host().unwrap_or("the server").to_owned();
        let largest =
            request.extensions().get().map_or(MAX_ANSWER_BYTES, |MaxAnswerBytes(most)| *most);
        let request = request.map(Full::new);
        let sending = async {
            // The caller has looked: what is not https stays on this machine.
            let response = if request.uri().scheme_str() == Some("https") {
                let tls = self.tls.get_or_init(tls).as_ref();
                let tls = tls.map_err(|why| not_sent(&host, why.clone()))?;
                tls.request(request).await
            } else {
                self.plain.get_or_init(plain).request(request).await
            };
            let (parts, body) = response.map_err(|error| of(&host, &error))?.into_parts();
            let body = Limited::new(body, largest).collect().await;
            let body = body.map_err(|error| lost(&host, error.to_string()))?.to_bytes();
            Ok(http::Response::from_parts(parts, body))
        };
        match tokio::time::timeout(CALL_LIMIT, sending).await {
            Ok(answer) => answer,
            Err(_) => Err(lost(&host, format!("it took over {} seconds", CALL_LIMIT.as_secs()))),
        }
    }
}

fn plain() -> Plain {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_LIMIT));
    builder().build(connector)
}

fn tls() -> Result<Tls, String> {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_LIMIT));
    connector.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
        .map_err(|error| format!("the certificates of this system cannot be read: {error}"))?
        .https_only()
        .enable_http1()
        .wrap_connector(connector);
    Ok(builder().build(connector))
}

/// A connection serves one call, and no call is sent twice unasked: a refresh that went out again
/// behind our back could not be told from one that did not go out.
fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_max_idle_per_host(0).retry_canceled_requests(false);
    builder
}

fn of(host: &str, error: &hyper_util::client::legacy::Error) -> HttpError {
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        why = cause.to_string();
        source = cause.source();
    }
    if error.is_connect() { not_sent(host, why) } else { lost(host, why) }
}

fn not_sent(host: &str, why: String) -> HttpError {
    HttpError::NotSent { host: host.to_owned(), why }
}

fn lost(host: &str, why: String) -> HttpError {
    HttpError::Lost { host: host.to_owned(), why }
}

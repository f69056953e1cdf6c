//! A call to an address that a partner named: a webhook.
//!
//! It goes out as documents are fetched, to an address that was looked at and to no other. Whoever
//! calls bounds how many go out at once; here each is bounded in size and time.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::Request;
use axum::http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http_body_util::{BodyExt as _, Full, Limited};

use super::{MAX_BYTES, Outbound, OutboundFault, authority, target};

/// How long a call may take, all of it (Standard Webhooks asks for 15 to 30 s).
pub const POST_TIME_LIMIT: Duration = Duration::from_secs(15);

/// What is posted.
#[derive(Debug)]
pub struct Post<'a> {
    /// Where to.
    pub address: &'a str,
    /// Headers of its own, by their names in lower case.
    pub headers: &'a [(&'static str, &'a str)],
    /// JSON.
    pub body: &'a str,
}

impl Outbound {
    /// Posts JSON, and answers with the status. A redirect is a status as any other: it is not
    /// followed.
    ///
    /// # Errors
    /// [`OutboundFault`]; then perhaps it was taken all the same.
    pub async fn post(&self, post: &Post<'_>) -> Result<u16, OutboundFault> {
        let url = self.parse(post.address)?;
        let mut request = Request::post(target(&url))
            .header(HOST, authority(&url))
            .header(USER_AGENT, "grantor")
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in post.headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(post.body.as_bytes()));
        let request = request.body(body).map_err(|_| OutboundFault::Address)?;
        let call = async {
            let response = self.send(&url, request).await?;
            let status = response.status().as_u16();
            // Read to its end where it is short, so that a receiver that writes is not broken off.
            // Whatever it says, and however it ends, the status stands.
            let _ = Limited::new(response.into_body(), MAX_BYTES).collect().await;
            Ok(status)
        };
        let called = tokio::time::timeout(POST_TIME_LIMIT, call).await;
        called.unwrap_or(Err(OutboundFault::TooSlow))
    }
}

//! `/oauth/device_authorization`: a device without a browser begins (RFC 8628 3.1).
//!
//! 1. parse: the header and the form body (`DeviceRequest`);
//! 2. authenticate the client, as at the token endpoint, and ask whether it may;
//! 3. commit: a row that waits for its user, and two codes, of which the store knows the one that
//!    the user types, and of the other a digest.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use grantor_protocol::device::{
    CODE_PREFIX, DeviceAuthorization, DeviceRequest, INTERVAL_SECONDS, UserCode,
};
use grantor_protocol::logged_call::Endpoint;
use grantor_protocol::scope::Scope;
use grantor_protocol::token_error::TokenError;
use serde::Serialize;

use super::client_call::{self, Call, authenticated, refuse, unavailable};
use super::heard::Heard;
use super::par::at_most_waiting;
use super::request::RequestId;
use crate::http::ClientAddress;
use crate::site::Site;
use crate::store::NewDevice;

/// How long a device's user may take, in seconds.
const TTL_SECONDS: i64 = 600;
/// How often another user code is drawn where one is taken: of 25,600 million, by chance.
const DRAWS: usize = 3;

/// RFC 8628 3.2.
#[derive(Serialize)]
struct Begun {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    /// In seconds from now.
    expires_in: i64,
    /// In seconds.
    interval: i64,
}

/// Answers a call.
pub(super) async fn begin(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    request: Request,
) -> Response<Body> {
    let call = Call { site: &site, request_id: &request_id, address };
    let mut heard = Heard::default();
    let answered = carry_out(&call, request, &mut heard).await;
    let mut response = match &answered {
        Ok(begun) => client_call::answer(&site, StatusCode::OK, begun),
        Err(error) => refuse(&site, &request_id, error),
    };
    let refused = answered.as_ref().err();
    heard.note_answer(&site, Endpoint::DeviceAuthorization, refused, &mut response);
    response
}

async fn carry_out(
    call: &Call<'_>,
    request: Request,
    heard: &mut Heard,
) -> Result<Begun, TokenError> {
    let Call { site, request_id, address } = *call;
    // 1. Parse.
    let asked = client_call::parse(request, heard, DeviceRequest::parse).await?;
    // 2. Authenticate.
    let record = authenticated(call, &asked.client, heard).await?;
    let client = &record.client;
    if !client.settings.device_code {
        return Err(TokenError::DevicesNotAllowed);
    }
    let scope = Scope::requested(asked.scope.as_deref(), &client.scopes)
        .map_err(TokenError::ClientScope)?;
    let apis = &site.settings.apis;
    let resources = apis.asked(&asked.resources, &scope).map_err(TokenError::Resource)?;
    // 3. Commit.
    let now = site.clock.now();
    let authorization = DeviceAuthorization {
        client_id: client.id.clone(),
        scope,
        resources,
        requested_from: coarse(address),
        interval_seconds: INTERVAL_SECONDS,
        polled_at: None,
        decision: None,
        created_at: now,
        expires_at: now + TTL_SECONDS,
    };
    let device_code = format!("{CODE_PREFIX}{}", site.random.secret());
    for _ in 0..DRAWS {
        let user_code = UserCode::new(site.random.bytes());
        let new = NewDevice {
            environment: site.environment,
            device_code: &device_code,
            user_code: &user_code,
            authorization: &authorization,
            epoch: site.sealer.epoch(),
            at_most: at_most_waiting(client),
        };
        if site.store.add_device(&new).await.map_err(unavailable(request_id))? {
            let verification_uri = format!("{}/device", site.base_url);
            return Ok(Begun {
                verification_uri_complete: format!("{verification_uri}?user_code={user_code}"),
                device_code,
                user_code: user_code.to_string(),
                verification_uri,
                expires_in: TTL_SECONDS,
                interval: INTERVAL_SECONDS,
            });
        }
    }
    Err(TokenError::Unavailable)
}

/// Where a device is, as its user can compare it: the network, and not the whole address.
fn coarse(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) if address.is_loopback() => "this machine".to_owned(),
        IpAddr::V6(address) if address.is_loopback() => "this machine".to_owned(),
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.x")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::x")
        }
    }
}

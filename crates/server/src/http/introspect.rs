//! `/oauth/introspect`: a client asks what became of a token of its own, an API what a token opens
//! (RFC 7662).
//!
//! 1. parse: the header and the form body (`IntrospectionRequest`);
//! 2. authenticate the client, which has to be one that can: the answer is for nobody else;
//! 3. load: open the seal, and read its grant, its counters and whether it was revoked, in one
//!    statement, so that what ended a moment ago is ended here;
//! 4. decide (`introspect` in `protocol`);
//! 5. answer: what the client may know of a living token, or that it is not active, and no more.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use grantor_protocol::access_token::AccessFault;
use grantor_protocol::client::Client;
use grantor_protocol::client_authentication::ClientFault;
use grantor_protocol::grant::{Binding, Grant};
use grantor_protocol::logged_call::Endpoint;
use grantor_protocol::scope::Scope;
use grantor_protocol::token_error::TokenError;
use grantor_protocol::token_introspection::{
    ActiveToken, Asker, Introspection, IntrospectionRequest, introspect as decide,
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::access_token::{self, Genuine, OpenedClient};
use super::api_access;
use super::client_call::{self, Call, authenticated, refuse, unavailable};
use super::heard::Heard;
use super::request::RequestId;
use super::signed_token::Confirmation;
use crate::hex::hex;
use crate::http::ClientAddress;
use crate::seal::ClientAccessSeal;
use crate::site::Site;
use crate::store::StoreError;

/// What is answered (RFC 7662 2.2): the word alone, or the word and all of the rest.
#[derive(Default, Serialize)]
struct Answer {
    active: bool,
    #[serde(flatten)]
    living: Option<Living>,
}

/// What a client may know of a living token of its own. `sub` always: some libraries refuse an answer
/// without it. Neither a name nor an address: the client was not given those.
#[derive(Serialize)]
struct Living {
    client_id: String,
    sub: String,
    scope: String,
    exp: i64,
    iat: i64,
    iss: String,
    /// The APIs that it names; to who checks it at an API, always.
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// RFC 9449 6.2
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    /// For an API alone: what it has to confine a call to.
    #[serde(flatten)]
    places: Option<Places>,
}

/// The businesses of the connection that the customer still has, and their locations.
#[derive(Serialize)]
struct Places {
    businesses: Vec<String>,
    locations: Vec<String>,
}

impl Living {
    async fn add_places(&mut self, site: &Site, grant: &Grant) -> Result<(), StoreError> {
        let covered = |id: i64| grant.businesses.contains(&id);
        let places = api_access::places(site, grant.customer_id, covered).await?;
        let [businesses, locations] = api_access::ids(&places);
        self.places = Some(Places { businesses, locations });
        Ok(())
    }
}

/// Answers a call.
pub(super) async fn introspect(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    request: Request,
) -> Response<Body> {
    let call = Call { site: &site, request_id: &request_id, address };
    let mut heard = Heard::default();
    let answered = answer(&call, request, &mut heard).await;
    let mut response = match &answered {
        Ok(body) => client_call::answer(&site, StatusCode::OK, body),
        Err(error) => refuse(&site, &request_id, error),
    };
    heard.note_answer(&site, Endpoint::Introspect, answered.as_ref().err(), &mut response);
    response
}

async fn answer(
    call: &Call<'_>,
    request: Request,
    heard: &mut Heard,
) -> Result<Answer, TokenError> {
    let Call { site, request_id, .. } = *call;
    // 1. Parse.
    let IntrospectionRequest(form) =
        client_call::parse(request, heard, IntrospectionRequest::parse).await?;
    // 2. Authenticate. RFC 7662 2.1: without a proof whoever found a token could try it here.
    let record = authenticated(call, &form.client, heard).await?;
    let client = &record.client;
    if client.is_public() {
        return Err(TokenError::Client(ClientFault::SecretNeededHere));
    }
    // 3. Load.
    let opened = match access_token::open(site, &form.token).await? {
        Some(Genuine::OfGrant(opened)) => opened,
        Some(Genuine::OfClient(seal)) => return of_client(site, request_id, client, seal).await,
        None => return Ok(inactive()),
    };
    let row = site
        .store
        .introspected(site.environment, opened.grant_id, opened.token_id)
        .await
        .map_err(unavailable(request_id))?;
    // 4. Decide.
    let asker = Asker { client, apis: &site.settings.apis };
    match decide(&opened.token, row.as_ref(), asker, site.clock.now()) {
        // 5. Answer.
        Introspection::Active(token) => {
            // The token's client, which is not the one that asks where an API does.
            let client_id = row.as_ref().map_or("", |row| row.grant.client_id.as_str());
            let mut answer = active(site, client_id, &token, opened.token_id);
            if client_id != client.id
                && let (Some(living), Some(row)) = (&mut answer.living, &row)
            {
                let places = living.add_places(site, &row.grant).await;
                places.map_err(unavailable(request_id))?;
            }
            Ok(answer)
        }
        Introspection::Inactive { alarm } => {
            if alarm {
                access_token::alarm(request_id, row.as_ref());
            }
            Ok(inactive())
        }
    }
}

/// What is said of a token of a client itself: `sub` is the client (RFC 9068 2.2).
async fn of_client(
    site: &Site,
    request_id: &RequestId,
    client: &Client,
    seal: ClientAccessSeal,
) -> Result<Answer, TokenError> {
    let opened = OpenedClient::load(site, seal).await.map_err(unavailable(request_id))?;
    match opened.check(site.clock.now()) {
        Ok(live) => {
            let asker = Asker { client, apis: &site.settings.apis };
            let told = asker.told(opened.is_of(client), live.scope, live.binding);
            let (Some((scope, binding)), Some(row)) = (told, &opened.row) else {
                return Ok(inactive());
            };
            let facts = Facts {
                client_id: &row.client_id,
                sub: row.client_id.clone(),
                scope: &scope,
                times: [live.expires_at, opened.seal.issued_at],
                token_id: Some(opened.seal.token_id),
                binding: &binding,
            };
            Ok(living(site, &facts))
        }
        Err(fault) => {
            if fault == AccessFault::AheadOfRow {
                access_token::alarm(request_id, None);
            }
            Ok(inactive())
        }
    }
}

/// RFC 7662 2.2: nothing but the word, so that nobody learns why.
fn inactive() -> Answer {
    Answer::default()
}

fn active(site: &Site, client_id: &str, token: &ActiveToken, token_id: Option<[u8; 8]>) -> Answer {
    let facts = Facts {
        client_id,
        sub: Uuid::from_bytes(token.customer_id).to_string(),
        scope: &token.scope,
        times: [token.expires_at, token.issued_at],
        token_id,
        binding: &token.binding,
    };
    living(site, &facts)
}

/// What is said of either kind.
struct Facts<'a> {
    client_id: &'a str,
    sub: String,
    scope: &'a Scope,
    /// When it ends and when it was made, in Unix seconds.
    times: [i64; 2],
    token_id: Option<[u8; 8]>,
    binding: &'a Binding,
}

fn living(site: &Site, facts: &Facts<'_>) -> Answer {
    let Facts { binding, times: [exp, iat], .. } = facts;
    let mut audience: Vec<String> = binding.resources.iter().map(str::to_owned).collect();
    let aud = match audience.len() {
        0 => None,
        1 => audience.pop().map(Value::String),
        _ => Some(audience.into()),
    };
    let is_bound = binding.key.is_some();
    Answer {
        active: true,
        living: Some(Living {
            client_id: facts.client_id.to_owned(),
            sub: facts.sub.clone(),
            scope: facts.scope.to_string(),
            exp: *exp,
            iat: *iat,
            iss: site.base_url.clone(),
            aud,
            token_type: facts.token_id.map(|_| if is_bound { "DPoP" } else { "bearer" }),
            jti: facts.token_id.map(|id| hex(&id)),
            cnf: binding.key.map(Confirmation::of),
            places: None,
        }),
    }
}

//! `/oauth/register`: clients that register themselves (RFC 7591), and look after their registration
//! (RFC 7592).
//!
//! 1. admit: closed, with an initial access token, or open, as the environment is set;
//! 2. parse: the document (`ClientMetadata` in `protocol`), held against what is to be had here;
//! 3. commit: one row, whose id and secret are drawn here (S24);
//! 4. answer: what was registered, with the secret and the token for the registration, shown once.
//!
//! Nobody has looked at such a client: it is not approved, so customers are asked each time and
//! errors redirect only after sign-in (RFC 9700 4.11.2).

mod refusal;

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use axum::http::{Method, Response, StatusCode};
use grantor_protocol::client::{
    ClientAuthentication, ClientKeys, ClientSecret, ClientSettings, SecretMethods,
};
use grantor_protocol::client_metadata::{
    ClientMetadata, ClientMethod, MAX_DOCUMENT_BYTES, MetadataFault,
};
use grantor_protocol::scope::{Scope, ScopeFault};
use serde_json::{Map, Value, json};

pub(super) use self::refusal::NoClient;
use super::answer;
use super::client_call::Call;
use super::request::RequestId;
use crate::http::ClientAddress;
use crate::site::{Registration as Policy, Site};
use crate::store::{
    ClientRecord, MOST_SELF_REGISTERED, NewClient, Partner, RegisteredBy, Registration, StoreError,
};
use crate::throttle::{Credential, Subject};

/// The partner of all clients that registered themselves: nobody knows who is behind them.
const PARTNER_ID: [u8; 16] = *b"self-registered.";
const PARTNER_NAME: &str = "Self-registered, and known to nobody here";
/// What only the server says of a registration (RFC 7592 2.2).
const SERVERS_OWN: [&str; 4] = [
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
];
/// What a client is called that gave no name.
const NAMELESS: &str = "An app without a name";

/// `POST /oauth/register`
pub(super) async fn register(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    request: Request,
) -> Response<Body> {
    let call = Call { site: &site, request_id: &request_id, address };
    let answered = create(&call, request).await;
    answered.unwrap_or_else(|refusal| refusal.answer(&site, &request_id))
}

/// `GET`, `PUT` and `DELETE /oauth/register/{client_id}`
pub(super) async fn manage(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Path(client_id): Path<String>,
    request: Request,
) -> Response<Body> {
    let call = Call { site: &site, request_id: &request_id, address };
    let answered = match *request.method() {
        Method::GET => read(&call, &client_id, request.headers()).await,
        Method::PUT => update(&call, &client_id, request).await,
        _ => delete(&call, &client_id, request.headers()).await,
    };
    answered.unwrap_or_else(|refusal| refusal.answer(&site, &request_id))
}

async fn create(call: &Call<'_>, request: Request) -> Result<Response<Body>, NoClient> {
    let site = call.site;
    // 1. Admit. Whoever has no token is told nothing of the document, and makes nobody read it.
    let now = site.clock.now();
    let admission = match site.settings.registration {
        Policy::Closed => return Err(NoClient::Closed),
        Policy::Token => Some(digest_of(bearer(request.headers()).ok_or(NoClient::Token)?)),
        Policy::Open => None,
    };
    if let Some(digest) = admission
        && !site.store.initial_access_token_admits(site.environment, digest, now).await?
    {
        let token = Subject::nameless(Credential::InitialAccessToken);
        site.throttle.count(&token, call.address).await?;
        return Err(NoClient::Token);
    }
    // 2. Parse.
    let metadata = within(site, ClientMetadata::parse(&body(request).await?)?)?;
    if site.store.self_registered(site.environment).await? >= MOST_SELF_REGISTERED {
        return Err(NoClient::Full);
    }
    if admission.is_none() {
        let registration = Subject::nameless(Credential::Registration);
        site.throttle.count(&registration, call.address).await?;
    }
    // 3. Commit.
    let secret = matches!(metadata.method, ClientMethod::Secret(_))
        .then(|| ClientSecret::new(site.random.secret()));
    let token = site.random.secret();
    let mut client = new_client(site, &metadata, digest_of(&token));
    client.secret = secret.as_ref().map(|secret| (secret.digest(), secret.hint()));
    if let Some(digest) = admission
        && !site.store.use_initial_access_token(site.environment, digest, now).await?
    {
        let token = Subject::nameless(Credential::InitialAccessToken);
        site.throttle.count(&token, call.address).await?;
        return Err(NoClient::Token);
    }
    add_nobody(site).await?;
    if !site.store.add_client(&client, now).await? {
        return Err(NoClient::Full);
    }
    tracing::info!(client.id = client.id, "register.client");
    // 4. Answer.
    let mut document = metadata.document();
    describe(site, &mut document, &client.id, &client.scopes);
    document.insert("client_id_issued_at".into(), json!(now));
    document.insert("registration_access_token".into(), json!(token));
    if let Some(secret) = &secret {
        document.insert("client_secret".into(), json!(secret.expose()));
        document.insert("client_secret_expires_at".into(), json!(0));
    }
    Ok(answer::json(site, StatusCode::CREATED, &document))
}

async fn read(
    call: &Call<'_>,
    client_id: &str,
    headers: &HeaderMap,
) -> Result<Response<Body>, NoClient> {
    let site = call.site;
    let record = owned(call, client_id, headers).await?;
    Ok(answer::json(site, StatusCode::OK, &registered(site, &record)))
}

/// RFC 7592 2.2: the document takes the place of the one before.
async fn update(
    call: &Call<'_>,
    client_id: &str,
    request: Request,
) -> Result<Response<Body>, NoClient> {
    let site = call.site;
    let record = owned(call, client_id, request.headers()).await?;
    let bytes = body(request).await?;
    let metadata = within(site, ClientMetadata::parse(&bytes)?)?;
    let named: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if named["client_id"] != client_id {
        return Err(MetadataFault::ClientIdDiffers.into());
    }
    if let Some(name) = SERVERS_OWN.into_iter().find(|name| !named[*name].is_null()) {
        return Err(MetadataFault::ServersOwn { name }.into());
    }
    // RFC 7592 2.2: nobody overwrites a secret, nor proves one by the token of the registration.
    if !named["client_secret"].is_null() && !holds_secret(&record, &named["client_secret"]) {
        return Err(MetadataFault::SecretDiffers.into());
    }
    if metadata.method.as_str() != method_of(&record) {
        return Err(MetadataFault::MethodChanged.into());
    }
    let digest = record.registration.token_digest.ok_or(NoClient::Token)?;
    let mut client = new_client(site, &metadata, digest);
    client.id = client_id.to_owned();
    if !site.store.update_registered_client(&client).await? {
        return Err(NoClient::Token);
    }
    let mut document = metadata.document();
    describe(site, &mut document, client_id, &client.scopes);
    Ok(answer::json(site, StatusCode::OK, &document))
}

fn holds_secret(record: &ClientRecord, named: &Value) -> bool {
    let ClientAuthentication::Secret { secrets } = &record.client.authentication else {
        return false;
    };
    let named = named.as_str().map(|text| ClientSecret::new(text.to_owned()).digest());
    named.is_some_and(|named| secrets.iter().any(|held| held.matches(&named)))
}

/// RFC 7592 2.3: all that it holds ends. Its row stays, so that its id is never used again (S24).
async fn delete(
    call: &Call<'_>,
    client_id: &str,
    headers: &HeaderMap,
) -> Result<Response<Body>, NoClient> {
    let site = call.site;
    let record = owned(call, client_id, headers).await?;
    site.store.set_client_disabled(site.environment, &record.client.id, true).await?;
    tracing::info!(client.id = record.client.id, "register.deleted");
    Ok(answer::respond(site, StatusCode::NO_CONTENT, "application/json", Body::empty()))
}

/// The registration that the token is for (RFC 7592 2): who has no such token learns nothing.
async fn owned(
    call: &Call<'_>,
    client_id: &str,
    headers: &HeaderMap,
) -> Result<ClientRecord, NoClient> {
    let site = call.site;
    let token = digest_of(bearer(headers).ok_or(NoClient::Token)?);
    let record = site.store.client(client_id).await?;
    let owned = record.filter(|record| {
        let client = &record.client;
        client.environment == site.environment
            && !client.disabled
            && record.registration.by == RegisteredBy::Itself
            // Digests of what is drawn at random: comparing them tells nothing.
            && record.registration.token_digest == Some(token)
    });
    if owned.is_none() {
        let wrong = Subject::new(Credential::RegistrationToken, client_id.as_bytes());
        site.throttle.count(&wrong, call.address).await?;
    }
    owned.ok_or(NoClient::Token)
}

/// Adds the partner of all clients that nobody here knows, where it is missing.
pub(super) async fn add_nobody(site: &Site) -> Result<(), StoreError> {
    let nobody = Partner {
        id: PARTNER_ID,
        name: PARTNER_NAME.to_owned(),
        contact: None,
        verified: false,
        suspended: false,
        created_at: site.clock.now(),
    };
    site.store.add_partner(&nobody).await.map(drop)
}

/// Holds the metadata against what a client may have that nobody looked at.
pub(super) fn within(
    site: &Site,
    mut metadata: ClientMetadata,
) -> Result<ClientMetadata, NoClient> {
    // What a client gets of its own, and not by a customer's leave, is for the company to give.
    if metadata.grant_types.client_credentials || metadata.grant_types.device_code {
        return Err(MetadataFault::GrantTypeUnsupported.into());
    }
    // Never a promise that is not kept.
    if let Some(ClientKeys::Uri(uri)) = &metadata.keys
        && !site.outbound.takes(uri)
    {
        return Err(MetadataFault::KeysNotFetched.into());
    }
    let offered = &site.settings.registration_scopes;
    metadata.scope = match metadata.scope {
        None => Some(offered.clone()),
        // RFC 7591 2, 3.2.1: a client asks for what discovery names, and reads in the answer what of
        // that it has. Nothing at all would be a client that can do nothing.
        Some(asked) => {
            let granted = asked.intersection(offered);
            if let (true, Some(scope)) = (granted.is_empty(), asked.iter().next()) {
                let fault = ScopeFault::NotAllowed { scope: scope.to_owned(), meant: None };
                return Err(MetadataFault::Scope(fault).into());
            }
            Some(granted)
        }
    };
    Ok(metadata)
}

pub(super) fn new_client(
    site: &Site,
    metadata: &ClientMetadata,
    token_digest: [u8; 32],
) -> NewClient {
    let informational = Value::Object(metadata.informational.clone());
    NewClient {
        environment: site.environment,
        id: format!("self-{}-{}", site.environment, site.random.hex::<16>()),
        partner_id: PARTNER_ID,
        name: metadata.client_name.clone().unwrap_or_else(|| NAMELESS.to_owned()),
        website: metadata
            .informational
            .get("client_uri")
            .and_then(Value::as_str)
            .map(str::to_owned),
        redirect_uris: metadata.redirect_uris.clone(),
        scopes: metadata.scope.clone().unwrap_or_default(),
        optional_scopes: Scope::default(),
        secret: None,
        approved: false,
        demo: false,
        settings: ClientSettings {
            secret_methods: match metadata.method {
                ClientMethod::Secret(methods) => methods,
                ClientMethod::PrivateKeyJwt | ClientMethod::None => SecretMethods::default(),
            },
            authorization_code: metadata.grant_types.authorization_code,
            refresh_tokens: metadata.grant_types.refresh_token,
            par_required: metadata.par_required,
            dpop_required: metadata.dpop_required,
            id_token_algorithm: metadata.id_token_algorithm,
            // Nobody looked at it: PKCE always (RFC 9700 2.1.1).
            pkce_required: true,
            parameters_in_query: false,
            ..ClientSettings::default()
        },
        keys: metadata.keys.clone().filter(|_| metadata.method == ClientMethod::PrivateKeyJwt),
        post_logout_redirect_uris: metadata.post_logout_redirect_uris.clone(),
        registration: Registration {
            by: RegisteredBy::Itself,
            token_digest: Some(token_digest),
            metadata: Some(informational.to_string()),
        },
    }
}

/// What a registration holds, as its row has it.
fn registered(site: &Site, record: &ClientRecord) -> Map<String, Value> {
    let client = &record.client;
    let text = record.registration.metadata.as_deref().unwrap_or("{}");
    let mut document = match serde_json::from_str(text) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    let uris: Vec<&str> = client.redirect_uris.iter().map(|uri| uri.as_str()).collect();
    put("client_name", json!(client.name));
    put("redirect_uris", json!(uris));
    put("token_endpoint_auth_method", json!(method_of(record)));
    put("id_token_signed_response_alg", json!(client.settings.id_token_algorithm.as_str()));
    put("require_pushed_authorization_requests", json!(client.settings.par_required));
    put("dpop_bound_access_tokens", json!(client.settings.dpop_required));
    let mut grant_types = vec!["authorization_code"];
    grant_types.extend(client.settings.refresh_tokens.then_some("refresh_token"));
    put("grant_types", json!(grant_types));
    put("response_types", json!(["code"]));
    if !client.post_logout_redirect_uris.is_empty() {
        put("post_logout_redirect_uris", json!(client.post_logout_redirect_uris));
    }
    match &client.authentication {
        ClientAuthentication::PrivateKeyJwt { keys: ClientKeys::Uri(uri) } => {
            put("jwks_uri", json!(uri));
        }
        ClientAuthentication::PrivateKeyJwt { keys: ClientKeys::Set(set) } => {
            put("jwks", serde_json::from_str(set).unwrap_or_default());
        }
        ClientAuthentication::Secret { .. } | ClientAuthentication::None => {}
    }
    put("client_id_issued_at", json!(record.created_at));
    describe(site, &mut document, &client.id, &client.scopes);
    document
}

/// What the server adds to what a client said of itself.
fn describe(site: &Site, document: &mut Map<String, Value>, client_id: &str, scopes: &Scope) {
    document.insert("client_id".into(), json!(client_id));
    document.insert("scope".into(), json!(scopes.to_string()));
    let uri = format!("{}/oauth/register/{client_id}", site.base_url);
    document.insert("registration_client_uri".into(), json!(uri));
}

fn method_of(record: &ClientRecord) -> &'static str {
    let client = &record.client;
    match &client.authentication {
        ClientAuthentication::Secret { .. } => {
            ClientMethod::Secret(client.settings.secret_methods).as_str()
        }
        ClientAuthentication::PrivateKeyJwt { .. } => ClientMethod::PrivateKeyJwt.as_str(),
        ClientAuthentication::None => ClientMethod::None.as_str(),
    }
}

async fn body(request: Request) -> Result<Vec<u8>, NoClient> {
    let essence = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = essence.and_then(|value| value.split(';').next()).map(str::trim);
    if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return Err(NoClient::ContentType);
    }
    let bytes = axum::body::to_bytes(request.into_body(), MAX_DOCUMENT_BYTES).await;
    bytes.map(|bytes| bytes.to_vec()).map_err(|_| NoClient::Body)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn digest_of(token: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}

//! An issuer on loopback that says what the test wants, and counts how often it is asked; and the
//! API that trusts it, with a clock that the test moves.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::routing::{get, post};
use grantor_guard::{Allowed, AnyScope, Clock, Guard, Plan, Refused, Scopes};
use grantor_protocol::jose::{Algorithm, SigningKey, generate};
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const RESOURCE: &str = "https://finance.example.com/v1";

pub(crate) struct FinancialApi;

impl Scopes for FinancialApi {
    const NAMES: &'static [&'static str] = &["financial-api"];
}

/// What the issuer says, and what it was asked.
pub(crate) struct Issuer {
    pub(crate) address: SocketAddr,
    said: Arc<Said>,
}

struct Said {
    jwks: Mutex<(StatusCode, Value)>,
    introspected: Mutex<(StatusCode, Value)>,
    /// How long an answer takes.
    pause: Mutex<Duration>,
    jwks_asked: AtomicU32,
    introspect_asked: AtomicU32,
    last_question: Mutex<(HeaderMap, String)>,
}

impl Issuer {
    pub(crate) async fn start() -> Issuer {
        let said = Arc::new(Said {
            jwks: Mutex::new((StatusCode::OK, json!({ "keys": [] }))),
            introspected: Mutex::new((StatusCode::OK, json!({ "active": false }))),
            pause: Mutex::default(),
            jwks_asked: AtomicU32::new(0),
            introspect_asked: AtomicU32::new(0),
            last_question: Mutex::default(),
        });
        let routes = Router::new()
            .route("/oauth/jwks", get(jwks))
            .route("/oauth/introspect", post(introspect))
            .with_state(Arc::clone(&said));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Issuer { address, said }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.public()).collect();
        *self.said.jwks.lock().unwrap() = (StatusCode::OK, json!({ "keys": keys }));
    }

    pub(crate) fn fail_keys(&self) {
        self.said.jwks.lock().unwrap().0 = StatusCode::BAD_GATEWAY;
    }

    pub(crate) fn answer(&self, status: u16, body: Value) {
        let status = StatusCode::from_u16(status).unwrap();
        *self.said.introspected.lock().unwrap() = (status, body);
    }

    pub(crate) fn take_its_time(&self, pause: Duration) {
        *self.said.pause.lock().unwrap() = pause;
    }

    pub(crate) fn jwks_asked(&self) -> u32 {
        self.said.jwks_asked.load(Ordering::SeqCst)
    }

    pub(crate) fn introspect_asked(&self) -> u32 {
        self.said.introspect_asked.load(Ordering::SeqCst)
    }

    pub(crate) fn last_question(&self) -> (HeaderMap, String) {
        self.said.last_question.lock().unwrap().clone()
    }
}

async fn jwks(State(said): State<Arc<Said>>) -> (StatusCode, String) {
    said.jwks_asked.fetch_add(1, Ordering::SeqCst);
    let pause = *said.pause.lock().unwrap();
    tokio::time::sleep(pause).await;
    let (status, body) = said.jwks.lock().unwrap().clone();
    (status, body.to_string())
}

async fn introspect(
    State(said): State<Arc<Said>>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    *said.last_question.lock().unwrap() = (headers, body);
    // What holds when it is asked is answered, however long that takes.
    let (status, body) = said.introspected.lock().unwrap().clone();
    said.introspect_asked.fetch_add(1, Ordering::SeqCst);
    let pause = *said.pause.lock().unwrap();
    tokio::time::sleep(pause).await;
    (status, body.to_string())
}

/// A key of the issuer.
pub(crate) fn key(algorithm: Algorithm, kid: Option<&str>) -> SigningKey {
    SigningKey::from_pkcs8(algorithm, &generate(algorithm).unwrap(), kid.map(str::to_owned))
        .unwrap()
}

/// The clock of an API.
#[derive(Clone)]
pub(crate) struct Time(Arc<AtomicI64>);

impl Time {
    pub(crate) fn start() -> Time {
        Time(Arc::new(AtomicI64::new(NOW)))
    }

    pub(crate) fn clock(&self) -> Clock {
        let now = Arc::clone(&self.0);
        Clock::of(move || now.load(Ordering::SeqCst))
    }

    pub(crate) fn set(&self, seconds_after_start: i64) {
        self.0.store(NOW + seconds_after_start, Ordering::SeqCst);
    }
}

/// An API behind a guard.
#[derive(Clone)]
pub(crate) struct Api {
    routes: Router,
    pub(crate) time: Time,
}

impl Api {
    pub(crate) fn trusting(issuer: &Issuer, plan: impl Fn(Plan) -> Plan) -> Api {
        let time = Time::start();
        let begun = Guard::of(RESOURCE, &issuer.url()).realm("finance").clock(time.clock());
        Api { routes: routes(&plan(begun).build().unwrap()), time }
    }

    pub(crate) async fn call(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        Answer::read(self.routes.clone().oneshot(request).await.unwrap()).await
    }

    pub(crate) async fn bearer(&self, path: &str, token: &str) -> Answer {
        self.call(path, &[("authorization", &format!("Bearer {token}"))]).await
    }

    /// The status of a call for businesses with this token.
    pub(crate) async fn status(&self, token: &str) -> u16 {
        self.bearer("/v1/who", token).await.status
    }
}

fn routes(guard: &Guard) -> Router {
    Router::new()
        .route("/v1/who", get(who))
        .route("/v1/takings", get(takings))
        .route("/v1/business/{id}", get(business))
        .route("/v1/location/{id}", get(location))
        .route("/v1/mine", get(mine))
        .route("/v1/forgetful", get(async || "reached"))
        .layer(guard.layer())
}

async fn who(token: Allowed<AnyScope>) -> String {
    format!("{} for {}", token.client_id, token.subject)
}

async fn takings(token: Allowed<FinancialApi>) -> String {
    token.scope.to_string()
}

async fn business(
    token: Allowed<FinancialApi>,
    axum::extract::Path(id): axum::extract::Path<String>,
) -> Result<String, Refused> {
    token.for_business(&id)?;
    Ok(id)
}

async fn location(
    token: Allowed<FinancialApi>,
    axum::extract::Path(id): axum::extract::Path<String>,
) -> Result<String, Refused> {
    token.for_location(&id)?;
    Ok(id)
}

async fn mine(token: Allowed<AnyScope>) -> Result<String, Refused> {
    Ok(token.customer()?.to_owned())
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(response: Response<Body>) -> Answer {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 65536).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) fn challenge(&self) -> &str {
        self.headers["www-authenticate"].to_str().unwrap()
    }
}

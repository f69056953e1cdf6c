//! What the guard of an API costs, in this very process: the same router without a guard, with a
//! cached decision, and with a signed token that it has not seen before.
//!
//! 1. an issuer on loopback gives a key set and an introspection answer, once;
//! 2. each kind of call is made many times, one after the other, on one thread;
//! 3. what the router costs by itself is taken away, and the rest is held against the target, or
//!    against the bare check of one signature.
//!
//! Rounds of all kinds follow each other, and the least of each counts: what else the machine does
//! only ever adds.

use std::convert::Infallible;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, VerificationAlgorithm,
};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_guard::{Allowed, Guard, Scopes};
use grantor_protocol::jose::{Algorithm, SigningKey, generate};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::failure::Failure;
use crate::process;
use crate::report::{Target, say};

/// What a cached decision may cost, in microseconds.
const MOST_CACHED_US: f64 = 5.0;
/// What a signed token may cost, over the bare check of its signature.
const MOST_OVER_SIGNATURE: f64 = 1.1;
/// The least of so many rounds counts.
const ROUNDS: usize = 7;
const RESOURCE: &str = "https://finance.example.com";
/// Long enough for any run, in seconds.
const LIFETIME: i64 = 86_400;

/// The arguments of `bench guard`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many calls with a cached decision make a round
    #[arg(long, default_value_t = 100_000)]
    cached: usize,
    /// How many tokens are verified in a round
    #[arg(long, default_value_t = 3_000)]
    verified: usize,
}

struct FinancialApi;

impl Scopes for FinancialApi {
    const NAMES: &'static [&'static str] = &["financial-api"];
}

/// What one call costs, in microseconds of CPU.
struct Measured {
    bare: f64,
    cached_sealed: f64,
    cached_signed: f64,
    /// The guard on a token that is new to it, and the bare check of such a signature.
    signed: [(Algorithm, f64, f64); 2],
}

/// Measures.
pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Target>, Failure> {
    let mut least = measured(arguments).await?;
    for _ in 1..ROUNDS {
        least = least.least(measured(arguments).await?);
    }
    let Measured { bare, cached_sealed, cached_signed, signed } = least;
    say(&format!("the router by itself: {bare:.2} us"));
    let cached = |name: &str, cost: f64| {
        let name = format!("us that a guard adds to a call, {name}");
        Target::at_most(name, MOST_CACHED_US, cost - bare)
    };
    let mut targets = vec![
        cached("cached decision of a sealed token", cached_sealed),
        cached("cached decision of an at+jwt", cached_signed),
    ];
    for (algorithm, guarded, signature) in signed {
        let (name, added) = (algorithm.as_str(), guarded - bare);
        say(&format!(
            "{name}: the guard adds {added:.2} us, its signature alone {signature:.2} us"
        ));
        let name = format!("x what the bare {name} check costs, an at+jwt seen for the first time");
        targets.push(Target::at_most(name, MOST_OVER_SIGNATURE, added / signature));
    }
    Ok(targets)
}

impl Measured {
    fn least(self, other: Measured) -> Measured {
        let [one, two] = self.signed;
        let [other_one, other_two] = other.signed;
        let both = |(algorithm, guarded, alone): (Algorithm, f64, f64), other: (_, f64, f64)| {
            (algorithm, guarded.min(other.1), alone.min(other.2))
        };
        Measured {
            bare: self.bare.min(other.bare),
            cached_sealed: self.cached_sealed.min(other.cached_sealed),
            cached_signed: self.cached_signed.min(other.cached_signed),
            signed: [both(one, other_one), both(two, other_two)],
        }
    }
}

async fn measured(arguments: &Arguments) -> Result<Measured, Failure> {
    let now = grantor::clock::Clock::system().now();
    let keys = [Algorithm::Es256, Algorithm::EdDsa].map(key);
    let [es256, ed25519] = keys;
    let (es256, ed25519) = (es256?, ed25519?);
    let issuer = issuer(&[&es256, &ed25519], now).await?;
    let guard = Guard::of(RESOURCE, &issuer)
        .offline()
        .asking("finance-backend", "secret")
        .kept_seconds(5)
        .build()
        .map_err(|fault| Failure::said(fault.to_string()))?;
    let bare = Router::new().route("/", get(async || "ok"));
    let guarded =
        Router::new().route("/", get(async |_: Allowed<FinancialApi>| "ok")).layer(guard.layer());
    let token = |key: &SigningKey, jti: usize| sign(key, &issuer, jti, now);

    let sealed = vec!["gr_access_".to_owned() + &"x".repeat(120); arguments.cached];
    let signed = vec![token(&es256, 0)?; arguments.cached];
    for one in [&sealed[..1], &signed[..1]] {
        cost(&guarded, one).await?;
    }
    let mut measured = Measured {
        bare: cost(&bare, &sealed).await?,
        cached_sealed: cost(&guarded, &sealed).await?,
        cached_signed: cost(&guarded, &signed).await?,
        signed: [(Algorithm::Es256, 0.0, 0.0), (Algorithm::EdDsa, 0.0, 0.0)],
    };
    for (at, key) in [&es256, &ed25519].into_iter().enumerate() {
        let made: Result<Vec<String>, Failure> =
            (1..=arguments.verified).map(|jti| token(key, jti)).collect();
        let made = made?;
        let alone = signature_cost(key, &made)?;
        measured.signed[at] = (key.algorithm(), cost(&guarded, &made).await?, alone);
    }
    Ok(measured)
}

/// CPU for one call, in microseconds: each token is called with once.
async fn cost(routes: &Router, tokens: &[String]) -> Result<f64, Failure> {
    let requests: Result<Vec<Request<Body>>, _> = tokens
        .iter()
        .map(|token| {
            let bearer = format!("Bearer {token}");
            Request::get("/").header("authorization", bearer).body(Body::empty())
        })
        .collect();
    let requests = requests.map_err(|error| Failure::said(error.to_string()))?;
    let before = process::used(std::process::id())?.cpu_ns;
    for request in requests {
        let answered: Result<_, Infallible> = routes.clone().oneshot(request).await;
        let status = answered.map_or(500, |answer| answer.status().as_u16());
        if status != 200 {
            return Err(Failure::said(format!("a call that should pass was answered {status}")));
        }
    }
    per_call(before, tokens.len())
}

/// CPU for one check of a signature and nothing else, in microseconds.
fn signature_cost(key: &SigningKey, tokens: &[String]) -> Result<f64, Failure> {
    let public = public(key)?;
    let parts: Option<Vec<(&str, Vec<u8>)>> = tokens
        .iter()
        .map(|token| {
            let (signed, signature) = token.rsplit_once('.')?;
            Some((signed, URL_SAFE_NO_PAD.decode(signature).ok()?))
        })
        .collect();
    let parts = parts.ok_or_else(|| Failure::said("a token of our own cannot be read"))?;
    let before = process::used(std::process::id())?.cpu_ns;
    for (signed, signature) in &parts {
        public
            .verify_sig(signed.as_bytes(), signature)
            .map_err(|_| Failure::said("a signature of our own is wrong"))?;
    }
    per_call(before, parts.len())
}

fn per_call(before: u64, calls: usize) -> Result<f64, Failure> {
    let used = process::used(std::process::id())?.cpu_ns - before;
    Ok(used as f64 / calls as f64 / 1000.0)
}

/// The public key as its library wants it, parsed once.
fn public(key: &SigningKey) -> Result<ParsedPublicKey, Failure> {
    let said = || Failure::said("a key of our own cannot be read");
    let jwk = serde_json::to_value(key.public()).map_err(|_| said())?;
    let coordinate = |name: &str| {
        URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap_or_default()).map_err(|_| said())
    };
    let (algorithm, bytes): (&'static dyn VerificationAlgorithm, Vec<u8>) = match key.algorithm() {
        Algorithm::EdDsa => (&ED25519, coordinate("x")?),
        // SEC 1, 2.3.3: 4, then x and y.
        _ => (&ECDSA_P256_SHA256_FIXED, [vec![4], coordinate("x")?, coordinate("y")?].concat()),
    };
    ParsedPublicKey::new(algorithm, bytes).map_err(|_| said())
}

fn key(algorithm: Algorithm) -> Result<SigningKey, Failure> {
    let said = |fault: grantor_protocol::jose::SigningFault| Failure::said(fault.words());
    let pkcs8 = generate(algorithm).map_err(said)?;
    SigningKey::from_pkcs8(algorithm, &pkcs8, Some(algorithm.as_str().to_owned())).map_err(said)
}

/// As the server signs it (RFC 9068 2.2).
fn sign(key: &SigningKey, issuer: &str, jti: usize, now: i64) -> Result<String, Failure> {
    let claims = json!({
        "iss": issuer,
        "aud": RESOURCE,
        "sub": "01a20a72-1a28-725f-b36a-c2b8d38ad037",
        "client_id": "devp-staging-table-planner-54e0a1b2c3d4e5f60718293a4b5c6d7e",
        "exp": now + LIFETIME,
        "iat": now,
        "jti": format!("{jti:016x}"),
        "scope": "financial-api",
        "businesses": ["9765040300495493", "9765040300495494"],
        "epoch": 1,
        "grant_id": "01a20a72-1a28-725f-b36a-c2b8d38ad038",
        "generation": 7,
    });
    key.sign("at+jwt", &claims).map_err(|fault| Failure::said(fault.words()))
}

/// What a guard asks, answered on loopback.
async fn issuer(keys: &[&SigningKey], now: i64) -> Result<String, Failure> {
    let keys: Vec<_> = keys.iter().map(|key| key.public()).collect();
    let jwks = json!({ "keys": keys }).to_string();
    let living = json!({
        "active": true,
        "token_type": "bearer",
        "sub": "01a20a72-1a28-725f-b36a-c2b8d38ad037",
        "client_id": "devp-staging-table-planner-54e0a1b2c3d4e5f60718293a4b5c6d7e",
        "scope": "financial-api",
        "exp": now + LIFETIME,
        "aud": RESOURCE,
        "businesses": ["9765040300495493", "9765040300495494"],
    });
    let living = Value::to_string(&living);
    let routes = Router::new()
        .route("/oauth/jwks", get(async move || jwks))
        .route("/oauth/introspect", post(async move || living));
    let bound = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = bound.map_err(Failure::io("no port is free"))?;
    let address = listener.local_addr().map_err(Failure::io("no port is free"))?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(format!("http://{address}"))
}

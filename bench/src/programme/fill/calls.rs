//! The log of calls, and what they have shown. The calls of all clients come one among the others, as
//! in life: so those of one client lie far apart in the database.

use grantor::store::{LoggedCall, LoggedCause, NewLoggedCall};
use grantor_protocol::environment::Environment;
use grantor_protocol::integration_report::{Fact, Seen};
use grantor_protocol::logged_call::{Endpoint, Outcome, SentParameter, SentParameters};

use super::super::ground::Ground;
use super::{Apps, Size, at_once};
use crate::failure::Failure;

/// As many as the server keeps of a client: its own calls, and those that anybody may have sent.
const MOST_OWN: usize = 500;
const MOST_UNPROVED: usize = 100;
/// One client of so many calls all day.
const BUSY: usize = 100;
/// How many share a transaction, as in the server.
const IN_ONE_WRITE: usize = 100;
/// From when on there are calls.
const DAYS: i64 = 14;
/// What most apps have shown.
const SHOWN: [Fact; 5] =
    [Fact::WithState, Fact::WithChallenge, Fact::Exchanged, Fact::InBody, Fact::Refreshed];

/// Makes it. Gives the request id of a call of the app with the longest log.
pub(super) async fn calls(ground: &Ground, size: Size, apps: &Apps) -> Result<String, Failure> {
    let facts = apps.staging.chunks(IN_ONE_WRITE / SHOWN.len());
    at_once(facts.map(|some| show(ground, some))).await?;

    let both: Vec<(Environment, &String)> = apps
        .staging
        .iter()
        .map(|id| (Environment::Staging, id))
        .chain(apps.production.iter().map(|id| (Environment::Production, id)))
        .collect();
    let busy = both.len().div_ceil(BUSY) * MOST_OWN;
    let quiet = size.calls().saturating_sub(busy).div_ceil(both.len());
    let first_at = (ground.clock.now() - DAYS * 24 * 3600) * 1000;
    let pause = DAYS * 24 * 3600 * 1000 / i64::try_from(MOST_OWN + MOST_UNPROVED).unwrap_or(1) - 1;
    let mut shown = String::new();
    for round in 0..MOST_OWN + MOST_UNPROVED {
        for environment in Environment::ALL {
            let mut calls = Vec::new();
            for (number, (of, id)) in both.iter().enumerate() {
                let most = match number {
                    0 => MOST_OWN + MOST_UNPROVED,
                    _ if number % BUSY == 0 => MOST_OWN,
                    _ => quiet,
                };
                if *of != environment || round >= most {
                    continue;
                }
                let request_id = ground.random.hex::<8>();
                if number == 0 {
                    shown.clone_from(&request_id);
                }
                let at = first_at + i64::try_from(round).unwrap_or_default() * pause;
                let at = at + i64::try_from(number % 1000).unwrap_or_default();
                let call = call((environment, id), (at, request_id), round >= MOST_OWN);
                calls.push(call);
            }
            at_once(calls.chunks(IN_ONE_WRITE).map(|some| write(ground, environment, some)))
                .await?;
        }
    }
    Ok(shown)
}

/// Writes some calls.
fn write(
    ground: &Ground,
    environment: Environment,
    calls: &[NewLoggedCall],
) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
    let (store, calls) = (ground.store.clone(), calls.to_vec());
    async move { Ok(store.log_calls(environment, &calls, &[]).await?) }
}

/// Writes what some apps have shown.
fn show(
    ground: &Ground,
    apps: &[String],
) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
    let store = ground.store.clone();
    let now = ground.clock.now();
    let seen = Seen { first_at: now - DAYS * 24 * 3600, last_at: now - 3600, count: 40 };
    let facts = apps.iter().flat_map(|id| SHOWN.map(|fact| (id.clone(), fact, seen)));
    let facts: Vec<(String, Fact, Seen)> = facts.collect();
    async move { Ok(store.log_calls(Environment::Staging, &[], &facts).await?) }
}

fn call(
    (environment, client_id): (Environment, &str),
    (called_at_millis, request_id): (i64, String),
    by_anybody: bool,
) -> NewLoggedCall {
    let fails = by_anybody || called_at_millis % 4 == 0;
    let cause = fails.then(|| LoggedCause {
        name: "code_expired".to_owned(),
        anchor: "code-expired".to_owned(),
        words: "The code expired 12 seconds before it came. A code lives for 60 seconds."
            .to_owned(),
    });
    let sent = |name: &str, value: Option<&str>| SentParameter {
        name: name.to_owned(),
        in_url: false,
        value: value.map(str::to_owned),
    };
    let parameters = SentParameters {
        named: vec![
            sent("grant_type", Some("authorization_code")),
            sent("code", None),
            sent("redirect_uri", Some("https://app.apps.example/oauth/callback")),
            sent("code_verifier", None),
        ],
        others: 0,
        holds_secret: false,
    };
    let call = LoggedCall {
        called_at_millis,
        request_id,
        called_in: environment,
        endpoint: Endpoint::Token,
        grant_type: Some("authorization_code".to_owned()),
        outcome: if fails { Outcome::Refused } else { Outcome::Issued },
        status: if fails { 400 } else { 200 },
        cause,
        proved: !by_anybody,
        parameters,
        network: Some("192.0.2.0/24".to_owned()),
        microseconds: 900,
        trial: None,
    };
    NewLoggedCall { client_id: client_id.to_owned(), call, token: None, facts: Vec::new() }
}

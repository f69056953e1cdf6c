//! Removes expired rows, all the time and in small steps, so that no table grows without bound.
//!
//! 1. [`keep_clean`] walks the tables of an environment, rests, and walks again;
//! 2. [`walk`] takes a step, pauses, and takes the next: between two steps everybody else writes;
//! 3. at the end of a walk the keys go that have nothing left to verify;
//! 4. [`trim_request_log`] keeps the log of each client small;
//! 5. and partners are told which of their secrets end soon (`secret_end.rs`).

use std::sync::Arc;
use std::time::Duration;

use grantor_protocol::access_token::CLOCK_SKEW_SECONDS;

use crate::keys::{rotation, signing};
use crate::secret_end;
use crate::site::Site;
use crate::store::{Expiring, Step, StoreError};

/// How many rows a step looks at.
const ROWS: i64 = 500;
/// How long to pause between two steps: a hundredth of the time goes into them at most.
const PAUSE: Duration = Duration::from_millis(50);
/// How many clients whose log is small enough are looked at between two pauses: with a pause for each,
/// a walk past a hundred thousand would take hours, and the bound would hold only as often.
const CLIENTS: u32 = 5;
/// How long to rest between two walks at most, and before the first. Several processes do not rest
/// in step.
const REST_SECONDS: u64 = 900;
const FIRST_REST_SECONDS: u64 = 60;
/// A grant outlives its last refresh token by this, in seconds: no access token lives longer, and for
/// a day whoever comes too late is told by how much.
const GRANT_STAYS_SECONDS: i64 = 24 * 3600;
/// That an access token was revoked is remembered for this long after it expired, in seconds: on a
/// clock that ran ahead and was put right it has not expired yet, and would live again.
const REVOKED_TOKEN_STAYS_SECONDS: i64 = 24 * 3600;

/// What a walk removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// grants
    pub grants: u64,
    /// sessions
    pub sessions: u64,
    /// access tokens that were revoked alone
    pub revoked_tokens: u64,
    /// what is remembered for minutes: values used once, pushed requests, waiting devices,
    /// tallies of tries
    pub short_lived: u64,
    /// clients that nobody here made and no customer used
    pub unused_clients: u64,
}

/// Keeps the tables of an environment clean, until it is dropped.
pub async fn keep_clean(site: Arc<Site>) {
    // Soon after the start: a server that is often started again has to clean too.
    let mut longest = FIRST_REST_SECONDS;
    loop {
        let [unlike] = site.random.bytes::<1>();
        let rest = longest / 2 + longest * u64::from(unlike) / 512;
        tokio::time::sleep(Duration::from_secs(rest)).await;
        longest = REST_SECONDS;
        match walk(&site, ROWS, PAUSE).await {
            Ok(walked) if walked == Walked::default() => {}
            Ok(walked) => tracing::info!(
                environment = %site.environment,
                grants = walked.grants,
                sessions = walked.sessions,
                revoked_tokens = walked.revoked_tokens,
                short_lived = walked.short_lived,
                unused_clients = walked.unused_clients,
                "cleanup.removed"
            ),
            // It goes on with the next walk; nothing depends on it.
            Err(error) => tracing::warn!(%error, "cleanup.store"),
        }
        if let Err(error) = trim_request_log(&site, ROWS, PAUSE).await {
            tracing::warn!(%error, "cleanup.request_log");
        }
        match secret_end::tell(&site).await {
            Ok(0) => {}
            Ok(told) => tracing::info!(environment = %site.environment, told, "secrets.ending"),
            Err(error) => tracing::warn!(%error, "secrets.store"),
        }
    }
}

/// Keeps the log of each client small, in steps of so many rows.
///
/// # Errors
/// [`StoreError`]: what was removed until then stays removed.
pub async fn trim_request_log(site: &Site, rows: i64, pause: Duration) -> Result<(), StoreError> {
    let (environment, store) = (site.environment, &site.store);
    let before = (site.clock.now() - site.settings.request_log_ttl_seconds) * 1000;
    let (mut after, mut looked_at) = (i64::MIN, 0);
    while let Some(step) = store.trim_request_log(environment, after, before, rows).await? {
        // The key before it, to come to it once more; no key is the least of all.
        after = if step.again { step.client_key.saturating_sub(1) } else { step.client_key };
        looked_at += 1;
        if step.removed || looked_at % CLIENTS == 0 {
            tokio::time::sleep(pause).await;
        }
    }
    store.remove_past_trials(environment, site.clock.now()).await
}

/// Walks all tables of an environment once, in steps of so many rows.
///
/// # Errors
/// [`StoreError`]: what was removed until then stays removed.
pub async fn walk(site: &Site, rows: i64, pause: Duration) -> Result<Walked, StoreError> {
    let mut walked = Walked::default();
    for table in Expiring::ALL {
        let (stays, count) = match table {
            Expiring::Grants => (GRANT_STAYS_SECONDS, &mut walked.grants),
            Expiring::Sessions => (0, &mut walked.sessions),
            Expiring::RevokedTokens => (REVOKED_TOKEN_STAYS_SECONDS, &mut walked.revoked_tokens),
            Expiring::OnceValues
            | Expiring::PushedRequests
            | Expiring::DeviceAuthorizations
            | Expiring::Throttles => (0, &mut walked.short_lived),
            Expiring::UnusedClients => {
                (site.settings.unused_client_ttl_seconds, &mut walked.unused_clients)
            }
        };
        let mut after = Vec::new();
        loop {
            // Another process, whose clock is behind, may still take what expired here.
            let before = site.clock.now() - stays - CLOCK_SKEW_SECONDS;
            let environment = site.environment;
            let step = Step { environment, table, after: &after, before, rows };
            let removed = site.store.remove_expired(&step).await?;
            *count += removed.rows;
            let Some(next) = removed.next else {
                break;
            };
            after = next;
            tokio::time::sleep(pause).await;
        }
    }
    rotation::remove_ended(&site.store, site.clock.now(), &site.random).await?;
    signing::remove_ended(&site.store, site.clock.now(), &site.random).await?;
    Ok(walked)
}

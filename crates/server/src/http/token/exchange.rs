//! A code becomes the first tokens of its grant (RFC 6749 4.1.3).

use grantor_protocol::grant::{CodeFault, Exchange, check_exchange};
use grantor_protocol::pkce::CodeVerifier;
use grantor_protocol::redirect_uri::RedirectUriDigest;
use grantor_protocol::token_error::TokenError;

use super::id_token::id_token;
use super::issue::{Generation, Issued, at_most_idle_until, issue, narrowed, turned};
use super::{Caller, unavailable};
use crate::metrics::TokenEvent;
use crate::seal::{CodeSeal, NotThisSeal};
use crate::store::{Presented, Turn};
use crate::webhook::{Event, Reused};

/// Redeems a code.
///
/// Every check comes before the one write that spends, or stands in it (S12):
///
/// 1. what is presented is tried at once, with everything it must match in the write itself;
/// 2. where that is refused the grant is read, and `protocol` says why. Where it sees no reason, or
///    the write that follows finds another state than was read, somebody else was faster, and the
///    decision is taken again from what is true now.
pub(super) async fn exchange(
    caller: &Caller<'_>,
    code: &str,
    redirect_uri: &str,
    code_verifier: Option<&CodeVerifier>,
) -> Result<Issued, TokenError> {
    let site = caller.site;
    let seal = open(caller, code).await?;
    let attempt = site.random.bytes();
    let from = caller.address.to_string();
    let turn = |now| Turn {
        environment: site.environment,
        id: seal.grant_id,
        attempt,
        idle_expires_at: at_most_idle_until(caller, now),
        from: &from,
        key: caller.key,
        binds_refresh: caller.client.is_public(),
        now,
    };
    // Without a secret and without a verifier anybody could redeem it (RFC 9700 2.1.1).
    // And whether the APIs that are named were granted is known once the grant is.
    if caller.resources.is_empty() && (!caller.client.is_public() || code_verifier.is_some()) {
        let presented = Presented {
            client_id: &caller.client.id,
            redirect_uri: RedirectUriDigest::of(redirect_uri),
            code_challenge: code_verifier.map(CodeVerifier::challenge),
        };
        let now = site.clock.now();
        let turned = site.store.redeem_at_once(&turn(now), &presented).await;
        if let Some(turned) = turned.map_err(unavailable(caller.request_id))? {
            let first =
                Generation { grant_id: seal.grant_id, number: 1, turned_at: now, turned: &turned };
            return first_tokens(caller, &first).await;
        }
    }
    for _ in 0..3 {
        let grant = site
            .store
            .grant(site.environment, seal.grant_id)
            .await
            .map_err(unavailable(caller.request_id))?;
        let exchange =
            Exchange { client: caller.client, redirect_uri, code_verifier, key: caller.key };
        let now = site.clock.now();
        if let Err(refused) = check_exchange(grant.as_ref(), &exchange, now) {
            if refused.revoke {
                let event = Event::reuse(Reused::Code, seal.grant_id, grant.as_ref());
                site.store
                    .revoke_grant_telling(seal.grant_id, &site.notice(&caller.client.id, event))
                    .await
                    .map_err(unavailable(caller.request_id))?;
                site.metrics.tokens.note(TokenEvent::CodeReplayed);
                tracing::warn!(
                    request.id = caller.request_id.0,
                    client.id = caller.client.id,
                    client.address = %caller.address,
                    "code.replayed: the connection was ended"
                );
            }
            return Err(TokenError::Code { fault: refused.fault, proved: refused.proved });
        }
        let Some(grant) = grant else {
            return Err(TokenError::Unavailable);
        };
        narrowed(caller, &grant.binding.resources, &grant.scope)?;
        let turn = turn(now);
        if site.store.redeem_code(&turn).await.map_err(unavailable(caller.request_id))? {
            let turned = turned(&turn, &grant);
            let first =
                Generation { grant_id: grant.id, number: 1, turned_at: now, turned: &turned };
            return first_tokens(caller, &first).await;
        }
    }
    Err(TokenError::Unavailable)
}

/// The tokens of a code that was redeemed just now.
pub(super) async fn first_tokens(
    caller: &Caller<'_>,
    first: &Generation<'_>,
) -> Result<Issued, TokenError> {
    let issued = issue(caller, first, &first.turned.scope).await?;
    let id_token = id_token(caller, first.turned, issued.access_token()).await?;
    Ok(issued.with_id_token(id_token))
}

async fn open(caller: &Caller<'_>, code: &str) -> Result<CodeSeal, TokenError> {
    let site = caller.site;
    let fault = match site.open(|sealer| sealer.open_code(code)).await {
        Ok(seal) => return Ok(seal),
        Err(NotThisSeal::OtherKind(_)) => CodeFault::OtherKind,
        Err(NotThisSeal::Foreign) if site.other_sealer.open_code(code).is_ok() => {
            CodeFault::OtherEnvironment {
                here: site.environment,
                issued_in: site.other_sealer.environment(),
            }
        }
        Err(NotThisSeal::Foreign) => CodeFault::Unreadable,
        Err(NotThisSeal::UnknownKey) => return Err(TokenError::Unavailable),
    };
    Err(TokenError::Code { fault, proved: !caller.client.is_public() })
}

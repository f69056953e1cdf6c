//! A code becomes the first tokens of its grant (RFC 6749 4.1.3).

use grantor_protocol::grant::{CodeFault, Exchange, check_exchange};
use grantor_protocol::pkce::CodeVerifier;
use grantor_protocol::token_error::TokenError;
use serde_json::Value;

use super::issue::{Generation, idle_expires_at, issue};
use super::{Caller, unavailable};
use crate::metrics::TokenEvent;
use crate::seal::{CodeSeal, NotThisSeal};
use crate::store::Turn;

/// Redeems a code.
///
/// Every check comes before the one write that spends (S12). Where that write finds another state
/// than was read, somebody else was faster, and the decision is taken again from what is true now.
pub(super) async fn exchange(
    caller: &Caller<'_>,
    code: &str,
    redirect_uri: &str,
    code_verifier: Option<&CodeVerifier>,
) -> Result<Value, TokenError> {
    let site = caller.site;
    let seal = open(caller, code).await?;
    let attempt = site.random.bytes();
    for _ in 0..3 {
        let grant = site
            .store
            .grant(site.environment, seal.grant_id)
            .await
            .map_err(unavailable(caller.request_id))?;
        let exchange = Exchange { client: caller.client, redirect_uri, code_verifier };
        let now = site.clock.now();
        if let Err(refused) = check_exchange(grant.as_ref(), &exchange, now) {
            if refused.revoke {
                site.store
                    .revoke_grant(site.environment, seal.grant_id, now)
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
        let idle_expires_at = idle_expires_at(caller, &grant, now);
        let from = caller.address.to_string();
        let turn = Turn {
            environment: site.environment,
            id: grant.id,
            attempt,
            idle_expires_at,
            from: &from,
            now,
        };
        if site.store.redeem_code(&turn).await.map_err(unavailable(caller.request_id))? {
            let first = Generation { grant: &grant, number: 1, turned_at: now, idle_expires_at };
            return Ok(issue(caller, &first, &grant.scope));
        }
    }
    Err(TokenError::Unavailable)
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

//! The ID token of an exchange (OpenID Connect Core 3.1.3.3): signed once, when the code is redeemed.
//! A refresh brings none (12.2 allows that): who the customer is does not change.

use grantor_protocol::openid::{CustomerClaims, ID_TOKEN_SECONDS, IdToken, OPENID, at_hash};
use grantor_protocol::token_error::TokenError;
use uuid::Uuid;

use super::issue::unsigned;
use super::{Caller, unavailable};
use crate::store::Turned;

/// Signs an ID token beside `access_token`; `None` where the request was not one of OpenID Connect.
///
/// # Errors
/// [`TokenError::Unavailable`]
pub(super) async fn id_token(
    caller: &Caller<'_>,
    turned: &Turned,
    access_token: &str,
) -> Result<Option<String>, TokenError> {
    let Some(openid) = turned.openid.as_ref().filter(|_| turned.scope.contains(OPENID)) else {
        return Ok(None);
    };
    let site = caller.site;
    let customer = match openid.id_token_claims.as_slice() {
        [] => CustomerClaims::default(),
        wanted => {
            let read = site.store.customer_claims(site.environment, turned.customer_id).await;
            read.map_err(unavailable(caller.request_id))?.chosen(&turned.scope, Some(wanted))
        }
    };
    let algorithm = caller.client.settings.id_token_algorithm;
    let now = site.clock.now();
    let subject = Uuid::from_bytes(turned.customer_id).to_string();
    let claims = IdToken {
        iss: &site.base_url,
        sub: &subject,
        aud: &caller.client.id,
        exp: now + ID_TOKEN_SECONDS,
        iat: now,
        auth_time: openid.signed_in_at,
        nonce: openid.nonce.as_deref(),
        at_hash: at_hash(algorithm, access_token),
        customer,
    };
    let ring = caller.signing_keys().await?;
    let signed = ring.sign((algorithm.into(), now), "JWT", &claims);
    signed.map(Some).map_err(unsigned(caller))
}

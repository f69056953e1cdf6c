//! A client gets a token of its own (RFC 6749 4.4). Nothing is written: the token is a seal, and what
//! ends it is its client's counter, its time, or its revocation.

use grantor_protocol::grant::Binding;
use grantor_protocol::resource::Resources;
use grantor_protocol::scope::Scope;
use grantor_protocol::token_error::TokenError;

use super::Caller;
use super::issue::Issued;
use crate::seal::ClientAccessSeal;
use crate::store::client_key;

/// Seals a token for the client itself.
pub(super) fn client_credentials(
    caller: &Caller<'_>,
    scope: Option<&str>,
) -> Result<Issued, TokenError> {
    let Caller { site, client, key, .. } = *caller;
    // RFC 6749 4.4: for a client that proves itself, and as its setting says.
    if client.is_public() || !client.settings.client_credentials {
        return Err(TokenError::GrantTypeNotAllowed);
    }
    let scope = Scope::requested(scope, &client.scopes).map_err(TokenError::ClientScope)?;
    let now = site.clock.now();
    let expires_at = now + site.settings.access_token_ttl_seconds;
    let token = site.sealer.client_access(&ClientAccessSeal {
        client_key: client_key(&client.id),
        counter: client.counter,
        expires_at,
        issued_at: now,
        token_id: site.random.bytes(),
        scope: scope.clone(),
        binding: Binding { resources: Resources::default(), key },
    });
    Ok(Issued::of_client(token, expires_at - now, &scope, key.is_some()))
}

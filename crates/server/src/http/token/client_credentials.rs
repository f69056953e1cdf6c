//! A client gets a token of its own (RFC 6749 4.4). Nothing is written: the token is a seal, or
//! signed where its API wants that, and what ends it is its client's counter, its time, or its revocation.

use grantor_protocol::grant::Binding;
use grantor_protocol::openid;
use grantor_protocol::resource::Resources;
use grantor_protocol::scope::Scope;
use grantor_protocol::token_error::TokenError;

use super::Caller;
use super::issue::{Issued, narrowed, unsigned};
use crate::http::signed_token::sign_client_access;
use crate::seal::ClientAccessSeal;
use crate::store::{LoggedToken, client_key, client_token_owner};

/// Seals a token for the client itself.
pub(super) async fn client_credentials(
    caller: &Caller<'_>,
    scope: Option<&str>,
) -> Result<Issued, TokenError> {
    let Caller { site, client, key, .. } = *caller;
    // RFC 6749 4.4: for a client that proves itself, and as its setting says.
    if client.is_public() || !client.settings.client_credentials {
        return Err(TokenError::GrantTypeNotAllowed);
    }
    let apis = &site.settings.apis;
    // Nobody stands behind such a token of whom OpenID Connect could tell.
    let standard = Scope::parse(&openid::SCOPES.join(" ")).unwrap_or_default();
    let scope = Scope::requested(scope, &client.scopes.without(&standard))
        .map_err(TokenError::ClientScope)?;
    let resources = narrowed(caller, &Resources::default(), &scope)?;
    let scope = apis.scope_for(&resources, &scope);
    let algorithm = apis.format_for(&resources).algorithm();
    let now = site.clock.now();
    let expires_at = now + site.settings.access_token_ttl_seconds;
    let seal = ClientAccessSeal {
        client_key: client_key(&client.id),
        counter: client.counter,
        expires_at,
        issued_at: now,
        token_id: site.random.bytes(),
        scope: scope.clone(),
        binding: Binding { resources, key },
    };
    let token = match algorithm {
        None => site.sealer.client_access(&seal),
        Some(algorithm) => {
            let ring = caller.signing_keys().await?;
            sign_client_access(site, (&ring, algorithm), &seal, &client.id)
                .map_err(unsigned(caller))?
        }
    };
    let owner = client_token_owner(seal.client_key);
    let mark = LoggedToken { owner, id: seal.token_id, expires_at };
    Ok(Issued::of_client(token, expires_at - now, &scope, (key.is_some(), mark)))
}

//! The keys that a client signs its assertions with (RFC 7523): those of its row, or those that it
//! publishes (`jwks_uri`).

use std::sync::Arc;

use grantor_protocol::client::{ClientAuthentication, ClientKeys};
use grantor_protocol::client_assertion;
use grantor_protocol::client_authentication::PresentedClient;
use grantor_protocol::jose::JwkSet;

use crate::outbound::ChosenBy;
use crate::site::Site;
use crate::store::{KnownClient, RegisteredBy};

/// The keys that the assertion of a call is to be verified by; `None` where there is none, or they
/// cannot be had just now.
///
/// Published keys are fetched anew where the assertion names one that is not among them, at most
/// once a minute: a client that changed its keys need not wait.
pub(super) async fn of(
    site: &Site,
    known: Option<&KnownClient>,
    presented: &PresentedClient,
) -> Option<Arc<JwkSet>> {
    let PresentedClient::Assertion { assertion, .. } = presented else {
        return None;
    };
    let record = &known?.record;
    let ClientAuthentication::PrivateKeyJwt { keys: ClientKeys::Uri(uri) } =
        &record.client.authentication
    else {
        return record.keys.clone();
    };
    // What is no assertion makes nobody fetch anything.
    let unverified = client_assertion::parse(assertion).ok()?;
    let wanted = unverified.header().key_id.as_deref();
    let chosen_by = match record.registration.by {
        RegisteredBy::Company => ChosenBy::Company,
        RegisteredBy::Itself | RegisteredBy::Document => ChosenBy::Stranger,
    };
    let kept = site.outbound.document(chosen_by, uri).await.ok().and_then(|text| read(&text));
    let is_there = |set: &JwkSet| {
        wanted.is_none_or(|wanted| set.keys().iter().any(|key| key.key_id() == Some(wanted)))
    };
    let set = match kept {
        Some(set) if is_there(&set) => set,
        kept => match site.outbound.fresh_document(chosen_by, uri).await {
            Ok(text) => read(&text).or(kept)?,
            Err(_) => kept?,
        },
    };
    Some(Arc::new(set))
}

fn read(text: &[u8]) -> Option<JwkSet> {
    JwkSet::parse_published(text).ok()
}

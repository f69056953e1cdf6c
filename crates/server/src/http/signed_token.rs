//! Signed access tokens: `at+jwt` (RFC 9068), for an API that wants to verify offline.
//!
//! They say the same as a seal does, so that here, where the row is, they answer as seal ∩ row too:
//! at introspection, revocation and `/oauth/userinfo`. An API that verifies offline sees until its
//! expiry a token whose connection ended.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_protocol::grant::Binding;
use grantor_protocol::jose::{
    Algorithm, Claims, Demand, SigningFault, TypeDemand, UnverifiedJws, Value,
};
use grantor_protocol::resource::Resources;
use grantor_protocol::scope::Scope;
use grantor_protocol::token_error::TokenError;
use serde::Serialize;
use uuid::Uuid;

use crate::hex::{hex, unhex};
use crate::seal::{AccessSeal, ClientAccessSeal};
use crate::signer::SigningRing;
use crate::site::Site;
use crate::store::client_key;

/// RFC 9068 2.1.
const TYPE: &str = "at+jwt";
/// No token of ours is longer, in bytes.
const MAX_BYTES: usize = 8192;
/// A token for more businesses does not name them: a header has room for a few thousand bytes.
const MAX_BUSINESSES: usize = 100;

/// What a signed token is, once its signature is verified.
pub(super) enum SignedToken {
    OfGrant(AccessSeal),
    OfClient(ClientAccessSeal),
}

/// What is said beside the seal.
pub(super) struct Parties<'a> {
    pub(super) client_id: &'a str,
    /// The customer, or the client itself.
    pub(super) subject: &'a str,
    /// Those of the connection; none of a client itself.
    pub(super) businesses: &'a [i64],
}

/// RFC 9068 2.2, and what leads back to the row.
#[derive(Serialize)]
struct TokenClaims<'a> {
    iss: &'a str,
    aud: Audience<'a>,
    sub: &'a str,
    client_id: &'a str,
    exp: i64,
    iat: i64,
    jti: String,
    scope: String,
    /// As text: such a number may be larger than a JavaScript program can hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    businesses: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    epoch: i64,
    #[serde(flatten)]
    row: RowClaims,
}

/// RFC 7519 4.1.3: one is text, several are a list.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Audience<'a> {
    One(&'a str),
    Several(Vec<&'a str>),
}

/// RFC 9449 6.1.
#[derive(Serialize)]
pub(super) struct Confirmation {
    pub(super) jkt: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RowClaims {
    Grant { grant_id: String, generation: i64 },
    Client { counter: i64 },
}

impl<'a> Audience<'a> {
    /// Of a token for these APIs; `None` where it names none.
    pub(super) fn of(resources: &'a Resources) -> Option<Audience<'a>> {
        let mut named: Vec<&str> = resources.iter().collect();
        match named.len() {
            0 => None,
            1 => named.pop().map(Audience::One),
            _ => Some(Audience::Several(named)),
        }
    }
}

impl Confirmation {
    pub(super) fn of(key: [u8; 32]) -> Confirmation {
        Confirmation { jkt: URL_SAFE_NO_PAD.encode(key) }
    }
}

/// Signs what a seal says.
///
/// # Errors
/// [`SigningFault`]
pub(super) fn sign_access(
    site: &Site,
    (ring, algorithm): (&SigningRing, Algorithm),
    seal: &AccessSeal,
    parties: &Parties<'_>,
) -> Result<String, SigningFault> {
    let row = RowClaims::Grant {
        grant_id: Uuid::from_bytes(seal.grant_id).to_string(),
        generation: seal.generation,
    };
    let times = [seal.issued_at, seal.expires_at];
    let claims = claims(site, (times, seal.token_id), (&seal.scope, &seal.binding), parties, row);
    ring.sign((algorithm, seal.issued_at), TYPE, &claims)
}

/// The same for a token of a client itself.
///
/// # Errors
/// [`SigningFault`]
pub(super) fn sign_client_access(
    site: &Site,
    (ring, algorithm): (&SigningRing, Algorithm),
    seal: &ClientAccessSeal,
    client_id: &str,
) -> Result<String, SigningFault> {
    let row = RowClaims::Client { counter: seal.counter };
    let parties = Parties { client_id, subject: client_id, businesses: &[] };
    let times = [seal.issued_at, seal.expires_at];
    let claims = claims(site, (times, seal.token_id), (&seal.scope, &seal.binding), &parties, row);
    ring.sign((algorithm, seal.issued_at), TYPE, &claims)
}

fn claims<'a>(
    site: &'a Site,
    ([iat, exp], token_id): ([i64; 2], [u8; 8]),
    (scope, binding): (&Scope, &'a Binding),
    parties: &Parties<'a>,
    row: RowClaims,
) -> TokenClaims<'a> {
    TokenClaims {
        iss: &site.base_url,
        // A token that names no API is never signed: it would have no audience.
        aud: Audience::of(&binding.resources).unwrap_or(Audience::One(&site.base_url)),
        sub: parties.subject,
        client_id: parties.client_id,
        exp,
        iat,
        jti: hex(&token_id),
        scope: scope.to_string(),
        businesses: named(parties.businesses),
        cnf: binding.key.map(Confirmation::of),
        epoch: site.sealer.epoch(),
        row,
    }
}

/// The businesses of a token, where it has some and not too many.
fn named(businesses: &[i64]) -> Option<Vec<String>> {
    (1..=MAX_BUSINESSES)
        .contains(&businesses.len())
        .then(|| businesses.iter().map(ToString::to_string).collect())
}

/// Whether a text may be a signed token at all. What begins like this is none of the seals.
pub(super) fn looks_signed(text: &str) -> bool {
    text.starts_with("ey") && text.contains('.')
}

/// Reads a signed token of this environment; `None` for what is none, or was signed by a key that is
/// gone.
///
/// # Errors
/// [`TokenError::Unavailable`] where its key is not known here and the keys could not be read: then
/// nobody knows whether it lives.
pub(super) async fn open(site: &Site, text: &str) -> Result<Option<SignedToken>, TokenError> {
    let demand = Demand {
        algorithms: &[Algorithm::Es256, Algorithm::EdDsa],
        typ: TypeDemand::OneOf(&[TYPE]),
        max_bytes: MAX_BYTES,
    };
    let Ok(unverified) = UnverifiedJws::parse(text, &demand) else { return Ok(None) };
    let Some(kid) = unverified.header().key_id.clone() else { return Ok(None) };
    let mut ring = site.signer.ring();
    let is_known =
        |ring: &SigningRing| ring.public().iter().any(|key| key.key_id() == Some(kid.as_str()));
    // Another process may have made it a moment ago.
    if !is_known(&ring) {
        if !site.keys.reload_for_unknown().await {
            return Err(TokenError::Unavailable);
        }
        ring = site.signer.ring();
    }
    let Ok(verified) = unverified.verify(ring.public()) else { return Ok(None) };
    Ok(verified.claims().ok().and_then(|claims| read(site, &claims)))
}

fn read(site: &Site, claims: &Claims<'_>) -> Option<SignedToken> {
    let number = |name: &str| claims.value(name)?.as_i64();
    if claims.text("iss") != Ok(site.base_url.as_str())
        || number("epoch") != Some(site.sealer.epoch())
    {
        return None;
    }
    let resources = match claims.value("aud")? {
        Value::String(one) => Resources::parse([one.as_ref()]),
        several => Resources::parse(several.as_array()?.iter().filter_map(|one| one.as_str())),
    };
    let key = match claims.value("cnf") {
        None => None,
        Some(cnf) => {
            let jkt = URL_SAFE_NO_PAD.decode(cnf.get("jkt")?.as_str()?).ok()?;
            Some(jkt.try_into().ok()?)
        }
    };
    let binding = Binding { resources: resources.ok()?, key };
    let scope = Scope::parse(claims.text("scope").ok()?).ok()?;
    let token_id = unhex(claims.text("jti").ok()?)?.try_into().ok()?;
    let (expires_at, issued_at) = (claims.seconds("exp").ok()?, claims.seconds("iat").ok()?);
    match claims.optional_text("grant_id").ok()? {
        Some(grant_id) => Some(SignedToken::OfGrant(AccessSeal {
            grant_id: *Uuid::parse_str(grant_id).ok()?.as_bytes(),
            generation: number("generation")?,
            expires_at,
            issued_at,
            token_id,
            scope,
            binding,
        })),
        None => Some(SignedToken::OfClient(ClientAccessSeal {
            client_key: client_key(claims.text("client_id").ok()?),
            counter: number("counter")?,
            expires_at,
            issued_at,
            token_id,
            scope,
            binding,
        })),
    }
}

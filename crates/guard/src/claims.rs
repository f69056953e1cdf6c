//! What a token or its issuer says, read as a decision.

use grantor_protocol::jose::{Claims, Thumbprint, Value};
use grantor_protocol::scope::Scope;

use crate::access::Access;

impl Access {
    /// Reads the claims that RFC 9068 2.2 and RFC 7662 2.2 have in common. `None` where one that a
    /// decision needs is missing, or of another kind: what is not understood opens nothing.
    pub(crate) fn read(claims: &Claims<'_>) -> Option<Access> {
        let text = |claim| claims.text(claim).ok().filter(|text| !text.is_empty());
        Some(Access {
            subject: text("sub")?.to_owned(),
            client_id: text("client_id")?.to_owned(),
            scope: Scope::parse(claims.optional_text("scope").ok()?.unwrap_or_default()).ok()?,
            audience: match claims.value("aud") {
                None => Vec::new(),
                Some(Value::String(one)) => vec![one.to_string()],
                Some(several) => texts(several)?,
            },
            businesses: optional_texts(claims, "businesses")?,
            locations: optional_texts(claims, "locations")?,
            expires_at: claims.seconds("exp").ok()?,
            key: key(claims)?,
        })
    }
}

/// RFC 9449 6.1. Another confirmation than by key (RFC 8705) is one that is not checked here, and
/// so the token is not taken.
fn key(claims: &Claims<'_>) -> Option<Option<Thumbprint>> {
    match claims.value("cnf") {
        None => Some(None),
        Some(confirmation) => Thumbprint::parse(confirmation.get("jkt")?.as_str()?).map(Some),
    }
}

fn optional_texts(claims: &Claims<'_>, claim: &str) -> Option<Option<Vec<String>>> {
    match claims.value(claim) {
        None => Some(None),
        Some(listed) => texts(listed).map(Some),
    }
}

fn texts(listed: &Value<'_>) -> Option<Vec<String>> {
    listed.as_array()?.iter().map(|each| each.as_str().map(str::to_owned)).collect()
}

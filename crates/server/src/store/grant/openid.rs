//! What a grant keeps for its ID token, as it stands in its row: JSON, which nothing but this file
//! reads. Most grants have none.

use grantor_protocol::grant::{Binding, OpenIdRequest};
use serde::{Deserialize, Serialize};

use crate::store::StoreError;
use crate::store::consent;
use crate::store::engine::Columns;

/// The row's form. Names are short because there may be many rows.
#[derive(Serialize, Deserialize)]
struct Stored {
    at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    id_token: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    userinfo: Vec<String>,
}

/// What is written.
pub(super) fn write(openid: Option<&OpenIdRequest>) -> Option<String> {
    let openid = openid?;
    let stored = Stored {
        at: openid.signed_in_at,
        nonce: openid.nonce.clone(),
        id_token: openid.id_token_claims.clone(),
        userinfo: openid.userinfo_claims.clone(),
    };
    serde_json::to_string(&stored).ok()
}

/// Reads the next column.
pub(super) fn read(row: &mut Columns) -> Result<Option<OpenIdRequest>, StoreError> {
    let Some(text) = row.optional_text("openid")? else {
        return Ok(None);
    };
    let stored: Stored = serde_json::from_str(&text).map_err(|_| row.corrupt("openid"))?;
    Ok(Some(OpenIdRequest {
        nonce: stored.nonce,
        signed_in_at: stored.at,
        id_token_claims: stored.id_token,
        userinfo_claims: stored.userinfo,
    }))
}

/// Reads the next two columns: the resources and the thumbprint of the key.
pub(super) fn binding(row: &mut Columns) -> Result<Binding, StoreError> {
    Ok(Binding { resources: consent::resources(row)?, key: row.optional_array("jkt")? })
}

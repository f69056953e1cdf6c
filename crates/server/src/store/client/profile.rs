//! How a client proves itself, what it may ask for and how it came here: the columns that came with
//! the second schema. Each may be NULL, in a row that the version before wrote, and then says what
//! was true before.

use std::sync::Arc;

use grantor_protocol::client::{
    ClientAuthentication, ClientKeys, ClientSettings, IdTokenAlgorithm, SecretDigest, SecretMethods,
};

use grantor_protocol::jose::JwkSet;

use super::{NewClient, RegisteredBy, Registration};
use crate::store::StoreError;
use crate::store::engine::{Columns, Value};

const BASIC: &str = "client_secret_basic";
const POST: &str = "client_secret_post";
/// Either of the two; no name of a specification.
const ANY_SECRET: &str = "client_secret";
const PRIVATE_KEY_JWT: &str = "private_key_jwt";
const NONE: &str = "none";

const AUTHORIZATION_CODE: &str = "authorization_code";
const CLIENT_CREDENTIALS: &str = "client_credentials";
const DEVICE_CODE: &str = "device_code";
/// Stands among the grant types, where the version before skips a word that it does not know: it
/// took that audience from every client.
const ASSERTION_FOR_TOKEN_ENDPOINT: &str = "assertion_for_token_endpoint";

/// What is read here.
pub(super) struct Profile {
    pub(super) authentication: ClientAuthentication,
    pub(super) post_logout_redirect_uris: Vec<String>,
    pub(super) registration: Registration,
    pub(super) keys: Option<Arc<JwkSet>>,
}

/// The values of the columns, in their order.
pub(in crate::store) fn values(client: &NewClient) -> Vec<Value> {
    let settings = &client.settings;
    let method = match (&client.keys, &client.secret, settings.secret_methods) {
        (Some(_), _, _) => PRIVATE_KEY_JWT,
        (None, None, _) => NONE,
        (None, Some(_), SecretMethods::Basic) => BASIC,
        (None, Some(_), SecretMethods::Post) => POST,
        (None, Some(_), SecretMethods::Any) => ANY_SECRET,
    };
    let (set, uri) = match &client.keys {
        Some(ClientKeys::Set(set)) => (Some(set.as_str()), None),
        Some(ClientKeys::Uri(uri)) => (None, Some(uri.as_str())),
        None => (None, None),
    };
    let registration = &client.registration;
    vec![
        method.into(),
        set.into(),
        uri.into(),
        grant_types(settings).into(),
        settings.par_required.into(),
        settings.dpop_required.into(),
        settings.offline_access_required.into(),
        settings.id_token_algorithm.as_str().into(),
        client.post_logout_redirect_uris.join(" ").into(),
        match registration.by {
            RegisteredBy::Company => "company",
            RegisteredBy::Itself => "itself",
            RegisteredBy::Document => "document",
        }
        .into(),
        registration.token_digest.into(),
        registration.metadata.as_deref().into(),
    ]
}

fn grant_types(settings: &ClientSettings) -> String {
    let named = [
        (settings.authorization_code, AUTHORIZATION_CODE),
        (settings.client_credentials, CLIENT_CREDENTIALS),
        (settings.device_code, DEVICE_CODE),
        (settings.assertion_for_token_endpoint, ASSERTION_FOR_TOKEN_ENDPOINT),
    ];
    named.iter().filter(|(may, _)| *may).map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
}

/// Reads them, and puts the settings among them where they belong.
pub(super) fn read(
    row: &mut Columns,
    public: bool,
    secrets: Vec<SecretDigest>,
    settings: &mut ClientSettings,
) -> Result<Profile, StoreError> {
    let method = row.optional_text("authentication_method")?;
    let (set, uri) = (row.optional_text("jwks")?, row.optional_text("jwks_uri")?);
    let authentication = match (method.as_deref(), set, uri) {
        (Some(PRIVATE_KEY_JWT), Some(set), None) => {
            ClientAuthentication::PrivateKeyJwt { keys: ClientKeys::Set(set) }
        }
        (Some(PRIVATE_KEY_JWT), None, Some(uri)) => {
            ClientAuthentication::PrivateKeyJwt { keys: ClientKeys::Uri(uri) }
        }
        (Some(NONE), _, _) => ClientAuthentication::None,
        (None, _, _) if public => ClientAuthentication::None,
        (Some(BASIC | POST | ANY_SECRET) | None, _, _) => ClientAuthentication::Secret { secrets },
        (Some(_), _, _) => return Err(row.corrupt("authentication_method")),
    };
    let keys = match &authentication {
        ClientAuthentication::PrivateKeyJwt { keys: ClientKeys::Set(set) } => {
            Some(Arc::new(JwkSet::parse(set.as_bytes()).map_err(|_| row.corrupt("jwks"))?))
        }
        _ => None,
    };
    settings.secret_methods = match method.as_deref() {
        Some(POST) => SecretMethods::Post,
        Some(ANY_SECRET) => SecretMethods::Any,
        _ => SecretMethods::Basic,
    };
    if let Some(named) = row.optional_text("grant_types")? {
        let may = |name| named.split(' ').any(|found| found == name);
        settings.authorization_code = may(AUTHORIZATION_CODE);
        settings.client_credentials = may(CLIENT_CREDENTIALS);
        settings.device_code = may(DEVICE_CODE);
        settings.assertion_for_token_endpoint = may(ASSERTION_FOR_TOKEN_ENDPOINT);
    }
    settings.par_required = row.optional_boolean("par_required")?.unwrap_or_default();
    settings.dpop_required = row.optional_boolean("dpop_required")?.unwrap_or_default();
    let offline = row.optional_boolean("offline_access_required")?;
    settings.offline_access_required = offline.unwrap_or_default();
    settings.id_token_algorithm = match row.optional_text("id_token_algorithm")? {
        None => IdTokenAlgorithm::default(),
        Some(name) => {
            IdTokenAlgorithm::parse(&name).ok_or_else(|| row.corrupt("id_token_algorithm"))?
        }
    };
    let uris = row.optional_text("post_logout_redirect_uris")?.unwrap_or_default();
    let by = match row.optional_text("registration")?.as_deref() {
        None | Some("company") => RegisteredBy::Company,
        Some("itself") => RegisteredBy::Itself,
        Some("document") => RegisteredBy::Document,
        Some(_) => return Err(row.corrupt("registration")),
    };
    Ok(Profile {
        authentication,
        keys,
        post_logout_redirect_uris: uris.split_whitespace().map(str::to_owned).collect(),
        registration: Registration {
            by,
            token_digest: row.optional_array("registration_token_digest")?,
            metadata: row.optional_text("metadata")?,
        },
    })
}

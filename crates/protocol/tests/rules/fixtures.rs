//! The clients that the rules are tried on.

use grantor_protocol::client::{
    Client, ClientAuthentication, ClientSecret, ClientSettings, Partner,
};
use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;

pub(crate) const REDIRECT_URI: &str = "https://mycompany.com/redirection/ikentoo";

/// A confidential, approved client of staging, with two scopes that have to be allowed.
pub(crate) fn client() -> Client {
    let secret = ClientSecret::new("s3cret-of-the-fixture".into());
    Client {
        environment: Environment::Staging,
        id: "devp-staging-mycompany".into(),
        name: "My Company".into(),
        partner: Partner { name: "My Company Ltd".into(), verified: true },
        website: None,
        redirect_uris: vec![RedirectUri::register(REDIRECT_URI).unwrap()],
        post_logout_redirect_uris: vec![],
        scopes: Scope::parse("financial-api orders-api items").unwrap(),
        optional_scopes: Scope::parse("items").unwrap(),
        authentication: ClientAuthentication::Secret { secrets: vec![secret.digest()] },
        approved: true,
        disabled: false,
        demo: false,
        counter: 0,
        settings: ClientSettings::default(),
    }
}

/// The same without a secret.
pub(crate) fn public_client() -> Client {
    Client { authentication: ClientAuthentication::None, ..client() }
}

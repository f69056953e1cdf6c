//! A client to send requests of.

use grantor_protocol::api::{AccessTokenFormat, Api, Apis};
use grantor_protocol::client::{
    Client, ClientAuthentication, ClientSecret, ClientSettings, Partner,
};
use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;

/// What it registered.
pub const REDIRECT_URIS: [&str; 3] = [
    "https://mycompany.com/redirection/ikentoo",
    "http://127.0.0.1/callback",
    "com.example.app:/cb",
];

/// A confidential client of staging.
pub fn client() -> Client {
    let uri = |text: &&str| RedirectUri::register(text).ok();
    Client {
        environment: Environment::Staging,
        id: "devp-staging-mycompany".into(),
        name: "My Company".into(),
        partner: Partner { name: "My Company Ltd".into(), verified: true },
        website: None,
        redirect_uris: REDIRECT_URIS.iter().filter_map(uri).collect(),
        post_logout_redirect_uris: vec![],
        scopes: Scope::parse("financial-api orders-api openid email").unwrap_or_default(),
        optional_scopes: Scope::default(),
        authentication: ClientAuthentication::Secret {
            secrets: vec![ClientSecret::new("s3cret".into()).digest()],
        },
        approved: true,
        disabled: false,
        demo: false,
        counter: 0,
        settings: ClientSettings::default(),
    }
}

/// An API that it may name.
pub fn apis() -> Apis {
    Apis::new(vec![Api {
        resource: "https://api.example.com".into(),
        name: "An API".into(),
        scopes: Scope::parse("orders-api").unwrap_or_default(),
        access_tokens: AccessTokenFormat::Es256,
        introspection_clients: vec![],
    }])
}

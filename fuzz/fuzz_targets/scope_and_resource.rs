//! Scopes, resources and challenges: a set is written as it is read, and nothing grows.

#![no_main]

mod fixtures;

use std::sync::LazyLock;

use fixtures::{apis, client};
use grantor_protocol::api::Apis;
use grantor_protocol::client::Client;
use grantor_protocol::pkce::{CodeChallenge, CodeVerifier};
use grantor_protocol::resource::Resources;
use grantor_protocol::scope::Scope;
use libfuzzer_sys::fuzz_target;

static CLIENT: LazyLock<Client> = LazyLock::new(client);
static APIS: LazyLock<Apis> = LazyLock::new(apis);

fuzz_target!(|text: &str| {
    if let Ok(scope) = Scope::parse(text) {
        assert_eq!(Scope::parse(&scope.to_string()), Ok(scope));
    }
    if let Ok(scope) = Scope::requested(Some(text), &CLIENT.scopes) {
        assert!(scope.is_within(&CLIENT.scopes));
    }
    if let Ok(resources) = Resources::parse(text.split(' ')) {
        assert_eq!(Resources::parse(resources.to_string().split(' ')), Ok(resources.clone()));
        if let Ok(known) = APIS.resolve(&resources) {
            assert!(known.iter().all(|resource| resource == "https://api.example.com"));
            assert!(APIS.scope_for(&known, &CLIENT.scopes).is_within(&CLIENT.scopes));
        }
    }
    let (first, second) = text.split_once(' ').unwrap_or((text, "S256"));
    if let Ok(Some(challenge)) = CodeChallenge::parse(Some(first), Some(second))
        && let Ok(verifier) = CodeVerifier::parse(second)
    {
        assert_eq!(challenge.matches(&verifier), challenge == verifier.challenge());
    }
});

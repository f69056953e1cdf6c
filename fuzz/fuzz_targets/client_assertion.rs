//! Client assertions: none holds that was not signed by the client's own key, which nobody here has.

#![no_main]

use std::sync::LazyLock;

use grantor_protocol::client_assertion::{self, Expected, MAX_AHEAD_SECONDS};
use grantor_protocol::jose::{Algorithm, Jwk, SigningKey, generate};
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<Option<Jwk>> = LazyLock::new(|| {
    let der = generate(Algorithm::Es256).ok()?;
    let key = SigningKey::from_pkcs8(Algorithm::Es256, &der, Some("1".into())).ok()?;
    Some(key.public().clone())
});

fuzz_target!(|text: &str| {
    let Ok(unverified) = client_assertion::parse(text) else { return };
    let _ = client_assertion::claimed_client_id(&unverified);
    let expected = Expected {
        client_id: "c",
        audiences: &["https://auth.example.com"],
        now: 1_800_000_000,
        max_ahead_seconds: MAX_AHEAD_SECONDS,
    };
    let keys = KEY.as_slice();
    assert!(client_assertion::verify(unverified, keys, &expected).is_err());
});

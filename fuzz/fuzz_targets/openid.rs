//! The parameters of OpenID Connect, and ID tokens that come back: none is taken that we did not
//! sign.

#![no_main]

use std::sync::LazyLock;

use grantor_protocol::jose::{Algorithm, Jwk, SigningKey, generate};
use grantor_protocol::openid::{OpenIdParameters, read_hint};
use grantor_protocol::parameters::Parameters;
use grantor_protocol::scope::Scope;
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<Option<Jwk>> = LazyLock::new(|| {
    let der = generate(Algorithm::EdDsa).ok()?;
    let key = SigningKey::from_pkcs8(Algorithm::EdDsa, &der, Some("1".into())).ok()?;
    Some(key.public().clone())
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = OpenIdParameters::read(&Parameters::parse(bytes)) {
        let most = Scope::parse("email profile").unwrap_or_default();
        assert!(read.scopes_of_claims().is_within(&most));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(read_hint(text, "https://auth.example.com", KEY.as_slice()).is_none());
    }
});

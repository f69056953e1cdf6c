//! Signed tokens and keys: nothing that is read can be verified by a key that signed nothing, and a
//! key is published as it was read.

#![no_main]

use std::sync::LazyLock;

use grantor_protocol::jose::{
    Algorithm, Claims, Demand, Jwk, JwkSet, SigningKey, TypeDemand, UnverifiedJws, generate,
};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<Vec<Jwk>> = LazyLock::new(|| {
    let key = |algorithm| {
        let der = generate(algorithm).ok()?;
        Some(SigningKey::from_pkcs8(algorithm, &der, None).ok()?.public().clone())
    };
    [Algorithm::Es256, Algorithm::EdDsa].into_iter().filter_map(key).collect()
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let demand =
            Demand { algorithms: &Algorithm::ALL, typ: TypeDemand::Any, max_bytes: 16 * 1024 };
        if let Ok(token) = UnverifiedJws::parse(text, &demand) {
            let _ = token.unverified_claims();
            assert!(token.verify(&KEYS).is_err());
        }
        if let Ok(token) = UnverifiedJws::parse(text, &demand) {
            let _ = token.verify_embedded();
        }
    }
    let _ = Claims::parse(bytes);
    if let Ok(key) = Jwk::parse(bytes) {
        let written = serde_json_of(&key);
        let again = Jwk::parse(written.as_bytes());
        assert!(again.is_ok_and(|again| again.thumbprint() == key.thumbprint()), "{written}");
    }
    let strict = JwkSet::parse(bytes);
    let published = JwkSet::parse_published(bytes);
    if let Ok(strict) = strict {
        assert!(published.is_ok_and(|published| published.keys().len() == strict.keys().len()));
    }
});

fn serde_json_of(key: &Jwk) -> String {
    serde_json::to_string(key).unwrap_or_default()
}

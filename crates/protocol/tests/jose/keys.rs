//! Which keys are taken, and what they say of themselves.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use grantor_protocol::jose::jwk::{MAX_KEY_BYTES, MAX_KEYS};
use grantor_protocol::jose::{
    Algorithm, Jwk, JwkSet, KeyFault, SigningFault, SigningKey, Thumbprint, generate,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{EC, ED, RSA, encode, jwk, pairs};

fn fault(value: &Value) -> KeyFault {
    Jwk::parse(value.to_string().as_bytes()).unwrap_err()
}

fn with(mut key: Value, member: &str, value: Value) -> Value {
    key[member] = value;
    key
}

#[test]
fn s27_a_key_that_was_written_reads_as_the_same() {
    for pair in pairs() {
        let written = serde_json::to_vec(pair.key.public()).unwrap();
        assert_eq!(&Jwk::parse(&written).unwrap(), pair.key.public());
        let set = JwkSet::new(vec![pair.key.public().clone()]).unwrap();
        assert_eq!(JwkSet::parse(&serde_json::to_vec(&set).unwrap()).unwrap(), set);
        let thumbprint = pair.key.public().thumbprint();
        assert_eq!(Thumbprint::parse(&thumbprint.to_string()), Some(thumbprint));
        assert_eq!(jwk(&pair.bare()).thumbprint(), thumbprint);
    }
}

#[test]
fn s27_a_private_key_does_not_print_and_is_in_no_public_key() {
    for pair in pairs() {
        let printed = format!("{:?}", pair.key);
        let published = serde_json::to_value(pair.key.public()).unwrap();
        assert!(published.get("d").is_none());
        for window in pair.pkcs8.chunks(16).filter(|chunk| chunk.len() == 16) {
            assert!(!printed.contains(&encode(window)), "{printed}");
            assert!(!printed.contains(&format!("{window:?}")), "{printed}");
        }
        assert!(printed.contains(&pair.key.public().thumbprint().to_string()));
    }
}

#[test]
fn s27_private_and_shared_keys_are_refused_by_name() {
    for pair in pairs() {
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert_eq!(fault(&with(pair.bare(), member, json!(""))), KeyFault::Private);
        }
    }
    assert_eq!(fault(&json!({"kty": "oct", "k": "c2VjcmV0"})), KeyFault::Symmetric);
}

#[test]
fn s27_rsa_keys_outside_2048_to_8192_bits_are_refused() {
    let of_bytes = |bytes: usize| json!({"kty": "RSA", "e": "AQAB", "n": encode([vec![0xff], vec![0x55; bytes - 1]].concat())});
    assert_eq!(fault(&of_bytes(128)), KeyFault::RsaSize { bits: 1024 });
    assert_eq!(fault(&of_bytes(1025)), KeyFault::RsaSize { bits: 8200 });
    for bytes in [256, 1024] {
        assert!(Jwk::parse(of_bytes(bytes).to_string().as_bytes()).is_ok(), "{bytes}");
    }
    let one_bit_short = encode([vec![0x7f], vec![0x55; 255]].concat());
    let key = json!({"kty": "RSA", "e": "AQAB", "n": one_bit_short});
    assert_eq!(fault(&key), KeyFault::RsaSize { bits: 2047 });
}

#[test]
fn s27_rsa_keys_with_an_unsound_number_are_refused() {
    for exponent in [&[1][..], &[2], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        let key = with(RSA.bare(), "e", json!(encode(exponent)));
        assert_eq!(fault(&key), KeyFault::RsaUnsound, "{exponent:?}");
    }
    let even = json!({"kty": "RSA", "e": "AQAB", "n": encode([0xfe; 256])});
    assert_eq!(fault(&even), KeyFault::RsaUnsound);
    // Leading zeros, padding, nothing, another alphabet.
    for exponent in ["AAEAAQ", "AQAB=", "", "AQ+B", "AQAB\n", "AR"] {
        let key = with(RSA.bare(), "e", json!(exponent));
        assert_eq!(fault(&key), KeyFault::Malformed { member: "e" }, "{exponent:?}");
    }
}

#[test]
fn s27_points_off_their_curve_are_refused() {
    for (member, value) in [
        ("x", encode([0; 32])),
        ("x", encode([1; 31])),
        ("y", encode([1; 33])),
        ("y", String::new()),
    ] {
        assert_eq!(fault(&with(EC.bare(), member, json!(value))), KeyFault::NotOnCurve);
    }
    // Where `use` forbids to verify, the point is looked at all the same.
    let unused = with(with(EC.bare(), "use", json!("enc")), "x", json!(encode([0; 32])));
    assert_eq!(fault(&unused), KeyFault::NotOnCurve);
    assert_eq!(fault(&with(EC.bare(), "crv", json!("secp256k1"))), KeyFault::UnknownCurve);
    assert_eq!(fault(&with(ED.bare(), "x", json!(encode([9; 31])))), KeyFault::NotOnCurve);
    assert_eq!(fault(&with(ED.bare(), "crv", json!("X25519"))), KeyFault::UnknownCurve);
    assert_eq!(fault(&with(ED.bare(), "crv", json!("Ed448"))), KeyFault::UnknownCurve);
}

#[test]
fn s27_members_missing_twice_or_of_another_kind_are_refused() {
    assert_eq!(fault(&json!({})), KeyFault::Missing { member: "kty" });
    assert_eq!(fault(&json!({"kty": "RSA", "n": "AQ"})), KeyFault::Missing { member: "e" });
    assert_eq!(fault(&json!({"kty": 1})), KeyFault::Malformed { member: "kty" });
    assert_eq!(fault(&json!({"kty": "AKP"})), KeyFault::UnknownType);
    for member in ["kid", "alg", "use", "key_ops"] {
        let key = with(EC.bare(), member, json!(1));
        assert_eq!(fault(&key), KeyFault::Malformed { member });
    }
    let key_id = with(EC.bare(), "kid", json!("k".repeat(257)));
    assert_eq!(fault(&key_id), KeyFault::Malformed { member: "kid" });
    let twice = br#"{"kty":"EC","kty":"RSA"}"#;
    assert_eq!(Jwk::parse(twice).unwrap_err(), KeyFault::Repeated);
    assert_eq!(Jwk::parse(b"[]").unwrap_err(), KeyFault::NotAnObject);
    let limit = MAX_KEY_BYTES;
    assert_eq!(Jwk::parse(&vec![b' '; limit + 1]).unwrap_err(), KeyFault::TooLong { limit });
}

/// The eight points of small order of Ed25519, in each spelling that 32 bytes have for them.
const SMALL_ORDER: [&str; 14] = [
    // order 1, then 2
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    // order 4
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    // order 8
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    // the same once more: x = 0 with a sign, or y with p added
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

#[test]
fn s27_an_ed25519_key_that_anybody_can_sign_for_is_refused() {
    // A signature that nobody made: R is the neutral point, S is 0.
    let forged = [&[1][..], &[0; 63]].concat();
    for (at, point) in SMALL_ORDER.iter().enumerate() {
        let point: Vec<u8> = (0..64)
            .step_by(2)
            .map(|at| u8::from_str_radix(&point[at..at + 2], 16).unwrap())
            .collect();
        // That it holds for one message in eight at least shows that the point is what it is said to
        // be. The library may refuse the second spellings by itself.
        let key = UnparsedPublicKey::new(&ED25519, &point);
        let holds = (0..255_u8).any(|message| key.verify(&[message], &forged).is_ok());
        assert!(holds || at >= 8, "{at}");
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&point)});
        let fault = fault(&key);
        assert!(fault == KeyFault::SmallOrder, "{at}: {fault:?}");
        let published = json!({"keys": [key, ED.bare()]}).to_string();
        let published = JwkSet::parse_published(published.as_bytes()).unwrap();
        assert_eq!(published.keys(), [jwk(&ED.bare())], "{at}");
    }
}

#[test]
fn s27_a_key_serves_what_its_alg_use_and_key_ops_allow() {
    let serves = |key: Value| jwk(&key).algorithms().collect::<Vec<_>>();
    assert_eq!(serves(RSA.bare()), Algorithm::ALL[..6]);
    assert_eq!(serves(EC.bare()), [Algorithm::Es256]);
    assert_eq!(serves(with(RSA.bare(), "alg", json!("PS384"))), [Algorithm::Ps384]);
    for name in ["EdDSA", "Ed25519"] {
        assert_eq!(serves(with(ED.bare(), "alg", json!(name))), [Algorithm::EdDsa]);
    }
    assert_eq!(serves(with(EC.bare(), "key_ops", json!(["sign", "verify"]))), [Algorithm::Es256]);
    for (member, value) in [
        ("alg", json!("ES384")),
        ("alg", json!("es256")),
        ("alg", json!("HS256")),
        ("alg", json!("ECDH-ES")),
        ("use", json!("enc")),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!([])),
    ] {
        assert_eq!(serves(with(EC.bare(), member, value.clone())), [], "{member} {value}");
    }
}

#[test]
fn s27_a_set_skips_what_it_does_not_know_and_is_bounded() {
    let parse = |keys: Value| JwkSet::parse(json!({"keys": keys}).to_string().as_bytes());
    let set = parse(json!([{"kty": "AKP"}, ED.bare(), {"kty": "OKP", "crv": "X448"}])).unwrap();
    assert_eq!(set.keys(), [jwk(&ED.bare())]);
    let many: Vec<Value> = vec![json!({"kty": "AKP"}); MAX_KEYS + 1];
    assert_eq!(parse(json!(many)).unwrap_err(), KeyFault::TooManyKeys { limit: MAX_KEYS });
    let named = |key: Value| with(key, "kid", json!("a"));
    let same = json!([named(EC.bare()), named(EC.bare())]);
    assert_eq!(parse(same).unwrap_err(), KeyFault::SameKeyId);
    assert_eq!(parse(json!([named(EC.bare()), named(ED.bare())])).unwrap().keys().len(), 2);
    assert_eq!(parse(json!([EC.bare(), EC.bare()])).unwrap().keys().len(), 2);
    assert_eq!(JwkSet::parse(b"{}").unwrap_err(), KeyFault::Missing { member: "keys" });
    assert_eq!(parse(json!({})).unwrap_err(), KeyFault::Malformed { member: "keys" });
    assert_eq!(parse(json!([1])).unwrap_err(), KeyFault::Malformed { member: "keys" });
}

#[test]
fn s27_only_rs256_es256_and_eddsa_are_signed_with() {
    for algorithm in Algorithm::ALL {
        let offered = matches!(algorithm, Algorithm::Rs256 | Algorithm::Es256 | Algorithm::EdDsa);
        if !offered {
            let fault = SigningFault::AlgorithmNotOffered;
            assert_eq!(generate(algorithm).unwrap_err(), fault);
            let read = SigningKey::from_pkcs8(algorithm, &EC.pkcs8, None);
            assert_eq!(read.unwrap_err(), fault);
        }
        assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
    }
    let other = SigningKey::from_pkcs8(Algorithm::Rs256, &EC.pkcs8, None);
    assert_eq!(other.unwrap_err(), SigningFault::KeyRejected);
    assert_eq!(EC.key.sign("JWT", &[1]).unwrap_err(), SigningFault::ClaimsNotWritten);
}

proptest! {
    #[test]
    fn s27_any_bytes_are_read_as_a_key_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Jwk::parse(&bytes).is_err());
        prop_assert!(JwkSet::parse(&bytes).is_err());
    }

    #[test]
    fn s27_any_members_are_read_as_a_key_without_a_panic(
        kty in "RSA|EC|OKP|oct|[a-z]{0,3}",
        crv in "P-256|P-384|P-521|Ed25519|[a-z]{0,3}",
        values in proptest::collection::vec("[A-Za-z0-9_=+-]{0,90}", 4),
    ) {
        let key = json!({"kty": kty, "crv": crv, "x": values[0], "y": values[1],
            "n": values[2], "e": values[3]});
        if let Ok(read) = Jwk::parse(key.to_string().as_bytes()) {
            let written = serde_json::to_vec(&read).unwrap();
            prop_assert_eq!(Jwk::parse(&written).unwrap(), read);
        }
    }
}

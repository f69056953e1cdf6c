//! What an attacker would send.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PSS_SHA256, RSA_PSS_SHA512,
};
use grantor_protocol::jose::{
    Algorithm, Demand, Jwk, JwsFault, KeyFault, Part, TypeDemand, UnverifiedJws,
};
use proptest::prelude::*;
use serde_json::json;

use crate::fixtures::{ANYTHING, EC, ED, RSA, decode, encode, jwk, pairs, verify};

const CLAIMS: &str = r#"{"sub":"a"}"#;

fn fault(token: &str, keys: &[Jwk]) -> JwsFault {
    verify(token, keys).unwrap_err()
}

fn header_fault(header: &str) -> JwsFault {
    fault(&EC.token(header, CLAIMS), &[jwk(&EC.bare())])
}

#[test]
fn s27_a_token_with_alg_none_is_refused_in_every_casing() {
    for bits in 0..16_u32 {
        let none: String = "none"
            .chars()
            .enumerate()
            .map(
                |(at, letter)| {
                    if bits >> at & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
                },
            )
            .collect();
        let header = encode(json!({"alg": none}).to_string());
        for signature in ["", "AAAA"] {
            let token = format!("{header}.{}.{signature}", encode(CLAIMS));
            assert_eq!(fault(&token, &[jwk(&EC.bare())]), JwsFault::AlgorithmNotAllowed, "{none}");
        }
    }
}

#[test]
fn s27_a_public_key_is_no_hmac_secret() {
    for pair in pairs() {
        let key = jwk(&pair.bare());
        for (name, algorithm) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            let signed = format!("{}.{}", encode(json!({"alg": name}).to_string()), encode(CLAIMS));
            for secret in
                [pair.bare().to_string().into_bytes(), key.thumbprint().as_bytes().to_vec()]
            {
                let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), signed.as_bytes());
                let token = format!("{signed}.{}", encode(tag));
                assert_eq!(
                    fault(&token, std::slice::from_ref(&key)),
                    JwsFault::AlgorithmNotAllowed
                );
            }
        }
    }
}

#[test]
fn s27_a_key_of_one_kind_verifies_nothing_of_another() {
    for signer in pairs() {
        for other in
            pairs().into_iter().filter(|other| other.key.algorithm() != signer.key.algorithm())
        {
            let token = signer.key.sign("JWT", &json!({})).unwrap();
            let keys = [other.key.public().clone()];
            assert_eq!(fault(&token, &keys), JwsFault::KeyDoesNotFit);
            // The header says the other's algorithm, the signature is the signer's.
            let lie = json!({"alg": other.key.algorithm().as_str()}).to_string();
            assert_eq!(fault(&signer.token(&lie, CLAIMS), &keys), JwsFault::SignatureWrong);
        }
    }
    let stranger = grantor_protocol::jose::generate(Algorithm::Es256).unwrap();
    let stranger =
        grantor_protocol::jose::SigningKey::from_pkcs8(Algorithm::Es256, &stranger, None).unwrap();
    let token = stranger.sign("JWT", &json!({})).unwrap();
    assert_eq!(fault(&token, &[EC.key.public().clone()]), JwsFault::SignatureWrong);
}

#[test]
fn s27_an_rsa_signature_of_another_scheme_or_hash_is_refused() {
    let key = [jwk(&RSA.bare())];
    let token = |alg: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        let signed = format!("{}.{}", encode(json!({"alg": alg}).to_string()), encode(CLAIMS));
        format!("{signed}.{}", encode(sign(signed.as_bytes())))
    };
    let pss = |message: &[u8]| RSA.rsa_signature(&RSA_PSS_SHA256, message);
    assert!(verify(&token("PS256", &pss), &key).is_ok());
    assert_eq!(fault(&token("RS256", &pss), &key), JwsFault::SignatureWrong);
    assert_eq!(fault(&token("PS512", &pss), &key), JwsFault::SignatureWrong);
    let pss_512 = |message: &[u8]| RSA.rsa_signature(&RSA_PSS_SHA512, message);
    assert!(verify(&token("PS512", &pss_512), &key).is_ok());
    // This key says RS256 and nothing else.
    let rs256_alone = [RSA.key.public().clone()];
    assert_eq!(fault(&token("PS256", &pss), &rs256_alone), JwsFault::KeyDoesNotFit);
}

#[test]
fn s27_a_wrong_or_missing_typ_is_refused() {
    let demand = Demand { typ: TypeDemand::OneOf(&["at+jwt"]), ..ANYTHING };
    let check = |header: &str, demand: &Demand<'_>| {
        UnverifiedJws::parse(&EC.token(header, CLAIMS), demand).err()
    };
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert_eq!(check(&json!({"alg": "ES256", "typ": typ}).to_string(), &demand), None, "{typ}");
    }
    for typ in ["JWT", "", "at+jwt ", "dpop+jwt", "text/at+jwt", "application/application/at+jwt"] {
        let header = json!({"alg": "ES256", "typ": typ}).to_string();
        assert_eq!(check(&header, &demand), Some(JwsFault::TypeDiffers), "{typ}");
        let optional = Demand { typ: TypeDemand::AbsentOrOneOf(&["at+jwt"]), ..ANYTHING };
        assert_eq!(check(&header, &optional), Some(JwsFault::TypeDiffers), "{typ}");
    }
    let bare = r#"{"alg":"ES256"}"#;
    assert_eq!(check(bare, &demand), Some(JwsFault::TypeMissing));
    assert_eq!(check(bare, &Demand { typ: TypeDemand::AbsentOrOneOf(&[]), ..ANYTHING }), None);
    assert_eq!(header_fault(r#"{"alg":"ES256","typ":1}"#), JwsFault::HeaderMalformed);
}

#[test]
fn s27_critical_and_unencoded_headers_are_refused() {
    for crit in ["[]", "[\"exp\"]", "[\"b64\"]", "null", "\"x\""] {
        let header = format!(r#"{{"alg":"ES256","crit":{crit}}}"#);
        assert_eq!(header_fault(&header), JwsFault::CriticalHeader, "{crit}");
    }
    assert_eq!(header_fault(r#"{"alg":"ES256","b64":false}"#), JwsFault::UnencodedPayload);
    assert_eq!(header_fault(r#"{"alg":"ES256","b64":true}"#), JwsFault::UnencodedPayload);
}

#[test]
fn s27_a_token_does_not_say_where_its_own_key_is_found() {
    let mut header = json!({
        "alg": "EdDSA", "jwk": ED.bare(), "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/chain", "x5c": ["AAAA"],
    });
    let token = ED.token(&header.to_string(), CLAIMS);
    assert_eq!(fault(&token, &[jwk(&EC.bare())]), JwsFault::KeyDoesNotFit);
    assert_eq!(fault(&token, &[]), JwsFault::UnknownKey);
    header["alg"] = json!("ES256");
    let token = EC.token(&header.to_string(), CLAIMS);
    assert!(verify(&token, &[jwk(&EC.bare())]).is_ok());
}

#[test]
fn s27_a_header_with_a_member_twice_or_no_object_is_refused() {
    assert_eq!(header_fault(r#"{"alg":"none","alg":"ES256"}"#), JwsFault::HeaderRepeated);
    assert_eq!(header_fault(r#"{"alg":"ES256","\u0061lg":"ES256"}"#), JwsFault::HeaderRepeated);
    let deep = r#"{"alg":"ES256","jwk":{"x":1,"x":2}}"#;
    assert_eq!(header_fault(deep), JwsFault::HeaderRepeated);
    for header in [
        "",
        "[]",
        "{}",
        "null",
        r#"{"alg":1}"#,
        r#"{"alg":null}"#,
        r#"{"alg":["ES256"]}"#,
        r#"{"alg":"ES256","kid":1}"#,
        r#"{"alg":"ES256"}x"#,
    ] {
        assert_eq!(header_fault(header), JwsFault::HeaderMalformed, "{header}");
    }
    let twice = EC.token(r#"{"alg":"ES256"}"#, r#"{"sub":"a","sub":"b"}"#);
    assert!(verify(&twice, &[jwk(&EC.bare())]).unwrap().claims().is_err());
}

#[test]
fn s27_a_token_that_is_long_or_cut_is_refused() {
    let token = EC.key.sign("JWT", &json!({"a": "x".repeat(20_000)})).unwrap();
    let keys = [EC.key.public().clone()];
    assert_eq!(fault(&token, &keys), JwsFault::TooLong { limit: 16 * 1024 });
    let token = EC.key.sign("JWT", &json!({})).unwrap();
    for end in 0..token.len() {
        assert!(verify(&token[..end], &keys).is_err(), "{end}");
    }
    for text in ["", ".", "..", "...", "a.b", "a.b.c.d"] {
        assert!(verify(text, &keys).is_err(), "{text}");
    }
    assert_eq!(fault(&format!("{token}.{token}"), &keys), JwsFault::NotThreeParts);
}

#[test]
fn s27_base64_with_padding_blanks_or_idle_bits_is_refused() {
    let keys = [EC.key.public().clone()];
    let token = EC.key.sign("JWT", &json!({})).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts[2].len(), 86);
    for (at, part) in [Part::Header, Part::Payload, Part::Signature].into_iter().enumerate() {
        for bad in ["=", " ", "\n", "+", "/", "é", "\0"] {
            let mut changed: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            changed[at].push_str(bad);
            assert_eq!(fault(&changed.join("."), &keys), JwsFault::NotBase64 { part }, "{bad:?}");
        }
    }
    // 64 bytes are 86 digits, of which the last carries four bits that mean nothing.
    let mut rest = token.clone();
    let last = rest.pop().unwrap();
    let twins = |digit: &char| value(*digit) >> 4 == value(last) >> 4 && *digit != last;
    for digit in DIGITS.chars().filter(twins) {
        let twin = format!("{rest}{digit}");
        assert_eq!(fault(&twin, &keys), JwsFault::NotBase64 { part: Part::Signature });
    }
    assert_eq!(DIGITS.chars().filter(twins).count(), 15);
}

const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn value(digit: char) -> usize {
    DIGITS.find(digit).unwrap()
}

#[test]
fn s27_an_ec_signature_in_der_or_of_zeros_is_refused() {
    let key = [jwk(&EC.bare())];
    let signed = format!("{}.{}", encode(r#"{"alg":"ES256"}"#), encode(CLAIMS));
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &EC.pkcs8).unwrap();
    let der = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    let raw = EC.signature(signed.as_bytes());
    assert!(verify(&format!("{signed}.{}", encode(&raw)), &key).is_ok());
    let half = |zero: usize| {
        let mut changed = raw.clone();
        changed[zero * 32..zero * 32 + 32].fill(0);
        changed
    };
    for bad in [
        der.as_ref().to_vec(),
        vec![0; 64],
        half(0),
        half(1),
        raw[..63].to_vec(),
        [&raw[..], &[0]].concat(),
        vec![0xff; 64],
        Vec::new(),
    ] {
        let token = format!("{signed}.{}", encode(&bad));
        assert_eq!(fault(&token, &key), JwsFault::SignatureWrong, "{bad:?}");
    }
}

#[test]
fn s27_the_kid_chooses_and_without_one_few_keys_are_tried() {
    let token = EC.key.sign("JWT", &json!({})).unwrap();
    assert_eq!(fault(&token, &[jwk(&EC.bare())]), JwsFault::UnknownKey);
    let mut renamed = EC.bare();
    renamed["kid"] = json!("another");
    assert_eq!(fault(&token, &[jwk(&renamed)]), JwsFault::UnknownKey);
    let unnamed = EC.token(r#"{"alg":"ES256"}"#, CLAIMS);
    let stranger = grantor_protocol::jose::generate(Algorithm::Es256).unwrap();
    let stranger =
        grantor_protocol::jose::SigningKey::from_pkcs8(Algorithm::Es256, &stranger, None).unwrap();
    let mut keys = vec![stranger.public().clone(); 7];
    keys.push(jwk(&EC.bare()));
    assert!(verify(&unnamed, &keys).is_ok());
    keys.insert(0, stranger.public().clone());
    assert_eq!(fault(&unnamed, &keys), JwsFault::KeyIdNeeded);
    keys.remove(0);
    keys.insert(0, jwk(&ED.bare()));
    assert!(verify(&unnamed, &keys).is_ok());
}

#[test]
fn s27_an_algorithm_outside_the_callers_list_is_refused() {
    let demand = Demand { algorithms: &[Algorithm::EdDsa], ..ANYTHING };
    let token = EC.key.sign("JWT", &json!({})).unwrap();
    let parsed = UnverifiedJws::parse(&token, &demand);
    assert_eq!(parsed.err(), Some(JwsFault::AlgorithmNotAllowed));
    let named = ED.token(r#"{"alg":"Ed25519"}"#, CLAIMS);
    assert!(verify(&named, &[jwk(&ED.bare())]).is_ok());
    for name in ["es256", "ES256 ", "ES256K", "Ed448", "RSA1_5", ""] {
        let header = json!({"alg": name}).to_string();
        assert_eq!(header_fault(&header), JwsFault::AlgorithmNotAllowed, "{name}");
    }
}

#[test]
fn s27_an_embedded_key_with_its_private_half_is_refused() {
    let mut private = EC.bare();
    private["d"] = json!(encode([1; 32]));
    let header = json!({"alg": "ES256", "jwk": private}).to_string();
    let token = EC.token(&header, CLAIMS);
    let parsed = UnverifiedJws::parse(&token, &ANYTHING).unwrap();
    assert_eq!(parsed.verify_embedded().unwrap_err(), JwsFault::EmbeddedKey(KeyFault::Private));
}

proptest! {
    #[test]
    fn s27_any_text_is_read_as_a_token_without_a_panic(text in "\\PC{0,200}") {
        prop_assert!(verify(&text, &[EC.key.public().clone()]).is_err());
    }

    #[test]
    fn s27_any_three_parts_are_read_without_a_panic(
        header in r#"\{"alg":"(ES256|EdDSA|none)"(,"[a-z]{1,4}":("[a-z]{0,9}"|[0-9]{1,3}|null))?\}"#,
        payload in proptest::collection::vec(any::<u8>(), 0..50),
        signature in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let token = format!("{}.{}.{}", encode(header), encode(payload), encode(signature));
        prop_assert!(verify(&token, &[jwk(&EC.bare()), jwk(&ED.bare())]).is_err());
    }

    #[test]
    fn s27_a_token_with_any_bit_turned_is_refused(at in 0_usize..10_000, bit in 0_u8..8) {
        for pair in pairs() {
            let token = pair.key.sign("JWT", &json!({"a": 1})).unwrap();
            let mut parts: Vec<Vec<u8>> = token.split('.').map(decode).collect();
            let which = at % 3;
            let byte = at / 3 % parts[which].len();
            parts[which][byte] ^= 1 << bit;
            let turned: Vec<String> = parts.iter().map(encode).collect();
            prop_assert!(verify(&turned.join("."), &[pair.key.public().clone()]).is_err());
        }
    }
}

//! The cases of Wycheproof, each held against its verdict, and counted.

use std::collections::BTreeMap;

use grantor_protocol::jose::{Algorithm, Jwk, JwkSet, JwsFault, KeyFault, UnverifiedJws};
use serde_json::Value;

use crate::fixtures::{ANYTHING, verify};

/// Valid signatures whose key names another algorithm than the token: PS256 for PS384, and ES521,
/// which is no algorithm. RFC 7517 4.4 says what a key is intended for, and it is held to that.
const OTHER_ALG_IN_KEY: [u64; 4] = [346, 347, 350, 351];

/// An HMAC token with a character in its header that is not of the alphabet, "valid" to a lenient
/// reader.
const STRAY: [u64; 1] = [372];

fn groups(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).unwrap();
    file["testGroups"].as_array().unwrap().clone()
}

/// The token as it would come in: one that is no text is JSON serialisation.
fn token(test: &Value) -> String {
    test["jws"].as_str().map_or_else(|| test["jws"].to_string(), str::to_owned)
}

#[test]
fn s27_every_wycheproof_signature_has_its_verdict() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut faults: BTreeMap<String, usize> = BTreeMap::new();
    for group in groups(include_str!("vectors/wycheproof/json_web_signature_test.json")) {
        // A group without a public key is HMAC: its key is refused, and the token has no other.
        let key = group.get("public").map(|key| Jwk::parse(key.to_string().as_bytes()).unwrap());
        if key.is_none() {
            let secret = Jwk::parse(group["private"].to_string().as_bytes());
            assert_eq!(secret.unwrap_err(), KeyFault::Symmetric);
        }
        for test in group["tests"].as_array().unwrap() {
            let (id, text) = (test["tcId"].as_u64().unwrap(), token(test));
            let outcome = verify(&text, key.as_slice());
            let valid = test["result"] == "valid";
            if let (false, Err(fault)) = (valid, &outcome) {
                *faults.entry(format!("{fault:?}")).or_default() += 1;
            }
            let name = match (valid, &key, outcome) {
                (true, Some(_), Ok(_)) => "valid, verified",
                (true, Some(_), Err(fault)) => {
                    assert!(OTHER_ALG_IN_KEY.contains(&id), "{id}: {fault:?}");
                    assert_eq!(fault, JwsFault::KeyDoesNotFit);
                    verify_without_alg(&group["public"], &text);
                    "valid, but of a key for another algorithm"
                }
                (true, None, Err(JwsFault::AlgorithmNotAllowed)) => {
                    "valid HMAC, refused by its algorithm"
                }
                // The header has a stray character, which RFC 7515 2 does not let a reader skip.
                (true, None, Err(JwsFault::NotBase64 { .. })) if STRAY.contains(&id) => {
                    "valid HMAC, refused by its spelling"
                }
                (true, None, outcome) => panic!("{id}: {:?}", outcome.map(|_| ())),
                (false, _, Err(JwsFault::AlgorithmNotAllowed)) => {
                    "invalid, refused by its algorithm alone"
                }
                (false, _, Err(_)) => "invalid, refused otherwise",
                (false, _, Ok(_)) => panic!("{id} is invalid and was taken"),
            };
            *counts.entry(name).or_default() += 1;
        }
    }
    println!("{counts:#?}\ninvalid by cause: {faults:#?}");
    let refused =
        counts["invalid, refused by its algorithm alone"] + counts["invalid, refused otherwise"];
    assert_eq!(refused, 355);
    assert_eq!(counts.values().sum::<usize>(), 401);
    assert_eq!(counts["valid, verified"], 32);
    assert_eq!(counts["valid, but of a key for another algorithm"], 4);
    assert_eq!(counts["valid HMAC, refused by its algorithm"], 9);
    assert_eq!(counts["valid HMAC, refused by its spelling"], 1);
    assert_eq!(counts["invalid, refused by its algorithm alone"], 23);
}

/// That it is the key's `alg` and nothing else that such a token fails by.
fn verify_without_alg(key: &Value, token: &str) {
    let mut key = key.clone();
    key.as_object_mut().unwrap().remove("alg");
    assert!(verify(token, &[Jwk::parse(key.to_string().as_bytes()).unwrap()]).is_ok());
}

#[test]
fn s27_every_wycheproof_key_has_its_verdict() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for group in groups(include_str!("vectors/wycheproof/json_web_key_test.json")) {
        let given = group.get("public").unwrap_or(&group["private"]);
        let text = match given.get("keys") {
            Some(_) => given.to_string(),
            None => format!("{{\"keys\":[{given}]}}"),
        };
        let set = JwkSet::parse(text.as_bytes());
        for test in group["tests"].as_array().unwrap() {
            let token = token(test);
            let hmac = UnverifiedJws::parse(&token, &ANYTHING).err()
                == Some(JwsFault::AlgorithmNotAllowed);
            let name = match (test["result"] == "valid", &set) {
                (true, Ok(set)) if verify(&token, set.keys()).is_ok() => "valid, verified",
                (true, Err(fault)) => {
                    assert!(hmac && *fault == KeyFault::Symmetric, "{test}");
                    "valid HMAC, key refused"
                }
                (true, Ok(_)) => panic!("valid and refused: {test}"),
                (false, Err(fault)) if hmac => {
                    assert_eq!(*fault, KeyFault::Symmetric);
                    "invalid HMAC, key refused"
                }
                (false, Err(_)) => "invalid, key refused",
                (false, Ok(set)) => {
                    let fault = verify(&token, set.keys()).unwrap_err();
                    assert_eq!(fault, JwsFault::KeyDoesNotFit, "{test}");
                    "invalid, key is not for this token"
                }
            };
            *counts.entry(name).or_default() += 1;
        }
    }
    println!("{counts:#?}");
    assert_eq!(
        counts,
        BTreeMap::from([
            ("valid, verified", 1),
            ("valid HMAC, key refused", 4),
            ("invalid HMAC, key refused", 11),
            ("invalid, key refused", 6),
            ("invalid, key is not for this token", 4),
        ])
    );
    assert_eq!(Algorithm::parse("ES521"), None);
}

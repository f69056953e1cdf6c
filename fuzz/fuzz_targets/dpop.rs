//! Proofs of possession: one that holds is for this method, this address and this time.

#![no_main]

use grantor_protocol::dpop::{self, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for access_token in [None, Some("token")] {
        let request = Request {
            method: "POST",
            uri: "https://auth.example.com/oauth/token",
            access_token,
            nonces: None,
            // When the proof of the corpus was made (RFC 9449 4.1).
            now: 1_562_262_616,
        };
        match dpop::verify(text, &request) {
            Ok(proof) => {
                assert!(!proof.token_id.is_empty() && proof.remember_until() >= request.now);
            }
            Err(fault) => assert!(!fault.words().is_empty()),
        }
    }
});

//! What a client says of itself: a document that is taken is written as one that is taken again.

#![no_main]

use grantor_protocol::client_metadata::{ClientMetadata, MAX_DOCUMENT_BYTES};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match ClientMetadata::parse(bytes) {
        Ok(metadata) => {
            assert!(bytes.len() <= MAX_DOCUMENT_BYTES);
            let written = serde_json::to_vec(&metadata.document()).unwrap_or_default();
            // Escapes may make it longer than what came.
            if written.len() <= MAX_DOCUMENT_BYTES {
                // Who named no method may send the secret either way, and is answered the usual one.
                let again = ClientMetadata::parse(&written).map(|again| again.document());
                assert_eq!(again, Ok(metadata.document()));
            }
        }
        Err(fault) => {
            assert!(!fault.words().is_empty() && fault.code().starts_with("invalid_"));
        }
    }
});

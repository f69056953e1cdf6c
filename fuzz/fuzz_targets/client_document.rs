//! What a client publishes of itself: it names its own address, holds no secret, and is the same
//! document as where it is registered.

#![no_main]

use grantor_protocol::client_metadata::{ClientMetadata, ClientMethod, MAX_DOCUMENT_BYTES};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const ID: &str = "https://app.example/client.json";

fuzz_target!(|bytes: &[u8]| {
    let metadata = match ClientMetadata::parse_published(ID, bytes) {
        Ok(metadata) => metadata,
        Err(fault) => {
            assert!(!fault.words().is_empty() && fault.code().starts_with("invalid_"));
            return;
        }
    };
    assert!(bytes.len() <= MAX_DOCUMENT_BYTES);
    assert!(!matches!(metadata.method, ClientMethod::Secret(_)));
    let named: Value = serde_json::from_slice(bytes).unwrap_or_default();
    assert_eq!(named["client_id"], ID);
    let mut document = metadata.document();
    document.insert("client_id".into(), ID.into());
    let written = serde_json::to_vec(&document).unwrap_or_default();
    // Escapes may make it longer than what came.
    if written.len() <= MAX_DOCUMENT_BYTES {
        assert_eq!(ClientMetadata::parse_published(ID, &written).as_ref(), Ok(&metadata));
        assert_eq!(ClientMetadata::parse(&written), Ok(metadata));
    }
});

//! The calls of a client: headers, query and body as anybody may write them. What is said of a fault
//! stays within what an `error_description` may hold (RFC 6749 5.2).

#![no_main]

use grantor_protocol::client_call::ClientCall;
use grantor_protocol::device::DeviceRequest;
use grantor_protocol::parameters::Parameters;
use grantor_protocol::pushed_request::PushedRequest;
use grantor_protocol::token_error::TokenError;
use grantor_protocol::token_introspection::IntrospectionRequest;
use grantor_protocol::token_request::TokenRequest;
use grantor_protocol::token_revocation::RevocationRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|parts: (&[u8], &[u8], &[u8], bool)| {
    let (query, header, body, is_form) = parts;
    let authorization: &[&[u8]] = if header.is_empty() { &[] } else { &[header] };
    let content_type =
        if is_form { "application/x-www-form-urlencoded" } else { "application/json" };
    let call = ClientCall { query, content_type: Some(content_type), authorization, body };
    let faults = [
        TokenRequest::parse(&call).err(),
        RevocationRequest::parse(&call).err(),
        IntrospectionRequest::parse(&call).err(),
        DeviceRequest::parse(&call).err(),
        match PushedRequest::parse(&call) {
            Ok(pushed) => {
                let written = pushed.written("c", Some(&[0; 32]));
                let kept = Parameters::parse(written.as_bytes());
                let secrets = ["client_secret", "client_assertion", "client_assertion_type"];
                assert!(secrets.iter().all(|name| !kept.contains(name)), "{written}");
                assert_eq!(kept.value("client_id"), Some("c"));
                None
            }
            Err(fault) => Some(fault),
        },
    ];
    faults.iter().flatten().for_each(check);
});

fn check(fault: &TokenError) {
    let wire = fault.wire();
    assert!(matches!(wire.status, 400 | 401 | 405 | 408 | 413 | 415 | 503), "{}", wire.status);
    let allowed = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    assert!(wire.description.bytes().all(allowed), "{}", wire.description);
}

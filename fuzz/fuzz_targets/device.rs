//! The code that a person types: what is read is shown as it is read again.

#![no_main]

use grantor_protocol::device::UserCode;
use grantor_protocol::pushed_request::RequestUri;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(code) = UserCode::parse(text) {
        assert!(UserCode::parse(&code.to_string()) == Some(code));
        assert_eq!(code.canonical().len(), 8);
    }
    if let Some(name) = RequestUri::parse(text) {
        assert_eq!(name.to_string(), text);
    }
});

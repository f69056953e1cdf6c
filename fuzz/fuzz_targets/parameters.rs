//! A query or a form: what was read, written again and read again, is the same.

#![no_main]

use grantor_protocol::parameters::{MAX_NAME_BYTES, MAX_PARAMETERS, MAX_VALUE_BYTES, Parameters};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = Parameters::parse(bytes);
    let mut written = String::new();
    for (at, (name, value)) in read.pairs().enumerate() {
        assert!(at < MAX_PARAMETERS && name.len() <= MAX_NAME_BYTES);
        assert!(value.len() <= MAX_VALUE_BYTES && !value.contains('\0'));
        if at > 0 {
            written.push('&');
        }
        for (part, end) in [(name, "="), (value, "")] {
            for byte in part.bytes() {
                written.push_str(&format!("%{byte:02X}"));
            }
            written.push_str(end);
        }
    }
    let again = Parameters::parse(written.as_bytes());
    assert!(
        again
            .pairs()
            .filter(|(name, _)| !name.is_empty())
            .eq(read.pairs().filter(|(name, _)| !name.is_empty()))
    );
    // A parameter that stands twice has no value: what one reader skips, another reader takes.
    for (name, _) in read.pairs().filter(|(name, _)| *name != "resource") {
        if read.values(name).count() > 1 {
            assert!(read.value(name).is_none());
        }
    }
});

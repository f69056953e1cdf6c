//! Redirect URIs: what is registered is proved by its own bytes; by others only with another
//! loopback port.

#![no_main]

use grantor_protocol::redirect_uri::RedirectUri;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pair: (&str, &str)| {
    let (text, sent) = pair;
    let Ok(registered) = RedirectUri::register(text) else { return };
    assert_eq!(registered.as_str(), text);
    assert!(!text.contains('#'));
    let all = [registered];
    assert!(RedirectUri::prove(&all, text).is_some_and(|proved| proved.as_str() == text));
    if let Some(proved) = RedirectUri::prove(&all, sent)
        && sent != text
    {
        assert!(sent.starts_with("http://127.0.0.1") || sent.starts_with("http://[::1]"), "{sent}");
        assert_eq!(proved.as_str(), sent);
    }
    let _ = RedirectUri::difference(&all, sent);
});

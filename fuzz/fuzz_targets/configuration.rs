//! `grantor.toml`: each fault stands on a line of the file, and what is taken keeps what a server
//! relies on.

#![no_main]

use std::path::Path;

use grantor::config::{Config, ConfigError, EnvironmentConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Config::parse(text, Path::new("/etc/grantor/grantor.toml")) {
        Ok(config) => {
            assert!(!config.environments.is_empty());
            assert!(config.master_key_file.is_absolute() && config.journal_file.is_absolute());
            config.environments.iter().for_each(served);
        }
        Err(ConfigError { faults }) => {
            assert!(!faults.is_empty());
            // An end of line at the end begins one more.
            let lines = text.split('\n').count();
            for fault in faults {
                assert!(!fault.words.is_empty());
                assert!(fault.line.is_some_and(|line| (1..=lines).contains(&line)), "{fault:?}");
            }
        }
    }
});

fn served(environment: &EnvironmentConfig) {
    let EnvironmentConfig { base_url, listen, tls, trusted_proxies, settings, .. } = environment;
    let host = base_url.strip_prefix("https://").or_else(|| base_url.strip_prefix("http://"));
    assert!(host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '@', '?', '#'])));
    // Secrets do not go over the open network in clear.
    assert!(tls.is_some() || listen.ip().is_loopback() || !trusted_proxies.is_empty());
    assert!(tls.is_none() || base_url.starts_with("https://"));
    assert!((1..=600).contains(&settings.code_ttl_seconds));
    assert!((0..=600).contains(&settings.refresh_window_seconds));
    assert!(settings.access_token_ttl_seconds <= settings.refresh_token_idle_seconds);
    assert!(settings.unused_client_ttl_seconds >= 3600);
}

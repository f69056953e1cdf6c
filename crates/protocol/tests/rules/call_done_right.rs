//! The command for a call done right, as a real shell reads it, whatever was registered and sent.

use std::process::Command;

use grantor_protocol::call_done_right::{Logged, call_done_right};
use grantor_protocol::client::{Client, ClientAuthentication, ClientSecret};
use grantor_protocol::logged_call::{Endpoint, SentParameter, SentParameters};
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;
use proptest::prelude::*;

use crate::fixtures;

/// The words that `curl` is called with.
fn words(command: &str) -> Vec<String> {
    // What the shell carries out besides would leave a word of its own, or none.
    let script = format!("curl() {{ printf '%s\\0' \"$@\"; }}\n{command}\n");
    let output = Command::new("sh").arg("-c").arg(&script).env_clear().output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{command} {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn sent(pairs: &[(&str, &str)]) -> SentParameters {
    let named = pairs.iter().map(|(name, value)| SentParameter {
        name: (*name).to_owned(),
        in_url: false,
        value: Some((*value).to_owned()),
    });
    SentParameters { named: named.collect(), ..SentParameters::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn s22_the_shell_takes_every_word_as_it_stands(
        id in "[ -~\n\u{e9}\u{202e}]{1,30}",
        path in "[a-z'\"$`\\\\;&|()<>*?!~{}\\[\\]-]{0,30}",
        scope in "[!#-Z^-~]{1,20}",
        value in "[ -~\n]{0,40}",
        at in 0_usize..Endpoint::ALL.len(),
        authentication in 0..2,
        grant_type in prop::sample::select(vec!["authorization_code", "refresh_token", "client_credentials", "$(id)"]),
    ) {
        let uri = format!("https://a.example/{path}");
        let client = Client {
            id: id.clone(),
            redirect_uris: RedirectUri::register(&uri).into_iter().collect(),
            scopes: Scope::parse(&scope).unwrap_or_default(),
            authentication: match authentication {
                0 => ClientAuthentication::None,
                _ => ClientAuthentication::Secret {
                    secrets: vec![ClientSecret::new("x".into()).digest()],
                },
            },
            ..fixtures::client()
        };
        let parameters = sent(&[
            ("grant_type", grant_type), ("redirect_uri", &value), ("scope", &value),
        ]);
        let endpoint = Endpoint::ALL[at];
        let call = Logged { endpoint, cause: None, parameters: &parameters };
        let words = words(&call_done_right(&call, &client, "https://auth.example"));
        prop_assert_eq!(&words[0], &format!("https://auth.example{}", endpoint.path()));
        let known = ["--data-urlencode", "--get", "--user", "--header"];
        let mut rest = words[1..].iter();
        while let Some(option) = rest.next() {
            prop_assert!(known.contains(&option.as_str()), "{:?}", words);
            if option != "--get" {
                let value = rest.next().unwrap();
                prop_assert!(option == "--user" || option == "--header" || value.contains('='));
            }
        }
        let has = |word: &str| words.iter().any(|held| held == word);
        if authentication == 0 {
            prop_assert!(has(&format!("client_id={id}")), "{:?}", words);
        }
        if matches!(endpoint, Endpoint::Authorize | Endpoint::PushedRequest)
            && let Some(uri) = client.redirect_uris.first()
        {
            prop_assert!(has(&format!("redirect_uri={}", uri.as_str())), "{:?}", words);
        }
    }
}

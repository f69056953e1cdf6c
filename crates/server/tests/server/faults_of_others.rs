//! Faults that other servers had, each tried here and named after its advisory.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::Arc;

use grantor::store::Store;
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::GrantStatus;
use grantor_protocol::redirect_uri::RedirectUri;

use crate::calls::{
    Call, VERIFIER, assert_opens, assert_unspent, challenge, connect, exchange_form, introspect,
    issue, issue_with, revoke, row, tokens,
};
use crate::dpop::{Key, Proof};
use crate::harness::{DEMO_REDIRECT_URI, Server, encode};
use crate::store::race;

const HERE: Environment = Environment::Staging;

/// A refresh token that is used by many at once gives one family, and an old one none.
async fn s15_cve_2026_1035_parallel_refreshes_make_no_second_family(server: Server) {
    let server = Arc::new(server);
    let client = Arc::new(server.client().await);
    let (first, id) = connect(&server, &client).await;
    let mut newest = first.text("refresh_token").to_owned();
    for _ in 0..4 {
        let answers = race(16, {
            let (server, client, token) = (server.clone(), client.clone(), newest.clone());
            move |_| {
                let (server, client, token) = (server.clone(), client.clone(), token.clone());
                async move { server.refresh(&client, &token).await }
            }
        })
        .await;
        let next = answers[0].text("refresh_token").to_owned();
        assert!(answers.iter().all(|answer| answer.text("refresh_token") == next));
        newest = next;
    }
    let GrantStatus::Active(active) = row(&server, id).await.status else { panic!("it ended") };
    assert_eq!(active.generation, 5);
    let reused = server.refresh(&client, first.text("refresh_token")).await;
    reused.assert_error(400, "invalid_grant", "used before");
    assert!(matches!(row(&server, id).await.status, GrantStatus::Revoked { .. }));
}

/// What was rotated away stays so when the server starts again.
async fn s15_cve_2026_9802_a_restart_forgets_no_rotation(server: Server) {
    let client = server.client().await;
    let (first, id) = connect(&server, &client).await;
    let old = first.text("refresh_token").to_owned();
    let second = server.refresh(&client, &old).await.text("refresh_token").to_owned();
    let third = server.refresh(&client, &second).await;
    assert_eq!(third.status, 200);
    let again = server.start_another().await;
    drop(server);
    let reused = again.refresh(&client, &old).await;
    reused.assert_error(400, "invalid_grant", "used before");
    assert!(matches!(row(&again, id).await.status, GrantStatus::Revoked { .. }));
    let ended = again.refresh(&client, third.text("refresh_token")).await;
    ended.assert_error(400, "invalid_grant", "The connection was ended");
}

/// A parameter that stands twice is read in one way by nobody: it is refused.
#[tokio::test]
async fn s5_cve_2026_9689_a_parameter_that_comes_twice_decides_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let good = server.authorize_url(&client, "");
    let evil = encode("https://evil.example/");
    for more in [
        format!("&redirect_uri={evil}"),
        format!("&redirect_uri[]={evil}"),
        "&client_id=somebody-else".to_owned(),
        format!("&redirect_uri={}", encode(&client.redirect_uri)),
    ] {
        let page = server.browser().get(&format!("{good}{more}")).await;
        assert_eq!(page.status, 400, "{more}: {}", page.text);
        assert_eq!(page.location(), "", "{more}");
    }
    let page = server.browser().get(&format!("{good}&scope=a&scope=financial-api")).await;
    page.assert_refused(&client.redirect_uri, "invalid_request", "'scope'");

    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    for (name, value) in [
        ("code", "another"),
        ("code", issued.code.as_str()),
        ("redirect_uri", "https://evil.example/"),
        ("grant_type", "refresh_token"),
        ("client_id", "somebody-else"),
    ] {
        let mut twice = form.clone();
        twice.push((name, value));
        if name == "client_id" {
            twice.push((name, &client.id));
        }
        let answer = Call::to(&server.staging).basic(&client).form(&twice).send().await;
        answer.assert_error(400, "invalid_request", "");
        assert_eq!(row(&server, issued.grant_id).await.status, GrantStatus::Pending);
        // In both places alike is how the guide's Postman and a library of its own may come together.
        if value != issued.code {
            let call = Call::to(&server.staging).basic(&client).query(&[(name, value)]);
            call.form(&form).send().await.assert_error(400, "invalid_request", "");
            assert_eq!(row(&server, issued.grant_id).await.status, GrantStatus::Pending);
        }
    }
    assert_unspent(&server, &client, &issued).await;
}

/// No cookie says anything of the request for which it was set.
#[tokio::test]
async fn s28_cve_2024_4540_no_cookie_holds_a_value_of_the_request() {
    let server = Server::start().await;
    let client = server.demo_client();
    let values = ["the-state-of-the-request", "the-nonce-of-the-request", "hint@example.com"];
    let [state, nonce, hint] = values;
    let url =
        server.authorize_url(&client, &format!("&state={state}&nonce={nonce}&login_hint={hint}"));
    let browser = server.browser();
    let sign_in = browser.get(&url).await;
    let fields = [("email", grantor::demo::CUSTOMER_EMAIL), ("password", grantor::demo::PASSWORD)];
    let signed_in = browser.submit(&sign_in, &fields).await;
    let mut seen = 0;
    for page in [&sign_in, &signed_in] {
        for cookie in page.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let value = cookie.split(['=', ';']).nth(1).unwrap();
            // A random id of 256 bits in Base64url has room for nothing else; a known browser's is a
            // seal over digests.
            assert!(value.len() == 43 || value.starts_with("gr_browser_"), "{cookie}");
            for secret in values.into_iter().chain([client.id.as_str(), DEMO_REDIRECT_URI]) {
                assert!(!cookie.contains(secret), "{cookie}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 2, "only {seen} cookies");
}

/// A scope of 50,000 characters is refused by its length, before anything is done with it.
#[tokio::test]
async fn s16_cve_2026_4634_a_huge_scope_is_refused_unread() {
    let server = Server::start().await;
    let client = server.client().await;
    let huge = "x".repeat(50_000);
    let asking = |pairs| server.authorize_url(&client, &format!("&scope={}", "a+".repeat(pairs)));
    // A head of that size is not even read.
    assert_eq!(server.browser().get(&asking(25_000)).await.status, 431);
    let page = server.browser().get(&asking(4_500)).await;
    page.assert_refused(&client.redirect_uri, "invalid_request", "'scope'");
    let living = tokens(&server, &client).await;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", living.text("refresh_token")),
        ("scope", huge.as_str()),
    ];
    server.token(&client, &form).await.assert_error(400, "invalid_request", "'scope'");
    // And wherever else a scope is read: its length is looked at, and nothing of it.
    for (path, own) in [
        ("/oauth/token", ("grant_type", "client_credentials")),
        ("/oauth/par", ("response_type", "code")),
        ("/oauth/device_authorization", ("client_id", client.id.as_str())),
    ] {
        for huge in [&huge, &"a ".repeat(12_000)] {
            let call = Call::at(&server.staging, path).basic(&client);
            let refused = call.form(&[own, ("scope", huge)]).send().await;
            refused.assert_error(400, "invalid_request", "'scope'");
        }
    }
    // In the claims of an assertion it makes that too long, before anything is decoded; and with
    // all that Base64 adds, no such body is read.
    for (bytes, status, words) in [(30_000, 400, "'client_assertion'"), (50_000, 413, "")] {
        let key = Key::new();
        let claims = serde_json::json!({ "iss": client.id, "scope": "x".repeat(bytes) });
        let header = serde_json::json!({ "alg": "ES256" });
        let assertion = key.sign(&Proof { header, claims });
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", kind),
            ("client_assertion", assertion.as_str()),
        ];
        let refused = Call::to(&server.staging).form(&form).send().await;
        refused.assert_error(status, "invalid_request", words);
    }
    assert_eq!(server.refresh(&client, living.text("refresh_token")).await.status, 200);
}

/// What resembles a registered redirect URI is none, whatever a browser would make of it.
#[tokio::test]
async fn s1_cve_2024_8883_what_resembles_a_registered_redirect_uri_is_none() {
    let server = Server::start().await;
    let registered = |uri: &str| vec![RedirectUri::register(uri).unwrap()];
    let loopback = server
        .client_with(HERE, |client| {
            client.redirect_uris = registered("http://127.0.0.1/callback");
        })
        .await;
    let web = server
        .client_with(HERE, |client| {
            client.redirect_uris = registered("https://app.example.com/cb");
        })
        .await;
    for (client, sent) in [
        (&loopback, "http://127.0.0.1:80@evil.example/callback"),
        (&loopback, "http://127.0.0.1#@evil.example/callback"),
        (&loopback, "http://127.0.0.1.evil.example/callback"),
        (&loopback, "http://localhost/callback"),
        (&loopback, "http://127.0.0.1:8080/callback/../evil"),
        (&loopback, "http://127.0.0.1:8080\\@evil.example/callback"),
        (&loopback, "https://127.0.0.1/callback"),
        (&web, "https://app.example.com/cb/../../evil"),
        (&web, "https://app.example.com/cb%2f..%2fevil"),
        (&web, "https://app.example.com\\@evil.example/cb"),
        (&web, "https://app.example.com;@evil.example/cb"),
        (&web, "https://app.example.com%00.evil.example/cb"),
        (&web, "https://app.example.com//cb"),
        (&web, "https://app.example.com/cb?x=https://evil.example"),
        (&web, "https://evil.example/?https://app.example.com/cb"),
        (&web, "javascript://app.example.com/cb"),
    ] {
        let url = server.url(&format!(
            "/oauth/authorize?client_id={}&response_type=code&redirect_uri={}",
            client.id,
            encode(sent)
        ));
        let page = server.browser().get(&url).await;
        assert_eq!(page.status, 400, "{sent}: {}", page.text);
        assert_eq!(page.location(), "", "{sent}");
    }
}

/// For a loopback address the port may differ, and nothing else does: no query, path or host.
#[tokio::test]
async fn s1_cve_2020_15233_the_port_alone_differs_at_a_loopback_address() {
    let server = Server::start().await;
    let client = server
        .client_with(HERE, |client| {
            let uris = ["http://127.0.0.1/callback", "https://app.example.com/Callback"];
            client.redirect_uris = uris.map(|uri| RedirectUri::register(uri).unwrap()).to_vec();
        })
        .await;
    let open = async |uri: &str| {
        let url = server.url(&format!(
            "/oauth/authorize?client_id={}&response_type=code&redirect_uri={}",
            client.id,
            encode(uri)
        ));
        server.browser().get(&url).await.status.as_u16()
    };
    for good in ["http://127.0.0.1:49152/callback", "http://127.0.0.1/callback"] {
        assert_eq!(open(good).await, 200, "{good}");
    }
    for evil in [
        "http://127.0.0.1:49152/callback?code=mine",
        "http://127.0.0.1:49152/other",
        "http://127.0.0.2:49152/callback",
        "http://[::1]:49152/callback",
        "http://user@127.0.0.1:49152/callback",
        "http://127.0.0.1:49152/callback#part",
    ] {
        assert_eq!(open(evil).await, 400, "{evil}");
    }
}

/// Paths are compared with their case.
#[tokio::test]
async fn s1_cve_2020_15234_a_redirect_uri_is_compared_with_its_case() {
    let server = Server::start().await;
    let client = server
        .client_with(HERE, |client| {
            client.redirect_uris =
                vec![RedirectUri::register("https://app.example.com/Callback").unwrap()];
        })
        .await;
    for (uri, status) in [
        ("https://app.example.com/Callback", 200),
        ("https://app.example.com/callback", 400),
        ("https://app.example.com/CALLBACK", 400),
        ("HTTPS://app.example.com/Callback", 400),
        ("https://APP.example.com/Callback", 400),
    ] {
        let url = server.url(&format!(
            "/oauth/authorize?client_id={}&response_type=code&redirect_uri={}",
            client.id,
            encode(uri)
        ));
        assert_eq!(server.browser().get(&url).await.status, status, "{uri}");
    }
}

/// What looks like a signed token of ours, by a key that this process has never seen.
fn of_an_unknown_key() -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = serde_json::json!({ "alg": "ES256", "typ": "at+jwt", "kid": "of-nobody" });
    format!("{}.{}.{}", part(header), part(serde_json::json!({})), URL_SAFE_NO_PAD.encode([7; 64]))
}

async fn assert_userinfo(server: &Server, token: &str, status: u16) {
    let call = reqwest::Client::new().get(server.url("/oauth/userinfo")).bearer_auth(token);
    assert_eq!(call.send().await.unwrap().status(), status);
}

/// A revocation that the store did not carry out is no 200.
async fn s17_cve_2020_15223_a_revocation_that_was_not_stored_is_not_acknowledged(server: Server) {
    let client = server.client().await;
    let (living, id) = connect(&server, &client).await;
    server.alter("ALTER TABLE grants RENAME TO elsewhere");
    for member in ["refresh_token", "access_token"] {
        let answer = revoke(&server, &client, living.text(member)).await;
        answer.assert_error(503, "temporarily_unavailable", "cannot answer just now");
    }
    server.alter("ALTER TABLE elsewhere RENAME TO grants");
    // Nor is that of a signed token whose key is not here, where the keys cannot be read: another
    // process may have made it.
    let signed = of_an_unknown_key();
    server.alter("ALTER TABLE installation RENAME TO elsewhere");
    server.clock.advance(1);
    let said = revoke(&server, &client, &signed).await;
    said.assert_error(503, "temporarily_unavailable", "cannot answer just now");
    let said = introspect(&server, &client, &signed).await;
    said.assert_error(503, "temporarily_unavailable", "cannot answer just now");
    assert_userinfo(&server, &signed, 503).await;
    server.alter("ALTER TABLE elsewhere RENAME TO installation");
    server.clock.advance(1);
    assert_eq!(revoke(&server, &client, &signed).await.status, 200);
    let said = introspect(&server, &client, &signed).await;
    assert_eq!(said.body, serde_json::json!({ "active": false }));
    assert_userinfo(&server, &signed, 401).await;
    assert!(matches!(row(&server, id).await.status, GrantStatus::Active(_)));
    assert_opens(&server, living.text("access_token"), true).await;
    assert_eq!(revoke(&server, &client, living.text("refresh_token")).await.status, 200);
    assert_opens(&server, living.text("access_token"), false).await;
}

/// A token of which something was cut off, or to which something was added, is none.
#[tokio::test]
async fn s10_ghsa_6mq3_xmgp_pjm5_a_token_that_was_cut_or_grew_is_none() {
    let server = Server::start().await;
    let client = server.client().await;
    let (living, id) = connect(&server, &client).await;
    let before = row(&server, id).await;
    for member in ["access_token", "refresh_token"] {
        let token = living.text(member);
        let cut = (1..token.len()).step_by(7).map(|at| token[..at].to_owned());
        let grown = ["A", "=", "==", ".", "%00", " x"].map(|more| format!("{token}{more}"));
        for changed in cut.chain(grown) {
            let said = introspect(&server, &client, &changed).await;
            assert_eq!(said.body, serde_json::json!({ "active": false }), "{changed}");
            assert_eq!(revoke(&server, &client, &changed).await.status, 200);
            if member == "refresh_token" {
                assert_eq!(server.refresh(&client, &changed).await.status, 400, "{changed}");
            } else if !changed.contains(' ') {
                assert_opens(&server, &changed, false).await;
            }
        }
    }
    assert_eq!(row(&server, id).await, before);
}

/// Who began with a challenge cannot end without its verifier, and nobody weakens it.
#[tokio::test]
async fn s6_cve_2024_22258_pkce_cannot_be_taken_back() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued =
        issue_with(&server.staging, &client, |grant| grant.code_challenge = Some(challenge()))
            .await;
    let form = exchange_form(&client, &issued);
    for verifier in [None, Some(""), Some("x".repeat(43).leak() as &str)] {
        let mut form = form.clone();
        form.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        let answer = server.token(&client, &form).await;
        assert_eq!(answer.status, 400, "{verifier:?}: {answer:?}");
        assert_eq!(row(&server, issued.grant_id).await.status, GrantStatus::Pending);
    }
    let mut right = form.clone();
    right.push(("code_verifier", VERIFIER));
    assert_eq!(server.token(&client, &right).await.status, 200);
    // RFC 9700 4.8.2: a verifier for a code that has no challenge was put in by somebody else.
    let plain = issue(&server.staging, &client).await;
    let mut added = exchange_form(&client, &plain);
    added.push(("code_verifier", VERIFIER));
    server.token(&client, &added).await.assert_error(400, "invalid_grant", "code_verifier");
    for more in ["&code_challenge=abc&code_challenge_method=plain", "&code_challenge_method=S256"] {
        let page = server.browser().get(&server.authorize_url(&client, more)).await;
        page.assert_refused(&client.redirect_uri, "invalid_request", "code_challenge");
    }
}

/// Nobody revokes what is another's.
async fn s17_cve_2016_6582_a_token_of_another_client_is_not_revoked(server: Server) {
    let (owner, other) = (server.client().await, server.client().await);
    let (living, id) = connect(&server, &owner).await;
    let before = row(&server, id).await;
    for member in ["access_token", "refresh_token"] {
        let answer = revoke(&server, &other, living.text(member)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(row(&server, id).await, before);
        assert_opens(&server, living.text("access_token"), true).await;
    }
    let store: &Store = &server.staging.store;
    assert_eq!(store.grant(HERE, id).await.unwrap(), Some(before));
}

on_both_engines! {
    s15_cve_2026_1035_parallel_refreshes_make_no_second_family,
    s15_cve_2026_9802_a_restart_forgets_no_rotation,
    s17_cve_2020_15223_a_revocation_that_was_not_stored_is_not_acknowledged,
    s17_cve_2016_6582_a_token_of_another_client_is_not_revoked,
}

//! What goes wrong in `grantor connect`, and that it is said.

use grantor_protocol::environment::Environment;

use crate::harness::{Page, query};
use crate::party::{LOOPBACK, Party, visit};
use crate::secrets::echo;

#[tokio::test]
async fn u4_u7_a_failure_says_which_well_known_mistake_it_was_and_what_to_do() {
    let party = Party::new().await;
    let wrong = party.begin_with(&[], "not-the-secret-of-this-client\n").await;
    visit(&party.server.browser().allow(&wrong.url).await).await;
    let answer = wrong.end().await;
    answer.refused(&[
        "the client secret is wrong",
        "invalid_client",
        "printf %s",
        "the server explains it at http",
    ]);

    let quoted = party.begin_with(&[], &format!("\"{}\"\n", party.client.secret)).await;
    assert!(quoted.said.contains("blanks or quotes around the client secret"), "{}", quoted.said);
    visit(&party.server.browser().allow(&quoted.url).await).await;
    quoted.end().await.refused(&["the client secret is wrong"]);

    let late = party.begin(&[]).await;
    let target = party.server.browser().allow(&late.url).await;
    party.server.clock.advance(120);
    visit(&target).await;
    late.end()
        .await
        .refused(&["the code came too late, or was used before", "expired 60 seconds ago"]);
    assert!(party.connections().all().unwrap().is_empty(), "nothing of it is kept");
}

#[tokio::test]
async fn a_denial_a_scope_and_an_answer_of_another_request_are_told_apart() {
    let party = Party::new().await;
    let denied = party.begin(&[]).await;
    let target = deny(&party, &denied.url).await;
    let (status, page) = visit(&target).await;
    assert!(status == 200 && page.contains("No access was given"), "{page}");
    denied.end().await.refused(&["the customer did not allow it", "access_denied"]);

    let scope = party.begin(&["--scope", "financial_api"]).await;
    visit(&party.server.browser().allow(&scope.url).await).await;
    scope.end().await.refused(&["a scope is misspelled", "Did you mean 'financial-api'?"]);
    for scope in ["financial-api,orders-api", "offline-access"] {
        let base_url = party.wire.base_url();
        let arguments = [&party.connect_arguments(&base_url)[..], &["--scope", scope]].concat();
        party.run_with(&arguments, "s\n").await.refused(&["separated by blanks"]);
    }

    // An older page must not end the wait of the one that counts.
    let mine = party.begin(&["--output", "token"]).await;
    let target = party.server.browser().allow(&mine.url).await;
    let (before, _) = target.split_once("state=").unwrap();
    let (status, page) = visit(&format!("{before}state=of-another-tab")).await;
    assert!(status == 400 && page.contains("belongs to another request"), "{page}");
    visit(&target).await;
    mine.end().await.line();
}

/// Whoever can make a server redirect, writes to the terminal of whoever connects.
#[tokio::test]
async fn what_a_redirect_says_moves_no_cursor_and_turns_no_text_around() {
    let party = Party::new().await;
    let connecting = party.begin(&[]).await;
    let answered = format!(
        "{}?error=access_denied&error_description=no%1B%5B2J%C2%9B2J%E2%80%AE%0Ahint%3A+run+this\
         &error_uri=https%3A%2F%2Fx%2F%E2%80%AE%1B&state={}&iss={}",
        query(&connecting.url, "redirect_uri").unwrap(),
        query(&connecting.url, "state").unwrap(),
        party.wire.base_url(),
    );
    visit(&answered).await;
    let answer = connecting.end().await;
    assert!(!answer.stderr.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{answer:?}");
    assert!(!answer.stderr.contains("\nhint: run this"), "{answer:?}");
    answer.refused(&["the customer did not allow it", "access_denied: no\u{fffd}"]);
}

#[tokio::test]
async fn the_other_environment_is_named_before_anybody_signs_in_and_after() {
    let party = Party::new().await;
    let base_url = party.wire.base_url();
    let id = party.client.id.as_str();
    let preset = ["--preset", "kseries-production", "--wait-seconds", "1"];
    let arguments = [&party.connect_arguments(&base_url)[..], &preset].concat();
    let answer = party.run_with(&arguments, &party.client.secret).await;
    answer.refused(&[
        "warning: staging and production are mixed up",
        "nobody came back within 1 seconds",
        "the redirect URI is not registered",
    ]);
    // Production knows no client of staging, and says so on a page that leads nowhere.
    let elsewhere = party.server.listening(Environment::Production);
    let child = party.command(&[
        "connect",
        "--no-browser",
        "--public",
        "--server",
        &elsewhere,
        "--client-id",
        id,
        "--wait-seconds",
        "1",
    ]);
    let connecting = crate::party::Connecting::read({ child }.spawn().unwrap()).await;
    party.server.browser().get(&connecting.url).await.assert_page(400, "not known here");
    connecting.end().await.refused(&["the client belongs to the other environment"]);
}

#[tokio::test]
async fn a_lost_answer_to_an_exchange_means_authorizing_again_and_it_says_so() {
    let party = Party::new().await;
    let connecting = party.begin(&[]).await;
    let target = party.server.browser().allow(&connecting.url).await;
    party.wire.lose(1);
    visit(&target).await;
    connecting.end().await.refused(&[
        "the code may have been used up, and no tokens came",
        "authorize again: run the same command once more",
    ]);
    assert_eq!(party.wire.token_calls(), 1, "a code is sent once");
    assert_eq!(party.generation(), 1, "the server has acted");
    party.connect(&[]).await.done();
}

/// The code is thrown away and nothing is connected: no word may say that trying again is enough.
#[tokio::test]
async fn a_server_that_is_busy_at_an_exchange_means_authorizing_again_and_it_says_so() {
    let party = Party::new().await;
    for (status, body) in [
        (429, "slow down"),
        (429, r#"{"error":"temporarily_unavailable"}"#),
        (503, r#"{"error":"temporarily_unavailable"}"#),
    ] {
        party.wire.answer_instead(status, body);
        let answer = party.connect(&[]).await;
        let answer = answer.refused(&["the server cannot answer just now", "authorize again"]);
        assert!(!answer.stderr.contains("stays as it is"), "{answer:?}");
    }
    assert!(party.connections().all().unwrap().is_empty());
}

#[tokio::test]
async fn a_lost_answer_without_a_code_asks_nobody_to_authorize_again() {
    let party = Party::connected(|_| ()).await;
    let silent = echo(None).await;
    let arguments = ["connect", "--public", "--client-id", "me", "--server", &silent];
    let found = party.run(&arguments).await.refused(&["was not found out about", "lost"]);
    party.change(|connection| connection.server.revocation_endpoint = Some(silent.clone())).await;
    let ended = party.run(&["logout"]).await.refused(&[
        "mine was not ended: the answer was lost on its way",
        "run the same command once more",
        "it is kept",
    ]);
    party.change(|connection| connection.server.api_url.clone_from(&silent)).await;
    let called = party.run(&["api", "GET", "/f"]).await;
    let called = called.refused(&["/f was not answered", "look whether the API has done it"]);
    for answer in [found, ended, called] {
        assert!(!answer.stderr.contains("authorize"), "{answer:?}");
        assert!(!answer.stderr.contains("a code"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_is_none_is_told_and_a_secret_goes_nowhere_without_tls() {
    let party = Party::new().await;
    let connect = async |server: &str| {
        let server =
            ["connect", "--no-browser", "--public", "--client-id", "me", "--server", server];
        party.run(&server).await
    };
    connect("http://127.0.0.1:9").await.refused(&["the server cannot be reached"]);
    connect("http://api.example.com").await.refused(&["neither https nor on this machine"]);
    let page = format!("{}/docs", party.wire.base_url());
    connect(&page).await.refused(&["does not describe an authorization server", "--preset"]);
    let named = party.wire.base_url().replace("127.0.0.1", "localhost");
    connect(&named).await.refused(&["says that it is http://127.0.0.1"]);
    let base_url = party.wire.base_url();
    let nobody = ["connect", "--server", &base_url, "--client-id", "me"];
    party
        .run(&nobody)
        .await
        .refused(&["there is no client secret, and nobody to ask for it", "--client-secret-stdin"]);
    party
        .run(&["connect", "--client-id", "me"])
        .await
        .refused(&["no server is named", "--preset NAME"]);
    assert!(LOOPBACK.starts_with("http://127.0.0.1"));
}

/// Walks to the consent page and presses Deny.
async fn deny(party: &Party, url: &str) -> String {
    let browser = party.server.browser();
    let mut page: Page = browser.get(url).await;
    for _ in 0..8 {
        if let Some(target) = page.leaves() {
            return target;
        }
        if page.status.as_u16() == 303 {
            page = browser.get(&page.absolute(&page.location())).await;
            continue;
        }
        page = match page.step().as_deref() {
            Some("sign_in") => browser.sign_in(&page).await,
            Some("businesses") => {
                let all = page.values("business");
                let fields: Vec<(&str, &str)> =
                    all.iter().map(|id| ("business", id.as_str())).collect();
                browser.submit(&page, &fields).await
            }
            _ => browser.submit(&page, &[("decision", "deny")]).await,
        };
    }
    panic!("no redirect: {}", page.text)
}

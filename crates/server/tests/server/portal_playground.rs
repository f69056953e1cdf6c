//! The playground and the exports.

use std::io::Write as _;
use std::process::{Command, Stdio};

use grantor::demo;
use grantor::snippet::{Call, Language, Step};
use grantor_protocol::environment::Environment;
use proptest::prelude::*;
use reqwest::StatusCode;

use crate::harness::{Browser, Page, Server, TestClient, query, unescape};
use crate::portal_test_customers::{developer, other_partner, portal, post, signed_in};

fn id() -> &'static str {
    demo::client_id(Environment::Staging)
}

fn playground(server: &Server) -> String {
    portal(server, &format!("/apps/{}/playground", id()))
}

/// The address of the first step, as the page links it.
fn first_step(page: &Page) -> String {
    let mut links = page.text.split("href=\"");
    let link = links.find(|link| link.starts_with("http") && link.contains("/oauth/authorize"));
    let link = link.unwrap_or_else(|| panic!("no link in {}", page.text));
    unescape(link.split('"').next().unwrap())
}

/// The form of a page, with what it holds and these fields.
async fn step(server: &Server, browser: &Browser, page: &Page, fields: &[(&str, &str)]) -> Page {
    let names = [
        "csrf_token",
        "code",
        "state",
        "access_token",
        "refresh_token",
        "former_refresh_token",
        "scope",
    ];
    let mut form: Vec<(&str, String)> = Vec::new();
    for name in names {
        form.extend(page.values(name).pop().map(|value| (name, value)));
    }
    form.extend(fields.iter().map(|(name, value)| (*name, (*value).to_owned())));
    post(browser, &playground(server), &form).await
}

/// Registers the callback, and comes to the page with the code.
async fn arrive(server: &Server, browser: &Browser, options: &str) -> Page {
    let page = browser.get(&playground(server)).await;
    if page.text.contains("Add this redirect URI") {
        let answer = step(server, browser, &page, &[("step", "register")]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    }
    let page = browser.get(&format!("{}{options}", playground(server))).await;
    let target = server.browser().allow(&first_step(&page)).await;
    assert!(target.starts_with(&portal(server, "/playground/callback?")), "{target}");
    browser.get(&target).await
}

fn secret() -> &'static str {
    demo::client_secret(Environment::Staging)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u12_the_playground_walks_the_guides_steps_shows_all_of_it_and_keeps_no_secret() {
    let server = Server::start().await;
    let browser = developer(&server).await;
    let page = browser.get(&playground(&server)).await;
    page.assert_page(200, "Add this redirect URI");
    assert!(!page.text.contains("/oauth/authorize?"));

    let arrived = arrive(&server, &browser, "").await;
    arrived.assert_page(200, "Step 2: the code is here");
    arrived.assert_page(200, "state is the one that this browser sent.");
    arrived.assert_page(200, "GET /playground/callback?code=gr_code_");

    let wrong = [("step", "exchange"), ("way", "form"), ("secret", "not the secret")];
    let refused = step(&server, &browser, &arrived, &wrong).await;
    refused.assert_page(200, "HTTP/1.1 401 Unauthorized");
    refused.assert_page(200, "invalid_client");

    // The code was not burned: the page still holds it.
    let sent = [("step", "exchange"), ("way", "form"), ("secret", secret())];
    let token = step(&server, &browser, &refused, &sent).await;
    token.assert_page(200, "Step 7: a working token");
    token.assert_page(200, "POST /oauth/token HTTP/1.1");
    token.assert_page(200, "grant_type=authorization_code");
    token.assert_page(200, "Authorization: Basic ");
    token.assert_page(200, "cache-control: no-store");
    token.assert_page(200, "\"access_token\":\"gr_access_");
    // The secret stands in the field of the form that is open, and nowhere else on the page.
    assert_eq!(token.text.matches(secret()).count(), 1);

    let more = [("secret", secret()), ("step", "api")];
    let called = step(&server, &browser, &token, &more).await;
    called.assert_page(200, "GET /f/data/businesses HTTP/1.1");
    called.assert_page(200, "9765040300495493");
    let introspect = [("secret", secret()), ("step", "introspect")];
    let asked = step(&server, &browser, &called, &introspect).await;
    asked.assert_page(200, "\"active\":true");
    let fresh =
        step(&server, &browser, &called, &[("secret", secret()), ("step", "refresh")]).await;
    fresh.assert_page(200, "grant_type=refresh_token");
    assert_ne!(fresh.hidden("refresh_token"), called.hidden("refresh_token"));
    let again = step(&server, &browser, &fresh, &[("secret", secret()), ("step", "repeat")]).await;
    again.assert_page(200, "Used twice, and forgiven");
    assert_eq!(again.hidden("refresh_token"), fresh.hidden("refresh_token"));
    let ended = step(&server, &browser, &again, &[("secret", secret()), ("step", "revoke")]).await;
    ended.assert_page(200, "POST /oauth/revoke HTTP/1.1");
    let after = step(&server, &browser, &ended, &[("secret", secret()), ("step", "api")]).await;
    after.assert_page(200, "HTTP/1.1 401 Unauthorized");

    // No row has any of it.
    for text in [secret(), &fresh.hidden("refresh_token"), &arrived.hidden("code")] {
        let database = std::fs::read(server.folder.path().join("grantor.db")).unwrap();
        let log = std::fs::read(server.folder.path().join("grantor.db-wal")).unwrap_or_default();
        for bytes in [&database, &log] {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
        }
    }
    assert!(browser.get(&playground(&server)).await.header("set-cookie").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u12_the_exchange_goes_letter_by_letter_as_in_the_guide_too_and_with_pkce() {
    let server = Server::start().await;
    let browser = developer(&server).await;
    let arrived = arrive(&server, &browser, "").await;
    let sent = [("step", "exchange"), ("way", "guide"), ("secret", secret())];
    let token = step(&server, &browser, &arrived, &sent).await;
    token.assert_page(200, "Step 7: a working token");
    token.assert_page(200, "POST /oauth/token?code=gr_code_");
    token.assert_page(
        200,
        &format!("&grant_type=authorization_code&client-id={}&redirect_uri=", id()),
    );
    token.assert_page(200, "Content-Length: 0");

    let page = browser.get(&format!("{}?pkce=1&scope=orders-api", playground(&server))).await;
    assert_eq!(query(&first_step(&page), "code_challenge_method").as_deref(), Some("S256"));
    assert_eq!(query(&first_step(&page), "scope").as_deref(), Some("orders-api"));
    let arrived = arrive(&server, &browser, "?pkce=1&scope=orders-api").await;
    let sent = [("step", "exchange"), ("way", "form"), ("secret", secret())];
    let token = step(&server, &browser, &arrived, &sent).await;
    token.assert_page(200, "code_verifier=gr_verifier_");
    token.assert_page(200, "\"scope\":\"orders-api\"");
    let called = step(&server, &browser, &token, &[("step", "api")]).await;
    called.assert_page(200, "GET /o/op/data/businesses HTTP/1.1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u12_a_public_client_plays_without_a_secret_and_always_with_pkce() {
    let server = Server::start().await;
    let browser = developer(&server).await;
    let new = browser.get(&portal(&server, "/apps/new")).await;
    let form = [
        ("csrf_token", new.hidden("csrf_token")),
        ("name", "Pocket Planner".to_owned()),
        ("redirect_uris", portal(&server, "/playground/callback")),
        ("scopes", "financial-api".to_owned()),
        ("kind", "public".to_owned()),
    ];
    let made = post(&browser, &portal(&server, "/apps/new"), &form).await;
    let id =
        made.text.split("/apps/").find(|link| link.starts_with("devp-staging-pocket")).unwrap();
    let own = portal(&server, &format!("/apps/{}/playground", id.split('/').next().unwrap()));
    let page = browser.get(&own).await;
    page.assert_page(200, "This app always uses PKCE.");
    let arrived = browser.get(&server.browser().allow(&first_step(&page)).await).await;
    arrived.assert_page(200, "proves with PKCE that it began");
    let mut fields: Vec<(&str, String)> =
        ["csrf_token", "code", "state"].map(|name| (name, arrived.hidden(name))).to_vec();
    fields.push(("step", "exchange".to_owned()));
    let token = post(&browser, &own, &fields).await;
    token.assert_page(200, "Step 7: a working token");
    assert!(!unescape(&token.text).contains("Authorization: Basic"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u12_s9_a_callback_that_another_browser_began_is_refused_and_its_code_is_not_shown() {
    let server = Server::start().await;
    let browser = developer(&server).await;
    arrive(&server, &browser, "").await;
    let page = browser.get(&playground(&server)).await;
    let target = server.browser().allow(&first_step(&page)).await;
    let code = query(&target, "code").unwrap();

    let other = developer(&server).await;
    let planted = other.get(&target).await;
    planted.assert_page(409, "made for another browser");
    assert!(!planted.text.contains(&code));
    for (address, words) in [
        (format!("/playground/callback?code={code}"), "carries no state"),
        (format!("/playground/callback?code={code}&state=gr_state_x"), "none that this playground"),
    ] {
        browser.get(&portal(&server, &address)).await.assert_page(409, words);
    }
    // Nobody is signed in: the code is not carried on.
    let stranger = server.browser().get(&target).await;
    assert_eq!(stranger.location(), "/sign-in?next=%2Fapps");
    // A customer who says no is no fault.
    let state = query(&target, "state").unwrap();
    let denied = format!(
        "/playground/callback?error=access_denied&state={state}&iss={}",
        crate::harness::encode(&server.staging.base_url)
    );
    browser.get(&portal(&server, &denied)).await.assert_page(200, "the customer said no");
    // Nor is a code of another issuer taken (RFC 9207).
    let mixed =
        format!("/playground/callback?code={code}&state={state}&iss=https%3A%2F%2Fevil.example");
    let mixed = browser.get(&portal(&server, &mixed)).await;
    mixed.assert_page(200, "Step 2: there is no code");
    assert!(mixed.values("code").is_empty());
    server.clock.advance(3600);
    browser.get(&target).await.assert_page(409, "more than half an hour ago");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_playground_is_for_ones_own_client_on_staging_and_takes_forms_of_ours_alone() {
    let server = Server::start().await;
    let browser = developer(&server).await;
    let production = demo::client_id(Environment::Production);
    let page = browser.get(&portal(&server, &format!("/apps/{production}/playground"))).await;
    page.assert_page(404, "There is no such page");
    let stranger = other_partner(&server).await;
    stranger.get(&playground(&server)).await.assert_page(404, "There is no such page");
    let files = format!("/apps/{}/exports", id());
    stranger.get(&portal(&server, &files)).await.assert_page(404, "There is no such page");
    let manager = signed_in(&server, demo::MANAGER_EMAIL).await;
    manager.get(&playground(&server)).await.assert_page(403, "not yours to do");
    let forged = [("step", "register".to_owned())];
    let forged = post(&browser, &playground(&server), &forged).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let record = server.portal.store.client(id()).await.unwrap().unwrap();
    let uris: Vec<&str> = record.client.redirect_uris.iter().map(|uri| uri.as_str()).collect();
    assert!(!uris.iter().any(|uri| uri.contains("playground")), "{uris:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u13_the_downloads_hold_the_apps_own_id_and_addresses_and_never_a_secret() {
    let server = Server::start().await;
    let browser = developer(&server).await;
    let page = browser.get(&portal(&server, &format!("/apps/{}/exports", id()))).await;
    page.assert_page(200, "HTTPie");
    for (name, words) in [
        ("grantor.postman_collection.json", "{{base_url}}/oauth/token"),
        ("grantor-staging.postman_environment.json", id()),
        ("grantor-production.postman_environment.json", server.production.base_url.as_str()),
    ] {
        assert!(page.text.contains(&format!("/exports/{name}")), "{name}");
        let file = browser.get(&portal(&server, &format!("/apps/{}/exports/{name}", id()))).await;
        assert_eq!(file.status, StatusCode::OK);
        assert_eq!(file.header("content-disposition"), format!("attachment; filename=\"{name}\""));
        let content: serde_json::Value = serde_json::from_str(&file.text).unwrap();
        assert!(content.to_string().contains(words), "{name}: {content}");
        assert!(!file.text.contains(secret()));
    }
    let none = browser.get(&portal(&server, &format!("/apps/{}/exports/other.json", id()))).await;
    none.assert_page(404, "There is no such page");
}

fn call(base_url: &str, client_id: &str, redirect_uri: &str, step: Step) -> Call {
    Call {
        base_url: base_url.to_owned(),
        client_id: client_id.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        step,
    }
}

/// The interpreter of a language, where it is here.
fn interpreter(language: Language) -> Option<Command> {
    let (program, arguments): (&str, &[&str]) = match language {
        Language::Curl | Language::HttPie => ("bash", &["-s"]),
        Language::JavaScript => ("node", &["--input-type=module", "-"]),
        Language::Python => ("python3", &["-"]),
        Language::Php => ("php", &[]),
        Language::CSharp | Language::Rust => return None,
    };
    let mut version = Command::new(program);
    match language {
        // The package that the program imports.
        Language::Python => version.args(["-c", "import requests"]),
        Language::HttPie => version.args(["-c", "http --version"]),
        _ => version.arg("--version"),
    };
    let found = version.stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success()).then(|| {
        let mut command = Command::new(program);
        command.args(arguments);
        command
    })
}

fn run(mut command: Command, program: &str) -> std::process::Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(program.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

async fn walk(server: &Server, client: &TestClient, language: Language) -> bool {
    let Some(command) = interpreter(language) else {
        return false;
    };
    let mut command = Some(command);
    let mut refresh_token = String::new();
    for step in [Step::Exchange, Step::Refresh] {
        let mut command = command.take().or_else(|| interpreter(language)).unwrap();
        command.env("CLIENT_SECRET", &client.secret);
        match step {
            Step::Exchange => command.env("CODE", server.code(client, "").await),
            Step::Refresh => command.env("REFRESH_TOKEN", &refresh_token),
        };
        let program =
            language.write(&call(&server.staging.base_url, &client.id, &client.redirect_uri, step));
        let output = tokio::task::spawn_blocking(move || run(command, &program)).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{language:?} {step:?}: {text} {errors}");
        let answer: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        refresh_token = answer["refresh_token"].as_str().unwrap().to_owned();
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u13_the_programs_of_the_export_get_a_token_and_refresh_it() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut walked = 0;
    for language in Language::ALL {
        walked += usize::from(walk(&server, &client, language).await);
    }
    assert!(walked >= 1, "not even bash and curl are here");
}

/// Whether the interpreter takes the program, without running it.
fn is_sound(language: Language, program: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (program_name, arguments, file): (&str, &[&str], &str) = match language {
        Language::Curl | Language::HttPie => ("bash", &["-n"], "a.sh"),
        Language::JavaScript => ("node", &["--check"], "a.mjs"),
        Language::Python => ("python3", &["-m", "py_compile"], "a.py"),
        Language::Php => ("php", &["-l"], "a.php"),
        Language::Rust => ("rustfmt", &["--edition", "2024", "--emit", "stdout"], "a.rs"),
        Language::CSharp => return true,
    };
    let path = folder.path().join(file);
    std::fs::write(&path, program).unwrap();
    match Command::new(program_name).args(arguments).arg(&path).output() {
        Ok(output) => output.status.success(),
        Err(_) => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn u13_a_program_stays_sound_whatever_the_id_and_the_address_hold(
        id in "[a-z0-9'\"`$(){};|&<>#!%*?~\\\\\n\u{2028}\u{202E}é -]{0,40}",
        uri in "https://[a-z'\"`$(){};\\\\\n]{1,30}",
    ) {
        for language in Language::ALL {
            for step in [Step::Exchange, Step::Refresh] {
                let program = language.write(&call("https://api.example", &id, &uri, step));
                prop_assert!(is_sound(language, &program), "{language:?}: {program}");
            }
        }
    }

    #[test]
    fn u13_a_shell_passes_on_exactly_the_id_and_the_address(
        id in "[a-z0-9'\"`$(){};|&<>#!%*?~\\\\\n -]{0,40}",
        uri in "https://[a-z'\"`$(){};\\\\\n]{1,30}",
    ) {
        let program = Language::Curl.write(&call("https://api.example", &id, &uri, Step::Exchange));
        // In the place of curl: a function that prints what it got.
        let program = format!("curl() {{ printf '%s\\0' \"$@\"; }}\nCLIENT_SECRET=s CODE=c\n{program}");
        let mut bash = Command::new("bash");
        bash.arg("-s");
        let output = run(bash, &program);
        let text = String::from_utf8(output.stdout).unwrap();
        let arguments: Vec<&str> = text.split('\0').collect();
        prop_assert_eq!(arguments[3], format!("{id}:s"));
        prop_assert_eq!(*arguments.get(9).unwrap(), format!("redirect_uri={uri}"));
    }
}

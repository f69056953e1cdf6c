//! `grantor connect`, from a client id to a token, and what goes on from there.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Duration;

use grantor_protocol::client::ClientSettings;
use serde_json::json;

use crate::harness::query;
use crate::party::{Connecting, LOOPBACK, Party, browser, led_to, modes, visit, written};
use crate::secrets::echo;

#[tokio::test]
async fn u11_one_command_completes_a_code_flow_over_loopback_and_each_form_gives_the_same_token() {
    let party = Party::new().await;
    let answer = party.connect(&[]).await.json();
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["scope"], "financial-api orders-api");
    assert!((3500..=3600).contains(&answer["expires_in"].as_i64().unwrap()), "{answer}");
    assert!(answer.get("refresh_token").is_none(), "{answer}");
    let host = party.wire.base_url().replace("http://", "");
    assert_eq!(answer["connection"], format!("{}@{host}", party.client.id));
    assert_eq!(party.wire.token_calls(), 1);

    for (form, expected) in
        [("token", token.to_owned()), ("header", format!("Authorization: Bearer {token}"))]
    {
        assert_eq!(party.run(&["token", "--output", form]).await.line(), expected);
    }
    let env = party.run(&["token", "--output", "env"]).await.done().stdout;
    assert!(
        env.starts_with(&format!("GRANTOR_ACCESS_TOKEN={token}\nGRANTOR_TOKEN_EXPIRES_AT=")),
        "{env}"
    );
    let json = party.run(&["token", "--output", "json"]).await.json();
    assert_eq!(json["access_token"], answer["access_token"]);
    assert_eq!(party.wire.token_calls(), 1, "a valid token is not renewed");

    let businesses = party.run(&["api", "GET", "/f/data/businesses"]).await.json();
    assert_eq!(businesses["_embedded"]["businessList"][0]["businessId"], 9765040300495493_i64);
    let missing = party.run(&["api", "get", "/f/nothing"]).await;
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("the API answered 404"), "{missing:?}");
    for path in ["https://evil.example/", "f/data", "@evil.example/"] {
        party.run(&["api", "GET", path]).await.refused(&["is not a path"]);
    }
}

#[tokio::test]
async fn s17_logout_ends_the_connection_at_the_server_and_then_forgets_it() {
    let party = Party::connected(|_| ()).await;
    let token = party.run(&["token"]).await.line();
    let listed = party.run(&["connections", "list", "--json"]).await.json();
    let shown = party.run(&["connections", "show", "mine", "--json"]).await.json();
    assert_eq!(listed, json!({ "connections": [shown] }));
    assert_eq!((&shown["state"], &shown["renewable"]), (&json!("valid"), &json!(true)));
    for secret in [&token, &party.client.secret] {
        assert!(!shown.to_string().contains(secret.as_str()), "{shown}");
    }
    party.run(&["logout", "nothing"]).await.refused(&["there is no connection nothing"]);
    let ended = party.run(&["logout", "--json"]).await.json();
    assert_eq!(ended, json!({ "connection": "mine", "changed": true }));
    let url = party.server.url("/f/data/businesses");
    let api = reqwest::Client::new().get(url).bearer_auth(&token).send().await.unwrap();
    assert_eq!(api.status().as_u16(), 401);
    party.run(&["token", "mine"]).await.refused(&["there is no connection mine"]);
    party.run(&["token"]).await.refused(&["nothing is connected"]);
}

#[tokio::test]
async fn the_api_may_be_elsewhere_and_one_that_refuses_the_token_is_told() {
    let party = Party::new().await;
    let elsewhere = party.server.production.base_url.clone();
    party.connect(&["--name", "mine", "--api", &elsewhere]).await.done();
    let shown = party.run(&["connections", "show", "--json"]).await.json();
    assert_eq!(shown["api_url"], elsewhere);
    let answer = party.run(&["api", "GET", "/f/data/businesses"]).await;
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("the API answered 401"), "{answer:?}");
    assert!(answer.stderr.contains("grantor connections show"), "{answer:?}");
    assert_eq!(party.generation(), 2, "a refused token is replaced once");
    let base_url = party.wire.base_url();
    let open = [&party.connect_arguments(&base_url)[..], &["--api", "http://example.com"]].concat();
    party.run_with(&open, "s\n").await.refused(&["neither https nor on this machine"]);
}

#[tokio::test]
async fn where_the_server_cannot_be_told_a_connection_is_kept_and_forgetting_is_a_word_of_its_own()
{
    let party = Party::connected(|_| ()).await;
    party
        .change(|connection| {
            connection.server.revocation_endpoint = Some("http://127.0.0.1:9/oauth/revoke".into());
        })
        .await;
    party.run(&["logout"]).await.refused(&[
        "mine was not ended",
        "cannot be reached",
        "it is kept",
    ]);
    party.change(|connection| connection.server.revocation_endpoint = None).await;
    party.run(&["logout"]).await.refused(&["has no address at which a token can be given back"]);
    party.run(&["token"]).await.done();
    party.run(&["connections", "forget", "mine"]).await.refused(&["Nobody is there to say yes"]);
    party.run(&["connections", "forget", "mine", "--yes"]).await.done();
    party
        .run(&["connections", "forget", "mine", "--yes"])
        .await
        .refused(&["there is no connection"]);
}

#[tokio::test]
async fn the_latest_connection_is_meant_where_none_is_named() {
    let party = Party::connected(|_| ()).await;
    party.change(|connection| connection.connected_at -= 10).await;
    let second = party.connect(&["--name", "second", "--output", "token"]).await.line();
    assert_eq!(party.run(&["token"]).await.line(), second);
    assert_ne!(party.run(&["token", "mine"]).await.line(), second);
    let people = party.run(&["connections", "list"]).await.done();
    let names: Vec<&str> =
        people.stdout.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["second", "mine"], "{people:?}");
}

#[tokio::test]
async fn a_redirect_uri_elsewhere_is_pasted_as_an_address_or_as_a_code_alone() {
    let party = Party::with("https://mycompany.com/redirection/ikentoo", |_| ()).await;
    for whole in [true, false] {
        let mut connecting = party.begin(&["--output", "token"]).await;
        let target = party.server.browser().allow(&connecting.url).await;
        let pasted = if whole { target } else { query(&target, "code").unwrap() };
        connecting.paste(&pasted).await;
        let token = connecting.end().await.line();
        assert!(token.starts_with("gr_access_"), "{token}");
    }
    let connecting = party.begin(&[]).await;
    let mut other = party.begin(&[]).await;
    other.paste(&party.server.browser().allow(&connecting.url).await).await;
    other.end().await.refused(&["the answer belongs to another request"]);
}

#[tokio::test]
async fn a_preset_sends_the_exchange_in_the_query_as_the_guide_does_and_refreshes_in_the_body() {
    let party = Party::new().await;
    let connecting =
        party.begin(&["--preset", "kseries-staging", "--name", "mine", "--explain"]).await;
    assert!(!connecting.url.contains("code_challenge"), "{}", connecting.url);
    visit(&party.server.browser().allow(&connecting.url).await).await;
    let answer = connecting.end().await.done();
    assert!(answer.stderr.contains("/oauth/token?code="), "{answer:?}");
    assert!(answer.stderr.contains(&format!("&client-id={}", party.client.id)), "{answer:?}");
    let before = party.run(&["token"]).await.line();
    party.expire().await;
    let after = party.run(&["token"]).await.line();
    assert_ne!(before, after);
    assert_eq!(party.generation(), 2);
}

#[tokio::test]
async fn s6_a_public_client_proves_itself_by_its_verifier_alone() {
    let party = Party::with(LOOPBACK, |client| client.secret = None).await;
    let base_url = party.wire.base_url();
    let arguments = ["connect", "--no-browser", "--public", "--server", &base_url];
    let child = party.command(&[&arguments[..], &["--client-id", &party.client.id]].concat());
    let connecting = Connecting::read({ child }.spawn().unwrap()).await;
    assert!(connecting.url.contains("code_challenge_method=S256"), "{}", connecting.url);
    visit(&party.server.browser().allow(&connecting.url).await).await;
    connecting.end().await.json();
    let name = party.connections().latest().unwrap().unwrap().name;
    party.run(&["token", &name, "--valid-for", "86400"]).await.done();
    assert_eq!(party.generation(), 2);
}

#[tokio::test]
async fn the_guides_seven_steps_are_explained_with_raw_requests_and_no_secret() {
    let party = Party::new().await;
    let connecting = party.begin(&["--explain"]).await;
    let target = party.server.browser().allow(&connecting.url).await;
    visit(&target).await;
    let answer = connecting.end().await.done();
    for step in 1..=7 {
        assert!(answer.stderr.contains(&format!("{step}. ")), "{step}: {answer:?}");
    }
    for shown in [
        "POST http://",
        "grant_type=authorization_code",
        "HTTP 200",
        "code_verifier=",
        "Authorization: Basic ",
    ] {
        assert!(answer.stderr.contains(shown), "{shown}: {answer:?}");
    }
    let connection = party.connections().latest().unwrap().unwrap();
    for secret in [
        connection.tokens.access_token.expose(),
        connection.tokens.refresh_token.as_ref().unwrap().expose(),
        &query(&target, "code").unwrap(),
        &party.client.secret,
    ] {
        assert!(!answer.stderr.contains(secret), "{answer:?}");
    }
}

#[tokio::test]
async fn s28_nothing_secret_is_in_the_arguments_of_any_process_nor_in_the_environment_of_the_browser()
 {
    let party = Party::new().await;
    let seen = party.folder.path().join("seen");
    let line = format!("(echo \"$@\"; env) > {0}.new\nmv {0}.new {0}", seen.display());
    let browser = browser(party.folder.path(), &line);
    let base_url = party.wire.base_url();
    let mut command =
        party.command(&["connect", "--server", &base_url, "--client-id", &party.client.id]);
    command.env("BROWSER", &browser).env("GRANTOR_CLIENT_SECRET", &party.client.secret);
    let connecting = Connecting::read(command.spawn().unwrap()).await;
    let process = connecting.child.id().unwrap();
    let arguments = std::fs::read(format!("/proc/{process}/cmdline")).unwrap();
    let seen = written(&seen).await;
    let (opened, _) = seen.split_once('\n').unwrap();
    let page = url::Url::parse(opened).unwrap().to_file_path().unwrap();
    let mode = std::fs::metadata(&page).unwrap().permissions().mode() & 0o777;
    assert_eq!((page.parent(), mode), (Some(party.connections_folder().as_path()), 0o600));
    // What is said for people, and where the browser goes by itself, is the same.
    let url = led_to(opened);
    assert_eq!(url, connecting.url);
    let target = party.server.browser().allow(&url).await;
    visit(&target).await;
    connecting.end().await.json();
    assert!(!page.exists(), "the page stays behind");
    let secrets = [
        party.client.secret.clone(),
        query(&target, "code").unwrap(),
        query(&url, "state").unwrap(),
        query(&url, "code_challenge").unwrap(),
    ];
    for place in [String::from_utf8_lossy(&arguments).into_owned(), seen] {
        for secret in &secrets {
            assert!(!place.contains(secret), "{place}");
        }
    }
}

#[tokio::test]
async fn s28_a_command_that_is_stopped_takes_the_page_of_the_browser_along() {
    let party = Party::new().await;
    let base_url = party.wire.base_url();
    let arguments = ["connect", "--public", "--server", &base_url, "--client-id", "me"];
    let pages = || {
        let files = std::fs::read_dir(party.connections_folder()).unwrap();
        let is_page = |path: &std::path::Path| path.extension().is_some_and(|end| end == "html");
        files.filter(|file| is_page(&file.as_ref().unwrap().path())).count()
    };
    // The last one comes where the terminal is closed.
    for signal in ["-INT", "-TERM", "-HUP"] {
        let mut command = party.command(&arguments);
        command.env("BROWSER", "true");
        let connecting = Connecting::read(command.spawn().unwrap()).await;
        assert_eq!(pages(), 1);
        send(signal, &connecting).await;
        connecting.end().await.refused(&["it was stopped before it was connected"]);
        assert_eq!(pages(), 0, "{signal}");
    }
}

/// The code is spent then, and the connection may stand at the server.
#[tokio::test]
async fn who_stops_the_command_during_the_exchange_still_hears_what_became_of_it() {
    let party = Party::new().await;
    let connecting = party.begin(&[]).await;
    let target = party.server.browser().allow(&connecting.url).await;
    party.wire.hold();
    visit(&target).await;
    party.wire.held().await;
    for signal in ["-INT", "-HUP"] {
        send(signal, &connecting).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    party.wire.hang_up();
    connecting.end().await.refused(&["the code may have been used up", "authorize again"]);
    assert_eq!(party.generation(), 1, "the server has acted");
}

#[tokio::test]
async fn a_code_is_spent_in_time_while_another_process_renews_a_connection_of_that_name() {
    let party = Party::connected(|_| ()).await;
    let connecting = party.begin(&["--name", "mine"]).await;
    let target = party.server.browser().allow(&connecting.url).await;
    let lock = party.connections().lock("mine").await.unwrap();
    let before = party.wire.token_calls();
    visit(&target).await;
    let spent = async {
        while party.wire.token_calls() == before {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(12), spent).await.expect("the code waits");
    drop(lock);
    let answer = connecting.end().await.done();
    assert!(answer.stderr.contains("Another process is renewing mine"), "{answer:?}");
    let token = answer.json()["access_token"].clone();
    assert_eq!(token, party.mine().tokens.access_token.expose());
}

/// An older version kept whatever a server said.
#[tokio::test]
async fn nothing_that_a_server_named_acts_on_a_terminal_in_json_either() {
    let party = Party::connected(|_| ()).await;
    let wild = "a\u{9b}2J\u{7f}\u{202e}b\u{1b}";
    party.change(|connection| connection.tokens.scope = Some(wild.to_owned())).await;
    for arguments in [
        &["connections", "show", "--json"][..],
        &["connections", "list", "--json"],
        &["token", "--output", "json"],
    ] {
        let answer = party.run(arguments).await;
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!answer.stdout.chars().any(acts), "{answer:?}");
        assert!(answer.json().to_string().contains("\u{202e}"), "it says the same");
    }
}

#[tokio::test]
async fn what_the_api_says_acts_on_no_terminal_and_goes_into_a_pipe_as_it_came() {
    const WILD: &str = "{\r\n\t\"a\": \"\u{1b}[2J\u{9b}2J\u{202e}b\"}";
    let party = Party::connected(|_| ()).await;
    let api = echo(Some((200, WILD))).await;
    party.change(|connection| connection.server.api_url = api).await;
    assert_eq!(party.run(&["api", "GET", "/f"]).await.done().stdout, WILD);
    let typed = format!("{} api GET /f", env!("CARGO_BIN_EXE_grantor"));
    let terminal = tokio::process::Command::new("script")
        .args(["--quiet", "--return", "--command", &typed, "/dev/null"])
        .env("GRANTOR_CONNECTIONS", party.connections_folder())
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .stdin(std::process::Stdio::null())
        .output();
    let seen = String::from_utf8(terminal.await.unwrap().stdout).unwrap();
    assert!(!seen.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{seen:?}");
    assert!(seen.contains("\"\u{fffd}[2J\u{fffd}2J\u{fffd}b\"}"), "{seen:?}");
}

async fn send(signal: &str, to: &Connecting) {
    let process = to.child.id().unwrap().to_string();
    tokio::process::Command::new("kill").args([signal, &process]).status().await.unwrap();
}

#[tokio::test]
async fn s28_what_is_on_the_disk_is_encrypted_and_its_owners_alone() {
    let party = Party::connected(|_| ()).await;
    party.expire().await;
    party.run(&["token"]).await.done();
    let folder = party.connections_folder();
    let connection = party.mine();
    let secrets = [
        connection.tokens.access_token.expose(),
        connection.tokens.refresh_token.as_ref().unwrap().expose(),
        &party.client.secret,
        "mine",
    ];
    let all = modes(&folder);
    assert!(all.len() >= 4, "{all:?}");
    for (path, mode) in all {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, expected, "{}", path.display());
        if path.is_file() {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(secrets.iter().all(|secret| !text.contains(secret)), "{}", path.display());
        }
    }
    // What others may read is not trusted.
    std::fs::set_permissions(folder.join("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    party.run(&["token"]).await.refused(&["others may use", "(mode 644)", "chmod 600"]);
    std::fs::set_permissions(folder.join("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    party.run(&["token"]).await.refused(&["others may use", "(mode 755)", "chmod 700"]);
}

/// Whoever is not root can give nothing away: that another user's files are refused is shown by a test of
/// the library there.
#[tokio::test]
async fn s28_what_another_user_owns_is_refused_also_by_root() {
    let party = Party::connected(|_| ()).await;
    let folder = party.connections_folder();
    if std::fs::metadata(&folder).unwrap().uid() != 0 {
        return;
    }
    for (path, _) in modes(&folder) {
        if path.extension().is_some_and(|ending| ending == "lock") {
            party.expire().await;
        }
        std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
        let named = format!("{} belongs to user 65534", path.display());
        party.run(&["token"]).await.refused(&[&named, "runs as user 0", "--connections DIR"]);
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    }
    party.run(&["token"]).await.line();
}

#[tokio::test]
async fn a_client_that_takes_its_secret_in_the_body_alone_is_told_where_it_goes() {
    let party = Party::with(LOOPBACK, |client| {
        client.settings = ClientSettings {
            secret_methods: grantor_protocol::client::SecretMethods::Post,
            ..client.settings
        };
    })
    .await;
    party
        .connect(&[])
        .await
        .refused(&["the client secret was sent where this server does not take it"]);
}

//! Every page beside the flow itself: what it says, its status and its headers.

use grantor::http::callback;
use grantor::seal::CodeSeal;
use grantor::site::Settings;
use grantor_protocol::environment::Environment;
use reqwest::Method;

use crate::harness::{Page, Server, encode, unescape};

const DEV: &str = "Development server (staging):";
const EMAIL: &str = "robin@rest.example";
const PASSWORD: &str = "a password of Robin's own";

async fn send(server: &Server, method: Method, path: &str, body: &str) -> Page {
    let request = server.browser().http.request(method, server.url(path)).body(body.to_owned());
    Page::read(request.send().await.unwrap()).await
}

/// One page of each kind and status, with the status that it must have.
async fn every_page(server: &Server) -> Vec<(u16, Page)> {
    let client = server.client().await;
    let browser = server.browser();
    let url = server.authorize_url(&client, "");
    let sign_in = browser.get(&url).await;
    let wrong = browser.submit(&sign_in, &[("email", "x"), ("password", "x")]).await;
    let businesses = browser.sign_in_as(&sign_in, EMAIL, PASSWORD).await;
    let none = browser.submit(&businesses, &[]).await;
    let id = businesses.values("business").pop().unwrap();
    let chosen = browser.submit(&businesses, &[("business", &id)]).await;
    let consent = browser.get(&chosen.absolute(&chosen.location())).await;
    let large = "a".repeat(70_000);
    let mut pages = vec![
        (200, sign_in),
        (401, wrong),
        (200, businesses),
        (422, none),
        (200, consent),
        (400, browser.get(&url.replace("ikentoo", "x")).await),
        (400, browser.get(&server.url("/oauth/authorize?client_id=x")).await),
        (400, server.browser().post(&url, &[], "step=sign_in").await),
        (413, browser.post(&url, &[], large).await),
        (200, browser.get(&server.url("/")).await),
        (200, browser.get(&server.url("/docs/")).await),
        (200, browser.get(&server.url("/connections")).await),
        (200, browser.get(&server.url("/account/password")).await),
        (200, server.browser().get(&server.url("/connections")).await),
        (400, browser.post(&server.url("/connections"), &[], "step=disconnect_all").await),
        (400, browser.post(&server.url("/account/password"), &[], "step=password").await),
    ];
    for path in ["/nothing", "/oauth", "/oauth/authorize/", "/docs/nothing", "/docs/%ff"] {
        pages.push((404, browser.get(&server.url(path)).await));
    }
    for path in ["/", "/docs/", "/docs/README", "/favicon.ico", "/assets/x"] {
        pages.push((405, send(server, Method::POST, path, "").await));
        pages.push((405, send(server, Method::OPTIONS, path, "").await));
    }
    pages
}

#[tokio::test]
async fn u14_in_dev_every_page_of_every_status_says_that_it_is_dev() {
    let server = Server::start().await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 2).await;
    for (status, page) in every_page(&server).await {
        page.assert_page(status, DEV);
        assert!(page.text.contains("Development, staging</title>"), "{}", page.url);
    }
}

#[tokio::test]
async fn u14_outside_dev_no_page_says_so_and_no_demo_is_shown() {
    let server = Server::start_with(Settings::default(), false).await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 2).await;
    for (status, page) in every_page(&server).await {
        page.assert_page(status, "Staging");
        for word in ["Development", "development", "demo-", "@demo.example", "Connect the demo app"]
        {
            // The docs tell of the demo, in whichever way they are served.
            if page.url.path() != "/docs/" {
                assert!(!page.text.contains(word), "{word}: {} {}", page.url, page.text);
            }
        }
    }
    for path in ["/f/data/businesses", "/o/op/data/businesses"] {
        send(&server, Method::GET, path, "").await.assert_page(404, "nothing here");
    }
}

#[tokio::test]
async fn every_page_has_its_headers_and_the_request_id_that_it_shows() {
    let server = Server::start().await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 2).await;
    let mut seen = std::collections::HashSet::new();
    for (_, page) in every_page(&server).await {
        let request_id = page.header("x-request-id").to_owned();
        assert!(page.text.contains(&request_id), "{}", page.url);
        assert!(seen.insert(request_id), "a request id came twice");
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; "), "{policy}");
        for directive in ["form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(directive), "{policy}");
        }
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("strict-transport-security"), "");
        assert!(page.text.contains("<html lang=\"en\">"));
        assert_eq!(page.text.matches("<h1").count(), 1, "{}", page.url);
        for forbidden in ["<script", " style=", " onclick", "javascript:", "<iframe"] {
            assert!(!page.text.contains(forbidden), "{forbidden}: {}", page.url);
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_and_names_the_right_ones() {
    let server = Server::start().await;
    for (path, allowed) in [
        ("/", "GET,HEAD"),
        ("/docs", "GET,HEAD"),
        ("/docs/", "GET,HEAD"),
        ("/favicon.ico", "GET,HEAD"),
        ("/oauth/authorize", "GET, HEAD, POST"),
        ("/oauth/token", "POST"),
    ] {
        for method in [Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE] {
            // A browser's question before a call (S7).
            if (method == Method::OPTIONS) && path == "/oauth/token" {
                continue;
            }
            let page = send(&server, method.clone(), path, "").await;
            assert_eq!(
                (page.status.as_u16(), page.header("allow")),
                (405, allowed),
                "{method} {path}"
            );
            assert!(page.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
        }
    }
}

#[tokio::test]
async fn u6_every_link_of_an_error_page_leads_to_a_place_that_exists() {
    let server = Server::start().await;
    server.customer(Environment::Staging, EMAIL, PASSWORD, 2).await;
    let browser = server.browser();
    for (status, page) in every_page(&server).await {
        // The docs' own links are tried in docs.rs.
        if page.url.path().starts_with("/docs/") && status == 200 {
            continue;
        }
        for after in page.text.split("href=\"").skip(1) {
            let target = unescape(after.split('"').next().unwrap());
            if target.starts_with("https://") || target.starts_with('#') {
                continue;
            }
            let is_portal = target.starts_with(&server.portal.base_url);
            let own = target.starts_with('/') || target.starts_with(&server.staging.base_url);
            assert!(own || is_portal, "{target} on {}", page.url);
            let there = browser.get(&page.absolute(&target)).await;
            // The portal asks who it is first.
            let is_there = there.status.is_success()
                || there.status.is_redirection()
                || is_portal && there.status == 401;
            assert!(is_there, "{target} on {status} {}: {}", page.url, there.status);
            if let Some((_, anchor)) = target.split_once('#') {
                assert!(there.text.contains(&format!("id=\"{anchor}\"")), "{target}");
            }
        }
    }
}

#[tokio::test]
async fn assets_may_be_kept_for_ever_and_nothing_else_may() {
    let server = Server::start().await;
    let home = send(&server, Method::GET, "/", "").await;
    let mut found = 0;
    for after in home.text.split("<link ").skip(1) {
        let path = after.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
        let asset = send(&server, Method::GET, path, "").await;
        assert_eq!(asset.status, 200, "{path}");
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(asset.header("x-content-type-options"), "nosniff");
        assert!(
            ["text/css; charset=utf-8", "text/css", "image/svg+xml"]
                .contains(&asset.header("content-type"))
        );
        assert!(!asset.text.contains("@import") && !asset.text.contains("url(http"));
        found += 1;
    }
    assert_eq!(found, 2);
    for path in ["/assets/x.css", "/assets/..%2f..%2fCargo.toml", "/assets/%ff", "/assets/"] {
        send(&server, Method::GET, path, "").await.assert_page(404, "nothing here");
    }
    let icon = send(&server, Method::GET, "/favicon.ico", "").await;
    assert!(icon.location().starts_with("/assets/"), "{}", icon.location());
}

#[tokio::test]
async fn the_docs_are_pages_and_no_way_to_other_files() {
    let server = Server::start().await;
    assert_eq!(send(&server, Method::GET, "/docs", "").await.location(), "/docs/");
    send(&server, Method::GET, "/docs/", "").await.assert_page(200, "docs");
    for path in [
        "/docs/../Cargo",
        "/docs/%2e%2e/README",
        "/docs/..%2fREADME",
        "/docs/%2fetc%2fpasswd",
        "/docs//etc/passwd",
        "/docs/README.md",
        "/docs/README%00",
        "/docs/%ff",
    ] {
        let page = send(&server, Method::GET, path, "").await;
        assert_eq!(page.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_front_page_names_the_issuer_and_in_dev_offers_the_first_step() {
    let server = Server::start().await;
    let browser = server.browser();
    let home = browser.get(&server.url("/")).await;
    home.assert_page(200, &server.staging.base_url);
    let link = home.text.split("href=\"").find(|after| after.contains("Connect the demo app"));
    let url = unescape(link.unwrap().split('"').next().unwrap());
    assert!(url.starts_with(&server.staging.base_url), "{url}");
    browser.get(&url).await.assert_page(200, "Sign in");
}

/// The demo partner's page, on a port of its own.
async fn partner(server: &Server) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = callback::router(vec![server.staging.clone(), server.production.clone()]);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn the_demo_partners_page_shows_a_genuine_code_and_the_command_that_exchanges_it() {
    let server = Server::start().await;
    let partner = partner(&server).await;
    let demo = server.demo_client();
    let target = server.browser().allow(&server.authorize_url(&demo, "&state=s%3Cb%3E")).await;
    let code = crate::harness::query(&target, "code").unwrap();
    let arrived = target.split_once('?').unwrap().1;
    let url = format!("{partner}/staging/callback?{arrived}");
    let page = server.browser().get(&url).await;
    page.assert_page(200, &code);
    page.assert_page(200, "Your code has arrived");
    page.assert_page(200, "about 60 seconds");
    page.assert_page(200, &format!("curl -sS -X POST -u '{}:{}'", demo.id, demo.secret));
    let command = format!("{}/oauth/token?code={code}&grant_type=", server.staging.base_url);
    page.assert_page(200, &command);
    page.assert_page(200, "s<b>");
    page.assert_page(200, DEV);
    assert!(!page.text.contains("s<b>"));
    // Its one inline style has a nonce that is new each time.
    let nonce = |page: &Page| {
        let policy = page.header("content-security-policy").to_owned();
        let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        assert!(page.text.contains(&format!("<style nonce=\"{nonce}\">")), "{policy}");
        assert!(policy.contains("form-action 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("script"), "{policy}");
        nonce
    };
    let again = server.browser().get(&url).await;
    assert_ne!(nonce(&page), nonce(&again));
    assert_eq!(page.text.matches("<style").count(), 1);
    assert!(
        page.text.contains(page.header("x-request-id")) && !page.header("x-request-id").is_empty()
    );

    server.clock.advance(25);
    server.browser().get(&url).await.assert_page(200, "about 35 seconds");
    server.clock.advance(35);
    let late = server.browser().get(&url).await;
    late.assert_page(200, "This code has expired");
    late.assert_page(200, "Get a new code");
    assert!(!late.text.contains("curl"), "{}", late.text);
}

#[tokio::test]
async fn the_demo_partners_page_shows_no_command_for_what_is_no_code_of_this_environment() {
    let server = Server::start().await;
    let partner = partner(&server).await;
    let now = server.clock.now();
    let seal = CodeSeal { grant_id: [7; 16], expires_at: now + 60 };
    let production = server.production.sealer.code(&seal, now);
    let genuine = server.staging.sealer.code(&seal, now);
    let token = server.code(&server.demo_client(), "").await.replace("gr_code_", "gr_access_");
    for code in [
        "';rm -rf ~ #",
        "$(reboot)",
        "`reboot`",
        "x' -o /etc/passwd '",
        "<script>alert(1)</script>",
        &production,
        &token,
        &format!("{genuine}'"),
        &format!("{genuine};reboot"),
        &format!("{genuine}\n"),
        &genuine.to_lowercase(),
    ] {
        let url = format!("{partner}/staging/callback?code={}&iss=%22%3E%3Cb%3E", encode(code));
        let page = server.browser().get(&url).await;
        page.assert_page(200, "not a code of this server");
        for hidden in ["curl", "rm -rf", "reboot", "<script>", "<style", "\"><b>"] {
            assert!(!page.text.contains(hidden), "{hidden} for {code}: {}", page.text);
        }
    }
    // Twice is no code either.
    let twice = format!("{partner}/staging/callback?code={genuine}&code={genuine}");
    let page = server.browser().get(&twice).await;
    page.assert_page(200, "not a code of this server");
    // Each environment has its page.
    let url = format!("{partner}/production/callback?code={production}");
    server.browser().get(&url).await.assert_page(200, "Development server (production):");
}

#[tokio::test]
async fn the_demo_partners_page_shows_an_error_escaped_and_without_a_code() {
    let server = Server::start().await;
    let partner = partner(&server).await;
    let page = server
        .browser()
        .get(&format!(
            "{partner}/staging/callback?error=access_denied&error_description=No&state=s"
        ))
        .await;
    page.assert_page(200, "The connection was denied");
    let hostile = encode("<img src=x onerror=alert(1)>\u{202e}");
    let page = server
        .browser()
        .get(&format!("{partner}/staging/callback?error={hostile}&error_description={hostile}"))
        .await;
    page.assert_page(200, "<img src=x onerror=alert(1)>[U+202E]");
    assert!(!page.text.contains("<img") && !page.text.contains("curl"));
    for path in ["/staging/callback", "/staging/callback?%ff=%ff&code[]=x"] {
        let page = server.browser().get(&format!("{partner}{path}")).await;
        page.assert_page(200, "not a code of this server");
    }
    for path in ["/", "/staging", "/nothing", "/assets/%ff", "/staging/callback/"] {
        server.browser().get(&format!("{partner}{path}")).await.assert_page(404, DEV);
    }
    let posted = server.browser().post(&format!("{partner}/staging/callback"), &[], "").await;
    posted.assert_page(405, DEV);
}
